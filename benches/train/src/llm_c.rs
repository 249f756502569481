//! The programs in C: llm.c's reference trainer, where its source is at hand, and plain loops in its stead.

use crate::side::{Programs, Side};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// Tokens of their steps.
pub const TOKENS: usize = 4 * 64;

/// Compiles a program as llm.c's makefile does, for this processor and with OpenMP; the command that runs it. What is
/// written goes to the folder `scratch`.
pub fn build(side: Side, programs: &Programs, scratch: &Path) -> Result<Command> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let binary = scratch.join(side.name());
    let mut compiler = Command::new("gcc");
    compiler.args(["-Ofast", "-fno-finite-math-only", "-march=native", "-fopenmp", "-DOMP", "-w", "-o"]).arg(&binary);
    if side == Side::LlmC {
        let source = programs.llm_c.as_deref().context("llm-c needs --llm-c with the path of its train_gpt2.c")?;
        let source = source.canonicalize().with_context(|| source.display().to_string())?;
        let text = std::fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        // Later versions round the vocabulary up and say so in the checkpoint.
        if text.contains("padded_vocab_size") {
            compiler.arg("-DPADDED");
        }
        compiler.arg(format!("-DLLM_C=\"{}\"", source.display())).arg(folder.join("llm_c.c"));
    } else {
        compiler.arg(folder.join("plain.c"));
    }
    let status = compiler.arg("-lm").status().context("gcc with OpenMP compiles the programs in C")?;
    ensure!(status.success(), "{} does not compile: {compiler:?}", side.name());
    let mut command = Command::new(&binary);
    if side == Side::LlmC {
        command.arg(binary.with_extension("checkpoint"));
    }
    Ok(command)
}

//! A side of the comparison: a process of its own that trains when it is told to.
//!
//! Every side, in Rust, Python or C, speaks the same lines. It reads a line of numbers, which name the batches to
//! train on ([`Shape::tokens_of`]), makes one step on each, and answers with one line, a [`Turn`] as JSON. So sides take
//! turns on one machine without sharing threads or memory, and each one's peak memory is its own.

use crate::{burn, candle, engine, llm_c, size::Shape, size::Size};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use sip_graph::{AdamW, Buffer};
use sip_kernels::Threads;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Learning rate of all sides.
pub const RATE: f64 = 1e-3;
/// Seed of the weights that all sides start from.
const WEIGHTS_SEED: u64 = 1;
const WEIGHTS_FILE: &str = "weights";

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// This project.
    Sip,
    /// candle on its CPU backend.
    Candle,
    /// burn on its backend `flex`.
    Burn,
    /// PyTorch, eager; needs `--python` with the package `torch`.
    Pytorch,
    /// The reference in C of llm.c, at the size of GPT-2 124M only; needs `--llm-c`.
    LlmC,
    /// The matrix products of GPT-2 124M as plain C loops, and nothing else of its step.
    PlainC,
}

impl Side {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Side::Sip => "sip",
            Side::Candle => "candle",
            Side::Burn => "burn",
            Side::Pytorch => "pytorch",
            Side::LlmC => "llm-c",
            Side::PlainC => "plain-c",
        }
    }

    /// Whether it trains the same model from the same weights, so that its losses must equal ours.
    pub fn is_comparable(self) -> bool {
        !matches!(self, Side::LlmC | Side::PlainC)
    }

    /// Tokens of one step: the programs in C train on 4 × 64, the default of llm.c, because they are slow.
    pub fn tokens(self, shape: &Shape) -> usize {
        if self.is_comparable() { shape.tokens() } else { llm_c::TOKENS }
    }
}

/// What a side answers after its steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    /// Loss before each step, in nats per token; empty where none is computed.
    pub losses: Vec<f32>,
    /// Wall time of all steps.
    pub seconds: f64,
    /// Processor time of all threads: it does not grow while other programs hold the cores.
    pub cpu_seconds: f64,
    /// Most memory that was resident since the model stood.
    pub peak_bytes: u64,
}

/// Where the programs are that this one cannot build.
#[derive(Clone, Debug, clap::Args)]
pub struct Programs {
    /// Python with the package `torch`.
    #[arg(long, default_value = "python3")]
    pub python: PathBuf,
    /// `train_gpt2.c` of llm.c, with its folder `llmc` beside it where it includes one.
    #[arg(long, value_name = "FILE")]
    pub llm_c: Option<PathBuf>,
}

/// A side that runs; it ends when this is dropped.
pub struct Running {
    side: Side,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a side. The folder `scratch` holds the file of [`write_weights`], which PyTorch reads.
    pub fn start(side: Side, size: Size, threads: u32, programs: &Programs, scratch: &Path) -> Result<Running> {
        let shape = size.shape().context("the model crate lacks a preset of this size")?;
        let own = || -> Result<Command> {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--serve", side.name(), "--size", size.name(), "--threads", &threads.to_string()]);
            Ok(command)
        };
        let mut command = match side {
            Side::Sip | Side::Candle | Side::Burn => own()?,
            Side::Pytorch => {
                let config = &shape.config;
                let mut command = Command::new(&programs.python);
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("pytorch.py"));
                command.arg("--weights").arg(scratch.join(WEIGHTS_FILE));
                for (name, value) in [
                    ("--vocabulary", config.vocab_size),
                    ("--width", config.hidden_size),
                    ("--inner", config.intermediate_size),
                    ("--layers", config.num_layers),
                    ("--heads", config.num_heads),
                    ("--rows", shape.batch),
                    ("--tokens", shape.seq_len),
                    ("--threads", threads as usize),
                ] {
                    command.args([name, &value.to_string()]);
                }
                command
            }
            Side::LlmC | Side::PlainC => llm_c::build(side, programs, scratch)?,
        };
        // candle and burn have no other way to be told their number of threads, nor have the programs in C.
        for variable in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS"] {
            command.env(variable, threads.to_string());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started: {command:?}", side.name()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a side has no output")?);
        Ok(Running { side, child, input, output })
    }

    /// Lets it train on these batches.
    pub fn turn(&mut self, batches: &[u64]) -> Result<Turn> {
        let numbers: Vec<String> = batches.iter().map(u64::to_string).collect();
        let mut line = String::new();
        let asked =
            self.input.as_mut().map(|input| writeln!(input, "{}", numbers.join(" ")).and_then(|()| input.flush()));
        ensure!(
            matches!(asked, Some(Ok(()))) && self.output.read_line(&mut line)? > 0,
            "{} ended before it had trained ({}); its own message stands above",
            self.side.name(),
            self.child.wait()?,
        );
        serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.side.name()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A side ends with its input; one that does not is slow, not lost.
        self.input = None;
        if self.child.wait().is_err() {
            eprintln!("{} did not end", self.side.name());
        }
    }
}

/// Trains as one of the sides written in Rust, until the input ends.
pub fn serve(side: Side, shape: &Shape, threads: u32) -> Result<()> {
    let threads = Arc::new(Threads::new(threads as usize));
    let optimizer = AdamW::default();
    let state = sip_model::init(&shape.config, WEIGHTS_SEED, &threads)?;
    match side {
        Side::Sip => {
            let mut engine = engine::Engine::new(shape, &optimizer, RATE, &threads, state)?;
            answer(shape, |batch| engine.step(batch))
        }
        Side::Candle => {
            let mut rival = candle::Rival::new(shape, &optimizer, RATE, weights_only(shape, state))?;
            answer(shape, |batch| Ok(rival.step(batch, shape.batch)?))
        }
        Side::Burn => {
            let mut rival = burn::Rival::new(shape, &optimizer, RATE, weights_only(shape, state))?;
            answer(shape, |batch| rival.step(batch, shape.batch))
        }
        _ => anyhow::bail!("{} is a program of its own", side.name()),
    }
}

fn weights_only(shape: &Shape, mut state: Vec<Buffer>) -> Vec<Buffer> {
    state.truncate(shape.config.parameters().len());
    state
}

fn answer(shape: &Shape, mut step: impl FnMut(&[u32]) -> Result<f32>) -> Result<()> {
    reset_peak();
    for line in std::io::stdin().lines() {
        let seeds = line?.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let batches: Vec<Vec<u32>> = seeds.into_iter().map(|seed| shape.tokens_of(seed)).collect();
        let (started, cpu_started) = (Instant::now(), ProcessTime::now());
        let losses = batches.iter().map(|batch| step(batch)).collect::<Result<Vec<f32>>>()?;
        let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_started.elapsed().as_secs_f64());
        println!("{}", serde_json::to_string(&Turn { losses, seconds, cpu_seconds, peak_bytes: peak_bytes()? })?);
    }
    Ok(())
}

/// Forgets the peak of building the model. Where the system refuses, that peak counts as well.
fn reset_peak() {
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        eprintln!("peak memory includes the building of the model");
    }
}

/// Most memory that was resident, from /proc.
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("peak memory is read from Linux's /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("/proc/self/status has no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}

/// Writes the weights that all sides start from: f32, little-endian, in the order of the parameters.
pub fn write_weights(shape: &Shape, scratch: &Path) -> Result<()> {
    let path = scratch.join(WEIGHTS_FILE);
    let threads = Arc::new(Threads::new(1));
    let weights = weights_only(shape, sip_model::init(&shape.config, WEIGHTS_SEED, &threads)?);
    let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
    for buffer in &weights {
        for value in buffer.iter() {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

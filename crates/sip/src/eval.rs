//! `sip eval`: how well a model knows a text, and how it answers questions.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sip_data::Documents;
use sip_eval::{ChoiceScore, Judge, Questions, TextScore};
use sip_model::Decoder;
use sip_model::llama::STEP_TOKENS_MAX;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::generate::{MachineOptions, open};
use sip_console::words::{count, wrong};
use sip_report::Progress;
use sip_report::terminal::output;
use sip_train::data::all_of;

/// Tokens that the model sees at once unless more or fewer are asked for.
const CONTEXT_DEFAULT: usize = 2048;
/// A text is read up to this size.
const TEXT_LIMIT_BYTES: usize = 1 << 30;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Texts to score: loss, perplexity and bits per byte. Files, also packed or with {"text": …} on every line, or folders
    texts: Vec<PathBuf>,
    /// Hugging Face folder, or .gguf file
    #[arg(long, value_name = "PATH", default_value = "sip-out/model")]
    model: PathBuf,
    /// Folder of an adapter (of peft, or one made here) that is merged into the model
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// Questions to answer, one a line: {"context": "…", "choices": ["…", "…"], "answer": 0}
    #[arg(long, value_name = "FILE")]
    choices: Vec<PathBuf>,
    /// Tokens that the model sees at once; 2048 or as many as it can unless given
    #[arg(long, value_name = "N", value_parser = count(1..=STEP_TOKENS_MAX as u64))]
    context: Option<usize>,
    /// Tokens scored per window; fewer give each more to see and cost more in proportion. All unless given
    #[arg(long, value_name = "N", value_parser = count(1..=STEP_TOKENS_MAX as u64))]
    stride: Option<usize>,
    #[command(flatten)]
    machine: MachineOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.texts.is_empty() && arguments.choices.is_empty() {
        return Err(wrong("nothing to score: give text files, or questions with --choices"));
    }
    // What is wrong with the files is said before the model is loaded.
    let progress = Progress::new(arguments.json);
    let texts = read(&arguments.texts, progress)?;
    let questions =
        arguments.choices.iter().map(|path| Ok((path, Questions::load(path)?))).collect::<Result<Vec<_>>>()?;
    let machine = arguments.machine.machine()?;
    let model = open(&arguments.model, arguments.adapter.as_deref())?;
    let context = arguments.context.unwrap_or(CONTEXT_DEFAULT.min(model.config.max_seq_len));
    let stride = arguments.stride.unwrap_or(context);
    if stride > context {
        return Err(wrong(format!("--stride is {stride}, more than the {context} tokens that the model sees at once")));
    }
    let decoder = Decoder::new(&model.config, model.weights, context, machine.threads, machine.simd)?;
    let mut judge = Judge::new(decoder, model.tokenizer, &model.special);

    let mut out = output();
    let (mut total, mut lines) = (TextScore::default(), Vec::new());
    for (path, documents) in &texts {
        let (bar, started) = (progress.bar(1, &format!("scoring {}", path.display())), Instant::now());
        let mut score = TextScore::default();
        for text in documents.iter() {
            let part = judge.score(text, stride, &mut |done, count| {
                bar.set_length(count as u64);
                bar.set_position(done as u64);
            });
            score += part.with_context(|| format!("cannot score {}", path.display()))?;
        }
        drop(bar);
        total += score;
        let seconds = started.elapsed().as_secs_f64();
        if !arguments.json {
            writeln!(out, "{:<28} {}", path.display().to_string(), line(&score))?;
        }
        lines.push(report(&score, json!({ "path": path, "seconds": seconds })));
    }
    if texts.len() > 1 && !arguments.json {
        writeln!(out, "{:<28} {}", "all", line(&total))?;
    }
    let mut answers = Vec::new();
    for (path, questions) in &questions {
        let length = questions.len() as u64;
        let (bar, started) = (progress.bar(length, &format!("answering {}", path.display())), Instant::now());
        let score = judge.answer(questions.iter(), &mut |done| bar.set_position(done as u64));
        drop(bar);
        let score = score.with_context(|| format!("cannot answer {}", path.display()))?;
        let seconds = started.elapsed().as_secs_f64();
        if !arguments.json {
            let ChoiceScore { questions, .. } = score;
            let (sum, per_character) = (score.accuracy(), score.accuracy_per_character());
            let (path, per_byte) = (path.display().to_string(), score.accuracy_per_byte());
            writeln!(
                out,
                "{path:<28} {questions} questions, accuracy {sum:.4}, by likelihood per character {per_character:.4}, per byte \
                 {per_byte:.4}"
            )?;
        }
        answers.push(json!({
            "path": path,
            "seconds": seconds,
            "questions": score.questions,
            "acc": score.accuracy(),
            "acc_norm": score.accuracy_per_character(),
            "acc_bytes": score.accuracy_per_byte(),
        }));
    }
    if arguments.json {
        let all = if texts.is_empty() { Value::Null } else { report(&total, json!({})) };
        let report = json!({ "context": context, "stride": stride, "texts": lines, "all": all, "choices": answers });
        writeln!(std::io::stdout(), "{report}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The documents of every file.
fn read(paths: &[PathBuf], progress: Progress) -> Result<Vec<(PathBuf, Documents)>> {
    let mut texts = Vec::new();
    for found in all_of(paths, TEXT_LIMIT_BYTES, progress)? {
        for (path, content) in found.files {
            if content.is_cut {
                bail!("{} has more than {TEXT_LIMIT_BYTES} bytes", path.display());
            }
            let documents = content.documents(&path)?;
            texts.push((path, documents));
        }
    }
    Ok(texts)
}

fn line(score: &TextScore) -> String {
    format!(
        "{} tokens, {} bytes, loss {:.4} nats per token, perplexity {:.3}, {:.4} bits per byte",
        score.tokens,
        score.bytes,
        score.loss(),
        score.perplexity(),
        score.bits_per_byte()
    )
}

fn report(score: &TextScore, mut report: Value) -> Value {
    report["tokens"] = score.tokens.into();
    report["bytes"] = score.bytes.into();
    report["loss"] = score.loss().into();
    report["perplexity"] = score.perplexity().into();
    report["bits_per_byte"] = score.bits_per_byte().into();
    report
}

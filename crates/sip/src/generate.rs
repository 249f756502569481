//! `sip generate`: continues a text with a model, or answers.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sip_kernels::{MAX_THREADS, Threads};
use sip_model::{Decoder, Generator, LoadedModel, Message, Role, Sampler, Sampling, TextStream};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use sip_console::words::{positive, share, temperature, wrong};
use sip_data::{Missing, shown_path};
use sip_manifest::folder::Store;
use sip_manifest::machine::Machine;
use sip_manifest::place::quoted;
use sip_report::terminal::{Stream, fitted};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Text to continue, or with --chat what to answer; "-" reads it from standard input
    #[arg(required_unless_present = "prompt_option", allow_negative_numbers = true)]
    prompt: Option<String>,
    /// The same as an option; may begin with a hyphen
    #[arg(long = "prompt", value_name = "TEXT", conflicts_with = "prompt", allow_hyphen_values = true)]
    prompt_option: Option<String>,
    /// Hugging Face folder, or .gguf file
    #[arg(long, value_name = "PATH", default_value = "sip-out/model")]
    model: PathBuf,
    /// Answer the text as a message in the model's chat format
    #[arg(long)]
    chat: bool,
    /// System message before it
    #[arg(long, value_name = "TEXT", requires = "chat", allow_hyphen_values = true)]
    system: Option<String>,
    /// Chat template of the model, where it has several
    #[arg(long, value_name = "NAME", requires = "chat")]
    template: Option<String>,
    /// Folder of an adapter (of peft, or one made here) that is merged into the model
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// Tokens to write at most
    #[arg(long, alias = "tokens", value_name = "N", default_value_t = 120)]
    max_tokens: usize,
    /// How freely to choose: 0 takes the likeliest token, 1 follows the model's probabilities
    #[arg(long, value_name = "T", default_value_t = Sampling::default().temperature, value_parser = temperature)]
    temperature: f32,
    /// Choose among the K likeliest tokens only; 0 for all
    #[arg(long, value_name = "K", default_value_t = Sampling::default().top_k)]
    top_k: usize,
    /// Choose among the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p, value_parser = share)]
    top_p: f32,
    /// Make tokens that are in the text already less likely: above 1; 1 changes nothing
    #[arg(long, value_name = "R", default_value_t = Sampling::default().repetition_penalty, value_parser = positive)]
    repetition_penalty: f32,
    /// Seed of the choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    machine: MachineOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let sampling = Sampling {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        repetition_penalty: arguments.repetition_penalty,
    };
    if let Some(problem) = sampling.problem() {
        return Err(wrong(problem));
    }
    let text = match (&arguments.prompt, &arguments.prompt_option) {
        (Some(dash), _) if dash == "-" => {
            // With line ends as a file has them for this program.
            std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?.replace("\r\n", "\n")
        }
        (prompt, option) => prompt.as_ref().or(option.as_ref()).cloned().unwrap_or_default(),
    };
    let machine = arguments.machine.machine()?;
    let model = open(&arguments.model, arguments.adapter.as_deref())?;
    let prompt = prompt(&model, arguments, &text)?;
    ensure!(!prompt.is_empty(), "the prompt has no token: give a text");
    // No more of the cache than this text can fill.
    let context = prompt.len().saturating_add(arguments.max_tokens).min(model.config.max_seq_len);
    let vocab_size = model.tokenizer.vocab_size();
    let decoder = Decoder::new(&model.config, model.weights, context, machine.threads, machine.simd)?;
    let mut generator = Generator::from(decoder);
    let mut sampler = Sampler::new(sampling, arguments.seed);
    sampler.start(&prompt);

    let mut out = std::io::stdout();
    let mut show = |text: &str| -> Result<()> {
        if !arguments.json {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    };
    if !arguments.chat {
        show(&text)?;
    }
    let (mut stream, mut written, mut count) = (TextStream::default(), String::new(), 0);
    let started = Instant::now();
    let mut logits = generator.prompt(&prompt)?;
    let prefill_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let mut passes = 0;
    let mut stopped = false;
    while count < arguments.max_tokens {
        // Rows of the embedding without a token are no choice.
        let token = sampler.draw(&logits[..vocab_size.min(logits.len())]);
        stopped = model.special.end.contains(&token);
        if stopped {
            break;
        }
        count += 1;
        let new = stream.push(&model.tokenizer, token)?;
        show(&new)?;
        written += &new;
        if count < arguments.max_tokens {
            logits = generator.next(token)?;
            passes += 1;
        }
    }
    let decode_seconds = started.elapsed().as_secs_f64();
    let rest = stream.finish(&model.tokenizer)?;
    show(&rest)?;
    written += &rest;
    let forgotten = generator.forgotten();
    if arguments.json {
        let report = json!({
            "prompt": text,
            "text": written,
            "tokens": count,
            "stopped": stopped,
            "prompt_tokens": prompt.len(),
            "forgotten_tokens": forgotten,
            "prefill_seconds": prefill_seconds,
            "prefill_tokens_per_second": rate(prompt.len(), prefill_seconds),
            "decode_seconds": decode_seconds,
            "decode_tokens_per_second": rate(passes, decode_seconds),
        });
        writeln!(out, "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out)?;
    // What it has written itself passes out of a small context as a matter of course; what somebody gave it should not.
    if prompt.len() > context {
        let (tokens, lost) = (prompt.len(), prompt.len() - context);
        let said = format!(
            "the prompt has {tokens} tokens, and the model's context {context}: its first {lost} were forgotten before it began"
        );
        sip_report::say(&fitted(&said, Stream::Error, 2));
    }
    Ok(ExitCode::SUCCESS)
}

/// What every command that computes with a model can be told about the machine.
#[derive(clap::Args)]
pub(crate) struct MachineOptions {
    /// Threads; all cores (or SIP_THREADS) unless given. No result depends on them, or on SIP_SIMD (scalar, neon, avx2, avx512)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_THREADS as i64))]
    threads: Option<u32>,
}

impl MachineOptions {
    /// The machine of the environment, with the threads that were asked for.
    pub(crate) fn machine(&self) -> Result<Machine> {
        let mut machine = Machine::from_environment()?;
        if let Some(count) = self.threads {
            machine.threads = Arc::new(Threads::new(count as usize));
        }
        Ok(machine)
    }
}

/// Opens a model, with an adapter merged into it.
pub(crate) fn open(path: &Path, adapter: Option<&Path>) -> Result<LoadedModel> {
    require_model(path)?;
    LoadedModel::open_with(path, adapter).with_context(|| format!("cannot load the model in {}", path.display()))
}

/// Refuses a place where no model is, and says how one comes there.
pub(crate) fn require_model(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let shown = shown_path(path);
    let run = path.parent().filter(|_| path.file_name().is_some_and(|name| name == "model"));
    let said = match run.and_then(|run| Some((run, unfinished(run)?))) {
        Some((run, next)) => {
            format!("the run in {} is not finished and has no model yet; go on with \"{next}\"", shown_path(run))
        }
        None => format!("there is no model in {shown}; name one with --model, or make one with \"sip demo\""),
    };
    Err(Missing(said).into())
}

/// What goes on with a run that was begun in a folder, if one was.
fn unfinished(folder: &Path) -> Option<String> {
    let shown = quoted(folder);
    if Store::new(folder).latest().is_ok() {
        return Some(format!("sip demo --resume --out {shown}"));
    }
    let command = sip_train::command_of(&sip_train::Folder::new(folder))?;
    Some(format!("sip {command} --resume {shown}"))
}

/// The tokens of a text, or of a conversation that begins with it: there the template says what stands before it.
fn prompt(model: &LoadedModel, arguments: &Arguments, text: &str) -> Result<Vec<u32>> {
    if !arguments.chat {
        let mut tokens: Vec<u32> = model.special.begin.into_iter().collect();
        tokens.extend(model.tokenizer.encode(text)?);
        return Ok(tokens);
    }
    let template = model.chat.get(arguments.template.as_deref())?;
    let system = arguments.system.iter().map(|text| Message::new(Role::System, text.clone()));
    let messages: Vec<Message> = system.chain([Message::new(Role::User, text)]).collect();
    Ok(model.tokenizer.encode(&template.render(&messages, true)?)?)
}

/// `None` (null in JSON) where nothing was measured.
fn rate(count: usize, seconds: f64) -> Option<f64> {
    (count > 0 && seconds > 0.0).then(|| count as f64 / seconds)
}

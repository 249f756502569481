//! `sip generate`: continues a text with a model.

use anyhow::{Context, Result, ensure};
use sip_graph::Buffer;
use sip_model::export::load_pretrained;
use sip_model::tokenizer::{DOCUMENT_ID, Tokenizer};
use sip_model::{Generator, Sampler, Sampling};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::run::prepare::Machine;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Text to continue
    prompt: String,
    /// Folder with config.json, model.safetensors and tokenizer.json
    #[arg(long, value_name = "FOLDER", default_value = "sip-out/model")]
    model: PathBuf,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value_t = 120)]
    tokens: usize,
    /// How freely to choose: 0 takes the likeliest token, 1 follows the model's probabilities
    #[arg(long, value_name = "T", default_value_t = 0.8)]
    temperature: f32,
    /// Choose among the K likeliest tokens only; 0 for all
    #[arg(long, value_name = "K", default_value_t = 40)]
    top_k: usize,
    /// Choose among the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f32,
    /// Seed of the choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure!(arguments.temperature >= 0.0 && arguments.temperature.is_finite(), "--temperature must be 0 or more");
    ensure!(arguments.top_p > 0.0 && arguments.top_p <= 1.0, "--top-p must be above 0 and at most 1");
    let machine = Machine::from_environment()?;
    let folder = &arguments.model;
    let (config, tensors) =
        load_pretrained(folder).with_context(|| format!("cannot load the model in {}", folder.display()))?;
    let tokenizer = Tokenizer::load(folder)?;
    let weights = tensors.iter().map(|tensor| Buffer::from(&tensor.data[..])).collect();
    let mut generator = Generator::new(&config, weights, machine.threads)?;
    let sampling = Sampling { temperature: arguments.temperature, top_k: arguments.top_k, top_p: arguments.top_p };
    let mut sampler = Sampler::new(sampling, arguments.seed);
    let mut out = std::io::stdout();
    let mut shown = 0;
    let mut ids = Vec::new();
    if !arguments.json {
        write!(out, "{}", arguments.prompt)?;
    }
    let prompt = prompt(&tokenizer, &arguments.prompt)?;
    generator.generate(&prompt, arguments.tokens, &mut sampler, &mut |token| {
        if token == DOCUMENT_ID {
            return false;
        }
        ids.push(token);
        if !arguments.json {
            // A character may span tokens: show what is complete.
            if let Ok(text) = tokenizer.decode(&ids) {
                let complete = text.trim_end_matches('\u{FFFD}');
                if let Some(new) = complete.get(shown..) {
                    let _ = write!(out, "{new}");
                    let _ = out.flush();
                    shown = complete.len();
                }
            }
        }
        true
    })?;
    if arguments.json {
        let text = tokenizer.decode(&ids)?;
        writeln!(out, "{}", serde_json::json!({ "prompt": arguments.prompt, "text": text, "tokens": ids.len() }))?;
    } else {
        writeln!(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A document that begins with a text.
pub(crate) fn prompt(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let mut tokens = vec![DOCUMENT_ID];
    tokens.extend(tokenizer.encode(text)?);
    Ok(tokens)
}

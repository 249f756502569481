//! `sip tokenize`: the tokens of a text, for comparison with other tools.

use anyhow::{Context, Result};
use serde_json::json;
use sip_model::{LoadedModel, Message, Role};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::generate::require_model;
use sip_manifest::tokenizer::place;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Text; "-" reads it from standard input
    #[arg(required_unless_present = "text_option", allow_negative_numbers = true)]
    text: Option<String>,
    /// The same as an option; may begin with a hyphen
    #[arg(long = "text", value_name = "TEXT", conflicts_with = "text", allow_hyphen_values = true)]
    text_option: Option<String>,
    /// Hugging Face folder, also of a tokenizer alone, or .gguf file
    #[arg(long, value_name = "PATH", default_value = "sip-out/model")]
    model: PathBuf,
    /// The text as a message in the model's chat format, up to where the answer begins
    #[arg(long)]
    chat: bool,
    /// Chat template of the model, where it has several
    #[arg(long, value_name = "NAME", requires = "chat")]
    template: Option<String>,
    /// The text alone, without the token that the model expects before it
    #[arg(long, conflicts_with = "chat")]
    bare: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let text = match (&arguments.text, &arguments.text_option) {
        (Some(dash), _) if dash == "-" => {
            // With line ends as a file has them for this program.
            std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?.replace("\r\n", "\n")
        }
        (text, option) => text.as_ref().or(option.as_ref()).cloned().unwrap_or_default(),
    };
    let placed = place(&arguments.model);
    let path = placed.as_ref().unwrap_or(&arguments.model);
    require_model(path)?;
    let model = LoadedModel::open_tokenizer(path)
        .with_context(|| format!("cannot load the tokenizer in {}", path.display()))?;
    let mut ids: Vec<u32> = Vec::new();
    if arguments.chat {
        let template = model.chat.get(arguments.template.as_deref())?;
        ids.extend(model.tokenizer.encode(&template.render(&[Message::new(Role::User, text.clone())], true)?)?);
    } else {
        ids.extend(model.special.begin.filter(|_| !arguments.bare));
        ids.extend(model.tokenizer.encode(&text)?);
    }
    let pieces: Vec<String> = ids.iter().map(|&id| model.tokenizer.token(id).unwrap_or_default()).collect();
    let mut out = std::io::stdout();
    if arguments.json {
        let decoded = model.tokenizer.decode(&ids)?;
        writeln!(out, "{}", json!({ "ids": ids, "pieces": pieces, "decoded": decoded }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (id, piece) in ids.iter().zip(&pieces) {
        writeln!(out, "{id:>7}  {}", piece.escape_debug())?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `sip graph`: what a model computes, operator by operator.

use anyhow::{Result, bail};
use sip_graph::show;
use sip_model::LlamaConfig;
use sip_model::export::load_config;
use sip_model::llama::STEP_TOKENS_MAX;
use sip_model::preset::PRESETS;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sip_console::words::{count, wrong};
use sip_data::Missing;
use sip_manifest::folder::write_own;
use sip_manifest::place::keep_apart;
use sip_report::terminal::output;
use sip_view::graph::{What, build};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List or draw the operators of a model
    Show(Show),
    /// Write every graph and table of a job as files of canonical bytes
    Export(crate::manifest::Export),
}

#[derive(clap::Args)]
struct Show {
    /// A preset (tiny, small, medium, …), a folder with a config.json, or the file
    #[arg(long, value_name = "PRESET|PATH", default_value = "small")]
    model: String,
    /// Sequences per step
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count(1..=1 << 15))]
    batch: usize,
    /// Tokens per sequence [default: as many as the model takes, at most 1024]
    #[arg(long, alias = "seq", value_name = "N", value_parser = count(1..=STEP_TOKENS_MAX as u64))]
    sequence: Option<usize>,
    /// Which of its graphs
    #[arg(long, value_enum, default_value = "train")]
    what: What,
    /// How to show it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print one JSON object: the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One node per line
    Text,
    /// A picture for a browser
    Svg,
    /// The language of Graphviz
    Dot,
    /// For programs
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let show = match &arguments.command {
        Command::Show(show) => show,
        Command::Export(export) => return crate::manifest::export(export),
    };
    let config = config(&show.model)?;
    let seq = show.sequence.unwrap_or(config.max_seq_len.min(1024));
    if seq > config.max_seq_len {
        return Err(wrong(format!("--sequence is {seq}, and the model takes at most {} tokens", config.max_seq_len)));
    }
    if show.batch.saturating_mul(seq) > STEP_TOKENS_MAX {
        return Err(wrong(format!(
            "--batch × --sequence is {} × {seq}, expected at most {STEP_TOKENS_MAX}",
            show.batch
        )));
    }
    let shown = build(&config, &show.model, show.what, (show.batch, seq))?;
    let text = match if show.json { Format::Json } else { show.format } {
        Format::Text => format!("{}\n{}", shown.summary().join("\n"), show::text(&shown.graph, &shown.names)),
        Format::Svg => sip_graph::svg(&shown.graph, &shown.names, &shown.title, &shown.summary()[1..3]),
        Format::Dot => show::dot(&shown.graph, &shown.names),
        Format::Json => format!("{:#}\n", shown.json()),
    };
    match &show.out {
        Some(path) => {
            keep_apart(path, [("--model", show.model.as_ref())])?;
            write_own(path, &text)?;
        }
        None if show.json || show.format != Format::Text => {
            std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
        }
        None => std::io::Write::write_all(&mut output(), text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A model's shape by the name of a preset, or from its configuration.
fn config(model: &str) -> Result<LlamaConfig> {
    if let Some(preset) = LlamaConfig::preset(model) {
        return Ok(preset);
    }
    let path = Path::new(model);
    if !path.exists() {
        return Err(
            Missing(format!("{model} is neither a preset ({}) nor a file or folder", PRESETS.join(", "))).into()
        );
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    if path.is_file() && path.file_name().is_none_or(|name| name != "config.json") {
        bail!("{model} is not called config.json, as the configuration of a Hugging Face model is");
    }
    Ok(load_config(folder)?)
}

//! `sip quality`: the rule of quality on loss curves, and what a coalition of trainers could make of it.

use anyhow::{Result, ensure};
use sip_sim::quality::{self, DEMO, page, qualities, tables};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_manifest::folder::write_own;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Jobs to play of every kind
    #[arg(long, value_name = "N", default_value_t = 100)]
    jobs: u64,
    /// Beginnings of the search for a strategy
    #[arg(long, value_name = "N", default_value_t = 4)]
    beginnings: u64,
    /// Page with the plots
    #[arg(long, value_name = "FILE", default_value = "quality.html")]
    out: PathBuf,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure!((1..=10_000).contains(&arguments.jobs), "--jobs must be 1 to 10000");
    ensure!((1..=100).contains(&arguments.beginnings), "--beginnings must be 1 to 100");
    let honest = quality::honest(arguments.jobs);
    let tried = quality::tried(arguments.jobs, arguments.beginnings);
    write_own(&arguments.out, &page())?;
    let text = if arguments.json {
        let value = serde_json::json!({ "honest": honest, "strategies": tried, "demo": qualities(&DEMO) });
        serde_json::to_string_pretty(&value)? + "\n"
    } else {
        tables(&honest, &tried) + &format!("Plots: {}\n", arguments.out.display())
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

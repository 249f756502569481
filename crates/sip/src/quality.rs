//! `sip quality`: the rule of quality on loss curves, and what a coalition of trainers could make of it.

use anyhow::Result;
use sip_report::terminal::output;
use sip_sim::quality::{self, DEMO, page, qualities, tables};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_manifest::folder::write_own;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Jobs to play of every kind
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    jobs: u64,
    /// Beginnings of the search for a strategy
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=100))]
    beginnings: u64,
    /// Page with the plots [default: quality.html, and none with --json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let honest = quality::honest(arguments.jobs);
    let tried = quality::tried(arguments.jobs, arguments.beginnings);
    let out = arguments.out.clone().or_else(|| (!arguments.json).then(|| "quality.html".into()));
    if let Some(out) = &out {
        write_own(out, &page())?;
    }
    if arguments.json {
        let value = serde_json::json!({ "honest": honest, "strategies": tried, "demo": qualities(&DEMO) });
        writeln!(std::io::stdout(), "{value:#}")?;
    } else {
        let plots = out.map(|out| format!("Plots: {}\n", out.display())).unwrap_or_default();
        output().write_all((tables(&honest, &tried) + &plots).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

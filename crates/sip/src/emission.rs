//! `sip emission`: the protocol's own transitions over years of assumed demand; with a subcommand, those of a chain.

use anyhow::{Result, ensure};
use sip_sim::emission::{SCENARIOS, page, simulate, tables};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_manifest::folder::write_own;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    simulation: Simulation,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Simulate emission, yield and fees over years, as without a subcommand
    Simulate(Simulation),
    #[command(flatten)]
    Chain(crate::chain::emission::Command),
}

#[derive(clap::Args)]
struct Simulation {
    /// Years to simulate
    #[arg(long, value_name = "N", default_value_t = 10)]
    years: u32,
    /// Part of the supply that is staked, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 30)]
    staked: u64,
    /// Page with the plots [default: emission.html, and none with --json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        None => run_simulation(&arguments.simulation),
        Some(Command::Simulate(simulation)) => run_simulation(simulation),
        Some(Command::Chain(command)) => crate::chain::emission::run(command),
    }
}

fn run_simulation(arguments: &Simulation) -> Result<ExitCode> {
    ensure!((1..=50).contains(&arguments.years), "--years must be 1 to 50");
    ensure!((1..=90).contains(&arguments.staked), "--staked must be 1 to 90 percent");
    let outcomes = SCENARIOS
        .iter()
        .map(|scenario| simulate(scenario, arguments.years, arguments.staked))
        .collect::<Result<Vec<_>>>()?;
    let out = arguments.out.clone().or_else(|| (!arguments.json).then(|| "emission.html".into()));
    if let Some(out) = &out {
        write_own(out, &page(&outcomes, arguments.staked))?;
    }
    let text = if arguments.json {
        serde_json::to_string_pretty(&outcomes)? + "\n"
    } else {
        tables(&outcomes) + &out.map(|out| format!("Plots: {}\n", out.display())).unwrap_or_default()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

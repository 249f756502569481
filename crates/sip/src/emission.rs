//! `sip emission`: the protocol's own transitions over years of assumed demand; with a subcommand, those of a chain.

use anyhow::Result;
use sip_report::terminal::{Stream, columns, output};
use sip_sim::emission::{Outcome, SCENARIOS, page, simulate};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::table::{Cell, Row, list};
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
    /// Years to simulate, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    years: u32,
    /// Part of the supply that is staked, in percent, 1 to 90
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=90))]
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
    let outcomes = SCENARIOS
        .iter()
        .map(|scenario| simulate(scenario, arguments.years, arguments.staked))
        .collect::<Result<Vec<_>>>()?;
    let out = arguments.out.clone().or_else(|| (!arguments.json).then(|| "emission.html".into()));
    if let Some(out) = &out {
        write_own(out, &page(&outcomes, arguments.staked))?;
    }
    if arguments.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&outcomes)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut told = output();
    for outcome in &outcomes {
        writeln!(told, "{}, in millions of SIP", outcome.scenario)?;
        writeln!(told, "{}", list(&rows(outcome), columns(Stream::Output)))?;
    }
    if let Some(out) = out {
        writeln!(told, "Plots: {}", out.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for every year.
fn rows(outcome: &Outcome) -> Vec<Row> {
    let millions = |sip: f64| Cell::Figure(format!("{:.2}", sip / 1e6));
    let percent = |percent: f64| Cell::Figure(format!("{percent:.1} %"));
    let row = |year: &sip_sim::emission::Year| {
        vec![
            ("year", Cell::Number(year.year.into())),
            ("released", millions(year.released_staking + year.released_nodes)),
            ("stake", millions(year.paid_to_stake)),
            ("nodes", millions(year.paid_to_nodes)),
            ("burned", millions(year.fees_burned)),
            ("yield", percent(year.yield_percent)),
            ("use", percent(year.utilisation_percent)),
            ("supply", millions(year.supply)),
            ("phase", Cell::text(year.phase)),
        ]
    };
    outcome.years.iter().map(row).collect()
}

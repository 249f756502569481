//! `sip node`: anyone who has a computer takes part in a job.

mod check;
mod fit;
mod plan;
mod run;
mod status;

use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::Connection;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Work in a job until Ctrl-C, or until the job is over and nothing is owed; the same command goes on after a crash
    Run(Box<run::Arguments>),
    /// Say whether this machine is fit for a node: chain, pace, clock, balance, disk, how fast it trains, and whether others reach it
    Check(check::Arguments),
    /// Say what a seat in a job costs and may bring, and what it takes of disk and network
    Plan(plan::Arguments),
    /// Say how a node stands: what it waits for, from whom and until when; what it did, paid and got
    Status(status::Arguments),
}

/// The folder of a node.
#[derive(clap::Args)]
struct Folder {
    /// Folder of the node: manifest and tokens, states, what was found
    #[arg(long, value_name = "FOLDER", default_value = "sip-node")]
    data: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Run(node) => run::run(node, &arguments.connection),
        Command::Check(check) => check::run(check, &arguments.connection),
        Command::Plan(plan) => plan::run(plan, &arguments.connection),
        Command::Status(status) => status::run(status, arguments.connection.json),
    }
}

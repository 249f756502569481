//! The command line of the Staked Intelligence Protocol.

mod audit;
mod chain;
mod demo;
mod dispute;
mod emission;
mod eval;
mod finetune;
mod generate;
mod graph;
mod help;
mod localnet;
mod manifest;
mod network;
mod node;
#[cfg(test)]
mod pages;
mod quality;
mod security;
#[cfg(test)]
mod strangers;
mod tokenize;
mod train;
mod verify;

use clap::{FromArgMatches, Parser, Subcommand};
use sip_console::failure;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "sip", version, about = "Train language models among people who do not trust each other", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish texts for others to train on
    Data(sip_post::Publish),
    /// Train a model among strangers on an embedded Solana ledger, and convict a liar on chain
    Demo(demo::Arguments),
    /// Follow jobs, replay what is claimed, convict who lies; for an auditor also attest, vote and be paid
    Audit(audit::Arguments),
    /// Print completions of all commands for a shell
    Completions(help::Completions),
    /// Look at a dispute on a chain
    Dispute(dispute::Arguments),
    /// Simulate emission, yield and fees over years; on a chain, see where it stands and turn its epochs
    Emission(emission::Arguments),
    /// Score a model: loss, perplexity and bits per byte of texts, accuracy on multiple-choice questions
    Eval(eval::Arguments),
    /// Leave a pool, through the unbonding time
    Exit(chain::exit::Arguments),
    /// Pay for a model's service, and pay out what data and patrons got of it
    Fee(chain::fee::Arguments),
    /// Train a model further, on texts, answers or preferences: all of it, or adapters of low rank
    Finetune(finetune::Arguments),
    /// Continue a text with a model
    Generate(generate::Arguments),
    /// List or draw what a model computes, operator by operator; write out what a job computes
    Graph(graph::Arguments),
    /// See what is trained, how far it is and by whom, and take a place in it
    Job(chain::job::Arguments),
    /// Turn shares of a compounding pool into tokens and back
    Liquid(chain::liquid::Arguments),
    /// Run a Solana chain on this machine, with the program on it, for wallets, clients and tests
    Localnet(localnet::Arguments),
    /// Lock attention for months, for more weight
    Lock(chain::lock::Arguments),
    /// Make and read manifests: all that a job computes with, under one hash
    Manifest(manifest::Arguments),
    /// Print the page for "man", or write one for every command
    Man(help::Man),
    /// Work in a job with this machine: train, audit, evaluate, provide data, keep it going; see how a node stands
    Node(node::Arguments),
    /// Play a whole network on this machine: a chain, and a process for each person
    Network(network::Arguments),
    /// Create and look after pools, and list what there is to stake on
    Pool(chain::pool::Arguments),
    /// Begin the protocol on a chain, see its supply, buckets and parameters, and govern it
    Protocol(chain::protocol::Arguments),
    /// What is paid for quality on loss curves, and what a coalition of trainers could make of it
    Quality(quality::Arguments),
    /// See and take what stake has earned
    Rewards(chain::rewards::Arguments),
    /// What audits by chance and stake deter, by formula and by playing it through
    Security(security::Arguments),
    /// Stake tokens on a pool
    Stake(chain::stake::Arguments),
    /// Decide with stake what a job trains on
    Steer(chain::steer::Arguments),
    /// List the tokens of a text, ids and pieces
    Tokenize(tokenize::Arguments),
    /// Train a model on this machine alone, to the same bits as on every other
    Train(train::Arguments),
    /// Replay what a run committed, and confirm it or name the first difference
    Verify(verify::Arguments),
    /// Make a key, see its SOL and tokens, ask a faucet
    Wallet(chain::wallet::Arguments),
}

fn main() -> ExitCode {
    // What is wrong with the words is told as it is asked for, too.
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    let matches = help::command().try_get_matches();
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => run(cli.command).unwrap_or_else(|error| failure::tell(&error, json)),
        Err(error) => failure::tell_usage(&error, json),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Completions(arguments) => help::completions(&arguments),
        Command::Data(arguments) => sip_post::publish(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Dispute(arguments) => dispute::run(&arguments),
        Command::Emission(arguments) => emission::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Exit(arguments) => chain::exit::run(&arguments),
        Command::Fee(arguments) => chain::fee::run(&arguments),
        Command::Finetune(arguments) => finetune::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Job(arguments) => chain::job::run(&arguments),
        Command::Liquid(arguments) => chain::liquid::run(&arguments),
        Command::Localnet(arguments) => localnet::run(&arguments),
        Command::Manifest(arguments) => manifest::run(&arguments),
        Command::Lock(arguments) => chain::lock::run(&arguments),
        Command::Man(arguments) => help::man(&arguments),
        Command::Node(arguments) => node::run(&arguments),
        Command::Network(arguments) => network::run(&arguments),
        Command::Pool(arguments) => chain::pool::run(&arguments),
        Command::Protocol(arguments) => chain::protocol::run(&arguments),
        Command::Quality(arguments) => quality::run(&arguments),
        Command::Rewards(arguments) => chain::rewards::run(&arguments),
        Command::Security(arguments) => security::run(&arguments),
        Command::Stake(arguments) => chain::stake::run(&arguments),
        Command::Steer(arguments) => chain::steer::run(&arguments),
        Command::Tokenize(arguments) => tokenize::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Wallet(arguments) => chain::wallet::run(&arguments),
    }
}

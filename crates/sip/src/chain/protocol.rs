//! `sip protocol`: the one configuration of a deployment.

use anyhow::{Result, bail};
use sip_client::Program;
use sip_ledger::Ledger;
use sip_protocol::config::{CAP, Config, Parameters};
use solana_address::Address;
use std::process::ExitCode;

use super::tokens::Amount;
use super::{Cell, Connection, Desk};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Begin the protocol on a chain: mint the whole supply into its vault, with the wallet as authority
    Init,
    /// Show supply, buckets, parameters and what is proposed
    Show,
    /// Hand out tokens of the public part (authority)
    Distribute {
        /// Who gets them
        #[arg(value_name = "WALLET")]
        wallet: Address,
        /// Tokens
        #[arg(value_name = "TOKENS")]
        amount: Amount,
    },
    /// Stop new stake, pools, datasets and jobs for three days; exits, claims and disputes go on (authority)
    Pause,
    /// End a pause (authority)
    Unpause,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let program: Program = desk.program;
    match &arguments.command {
        Command::Init => {
            if desk.find::<Config>(&program.config())?.is_some() {
                bail!("the protocol has begun on this chain already; \"sip protocol show\" shows it");
            }
            let authority = desk.wallet()?;
            let parameters = Parameters::DEFAULT;
            desk.act("begin the protocol", &[program.initialize(&authority, &parameters)], &[])
        }
        Command::Show => show(&desk),
        Command::Distribute { wallet, amount } => {
            let authority = desk.wallet()?;
            let mut instructions = Vec::new();
            if desk.ledger.account(&program.token_account(wallet))?.is_none() {
                instructions.push(program.create_token_account(&authority, wallet));
            }
            instructions.push(program.distribute(&authority, wallet, amount.0));
            desk.act("distribute", &instructions, &[("receiver", program.token_account(wallet))])
        }
        Command::Pause => {
            let authority = desk.wallet()?;
            desk.act("pause", &[program.pause(&authority)], &[])
        }
        Command::Unpause => {
            let authority = desk.wallet()?;
            desk.act("unpause", &[program.unpause(&authority)], &[])
        }
    }
}

fn show(desk: &Desk) -> Result<ExitCode> {
    let config: Config = desk.read(&desk.program.config())?;
    let (buckets, parameters) = (&config.buckets, &config.parameters);
    let slot = desk.ledger.slot()?;
    let administration = &config.administration;
    let paused = administration.paused_until > slot;
    desk.card(&vec![
        ("program", Cell::text(desk.program.id)),
        ("authority", Cell::text(Address::new_from_array(config.authority))),
        ("mint", Cell::text(Address::new_from_array(config.mint))),
        ("vault", Cell::text(Address::new_from_array(config.vault))),
        ("supply", Cell::Tokens(CAP - config.burned)),
        ("burned", Cell::Tokens(config.burned)),
        ("staking rewards", Cell::Tokens(buckets.staking_rewards)),
        ("operator rewards", Cell::Tokens(buckets.operator_rewards)),
        ("public", Cell::Tokens(buckets.public)),
        ("team", Cell::Tokens(buckets.team)),
        ("treasury", Cell::Tokens(buckets.treasury)),
        ("reserve", Cell::Tokens(buckets.reserve)),
        ("insurance", Cell::Tokens(buckets.insurance)),
        ("round reward", Cell::Tokens(parameters.round_reward)),
        ("dispute bond", Cell::Tokens(parameters.dispute_bond)),
        ("minimum own bond", Cell::Tokens(parameters.minimum_self_bond)),
        ("late penalty", Cell::Tokens(parameters.late_penalty)),
        ("bounty", Cell::BasisPoints(parameters.bounty_bps.into())),
        ("bounty cap", Cell::Tokens(parameters.bounty_cap)),
        ("slash", Cell::BasisPoints(parameters.slash_bps.into())),
        ("unbonding slots", Cell::Number(parameters.unbonding_slots)),
        ("clock slots", Cell::Number(parameters.clock_slots)),
        (
            "proposal ready at slot",
            match administration.proposal.kind {
                0 => Cell::Nothing,
                _ => Cell::Number(administration.proposal.ready_slot),
            },
        ),
        ("paused until slot", if paused { Cell::Number(administration.paused_until) } else { Cell::Nothing }),
        ("slot", Cell::Number(slot)),
    ])?;
    Ok(ExitCode::SUCCESS)
}

//! `sip steer`: what a job trains on and how, by stake.

use anyhow::{Result, bail};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::process::ExitCode;

use super::stake::{self, Slippage};
use super::vote;
use sip_console::attention::{find, title};
use sip_console::table::Row;
use sip_console::tokens::{self, Part};
use sip_console::words::wrong;
use sip_console::{AddressText, Connection, Desk};
use sip_view::stake::Active;
use sip_view::steering::{self, Steering};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List jobs
    Jobs,
    /// Show a job's domains and settings: attention, and the mixture and the values that the next round would have if it began now
    Show {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// Show the mixture, the settings and the score of each past round
    History {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// Stake attention on a domain, or on one side of a setting
    Add {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number; of a setting its name and the side, as in "learning-rate:up"
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Tokens, or "all" that the wallet holds
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// Move attention from one domain or side of a setting to another, where it is pending at first
    Move {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number
        #[arg(value_name = "FROM")]
        from: String,
        /// Its name or number
        #[arg(value_name = "TO")]
        to: String,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// Steer a domain or a setting with stake that is delegated to an operator, whose yield goes on; it stays there until the vote is withdrawn
    Vote {
        /// Where the stake is
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// Withdraw the vote of the stake in a pool
    Withdraw {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Count a vote at the present price of its shares, after rewards or a slash
    Refresh {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// Another wallet's vote
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
    /// List a wallet's votes
    Votes {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let program = desk.program;
    match &arguments.command {
        Command::Jobs => {
            let rows: Vec<Row> =
                desk.all::<Job>(AccountKind::Job)?.iter().map(|(at, job)| steering::job_row(at, job)).collect();
            desk.list(&rows, sip_console::NO_JOB)
        }
        Command::Show { job } => {
            let job = &desk.locate_job(job)?;
            desk.list(&steering::shown(&desk, job)?, "the job has no domain")
        }
        Command::History { job } => {
            let job = &desk.locate_job(job)?;
            desk.list(&steering::history(&desk, job)?, "no round has begun")
        }
        Command::Add { job, domain, amount, slippage } => {
            let job = &desk.locate_job(job)?;
            let state: Job = desk.read(job)?;
            let domain = find(&desk, &state, domain)?;
            let (pool, amount) = (program.attention_pool(job, domain), desk.of_wallet(*amount)?);
            let what = format!("stake {} of attention on {}", tokens::show(amount), title(&desk, &state, domain)?);
            let mut steering = Steering::read(&desk, job, &state)?;
            steering.add(domain, amount);
            let mut notes = steering.told()?;
            if desk.find::<Pool>(&pool)?.is_none() {
                let payer = desk.wallet()?;
                let create = program.create_attention_pool(&payer, job, domain);
                let deposit = program.deposit(&payer, &pool, amount, 1);
                let accounts = [("pool", pool), ("position", program.position(&pool, &payer))];
                notes.push(stake::ACTIVATION_NOTE.into());
                return desk.act_and_tell(&what, &[create, deposit], &accounts, &notes);
            }
            stake::deposit(&mut desk, &what, &pool, amount, slippage, &notes)
        }
        Command::Move { job, from, to, amount, slippage } => {
            let job = desk.locate_job(job)?;
            move_attention(&mut desk, &job, [from, to], *amount, slippage)
        }
        Command::Vote { pool, job, domain, amount } => {
            let pool = &desk.locate_pool(pool)?;
            let job = &desk.locate_job(job)?;
            vote::cast(&mut desk, pool, job, domain, *amount)
        }
        Command::Withdraw { pool } => {
            let pool = &desk.locate_pool(pool)?;
            vote::withdraw(&mut desk, pool)
        }
        Command::Refresh { pool, owner } => {
            let pool = &desk.locate_pool(pool)?;
            let owner = desk.owner(owner.as_ref())?;
            vote::refresh(&mut desk, pool, &owner)
        }
        Command::Votes { owner } => desk.list(
            &sip_view::wallet::votes(&desk, &desk.owner(owner.as_ref())?)?,
            "no stake votes; \"sip steer vote\" lets it",
        ),
    }
}

/// Moves attention, to a pool that is made where nobody has staked there yet.
fn move_attention(
    desk: &mut Desk,
    job: &Address,
    names: [&String; 2],
    amount: Part,
    slippage: &Slippage,
) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let state: Job = desk.read(job)?;
    let [from, to] = names.map(|domain| find(desk, &state, domain));
    let (from, to) = (from?, to?);
    if from == to {
        return Err(wrong("the two are the same"));
    }
    let [from_pool, to_pool] = [from, to].map(|domain| program.attention_pool(job, domain));
    let Some(source) = desk.find::<Pool>(&from_pool)? else {
        bail!("nobody has staked on {} yet; \"sip steer add\" does", title(desk, &state, from)?);
    };
    let active = Active::read(desk, &from_pool, &owner)?;
    let shares = active.free_shares(amount)?;
    let worth = tokens::worth(shares, source.shares, source.assets);
    let mut instructions = Vec::new();
    let minimum = match desk.find::<Pool>(&to_pool)? {
        Some(target) => slippage.minimum_shares(&target, worth)?,
        None => {
            instructions.push(program.create_attention_pool(&owner, job, to));
            1
        }
    };
    instructions.push(program.move_attention(&owner, &from_pool, &to_pool, shares, minimum));
    let mut steering = Steering::read(desk, job, &state)?;
    steering.take(from, worth);
    steering.add(to, worth);
    let mut notes = steering.told()?;
    notes.extend(if amount == Part::All { active.staying(true) } else { Vec::new() });
    notes.push(stake::ACTIVATION_NOTE.into());
    let [from, to] = [title(desk, &state, from)?, title(desk, &state, to)?];
    let what = format!("move {} of attention from {from} to {to}", tokens::show(worth));
    let accounts = [("from", program.position(&from_pool, &owner)), ("to", program.position(&to_pool, &owner))];
    desk.act_and_tell(&what, &instructions, &accounts, &notes)
}

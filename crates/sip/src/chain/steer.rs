//! `sip steer`: what a job trains on and how, by stake.

use anyhow::{Result, bail, ensure};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::mixture::Mode;
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::setting::{MAX_ATTENTION_POOLS, Side, attention_number};
use solana_address::Address;
use std::process::ExitCode;

use super::stake::{Active, Slippage};
use super::tokens::{self, Amount, Part};
use super::{Cell, Connection, Desk, Row, stake, vote};
use crate::setting;

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
        /// Address of the job
        #[arg(value_name = "JOB")]
        job: Address,
    },
    /// Show the mixture, the settings and the score of each past round
    History {
        /// Address of the job
        #[arg(value_name = "JOB")]
        job: Address,
    },
    /// Stake attention on a domain, or on one side of a setting
    Add {
        /// Address of the job
        #[arg(value_name = "JOB")]
        job: Address,
        /// Its name or number; of a setting its name and the side, as in "learning-rate:up"
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Tokens
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Amount,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// Move attention from one domain or side of a setting to another, where it is pending at first
    Move {
        /// Address of the job
        #[arg(value_name = "JOB")]
        job: Address,
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
        pool: Address,
        /// Address of the job
        #[arg(value_name = "JOB")]
        job: Address,
        /// Its name or number
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// Withdraw the vote of the stake in a pool
    Withdraw {
        /// Address of the pool
        #[arg(value_name = "POOL")]
        pool: Address,
    },
    /// Count a vote at the present price of its shares, after rewards or a slash
    Refresh {
        /// Address of the pool
        #[arg(value_name = "POOL")]
        pool: Address,
        /// Another wallet's vote
        #[arg(long, value_name = "WALLET")]
        owner: Option<Address>,
    },
    /// List a wallet's votes
    Votes {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<Address>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let program = desk.program;
    match &arguments.command {
        Command::Jobs => {
            let rows: Vec<Row> = desk.all::<Job>(AccountKind::Job)?.iter().map(|(at, job)| job_row(at, job)).collect();
            desk.list(&rows, "there is no job")
        }
        Command::Show { job } => show(&desk, job),
        Command::History { job } => history(&desk, job),
        Command::Add { job, domain, amount, slippage } => {
            let state: Job = desk.read(job)?;
            let domain = find(&desk, &state, domain)?;
            let pool = program.attention_pool(job, domain);
            let what = format!("stake {} of attention on {}", tokens::show(amount.0), describe(&state, domain));
            if desk.find::<Pool>(&pool)?.is_none() {
                let payer = desk.wallet()?;
                let create = program.create_attention_pool(&payer, job, domain);
                let deposit = program.deposit(&payer, &pool, amount.0, 1);
                let position = program.position(&pool, &payer);
                return desk.act(&what, &[create, deposit], &[("pool", pool), ("position", position)]);
            }
            stake::deposit(&mut desk, &what, &pool, amount.0, slippage)
        }
        Command::Move { job, from, to, amount, slippage } => {
            let state: Job = desk.read(job)?;
            let [from, to] = [from, to].map(|domain| find(&desk, &state, domain));
            let (from, to) = (from?, to?);
            ensure!(from != to, "the two are the same");
            let owner = desk.wallet()?;
            let [from_pool, to_pool] = [from, to].map(|domain| program.attention_pool(job, domain));
            let (source, target): (Pool, Pool) = (desk.read(&from_pool)?, desk.read(&to_pool)?);
            let position_address = program.position(&from_pool, &owner);
            let shares = Active::read(&desk, &from_pool, &owner)?.free_shares(*amount)?;
            let worth = tokens::worth(shares, source.shares, source.assets);
            desk.act(
                &format!(
                    "move {} of attention from {} to {}",
                    tokens::show(worth),
                    describe(&state, from),
                    describe(&state, to)
                ),
                &[program.move_attention(
                    &owner,
                    &from_pool,
                    &to_pool,
                    shares,
                    slippage.minimum_shares(&target, worth)?,
                )],
                &[("from", position_address), ("to", program.position(&to_pool, &owner))],
            )
        }
        Command::Vote { pool, job, domain, amount } => vote::cast(&mut desk, pool, job, domain, *amount),
        Command::Withdraw { pool } => vote::withdraw(&mut desk, pool),
        Command::Refresh { pool, owner } => vote::refresh(&mut desk, pool, *owner),
        Command::Votes { owner } => vote::list(&desk, *owner),
    }
}

fn job_row(address: &Address, job: &Job) -> Row {
    vec![
        ("job", Cell::text(address)),
        ("rounds scored", Cell::Number(job.rounds_scored.into())),
        ("of", Cell::Number(job.spec.rounds.into())),
        ("domains", Cell::Number(job.spec.domain_count.into())),
        ("trainers", Cell::Number(job.awake(PoolKind::Trainer).count_ones().into())),
        ("auditors", Cell::Number(job.awake(PoolKind::Auditor).count_ones().into())),
        ("evaluators", Cell::Number(job.awake(PoolKind::Evaluator).count_ones().into())),
        ("score", Cell::text(nats(job.last_score))),
    ]
}

/// Micro-nats as nats per token.
fn nats(micro: u32) -> String {
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

pub(super) fn domains(desk: &Desk, job: &Job) -> Result<Vec<String>> {
    let count = usize::from(job.spec.domain_count).min(job.datasets.len());
    job.datasets[..count]
        .iter()
        .map(|address| {
            let dataset: Dataset = desk.read(&Address::new_from_array(*address))?;
            Ok(String::from_utf8_lossy(&dataset.domain).trim_end_matches('\0').to_owned())
        })
        .collect()
}

pub(super) fn find_domain(desk: &Desk, job: &Job, wanted: &str) -> Result<u32> {
    let names = domains(desk, job)?;
    if let Some(number) = names.iter().position(|name| name == wanted) {
        return Ok(number as u32);
    }
    match wanted.parse::<u32>() {
        Ok(number) if (number as usize) < names.len() => Ok(number),
        _ => bail!("the job has no domain \"{wanted}\"; it has {}", names.join(", ")),
    }
}

/// Names of the sides of a setting.
const SIDES: [(Side, &str); 2] = [(Side::Down, "down"), (Side::Up, "up")];

/// The sides of a job's settings: number of the attention pool, and name.
fn sides(job: &Job) -> impl Iterator<Item = (u32, String)> {
    let settings = job.spec.settings.iter().take(job.spec.setting_count()).enumerate();
    settings.flat_map(|(number, setting)| {
        SIDES.map(|(side, word)| (attention_number(number as u32, side), format!("{}:{word}", setting::name(setting))))
    })
}

/// The number of the attention pool of a domain, or of a side of a setting.
pub(super) fn find(desk: &Desk, job: &Job, wanted: &str) -> Result<u32> {
    let known = |number: &u32, name: &str| name == wanted || number.to_string() == wanted;
    if let Some((number, _)) = sides(job).find(|(number, name)| known(number, name)) {
        return Ok(number);
    }
    let found = find_domain(desk, job, wanted);
    let sides: Vec<String> = sides(job).map(|(_, name)| name).collect();
    match found {
        Err(error) if !sides.is_empty() => bail!("{error}; stake also steers {}", sides.join(", ")),
        found => found,
    }
}

/// An attention pool in words.
pub(super) fn describe(job: &Job, number: u32) -> String {
    sides(job).find(|(known, _)| *known == number).map_or_else(|| format!("domain {number}"), |(_, name)| name)
}

fn show(desk: &Desk, address: &Address) -> Result<ExitCode> {
    let job: Job = desk.read(address)?;
    let slot = desk.slot()?;
    let mut weights = [0; MAX_ATTENTION_POOLS];
    let mut rows: Vec<Row> = Vec::new();
    let domains = domains(desk, &job)?.into_iter().enumerate().map(|(number, name)| (number as u32, name));
    for (number, name) in domains.chain(sides(&job)) {
        let at = desk.program.attention_pool(address, number);
        let pool: Option<Pool> = desk.find(&at)?;
        let (average, boost) = match pool {
            Some(mut pool) => (pool.take_snapshot(slot)?, pool.boost.value),
            None => (0, 0),
        };
        weights[number as usize] = average;
        rows.push(vec![
            ("domain", Cell::Number(number.into())),
            ("name", Cell::text(name)),
            ("attention", Cell::Tokens(pool.map_or(0, |pool| pool.assets))),
            ("pending", Cell::Tokens(pool.map_or(0, |pool| pool.pending_assets))),
            ("votes", Cell::Tokens(pool.map_or(0, |pool| pool.steered))),
            ("locks add", Cell::Tokens(boost)),
            ("average since the last round", Cell::Tokens(average)),
            ("pool", if pool.is_some() { Cell::text(at) } else { Cell::Nothing }),
        ]);
    }
    let snapshot = job.spec.snapshot(&weights)?;
    let (domain_rows, setting_rows) = rows.split_at_mut(job.spec.domain_count.into());
    for (row, part) in domain_rows.iter_mut().zip(snapshot.mixture_bps) {
        let rule = match Mode::from_byte(job.spec.mixture_mode)? {
            Mode::Linear => "linear",
            Mode::SquareRoot => "square root",
        };
        row.insert(2, ("mixture", Cell::BasisPoints(part.into())));
        row.insert(3, ("steered to", Cell::text(format!("{rule} of stake"))));
    }
    for (sides, (setting, value)) in setting_rows.chunks_mut(2).zip(job.spec.settings.iter().zip(snapshot.settings)) {
        for row in sides {
            let (lower, upper) = (setting::show(setting.lower), setting::show(setting.upper));
            let (default, weight) = (setting::show(setting.default), tokens::grouped(setting.default_weight.into()));
            row.insert(2, ("mixture", Cell::Nothing));
            let value = setting::show(value);
            row.insert(
                3,
                ("steered to", Cell::text(format!("{value} of {lower} to {upper}; {default} by {weight} SIP"))),
            );
        }
    }
    desk.list(&rows, "the job has no domain")
}

fn history(desk: &Desk, address: &Address) -> Result<ExitCode> {
    let job: Job = desk.read(address)?;
    let names = domains(desk, &job)?;
    let mut rows: Vec<Row> = Vec::new();
    for index in 0..job.next_round {
        let round: Round = desk.read(&desk.program.round(address, index))?;
        let parts = names.iter().zip(&round.mixture_bps);
        let mixture: Vec<String> =
            parts.map(|(name, part)| format!("{name} {}.{:02} %", part / 100, part % 100)).collect();
        let steered = job.spec.settings.iter().take(job.spec.setting_count()).zip(round.settings);
        let settings: Vec<String> =
            steered.map(|(setting, value)| format!("{} {}", setting::name(setting), setting::show(value))).collect();
        rows.push(vec![
            ("round", Cell::Number(index.into())),
            ("opened at slot", Cell::Number(round.opened_slot)),
            ("mixture", Cell::text(mixture.join(", "))),
            ("settings", Cell::text(settings.join(", "))),
            (
                "score",
                if matches!(round.status, round::SCORED | round::FINAL) {
                    Cell::text(nats(round.score))
                } else {
                    Cell::Nothing
                },
            ),
        ]);
    }
    desk.list(&rows, "no round has begun")
}

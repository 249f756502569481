//! `sip job`: what is trained, how far it is, who takes part; and taking a place in it.

use anyhow::{Context, Result, ensure};
use sip_arith::int::BPS_ONE;
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::{Job, MAX_TRAINERS};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seats;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::kind_name;
use sip_console::table::Row;
use sip_console::tokens::{Percent, show};
use sip_console::{AddressText, Connection, Desk};
use sip_view::job as view;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a job of own texts or registered datasets: what is trained, by which rules and in which phases; costs are said first
    Create(sip_post::Create),
    /// Take the model out of a job: fetched from its people by the root on chain, written as a folder that other tools load; costs nothing
    Export(sip_remote::Export),
    /// List jobs: how far they are, and who takes part
    List {
        /// Also what they pay and need, and whether this machine trains a segment in time, as "sip node check" has measured it
        #[arg(long)]
        fit: bool,
    },
    /// Show one job in full: what is computed, by commitment, and by which rules
    Show {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// List the rounds of a job: phase, segments, outcome
    Rounds {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// List the places of a job: whose they are, with what stake, and what they did in its last round
    Seats {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// Take a place with a pool of the wallet, or wake its seat: trainer, auditor or evaluator
    Join {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Leave the place that a pool of the wallet holds; what it owes the running round it still owes
    Leave {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Set the part of a pool's stake that counts in its place, of what its other places leave
    Allot {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// The part, in percent; less than now only while no claim of the pool is open
        #[arg(value_name = "PART")]
        part: Percent,
    },
    /// Put to sleep the seat of a pool that was convicted, is retired, or whose own bond stays too small: anybody may
    Check {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Its file is read before a chain is asked.
    if let Command::Create(create) = &arguments.command {
        return sip_post::create(&arguments.connection, create);
    }
    if let Command::Export(take) = &arguments.command {
        return sip_remote::export(&arguments.connection, take);
    }
    let mut desk = Desk::open(&arguments.connection)?;
    match &arguments.command {
        Command::Create(create) => sip_post::create(&arguments.connection, create),
        Command::Export(take) => sip_remote::export(&arguments.connection, take),
        Command::List { fit: true } => super::fit::list_fit(&desk),
        Command::List { fit: false } => {
            let jobs = desk.all::<Job>(AccountKind::Job)?;
            let rows: Vec<Row> = jobs.iter().map(|(address, job)| view::summary(address, job)).collect();
            desk.list(&rows, sip_console::NO_JOB)
        }
        Command::Show { job } => {
            let job = &desk.locate_job(job)?;
            let state: Job = desk.read(job)?;
            desk.card(&view::full(&desk, job, &state)?)
        }
        Command::Rounds { job } => {
            let job = &desk.locate_job(job)?;
            let state: Job = desk.read(job)?;
            let slot = desk.slot()?;
            let (mut rows, mut unpaid) = (Vec::new(), 0);
            for index in 0..state.next_round {
                let address = desk.program.round(job, index);
                let round: Round = desk.read(&address)?;
                unpaid += u32::from(state.rewarded != 0 && round.reward == 0 && round.status == round::FINAL);
                rows.push(view::round_row(&round, view::convicted(&desk, &round, &address)?, slot));
            }
            let code = desk.list(&rows, "no round has begun")?;
            if unpaid > 0 && !desk.json {
                desk.note(&format!(
                    "{} paid nothing: rounds draw on what the emission has released for nodes until they are scored; \"sip emission show\" says what waits, \"sip emission turn\" releases more when the epoch is over",
                    sip_report::count(unpaid, "final round")
                ));
            }
            Ok(code)
        }
        Command::Seats { job } => {
            let job = &desk.locate_job(job)?;
            desk.list(&view::seats(&desk, job)?, "nobody has joined; \"sip job join\" takes a place")
        }
        Command::Join { job, pool } => {
            let job = &desk.locate_job(job)?;
            let pool = &desk.locate_pool(pool)?;
            join(&mut desk, job, pool)
        }
        Command::Leave { job, pool } => {
            let job = &desk.locate_job(job)?;
            let pool = &desk.locate_pool(pool)?;
            let place = place(&desk, job, pool)?;
            let seat = sip_client::Seat { operator: desk.wallet()?, pool: *pool, place };
            let leave = desk.program.leave_job(&seat, job);
            desk.act("leave the job", &[leave], &[("job", *job), ("pool", *pool)])
        }
        Command::Allot { job, pool, part } => {
            let job = &desk.locate_job(job)?;
            let pool = &desk.locate_pool(pool)?;
            let place = place(&desk, job, pool)?;
            let seat = sip_client::Seat { operator: desk.wallet()?, pool: *pool, place };
            let allot = desk.program.allot_stake(&seat, job, part.0);
            desk.act("allot stake to the place", &[allot], &[("job", *job), ("pool", *pool)])
        }
        Command::Check { job, pool } => {
            let job = &desk.locate_job(job)?;
            let pool = &desk.locate_pool(pool)?;
            let place = place(&desk, job, pool)?;
            let check = desk.program.check_seat(job, pool, place);
            desk.act("check the seat", &[check], &[("job", *job), ("pool", *pool)])
        }
    }
}

fn join(desk: &mut Desk, job: &Address, pool: &Address) -> Result<ExitCode> {
    let (wallet, state): (Address, Pool) = (desk.wallet()?, desk.read(pool)?);
    let kind = kind_name(state.kind);
    let role = PoolKind::from_byte(state.kind);
    let role = role.filter(|role| matches!(role, PoolKind::Trainer | PoolKind::Auditor | PoolKind::Evaluator));
    let role = role.with_context(|| {
        format!("{pool} is a pool for {kind}s; a job has places for trainers, auditors and evaluators")
    })?;
    ensure!(
        state.scope == wallet.to_bytes(),
        "the pool {pool} is not the wallet's; \"sip pool list --mine\" lists those that are"
    );
    let places: Job = desk.read(job)?;
    sip_driver::require_version(&places)?;
    let needed = places.place_bond(role)?;
    ensure!(
        state.self_bond >= needed,
        "a seat as {kind} needs an own bond of {}, and the pool has {}; \"sip pool bond {pool} {}\" adds what is missing",
        show(needed),
        show(state.self_bond),
        show(needed - state.self_bond).replace(" SIP", "").replace(',', "")
    );
    // A seat that sleeps keeps what was allotted to it; else what the pool's places in other jobs leave of its stake counts here.
    let own = places.seats(role)?.iter().find(|seat| seat.state != seats::FREE && seat.pool == pool.to_bytes());
    let own_bps = own.map_or(0, |seat| seat.allotted_bps);
    let free_bps = if own_bps > 0 { own_bps } else { BPS_ONE.saturating_sub(state.allotted_bps) };
    let mut instruction = desk.program.join_job_with(&wallet, job, pool, free_bps);
    if place(desk, job, pool).is_err() {
        let seat = &places.seats(role)?[usize::from(places.takeable(role, desk.slot()?)?)];
        if seat.state != seats::FREE {
            let displaced = Address::new_from_array(seat.pool);
            instruction = desk.program.take_seat(&wallet, job, pool, &displaced, free_bps);
        }
    }
    desk.act(&format!("join the job as {kind}"), &[instruction], &[("job", *job), ("pool", *pool)])
}

/// The place that a pool holds.
fn place(desk: &Desk, job: &Address, pool: &Address) -> Result<u8> {
    let (job, state): (Job, Pool) = (desk.read(job)?, desk.read(pool)?);
    let kind = PoolKind::from_byte(state.kind).context("the pool is of no known kind")?;
    (0..MAX_TRAINERS as u8)
        .find(|place| job.require_place(kind, *place, &pool.to_bytes()).is_ok())
        .with_context(|| format!("{pool} holds no place of the job"))
}

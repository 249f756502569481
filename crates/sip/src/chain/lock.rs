//! `sip lock`: attention that stays for months, and weighs more for it.

use anyhow::{Result, bail, ensure};
use sip_protocol::stake::lock::{MAXIMUM_PERIODS, PERIOD_TICKS, TICK_SLOTS, tick_of};
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Position;
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::attention;
use sip_console::table::{Cell, Row};
use sip_console::tokens::{self, Part};
use sip_console::{AddressText, Connection, Desk};
use sip_view::stake;
use sip_view::stake::Active;
use sip_view::steering::Steering;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lock attention on a domain: up to two and a half times the weight at four years, falling on a line to the lock's end
    Create {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number, or a side of a setting, as in "learning-rate:up"
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
        /// Months, 1 to 48: until the end of the present one, and so on; a month is a twelfth of a year
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAXIMUM_PERIODS))]
        months: u64,
    },
    /// Make a running lock longer, larger, or both
    Extend {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number, or a side of a setting, as in "learning-rate:up"
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Months from now, as for a new lock
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAXIMUM_PERIODS), required_unless_present = "amount")]
        months: Option<u64>,
        /// Tokens that are locked from now on in all, or "all"
        #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Option<Part>,
    },
    /// Show a wallet's locks: how much, until when, what it adds to the weight
    Show {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    match &arguments.command {
        Command::Create { job, domain, amount, months } => {
            let job = &desk.locate_job(job)?;
            let target = Target::find(&desk, job, domain)?;
            if target.is_running {
                bail!("a lock is running there; \"sip lock extend\" makes it longer or larger");
            }
            let shares = Active::read(&desk, &target.pool_address, &desk.wallet()?)?.shares(*amount)?;
            target.lock(&mut desk, shares, *months)
        }
        Command::Extend { job, domain, months, amount } => {
            let job = &desk.locate_job(job)?;
            let target = Target::find(&desk, job, domain)?;
            if !target.is_running {
                bail!("no lock is running there; \"sip lock create\" begins one");
            }
            let position = &target.position;
            let shares = match amount {
                Some(amount) => Active::read(&desk, &target.pool_address, &desk.wallet()?)?.shares(*amount)?,
                None => position.locked_shares,
            };
            let left = (position.lock_end_tick / PERIOD_TICKS).saturating_sub(target.now_tick / PERIOD_TICKS);
            let months = months.unwrap_or(left);
            ensure!(months >= left, "the lock runs {left} months more, and is never made shorter");
            ensure!(
                shares >= position.locked_shares,
                "the lock holds {} and is never made smaller",
                tokens::show(tokens::worth(position.locked_shares, target.pool.shares, target.pool.assets))
            );
            target.lock(&mut desk, shares, months)
        }
        Command::Show { owner } => {
            let owner = desk.owner(owner.as_ref())?;
            let slot = desk.slot()?;
            let rows: Vec<Row> = stake::holdings(&desk, &owner)?
                .iter()
                .filter(|holding| holding.position.locked(slot) > 0)
                .map(|holding| row(&holding.pool, &holding.position, slot))
                .collect();
            desk.list(&rows, "nothing is locked")
        }
    }
}

fn row(pool: &Pool, position: &Position, slot: u64) -> Row {
    let worth = |shares| Cell::Tokens(tokens::worth(shares, pool.shares, pool.assets));
    vec![
        ("job", Cell::text(Address::new_from_array(pool.scope))),
        ("domain", Cell::Number(pool.index.into())),
        ("locked", worth(position.locked(slot))),
        ("of", worth(position.shares)),
        ("lock adds", Cell::Tokens(position.boost(slot))),
        ("lock ends at slot", Cell::Slot { at: position.lock_end_tick.saturating_mul(TICK_SLOTS), now: slot }),
    ]
}

/// The wallet's attention on a domain.
struct Target {
    name: String,
    job: Address,
    pool_address: Address,
    pool: Pool,
    position_address: Address,
    position: Position,
    is_running: bool,
    now_tick: u64,
}

impl Target {
    fn find(desk: &Desk, job: &Address, domain: &str) -> Result<Target> {
        let state: Job = desk.read(job)?;
        let domain = attention::find(desk, &state, domain)?;
        let name = attention::title(desk, &state, domain)?;
        let pool_address = desk.program.attention_pool(job, domain);
        if desk.find::<Pool>(&pool_address)?.is_none() {
            bail!("nobody has staked on {name} yet; \"sip steer add\" does");
        }
        let (position_address, pool, position) = stake::holding(desk, &pool_address, &desk.wallet()?)?;
        let slot = desk.slot()?;
        let is_running = position.locked(slot) > 0;
        let (job, now_tick) = (*job, tick_of(slot));
        Ok(Target { name, job, pool_address, pool, position_address, position, is_running, now_tick })
    }

    fn lock(&self, desk: &mut Desk, shares: u64, months: u64) -> Result<ExitCode> {
        ensure!((1..=MAXIMUM_PERIODS).contains(&months), "a lock runs 1 to {MAXIMUM_PERIODS} months");
        // What the program will make of it.
        let (mut pool, mut locked, slot) = (self.pool, self.position, desk.slot()?);
        locked.activate(&mut pool, slot)?;
        locked.lock(&mut pool, shares, months, slot)?;
        let gain = locked.boost(slot).saturating_sub(self.position.boost(slot));
        let end = Cell::Slot { at: locked.lock_end_tick.saturating_mul(TICK_SLOTS), now: slot }.show_in_full();
        let worth = tokens::show(tokens::worth(shares, pool.shares, pool.assets));
        let told = format!(
            "{worth} on {} stay locked until slot {end}, and nothing takes that back; the lock adds {} to their weight at first, \
             evenly less until its end",
            self.name,
            tokens::show(gain)
        );
        desk.confirm(&told, "Lock them?")?;
        let mut steering = Steering::read(desk, &self.job, &desk.read::<Job>(&self.job)?)?;
        steering.add(self.pool.index, gain);
        let notes: Vec<String> = std::iter::once(told).chain(steering.told()?).collect();
        let (owner, what) = (desk.wallet()?, format!("lock attention on {}", self.name));
        let instruction = desk.program.lock_shares(&owner, &self.pool_address, shares, months);
        let accounts = [("pool", self.pool_address), ("position", self.position_address)];
        desk.act_and_tell(&what, &[instruction], &accounts, &notes)
    }
}

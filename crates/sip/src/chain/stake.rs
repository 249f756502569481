//! `sip stake`: tokens behind an operator, a dataset or a domain.

use anyhow::{Context, Result, bail, ensure};
use sip_arith::int::shares_for_deposit;
use sip_protocol::AccountKind;
use sip_protocol::stake::lock::TICK_SLOTS;
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Position;
use solana_address::Address;
use std::collections::BTreeMap;
use std::process::ExitCode;

use super::pool::Namer;
use sip_console::Unit;
use sip_console::kind_name;
use sip_console::table::{Cell, Row};
use sip_console::tokens::{self, Amount, Part};
use sip_console::{AddressText, Connection, Desk};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Stake tokens on a pool; they are pending at first and become active evenly over the activation time
    Deposit {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// Tokens
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Amount,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// Turn pending stake that is due into active stake, which everything else does on its way as well
    Activate {
        /// The pools; all on which stake is due where none is named
        #[arg(value_name = "POOL")]
        pools: Vec<AddressText>,
        /// Another wallet's stake
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
    /// Take pending stake back, all of it: it leaves as an exit, through the unbonding time
    Cancel {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// List what a wallet has staked: what is active, what is pending and until when, what is locked, what it has earned
    List {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
}

/// How much worse than now a price may be when the transaction arrives.
#[derive(clap::Args)]
pub(super) struct Slippage {
    /// Refuse a price worse than the present one by more than this, in basis points
    #[arg(long, value_name = "BPS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=10_000))]
    slippage_bps: u16,
}

impl Slippage {
    /// The least number of shares to accept for an amount.
    pub(super) fn minimum_shares(&self, pool: &Pool, amount: u64) -> Result<u64> {
        let expected = shares_for_deposit(amount, pool.shares, pool.assets).unwrap_or(0);
        ensure!(expected > 0, "{} buys no share of this pool", tokens::show(amount));
        let least = u128::from(expected) * u128::from(10_000 - self.slippage_bps) / 10_000;
        Ok((least as u64).max(1))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    match &arguments.command {
        Command::Deposit { pool, amount, slippage } => {
            let pool = &desk.locate_pool(pool)?;
            let what = format!("stake {} on {pool}", tokens::show(amount.0));
            deposit(&mut desk, &what, pool, amount.0, slippage, &[])
        }
        Command::Activate { pools, owner } => {
            let pools = pools.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<Vec<Address>>>()?;
            let owner = desk.owner(owner.as_ref())?;
            activate(&mut desk, &owner, pools)
        }
        Command::Cancel { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let owner = desk.wallet()?;
            let (address, _, position) = holding(&desk, pool, &owner)?;
            let (number, ticket) = (position.tickets, desk.program.ticket(&address, position.tickets));
            desk.act(
                &format!("take pending stake back as exit number {number} from {pool}"),
                &[desk.program.cancel_deposit(&owner, pool, number)],
                &[("position", address), ("exit", ticket)],
            )
        }
        Command::List { owner } => {
            let owner = desk.owner(owner.as_ref())?;
            let slot = desk.slot()?;
            let holdings = holdings(&desk, &owner)?;
            let mut namer = Namer::new(&desk);
            let rows = holdings.iter().map(|holding| holding.row(&mut namer, slot)).collect::<Result<Vec<Row>>>()?;
            let code = desk.list(&rows, "nothing is staked; \"sip pool list\" shows on what one can")?;
            let due = holdings.iter().map(|holding| holding.due(slot)).sum::<Result<u64>>()?;
            if due > 0 {
                desk.note(&format!("{} are due, and count from \"sip stake activate\" on", tokens::show(due)));
            }
            Ok(code)
        }
    }
}

/// Positions that one transaction activates.
const ACTIVATIONS_PER_TRANSACTION: usize = 5;

/// Turns due stake on some pools, or on all, into active stake.
fn activate(desk: &mut Desk, owner: &Address, mut pools: Vec<Address>) -> Result<ExitCode> {
    if pools.is_empty() {
        let slot = desk.slot()?;
        for holding in holdings(desk, owner)? {
            if holding.due(slot)? > 0 {
                pools.push(holding.pool_address);
            }
        }
        ensure!(!pools.is_empty(), "no pending stake is due");
    }
    let mut code = ExitCode::SUCCESS;
    for part in pools.chunks(ACTIVATIONS_PER_TRANSACTION) {
        let (mut instructions, mut accounts) = (Vec::new(), Vec::new());
        for pool in part {
            let (position, ..) = holding(desk, pool, owner)?;
            instructions.push(desk.program.activate(pool, owner));
            accounts.extend([("pool", *pool), ("position", position)]);
        }
        code = desk.act("activate pending stake", &instructions, &accounts)?;
    }
    Ok(code)
}

/// Puts new stake on its way into a pool.
pub(super) fn deposit(
    desk: &mut Desk,
    what: &str,
    pool: &Address,
    amount: u64,
    slippage: &Slippage,
    notes: &[String],
) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let minimum_shares = slippage.minimum_shares(&desk.read(pool)?, amount)?;
    let position = program.position(pool, &owner);
    let accounts = [("pool", *pool), ("position", position)];
    let mut notes = notes.to_vec();
    notes.push(ACTIVATION_NOTE.into());
    desk.act_and_tell(what, &[program.deposit(&owner, pool, amount, minimum_shares)], &accounts, &notes)
}

/// What becomes of pending stake.
pub(super) const ACTIVATION_NOTE: &str = "pending stake becomes due evenly until then, and what is due counts from \"sip stake activate\" on, \
    or from whatever else is done with the position";

/// A wallet's stake on a pool: address of the position, pool, position.
pub(super) fn holding(desk: &Desk, pool: &Address, owner: &Address) -> Result<(Address, Pool, Position)> {
    let (address, state) = (desk.program.position(pool, owner), desk.read(pool)?);
    let position = desk.find(&address)?.with_context(|| format!("the wallet has no stake on {pool}"))?;
    Ok((address, state, position))
}

/// A wallet's stake on a pool as a transaction that arrives now finds it: what is due is active.
pub(super) struct Active {
    address: Address,
    pool: Pool,
    position: Position,
    slot: u64,
}

impl Active {
    pub(super) fn read(desk: &Desk, pool: &Address, owner: &Address) -> Result<Active> {
        let (_, mut state, mut position) = holding(desk, pool, owner)?;
        let slot = desk.slot()?;
        position.activate(&mut state, slot)?;
        Ok(Active { address: *pool, pool: state, position, slot })
    }

    /// What shares are worth, base units.
    pub(super) fn worth(&self, shares: u64) -> u64 {
        tokens::worth(shares, self.pool.shares, self.pool.assets)
    }

    /// The shares that are worth an amount.
    pub(super) fn shares(&self, amount: Part) -> Result<u64> {
        let Active { address, pool, position, .. } = self;
        let pending = match position.pending {
            0 => String::new(),
            units => format!(
                "; {} more is pending until slot {}, and \"sip stake cancel {address}\" takes that back",
                tokens::show(units),
                Unit::Slot.cell(position.ramp_end_slot, self.slot).show()
            ),
        };
        let shares = amount.shares(position.shares, pool.shares, pool.assets);
        ensure!(shares > 0, "no stake of the wallet on {address} is active{pending}");
        if let Part::Amount(units) = amount {
            let worth = self.worth(shares);
            let active = tokens::show(worth);
            ensure!(
                worth >= units,
                "the wallet's active stake on {address} is worth {active}, less than that{pending}"
            );
        }
        Ok(shares)
    }

    /// Shares that neither a lock nor a vote holds.
    pub(super) fn free(&self) -> u64 {
        free_of(&self.position, self.slot)
    }

    /// What "all" leaves where it is, and why; of pending stake only where that is not taken along.
    pub(super) fn staying(&self, with_pending: bool) -> Vec<String> {
        let Active { address, position, slot, .. } = self;
        let mut notes = Vec::new();
        let mut stays = |shares, why: String| {
            if shares > 0 {
                notes.push(format!("{} stay: {why}", tokens::show(self.worth(shares))));
            }
        };
        let end = Cell::Slot { at: position.lock_end_tick.saturating_mul(TICK_SLOTS), now: *slot }.show_in_full();
        stays(position.locked(*slot), format!("locked until slot {end}"));
        stays(position.steering_shares, format!("a vote holds them until \"sip steer withdraw {address}\""));
        if with_pending && position.pending > 0 {
            notes.push(format!(
                "{} stay: pending; \"sip stake cancel {address}\" takes them back",
                tokens::show(position.pending)
            ));
        }
        notes
    }

    /// As [`Active::shares`], of stake that neither a lock nor a vote holds; "all" is all of that.
    pub(super) fn free_shares(&self, amount: Part) -> Result<u64> {
        let Active { address, position, slot, .. } = self;
        let (shares, free) = (self.shares(amount)?, self.free());
        if amount == Part::All && free > 0 {
            return Ok(free);
        }
        let (locked, steering) = (position.locked(*slot), position.steering_shares);
        let worth = |shares| tokens::show(self.worth(shares));
        if shares > free && locked >= steering {
            let end = Unit::Slot.cell(position.lock_end_tick.saturating_mul(TICK_SLOTS), *slot).show();
            bail!("{} on {address} is locked until slot {end}; until then {} can leave", worth(locked), worth(free));
        }
        ensure!(
            shares <= free,
            "{} on {address} steers a domain and stays until \"sip steer withdraw {address}\"; until then {} can leave",
            worth(steering),
            worth(free)
        );
        Ok(shares)
    }
}

/// Shares of a position that neither a lock nor a vote holds.
pub(super) fn free_of(position: &Position, slot: u64) -> u64 {
    position.shares.saturating_sub(position.locked(slot).max(position.steering_shares))
}

/// A position with its pool.
pub(super) struct Holding {
    pub(super) pool_address: Address,
    pub(super) pool: Pool,
    /// With everything settled that it has earned.
    pub(super) position: Position,
}

impl Holding {
    /// What its shares are worth, base units.
    pub(super) fn worth(&self) -> u64 {
        tokens::worth(self.position.shares, self.pool.shares, self.pool.assets)
    }

    /// Pending stake that could be active, base units.
    pub(super) fn due(&self, slot: u64) -> Result<u64> {
        let (mut pool_then, mut then) = (self.pool, self.position);
        then.activate(&mut pool_then, slot)?;
        Ok(self.pool.pending_assets.saturating_sub(pool_then.pending_assets))
    }

    fn row(&self, namer: &mut Namer<'_>, slot: u64) -> Result<Row> {
        let Holding { pool_address, pool, position } = self;
        let due = self.due(slot)?;
        let (mut pool_then, mut then) = (*pool, *position);
        then.activate(&mut pool_then, slot)?;
        let pending = then.pending.saturating_add(due);
        let worth = |shares| Cell::Tokens(tokens::worth(shares, pool.shares, pool.assets));
        Ok(vec![
            ("pool", Cell::text(pool_address)),
            ("kind", Cell::text(kind_name(pool.kind))),
            ("for", namer.purpose(pool)?),
            ("worth", worth(position.shares)),
            ("pending", Cell::Tokens(pending)),
            ("due now", Cell::Tokens(due)),
            (
                "all active at slot",
                if pending == 0 { Cell::Nothing } else { Unit::Slot.cell(position.ramp_end_slot, slot) },
            ),
            ("locked", worth(position.locked(slot))),
            ("steering", worth(position.steering_shares)),
            ("claimable", Cell::Tokens(position.claimable)),
            ("shares", Cell::Shares(position.shares)),
        ])
    }
}

/// Everything that a wallet has staked.
pub(super) fn holdings(desk: &Desk, owner: &Address) -> Result<Vec<Holding>> {
    let mut pools: BTreeMap<Address, Pool> = desk.all::<Pool>(AccountKind::Pool)?.into_iter().collect();
    // As an instruction would find them now: with the yield passed on that is due.
    let now = desk.slot()?;
    pools.values_mut().try_for_each(|pool| pool.accrue(now))?;
    let mut holdings = Vec::new();
    for (_, mut position) in desk.all::<Position>(AccountKind::Position)? {
        let pool_address = Address::new_from_array(position.pool);
        if let Some(pool) = pools.get_mut(&pool_address).filter(|_| position.owner == owner.to_bytes()) {
            position.settle(pool)?;
            holdings.push(Holding { pool_address, pool: *pool, position });
        }
    }
    Ok(holdings)
}

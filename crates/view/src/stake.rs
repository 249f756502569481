//! What wallets have staked.

use anyhow::{Context, Result, bail, ensure};
use sip_console::table::{Cell, Row};
use sip_console::tokens::{self, Part};
use sip_console::{Desk, Unit, kind_name};
use sip_protocol::AccountKind;
use sip_protocol::stake::lock::TICK_SLOTS;
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Position;
use solana_address::Address;
use std::collections::BTreeMap;

use crate::pool::Namer;

/// A wallet's stake on a pool: address of the position, pool, position.
pub fn holding(desk: &Desk, pool: &Address, owner: &Address) -> Result<(Address, Pool, Position)> {
    let (address, state) = (desk.program.position(pool, owner), desk.read(pool)?);
    let position = desk.find(&address)?.with_context(|| format!("the wallet has no stake on {pool}"))?;
    Ok((address, state, position))
}

/// A wallet's stake on a pool as a transaction that arrives now finds it: what is due is active.
pub struct Active {
    address: Address,
    pool: Pool,
    position: Position,
    slot: u64,
}

impl Active {
    /// What it is now.
    pub fn read(desk: &Desk, pool: &Address, owner: &Address) -> Result<Active> {
        let (_, mut state, mut position) = holding(desk, pool, owner)?;
        let slot = desk.slot()?;
        position.activate(&mut state, slot)?;
        Ok(Active { address: *pool, pool: state, position, slot })
    }

    /// What shares are worth, base units.
    pub fn worth(&self, shares: u64) -> u64 {
        tokens::worth(shares, self.pool.shares, self.pool.assets)
    }

    /// The shares that are worth an amount.
    pub fn shares(&self, amount: Part) -> Result<u64> {
        let Active { address, pool, position, .. } = self;
        let pending = match position.pending {
            0 => String::new(),
            units => format!(
                "; {} more is pending until slot {}, and \"sip stake cancel {address}\" takes that back",
                tokens::show(units),
                Unit::Slot.cell(position.ramp_end_slot, self.slot).show_in_full()
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
    pub fn free(&self) -> u64 {
        free_of(&self.position, self.slot)
    }

    /// What "all" leaves where it is, and why; of pending stake only where that is not taken along.
    pub fn staying(&self, with_pending: bool) -> Vec<String> {
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
    pub fn free_shares(&self, amount: Part) -> Result<u64> {
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
pub fn free_of(position: &Position, slot: u64) -> u64 {
    position.shares.saturating_sub(position.locked(slot).max(position.steering_shares))
}

/// A position with its pool.
pub struct Holding {
    /// The pool it is on.
    pub pool_address: Address,
    /// The pool, as an instruction would find it now.
    pub pool: Pool,
    /// With everything settled that it has earned.
    pub position: Position,
}

impl Holding {
    /// What its shares are worth, base units.
    pub fn worth(&self) -> u64 {
        tokens::worth(self.position.shares, self.pool.shares, self.pool.assets)
    }

    /// Pending stake that could be active, base units.
    pub fn due(&self, slot: u64) -> Result<u64> {
        let (mut pool_then, mut then) = (self.pool, self.position);
        then.activate(&mut pool_then, slot)?;
        Ok(self.pool.pending_assets.saturating_sub(pool_then.pending_assets))
    }

    /// Its row in a list.
    pub fn row(&self, namer: &mut Namer<'_>, slot: u64) -> Result<Row> {
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
pub fn holdings(desk: &Desk, owner: &Address) -> Result<Vec<Holding>> {
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

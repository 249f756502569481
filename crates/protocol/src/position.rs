//! What one owner holds in one pool, and exits under way.
//!
//! Invariants: Σ position shares + [`crate::pool::SEED_SHARES`] = pool shares; rewards are settled before every change of shares; a new
//! ticket never changes an older one; what tickets pay never exceeds the pool's `unbonding_assets`.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, RewardIndex, Rounding, mul_div};

use crate::{Address, Error, Header, Result, account, pool::Pool};

/// Address: "position", pool (32), owner (32).
#[derive(Clone, Copy, Debug, Plain, Zeroable)]
#[repr(C)]
pub struct Position {
    /// Kind, version, bump.
    pub header: Header,
    /// The pool.
    pub pool: Address,
    /// The wallet that holds the shares.
    pub owner: Address,
    /// Shares.
    pub shares: u64,
    /// The pool's reward index at the last settlement.
    pub checkpoint: RewardIndex,
    /// Base units settled and not yet claimed.
    pub claimable: u64,
    /// Exits requested so far: the nonce of the next ticket.
    pub tickets: u32,
    /// Always 0.
    pub reserved: u32,
}

account!(Position, Position, 112);

/// An exit under way. Address: "ticket", position (32), nonce (u32).
#[derive(Clone, Copy, Debug, Plain, Zeroable)]
#[repr(C)]
pub struct Ticket {
    /// Kind, version, bump.
    pub header: Header,
    /// The pool.
    pub pool: Address,
    /// The position.
    pub position: Address,
    /// The wallet that is paid.
    pub owner: Address,
    /// Base units at the request, before later slashes.
    pub assets: u64,
    /// The pool's survival at the request.
    pub survival: u64,
    /// Slot from which it is paid.
    pub mature_slot: u64,
    /// Last seed.
    pub nonce: u32,
    /// Always 0.
    pub reserved: u32,
}

account!(Ticket, Ticket, 136);

impl Position {
    /// An empty position at the pool's present index.
    pub fn initialise(&mut self, pool_address: &Address, pool: &Pool, owner: &Address) {
        self.pool = *pool_address;
        self.owner = *owner;
        self.checkpoint = pool.reward_index;
    }

    /// Settles what the shares have earned.
    pub fn settle(&mut self, pool: &Pool) -> Result<()> {
        let earned = pool.reward_index.owed(self.shares, self.checkpoint)?;
        self.claimable = int::add(self.claimable, earned)?;
        self.checkpoint = pool.reward_index;
        Ok(())
    }

    /// Buys shares. Refused if they are fewer than `minimum_shares`.
    #[inline(always)]
    pub fn deposit(&mut self, pool: &mut Pool, amount: u64, minimum_shares: u64, slot: u64) -> Result<u64> {
        self.settle(pool)?;
        let shares = pool.add_assets(amount, slot)?;
        if shares < minimum_shares {
            return Err(Error::SlippageExceeded);
        }
        self.shares = int::add(self.shares, shares)?;
        Ok(shares)
    }

    /// Sells shares and returns the base units, which the caller pays or moves on.
    pub fn withdraw(&mut self, pool: &mut Pool, shares: u64, slot: u64) -> Result<u64> {
        if shares > self.shares {
            return Err(Error::NotEnoughShares);
        }
        self.settle(pool)?;
        let amount = pool.remove_shares(shares, slot)?;
        self.shares -= shares;
        Ok(amount)
    }

    /// Takes what is claimable.
    pub fn claim(&mut self, pool: &mut Pool) -> Result<u64> {
        self.settle(pool)?;
        if self.claimable == 0 {
            return Err(Error::NothingToClaim);
        }
        pool.rewards_owed = int::sub(pool.rewards_owed, self.claimable)?;
        Ok(core::mem::take(&mut self.claimable))
    }
}

impl Ticket {
    /// Turns shares of a position into an exit that matures after `unbonding_slots`.
    #[inline(always)]
    pub fn request(
        &mut self,
        position: &mut Position,
        pool: &mut Pool,
        shares: u64,
        slot: u64,
        unbonding_slots: u64,
    ) -> Result<()> {
        let amount = position.withdraw(pool, shares, slot)?;
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        pool.unbonding_assets = int::add(pool.unbonding_assets, amount)?;
        self.pool = position.pool;
        self.owner = position.owner;
        self.assets = amount;
        self.survival = pool.survival;
        self.mature_slot = int::add(slot, unbonding_slots)?;
        self.nonce = position.tickets;
        position.tickets = position.tickets.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Takes the exit back: what [`Ticket::claim`] would pay at maturity buys shares again.
    #[inline(always)]
    pub fn rebond(&self, position: &mut Position, pool: &mut Pool, minimum_shares: u64, slot: u64) -> Result<u64> {
        let amount = self.take(pool)?;
        position.deposit(pool, amount, minimum_shares, slot)
    }

    /// What the ticket pays, once: its base units less all slashes since the request.
    pub fn claim(&self, pool: &mut Pool, slot: u64) -> Result<u64> {
        if slot < self.mature_slot {
            return Err(Error::TicketNotMature);
        }
        self.take(pool)
    }

    fn take(&self, pool: &mut Pool) -> Result<u64> {
        let amount =
            if self.survival == 0 { 0 } else { mul_div(self.assets, pool.survival, self.survival, Rounding::Down)? };
        pool.unbonding_assets = int::sub(pool.unbonding_assets, amount)?;
        Ok(amount)
    }
}

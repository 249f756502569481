//! What one owner holds in one pool: active shares, stake on its way in, stake on its way out.
//!
//! New stake is *pending*: base units outside of the shares, as exits are, and slashed like them. It becomes active on a straight
//! line over the activation time: every instruction on the position, and anyone at any time ([`Position::activate`]), turns what is due into
//! shares. Only shares earn, vote, steer and count as S_i, so that stake which comes for one settlement gets nothing of it.
//!
//! Invariants:
//! - Σ position shares + liquid shares + [`crate::stake::pool::SEED_SHARES`] = pool shares; rewards are settled before every change of shares.
//! - What is active never lies above the line; stake that is added, moved, taken back or detokenised starts a line of its own, blended
//!   with the rest of an older one so that pending base units times slots add up.
//! - What positions have pending and what tickets pay never exceeds the pool's `pending_assets` and `unbonding_assets`.
//! - A new ticket never changes an older one; shares that are locked or that steer stay where they are.
//! - In an attention pool Σ `earning_shares` of positions = the pool's; no more of a position earns than it has.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, RewardIndex, Rounding, TimeIntegral, mul_div};

use crate::{
    Address, Error, Header, Result, account,
    ground::layout::layout,
    stake::{
        cohort::{Leaving, MAX_LEAVINGS},
        pool::Pool,
    },
};

layout! {
    /// What an owner has in a pool.
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
        /// Base units that are not active yet, before slashes after `pending_survival`.
        pub pending: u64,
        /// The pool's survival that `pending` is counted at.
        pub pending_survival: u64,
        /// Slot from which `pending` falls on a line.
        pub ramp_slot: u64,
        /// Slot at which nothing is pending any more.
        pub ramp_end_slot: u64,
        /// Shares that a lock holds until its end.
        pub locked_shares: u64,
        /// Shares per tick that the lock's boost loses.
        pub lock_slope: u64,
        /// Tick of the lock's end; 0 without a lock.
        pub lock_end_tick: u64,
        /// Shares that steer a domain and stay until the vote is withdrawn.
        pub steering_shares: u64,
        /// Shares that left, and may still be paid for work that was done before; see [`crate::stake::cohort`].
        pub leavings: [Leaving; MAX_LEAVINGS],
        /// Of `shares`, those that earn (attention pools).
        pub earning_shares: u64,
        /// Slot from which the rest, pending stake included, begins to earn on a line (attention pools).
        pub earning_slot: u64,
        /// Slot at which all of it earns (attention pools).
        pub earning_end_slot: u64,
    }
}

account!(Position, Position, 328);

layout! {
    /// An exit under way.
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
}

account!(Ticket, Ticket, 136);

impl Position {
    /// An empty position at the pool's present index.
    pub fn initialise(&mut self, pool_address: &Address, pool: &Pool, owner: &Address) {
        self.pool = *pool_address;
        self.owner = *owner;
        self.checkpoint = pool.reward_index;
    }

    /// Its shares that earn.
    pub fn earning(&self, pool: &Pool) -> u64 {
        if pool.is_attention() { self.earning_shares } else { self.shares }
    }

    /// Settles what the shares have earned, those that left too.
    pub fn settle(&mut self, pool: &mut Pool) -> Result<()> {
        let earned = pool.reward_index.owed(self.earning(pool), self.checkpoint)?;
        let earned = int::add(earned, self.collect(pool)?)?;
        self.claimable = int::add(self.claimable, earned)?;
        self.checkpoint = pool.reward_index;
        Ok(())
    }

    /// Takes in new stake, which becomes active over `activation_slots`. Refused if it would buy fewer than `minimum_shares` at the
    /// present price.
    #[inline(always)]
    pub fn deposit(
        &mut self,
        pool: &mut Pool,
        amount: u64,
        minimum_shares: u64,
        slot: u64,
        activation_slots: u64,
    ) -> Result<()> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        pool.require_open()?;
        // The price is the one after the yield that is due.
        pool.accrue(slot)?;
        let shares = int::shares_for_deposit(amount, pool.shares, pool.assets)?;
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        if shares < minimum_shares {
            return Err(Error::SlippageExceeded);
        }
        self.add_pending(pool, amount, slot, activation_slots)
    }

    /// Puts base units on their way in, whatever the pool's status.
    pub fn add_pending(&mut self, pool: &mut Pool, amount: u64, slot: u64, activation_slots: u64) -> Result<()> {
        self.activate(pool, slot)?;
        let pending = int::add(self.pending, amount)?;
        if pending == 0 {
            return Err(Error::ZeroAmount);
        }
        // Pending base units times slots add up, rounded up: nobody gains by joining what is nearly active. And nothing becomes active
        // before all is paid that was done until now.
        let waiting_slots = pool.waiting_slots();
        let mut area = TimeIntegral::default();
        area.accumulate(self.pending, self.ramp_end_slot.saturating_sub(slot))?;
        area.accumulate(amount, activation_slots.max(waiting_slots))?;
        area.accumulate(pending - 1, 1)?;
        let slots = area.average(TimeIntegral::default(), pending)?.max(waiting_slots);
        self.wait_to_earn(pool, amount, slot, activation_slots)?;
        pool.pending_assets = int::add(pool.pending_assets, amount)?;
        self.pending = pending;
        self.pending_survival = pool.survival;
        self.ramp_slot = int::add(slot, waiting_slots)?;
        self.ramp_end_slot = int::add(slot, slots)?;
        self.activate(pool, slot)?;
        Ok(())
    }

    /// Of what it has in an attention pool, active or pending, what does not earn yet. A share is a base unit there.
    fn young(&self) -> u64 {
        self.shares.saturating_add(self.pending).saturating_sub(self.earning_shares)
    }

    /// Puts base units that come into an attention pool on the line on which they begin to earn, as in another pool they would become active:
    /// nothing before the waiting time is over, blended with what does not earn yet.
    fn wait_to_earn(&mut self, pool: &Pool, amount: u64, slot: u64, activation_slots: u64) -> Result<()> {
        if !pool.is_attention() {
            return Ok(());
        }
        let (waiting_slots, young) = (pool.earning_slots(), self.young());
        let all = int::add(young, amount)?;
        let mut area = TimeIntegral::default();
        area.accumulate(young, self.earning_end_slot.saturating_sub(slot))?;
        area.accumulate(amount, activation_slots.max(waiting_slots))?;
        area.accumulate(all - 1, 1)?;
        let slots = area.average(TimeIntegral::default(), all)?.max(waiting_slots);
        self.earning_slot = int::add(slot, waiting_slots)?;
        self.earning_end_slot = int::add(slot, slots)?;
        Ok(())
    }

    /// In an attention pool lets those shares earn that have waited: steering is for who is there now, pay for who was there when the work
    /// began. No more than are active; the caller has settled.
    fn season(&mut self, pool: &mut Pool, slot: u64) -> Result<()> {
        if !pool.is_attention() {
            return Ok(());
        }
        let due = line(self.young(), self.earning_slot, self.earning_end_slot, slot)?;
        let due = due.min(self.shares.saturating_sub(self.earning_shares));
        if due > 0 {
            pool.earning_shares = int::add(pool.earning_shares, due)?;
            self.earning_shares = int::add(self.earning_shares, due)?;
            self.earning_slot = self.earning_slot.max(slot);
        }
        Ok(())
    }

    /// Takes shares off that leave, and returns those of them that earned. In an attention pool those that do not earn yet go first.
    fn part_with(&mut self, pool: &mut Pool, shares: u64) -> Result<u64> {
        self.shares = int::sub(self.shares, shares)?;
        if !pool.is_attention() {
            return Ok(shares);
        }
        let earned = self.earning_shares.saturating_sub(self.shares);
        self.earning_shares -= earned;
        pool.earning_shares = int::sub(pool.earning_shares, earned)?;
        Ok(earned)
    }

    /// Counts the slashes since in what is pending.
    fn slash_pending(&mut self, pool: &Pool) -> Result<()> {
        self.pending = surviving(self.pending, self.pending_survival, pool)?;
        self.pending_survival = pool.survival;
        Ok(())
    }

    /// Turns the pending stake that is due into shares at the present price, and returns them; lets those earn that have waited. In a pool that takes no
    /// stake, and while less than a share is due, nothing happens.
    pub fn activate(&mut self, pool: &mut Pool, slot: u64) -> Result<u64> {
        pool.accrue(slot)?;
        self.settle(pool)?;
        self.slash_pending(pool)?;
        let shares = self.activate_due(pool, slot)?;
        self.season(pool, slot)?;
        Ok(shares)
    }

    fn activate_due(&mut self, pool: &mut Pool, slot: u64) -> Result<u64> {
        if self.pending == 0 || pool.require_open().is_err() {
            return Ok(0);
        }
        // What was on its way when the exposure rose goes on from the end of the waiting time.
        self.ramp_slot = self.ramp_slot.max(pool.waiting_until_slot);
        self.ramp_end_slot = self.ramp_end_slot.max(pool.waiting_until_slot);
        if slot < pool.waiting_until_slot {
            return Ok(0);
        }
        let due = line(self.pending, self.ramp_slot, self.ramp_end_slot, slot)?;
        // Only what whole shares cost: who activates often takes nothing from the owner by rounding.
        let shares = match int::shares_for_deposit(due, pool.shares, pool.assets) {
            Ok(shares) if shares > 0 && pool.shares.checked_add(shares).is_some() => shares,
            // After great slashes there may be too many of them to count: what is pending stays so, and nobody is kept from leaving.
            _ => return Ok(0),
        };
        let due = mul_div(shares, pool.assets, pool.shares, Rounding::Up)?;
        pool.pending_assets = int::sub(pool.pending_assets, due)?;
        let shares = pool.add_assets(due, slot)?;
        self.pending -= due;
        self.ramp_slot = slot;
        self.shares = int::add(self.shares, shares)?;
        Ok(shares)
    }

    /// Sells shares and returns the base units, which the caller pays or moves on.
    pub fn withdraw(&mut self, pool: &mut Pool, shares: u64, slot: u64) -> Result<u64> {
        self.activate(pool, slot)?;
        if shares > self.shares {
            return Err(Error::NotEnoughShares);
        }
        let held = self.locked(slot).max(self.steering_shares);
        if shares > self.shares.saturating_sub(held) {
            return Err(Error::SharesLocked);
        }
        let amount = pool.remove_shares(shares, slot)?;
        let earned = self.part_with(pool, shares)?;
        if earned > 0 {
            self.leave(pool, earned, slot)?;
        }
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
        self.start(position, pool, amount, int::add(slot, unbonding_slots)?)
    }

    /// Turns everything that a position has pending into an exit that matures after `unbonding_slots`.
    #[inline(always)]
    pub fn cancel(&mut self, position: &mut Position, pool: &mut Pool, slot: u64, unbonding_slots: u64) -> Result<()> {
        position.slash_pending(pool)?;
        let amount = core::mem::take(&mut position.pending);
        if amount == 0 {
            return Err(Error::NothingPending);
        }
        pool.pending_assets = int::sub(pool.pending_assets, amount)?;
        self.start(position, pool, amount, int::add(slot, unbonding_slots)?)
    }

    fn start(&mut self, position: &mut Position, pool: &mut Pool, amount: u64, mature_slot: u64) -> Result<()> {
        pool.unbonding_assets = int::add(pool.unbonding_assets, amount)?;
        self.pool = position.pool;
        self.owner = position.owner;
        self.assets = amount;
        self.survival = pool.survival;
        self.mature_slot = mature_slot;
        self.nonce = position.tickets;
        position.tickets = position.tickets.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Takes the exit back: what [`Ticket::claim`] would pay at maturity is new stake again.
    #[inline(always)]
    pub fn rebond(
        &self,
        position: &mut Position,
        pool: &mut Pool,
        minimum_shares: u64,
        slot: u64,
        activation_slots: u64,
    ) -> Result<()> {
        let amount = self.take(pool)?;
        position.deposit(pool, amount, minimum_shares, slot, activation_slots)
    }

    /// What the ticket pays, once: its base units less all slashes since the request.
    pub fn claim(&self, pool: &mut Pool, slot: u64) -> Result<u64> {
        if slot < self.mature_slot {
            return Err(Error::TicketNotMature);
        }
        self.take(pool)
    }

    fn take(&self, pool: &mut Pool) -> Result<u64> {
        let amount = surviving(self.assets, self.survival, pool)?;
        pool.unbonding_assets = int::sub(pool.unbonding_assets, amount)?;
        Ok(amount)
    }
}

/// What is due in `slot` of an amount that falls to nothing on a line from one slot to another.
fn line(amount: u64, from_slot: u64, end_slot: u64, slot: u64) -> Result<u64> {
    if slot >= end_slot {
        Ok(amount)
    } else if slot <= from_slot {
        Ok(0)
    } else {
        Ok(mul_div(amount, slot - from_slot, end_slot - from_slot, Rounding::Down)?)
    }
}

/// What later slashes have left of base units that were counted at an earlier `survival` of the pool, rounded down.
fn surviving(amount: u64, survival: u64, pool: &Pool) -> Result<u64> {
    if amount == 0 || survival == 0 { Ok(0) } else { Ok(mul_div(amount, pool.survival, survival, Rounding::Down)?) }
}

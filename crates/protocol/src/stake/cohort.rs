//! Who left a pool while it was still to be paid for work that was done before.
//!
//! Pay comes long after its work. It is spread evenly over the shares that are in the pool when it comes and those that left since the work was
//! done. Who leaves within the same time is a *cohort*: an index of its own says what a share of it earns after it has left. Stake that comes
//! takes no part: it has to wait ([`Pool::earning_slots`]) until everything is paid that was done before. In an operator's pool it is not active
//! before; in an attention pool it steers as soon as it is active, and earns when it has waited ([`Position::season`]).
//!
//! Invariants: what cohorts can still collect is part of the pool's `rewards_owed`; a share is paid once for a piece of work; who leaves up to one
//! [`Pool::cohort_slots`] before the work is paid for it too (its stake answers for it as long as it is on its way out), nobody else is.

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, RewardIndex, Rounding, mul_div};

use crate::{
    Result,
    ground::layout::layout,
    stake::{
        pool::{Pool, PoolKind},
        position::Position,
    },
};

/// Cohorts that a pool remembers. What one has not collected when its place is taken goes back to the stream that it came from.
pub const MAX_COHORTS: usize = 32;
/// Cohorts that a position remembers; who leaves in more parts gives up what the oldest has not earned yet.
pub const MAX_LEAVINGS: usize = 4;
/// Least length of a cohort, slots: so that nobody fills a pool's memory faster than in four days, twice the usual unbonding.
pub const COHORT_SLOTS: u64 = 27_000;

/// Cohorts from the beginning of an exposure until its claims are paid.
const COHORTS_OF_AN_EXPOSURE: u64 = 8;

layout! {
    /// Shares that left a pool until some slot, and after the cohort before.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Cohort {
        /// Who leaves from this slot on belongs to the next one.
        pub until_slot: u64,
        /// Shares that left.
        pub shares: u64,
        /// What a share of them has earned since the cohort began.
        pub index: RewardIndex,
        /// Base units that they have earned and not collected.
        pub owed: u64,
    }
}

layout! {
    /// A position's shares that left with one cohort.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Leaving {
        /// The cohort's number, from 1; 0 for none.
        pub cohort: u64,
        /// Shares.
        pub shares: u64,
        /// The cohort's index when they were last paid.
        pub checkpoint: RewardIndex,
    }
}

impl Pool {
    /// Whether it is the pool of an operator that never joined a job: nothing is owed for its work, and stake that comes to it does not wait. Were
    /// its leavers noted, the same stake would count as often as it left and came back.
    const fn has_never_worked(&self) -> bool {
        let is_workers = self.kind == PoolKind::Trainer as u8
            || self.kind == PoolKind::Auditor as u8
            || self.kind == PoolKind::Evaluator as u8;
        is_workers && self.exposure_slots == 0
    }

    /// How long a cohort gathers leavers, slots.
    pub fn cohort_slots(&self) -> u64 {
        COHORT_SLOTS.max(self.exposure_slots / COHORTS_OF_AN_EXPOSURE)
    }

    /// Slots from a deposit in which nothing of it earns: until all work is paid that was committed before, and no share can
    /// be in the pool that left with a cohort which is paid for the same work. None in a pool that works for no job.
    pub fn earning_slots(&self) -> u64 {
        if self.exposure_slots == 0 { 0 } else { self.exposure_slots.saturating_add(self.cohort_slots()) }
    }

    /// Slots from a deposit in which nothing of it becomes active: as long as it does not earn. None in an attention pool, where it steers sooner.
    pub fn waiting_slots(&self) -> u64 {
        if self.is_attention() { 0 } else { self.earning_slots() }
    }

    /// The cohort with a number, if the pool still remembers it.
    pub fn cohort(&mut self, number: u64) -> Option<&mut Cohort> {
        if number == 0 || number > self.cohort_count || self.cohort_count - number >= MAX_COHORTS as u64 {
            return None;
        }
        self.cohorts.get_mut(number as usize % MAX_COHORTS)
    }

    /// Notes that shares leave, and returns what a position remembers of it.
    fn note_leaving(&mut self, shares: u64, slot: u64) -> Result<Leaving> {
        let is_over = self.cohort(self.cohort_count).is_none_or(|newest| slot >= newest.until_slot);
        if is_over {
            let until_slot = slot.saturating_add(self.cohort_slots());
            self.cohort_count = int::add(self.cohort_count, 1)?;
            let place = self.cohort_count as usize % MAX_COHORTS;
            if let Some(place) = self.cohorts.get_mut(place) {
                self.rewards_held = int::add(self.rewards_held, place.owed)?;
                *place = Cohort { until_slot, ..Cohort::default() };
            }
        }
        let number = self.cohort_count;
        let Some(newest) = self.cohort(number) else { return Ok(Leaving::default()) };
        // A sum of shares that came and went many times may be beyond counting; nobody is kept from leaving by it.
        newest.shares = newest.shares.saturating_add(shares);
        Ok(Leaving { cohort: number, shares, checkpoint: newest.index })
    }

    /// Gives those who have left since `made_slot` their part of a reward that is spread over them and the `owners` of present shares, and
    /// returns it: the pool owes it now, and the caller counts it in `rewards_owed`.
    pub(crate) fn credit_leavers(&mut self, reward: u64, owners: u64, made_slot: u64) -> Result<u64> {
        let newest = self.cohort_count;
        let (mut left, mut number) = (0u64, newest);
        while let Some(cohort) = self.cohort(number) {
            if cohort.until_slot <= made_slot {
                break;
            }
            left = left.saturating_add(cohort.shares);
            number -= 1;
        }
        if left == 0 || reward == 0 {
            return Ok(0);
        }
        let part = mul_div(reward, left, owners.saturating_add(left), Rounding::Down)?;
        let mut growth = RewardIndex::default();
        growth.add(part, left, &mut 0)?;
        let mut rest = part;
        while number < newest {
            number += 1;
            let Some(cohort) = self.cohort(number) else { continue };
            let owed =
                if number == newest { rest } else { mul_div(part, cohort.shares, left, Rounding::Up)?.min(rest) };
            rest -= owed;
            cohort.owed = int::add(cohort.owed, owed)?;
            cohort.index.grow(growth)?;
        }
        Ok(part)
    }
}

impl Position {
    /// Notes that shares leave the pool, if it may still be paid for work that was done before. The caller has settled the position and taken them
    /// off its own.
    pub(crate) fn leave(&mut self, pool: &mut Pool, shares: u64, slot: u64) -> Result<()> {
        if pool.has_never_worked() {
            return Ok(());
        }
        let leaving = pool.note_leaving(shares, slot)?;
        let same = self.leavings.iter_mut().find(|known| known.cohort == leaving.cohort);
        if let Some(same) = same {
            same.shares = same.shares.saturating_add(shares);
        } else if let Some(oldest) = self.leavings.iter_mut().min_by_key(|known| known.cohort) {
            *oldest = leaving;
        }
        Ok(())
    }

    /// Collects what its shares have earned after they left, and returns it. What a cohort that the pool has forgotten had not paid is
    /// not the position's any more.
    pub(crate) fn collect(&mut self, pool: &mut Pool) -> Result<u64> {
        let mut earned = 0;
        for leaving in &mut self.leavings {
            if leaving.cohort == 0 {
                continue;
            }
            let Some(cohort) = pool.cohort(leaving.cohort) else {
                *leaving = Leaving::default();
                continue;
            };
            if cohort.index != leaving.checkpoint {
                let due = cohort.index.owed(leaving.shares, leaving.checkpoint)?.min(cohort.owed);
                leaving.checkpoint = cohort.index;
                cohort.owed -= due;
                earned = int::add(earned, due)?;
            }
        }
        Ok(earned)
    }
}

#[cfg(test)]
mod tests;

//! Vote escrow: shares of an attention pool locked for up to four years steer with up to two and a half times their weight.
//!
//! A lock of L shares with R ticks to go adds L · 3/2 · R / [`MAXIMUM_TICKS`] to the steering weight, rounded down to whole shares
//! per tick: 1.5 · L at four years, 0 at the end, on a straight line between. Ends lie on periods of about a month, so that a pool
//! keeps the sum of all lines with one number per period and never looks at a position.
//!
//! Invariants: a pool's boost is the sum of its locks' boosts at every tick; a lock is only ever made longer or larger until it
//! ends; locked shares stay where they are.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, Rounding, TimeIntegral, mul_div};

use crate::{
    Error, Result,
    ground::layout::layout,
    stake::{
        pool::{Pool, PoolKind},
        position::Position,
    },
};

/// Slots of a tick, the grain of a boost's decay: 6.8 minutes.
pub const TICK_SLOTS: u64 = 1_024;
/// Ticks of a period: a twelfth of a year.
pub const PERIOD_TICKS: u64 = 6_420;
/// Longest lock, in periods: four years.
pub const MAXIMUM_PERIODS: u64 = 48;
/// Longest lock, in ticks.
pub const MAXIMUM_TICKS: u64 = 308_160;
/// Ends that a pool keeps apart: one more than the longest lock, so that two ends never share a place.
const PLACES: usize = MAXIMUM_PERIODS as usize + 2;

const _: () = assert!(MAXIMUM_TICKS == MAXIMUM_PERIODS * PERIOD_TICKS);

/// The tick of a slot.
pub const fn tick_of(slot: u64) -> u64 {
    slot / TICK_SLOTS
}

layout! {
    /// The sum of the boosts of all locks in a pool.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Plain, Zeroable)]
    #[repr(C)]
    pub struct Boost {
        /// Shares per tick that the boost loses.
        pub slope: u64,
        /// The boost at `tick`, shares.
        pub value: u64,
        /// Up to where it is brought.
        pub tick: u64,
        /// Twice Σ value · ticks up to `tick`.
        pub integral: TimeIntegral,
        /// `integral` at the last snapshot.
        pub snapshot: TimeIntegral,
        /// Tick of the last snapshot.
        pub snapshot_tick: u64,
        /// What the last snapshot found, shares.
        pub snapshot_average: u64,
        /// Slopes that end at each period, by the period's number modulo the number of places.
        pub ends: [u64; PLACES],
    }
}

impl Boost {
    /// A pool without locks.
    pub fn start(&mut self, slot: u64) {
        self.tick = tick_of(slot);
        self.snapshot_tick = self.tick;
    }

    /// Brings the boost up to a slot: at most one step per period and place.
    pub fn advance(&mut self, slot: u64) -> Result<()> {
        let now = tick_of(slot);
        while self.tick < now && self.slope != 0 {
            let period = self.tick / PERIOD_TICKS + 1;
            let end = int::mul(period, PERIOD_TICKS)?;
            let next = end.min(now);
            let ticks = next - self.tick;
            let fall = int::mul(self.slope, ticks)?;
            // v + (v − s) + … over n ticks, twice: n · (v + v − s · (n − 1)).
            let last = int::sub(self.value, int::mul(self.slope, ticks - 1)?)?;
            self.integral.accumulate(int::add(self.value, last)?, ticks)?;
            self.value = int::sub(self.value, fall)?;
            self.tick = next;
            if next == end {
                let ended = core::mem::take(&mut self.ends[place(period)]);
                self.slope = int::sub(self.slope, ended)?;
            }
        }
        self.tick = self.tick.max(now);
        Ok(())
    }

    /// Time-weighted average of the boost since the last call, shares, rounded down; within one tick what that call gave.
    pub fn take_snapshot(&mut self, slot: u64) -> Result<u64> {
        self.advance(slot)?;
        let span = self.tick.saturating_sub(self.snapshot_tick);
        if span > 0 {
            self.snapshot_average = self.integral.average(self.snapshot, span + span)?;
            self.snapshot = self.integral;
            self.snapshot_tick = self.tick;
        }
        Ok(self.snapshot_average)
    }

    fn add(&mut self, slope: u64, end_tick: u64) -> Result<()> {
        let place = place(end_tick / PERIOD_TICKS);
        self.value = int::add(self.value, int::mul(slope, end_tick - self.tick)?)?;
        self.slope = int::add(self.slope, slope)?;
        self.ends[place] = int::add(self.ends[place], slope)?;
        Ok(())
    }

    fn remove(&mut self, slope: u64, end_tick: u64) -> Result<()> {
        let place = place(end_tick / PERIOD_TICKS);
        self.value = int::sub(self.value, int::mul(slope, end_tick - self.tick)?)?;
        self.slope = int::sub(self.slope, slope)?;
        self.ends[place] = int::sub(self.ends[place], slope)?;
        Ok(())
    }
}

/// Where the slopes that end with a period are kept.
fn place(period: u64) -> usize {
    (period % PLACES as u64) as usize
}

impl Position {
    /// Shares that a running lock holds.
    pub fn locked(&self, slot: u64) -> u64 {
        if tick_of(slot) < self.lock_end_tick { self.locked_shares } else { 0 }
    }

    /// What the position's lock adds to its steering weight, shares.
    pub fn boost(&self, slot: u64) -> u64 {
        int::mul(self.lock_slope, self.lock_end_tick.saturating_sub(tick_of(slot))).unwrap_or(0)
    }

    /// Locks `shares` in all until `periods` periods from now, counted from the end of the present one. A running lock is
    /// only made larger or longer.
    pub fn lock(&mut self, pool: &mut Pool, shares: u64, periods: u64, slot: u64) -> Result<()> {
        pool.require_kind(PoolKind::Attention)?;
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        if periods == 0 || periods > MAXIMUM_PERIODS {
            return Err(Error::WrongLock);
        }
        if shares > self.shares {
            return Err(Error::NotEnoughShares);
        }
        pool.boost.advance(slot)?;
        let now = pool.boost.tick;
        let end = int::mul(now / PERIOD_TICKS + periods, PERIOD_TICKS)?;
        if now < self.lock_end_tick {
            if shares < self.locked_shares || end < self.lock_end_tick {
                return Err(Error::WrongLock);
            }
            pool.boost.remove(self.lock_slope, self.lock_end_tick)?;
        }
        // At most four years remain, so the boost is at most 3/2 of the shares.
        self.lock_slope = mul_div(shares, 3, 2 * MAXIMUM_TICKS, Rounding::Down)?;
        self.locked_shares = shares;
        self.lock_end_tick = end;
        pool.boost.add(self.lock_slope, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stake::pool::SEED_SHARES;
    use proptest::prelude::*;

    const OWNERS: usize = 3;

    fn world() -> (Pool, [Position; OWNERS]) {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Attention, &[1; 32], 0, 77);
        let mut positions = [Position::zeroed(); OWNERS];
        for position in &mut positions {
            position.initialise(&[9; 32], &pool, &[2; 32]);
            position.deposit(&mut pool, 1_000_000_000_000, 0, 77, 0).unwrap();
        }
        (pool, positions)
    }

    #[test]
    fn four_years_weigh_two_and_a_half_times_and_fall_on_a_line() {
        let (mut pool, mut positions) = world();
        let year = 12 * PERIOD_TICKS * TICK_SLOTS;
        positions[0].lock(&mut pool, 1_000_000_000_000, 48, 0).unwrap();
        let close =
            |value: u64, expected: u64| assert!(expected - value <= expected / 100_000 + 1, "{value} {expected}");
        for (years, expected) in [(0, 1_500_000_000_000), (1, 1_125_000_000_000), (2, 750_000_000_000), (4, 0)] {
            close(positions[0].boost(years * year), expected);
            pool.boost.advance(years * year).unwrap();
            assert_eq!(pool.boost.value, positions[0].boost(years * year));
        }
        assert_eq!((pool.boost.slope, pool.boost.ends), (0, [0; PLACES]));
    }

    #[test]
    fn a_lock_holds_its_shares_until_its_end_and_is_never_shortened() {
        let (mut pool, mut positions) = world();
        let position = &mut positions[0];
        assert_eq!(position.lock(&mut pool, 0, 1, 0), Err(Error::ZeroAmount));
        assert_eq!(position.lock(&mut pool, 1, 0, 0), Err(Error::WrongLock));
        assert_eq!(position.lock(&mut pool, 1, 49, 0), Err(Error::WrongLock));
        assert_eq!(position.lock(&mut pool, u64::MAX, 1, 0), Err(Error::NotEnoughShares));
        position.lock(&mut pool, 600_000_000_000, 2, 77).unwrap();
        assert_eq!(position.lock(&mut pool, 600_000_000_000, 1, 77), Err(Error::WrongLock));
        assert_eq!(position.lock(&mut pool, 500_000_000_000, 3, 77), Err(Error::WrongLock));
        let end = 2 * PERIOD_TICKS * TICK_SLOTS;
        assert_eq!(position.withdraw(&mut pool, 400_000_000_001, end - 1), Err(Error::SharesLocked));
        assert_eq!(position.withdraw(&mut pool, 400_000_000_000, end - 1), Ok(400_000_000_000));
        assert_eq!(position.withdraw(&mut pool, 600_000_000_000, end), Ok(600_000_000_000));
        let mut trainer = Pool::zeroed();
        trainer.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
        assert_eq!(positions[1].lock(&mut trainer, 1, 1, 0), Err(Error::WrongPoolKind));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

        /// The pool's sum follows the positions' own lines at every step, and its average their mean.
        #[test]
        fn the_pools_boost_is_the_sum_of_its_locks(
            steps in prop::collection::vec((0..OWNERS, 1u64..1_000_000_000_000, 1u64..=48, 0u64..40_000_000), 1..40),
        ) {
            let (mut pool, mut positions) = world();
            let mut slot = 77;
            for (owner, shares, periods, wait) in steps {
                let before = (pool, positions);
                if positions[owner].lock(&mut pool, shares, periods, slot).is_err() {
                    (pool, positions) = before;
                }
                let _ = pool.boost.take_snapshot(slot).unwrap();
                let (from, to) = (tick_of(slot), tick_of(slot + wait));
                slot += wait;
                let sum: u64 = positions.iter().map(|position| position.boost(slot)).sum();
                let average = pool.boost.take_snapshot(slot).unwrap();
                prop_assert_eq!(pool.boost.value, sum);
                let mut expected = 0u128;
                for tick in (from..to).step_by(1 + (to - from) as usize / 50) {
                    expected += positions.iter().map(|p| p.boost(tick * TICK_SLOTS) as u128).sum::<u128>();
                }
                if to > from && to - from < 50 {
                    prop_assert_eq!(average as u128, expected / (to - from) as u128);
                }
                prop_assert!(average <= 4_500_000_000_000 + SEED_SHARES);
            }
        }
    }
}

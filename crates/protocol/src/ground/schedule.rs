//! What governance may set about emission, and the vesting of the team's part.

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{BPS_ONE, Rounding, mul_div};

use crate::{
    Error, Result,
    ground::layout::layout,
    ground::units::{CAP, TOKEN},
};

/// One, as utilisation, ratios, decay and yield count.
pub const ONE: u64 = 1_000_000_000;
/// Counts are held below this, so that sums of four cannot overflow.
pub(crate) const MAXIMUM_COUNT: u64 = 1 << 60;
/// Slots of the epoch for which the bounds of what an epoch emits are told: two days. A shorter epoch emits less.
pub const BOUNDED_SLOTS: u64 = 432_000;
/// Most slots of an epoch.
const MAXIMUM_EPOCH_SLOTS: u64 = 2_000_000;
/// Slots of a year of 365.25 days, at 0.4 seconds.
pub const YEAR_SLOTS: u64 = 78_894_000;
/// The staking stream's place in [`Emission::streams`].
pub const STAKING: usize = 0;
/// The node stream's place in [`Emission::streams`].
pub const NODES: usize = 1;

/// Most that a stream may emit, first or at full utilisation.
const MOST_EMISSION: Rate = Rate::new(CAP / 1_000);
/// Most that stake may yield, of [`ONE`].
const MOST_YIELD: Rate = Rate::new(ONE / 100);

/// So much in so many slots, in lowest terms: what an epoch may have of it is then one product, which fits its word, and one quotient.
#[derive(Clone, Copy)]
struct Rate {
    amount: u64,
    slots: u64,
}

impl Rate {
    /// `most` in [`BOUNDED_SLOTS`].
    const fn new(most: u64) -> Rate {
        let (mut divisor, mut rest) = (most, BOUNDED_SLOTS);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        let rate = Rate { amount: most / divisor, slots: BOUNDED_SLOTS / divisor };
        assert!(rate.amount <= u64::MAX / MAXIMUM_EPOCH_SLOTS);
        rate
    }
}

layout! {
    /// What governance may set about emission, each within hard bounds ([`Schedule::check`]).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Schedule {
        /// Slots of an epoch.
        pub epoch_slots: u64,
        /// First cap per epoch of the two streams (staking, nodes), base units.
        pub first_caps: [u64; 2],
        /// Emission per epoch of the two streams at full utilisation, base units.
        pub targets: [u64; 2],
        /// The part of a cap that an epoch takes, of [`ONE`].
        pub decay: u64,
        /// D_ref: fees burned per epoch at full utilisation, base units.
        pub demand_reference: u64,
        /// C_ref: units of verified work per node and epoch.
        pub power_reference: u64,
        /// N_ref: nodes at work.
        pub nodes_reference: u64,
        /// u_min, of [`ONE`]: what a young network emits before there is demand.
        pub utilisation_floor: u64,
        /// Y_max: most that stake yields per epoch, of [`ONE`].
        pub maximum_yield: u64,
        /// Base units per unit of verified work at u = 1 with the whole supply staked.
        pub unit_reward: u64,
        /// κ: the part of burned fees that replaces emission.
        pub fee_offset_bps: u16,
        /// Always 0.
        pub reserved: [u16; 3],
    }
}

impl Schedule {
    /// Epochs of two days, caps that halve every two years and would in all time emit both buckets, full utilisation at a million
    /// tokens of burned fees per epoch.
    pub const DEFAULT: Schedule = Schedule {
        epoch_slots: 432_000,
        first_caps: [379_000 * TOKEN, 569_000 * TOKEN],
        targets: [360_000 * TOKEN, 540_000 * TOKEN],
        decay: 1_896_000,
        demand_reference: 1_000_000 * TOKEN,
        power_reference: 1_000,
        nodes_reference: 100,
        utilisation_floor: ONE / 10,
        maximum_yield: ONE / 500,
        unit_reward: 100 * TOKEN,
        fee_offset_bps: 5_000,
        reserved: [0; 3],
    };

    /// Checks the hard bounds, which no authority can pass.
    pub fn check(&self) -> Result<()> {
        let mut within = self.reserved == [0; 3];
        self.bounds(&mut |_, value, least, most| within &= least <= value && value <= most);
        within = within && self.is_demand_worth_its_burn();
        if within { Ok(()) } else { Err(Error::ParameterOutOfBounds) }
    }

    /// Tells each value with its name and its hard bounds, least and most.
    #[inline(always)]
    pub fn bounds(&self, each: &mut impl FnMut(&'static str, u64, u64, u64)) {
        let (most, most_yield) = (self.per_epoch(MOST_EMISSION), self.per_epoch(MOST_YIELD));
        each("epoch slots", self.epoch_slots, 1_000, MAXIMUM_EPOCH_SLOTS);
        each("first cap for stake", self.first_caps[STAKING], 0, most);
        each("first cap for nodes", self.first_caps[NODES], 0, most);
        each("target for stake", self.targets[STAKING], 0, most);
        each("target for nodes", self.targets[NODES], 0, most);
        each("decay", self.decay, ONE / 100_000, ONE / 20);
        each("demand reference", self.demand_reference, TOKEN, CAP);
        each("power reference", self.power_reference, 1, MAXIMUM_COUNT / 1_000);
        each("nodes reference", self.nodes_reference, 1, 1 << 32);
        each("utilisation floor", self.utilisation_floor, 0, ONE / 2);
        each("maximum yield", self.maximum_yield, 0, most_yield);
        each("unit reward", self.unit_reward, 0, CAP / 10);
        each("fee offset", self.fee_offset_bps as u64, 0, BPS_ONE as u64);
    }

    /// What an epoch may have of an amount that [`BOUNDED_SLOTS`] may have: bounds hold in time, whatever is called an epoch.
    fn per_epoch(&self, most: Rate) -> u64 {
        self.epoch_slots.min(MAXIMUM_EPOCH_SLOTS).wrapping_mul(most.amount) / most.slots
    }

    /// Utilisation rises by at most 1 / D_ref per burned base unit, summed over the epochs that remember it, so emission rises by at most
    /// Σ targets / D_ref, which has to stay below 1.
    fn is_demand_worth_its_burn(&self) -> bool {
        let [staking, nodes] = self.targets;
        staking + nodes <= self.demand_reference / 10 * 9
    }
}

const _: () = assert!(size_of::<Schedule>() == 104);

/// Years after genesis before the team's part begins to vest, in slots.
pub const TEAM_CLIFF_SLOTS: u64 = YEAR_SLOTS;
/// From the cliff until all of it has vested.
pub const TEAM_VESTING_SLOTS: u64 = 4 * YEAR_SLOTS;

/// How much of `total` has vested `slots` slots after genesis: nothing for a year, then evenly over four.
pub fn vested(total: u64, slots: u64) -> Result<u64> {
    let since_cliff = slots.saturating_sub(TEAM_CLIFF_SLOTS).min(TEAM_VESTING_SLOTS);
    Ok(mul_div(total, since_cliff, TEAM_VESTING_SLOTS, Rounding::Down)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_may_have_its_part_of_what_two_days_may_rounded_down() {
        for epoch_slots in (0..MAXIMUM_EPOCH_SLOTS).step_by(997).chain([BOUNDED_SLOTS, MAXIMUM_EPOCH_SLOTS, u64::MAX]) {
            let schedule = Schedule { epoch_slots, ..Schedule::DEFAULT };
            for (rate, most) in [(MOST_EMISSION, CAP / 1_000), (MOST_YIELD, ONE / 100)] {
                let slots = epoch_slots.min(MAXIMUM_EPOCH_SLOTS);
                let part = mul_div(most, slots, BOUNDED_SLOTS, Rounding::Down).unwrap();
                assert_eq!(schedule.per_epoch(rate), part, "{epoch_slots} slots");
            }
        }
    }
}

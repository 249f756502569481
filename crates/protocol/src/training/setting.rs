//! Steered settings of a job: numbers that patrons move by stake, within bounds that the job's creator set.
//!
//! A setting has two attention pools, "down" and "up", which are staked on, locked, voted for and time-weighted like a domain's. When a
//! round opens, the setting is the mean of its lower bound, its default and its upper bound, weighted by the stake that leans down,
//! a virtual stake that the creator put on the default, and the stake that leans up.
//!
//! Invariants: a setting lies between its bounds; without stake it is its default; stake that leans up never lowers it, stake that
//! leans down never raises it.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;

use crate::{
    Error, Result,
    ground::layout::layout,
    ground::units::{CAP, TOKEN},
    training::job::{JobSpec, MAX_DOMAINS},
};

/// Most settings of a job.
pub const MAX_SETTINGS: usize = 4;
/// Attention pools that a job can have: one for each domain, then down and up of each setting.
pub const MAX_ATTENTION_POOLS: usize = MAX_DOMAINS + 2 * MAX_SETTINGS;
/// One, as settings count: they are multiples of 2⁻¹⁶.
pub const SETTING_ONE: u32 = 1 << 16;

/// What a setting's number means to the graph that reads it: the learning rate is multiplied by it.
pub const LEARNING_RATE: u32 = 1;
/// The weight decay is multiplied by it.
pub const WEIGHT_DECAY: u32 = 2;

layout! {
    /// A number that patrons steer. All zero if there is none.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Setting {
        /// What it means: [`LEARNING_RATE`], [`WEIGHT_DECAY`], another number that only the graph knows; 0 if there is no setting here.
        pub meaning: u32,
        /// Least value, multiples of 2⁻¹⁶.
        pub lower: u32,
        /// Greatest value, multiples of 2⁻¹⁶.
        pub upper: u32,
        /// Value without stake, multiples of 2⁻¹⁶.
        pub default: u32,
        /// Virtual stake on the default, whole tokens: as much stake on one side goes half of the way to its bound.
        pub default_weight: u32,
    }
}

/// Where a setting's stake leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// Towards the lower bound.
    Down = 0,
    /// Towards the upper bound.
    Up = 1,
}

/// Number of the attention pool of a side of a setting: those of the domains come first.
pub const fn attention_number(setting: u32, side: Side) -> u32 {
    MAX_DOMAINS as u32 + 2 * setting + side as u32
}

impl Setting {
    /// The setting that multiplies what `meaning` says, from `lower` to `upper`.
    pub const fn new(meaning: u32, [lower, default, upper]: [u32; 3], default_weight: u32) -> Setting {
        Setting { meaning, lower, upper, default, default_weight }
    }

    /// Name of a meaning that graphs share; `None` if only the job's graph knows it.
    pub const fn known_name(&self) -> Option<&'static str> {
        match self.meaning {
            LEARNING_RATE => Some("learning-rate"),
            WEIGHT_DECAY => Some("weight-decay"),
            _ => None,
        }
    }

    /// Whether there is a setting.
    pub const fn exists(&self) -> bool {
        self.meaning != 0
    }

    /// Checks bounds, default and virtual stake.
    fn check(&self) -> Result<()> {
        let is_ordered = self.lower < self.upper && self.lower <= self.default && self.default <= self.upper;
        let has_weight = self.default_weight >= 1 && self.default_weight as u64 <= CAP / TOKEN;
        if is_ordered && has_weight { Ok(()) } else { Err(Error::WrongSetting) }
    }

    /// The setting for so much stake that leans down and up, base units: the weighted mean, rounded down.
    pub fn value(&self, down: u64, up: u64) -> Result<u32> {
        let fixed = int::mul(self.default_weight as u64, TOKEN)?;
        let total = int::add(int::add(fixed, down)?, up)?;
        let (rise, span) = (self.default.wrapping_sub(self.lower), self.upper.wrapping_sub(self.lower));
        let (high, low) = int::widening_mul(fixed, rise as u64);
        let (more_high, more_low) = int::widening_mul(up, span as u64);
        let (low, carry) = low.overflowing_add(more_low);
        // Each high word is below 2³².
        let high = high + more_high + carry as u64;
        let (above, _) = int::wide_div(high, low, total).ok_or(Error::DivisionByZero)?;
        // The mean of numbers from 0 to the span is at most the span.
        Ok(self.lower.wrapping_add(above as u32))
    }
}

/// Checks a job's settings: those that exist come first, within their limits, each meaning once.
pub(crate) fn check(settings: &[Setting; MAX_SETTINGS]) -> Result<()> {
    let count = settings.iter().take_while(|setting| setting.exists()).count();
    for (number, setting) in settings.iter().enumerate() {
        if number >= count {
            if *setting != Setting::default() {
                return Err(Error::WrongSetting);
            }
            continue;
        }
        setting.check()?;
        if settings.iter().take(number).any(|earlier| earlier.meaning == setting.meaning) {
            return Err(Error::WrongSetting);
        }
    }
    Ok(())
}

/// What stake made of a job when a round opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Part of each domain in the round's batches, basis points.
    pub mixture_bps: [u16; MAX_DOMAINS],
    /// Settings, multiples of 2⁻¹⁶; 0 where there is none.
    pub settings: [u32; MAX_SETTINGS],
    /// Domains by bit of which somebody has stake that earns.
    pub patron_domains: u8,
}

impl Snapshot {
    /// Notes that somebody has stake that earns in the attention pool of this number, if that is a domain's.
    pub fn add_patrons(&mut self, number: u32) {
        if number < MAX_DOMAINS as u32 {
            self.patron_domains |= 1 << number;
        }
    }
}

impl JobSpec {
    /// Settings of the job.
    pub fn setting_count(&self) -> usize {
        self.settings.iter().take_while(|setting| setting.exists()).count()
    }

    /// Numbers of the attention pools: every domain's, then down and up of every setting. Rounds are opened with all of them, in this order.
    pub fn attention_numbers(&self) -> impl Iterator<Item = u32> {
        let first = MAX_DOMAINS as u32;
        (0..self.domain_count as u32).chain(first..first + 2 * self.setting_count() as u32)
    }

    /// Whether the job has an attention pool of this number.
    pub fn has_attention(&self, number: u32) -> bool {
        self.attention_numbers().any(|known| known == number)
    }

    /// The mixture and the settings that follow from stake: time-weighted, in base units, by number of the attention pool.
    pub fn snapshot(&self, weights: &[u64; MAX_ATTENTION_POOLS]) -> Result<Snapshot> {
        let (domains, sides) = weights.split_at(MAX_DOMAINS);
        let domains = domains.get(..self.domain_count as usize).ok_or(Error::TooManyDomains)?;
        let mut snapshot = Snapshot { mixture_bps: self.mixture(domains)?, ..Snapshot::default() };
        let settings = self.settings.iter().zip(sides.chunks_exact(2));
        for (value, (setting, stake)) in snapshot.settings.iter_mut().zip(settings) {
            if let (true, &[down, up]) = (setting.exists(), stake) {
                *value = setting.value(down, up)?;
            }
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Setting = Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);

    /// The worked example of docs/economics.md.
    #[test]
    fn the_documented_example_is_what_the_formula_gives() {
        assert_eq!(RATE.value(0, 0), Ok(65_536));
        // 0.5 + (1,000 · 0.5 + 300 · 1.5) / 1,300 = 1.230769…
        assert_eq!(RATE.value(0, 300 * TOKEN), Ok(80_659));
        // 0.5 + (1,000 · 0.5 + 300 · 1.5) / 1,500 = 1.1333…
        assert_eq!(RATE.value(200 * TOKEN, 300 * TOKEN), Ok(74_274));
        assert_eq!(RATE.value(0, 1_000 * TOKEN), Ok(98_304), "as much stake as the default has: half of the way");
        assert_eq!(RATE.value(1_000 * TOKEN, 0), Ok(49_152));
        assert_eq!(RATE.value(0, TOKEN), Ok(65_601), "one token moves it by a thousandth of the way");
    }

    #[test]
    fn settings_out_of_order_or_without_weight_are_refused() {
        let none = Setting::default();
        let decay = Setting { meaning: WEIGHT_DECAY, ..RATE };
        for good in [[none; 4], [RATE, none, none, none], [RATE, decay, none, none]] {
            assert_eq!(check(&good), Ok(()));
        }
        let wrong = [
            Setting { lower: RATE.upper, ..RATE },
            Setting { default: RATE.lower - 1, ..RATE },
            Setting { default: RATE.upper + 1, ..RATE },
            Setting { default_weight: 0, ..RATE },
            Setting { default_weight: 1_000_000_001, ..RATE },
        ];
        for setting in wrong {
            assert_eq!(check(&[setting, none, none, none]), Err(Error::WrongSetting), "{setting:?}");
        }
        for settings in [[none, RATE, none, none], [RATE, RATE, none, none], [RATE, none, none, decay]] {
            assert_eq!(check(&settings), Err(Error::WrongSetting));
        }
        assert_eq!(check(&[RATE, Setting { lower: 1, ..none }, none, none]), Err(Error::WrongSetting));
    }

    #[test]
    fn a_job_has_the_pools_of_its_domains_and_settings_and_no_others() {
        let spec = JobSpec {
            domain_count: 2,
            settings: [RATE, Setting { meaning: 7, ..RATE }, Setting::default(), Setting::default()],
            ..JobSpec::default()
        };
        assert!(spec.attention_numbers().eq([0, 1, 8, 9, 10, 11]));
        assert!([2, 7, 12, u32::MAX].iter().all(|number| !spec.has_attention(*number)));
        assert_eq!((attention_number(0, Side::Down), attention_number(1, Side::Up)), (8, 11));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn settings_stay_within_their_bounds_and_follow_stake(
            bounds in prop::array::uniform3(any::<u32>()), weight in 1u32..=1_000_000_000,
            down in prop_oneof![0..=3 * CAP, 0..TOKEN], up in prop_oneof![0..=3 * CAP, 0..TOKEN], more in 0..=CAP,
        ) {
            let mut bounds = bounds;
            bounds.sort_unstable();
            prop_assume!(bounds[0] < bounds[2]);
            let setting = Setting::new(LEARNING_RATE, bounds, weight);
            prop_assert_eq!(setting.check(), Ok(()));
            let value = setting.value(down, up).unwrap();
            prop_assert!((bounds[0]..=bounds[2]).contains(&value));
            prop_assert_eq!(setting.value(0, 0), Ok(bounds[1]));
            prop_assert!(setting.value(down, up + more).unwrap() >= value);
            prop_assert!(setting.value(down + more, up).unwrap() <= value);
            // Exactly the mean, by arithmetic of twice the width.
            let (fixed, d, u) = (u128::from(weight) * u128::from(TOKEN), u128::from(down), u128::from(up));
            let sum = fixed * u128::from(bounds[1]) + d * u128::from(bounds[0]) + u * u128::from(bounds[2]);
            prop_assert_eq!(u128::from(value), sum / (fixed + d + u));
        }
    }
}

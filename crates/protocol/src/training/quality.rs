//! Quality: a round's improvement against the improvement that its predecessors let expect at this point of the curve.
//!
//! Improvements shrink as a model learns, so that a part of their average would pay honest work less and less. Here each of the last
//! eight improvements is carried forward at the usual pace, the median ratio of two that follow each other, and the least of these forecasts is
//! expected; three quarters of it are paid fully. The least, because a mixture or a setting that patrons steer may lower the
//! improvement for good in one round, and because what work brings scatters from round to round. `sip quality` plays curves
//! and strategies on these very transitions.
//!
//! Invariants: quality lies in [0, 1]; without improvement it is 0, and never decreases with the improvement; the pace is at most
//! 1, never expects more than was seen, and changes at most by a factor of √2 a round; a [`Fit`] is all that a round's quality
//! depends on beside its own improvement, and is part of what an undone round gives back ([`Standing`](crate::training::finality::Standing)).

use bytemuck::{Pod, Zeroable};

use crate::{ground::layout::layout, training::round::QUALITY_ONE};

/// Improvements that a job remembers.
pub const REMEMBERED: usize = 8;
/// One, as a pace counts.
pub const PACE_ONE: u32 = 1 << 16;
/// The fastest fall that is followed, and what is assumed before there is any pace: each improvement a third of the last.
pub const PACE_LEAST: u32 = PACE_ONE / 3;
/// √2 as a pace counts, rounded down: the most by which the pace changes in a round.
const PACE_STEP: u64 = 92_681;
/// The part of what was expected that is paid fully, as two terms of a fraction.
const FULL: (u64, u64) = (3, 4);
/// What an improvement is remembered as lies between a half of what was expected and four times that.
const REMEMBERED_LEAST_PART: u64 = 2;
const REMEMBERED_MOST_TIMES: u64 = 4;
/// Forecasts are counted in 1 / 2^this of a micro-nat, so that small improvements do not round away.
const FORECAST_SHIFT: u32 = 8;

layout! {
    /// What a job remembers of its curve.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Fit {
        /// The last improvements, micro-nats per token, oldest first; never 0 where `count` says that there is one.
        pub improvements: [u32; REMEMBERED],
        /// How many of them count, the last ones.
        pub count: u32,
        /// The usual ratio of an improvement to the one before, of [`PACE_ONE`]; 0 before there are two.
        pub pace: u32,
    }
}

impl Fit {
    /// The improvements that count, oldest first.
    pub fn remembered(&self) -> &[u32] {
        let count = (self.count as usize).min(REMEMBERED);
        self.improvements.get(REMEMBERED - count..).unwrap_or(&[])
    }

    /// What the next round is expected to improve, in 2⁻⁸ micro-nats per token; 0 before any improvement.
    fn forecast(&self) -> u64 {
        let pace = if self.pace == 0 { PACE_LEAST } else { self.pace } as u64;
        let mut least = u64::MAX;
        for improvement in self.remembered() {
            // Below 2⁴⁰, and a pace is at most 2¹⁶.
            least = least.min((*improvement as u64) << FORECAST_SHIFT).wrapping_mul(pace) >> 16;
        }
        if self.count == 0 { 0 } else { least }
    }

    /// What the next round is expected to improve, micro-nats per token, rounded down; 0 before any improvement.
    pub fn expected(&self) -> u32 {
        (self.forecast() >> FORECAST_SHIFT) as u32
    }

    /// Quality of a round's improvement, micro-nats per token, of [`QUALITY_ONE`]; and remembers the improvement.
    ///
    /// Before there is any, every improvement has quality 1.
    pub fn judge(&mut self, improvement: u32) -> u64 {
        if self.count == 0 {
            if improvement == 0 {
                return 0;
            }
            self.remember(improvement);
            return QUALITY_ONE;
        }
        let forecast = self.forecast();
        let least = (forecast >> FORECAST_SHIFT) / REMEMBERED_LEAST_PART;
        let most = ((forecast >> FORECAST_SHIFT) + 1).wrapping_mul(REMEMBERED_MOST_TIMES);
        self.remember((improvement as u64).min(most).max(least).clamp(1, u32::MAX as u64) as u32);
        // Both products are below 2⁴³, and the last one below 2⁶²: it is reached only with a part below a forecast of at most 2⁴⁰.
        let (part, whole) =
            (((improvement as u64) << FORECAST_SHIFT).wrapping_mul(FULL.1), forecast.wrapping_mul(FULL.0));
        if improvement == 0 {
            0
        } else if part >= whole {
            QUALITY_ONE
        } else {
            // 2²⁰ steps are finer than what scores can tell apart.
            let steps = (part << 20) / whole;
            steps.wrapping_mul(QUALITY_ONE) >> 20
        }
    }

    /// Remembers an improvement that is not 0, and follows the median of the ratios.
    fn remember(&mut self, improvement: u32) {
        self.improvements.copy_within(1.., 0);
        self.improvements[REMEMBERED - 1] = improvement;
        self.count = (self.count + 1).min(REMEMBERED as u32);
        let Some(median) = self.median_ratio() else { return };
        let mut pace = median.clamp(PACE_LEAST as u64, PACE_ONE as u64);
        if self.pace != 0 {
            let former = self.pace as u64;
            let (least, most) = ((former << 16) / PACE_STEP, former.wrapping_mul(PACE_STEP) >> 16);
            pace = pace.clamp(least, most).clamp(PACE_LEAST as u64, PACE_ONE as u64);
        }
        self.pace = pace as u32;
    }

    /// The lower median of the ratios of neighbours, of [`PACE_ONE`]; `None` before there are two improvements.
    fn median_ratio(&self) -> Option<u64> {
        let mut ratios = [0u64; REMEMBERED - 1];
        let mut count = 0;
        for pair in self.remembered().windows(2) {
            let (before, after) = (pair[0] as u64, pair[1] as u64);
            // Insertion keeps them in order.
            let ratio = (after << 16).checked_div(before)?;
            let mut at = count;
            while at > 0 && ratios[at - 1] > ratio {
                ratios[at] = ratios[at - 1];
                at -= 1;
            }
            ratios[at] = ratio;
            count += 1;
        }
        if count == 0 { None } else { ratios.get((count - 1) / 2).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn qualities(improvements: &[u32]) -> Vec<u64> {
        let mut fit = Fit::default();
        improvements.iter().map(|improvement| fit.judge(*improvement)).collect()
    }

    #[test]
    fn improvements_that_shrink_evenly_are_paid_fully() {
        for percent in [40u64, 60, 75, 90, 97, 100] {
            let mut improvement = 4_000_000u64;
            let mut curve = Vec::new();
            while improvement > 200 && curve.len() < 100 {
                curve.push(improvement as u32);
                improvement = improvement * percent / 100;
            }
            assert!(qualities(&curve).iter().all(|quality| *quality == QUALITY_ONE), "{percent} %");
        }
    }

    #[test]
    fn a_part_of_what_was_expected_is_paid_as_a_part() {
        let mut fit = Fit::default();
        for _ in 0..10 {
            assert_eq!(fit.judge(60_000), QUALITY_ONE);
        }
        assert_eq!((fit.pace, fit.expected()), (PACE_ONE, 60_000));
        let at = |improvement: u32| {
            let mut fit = fit;
            fit.judge(improvement)
        };
        assert_eq!((at(45_000), at(44_999) < QUALITY_ONE, at(0)), (QUALITY_ONE, true, 0));
        assert!(at(22_500).abs_diff(QUALITY_ONE / 2) < 1_000);
        assert_eq!(fit.judge(0), 0);
        assert_eq!(fit.remembered().last(), Some(&30_000), "no round counts as less than half of what was expected");
    }

    #[test]
    fn a_fall_for_good_costs_its_first_round_alone() {
        let curve: Vec<u32> = [100_000; 10].into_iter().chain([50_000; 10]).collect();
        let paid = qualities(&curve);
        assert!(paid[10].abs_diff(QUALITY_ONE / 3 * 2) < 1_000);
        assert!(paid.iter().enumerate().all(|(round, quality)| round == 10 || *quality == QUALITY_ONE));
    }

    #[test]
    fn before_any_improvement_there_is_nothing_to_expect() {
        let mut fit = Fit::default();
        assert_eq!((fit.expected(), fit.judge(0), fit), (0, 0, Fit::default()));
        assert_eq!((fit.judge(300), fit.expected()), (QUALITY_ONE, 99));
        assert_eq!(fit.judge(1), second_quality(300, 1));
    }

    /// Quality of a second improvement by the rule's words.
    fn second_quality(first: u64, second: u64) -> u64 {
        let forecast = ((first << 8) * PACE_LEAST as u64) >> 16;
        ((((second << 8) * 4) << 20) / (forecast * 3) * QUALITY_ONE) >> 20
    }

    proptest! {
        #[test]
        fn quality_is_a_part_that_grows_with_the_improvement(
            past in prop::collection::vec(any::<u32>().prop_flat_map(|most| 0..=most), 0..40),
            (less, more) in (any::<u32>(), any::<u32>()),
        ) {
            let mut fit = Fit::default();
            for improvement in past {
                let former = fit.pace;
                prop_assert!(fit.judge(improvement) <= QUALITY_ONE);
                prop_assert!(fit.pace <= PACE_ONE && (fit.pace >= PACE_LEAST || fit.count < 2));
                if former != 0 {
                    let (least, most) = (former.min(fit.pace) as u64, former.max(fit.pace) as u64);
                    prop_assert!(most * 100_000 <= (least + 2) * 141_422);
                }
                prop_assert!(fit.remembered().iter().all(|improvement| *improvement != 0));
                let smallest = fit.remembered().iter().min().copied().unwrap_or(0);
                prop_assert!(fit.expected() <= smallest);
            }
            let judged = |improvement: u32| { let mut fit = fit; fit.judge(improvement) };
            prop_assert!(judged(less.min(more)) <= judged(less.max(more)));
            prop_assert_eq!(judged(0), 0);
        }
    }
}

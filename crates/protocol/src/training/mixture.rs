//! How stake becomes the data mixture: bounded water-filling.
//!
//! Invariants: the parts of all domains add up to 10 000 basis points; each lies between the floor and the cap; without any stake
//! the mixture is uniform; more stake on a domain never gives it less, up to the basis points of rounding.

use sip_arith::int::{BPS_ONE, Rounding, add, isqrt_u64, mul_div};

use crate::{Error, Result, training::job::MAX_DOMAINS};

/// How a mixture follows stake. Either way floor and cap hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// A domain's part is proportional to its stake.
    Linear = 0,
    /// It is proportional to the square root of its stake: four times the stake counts twice. The root is that of the domain's total, so
    /// that splitting stake over wallets gains nothing.
    SquareRoot = 1,
}

impl Mode {
    /// The mode of a byte.
    pub const fn from_byte(byte: u8) -> Result<Mode> {
        match byte {
            0 => Ok(Mode::Linear),
            1 => Ok(Mode::SquareRoot),
            _ => Err(Error::WrongMixtureMode),
        }
    }

    /// What a domain's stake weighs: base units, or the greatest integer whose square is at most these.
    fn weight(self, stake: u64) -> u64 {
        match self {
            Mode::Linear => stake,
            Mode::SquareRoot => isqrt_u64(stake) as u64,
        }
    }
}

/// [`fill`] of what stake weighs in this mode, between a floor and a cap.
pub fn fill_by(mode: Mode, stake: &[u64], [floor_bps, cap_bps]: [u16; 2]) -> Result<[u16; MAX_DOMAINS]> {
    let mut weights = [0; MAX_DOMAINS];
    for (weight, stake) in weights.iter_mut().zip(stake) {
        *weight = mode.weight(*stake);
    }
    let weights = weights.get(..stake.len()).ok_or(Error::TooManyDomains)?;
    fill(weights, floor_bps, cap_bps)
}

/// Checks that some mixture over `domains` domains has every part between floor and cap.
pub fn check_bounds(domains: usize, floor_bps: u16, cap_bps: u16) -> Result<()> {
    let (floor, cap, one) = (floor_bps as usize, cap_bps as usize, BPS_ONE as usize);
    if floor > cap || cap > one || floor * domains > one || cap * domains < one {
        return Err(Error::WrongMixtureBounds);
    }
    Ok(())
}

/// The mixture of `weights` (stake per domain, base units): proportional to the weights where floor and cap admit it, the
/// rest at floor or cap. Domains beyond `weights` get 0.
///
/// Fails on bounds that admit no mixture ([`check_bounds`]) and on weights whose sum overflows.
pub fn fill(weights: &[u64], floor_bps: u16, cap_bps: u16) -> Result<[u16; MAX_DOMAINS]> {
    let count = weights.len();
    if count == 0 || count > MAX_DOMAINS {
        return Err(Error::TooManyDomains);
    }
    check_bounds(count, floor_bps, cap_bps)?;
    let mut parts = [0u16; MAX_DOMAINS];
    let mut is_fixed = [false; MAX_DOMAINS];
    let mut remaining = BPS_ONE;

    // Each pass fixes the domains on the side that is further out of bounds; at most one pass per domain.
    for _ in 0..count {
        let mut total = 0;
        let mut free = 0;
        for (weight, fixed) in weights.iter().zip(is_fixed) {
            if !fixed {
                total = add(total, *weight)?;
                free += 1;
            }
        }
        if free == 0 {
            break;
        }
        let (mut deficit, mut surplus) = (0u32, 0u32);
        for domain in 0..count {
            if is_fixed[domain] {
                continue;
            }
            let part = if total == 0 {
                remaining / free
            } else {
                mul_div(remaining as u64, weights[domain], total, Rounding::Down)? as u16
            };
            parts[domain] = part;
            deficit += floor_bps.saturating_sub(part) as u32;
            surplus += part.saturating_sub(cap_bps) as u32;
        }
        if deficit == 0 && surplus == 0 {
            break;
        }
        for domain in 0..count {
            if is_fixed[domain] {
                continue;
            }
            let bound = if deficit >= surplus && parts[domain] < floor_bps {
                floor_bps
            } else if deficit < surplus && parts[domain] > cap_bps {
                cap_bps
            } else {
                continue;
            };
            parts[domain] = bound;
            is_fixed[domain] = true;
            remaining = remaining.saturating_sub(bound);
        }
    }

    level(&mut parts[..count], floor_bps, cap_bps);
    Ok(parts)
}

/// Hands out, or takes back, the few basis points that rounding left: one per domain and pass, lowest domain first.
fn level(parts: &mut [u16], floor_bps: u16, cap_bps: u16) {
    for part in parts.iter_mut() {
        *part = (*part).clamp(floor_bps, cap_bps);
    }
    let mut sum: u32 = parts.iter().map(|part| *part as u32).sum();
    while sum != BPS_ONE as u32 {
        let before = sum;
        for part in parts.iter_mut() {
            if sum < BPS_ONE as u32 && *part < cap_bps {
                *part += 1;
                sum += 1;
            } else if sum > BPS_ONE as u32 && *part > floor_bps {
                *part -= 1;
                sum -= 1;
            }
        }
        // Bounds that admit a mixture always leave room; without room there is nothing to do.
        if sum == before {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_stake_is_uniform() {
        assert_eq!(fill(&[0, 0, 0], 0, 10_000).unwrap()[..4], [3_334, 3_333, 3_333, 0]);
    }

    #[test]
    fn stake_within_bounds_is_proportional() {
        assert_eq!(fill(&[1, 2, 7], 500, 8_000).unwrap()[..3], [1_000, 2_000, 7_000]);
    }

    #[test]
    fn floors_and_caps_hold_and_the_rest_stays_proportional() {
        assert_eq!(fill(&[0, 0, 9], 1_000, 6_000).unwrap()[..3], [2_000, 2_000, 6_000]);
        assert_eq!(fill(&[0, 30, 10], 2_000, 10_000).unwrap()[..3], [2_000, 6_000, 2_000]);
        assert_eq!(fill(&[u64::MAX / 2, 1], 100, 9_900).unwrap()[..2], [9_900, 100]);
    }

    #[test]
    fn bounds_without_a_mixture_are_refused() {
        assert_eq!(fill(&[1, 1, 1], 4_000, 5_000), Err(Error::WrongMixtureBounds));
        assert_eq!(fill(&[1, 1, 1], 0, 3_000), Err(Error::WrongMixtureBounds));
        assert_eq!(fill(&[1, 1], 6_000, 5_000), Err(Error::WrongMixtureBounds));
        assert_eq!(fill(&[], 0, 10_000), Err(Error::TooManyDomains));
        assert_eq!(fill(&[1; 9], 0, 10_000), Err(Error::TooManyDomains));
        assert_eq!(fill(&[u64::MAX, 1], 0, 10_000), Err(Error::Overflow));
    }

    /// The worked examples of docs/economics.md: 100, 400 and 2 500 tokens.
    #[test]
    fn the_documented_examples_are_what_the_rule_gives() {
        let stake = [100, 400, 2_500].map(|tokens| tokens * crate::ground::units::TOKEN);
        let fill = |mode, floor, cap| fill_by(mode, &stake, [floor, cap]).unwrap()[..3].to_vec();
        assert_eq!(fill(Mode::Linear, 0, 10_000), [334, 1_333, 8_333]);
        assert_eq!(fill(Mode::Linear, 500, 10_000), [501, 1_310, 8_189]);
        assert_eq!(fill(Mode::Linear, 500, 6_000), [800, 3_200, 6_000]);
        assert_eq!(fill(Mode::SquareRoot, 0, 10_000), [1_250, 2_500, 6_250]);
        assert_eq!(fill(Mode::SquareRoot, 0, 5_000), [1_667, 3_333, 5_000]);
    }

    #[test]
    fn modes_are_two_and_roots_are_exact() {
        assert_eq!(Mode::from_byte(2), Err(Error::WrongMixtureMode));
        for (stake, root) in [(0, 0), (3, 1), (4, 2), (u64::MAX, u32::MAX as u64)] {
            assert_eq!((Mode::SquareRoot.weight(stake), Mode::Linear.weight(stake)), (root, stake));
        }
        assert_eq!(fill_by(Mode::SquareRoot, &[0; 4], [0, 10_000]).unwrap()[..4], [2_500; 4]);
        assert_eq!(fill_by(Mode::SquareRoot, &[1; 9], [0, 10_000]), Err(Error::TooManyDomains));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn more_stake_never_gives_a_domain_less(
            stake in prop::collection::vec(prop_oneof![Just(0u64), 0u64..1000, 0u64..1 << 60], 1..=8),
            floor in 0u16..=10_000, cap in 0u16..=10_000, square_root in any::<bool>(),
            domain in 0usize..8, more in prop_oneof![0u64..1000, 0u64..1 << 60],
        ) {
            let count = stake.len();
            let (floor, cap) = (floor / count as u16, cap.max(10_000u16.div_ceil(count as u16)));
            let mode = if square_root { Mode::SquareRoot } else { Mode::Linear };
            let (domain, mut greater) = (domain % count, stake.clone());
            greater[domain] += more;
            let (before, after) = [&stake, &greater].map(|stake| fill_by(mode, stake, [floor, cap]).unwrap()).into();
            for parts in [&before, &after] {
                prop_assert_eq!(parts.iter().map(|part| *part as u32).sum::<u32>(), 10_000);
                prop_assert!(parts[..count].iter().all(|part| (floor..=cap).contains(part)));
            }
            prop_assert!(after[domain] + 8 >= before[domain], "{:?} {:?}", before, after);
            if stake.iter().all(|stake| *stake == 0) {
                let (least, most) = (before[..count].iter().min(), before[..count].iter().max());
                prop_assert!(most.unwrap() - least.unwrap() <= 1);
            }
        }

        #[test]
        fn mixtures_are_whole_bounded_and_follow_stake(
            weights in prop::collection::vec(prop_oneof![Just(0u64), 0u64..1000, 0u64..1 << 60], 1..=8),
            floor in 0u16..=10_000, cap in 0u16..=10_000,
        ) {
            let count = weights.len();
            let floor = floor / count as u16;
            let cap = cap.max(10_000u16.div_ceil(count as u16));
            let parts = fill(&weights, floor, cap).unwrap();
            prop_assert_eq!(parts.iter().map(|part| *part as u32).sum::<u32>(), 10_000);
            for (a, part) in parts.iter().enumerate() {
                if a >= count {
                    prop_assert_eq!(*part, 0);
                    continue;
                }
                prop_assert!((floor..=cap).contains(part));
                for b in 0..count {
                    // More stake never gives less, up to the basis points of rounding.
                    if weights[a] > weights[b] {
                        prop_assert!(*part + 8 >= parts[b], "{:?} {:?}", weights, parts);
                    }
                }
            }
        }
    }
}

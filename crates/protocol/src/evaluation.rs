//! The evaluation of a round: scores committed, revealed, and their stake-weighted median.
//!
//! Invariants: a score is revealed only when no score can be committed any more; an evaluator commits and reveals once; quality lies
//! in [0, 1]; the median is a value that an evaluator revealed.

use sip_arith::int::{BPS_ONE, Rounding, mul_div};

use sip_proof::Sha256;

use crate::{
    Address, Error, Result,
    audit::Actor,
    config::Config,
    job::{Job, MAX_DOMAINS, MAX_EVALUATORS},
    pool::{Pool, PoolKind},
    round::{self, EvaluatorSeat, QUALITY_ONE, Round},
};

/// The evaluator has done nothing.
pub const ABSENT: u8 = 0;
/// It committed; after the tally: it never revealed.
pub const COMMITTED: u8 = 1;
/// It revealed.
pub const REVEALED: u8 = 2;
/// The tally found its scores within the tolerance.
pub const WITHIN: u8 = 3;
/// The tally found a score off.
pub const OFF: u8 = 4;

/// The moving average of improvements moves by 1 / 2^this of the difference.
const AVERAGE_SHIFT: u32 = 2;

fn seat<'a>(round: &'a mut Round, job: &Job, actor: &Actor) -> Result<&'a mut EvaluatorSeat> {
    job.require_place(PoolKind::Evaluator, actor.place, actor.pool)?;
    if actor.place >= round.evaluator_count {
        return Err(Error::WrongPlace);
    }
    round.evaluators.get_mut(actor.place as usize).ok_or(Error::WrongPlace)
}

/// Whether all evaluators of the round have committed.
fn all_committed(round: &Round) -> bool {
    round.evaluators.iter().take(round.evaluator_count as usize).all(|seat| seat.status != ABSENT)
}

/// The commitment to scores: sha256(scores ‖ salt ‖ evaluator pool ‖ round).
pub fn commitment<H: Sha256>(
    scores: &[u32; MAX_DOMAINS],
    salt: &[u8; 32],
    pool: &Address,
    round: &Address,
) -> [u8; 32] {
    let mut bytes = [0u8; 4 * MAX_DOMAINS];
    for (chunk, score) in bytes.chunks_exact_mut(4).zip(scores) {
        chunk.copy_from_slice(&score.to_le_bytes());
    }
    H::hashv(&[&bytes, salt, pool, round])
}

/// Commits an evaluator's scores of the round's next base.
#[inline(always)]
pub fn commit_score(
    round: &mut Round,
    job: &Job,
    pool: &Pool,
    minimum_self_bond: u64,
    actor: &Actor,
    commitment: &[u8; 32],
) -> Result<()> {
    round.require_status(round::AGGREGATED)?;
    if actor.slot >= round.score_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    pool.require_bonded(minimum_self_bond)?;
    if *commitment == [0; 32] {
        return Err(Error::EmptyCommitment);
    }
    let seat = seat(round, job, actor)?;
    if seat.status != ABSENT {
        return Err(Error::AlreadyCommitted);
    }
    seat.commitment = *commitment;
    seat.stake = pool.stake()?;
    seat.status = COMMITTED;
    Ok(())
}

/// Reveals committed scores, once no further commitment is possible.
#[inline(always)]
pub fn reveal_score<H: Sha256>(
    round: &mut Round,
    job: &Job,
    round_address: &Address,
    actor: &Actor,
    scores: &[u32; MAX_DOMAINS],
    salt: &[u8; 32],
) -> Result<()> {
    round.require_status(round::AGGREGATED)?;
    if actor.slot < round.score_deadline_slot && !all_committed(round) {
        return Err(Error::RevealNotOpen);
    }
    if actor.slot >= round.reveal_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    let seat = seat(round, job, actor)?;
    match seat.status {
        COMMITTED => {}
        ABSENT => return Err(Error::NothingCommitted),
        _ => return Err(Error::AlreadyRevealed),
    }
    if commitment::<H>(scores, salt, actor.pool, round_address) != seat.commitment {
        return Err(Error::WrongReveal);
    }
    seat.scores = *scores;
    seat.status = REVEALED;
    Ok(())
}

/// The lower weighted median: the least value that at least half of the weight does not exceed. `None` without weight.
///
/// The sum of weights is below 2⁶³ (they are stakes of one token).
pub fn weighted_median(values: &[(u32, u64)]) -> Option<u32> {
    let mut total = 0u64;
    for (_, weight) in values {
        total = total.checked_add(*weight)?;
    }
    let half = total.div_ceil(2);
    let mut median = None;
    for (candidate, weight) in values {
        if *weight == 0 || median.is_some_and(|best| best <= *candidate) {
            continue;
        }
        let mut below = 0u64;
        for (value, weight) in values {
            if value <= candidate {
                below += *weight;
            }
        }
        if below >= half {
            median = Some(*candidate);
        }
    }
    median
}

/// Mean of per-domain scores under a mixture, rounded down.
fn mixed(scores: &[u32; MAX_DOMAINS], mixture_bps: &[u16; MAX_DOMAINS]) -> u32 {
    let mut sum = 0u64;
    for (score, part) in scores.iter().zip(mixture_bps) {
        // At most 2³² · 10⁴ each, and the parts add up to 10⁴.
        sum = sum.wrapping_add((*score as u64).wrapping_mul(*part as u64));
    }
    (sum / BPS_ONE as u64) as u32
}

/// Quality of an improvement: its part of the moving average of improvements, at most 1.
fn quality(improvement: u64, average: u64) -> Result<u64> {
    if improvement == 0 {
        return Ok(0);
    }
    if average <= improvement {
        return Ok(QUALITY_ONE);
    }
    Ok(mul_div(QUALITY_ONE, improvement, average, Rounding::Down)?)
}

/// The reward of a round over all roles, base units.
pub(crate) fn reward(job: &Job, config: &Config) -> u64 {
    if job.rewarded != 0 { config.parameters.round_reward.min(config.buckets.operator_rewards) } else { 0 }
}

/// Ends the evaluation once every commitment is revealed, or at the deadline: medians, score, who was within the tolerance,
/// quality, and the round's reward.
///
/// The improvement compares the previous round's and this round's scores under this round's mixture, so that a change of
/// the mixture alone is no improvement. The first scored round has quality 1; a round that nobody scored has quality 0.
#[inline(always)]
pub fn tally(round: &mut Round, job: &mut Job, config: &Config, slot: u64) -> Result<()> {
    round.require_status(round::AGGREGATED)?;
    round.require_on_chain(job)?;
    let is_pending = round.evaluators.iter().any(|seat| seat.status == COMMITTED);
    let is_ready = !is_pending && (all_committed(round) || slot >= round.score_deadline_slot);
    if !is_ready && slot < round.reveal_deadline_slot {
        return Err(Error::TooEarly);
    }
    let domains = round.domain_count as usize;
    let mut values = [(0u32, 0u64); MAX_EVALUATORS];
    let mut is_scored = false;
    for domain in 0..domains.min(MAX_DOMAINS) {
        for (value, seat) in values.iter_mut().zip(&round.evaluators) {
            *value = (seat.scores[domain], if seat.status == REVEALED { seat.stake } else { 0 });
        }
        if let Some(median) = weighted_median(&values) {
            round.scores[domain] = median;
            is_scored = true;
        }
    }
    if is_scored {
        judge(round, domains, config.parameters.score_tolerance)?;
        round.score = mixed(&round.scores, &round.mixture_bps);
        if job.last_score == 0 {
            round.quality = QUALITY_ONE;
        } else {
            let before = mixed(&job.last_scores, &round.mixture_bps);
            let improvement = before.saturating_sub(round.score) as u64;
            round.quality = quality(improvement, job.improvement_average)?;
            let average = job.improvement_average;
            job.improvement_average = if average == 0 {
                improvement
            } else {
                average - (average >> AVERAGE_SHIFT) + (improvement >> AVERAGE_SHIFT)
            };
        }
        job.last_scores = round.scores;
        job.last_score = round.score;
    }
    round.reward = reward(job, config);
    round.status = round::SCORED;
    job.rounds_scored = job.rounds_scored.checked_add(1).ok_or(Error::Overflow)?;
    job.round_live = 0;
    Ok(())
}

/// Marks who lies within the tolerance of every median.
fn judge(round: &mut Round, domains: usize, tolerance: u32) -> Result<()> {
    let medians = round.scores;
    for seat in &mut round.evaluators {
        if seat.status != REVEALED {
            continue;
        }
        let is_within =
            seat.scores.iter().zip(&medians).take(domains).all(|(score, median)| score.abs_diff(*median) <= tolerance);
        if is_within {
            seat.status = WITHIN;
            round.evaluator_stake = round.evaluator_stake.checked_add(seat.stake).ok_or(Error::Overflow)?;
        } else {
            seat.status = OFF;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_median_is_the_lower_one_and_ignores_absent_stake() {
        assert_eq!(weighted_median(&[]), None);
        assert_eq!(weighted_median(&[(7, 0)]), None);
        assert_eq!(weighted_median(&[(7, 1), (9, 1)]), Some(7));
        assert_eq!(weighted_median(&[(9, 1), (7, 1), (8, 1)]), Some(8));
        assert_eq!(weighted_median(&[(100, 3), (1, 1), (2, 1)]), Some(100));
        assert_eq!(weighted_median(&[(1, 0), (5, 2), (9, 2)]), Some(5));
    }

    #[test]
    fn quality_is_the_clamped_ratio() {
        assert_eq!(quality(0, 0), Ok(0));
        assert_eq!(quality(5, 0), Ok(QUALITY_ONE));
        assert_eq!(quality(5, 10), Ok(QUALITY_ONE / 2));
        assert_eq!(quality(50, 10), Ok(QUALITY_ONE));
    }

    proptest! {
        #[test]
        fn the_median_has_half_the_stake_on_each_side(values in prop::collection::vec((0u32..50, 0u64..1 << 40), 1..16)) {
            let total: u64 = values.iter().map(|(_, weight)| weight).sum();
            match weighted_median(&values) {
                None => prop_assert_eq!(total, 0),
                Some(median) => {
                    let at_most: u64 = values.iter().filter(|(value, _)| *value <= median).map(|(_, weight)| weight).sum();
                    let below: u64 = values.iter().filter(|(value, _)| *value < median).map(|(_, weight)| weight).sum();
                    prop_assert!(at_most * 2 >= total);
                    prop_assert!(below * 2 <= total);
                    prop_assert!(values.iter().any(|(value, weight)| *value == median && *weight > 0));
                }
            }
        }
    }
}

//! The evaluation of a round: scores committed, revealed, and their stake-weighted median.
//!
//! Scores come from a *scoring run*: steps of a committed graph over the job's held-out windows (see [`sip_proof::sampler::HeldOut`]), which
//! read the weights of the round's next base and whose state is one tensor, u32 [8, 2]: for each domain the sum over its
//! tokens of their cross-entropies in whole micro-nats, a little-endian 64-bit integer. A run is committed like the steps of a
//! trainer: as the state root after the last step and the root over its step leaves.
//!
//! Invariants: a score is revealed only when no score can be committed any more; an evaluator commits and reveals once; a score follows
//! from the end state that was committed; quality lies in [0, 1]; the median is a value that an evaluator revealed.

use sip_arith::int::BPS_ONE;

use sip_proof::{Sha256, blake3, merkle};

use crate::{
    Address, Error, Result,
    stake::pool::{Pool, PoolKind},
    training::{
        attendance::early_end,
        audit::Actor,
        job::{Job, JobSpec, MAX_DOMAINS, MAX_EVALUATORS, bit},
        round::{self, EvaluatorSeat, QUALITY_ONE, Round},
        seats::require_unconvicted,
    },
};

pub mod run;

pub use run::{RunClaim, ScoringRun, dispute_deadline};

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

/// A dispute convicted its scoring run: its scores do not count.
pub const CONVICTED: u8 = 5;

fn seat<'a>(round: &'a mut Round, actor: &Actor) -> Result<&'a mut EvaluatorSeat> {
    round.require_holder(PoolKind::Evaluator, actor.place, actor.pool)?;
    round.evaluators.get_mut(actor.place as usize).ok_or(Error::WrongPlace)
}

/// Whether all evaluators that the round awaits have committed.
fn all_committed(round: &Round) -> bool {
    round.awaited_evaluators & !round.committed_scores == 0
}

/// State root of a scoring run whose sums are these.
pub fn sums_root<H: Sha256>(sums: &[u64; MAX_DOMAINS]) -> [u8; 32] {
    let mut bytes = [0u8; 8 * MAX_DOMAINS];
    for (chunk, sum) in bytes.chunks_exact_mut(8).zip(sums) {
        chunk.copy_from_slice(&sum.to_le_bytes());
    }
    merkle::leaf::<H>(&blake3::chunk_value(&bytes, 0, true))
}

/// Scores in micro-nats per token that sums give, rounded down. Whatever state an honest run of the creator's graph ends in, it can be
/// revealed: a mean beyond 2³² − 1 is that, and the sum of a domain that the job does not have is not read.
pub fn scores(spec: &JobSpec, sums: &[u64; MAX_DOMAINS]) -> Result<[u32; MAX_DOMAINS]> {
    // Both factors are below 2³².
    let tokens = (spec.score_windows as u64).wrapping_mul(spec.sequence_length as u64);
    let mut scores = [0; MAX_DOMAINS];
    for (score, sum) in scores.iter_mut().zip(sums).take(spec.domain_count as usize) {
        let mean = sum.checked_div(tokens).ok_or(Error::WrongJobShape)?;
        *score = mean.min(u32::MAX as u64) as u32;
    }
    Ok(scores)
}

/// What an evaluator claims of a scoring run that ended with these sums.
pub fn claim<H: Sha256>(spec: &JobSpec, sums: &[u64; MAX_DOMAINS], accumulator_root: &[u8; 32], place: u8) -> RunClaim {
    RunClaim {
        start_root: sums_root::<H>(&[0; MAX_DOMAINS]),
        end_root: sums_root::<H>(sums),
        accumulator_root: *accumulator_root,
        leaf_count: spec.score_leaf_count(),
        place,
        ..RunClaim::default()
    }
}

/// The commitment to a scoring run: sha256(end root ‖ accumulator root ‖ leaf count (u32) ‖ salt ‖ evaluator pool ‖ round).
pub fn commitment<H: Sha256>(claim: &RunClaim, salt: &[u8; 32], pool: &Address, round: &Address) -> [u8; 32] {
    H::hashv(&[&claim.end_root, &claim.accumulator_root, &claim.leaf_count.to_le_bytes(), salt, pool, round])
}

/// Commits an evaluator's scores of the round's next base.
#[inline(always)]
pub fn commit_score(round: &mut Round, job: &Job, pool: &mut Pool, actor: &Actor, commitment: &[u8; 32]) -> Result<()> {
    round.require_status(round::AGGREGATED)?;
    round.require_on_chain(job)?;
    if actor.slot >= round.score_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    if *commitment == [0; 32] {
        return Err(Error::EmptyCommitment);
    }
    require_unconvicted(pool)?;
    let is_counted = pool.pledge(job.spec.slice, &round.job)?;
    let seat = seat(round, actor)?;
    if seat.status != ABSENT {
        return Err(Error::AlreadyCommitted);
    }
    seat.commitment = *commitment;
    let stakes = pool.allotted(job.allotment(PoolKind::Evaluator, actor.place, actor.pool))?;
    // A score without weight is none: see [`crate::training::audit::reveal_draw`].
    if stakes.whole == 0 {
        return Err(Error::NothingAllotted);
    }
    (seat.stake, seat.own_stake) = (stakes.whole, stakes.own);
    (seat.slice, seat.is_counted) = (job.spec.slice, is_counted);
    seat.committed_slot = actor.slot;
    seat.status = COMMITTED;
    round.committed_scores |= bit(actor.place);
    if round.is_score_early == 0 {
        end_early(round, job, actor.slot)?;
    }
    Ok(())
}

/// Brings the end of the commitments forward once two thirds are in, and with it that of the reveals.
fn end_early(round: &mut Round, job: &Job, slot: u64) -> Result<()> {
    let phase = [round.aggregated_slot, round.score_deadline_slot];
    let end = early_end(phase, round.committed_scores, round.awaited_evaluators, slot);
    if end != 0 && end < round.score_deadline_slot {
        round.is_score_early = 1;
        round.score_deadline_slot = end;
        round.reveal_deadline_slot = round::deadline(end, job.spec.evaluation_slots)?;
    }
    Ok(())
}

/// What a revealed scoring run is checked against.
pub struct Reveal<'a> {
    /// The job.
    pub job: &'a Job,
    /// The round.
    pub round: &'a mut Round,
    /// The round's address.
    pub round_address: &'a Address,
    /// The evaluator's pool.
    pub pool: &'a Pool,
    /// The evaluator.
    pub actor: &'a Actor<'a>,
    /// Who pays the rent.
    pub payer: &'a Address,
    /// Sums in the run's last state.
    pub sums: &'a [u64; MAX_DOMAINS],
    /// Root over the run's step leaves.
    pub accumulator_root: &'a [u8; 32],
    /// Salt of the commitment.
    pub salt: &'a [u8; 32],
}

/// Reveals a committed scoring run, once no further commitment is possible: the scores count in the round, and the run stands
/// in an account of its own.
#[inline(always)]
pub fn reveal_score<H: Sha256>(run: &mut ScoringRun, reveal: Reveal) -> Result<()> {
    let Reveal { job, round, round_address, pool, actor, payer, sums, accumulator_root, salt } = reveal;
    round.require_status(round::AGGREGATED)?;
    round.require_on_chain(job)?;
    if actor.slot < round.score_deadline_slot && !all_committed(round) {
        return Err(Error::RevealNotOpen);
    }
    if actor.slot >= round.reveal_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    let round_job = round.job;
    let seat = seat(round, actor)?;
    match seat.status {
        COMMITTED => {}
        ABSENT => return Err(Error::NothingCommitted),
        _ => return Err(Error::AlreadyRevealed),
    }
    let claim = claim::<H>(&job.spec, sums, accumulator_root, actor.place);
    if commitment::<H>(&claim, salt, actor.pool, round_address) != seat.commitment {
        return Err(Error::WrongReveal);
    }
    seat.scores = scores(&job.spec, sums)?;
    seat.status = REVEALED;
    run.job = round_job;
    run.round = *round_address;
    run.pool = *actor.pool;
    run.operator = pool.scope;
    run.payer = *payer;
    run.claim = claim;
    run.stake = seat.stake;
    round.open_account()?;
    run.revealed_slot = actor.slot;
    run.status = run::REVEALED;
    Ok(())
}

/// Judges again those who are left, once what a round was scored by was convicted: who found the truth was off only beside it.
#[inline(never)]
pub(crate) fn rejudge(round: &mut Round, tolerance: u32) -> Result<()> {
    let Some(medians) = medians(round) else { return Ok(()) };
    round.scores = medians;
    round.evaluator_stake = 0;
    for seat in &mut round.evaluators {
        if matches!(seat.status, WITHIN | OFF) {
            seat.status = REVEALED;
        }
    }
    judge(round, round.domain_count as usize, tolerance)
}

/// Whether all who revealed, and were not convicted, found the same.
fn is_unanimous(round: &Round) -> bool {
    let mut revealed = round.evaluators.iter().filter(|seat| seat.status == REVEALED);
    let Some(first) = revealed.next() else { return true };
    revealed.all(|seat| seat.scores == first.scores)
}

/// Stake-weighted median of each domain over the evaluators that revealed and were not convicted; `None` without any.
pub(crate) fn medians(round: &Round) -> Option<[u32; MAX_DOMAINS]> {
    let mut values = [(0u32, 0u64); MAX_EVALUATORS];
    let mut medians = [0; MAX_DOMAINS];
    for (domain, median) in medians.iter_mut().enumerate().take(round.domain_count as usize) {
        for (value, seat) in values.iter_mut().zip(&round.evaluators) {
            let counts = matches!(seat.status, REVEALED | WITHIN | OFF);
            *value = (seat.scores[domain], if counts { seat.stake } else { 0 });
        }
        *median = weighted_median(&values)?;
    }
    Some(medians)
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

/// Ends the evaluation once every commitment is revealed, or at the deadline; if the scoring runs differ, one more time for reveals later,
/// whatever is disputed: medians, score, who was within the tolerance, and
/// quality. The caller draws the round's reward.
///
/// The improvement compares the previous round's and this round's scores under this round's mixture, so that a change of
/// the mixture alone is no improvement; [`crate::training::quality`] judges it. The first scored round has quality 1. A round without
/// a score that stands is void.
#[inline(always)]
pub fn tally(round: &mut Round, job: &mut Job, slot: u64) -> Result<()> {
    round.require_status(round::AGGREGATED)?;
    round.require_on_chain(job)?;
    let is_pending = round.evaluators.iter().any(|seat| seat.status == COMMITTED);
    let is_ready = !is_pending && (all_committed(round) || slot >= round.score_deadline_slot);
    if !is_ready && slot < round.reveal_deadline_slot {
        return Err(Error::TooEarly);
    }
    // An evaluator that found something else has the time to prove it; a run that is disputed counts as it stands.
    if !is_unanimous(round) && slot < dispute_deadline(round, job)? {
        return Err(Error::TooEarly);
    }
    round.note_votes(job, slot);
    round.note_scores(job, slot);
    let Some(medians) = medians(round) else {
        round.void_without_score(job, slot);
        return Ok(());
    };
    round.scores = medians;
    judge(round, round.domain_count as usize, job.parameters.score_tolerance)?;
    round.score = mixed(&round.scores, &round.mixture_bps);
    if job.last_score == 0 {
        round.quality = QUALITY_ONE;
    } else {
        let before = mixed(&job.last_scores, &round.mixture_bps);
        let improvement = before.saturating_sub(round.score);
        round.quality = job.fit.judge(improvement);
    }
    job.last_scores = round.scores;
    job.last_score = round.score;
    round.status = round::SCORED;
    round.scores_over_slot = slot;
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
    fn scores_are_sums_per_token_of_the_jobs_domains() {
        let spec = JobSpec { domain_count: 2, score_windows: 4, sequence_length: 8, ..JobSpec::default() };
        let sums = |first, second| [first, second, 0, 0, 0, 0, 0, 0];
        assert_eq!(scores(&spec, &sums(32 * 5_000_000 + 31, 64)), Ok([5_000_000, 2, 0, 0, 0, 0, 0, 0]));
        assert_eq!(scores(&spec, &sums(0, (32 << 32) - 1)), Ok([0, u32::MAX, 0, 0, 0, 0, 0, 0]));
        assert_eq!(scores(&spec, &sums(0, 32 << 32)).unwrap()[1], u32::MAX);
        assert_eq!(scores(&spec, &sums(0, u64::MAX)).unwrap()[1], u32::MAX);
        assert_eq!(scores(&spec, &[0, 0, 1, 0, 0, 0, 0, u64::MAX]), Ok([0; MAX_DOMAINS]));
        assert_eq!(scores(&JobSpec { score_windows: 0, ..spec }, &sums(0, 0)), Err(Error::WrongJobShape));
    }

    #[test]
    fn the_root_of_sums_is_that_of_a_state_of_one_tensor() {
        let sums = [1, 2 << 32, 3, u64::MAX, 5, 6, 7, 8];
        let tensor: Vec<u32> = sums.iter().flat_map(|sum: &u64| [*sum as u32, (*sum >> 32) as u32]).collect();
        let state = sip_proof::roots_tree(&[sip_proof::tensor_root(&tensor)]).root();
        assert_eq!(sums_root::<sip_proof::HostSha256>(&sums), state);
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

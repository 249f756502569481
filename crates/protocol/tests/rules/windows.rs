//! Every claim has a full window, whatever slot it was made in and however long the job's phases are.

use bytemuck::Zeroable;
use proptest::prelude::*;
use sip_proof::HostSha256;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::accusation::{Accusation, Auditor, Claim, Commitment, Reveal, hash},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS},
    stake::pool::{Pool, PoolKind},
    training::{
        audit::{Actor, Closing, Vote, attest, reveal_draw, vote_base},
        evaluation::{self, ScoringRun, commit_score, reveal_score, tally},
        finality::Chain,
        job::{Job, JobSpec, MAX_DOMAINS},
        round::{self, Round},
        second_draw,
        segment::{self, Segment},
    },
};

const JOB: [u8; 32] = [1; 32];
const ROUND: [u8; 32] = [2; 32];
const SEGMENT: [u8; 32] = [3; 32];
const RUN: [u8; 32] = [6; 32];
const POOLS: [[u8; 32]; 3] = [[10; 32], [11; 32], [12; 32]];
const CHALLENGER: [u8; 32] = [4; 32];
const SALT: [u8; 32] = [5; 32];

/// A claim with the slot that it was made in for good.
struct Made {
    kind: CaseKind,
    slot: u64,
    claim: Claim,
}

/// How long after the earliest slot of each step somebody takes it: what is left of its phase, or later where nobody ends the phase.
#[derive(Clone, Copy, Debug)]
struct Pace {
    commit: u32,
    audit: u32,
    vote: u32,
    score: u32,
    reveal: u32,
    tally: u32,
    /// The evaluator commits nothing, so that the round is void.
    is_void: bool,
}

fn pool(kind: PoolKind) -> Pool {
    let mut pool = Pool::zeroed();
    pool.initialise(kind, &[kind as u8; 32], 0, 0);
    pool.self_bond = 8 * Parameters::DEFAULT.minimum_self_bond;
    pool
}

/// Plays a round, each step as late as the pace says, and gives its end, its job and every claim.
fn play(spec: &JobSpec, pace: &Pace) -> (Round, Job, Vec<Made>) {
    let (mut job, mut round, mut segment) = (Job::zeroed(), Round::zeroed(), Segment::zeroed());
    job.spec = *spec;
    job.parameters = Parameters::DEFAULT;
    job.chain = Chain::GENESIS;
    job.created_slot = 7;
    for (kind, address) in [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator].into_iter().zip(&POOLS) {
        let place = job.place_for(kind, address, 1).unwrap();
        job.seat_mut(kind, place).unwrap().take(address, 0, 10_000);
    }
    let mut auditor = pool(PoolKind::Auditor);
    let hash = |link: &[u8; 32]| <HostSha256 as sip_proof::Sha256>::hashv(&[link]);
    let draw = hash(&[9; 32]);
    auditor.chain_tip = hash(&draw);
    let mut slot = 1_000;
    round.open(&JOB, &mut job, &Default::default(), slot).unwrap();

    slot += pace.commit as u64 % spec.commit_slots as u64;
    (segment.round, segment.pool, segment.status) = (ROUND, POOLS[0], segment::COMMITTED);
    (segment.committed_slot, segment.stake, round.committed) = (slot, 1, 1);
    round.close_commits(&job, slot).unwrap();

    slot += pace.audit as u64 % spec.audit_slots as u64;
    let at = |role: usize, slot| Actor { pool: &POOLS[role], place: 0, slot };
    reveal_draw::<HostSha256>(&mut round, &job, &mut auditor, &at(1, slot), &draw).unwrap();
    // Where there is a second draw, the first one passes the segment by.
    let is_first = spec.second_audit_rate == 0;
    let attested = attest::<HostSha256>(&round, &job, &SEGMENT, &mut segment, &at(1, slot), &[8; 32]);
    assert_eq!(attested, if is_first { Ok(()) } else { Err(Error::NotDrawn) });
    let mut closing = Closing::begin(&ROUND, &mut round, &mut job, slot).unwrap();
    closing.segment::<HostSha256>(&SEGMENT, &mut segment).unwrap();
    closing.finish::<HostSha256>().unwrap();
    let closed_slot = slot;

    slot += pace.vote as u64 % spec.vote_slots as u64;
    let vote = Vote { round: &ROUND, root: &[7; 32], preimage: &[9; 32] };
    vote_base::<HostSha256>(&mut round, &mut job, &mut auditor, &at(1, slot), &vote).unwrap();
    let voted_slot = slot;
    let mut attested_slot = round.vote_deadline_slot - 1;
    if !is_first {
        let end = round.second_deadline_slot;
        let late = second_draw::attest(&mut round, &job, &mut segment, &at(1, end), &[8; 32]);
        assert_eq!(late, Err(Error::WrongRoundStatus));
        attested_slot = end - 1;
        second_draw::attest(&mut round, &job, &mut segment, &at(1, attested_slot), &[8; 32]).unwrap();
    }

    let mut run = ScoringRun::zeroed();
    if pace.is_void {
        slot = round.reveal_deadline_slot;
    } else {
        slot = score(spec, pace, (&mut round, &job), &mut run, slot);
    }
    let revealed_slot = slot;
    slot += pace.tally as u64;
    tally(&mut round, &mut job, slot).unwrap();

    let seat = Auditor { job: &job, pool_address: &POOLS[1], pool: &auditor, place: 0 };
    let of_segment = Claim::of_segment(&SEGMENT, &segment, &round);
    let mut made: Vec<Made> = [CaseKind::Segment, CaseKind::Start, CaseKind::Update]
        .map(|kind| Made { kind, slot: closed_slot, claim: of_segment })
        .into();
    let attestation = Claim::of_attestation(&SEGMENT, &segment, &round, &seat).unwrap();
    made.push(Made { kind: CaseKind::Attestation, slot: attested_slot, claim: attestation });
    let vote = Claim::of_vote(&ROUND, &round, &seat).unwrap();
    made.push(Made { kind: CaseKind::Aggregate, slot: voted_slot, claim: vote });
    if !pace.is_void {
        // Not before the tally can anybody tell that everyone agrees.
        let score = Claim::of_run(&RUN, &run, &round);
        made.push(Made { kind: CaseKind::Score, slot: slot.max(revealed_slot), claim: score });
    }
    let genesis = Claim::of_genesis(&JOB, &job);
    made.push(Made { kind: CaseKind::Genesis, slot: job.created_slot, claim: genesis });
    (round, job, made)
}

/// Commits and reveals the score of the round's base from a slot on; returns the slot of the reveal.
fn score(spec: &JobSpec, pace: &Pace, (round, job): (&mut Round, &Job), run: &mut ScoringRun, slot: u64) -> u64 {
    let mut evaluator = pool(PoolKind::Evaluator);
    let at = |slot| Actor { pool: &POOLS[2], place: 0, slot };
    let slot = slot + pace.score as u64 % spec.evaluation_slots as u64;
    let sums = [5; MAX_DOMAINS];
    let claim = evaluation::claim::<HostSha256>(spec, &sums, &[6; 32], 0);
    let commitment = evaluation::commitment::<HostSha256>(&claim, &SALT, &POOLS[2], &ROUND);
    commit_score(round, job, &mut evaluator, &at(slot), &commitment).unwrap();
    let slot = slot + pace.reveal as u64 % (round.reveal_deadline_slot - slot);
    reveal_score::<HostSha256>(
        run,
        evaluation::Reveal {
            job,
            round,
            round_address: &ROUND,
            pool: &evaluator,
            actor: &at(slot),
            payer: &SALT,
            sums: &sums,
            accumulator_root: &[6; 32],
            salt: &SALT,
        },
    )
    .unwrap();
    slot
}

fn opens(claim: &Claim, committed_slot: u64, slot: u64) -> Result<(), Error> {
    let mut accusation = Accusation::zeroed();
    let hash = hash::<HostSha256>(&claim.subject, claim.place, &CHALLENGER, &SALT);
    let commitment = Commitment {
        challenger: &CHALLENGER,
        hash: &hash,
        job_address: &JOB,
        parameters: &Parameters::DEFAULT,
        slot: committed_slot,
    };
    accusation.commit(&commitment, &mut Job::zeroed())?;
    let reveal = Reveal { claim, job: &JOB, challenger: &CHALLENGER, salt: &SALT };
    accusation.reveal::<HostSha256>(&reveal, slot).map(|_| ())
}

prop_compose! {
    fn spec()(slots in [1u32..60_000, 1..60_000, 1..60_000, 1..60_000, 1..60_000], is_again in any::<bool>()) -> JobSpec {
        let [commit_slots, audit_slots, vote_slots, evaluation_slots, challenge_slots] = slots;
        JobSpec {
            commit_slots, audit_slots, vote_slots, evaluation_slots, challenge_slots,
            rounds: 8, lookahead: 4, domain_count: 8, score_windows: 1, sequence_length: 1,
            audit_rate: if is_again { 0 } else { u32::MAX }, second_audit_rate: if is_again { u32::MAX } else { 0 },
            ..JobSpec::default()
        }
    }
}

prop_compose! {
    fn pace()(steps in [any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()], tally in 0u32..100_000) -> Pace {
        let [commit, audit, vote, score, reveal] = steps;
        Pace { commit, audit, vote, score, reveal, tally, is_void: false }
    }
}

proptest! {
    #[test]
    fn every_claim_has_a_full_window_and_finality_waits_for_its_last_slot(spec in spec(), pace in pace()) {
        let (round, mut job, made) = play(&spec, &pace);
        prop_assert_eq!(round.status, round::SCORED);
        for Made { kind, slot, claim } in &made {
            // A genesis state can be accused as long as its bond is there.
            let unbonding = Parameters::DEFAULT.unbonding_slots;
            let last = claim.accusable_until.min(claim.made_slot + unbonding);
            prop_assert!(last >= slot + spec.audit_slots as u64, "{:?}: {} after {}", kind, last, slot);
            // The last accusation is opened in its last slot, and one that comes later never.
            prop_assert_eq!(opens(claim, last, last + REVEAL_SLOTS), Ok(()), "{:?}", kind);
            prop_assert_eq!(opens(claim, last, last + REVEAL_SLOTS + 1), Err(Error::AccusationExpired));
            if *kind == CaseKind::Genesis {
                job.genesis_bond = 1;
                prop_assert_eq!(job.reclaim_genesis_bond(last + REVEAL_SLOTS), Err(Error::BondLocked));
                prop_assert_eq!(job.reclaim_genesis_bond(last + REVEAL_SLOTS + 1), Ok(1));
                continue;
            }
            prop_assert_eq!(opens(claim, last + 1, last + 2), Err(Error::NoClaim), "{:?}", kind);
            prop_assert_eq!(round.accusable_until(*kind), last);
            let (mut early, mut chain) = (round, job);
            prop_assert_eq!(early.finalise(&mut chain, last + REVEAL_SLOTS), Err(Error::ChallengeOpen), "{:?}", kind);
        }
        // And no longer than for the last of them.
        let last = made.iter().filter(|made| made.kind != CaseKind::Genesis).map(|made| made.claim.accusable_until).max();
        let (mut ready, mut chain) = (round, job);
        prop_assert_eq!(ready.finalise(&mut chain, last.unwrap() + REVEAL_SLOTS + 1), Ok(()));
    }

    /// So it is in a round that nobody scored, however late it is tallied: nobody who works on it is settled before the end of its windows.
    #[test]
    fn every_claim_of_a_round_that_nobody_scores_has_a_full_window_and_settlements_wait_for_its_last_slot(spec in spec(), pace in pace()) {
        let (round, job, made) = play(&spec, &Pace { is_void: true, ..pace });
        prop_assert_eq!(round.status, round::VOID);
        for Made { kind, slot, claim } in made.iter().filter(|made| made.kind != CaseKind::Genesis) {
            let last = claim.accusable_until;
            prop_assert!(last >= slot + spec.audit_slots as u64, "{:?}: {} after {}", kind, last, slot);
            prop_assert_eq!(opens(claim, last, last + REVEAL_SLOTS), Ok(()), "{:?}", kind);
            prop_assert_eq!(opens(claim, last, last + REVEAL_SLOTS + 1), Err(Error::AccusationExpired));
            prop_assert_eq!(opens(claim, last + 1, last + 2), Err(Error::NoClaim), "{:?}", kind);
            prop_assert_eq!(round.accusable_until(*kind), last);
            prop_assert_eq!(round.require_settleable(&job, last + REVEAL_SLOTS), Err(Error::ChallengeOpen), "{:?}", kind);
        }
        prop_assert_eq!(round.require_settleable(&job, round.final_slot()), Ok(()));
    }

    /// The end of a claim's exposure is before the end of an exit that was asked for when it was made.
    #[test]
    fn no_claim_outlives_its_exposure(spec in spec(), pace in pace()) {
        let pace = Pace { tally: pace.tally % spec.evaluation_slots, ..pace };
        let (round, _, made) = play(&spec, &pace);
        let most = spec.exposure_slots(&Parameters::DEFAULT) - spec.longest_dispute_slots(&Parameters::DEFAULT);
        for made in made.iter().filter(|made| made.kind != CaseKind::Genesis) {
            let first = match made.kind {
                CaseKind::Segment | CaseKind::Start | CaseKind::Update => round.opened_slot,
                CaseKind::Attestation => round.audit_deadline_slot - spec.audit_slots as u64,
                _ => made.claim.made_slot,
            };
            prop_assert!(made.claim.accusable_until + REVEAL_SLOTS - first <= most, "{:?}", made.kind);
        }
    }
}

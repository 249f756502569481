//! A bond has one slice per open claim, over all jobs: it backs no more lies than it can pay for, and a place counts only the stake that
//! is allotted to it.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::units::TOKEN,
    stake::pool::{Pool, PoolKind},
    training::{
        job::Job,
        round::Round,
        segment::{Segment, SegmentClaim},
    },
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, SLICE, Scene, card, named, scores};
use solana_address::Address;
use solana_signer::Signer;

const BOND: u64 = BOND_TOKENS * TOKEN;

/// Another job of the same shape with an auditor of its own and the scene's first evaluator and first trainer, in an open round.
fn another_job(scene: &mut Scene, nonce: u32) -> (Address, Address) {
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let spec = scene.job_state().spec;
    let job = program.job(&key, nonce);
    scene.world.send(&[program.create_job(&key, nonce, &spec, &scene.datasets.clone())], &[&authority]);
    scene.world.send(&[program.describe_job(&key, &job, &card("another manifest"))], &[&authority]);
    for number in spec.attention_numbers() {
        scene.world.send(&[program.create_attention_pool(&key, &job, number)], &[&authority]);
    }
    let auditor = scene.world.operator(&format!("auditor of job {nonce}"), PoolKind::Auditor);
    let mut joins = Vec::new();
    for operator in [&auditor, &scene.evaluators[0], &scene.trainers[0]] {
        let (seat, key) = (operator.seat, operator.key.insecure_clone());
        let join = program.join_job_with(&seat.operator, &job, &seat.pool, 0);
        joins.push((join, key));
    }
    for (join, key) in joins {
        scene.world.send(&[join], &[&key]);
    }
    let state: Job = scene.world.state(&job);
    scene.world.send(&[program.open_next_round(&key, &job, &state)], &[&authority]);
    (job, program.round(&job, 0))
}

/// Commits any segment of the first trainer in a job's first round.
fn commit(scene: &Scene, (job, round): (Address, Address)) -> solana_instruction::Instruction {
    let seat = scene.trainers[0].seat;
    let state: Round = scene.world.state(&round);
    let spec = scene.world.state::<Job>(&job).spec;
    let claim = SegmentClaim {
        start_root: state.base_root,
        end_root: named("end"),
        accumulator_root: named(&format!("leaves {job}")),
        leaf_count: spec.leaf_count(),
        place: 0,
        ..SegmentClaim::default()
    };
    scene.world.program.commit_segment(&seat.operator, &job, &round, &seat.pool, &claim)
}

/// Attack: one bond behind lies in as many jobs as there are.
#[test]
fn one_bond_backs_as_many_open_segments_as_it_has_slices_in_fifty_jobs() {
    let mut scene = Scene::new();
    let key = scene.trainers[0].key.insecure_clone();
    let pool = scene.trainers[0].seat.pool;
    let slices = BOND / SLICE;
    for nonce in 1..=50 {
        let other = another_job(&mut scene, nonce);
        let commit = commit(&scene, other);
        if u64::from(nonce) > slices {
            scene.world.refused(&[commit], &[&key], Error::SelfBondTooSmall);
            continue;
        }
        scene.world.send(&[commit], &[&key]);
        assert_eq!(scene.pool_state(&pool).frozen_bond, u64::from(nonce) * SLICE);
        let segment: Segment = scene.world.state(&scene.world.program.segment(&other.1, &pool));
        assert_eq!((segment.slice, segment.stake), (SLICE, 0), "its stake counts in one place");
    }
    // Nor does the bond leave, once it may, before what it backs is settled.
    let (program, operator) = (scene.world.program, scene.trainers[0].seat.operator);
    let (retire, withdraw) = (program.retire_pool(&operator, &pool), program.withdraw_bond(&operator, &pool));
    let (seat, creator) = (scene.trainers[0].seat, scene.world.authority.pubkey());
    for nonce in 0..=50 {
        scene.world.refused(std::slice::from_ref(&retire), &[&key], Error::SeatsHeld);
        scene.world.send(&[program.leave_job(&seat, &program.job(&creator, nonce))], &[&key]);
    }
    scene.world.send(&[retire], &[&key]);
    scene.world.advance(Parameters::DEFAULT.unbonding_slots);
    scene.world.refused(&[withdraw], &[&key], Error::BondLocked);
}

/// Attack: one bond behind votes, attestations and scores in as many jobs as there are.
#[test]
fn one_bond_backs_as_many_draws_and_scores_as_it_has_slices_in_all_jobs_together() {
    let mut scene = Scene::new();
    scene.to_committed();
    let (job, round, program) = (scene.job, scene.round(), scene.world.program);
    // Of an auditor's bond everything but one base unit of what a draw puts up stands behind claims elsewhere.
    let (auditor, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let needs = scene.job_state().round_bond(PoolKind::Auditor).expect("it adds up");
    assert_eq!(needs, SLICE + PARAMETERS.minimum_self_bond);
    let pool = scene.pool_state(&auditor.pool);
    let reveal = program.reveal_draw(&auditor, &job, &round, &scene.next_draw(0));
    scene.world.overwrite(&auditor.pool, &Pool { frozen_bond: BOND - needs + 1, ..pool });
    scene.world.refused(std::slice::from_ref(&reveal), &[&key], Error::SelfBondTooSmall);
    scene.world.overwrite(&auditor.pool, &Pool { frozen_bond: BOND - needs, ..pool });
    scene.world.send(&[reveal], &[&key]);
    assert_eq!(scene.pool_state(&auditor.pool).frozen_bond, BOND);
    scene.auditors[0].chain.pop();
    scene.world.overwrite(&auditor.pool, &Pool { frozen_bond: needs, ..scene.pool_state(&auditor.pool) });
    scene.reveal(1);
    for auditor in 0..2 {
        (0..3).for_each(|trainer| scene.attest(auditor, trainer));
    }
    scene.close_round();
    scene.to_aggregated();
    // And of an evaluator's.
    let (evaluator, key) = (scene.evaluators[0].seat, scene.evaluators[0].key.insecure_clone());
    let pool = scene.pool_state(&evaluator.pool);
    let commit = scene.commit_score_instruction(0, &scores(5_000_000));
    scene.world.overwrite(&evaluator.pool, &Pool { frozen_bond: BOND - SLICE + 1, ..pool });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::SelfBondTooSmall);
    scene.world.overwrite(&evaluator.pool, &Pool { frozen_bond: BOND - SLICE, ..pool });
    scene.world.send(&[commit], &[&key]);
    assert_eq!(scene.pool_state(&evaluator.pool).frozen_bond, BOND);
}

/// Attack: concede every open segment, so that delegators, who could not leave, pay for each.
#[test]
fn every_conviction_takes_its_own_slice_and_delegators_pay_once() {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.challenge_slots) = (4, 20_000);
    let mut scene = Scene::with(&cast);
    let pool = scene.trainers[1].seat.pool;
    let patron = scene.world.wallet("delegator");
    scene.world.stake(&patron, &pool, 10_000 * TOKEN);
    for score in [5_000_000, 4_900_000, 4_850_000] {
        scene.whole_round(&scores(score));
    }
    let before = scene.pool_state(&pool);
    assert_eq!((before.self_bond, before.frozen_bond), (BOND, 3 * SLICE));
    for index in [0, 1, 2] {
        let round = scene.world.program.round(&scene.job, index);
        let accuser = Accuser::new(&mut scene, &format!("accuser {index}"), &round, 1);
        accuser.commit(&mut scene);
        accuser.open(&mut scene);
        accuser.win(&mut scene);
        let (after, convictions) = (scene.pool_state(&pool), u64::from(index) + 1);
        assert_eq!((after.self_bond, after.frozen_bond), (BOND - convictions * SLICE, (3 - convictions) * SLICE));
        // The first takes three tenths of what is delegated, the others nothing more.
        assert!(after.assets.abs_diff(before.assets / 10 * 7) < 1_000, "{} of {}", after.assets, before.assets);
        let segment: Segment = scene.world.state(&accuser.segment(&scene));
        assert_eq!((segment.escrow.bounty, segment.slice), (SLICE / 2, 0));
    }
}

#[test]
fn a_slice_is_free_once_its_claim_is_settled_and_not_before() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let pools = [scene.trainers[0].seat.pool, scene.auditors[0].seat.pool, scene.evaluators[0].seat.pool];
    let frozen = |scene: &Scene| pools.map(|pool| scene.pool_state(&pool).frozen_bond / SLICE);
    assert_eq!(frozen(&scene), [1, 2, 1], "an auditor's vote, and its attestations");
    scene.finalise_all();
    assert_eq!(frozen(&scene), [1, 2, 1]);
    scene.settle_all();
    assert_eq!(frozen(&scene), [0, 0, 0]);

    // Of a round that came to nothing too: only when its segments cannot be challenged any more.
    scene.to_committed();
    let deadline = scene.round_state().audit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_round();
    let round = scene.round();
    assert_eq!(scene.round_state().status, sip_protocol::training::round::VOID);
    let settle = scene.world.program.settle_segment(&scene.job, &round, &pools[0]);
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    let end = scene.round_state().challenge_deadline_slot + 2_000;
    scene.advance_to(end);
    scene.crank(settle);
    assert_eq!(frozen(&scene), [0, 0, 0]);
}

#[test]
fn no_stake_counts_in_two_places_and_a_place_keeps_its_part_while_claims_are_open() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let (job, seat, key) = (scene.job, scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let authority = scene.world.authority.insecure_clone();
    let another = program.job(&authority.pubkey(), 1);
    let spec = scene.job_state().spec;
    scene.world.send(&[program.create_job(&authority.pubkey(), 1, &spec, &scene.datasets.clone())], &[&authority]);
    let describe = program.describe_job(&authority.pubkey(), &another, &card("another manifest"));
    scene.world.send(&[describe], &[&authority]);
    let join = |part| program.join_job_with(&seat.operator, &another, &seat.pool, part);
    scene.world.refused(&[join(1)], &[&key], Error::AllotmentTooLarge);
    scene.world.send(&[program.allot_stake(&seat, &job, 6_000)], &[&key]);
    scene.world.refused(&[join(4_001)], &[&key], Error::AllotmentTooLarge);
    scene.world.send(&[join(4_000)], &[&key]);
    scene.to_committed();
    let stake = scene.pool_state(&seat.pool).stake().expect("it adds up");
    assert_eq!(scene.segment_state(0).stake, stake / 10 * 6);
    // What is behind an open claim counts nowhere else.
    scene.world.refused(&[program.allot_stake(&seat, &job, 5_999)], &[&key], Error::AllotmentInUse);
}

#[test]
fn a_place_needs_a_slice_for_every_round_that_the_job_builds_ahead() {
    for (kind, per_round) in [(PoolKind::Trainer, 1), (PoolKind::Auditor, 2), (PoolKind::Evaluator, 1)] {
        for (slices, enough) in [(8 * per_round, true), (8 * per_round - 1, false)] {
            let mut cast = Cast { trainers: 0, auditors: 0, evaluators: 0, ..Cast::default() };
            let slice = BOND / slices;
            (cast.spec.lookahead, cast.spec.slice) = (8, slice + u64::from(!enough) * 7);
            cast.parameters = Parameters { minimum_self_bond: cast.spec.slice, ..PARAMETERS };
            let mut scene = Scene::with(&cast);
            let operator = scene.world.operator("operator", kind);
            let join = scene.world.program.join_job(&operator.seat.operator, &scene.job, &operator.seat.pool);
            if enough {
                scene.world.send(&[join], &[&operator.key]);
            } else {
                scene.world.refused(&[join], &[&operator.key], Error::SelfBondTooSmall);
            }
        }
    }
}

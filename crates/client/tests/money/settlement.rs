//! Scores, quality, and who is paid or charged for a round.

use sip_proof::HostSha256;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::{offence::Penalties, units::TOKEN},
    stake::{
        cohort::COHORT_SLOTS,
        pool::{PoolKind, SEED_SHARES},
        position::Position,
    },
    training::{
        evaluation::{self, ScoringRun},
        job::{Job, JobSpec},
        quality::Fit,
        round::{self, QUALITY_ONE},
        segment::{self, Segment},
    },
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, ROUND_REWARD, SLICE, Scene, named, scores};
use solana_signer::Signer;

fn aggregated() -> Scene {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene
}

#[test]
fn scores_are_committed_once_and_in_time() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    let key = scene.evaluators[0].key.insecure_clone();
    let commit = scene.commit_score_instruction(0, &scores(5_000_000));
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::WrongRoundStatus);
    scene.to_aggregated();
    let (job, round, program) = (scene.job, scene.round(), scene.world.program);
    let seat = scene.evaluators[0].seat;
    let empty = program.commit_score(&seat, &job, &round, &[0; 32]);
    scene.world.refused(&[empty], &[&key], Error::EmptyCommitment);
    let mut elsewhere = seat;
    elsewhere.place = 1;
    let wrong = program.commit_score(&elsewhere, &job, &round, &named("scores"));
    scene.world.refused(&[wrong], &[&key], Error::WrongPlace);
    let late = scene.join("late", PoolKind::Evaluator, 3);
    let wrong = program.commit_score(&late.seat, &job, &round, &named("scores"));
    scene.world.refused(&[wrong], &[&late.key], Error::WrongPlace);
    let before = scene.job_state();
    let spec = JobSpec { slice: 5_000 * TOKEN, ..before.spec };
    scene.world.overwrite(&job, &Job { spec, ..before });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::SelfBondTooSmall);
    scene.world.overwrite(&job, &before);
    scene.world.send(std::slice::from_ref(&commit), &[&key]);
    scene.world.refused(&[commit], &[&key], Error::AlreadyCommitted);
    scene.world.advance(50);
    let other = scene.evaluators[1].key.insecure_clone();
    let late = scene.commit_score_instruction(1, &scores(5_000_000));
    scene.world.refused(&[late], &[&other], Error::WrongRoundStatus);
}

#[test]
fn scores_are_revealed_once_as_committed_and_after_all_commitments() {
    let mut scene = aggregated();
    let key = scene.evaluators[0].key.insecure_clone();
    let reveal = scene.reveal_score_instruction(0, &scores(5_000_000));
    scene.commit_score(0, &scores(5_000_000));
    scene.world.refused(std::slice::from_ref(&reveal), &[&key], Error::RevealNotOpen);
    scene.commit_score(1, &scores(5_000_000));
    scene.world.advance(50);
    let wrong = scene.reveal_score_instruction(0, &scores(5_000_001));
    scene.world.refused(&[wrong], &[&key], Error::WrongReveal);
    let absent = scene.evaluators[2].key.insecure_clone();
    let nothing = scene.reveal_score_instruction(2, &scores(5_000_000));
    scene.world.refused(&[nothing], &[&absent], Error::NothingCommitted);
    // Another's commitment cannot be copied: it binds the pool.
    scene.world.send(std::slice::from_ref(&reveal), &[&key]);
    scene.world.refused(&[reveal], &[&key], Error::AlreadyInitialised);
    // The run stands: it starts at zero sums and ends at those revealed.
    let (seat, spec) = (scene.evaluators[0].seat, scene.job_state().spec);
    let run: ScoringRun = scene.world.state(&scene.world.program.run(&scene.round(), &seat.pool));
    let (sums, leaves) = scene.scoring_run(&scores(5_000_000));
    assert_eq!(run.claim, evaluation::claim::<HostSha256>(&spec, &sums, &leaves, 0));
    assert_eq!(run.claim.leaf_count, (3 * spec.score_windows / spec.score_rows).div_ceil(spec.score_leaf_interval));
    assert_eq!((run.pool, run.operator), (seat.pool.to_bytes(), seat.operator.to_bytes()));
    assert_eq!((run.status, run.stake), (evaluation::run::REVEALED, scene.round_state().evaluators[0].stake));
    scene.world.advance(50);
    let other = scene.evaluators[1].key.insecure_clone();
    let late = scene.reveal_score_instruction(1, &scores(5_000_000));
    scene.world.refused(&[late], &[&other], Error::WrongRoundStatus);
}

#[test]
fn a_copied_commitment_cannot_be_revealed() {
    let mut scene = aggregated();
    scene.commit_score(0, &scores(5_000_000));
    let copied = scene.round_state().evaluators[0].commitment;
    let (seat, key) = (scene.evaluators[1].seat, scene.evaluators[1].key.insecure_clone());
    let program = scene.world.program;
    scene.world.send(&[program.commit_score(&seat, &scene.job, &scene.round(), &copied)], &[&key]);
    scene.commit_score(2, &scores(5_000_000));
    let salt = Scene::salt(0);
    let (sums, leaves) = scene.scoring_run(&scores(5_000_000));
    let reveal = program.reveal_score(&seat, &scene.job, &scene.round(), (&sums, &leaves), &salt);
    scene.world.refused(&[reveal], &[&key], Error::WrongReveal);
}

/// Whatever the creator's graph ends in, honest evaluators reveal, and none of them is charged.
#[test]
fn a_scoring_graph_that_writes_what_no_score_is_costs_its_evaluators_nothing() {
    let mut scene = aggregated();
    let spec = scene.job_state().spec;
    let (round, salt, program) = (scene.round(), Scene::salt(0), scene.world.program);
    let (mut sums, leaves) = scene.scoring_run(&scores(5_000_000));
    // A domain that the job does not have, and a mean that no score can be.
    (sums[3], sums[1]) = (1, u64::MAX);
    let seats: Vec<_> = scene.evaluators.iter().map(|it| (it.seat, it.key.insecure_clone())).collect();
    for (seat, key) in &seats {
        let claim = evaluation::claim::<HostSha256>(&spec, &sums, &leaves, seat.place);
        let commitment = evaluation::commitment::<HostSha256>(&claim, &salt, seat.pool.as_array(), round.as_array());
        scene.world.send(&[program.commit_score(seat, &scene.job, &round, &commitment)], &[key]);
    }
    for (seat, key) in &seats {
        let reveal = program.reveal_score(seat, &scene.job, &round, (&sums, &leaves), &salt);
        scene.world.send(&[reveal], &[key]);
    }
    scene.tally();
    assert_eq!(scene.round_state().scores, [5_000_000, u32::MAX, 5_000_000, 0, 0, 0, 0, 0]);
    let bonds = |scene: &Scene| seats.iter().map(|(seat, _)| scene.pool_state(&seat.pool).self_bond).sum::<u64>();
    let before = bonds(&scene);
    scene.settle_all();
    assert_eq!(bonds(&scene), before);
}

#[test]
fn the_tally_waits_for_those_who_may_still_speak() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    let tally = scene.world.program.tally(&scene.job, &scene.round());
    scene.crank_refused(tally.clone(), Error::WrongRoundStatus);
    scene.to_aggregated();
    scene.crank_refused(tally.clone(), Error::TooEarly);
    scene.commit_score(0, &scores(5_000_000));
    scene.commit_score(1, &scores(5_000_000));
    scene.world.advance(50);
    scene.reveal_score(0, &scores(5_000_000));
    scene.crank_refused(tally.clone(), Error::TooEarly);
    scene.world.advance(50);
    scene.crank(tally.clone());
    let round = scene.round_state();
    assert_eq!(round.status, round::SCORED);
    assert_eq!(
        round.evaluators.map(|seat| seat.status)[..3],
        [evaluation::WITHIN, evaluation::COMMITTED, evaluation::ABSENT]
    );
    scene.crank_refused(tally, Error::WrongRoundStatus);
}

#[test]
fn a_whole_round_pays_every_role_its_part() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let before = scene.world.config().buckets.operator_rewards;
    let attention = scene.world.program.attention_pool(&scene.job, 0);
    scene.settle_all();
    let round = scene.round_state();
    assert_eq!(round.drawn, round.reward);
    let bucket = before + round.drawn;
    assert_eq!((round.reward, scene.job_state().spec.round_reward), (ROUND_REWARD, ROUND_REWARD));
    assert_eq!(round.quality, QUALITY_ONE, "the first round has no predecessor");
    assert_eq!(bucket - scene.world.config().buckets.operator_rewards, round.paid);
    assert!(
        round.paid <= round.reward && round.reward - round.paid < 100_000,
        "only rounding is left, and what the seed shares of pools without delegators earned"
    );
    let trainer = scene.pool_state(&scene.trainers[0].seat.pool);
    let earned = round.reward / 10_000 * 5_500 / 3;
    // Without delegators the seed's part of the stake is next to nothing.
    assert!(trainer.commission_owed <= earned && earned - trainer.commission_owed < earned / 1_000_000);
    assert_eq!(trainer.segments_accepted, 1);
    let evaluator = scene.pool_state(&scene.evaluators[0].seat.pool);
    assert!(evaluator.commission_owed.abs_diff(round.reward / 30) < 10_000);
    let auditor = scene.pool_state(&scene.auditors[0].seat.pool);
    assert!(auditor.commission_owed.abs_diff(round.reward / 10_000 * 750) < 10_000);
    assert_eq!((auditor.audits_attested, auditor.audits_missed), (3, 0));
    let provider = scene.pool_state(&scene.providers[0].seat.pool);
    assert!(provider.commission_owed.abs_diff(round.reward / 10_000 * 1_500 / 10_000 * 3_334) < 10_000);
    let patrons = scene.pool_state(&attention);
    assert_eq!(patrons.rewards_owed, round.reward / 10_000 * 500 / 10_000 * 3_334);
}

#[test]
fn delegators_share_by_stake_after_commission() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = scene.trainers[0].seat.pool;
    let (small, large) = (scene.patrons[0].insecure_clone(), scene.patrons[1].insecure_clone());
    scene.world.stake(&small, &pool, 500 * TOKEN);
    scene.world.stake(&large, &pool, 1_500 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    let round = scene.round_state();
    // 4 000 of 8 000 tokens of stake; half of it is the operator's own; a tenth of the rest is commission.
    let earned = round.reward / 10_000 * 5_500 / 2;
    let before = (scene.world.tokens(&small.pubkey()), scene.world.tokens(&large.pubkey()));
    scene.world.send(&[program.claim_rewards(&small.pubkey(), &pool)], &[&small]);
    scene.world.send(&[program.claim_rewards(&large.pubkey(), &pool)], &[&large]);
    let got = (scene.world.tokens(&small.pubkey()) - before.0, scene.world.tokens(&large.pubkey()) - before.1);
    assert!(got.0.abs_diff(earned / 2 / 10 * 9 / 4) < 10_000, "{} {earned}", got.0);
    assert!(got.1.abs_diff(earned / 2 / 10 * 9 / 4 * 3) < 10_000);
    let left = scene.pool_state(&pool);
    assert!(left.rewards_owed < 10);
    // A newcomer earns nothing of the past.
    let late = scene.patrons[2].insecure_clone();
    scene.world.stake(&late, &pool, 500 * TOKEN);
    scene.world.refused(&[program.claim_rewards(&late.pubkey(), &pool)], &[&late], Error::NothingToClaim);
    assert_eq!(scene.world.state::<Position>(&program.position(&pool, &late.pubkey())).claimable, 0);
}

#[test]
fn everything_is_settled_once() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    let settle = [
        program.settle_segment(&job, &round, &scene.trainers[0].seat.pool),
        program.settle_audit(&job, &round, &scene.auditors[0].seat.pool, 0),
        program.settle_evaluation(&job, &round, &scene.evaluators[0].seat.pool, 0),
        program.settle_data(&job, &round, 0, &scene.datasets[0], &scene.providers[0].seat.pool),
        program.settle_patrons(&job, &round, 0),
    ];
    for instruction in settle {
        scene.crank(instruction.clone());
        scene.crank_refused(instruction, Error::AlreadySettled);
    }
}

/// Attack: add to the own bond in the transaction that settles, and take what delegators earned.
#[test]
fn bond_that_is_added_after_the_commitment_takes_nothing_from_those_whose_stake_did_the_work() {
    let [honest, greedy] = [0, 50_000].map(|added| {
        let mut scene = Scene::new();
        let (program, job) = (scene.world.program, scene.job);
        let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
        let patron = scene.world.wallet("delegator");
        scene.world.stake(&patron, &seat.pool, 20_000 * TOKEN);
        scene.whole_round(&scores(5_000_000));
        scene.finalise_all();
        let settle = program.settle_segment(&job, &scene.round(), &seat.pool);
        let add = program.add_bond(&seat.operator, &seat.pool, added * TOKEN);
        let all = if added == 0 { vec![settle] } else { vec![add, settle] };
        scene.world.send(&all, &[&key]);
        let pool = scene.pool_state(&seat.pool);
        (pool.commission_owed, pool.rewards_owed)
    });
    assert_eq!(honest, greedy);
    assert!(honest.1 > 4 * honest.0, "ten elevenths are delegated, of which a tenth is commission: {honest:?}");
}

/// Attack: stake one base unit on a domain that has had no patron for many rounds, and take all that it was paid.
#[test]
fn what_a_domain_without_patrons_is_paid_stays_in_the_bucket_and_no_dust_takes_it() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let attention = program.attention_pool(&job, 2);
    let patron = scene.patrons[2].insecure_clone();
    let shares = scene.pool_state(&attention).shares - SEED_SHARES;
    let exit = program.request_exit(&patron.pubkey(), &attention, 0, shares);
    scene.world.send(&[exit], &[&patron]);
    scene.world.advance(COHORT_SLOTS);
    scene.to_committed();
    // While the round runs.
    let dust = scene.world.wallet("dust");
    scene.world.send(&[program.deposit(&dust.pubkey(), &attention, 1_000_000, 0)], &[&dust]);
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.finalise_all();
    // A part of it steers already.
    scene.crank(program.activate(&attention, &dust.pubkey()));
    assert!(scene.pool_state(&attention).shares > SEED_SHARES);
    let round = scene.round();
    let before = scene.world.config().buckets.operator_rewards;
    scene.crank(program.settle_patrons(&job, &round, 2));
    let pool = scene.pool_state(&attention);
    assert_eq!((pool.rewards_owed, pool.rewards_held), (0, 0));
    assert_eq!(scene.world.config().buckets.operator_rewards, before);
    assert_eq!(scene.round_state().paid, 0);
    // The dust is active at last, and finds nothing that was held for those who come.
    let slots = scene.world.config().parameters.activation_slots;
    scene.world.advance(slots);
    scene.crank(program.activate(&attention, &dust.pubkey()));
    let position: Position = scene.world.state(&program.position(&attention, &dust.pubkey()));
    let pool = scene.pool_state(&attention);
    assert_eq!((position.shares, pool.shares - SEED_SHARES), (1_000_000, 1_000_000), "it is all that the domain has");
    assert_eq!((position.claimable, pool.rewards_owed, pool.rewards_held), (0, 0, 0));
    scene.world.refused(&[program.claim_rewards(&dust.pubkey(), &attention)], &[&dust], Error::NothingToClaim);
}

#[test]
fn nothing_is_settled_before_the_round_is_final_or_in_a_wrong_place() {
    let mut scene = aggregated();
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    let pools = (scene.auditors[0].seat.pool, scene.evaluators[0].seat.pool, scene.providers[0].seat.pool);
    let data = scene.datasets[0];
    let settle = [
        program.settle_segment(&job, &round, &scene.trainers[0].seat.pool),
        program.settle_audit(&job, &round, &pools.0, 0),
        program.settle_evaluation(&job, &round, &pools.1, 0),
        program.settle_data(&job, &round, 0, &data, &pools.2),
        program.settle_patrons(&job, &round, 0),
    ];
    for instruction in settle.clone() {
        scene.crank_refused(instruction, Error::NotFinal);
    }
    scene.to_scored(&[scores(5_000_000); 3]);
    for instruction in settle {
        scene.crank_refused(instruction, Error::NotFinal);
    }
    scene.finalise_all();
    scene.crank_refused(program.settle_audit(&job, &round, &pools.0, 1), Error::WrongPlace);
    scene.crank_refused(program.settle_evaluation(&job, &round, &pools.1, 1), Error::WrongPlace);
    scene.crank_refused(program.settle_data(&job, &round, 1, &data, &pools.2), Error::WrongAccount);
    scene.crank_refused(program.settle_data(&job, &round, 8, &data, &pools.2), Error::WrongPlace);
    let mut elsewhere = program.settle_patrons(&job, &round, 0);
    elsewhere.data[1] = 1;
    scene.crank_refused(elsewhere, Error::WrongAccount);
    // The one that joined later has no place in this round.
    let late = scene.join("late auditor", PoolKind::Auditor, 2);
    scene.crank_refused(program.settle_audit(&job, &round, &late.seat.pool, 2), Error::WrongPlace);
    let late = scene.join("late evaluator", PoolKind::Evaluator, 3);
    scene.crank_refused(program.settle_evaluation(&job, &round, &late.seat.pool, 3), Error::WrongPlace);
}

#[test]
fn a_late_segment_pays_its_penalty_out_of_its_reward() {
    let penalties = Penalties { late_segment: TOKEN, ..PARAMETERS.penalties };
    let mut scene = Scene::with(&Cast { parameters: Parameters { penalties, ..PARAMETERS }, ..Cast::default() });
    scene.open_round();
    scene.commit(0);
    scene.commit(1);
    scene.world.advance(101);
    scene.commit(2);
    scene.close_commits();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.settle_all();
    let [timely, late] = [0, 2].map(|trainer: usize| scene.pool_state(&scene.trainers[trainer].seat.pool));
    let penalty = scene.world.config().parameters.penalties.late_segment;
    assert!((timely.commission_owed - late.commission_owed).abs_diff(penalty) < 10_000);
    assert_eq!(late.self_bond, BOND_TOKENS * TOKEN);
}

#[test]
fn a_penalty_above_the_reward_is_taken_from_stake() {
    let parameters = Parameters { round_reward: 0, ..PARAMETERS };
    let mut scene = Scene::with(&Cast { parameters, ..Cast::default() });
    scene.open_round();
    scene.world.advance(101);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    scene.reveal(0);
    scene.attest(0, 0);
    scene.world.advance(200);
    scene.close_round();
    scene.show_all();
    scene.vote(0, &named("base"));
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.settle_all();
    let bond = |pool| scene.pool_state(pool).self_bond;
    let full = BOND_TOKENS * TOKEN;
    assert_eq!(bond(&scene.trainers[0].seat.pool), full - 10 * TOKEN, "late");
    assert_eq!(bond(&scene.auditors[0].seat.pool), full - 20 * TOKEN, "two drawn segments not attested");
    assert_eq!(bond(&scene.auditors[1].seat.pool), full - 10 * TOKEN, "draw not revealed");
    assert_eq!(scene.world.config().buckets.insurance, 60 * TOKEN);
    assert_eq!(scene.round_state().paid, 0);
}

#[test]
fn an_attestation_that_is_not_shown_is_a_missing_one() {
    let penalties = Penalties { missed_attestation: TOKEN / 4, ..PARAMETERS.penalties };
    let mut scene = Scene::with(&Cast { parameters: Parameters { penalties, ..PARAMETERS }, ..Cast::default() });
    scene.to_committed();
    for auditor in 0..2 {
        scene.reveal(auditor);
        (0..3).for_each(|trainer| scene.attest(auditor, trainer));
    }
    scene.close_round();
    (0..3).for_each(|trainer| scene.show(0, trainer));
    scene.show(1, 0);
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    let settle = |scene: &Scene, auditor: usize| {
        let seat = scene.auditors[auditor].seat;
        scene.world.program.settle_audit(&scene.job, &scene.round(), &seat.pool, seat.place)
    };
    let (first, second) = (settle(&scene, 0), settle(&scene, 1));
    scene.crank_refused(first.clone(), Error::NotFinal);
    scene.finalise_all();
    scene.crank(first);
    scene.crank(second);
    let [whole, part] = [0, 1].map(|auditor: usize| scene.pool_state(&scene.auditors[auditor].seat.pool));
    assert_eq!((whole.audits_attested, whole.audits_missed), (3, 0));
    assert_eq!((part.audits_attested, part.audits_missed), (1, 2));
    let penalty = scene.world.config().parameters.penalties.missed_attestation;
    assert!((whole.commission_owed / 3).abs_diff(part.commission_owed + 2 * penalty) < 10_000);
}

#[test]
fn a_lying_evaluator_changes_nothing_and_is_slashed() {
    let mut scene = aggregated();
    scene.to_scored(&[scores(5_000_000), scores(1_000_000), scores(5_001_000)]);
    let round = scene.round_state();
    assert_eq!(round.score, 5_000_000);
    assert_eq!(
        round.evaluators.map(|seat| seat.status)[..3],
        [evaluation::WITHIN, evaluation::OFF, evaluation::WITHIN]
    );
    scene.settle_all();
    let liar = scene.pool_state(&scene.evaluators[1].seat.pool);
    assert_eq!(liar.self_bond, BOND_TOKENS * TOKEN - SLICE / 10);
    assert_eq!((liar.commission_owed, liar.evaluations_rejected), (0, 1));
    assert_eq!(scene.world.config().buckets.insurance, SLICE / 10 + SEED_SHARES / 10);
    let honest = scene.pool_state(&scene.evaluators[0].seat.pool);
    assert!(honest.commission_owed.abs_diff(round.reward / 20) < 10_000, "the two honest ones share");
}

#[test]
fn an_evaluator_that_hides_its_score_is_slashed_and_an_absent_one_pays_what_it_would_have_earned() {
    let mut scene = aggregated();
    scene.commit_score(0, &scores(5_000_000));
    scene.commit_score(1, &scores(5_000_000));
    scene.world.advance(50);
    scene.reveal_score(0, &scores(5_000_000));
    scene.world.advance(50);
    scene.tally();
    scene.settle_all();
    let pool = |evaluator: usize| scene.pool_state(&scene.evaluators[evaluator].seat.pool);
    assert_eq!(pool(0).evaluations_accepted, 1);
    assert_eq!((pool(1).self_bond, pool(1).evaluations_rejected), (BOND_TOKENS * TOKEN - SLICE / 10, 1));
    // Two thirds were in, so that the phase ended early: those it shut out pay nothing, and earn nothing.
    assert_eq!((pool(2).self_bond, pool(2).commission_owed), (BOND_TOKENS * TOKEN, 0));

    // With one of three it lasts to its deadline, and each of the others pays a third of the role's part.
    let mut scene = aggregated();
    scene.commit_score(0, &scores(5_000_000));
    scene.world.advance(50);
    scene.reveal_score(0, &scores(5_000_000));
    scene.tally();
    scene.settle_all();
    let least = scene.job_state().parameters.penalties.missed_score;
    let part = (scene.round_state().expected_reward / 10).div_ceil(3).max(least);
    for evaluator in 1..3 {
        let pool = scene.pool_state(&scene.evaluators[evaluator].seat.pool);
        assert_eq!((pool.self_bond, pool.commission_owed), (BOND_TOKENS * TOKEN - part, 0));
    }
}

#[test]
fn a_round_that_nobody_scores_is_void_restores_everything_and_is_not_used_up() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let before = scene.job_state();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    assert_ne!(scene.job_state().base_root, before.base_root);
    scene.world.advance(100);
    scene.tally();
    let (job, state, round) = (scene.job_state(), scene.round_state(), scene.round());
    assert_eq!((state.status, state.is_undone, state.reward), (round::VOID, 0, 0));
    assert_eq!((job.base_root, job.chain.open_rounds()), (before.base_root, before.chain.open_rounds()));
    assert_eq!((job.chain.head(), job.round_live), (before.chain.head(), 0));
    assert_eq!((job.rounds_scored, job.last_score, job.last_scores), (1, before.last_score, before.last_scores));
    assert_eq!((job.fit, job.trainer_worth), (before.fit, before.trainer_worth));
    // Whether there was anything to score is certain only when what it builds on is.
    scene.advance_to(state.final_slot());
    let seat = scene.evaluators[0].seat;
    let settle = scene.world.program.settle_evaluation(&scene.job, &round, &seat.pool, seat.place);
    scene.crank_refused(settle, Error::ParentNotFinal);
    // The next round repeats it.
    scene.whole_round(&scores(4_000_000));
    let next = scene.round_state();
    assert_eq!((next.status, next.base_root, next.parent), (round::SCORED, before.base_root, 0));
    assert_eq!(scene.job_state().rounds_scored, 2);
    scene.settle_round(&round);
    assert_eq!(scene.world.state::<round::Round>(&round).paid, 0);
}

#[test]
fn scores_that_all_are_hidden_make_the_round_void_and_are_paid_for() {
    let mut scene = aggregated();
    (0..3).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    scene.world.advance(100);
    scene.tally();
    let (round, state) = (scene.round(), scene.round_state());
    assert_eq!((state.status, scene.job_state().rounds_scored), (round::VOID, 0));
    scene.advance_to(state.final_slot());
    scene.settle_round(&round);
    // A tenth of the slice each, and together all that the round could have drawn.
    let row = scene.job_state().parameters.penalties.missed_score;
    let each = (SLICE / 10 + state.expected_reward.div_ceil(3).max(row)).min(BOND_TOKENS * TOKEN);
    for evaluator in 0..3 {
        let pool = scene.pool_state(&scene.evaluators[evaluator].seat.pool);
        assert_eq!((pool.self_bond, pool.evaluations_rejected), (BOND_TOKENS * TOKEN - each, 1));
    }
}

#[test]
fn quality_is_the_improvement_against_what_was_expected_at_this_point_of_the_curve() {
    let mut scene = Scene::new();
    let mut qualities = Vec::new();
    for score in [5_000_000, 4_900_000, 4_850_000, 4_840_000, 4_900_000, 4_700_000] {
        scene.whole_round(&scores(score));
        scene.settle_all();
        qualities.push(scene.round_state().quality);
    }
    // Half of the improvement is the usual pace after the third score, so 25 000 are expected of the fourth, of which 18 750 are paid fully.
    let part = (10_000 * QUALITY_ONE).div_ceil(18_750);
    assert!(qualities[3].abs_diff(part) < 1_000, "{}", qualities[3]);
    assert_eq!(
        [qualities[0], qualities[1], qualities[2], qualities[4], qualities[5]].map(|q| q / QUALITY_ONE),
        [1, 1, 1, 0, 1]
    );
    let mut fit = Fit::default();
    for (improvement, quality) in [100_000, 50_000, 10_000, 0, 200_000].into_iter().zip(&qualities[1..]) {
        assert_eq!(fit.judge(improvement), *quality);
    }
    assert_eq!(scene.job_state().fit, fit);
    assert_eq!(scene.job_state().last_score, scene.round_state().score);
}

#[test]
fn honest_work_on_a_curve_that_flattens_is_paid_fully() {
    let mut scene = Scene::new();
    let mut score = 7_650_000;
    let mut improvement = 900_000;
    for round in 0..8 {
        scene.whole_round(&scores(score));
        scene.settle_all();
        assert_eq!(scene.round_state().quality, QUALITY_ONE, "round {round}");
        score -= improvement;
        improvement = improvement * 7 / 10;
    }
}

#[test]
fn a_convicted_segment_earns_nothing_and_is_charged_nothing_more() {
    let mut scene = Scene::new();
    scene.to_committed();
    let (address, state) = (scene.segment(1), scene.segment_state(1));
    scene.world.overwrite(&address, &Segment { status: segment::CONVICTED, late: 1, ..state });
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.settle_all();
    let convicted = scene.pool_state(&scene.trainers[1].seat.pool);
    assert_eq!((convicted.commission_owed, convicted.self_bond), (0, BOND_TOKENS * TOKEN));
    let honest = scene.pool_state(&scene.trainers[0].seat.pool);
    let round = scene.round_state();
    assert!(honest.commission_owed.abs_diff(round.reward / 10_000 * 2_750) < 10_000, "the two others share");
}

#[test]
fn unrewarded_jobs_and_an_empty_bucket_pay_nothing() {
    let mut scene = Scene::new();
    let job: Job = scene.job_state();
    scene.world.overwrite(&scene.job, &Job { rewarded: 0, ..job });
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    assert_eq!((scene.round_state().reward, scene.round_state().paid), (0, 0));
}

//! Rounds that build on one another before they are final: lookahead, what a conviction undoes and who is paid then, seeds and
//! amendments.

use crate::accuser::Accuser;
use crate::court::Court;
use sip_client::{Accusation, SLOT_HASHES};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::Outcome,
    ground::units::TOKEN,
    stake::pool::Pool,
    training::{
        finality::NO_ROUND,
        quality::Fit,
        round::{self, QUALITY_ONE, Round},
        seed,
        segment::{self, SegmentClaim},
    },
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, SLICE, Scene, named, scores};
use solana_address::Address;
use solana_signer::Signer;

/// A scene that builds four rounds ahead.
fn scene() -> Scene {
    let mut cast = Cast::default();
    cast.spec.lookahead = 4;
    cast.spec.challenge_slots = 5_000;
    Scene::with(&cast)
}

fn round(scene: &Scene, index: u32) -> (Address, Round) {
    let address = scene.world.program.round(&scene.job, index);
    (address, scene.world.state(&address))
}

/// Convicts a trainer's segment of a round through somebody to whom the trainer concedes.
fn convict(scene: &mut Scene, index: u32, trainer: usize) -> Accuser {
    let accuser = Accuser::new(scene, "accuser", &round(scene, index).0, trainer);
    accuser.commit(scene);
    accuser.open(scene);
    accuser.win(scene);
    accuser
}

#[test]
fn a_conviction_undoes_the_round_and_all_that_builds_on_it_and_honest_work_is_paid() {
    let mut scene = scene();
    for score in [5_000_000, 4_900_000, 4_850_000] {
        scene.whole_round(&scores(score));
    }
    let job = scene.job_state();
    assert_eq!((job.chain.open_rounds(), job.chain.head(), job.rounds_scored), (&[0, 1, 2][..], 2, 3));
    assert_eq!(round(&scene, 2).1.parent, 1);
    let liar = scene.trainers[1].seat.pool;
    let before = scene.pool_state(&liar);
    convict(&mut scene, 0, 1);

    // The job goes on from the genesis, as it stood when round 0 was opened.
    let after = scene.job_state();
    let (first, state) = round(&scene, 0);
    assert_eq!((state.status, state.is_undone, state.void_from), (round::VOID, 1, round::SCORED));
    assert_eq!((after.chain.head(), after.base_root), (NO_ROUND, after.spec.genesis_root));
    assert_eq!((after.rounds_scored, after.last_score, after.fit), (0, 0, Fit::default()));
    assert!(after.is_excluded(1));
    assert_eq!(scene.pool_state(&liar).self_bond, before.self_bond - SLICE);

    // Descendants, after what they build on; each once.
    for index in [1, 2] {
        let (address, _) = round(&scene, index);
        let finalise = scene.world.program.finalize_round(&scene.job, &address);
        scene.advance_to(round(&scene, index).1.final_slot());
        scene.crank_refused(finalise, Error::ParentNotFinal);
        let undo = scene.undo_round(&address);
        scene.crank(undo.clone());
        scene.crank_refused(undo, Error::NotOrphaned);
        assert_eq!(round(&scene, index).1.status, round::VOID);
    }
    let undo = scene.undo_round(&first);
    scene.crank_refused(undo, Error::NotOrphaned);

    // What is left of the liar's slice pays for the honest work of all three, the same for each, and nothing else does; the liar earns nothing, not
    // even where it did not lie.
    let insured = scene.world.config().buckets.insurance;
    let bucket = scene.world.config().buckets.operator_rewards;
    for index in 0..3 {
        let (address, state) = round(&scene, index);
        scene.advance_to(state.final_slot());
        scene.settle_round(&address);
    }
    let config = scene.world.config();
    assert_eq!(config.buckets.operator_rewards, bucket);
    let [first, second, third] = [0, 1, 2].map(|index| round(&scene, index).1);
    let (part, all) = ((SLICE / 2 - SLICE / 2 / 10) / 3, [first, second, third]);
    assert_eq!(all.map(|round| round.compensation.min(part)), all.map(|round| part.min(round.reward)));
    assert!(all.iter().all(|round| round.paid > 0 && round.paid <= round.compensation));
    // Its auditors attested the false segment, and are charged for that what their part of the round does not cover.
    let charged: u64 =
        scene.auditors.iter().map(|a| BOND_TOKENS * TOKEN - scene.pool_state(&a.seat.pool).self_bond).sum();
    assert!(charged > 0);
    assert_eq!(config.buckets.insurance, insured + charged);
    // The rest of the slash, less the bounty and the tenth that is burned, is insured.
    let rest = SLICE / 2 + (before.assets - scene.pool_state(&liar).assets);
    let kept: u64 = all.iter().map(|round| round.compensation + round.to_children).sum();
    assert_eq!((config.condemned, insured), (rest / 10, rest - rest / 10 - kept));
    assert_eq!(scene.pool_state(&liar).commission_owed, 0);

    // The job goes on.
    scene.whole_round(&scores(5_000_000));
    let (_, state) = round(&scene, 3);
    assert_eq!((state.parent, state.base_root, state.quality), (NO_ROUND, after.spec.genesis_root, QUALITY_ONE));
    assert_eq!((state.committed, scene.job_state().rounds_scored), (0b101, 1));
    scene.settle_all();
    assert_eq!(scene.job_state().chain.last_final, 3);
}

#[test]
fn what_the_job_remembers_of_its_curve_is_the_chains_and_no_round_without_a_result_changes_it() {
    let mut scene = scene();
    for score in [5_000_000, 4_900_000, 4_850_000] {
        scene.whole_round(&scores(score));
    }
    let mut fit = Fit::default();
    fit.judge(100_000);
    let before = fit;
    fit.judge(50_000);
    assert_eq!(scene.job_state().fit, fit);
    // The last round is undone: what it taught is forgotten with it.
    convict(&mut scene, 2, 1);
    assert_eq!(round(&scene, 2).1.status, round::VOID);
    assert_eq!(scene.job_state().fit, before);
    // Nobody attests: the round is void, and has taught nothing.
    scene.to_committed();
    scene.world.advance(200);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
    assert_eq!(scene.job_state().fit, before);
    // The repeat of the same improvement is judged as it was the first time.
    scene.whole_round(&scores(4_850_000));
    assert_eq!((scene.round_state().quality, scene.job_state().fit), (QUALITY_ONE, fit));
}

#[test]
fn honest_work_in_an_undone_round_earns_what_the_round_would_have_paid() {
    // Little to pay, so that what is left of a slice covers it.
    let parameters = Parameters { round_reward: 20 * TOKEN, ..PARAMETERS };
    let mut scene = Scene::with(&Cast { parameters, ..Cast::default() });
    scene.whole_round(&scores(5_000_000));
    convict(&mut scene, 0, 1);
    scene.advance_to(round(&scene, 0).1.final_slot());
    scene.settle_round(&round(&scene, 0).0);
    let owed = |pool: &Address| scene.pool_state(pool).commission_owed;
    let reward = 20 * TOKEN;
    for trainer in [0, 2] {
        assert!(owed(&scene.trainers[trainer].seat.pool).abs_diff(reward / 10_000 * 5_500 / 3) < 10_000);
    }
    assert_eq!(owed(&scene.trainers[1].seat.pool), 0);
    // Its auditors attested the false segment: two thirds of their part, less the penalty, which is more.
    let auditor = scene.pool_state(&scene.auditors[0].seat.pool);
    let penalty = scene.job_state().misattested_segment(0b11).expect("it adds up");
    let charged = penalty - reward / 10_000 * 750 / 3 * 2;
    assert!((BOND_TOKENS * TOKEN - auditor.self_bond).abs_diff(charged) < 10_000 && auditor.commission_owed == 0);
    assert!(owed(&scene.evaluators[0].seat.pool).abs_diff(reward / 30) < 10_000);
    assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).segments_accepted, 0);
}

#[test]
fn a_round_that_runs_on_a_false_base_ends_and_its_auditors_are_paid_of_the_liars_slice() {
    let mut scene = scene();
    scene.whole_round(&scores(5_000_000));
    scene.to_committed();
    scene.to_closed();
    let (program, job, running) = (scene.world.program, scene.job, scene.round());
    let parameters = scene.world.config().parameters;
    scene.world.set_parameters(&Parameters { round_reward: 1_000 * TOKEN, ..parameters });
    convict(&mut scene, 0, 1);
    let key = scene.auditors[0].key.insecure_clone();
    let vote = scene.vote_instruction(0, &named("base"));
    scene.world.refused(&[vote], &[&key], Error::Orphaned);
    scene.world.advance(100);
    scene.crank_refused(program.void_round(&job, &running), Error::Orphaned);
    let authority = scene.world.authority.insecure_clone();
    let open = program.open_round(&authority.pubkey(), &job, 2, 3);
    scene.world.refused(std::slice::from_ref(&open), &[&authority], Error::RoundNotFinished);
    scene.crank(scene.undo_round(&running));
    assert_eq!(round(&scene, 1).1.void_from, round::CLOSED);
    let settle = program.settle_audit(&job, &running, &scene.auditors[0].seat.pool, 0);
    scene.crank_refused(settle, Error::ChallengeOpen);
    scene.advance_to(round(&scene, 1).1.final_slot());
    scene.settle_round(&running);
    let state = round(&scene, 1).1;
    assert!(state.reward > 0);
    assert_eq!(state.compensation, (SLICE / 2 / 10 * 9 / 2).min(state.reward));
    assert!(state.paid > 0 && state.paid <= state.compensation / 5);
    assert_eq!(state.quality, 0);
    for evaluator in &scene.evaluators {
        assert_eq!(scene.pool_state(&evaluator.seat.pool).self_bond, BOND_TOKENS * TOKEN);
    }
    // The seed of the round that ended goes on into the next.
    scene.open_round();
    let next = scene.round_state();
    assert_eq!((next.index, next.parent, next.base_root), (2, NO_ROUND, scene.job_state().spec.genesis_root));
    assert_eq!(next.seed, round(&scene, 1).1.following_seed::<HostSha256>());
}

#[test]
fn a_round_that_ends_before_its_draws_charges_nobody_and_the_seed_moves_on() {
    let mut scene = scene();
    scene.whole_round(&scores(5_000_000));
    scene.to_committed();
    let running = scene.round();
    convict(&mut scene, 0, 1);
    scene.crank(scene.undo_round(&running));
    scene.advance_to(round(&scene, 1).1.final_slot());
    scene.settle_round(&running);
    assert_eq!(round(&scene, 1).1.paid, 0);
    assert_eq!(scene.pool_state(&scene.auditors[0].seat.pool).self_bond, BOND_TOKENS * TOKEN);
    scene.open_round();
    let ended = round(&scene, 1).1;
    assert_eq!(scene.round_state().seed, HostSha256::hashv(&[&ended.seed, &[0; 96]]));
}

#[test]
fn no_score_is_taken_of_a_round_that_builds_on_nothing_any_more() {
    let mut scene = scene();
    scene.whole_round(&scores(5_000_000));
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.commit_score(0, &scores(4_900_000));
    convict(&mut scene, 0, 1);
    let frozen = scene.pool_state(&scene.evaluators[1].seat.pool).frozen_bond;
    let commit = scene.commit_score_instruction(1, &scores(4_900_000));
    let key = scene.evaluators[1].key.insecure_clone();
    scene.world.refused(&[commit], &[&key], Error::Orphaned);
    assert_eq!(scene.pool_state(&scene.evaluators[1].seat.pool).frozen_bond, frozen);
    let deadline = scene.round_state().score_deadline_slot;
    scene.advance_to(deadline);
    let reveal = scene.reveal_score_instruction(0, &scores(4_900_000));
    let key = scene.evaluators[0].key.insecure_clone();
    scene.world.refused(&[reveal], &[&key], Error::Orphaned);
}

#[test]
fn a_conviction_before_the_closing_undoes_nothing() {
    let mut scene = scene();
    scene.to_committed();
    convict(&mut scene, 0, 1);
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    scene.close_round();
    assert_eq!((scene.round_state().status, scene.round_state().accepted), (round::CLOSED, 0b101));
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.settle_all();
    assert_eq!(scene.round_state().status, round::FINAL);
}

#[test]
fn a_disputed_segment_counts_as_it_stands_whoever_attests_it_and_no_longer_once_it_is_convicted() {
    for attesting in 0..3 {
        let mut scene = scene();
        scene.to_committed();
        let address = scene.round();
        let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
        accuser.commit(&mut scene);
        accuser.open(&mut scene);
        for auditor in 0..2 {
            scene.reveal(auditor);
            scene.attest(auditor, 0);
            scene.attest(auditor, 2);
            if auditor < attesting {
                scene.attest(auditor, 1);
            }
        }
        // Every draw is attested or accused: nothing is left to wait for.
        scene.close_round();
        let state = scene.round_state();
        assert_eq!(state.accepted, 0b111);
        // Who believes a segment false and sees it accused has missed nothing.
        for auditor in 0..2 {
            assert_eq!(state.auditors[auditor].drawn, state.auditors[auditor].attested);
        }
        accuser.win(&mut scene);
        assert_eq!(scene.round_state().status, round::VOID);
    }
}

#[test]
fn a_disputed_scoring_run_counts_in_the_tally_as_it_stands_and_no_longer_once_it_is_convicted() {
    let mut scene = scene();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    let said = [4_900_000, 4_950_000, 5_000_000].map(scores);
    for (evaluator, said) in said.iter().enumerate() {
        scene.commit_score(evaluator, said);
    }
    for (evaluator, said) in said.iter().enumerate() {
        scene.reveal_score(evaluator, said);
    }
    // The highest is accused: without it the median would be the lower of the two that are left.
    let (job, round, program) = (scene.job, scene.round(), scene.world.program);
    let key = scene.world.wallet("accuser");
    let (challenger, pool) = (key.pubkey(), scene.evaluators[2].seat.pool);
    let datasets = scene.datasets.clone();
    let salt = named("salt");
    let accusation =
        Accusation { challenger: &challenger, job: &job, round: &round, pool: &pool, datasets: &datasets, salt: &salt };
    scene.world.send(&[program.commit_run_accusation(&accusation)], &[&key]);
    scene.world.advance(1);
    scene.world.send(&[program.open_run_dispute(&accusation)], &[&key]);
    scene.tally();
    let state = scene.round_state();
    assert_eq!((state.status, state.scores[0], state.run_disputes), (round::SCORED, 4_950_000, 1));
    let clock = scene.world.config().parameters.clock_slots;
    scene.world.advance(clock + 1);
    scene.crank(program.time_out(&program.dispute(&program.run(&round, &pool), &challenger)));
    scene.crank(program.resolve_run_dispute(&challenger, &job, &round, &pool));
    let state = scene.round_state();
    // The round was scored by it: with the medians of those who are left it is another one, which is played again.
    assert_eq!((state.status, state.is_undone), (round::VOID, 2));
    assert_eq!((state.scores[0], state.run_disputes), (4_900_000, 0));
}

#[test]
fn a_bogus_dispute_ejects_nobody_and_delays_no_round() {
    let mut court = Court::new(10, 3, None);
    court.open();
    court.scene.reveal(0);
    court.scene.attest(0, 0);
    court.scene.attest(0, 1);
    court.scene.close_round();
    court.scene.to_aggregated();
    court.scene.to_scored(&[scores(5_000_000)]);
    // The next round runs, while the first is still disputed.
    court.scene.open_round();
    let state: Round = court.scene.world.state(&court.round);
    assert_eq!((state.accepted, state.open_challenges), (0b11, 1));
    court.scene.advance_to(state.final_slot());
    let finalise = court.scene.world.program.finalize_round(&court.scene.job, &court.round);
    court.scene.crank_refused(finalise.clone(), Error::ChallengeOpen);
    assert_eq!(court.fight().0, Outcome::Acquitted);
    court.resolve();
    court.scene.crank(finalise);
    assert_eq!(court.scene.world.state::<segment::Segment>(&court.segment()).status, segment::ACCEPTED);
}

#[test]
fn nobody_waits_for_the_segment_of_a_trainer_that_was_convicted_meanwhile() {
    let mut scene = scene();
    scene.to_committed();
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    let address = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.world.advance(200);
    scene.close_round();
    scene.advance_to(scene.round_state().vote_deadline_slot);
    scene.crank(scene.world.program.void_round(&scene.job, &address));
    scene.open_round();
    // The round before came to nothing without a vote, so that this one goes on.
    accuser.win(&mut scene);
    scene.commit(0);
    scene.commit(2);
    scene.close_commits();
    scene.to_closed();
    assert_eq!((scene.round_state().accepted, scene.round_state().parent), (0b101, NO_ROUND));
}

#[test]
fn rounds_are_built_ahead_to_the_jobs_bound_and_become_final_in_order() {
    let mut scene = scene();
    let program = scene.world.program;
    for index in 0..4 {
        scene.whole_round(&scores(5_000_000 - index));
    }
    scene.capture_seed();
    let authority = scene.world.authority.insecure_clone();
    let open = program.open_round(&authority.pubkey(), &scene.job, 4, 3);
    scene.world.refused(std::slice::from_ref(&open), &[&authority], Error::TooFarAhead);
    let [first, second] = [0, 1].map(|index| program.finalize_round(&scene.job, &round(&scene, index).0));
    scene.crank_refused(first.clone(), Error::ChallengeOpen);
    let deadline = round(&scene, 3).1.final_slot();
    scene.advance_to(deadline);
    scene.crank_refused(second.clone(), Error::ParentNotFinal);
    scene.crank(first.clone());
    scene.crank_refused(first, Error::WrongRoundStatus);
    scene.world.send(&[open], &[&authority]);
    let running = program.finalize_round(&scene.job, &scene.round());
    scene.crank_refused(running, Error::WrongRoundStatus);
    scene.crank(second);
    let chain = scene.job_state().chain;
    assert_eq!((chain.open_rounds(), chain.last_final, chain.final_count), (&[2, 3][..], 1, 2));
}

#[test]
fn a_segment_is_amended_for_a_fee_while_no_draw_can_be_known() {
    let mut scene = Scene::new();
    scene.open_round();
    let program = scene.world.program;
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let (job, address) = (scene.job, scene.round());
    let amend = |claim: &SegmentClaim| program.amend_segment(&seat.operator, &job, &address, &seat.pool, claim);
    let slipped = scene.claim(0);
    let right = SegmentClaim { end_root: named("right"), accumulator_root: named("right leaves"), ..slipped };
    scene.world.refused(&[amend(&right)], &[&key], Error::NotInitialised);
    scene.commit(0);
    scene.world.refused(&[amend(&slipped)], &[&key], Error::NothingAmended);
    let elsewhere = SegmentClaim { start_root: named("elsewhere"), ..right };
    scene.world.refused(&[amend(&elsewhere)], &[&key], Error::WrongStartRoot);
    scene.world.refused(&[amend(&SegmentClaim { place: 1, ..right })], &[&key], Error::WrongPlace);
    // The fee comes out of the own bond, which must cover what is open still.
    let state = scene.pool_state(&seat.pool);
    scene.world.overwrite(&seat.pool, &Pool { frozen_bond: state.self_bond, ..state });
    scene.world.refused(&[amend(&right)], &[&key], Error::SelfBondTooSmall);
    // What is owed covers nothing.
    scene.world.overwrite(&seat.pool, &Pool { owed_bond: state.self_bond - state.frozen_bond, ..state });
    scene.world.refused(&[amend(&right)], &[&key], Error::SelfBondTooSmall);
    scene.world.overwrite(&seat.pool, &state);
    let add = program.add_bond(&seat.operator, &seat.pool, 10 * TOKEN);
    scene.world.send(&[add], &[&key]);
    scene.world.advance(101);
    scene.world.send(&[amend(&right)], &[&key]);
    let segment = scene.segment_state(0);
    assert_eq!((segment.claim, segment.late, segment.committed_slot), (right, 1, scene.world.ledger.slot()));
    assert_eq!(scene.pool_state(&seat.pool).self_bond, BOND_TOKENS * TOKEN);
    assert_eq!(scene.world.config().buckets.insurance, 10 * TOKEN);
    scene.close_commits();
    scene.world.refused(&[amend(&slipped)], &[&key], Error::WrongRoundStatus);
}

#[test]
fn the_next_seed_has_the_hashes_of_two_slots_that_nobody_chose() {
    let mut scene = Scene::new();
    scene.to_committed();
    let capture = scene.world.program.capture_seed(&scene.job, &scene.round());
    scene.crank_refused(capture.clone(), Error::NoSeedPending);
    scene.to_closed();
    let closed = scene.round_state();
    assert_eq!(closed.seed_slots, seed::DELAY_SLOTS.map(|delay| scene.world.ledger.slot() + delay));
    scene.advance_to(closed.seed_slots[1]);
    scene.crank_refused(capture.clone(), Error::SeedNotDue);
    scene.world.advance(1);
    let mut elsewhere = capture.clone();
    elsewhere.accounts[2].pubkey = scene.round();
    scene.crank_refused(elsewhere, Error::WrongAddress);
    // When the crank turns changes nothing.
    scene.world.advance(300);
    let window = scene.world.ledger.account(&SLOT_HASHES).unwrap().data;
    scene.crank(capture.clone());
    let state = scene.round_state();
    assert_eq!(state.seed_status, seed::CAPTURED);
    for (hash, slot) in state.seed_hashes.iter().zip(state.seed_slots) {
        let entry = window[8..].chunks_exact(40).find(|entry| entry[..8] == slot.to_le_bytes()).unwrap();
        assert_eq!(hash[..], entry[8..]);
    }
    assert_eq!(scene.job_state().next_seed, state.following_seed::<HostSha256>());
    scene.crank_refused(capture, Error::NoSeedPending);
}

#[test]
fn a_seed_that_nobody_captures_has_zeros_and_the_next_round_is_audited_whole() {
    let mut cast = Cast::default();
    cast.spec.audit_rate = 0;
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    assert_eq!(scene.round_state().audit_rate, 0);
    scene.world.advance(600);
    scene.capture_seed();
    let state = scene.round_state();
    assert_eq!((state.seed_status, state.seed_hashes), (seed::MISSED, [[0; 32]; 2]));
    scene.to_committed();
    assert_eq!(scene.round_state().audit_rate, u32::MAX);
    scene.reveal(0);
    scene.attest(0, 1);
    scene.reveal(1);
    scene.world.advance(200);
    scene.close_round();
    assert_eq!(scene.round_state().auditors[0].drawn, 3);
    scene.capture_seed();
    assert_eq!(scene.round_state().seed_status, seed::CAPTURED);
}

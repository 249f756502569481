//! A liar hands over what nobody can build on, is accused, and stays silent until the round has come to nothing: it alone pays for that.

use crate::accuser::Accuser;
use sip_client::{Accusation, AttestationAccusation};
use sip_ledger::Ledger;
use sip_protocol::{
    Error,
    court::{CaseKind, MoveKind},
    ground::units::TOKEN,
    training::{
        round,
        seats::{AWAKE, DORMANT, MISSED},
        segment,
    },
};
use sip_testing::{BOND_TOKENS, Cast, Scene, named, scores};
use solana_signer::Signer;

const FULL: u64 = BOND_TOKENS * TOKEN;

fn scene() -> Scene {
    let mut scene = Scene::with(&Cast::default());
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    scene.capture_seed();
    scene
}

/// Attack: the auditors cannot vote on a base that holds the accused segment. The round comes to nothing at the vote's deadline, before the
/// liar's clock has run out. They were charged the whole round for that, and their seats fell asleep.
#[test]
fn attack_auditors_do_not_pay_for_a_round_that_a_silent_liar_brought_to_nothing() {
    let mut scene = scene();
    scene.to_committed();
    let address = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.close_round();
    scene.show_all();
    let before = [0, 1].map(|auditor| scene.pool_state(&scene.auditors[auditor].seat.pool));
    scene.advance_to(scene.round_state().vote_deadline_slot);
    scene.crank(scene.world.program.void_round(&scene.job, &address));
    let missed = |scene: &Scene| scene.job_state().auditors.map(|seat| seat.missed).iter().max().copied();
    assert_eq!(missed(&scene), Some(MISSED));
    accuser.win(&mut scene);
    assert_eq!(missed(&scene), Some(0), "who could not vote was not absent");
    assert_eq!(scene.segment_state(1).status, segment::CONVICTED);
    let state: round::Round = scene.world.state(&address);
    assert_eq!((state.status, state.is_undone, state.void_from), (round::VOID, 1, round::CLOSED));
    assert!(state.compensation > 0, "the liar's slice pays the others' work");
    scene.advance_to(state.final_slot());
    scene.settle_round(&address);
    for (auditor, before) in before.iter().enumerate() {
        let after = scene.pool_state(&scene.auditors[auditor].seat.pool);
        assert_eq!(after.self_bond, FULL);
        assert!(after.commission_owed > before.commission_owed, "auditor {auditor} is paid for its work");
    }
    scene.world.check_conservation();
}

/// Attack: somebody disputes a true attestation in its last slot and stays silent, so that the auditor's slices are frozen when the
/// job has gone on. Finality waits for that dispute as for every other, and the slices are free when it comes.
#[test]
fn attack_a_dispute_on_an_attestation_freezes_no_slice_of_a_final_round() {
    let mut scene = Scene::with(&Cast::default());
    scene.whole_round(&scores(5_000_000));
    let address = scene.world.program.round(&scene.job, 0);
    let state: round::Round = scene.world.state(&address);
    let griefer = scene.world.wallet("griefer");
    let (key, seat) = (griefer.pubkey(), scene.auditors[0].seat);
    let program = scene.world.program;
    let (segment, job, datasets) = (scene.segment(0), scene.job, scene.datasets.clone());
    let accusation = AttestationAccusation {
        challenger: &key,
        job: &job,
        round: &address,
        segment: &segment,
        auditor: &seat,
        datasets: &datasets,
        salt: &named("grief"),
    };
    scene.advance_to(state.accusable_until(CaseKind::Attestation));
    scene.world.send(&[program.commit_hidden(&accusation.hidden())], &[&griefer]);
    scene.world.advance(1_500);
    scene.world.send(&[program.open_attestation_dispute(&accusation)], &[&griefer]);
    scene.advance_to(state.final_slot());
    scene.crank_refused(program.finalize_round(&scene.job, &address), Error::ChallengeOpen);
    // The griefer has not moved: its clock runs out, and it loses its bond.
    let dispute = program.auditor_dispute(&scene.segment(0), &key, seat.place);
    scene.world.advance(scene.world.config().parameters.clock_slots.max(u64::from(state.audit_slots)));
    scene.crank(program.time_out(&dispute));
    let resolve = program.resolve_auditor_dispute(&key, &dispute, &scene.job, &address, &seat.pool);
    scene.crank(resolve);
    scene.crank(program.finalize_round(&scene.job, &address));
    scene.settle_round(&address);
    assert_eq!(scene.pool_state(&seat.pool).frozen_bond, 0);
}

/// A round in whose base a false segment of trainer 1 counts, whose end nobody else has: the auditors are its accomplices, and of the
/// evaluators the last, who scores it or does not. The segment is accused, and its trainer says nothing.
fn hidden_round(scene: &mut Scene, is_scored: bool) -> Accuser {
    scene.to_committed();
    let accuser = Accuser::new(scene, "accuser", &scene.round(), 1);
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    accuser.commit(scene);
    accuser.open(scene);
    scene.close_round();
    scene.show_all();
    scene.to_aggregated();
    let accomplice = scene.evaluators.len() - 1;
    if is_scored {
        scene.commit_score(accomplice, &scores(4_900_000));
        scene.advance_to(scene.round_state().score_deadline_slot);
        scene.reveal_score(accomplice, &scores(4_900_000));
    }
    scene.advance_to(scene.round_state().reveal_deadline_slot);
    scene.tally();
    assert_eq!(scene.round_state().status, if is_scored { round::SCORED } else { round::VOID });
    accuser
}

/// Attack: the liar's accomplices make a base that nobody else can score, and one of them does. The honest evaluators were charged for their absence.
#[test]
fn attack_evaluators_do_not_pay_for_a_base_that_only_its_liars_could_score() {
    unscored(true, round::SCORED);
}

/// Attack: none of them does, so that the round comes to nothing. The honest evaluators were charged all of it.
#[test]
fn attack_evaluators_do_not_pay_for_a_round_whose_base_nobody_had() {
    unscored(false, round::AGGREGATED);
}

fn unscored(is_scored: bool, void_from: u8) {
    let mut scene = scene();
    let accuser = hidden_round(&mut scene, is_scored);
    let address = scene.round();
    assert_eq!([0, 1].map(|place| scene.job_state().evaluators[place].missed), [MISSED; 2]);
    accuser.outwait(&mut scene);
    assert_eq!([0, 1].map(|place| scene.job_state().evaluators[place].missed), [0; 2]);
    let state: round::Round = scene.world.state(&address);
    assert_eq!((state.status, state.is_undone, state.void_from), (round::VOID, 1, void_from));
    scene.advance_to(state.final_slot());
    scene.settle_round(&address);
    for evaluator in 0..2 {
        assert_eq!(scene.pool_state(&scene.evaluators[evaluator].seat.pool).self_bond, FULL);
    }
    scene.world.check_conservation();
}

/// Attack: the friend of the accomplice accuses its run before the silent liar's clock has run out, so that the round is undone for its scores already
/// when its work is convicted. The honest evaluators, who had no base to score, were charged, and kept a miss; the order of two verdicts decided it.
#[test]
fn attack_a_run_that_is_conceded_first_keeps_nobody_charged_for_a_base_that_was_false() {
    let ends = [true, false].map(|is_run_first| {
        let mut scene = scene();
        let accuser = hidden_round(&mut scene, true);
        let (address, accomplice) = (scene.round(), scene.evaluators.len() - 1);
        let friend = scene.world.wallet("friend");
        let (wallet, pool, job) = (friend.pubkey(), scene.evaluators[accomplice].seat.pool, scene.job);
        let (datasets, salt, program) = (scene.datasets.clone(), named("salt"), scene.world.program);
        let (round, pool) = (&address, &pool);
        let accusation = Accusation { challenger: &wallet, job: &job, round, pool, datasets: &datasets, salt: &salt };
        scene.world.send(&[program.commit_run_accusation(&accusation)], &[&friend]);
        scene.world.advance(1);
        scene.world.send(&[program.open_run_dispute(&accusation)], &[&friend]);
        let key = scene.evaluators[accomplice].key.insecure_clone();
        let dispute = program.dispute(&program.run(round, pool), &wallet);
        let concede = program.play_move(&key.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        scene.world.send(&[concede], &[&key]);
        let resolve = program.resolve_run_dispute(&wallet, &job, round, pool);
        let missed = |scene: &Scene| [0, 1].map(|place| scene.job_state().evaluators[place].missed);
        if is_run_first {
            scene.crank(resolve.clone());
            assert_eq!((scene.round_state().is_undone, missed(&scene)), (2, [MISSED; 2]));
        }
        accuser.outwait(&mut scene);
        if !is_run_first {
            scene.crank(resolve);
        }
        let state: round::Round = scene.world.state(&address);
        assert_eq!((state.status, state.is_undone, state.void_from), (round::VOID, 1, round::SCORED));
        assert_eq!(missed(&scene), [0; 2], "{is_run_first}");
        scene.advance_to(state.final_slot());
        scene.settle_round(&address);
        for evaluator in 0..2 {
            assert_eq!(scene.pool_state(&scene.evaluators[evaluator].seat.pool).self_bond, FULL, "{is_run_first}");
        }
        scene.world.check_conservation();
        let all = scene.trainers.iter().chain(&scene.auditors).chain(&scene.evaluators);
        let held: Vec<u64> = all.map(|it| scene.pool_state(&it.seat.pool).held().unwrap()).collect();
        let paid = scene.world.state::<round::Round>(&address);
        (held, paid.compensation, paid.paid)
    });
    assert_eq!(ends[0], ends[1]);
}

/// A miss that the holder has wiped out since by being there is gone, and takes no later one with it.
#[test]
fn a_miss_that_is_taken_back_late_forgives_no_later_one() {
    let mut cast = Cast::default();
    cast.spec.lookahead = 4;
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    scene.capture_seed();
    let accuser = hidden_round(&mut scene, false);
    let missed = |scene: &Scene| [0, 1].map(|place| scene.job_state().evaluators[place].missed);
    assert_eq!(missed(&scene), [MISSED; 2]);
    scene.capture_seed();
    scene.whole_round(&scores(4_900_000));
    assert_eq!(missed(&scene), [0; 2]);
    // They miss a round that they could have scored.
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.commit_score(2, &scores(4_800_000));
    scene.advance_to(scene.round_state().score_deadline_slot);
    scene.reveal_score(2, &scores(4_800_000));
    scene.tally();
    assert_eq!(missed(&scene), [MISSED; 2]);
    accuser.outwait(&mut scene);
    assert_eq!(missed(&scene), [MISSED; 2]);
}

/// Attack: on such a base they open two rounds more, in which nobody else can do anything, and which come to nothing before the clock of the silent liar has
/// run out. Everybody who was awaited in them was charged the whole reward of both, and fell asleep.
#[test]
fn attack_nobody_pays_for_rounds_that_come_to_nothing_on_a_base_that_nobody_had() {
    let mut cast = Cast::default();
    cast.spec.lookahead = 3;
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    scene.capture_seed();
    let accuser = hidden_round(&mut scene, true);
    scene.capture_seed();
    let mut built = Vec::new();
    for _ in 0..2 {
        scene.open_round();
        scene.advance_to(scene.round_state().commit_deadline_slot);
        scene.close_commits();
        scene.close_round();
        assert_eq!(scene.round_state().status, round::VOID);
        built.push(scene.round());
    }
    let trainers = |scene: &Scene| [0, 2].map(|place| scene.job_state().trainers[place].state);
    assert_eq!(trainers(&scene), [DORMANT; 2]);
    // Nobody takes their seats before the verdict, nor opens more rounds than the slice was measured for.
    let job = scene.job_state();
    let longest = job.spec.longest_dispute_slots(&job.parameters);
    assert_eq!(job.trainers[0].changed_slot, scene.world.ledger.slot() + longest);
    scene.capture_seed();
    let wake = scene.trainers[0].seat;
    let join = scene.world.program.join_job(&wake.operator, &scene.job, &wake.pool);
    let mut copy = scene.world.ledger.clone();
    let key = scene.trainers[0].key.insecure_clone();
    let authority = scene.world.authority.insecure_clone();
    copy.send(&[join], &authority, &[&authority, &key]).expect("a holder wakes its own seat");
    let open = scene.world.program.open_next_round(&authority.pubkey(), &scene.job, &job);
    let refused = copy.send(&[open], &authority, &[&authority]).expect_err("three rounds hang on what is not final");
    assert!(format!("{refused:?}").contains(&format!("{:#x}", Error::TooFarAhead as u32)), "{refused:?}");
    // Nobody is charged before it is known whether there was anything to work on.
    let (program, job, seat) = (scene.world.program, scene.job, scene.trainers[0].seat);
    let settle = [0, 1].map(|index| program.settle_absent(&job, &built[index], &seat.pool, seat.place));
    scene.advance_to(scene.round_state().final_slot());
    scene.crank_refused(settle[0].clone(), Error::ParentNotFinal);
    accuser.outwait(&mut scene);
    scene.crank_refused(settle[0].clone(), Error::Orphaned);
    for round in &built {
        scene.crank(scene.undo_round(round));
        scene.crank_refused(scene.undo_round(round), Error::NotOrphaned);
    }
    assert_eq!(trainers(&scene), [AWAKE; 2]);
    for round in &built {
        assert_eq!(scene.world.state::<round::Round>(round).is_undone, 3);
        scene.settle_round(round);
    }
    for operator in [&scene.trainers[0], &scene.trainers[2], &scene.evaluators[0], &scene.evaluators[1]] {
        assert_eq!(scene.pool_state(&operator.seat.pool).self_bond, FULL);
    }
    scene.world.check_conservation();
}

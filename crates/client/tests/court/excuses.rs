//! Attack: a cheap conviction in place of a dear absence. The pool that a round awaited owes what it missed, whatever it is convicted of later,
//! and the seat that a convicted pool holds by then is awaited no more.

use crate::accuser::Accuser;
use crate::court::hall::Hall;
use sip_client::{Accusation, Seat};
use sip_node::dispute::Challenger;
use sip_protocol::{
    court::{Dispute, MoveKind},
    ground::{offence::Penalties, units::TOKEN},
    stake::pool::PoolKind,
    training::{
        round::{self, Round},
        seats::{AWAKE, CONVICTED, FREE},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, named, scores};
use solana_address::Address;
use solana_signer::Signer;

const BOND: u64 = BOND_TOKENS * TOKEN;

/// A job of two auditors whose segments can be accused for long.
fn scene() -> Scene {
    let mut cast = Cast { auditors: 2, ..Cast::default() };
    cast.spec.challenge_slots = 5_000;
    Scene::with(&cast)
}

/// An auditor concedes the attestation that is disputed, once its leaf is shown.
fn concede(hall: &mut Hall, auditor: usize) {
    let dispute = hall.attestation_dispute(auditor, 0);
    let run = hall.runs[0].clone();
    let game = hall.scene.world.state::<Dispute>(&dispute).game;
    let show = Challenger::new(run.graph(), run).next(&game).unwrap().unwrap();
    let (program, friend) = (hall.scene.world.program, hall.challenger.key.insecure_clone());
    hall.scene.world.send(&program.moves(&friend.pubkey(), &dispute, show.kind, &show.payload), &[&friend]);
    let key = hall.key(auditor);
    let concede = program.play_move(&key.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
    hall.scene.world.send(&[concede], &[&key]);
}

/// Ends a round in which nobody voted.
fn end_unvoted(scene: &mut Scene) -> Address {
    let (round, deadline) = (scene.round(), scene.round_state().vote_deadline_slot);
    scene.advance_to(deadline);
    let void = scene.world.program.void_round(&scene.job, &round);
    scene.crank(void);
    assert_eq!(scene.round_state().status, round::VOID);
    round
}

/// A round in which no auditor reveals its draw.
fn undrawn(scene: &mut Scene) -> Address {
    scene.to_committed();
    let (round, deadline) = (scene.round(), scene.round_state().audit_deadline_slot);
    scene.advance_to(deadline);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
    round
}

fn settle_audits(scene: &mut Scene, round: &Address) {
    let end = scene.world.state::<Round>(round).final_slot();
    scene.advance_to(end);
    for auditor in 0..3 {
        let seat: Seat = scene.auditors[auditor].seat;
        scene.crank(scene.world.program.settle_audit(&scene.job, round, &seat.pool, seat.place));
    }
}

/// What three auditors are charged that are silent in two rounds, and concede an attestation of the first one at the end, or not.
fn silence(is_conceded: bool) -> [u64; 3] {
    let mut hall = Hall::closed();
    for (auditor, trainer) in (0..3).flat_map(|auditor| [(auditor, 0), (auditor, 1)]) {
        let root = hall.root(auditor, trainer);
        hall.show(auditor, trainer, &root);
    }
    let first = end_unvoted(&mut hall.scene);
    let mut resolves = Vec::new();
    for auditor in (0..3).filter(|_| is_conceded) {
        hall.accuse_attestation(auditor, 0);
        resolves.push(hall.resolve_instruction(&hall.attestation_dispute(auditor, 0), auditor));
        concede(&mut hall, auditor);
    }
    // No verdict is applied before they have been silent a second time.
    let second = undrawn(&mut hall.scene);
    resolves.into_iter().for_each(|resolve| {
        hall.scene.crank(resolve);
    });
    let bond = |scene: &Scene, auditor: usize| scene.pool_state(&scene.auditors[auditor].seat.pool).self_bond;
    let before = [0, 1, 2].map(|auditor| bond(&hall.scene, auditor));
    settle_audits(&mut hall.scene, &first);
    settle_audits(&mut hall.scene, &second);
    [0, 1, 2].map(|auditor| {
        let pool = hall.scene.pool_state(&hall.scene.auditors[auditor].seat.pool);
        // The slices are free, of those who were convicted too.
        assert_eq!((pool.claims_convicted, pool.frozen_bond), (is_conceded as u32, 0));
        before[auditor] - pool.self_bond
    })
}

#[test]
fn a_conceded_attestation_swallows_no_vote_and_no_draw_that_was_missed() {
    let (owed, lost) = (silence(false), silence(true));
    for auditor in 0..3 {
        let rows = Penalties::DEFAULT.missed_vote + Penalties::DEFAULT.missed_draw;
        assert!(owed[auditor] >= rows && rows > 0, "{owed:?}");
        assert_eq!(lost[auditor], owed[auditor]);
    }
}

/// Attack: all auditors keep their draws to themselves in a round on one in which a friend has a claim of its own convicted. They paid nothing for what
/// they destroyed, since the round was undone because of its base.
#[test]
fn attack_a_base_that_falls_excuses_nobody_who_kept_back_its_draw() {
    let lost = [false, true].map(|is_conceded| {
        let mut scene = scene();
        scene.whole_round(&scores(5_000_000));
        let first = scene.round();
        let friend = Accuser::new(&mut scene, "friend", &first, 1);
        if is_conceded {
            friend.commit(&mut scene);
            friend.open(&mut scene);
        }
        let second = undrawn(&mut scene);
        let expected = scene.world.state::<Round>(&second).expected_reward;
        if is_conceded {
            friend.win(&mut scene);
            let undo = scene.undo_round(&second);
            scene.crank(undo);
        } else {
            scene.finalise_all();
        }
        scene.advance_to(scene.world.state::<Round>(&second).final_slot());
        let lost = [0, 1].map(|auditor| {
            let seat = scene.auditors[auditor].seat;
            let before = scene.pool_state(&seat.pool).self_bond;
            scene.crank(scene.world.program.settle_audit(&scene.job, &second, &seat.pool, seat.place));
            before - scene.pool_state(&seat.pool).self_bond
        });
        assert!(expected > 0 && lost.iter().sum::<u64>() >= expected, "{lost:?} of {expected}");
        lost
    });
    assert_eq!(lost[0], lost[1]);
}

#[test]
fn a_conceded_segment_excuses_no_absence_whether_a_newcomer_has_taken_the_seat_or_not() {
    let mut lost = Vec::new();
    for (is_conceded, has_newcomer) in [(false, false), (true, false), (true, true)] {
        let mut scene = scene();
        scene.to_committed();
        scene.to_closed();
        let first = end_unvoted(&mut scene);
        let accuser = Accuser::new(&mut scene, "friend", &first, 1);
        if is_conceded {
            accuser.commit(&mut scene);
            accuser.open(&mut scene);
        }
        scene.open_round();
        [0, 2].into_iter().for_each(|trainer| {
            scene.commit(trainer);
        });
        let deadline = scene.round_state().commit_deadline_slot;
        scene.advance_to(deadline);
        scene.close_commits();
        scene.to_closed();
        let second = scene.round();
        if is_conceded {
            accuser.win(&mut scene);
        }
        let pool = scene.trainers[1].seat.pool;
        if has_newcomer {
            let newcomer = scene.world.operator("newcomer", PoolKind::Trainer);
            let leave = scene.world.program.leave_job(&scene.trainers[1].seat, &scene.job);
            scene.world.send(&[leave], &[&scene.trainers[1].key.insecure_clone()]);
            let join = scene.world.program.join_job(&newcomer.seat.operator, &scene.job, &newcomer.seat.pool);
            scene.world.send(&[join], &[&newcomer.key]);
        }
        scene.to_aggregated();
        scene.to_scored(&[scores(5_000_000); 3]);
        scene.finalise_all();
        let before = scene.pool_state(&pool).self_bond;
        let settle = scene.world.program.settle_absent(&scene.job, &second, &pool, 1);
        scene.crank(settle);
        lost.push(before - scene.pool_state(&pool).self_bond);
    }
    assert!(lost[0] > 0 && lost == [lost[0]; 3], "{lost:?}");
}

#[test]
fn a_pool_that_moved_to_another_place_loses_that_seat_to_its_conviction() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 5_000;
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    let first = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &first, 1);
    accuser.commit(&mut scene);
    for trainer in [0, 1] {
        let leave = scene.world.program.leave_job(&scene.trainers[trainer].seat, &scene.job);
        scene.world.send(&[leave], &[&scene.trainers[trainer].key.insecure_clone()]);
    }
    let (liar, key) = (scene.trainers[1].seat, scene.trainers[1].key.insecure_clone());
    let join = scene.world.program.join_job_with(&liar.operator, &scene.job, &liar.pool, 0);
    scene.world.send(&[join], &[&key]);
    let seats = |scene: &Scene| [0, 1].map(|place: usize| scene.job_state().trainers[place]);
    assert_eq!(seats(&scene).map(|seat| seat.state), [AWAKE, FREE]);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    assert_eq!(
        seats(&scene).map(|seat| (seat.state, seat.pool)),
        [CONVICTED, FREE].map(|it| (it, liar.pool.to_bytes()))
    );
}

#[test]
fn a_convicted_evaluators_seat_is_awaited_no_more() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let friend = scene.world.wallet("friend");
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    let (liar, key) = (scene.evaluators[1].seat, scene.evaluators[1].key.insecure_clone());
    let accusation = Accusation {
        challenger: &friend.pubkey(),
        job: &job,
        round: &round,
        pool: &liar.pool,
        datasets: &scene.datasets.clone(),
        salt: &named("salt"),
    };
    for half in [program.commit_run_accusation(&accusation), program.open_run_dispute(&accusation)] {
        scene.world.send(&[half], &[&friend]);
        scene.world.advance(1);
    }
    let dispute = program.dispute(&program.run(&round, &liar.pool), &friend.pubkey());
    let concede = program.play_move(&key.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
    scene.world.send(&[concede], &[&key]);
    scene.crank(program.resolve_run_dispute(&friend.pubkey(), &job, &round, &liar.pool));
    assert_eq!(scene.pool_state(&liar.pool).self_bond, BOND - SLICE);
    assert_eq!(scene.job_state().evaluators[1].state, CONVICTED);
    scene.open_round();
    assert_eq!(scene.round_state().awaited_evaluators, 0b101);
}

//! The second draw: what an auditor's first draw passed by, it draws again before the round is final.

use crate::accuser::Accuser;
use crate::court::hall::Hall;
use sip_node::dispute::{Challenger, Defender};
use sip_proof::HostSha256;
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::ground::offence::Penalties;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::second_draw::selects;
use sip_protocol::{
    Error,
    training::{round, seats::AWAKE, segment},
};
use sip_protocol::{
    court::{MoveKind, Outcome},
    ground::case::CaseKind,
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, named, scores};

const FULL: u64 = BOND_TOKENS * TOKEN;
const MISSED: u64 = Penalties::DEFAULT.missed_attestation;

/// A job whose first draw selects nothing, and whose second one so much of 2³².
fn cast(second_audit_rate: u32) -> Cast {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, second_audit_rate);
    cast
}

/// A round whose base stands and that nobody drew.
fn unseen(second_audit_rate: u32) -> Scene {
    let mut scene = Scene::with(&cast(second_audit_rate));
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene
}

/// What an auditor has, and how often it missed something.
fn holds(scene: &Scene, auditor: usize) -> (u64, u64, u32) {
    let pool = scene.pool_state(&scene.auditors[auditor].seat.pool);
    (pool.self_bond, pool.commission_owed, pool.audits_missed)
}

#[test]
fn the_second_draw_selects_what_the_preimage_of_the_vote_says_and_nothing_of_the_first() {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (u32::MAX / 2, u32::MAX / 2);
    let mut scene = Scene::with(&cast);
    let (mut first, mut again) = (0, 0);
    for _ in 0..4 {
        scene.whole_round(&scores(5_000_000));
        let (address, state) = (scene.round(), scene.round_state());
        for (seat, auditor) in state.auditors[..2].iter().zip(&scene.auditors) {
            assert_eq!(scene.pool_state(&auditor.seat.pool).chain_tip, seat.second_preimage);
            for place in 0..3u8 {
                let stands = scene.segment_state(place.into());
                let is_drawn =
                    stands.is_drawn::<HostSha256>(scene.segment(place.into()).as_array(), seat, state.audit_rate);
                let selected = selects::<HostSha256>(
                    &seat.second_preimage,
                    address.as_array(),
                    place,
                    cast.spec.second_audit_rate,
                );
                assert_eq!(seat.undrawn & (1 << place) != 0, !is_drawn);
                assert_eq!(seat.drawn_again & (1 << place) != 0, !is_drawn && selected);
                first += u32::from(is_drawn);
                again += u32::from(!is_drawn && selected);
            }
        }
    }
    assert!(first > 0 && again > 0, "{first} and {again}");
}

#[test]
fn nobody_draws_its_own_segment_again() {
    // The auditor's wallet is a trainer's as well.
    let mut scene = Scene::with(&cast(u32::MAX));
    scene.to_committed();
    let address = scene.segment(1);
    let own = segment::Segment { operator: scene.auditors[0].seat.operator.to_bytes(), ..scene.segment_state(1) };
    scene.world.overwrite(&address, &own);
    scene.to_closed();
    scene.to_aggregated();
    let seats = scene.round_state().auditors;
    assert_eq!((seats[0].drawn_again, seats[1].drawn_again), (0b101, 0b111));
    let refused = scene.attest_second_instruction(0, 1, &named("replay"));
    let key = scene.auditors[0].key.insecure_clone();
    scene.world.refused(&[refused], &[&key], Error::NotDrawn);
}

#[test]
fn a_second_attestation_is_made_once_in_time_by_who_drew_it() {
    let mut scene = Scene::with(&cast(u32::MAX));
    scene.to_committed();
    scene.to_closed();
    let key = scene.auditors[0].key.insecure_clone();
    let attest = |scene: &Scene, root| scene.attest_second_instruction(0, 1, &root);
    // The draw comes with the vote.
    let early = attest(&scene, named("replay"));
    scene.world.refused(&[early], &[&key], Error::NotDrawn);
    scene.vote(0, &named("base"));
    let empty = attest(&scene, [0; 32]);
    scene.world.refused(&[empty], &[&key], Error::EmptyDigest);
    let other = scene.auditors[1].key.insecure_clone();
    let foreign = scene.attest_second_instruction(1, 1, &named("replay"));
    scene.world.refused(&[foreign], &[&other], Error::NotDrawn);
    scene.attest_second(0, 1);
    let seat = scene.round_state().auditors[0];
    assert_eq!((seat.attested, seat.shown, seat.attested_again, seat.drawn), (1, 1, 1, 0));
    assert_eq!(scene.segment_state(1).attestations[0], Scene::trace_root(0, 1));
    let twice = attest(&scene, named("replay"));
    scene.world.refused(&[twice], &[&key], Error::AlreadyAttested);
    // Until an audit's length after the vote's deadline, whatever became of the round meanwhile.
    scene.vote(1, &named("base"));
    scene.to_scored(&[scores(5_000_000); 3]);
    let state = scene.round_state();
    assert_eq!(state.second_deadline_slot, state.vote_deadline_slot + u64::from(state.audit_slots));
    scene.advance_to(state.second_deadline_slot - 1);
    scene.attest_second(0, 0);
    scene.world.advance(1);
    let late = scene.attest_second_instruction(0, 2, &named("replay"));
    scene.world.refused(&[late], &[&key], Error::WrongRoundStatus);
}

#[test]
fn a_missed_second_attestation_is_charged_and_delays_nothing() {
    let mut scene = unseen(u32::MAX);
    scene.to_scored(&[scores(5_000_000); 3]);
    // The first does its work, the second does nothing of it.
    (0..3).for_each(|trainer| scene.attest_second(0, trainer));
    scene.open_round();
    let next = scene.round_state().index;
    assert_eq!(next, 1, "the next round opens meanwhile");
    let address = scene.world.program.round(&scene.job, 0);
    let state: round::Round = scene.world.state(&address);
    let before = [0, 1].map(|auditor| holds(&scene, auditor));
    scene.finalise_oldest();
    assert_eq!(scene.world.state::<round::Round>(&address).status, round::FINAL);
    assert_eq!(scene.world.ledger.slot(), state.final_slot(), "as soon as nobody can accuse any more");
    for auditor in 0..2 {
        let settle =
            scene.world.program.settle_audit(&scene.job, &address, &scene.auditors[auditor].seat.pool, auditor as u8);
        scene.crank(settle);
    }
    let [careful, lazy] = [0, 1].map(|auditor| holds(&scene, auditor));
    assert!(careful.1 > before[0].1 && careful.2 == 0);
    assert_eq!(lazy, (FULL - 3 * MISSED, before[1].1, 3));
}

/// An auditor knows its next draw: to keep it back, and the vote with it, is no cheaper than to bring it and do nothing.
#[test]
fn who_keeps_its_vote_back_has_missed_all_that_it_could_have_drawn() {
    let mut cast = Cast { auditors: 3, ..cast(u32::MAX / 4) };
    cast.spec.audit_rate = u32::MAX / 4;
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("base"));
    scene.vote(1, &named("base"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
    let seat = scene.round_state().auditors[2];
    let undrawn = seat.undrawn.count_ones();
    assert!(undrawn > 0 && undrawn + u32::from(seat.drawn) == 3);
    assert_eq!((seat.due_again(cast.spec.second_audit_rate), seat.due_again(0)), (undrawn, 0));
    let voted = scene.round_state().auditors[1];
    assert!(voted.due_again(cast.spec.second_audit_rate) <= voted.undrawn.count_ones());
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.settle_all();
    let (_, _, missed) = holds(&scene, 2);
    assert!(missed >= undrawn, "{missed} of {undrawn}");
}

/// Votes are taken until the deadline, also when the base stands: else the first voter would spare the others their second draw.
#[test]
fn who_votes_after_the_base_was_made_brings_its_draw_and_changes_nothing() {
    let mut scene = Scene::with(&Cast { auditors: 3, ..cast(u32::MAX) });
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("base"));
    scene.vote(1, &named("base"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
    scene.vote(2, &named("another"));
    let state = scene.round_state();
    assert_eq!((state.auditors[2].drawn_again, state.next_base), (0b111, named("base")));
    // What made the base stands, so that it can be accused.
    let key = scene.auditors[0].key.insecure_clone();
    let change = scene.vote_instruction(0, &named("another"));
    scene.world.refused(&[change], &[&key], Error::WrongRoundStatus);
    let repeat = scene.vote_instruction(0, &named("base"));
    scene.world.refused(&[repeat], &[&key], Error::AlreadyVoted);
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.advance_to(state.vote_deadline_slot);
    (0..3).for_each(|trainer| scene.attest_second(2, trainer));
    // A late vote for another base is a vote: nothing of its auditor's is missing.
    scene.settle_all();
    let seat = scene.job_state().auditors[2];
    assert_eq!((holds(&scene, 2).0, holds(&scene, 2).2, seat.state, seat.missed), (FULL, 0, AWAKE, 0));
}

#[test]
fn a_lie_that_nobody_drew_is_found_by_the_second_draw_and_undone() {
    let mut scene = unseen(u32::MAX);
    scene.to_scored(&[scores(5_000_000); 3]);
    let address = scene.round();
    // Both attest what is true, and the first accuses what is not, as late as it attests.
    for auditor in 0..2 {
        scene.attest_second(auditor, 0);
        scene.attest_second(auditor, 2);
    }
    let deadline = scene.round_state().second_deadline_slot;
    scene.advance_to(deadline - 1);
    let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    let state = scene.round_state();
    assert_eq!((state.status, state.is_undone), (round::VOID, 1));
    assert_eq!(scene.job_state().base_root, scene.job_state().spec.genesis_root);
    assert_eq!(scene.pool_state(&scene.trainers[1].seat.pool).self_bond, FULL - SLICE);
    // What is left undone of a round that was undone is nobody's fault.
    scene.advance_to(state.final_slot());
    scene.settle_round(&address);
    for auditor in 0..2 {
        assert_eq!((holds(&scene, auditor).0, holds(&scene, auditor).2), (FULL, 0));
    }
}

#[test]
fn who_attested_a_lie_of_the_second_draw_answers_for_it() {
    let mut scene = unseen(u32::MAX);
    scene.to_scored(&[scores(5_000_000); 3]);
    let address = scene.round();
    for trainer in 0..3 {
        scene.attest_second(0, trainer);
    }
    let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    let seat = scene.round_state().auditors[0];
    assert_eq!((seat.attested_again, seat.attested, seat.shown, seat.refuted), (3, 2, 2, 1));
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    scene.settle_round(&address);
    // Less what its other attestations have earned.
    let charged = FULL - holds(&scene, 0).0;
    let penalty = scene.job_state().misattested_segment(0b11).expect("it adds up");
    assert!(charged > penalty / 10 * 7 && charged <= penalty, "{charged}");
    assert_eq!(holds(&scene, 0).2, 0);
}

/// A false second attestation is accused in its last slot, and its own slice pays: who copies another's word attests the wrong step.
#[test]
fn a_copied_second_attestation_is_of_another_leaf_and_is_convicted() {
    let mut hall = Hall::unseen();
    (0..3).for_each(|auditor| hall.scene.vote(auditor, &named("base")));
    // Of anybody.
    let copycat = 2;
    let honest = hall.root(0, 0);
    for auditor in [0, copycat] {
        let key = hall.key(auditor);
        let attest = hall.scene.attest_second_instruction(auditor, 0, &honest);
        hall.scene.world.send(&[attest], &[&key]);
    }
    assert_ne!(hall.root(copycat, 0), honest);
    hall.scene.to_scored(&[scores(5_000_000)]);
    // The end of both their windows is an audit's length after the last slot for either.
    let state = hall.scene.round_state();
    let last = state.accusable_until(CaseKind::Attestation);
    assert_eq!(last, state.second_deadline_slot + u64::from(state.audit_slots));
    let key = hall.challenger.key.insecure_clone();
    let [commit, open] = [hall.attestation_commitment(copycat, 0), hall.attestation_accusation(copycat, 0)];
    hall.scene.advance_to(last);
    hall.scene.world.send(&[commit], &[&key]);
    hall.scene.world.advance(REVEAL_SLOTS);
    let finalise = hall.scene.world.program.finalize_round(&hall.scene.job, &hall.scene.round());
    hall.scene.crank_refused(finalise, Error::ChallengeOpen);
    hall.scene.world.send(&[open], &[&key]);
    let truth = hall.runs[0].clone();
    let defender = Defender::new(truth.graph(), truth.clone());
    let dispute = (hall.attestation_dispute(copycat, 0), copycat);
    let (outcome, _) = hall.dispute(dispute, defender, Challenger::new(truth.graph(), truth));
    assert_eq!(outcome, Outcome::Convicted);
    assert_eq!(hall.scene.pool_state(&hall.scene.auditors[copycat].seat.pool).self_bond, FULL - SLICE);
}

/// The same accusation of a true one loses.
#[test]
fn a_true_second_attestation_is_defended() {
    let mut hall = Hall::unseen();
    (0..3).for_each(|auditor| hall.scene.vote(auditor, &named("base")));
    let (root, key) = (hall.root(1, 0), hall.key(1));
    let attest = hall.scene.attest_second_instruction(1, 0, &root);
    hall.scene.world.send(&[attest], &[&key]);
    let truth = hall.runs[0].clone();
    let (outcome, moves) = hall.dispute_attestation(1, 0, &truth);
    assert_eq!((outcome, moves.last().copied()), (Outcome::Acquitted, Some(MoveKind::Concede)));
}

//! A liar hands over what nobody can build on, is accused, and stays silent until the round has come to nothing: it alone pays for that.

mod accuser;

use accuser::Accuser;
use sip_client::AttestationAccusation;
use sip_protocol::{
    court::CaseKind,
    ground::units::TOKEN,
    stake::pool::PoolKind,
    training::{round, segment},
};
use sip_testing::{BOND_TOKENS, Cast, Scene, named, scores};
use solana_signer::Signer;

const FULL: u64 = BOND_TOKENS * TOKEN;

fn scene() -> Scene {
    let mut scene = Scene::with(&Cast::default());
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
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
    let job = scene.job_state();
    let seats = job.seats(PoolKind::Auditor).unwrap();
    assert!(seats.iter().all(|seat| seat.missed == 0), "who could not vote is not absent");
    accuser.win(&mut scene);
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
    scene.crank_refused(program.finalize_round(&scene.job, &address), sip_protocol::Error::ChallengeOpen);
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

//! Attack: rounds come to nothing one after the other, so that the bonds of those who worked in them are frozen and back nothing more.

use sip_protocol::{
    Error,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    training::round::{self, Round},
};
use sip_testing::{BOND_TOKENS, Cast, Scene};

/// A round of which no auditor reveals anything.
fn silenced(scene: &mut Scene) {
    scene.open_round();
    (0..scene.trainers.len()).for_each(|trainer| {
        scene.commit(trainer);
    });
    scene.close_commits();
    let deadline = scene.round_state().audit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
}

/// The bonds are what places need and no more: one slice for each of two rounds ahead. Auditors that say nothing void two rounds; then no trainer
/// has a free slice until nobody can accuse what it did in the first of them: an audit's length and the time to open after its end,
/// however long a job lets its rounds be challenged.
#[test]
fn a_bond_that_rounds_without_a_result_froze_is_free_an_audits_length_after_their_end() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (BOND_TOKENS * TOKEN / 2, 2, 100_000);
    // An auditor's place needs more.
    cast.auditors = 0;
    cast.evaluators = 1;
    let mut scene = Scene::with(&cast);
    let auditor = {
        let mut auditor = scene.world.operator("auditor", sip_protocol::stake::pool::PoolKind::Auditor);
        auditor.seat.place = 0;
        let program = scene.world.program;
        let bond = program.add_bond(&auditor.seat.operator, &auditor.seat.pool, 1_000 * TOKEN);
        let join = program.join_job(&auditor.seat.operator, &scene.job, &auditor.seat.pool);
        scene.world.send(&[bond, join], &[&auditor.key]);
        auditor
    };
    scene.auditors.push(auditor);
    silenced(&mut scene);
    let (first, ended) = (scene.round(), scene.world.ledger.slot());
    let free = scene.world.state::<Round>(&first).final_slot();
    assert_eq!(free, ended + u64::from(scene.job_state().spec.audit_slots) + REVEAL_SLOTS + 1);
    let settle = scene.world.program.settle_segment(&scene.job, &first, &scene.trainers[0].seat.pool);
    silenced(&mut scene);
    assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).frozen_bond, BOND_TOKENS * TOKEN);
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    scene.advance_to(free);
    scene.crank(settle);
    assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).frozen_bond, BOND_TOKENS * TOKEN / 2);
}

//! Attack: rounds come to nothing one after the other, so that the bonds of those who worked in them are frozen and back nothing more.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::PoolKind,
    training::round::{self, Round},
};
use sip_testing::{BOND_TOKENS, Cast, Scene, scores};
use solana_instruction::Instruction;

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

/// Sends what needs a slice that is not free, thaws it, and sends it again.
fn refused_until_thawed(scene: &mut Scene, place: (PoolKind, usize), work: Instruction, thaw: &[Instruction]) {
    let (kind, number) = place;
    let operator = match kind {
        PoolKind::Trainer => &scene.trainers[number],
        PoolKind::Auditor => &scene.auditors[number],
        _ => &scene.evaluators[number],
    };
    let (key, pool) = (operator.key.insecure_clone(), operator.seat.pool);
    scene.world.refused(std::slice::from_ref(&work), &[&key], Error::SelfBondTooSmall);
    let before = scene.pool_state(&pool);
    for thaw in thaw {
        scene.crank(thaw.clone());
    }
    let after = scene.pool_state(&pool);
    assert!(after.thawed_bond > 0, "{kind:?}");
    assert_eq!(after.frozen_bond + after.thawed_bond, before.frozen_bond, "{kind:?}");
    scene.world.send(&[work], &[&key]);
    for again in thaw {
        scene.crank_refused(again.clone(), Error::NothingFrozen);
    }
}

/// Attack: bonds are what places need and no more. A liar has its own claim convicted, so that two rounds are undone, and the repeat is opened at
/// once: all others are awaited, with bonds that are frozen behind what was undone.
#[test]
fn a_conviction_shuts_nobody_out_of_the_repeat_whose_bond_is_what_its_place_needs() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (900 * TOKEN, 2, 20_000);
    let mut scene = Scene::with(&cast);
    let slice = cast.spec.slice;
    for score in [5_000_000, 4_900_000] {
        scene.whole_round(&scores(score));
    }
    let program = scene.world.program;
    let rounds = [0, 1].map(|index| program.round(&scene.job, index));
    let liar = Accuser::new(&mut scene, "friend", &rounds[0], 2);
    liar.commit(&mut scene);
    liar.open(&mut scene);
    // What stands is not thawed.
    let pools = [0, 1, 2].map(|trainer: usize| scene.trainers[trainer].seat.pool);
    scene.crank_refused(program.thaw_segment(&rounds[0], &pools[0]), Error::WrongRoundStatus);
    liar.win(&mut scene);
    scene.open_round();
    scene.crank(scene.undo_round(&rounds[1]));
    for trainer in [0, 1] {
        let work = scene.commit_instruction(trainer, &scene.claim(trainer));
        let thaw = [program.thaw_segment(&rounds[0], &pools[trainer])];
        refused_until_thawed(&mut scene, (PoolKind::Trainer, trainer), work, &thaw);
    }
    let deadline = scene.round_state().commit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_commits();
    for auditor in [0, 1] {
        let (seat, draw) = (scene.auditors[auditor].seat, scene.next_draw(auditor));
        let work = program.reveal_draw(&seat, &scene.job, &scene.round(), &draw);
        let thaw = rounds.map(|round| program.thaw_seat(&round, &seat.pool, seat.place));
        refused_until_thawed(&mut scene, (PoolKind::Auditor, auditor), work, &thaw);
        scene.auditors[auditor].chain.pop();
        (0..2).for_each(|trainer| scene.attest(auditor, trainer));
    }
    scene.close_round();
    scene.show_all();
    scene.to_aggregated();
    for evaluator in [0, 1, 2] {
        let seat = scene.evaluators[evaluator].seat;
        let work = scene.commit_score_instruction(evaluator, &scores(4_950_000));
        let thaw = [program.thaw_seat(&rounds[1], &seat.pool, seat.place)];
        refused_until_thawed(&mut scene, (PoolKind::Evaluator, evaluator), work, &thaw);
    }
    (0..3).for_each(|evaluator| scene.reveal_score(evaluator, &scores(4_950_000)));
    scene.tally();
    // Nobody is charged, and nobody's bond leaves while anything of it can still be convicted.
    let bond = BOND_TOKENS * TOKEN;
    let state = scene.pool_state(&pools[0]);
    assert_eq!((state.self_bond, state.frozen_bond, state.thawed_bond), (bond, 2 * slice, slice));
    // A verdict on what was undone still takes its slice, and only that.
    let late = Accuser::new(&mut scene, "late", &rounds[0], 1);
    late.commit(&mut scene);
    late.open(&mut scene);
    late.win(&mut scene);
    let state = scene.pool_state(&pools[1]);
    assert_eq!((state.self_bond, state.frozen_bond, state.thawed_bond), (bond - slice, 2 * slice, 0));
    // In the end all is free again.
    let end = rounds.map(|round| scene.world.state::<Round>(&round).final_slot()).into_iter().max().unwrap();
    scene.finalise_all();
    scene.advance_to(end);
    rounds.iter().for_each(|round| scene.settle_round(round));
    let last = scene.round();
    scene.settle_round(&last);
    let held = [scene.auditors[0].seat.pool, scene.evaluators[0].seat.pool, pools[0]];
    for pool in held.map(|pool| scene.pool_state(&pool)) {
        assert_eq!((pool.frozen_bond, pool.thawed_bond), (0, 0));
    }
    // The auditor has attested what two trainers conceded, which has its price.
    assert_eq!([held[1], held[2]].map(|pool| scene.pool_state(&pool).self_bond), [bond; 2]);
}

#[test]
fn slices_are_thawed_of_their_own_claims_only() {
    let mut scene = Scene::new();
    silenced(&mut scene);
    let (program, round) = (scene.world.program, scene.round());
    let [first, second] = [0, 1].map(|trainer: usize| scene.trainers[trainer].seat.pool);
    let mut foreign = program.thaw_segment(&round, &first);
    foreign.accounts[2].pubkey = second;
    scene.crank_refused(foreign, Error::WrongAccount);
    // A trainer's slice stands in its segment; nobody revealed a draw or committed a score.
    scene.crank_refused(program.thaw_seat(&round, &first, 0), Error::WrongPoolKind);
    let (auditor, evaluator) = (scene.auditors[0].seat, scene.evaluators[0].seat);
    scene.crank_refused(program.thaw_seat(&round, &auditor.pool, 1), Error::WrongPlace);
    scene.crank_refused(program.thaw_seat(&round, &auditor.pool, 0), Error::NothingFrozen);
    scene.crank_refused(program.thaw_seat(&round, &evaluator.pool, 0), Error::NothingFrozen);
    // Nor does a bond leave that stands behind two claims.
    let (key, seat) = (scene.trainers[0].key.insecure_clone(), scene.trainers[0].seat);
    scene.crank(program.thaw_segment(&round, &first));
    let thawed = scene.pool_state(&first);
    assert_eq!((thawed.frozen_bond, thawed.thawed_bond), (0, scene.segment_state(0).slice));
    scene.world.send(&[program.leave_job(&seat, &scene.job), program.retire_pool(&seat.operator, &first)], &[&key]);
    assert_eq!(scene.pool_state(&first).allotted_bps, 10_000, "its stake counts nowhere else until it is settled");
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots + 1);
    let before = scene.world.tokens(&seat.operator);
    scene.world.send(&[program.withdraw_bond(&seat.operator, &first)], &[&key]);
    assert_eq!(scene.world.tokens(&seat.operator) - before, BOND_TOKENS * TOKEN - thawed.thawed_bond);
}

//! Whole disputes through the compiled program: from the accusation to the money. Run with `--nocapture` to see what
//! each move costs.

use crate::court::{Court, Record};
use sip_protocol::court::{MoveKind, Outcome, Side};
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::segment;
use sip_testing::SLICE;
use sip_testing::synthetic::{Lie, node};

fn print(title: &str, record: &Record) {
    let sides = [Side::Trainer, Side::Challenger].map(|side| record.transactions(side));
    println!("{title}: {} transactions of the trainer, {} of the challenger", sides[0], sides[1]);
    for (side, kind, transactions, compute_units) in &record.moves {
        println!("  {side:?} {kind:?}: {transactions} transactions, at most {compute_units} compute units");
    }
}

/// Plays a lie to its conviction and checks where the money went.
fn convict(title: &str, (inner_steps, steps_per_leaf): (u32, u32), lie: Lie, last: MoveKind) {
    let mut court = Court::new(inner_steps, steps_per_leaf, Some(lie));
    let parameters = court.scene.world.config().parameters;
    let tokens = court.challenger_tokens();
    let pool = court.scene.pool_state(&court.pool());
    let opened = court.open();
    assert_eq!(court.challenger_tokens(), tokens - parameters.dispute_bond);
    assert_eq!(court.scene.pool_state(&court.pool()).open_disputes, 1);
    let (outcome, record) = court.fight();
    print(title, &record);
    assert_eq!(outcome, Outcome::Convicted);
    assert_eq!(record.moves.last().map(|record| record.1), Some(last));
    assert!(record.transactions(Side::Trainer) <= 24);
    for (_, kind, _, compute_units) in &record.moves {
        assert!(*compute_units < 200_000, "{kind:?} needs {compute_units}");
    }
    let resolved = court.resolve();
    println!("  open {} and resolve {} compute units", opened.compute_units, resolved.compute_units);

    // The bond comes back at once, the bounty when nobody can turn out to have accused earlier.
    let bounty = (SLICE / 2).min(parameters.penalties.bounty_cap);
    assert_eq!(court.challenger_tokens(), tokens);
    assert_eq!(court.scene.segment_state(court.trainer).escrow.bounty, bounty);
    let claim = court.claim_bounty_instruction();
    court.scene.crank_refused(claim.clone(), sip_protocol::Error::BountyHeld);
    court.scene.world.advance(REVEAL_SLOTS);
    court.scene.crank(claim);
    assert_eq!(court.challenger_tokens(), tokens + bounty);
    let after = court.scene.pool_state(&court.pool());
    assert_eq!((after.self_bond, after.open_disputes, after.segments_convicted), (pool.self_bond - SLICE, 0, 1));
    let lost = pool.assets - after.assets;
    // Of what the challenger does not get a tenth is burned, the rest insured.
    let (rest, config) = (SLICE - bounty + lost, court.scene.world.config());
    assert_eq!((config.condemned, config.buckets.insurance), (rest / 10, rest - rest / 10));
    assert_eq!(court.scene.segment_state(court.trainer).status, segment::CONVICTED);
    assert!(court.scene.job_state().is_excluded(court.trainer as u8));
}

#[test]
fn a_bit_of_a_contraction_of_600_terms() {
    let lie = Lie::Output { step: 4, node: node::CONTRACTED, element: 300, bit: 12 };
    convict("contract", (10, 3), lie, MoveKind::PostValues);
}

#[test]
fn a_bit_of_a_pointwise_program_in_a_large_tensor() {
    let lie = Lie::Output { step: 7, node: node::UPDATED, element: 17_000, bit: 20 };
    convict("map", (20, 1), lie, MoveKind::PostValues);
}

#[test]
fn a_wrong_batch() {
    convict("wrong batch", (10, 3), Lie::Batch { step: 5 }, MoveKind::ProveToken);
}

#[test]
fn a_batch_that_was_committed_but_not_used() {
    convict("unused batch", (10, 3), Lie::CommittedBatch { step: 5 }, MoveKind::OpenNode);
}

#[test]
fn a_lazy_copy() {
    convict("lazy copy", (10, 3), Lie::LazyCopy { step: 0 }, MoveKind::ProveOutput);
}

#[test]
fn a_bit_of_every_other_operator() {
    for node in
        [node::GATHERED, node::SUM, node::MAX, node::SCATTERED, node::CAUSAL, node::BYTES, node::CONTRACTED_BYTES]
    {
        // The batch's first token decides which row of the scatter counts; row 0 is always there.
        let lie = Lie::Output { step: 0, node, element: 0, bit: 22 };
        convict(&format!("node {node}"), (1, 1), lie, MoveKind::PostValues);
    }
    let lie = Lie::Output { step: 0, node: node::STEP, element: 0, bit: 0 };
    convict("step number", (1, 1), lie, MoveKind::OpenNode);
    let lie = Lie::Output { step: 0, node: node::WEIGHTS, element: 0, bit: 22 };
    convict("false input", (1, 1), lie, MoveKind::ProveInput);
}

#[test]
fn a_jump_between_leaves_leaves_the_trainer_to_its_clock() {
    let mut court = Court::new(10, 3, Some(Lie::Jump { step: 3 }));
    court.open();
    let (side, open_leaf) = court.play_until(MoveKind::OpenLeaf);
    let key = court.key(side);
    let instruction = court.scene.world.program.moves(
        &solana_signer::Signer::pubkey(&key),
        &court.dispute(),
        open_leaf.kind,
        &open_leaf.payload,
    );
    court.scene.world.refused(&instruction, &[&key], sip_protocol::Error::LeafOutOfPlace);
    let timeout = court.scene.world.program.time_out(&court.dispute());
    court.scene.crank_refused(timeout.clone(), sip_protocol::Error::ClockRunning);
    let clock_slots = court.scene.world.config().parameters.clock_slots;
    court.scene.world.advance(clock_slots + 1);
    court.scene.crank(timeout);
    court.resolve();
    assert_eq!(court.scene.segment_state(court.trainer).status, segment::CONVICTED);
}

#[test]
fn a_false_accusation_costs_the_bond() {
    let mut court = Court::new(10, 3, None);
    let bond = court.scene.world.config().parameters.dispute_bond;
    let (tokens, burned) = (court.challenger_tokens(), court.scene.world.config().burned);
    let pool = court.scene.pool_state(&court.pool());
    court.open();
    let (outcome, record) = court.fight();
    print("honest", &record);
    assert_eq!(outcome, Outcome::Acquitted);
    court.resolve();
    assert_eq!(court.challenger_tokens(), tokens - bond);
    assert_eq!(court.scene.world.config().burned, burned + bond / 2);
    let after = court.scene.pool_state(&court.pool());
    assert_eq!(after.held().unwrap(), pool.held().unwrap() + bond / 2);
    assert_eq!((after.self_bond, after.open_disputes), (pool.self_bond, 0));
    assert_eq!(court.scene.segment_state(court.trainer).status, segment::COMMITTED);
    assert!(bond > TOKEN);
}

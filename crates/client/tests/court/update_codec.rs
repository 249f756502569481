//! The graphs of the update codec in court: a false bit at a node of any operator is convicted, and the truth is acquitted.

use crate::court::chamber::{Chamber, Claimed};
use sip_graph::{Buffer, Graph};
use sip_kernels::Threads;
use sip_model::{Outer, UpdateCodec};
use sip_node::{Cheat, State, Updates};
use sip_ops::{Kind, Type};
use sip_protocol::training::segment::SegmentClaim;
use sip_protocol::{
    court::{MoveKind, Outcome},
    ground::case::CaseKind,
};
use sip_testing::compressed;
use std::sync::Arc;

/// The trainer that lies.
const LIAR: usize = 1;
/// Weight tensors: one of whole chunks, and one whose last chunk is short.
const WEIGHTS: [usize; 2] = [64, 41];
/// Lies for each operator.
const LIES: usize = 3;

/// Entries of these lengths with values that look random.
fn state(lengths: &[usize], salt: u32) -> Arc<State> {
    let value = |n: u32| {
        let mixed = (n ^ salt.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        ((mixed ^ mixed >> 15).wrapping_mul(0xC2B2_AE35) >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let mut next = 0;
    let mut entry = |len: usize| {
        let bits: Vec<u32> = (next..next + len as u32).map(|n| value(n).to_bits()).collect();
        next += len as u32;
        Buffer::from(&bits[..])
    };
    Arc::new(State::new(lengths.iter().map(|&len| entry(len)).collect(), &Threads::new(1)))
}

/// A committed round of two trainers.
fn chamber() -> Chamber {
    let codec = UpdateCodec { chunk: 16, keep: 8, outer: Outer::Nesterov { rate: 0.7, momentum: 0.9 } };
    let updates = Updates::new(codec, &WEIGHTS, &Threads::new(1)).unwrap();
    let lengths = [WEIGHTS; 3].concat();
    let base = state(&codec.base_lengths(&WEIGHTS), 1);
    let mut chamber = Chamber::of(updates, base, [state(&lengths, 2), state(&lengths, 3)]);
    chamber.commit_all();
    chamber.scene.close_commits();
    chamber
}

/// False bits at the first, the middle and the last node of every operator; no f32 that was finite becomes another.
fn lies(graph: &Graph) -> Vec<(Kind, Cheat)> {
    let mut lies = Vec::new();
    for kind in [Kind::Map, Kind::ReduceMax, Kind::ReduceAdd, Kind::Gather, Kind::ContractI8] {
        let nodes: Vec<usize> = (0..graph.nodes().len()).filter(|&node| graph.nodes()[node].kind == kind).collect();
        for number in 0..LIES.min(nodes.len()) {
            let node = nodes[number * (nodes.len() - 1) / (LIES - 1)];
            let spec = &graph.nodes()[node];
            let bit = if spec.dtype == Type::F32 { 21 } else { 2 };
            let element = (spec.len() * 2 / 3) as u32;
            lies.push((kind, Cheat::FlipBit { step: 0, node: node as u32, element, bit }));
        }
    }
    lies
}

#[test]
fn a_false_bit_in_an_update_is_convicted_at_every_operator() {
    let mut chamber = chamber();
    let (work, honest) = (chamber.works[LIAR].clone(), chamber.honest(LIAR));
    let truth = |chamber: &Chamber| work.update_evidence(&chamber.updates);
    let claimed = truth(&chamber).into();
    let acquitted = truth(&chamber);
    let (outcome, _, challenger) = chamber.dispute_graph((LIAR, CaseKind::Update), claimed, acquitted);
    assert_eq!(outcome, Outcome::Acquitted);
    chamber.resolve(LIAR, &challenger);
    let mut convicted = Vec::new();
    for (kind, lie) in lies(&Arc::clone(&chamber.updates.update)) {
        let mut claimed: Claimed = truth(&chamber).cheating(Some(lie.clone())).into();
        let update_root = claimed.root();
        // A lie that is rounded away is none.
        if update_root == honest.update_root {
            continue;
        }
        chamber.forge(LIAR, &SegmentClaim { update_root, ..honest });
        let truth = truth(&chamber);
        let (outcome, moves, _) = chamber.dispute_graph((LIAR, CaseKind::Update), claimed, truth);
        assert_eq!((outcome, moves.last()), (Outcome::Convicted, Some(&MoveKind::PostValues)), "{kind:?}: {lie:?}");
        convicted.push(kind);
    }
    for kind in [Kind::Map, Kind::ReduceMax, Kind::Gather] {
        assert!(convicted.contains(&kind), "no lie at {kind:?} reached the update");
    }
}

#[test]
fn a_start_state_that_is_not_what_base_and_update_hold_is_convicted_although_nothing_is_computed() {
    let mut chamber = chamber();
    let (work, honest) = (chamber.works[LIAR].clone(), chamber.honest(LIAR));
    let truth = |chamber: &Chamber| work.start_evidence(&chamber.updates);
    let claimed = truth(&chamber).into();
    let acquitted = truth(&chamber);
    let (outcome, _, challenger) = chamber.dispute_graph((LIAR, CaseKind::Start), claimed, acquitted);
    assert_eq!(outcome, Outcome::Acquitted);
    chamber.resolve(LIAR, &challenger);
    for entry in 0..3 * WEIGHTS.len() {
        let mut claimed = Claimed::forging(truth(&chamber), entry);
        chamber.forge(LIAR, &SegmentClaim { start_root: claimed.root(), ..honest });
        let truth = truth(&chamber);
        let (outcome, moves, _) = chamber.dispute_graph((LIAR, CaseKind::Start), claimed, truth);
        assert_eq!((outcome, moves.last()), (Outcome::Convicted, Some(&MoveKind::ProveOutput)), "entry {entry}");
    }
    // The base of another round.
    let base = state(&work.base.entries().iter().map(|entry| entry.len()).collect::<Vec<usize>>(), 9);
    let other = compressed::Work { base, ..work.clone() };
    let mut claimed: Claimed = other.start_evidence(&chamber.updates).into();
    chamber.forge(LIAR, &SegmentClaim { start_root: claimed.root(), ..honest });
    let truth = truth(&chamber);
    let (outcome, moves, _) = chamber.dispute_graph((LIAR, CaseKind::Start), claimed, truth);
    assert_eq!((outcome, moves.last()), (Outcome::Convicted, Some(&MoveKind::ProveInput)));
}

#[test]
fn a_false_bit_in_a_base_of_updates_is_convicted_at_every_operator() {
    let mut chamber = chamber();
    chamber.scene.to_closed();
    let updates = chamber.accepted();
    assert_eq!(updates.len(), 2);
    let truth = |chamber: &Chamber| compressed::base_evidence(&chamber.updates, &chamber.base, &updates);
    let honest = Claimed::from(truth(&chamber)).root();
    let claimed = truth(&chamber).into();
    assert_eq!(chamber.dispute_vote(2, claimed).0, Outcome::Acquitted);
    let mut convicted = Vec::new();
    for (kind, lie) in lies(&chamber.updates.aggregates.graph(2).unwrap()) {
        let mut claimed: Claimed = truth(&chamber).cheating(Some(lie.clone())).into();
        if claimed.root() == honest {
            continue;
        }
        let (outcome, moves) = chamber.dispute_vote(2, claimed);
        assert_eq!((outcome, moves.last()), (Outcome::Convicted, Some(&MoveKind::PostValues)), "{kind:?}: {lie:?}");
        convicted.push(kind);
    }
    for kind in [Kind::Map, Kind::ReduceAdd, Kind::ContractI8] {
        assert!(convicted.contains(&kind), "no lie at {kind:?} reached the base");
    }
}

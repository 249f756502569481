//! How many moves a game can have.

use crate::ground::clock::{MAX_MOVES, MOVE_SLOTS, after_move};
use crate::{court::Phase, ground::case::CaseKind};
use sip_ops::MAX_ELEMENTS;
use sip_proof::{
    blake3::{Subtree, chunk_count},
    merkle,
};

/// Levels below a place that one reveal of a tensor shows.
const TENSOR_LEVELS: u32 = 5;

/// The deepest trees that the bounds of a job and of a node allow: leaves of a segment, nodes, entries, chunks of an output.
struct Depths {
    leaves: u32,
    trace: u32,
    state: u32,
    tensor: u32,
}

impl Depths {
    /// The most moves from a phase on, with so many levels left below the place; see the table in docs/spec/disputes.md.
    fn moves(&self, phase: Phase, height: u32) -> u64 {
        let down = height.saturating_sub(merkle::REVEAL_LEVELS);
        let follow: Vec<(Phase, u32)> = match phase {
            Phase::Over => return 0,
            Phase::RevealLeaves => vec![(Phase::PickLeaf, height)],
            Phase::PickLeaf if down == 0 => vec![(Phase::OpenLeaf, 0)],
            Phase::PickLeaf => vec![(Phase::RevealLeaves, down)],
            Phase::OpenLeaf => vec![(Phase::PostSteps, 0), (Phase::PostTrace, 0)],
            Phase::PostSteps => vec![(Phase::PickStep, 0)],
            Phase::PickStep => vec![(Phase::PostTrace, 0)],
            Phase::PostTrace => vec![(Phase::PickTrace, self.trace)],
            Phase::ShowLeaf => vec![(Phase::RevealTrace, self.trace)],
            Phase::RevealTrace => vec![(Phase::PickTrace, height)],
            Phase::PickTrace => {
                let below = if down == 0 { (Phase::OpenNode, 0) } else { (Phase::RevealTrace, down) };
                let state = (Phase::RevealState, self.state);
                if height == self.trace { vec![below, state] } else { vec![below] }
            }
            Phase::RevealState => vec![(Phase::PickState, height)],
            Phase::PickState if down == 0 => vec![(Phase::OpenEntry, 0)],
            Phase::PickState => vec![(Phase::RevealState, down)],
            Phase::OpenEntry => vec![(Phase::ProveOutput, 0)],
            Phase::OpenNode => {
                vec![(Phase::ProveInput, 0), (Phase::RevealTensor, self.tensor), (Phase::PostChunk, 0)]
            }
            Phase::RevealTensor => vec![(Phase::PickTensor, height)],
            Phase::PickTensor => match height.saturating_sub(TENSOR_LEVELS) {
                0 => vec![(Phase::PostChunk, 0)],
                rest => vec![(Phase::RevealTensor, rest)],
            },
            Phase::PostChunk => vec![(Phase::PickElement, 0)],
            Phase::PickElement => vec![(Phase::ProveToken, 0), (Phase::PostValues, 0), (Phase::PostPartials, 0)],
            Phase::PostPartials => vec![(Phase::PickPiece, 0)],
            Phase::PickPiece => vec![(Phase::PostValues, 0)],
            Phase::PostValues => vec![(Phase::ProveOperand, 0)],
            Phase::ProveOutput | Phase::ProveInput | Phase::ProveToken | Phase::ProveOperand => {
                vec![(Phase::Over, 0)]
            }
        };
        1 + follow.into_iter().map(|(phase, height)| self.moves(phase, height)).max().unwrap_or(0)
    }
}

#[test]
fn no_game_of_any_kind_has_more_moves() {
    let chunks = chunk_count((MAX_ELEMENTS as u64) << 2).unwrap();
    // One level further down for what is left over of a tree that is not whole.
    let tensor = Subtree { chunks, level: u32::MAX.ilog2(), index: 0 }.settled().level;
    let most = Depths { leaves: merkle::depth(1 << 20), trace: 24, state: merkle::depth(u32::MAX), tensor };
    let moves = |kind: CaseKind| match kind {
        CaseKind::Segment | CaseKind::Score => most.moves(Phase::RevealLeaves, most.leaves),
        CaseKind::Aggregate | CaseKind::Genesis | CaseKind::Start | CaseKind::Update => most.moves(Phase::PostTrace, 0),
        CaseKind::Attestation => most.moves(Phase::ShowLeaf, 0),
    };
    let all: Vec<u64> = CaseKind::ALL.iter().map(|kind| moves(*kind)).collect();
    assert_eq!(all.iter().max(), Some(&MAX_MOVES), "{all:?}");
}

#[test]
fn a_clock_never_holds_more_than_it_began_with_and_a_side_thinks_no_longer_than_its_bound() {
    assert_eq!((after_move(1_000, 1_000), after_move(950, 1_000), after_move(0, 1_000)), (1_000, 1_000, 100));
    // Whatever a side spends of what it has, move for move.
    for spend in [1, 99, 100, 101, 250, 1_000] {
        let (mut clock, mut spent) = (1_000u64, 0);
        for _ in 0..MAX_MOVES / 2 {
            let used = spend.min(clock);
            spent += used;
            clock = after_move(clock - used, 1_000);
        }
        spent += clock;
        assert!(spent <= 1_000 + MAX_MOVES / 2 * MOVE_SLOTS, "{spend}: {spent}");
    }
}

//! Trainers that show what they committed, and garbage of either side.

use super::fraud::Commitment;
use super::story::Claim;
use sip_node::dispute::{Defender, GraphEvidence, Move};
use sip_ops::Kind;
use sip_proof::{Leaf, tensor_bytes};
use sip_protocol::court::{Game, MoveKind, Phase};
use sip_testing::Random;
use std::sync::Arc;

/// A trainer that opens its commitment, whatever it is, as far as it can be opened.
pub(crate) struct Trainer {
    brain: Defender<Claim>,
    claim: Claim,
    commitment: Commitment,
    /// Whether it makes up operand values that give its claim.
    is_clever: bool,
}

impl Trainer {
    pub(crate) fn new(claim: Claim, commitment: Commitment, graph: Arc<GraphEvidence>, is_clever: bool) -> Self {
        Trainer { brain: Defender::new(graph, claim.clone()), claim, commitment, is_clever }
    }

    /// The next move, if the trainer has one.
    pub(crate) fn next(&mut self, game: &Game) -> Option<Move> {
        let Commitment { leaves, state, .. } = &self.commitment;
        match (game.phase().ok()?, leaves, state) {
            (Phase::RevealLeaves, Some(tree), _) => {
                Some(Move { kind: MoveKind::Reveal, payload: tree.children(game.height, game.index) })
            }
            (Phase::OpenLeaf, Some(tree), _) => {
                let roots = |index: u32| {
                    let mut leaf: Leaf = *self.claim.leaves.get(index as usize)?;
                    if index as usize + 1 == self.claim.leaves.len() {
                        leaf.end_root = self.commitment.end_root;
                    }
                    Some([leaf.start_root, leaf.batches_root, leaf.end_root].concat())
                };
                let mut payload = roots(game.index)?;
                if let Some(before) = game.index.checked_sub(1) {
                    payload.extend(roots(before)?);
                    payload.extend(tree.path(before));
                }
                Some(Move { kind: MoveKind::OpenLeaf, payload })
            }
            (Phase::RevealState, _, Some(tree)) => {
                Some(Move { kind: MoveKind::Reveal, payload: tree.children(game.height, game.index) })
            }
            (Phase::PostValues, ..) if self.is_clever => {
                fitting_values(game).or_else(|| self.brain.next(game).ok().flatten())
            }
            _ => self.brain.next(game).ok().flatten(),
        }
    }
}

/// Operand values from which the chain gives the claim, whatever the true ones are; `None` for kinds where that takes more
/// than a glance.
fn fitting_values(game: &Game) -> Option<Move> {
    const NEGATIVE_ZERO: u32 = 0x8000_0000;
    const ONE: u32 = 0x3F80_0000;
    let node = game.graph_node().ok()?;
    let mut values = vec![NEGATIVE_ZERO; node.piece_slots(game.piece) as usize];
    match node.kind() {
        Kind::Gather => values = vec![0, game.claim],
        Kind::ReduceMax => values.fill(game.claim),
        Kind::ReduceAdd if game.piece_start == 0 => values[0] = game.claim,
        Kind::Contract if game.piece == 0 || game.piece_start == 0 => {
            for term in values.chunks_exact_mut(2) {
                term.copy_from_slice(&[0, NEGATIVE_ZERO]);
            }
            values[..2].copy_from_slice(&[game.claim, ONE]);
            if game.piece == 0 && node.starts_from_operand() {
                *values.last_mut()? = NEGATIVE_ZERO;
            }
        }
        Kind::ScatterAdd if game.piece_start == 0 => {
            let row = game.element / (node.len() / u64::from(node.size(0))) as u32;
            for term in values.chunks_exact_mut(2) {
                term[0] = row + 1;
            }
            values[..2].copy_from_slice(&[row, game.claim]);
        }
        _ => return None,
    }
    Some(Move { kind: MoveKind::PostValues, payload: tensor_bytes(&values) })
}

/// A move that nobody should make: another one spoilt, or nothing but chance.
pub(crate) fn garbage(random: &mut Random, sensible: Option<Move>) -> Move {
    let mut next = match sensible {
        Some(next) if random.percent(75) => next,
        _ => {
            let len = *random.pick(&[0, 1, 4, 32, 96, 512, 514, 1024, 2048, 3071, 3072]);
            Move { kind: *random.pick(MoveKind::ALL), payload: random.bytes(len) }
        }
    };
    if next.kind == MoveKind::Concede {
        // Who gives up ends the game; that is no attack.
        next.kind = MoveKind::Pick;
    }
    let payload = &mut next.payload;
    match random.below(6) {
        0 if !payload.is_empty() => {
            let at = random.below(payload.len() as u32) as usize;
            payload[at] ^= 1 << random.below(8);
        }
        1 => {
            let len = random.below(payload.len() as u32 + 1) as usize;
            payload.truncate(len);
        }
        2 => {
            let more = 1 + random.below(64) as usize;
            payload.extend(random.bytes(more));
            payload.truncate(sip_protocol::court::MAX_PAYLOAD);
        }
        3 if payload.len() >= 64 => {
            // Two hashes change places.
            let hashes = payload.len() as u32 / 32;
            let (one, other) = (random.below(hashes) as usize * 32, random.below(hashes) as usize * 32);
            for byte in 0..32 {
                payload.swap(one + byte, other + byte);
            }
        }
        4 => {
            let len = payload.len();
            *payload = random.bytes(len);
        }
        _ => {
            let kind = *random.pick(MoveKind::ALL);
            next.kind = if kind == MoveKind::Concede { MoveKind::Reveal } else { kind };
        }
    }
    next
}

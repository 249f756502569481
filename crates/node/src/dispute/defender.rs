//! The defendant's side: opens what was committed.

use super::evidence::{Accumulator, Evidence, GraphEvidence, Library, partial_sums, piece_values};
use super::{DisputeError, Move, missing};
use sip_proof::blake3::CHUNK_BYTES;
use sip_proof::{Leaf, merkle, tensor_bytes};
use sip_protocol::court::{Game, MoveKind, Phase, Side};
use std::sync::Arc;

/// Defends a claim with the evidence that it was made from.
pub struct Defender<R> {
    library: Library<R>,
}

impl<R: Evidence> Defender<R> {
    /// A defender of the claim that the evidence is of.
    pub fn new(graph: Arc<GraphEvidence>, evidence: R) -> Defender<R> {
        Defender { library: Library::new(graph, evidence) }
    }

    /// The next move, or `None` if the defendant is not on move.
    ///
    /// # Errors
    /// The evidence's, or that it is incomplete.
    pub fn next(&mut self, game: &Game) -> Result<Option<Move>, DisputeError<R::Error>> {
        let phase = game.phase().map_err(DisputeError::Position)?;
        if phase == Phase::Over || phase.on_move() != Side::Trainer {
            return Ok(None);
        }
        let library = &mut self.library;
        library.check(&game.ground)?;
        let graph = library.graph.clone();
        let next = match phase {
            Phase::RevealLeaves => {
                let accumulator = library.accumulator(&game.ground)?;
                Move::new(MoveKind::Reveal, accumulator.tree.children(game.height, game.index))
            }
            Phase::OpenLeaf => {
                let accumulator = library.accumulator(&game.ground)?;
                let Accumulator { leaves, tree } = &*accumulator;
                let roots = |leaf: &Leaf| [leaf.start_root, leaf.batches_root, leaf.end_root].concat();
                let mut payload = roots(missing(leaves.get(game.index as usize), "such leaf")?);
                if let Some(before) = game.index.checked_sub(1) {
                    payload.extend(roots(&leaves[before as usize]));
                    payload.extend(tree.path(before));
                }
                Move::new(MoveKind::OpenLeaf, payload)
            }
            Phase::PostSteps => {
                let steps = library.steps(&game.ground, game.leaf)?;
                let payload = steps.iter().flat_map(|step| [step.batch_root, step.end_root]).flatten().collect();
                Move::new(MoveKind::PostSteps, payload)
            }
            Phase::PostTrace => {
                let trace = library.trace(game.step)?;
                Move::new(MoveKind::PostTrace, trace.tree.children(merkle::depth(game.ground.node_count), 0))
            }
            Phase::RevealTrace => {
                let trace = library.trace(game.step)?;
                Move::new(MoveKind::Reveal, trace.tree.children(game.height, game.index))
            }
            Phase::RevealState => {
                let state = library.state(game.step + 1)?;
                Move::new(MoveKind::Reveal, state.tree.children(game.height, game.index))
            }
            Phase::OpenEntry => {
                let state = library.state(game.step + 1)?;
                let root = missing(state.roots.get(game.index as usize), "such state entry")?;
                Move::new(MoveKind::OpenEntry, root.to_vec())
            }
            Phase::OpenNode => {
                let trace = library.trace(game.step)?;
                let root = missing(trace.roots.get(game.index as usize), "such node")?;
                let mut payload = root.to_vec();
                payload.extend(trace.tree.path(game.index));
                payload.extend(graph.nodes_tree.path(game.index));
                payload.extend(&graph.nodes[game.index as usize]);
                Move::new(MoveKind::OpenNode, payload)
            }
            Phase::RevealTensor => {
                let tensor = library.tensor(game.step, game.node)?;
                let place = game.subtree().map_err(DisputeError::Position)?;
                Move::new(MoveKind::Reveal, tensor.tree.children(place))
            }
            Phase::PostChunk => {
                let tensor = library.tensor(game.step, game.node)?;
                let chunk = tensor.elements.chunks(CHUNK_BYTES / 4).nth(game.index as usize);
                Move::new(MoveKind::PostChunk, tensor_bytes(missing(chunk, "such chunk")?))
            }
            Phase::PostPartials => {
                let operands = library.operands(game)?;
                let sums = partial_sums(&graph.node(game.node)?, game.element, &operands)?;
                Move::new(MoveKind::PostPartials, tensor_bytes(&sums[..sums.len() - 1]))
            }
            Phase::PostValues => {
                let operands = library.operands(game)?;
                let values = piece_values(&graph.node(game.node)?, game.element, game.piece, &operands)?;
                Move::new(MoveKind::PostValues, tensor_bytes(&values))
            }
            _ => return Ok(None),
        };
        Ok(Some(next))
    }
}

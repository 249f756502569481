//! The challenger's side: compares what was opened with an honest replay and points at the first difference.

use super::evidence::{Evidence, FaultPlace, GraphEvidence, Library, partial_sums};
use super::{DisputeError, Move, missing};
use sip_ops::{Kind, Source};
use sip_proof::blake3::CHUNK_BYTES;
use sip_proof::merkle::{self, MerkleTree};
use sip_proof::{Hash, HostSha256, hash_at, roots_tree, tensor_bytes};
use sip_protocol::{
    court::{Game, MoveKind, Phase, Side, StateInput},
    ground::case::CaseKind,
};
use std::sync::Arc;

/// Elements of a chunk.
const CHUNK_ELEMENTS: usize = CHUNK_BYTES / 4;

/// Accuses a claim with an honest replay of what it is about.
pub struct Challenger<R> {
    library: Library<R>,
}

impl<R: Evidence> Challenger<R> {
    /// A challenger of the claim that the evidence is the honest replay of; for an attestation it is the segment's.
    pub fn new(graph: Arc<GraphEvidence>, evidence: R) -> Challenger<R> {
        Challenger { library: Library::new(graph, evidence) }
    }

    /// The next move, or `None` if the challenger is not on move. It concedes where nothing differs.
    ///
    /// # Errors
    /// The evidence's, or that it is incomplete.
    pub fn next(&mut self, game: &Game) -> Result<Option<Move>, DisputeError<R::Error>> {
        let phase = game.phase().map_err(DisputeError::Position)?;
        if phase == Phase::Over || phase.on_move() != Side::Challenger {
            return Ok(None);
        }
        self.library.check(&game.ground)?;
        let next = match phase {
            Phase::PickLeaf => {
                let accumulator = self.library.accumulator(&game.ground)?;
                let (leaves, tree) = (&accumulator.leaves, &accumulator.tree);
                // Where all leaves are right, the segment's end may still be another than the last leaf's; then the
                // trainer cannot open the last leaf.
                let false_end = leaves.last().is_some_and(|leaf| leaf.end_root != game.ground.end_root);
                let last = false_end.then(|| pick_towards(game, leaves.len() as u32 - 1));
                let known = leaves.len() as u32;
                let fault = (known < game.ground.leaf_count()).then_some(known);
                first_difference_in_tree(game, &tree.children(game.height, game.index), fault).or(last)
            }
            Phase::PickStep => {
                let steps = self.library.steps(&game.ground, game.leaf)?;
                let roots: Vec<u8> = steps.iter().flat_map(|step| [step.batch_root, step.end_root]).flatten().collect();
                let fault = (steps.len() < game.ground.leaf_steps(game.leaf).1 as usize).then_some(steps.len());
                first_difference(game, &roots, 64).or(fault.map(|step| Move::pick(step as u32)))
            }
            Phase::PickTrace => self.pick_trace(game)?,
            Phase::PickState => {
                let state = self.library.state(game.step + 1)?;
                first_difference(game, &state.tree.children(game.height, game.index), 32)
            }
            Phase::PickTensor => {
                let place = game.subtree().map_err(DisputeError::Position)?;
                if let Some(fault) = self.fault_of_node(game)? {
                    let (first, _) = place.children();
                    let chunk = fault.element / CHUNK_ELEMENTS as u32;
                    Some(Move::pick((chunk >> first.level).saturating_sub(first.index)))
                } else {
                    let tensor = self.library.tensor(game.step, game.node)?;
                    first_difference(game, &tensor.tree.children(place), 32)
                }
            }
            Phase::PickElement => {
                if let Some(fault) = self.fault_of_node(game)? {
                    Some(Move::pick(fault.element % CHUNK_ELEMENTS as u32))
                } else {
                    let tensor = self.library.tensor(game.step, game.node)?;
                    let chunk = tensor.elements.chunks(CHUNK_ELEMENTS).nth(game.index as usize);
                    first_difference(game, &tensor_bytes(missing(chunk, "such chunk")?), 4)
                }
            }
            Phase::PickPiece => {
                let operands = self.library.operands(game)?;
                let graph = self.library.graph.clone();
                let sums = partial_sums(&graph.node(game.node)?, game.element, &operands)?;
                let last = sums.len() - 1;
                // Where all posted sums are right, the last piece is false: it ends in the element.
                first_difference(game, &tensor_bytes(&sums[..last]), 4).or(Some(Move::pick(last as u32)))
            }
            Phase::ShowLeaf => Some(self.show_leaf(game)?),
            Phase::ProveOutput => Some(self.prove_output(game)?),
            Phase::ProveInput => Some(self.prove_input(game)?),
            Phase::ProveToken => Some(self.prove_token(game)?),
            Phase::ProveOperand => self.prove_operand(game)?,
            _ => None,
        };
        Ok(Some(next.unwrap_or(Move::new(MoveKind::Concede, Vec::new()))))
    }

    /// The fault at which the node in question should have stopped.
    fn fault_of_node(&mut self, game: &Game) -> Result<Option<FaultPlace>, DisputeError<R::Error>> {
        Ok(self.library.fault_in(game.step)?.filter(|fault| fault.node == game.node))
    }

    /// The first node whose output differs, or should not be. If the whole trace is right, then the state after the step is not its
    /// outputs, or the batch is not the committed one.
    fn pick_trace(&mut self, game: &Game) -> Result<Option<Move>, DisputeError<R::Error>> {
        let trace = self.library.trace(game.step)?;
        let fault = self.library.fault_in(game.step)?.map(|fault| fault.node);
        let children = trace.tree.children(game.height, game.index);
        if let Some(pick) = first_difference_in_tree(game, &children, fault) {
            return Ok(Some(pick));
        }
        let claims_state = game.ground.case().map_err(DisputeError::Position)? != CaseKind::Attestation;
        if claims_state && self.library.state(game.step + 1)?.tree.root() != game.end_root {
            return Ok(Some(Move::new(MoveKind::DisputeState, Vec::new())));
        }
        let graph = &self.library.graph;
        for node in 0..game.ground.node_count {
            let parsed = graph.node(node)?;
            let is_batch = parsed.kind() == Kind::Input && parsed.source() == Source::Batch;
            let differs = is_batch && trace.roots[node as usize] != game.batch_root;
            if differs {
                return Ok(Some(pick_towards(game, node)));
            }
        }
        Ok(None)
    }

    /// The leaf of the segment that was attested, which is not in question.
    fn show_leaf(&mut self, game: &Game) -> Result<Move, DisputeError<R::Error>> {
        let accumulator = self.library.accumulator(&game.ground)?;
        let leaf = missing(accumulator.leaves.get(game.leaf as usize), "such leaf")?;
        let mut payload = [leaf.start_root, leaf.batches_root, leaf.end_root].concat();
        payload.extend(accumulator.tree.path(game.leaf));
        if leaf.count > 1 {
            let steps = self.library.steps(&game.ground, game.leaf)?;
            let batches: Vec<Hash> = steps.iter().map(|step| step.batch_root).collect();
            payload.extend(missing(batches.first(), "first step of the leaf")?);
            payload.extend(roots_tree(&batches).path(0));
        }
        Ok(Move::new(MoveKind::ShowLeaf, payload))
    }

    fn prove_output(&mut self, game: &Game) -> Result<Move, DisputeError<R::Error>> {
        let graph = self.library.graph.clone();
        let trace = self.library.trace(game.step)?;
        let node = *missing(graph.outputs.get(game.node as usize), "such state entry")?;
        let mut payload = node.to_le_bytes().to_vec();
        payload.extend(graph.outputs_tree.path(game.node));
        payload.extend(missing(trace.roots.get(node as usize), "such node")?);
        payload.extend(trace.tree.path(node));
        Ok(Move::new(MoveKind::ProveOutput, payload))
    }

    fn prove_input(&mut self, game: &Game) -> Result<Move, DisputeError<R::Error>> {
        let graph = self.library.graph.clone();
        let (root, path) = match graph.node(game.node)?.source() {
            Source::State(number) => {
                let (state, entry) = match game.ground.input(number).map_err(DisputeError::Position)? {
                    StateInput::Carried(entry) => (self.library.carried(game.step, game.ground.carried)?, entry),
                    StateInput::Base { base, entry } => (self.library.base(base, game.ground.base_entries)?, entry),
                };
                let root = *missing(state.roots.get(entry as usize), "such state entry")?;
                (root, state.tree.path(entry))
            }
            Source::Table(entry) => {
                let root = *missing(graph.table_roots.get(entry as usize), "such table")?;
                (root, graph.tables_tree.path(entry))
            }
            Source::Batch | Source::Step | Source::Setting => {
                return Err(DisputeError::Missing("state or table for this node"));
            }
        };
        Ok(Move::new(MoveKind::ProveInput, [root.to_vec(), path].concat()))
    }

    fn prove_token(&mut self, game: &Game) -> Result<Move, DisputeError<R::Error>> {
        let ground = &game.ground;
        let row_tokens = missing(std::num::NonZeroU32::new(ground.row_tokens), "row of tokens")?;
        let row = game.element / row_tokens;
        let window = missing(ground.window::<HostSha256>(game.step, row), "window of tokens")?;
        let position = window.offset as usize + (game.element % row_tokens) as usize;
        let tokens = self.library.tokens(window.domain)?;
        let index = position / CHUNK_ELEMENTS;
        let chunk = missing(tokens.elements.chunks(CHUNK_ELEMENTS).nth(index), "token at this position")?;
        let mut payload = tensor_bytes(chunk);
        payload.extend(tokens.tree.path(index as u32));
        Ok(Move::new(MoveKind::ProveToken, payload))
    }

    /// The first posted operand value that differs.
    fn prove_operand(&mut self, game: &Game) -> Result<Option<Move>, DisputeError<R::Error>> {
        let operands = self.library.operands(game)?;
        let graph = self.library.graph.clone();
        let node = graph.node(game.node)?;
        let trace = self.library.trace(game.step)?;
        for (slot, posted) in game.table().chunks_exact(4).enumerate() {
            // An absent term has no place; what is posted for it does not count.
            let Ok(place) = game.operand_place(slot as u32) else { continue };
            let operand = node.slot(game.piece, slot as u32).operand as usize;
            let tensor = missing(operands.get(operand), "such operand")?;
            let Some(value) = usize::try_from(place.address).ok().and_then(|at| tensor.elements.get(at)) else {
                if node.kind() == Kind::Gather && operand == 1 {
                    let mut payload = graph.nodes_tree.path(place.node);
                    payload.extend(missing(graph.nodes.get(place.node as usize), "such node")?);
                    return Ok(Some(Move::new(MoveKind::ProveBeyond, payload)));
                }
                continue;
            };
            if value.to_le_bytes() != posted {
                let index = place.address as usize / CHUNK_ELEMENTS;
                let chunk = tensor.elements.chunks(CHUNK_ELEMENTS).nth(index).unwrap_or(&[]);
                let numbers = [slot as u32, tensor.tree.chunks(), chunk.len() as u32 * 4];
                let mut payload = tensor_bytes(&numbers);
                payload.extend(missing(trace.roots.get(place.node as usize), "such node")?);
                payload.extend(earlier_path(game, &trace.tree, place.node));
                payload.extend(tensor_bytes(chunk));
                payload.extend(tensor.tree.path(index as u32));
                return Ok(Some(Move::new(MoveKind::ProveOperand, payload)));
            }
        }
        Ok(None)
    }
}

/// Path of a node in the trainer's trace, which equals the challenger's up to the node in question: siblings below the
/// place where the two paths meet are agreed, those above are the trainer's.
fn earlier_path(game: &Game, agreed: &MerkleTree, node: u32) -> Vec<u8> {
    let mut path = agreed.path(node);
    let meeting = (32 - (node ^ game.node).leading_zeros()) as usize;
    let mut on_path = merkle::leaf::<HostSha256>(&game.output_root);
    for (level, sibling) in path.chunks_exact_mut(32).enumerate() {
        let Some(claimed) = hash_at(&game.trace_path, level) else { break };
        if level + 1 >= meeting {
            sibling.copy_from_slice(if level + 1 == meeting { &on_path } else { claimed });
        }
        let is_right = game.node >> level & 1 == 1;
        let (left, right) = if is_right { (claimed, &on_path) } else { (&on_path, claimed) };
        on_path = merkle::node::<HostSha256>(left, right);
    }
    path
}

/// Picks the revealed node that a leaf of the tree lies under.
fn pick_towards(game: &Game, leaf: u32) -> Move {
    let below = game.height - game.height.min(merkle::REVEAL_LEVELS);
    let mask = (1 << (game.height - below)) - 1;
    Move::pick((leaf >> below) & mask)
}

/// Picks the first node of a Merkle tree in which the table differs from what is right, or the one over the leaf from which on
/// nothing is known, whichever comes first.
fn first_difference_in_tree(game: &Game, right: &[u8], unknown: Option<u32>) -> Option<Move> {
    let levels = game.height.min(merkle::REVEAL_LEVELS);
    let below = game.height - levels;
    let pairs = game.table().chunks(32).zip(right.chunks(32)).enumerate();
    let differs = |(number, (shown, right)): (usize, (&[u8], &[u8]))| {
        let end = (((game.index as u64) << levels) + number as u64 + 1) << below;
        shown != right || unknown.is_some_and(|leaf| end > leaf as u64)
    };
    pairs.map(differs).position(|differs| differs).map(|index| Move::pick(index as u32))
}

/// Picks the first item, of so many bytes, in which the table differs from what is right.
fn first_difference(game: &Game, right: &[u8], item_bytes: usize) -> Option<Move> {
    debug_assert!(hash_at(game.table(), 0).is_some() || item_bytes != 32);
    let differs = |(shown, right): (&[u8], &[u8])| shown != right;
    let pairs = game.table().chunks(item_bytes).zip(right.chunks(item_bytes));
    pairs.map(differs).position(|differs| differs).map(|index| Move::pick(index as u32))
}

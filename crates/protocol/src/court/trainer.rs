//! The defendant's moves, called the trainer's after the first case: it opens what it committed, level by level, and in the end the values that it computed with.

use sip_arith::Arith;
use sip_ops::{PIECE_TERMS, Source};
use sip_proof::blake3::{CHUNK_BYTES, Subtree, chunk_value};
use sip_proof::{Leaf, MAX_STEPS_PER_LEAF, Sha256, hash_at, merkle, settings_root, step_root};

use crate::court::game::{Game, input_entry, require, split, split_at, tensor_chunks, word};
use crate::court::{MAX_PIECES, Outcome, Phase};
use crate::{Error, Result};

impl Game {
    /// [`super::MoveKind::Reveal`]: nodes below the place, which must hash to it.
    #[inline(never)]
    pub(super) fn reveal<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        let next = match self.phase()? {
            Phase::RevealLeaves => Phase::PickLeaf,
            Phase::RevealTrace => Phase::PickTrace,
            Phase::RevealState => Phase::PickState,
            Phase::RevealTensor => Phase::PickTensor,
            _ => return Err(Error::WrongMove),
        };
        let found = if next == Phase::PickTensor {
            self.subtree()?.value_of(payload)
        } else {
            let children = 32usize << self.height.min(merkle::REVEAL_LEVELS);
            require(payload.len() == children, Error::WrongPayload)?;
            merkle::fold::<S>(payload)
        };
        require(found.ok_or(Error::WrongPayload)? == self.value, Error::HashMismatch)?;
        self.pin(payload)?;
        self.set_phase(next);
        Ok(())
    }

    /// [`super::MoveKind::OpenLeaf`]: the leaf, which must hash to the place, and the leaf before, which must end where
    /// this one starts. The first leaf starts and the last one ends where the segment does.
    #[inline(never)]
    pub(super) fn open_leaf<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::OpenLeaf)?;
        let leaf_count = self.ground.leaf_count();
        let (leaf, rest) = self.read_leaf(self.index, payload)?;
        require(leaf.hash::<S>() == self.value, Error::HashMismatch)?;
        let agreed_root = match self.index.checked_sub(1) {
            None => {
                require(rest.is_empty(), Error::WrongPayload)?;
                self.ground.start_root
            }
            Some(index) => {
                let (before, path) = self.read_leaf(index, rest)?;
                let opening = merkle::Opening { leaf_count, index, path };
                let root = opening.root::<S>(&before.hash::<S>()).ok_or(Error::WrongPayload)?;
                require(root == self.ground.accumulator_root, Error::HashMismatch)?;
                before.end_root
            }
        };
        let is_last = self.index + 1 == leaf_count;
        require(leaf.start_root == agreed_root, Error::LeafOutOfPlace)?;
        require(!is_last || leaf.end_root == self.ground.end_root, Error::LeafOutOfPlace)?;
        self.leaf = self.index;
        self.step = leaf.first_step;
        self.start_root = leaf.start_root;
        self.batch_root = leaf.batches_root;
        self.end_root = leaf.end_root;
        self.pinned_len = 0;
        self.set_phase(if leaf.count > 1 { Phase::PostSteps } else { Phase::PostTrace });
        Ok(())
    }

    /// The roots of a leaf of the segment, and what follows them.
    #[inline(always)]
    pub(super) fn read_leaf<'a>(&self, index: u32, bytes: &'a [u8]) -> Result<(Leaf, &'a [u8])> {
        let (start_root, rest) = split(bytes)?;
        let (batches_root, rest) = split(rest)?;
        let (end_root, rest) = split(rest)?;
        let (first_step, count) = self.ground.leaf_steps(index);
        let leaf =
            Leaf { first_step, count, start_root: *start_root, batches_root: *batches_root, end_root: *end_root };
        Ok((leaf, rest))
    }

    /// [`super::MoveKind::PostSteps`]: batch and end state of every step; the batches must hash to the leaf's, the last
    /// state must be the leaf's. Each step starts where the one before ends, so nothing else has to fit.
    #[inline(never)]
    pub(super) fn post_steps<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PostSteps)?;
        let (_, count) = self.ground.leaf_steps(self.leaf);
        require(payload.len() == count as usize * 64, Error::WrongPayload)?;
        let mut leaves = [0u8; 32 * MAX_STEPS_PER_LEAF as usize];
        for (step, leaf) in leaves.chunks_exact_mut(32).enumerate().take(count as usize) {
            let batch_root = hash_at(payload, step * 2).ok_or(Error::WrongPayload)?;
            leaf.copy_from_slice(&merkle::leaf::<S>(batch_root));
        }
        let padded = 32usize << merkle::depth(count);
        let batches_root = merkle::fold::<S>(&leaves[..padded]).ok_or(Error::WrongPayload)?;
        let end_root = hash_at(payload, count as usize * 2 - 1).ok_or(Error::WrongPayload)?;
        require(batches_root == self.batch_root && *end_root == self.end_root, Error::HashMismatch)?;
        self.pin(payload)?;
        self.set_phase(Phase::PickStep);
        Ok(())
    }

    /// [`super::MoveKind::PostTrace`]: the top of the trace's tree, which is pinned from now on.
    #[inline(never)]
    pub(super) fn post_trace<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PostTrace)?;
        self.height = merkle::depth(self.ground.node_count);
        self.index = 0;
        let children = 32usize << self.height.min(merkle::REVEAL_LEVELS);
        require(payload.len() == children, Error::WrongPayload)?;
        self.trace_root = merkle::fold::<S>(payload).ok_or(Error::WrongPayload)?;
        self.value = self.trace_root;
        self.pin(payload)?;
        self.set_phase(Phase::PickTrace);
        Ok(())
    }

    /// [`super::MoveKind::OpenEntry`]: the root behind the place in the state.
    #[inline(never)]
    pub(super) fn open_entry<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::OpenEntry)?;
        let (entry_root, rest) = split(payload)?;
        require(rest.is_empty(), Error::WrongPayload)?;
        require(merkle::leaf::<S>(entry_root) == self.value, Error::HashMismatch)?;
        self.value = *entry_root;
        self.node = self.index;
        self.pinned_len = 0;
        self.set_phase(Phase::ProveOutput);
        Ok(())
    }

    /// [`super::MoveKind::OpenNode`]: what the graph says about the node, and the root of its output. Some inputs are
    /// decided here: a batch that is not the committed one, a wrong step number and wrong settings convict, the right number and settings acquit.
    #[inline(never)]
    pub(super) fn open_node<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::OpenNode)?;
        let leaf_count = self.ground.node_count;
        let path_len = merkle::depth(leaf_count) as usize * 32;
        let (entry_root, rest) = split(payload)?;
        let (trace_path, rest) = split_at(rest, path_len)?;
        let (path, node_bytes) = split_at(rest, path_len)?;
        let index = self.index;
        let in_trace = merkle::Opening { leaf_count, index, path: trace_path };
        require(in_trace.opens::<S>(&self.trace_root, entry_root), Error::HashMismatch)?;
        let in_graph = merkle::Opening { leaf_count, index, path };
        require(in_graph.opens::<S>(&self.ground.nodes_root, node_bytes), Error::HashMismatch)?;
        self.trace_path.get_mut(..path_len).ok_or(Error::WrongPayload)?.copy_from_slice(trace_path);
        self.node_bytes.get_mut(..node_bytes.len()).ok_or(Error::MalformedNode)?.copy_from_slice(node_bytes);
        self.node_len = node_bytes.len() as u32;
        self.node = self.index;
        self.output_root = *entry_root;
        self.value = *entry_root;
        self.pinned_len = 0;

        let node = self.graph_node()?;
        let chunks = tensor_chunks(node.len())?;
        let (pieces, source, elements) = (node.pieces(), input_entry(&node), node.len());
        match source {
            Some(Source::State(_) | Source::Table(_)) => {
                self.set_phase(Phase::ProveInput);
                return Ok(());
            }
            Some(Source::Step) => {
                let is_right = self.value == step_root(self.ground.first_step.wrapping_add(self.step));
                self.end(if is_right { Outcome::Acquitted } else { Outcome::Convicted });
                return Ok(());
            }
            Some(Source::Setting) => {
                let is_right = self.value == settings_root(&self.ground.settings);
                self.end(if is_right { Outcome::Acquitted } else { Outcome::Convicted });
                return Ok(());
            }
            Some(Source::Batch) => {
                let expected = (self.ground.batch_rows as u64).wrapping_mul(self.ground.row_tokens as u64);
                require(elements == expected, Error::MalformedNode)?;
                if self.value != self.batch_root {
                    self.end(Outcome::Convicted);
                    return Ok(());
                }
            }
            None => require((1..=MAX_PIECES).contains(&pieces), Error::MalformedNode)?,
        }
        self.enter(Subtree::top(chunks));
        Ok(())
    }

    /// [`super::MoveKind::PostChunk`]: the chunk, which must hash to the place.
    #[inline(never)]
    pub(super) fn post_chunk(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PostChunk)?;
        let len = self.graph_node()?.len() << 2;
        let place = self.subtree()?;
        let rest = len.saturating_sub(place.index as u64 * CHUNK_BYTES as u64);
        require(payload.len() as u64 == rest.min(CHUNK_BYTES as u64), Error::WrongPayload)?;
        require(chunk_value(payload, place.index, place.is_top()) == self.value, Error::HashMismatch)?;
        self.pin(payload)?;
        self.set_phase(Phase::PickElement);
        Ok(())
    }

    /// [`super::MoveKind::PostPartials`]: the accumulator after each piece but the last, which ends in the element.
    #[inline(never)]
    pub(super) fn post_partials(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PostPartials)?;
        let pieces = self.graph_node()?.pieces();
        require(payload.len() == (pieces as usize - 1) * 4, Error::WrongPayload)?;
        self.pin(payload)?;
        self.set_phase(Phase::PickPiece);
        Ok(())
    }

    /// [`super::MoveKind::PostValues`]: the piece's operand values. The chain decides at once whether they give the claim;
    /// if they do, one of them is false or the trainer is honest.
    #[inline(never)]
    pub(super) fn post_values<A: Arith>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PostValues)?;
        let node = self.graph_node()?;
        require(payload.len() == node.piece_slots(self.piece) as usize * 4, Error::WrongPayload)?;
        let result = run_piece::<A>(self, payload)?;
        if result != self.claim {
            self.end(Outcome::Convicted);
            return Ok(());
        }
        self.pin(payload)?;
        self.set_phase(Phase::ProveOperand);
        Ok(())
    }

    /// Goes to a place within the output of the node in question.
    pub(super) fn enter(&mut self, place: Subtree) {
        let place = place.settled();
        self.height = place.level;
        self.index = place.index;
        self.set_phase(if place.level == 0 { Phase::PostChunk } else { Phase::RevealTensor });
    }
}

fn run_piece<A: Arith>(game: &Game, values: &[u8]) -> Result<u32> {
    let node = game.graph_node()?;
    let value = |slot| word(values, slot).unwrap_or(0);
    Ok(node.piece::<A>(game.element as u64, game.piece, game.piece_start, &value))
}

const _: () = assert!(MAX_PIECES == sip_ops::MAX_TERMS / PIECE_TERMS);

//! The challenger's moves: it points at the first thing that is false, and proves what one transaction can prove.

use sip_ops::{Kind, MAX_LABELS, Node, Source};
use sip_proof::blake3::{CHUNK_BYTES, ChunkOpening, chunk_count, path_len};
use sip_proof::{Hash, Sha256, merkle};

use crate::court::game::{Game, input_entry, require, split, split_at, split_number, word};
use crate::court::{CaseKind, Outcome, Phase, StateInput};
use crate::{Error, Result};

/// Elements of a chunk.
const CHUNK_ELEMENTS: u64 = CHUNK_BYTES as u64 / 4;

impl Game {
    /// [`super::MoveKind::Pick`].
    #[inline(never)]
    pub(super) fn pick<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        let (pick, rest) = split_number(payload)?;
        require(rest.is_empty(), Error::WrongPayload)?;
        match self.phase()? {
            Phase::PickLeaf => {
                let leaf_count = self.ground.leaf_count();
                self.descend::<S>(pick, &Tree { leaf_count, open: Phase::OpenLeaf, reveal: Phase::RevealLeaves })?;
            }
            Phase::PickStep => {
                let (first_step, count) = self.ground.leaf_steps(self.leaf);
                require(pick < count, Error::NothingThere)?;
                self.step = first_step + pick;
                self.start_root = if pick == 0 { self.start_root } else { self.pinned_hash(pick * 2 - 1)? };
                self.batch_root = self.pinned_hash(pick * 2)?;
                self.end_root = self.pinned_hash(pick * 2 + 1)?;
                self.set_phase(Phase::PostTrace);
            }
            Phase::PickTrace => {
                let leaf_count = self.ground.node_count;
                self.descend::<S>(pick, &Tree { leaf_count, open: Phase::OpenNode, reveal: Phase::RevealTrace })?;
            }
            Phase::PickState => {
                let leaf_count = self.ground.state_count;
                self.descend::<S>(pick, &Tree { leaf_count, open: Phase::OpenEntry, reveal: Phase::RevealState })?;
            }
            Phase::PickTensor => {
                let (mut place, count) = self.subtree()?.children();
                require(pick < count, Error::NothingThere)?;
                self.value = self.pinned_hash(pick)?;
                place.index += pick;
                self.enter(place);
            }
            Phase::PickElement => {
                self.claim = self.pinned_word(pick)?;
                self.element = self.index.wrapping_mul(CHUNK_ELEMENTS as u32).wrapping_add(pick);
                self.piece = 0;
                self.piece_start = 0;
                let node = self.graph_node()?;
                let (is_input, pieces) = (node.kind() == Kind::Input, node.pieces());
                if !node.is_u32() && sip_arith::is_fault(self.claim) {
                    // Arithmetic stops at the first value that is not finite: no trace holds one.
                    self.end(Outcome::Convicted);
                    return Ok(());
                }
                self.set_phase(match pieces {
                    _ if is_input => Phase::ProveToken,
                    1 => Phase::PostValues,
                    _ => Phase::PostPartials,
                });
            }
            Phase::PickPiece => {
                let last = self.graph_node()?.pieces() - 1;
                require(pick <= last, Error::NothingThere)?;
                self.piece = pick;
                if pick > 0 {
                    self.piece_start = self.pinned_word(pick - 1)?;
                }
                if pick < last {
                    self.claim = self.pinned_word(pick)?;
                }
                self.set_phase(Phase::PostValues);
            }
            _ => return Err(Error::WrongMove),
        }
        Ok(())
    }

    /// Goes to one of the nodes on the table, in a Merkle tree. Where only padding is below it, there is nothing to open:
    /// other padding than the tree's rule gives convicts at once, for it alone makes a root that no replay gives.
    fn descend<S: Sha256>(&mut self, pick: u32, tree: &Tree) -> Result<()> {
        let levels = self.height.min(merkle::REVEAL_LEVELS);
        let value = self.pinned_hash(pick)?;
        let height = self.height - levels;
        let index = (self.index << levels) + pick;
        if (index as u64) << height >= tree.leaf_count as u64 {
            require(value != merkle::padding::<S>(height), Error::NothingThere)?;
            self.end(Outcome::Convicted);
            return Ok(());
        }
        self.value = value;
        self.height = height;
        self.index = index;
        self.set_phase(if height == 0 { tree.open } else { tree.reveal });
        Ok(())
    }

    /// [`super::MoveKind::DisputeState`]: on to the state after the step, as long as the whole trace is on the table.
    #[inline(never)]
    pub(super) fn dispute_state(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::PickTrace)?;
        require(payload.is_empty(), Error::WrongPayload)?;
        // An attestation claims a trace and no state.
        require(self.ground.case()? != CaseKind::Attestation, Error::WrongMove)?;
        require(self.height == merkle::depth(self.ground.node_count), Error::WrongMove)?;
        self.value = self.end_root;
        self.height = merkle::depth(self.ground.state_count);
        self.index = 0;
        self.pinned_len = 0;
        self.set_phase(if self.height == 0 { Phase::OpenEntry } else { Phase::RevealState });
        Ok(())
    }

    /// [`super::MoveKind::ProveOutput`].
    #[inline(never)]
    pub(super) fn prove_output<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ProveOutput)?;
        let (node, rest) = split_number(payload)?;
        let (path, rest) = split_at(rest, merkle::depth(self.ground.state_count) as usize * 32)?;
        let output = merkle::Opening { leaf_count: self.ground.state_count, index: self.node, path };
        require(output.opens::<S>(&self.ground.outputs_root, &node.to_le_bytes()), Error::HashMismatch)?;
        let (computed_root, path) = split::<32>(rest)?;
        let computed = merkle::Opening { leaf_count: self.ground.node_count, index: node, path };
        require(computed.opens::<S>(&self.trace_root, computed_root), Error::HashMismatch)?;
        self.convict_if(*computed_root != self.value)
    }

    /// [`super::MoveKind::ProveInput`].
    #[inline(never)]
    pub(super) fn prove_input<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ProveInput)?;
        let (root, index, leaf_count) = match input_entry(&self.graph_node()?) {
            Some(Source::State(number)) => match self.ground.input(number)? {
                StateInput::Carried(entry) => (self.start_root, entry, self.ground.carried),
                StateInput::Base { base, entry } => {
                    let root = self.ground.bases.get(base as usize).ok_or(Error::NothingThere)?;
                    (*root, entry, self.ground.base_entries)
                }
            },
            Some(Source::Table(entry)) => (self.ground.tables_root, entry, self.ground.table_count),
            _ => return Err(Error::WrongMove),
        };
        let (entry_root, path) = split::<32>(payload)?;
        let opening = merkle::Opening { leaf_count, index, path };
        require(opening.opens::<S>(&root, entry_root), Error::HashMismatch)?;
        self.convict_if(*entry_root != self.value)
    }

    /// [`super::MoveKind::ProveToken`].
    #[inline(never)]
    pub(super) fn prove_token<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ProveToken)?;
        let ground = &self.ground;
        require(ground.row_tokens > 0, Error::WrongJobShape)?;
        let row = self.element / ground.row_tokens;
        let window = ground.window::<S>(self.step, row).ok_or(Error::NothingThere)?;
        let position = window.offset + (self.element % ground.row_tokens) as u64;
        let domain = window.domain as usize;
        let len = ground.token_counts[domain] << 2;
        let chunks = chunk_count(len).ok_or(Error::NothingThere)?;
        let index = (position / CHUNK_ELEMENTS) as u32;
        let rest = len.saturating_sub(position / CHUNK_ELEMENTS * CHUNK_BYTES as u64);
        let (bytes, path) = split_at(payload, rest.min(CHUNK_BYTES as u64) as usize)?;
        let found = ChunkOpening { chunks, index, bytes, path }.root().ok_or(Error::WrongPayload)?;
        require(found == ground.dataset_roots[domain], Error::HashMismatch)?;
        let token = word(bytes, (position % CHUNK_ELEMENTS) as u32).ok_or(Error::NothingThere)?;
        self.convict_if(token != self.claim)
    }

    /// [`super::MoveKind::ProveOperand`]. The number of chunks is the challenger's word: a chunk's value carries its index,
    /// so a wrong number finds no path to the root.
    #[inline(never)]
    pub(super) fn prove_operand<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ProveOperand)?;
        let (slot, rest) = split_number(payload)?;
        let (chunks, rest) = split_number(rest)?;
        let (chunk_bytes, rest) = split_number(rest)?;
        let posted = self.pinned_word(slot)?;
        let place = self.operand_place(slot)?;

        let (entry_root, rest) = split::<32>(rest)?;
        let leaf_count = self.ground.node_count;
        let (path, rest) = split_at(rest, merkle::depth(leaf_count) as usize * 32)?;
        let operand = merkle::Opening { leaf_count, index: place.node, path };
        require(operand.opens::<S>(&self.trace_root, entry_root), Error::HashMismatch)?;

        let (bytes, path) = split_at(rest, chunk_bytes as usize)?;
        let index = u32::try_from(place.address / CHUNK_ELEMENTS).map_err(|_| Error::NothingThere)?;
        // A path's length is counted level by level: bound it before it is computed.
        require(chunks <= 1 << 23 && index < chunks, Error::NothingThere)?;
        require(path.len() == path_len(chunks, index) as usize * 32, Error::WrongPayload)?;
        let found: Hash = ChunkOpening { chunks, index, bytes, path }.root().ok_or(Error::WrongPayload)?;
        require(found == *entry_root, Error::HashMismatch)?;
        let value = word(bytes, (place.address % CHUNK_ELEMENTS) as u32).ok_or(Error::NothingThere)?;
        self.convict_if(value != posted)
    }

    /// [`super::MoveKind::ShowLeaf`]: the leaf that the auditor's draw picked, so that start and batch of the step are the
    /// segment's. From here on the auditor opens its trace.
    #[inline(never)]
    pub(super) fn show_leaf<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ShowLeaf)?;
        let (index, leaf_count) = (self.leaf, self.ground.leaf_count());
        let (leaf, rest) = self.read_leaf(index, payload)?;
        let (path, rest) = split_at(rest, merkle::depth(leaf_count) as usize * 32)?;
        let opening = merkle::Opening { leaf_count, index, path };
        let root = opening.root::<S>(&leaf.hash::<S>()).ok_or(Error::WrongPayload)?;
        require(root == self.ground.accumulator_root, Error::HashMismatch)?;
        self.batch_root = leaf.batches_root;
        if leaf.count > 1 {
            let (batch_root, path) = split::<32>(rest)?;
            let opening = merkle::Opening { leaf_count: leaf.count, index: 0, path };
            require(opening.opens::<S>(&leaf.batches_root, batch_root), Error::HashMismatch)?;
            self.batch_root = *batch_root;
        } else {
            require(rest.is_empty(), Error::WrongPayload)?;
        }
        self.step = leaf.first_step;
        self.start_root = leaf.start_root;
        self.value = self.trace_root;
        self.height = merkle::depth(self.ground.node_count);
        self.index = 0;
        self.set_phase(Phase::RevealTrace);
        Ok(())
    }

    /// [`super::MoveKind::ProveBeyond`]: a lookup beyond its table has no value, so that no trace holds what it gives.
    #[inline(never)]
    pub(super) fn prove_beyond<S: Sha256>(&mut self, payload: &[u8]) -> Result<()> {
        self.expect(Phase::ProveOperand)?;
        require(self.graph_node()?.kind() == Kind::Gather, Error::WrongMove)?;
        let place = self.operand_place(1)?;
        let leaf_count = self.ground.node_count;
        let (path, bytes) = split_at(payload, merkle::depth(leaf_count) as usize * 32)?;
        let table = merkle::Opening { leaf_count, index: place.node, path };
        require(table.opens::<S>(&self.ground.nodes_root, bytes), Error::HashMismatch)?;
        let len = Node::parse(bytes).map_err(|_| Error::MalformedNode)?.len();
        self.convict_if(place.address >= len)
    }

    /// Where the operand value of a slot of the piece is read.
    pub fn operand_place(&self, slot: u32) -> Result<OperandPlace> {
        let node = self.graph_node()?;
        require(slot < node.piece_slots(self.piece), Error::NothingThere)?;
        let found = node.slot(self.piece, slot);
        let mut coordinates = [0; MAX_LABELS];
        node.coordinates(self.element as u64, found.term, &mut coordinates);
        // An absent term's values do not count, so they cannot be false.
        let is_term = slot < node.piece_terms(self.piece).wrapping_mul(node.values_per_term());
        require(!is_term || node.is_present(&coordinates), Error::NothingThere)?;
        let operand = found.operand as usize;
        let index = if node.kind() == Kind::Gather && operand == 1 { self.pinned_word(0)? } else { 0 };
        let address = node.address(operand, &coordinates, index);
        let operand_node = node.operand_node(operand);
        require(operand_node < self.node, Error::MalformedNode)?;
        Ok(OperandPlace { node: operand_node, address })
    }
}

/// A Merkle tree that the challenger goes down.
struct Tree {
    leaf_count: u32,
    /// What follows at a leaf.
    open: Phase,
    /// What follows above the leaves.
    reveal: Phase,
}

/// Where an operand value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandPlace {
    /// Which node's output.
    pub node: u32,
    /// Which element of it.
    pub address: u64,
}

//! The game's state and its shared parts; the moves of each side are in `trainer` and `challenger`.

use bytemuck::{Pod, Zeroable};
use sip_arith::Arith;
use sip_ops::{MAX_ELEMENTS, Node, Source};
use sip_proof::{Hash, Sha256, blake3::Subtree, hash_at, merkle};

use crate::court::{CaseKind, Ground, MoveKind, Outcome, Phase, Side};
use crate::{Error, Result, ground::layout::layout};

/// Most bytes of a move's payload.
pub const MAX_PAYLOAD: usize = 3072;
/// Most bytes that lie on the table: 513 operand values.
pub const MAX_PINNED: usize = 2056;
/// Most bytes of a node.
pub const MAX_NODE: usize = 880;
/// Most bytes of a node's path in a trace: a graph has at most 2²⁴ nodes.
pub const MAX_TRACE_PATH: usize = 24 * 32;

/// A move as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Who moves.
    pub side: Side,
    /// Which move.
    pub kind: MoveKind,
    /// See [`MoveKind`].
    pub payload: &'a [u8],
    /// The present slot.
    pub slot: u64,
}

layout! {
    /// The position. Claims are the trainer's; a field counts from the phase on that sets it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Game {
        /// The undisputed facts.
        pub ground: Ground,
        /// State root before the step (before the leaf, until a step is picked). Agreed: the challenger picks the first that is
        /// false.
        pub start_root: Hash,
        /// BLAKE3 root of the step's batch (the leaf's batches root, until a step is picked).
        pub batch_root: Hash,
        /// State root after the step (after the leaf, until a step is picked).
        pub end_root: Hash,
        /// Merkle root over the outputs of all nodes in the step. Set once: every later claim opens against it.
        pub trace_root: Hash,
        /// Hash of the place that the game has come to, in the accumulator, a trace, a state or a tensor; an entry's root once
        /// it is open.
        pub value: Hash,
        /// Root of the output of the node in question.
        pub output_root: Hash,
        /// Slots left to trainer and challenger.
        pub clock_slots: [u64; 2],
        /// When the side on move came on move.
        pub moved_slot: u64,
        /// A [`Phase`].
        pub phase: u32,
        /// An [`Outcome`].
        pub outcome: u32,
        /// Levels between the place and the leaves of its tree.
        pub height: u32,
        /// Index of the place among those of its height.
        pub index: u32,
        /// Leaf of the segment.
        pub leaf: u32,
        /// Step within the segment.
        pub step: u32,
        /// Node of the graph, or entry of the state.
        pub node: u32,
        /// Element of the node's output.
        pub element: u32,
        /// Piece of the element's chain.
        pub piece: u32,
        /// Accumulator before the piece.
        pub piece_start: u32,
        /// The element's value, then the accumulator after the piece.
        pub claim: u32,
        /// Bytes on the table.
        pub pinned_len: u32,
        /// Bytes of the node.
        pub node_len: u32,
        /// Always 0.
        pub reserved: u32,
        /// What the trainer put on the table last.
        pub pinned: [u8; MAX_PINNED],
        /// The node's canonical bytes.
        pub node_bytes: [u8; MAX_NODE],
        /// The node's siblings in the trace: what the challenger needs to open what the node reads.
        pub trace_path: [u8; MAX_TRACE_PATH],
    }
}

/// The first `N` bytes and the rest.
#[inline(always)]
pub(super) fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8])> {
    bytes.split_first_chunk().ok_or(Error::WrongPayload)
}

/// The first `len` bytes and the rest.
#[inline(always)]
pub(super) fn split_at(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8])> {
    bytes.split_at_checked(len).ok_or(Error::WrongPayload)
}

/// The first number and the rest.
#[inline(always)]
pub(super) fn split_number(bytes: &[u8]) -> Result<(u32, &[u8])> {
    let (number, rest) = split(bytes)?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// The number at a position of a list of them.
#[inline(always)]
pub(super) fn word(bytes: &[u8], index: u32) -> Option<u32> {
    let start = index as usize * 4;
    let four = bytes.get(start..start + 4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

pub(super) fn require(condition: bool, error: Error) -> Result<()> {
    if condition { Ok(()) } else { Err(error) }
}

impl Game {
    /// Starts a zeroed game whose ground is filled in, and for an attestation `leaf` and `trace_root`; both clocks have
    /// `clock_slots`.
    pub fn open(&mut self, clock_slots: u64, slot: u64) -> Result<()> {
        let leaf_count = self.ground.leaf_count();
        let depth = merkle::depth(self.ground.node_count) as usize;
        require(leaf_count > 0 && self.ground.node_count > 0, Error::WrongJobShape)?;
        require(depth * 32 <= MAX_TRACE_PATH && self.ground.state_count > 0, Error::WrongJobShape)?;
        self.clock_slots = [clock_slots; 2];
        self.moved_slot = slot;
        match self.ground.case()? {
            CaseKind::Segment | CaseKind::Score => {
                self.value = self.ground.accumulator_root;
                self.height = merkle::depth(leaf_count);
                self.set_phase(if self.height == 0 { Phase::OpenLeaf } else { Phase::RevealLeaves });
            }
            CaseKind::Aggregate | CaseKind::Genesis | CaseKind::Start | CaseKind::Update => {
                self.start_root = self.ground.start_root;
                self.end_root = self.ground.end_root;
                self.set_phase(Phase::PostTrace);
            }
            CaseKind::Attestation => {
                require(self.leaf < leaf_count, Error::WrongJobShape)?;
                self.set_phase(Phase::ShowLeaf);
            }
        }
        Ok(())
    }

    /// The present phase.
    pub fn phase(&self) -> Result<Phase> {
        Phase::from_number(self.phase).ok_or(Error::WrongKind)
    }

    /// How the dispute stands.
    pub fn outcome(&self) -> Result<Outcome> {
        Outcome::from_number(self.outcome).ok_or(Error::WrongKind)
    }

    /// The side whose clock runs, if the game is on.
    pub fn on_move(&self) -> Result<Side> {
        let phase = self.phase()?;
        require(phase != Phase::Over, Error::DisputeOver)?;
        Ok(phase.on_move())
    }

    /// What the trainer put on the table last.
    pub fn table(&self) -> &[u8] {
        self.pinned.get(..self.pinned_len as usize).unwrap_or(&[])
    }

    /// The node in question.
    pub fn graph_node(&self) -> Result<Node<'_>> {
        let bytes = self.node_bytes.get(..self.node_len as usize).ok_or(Error::MalformedNode)?;
        Node::parse(bytes).map_err(|_| Error::MalformedNode)
    }

    /// The place within the output of the node in question.
    pub fn subtree(&self) -> Result<Subtree> {
        let chunks = tensor_chunks(self.graph_node()?.len())?;
        Ok(Subtree { chunks, level: self.height, index: self.index })
    }

    /// Plays a move, or refuses it and leaves the position to be thrown away.
    pub fn play<S: Sha256, A: Arith>(&mut self, turn: &Turn<'_>) -> Result<()> {
        require(self.on_move()? == turn.side, Error::NotOnMove)?;
        self.tick(turn)?;
        let payload = turn.payload;
        match turn.kind {
            MoveKind::Concede => {
                require(payload.is_empty(), Error::WrongPayload)?;
                self.end(match turn.side {
                    Side::Trainer => Outcome::Convicted,
                    Side::Challenger => Outcome::Acquitted,
                });
                Ok(())
            }
            MoveKind::Reveal => self.reveal::<S>(payload),
            MoveKind::OpenLeaf => self.open_leaf::<S>(payload),
            MoveKind::PostSteps => self.post_steps::<S>(payload),
            MoveKind::PostTrace => self.post_trace::<S>(payload),
            MoveKind::OpenEntry => self.open_entry::<S>(payload),
            MoveKind::OpenNode => self.open_node::<S>(payload),
            MoveKind::PostChunk => self.post_chunk(payload),
            MoveKind::PostPartials => self.post_partials(payload),
            MoveKind::PostValues => self.post_values::<A>(payload),
            MoveKind::Pick => self.pick::<S>(payload),
            MoveKind::DisputeState => self.dispute_state(payload),
            MoveKind::ProveOutput => self.prove_output::<S>(payload),
            MoveKind::ProveInput => self.prove_input::<S>(payload),
            MoveKind::ProveToken => self.prove_token::<S>(payload),
            MoveKind::ProveOperand => self.prove_operand::<S>(payload),
            MoveKind::ShowLeaf => self.show_leaf::<S>(payload),
            MoveKind::ProveBeyond => self.prove_beyond::<S>(payload),
        }
    }

    /// Ends the game against the side on move once its clock has run out.
    pub fn timeout(&mut self, slot: u64) -> Result<()> {
        let side = self.on_move()?;
        let elapsed = slot.saturating_sub(self.moved_slot);
        require(elapsed > self.clock_slots[side as usize], Error::ClockRunning)?;
        self.clock_slots[side as usize] = 0;
        self.end(match side {
            Side::Trainer => Outcome::Convicted,
            Side::Challenger => Outcome::Acquitted,
        });
        Ok(())
    }

    /// Charges the time since the last move to the side that moves now.
    fn tick(&mut self, turn: &Turn<'_>) -> Result<()> {
        let elapsed = turn.slot.saturating_sub(self.moved_slot);
        let clock = &mut self.clock_slots[turn.side as usize];
        *clock = clock.checked_sub(elapsed).ok_or(Error::ClockRunOut)?;
        self.moved_slot = turn.slot;
        Ok(())
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase as u32;
    }

    pub(super) fn expect(&self, phase: Phase) -> Result<()> {
        require(self.phase == phase as u32, Error::WrongMove)
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        self.outcome = outcome as u32;
        self.set_phase(Phase::Over);
    }

    /// Convicts if two hashes that must be equal are not; an accusation that shows equal ones is refused.
    pub(super) fn convict_if(&mut self, differs: bool) -> Result<()> {
        require(differs, Error::NotContradicted)?;
        self.end(Outcome::Convicted);
        Ok(())
    }

    pub(super) fn pin(&mut self, bytes: &[u8]) -> Result<()> {
        self.pinned.get_mut(..bytes.len()).ok_or(Error::WrongPayload)?.copy_from_slice(bytes);
        self.pinned_len = bytes.len() as u32;
        Ok(())
    }

    pub(super) fn pinned_hash(&self, index: u32) -> Result<Hash> {
        hash_at(self.table(), index as usize).copied().ok_or(Error::NothingThere)
    }

    pub(super) fn pinned_word(&self, index: u32) -> Result<u32> {
        word(self.table(), index).ok_or(Error::NothingThere)
    }
}

/// Chunks of a tensor of so many elements.
pub(super) fn tensor_chunks(elements: u64) -> Result<u32> {
    require(elements > 0 && elements <= MAX_ELEMENTS as u64, Error::MalformedNode)?;
    sip_proof::blake3::chunk_count(elements << 2).ok_or(Error::MalformedNode)
}

/// Which tree an input comes from, if it comes from one.
pub(super) fn input_entry(node: &Node<'_>) -> Option<Source> {
    match (node.kind(), node.source()) {
        (sip_ops::Kind::Input, source) => Some(source),
        _ => None,
    }
}

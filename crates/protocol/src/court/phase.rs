//! Who is on move, and which moves there are.

use crate::ground::case::numbered;

/// A party of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Side {
    /// Defends the claim: a segment's trainer, a vote's or an attestation's auditor, a genesis state's creator.
    Trainer = 0,
    /// Accuses it.
    Challenger = 1,
}

/// How a dispute stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Not decided.
    Open = 0,
    /// The claim is false, or its defendant fell silent.
    Convicted = 1,
    /// The accusation failed.
    Acquitted = 2,
}

impl Outcome {
    /// The outcome of a number.
    pub const fn from_number(number: u32) -> Option<Outcome> {
        match number {
            0 => Some(Outcome::Open),
            1 => Some(Outcome::Convicted),
            2 => Some(Outcome::Acquitted),
            _ => None,
        }
    }
}

numbered! {
    /// What the dispute waits for, in the order of the game.
    Phase {
        /// The trainer reveals nodes of the accumulator.
        RevealLeaves = 0,
        /// The challenger picks the first one that is false.
        PickLeaf = 1,
        /// The trainer opens the leaf.
        OpenLeaf = 2,
        /// The trainer posts batch and end state of each step of the leaf.
        PostSteps = 3,
        /// The challenger picks the first false step.
        PickStep = 4,
        /// The trainer posts the top of the step's trace.
        PostTrace = 5,
        /// The challenger picks the first false node of the trace's tree.
        PickTrace = 6,
        /// The trainer reveals nodes of the trace's tree.
        RevealTrace = 7,
        /// The trainer reveals nodes of the state after the step.
        RevealState = 8,
        /// The challenger picks the first false one.
        PickState = 9,
        /// The trainer opens the entry of the state.
        OpenEntry = 10,
        /// The challenger opens the output in the trace that the entry should be.
        ProveOutput = 11,
        /// The trainer opens the graph's node and its output's root.
        OpenNode = 12,
        /// The challenger opens the state or table that the input should be.
        ProveInput = 13,
        /// The trainer reveals subtrees of the output.
        RevealTensor = 14,
        /// The challenger picks a false one.
        PickTensor = 15,
        /// The trainer posts a chunk of the output.
        PostChunk = 16,
        /// The challenger picks a false element.
        PickElement = 17,
        /// The challenger opens the token that the batch should hold.
        ProveToken = 18,
        /// The trainer posts the accumulator after each piece of the element's chain but the last.
        PostPartials = 19,
        /// The challenger picks the first false piece.
        PickPiece = 20,
        /// The trainer posts the piece's operand values.
        PostValues = 21,
        /// The challenger opens one of them that is false.
        ProveOperand = 22,
        /// Nothing: see the outcome.
        Over = 23,
        /// The challenger opens the leaf whose first step was attested.
        ShowLeaf = 24,
    }
}

impl Phase {
    /// Whose clock runs.
    pub const fn on_move(self) -> Side {
        match self {
            Phase::RevealLeaves
            | Phase::OpenLeaf
            | Phase::PostSteps
            | Phase::PostTrace
            | Phase::RevealTrace
            | Phase::RevealState
            | Phase::OpenEntry
            | Phase::OpenNode
            | Phase::RevealTensor
            | Phase::PostChunk
            | Phase::PostPartials
            | Phase::PostValues => Side::Trainer,
            _ => Side::Challenger,
        }
    }
}

numbered! {
    /// A move and the layout of its payload. Hashes take 32 bytes, numbers (u32) four, little-endian; a path is as many
    /// hashes as the place needs, from the leaf upward.
    MoveKind {
        /// Either side gives up. Empty.
        Concede = 0,
        /// Trainer: up to 64 nodes below the place, of the accumulator, a trace, a state, or up to 32 of a tensor.
        Reveal = 1,
        /// Trainer: start root, batches root, end root; unless it is the first leaf, the same of the leaf before, and that
        /// leaf's path.
        OpenLeaf = 2,
        /// Trainer: per step, batch root and end root.
        PostSteps = 3,
        /// Trainer: the nodes up to six levels below the root of the trace.
        PostTrace = 4,
        /// Trainer: root of the state entry.
        OpenEntry = 5,
        /// Trainer: root of the output, its path in the trace, path of the node in the graph, the node's canonical bytes.
        OpenNode = 6,
        /// Trainer: the chunk's bytes.
        PostChunk = 7,
        /// Trainer: one number per piece but the last.
        PostPartials = 8,
        /// Trainer: one number per slot of the piece.
        PostValues = 9,
        /// Challenger: which of what lies on the table (number). Convicts if it is padding of a tree and not zero, or an element of an
        /// f32 output and not finite.
        Pick = 10,
        /// Challenger, instead of a pick in the whole trace: the trace is right, but the state after the step is not its
        /// outputs. Empty.
        DisputeState = 11,
        /// Challenger: the node whose output the state entry is (number), its path in the outputs, root of its output, path of
        /// that in the trace. Convicts if the entry is another.
        ProveOutput = 12,
        /// Challenger: root of the state entry or table, its path. Convicts if it is not the input's.
        ProveInput = 13,
        /// Challenger: the chunk of the dataset, its path. Convicts if it holds another token.
        ProveToken = 14,
        /// Challenger: slot, chunks of the operand, bytes of the chunk (numbers), root of the operand, its path in the trace,
        /// the chunk, its path. Convicts if it holds another value.
        ProveOperand = 15,
        /// Challenger, first in the case of an attestation: start root, batches root, end root of the leaf, its path; if the leaf has
        /// several steps, the first step's batch root and its path in the leaf's batches.
        ShowLeaf = 16,
        /// Challenger, instead of [`MoveKind::ProveOperand`] at a gather: path of operand 1's node in the graph, its canonical bytes.
        /// Convicts if the posted index reads beyond that node's output.
        ProveBeyond = 17,
    }
}

#[cfg(test)]
mod tests;

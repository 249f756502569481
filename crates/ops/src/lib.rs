//! The operator set: what one output element of an operator is.
//!
//! Every operator has one shape. Its *labels* are loop indices: the output labels, in the row-major
//! order of the output, then the reduction labels, the last one running fastest. Every operand is
//! read at an affine function of the labels (offset and one stride per label), so transposition,
//! broadcasting, slicing and head splitting are strides and never copies. An output element is a
//! chain: an accumulator that starts at an initial value and takes the terms of the reduction labels in
//! ascending order. Operators differ only in what a term does ([`Kind`]).
//!
//! Fast kernels must equal these chains bit for bit, and the referee on chain runs [`Node::piece`] on
//! integers, at most [`PIECE_TERMS`] terms at a time. A tensor's bytes are its elements, row-major,
//! four little-endian bytes each.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

mod math;
mod node;
mod program;
#[cfg(any(test, feature = "std"))]
mod spec;
#[cfg(test)]
mod tests;

pub use math::{exp, log};
pub use node::{Kind, MalformedNode, Node, Slot, Source, dot_i8};
pub use program::{Instruction, MAX_PROGRAM, Opcode};
#[cfg(any(test, feature = "std"))]
pub use spec::{InvalidNode, NodeSpec, Operand, Type, evaluate, evaluate_element};

/// Most output labels of a node.
pub const MAX_OUT_LABELS: usize = 5;
/// Most reduction labels of a node.
pub const MAX_REDUCE_LABELS: usize = 2;
/// Most labels of a node.
pub const MAX_LABELS: usize = MAX_OUT_LABELS + MAX_REDUCE_LABELS;
/// Most operands of a node.
pub const MAX_OPERANDS: usize = 8;
/// Terms that the referee re-runs at once.
pub const PIECE_TERMS: u32 = 256;
/// Most elements of a node's output.
pub const MAX_ELEMENTS: u32 = 1 << 31;
/// Most terms of one chain: 256 pieces, whose partial sums fit one upload.
pub const MAX_TERMS: u32 = 1 << 16;

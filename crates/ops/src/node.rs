//! A node of a graph in its canonical bytes, read in place.
//!
//! ```text
//! 0   kind u8 · dtype u8 (0 = f32, 1 = u32) · out labels u8 · reduce labels u8
//! 4   operands u8 · constraint small u8 · constraint large u8 (255, 255 = none) · program length u8
//! 8   flags u8 (bit 0: the chain starts from operand 2) · source u8 · zero u16 · source index u32
//! 16  sizes: u32 per label
//!     operands: node u32 · offset i32 · index stride i32 · strides i32 per label
//!     program: opcode u8 · a u8 · b u8 · c u8 · immediate u32, per instruction
//! ```
//! All integers are little-endian. `Kind::Input` has no operands; its sizes are its shape.

use crate::{Instruction, PIECE_TERMS, program};
use crate::{MAX_ELEMENTS, MAX_LABELS, MAX_OPERANDS, MAX_OUT_LABELS, MAX_PROGRAM, MAX_REDUCE_LABELS, MAX_TERMS};
use sip_arith::{Arith, NEGATIVE_INFINITY, max_total};

/// What a term of the chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A tensor from outside the graph, see [`Source`].
    Input = 0,
    /// accumulator ← fma(operand 0, operand 1, accumulator); starts at +0, or at operand 2 if flagged.
    Contract = 1,
    /// accumulator ← accumulator + operand 0; starts at +0.
    ReduceAdd = 2,
    /// accumulator ← the greater of accumulator and operand 0; starts at −∞.
    ReduceMax = 3,
    /// The node's program over the operands; no reduction labels.
    Map = 4,
    /// operand 1 at its address plus index stride times operand 0 (u32); no reduction labels.
    Gather = 5,
    /// If operand 0 (u32) equals the coordinate of output label 0, accumulator ← accumulator + operand 1;
    /// starts at +0. The chain runs over all sources, so nothing can be left out unnoticed.
    ScatterAdd = 6,
    /// accumulator ← accumulator + the dot product of the four signed bytes of operand 0 and of operand 1 (u32 words, lowest byte
    /// first), mod 2³²: an i32 in the bits of a u32. Starts at 0, or at operand 2 (u32) if flagged.
    ContractI8 = 7,
}

/// Where an input's tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Entry of the state before the step.
    State(u32),
    /// The batch of the step: token ids, u32 [batch, sequence + 1].
    Batch,
    /// The number of the step within the job, u32 [1].
    Step,
    /// Entry of the job's committed tables.
    Table(u32),
    /// The round's steered settings, u32 [4], multiples of 2⁻¹⁶.
    Setting,
}

/// Bytes that are no node; the text says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedNode(pub &'static str);

impl core::fmt::Display for MalformedNode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for MalformedNode {}

/// Which operand a posted value belongs to, and at which term of the chain it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Operand number.
    pub operand: u32,
    /// Term of the chain.
    pub term: u32,
}

const HEADER: usize = 16;

/// The dot product of four signed bytes each, as the bits of an i32.
#[inline(always)]
pub fn dot_i8(a: u32, b: u32) -> u32 {
    let mut sum = 0u32;
    for (a, b) in a.to_le_bytes().into_iter().zip(b.to_le_bytes()) {
        sum = sum.wrapping_add((a as i8 as i32).wrapping_mul(b as i8 as i32) as u32);
    }
    sum
}

/// A node read in place from its canonical bytes.
///
/// Nothing here panics, whatever the bytes and the arguments: a label, operand, instruction or piece that the node does
/// not have reads as 0.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    bytes: &'a [u8],
}

impl<'a> Node<'a> {
    /// Checks lengths and ranges, so that the bytes are the only ones for this node and every element of it can be
    /// computed; types and addresses are the graph builder's to check.
    pub fn parse(bytes: &'a [u8]) -> Result<Node<'a>, MalformedNode> {
        if bytes.len() < HEADER {
            return Err(MalformedNode("node is shorter than its header"));
        }
        let (out, reduce, operands) = (bytes[2] as usize, bytes[3] as usize, bytes[4] as usize);
        if bytes[0] > Kind::ContractI8 as u8 || bytes[1] > 1 || bytes[9] > 4 {
            return Err(MalformedNode("node has an unknown kind, type or source"));
        }
        if out > MAX_OUT_LABELS || reduce > MAX_REDUCE_LABELS || operands > MAX_OPERANDS {
            return Err(MalformedNode("node has too many labels or operands"));
        }
        let node = Node { bytes };
        if bytes[7] as usize > MAX_PROGRAM || bytes.len() != node.instruction_at(bytes[7] as usize) {
            return Err(MalformedNode("node has the wrong length"));
        }
        node.parse_header()?;
        let too_large = MalformedNode("node has a label of size 0, too many elements or too long a chain");
        let (mut len, mut terms) = (1u64, 1u64);
        for label in 0..node.labels() {
            // Both factors are below 2³², so that the product cannot wrap.
            let (product, limit) = if label < out { (&mut len, MAX_ELEMENTS) } else { (&mut terms, MAX_TERMS) };
            *product = product.wrapping_mul(node.size(label) as u64);
            if *product == 0 || *product > limit as u64 {
                return Err(too_large);
            }
        }
        Ok(node)
    }

    /// The part of [`Node::parse`] that compares header fields with each other.
    fn parse_header(&self) -> Result<(), MalformedNode> {
        let (bytes, kind, labels) = (self.bytes, self.kind(), self.labels());
        let (out, reduce, operands) = (self.out_labels(), bytes[3], self.operands());
        let needed = match kind {
            Kind::Input => 0,
            Kind::Contract | Kind::ContractI8 => 2 + self.starts_from_operand() as usize,
            Kind::ReduceAdd | Kind::ReduceMax => 1,
            Kind::Map => operands,
            Kind::Gather | Kind::ScatterAdd => 2,
        };
        if operands != needed || (kind == Kind::Map) != (bytes[7] > 0) {
            return Err(MalformedNode("node has the wrong number of operands or a stray program"));
        }
        let is_chain = !matches!(kind, Kind::Input | Kind::Map | Kind::Gather);
        if reduce > 0 && !is_chain {
            return Err(MalformedNode("node reduces though its kind does not"));
        }
        if bytes[5] != 255 || bytes[6] != 255 {
            if bytes[5] as usize >= labels || bytes[6] as usize >= labels {
                return Err(MalformedNode("node constrains a label it does not have"));
            }
            if !is_chain {
                return Err(MalformedNode("node constrains labels though its kind has no chain"));
            }
        }
        if kind == Kind::ScatterAdd && out == 0 {
            return Err(MalformedNode("node scatters without an output label"));
        }
        let may_start = matches!(kind, Kind::Contract | Kind::ContractI8) as u8;
        let (source, index) = (bytes[9], self.word(12));
        let has_index = kind == Kind::Input && (source == 0 || source == 3);
        if bytes[8] > may_start || bytes[10] | bytes[11] != 0 {
            return Err(MalformedNode("node has stray flags"));
        }
        if (source != 0 && kind != Kind::Input) || (index != 0 && !has_index) {
            return Err(MalformedNode("node has a stray source"));
        }
        Ok(())
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline(always)]
    fn word(&self, at: usize) -> u32 {
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(&word) => u32::from_le_bytes(word),
            None => 0,
        }
    }

    /// What a term does.
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.bytes[0] {
            0 => Kind::Input,
            1 => Kind::Contract,
            2 => Kind::ReduceAdd,
            3 => Kind::ReduceMax,
            4 => Kind::Map,
            5 => Kind::Gather,
            6 => Kind::ScatterAdd,
            _ => Kind::ContractI8,
        }
    }

    /// Whether the output is u32 (otherwise f32).
    #[inline]
    pub fn is_u32(&self) -> bool {
        self.bytes[1] == 1
    }

    /// Number of output labels.
    #[inline]
    pub fn out_labels(&self) -> usize {
        self.bytes[2] as usize
    }

    /// Number of labels.
    #[inline]
    pub fn labels(&self) -> usize {
        self.bytes[2] as usize + self.bytes[3] as usize
    }

    /// Number of operands.
    #[inline]
    pub fn operands(&self) -> usize {
        self.bytes[4] as usize
    }

    /// (small, large): only terms whose coordinates fulfil small ≤ large take part in a chain.
    #[inline]
    pub fn constraint(&self) -> Option<(usize, usize)> {
        if self.bytes[5] == 255 { None } else { Some((self.bytes[5] as usize, self.bytes[6] as usize)) }
    }

    /// Whether the chain starts from operand 2 instead of +0.
    #[inline]
    pub fn starts_from_operand(&self) -> bool {
        self.bytes[8] & 1 == 1
    }

    /// Where an input comes from.
    pub fn source(&self) -> Source {
        match self.bytes[9] {
            0 => Source::State(self.word(12)),
            1 => Source::Batch,
            2 => Source::Step,
            4 => Source::Setting,
            _ => Source::Table(self.word(12)),
        }
    }

    /// Size of a label.
    #[inline]
    pub fn size(&self, label: usize) -> u32 {
        if label < self.labels() { self.word(HEADER.wrapping_add(label << 2)) } else { 0 }
    }

    /// Number of elements of the output.
    pub fn len(&self) -> u64 {
        let mut len = 1u64;
        for label in 0..self.out_labels() {
            len = len.wrapping_mul(self.size(label) as u64);
        }
        len
    }

    /// Whether the output has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of terms of every chain, absent ones (see [`Node::constraint`]) included; 1 without reduction.
    pub fn terms(&self) -> u32 {
        let mut terms = 1u32;
        for label in self.out_labels()..self.labels() {
            terms = terms.wrapping_mul(self.size(label));
        }
        terms
    }

    /// Number of pieces of a chain.
    pub fn pieces(&self) -> u32 {
        self.terms().div_ceil(PIECE_TERMS)
    }

    /// Where a field of an operand stands; past the end for an operand that the node does not have.
    #[inline(always)]
    fn operand_at(&self, operand: usize, field: usize) -> usize {
        if operand >= self.operands() || field >= 12 + (self.labels() << 2) {
            return usize::MAX;
        }
        self.after_operands(operand).wrapping_add(field)
    }

    /// Where the operand after `operands` operands stands.
    #[inline(always)]
    fn after_operands(&self, operands: usize) -> usize {
        let labels = self.labels() << 2;
        HEADER.wrapping_add(labels).wrapping_add(operands.wrapping_mul(12 + labels))
    }

    /// Where an instruction stands.
    #[inline(always)]
    fn instruction_at(&self, index: usize) -> usize {
        self.after_operands(self.operands()).wrapping_add(index << 3)
    }

    /// The node that an operand reads.
    pub fn operand_node(&self, operand: usize) -> u32 {
        self.word(self.operand_at(operand, 0))
    }

    /// Offset of an operand's address, in elements.
    pub fn operand_offset(&self, operand: usize) -> i32 {
        self.word(self.operand_at(operand, 4)) as i32
    }

    /// What one unit of the index operand adds to an operand's address, in elements (`Kind::Gather`).
    pub fn operand_index_stride(&self, operand: usize) -> i32 {
        self.word(self.operand_at(operand, 8)) as i32
    }

    /// What one step along a label adds to an operand's address, in elements.
    #[inline]
    pub fn stride(&self, operand: usize, label: usize) -> i32 {
        if label < MAX_LABELS { self.word(self.operand_at(operand, 12 + (label << 2))) as i32 } else { 0 }
    }

    /// Instruction of the program.
    #[inline]
    pub fn instruction(&self, index: usize) -> Instruction {
        if index >= self.program_len() {
            return Instruction { opcode: 0, a: 0, b: 0, c: 0, immediate: 0 };
        }
        let at = self.instruction_at(index);
        let [opcode, a, b, c] = self.word(at).to_le_bytes();
        Instruction { opcode, a, b, c, immediate: self.word(at.wrapping_add(4)) }
    }

    /// Number of instructions of the program.
    #[inline]
    pub fn program_len(&self) -> usize {
        self.bytes[7] as usize
    }

    /// Coordinates of a term of an element: output labels, then reduction labels.
    pub fn coordinates(&self, element: u64, term: u32, out: &mut [u32; MAX_LABELS]) {
        let (out_labels, labels) = (self.out_labels(), self.labels());
        let mut rest = term as u64;
        for (label, coordinate) in out.iter_mut().enumerate().take(labels).rev() {
            if label.wrapping_add(1) == out_labels {
                rest = element;
            }
            // Never 0 in a parsed node.
            let size = self.size(label).max(1) as u64;
            *coordinate = (rest % size) as u32;
            rest /= size;
        }
    }

    /// Where an operand is read, in elements of its tensor. `index` is the value of operand 0 and counts
    /// for operand 1 of a `Kind::Gather` only.
    pub fn address(&self, operand: usize, coordinates: &[u32; MAX_LABELS], index: u32) -> u64 {
        let mut address = self.operand_offset(operand) as i64;
        for (label, &coordinate) in coordinates.iter().enumerate().take(self.labels()) {
            let step = (coordinate as i64).wrapping_mul(self.stride(operand, label) as i64);
            address = address.wrapping_add(step);
        }
        if operand == 1 && self.bytes[0] == Kind::Gather as u8 {
            let step = (index as i64).wrapping_mul(self.operand_index_stride(1) as i64);
            address = address.wrapping_add(step);
        }
        address as u64
    }

    /// Whether the term takes part in the chain.
    #[inline]
    pub fn is_present(&self, coordinates: &[u32; MAX_LABELS]) -> bool {
        match self.constraint() {
            Some((small, large)) => coordinates.get(small) <= coordinates.get(large),
            None => true,
        }
    }

    /// Operand values per term.
    pub fn values_per_term(&self) -> u32 {
        match self.kind() {
            Kind::Input => 0,
            Kind::ReduceAdd | Kind::ReduceMax => 1,
            Kind::Contract | Kind::Gather | Kind::ScatterAdd | Kind::ContractI8 => 2,
            Kind::Map => self.operands() as u32,
        }
    }

    /// Terms of a piece; 0 beyond the last.
    pub fn piece_terms(&self, piece: u32) -> u32 {
        let first = piece.saturating_mul(PIECE_TERMS);
        self.terms().saturating_sub(first).min(PIECE_TERMS)
    }

    /// Operand values that a piece needs: those of its terms in order, then operand 2 if the chain starts
    /// from it and this is the first piece.
    pub fn piece_slots(&self, piece: u32) -> u32 {
        let start = (piece == 0 && self.starts_from_operand()) as u32;
        self.piece_terms(piece).wrapping_mul(self.values_per_term()).wrapping_add(start)
    }

    /// What a slot of a piece holds. Numbers from [`Node::piece_slots`] on mean nothing.
    pub fn slot(&self, piece: u32, slot: u32) -> Slot {
        let per_term = self.values_per_term();
        let values = self.piece_terms(piece).wrapping_mul(per_term);
        if per_term == 0 || slot >= values {
            return Slot { operand: 2, term: 0 };
        }
        let term = piece.wrapping_mul(PIECE_TERMS).wrapping_add(slot / per_term);
        Slot { operand: slot % per_term, term }
    }

    /// The accumulator before the first term, for chains that do not start from an operand.
    pub fn initial(&self) -> u32 {
        if self.kind() == Kind::ReduceMax { NEGATIVE_INFINITY } else { 0 }
    }

    /// The accumulator after a piece: `start` is the accumulator before it (ignored by the first piece) and
    /// `value(slot)` the operand value of each of its [`Node::piece_slots`]. The values of absent terms are not read.
    pub fn piece<A: Arith>(&self, element: u64, piece: u32, start: u32, value: &dyn Fn(u32) -> u32) -> u32 {
        let kind = self.kind();
        let mut first = [0u32; MAX_LABELS];
        self.coordinates(element, piece.wrapping_mul(PIECE_TERMS), &mut first);
        let start = match piece {
            0 if self.starts_from_operand() => value(self.piece_terms(0).wrapping_mul(2)),
            0 => self.initial(),
            _ => start,
        };
        match kind {
            Kind::Input => 0,
            Kind::Map => program::run::<A>(self, &first, value),
            Kind::Gather => value(1),
            Kind::Contract => self.chain(piece, &first, start, |accumulator, term| {
                A::fma(value(term << 1), value(term << 1 | 1), accumulator)
            }),
            Kind::ReduceAdd => self.chain(piece, &first, start, |accumulator, term| A::add(accumulator, value(term))),
            Kind::ReduceMax => {
                self.chain(piece, &first, start, |accumulator, term| max_total(accumulator, value(term)))
            }
            Kind::ScatterAdd => self.chain(piece, &first, start, |accumulator, term| {
                let hits = value(term << 1) == first[0];
                if hits { A::add(accumulator, value(term << 1 | 1)) } else { accumulator }
            }),
            Kind::ContractI8 => self.chain(piece, &first, start, |accumulator, term| {
                accumulator.wrapping_add(dot_i8(value(term << 1), value(term << 1 | 1)))
            }),
        }
    }

    /// Takes the present terms of a piece, whose first term has the coordinates `first`, in ascending order.
    #[inline(always)]
    fn chain(&self, piece: u32, first: &[u32; MAX_LABELS], start: u32, take: impl Fn(u32, u32) -> u32) -> u32 {
        let terms = self.piece_terms(piece);
        let mut accumulator = start;
        let Some((small, large)) = self.constraint() else {
            for term in 0..terms {
                accumulator = take(accumulator, term);
            }
            return accumulator;
        };
        let mut coordinates = *first;
        // A carry out of the only reduction label ends the chain, so that what it does to the label before is not seen.
        let last = self.labels().wrapping_sub(1);
        let last_size = self.size(last);
        for term in 0..terms {
            if coordinates.get(small) <= coordinates.get(large) {
                accumulator = take(accumulator, term);
            }
            if let Some(coordinate) = coordinates.get_mut(last) {
                *coordinate = coordinate.wrapping_add(1);
                if *coordinate == last_size {
                    *coordinate = 0;
                    if let Some(coordinate) = coordinates.get_mut(last.wrapping_sub(1)) {
                        *coordinate = coordinate.wrapping_add(1);
                    }
                }
            }
        }
        accumulator
    }
}

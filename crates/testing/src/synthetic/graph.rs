//! The graph of the synthetic job: every kind of operator once.

use crate::nodes::{input, map, operand, operator};
use sip_ops::{Kind, NodeSpec, Opcode, Source, Type};

/// Rows of a batch.
pub const ROWS: u32 = 3;
/// Tokens of a row.
pub const ROW_TOKENS: u32 = 5;
/// Tokens of the vocabulary.
pub const VOCABULARY: u32 = 50;
/// Terms of the longest chain of one label.
pub(crate) const WIDTH: u32 = 600;
/// Outputs of the contraction.
pub(crate) const HIDDEN: u32 = 40;
/// Samples of a batch.
pub(crate) const SAMPLES: u32 = ROWS * (ROW_TOKENS - 1);

/// Node numbers of the graph.
pub mod node {
    /// State entry 0, f32 [hidden, width].
    pub const WEIGHTS: u32 = 0;
    /// State entry 1, f32 [hidden].
    pub const BIAS: u32 = 1;
    /// The batch.
    pub const BATCH: u32 = 2;
    /// The step's number.
    pub const STEP: u32 = 3;
    /// Table 0, f32 [vocabulary, width].
    pub const TABLE: u32 = 4;
    /// Gather from the table, f32 [samples, width].
    pub const GATHERED: u32 = 5;
    /// Contraction of 600 terms that starts from the bias, f32 [samples, hidden].
    pub const CONTRACTED: u32 = 6;
    /// Sum over samples, f32 [hidden].
    pub const SUM: u32 = 7;
    /// Greatest over hidden, f32 [samples].
    pub const MAX: u32 = 8;
    /// Pointwise program over weights, sum and step, f32 [hidden, width].
    pub const UPDATED: u32 = 9;
    /// Scatter over tokens, f32 [vocabulary, 2].
    pub const SCATTERED: u32 = 10;
    /// Causal contraction, f32 [samples].
    pub const CAUSAL: u32 = 11;
    /// Pointwise program with one operand that copies, f32 [hidden].
    pub const COPIED: u32 = 12;
    /// Bytes of the gathered rows, u32 [samples, width].
    pub const BYTES: u32 = 13;
    /// Contraction of 600 words of bytes, u32 [samples, samples].
    pub const CONTRACTED_BYTES: u32 = 14;
    /// The round's settings.
    pub const SETTINGS: u32 = 15;
}

/// Which node's output each state entry becomes.
pub(crate) const OUTPUTS: [u32; 5] = [node::UPDATED, node::COPIED, node::SCATTERED, node::MAX, node::CAUSAL];

/// The nodes, in order.
pub(crate) fn nodes() -> Vec<NodeSpec> {
    use Opcode::*;
    let (width, hidden, row) = (WIDTH as i32, HIDDEN as i32, ROW_TOKENS as i32);
    let mut gathered = operator(
        Kind::Gather,
        &[ROWS, ROW_TOKENS - 1, WIDTH],
        &[],
        vec![operand(node::BATCH, 0, &[row, 1, 0]), operand(node::TABLE, 0, &[0, 0, 1])],
    );
    gathered.operands[1].index_stride = width;
    let mut contracted = operator(
        Kind::Contract,
        &[SAMPLES, HIDDEN],
        &[WIDTH],
        vec![
            operand(node::GATHERED, 0, &[width, 0, 1]),
            operand(node::WEIGHTS, 0, &[0, width, 1]),
            operand(node::BIAS, 0, &[0, 1, 0]),
        ],
    );
    contracted.starts_from_operand = true;
    let updated = map(
        Type::F32,
        &[HIDDEN, WIDTH],
        vec![operand(node::WEIGHTS, 0, &[width, 1]), operand(node::SUM, 0, &[1, 0]), operand(node::STEP, 0, &[0, 0])],
        &[
            (FromU, 2, 0, 0, 0.0),
            (ConstF, 0, 0, 0, 1.0),
            (Add, 3, 4, 0, 0.0),
            (Div, 1, 5, 0, 0.0),
            (ConstF, 0, 0, 0, -0.001),
            (Fma, 6, 7, 0, 0.0),
        ],
    );
    let mut causal = operator(
        Kind::Contract,
        &[SAMPLES],
        &[SAMPLES],
        vec![operand(node::MAX, 0, &[0, 1]), operand(node::MAX, 0, &[0, 1])],
    );
    causal.constraint = Some((1, 0));
    let copied =
        map(Type::F32, &[HIDDEN], vec![operand(node::SUM, 0, &[1])], &[(ConstF, 0, 0, 0, 0.25), (Mul, 0, 1, 0, 0.0)]);
    let bytes = map(
        Type::U32,
        &[SAMPLES, WIDTH],
        vec![operand(node::GATHERED, 0, &[width, 1])],
        &[(ConstF, 0, 0, 0, 1e9), (Mul, 0, 1, 0, 0.0), (ToI, 2, 0, 0, 0.0), (FromI, 3, 0, 0, 0.0), (ToI, 4, 0, 0, 0.0)],
    );
    let mut contracted_bytes = operator(
        Kind::ContractI8,
        &[SAMPLES, SAMPLES],
        &[WIDTH],
        vec![operand(node::BYTES, 0, &[width, 0, 1]), operand(node::BYTES, 0, &[0, width, 1])],
    );
    contracted_bytes.dtype = Type::U32;
    vec![
        input(Source::State(0), Type::F32, &[HIDDEN, WIDTH]),
        input(Source::State(1), Type::F32, &[HIDDEN]),
        input(Source::Batch, Type::U32, &[ROWS, ROW_TOKENS]),
        input(Source::Step, Type::U32, &[1]),
        input(Source::Table(0), Type::F32, &[VOCABULARY, WIDTH]),
        gathered,
        contracted,
        operator(Kind::ReduceAdd, &[HIDDEN], &[SAMPLES], vec![operand(node::CONTRACTED, 0, &[1, hidden])]),
        operator(Kind::ReduceMax, &[SAMPLES], &[HIDDEN], vec![operand(node::CONTRACTED, 0, &[hidden, 1])]),
        updated,
        operator(
            Kind::ScatterAdd,
            &[VOCABULARY, 2],
            &[ROWS, ROW_TOKENS - 1],
            vec![
                operand(node::BATCH, 0, &[0, 0, row, 1]),
                operand(node::CONTRACTED, 0, &[0, 1, (row - 1) * hidden, hidden]),
            ],
        ),
        causal,
        copied,
        bytes,
        contracted_bytes,
        input(Source::Setting, Type::U32, &[4]),
    ]
}

//! A small job in which every kind of operator and every kind of input has its part in the state.

use sip_ops::{Kind, NodeSpec, Opcode, Source, Type};
use sip_testing::nodes::{input, map, operand, operator};

/// Rows of a batch.
pub(crate) const ROWS: u32 = 2;
/// Tokens of a row.
pub(crate) const ROW_TOKENS: u32 = 4;
/// Tokens of the vocabulary.
pub(crate) const VOCABULARY: u32 = 20;
/// Terms of the longest chain of one label: more than a piece.
pub(crate) const WIDTH: u32 = 300;
/// With [`WIDTH`], 20 chunks: more than one reveal shows.
pub(crate) const HIDDEN: u32 = 17;
const TIMES: u32 = ROW_TOKENS - 1;
const SAMPLES: u32 = ROWS * TIMES;

/// Which node's output each state entry becomes.
pub(crate) const OUTPUTS: [u32; 6] = [16, 17, 19, 21, 24, 27];

/// The node that reads the round's settings.
pub(crate) const SETTINGS: u32 = 26;

/// Elements of each state entry.
pub(crate) const STATE: [u32; 6] = [HIDDEN * WIDTH, HIDDEN, SAMPLES, VOCABULARY * 2, SAMPLES * SAMPLES, ROWS];

/// The nodes, in order.
pub(crate) fn nodes() -> Vec<NodeSpec> {
    use Opcode::*;
    let (width, hidden, row) = (WIDTH as i32, HIDDEN as i32, ROW_TOKENS as i32);
    let (samples, times) = (SAMPLES as i32, TIMES as i32);
    // 9 and 10: rows and numbers that the tokens of the batch select.
    let mut gathered = operator(
        Kind::Gather,
        &[ROWS, TIMES, WIDTH],
        &[],
        vec![operand(6, 0, &[row, 1, 0]), operand(8, 0, &[0, 0, 1])],
    );
    gathered.operands[1].index_stride = width;
    let mut routed =
        operator(Kind::Gather, &[ROWS, TIMES], &[], vec![operand(6, 0, &[row, 1]), operand(9, 0, &[0, 0])]);
    routed.operands[1].index_stride = 1;
    routed.dtype = Type::U32;
    let mut contracted = operator(
        Kind::Contract,
        &[SAMPLES, HIDDEN],
        &[WIDTH],
        vec![operand(10, 0, &[width, 0, 1]), operand(0, 0, &[0, width, 1]), operand(1, 0, &[0, 1, 0])],
    );
    contracted.starts_from_operand = true;
    let mut causal = operator(
        Kind::Contract,
        &[SAMPLES],
        &[SAMPLES],
        vec![operand(14, 0, &[0, 1]), operand(14, samples - 1, &[0, -1])],
    );
    causal.constraint = Some((1, 0));
    let mut dots = operator(
        Kind::ContractI8,
        &[SAMPLES, SAMPLES],
        &[WIDTH],
        vec![operand(22, 0, &[width, 0, 1]), operand(22, 0, &[0, width, 1]), operand(11, 0, &[1, 0, 0])],
    );
    dots.starts_from_operand = true;
    dots.dtype = Type::U32;
    vec![
        /* 0 */ input(Source::State(0), Type::F32, &[HIDDEN, WIDTH]),
        /* 1 */ input(Source::State(1), Type::F32, &[HIDDEN]),
        /* 2 */ input(Source::State(2), Type::F32, &[SAMPLES]),
        /* 3 */ input(Source::State(3), Type::F32, &[VOCABULARY, 2]),
        /* 4 */ input(Source::State(4), Type::F32, &[SAMPLES, SAMPLES]),
        /* 5 */ input(Source::State(5), Type::F32, &[ROWS]),
        /* 6 */ input(Source::Batch, Type::U32, &[ROWS, ROW_TOKENS]),
        /* 7 */ input(Source::Step, Type::U32, &[1]),
        /* 8 */ input(Source::Table(0), Type::F32, &[VOCABULARY, WIDTH]),
        /* 9 */ input(Source::Table(1), Type::U32, &[VOCABULARY]),
        /* 10 */ gathered,
        /* 11 */ routed,
        /* 12 */ contracted,
        /* 13 */ operator(Kind::ReduceAdd, &[HIDDEN], &[SAMPLES], vec![operand(12, 0, &[1, hidden])]),
        /* 14 */ operator(Kind::ReduceMax, &[SAMPLES], &[HIDDEN], vec![operand(12, 0, &[hidden, 1])]),
        // 15: a sum over two labels, 900 terms in four pieces.
        operator(
            Kind::Contract,
            &[ROWS],
            &[TIMES, WIDTH],
            vec![operand(10, 0, &[times * width, width, 1]), operand(10, 0, &[times * width, width, 1])],
        ),
        // 16: the weights, against the sum, less from step to step.
        map(
            Type::F32,
            &[HIDDEN, WIDTH],
            vec![operand(0, 0, &[width, 1]), operand(13, 0, &[1, 0]), operand(7, 0, &[0, 0])],
            &[
                (FromU, 2, 0, 0, 0.0),
                (ConstF, 0, 0, 0, 1.0),
                (Add, 3, 4, 0, 0.0),
                (Div, 1, 5, 0, 0.0),
                (ConstF, 0, 0, 0, -0.001),
                (Fma, 6, 7, 0, 0.0),
            ],
        ),
        // 17: ln(1 + e^−|sum|) − √|bias|, or the bias where the sum is negative.
        map(
            Type::F32,
            &[HIDDEN],
            vec![operand(13, 0, &[1]), operand(1, 0, &[1])],
            &[
                (Abs, 0, 0, 0, 0.0),
                (Neg, 2, 0, 0, 0.0),
                (Exp, 3, 0, 0, 0.0),
                (ConstF, 0, 0, 0, 1.0),
                (Add, 4, 5, 0, 0.0),
                (Log, 6, 0, 0, 0.0),
                (Abs, 1, 0, 0, 0.0),
                (Sqrt, 8, 0, 0, 0.0),
                (Sub, 7, 9, 0, 0.0),
                (ConstF, 0, 0, 0, 0.0),
                (LessF, 0, 11, 0, 0.0),
                (Select, 12, 1, 10, 0.0),
            ],
        ),
        /* 18 */ causal,
        // 19: part of what was, part of what is new.
        map(
            Type::F32,
            &[SAMPLES],
            vec![operand(2, 0, &[1]), operand(18, 0, &[1])],
            &[(ConstF, 0, 0, 0, 0.5), (Mul, 0, 2, 0, 0.0), (ConstF, 0, 0, 0, 0.01), (Fma, 1, 4, 3, 0.0)],
        ),
        // 20: rows that the routes of the tokens name.
        operator(
            Kind::ScatterAdd,
            &[VOCABULARY, 2],
            &[ROWS, TIMES],
            vec![operand(11, 0, &[0, 0, times, 1]), operand(12, 0, &[0, 1, times * hidden, hidden])],
        ),
        map(
            Type::F32,
            &[VOCABULARY, 2],
            vec![operand(3, 0, &[2, 1]), operand(20, 0, &[2, 1])],
            &[(ConstF, 0, 0, 0, 0.5), (Fma, 0, 2, 1, 0.0)],
        ),
        // 22: the gathered rows as words of four bytes.
        map(
            Type::U32,
            &[SAMPLES, WIDTH],
            vec![operand(10, 0, &[width, 1])],
            &[(ConstF, 0, 0, 0, 1e9), (Mul, 0, 1, 0, 0.0), (ToI, 2, 0, 0, 0.0)],
        ),
        /* 23 */ dots,
        map(
            Type::F32,
            &[SAMPLES, SAMPLES],
            vec![operand(4, 0, &[samples, 1]), operand(23, 0, &[samples, 1])],
            &[
                (FromI, 1, 0, 0, 0.0),
                (ConstF, 0, 0, 0, 1e-6),
                (Mul, 2, 3, 0, 0.0),
                (ConstF, 0, 0, 0, 0.5),
                (Fma, 0, 5, 4, 0.0),
            ],
        ),
        map(
            Type::F32,
            &[ROWS],
            vec![operand(5, 0, &[1]), operand(15, 0, &[1])],
            &[(ConstF, 0, 0, 0, 0.5), (Fma, 0, 2, 1, 0.0)],
        ),
        /* 26 */ input(Source::Setting, Type::U32, &[4]),
        // 27: to each row two of the settings are added.
        map(
            Type::F32,
            &[ROWS],
            vec![operand(25, 0, &[1]), operand(26, 0, &[1]), operand(26, 2, &[1])],
            &[
                (FromU, 1, 0, 0, 0.0),
                (FromU, 2, 0, 0, 0.0),
                (Add, 3, 4, 0, 0.0),
                (ConstF, 0, 0, 0, 1.0 / 65_536.0),
                (Fma, 5, 6, 0, 0.0),
            ],
        ),
    ]
}

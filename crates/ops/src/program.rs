//! The pointwise programs of `Kind::Map`.
//!
//! A program is in single-assignment form. Values are numbered: first the operands, then the result of
//! each instruction. The last result is the output element. Values are f32 or u32; an instruction takes and
//! gives fixed types, and integer operations never see the bits of an f32.

use crate::{MAX_LABELS, MAX_OPERANDS, Node, math};
use sip_arith::{Arith, less_than, nearest_integer};

/// Most instructions of a program.
pub const MAX_PROGRAM: usize = 64;

/// An instruction: `a`, `b`, `c` are value numbers unless the opcode says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// An [`Opcode`].
    pub opcode: u8,
    /// First argument.
    pub a: u8,
    /// Second argument.
    pub b: u8,
    /// Third argument.
    pub c: u8,
    /// Constant of [`Opcode::ConstF`] and [`Opcode::ConstU`].
    pub immediate: u32,
}

/// What an instruction does. `f` is f32, `u` is u32; a comparison gives u32 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The immediate as f32 bits.
    ConstF = 0,
    /// The immediate as u32.
    ConstU = 1,
    /// The coordinate of output label `a`, as u32.
    Coordinate = 2,
    /// f ← f + f
    Add = 3,
    /// f ← f − f
    Sub = 4,
    /// f ← f · f
    Mul = 5,
    /// f ← f / f
    Div = 6,
    /// f ← a · b + c, rounded once
    Fma = 7,
    /// f ← √f
    Sqrt = 8,
    /// f ← −f
    Neg = 9,
    /// f ← |f|
    Abs = 10,
    /// f ← [`crate::exp`]
    Exp = 11,
    /// f ← [`crate::log`]
    Log = 12,
    /// f ← nearest f32 of u
    FromU = 13,
    /// u ← a < b over f32 (false for NaN)
    LessF = 14,
    /// u ← a < b over u32
    LessU = 15,
    /// u ← a = b over u32
    EqualU = 16,
    /// b if a (u32) is not 0, else c; b and c of one type
    Select = 17,
    /// u ← a + b mod 2³²
    AddU = 18,
    /// u ← a − b mod 2³²
    SubU = 19,
    /// u ← a · b mod 2³²
    MulU = 20,
    /// u ← a and b, bitwise
    And = 21,
    /// u ← a or b, bitwise
    Or = 22,
    /// u ← a xor b, bitwise
    Xor = 23,
    /// u ← a shifted left by b mod 32
    Shl = 24,
    /// u ← a shifted right by b mod 32
    Shr = 25,
    /// f ← nearest f32 of u taken as i32
    FromI = 26,
    /// u ← the bits of the i32 nearest to f, ties to even, see [`sip_arith::nearest_integer`]
    ToI = 27,
}

impl Opcode {
    /// All opcodes, by number.
    pub const ALL: [Opcode; 28] = [
        Opcode::ConstF,
        Opcode::ConstU,
        Opcode::Coordinate,
        Opcode::Add,
        Opcode::Sub,
        Opcode::Mul,
        Opcode::Div,
        Opcode::Fma,
        Opcode::Sqrt,
        Opcode::Neg,
        Opcode::Abs,
        Opcode::Exp,
        Opcode::Log,
        Opcode::FromU,
        Opcode::LessF,
        Opcode::LessU,
        Opcode::EqualU,
        Opcode::Select,
        Opcode::AddU,
        Opcode::SubU,
        Opcode::MulU,
        Opcode::And,
        Opcode::Or,
        Opcode::Xor,
        Opcode::Shl,
        Opcode::Shr,
        Opcode::FromI,
        Opcode::ToI,
    ];
}

/// Runs a node's program for one element; a malformed program yields 0, never a panic.
pub(crate) fn run<A: Arith>(node: &Node<'_>, coordinates: &[u32; MAX_LABELS], operand: &dyn Fn(u32) -> u32) -> u32 {
    let mut values = [0u32; MAX_OPERANDS + MAX_PROGRAM];
    let operands = node.operands();
    for (index, value) in values.iter_mut().enumerate().take(operands) {
        *value = operand(index as u32);
    }
    let mut last = 0;
    for index in 0..node.program_len() {
        let instruction = node.instruction(index);
        last = step::<A>(&instruction, &values, coordinates);
        values[operands + index] = last;
    }
    last
}

#[inline(never)]
fn step<A: Arith>(i: &Instruction, values: &[u32; MAX_OPERANDS + MAX_PROGRAM], coordinates: &[u32; MAX_LABELS]) -> u32 {
    let get = |number: u8| values.get(number as usize).copied().unwrap_or(0);
    let (a, b, c) = (get(i.a), get(i.b), get(i.c));
    match i.opcode {
        0 | 1 => i.immediate,
        2 => coordinates.get(i.a as usize).copied().unwrap_or(0),
        3 => A::add(a, b),
        4 => A::sub(a, b),
        5 => A::mul(a, b),
        6 => A::div(a, b),
        7 => A::fma(a, b, c),
        8 => A::sqrt(a),
        9 => a ^ 0x8000_0000,
        10 => a & 0x7FFF_FFFF,
        11 => math::exp::<A>(a),
        12 => math::log::<A>(a),
        13 => A::from_u32(a),
        14 => less_than(a, b) as u32,
        15 => (a < b) as u32,
        16 => (a == b) as u32,
        17 => {
            if a != 0 {
                b
            } else {
                c
            }
        }
        18 => a.wrapping_add(b),
        19 => a.wrapping_sub(b),
        20 => a.wrapping_mul(b),
        21 => a & b,
        22 => a | b,
        23 => a ^ b,
        24 => a.wrapping_shl(b),
        25 => a.wrapping_shr(b),
        26 => {
            let sign = a & 0x8000_0000;
            A::from_u32(if sign != 0 { a.wrapping_neg() } else { a }) | sign
        }
        27 => nearest_integer(a),
        _ => 0,
    }
}

//! Nodes of a graph in few words.

use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};

/// An input.
pub fn input(source: Source, dtype: Type, out_sizes: &[u32]) -> NodeSpec {
    NodeSpec {
        kind: Kind::Input,
        dtype,
        out_sizes: out_sizes.to_vec(),
        reduce_sizes: vec![],
        operands: vec![],
        constraint: None,
        starts_from_operand: false,
        source,
        program: vec![],
    }
}

/// How an operator reads a node: where it starts, and how far it goes for each label.
pub fn operand(node: u32, offset: i32, strides: &[i32]) -> Operand {
    Operand { node, offset, index_stride: 0, strides: strides.to_vec() }
}

/// An f32 operator without a program.
pub fn operator(kind: Kind, out_sizes: &[u32], reduce_sizes: &[u32], operands: Vec<Operand>) -> NodeSpec {
    let reduce_sizes = reduce_sizes.to_vec();
    NodeSpec { kind, reduce_sizes, operands, ..input(Source::State(0), Type::F32, out_sizes) }
}

/// A pointwise program: opcode, three registers, immediate.
pub fn map(dtype: Type, out_sizes: &[u32], operands: Vec<Operand>, program: &[(Opcode, u8, u8, u8, f32)]) -> NodeSpec {
    let program = program.iter().map(|&(opcode, a, b, c, immediate)| Instruction {
        opcode: opcode as u8,
        a,
        b,
        c,
        immediate: immediate.to_bits(),
    });
    NodeSpec { dtype, program: program.collect(), ..operator(Kind::Map, out_sizes, &[], operands) }
}

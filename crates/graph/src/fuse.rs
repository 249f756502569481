//! Passes over a finished list of nodes: pointwise programs join their only reader, and what nothing needs goes.

use crate::affine::{Digit, Digits, compose, digits, shorten, split_label};
use crate::program::{Program, Value};
use sip_ops::{Kind, MAX_OPERANDS, MAX_OUT_LABELS, MAX_PROGRAM, NodeSpec, Opcode, Operand, Type};

/// Joins every map into its reader where that reader is a map, the only one, and reads each element once: the
/// intermediate tensor is never written. Constants join every reader.
pub(crate) fn fuse_maps(nodes: &mut [NodeSpec], outputs: &[u32]) {
    let mut readers: Vec<Vec<u32>> = vec![Vec::new(); nodes.len()];
    for (number, spec) in nodes.iter().enumerate() {
        for operand in &spec.operands {
            readers[operand.node as usize].push(number as u32);
        }
    }
    // Ascending, so that a producer has already absorbed its own producers.
    for consumer in 0..nodes.len() {
        let mut operand = 0;
        while nodes[consumer].kind == Kind::Map && operand < nodes[consumer].operands.len() {
            let producer = nodes[consumer].operands[operand].node as usize;
            let is_constant = is_constant(&nodes[producer]);
            let alone = readers[producer].len() == 1 && !outputs.contains(&(producer as u32));
            if nodes[producer].kind != Kind::Map || !(alone || is_constant) {
                operand += 1;
                continue;
            }
            // Across a transposition every operand would be read against its grain; one copy costs less.
            let along = nodes[consumer].operands[operand].strides.last().is_none_or(|stride| stride.abs() <= 1);
            let whole = along && nodes[producer].len() == nodes[consumer].len();
            let types: Vec<Type> = nodes.iter().map(|n| n.dtype).collect();
            let fused =
                (whole || is_constant).then(|| fuse(&nodes[consumer], operand, &nodes[producer], &types)).flatten();
            let Some(fused) = fused else {
                operand += 1;
                continue;
            };
            for list in [&nodes[producer], &nodes[consumer]] {
                for read in &list.operands {
                    readers[read.node as usize].retain(|&reader| reader != consumer as u32);
                }
            }
            if alone {
                for read in &nodes[producer].operands {
                    readers[read.node as usize].retain(|&reader| reader != producer as u32);
                }
            }
            for read in &fused.operands {
                readers[read.node as usize].push(consumer as u32);
            }
            nodes[consumer] = fused;
            operand = 0;
        }
    }
}

fn is_constant(spec: &NodeSpec) -> bool {
    spec.kind == Kind::Map && spec.operands.is_empty() && spec.program.iter().all(|i| i.opcode <= Opcode::ConstU as u8)
}

/// `consumer` with operand `number` replaced by the program of `producer`; `None` where that cannot be written as one map.
fn fuse(consumer: &NodeSpec, number: usize, producer: &NodeSpec, types: &[Type]) -> Option<NodeSpec> {
    let mut outer = consumer.clone();
    let inner_digits = loop {
        let read = &outer.operands[number];
        match digits(&outer.out_sizes, read.offset, &read.strides, &producer.out_sizes) {
            Digits::Affine(found) => break found,
            Digits::Split { label, inner } if outer.out_sizes.len() < MAX_OUT_LABELS => {
                split_label(&mut outer, label, inner)?;
            }
            _ => return None,
        }
    };
    let labels = outer.out_sizes.len();
    let mut operands: Vec<Operand> = Vec::new();
    let mut place = |operand: Operand| match operands.iter().position(|known| *known == operand) {
        Some(known) => known,
        None => {
            operands.push(operand);
            operands.len() - 1
        }
    };
    // The producer's operands take the place of the one that goes.
    let mut outer_places = Vec::new();
    let mut inner_places = Vec::new();
    for (position, operand) in outer.operands.iter().enumerate() {
        if position != number {
            outer_places.push(place(operand.clone()));
            continue;
        }
        for read in &producer.operands {
            let (offset, strides) = compose(&inner_digits, read.offset, &read.strides, labels);
            inner_places.push(place(Operand { node: read.node, offset, index_stride: 0, strides }));
        }
        outer_places.push(usize::MAX);
    }
    if operands.len() > MAX_OPERANDS {
        return None;
    }
    let operand_types: Vec<Type> = operands.iter().map(|o| types[o.node as usize]).collect();
    let mut program = Program::new(&[], &operand_types);
    let inner_operands: Vec<Value> = inner_places.iter().map(|&p| program.operand(p)).collect();
    let mut coordinate = |p: &mut Program, label: u8| affine_coordinate(p, inner_digits.get(label as usize));
    let joined = *program.replay(&producer.program, &inner_operands, &mut coordinate).last()?;
    let outer_operands: Vec<Value> =
        outer_places.iter().map(|&p| if p == usize::MAX { joined } else { program.operand(p) }).collect();
    let mut coordinate = |p: &mut Program, label: u8| p.coordinate_of(label as usize);
    let result = *program.replay(&outer.program, &outer_operands, &mut coordinate).last()?;
    let (used, instructions) = program.finish(result);
    if instructions.len() > MAX_PROGRAM {
        return None;
    }
    outer.operands = used.iter().map(|&o| operands[o].clone()).collect();
    outer.program = instructions;
    shorten(&mut outer);
    Some(outer)
}

/// A coordinate of the producer in those of the consumer.
fn affine_coordinate(program: &mut Program, digit: Option<&Digit>) -> Value {
    let Some(digit) = digit else { return program.coordinate_of(u8::MAX as usize) };
    let mut sum = (digit.constant != 0).then(|| program.constant_u(digit.constant as u32));
    for (label, &coefficient) in digit.coefficients.iter().enumerate().filter(|(_, c)| **c != 0) {
        let mut term = program.coordinate_of(label);
        if coefficient != 1 {
            let factor = program.constant_u(coefficient as u32);
            term = program.mul_u(term, factor);
        }
        sum = Some(match sum {
            Some(sum) => program.add_u(sum, term),
            None => term,
        });
    }
    sum.unwrap_or_else(|| program.constant_u(0))
}

/// Removes nodes that no output needs and renumbers the rest; `outputs` follow.
pub(crate) fn drop_unneeded(nodes: &mut Vec<NodeSpec>, outputs: &mut [u32]) {
    let mut needed = vec![false; nodes.len()];
    outputs.iter().for_each(|&node| needed[node as usize] = true);
    for number in (0..nodes.len()).rev() {
        if needed[number] {
            nodes[number].operands.iter().for_each(|o| needed[o.node as usize] = true);
        }
    }
    let mut renumbered = vec![0u32; nodes.len()];
    let mut next = 0;
    for (number, &needed) in needed.iter().enumerate() {
        renumbered[number] = next;
        next += needed as u32;
    }
    let mut keep = needed.iter();
    nodes.retain(|_| keep.next().copied().unwrap_or(false));
    for operand in nodes.iter_mut().flat_map(|spec| &mut spec.operands) {
        operand.node = renumbered[operand.node as usize];
    }
    outputs.iter_mut().for_each(|node| *node = renumbered[*node as usize]);
}

//! Canonical bytes of nodes, and outputs of every kind.

use super::arithmetic::SPECIAL;
use super::{Random, hex};
use serde_json::{Map, Value, json};
use sip_arith::{Native, Soft};
use sip_ops::{Instruction, Kind, MAX_LABELS, Node, NodeSpec, Opcode, Operand, Source, Type, evaluate};
use sip_proof::tensor_bytes;

fn node(kind: Kind, out_sizes: Vec<u32>, reduce_sizes: Vec<u32>) -> NodeSpec {
    NodeSpec {
        kind,
        dtype: if kind == Kind::ContractI8 { Type::U32 } else { Type::F32 },
        out_sizes,
        reduce_sizes,
        operands: vec![],
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: vec![],
    }
}

/// Adds an operand that is read somehow, forward and backward, again and again or not at all; returns its length.
fn read(random: &mut Random, spec: &mut NodeSpec) -> usize {
    let sizes: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
    let mut step = 1i32;
    let strides: Vec<i32> = sizes
        .iter()
        .rev()
        .map(|&size| {
            let stride = match random.below(5) {
                0 => 0,
                1 => -step,
                2 => 1,
                _ => step,
            };
            step = (step * size as i32).min(if sizes.iter().product::<u32>() > 400 { step } else { 40 });
            stride
        })
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let span = |negative: bool| -> i32 {
        let ends = strides.iter().zip(&sizes).map(|(stride, size)| stride * (*size as i32 - 1));
        ends.filter(|end| (*end < 0) == negative).sum()
    };
    let offset = -span(true) + random.below(3) as i32;
    let len = (offset + span(false)) as usize + 1;
    spec.operands.push(Operand { node: random.below(3), offset, index_stride: 0, strides });
    len
}

fn floats(random: &mut Random, len: usize) -> Vec<u32> {
    (0..len).map(|_| random.float()).collect()
}

/// Sizes of up to so many labels.
fn sizes(random: &mut Random, labels: u32, most: u32) -> Vec<u32> {
    (0..random.below(labels + 1)).map(|_| 1 + random.below(most)).collect()
}

/// A node with tensors that it reads.
struct Case {
    spec: NodeSpec,
    operands: Vec<Vec<u32>>,
}

impl Case {
    /// The node, its operands, its output, and the accumulators between the pieces of the last element's chain.
    fn vector(&self) -> Value {
        let bytes = self.spec.encode();
        let node = Node::parse(&bytes).expect("a well-formed node");
        let operands: Vec<&[u32]> = self.operands.iter().map(Vec::as_slice).collect();
        let output = evaluate::<Native>(&node, &operands);
        assert_eq!(output, evaluate::<Soft>(&node, &operands));
        let mut vector = json!({
            "node": hex(&bytes),
            "operands": self.operands.iter().map(|operand| hex(&tensor_bytes(operand))).collect::<Vec<_>>(),
            "output": output.as_ref().map(|output| hex(&tensor_bytes(output))),
        });
        if node.pieces() > 1 {
            vector["partials"] = partials(&node, &operands).into();
        }
        vector
    }
}

/// The accumulator after each piece of the last element's chain.
fn partials(node: &Node<'_>, operands: &[&[u32]]) -> Vec<u32> {
    let element = node.len() - 1;
    let mut accumulator = 0;
    (0..node.pieces())
        .map(|piece| {
            let value = |slot| {
                let place = node.slot(piece, slot);
                let mut coordinates = [0; MAX_LABELS];
                node.coordinates(element, place.term, &mut coordinates);
                operands[place.operand as usize][node.address(place.operand as usize, &coordinates, 0) as usize]
            };
            accumulator = node.piece::<Soft>(element, piece, accumulator, &value);
            accumulator
        })
        .collect()
}

/// A chain: contract, contract i8, reduce add, reduce max, scatter add. Some chains have several pieces, some terms are absent.
fn chain(random: &mut Random, kind: Kind, number: u32) -> Case {
    let mut out_sizes = sizes(random, 3, 3);
    let mut reduce_sizes = sizes(random, 2, 5);
    if number.is_multiple_of(29) {
        out_sizes.truncate(1);
        reduce_sizes = if number.is_multiple_of(2) { vec![257 + random.below(100)] } else { vec![3, 90] };
    }
    if kind == Kind::ScatterAdd && out_sizes.is_empty() {
        out_sizes.push(1 + random.below(4));
    }
    let rows = out_sizes.first().copied().unwrap_or(1);
    let mut spec = node(kind, out_sizes, reduce_sizes);
    let labels = (spec.out_sizes.len() + spec.reduce_sizes.len()) as u32;
    if labels > 1 && random.below(3) == 0 {
        spec.constraint = Some((random.below(labels) as u8, random.below(labels) as u8));
    }
    spec.starts_from_operand = matches!(kind, Kind::Contract | Kind::ContractI8) && random.below(2) == 0;
    let operands = match kind {
        Kind::ReduceAdd | Kind::ReduceMax => 1,
        _ => 2 + spec.starts_from_operand as usize,
    };
    let operands = (0..operands)
        .map(|operand| {
            let len = read(random, &mut spec);
            match (kind, operand) {
                (Kind::ContractI8, _) => (0..len).map(|_| random.next() as u32).collect(),
                (Kind::ScatterAdd, 0) => (0..len).map(|_| random.below(rows + 1)).collect(),
                _ => floats(random, len),
            }
        })
        .collect();
    Case { spec, operands }
}

/// Chains without a present term, chains of negative zeros, and special values beside each other in every order.
fn edges(kind: Kind) -> Vec<Case> {
    let operands = match kind {
        Kind::ReduceAdd | Kind::ReduceMax => 1,
        _ => 2,
    };
    let case = |out: u32, terms: u32, constraint, value: &dyn Fn(u32, u32) -> u32| {
        let mut spec = node(kind, vec![out], vec![terms]);
        spec.constraint = constraint;
        let strides = vec![1, out as i32];
        let operand = |number| Operand { node: number, offset: 0, index_stride: 0, strides: strides.clone() };
        spec.operands = (0..operands).map(operand).collect();
        let tensor = |number| {
            let is_index = kind == Kind::ScatterAdd && number == 0;
            (0..out * terms).map(|at| if is_index { at % out } else { value(number, at) }).collect()
        };
        Case { operands: (0..operands).map(tensor).collect(), spec }
    };
    let special = |at: u32| SPECIAL[at as usize % 16];
    let mut cases = vec![
        // Of the last coordinates, none is at most 0.
        case(16, 1, Some((0, 1)), &|_, at| special(at)),
        case(2, 3, None, &|_, _| 0x8000_0000),
        case(2, 3, None, &|number, _| if number == 0 { 0x8000_0000 } else { 0x3F80_0000 }),
    ];
    for shift in [0, 1, 5, 7, 11] {
        cases.push(case(16, 2, None, &|number, at| special(at + number * 3 + at / 16 * shift)));
    }
    cases
}

/// Some indices lie outside; then there is no output.
fn gather(random: &mut Random, number: u32) -> Case {
    let mut spec = node(Kind::Gather, sizes(random, 3, 3), vec![]);
    spec.dtype = if random.below(3) == 0 { Type::U32 } else { Type::F32 };
    let indices = read(random, &mut spec);
    let len = read(random, &mut spec);
    let (rows, stride) = (1 + random.below(4), 1 + random.below(4));
    spec.operands[1].index_stride = stride as i32;
    let extra = u32::from(number.is_multiple_of(10));
    let index: Vec<u32> = (0..indices)
        .map(|_| if extra == 1 && random.below(6) == 0 { random.next() as u32 } else { random.below(rows) })
        .collect();
    Case { operands: vec![index, floats(random, len + (rows * stride) as usize)], spec }
}

/// A program of so many instructions that fit together; the first is given.
fn program(random: &mut Random, spec: &mut NodeSpec, types: &mut Vec<Type>, first: Opcode, count: usize) {
    for number in 0..count {
        let opcode = if number == 0 { first } else { Opcode::ALL[random.below(28) as usize] };
        let mut of = |wanted: Type| -> Option<u8> {
            let fitting: Vec<usize> = (0..types.len()).filter(|&value| types[value] == wanted).collect();
            (!fitting.is_empty()).then(|| fitting[random.below(fitting.len() as u32) as usize] as u8)
        };
        use Opcode::*;
        use Type::{F32, U32};
        let (arguments, result) = match opcode {
            ConstF => ([None, None, None], F32),
            ConstU => ([None, None, None], U32),
            Coordinate => ([None, None, None], U32),
            Add | Sub | Mul | Div => ([of(F32), of(F32), Some(0)], F32),
            Fma => ([of(F32), of(F32), of(F32)], F32),
            Sqrt | Neg | Abs | Exp | Log => ([of(F32), Some(0), Some(0)], F32),
            FromU | FromI => ([of(U32), Some(0), Some(0)], F32),
            ToI => ([of(F32), Some(0), Some(0)], U32),
            LessF => ([of(F32), of(F32), Some(0)], U32),
            Select if types.len().is_multiple_of(2) => ([of(U32), of(U32), of(U32)], U32),
            Select => ([of(U32), of(F32), of(F32)], F32),
            _ => ([of(U32), of(U32), Some(0)], U32),
        };
        let is_constant = matches!(opcode, ConstF | ConstU | Coordinate);
        if (!is_constant && arguments.contains(&None)) || (opcode == Coordinate && spec.out_sizes.is_empty()) {
            continue;
        }
        let [a, b, c] = arguments.map(|argument| argument.unwrap_or(0));
        let a = if opcode == Coordinate { random.below(spec.out_sizes.len() as u32) as u8 } else { a };
        let immediate = if opcode == ConstF { random.float() } else { random.next() as u32 };
        let immediate = if is_constant && opcode != Coordinate { immediate } else { 0 };
        spec.program.push(Instruction { opcode: opcode as u8, a, b, c, immediate });
        types.push(result);
    }
}

fn map(random: &mut Random, number: u32) -> Case {
    let mut spec = node(Kind::Map, sizes(random, 3, 4), vec![]);
    let mut types = Vec::new();
    let mut operands = Vec::new();
    let count = if number < 28 { 3 } else { random.below(5) };
    if number < 28 {
        spec.out_sizes = vec![12];
    }
    for operand in 0..count {
        let len = read(random, &mut spec);
        let is_u32 = if number < 28 { operand == 2 } else { random.below(2) == 0 };
        types.push(if is_u32 { Type::U32 } else { Type::F32 });
        operands.push(if is_u32 {
            (0..len).map(|_| random.next() as u32 >> random.below(32)).collect()
        } else {
            floats(random, len)
        });
    }
    let first = Opcode::ALL[(number % 28) as usize];
    let count = if number < 28 { 1 } else { 1 + random.below(14) as usize };
    program(random, &mut spec, &mut types, first, count);
    if spec.program.is_empty() {
        spec.program.push(Instruction { opcode: Opcode::ConstF as u8, a: 0, b: 0, c: 0, immediate: 0x8000_0000 });
        types.push(Type::F32);
    }
    spec.dtype = types[types.len() - 1];
    let earlier = |_| None;
    debug_assert!(spec.operands.is_empty() || spec.validate(&earlier).is_err());
    Case { spec, operands }
}

/// The bytes of some node.
pub(crate) fn any_node(random: &mut Random) -> Vec<u8> {
    let number = random.below(100);
    match random.below(6) {
        0 => map(random, number).spec.encode(),
        1 => gather(random, number).spec.encode(),
        2 => {
            let source = [Source::State(number), Source::Batch, Source::Step, Source::Table(number)];
            let source = source[random.below(4) as usize];
            NodeSpec { source, ..node(Kind::Input, sizes(random, 3, 9), vec![]) }.encode()
        }
        3 => chain(random, Kind::ScatterAdd, number).spec.encode(),
        4 => chain(random, Kind::ContractI8, number).spec.encode(),
        _ => chain(random, Kind::Contract, number).spec.encode(),
    }
}

/// Bytes of nodes with one byte changed, and whether they still are a node's.
fn bytes(random: &mut Random) -> Value {
    let changed = |number: u32| {
        let mut bytes = any_node(random);
        match number % 8 {
            0 => {}
            1 => bytes.truncate(bytes.len() - 1 - random.below(15) as usize),
            2 => bytes.push(0),
            3..=6 => {
                let at = random.below(16) as usize;
                bytes[at] =
                    if number.is_multiple_of(2) { random.below(10) as u8 } else { bytes[at] ^ 1 << random.below(8) };
            }
            _ if bytes.len() >= 20 => {
                let size =
                    *[0u32, 1 << 31, u32::MAX, 1 << 16, (1 << 16) + 1].get(random.below(5) as usize).expect("five");
                bytes[16..20].copy_from_slice(&size.to_le_bytes());
            }
            _ => {}
        }
        json!({ "bytes": hex(&bytes), "is_node": Node::parse(&bytes).is_ok() })
    };
    (0..240).map(changed).collect()
}

pub(crate) fn vectors() -> Map<String, Value> {
    let random = &mut Random::new(4);
    let mut file = Map::new();
    let chains = [
        ("contract", Kind::Contract),
        ("reduce_add", Kind::ReduceAdd),
        ("reduce_max", Kind::ReduceMax),
        ("scatter_add", Kind::ScatterAdd),
        ("contract_i8", Kind::ContractI8),
    ];
    for (name, kind) in chains {
        let cases = edges(kind).into_iter().chain((0..116).map(|number| chain(random, kind, number)));
        file.insert(name.into(), cases.map(|case| case.vector()).collect());
    }
    file.insert("map".into(), (0..170).map(|number| map(random, number).vector()).collect());
    file.insert("gather".into(), (0..110).map(|number| gather(random, number).vector()).collect());
    file.insert("bytes".into(), bytes(random));
    file
}

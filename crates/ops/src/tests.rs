//! Nodes as a whole: bytes that are not nodes, and values against plain loops.

use crate::*;
use proptest::prelude::*;
use sip_arith::{Arith, INFINITY, NEGATIVE_INFINITY, Native, Soft};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Values whose sums and products are inexact, so that a wrong order of terms shows.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn operand(offset: i32, strides: &[i32]) -> Operand {
    Operand { node: 0, offset, index_stride: 0, strides: strides.to_vec() }
}

fn node(kind: Kind, out_sizes: &[u32], reduce_sizes: &[u32], operands: Vec<Operand>) -> NodeSpec {
    NodeSpec {
        kind,
        dtype: Type::F32,
        out_sizes: out_sizes.to_vec(),
        reduce_sizes: reduce_sizes.to_vec(),
        operands,
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: Vec::new(),
    }
}

fn instruction(opcode: Opcode, arguments: &[u8], immediate: u32) -> Instruction {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    Instruction { opcode: opcode as u8, a: at(0), b: at(1), c: at(2), immediate }
}

/// x / (1 + e⁻ˣ)
fn silu() -> Vec<Instruction> {
    vec![
        instruction(Opcode::Neg, &[0], 0),
        instruction(Opcode::Exp, &[1], 0),
        instruction(Opcode::ConstF, &[], 1f32.to_bits()),
        instruction(Opcode::Add, &[2, 3], 0),
        instruction(Opcode::Div, &[0, 4], 0),
    ]
}

/// Both arithmetics, which must agree.
fn run(spec: &NodeSpec, operands: &[&[u32]]) -> Option<Vec<u32>> {
    let bytes = spec.encode();
    let node = Node::parse(&bytes).unwrap();
    let native = evaluate::<Native>(&node, operands);
    assert_eq!(evaluate::<Soft>(&node, operands), native);
    native
}

#[test]
fn a_contraction_of_bytes_is_their_dot_product_modulo_two_to_the_32() {
    let (rows, columns, inner) = (3usize, 4usize, 300usize);
    let words = |count: usize, seed: u32| -> Vec<u32> {
        noise(count, seed).iter().map(|x| x.to_bits().wrapping_mul(0x9E37_79B9)).collect()
    };
    let (a, b, c) = (words(rows * inner, 1), words(columns * inner, 2), words(rows * columns, 3));
    let strides =
        [operand(0, &[inner as i32, 0, 1]), operand(0, &[0, inner as i32, 1]), operand(0, &[columns as i32, 1, 0])];
    let mut spec = node(Kind::ContractI8, &[rows as u32, columns as u32], &[inner as u32], strides.to_vec());
    (spec.starts_from_operand, spec.dtype) = (true, Type::U32);
    let lens = [a.len(), b.len(), c.len()];
    for (number, operand) in spec.operands.iter_mut().enumerate() {
        operand.node = number as u32;
    }
    let valid = |spec: &NodeSpec, dtype: Type| spec.validate(&|node| Some((dtype, lens[node as usize]))).is_ok();
    assert!(valid(&spec, Type::U32) && !valid(&spec, Type::F32));
    assert!(!valid(&NodeSpec { dtype: Type::F32, ..spec.clone() }, Type::U32));
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).map(|b| b as i8 as i64).collect::<Vec<_>>();
    let mut expected = c.clone();
    for row in 0..rows {
        for column in 0..columns {
            let (a, b) = (bytes(&a[row * inner..][..inner]), bytes(&b[column * inner..][..inner]));
            let sum: i64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            expected[row * columns + column] = expected[row * columns + column].wrapping_add(sum as u32);
        }
    }
    assert_eq!(run(&spec, &[&a, &b, &c]).unwrap(), expected);
    // Extremes: 128 · 128 · 4 · 300 and its negative.
    let (least, most) = (vec![0x8080_8080; inner], vec![0x7F7F_7F7F; inner]);
    let mut one = node(Kind::ContractI8, &[], &[inner as u32], vec![operand(0, &[1]), operand(0, &[1])]);
    one.dtype = Type::U32;
    assert_eq!(run(&one, &[&least, &least]).unwrap(), [128 * 128 * 1200]);
    assert_eq!(run(&one, &[&least, &most]).unwrap()[0] as i32, -128 * 127 * 1200);
}

#[test]
fn integers_and_f32_convert_both_ways() {
    let mut map = node(Kind::Map, &[8], &[], vec![operand(0, &[1])]);
    map.program = vec![instruction(Opcode::FromI, &[0], 0)];
    let integers = [0, 1, -1, 16_777_217, -16_777_219, i32::MAX, i32::MIN, -127].map(|i: i32| i as u32);
    let expected = bits(&integers.map(|i| i as i32 as f32));
    assert_eq!(run(&map, &[&integers]).unwrap(), expected);
    map.program = vec![instruction(Opcode::ToI, &[0], 0)];
    map.dtype = Type::U32;
    let values = bits(&[0.5, 1.5, -2.5, 127.49, f32::NAN, f32::INFINITY, -3e9, -0.0]);
    let integers: Vec<i32> = run(&map, &[&values]).unwrap().into_iter().map(|i| i as i32).collect();
    assert_eq!(integers, [0, 2, -2, 127, 0, i32::MAX, i32::MIN, 0]);
}

#[test]
fn a_contraction_is_a_chain_of_fused_multiply_adds_from_its_start() {
    let (rows, columns, inner) = (3usize, 5usize, 600usize);
    let (a, b, c) = (noise(rows * inner, 1), noise(columns * inner, 2), noise(rows * columns, 3));
    let strides =
        [operand(0, &[inner as i32, 0, 1]), operand(0, &[0, inner as i32, 1]), operand(0, &[columns as i32, 1, 0])];
    let mut spec = node(Kind::Contract, &[rows as u32, columns as u32], &[inner as u32], strides.to_vec());
    spec.starts_from_operand = true;
    let lens = [a.len(), b.len(), c.len()];
    for (number, operand) in spec.operands.iter_mut().enumerate() {
        operand.node = number as u32;
    }
    spec.validate(&|node| Some((Type::F32, lens[node as usize]))).unwrap();
    let mut expected = c.clone();
    for row in 0..rows {
        for column in 0..columns {
            let sum = &mut expected[row * columns + column];
            for k in 0..inner {
                *sum = a[row * inner + k].mul_add(b[column * inner + k], *sum);
            }
        }
    }
    assert_eq!(run(&spec, &[&bits(&a), &bits(&b), &bits(&c)]), Some(bits(&expected)));
}

#[test]
fn a_constraint_leaves_out_terms_between_any_two_labels() {
    let t = 20usize;
    let (scores, values) = (noise(t * t, 4), noise(t, 5));
    // Causal: output label 0 is the query, reduction label 1 the key, and key ≤ query.
    let mut spec =
        node(Kind::Contract, &[t as u32], &[t as u32], vec![operand(0, &[t as i32, 1]), operand(0, &[0, 1])]);
    spec.constraint = Some((1, 0));
    let causal: Vec<f32> =
        (0..t).map(|q| (0..=q).fold(0.0, |sum, k| scores[q * t + k].mul_add(values[k], sum))).collect();
    assert_eq!(run(&spec, &[&bits(&scores), &bits(&values)]), Some(bits(&causal)));

    // Both labels reduce, over two pieces, and every row is walked.
    let mut spec = node(Kind::ReduceAdd, &[], &[t as u32, t as u32], vec![operand(0, &[t as i32, 1])]);
    spec.constraint = Some((0, 1));
    let upper = (0..t).flat_map(|i| (i..t).map(move |j| (i, j))).fold(0.0, |sum, (i, j)| sum + scores[i * t + j]);
    assert_eq!(run(&spec, &[&bits(&scores)]), Some(bits(&[upper])));

    // Both labels are the output's: whole elements are absent and keep the initial value.
    let mut spec = node(Kind::ReduceMax, &[2, 2], &[3], vec![operand(0, &[2, 1, 4])]);
    spec.constraint = Some((0, 1));
    let lower_left = run(&spec, &[&bits(&scores)]).unwrap()[2];
    assert_eq!(lower_left, NEGATIVE_INFINITY);
}

#[test]
fn reductions_read_any_stride_and_order_zeros_and_signs() {
    let values = noise(4 * 300, 6);
    let spec = node(Kind::ReduceAdd, &[4], &[300], vec![operand(1199, &[-1, -4])]);
    let expected: Vec<f32> = (0..4).map(|out| (0..300).fold(0.0, |sum, k| sum + values[1199 - out - 4 * k])).collect();
    assert_eq!(run(&spec, &[&bits(&values)]), Some(bits(&expected)));

    let spec = node(Kind::ReduceMax, &[], &[3], vec![operand(0, &[1])]);
    for (values, greatest) in [([-0.0, 0.0, -0.0], 0.0f32), ([-3.0, -1.0, -2.0], -1.0), ([1.0, 7.5, -9.0], 7.5)] {
        assert_eq!(run(&spec, &[&bits(&values)]), Some(bits(&[greatest])));
    }
}

#[test]
fn a_map_runs_its_program_over_operands_and_coordinates() {
    let values = noise(12, 7);
    let mut spec = node(Kind::Map, &[3, 4], &[], vec![operand(0, &[4, 1])]);
    spec.program = silu();
    spec.validate(&|_| Some((Type::F32, 12))).unwrap();
    for (value, got) in values.iter().zip(run(&spec, &[&bits(&values)]).unwrap()) {
        let (got, truth) = (f32::from_bits(got), value / (1.0 + (-value).exp()));
        assert!((got - truth).abs() <= truth.abs() * 1e-6, "{got} {truth}");
    }

    // u32: 10·row + column where row < column, else 7.
    let mut spec = node(Kind::Map, &[3, 4], &[], Vec::new());
    spec.dtype = Type::U32;
    spec.program = vec![
        instruction(Opcode::Coordinate, &[0], 0),
        instruction(Opcode::Coordinate, &[1], 0),
        instruction(Opcode::ConstU, &[], 10),
        instruction(Opcode::MulU, &[0, 2], 0),
        instruction(Opcode::AddU, &[3, 1], 0),
        instruction(Opcode::LessU, &[0, 1], 0),
        instruction(Opcode::ConstU, &[], 7),
        instruction(Opcode::Select, &[5, 4, 6], 0),
    ];
    spec.validate(&|_| None).unwrap();
    assert_eq!(run(&spec, &[]), Some(vec![7, 1, 2, 3, 7, 7, 12, 13, 7, 7, 7, 23]));
}

#[test]
fn a_gather_follows_its_index_and_ends_at_the_operand() {
    let table = noise(5 * 3, 8);
    let mut spec = node(Kind::Gather, &[4, 3], &[], vec![operand(0, &[1, 0]), operand(0, &[0, 1])]);
    spec.operands[1].index_stride = 3;
    let index = [4u32, 0, 2, 4];
    let expected: Vec<f32> = index.iter().flat_map(|&row| table[row as usize * 3..][..3].to_vec()).collect();
    assert_eq!(run(&spec, &[&index, &bits(&table)]), Some(bits(&expected)));
    assert_eq!(run(&spec, &[&[4, 0, 5, 4], &bits(&table)]), None);
    assert_eq!(run(&spec, &[&[4, 0, u32::MAX, 4], &bits(&table)]), None);
}

#[test]
fn a_scatter_adds_every_source_in_ascending_order() {
    let (sources, rows, columns) = (700usize, 6usize, 2usize);
    let (values, index): (Vec<f32>, Vec<u32>) =
        (noise(sources * columns, 9), (0..sources as u32).map(|s| s * s % 7).collect());
    let operands = vec![operand(0, &[0, 0, 1]), operand(0, &[0, 1, columns as i32])];
    let spec = node(Kind::ScatterAdd, &[rows as u32, columns as u32], &[sources as u32], operands);
    let mut expected = vec![0f32; rows * columns];
    for source in 0..sources {
        for column in 0..columns {
            if let Some(sum) = expected.get_mut(index[source] as usize * columns + column) {
                *sum += values[source * columns + column];
            }
        }
    }
    assert_eq!(run(&spec, &[&index, &bits(&values)]), Some(bits(&expected)));
}

#[test]
fn pieces_and_elements_beyond_the_last_are_empty() {
    let spec = node(Kind::ReduceAdd, &[2], &[300], vec![operand(0, &[0, 1])]);
    let bytes = spec.encode();
    let node = Node::parse(&bytes).unwrap();
    assert_eq!((node.pieces(), node.piece_terms(0), node.piece_terms(1)), (2, 256, 44));
    for piece in [2, 3, 1 << 24, u32::MAX] {
        assert_eq!((node.piece_terms(piece), node.piece_slots(piece)), (0, 0));
        assert_eq!(node.piece::<Soft>(0, piece, 7, &|_| 1), 7);
    }
}

#[test]
fn malformed_nodes_are_refused() {
    let good = node(Kind::Contract, &[2, 3], &[4], vec![operand(0, &[0, 0, 1]); 2]);
    Node::parse(&good.encode()).unwrap();
    let refuse = |change: &dyn Fn(&mut NodeSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(Node::parse(&spec.encode()).is_err(), "{spec:?}");
    };
    refuse(&|spec| spec.out_sizes[1] = 0);
    refuse(&|spec| spec.reduce_sizes[0] = 0);
    refuse(&|spec| spec.reduce_sizes[0] = MAX_TERMS + 1);
    refuse(&|spec| spec.out_sizes = vec![1 << 16, 1 << 16]);
    refuse(&|spec| spec.constraint = Some((0, 255)));
    refuse(&|spec| spec.constraint = Some((3, 0)));
    refuse(&|spec| spec.source = Source::Batch);
    refuse(&|spec| spec.source = Source::State(1));
    refuse(&|spec| spec.starts_from_operand = true);
    refuse(&|spec| spec.program = silu());
    refuse(&|spec| spec.kind = Kind::ReduceAdd);
    refuse(&|spec| spec.kind = Kind::Input);
    refuse(&|spec| spec.operands.clear());
    for (at, value) in [(0, 8), (1, 2), (2, 6), (3, 3), (4, 9), (7, 65), (8, 2), (9, 4), (10, 1), (11, 1)] {
        let mut bytes = good.encode();
        bytes[at] = value;
        assert!(Node::parse(&bytes).is_err(), "byte {at} = {value}");
    }
    let bytes = good.encode();
    for length in 0..bytes.len() {
        assert!(Node::parse(&bytes[..length]).is_err());
    }
    // Five sizes whose product is 0 mod 2⁶⁴.
    let mut huge = node(Kind::Map, &[1 << 16; 4], &[], Vec::new());
    huge.program = silu();
    assert!(Node::parse(&huge.encode()).is_err() && huge.validate(&|_| None).is_err());
    let mut map = node(Kind::Map, &[2, 2], &[], vec![operand(0, &[2, 1])]);
    map.program = silu();
    Node::parse(&map.encode()).unwrap();
    map.constraint = Some((0, 1));
    assert!(Node::parse(&map.encode()).is_err());
    let scatter = node(Kind::ScatterAdd, &[], &[4], vec![operand(0, &[1]); 2]);
    assert!(Node::parse(&scatter.encode()).is_err());
}

#[test]
fn a_node_that_reads_outside_or_mixes_types_is_invalid() {
    let good = node(Kind::ReduceAdd, &[3], &[4], vec![operand(0, &[4, 1])]);
    let tensor = |dtype, len| move |_| Some((dtype, len));
    good.validate(&tensor(Type::F32, 12)).unwrap();
    assert!(good.validate(&tensor(Type::F32, 11)).is_err());
    assert!(good.validate(&tensor(Type::U32, 12)).is_err());
    assert!(good.validate(&|_| None).is_err());
    let refuse = |change: &dyn Fn(&mut NodeSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(spec.validate(&tensor(Type::F32, 12)).is_err(), "{spec:?}");
    };
    refuse(&|spec| spec.operands[0].offset = 1);
    refuse(&|spec| spec.operands[0].offset = -1);
    refuse(&|spec| spec.operands[0].strides[1] = -1);
    refuse(&|spec| spec.operands[0].strides[0] = i32::MAX);
    refuse(&|spec| spec.operands[0].strides.push(0));
    refuse(&|spec| spec.operands[0].index_stride = 1);
    refuse(&|spec| spec.dtype = Type::U32);
    refuse(&|spec| spec.out_sizes = vec![1; 6]);
    refuse(&|spec| spec.reduce_sizes = vec![1; 3]);
    let mut map = node(Kind::Map, &[3], &[], vec![operand(0, &[1])]);
    for program in [
        vec![],
        vec![instruction(Opcode::Add, &[0, 1], 0)],
        vec![instruction(Opcode::AddU, &[0, 0], 0)],
        vec![instruction(Opcode::Coordinate, &[1], 0)],
        vec![instruction(Opcode::Coordinate, &[0], 0)],
        vec![Instruction { opcode: 26, a: 0, b: 0, c: 0, immediate: 0 }],
    ] {
        map.program = program;
        assert!(map.validate(&tensor(Type::F32, 12)).is_err(), "{map:?}");
    }
}

fn any_kind() -> impl Strategy<Value = Kind> {
    use Kind::*;
    prop::sample::select(vec![Input, Contract, ReduceAdd, ReduceMax, Map, Gather, ScatterAdd])
}

/// Well-formed nodes of small sizes, with all strides within ±3.
fn any_node() -> impl Strategy<Value = NodeSpec> {
    let sizes = (prop::collection::vec(1u32..5, 0..6), prop::collection::vec(1u32..24, 0..3));
    let program = prop::collection::vec((0u8..26, 0u8..16, 0u8..16, 0u8..16, any::<u32>()), 1..12);
    let choice = (any::<bool>(), any::<bool>(), any::<bool>(), 0u8..4, 0usize..9, any::<[u8; 2]>());
    let numbers = prop::collection::vec(-3i32..4, 8 * 9);
    (any_kind(), sizes, program, choice, numbers).prop_map(|(kind, sizes, program, choice, numbers)| {
        let (is_u32, starts, constrained, source, operands, labels) = choice;
        let is_chain = !matches!(kind, Kind::Input | Kind::Map | Kind::Gather);
        let starts_from_operand = starts && kind == Kind::Contract;
        let operands = match kind {
            Kind::Input => 0,
            Kind::ReduceAdd | Kind::ReduceMax => 1,
            Kind::Map => operands,
            _ => 2 + starts_from_operand as usize,
        };
        let (mut out_sizes, mut reduce_sizes) = sizes;
        if kind == Kind::ScatterAdd {
            out_sizes.truncate(4);
            out_sizes.push(3);
        }
        if !is_chain {
            reduce_sizes.clear();
        }
        let count = out_sizes.len() + reduce_sizes.len();
        let constraint = (is_chain && constrained && count > 0)
            .then(|| (labels[0] % count.max(1) as u8, labels[1] % count.max(1) as u8));
        let operand = |row: &[i32]| Operand {
            node: row[7] as u32 & 3,
            offset: 900 + row[8],
            index_stride: if kind == Kind::Gather { row[7] } else { 0 },
            strides: row[..count].to_vec(),
        };
        let program: Vec<Instruction> = program
            .into_iter()
            .map(|(opcode, a, b, c, immediate)| Instruction { opcode, a, b, c, immediate })
            .collect();
        NodeSpec {
            kind,
            dtype: if is_u32 { Type::U32 } else { Type::F32 },
            out_sizes,
            reduce_sizes,
            operands: numbers.chunks(9).take(operands).map(operand).collect(),
            constraint,
            starts_from_operand,
            source: match (kind, source) {
                (Kind::Input, 1) => Source::Batch,
                (Kind::Input, 2) => Source::Step,
                (Kind::Input, 3) => Source::Table(17),
                (Kind::Input, 4) => Source::Setting,
                (Kind::Input, _) => Source::State(5),
                _ => Source::State(0),
            },
            program: if kind == Kind::Map { program } else { Vec::new() },
        }
    })
}

/// Calls everything with arguments in and out of range; whatever parses must encode to the same bytes.
fn exercise(bytes: &[u8], element: u64, number: u32) {
    let Ok(node) = Node::parse(bytes) else { return };
    assert_eq!(NodeSpec::decode(bytes).unwrap().encode(), bytes);
    for operand in (0..10).chain([usize::MAX, usize::MAX >> 3]) {
        let _ = (node.operand_node(operand), node.operand_offset(operand), node.operand_index_stride(operand));
        for label in (0..9).chain([usize::MAX, usize::MAX >> 2, usize::MAX >> 1]) {
            let _ = (node.size(label), node.stride(operand, label), node.instruction(label));
        }
    }
    let _ = (node.source(), node.is_u32(), node.len(), node.is_empty(), node.initial());
    for piece in [0, 1, node.pieces().wrapping_sub(1), node.pieces(), number] {
        let slots = node.piece_slots(piece);
        assert!(slots <= PIECE_TERMS * MAX_OPERANDS as u32 + 1);
        for slot in [0, 1, slots.wrapping_sub(1), slots, number] {
            let place = node.slot(piece, slot);
            let mut coordinates = [0; MAX_LABELS];
            node.coordinates(element, place.term, &mut coordinates);
            let _ = (node.is_present(&coordinates), node.address(place.operand as usize, &coordinates, number));
        }
        let value = |slot: u32| slot.wrapping_mul(0x9E37_79B9).wrapping_add(number);
        let (soft, native) =
            (node.piece::<Soft>(element, piece, number, &value), node.piece::<Native>(element, piece, number, &value));
        assert_eq!(soft, native);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_node_survives_encoding(spec in any_node()) {
        let bytes = spec.encode();
        prop_assert_eq!(NodeSpec::decode(&bytes), Ok(spec));
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        header in prop::collection::vec(0u8..9, 12),
        element in any::<u64>(), number in any::<u32>(),
    ) {
        exercise(&bytes, element, number);
        let small: Vec<u8> = header.iter().chain(&bytes).copied().collect();
        exercise(&small, element, number);
    }

    #[test]
    fn no_damaged_node_panics(
        spec in any_node(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        element in any::<u64>(), number in any::<u32>(),
    ) {
        let mut bytes = spec.encode();
        exercise(&bytes, element, number);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
            exercise(&bytes, element, number);
        }
    }

    #[test]
    fn both_arithmetics_give_the_same_tensors(spec in any_node(), values in prop::collection::vec(any::<u32>(), 64)) {
        let spread: Vec<u32> = (0..2000).map(|at| values[at % 64].wrapping_add((at as u32 / 64) << 20)).collect();
        let small: Vec<u32> = spread.iter().map(|value| value % 5).collect();
        let first: &[u32] = if matches!(spec.kind, Kind::Gather | Kind::ScatterAdd) { &small } else { &spread };
        let operands: Vec<&[u32]> = std::iter::once(first).chain(std::iter::repeat_n(&spread[..], 7)).collect();
        let bytes = spec.encode();
        let node = Node::parse(&bytes).unwrap();
        for element in [0, node.len() / 2, node.len() - 1] {
            let soft = evaluate_element::<Soft>(&node, element, &operands);
            prop_assert_eq!(soft, evaluate_element::<Native>(&node, element, &operands));
            prop_assert!(soft.is_some());
        }
    }

    #[test]
    fn both_arithmetics_give_the_same_exponentials_and_logarithms(x in any::<u32>(), near in 0u32..0x1000) {
        for x in [x, 0x42B1_7000 + near, 0xC2CF_F000 + near, 0xC2AE_A000 + near, near, 0x3F80_0000 - near, INFINITY - near] {
            prop_assert_eq!(exp::<Soft>(x), exp::<Native>(x));
            prop_assert_eq!(log::<Soft>(x), log::<Native>(x));
        }
    }

    #[test]
    fn every_opcode_is_the_same_in_both_arithmetics(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
        prop_assert_eq!(Soft::fma(a, b, c), Native::fma(a, b, c));
        let mut spec = node(Kind::Map, &[1], &[], vec![operand(0, &[0]); 3]);
        for opcode in Opcode::ALL {
            spec.program = vec![instruction(opcode, &[0, 1, 2], b)];
            prop_assert!(run(&spec, &[&[a], &[b], &[c]]).is_some());
        }
    }
}

//! Every kernel equals the definition bit for bit, at every SIMD level and for every number of threads.

use sip_arith::{Native, is_fault};
use sip_kernels::{Fault, Kernel, Simd, Threads};
use sip_ops::{Instruction, Kind, Node, NodeSpec, Opcode, Operand, Source, Type, evaluate};

/// Numbers that follow from a seed.
struct Random(sip_testing::Random);

impl Random {
    fn new(seed: u64) -> Random {
        Random(sip_testing::Random::new(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A finite value; the mode says how wild.
    fn value(&mut self, mode: usize) -> u32 {
        let bits = self.next() as u32;
        let ordinary = (0x3F00_0000 + (bits & 0x00FF_FFFF)) | (bits & 0x8000_0000);
        match mode {
            0 => ordinary,
            // Cancellation and signed zeros.
            1 => self.pick(&[0, 0x8000_0000, 0x3F80_0000, 0xBF80_0000, 0x3F80_0001, 0x3380_0000, 0xB380_0000]),
            // Subnormals, tiny and huge values.
            2 => self.pick(&[
                bits & 0x807F_FFFF,
                (bits & 0x80FF_FFFF) | 0x0080_0000,
                (bits & 0x807F_FFFF) | 0x1F00_0000,
                (bits & 0x807F_FFFF) | 0x5E00_0000,
                ordinary,
                0x8000_0000,
            ]),
            _ => {
                if is_fault(bits) {
                    ordinary
                } else {
                    bits
                }
            }
        }
    }

    fn values(&mut self, len: usize) -> Vec<u32> {
        let mode = self.below(8).min(4) % 4;
        (0..len).map(|_| self.value(mode)).collect()
    }

    /// An operand over labels of these sizes (a label that is not `seen` has stride 0) and the length of its tensor.
    fn operand(&mut self, sizes: &[u32], seen: &dyn Fn(usize) -> bool) -> (Operand, usize) {
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&label| seen(label)).collect();
        if self.one_in(2) {
            for i in (1..order.len()).rev() {
                order.swap(i, self.below(i + 1));
            }
        }
        let mut strides = vec![0; sizes.len()];
        let mut step = if self.one_in(6) { 3 } else { 1 };
        let mut offset = 0;
        for &label in order.iter().rev() {
            let negative = self.one_in(10);
            strides[label] = if negative { -step } else { step };
            if negative {
                offset += (sizes[label] as i32 - 1) * step;
            }
            step *= sizes[label] as i32;
            if self.one_in(6) {
                step += 1 + self.below(5) as i32;
            }
        }
        let before = if self.one_in(3) { self.below(40) as i32 } else { 0 };
        offset += before;
        let mut high = offset as i64;
        for (&size, &stride) in sizes.iter().zip(&strides) {
            high += ((size as i64 - 1) * stride as i64).max(0);
        }
        let after = if self.one_in(3) { self.below(40) } else { 0 };
        (Operand { node: 0, offset, index_stride: 0, strides }, high as usize + 1 + after)
    }
}

fn pools() -> [Threads; 4] {
    [Threads::new(1), Threads::new(2), Threads::new(3), Threads::new(8)]
}

/// Compares every level and every number of threads with the definition; returns whether the node faults.
fn compare(spec: &NodeSpec, tensors: &[Vec<u32>], pools: &[Threads]) -> bool {
    let bytes = spec.encode();
    let node = Node::parse(&bytes).expect("generated nodes are well-formed");
    let operands: Vec<&[u32]> = tensors.iter().map(|tensor| &tensor[..]).collect();
    let expected = evaluate::<Native>(&node, &operands);
    for simd in Simd::ALL.into_iter().filter(|simd| simd.is_supported()) {
        let kernel = Kernel::new(spec, simd);
        for threads in pools {
            let mut out = vec![0x7FC1_2345; spec.len()];
            let result = kernel.run(&operands, &mut out, threads);
            let Some(expected) = &expected else {
                assert!(matches!(result, Err(Fault::OutOfRange { .. })), "{spec:?}");
                continue;
            };
            if let Some(at) = (0..out.len()).find(|&at| out[at] != expected[at]) {
                let (got, expected, threads) = (out[at], expected[at], threads.count());
                panic!("{simd} × {threads}: element {at} is {got:#010x}, not {expected:#010x}: {spec:?}");
            }
            let fault = expected.iter().position(|&bits| spec.dtype == Type::F32 && is_fault(bits));
            let fault = fault.map(|index| Fault::NotFinite { index: index as u64, bits: expected[index] });
            assert_eq!(result.err(), fault, "{spec:?}");
        }
    }
    expected.is_none_or(|values| values.iter().any(|&bits| is_fault(bits)))
}

fn empty(kind: Kind, out_sizes: Vec<u32>, reduce_sizes: Vec<u32>) -> NodeSpec {
    NodeSpec {
        kind,
        dtype: Type::F32,
        out_sizes,
        reduce_sizes,
        operands: vec![],
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: vec![],
    }
}

const SIZES: [u32; 12] = [1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 33, 40];

fn sizes(random: &mut Random, count: usize, limit: usize) -> Vec<u32> {
    loop {
        let sizes: Vec<u32> = (0..count).map(|_| random.pick(&SIZES)).collect();
        if sizes.iter().map(|&size| size as usize).product::<usize>() <= limit {
            return sizes;
        }
    }
}

fn chain(random: &mut Random, kind: Kind) -> NodeSpec {
    let out = random.below(if matches!(kind, Kind::Contract | Kind::ContractI8) { 5 } else { 4 });
    let out_sizes = sizes(random, out, 3000);
    let len: usize = out_sizes.iter().map(|&size| size as usize).product();
    let count = if random.one_in(10) { 0 } else { 1 + random.below(2) };
    let reduce_sizes = sizes(random, count, (60_000 / len).clamp(1, 700));
    let mut spec = empty(kind, out_sizes, reduce_sizes);
    let labels = spec.out_sizes.len() + spec.reduce_sizes.len();
    if labels > 0 && random.one_in(2) {
        spec.constraint = Some((random.below(labels) as u8, random.below(labels) as u8));
    }
    spec
}

#[test]
fn contractions_are_their_definition() {
    contractions(Kind::Contract, Random::new(1));
}

#[test]
fn contractions_of_bytes_are_their_definition() {
    contractions(Kind::ContractI8, Random::new(10));
    // More terms than a step of any level, extremes of the bytes, and more columns than a task has.
    let (mut random, pools) = (Random::new(11), [Threads::new(1), Threads::new(2), Threads::new(8)]);
    for (out, terms) in [([1, 300], 67), ([5, 130], 144), ([37, 41], 70), ([2, 1100], 33)] {
        for layouts in [[&[0usize, 2][..], &[1, 2]], [&[2, 0], &[2, 1]]] {
            let (mut spec, mut tensors) = product(&mut random, &out, &[terms], &layouts, None);
            (spec.kind, spec.dtype) = (Kind::ContractI8, Type::U32);
            for tensor in &mut tensors {
                tensor.fill_with(|| random.pick(&[0x8080_8080, 0x7F7F_7F7F, 0x807F_0180, 0xFFFF_FFFF]));
            }
            compare(&spec, &tensors, &pools);
        }
    }
}

fn contractions(kind: Kind, mut random: Random) {
    let pools = pools();
    for _ in 0..900 {
        let mut spec = chain(&mut random, kind);
        if kind == Kind::ContractI8 {
            spec.dtype = Type::U32;
        }
        spec.starts_from_operand = random.one_in(3);
        let all: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
        let out = spec.out_sizes.len();
        // Each output label: rows, columns, batch or neither; reduction labels are mostly seen by both.
        let seen: Vec<[bool; 2]> = (0..all.len())
            .map(|label| match random.below(if label < out { 10 } else { 20 }) {
                0 => [false, false],
                1 => [true, true],
                2..6 if label < out => [true, false],
                6.. if label < out => [false, true],
                2 => [true, false],
                3 => [false, true],
                _ => [true, true],
            })
            .collect();
        let mut tensors = Vec::new();
        for operand in 0..2 + spec.starts_from_operand as usize {
            let used = |label: usize| seen[label].get(operand).copied().unwrap_or(label < out);
            let (operand, len) = random.operand(&all, &used);
            spec.operands.push(operand);
            tensors.push(match kind {
                Kind::ContractI8 => (0..len).map(|_| random.next() as u32).collect(),
                _ => random.values(len),
            });
        }
        compare(&spec, &tensors, &pools);
    }
}

#[test]
fn reductions_are_their_definition() {
    let (mut random, pools) = (Random::new(2), pools());
    for round in 0..600 {
        let mut spec = chain(&mut random, if round % 2 == 0 { Kind::ReduceAdd } else { Kind::ReduceMax });
        let all: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
        let seen: Vec<bool> = all.iter().map(|_| !random.one_in(8)).collect();
        let (operand, len) = random.operand(&all, &|label| seen[label]);
        spec.operands.push(operand);
        compare(&spec, &[random.values(len)], &pools);
    }
}

#[test]
fn gathers_are_their_definition() {
    let (mut random, pools) = (Random::new(3), pools());
    for _ in 0..400 {
        let count = random.below(4);
        let mut spec = empty(Kind::Gather, sizes(&mut random, count, 3000), vec![]);
        if random.one_in(3) {
            spec.dtype = Type::U32;
        }
        let seen: Vec<[bool; 2]> = spec.out_sizes.iter().map(|_| [random.one_in(2), random.one_in(2)]).collect();
        let (index, index_len) = random.operand(&spec.out_sizes, &|label| seen[label][0]);
        let (mut from, len) = random.operand(&spec.out_sizes, &|label| seen[label][1]);
        let limit = 1 + random.below(20);
        from.index_stride = if random.one_in(4) { 1 } else { len as i32 };
        let mut values = random.values(len + (limit - 1) * from.index_stride as usize);
        if random.one_in(10) {
            values.truncate(values.len() / 2);
        }
        if random.one_in(10) {
            let at = random.below(values.len().max(1));
            if let Some(value) = values.get_mut(at) {
                *value = random.pick(&[sip_arith::NAN, sip_arith::INFINITY]);
            }
        }
        let indices = (0..index_len).map(|_| random.below(limit) as u32).collect();
        spec.operands = vec![index, from];
        compare(&spec, &[indices, values], &pools);
    }
}

#[test]
fn scattered_sums_are_their_definition() {
    let (mut random, pools) = (Random::new(4), pools());
    for _ in 0..300 {
        let mut spec = chain(&mut random, Kind::ScatterAdd);
        if spec.out_sizes.is_empty() {
            spec.out_sizes.push(3);
            spec.constraint = None;
        }
        let out = spec.out_sizes.len();
        let all: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
        let strange = random.one_in(4);
        let seen: Vec<[bool; 2]> = (0..all.len())
            .map(|label| [label >= out || strange && random.one_in(2), label > 0 && !random.one_in(8) || strange])
            .collect();
        let (index, index_len) = random.operand(&all, &|label| seen[label][0]);
        let (from, len) = random.operand(&all, &|label| seen[label][1]);
        let limit = spec.out_sizes[0] as usize + 1;
        let indices = (0..index_len).map(|_| random.below(limit) as u32).collect();
        spec.operands = vec![index, from];
        compare(&spec, &[indices, random.values(len)], &pools);
    }
}

/// A node over the coordinates `from..to` of its first reduction label.
fn slice(spec: &NodeSpec, from: u32, to: u32) -> NodeSpec {
    let (mut slice, label) = (spec.clone(), spec.out_sizes.len());
    slice.reduce_sizes[0] = to - from;
    for operand in &mut slice.operands {
        operand.offset += from as i32 * operand.strides[label];
    }
    slice
}

#[test]
fn slices_of_a_chain_are_the_chain() {
    let (mut random, pools) = (Random::new(8), pools());
    let mut compared = 0;
    for round in 0..700 {
        let kind = [Kind::Contract, Kind::ReduceAdd, Kind::ReduceMax, Kind::ScatterAdd][round % 4];
        let mut spec = chain(&mut random, kind);
        let out = spec.out_sizes.len();
        // The coordinates of a slice count from 0, so its label must not be compared.
        let compared_label = |(small, large): (u8, u8)| small as usize == out || large as usize == out;
        if spec.constraint.is_some_and(compared_label) {
            spec.constraint = None;
        }
        if spec.reduce_sizes.is_empty() || spec.reduce_sizes[0] < 3 || kind == Kind::ScatterAdd && out == 0 {
            continue;
        }
        let all: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
        let operands = if matches!(kind, Kind::Contract | Kind::ScatterAdd) { 2 } else { 1 };
        let mut tensors = Vec::new();
        for number in 0..operands {
            let is_index = kind == Kind::ScatterAdd && number == 0;
            let seen: Vec<bool> = (0..all.len()).map(|label| label >= out || !is_index && random.one_in(2)).collect();
            let (operand, len) = random.operand(&all, &|label| seen[label]);
            spec.operands.push(operand);
            tensors.push(match is_index {
                true => (0..len).map(|_| random.below(all[0] as usize + 1) as u32).collect(),
                false => random.values(len),
            });
        }
        let bytes = spec.encode();
        let operands: Vec<&[u32]> = tensors.iter().map(|tensor| &tensor[..]).collect();
        let node = Node::parse(&bytes).expect("generated nodes are well-formed");
        let expected = evaluate::<Native>(&node, &operands).expect("in range");
        if expected.iter().any(|&bits| is_fault(bits)) {
            continue;
        }
        compared += 1;
        let end = spec.reduce_sizes[0];
        let first = 1 + random.below(end as usize - 2) as u32;
        let second = first + 1 + random.below((end - first - 1) as usize) as u32;
        for simd in Simd::ALL.into_iter().filter(|simd| simd.is_supported()) {
            for threads in &pools {
                let mut found = vec![0x7FC1_2345; spec.len()];
                let start = Kernel::new(&slice(&spec, 0, first), simd);
                start.run(&operands, &mut found, threads).expect("finite");
                for (from, to) in [(first, second), (second, end)] {
                    let next = Kernel::new_accumulating(&slice(&spec, from, to), simd);
                    next.run(&operands, &mut found, threads).expect("finite");
                }
                assert_eq!(found, expected, "{simd} × {}: {first}, {second} of {spec:?}", threads.count());
            }
        }
    }
    assert!(compared > 200, "only {compared} chains were sliced");
}

/// A random well-typed program over operands of the given types.
fn program(random: &mut Random, mut types: Vec<Type>, out_labels: usize) -> (Vec<Instruction>, Type) {
    use Type::{F32, U32};
    let mut program = Vec::new();
    let most = if random.one_in(5) { 64 } else { 12 };
    for _ in 0..1 + random.below(most) {
        let of = |random: &mut Random, wanted: Type| {
            let found: Vec<u8> = (0..types.len()).filter(|&v| types[v] == wanted).map(|v| v as u8).collect();
            if found.is_empty() { None } else { Some(random.pick(&found)) }
        };
        let opcode = random.pick(&Opcode::ALL);
        let mut immediate = 0;
        let (arguments, result): (Vec<Option<u8>>, Type) = match opcode {
            Opcode::ConstF => {
                let mode = random.below(4);
                immediate = random.value(mode);
                (vec![], F32)
            }
            Opcode::ConstU => {
                immediate = random.next() as u32 >> random.below(32);
                (vec![], U32)
            }
            Opcode::Coordinate if out_labels == 0 => continue,
            Opcode::Coordinate => (vec![Some(random.below(out_labels) as u8)], U32),
            Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Div => (vec![of(random, F32), of(random, F32)], F32),
            Opcode::Fma => (vec![of(random, F32), of(random, F32), of(random, F32)], F32),
            Opcode::Sqrt | Opcode::Neg | Opcode::Abs | Opcode::Exp | Opcode::Log => (vec![of(random, F32)], F32),
            Opcode::FromU | Opcode::FromI => (vec![of(random, U32)], F32),
            Opcode::ToI => (vec![of(random, F32)], U32),
            Opcode::LessF => (vec![of(random, F32), of(random, F32)], U32),
            Opcode::Select => {
                let dtype = random.pick(&[F32, U32]);
                (vec![of(random, U32), of(random, dtype), of(random, dtype)], dtype)
            }
            _ => (vec![of(random, U32), of(random, U32)], U32),
        };
        let Some(arguments) = arguments.into_iter().collect::<Option<Vec<u8>>>() else { continue };
        let at = |number: usize| arguments.get(number).copied().unwrap_or(0);
        program.push(Instruction { opcode: opcode as u8, a: at(0), b: at(1), c: at(2), immediate });
        types.push(result);
    }
    if program.is_empty() {
        program.push(Instruction { opcode: Opcode::ConstF as u8, a: 0, b: 0, c: 0, immediate: 0 });
        return (program, F32);
    }
    (program, types[types.len() - 1])
}

#[test]
fn programs_are_their_definition() {
    let (mut random, pools) = (Random::new(5), pools());
    let mut faults = 0;
    for _ in 0..600 {
        let count = random.below(5);
        let mut spec = empty(Kind::Map, sizes(&mut random, count, 6000), vec![]);
        let mut types = Vec::new();
        let mut tensors = Vec::new();
        for _ in 0..random.below(5) {
            let seen: Vec<bool> = spec.out_sizes.iter().map(|_| !random.one_in(4)).collect();
            let (operand, len) = random.operand(&spec.out_sizes, &|label| seen[label]);
            spec.operands.push(operand);
            types.push(random.pick(&[Type::F32, Type::F32, Type::U32]));
            tensors.push(random.values(len));
        }
        (spec.program, spec.dtype) = program(&mut random, types, spec.out_sizes.len());
        faults += compare(&spec, &tensors, &pools) as usize;
    }
    assert!(faults > 20, "the programs are meant to meet NaNs and infinities, and {faults} did");
}

/// A contraction whose operands are dense tensors over the labels in the given order, and its tensors.
fn product(
    random: &mut Random,
    out: &[u32],
    reduce: &[u32],
    layouts: &[&[usize]],
    constraint: Option<(u8, u8)>,
) -> (NodeSpec, Vec<Vec<u32>>) {
    let mut spec = empty(Kind::Contract, out.to_vec(), reduce.to_vec());
    spec.constraint = constraint;
    spec.starts_from_operand = layouts.len() == 3;
    let sizes: Vec<u32> = out.iter().chain(reduce).copied().collect();
    let mut tensors = Vec::new();
    for layout in layouts {
        let mut strides = vec![0; sizes.len()];
        let mut step = 1;
        for &label in layout.iter().rev() {
            strides[label] = step;
            step *= sizes[label] as i32;
        }
        spec.operands.push(Operand { node: 0, offset: 0, index_stride: 0, strides });
        tensors.push((0..step).map(|_| random.value(0)).collect());
    }
    (spec, tensors)
}

/// The definition of a long contraction at some of its elements.
fn compare_some(random: &mut Random, spec: &NodeSpec, tensors: &[Vec<u32>], pools: &[Threads]) {
    let bytes = spec.encode();
    let node = Node::parse(&bytes).expect("the nodes are well-formed");
    let operands: Vec<&[u32]> = tensors.iter().map(|tensor| &tensor[..]).collect();
    let mut elements: Vec<usize> = (0..300).map(|_| random.below(spec.len())).collect();
    elements.extend([0, spec.len() - 1]);
    let expected: Vec<u32> = elements
        .iter()
        .map(|&element| sip_ops::evaluate_element::<Native>(&node, element as u64, &operands).expect("in range"))
        .collect();
    let mut whole: Option<Vec<u32>> = None;
    for simd in Simd::ALL.into_iter().filter(|simd| simd.is_supported()) {
        let kernel = Kernel::new(spec, simd);
        for threads in pools {
            let mut out = vec![0; spec.len()];
            kernel.run(&operands, &mut out, threads).expect("finite");
            for (&element, &expected) in elements.iter().zip(&expected) {
                assert_eq!(out[element], expected, "{simd} × {}: element {element} of {spec:?}", threads.count());
            }
            assert!(whole.as_ref().is_none_or(|whole| *whole == out), "{simd} differs: {spec:?}");
            whole = Some(out);
            if simd == Simd::Scalar {
                break;
            }
        }
    }
}

#[test]
fn products_of_language_models_are_their_definition() {
    let (mut random, pools) = (Random::new(6), pools());
    // (output labels, reduction labels, label order of each operand, constraint)
    type Case<'a> = (&'a [u32], &'a [u32], &'a [&'a [usize]], Option<(u8, u8)>);
    let (t, d) = (65, 32);
    let cases: &[Case] = &[
        (&[256, 344], &[128], &[&[0, 2], &[1, 2]], None),
        (&[256, 344], &[700], &[&[0, 2], &[2, 1]], None),
        (&[128, 344], &[520], &[&[2, 0], &[2, 1]], None),
        (&[128, 344], &[4, 130], &[&[2, 3, 0], &[2, 3, 1], &[0, 1]], None),
        (&[1, 500], &[300], &[&[0, 2], &[1, 2]], None),
        (&[500, 1], &[300], &[&[0, 2], &[1, 2]], None),
        (&[500, 3], &[300], &[&[0, 2], &[1, 2]], None),
        // More columns than are packed at a time, and than are computed at a time in a batch.
        (&[16, 8200], &[520], &[&[0, 2], &[1, 2]], None),
        (&[5, 20, 700], &[300], &[&[0, 1, 3], &[0, 3, 2]], None),
        // Attention: scores [b, h, q, k], values [b, q, h, d], and their gradients.
        (&[2, 3, t, t], &[d], &[&[0, 2, 1, 4], &[0, 3, 1, 4]], Some((3, 2))),
        (&[2, t, 3, d], &[t], &[&[0, 2, 1, 4], &[0, 4, 2, 3]], Some((4, 1))),
        (&[2, t, 3, d], &[t], &[&[0, 2, 4, 1], &[0, 4, 2, 3]], Some((1, 4))),
        // Grouped heads: the gradient of a key sums over the queries of two heads.
        (&[2, t, 3, d], &[2, t], &[&[0, 2, 4, 5, 1], &[0, 5, 2, 4, 3]], Some((1, 5))),
        (&[2, 3, d, t], &[t], &[&[0, 1, 3, 4], &[0, 4, 1, 2]], Some((4, 3))),
        // More terms than a block has: free, in the order of either operand, and cut off on either side.
        (&[37, 70], &[2100], &[&[0, 2], &[2, 1]], None),
        (&[70, 37], &[2100], &[&[2, 0], &[1, 2], &[0, 1]], None),
        (&[40, 1100], &[1100], &[&[0, 2], &[1, 2]], Some((2, 1))),
        (&[40, 1100], &[1100], &[&[0, 2], &[2, 1]], Some((1, 2))),
        (&[1100, 40], &[1100], &[&[0, 2], &[1, 2], &[1, 0]], Some((2, 0))),
        (&[1100, 40], &[1100], &[&[2, 0], &[2, 1]], Some((0, 2))),
        // Outputs whose rows, not columns, are consecutive.
        (&[3, 20, 90], &[64], &[&[0, 3, 1], &[0, 2, 3]], None),
        (&[3, 20, 90], &[1200], &[&[0, 1, 3], &[0, 2, 3]], Some((3, 2))),
    ];
    for &(out, reduce, layouts, constraint) in cases {
        let pools = if out == [16, 8200] { &pools[1..2] } else { &pools[..] };
        let (spec, tensors) = product(&mut random, out, reduce, layouts, constraint);
        compare_some(&mut random, &spec, &tensors, pools);
    }
}

#[test]
fn products_of_few_vectors_are_their_definition() {
    let mut random = Random::new(9);
    let pools = [Threads::new(1), Threads::new(2), Threads::new(3), Threads::new(8)];
    for vectors in [1, 2, 3, 4, 7, 9] {
        for (columns, terms) in [(16, 4), (17, 5), (31, 16), (33, 67), (100, 19), (515, 130), (1400, 48)] {
            // Labels: vector, column, term; the matrix lies by columns and by terms, the output either way.
            for (out, layouts) in [
                ([vectors, columns], [&[0usize, 2][..], &[1, 2], &[0, 1]]),
                ([vectors, columns], [&[0, 2], &[2, 1], &[1, 0]]),
                ([columns, vectors], [&[0, 2], &[1, 2], &[0, 1]]),
                ([columns, vectors], [&[2, 0], &[2, 1], &[0, 1]]),
            ] {
                let operands = if random.one_in(3) { 3 } else { 2 };
                let (spec, mut tensors) = product(&mut random, &out, &[terms], &layouts[..operands], None);
                for tensor in &mut tensors {
                    *tensor = random.values(tensor.len());
                }
                compare(&spec, &tensors, &pools);
            }
        }
    }
}

#[test]
fn products_longer_than_shared_memory_are_their_definition() {
    let mut random = Random::new(9);
    // The smaller side has more values than are packed at a time.
    let (spec, tensors) = product(&mut random, &[80, 96], &[60_000], &[&[0, 2], &[1, 2]], None);
    let operands: Vec<&[u32]> = tensors.iter().map(|tensor| &tensor[..]).collect();
    let bytes = spec.encode();
    let node = Node::parse(&bytes).expect("well-formed");
    for simd in Simd::ALL.into_iter().filter(|&simd| simd > Simd::Scalar && simd.is_supported()) {
        for threads in [Threads::new(1), Threads::new(3)] {
            let mut out = vec![0; spec.len()];
            Kernel::new(&spec, simd).run(&operands, &mut out, &threads).expect("finite");
            for element in [0, 79, 80, 3000, 5000, spec.len() - 97, spec.len() - 1] {
                let expected = sip_ops::evaluate_element::<Native>(&node, element as u64, &operands);
                assert_eq!(Some(out[element]), expected, "{simd} × {}: element {element}", threads.count());
            }
        }
    }
}

#[test]
fn misuse_is_an_error() {
    let (spec, tensors) = product(&mut Random::new(7), &[3, 4], &[5], &[&[0, 2], &[1, 2]], None);
    let kernel = Kernel::new(&spec, Simd::detect());
    let threads = Threads::new(1);
    let misuse = |operands: &[&[u32]], out: &mut [u32], kernel: &Kernel| {
        assert!(matches!(kernel.run(operands, out, &threads), Err(Fault::Misuse(_))));
    };
    let (a, b) = (&tensors[0][..], &tensors[1][..]);
    misuse(&[a], &mut [0; 12], &kernel);
    misuse(&[a, b], &mut [0; 11], &kernel);
    misuse(&[a, &b[1..]], &mut [0; 12], &kernel);
    let mut negative = spec.clone();
    negative.operands[0].strides[0] = -1;
    misuse(&[a, b], &mut [0; 12], &Kernel::new(&negative, Simd::detect()));
    misuse(&[], &mut [], &Kernel::new(&empty(Kind::Input, vec![], vec![]), Simd::detect()));
    let mut started = spec.clone();
    started.starts_from_operand = true;
    started.operands.push(Operand { node: 0, offset: 0, index_stride: 0, strides: vec![4, 1, 0] });
    misuse(&[a, b, &[0; 12]], &mut [0; 12], &Kernel::new_accumulating(&started, Simd::detect()));
    kernel.run(&[a, b], &mut [0; 12], &threads).expect("the well-formed run works");
}

#[test]
fn loops_on_a_pool_run_every_task_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let threads = Threads::new(4);
    for tasks in (0..200).chain([5000]) {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        threads.run(tasks, &|task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
            if task % 50 == 0 {
                threads.run(2, &|_| ());
            }
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        threads.run(100, &|task| assert!(task != 57, "meant to panic"));
    }));
    assert!(panicked.is_err());
    threads.run(10, &|_| ());
}

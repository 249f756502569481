//! Graphs that a plan could get wrong, each made for one rule of the planner.

use crate::every_plan::{Given, first_difference, plain, values};
use sip_graph::{Buffer, Builder, Executor, ExecutorOptions, Graph, GraphError, Inputs, RunError, Tensor};
use sip_kernels::Threads;
use sip_ops::{Kind, NodeSpec, Operand, Source, Type};
use std::sync::Arc;

fn table(b: &mut Builder, given: &mut Given, len: usize) -> Tensor {
    let number = given.tables.len();
    given.tables.push(values(len, 7 + number as u64));
    b.input(Source::Table(number as u32), &[len], Type::F32)
}

fn nothing() -> Given {
    Given { state: Vec::new(), batch: Vec::new(), tables: Vec::new(), settings: Vec::new() }
}

/// A loop that writes the state may run twice only if what it reads is still there the second time.
#[test]
fn a_loop_that_writes_the_state_and_another_tensor_does_not_run_twice() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let [i, j, k, m] = [64; 4].map(|size| b.axis(size));
    let [left, right, last] = [0; 3].map(|_| table(&mut b, &mut given, 64 * 64));
    let weight = b.input(Source::State(0), &[64 * 64], Type::F32);
    given.state.push(values(64 * 64, 1));
    let gradient = b.contract(&[i, j], &[k], left.read(&[i, k]), right.read(&[k, j]));
    let all = [i, j];
    let update = b.map(&all, [gradient.read(&all), weight.read(&all)], |p, [g, w]| p.mul(g, w));
    let updated = b.map(&all, [weight.read(&all), update.read(&all)], |p, [w, u]| p.sub(w, u));
    let next = b.contract(&[i, m], &[j], update.read(&[i, j]), last.read(&[j, m]));
    let graph = Arc::new(b.finish(&[updated], &[("next", next)]).expect("graph"));
    assert_eq!(first_difference(&graph, &given), None);
}

/// Token ids [rows, tokens + 1] and what they choose of 16 rows of `width`.
fn embedded(b: &mut Builder, given: &mut Given, [rows, tokens, width]: [usize; 3]) -> (Tensor, [sip_graph::Axis; 3]) {
    let axes = [rows, tokens, width].map(|size| b.axis(size));
    let [row, token, feature] = axes;
    let batch = b.input(Source::Batch, &[rows, tokens + 1], Type::U32);
    given.batch = (0..rows * (tokens + 1)).map(|i| (i * i % 16) as u32).collect();
    let embedding = table(b, given, 16 * width);
    let ids = batch.strided(0, &[(row, tokens as i32 + 1), (token, 1)]);
    (b.gather(&[row, token, feature], ids, embedding.strided(0, &[(feature, 1)]), width), axes)
}

/// A sum over the rows must be whole before anything reads it.
#[test]
fn a_micro_batch_does_not_read_a_sum_over_all_rows() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let (x, [row, token, feature]) = embedded(&mut b, &mut given, [4, 24, 8]);
    let losses = b.reduce_add(&[row, token], &[feature], x.read(&[row, token, feature]));
    let counts = b.map(&[row], [], |p, []| {
        let (row, one) = (p.coordinate(row), p.constant(1.0));
        let row = p.from_u(row);
        p.add(row, one)
    });
    let one = b.axis(1);
    let count = b.reduce_add(&[one], &[row], counts.read(&[row]));
    let at = [row, token];
    let shares = b.map(&at, [losses.read(&at), counts.read(&[row]), count.read(&[])], |p, [loss, share, all]| {
        let weighted = p.mul(loss, share);
        p.div(weighted, all)
    });
    let loss = b.reduce_add(&[one], &[row, token], shares.read(&at));
    let graph = Arc::new(b.finish(&[], &[("loss", loss)]).expect("graph"));
    assert_eq!(first_difference(&graph, &given), None);
}

/// A gather in a slice must not find what lies beyond it, where another thread may be writing.
#[test]
fn a_gather_from_a_slice_that_is_kept_stays_within_the_slice() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let (place, feature) = (b.axis(64), b.axis(256));
    let all = [place, feature];
    let len = 64 * 256;
    let (x, y) = (table(&mut b, &mut given, len), table(&mut b, &mut given, len));
    let ids = b.input(Source::Table(2), &[64], Type::U32);
    let mut indices = vec![0u32; 64];
    indices[20] = 1;
    given.tables.push(Buffer::from(&indices[..]));
    let product = b.map(&all, [x.read(&all), y.read(&all)], |p, [x, y]| p.mul(x, y));
    let found = b.gather(&all, ids.read(&[place]), product.strided(0, &[(place, 256), (feature, 1)]), len);
    let sums = b.reduce_add(&[place], &[feature], found.read(&all));
    let graph = Arc::new(b.finish(&[], &[("product", product), ("sums", sums)]).expect("graph"));
    let fault = plain(&graph, &given).expect_err("an index outside");
    assert!(matches!(fault, RunError::Fault { kind: Kind::Gather, .. }), "{fault}");
    assert_eq!(first_difference(&graph, &given), None);
}

fn input(source: Source, dtype: Type, len: u32) -> NodeSpec {
    NodeSpec {
        kind: Kind::Input,
        dtype,
        out_sizes: vec![len],
        reduce_sizes: Vec::new(),
        operands: Vec::new(),
        constraint: None,
        starts_from_operand: false,
        source,
        program: Vec::new(),
    }
}

fn operand(node: u32, offset: i32, index_stride: i32, strides: &[i32]) -> Operand {
    Operand { node, offset, index_stride, strides: strides.to_vec() }
}

/// What lies before the start of a slice is as good as what lies behind it.
#[test]
fn a_gather_that_counts_backwards_finds_what_lies_before_its_slice() {
    let len = 8192;
    let ids = input(Source::Table(0), Type::U32, len);
    let from = input(Source::Table(1), Type::F32, 2 * len);
    let of = |kind: Kind, operands: Vec<Operand>| NodeSpec {
        kind,
        operands,
        source: Source::State(0),
        ..input(Source::State(0), Type::F32, len)
    };
    let reads = vec![operand(0, 0, 0, &[1]), operand(1, len as i32, -(len as i32 + len as i32 / 2), &[1])];
    let found = of(Kind::Gather, reads);
    let program = vec![sip_ops::Instruction { opcode: sip_ops::Opcode::Abs as u8, a: 0, b: 0, c: 0, immediate: 0 }];
    let magnitude = NodeSpec { program, ..of(Kind::Map, vec![operand(2, 0, 0, &[1])]) };
    let nodes = vec![ids, from, found, magnitude];
    let graph = Arc::new(Graph::new(nodes, Vec::new(), vec![("magnitude".into(), 3)]).expect("graph"));
    let indices: Vec<u32> = (0..len).map(|i| (i >= len / 2) as u32).collect();
    let tables = vec![Buffer::from(&indices[..]), values(2 * len as usize, 5)];
    let given = Given { tables, ..nothing() };
    plain(&graph, &given).expect("every index is inside");
    assert_eq!(first_difference(&graph, &given), None);
}

/// What a slice of a slice writes is as long as the slice.
#[test]
fn a_tensor_per_row_may_be_a_result_of_micro_batches() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let (x, [row, token, feature]) = embedded(&mut b, &mut given, [4, 160, 48]);
    let (all, at) = ([row, token, feature], [row, token]);
    let one = b.axis(1);
    let sums = b.reduce_add(&at, &[feature], x.read(&all));
    let shifted = b.map(&all, [x.read(&all), sums.read(&at)], |p, [x, sum]| p.add(x, sum));
    let powers = b.map(&all, [shifted.read(&all)], |p, [x]| {
        let magnitude = p.abs(x);
        let minus = p.neg(magnitude);
        p.exp(minus)
    });
    let losses = b.reduce_add(&at, &[feature], powers.read(&all));
    let halves = b.map(&all, [powers.read(&all), losses.read(&at)], |p, [power, loss]| p.div(power, loss));
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&at));
    let results = [("loss", loss), ("losses", losses), ("halves", halves), ("shifted", shifted)];
    let graph = Arc::new(b.finish(&[], &results).expect("graph"));
    assert_eq!(first_difference(&graph, &given), None);
}

/// Cutting an operator must leave it an operator: with at most five labels.
#[test]
fn an_operator_that_would_get_too_many_labels_stays_whole() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let [outer, inner, term, flat] = [2, 4096, 4, 8192].map(|size| b.axis(size));
    let x = table(&mut b, &mut given, 8192 * 4);
    let sums = b.reduce_add(&[outer, inner], &[term], x.read(&[inner, outer, term]));
    let [l0, l1, l2, l3] = [2, 3, 2, 3].map(|size| b.axis(size));
    let y = table(&mut b, &mut given, 36 * 8192);
    let operands = [sums.read(&[flat]), y.read(&[l3, l2, l1, l0, flat])];
    let result = b.map(&[l0, l1, l2, l3, flat], operands, |p, [sum, y]| p.add(sum, y));
    let graph = Arc::new(b.finish(&[], &[("result", result)]).expect("graph"));
    assert_eq!(first_difference(&graph, &given), None);
}

/// Of several faults every plan names the first one in the order of the graph.
#[test]
fn the_fault_that_is_reported_is_the_first_of_the_graph() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let (x, [row, token, feature]) = embedded(&mut b, &mut given, [4, 40, 64]);
    let all = [row, token, feature];
    // The first of these operators faults in the last row, the second in the first one.
    let [early, late] = [3u32, 0].map(|bad| {
        b.map(&all, [x.read(&all)], |p, [x]| {
            let (row, bad, infinite) = (p.coordinate(row), p.constant_u(bad), p.constant(f32::INFINITY));
            let is_bad = p.equal_u(row, bad);
            p.select(is_bad, infinite, x)
        })
    });
    let [early, late] = [early, late].map(|of| b.reduce_add(&[row, token], &[feature], of.read(&all)));
    let graph = Arc::new(b.finish(&[], &[("early", early), ("late", late)]).expect("graph"));
    let fault = plain(&graph, &given).expect_err("infinite");
    assert!(matches!(fault, RunError::Fault { kind: Kind::Map, .. }), "{fault}");
    assert_eq!(first_difference(&graph, &given), None);
}

/// An operator that sees the rows as two axes stays outside; the others still run in micro-batches.
#[test]
fn rows_read_as_two_axes_do_not_hinder_micro_batches() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let (x, [row, token, feature]) = embedded(&mut b, &mut given, [4, 64, 64]);
    let (all, at) = ([row, token, feature], [row, token]);
    let others = b.axis(64);
    let weight = table(&mut b, &mut given, 64 * 64);
    let hidden = b.contract(&[row, token, others], &[feature], x.read(&all), weight.read(&[others, feature]));
    let sums = b.reduce_add(&at, &[others], hidden.read(&[row, token, others]));
    let (half, parity, one) = (b.axis(2), b.axis(2), b.axis(1));
    let signs = table(&mut b, &mut given, 2);
    let paired = [parity, half, token];
    let mixed =
        b.map(&paired, [sums.read(&[half, parity, token]), signs.read(&[parity])], |p, [sum, sign]| p.mul(sum, sign));
    let loss = b.reduce_add(&[one], &[row, token], sums.read(&at));
    let graph = Arc::new(b.finish(&[], &[("loss", loss), ("mixed", mixed)]).expect("graph"));
    assert_eq!(first_difference(&graph, &given), None);
    let bytes = |micro_batches| {
        let options = ExecutorOptions { micro_batches, fuse: false, ..ExecutorOptions::default() };
        Executor::new(Arc::clone(&graph), Arc::new(Threads::new(1)), options).arena_bytes()
    };
    assert!(bytes(4) < bytes(1) * 3 / 4, "{} of {}", bytes(4), bytes(1));
}

#[test]
fn an_observer_sees_the_nodes_in_their_order() {
    let (mut b, mut given) = (Builder::new(), nothing());
    let axis = b.axis(4096);
    let [x, y] = [0; 2].map(|_| table(&mut b, &mut given, 4096));
    // Large tensors first, which would better wait for the sum that frees another one.
    let large = [x, y].map(|of| b.map(&[axis], [of.read(&[axis])], |p, [x]| p.exp(x)));
    let one = b.axis(1);
    let sums = large.map(|of| b.reduce_max(&[one], &[axis], of.read(&[axis]), None));
    let graph = Arc::new(b.finish(&[], &[("first", sums[0]), ("second", sums[1])]).expect("graph"));
    let mut executor = Executor::new(Arc::clone(&graph), Arc::new(Threads::new(1)), ExecutorOptions::default());
    let mut seen = Vec::new();
    let inputs = Inputs { state: &[], batch: &[], step: 0, tables: &given.tables, settings: &[] };
    executor.run(&inputs, &mut [], Some(&mut |node, _| seen.push(node))).expect("run");
    let computed = (0..graph.nodes().len()).filter(|&node| graph.nodes()[node].kind != Kind::Input);
    assert_eq!(seen, computed.collect::<Vec<usize>>());
}

#[test]
fn a_result_that_is_an_input_is_refused() {
    let mut b = Builder::new();
    let x = b.input(Source::Table(0), &[4], Type::F32);
    let error = b.finish(&[], &[("x", x)]).expect_err("nothing computes it");
    assert!(matches!(&error, GraphError::Output { name, .. } if name == "x"), "{error}");
}

#[test]
fn a_constraint_of_labels_that_are_none_is_refused() {
    let sum = NodeSpec {
        kind: Kind::ReduceAdd,
        reduce_sizes: vec![4],
        operands: vec![operand(0, 0, 0, &[0, 1])],
        constraint: Some((255, 255)),
        ..input(Source::State(0), Type::F32, 1)
    };
    let nodes = vec![input(Source::Table(0), Type::F32, 4), sum];
    let error = Graph::new(nodes, Vec::new(), Vec::new()).expect_err("there is no label 255");
    assert!(matches!(error, GraphError::Node { node: 1, .. }), "{error}");
}

//! Plans change no bit: every way to run a training step equals node after node.

use proptest::prelude::*;
use sip_graph::{
    AdamW, Axis, Buffer, Builder, Contraction, DoubleState, Executor, ExecutorOptions, Graph, Inputs, Moments,
    RunError, Steered, Tensor, adamw,
};
use sip_kernels::{Simd, Threads};
use sip_ops::{Kind, Source, Type};
use std::sync::Arc;

/// A small transformer.
#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: usize,
    tokens: usize,
    groups: usize,
    members: usize,
    head: usize,
    inner: usize,
    vocabulary: usize,
    layers: usize,
    tied: bool,
}

impl Shape {
    fn width(&self) -> usize {
        self.groups * self.members * self.head
    }
}

/// The axes and weights of a model under construction.
struct Model {
    b: Builder,
    shape: Shape,
    weights: Vec<Tensor>,
    row: Axis,
    token: Axis,
    width: Axis,
}

impl Model {
    fn weight(&mut self, len: usize) -> Tensor {
        let source = Source::State(self.weights.len() as u32);
        self.weights.push(self.b.input(source, &[len], Type::F32));
        self.weights[self.weights.len() - 1]
    }

    fn norm(&mut self, x: Tensor) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let gain = self.weight(width.size() as usize);
        let all = [width, row, token];
        let squares = self.b.contract(&[row, token], &[width], x.read(&all), x.read(&all));
        let inverse = self.b.map(&[row, token], [squares.read(&[row, token])], |p, [squares]| {
            let (epsilon, one) = (p.constant(1e-5), p.constant(1.0));
            let sum = p.add(squares, epsilon);
            let root = p.sqrt(sum);
            p.div(one, root)
        });
        let operands = [x.read(&all), inverse.read(&[row, token]), gain.read(&[width])];
        self.b.map(&all, operands, |p, [x, inverse, gain]| {
            let scaled = p.mul(x, inverse);
            p.mul(scaled, gain)
        })
    }

    fn attention(&mut self, stream: Tensor) -> Tensor {
        let shape = self.shape;
        let (row, token, width) = (self.row, self.token, self.width);
        let normed = self.norm(stream).read(&[width, row, token]);
        let (group, member) = (self.b.axis(shape.groups), self.b.axis(shape.members));
        let (dimension, source) = (self.b.axis(shape.head), self.b.axis(shape.tokens));
        let project = |model: &mut Model, heads: &[Axis]| {
            let out: Vec<Axis> = heads.iter().copied().chain([dimension]).collect();
            let len = out.iter().map(|axis| axis.size() as usize).product::<usize>() * shape.width();
            let weight = model.weight(len);
            let read: Vec<Axis> = out.iter().copied().chain([width]).collect();
            let all: Vec<Axis> = out.iter().copied().chain([row, token]).collect();
            let result = model.b.contract(&all, &[width], weight.read(&read), normed.clone());
            // As positions are: a map per head.
            model.b.map(&all, [result.read(&all)], |p, [x]| {
                let half = p.constant(0.5);
                p.mul(x, half)
            })
        };
        let query = project(self, &[group, member]);
        let key = project(self, &[group]);
        let value = project(self, &[group]);
        let square = [row, group, member, source, token];
        let at = [row, group, member, token];
        let causal = Some((source, token));
        let scores = self.b.contraction(Contraction {
            out: &square,
            reduce: &[dimension],
            a: key.read(&[group, dimension, row, source]),
            b: query.read(&[group, member, dimension, row, token]),
            start: None,
            only: causal,
        });
        let greatest = self.b.reduce_max(&at, &[source], scores.read(&square), causal);
        let powers = self.b.map(&square, [scores.read(&square), greatest.read(&at)], |p, [score, greatest]| {
            let (position, now) = (p.coordinate(source), p.coordinate(token));
            let later = p.less_u(now, position);
            let (difference, masked) = (p.sub(score, greatest), p.constant(-1e30));
            let exponent = p.select(later, masked, difference);
            p.exp(exponent)
        });
        let sums = self.b.reduce_add(&at, &[source], powers.read(&square));
        let mixed_axes = [group, member, dimension, row, token];
        let mixed = self.b.contraction(Contraction {
            out: &mixed_axes,
            reduce: &[source],
            a: value.read(&[group, dimension, row, source]),
            b: powers.read(&square),
            start: None,
            only: causal,
        });
        let attended = self.b.map(&mixed_axes, [mixed.read(&mixed_axes), sums.read(&at)], |p, [x, sum]| p.div(x, sum));
        let joined = self.b.axis(shape.width());
        self.add_to(stream, joined, attended)
    }

    fn feed_forward(&mut self, stream: Tensor) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let normed = self.norm(stream).read(&[width, row, token]);
        let inner = self.b.axis(self.shape.inner);
        let all = [inner, row, token];
        let [gate, up] = [0; 2].map(|_| {
            let weight = self.weight(self.shape.inner * self.shape.width());
            self.b.contract(&all, &[width], weight.read(&[inner, width]), normed.clone())
        });
        let active = self.b.map(&all, [gate.read(&all), up.read(&all)], |p, [gate, up]| {
            let (share, product) = (p.sigmoid(gate), p.mul(gate, up));
            p.mul(product, share)
        });
        self.add_to(stream, inner, active)
    }

    fn add_to(&mut self, stream: Tensor, reduce: Axis, x: Tensor) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let weight = self.weight(width.size() as usize * reduce.size() as usize);
        self.b.contraction(Contraction {
            out: &[width, row, token],
            reduce: &[reduce],
            a: weight.read(&[width, reduce]),
            b: x.read(&[reduce, row, token]),
            start: Some(stream.read(&[width, row, token])),
            only: None,
        })
    }
}

/// A training step of the transformer, and the lengths of its state entries.
fn training(shape: Shape) -> (Arc<Graph>, Vec<usize>) {
    let mut b = Builder::new();
    let (row, token, width) = (b.axis(shape.rows), b.axis(shape.tokens), b.axis(shape.width()));
    let mut model = Model { b, shape, weights: Vec::new(), row, token, width };
    let batch = model.b.input(Source::Batch, &[shape.rows, shape.tokens + 1], Type::U32);
    let tokens = |shift: i32| batch.strided(shift, &[(row, shape.tokens as i32 + 1), (token, 1)]);
    let embedding = model.weight(shape.vocabulary * shape.width());
    let found = model.b.gather(&[row, token, width], tokens(0), embedding.strided(0, &[(width, 1)]), shape.width());
    let mut stream = model.b.map(&[width, row, token], [found.read(&[row, token, width])], |_, [x]| x);
    for _ in 0..shape.layers {
        stream = model.attention(stream);
        stream = model.feed_forward(stream);
    }
    let hidden = model.norm(stream);
    let head = if shape.tied { embedding } else { model.weight(shape.vocabulary * shape.width()) };
    let b = &mut model.b;
    let vocabulary = b.axis(shape.vocabulary);
    let (all, at) = ([vocabulary, row, token], [row, token]);
    let logits = b.contract(&all, &[width], head.read(&[vocabulary, width]), hidden.read(&[width, row, token]));
    let greatest = b.reduce_max(&at, &[vocabulary], logits.read(&all), None);
    let powers = b.map(&all, [logits.read(&all), greatest.read(&at)], |p, [logit, greatest]| {
        let difference = p.sub(logit, greatest);
        p.exp(difference)
    });
    let sums = b.reduce_add(&at, &[vocabulary], powers.read(&all));
    let columns = logits.strided(0, &[(row, shape.tokens as i32), (token, 1)]);
    let chosen = b.gather(&at, tokens(1), columns, shape.rows * shape.tokens);
    let losses = b.map(&at, [sums.read(&at), greatest.read(&at), chosen.read(&at)], |p, [sum, greatest, chosen]| {
        let (log, difference) = (p.log(sum), p.sub(greatest, chosen));
        p.add(log, difference)
    });
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&at));
    let weights = model.weights.clone();
    let b = &mut model.b;
    let gradients = b.gradients(loss, &weights);
    let count = weights.len();
    let entry = |b: &mut Builder, part: usize, index: usize| {
        b.input(Source::State((part * count + index) as u32), &[weights[index].len()], Type::F32)
    };
    let moments: Vec<Moments> = (0..count)
        .map(|index| Moments {
            weight: weights[index],
            first: entry(b, 1, index),
            second: entry(b, 2, index),
            gradient: gradients[index],
            decay: index % 2 == 0,
        })
        .collect();
    let scalars = b.input(Source::Table(0), &[4], Type::F32);
    let steered = Steered { learning_rate: Some(1), weight_decay: Some(2) };
    let updated = adamw(b, &AdamW { steered, ..AdamW::default() }, scalars, &moments);
    let outputs: Vec<Tensor> = (0..3).flat_map(|part| updated.iter().map(move |new| new[part])).collect();
    let lengths = weights.iter().map(|weight| weight.len()).collect::<Vec<_>>().repeat(3);
    (Arc::new(model.b.finish(&outputs, &[("loss", loss)]).expect("graph")), lengths)
}

/// Values between −0.1 and 0.1, and moments of 0.
fn genesis(lengths: &[usize]) -> Vec<Buffer> {
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.2
    };
    let entry = |(number, &len): (usize, &usize)| {
        let values: Vec<f32> = (0..len).map(|_| if number < lengths.len() / 3 { next() } else { 0.0 }).collect();
        Buffer::from(values.as_slice())
    };
    lengths.iter().enumerate().map(entry).collect()
}

fn batch(shape: Shape, step: u32) -> Vec<u32> {
    let count = shape.rows * (shape.tokens + 1);
    (0..count as u32).map(|i| (i * i + 7 * step + i / 3) % shape.vocabulary as u32).collect()
}

/// What patrons steer: as it is, one and a half, a half.
const SETTINGS: [u32; 4] = [65_536, 98_304, 32_768, 0];

fn table() -> Vec<Buffer> {
    vec![Buffer::from([1e-2f32, 1.5, 2.5, 0.0].as_slice())]
}

/// Loss and state after two steps.
fn outcome(
    graph: &Arc<Graph>,
    shape: Shape,
    start: &[Buffer],
    threads: usize,
    options: ExecutorOptions,
) -> (u32, Vec<Buffer>) {
    let mut executor = Executor::new(Arc::clone(graph), Arc::new(Threads::new(threads)), options);
    let mut state = DoubleState::new(start.to_vec());
    let mut loss = 0;
    for step in 0..2 {
        executor
            .step(
                &mut state,
                &Inputs {
                    batch: &batch(shape, step),
                    step,
                    tables: &table(),
                    settings: &SETTINGS,
                    ..Inputs::default()
                },
                None,
            )
            .expect("step");
        loss = executor.result("loss").expect("loss")[0];
    }
    // The same into room of its own, as `run` does it.
    let inputs =
        Inputs { state: state.entries(), batch: &batch(shape, 2), step: 2, tables: &table(), settings: &SETTINGS };
    let mut next: Vec<Buffer> = start.iter().map(|entry| Buffer::new(entry.len())).collect();
    executor.run(&inputs, &mut next, None).expect("run");
    executor
        .step(
            &mut state,
            &Inputs { batch: &batch(shape, 2), step: 2, tables: &table(), settings: &SETTINGS, ..Inputs::default() },
            None,
        )
        .expect("step");
    assert_eq!(state.entries(), next, "in place and apart");
    (loss, state.into_entries())
}

fn plain() -> ExecutorOptions {
    ExecutorOptions { keep_all: true, ..ExecutorOptions::default() }
}

/// Every way to run equals node after node.
fn check(shape: Shape, simds: &[Simd], thread_counts: &[usize]) {
    let (graph, lengths) = training(shape);
    let start = genesis(&lengths);
    let expected = outcome(&graph, shape, &start, 1, plain());
    for &simd in simds {
        for &threads in thread_counts {
            for (fuse, micro_batches, recompute) in [
                (false, 1, false),
                (true, 1, false),
                (true, 1, true),
                (true, 2, false),
                (true, 4, true),
                (false, 4, false),
                (false, 1, true),
            ] {
                let options = ExecutorOptions { simd, fuse, micro_batches, recompute, ..ExecutorOptions::default() };
                let found = outcome(&graph, shape, &start, threads, options);
                assert!(found == expected, "{shape:?}, {options:?}, {threads} threads");
            }
        }
    }
}

fn grouped() -> Shape {
    Shape { rows: 4, tokens: 24, groups: 2, members: 2, head: 4, inner: 24, vocabulary: 128, layers: 2, tied: true }
}

#[test]
fn every_plan_gives_the_bits_of_the_graph_on_every_instruction_set_and_number_of_threads() {
    let simds: Vec<Simd> = Simd::ALL.iter().copied().filter(|simd| simd.is_supported()).collect();
    check(grouped(), &simds, &[1, 2, 3, 8]);
}

#[test]
fn odd_sizes_and_long_rows_give_the_bits_of_the_graph() {
    let odd = Shape { rows: 3, tokens: 37, groups: 1, members: 3, head: 6, inner: 11, vocabulary: 131, ..grouped() };
    check(odd, &[Simd::detect()], &[1, 3]);
    // Rows so long that probabilities are computed again instead of kept.
    let long = Shape { rows: 2, tokens: 160, members: 1, layers: 1, tied: false, ..grouped() };
    check(long, &[Simd::detect()], &[2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn random_shapes_give_the_bits_of_the_graph(
        rows in 1usize..5,
        tokens in 2usize..40,
        groups in 1usize..4,
        members in 1usize..4,
        half in 1usize..5,
        inner in 2usize..40,
        vocabulary in 20usize..300,
        tied in any::<bool>(),
    ) {
        let shape = Shape { rows, tokens, groups, members, head: 2 * half, inner, vocabulary, layers: 1, tied };
        check(shape, &[Simd::detect()], &[2]);
    }
}

#[test]
fn micro_batches_and_recomputation_take_less_memory() {
    let shape = Shape { rows: 8, tokens: 48, layers: 4, vocabulary: 32, ..grouped() };
    let (graph, _) = training(shape);
    let bytes =
        |options: ExecutorOptions| Executor::new(Arc::clone(&graph), Arc::new(Threads::new(1)), options).arena_bytes();
    let default = ExecutorOptions::default();
    let (kept, fast) = (bytes(plain()), bytes(default));
    let (recomputed, split) =
        (bytes(ExecutorOptions { recompute: true, ..default }), bytes(ExecutorOptions { micro_batches: 4, ..default }));
    assert!(fast < kept / 2, "{fast} of {kept}");
    assert!(recomputed < fast * 3 / 4, "{recomputed} of {fast}");
    assert!(split < fast / 2, "{split} of {fast}");
}

#[test]
fn training_needs_no_room_for_the_next_state() {
    let shape = grouped();
    let (graph, lengths) = training(shape);
    let mut executor = Executor::new(graph, Arc::new(Threads::new(1)), ExecutorOptions::default());
    let mut state = DoubleState::new(genesis(&lengths));
    executor
        .step(
            &mut state,
            &Inputs { batch: &batch(shape, 0), tables: &table(), settings: &SETTINGS, ..Inputs::default() },
            None,
        )
        .expect("step");
    assert!(format!("{state:?}").contains("next: []"), "{state:?}");
}

#[test]
fn the_scores_of_long_rows_are_never_whole() {
    let shape = Shape { rows: 2, tokens: 512, groups: 4, members: 1, layers: 1, ..grouped() };
    let (graph, _) = training(shape);
    let scores = shape.rows * shape.groups * shape.tokens * shape.tokens * 4;
    let executor = Executor::new(graph, Arc::new(Threads::new(1)), ExecutorOptions::default());
    // Nor are all rows and heads of any other tensor of that length: what is there is some slices of one row and head.
    assert!(executor.arena_bytes() < scores, "{} of {scores}", executor.arena_bytes());
}

#[test]
fn a_fault_leaves_the_state_that_is_written_in_place() {
    let shape = grouped();
    let (graph, lengths) = training(shape);
    let mut start = genesis(&lengths);
    // The update of one weight overflows, after all gradients were finite.
    let last = start.len() / 3 - 1;
    start[last + lengths.len() / 3].fill(f32::MAX.to_bits());
    let fault = |options: ExecutorOptions| {
        let mut executor = Executor::new(Arc::clone(&graph), Arc::new(Threads::new(2)), options);
        let mut state = DoubleState::new(start.clone());
        let tables = [Buffer::from([3e38f32, 3e38, 1.0, 0.0].as_slice())];
        let error = executor
            .step(
                &mut state,
                &Inputs { batch: &batch(shape, 0), tables: &tables, settings: &SETTINGS, ..Inputs::default() },
                None,
            )
            .expect_err("overflow");
        assert_eq!(state.entries(), start, "the state after a fault");
        error
    };
    assert!(matches!(fault(ExecutorOptions::default()), RunError::Fault { .. }));
    assert!(matches!(fault(plain()), RunError::Fault { .. }));
}

#[test]
fn a_fault_within_a_slice_names_the_element_of_the_whole() {
    // A long run of light operators, of which one gives an infinity at one element.
    let mut b = Builder::new();
    let (feature, token) = (b.axis(64), b.axis(512));
    let all = [feature, token];
    let x = b.input(Source::State(0), &[64 * 512], Type::F32);
    let sums = b.reduce_add(&[token], &[feature], x.read(&all));
    let inverse = b.map(&[token], [sums.read(&[token])], |p, [sum]| {
        let one = p.constant(1.0);
        p.div(one, sum)
    });
    let scaled = b.map(&all, [x.read(&all), inverse.read(&[token])], |p, [x, inverse]| p.div(x, inverse));
    let total = b.reduce_add(&[token], &[feature], scaled.read(&all));
    let graph = Arc::new(b.finish(&[], &[("total", total), ("scaled", scaled)]).expect("graph"));
    let mut values = vec![1f32; 64 * 512];
    values[40 * 512 + 333] = 3e38;
    let state = [Buffer::from(values.as_slice())];
    let inputs = Inputs { state: &state, batch: &[], step: 0, tables: &[], settings: &[] };
    let fault = |options: ExecutorOptions| {
        Executor::new(Arc::clone(&graph), Arc::new(Threads::new(3)), options).run(&inputs, &mut [], None)
    };
    let expected = fault(plain());
    assert!(matches!(expected, Err(RunError::Fault { kind: Kind::Map, .. })), "{expected:?}");
    assert_eq!(fault(ExecutorOptions::default()), expected);
}

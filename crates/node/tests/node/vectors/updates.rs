//! What the graphs of the update codec give, on random values and on those that trip a careless implementation.

use super::{Random, hex};
use serde_json::{Map, Value, json};
use sip_graph::Graph;
use sip_kernels::{Simd, Threads};
use sip_model::{Outer, UpdateCodec};
use sip_node::{State, compute};
use sip_testing::staged;
use std::sync::Arc;

/// Ties, both zeros, subnormals, scales that underflow, values whose scale is bounded.
const EDGES: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    2.6e-43,
    1e-40,
    3e12,
    -3e12,
    1e30,
    -1e37,
];

/// Tensors by length.
type Tensors = Vec<Vec<u32>>;

fn tensors(lengths: &[usize], mut value: impl FnMut() -> f32) -> Tensors {
    lengths.iter().map(|&len| (0..len).map(|_| value().to_bits()).collect()).collect()
}

fn small(random: &mut Random) -> f32 {
    random.next() as i32 as f32 / i32::MAX as f32
}

fn edge(random: &mut Random) -> f32 {
    match random.below(3) {
        0 => small(random),
        1 => EDGES[random.below(16) as usize],
        _ => random.below(9) as f32 - 4.0,
    }
}

/// How the values of a vector are drawn.
type Draw = fn(&mut Random) -> f32;

fn run(graph: Graph, states: &[&Tensors]) -> Tensors {
    let states: Vec<Arc<State>> = states.iter().map(|entries| staged::state(entries)).collect();
    let state = compute(&Arc::new(graph), &states, &Arc::new(Threads::new(1)), Simd::detect()).expect("finite values");
    state.entries().iter().map(|entry| entry.to_vec()).collect()
}

fn bytes(tensors: &[Vec<u32>]) -> Value {
    let text = |entry: &Vec<u32>| hex(&entry.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
    tensors.iter().map(text).collect()
}

/// One codec over tensors of some lengths.
struct Shape {
    codec: UpdateCodec,
    lengths: &'static [usize],
}

impl Shape {
    fn new(chunk: usize, keep: usize, outer: Outer, lengths: &'static [usize]) -> Shape {
        Shape { codec: UpdateCodec { chunk, keep, outer }, lengths }
    }

    fn head(&self) -> Value {
        let outer = match self.codec.outer {
            Outer::Mean => Value::Null,
            Outer::Nesterov { rate, momentum } => json!([rate.to_bits(), momentum.to_bits()]),
        };
        json!({ "chunk": self.codec.chunk, "keep": self.codec.keep, "outer": outer, "lengths": self.lengths })
    }

    fn state(&self, random: &mut Random, draw: Draw) -> Tensors {
        let lengths: Vec<usize> = self.lengths.repeat(3);
        tensors(&lengths, || draw(random))
    }

    /// An update with these residuals, and nothing else in it.
    fn residuals(&self, residuals: Tensors) -> Tensors {
        let mut update: Tensors = self.codec.update_lengths(self.lengths).into_iter().map(|len| vec![0; len]).collect();
        let first = 5 * self.lengths.len();
        update.splice(first.., residuals);
        update
    }

    fn update_of(&self, residuals: Tensors, start: &Tensors, end: &Tensors) -> Tensors {
        let graph = self.codec.update_graph(self.lengths).expect("a graph");
        run(graph, &[&self.residuals(residuals), start, end])
    }

    fn update(&self, seed: u64, draw: Draw) -> Value {
        let random = &mut Random::new(seed);
        let residuals = tensors(self.lengths, || draw(random));
        let (start, end) = (self.state(random, draw), self.state(random, draw));
        let update = self.update_of(residuals.clone(), &start, &end);
        let mut vector = self.head();
        vector["residuals"] = bytes(&residuals);
        vector["start"] = bytes(&start);
        vector["end"] = bytes(&end);
        vector["update"] = bytes(&update);
        vector
    }

    fn start(&self, seed: u64) -> Value {
        let random = &mut Random::new(seed);
        let base = tensors(&self.codec.base_lengths(self.lengths), || edge(random));
        let previous = tensors(&self.codec.update_lengths(self.lengths), || edge(random));
        let state = run(self.codec.start_graph(self.lengths).expect("a graph"), &[&base, &previous]);
        let mut vector = self.head();
        vector["base"] = bytes(&base);
        vector["previous"] = bytes(&previous);
        vector["start_state"] = bytes(&state);
        vector
    }

    /// The next base of updates whose changes have these magnitudes.
    fn next_base(&self, seed: u64, magnitudes: &[f32], draw: Draw) -> Value {
        let random = &mut Random::new(seed);
        let base = tensors(&self.codec.base_lengths(self.lengths), || small(random));
        let zeros = |lengths: &[usize]| tensors(lengths, || 0.0);
        let start = zeros(&self.lengths.repeat(3));
        let update = |magnitude: &f32| {
            let mut end = tensors(self.lengths, || draw(random) * magnitude);
            end.extend(zeros(&self.lengths.repeat(2)));
            self.update_of(zeros(self.lengths), &start, &end)
        };
        let updates: Vec<Tensors> = magnitudes.iter().map(update).collect();
        let states: Vec<&Tensors> = std::iter::once(&base).chain(&updates).collect();
        let graph = self.codec.aggregate_graph(self.lengths, updates.len()).expect("a graph");
        let next = run(graph, &states);
        let told = self.codec.told_entries(self.lengths.len());
        let mut vector = self.head();
        vector["base"] = bytes(&base);
        vector["told"] = updates.iter().map(|update| bytes(&update[..told])).collect();
        vector["next_base"] = bytes(&next);
        vector
    }
}

pub(crate) fn vectors() -> Map<String, Value> {
    let nesterov = Outer::Nesterov { rate: 0.7, momentum: 0.9 };
    let usual = UpdateCodec::default().outer;
    let many: &[usize] = &[9, 1, 8, 3, 2, 5, 7, 4, 6];
    let starts = vec![Shape::new(8, 4, Outer::Mean, &[5, 16]).start(1), Shape::new(32, 8, usual, &[40, 1, 7]).start(2)];
    let updates = vec![
        Shape::new(8, 4, Outer::Mean, &[8]).update(1, edge),
        Shape::new(8, 8, Outer::Mean, &[8, 9, 7, 1]).update(2, edge),
        Shape::new(9, 4, Outer::Mean, &[27, 20]).update(3, edge),
        Shape::new(32, 8, usual, &[64, 33, 31]).update(4, small),
        Shape::new(32, 8, usual, &[64, 33, 31]).update(5, edge),
        Shape::new(100, 8, nesterov, &[257]).update(6, edge),
        Shape::new(256, 4, nesterov, &[256, 300]).update(7, edge),
        // Ties only; zeros of both signs only; subnormals only; scales at their bound.
        Shape::new(16, 8, Outer::Mean, &[35]).update(8, |random| if random.below(2) == 0 { 0.25 } else { -0.25 }),
        Shape::new(16, 4, Outer::Mean, &[35]).update(9, |random| if random.below(2) == 0 { 0.0 } else { -0.0 }),
        Shape::new(16, 4, Outer::Mean, &[35])
            .update(10, |random| f32::from_bits(random.below(300) | random.below(2) << 31)),
        Shape::new(8, 4, Outer::Mean, &[30]).update(11, |random| small(random) * 1e34),
    ];
    let next_bases = vec![
        Shape::new(8, 4, Outer::Mean, &[20, 5]).next_base(1, &[1.0], small),
        Shape::new(32, 8, usual, &[70, 33, 1]).next_base(2, &[1.0, 3.0], small),
        Shape::new(32, 8, usual, &[70, 33]).next_base(3, &[1.0, 1e30, 0.5], small),
        Shape::new(9, 4, nesterov, &[27, 20]).next_base(4, &[1.0, 2.0, 0.25, 4.0], edge),
        Shape::new(8, 8, nesterov, many).next_base(5, &[0.0, 1.0, 1.0, 1e-43, 2.0], edge),
        Shape::new(16, 4, Outer::Mean, &[40]).next_base(6, &[1.0; 16], |random| random.below(3) as f32 - 1.0),
        Shape::new(256, 8, usual, &[300]).next_base(7, &[0.0, 0.0], small),
        // More than 1024 chunks, whose sum has two levels.
        Shape::new(8, 4, Outer::Mean, &[8193]).next_base(8, &[1.0, 0.5], small),
    ];
    let mut file = Map::new();
    file.insert("start".into(), starts.into());
    file.insert("update".into(), updates.into());
    file.insert("next_base".into(), next_bases.into());
    file
}

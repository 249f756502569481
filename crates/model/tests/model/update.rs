//! The graphs of compressed updates against a plain implementation that sorts.

use proptest::prelude::*;
use sip_graph::{Buffer, Executor, ExecutorOptions, Graph, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Outer, UpdateCodec, params};
use sip_ops::{Kind, Node};
use std::sync::Arc;

/// The update before, the start and the end of a segment.
type Segment = (State, State, State);

type State = Vec<Vec<u32>>;

fn run_with(graph: &Arc<Graph>, state: &[Vec<u32>], threads: usize, options: ExecutorOptions) -> State {
    let state: Vec<Buffer> = state.iter().map(|entry| Buffer::from(entry.as_slice())).collect();
    let length = |&node: &u32| Buffer::new(graph.nodes()[node as usize].len());
    let mut next: Vec<Buffer> = graph.state_outputs().iter().map(length).collect();
    let mut executor = Executor::new(Arc::clone(graph), Arc::new(Threads::new(threads)), options);
    executor
        .run(&Inputs { state: &state, batch: &[], step: 0, tables: &[], settings: &[] }, &mut next, None)
        .expect("finite");
    next.iter().map(|entry| entry.to_vec()).collect()
}

/// What the graph gives under three plans, which must agree.
fn run(graph: Graph, state: &[Vec<u32>]) -> State {
    let graph = Arc::new(graph);
    let usual = run_with(&graph, state, 2, ExecutorOptions::default());
    let plain = ExecutorOptions { fuse: false, simd: Simd::Scalar, ..ExecutorOptions::default() };
    assert!(usual == run_with(&graph, state, 1, plain), "the plain plan differs");
    let all = ExecutorOptions { keep_all: true, ..ExecutorOptions::default() };
    assert!(usual == run_with(&graph, state, 1, all), "the plan that keeps all differs");
    usual
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&bits| f32::from_bits(bits)).collect()
}

fn bits(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|value| value.to_bits()).collect()
}

/// Indices, codes and scale of a chunk that is padded with zeros, by sorting.
fn encode_chunk(codec: &UpdateCodec, chunk: &[f32]) -> (Vec<usize>, Vec<i8>, f32) {
    let value = |place: usize| chunk.get(place).copied().unwrap_or(0.0);
    let mut order: Vec<usize> = (0..codec.chunk).collect();
    order.sort_by(|&a, &b| value(b).abs().total_cmp(&value(a).abs()).then(a.cmp(&b)));
    order.truncate(codec.keep);
    let scale = (value(order[0]).abs() / 127.0).min(2f32.powi(32));
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let code = |&place: &usize| {
        let steps = (value(place).abs() / scale).min(127.0).round_ties_even() as i8;
        if value(place) < 0.0 { -steps } else { steps }
    };
    let codes = order.iter().map(code).collect();
    (order, codes, scale)
}

/// The told entries of one tensor, and the residual.
fn encode(codec: &UpdateCodec, change: &[f32]) -> ([Vec<u32>; 3], Vec<f32>) {
    let mut told = [Vec::new(), Vec::new(), Vec::new()];
    let mut residual = change.to_vec();
    for (number, chunk) in change.chunks(codec.chunk).enumerate() {
        let (indices, codes, scale) = encode_chunk(codec, chunk);
        for four in 0..codec.keep / 4 {
            let word = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
            told[0].push(word(std::array::from_fn(|n| indices[four * 4 + n] as u8)));
            told[1].push(word(std::array::from_fn(|n| codes[four * 4 + n] as u8)));
        }
        told[2].push(scale.to_bits());
        for (&place, &code) in indices.iter().zip(&codes) {
            if place < chunk.len() {
                residual[number * codec.chunk + place] -= f32::from(code) * scale;
            }
        }
    }
    (told, residual)
}

/// The code at every element of a tensor, from the told entries.
fn decode(codec: &UpdateCodec, len: usize, indices: &[u32], codes: &[u32]) -> Vec<f32> {
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut dense = vec![0.0; len.div_ceil(codec.chunk) * codec.chunk];
    for (number, (&place, &code)) in bytes(indices).iter().zip(&bytes(codes)).enumerate() {
        dense[number / codec.keep * codec.chunk + usize::from(place)] = f32::from(code as i8);
    }
    dense.truncate(len);
    dense
}

/// The update: own previous one (of which the residual counts), start, end.
fn expected_update(codec: &UpdateCodec, lengths: &[usize], previous: &State, start: &State, end: &State) -> State {
    let count = lengths.len();
    let mut update = vec![Vec::new(); 6 * count];
    for tensor in 0..count {
        let old = floats(&previous[5 * count + tensor]);
        let (start, finish) = (floats(&start[tensor]), floats(&end[tensor]));
        let change: Vec<f32> = start.iter().zip(&finish).zip(&old).map(|((s, e), r)| (e - s) + r).collect();
        let (told, residual) = encode(codec, &change);
        for (kind, entry) in told.into_iter().enumerate() {
            update[kind * count + tensor] = entry;
        }
        update[3 * count + tensor] = end[count + tensor].clone();
        update[4 * count + tensor] = end[2 * count + tensor].clone();
        update[5 * count + tensor] = bits(&residual);
    }
    update
}

fn norm(codec: &UpdateCodec, count: usize, update: &State) -> f32 {
    let sum = |tensor: usize| {
        let codes = update[count + tensor].chunks(codec.keep / 4);
        codes.zip(&update[2 * count + tensor]).fold(0f32, |sum, (words, scale)| {
            let squares: i32 = words.iter().flat_map(|w| w.to_le_bytes()).map(|b| i32::from(b as i8).pow(2)).sum();
            sum + squares as f32 * f32::from_bits(*scale) * f32::from_bits(*scale)
        })
    };
    let sums: Vec<f32> = (0..count).map(sum).collect();
    sums.into_iter().reduce(|a, b| a + b).unwrap_or(0.0).sqrt()
}

fn expected_base(codec: &UpdateCodec, lengths: &[usize], base: &State, updates: &[State]) -> State {
    let count = lengths.len();
    let norms: Vec<f32> = updates.iter().map(|update| norm(codec, count, update)).collect();
    let mut sorted = norms.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[(sorted.len() - 1) / 2];
    let share = |norm: f32| (if norm > median { median / norm } else { 1.0 }) / -(updates.len() as f32);
    let mut next = base.clone();
    for tensor in 0..count {
        let mut sum: Option<Vec<f32>> = None;
        for (update, &norm) in updates.iter().zip(&norms) {
            let codes = decode(codec, lengths[tensor], &update[tensor], &update[count + tensor]);
            let scale =
                |element: usize| f32::from_bits(update[2 * count + tensor][element / codec.chunk]) * share(norm);
            let terms = codes.iter().enumerate().map(|(element, &code)| (code, scale(element)));
            sum = Some(match sum {
                None => terms.map(|(code, scale)| code * scale).collect(),
                Some(sum) => terms.zip(sum).map(|((code, scale), sum)| code.mul_add(scale, sum)).collect(),
            });
        }
        for (element, mean) in sum.expect("an update").into_iter().enumerate() {
            let weight = f32::from_bits(base[tensor][element]);
            next[tensor][element] = match codec.outer {
                Outer::Mean => weight - mean,
                Outer::Nesterov { rate, momentum } => {
                    let new = momentum.mul_add(f32::from_bits(base[count + tensor][element]), mean);
                    next[count + tensor][element] = new.to_bits();
                    (-rate).mul_add(momentum.mul_add(new, mean), weight)
                }
            }
            .to_bits();
        }
    }
    next
}

fn check(codec: &UpdateCodec, lengths: &[usize], base: &State, segments: &[Segment]) {
    let mut updates = Vec::new();
    for (previous, start, end) in segments {
        let state = [previous.clone(), start.clone(), end.clone()].concat();
        let update = run(codec.update_graph(lengths).expect("graph"), &state);
        let expected = expected_update(codec, lengths, previous, start, end);
        for (entry, (found, expected)) in update.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "entry {entry} of the update with {codec:?} over {lengths:?}");
        }
        let found: Vec<usize> = update.iter().map(Vec::len).collect();
        assert_eq!(found, codec.update_lengths(lengths));
        let begun = run(codec.start_graph(lengths).expect("graph"), &[base.clone(), update.clone()].concat());
        let count = lengths.len();
        assert_eq!(begun, [&base[..count], &update[3 * count..5 * count]].concat());
        updates.push(update);
    }
    let state = [base.clone(), updates.concat()].concat();
    let next = run(codec.aggregate_graph(lengths, updates.len()).expect("graph"), &state);
    for (entry, (found, expected)) in next.iter().zip(&expected_base(codec, lengths, base, &updates)).enumerate() {
        assert_eq!(found, expected, "entry {entry} of the base with {codec:?} over {lengths:?}");
    }
}

/// Values that trip a careless implementation: ties, both zeros, subnormals, huge ones.
fn value() -> impl Strategy<Value = f32> {
    let odd = [
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
    prop_oneof![-1f32..1.0, prop::sample::select(odd.to_vec()), (-4i8..5).prop_map(f32::from)]
}

fn entries(lengths: &[usize]) -> impl Strategy<Value = State> + use<> {
    let entry = |&len: &usize| prop::collection::vec(value().prop_map(f32::to_bits), len);
    lengths.iter().map(entry).collect::<Vec<_>>()
}

fn codec() -> impl Strategy<Value = UpdateCodec> {
    let outer = prop_oneof![Just(Outer::Mean), Just(Outer::Nesterov { rate: 0.7, momentum: 0.9 })];
    let chunk = prop::sample::select(vec![8usize, 9, 64, 100, 256]);
    (chunk, prop::sample::select(vec![4usize, 8]), outer).prop_map(|(chunk, keep, outer)| UpdateCodec {
        chunk,
        keep,
        outer,
    })
}

fn case() -> impl Strategy<Value = (UpdateCodec, Vec<usize>, State, Vec<Segment>)> {
    let lengths = prop::collection::vec(prop::sample::select(vec![1usize, 7, 8, 63, 64, 65, 128, 257]), 1..4);
    (codec(), lengths, 1usize..6).prop_flat_map(|(codec, lengths, count)| {
        let states: Vec<usize> = lengths.iter().cycle().take(3 * lengths.len()).copied().collect();
        let segment = (entries(&codec.update_lengths(&lengths)), entries(&states), entries(&states));
        let base = entries(&codec.base_lengths(&lengths));
        (Just(codec), Just(lengths), base, prop::collection::vec(segment, count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_graphs_give_what_sorting_gives((codec, lengths, base, segments) in case()) {
        check(&codec, &lengths, &base, &segments);
    }
}

/// One change per tensor, from a start of zeros and without a residual.
fn changes(codec: &UpdateCodec, tensors: &[Vec<f32>]) -> (Vec<usize>, State) {
    let lengths: Vec<usize> = tensors.iter().map(Vec::len).collect();
    let zeros = |lengths: &[usize]| lengths.iter().map(|&len| vec![0u32; len]).collect::<State>();
    let weights: State = tensors.iter().map(|tensor| bits(tensor)).collect();
    let moments = [zeros(&lengths), zeros(&lengths)].concat();
    let end = [weights, moments.clone()].concat();
    let start = [zeros(&lengths), moments].concat();
    let base = zeros(&codec.base_lengths(&lengths));
    let previous = zeros(&codec.update_lengths(&lengths));
    check(codec, &lengths, &base, &[(previous.clone(), start.clone(), end.clone())]);
    let update = run(codec.update_graph(&lengths).expect("graph"), &[previous, start, end].concat());
    (lengths, update)
}

#[test]
fn ties_go_to_the_lowest_index_and_zeros_cost_nothing() {
    let codec = UpdateCodec { chunk: 64, keep: 4, outer: Outer::Mean };
    let (_, update) = changes(&codec, &[vec![-0.25; 64], vec![-0.0; 65]]);
    assert_eq!(update[0], [0x0302_0100]);
    assert_eq!(update[2], [0x8181_8181]);
    // Of a chunk without a change the scale is 1, so that nothing divides by 0.
    assert_eq!(update[3], [0, 0]);
    assert_eq!(update[5], [1f32.to_bits(); 2]);
    assert_eq!(update[11], vec![0; 65]);
}

#[test]
fn what_is_not_told_is_told_later() {
    // 16 different changes, 4 told a round: after four rounds all but the rounding is told.
    let codec = UpdateCodec { chunk: 16, keep: 4, outer: Outer::Mean };
    let wanted: Vec<f32> = (0..16).map(|n| 1.0 + n as f32 / 16.0).collect();
    let graph =
        |graph: Result<Graph, _>| graph.map_err(|error: sip_model::ModelError| error.to_string()).expect("graph");
    let mut previous: State = codec.update_lengths(&[16]).iter().map(|&len| vec![0; len]).collect();
    let zeros = vec![0u32; 16];
    let mut base = vec![zeros.clone()];
    for round in 0..8 {
        let moved = if round == 0 { bits(&wanted) } else { zeros.clone() };
        let states = [zeros.clone(), zeros.clone(), zeros.clone(), moved, zeros.clone(), zeros.clone()];
        previous = run(graph(codec.update_graph(&[16])), &[previous, states.to_vec()].concat());
        base = run(graph(codec.aggregate_graph(&[16], 1)), &[base, previous.clone()].concat());
    }
    for (found, wanted) in floats(&base[0]).iter().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-4, "{found} instead of {wanted}");
    }
}

#[test]
fn an_update_far_greater_than_the_others_counts_like_the_median() {
    let codec = UpdateCodec { chunk: 64, keep: 8, outer: Outer::Mean };
    let of = |scale: f32| changes(&codec, &[(0..64).map(|n| if n < 8 { scale } else { 0.0 }).collect()]);
    let updates = [of(1.0), of(3.0), of(1e30)].map(|(_, update)| update);
    let base = vec![vec![0u32; 64]];
    let next = run(codec.aggregate_graph(&[64], 3).expect("graph"), &[base, updates.concat()].concat());
    // (1 + 3 + 3) / 3, as far as codes go.
    assert!((f32::from_bits(next[0][0]) - 7.0 / 3.0).abs() < 1e-5);
    assert_eq!(next[0][8], 0);
}

#[test]
fn every_count_and_both_sizes_make_graphs_that_a_court_can_judge() {
    let lengths = [257usize, 64, 1];
    for keep in [4, 8] {
        for outer in [Outer::Mean, Outer::Nesterov { rate: 0.5, momentum: 0.8 }] {
            let codec = UpdateCodec { chunk: 256, keep, outer };
            let mut graphs = vec![codec.start_graph(&lengths).unwrap(), codec.update_graph(&lengths).unwrap()];
            graphs.extend((1..=16).map(|count| codec.aggregate_graph(&lengths, count).unwrap()));
            for node in graphs.iter().flat_map(Graph::nodes) {
                let bytes = node.encode();
                assert!(bytes.len() <= 880, "{:?} of {} bytes", node.kind, bytes.len());
                assert!(Node::parse(&bytes).is_ok());
            }
            assert!(graphs.iter().all(|graph| graph.count(Kind::Input) > 0));
        }
    }
}

#[test]
fn the_largest_preset_has_graphs_for_all_trainers() {
    let config = LlamaConfig::preset("large").expect("the preset exists");
    let lengths: Vec<usize> = params(&config).iter().map(|param| param.len()).collect();
    let codec = UpdateCodec::default();
    assert!(codec.update_graph(&lengths).is_ok());
    assert!(codec.aggregate_graph(&lengths, 16).is_ok());
    assert_eq!(codec.update_lengths(&lengths).len(), 6 * lengths.len());
}

#[test]
fn sizes_out_of_range_are_refused() {
    let codec = UpdateCodec::default();
    let mean = |chunk, keep| UpdateCodec { chunk, keep, outer: Outer::Mean }.update_graph(&[64]);
    assert!(mean(7, 4).is_err() && mean(257, 4).is_err() && mean(64, 5).is_err() && mean(64, 12).is_err());
    assert!(codec.aggregate_graph(&[64], 0).is_err() && codec.aggregate_graph(&[64], 17).is_err());
    assert!(codec.update_graph(&[0]).is_err());
    for (rate, momentum) in [(0.0, 0.9), (f32::NAN, 0.9), (17.0, 0.9), (0.7, 1.0), (0.7, -0.1), (0.7, f32::NAN)] {
        assert!(UpdateCodec { outer: Outer::Nesterov { rate, momentum }, ..codec }.start_graph(&[64]).is_err());
    }
}

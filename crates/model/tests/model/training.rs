//! Training steps: bits do not depend on the machine's choices, runs resume, the loss falls.

use sip_arith::Native;
use sip_graph::{AdamW, Buffer, DoubleState, Executor, ExecutorOptions, Graph, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::{
    Generator, LlamaConfig, Sampler, Sampling, Schedule, Shape, TrainConfig, aggregate_graph, init, init_graph, params,
    tables, training_graph,
};
use sip_ops::{Kind, Node, Source, evaluate};
use std::sync::Arc;

const BATCH: usize = 2;
const STEPS: usize = 200;

struct Setup {
    config: LlamaConfig,
    graph: Arc<Graph>,
    tables: Vec<Buffer>,
    genesis: Vec<Buffer>,
}

fn setup() -> Setup {
    let config = LlamaConfig { vocab_size: 64, num_kv_heads: 2, ..LlamaConfig::preset("tiny").expect("preset") };
    let optimizer = AdamW::default();
    let train = TrainConfig { batch: BATCH, seq_len: config.max_seq_len, total_steps: STEPS, optimizer };
    let graph = Arc::new(training_graph(&config, &train).expect("graph").graph);
    let schedule =
        Schedule { peak_rate: 1e-2, warmup_steps: 5, total_steps: STEPS, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, config.max_seq_len, &optimizer, &schedule);
    let genesis = init(&config, 3, &Arc::new(Threads::new(1))).expect("genesis");
    Setup { config, graph, tables, genesis }
}

/// Rows that count upwards from a number that the step gives, in steps of 1 or 3.
fn batch(setup: &Setup, step: usize) -> Vec<u32> {
    let length = setup.config.max_seq_len + 1;
    let token = |row: usize, at: usize| ((step * 7 + row * 11 + at * (1 + 2 * (row % 2))) % 64) as u32;
    (0..BATCH).flat_map(|row| (0..length).map(move |at| token(row, at))).collect()
}

fn executor(setup: &Setup, threads: usize, simd: Simd) -> Executor {
    let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
    Executor::new(Arc::clone(&setup.graph), Arc::new(Threads::new(threads)), options)
}

fn train(setup: &Setup, executor: &mut Executor, state: &mut DoubleState, steps: std::ops::Range<usize>) -> f32 {
    let mut loss = f32::NAN;
    for step in steps {
        executor
            .step(
                state,
                &Inputs { batch: &batch(setup, step), step: step as u32, tables: &setup.tables, ..Inputs::default() },
                None,
            )
            .expect("step");
        loss = f32::from_bits(executor.result("loss").expect("loss")[0]);
    }
    loss
}

#[test]
fn the_loss_falls() {
    let setup = setup();
    let mut state = DoubleState::new(setup.genesis.clone());
    let mut executor = executor(&setup, 2, Simd::detect());
    let first = train(&setup, &mut executor, &mut state, 0..1);
    assert!((first - 64f32.ln()).abs() < 0.2, "{first}");
    let last = train(&setup, &mut executor, &mut state, 1..STEPS);
    assert!(last < 1.5, "from {first} to {last}");
}

#[test]
fn a_step_has_the_same_bits_with_any_threads_and_vectors_and_by_definition() {
    let setup = setup();
    let batch = batch(&setup, 0);
    let mut tensors: Vec<Vec<u32>> = Vec::new();
    for spec in setup.graph.nodes() {
        let bytes = spec.encode();
        let node = Node::parse(&bytes).expect("node");
        tensors.push(match (spec.kind, spec.source) {
            (Kind::Input, Source::State(entry)) => setup.genesis[entry as usize].to_vec(),
            (Kind::Input, Source::Batch) => batch.clone(),
            (Kind::Input, Source::Step) => vec![0],
            (Kind::Input, Source::Table(table)) => setup.tables[table as usize].to_vec(),
            _ => {
                let operands: Vec<&[u32]> = spec.operands.iter().map(|o| &tensors[o.node as usize][..]).collect();
                evaluate::<Native>(&node, &operands).expect("in range")
            }
        });
    }
    for threads in [1, 2, 3] {
        for simd in Simd::ALL.into_iter().filter(|simd| simd.is_supported()) {
            let mut executor = executor(&setup, threads, simd);
            let mut state = DoubleState::new(setup.genesis.clone());
            let mut observer = |node: usize, out: &mut [u32]| {
                assert!(
                    tensors[node] == out,
                    "node {node} {:?}, {threads} threads, {simd:?}",
                    setup.graph.nodes()[node]
                );
            };
            executor
                .step(
                    &mut state,
                    &Inputs { batch: &batch, tables: &setup.tables, ..Inputs::default() },
                    Some(&mut observer),
                )
                .expect("step");
            for (entry, &node) in setup.graph.state_outputs().iter().enumerate() {
                assert!(*state.entries()[entry] == tensors[node as usize][..], "entry {entry}");
            }
        }
    }
}

#[test]
fn a_run_that_stops_and_resumes_gives_the_same_state() {
    let setup = setup();
    let mut whole = DoubleState::new(setup.genesis.clone());
    train(&setup, &mut executor(&setup, 2, Simd::detect()), &mut whole, 0..8);
    let mut half = DoubleState::new(setup.genesis.clone());
    train(&setup, &mut executor(&setup, 1, Simd::detect()), &mut half, 0..3);
    let mut resumed = DoubleState::new(half.into_entries());
    train(&setup, &mut executor(&setup, 2, Simd::Scalar), &mut resumed, 3..8);
    assert_eq!(whole.entries(), resumed.entries());
}

#[test]
fn every_state_entry_has_the_shape_of_its_parameter() {
    let setup = setup();
    let params = params(&setup.config);
    assert_eq!(setup.graph.state_outputs().len(), 3 * params.len());
    for (entry, &node) in setup.graph.state_outputs().iter().enumerate() {
        let spec = &params[entry % params.len()];
        let (_, shape) = setup.graph.input_shape(Source::State(entry as u32)).expect("input");
        assert_eq!(shape.iter().map(|&s| s as usize).collect::<Vec<_>>(), spec.shape);
        assert_eq!(setup.graph.nodes()[node as usize].len(), spec.len());
    }
}

#[test]
fn the_graph_of_a_model_is_always_the_same() {
    assert_eq!(setup().graph, setup().graph);
}

#[test]
fn the_training_graph_of_known_models_is_the_committed_one() {
    // BLAKE3 over the canonical bytes of all nodes and the state outputs. A change here changes what jobs commit to.
    let known = [
        ("tiny", 3, 16, true, "9965a15878cf8fe0eaa5ea8ba441b99a0b793c611aacaac69b0638e1ca8eaa34"),
        ("tiny", 3, 16, false, "ab731479ac0f4b50aa23a27337511c7161b7318b40ef0bbdf139b735f3f17c9e"),
        ("small", 4, 128, true, "d47850e358feb9cc444b3309c2141ccda3172038554a91cf1f73b90eeed046f3"),
        ("small", 4, 128, false, "ee0720e62949af92679bb3da95cc8f11ebd7cf56f31e001f981fb98a8c850f7c"),
        ("medium", 2, 64, true, "57c12c02e7cd696c91ad6cee4183f0a1ee4b0b40fb410c908be6d4064a4ec0da"),
        ("medium", 2, 64, false, "01b18f8d6e8b1bbaeea6482f3df9ee21a56a7d10a93983b6334fd20de347549b"),
    ];
    for (preset, batch, seq_len, plain, expected) in known {
        let base = LlamaConfig::preset(preset).expect("preset");
        let num_kv_heads = if plain { base.num_heads } else { base.num_heads / 2 };
        let config = LlamaConfig { num_kv_heads, tie_embeddings: plain, ..base };
        let train = TrainConfig { batch, seq_len, total_steps: 10, optimizer: AdamW::default() };
        let graph = training_graph(&config, &train).expect("graph").graph;
        let mut hasher = blake3::Hasher::new();
        graph.nodes().iter().for_each(|node| {
            hasher.update(&node.encode());
        });
        graph.state_outputs().iter().for_each(|node| {
            hasher.update(&node.to_le_bytes());
        });
        assert_eq!(hasher.finalize().to_hex().as_str(), expected, "{preset}");
    }
}

#[test]
fn the_genesis_state_is_uniform_and_depends_on_the_seed() {
    let config = LlamaConfig::preset("small").expect("preset");
    let threads = Arc::new(Threads::new(2));
    let state = init(&config, 1, &threads).expect("genesis");
    let params = params(&config);
    assert_eq!(state.len(), 3 * params.len());
    for (spec, entry) in params.iter().zip(&state) {
        let values = entry.to_f32();
        if spec.shape.len() == 1 {
            assert!(values.iter().all(|&v| v == 1.0));
            continue;
        }
        let residual = spec.name.contains("o_proj") || spec.name.contains("down_proj");
        let deviation = if residual { 0.02 / 8f64.sqrt() } else { 0.02 };
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| v as f64).sum::<f64>() / count;
        let variance = values.iter().map(|&v| (v as f64).powi(2)).sum::<f64>() / count;
        assert!(mean.abs() < 5.0 * deviation / count.sqrt(), "{}: mean {mean}", spec.name);
        assert!((variance.sqrt() / deviation - 1.0).abs() < 0.02, "{}: {}", spec.name, variance.sqrt());
        assert!(values.iter().all(|v| (v.abs() as f64) <= deviation * 3f64.sqrt() * 1.000_001));
    }
    assert!(state[params.len()..].iter().all(|entry| entry.iter().all(|&bits| bits == 0)));
    assert_ne!(state[1..3], init(&config, 2, &threads).expect("genesis")[1..3]);
    assert_eq!(init_graph(&config, 1).expect("graph"), init_graph(&config, 1).expect("graph"));
}

#[test]
fn the_aggregate_is_the_mean_of_every_entry() {
    let shapes = [vec![2, 3], vec![5]];
    let threads = Arc::new(Threads::new(1));
    for count in [1, 3, 8, 9, 20] {
        let graph = Arc::new(aggregate_graph(&shapes, count).expect("graph"));
        let value = |state: usize, entry: usize, at: usize| (state * 100 + entry * 10 + at) as f32;
        let mut states = Vec::new();
        for state in 0..count {
            for (entry, len) in [6, 5].into_iter().enumerate() {
                states.push(Buffer::from((0..len).map(|at| value(state, entry, at)).collect::<Vec<_>>().as_slice()));
            }
        }
        let mut next = [Buffer::new(6), Buffer::new(5)];
        let mut executor = Executor::new(graph, Arc::clone(&threads), ExecutorOptions::default());
        executor
            .run(&Inputs { state: &states, batch: &[], step: 0, tables: &[], settings: &[] }, &mut next, None)
            .expect("run");
        for (entry, found) in next.iter().enumerate() {
            for (at, found) in found.to_f32().into_iter().enumerate() {
                let expected = (0..count).map(|s| value(s, entry, at) as f64).sum::<f64>() / count as f64;
                assert_eq!(found, expected as f32, "{count} states");
            }
        }
    }
}

#[test]
fn a_trained_model_continues_what_it_learned() {
    let setup = setup();
    let mut state = DoubleState::new(setup.genesis.clone());
    train(&setup, &mut executor(&setup, 2, Simd::detect()), &mut state, 0..STEPS);
    let count = params(&setup.config).len();
    let weights = state.entries()[..count].to_vec();
    let mut generator = Generator::new(&setup.config, weights, Arc::new(Threads::new(1))).expect("generator");
    let greedy = Sampling::GREEDY;
    let prompt = [20, 21, 22, 23, 24, 25, 26, 27, 28];
    // More than the window, so that it has to move.
    let found = generator.generate(&prompt, 20, &mut Sampler::new(greedy, 0), &mut |_| true).expect("tokens");
    let right = found.iter().zip(29..).filter(|(found, expected)| **found == expected % 64).count();
    assert!(right >= 15, "{found:?}");
    let drawn = |seed: u64, generator: &mut Generator| {
        let mut sampler = Sampler::new(Sampling { temperature: 1.0, top_k: 20, ..Sampling::default() }, seed);
        generator.generate(&prompt, 30, &mut sampler, &mut |_| true).expect("tokens")
    };
    assert_eq!(drawn(1, &mut generator), drawn(1, &mut generator));
    let error = generator.generate(&[64], 1, &mut Sampler::new(greedy, 0), &mut |_| true).expect_err("no token 64");
    assert_eq!(error.to_string(), "token 64 is not below the vocabulary size 64");
    assert!(generator.generate(&[], 1, &mut Sampler::new(greedy, 0), &mut |_| true).is_err());
}

//! Fine-tuning against autograd in float64 (`fine_tuning/reference.py` wrote the golden values with `transformers` and
//! `peft`), adapters against their merged model, and preference training from its exact start.

use serde_json::Value;
use sip_graph::{AdamW, Buffer, DoubleState, Executor, ExecutorOptions, Graph, Inputs};
use sip_kernels::Threads;
use sip_model::dpo::Preference;
use sip_model::example::Example;
use sip_model::lora::{self, Lora, Target};
use sip_model::{
    LlamaConfig, Objective, ParamSpec, Schedule, Shape, TrainConfig, Trained, gradient_graph, init, params,
    score_graph, step_graph, tables,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const ROWS: usize = 4;
const LEN: usize = 6;
const TOKENS: [[u32; LEN + 1]; ROWS] =
    [[1, 5, 5, 10, 0, 3, 2], [9, 9, 1, 4, 5, 6, 7], [3, 1, 4, 1, 5, 9, 2], [8, 0, 7, 7, 2, 10, 6]];
const MARKS: [[u32; LEN + 1]; ROWS] =
    [[0, 0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 0, 0]];
const REFERENCE: [f32; 6] = [-9.5, -20.25, -7.0, -5.5, -6.0, -8.0];
const PAIRS: [u32; 2] = [2, 0];
const BETA: f32 = 0.3;

fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 11,
        hidden_size: 16,
        intermediate_size: 12,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 2,
        max_seq_len: LEN,
        rms_norm_eps: 1e-5,
        rope_theta: 100.0,
        tie_embeddings: false,
        variant: sip_model::Variant::default(),
        ..LlamaConfig::preset("tiny").expect("preset")
    }
}

fn adapters() -> Lora {
    Lora { rank: 3, alpha: 4.5, targets: Target::ALL.map(|(_, target)| target).to_vec() }
}

fn threads() -> Arc<Threads> {
    Arc::new(Threads::new(2))
}

/// Uniform in −1 to 1, exact in f32; the script draws the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }

    /// One buffer per parameter, drawn in the order of their names.
    fn fill(&mut self, params: &[ParamSpec], scale: f64, gain_scale: f64) -> Vec<Buffer> {
        let mut order: Vec<usize> = (0..params.len()).collect();
        order.sort_by_key(|&index| &params[index].name);
        let mut buffers = vec![Buffer::new(0); params.len()];
        for index in order {
            let spec = &params[index];
            let value = |numbers: &mut Numbers| match spec.shape.len() {
                1 => (1.0 + gain_scale * numbers.next()) as f32,
                _ => (scale * numbers.next()) as f32,
            };
            let values: Vec<f32> = (0..spec.len()).map(|_| value(self)).collect();
            buffers[index] = Buffer::from(&values[..]);
        }
        buffers
    }
}

fn marked_batch() -> Vec<u32> {
    TOKENS.iter().zip(&MARKS).flat_map(|(tokens, marks)| tokens.iter().chain(marks).copied()).collect()
}

fn all_tables(config: &LlamaConfig, seq_len: usize, reference: &[f32]) -> Vec<Buffer> {
    let schedule =
        Schedule { peak_rate: 1e-2, warmup_steps: 1, total_steps: 64, final_share: 0.5, shape: Shape::Linear };
    let mut tables = tables(config, seq_len, &AdamW::default(), &schedule);
    tables.push(Buffer::from(reference));
    tables
}

fn results(graph: Graph, state: &[Buffer], batch: &[u32], tables: &[Buffer]) -> BTreeMap<String, Vec<f32>> {
    let names: Vec<String> = graph.results().iter().map(|(name, _)| name.clone()).collect();
    let mut executor = Executor::new(Arc::new(graph), threads(), ExecutorOptions::default());
    executor.run(&Inputs { state, batch, step: 0, tables, settings: &[] }, &mut [], None).expect("run");
    let value = |name: &String| executor.result(name).expect(name).iter().map(|&b| f32::from_bits(b)).collect();
    names.iter().map(|name| (name.clone(), value(name))).collect()
}

#[test]
fn losses_and_gradients_equal_autograd() {
    let golden: Value = serde_json::from_str(include_str!("fine_tuning/golden.json")).expect("golden values");
    let config = config();
    for (objective, name) in [
        (Objective::Response, "response"),
        (Objective::Preference(Preference { beta: BETA, pairs: REFERENCE.len() / 2 }), "preference"),
    ] {
        let mut batch = marked_batch();
        if let Objective::Preference(_) = objective {
            batch.extend(PAIRS);
        }
        for trained in [Trained::Weights, Trained::Adapters(adapters())] {
            let mut numbers = Numbers(7);
            let weights = numbers.fill(&params(&config), 0.7, 0.3);
            let mut tables = all_tables(&config, LEN, &REFERENCE);
            let (state, case) = match &trained {
                Trained::Weights => (weights, format!("{name}_weights")),
                Trained::Adapters(lora) => {
                    tables = lora::with_frozen(tables, weights);
                    let params = lora::params(&config, lora).expect("adapters");
                    (numbers.fill(&params, 0.5, 0.0), format!("{name}_adapters"))
                }
            };
            let graph = gradient_graph(&config, ROWS, LEN, &trained, &objective).expect("graph");
            let found = results(graph, &state, &batch, &tables);
            let expected = &golden[&case];
            let close = |found: f64, expected: &Value, what: &str| {
                let expected = expected.as_f64().expect("number");
                assert!((found - expected).abs() < 2e-5 * (1.0 + expected.abs()), "{case} {what}: {found} {expected}");
            };
            close(found["loss"][0].into(), &expected["loss"], "loss");
            let gradients = expected["gradients"].as_object().expect("gradients");
            assert_eq!(gradients.len(), found.len() - 1);
            for (name, expected) in gradients {
                let found = &found[&format!("gradient.{name}")];
                let norm = found.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                close(norm, &expected["norm"], name);
                for (found, expected) in found.iter().zip(expected["first"].as_array().expect("values")) {
                    close((*found).into(), expected, name);
                }
            }
        }
    }
}

#[test]
fn adapters_start_as_the_model_itself_and_merge_into_it() {
    let config = config();
    let lora = adapters();
    let mut numbers = Numbers(3);
    let weights = numbers.fill(&params(&config), 0.4, 0.3);
    let batch = marked_batch();
    let score = |trained: &Trained, state: &[Buffer], frozen: &[Buffer]| {
        let tables = lora::with_frozen(all_tables(&config, LEN, &REFERENCE), frozen.to_vec());
        let graph = score_graph(&config, ROWS, LEN, trained).expect("graph");
        results(graph, state, &batch, &tables).remove("cross_entropy").expect("scores")
    };
    let plain = score(&Trained::Weights, &weights, &[]);
    let adapted = Trained::Adapters(lora.clone());

    // B is zero: not a bit differs.
    let start = lora::init(&config, &lora, 5, &threads()).expect("adapters");
    assert_eq!(score(&adapted, &start, &weights), plain);
    let same = lora::merge(&config, &lora, &weights, &start[..start.len() / 3], &threads()).expect("merged");
    for (same, weight) in same.iter().zip(&weights) {
        assert_eq!(same.to_f32(), weight.to_f32());
    }
    let down = start[0].to_f32();
    let bound = 1.0 / (config.hidden_size as f32).sqrt();
    assert!(down.iter().all(|x| x.abs() <= bound) && down.iter().any(|x| x.abs() > bound / 2.0));
    assert!(start[1].iter().all(|&bits| bits == 0));

    let specs = lora::params(&config, &lora).expect("adapters");
    let trained = numbers.fill(&specs, 0.3, 0.0);
    let merged = lora::merge(&config, &lora, &weights, &trained, &threads()).expect("merged");
    let (by_adapter, by_merged) = (score(&adapted, &trained, &weights), score(&Trained::Weights, &merged, &[]));
    for ((found, expected), plain) in by_adapter.iter().zip(&by_merged).zip(&plain) {
        assert!((found - expected).abs() < 1e-4 * expected.abs(), "{found} instead of {expected}");
        assert!((expected - plain).abs() > 1e-2, "the adapters changed nothing");
    }
    // The merged matrix itself, against its definition in f64; what has no adapter stays as it was.
    for (number, (spec, merged)) in params(&config).iter().zip(&merged).enumerate() {
        let module = spec.name.trim_end_matches(".weight");
        let at = specs.iter().position(|s| s.name == format!("base_model.model.{module}.lora_A.weight"));
        let Some(at) = at else {
            assert_eq!(merged, &weights[number]);
            continue;
        };
        let (a, b, w) = (trained[at].to_f32(), trained[at + 1].to_f32(), weights[number].to_f32());
        for (element, found) in merged.to_f32().into_iter().enumerate() {
            let (row, column) = (element / spec.shape[1], element % spec.shape[1]);
            let sum: f64 =
                (0..3).map(|r| 1.5 * f64::from(b[row * 3 + r]) * f64::from(a[r * spec.shape[1] + column])).sum();
            let expected = f64::from(w[element]) + sum;
            assert!((f64::from(found) - expected).abs() < 1e-6, "{} {element}", spec.name);
        }
    }
}

/// Pairs whose chosen answer counts up and whose rejected answer counts down.
fn pairs(count: usize) -> Vec<[Example; 2]> {
    let pair = |number: usize| {
        let start = (number * 7 % 40 + 12) as u32;
        let prompt = vec![start, start + 1, start + 2];
        [1i64, -1].map(|direction| Example {
            prompt: prompt.clone(),
            response: (1..6).map(|at| (i64::from(start) + 2 + direction * at) as u32).collect(),
        })
    };
    (0..count).map(pair).collect()
}

#[test]
fn preference_training_starts_at_log_2_and_comes_to_prefer_the_chosen_answers() {
    let seq_len = 10;
    let config = LlamaConfig { vocab_size: 64, ..LlamaConfig::preset("tiny").expect("preset") };
    let pairs = pairs(8);
    let weights = init(&config, 1, &threads()).expect("weights")[..params(&config).len()].to_vec();
    let rows = |pairs: &[[Example; 2]]| {
        let mut rows = Vec::new();
        pairs.iter().flatten().for_each(|example| example.row(seq_len, &mut rows));
        rows
    };
    let score = |trained: &Trained, state: &[Buffer], tables: &[Buffer]| {
        let graph = score_graph(&config, 16, seq_len, trained).expect("graph");
        results(graph, state, &rows(&pairs), tables).remove("cross_entropy").expect("scores")
    };
    for trained in [Trained::Weights, Trained::Adapters(Lora { rank: 4, alpha: 8.0, ..adapters() })] {
        let empty = lora::with_frozen(all_tables(&config, seq_len, &[]), weights.clone());
        let reference: Vec<f32> = score(&Trained::Weights, &weights, &empty).iter().map(|x| -x).collect();
        let tables = lora::with_frozen(all_tables(&config, seq_len, &reference), weights.clone());
        let state = match &trained {
            Trained::Weights => init(&config, 1, &threads()).expect("state"),
            Trained::Adapters(lora) => lora::init(&config, lora, 2, &threads()).expect("state"),
        };
        let train = TrainConfig { batch: 8, seq_len, total_steps: 64, optimizer: AdamW::default() };
        let objective = Objective::Preference(Preference { beta: 0.5, pairs: pairs.len() });
        let graph = step_graph(&config, &train, &trained, &objective).expect("graph").graph;
        let mut executor = Executor::new(Arc::new(graph), threads(), ExecutorOptions::default());
        let mut state = DoubleState::new(state);
        let mut losses = Vec::new();
        for step in 0..30 {
            let first = step * 4 % pairs.len();
            let mut batch = rows(&pairs[first..first + 4]);
            batch.extend((first..first + 4).map(|number| number as u32));
            executor
                .step(
                    &mut state,
                    &Inputs { batch: &batch, step: step as u32, tables: &tables, ..Inputs::default() },
                    None,
                )
                .expect("step");
            losses.push(f32::from_bits(executor.result("loss").expect("loss")[0]));
        }
        assert!((losses[0] - std::f32::consts::LN_2).abs() < 1e-6, "{}", losses[0]);
        assert!(losses[29] < 0.3, "{losses:?}");
        let after = score(&trained, state.entries(), &tables);
        for (number, (after, before)) in after.chunks(2).zip(reference.chunks(2)).enumerate() {
            let gains = [-after[0] - before[0], -after[1] - before[1]];
            assert!(gains[0] > gains[1], "pair {number}: {gains:?}");
        }
    }
}

#[test]
fn what_makes_no_adapter_or_pair_is_refused() {
    let config = config();
    let error = |lora: Lora| lora::params(&config, &lora).expect_err("refused").to_string();
    assert_eq!(
        error(Lora { rank: 0, ..adapters() }),
        "rank is 0, expected 1 to 12, the smaller side of the model's matrices"
    );
    assert_eq!(error(Lora { alpha: f32::NAN, ..adapters() }), "alpha is NaN, expected a number above 0");
    assert!(error(Lora { targets: Vec::new(), ..adapters() }).contains("at least one of q, k, v"));
    let train = TrainConfig { batch: 3, seq_len: LEN, total_steps: 1, optimizer: AdamW::default() };
    let objective = Objective::Preference(Preference { beta: 0.1, pairs: 4 });
    let error = step_graph(&config, &train, &Trained::Weights, &objective).expect_err("refused").to_string();
    assert_eq!(error, "batch is 3, expected an even number: a chosen and a rejected row for every pair");
}

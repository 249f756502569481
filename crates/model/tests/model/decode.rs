//! Decoding against a cache gives the bits of the full forward pass, and what drawing tokens means.

use proptest::prelude::*;
use sip_arith::{Arith, Native, max_total};
use sip_graph::{Buffer, Executor, ExecutorOptions, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::tables::inference_tables;
use sip_model::{Decoder, GenerateError, Generator, LlamaConfig, Sampler, Sampling, Variant, logits_graph, params};
use std::sync::Arc;

fn config(seed: u64, max_seq_len: usize) -> LlamaConfig {
    let mut random = Random(seed);
    let mut pick = |choices: &[usize]| choices[random.below(choices.len() as u64) as usize];
    let num_kv_heads = pick(&[1, 2, 3]);
    let num_heads = num_kv_heads * pick(&[1, 2, 3]);
    LlamaConfig {
        vocab_size: pick(&[7, 33, 130]),
        hidden_size: num_heads * pick(&[2, 6, 10, 16]),
        intermediate_size: pick(&[5, 24, 61]),
        num_layers: pick(&[1, 2, 3]),
        num_heads,
        num_kv_heads,
        max_seq_len,
        tie_embeddings: pick(&[0, 1]) == 0,
        variant: Variant {
            query_bias: pick(&[0, 1]) == 0,
            output_bias: pick(&[0, 1]) == 0,
            mlp_bias: pick(&[0, 1]) == 0,
            head_norm: pick(&[0, 1]) == 0,
            window: Some(pick(&[0, 1, 3, 8])).filter(|&window| window > 0),
        },
        ..LlamaConfig::preset("tiny").expect("preset")
    }
}

/// Knuth's linear congruential generator; its high bits are the good ones.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From −1 to 1.
    fn value(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }
}

fn weights(config: &LlamaConfig, seed: u64) -> Vec<Buffer> {
    let mut random = Random(seed);
    let mut buffer = |len: usize, scale: f32| -> Buffer {
        let values: Vec<f32> = (0..len).map(|_| random.value() * scale).collect();
        Buffer::from(values.as_slice())
    };
    params(config).iter().map(|spec| buffer(spec.len(), if spec.decay { 0.7 } else { 2.0 })).collect()
}

fn tokens(config: &LlamaConfig, count: usize, seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    (0..count).map(|_| random.below(config.vocab_size as u64) as u32).collect()
}

/// The full forward pass over all tokens: the logits after the last.
fn full(config: &LlamaConfig, weights: &[Buffer], tokens: &[u32]) -> Vec<u32> {
    let graph = Arc::new(logits_graph(config, tokens.len()).expect("graph"));
    let mut executor = Executor::new(graph, Arc::new(Threads::new(1)), ExecutorOptions::default());
    let tables = inference_tables(config, tokens.len());
    let step = tokens.len() as u32 - 1;
    executor
        .run(&Inputs { state: weights, batch: tokens, step, tables: &tables, settings: &[] }, &mut [], None)
        .expect("run");
    executor.result("logits").expect("logits").to_vec()
}

fn decoder(config: &LlamaConfig, weights: &[Buffer], threads: usize, simd: Simd) -> Decoder {
    let threads = Arc::new(Threads::new(threads));
    Decoder::new(config, weights.to_vec(), config.max_seq_len, threads, simd).expect("decoder")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cached_decoding_equals_the_full_forward_pass(
        seed in any::<u64>(),
        parts in proptest::collection::vec(1usize..20, 1..8),
        level in 0usize..Simd::ALL.len(),
        threads in 1usize..4,
    ) {
        let total: usize = parts.iter().sum();
        let config = config(seed, total + (seed % 3) as usize);
        let (weights, tokens) = (weights(&config, seed), tokens(&config, total, seed));
        let mut decoder = decoder(&config, &weights, threads, Simd::ALL[level]);
        let mut fed = 0;
        for part in parts {
            let found = decoder.feed(&tokens[fed..fed + part]).expect("logits").to_vec();
            fed += part;
            prop_assert_eq!(found, full(&config, &weights, &tokens[..fed]), "{} tokens of {:?}", fed, &config);
        }
    }
}

#[test]
fn long_contexts_and_several_chunks_equal_the_full_forward_pass() {
    for (seed, simd) in (3..).zip(Simd::ALL) {
        let config = config(seed, 700);
        let (weights, tokens) = (weights(&config, seed), tokens(&config, 700, seed));
        let mut decoder = decoder(&config, &weights, 2, simd);
        let mut fed = 0;
        // Chunks that end inside and at the end of steps of the span; one token at a time across such an end.
        for part in [300, 19, 1, 1, 1, 126, 128, 62, 1, 1, 59, 1] {
            let found = decoder.feed(&tokens[fed..fed + part]).expect("logits").to_vec();
            fed += part;
            assert_eq!(found, full(&config, &weights, &tokens[..fed]), "{fed} tokens, {simd}");
        }
        assert_eq!((decoder.len(), decoder.context()), (700, 700));
        // What was forgotten does not matter, nor what stands in the cache behind the end.
        decoder.truncate(40);
        let found = decoder.feed(&tokens[..3]).expect("logits").to_vec();
        let seen: Vec<u32> = tokens[..40].iter().chain(&tokens[..3]).copied().collect();
        assert_eq!(found, full(&config, &weights, &seen));
    }
}

#[test]
fn log_likelihoods_are_those_of_the_logits_by_definition() {
    for seed in 0..6 {
        let config = config(seed, 150);
        let (weights, tokens) = (weights(&config, seed), tokens(&config, 150, seed));
        let mut scored = decoder(&config, &weights, 2, Simd::detect());
        scored.feed(&tokens[..5]).expect("logits");
        let found = scored.log_likelihoods(&tokens[5..149], &tokens[6..]).expect("log-likelihoods");
        let mut single = decoder(&config, &weights, 1, Simd::Scalar);
        single.feed(&tokens[..5]).expect("logits");
        for (at, found) in (5..149).zip(found) {
            let logits = single.feed(&tokens[at..=at]).expect("logits");
            let greatest = logits.iter().copied().reduce(max_total).expect("a logit");
            let power = |&logit: &u32| sip_ops::exp::<Native>(Native::sub(logit, greatest));
            let sum = logits.iter().fold(0, |sum, logit| Native::add(sum, power(logit)));
            let difference = Native::sub(greatest, logits[tokens[at + 1] as usize]);
            let loss = Native::add(sip_ops::log::<Native>(sum), difference);
            assert_eq!(found.to_bits(), (-f32::from_bits(loss)).to_bits(), "token {at}");
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let config = config(1, 20);
    let (weights, tokens) = (weights(&config, 1), tokens(&config, 20, 1));
    let mut decoder = decoder(&config, &weights, 1, Simd::detect());
    assert!(matches!(decoder.feed(&[]), Err(GenerateError::EmptyPrompt)));
    decoder.feed(&tokens[..15]).expect("logits");
    let error = decoder.feed(&tokens[..6]).expect_err("six more do not fit").to_string();
    assert!(error.contains("6 more tokens do not fit behind 15 in a context of 20"), "{error}");
    let unknown = config.vocab_size as u32;
    assert!(matches!(decoder.feed(&[unknown]), Err(GenerateError::Token { .. })));
    assert!(matches!(decoder.log_likelihoods(&[0], &[unknown]), Err(GenerateError::Token { .. })));
    assert!(decoder.log_likelihoods(&[0, 0], &[0]).is_err());
    assert_eq!(decoder.len(), 15);
    let found = decoder.feed(&tokens[15..]).expect("logits").to_vec();
    assert_eq!(found, full(&config, &weights, &tokens));

    let build = |weights: &[Buffer], context| {
        Decoder::new(&config, weights.to_vec(), context, Arc::new(Threads::new(1)), Simd::detect()).err()
    };
    assert!(build(&weights, 0).is_some() && build(&weights, 21).is_some());
    assert!(matches!(build(&weights[1..], 20), Some(GenerateError::Weights { .. })));
    let mut broken = weights.clone();
    let last = broken.len() - 1;
    broken[last].fill(f32::INFINITY.to_bits());
    let mut decoder = Decoder::new(&config, broken, 20, Arc::new(Threads::new(1)), Simd::detect()).expect("decoder");
    assert!(matches!(decoder.feed(&[0]), Err(GenerateError::Head(_) | GenerateError::Layer { .. })));
}

#[test]
fn a_full_context_forgets_its_front_half() {
    let config = config(2, 8);
    let (weights, tokens) = (weights(&config, 2), tokens(&config, 12, 2));
    let mut generator = Generator::new(&config, weights.clone(), Arc::new(Threads::new(1))).expect("generator");
    // A prompt of any length fits: its end counts.
    assert_eq!(generator.prompt(&tokens).expect("logits"), full(&config, &weights, &tokens[4..]));
    assert_eq!(generator.forgotten(), 4);
    assert_eq!(generator.prompt(&tokens[..7]).expect("logits"), full(&config, &weights, &tokens[..7]));
    assert_eq!(generator.next(tokens[7]).expect("logits"), full(&config, &weights, &tokens[..8]));
    assert_eq!(generator.next(tokens[8]).expect("logits"), full(&config, &weights, &tokens[5..9]));
    assert_eq!(generator.next(tokens[9]).expect("logits"), full(&config, &weights, &tokens[5..10]));
    assert_eq!(generator.forgotten(), 5);
}

#[test]
fn generating_is_drawing_from_the_logits_one_by_one() {
    let config = config(4, 40);
    let (weights, prompt) = (weights(&config, 4), tokens(&config, 5, 4));
    let sampling = Sampling { temperature: 0.9, top_k: 20, top_p: 0.9, repetition_penalty: 1.3 };
    let mut generator = Generator::new(&config, weights.clone(), Arc::new(Threads::new(2))).expect("generator");
    let mut seen = Vec::new();
    let mut on_token = |token| {
        seen.push(token);
        seen.len() < 25
    };
    let found = generator.generate(&prompt, 30, &mut Sampler::new(sampling, 9), &mut on_token).expect("tokens");
    assert_eq!(found, seen);
    assert_eq!(found.len(), 25);
    let mut sampler = Sampler::new(sampling, 9);
    sampler.start(&prompt);
    let mut tokens = prompt;
    for token in found {
        assert_eq!(token, sampler.draw(&full(&config, &weights, &tokens)));
        tokens.push(token);
    }
}

#[test]
fn a_vocabulary_of_more_rows_than_a_chain_has_terms_is_scored_by_definition() {
    let base = LlamaConfig::preset("tiny").expect("preset");
    let config = LlamaConfig {
        vocab_size: (1 << 16) + 1,
        hidden_size: 4,
        num_heads: 2,
        num_kv_heads: 1,
        num_layers: 1,
        max_seq_len: 8,
        ..base
    };
    let mut random = Random(9);
    let weights: Vec<Buffer> = params(&config)
        .iter()
        .map(|spec| {
            let values: Vec<f32> = (0..spec.len()).map(|_| random.below(2000) as f32 / 1000.0 - 1.0).collect();
            Buffer::from(&values[..])
        })
        .collect();
    let mut decoder = Decoder::new(&config, weights, 8, Arc::new(Threads::new(1)), Simd::detect()).expect("decoder");
    let tokens = [65_536, 3, 0];
    let found = decoder.log_likelihoods(&tokens[..2], &tokens[1..]).expect("likelihoods");
    for (at, found) in found.into_iter().enumerate() {
        decoder.truncate(0);
        let logits: Vec<f64> =
            decoder.feed(&tokens[..=at]).expect("logits").iter().map(|&bits| f64::from(f32::from_bits(bits))).collect();
        let greatest = logits.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
        let expected = logits[tokens[at + 1] as usize] - greatest - sum.ln();
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} {expected}");
    }
}

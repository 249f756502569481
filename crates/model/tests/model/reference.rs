//! The graphs against an independent model: plain loops in f64 that share nothing with the operators.

use sip_graph::{AdamW, Buffer, Executor, ExecutorOptions, Inputs};
use sip_kernels::Threads;
use sip_model::{
    LlamaConfig, Objective, Schedule, Shape, Trained, eval_graph, gradient_graph, logits_graph, params, tables,
};
use std::sync::Arc;

/// Mean cross-entropy per row, and the logits of every position, of a Llama with these weights.
fn reference(
    config: &LlamaConfig,
    weights: &[Vec<f64>],
    batch: &[u32],
    rows: usize,
    len: usize,
) -> (Vec<f64>, Vec<f64>) {
    let (hidden, heads, groups) = (config.hidden_size, config.num_heads, config.num_kv_heads);
    let width = hidden / heads;
    let mut logits_of_all = Vec::new();
    let mut losses = Vec::new();
    for row in 0..rows {
        let tokens = &batch[row * (len + 1)..(row + 1) * (len + 1)];
        let mut weight = weights.iter();
        let embedding = weight.next().unwrap();
        let mut x: Vec<Vec<f64>> =
            tokens[..len].iter().map(|&t| embedding[t as usize * hidden..(t as usize + 1) * hidden].to_vec()).collect();
        for _ in 0..config.num_layers {
            let norm = weight.next().unwrap();
            let [wq, wk, wv, wo] = [(); 4].map(|()| weight.next().unwrap());
            let h: Vec<Vec<f64>> = x.iter().map(|x| rms(x, norm, config)).collect();
            let q: Vec<Vec<f64>> = h.iter().enumerate().map(|(t, h)| rope(times(wq, h), t, width, config)).collect();
            let k: Vec<Vec<f64>> = h.iter().enumerate().map(|(t, h)| rope(times(wk, h), t, width, config)).collect();
            let v: Vec<Vec<f64>> = h.iter().map(|h| times(wv, h)).collect();
            for t in 0..len {
                let mut mixed = vec![0.0; hidden];
                for head in 0..heads {
                    let group = head / (heads / groups);
                    let scores: Vec<f64> = (0..=t)
                        .map(|s| (0..width).map(|i| q[t][head * width + i] * k[s][group * width + i]).sum::<f64>())
                        .map(|score| (score / (width as f64).sqrt()).exp())
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    for (s, score) in scores.iter().enumerate() {
                        for i in 0..width {
                            mixed[head * width + i] += score / sum * v[s][group * width + i];
                        }
                    }
                }
                add(&mut x[t], &times(wo, &mixed));
            }
            let norm = weight.next().unwrap();
            let [gate, up, down] = [(); 3].map(|()| weight.next().unwrap());
            for x in &mut x {
                let h = rms(x, norm, config);
                let (gate, up) = (times(gate, &h), times(up, &h));
                let active: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
                let out = times(down, &active);
                add(x, &out);
            }
        }
        let norm = weight.next().unwrap();
        let head = weight.next().unwrap_or(embedding);
        let mut loss = 0.0;
        for t in 0..len {
            let logits = times(head, &rms(&x[t], norm, config));
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            loss += sum.ln() - logits[tokens[t + 1] as usize];
            logits_of_all.extend(logits);
        }
        losses.push(loss / len as f64);
    }
    (losses, logits_of_all)
}

fn rms(x: &[f64], gain: &[f64], config: &LlamaConfig) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let root = (mean + config.rms_norm_eps as f64).sqrt();
    x.iter().zip(gain).map(|(x, g)| x / root * g).collect()
}

/// W x with W [out, in].
fn times(w: &[f64], x: &[f64]) -> Vec<f64> {
    w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// As `rotate_half` in `transformers`: x · cos + concat(−second half, first half) · sin.
fn rope(x: Vec<f64>, position: usize, width: usize, config: &LlamaConfig) -> Vec<f64> {
    let mut out = x.clone();
    for head in 0..x.len() / width {
        for i in 0..width {
            let pair = i % (width / 2);
            let angle = position as f64 / (config.rope_theta as f64).powf(2.0 * pair as f64 / width as f64);
            let at = |i: usize| x[head * width + i];
            let other = if i < width / 2 { -at(i + width / 2) } else { at(i - width / 2) };
            out[head * width + i] = at(i) * angle.cos() + other * angle.sin();
        }
    }
    out
}

fn config(num_kv_heads: usize, tie_embeddings: bool) -> LlamaConfig {
    LlamaConfig {
        vocab_size: 11,
        hidden_size: 16,
        intermediate_size: 12,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads,
        head_dim: None,
        max_seq_len: 6,
        rms_norm_eps: 1e-5,
        rope_theta: 100.0,
        rope_scaling: None,
        tie_embeddings,
        variant: sip_model::Variant::default(),
    }
}

/// Weights large enough that attention and gates are far from linear.
fn weights(config: &LlamaConfig) -> Vec<Vec<f64>> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / (1u64 << 23) as f64 - 1.0) as f32 as f64
    };
    params(config)
        .iter()
        .map(|p| (0..p.len()).map(|_| if p.shape.len() == 1 { 1.0 + 0.3 * next() } else { 0.7 * next() }).collect())
        .map(|w: Vec<f64>| w.iter().map(|&w| w as f32 as f64).collect())
        .collect()
}

fn buffers(weights: &[Vec<f64>]) -> Vec<Buffer> {
    weights.iter().map(|w| Buffer::from(w.iter().map(|&w| w as f32).collect::<Vec<f32>>().as_slice())).collect()
}

const ROWS: usize = 2;
const LEN: usize = 6;
const BATCH: [u32; ROWS * (LEN + 1)] = [1, 5, 5, 10, 0, 3, 2, 9, 9, 1, 4, 5, 6, 7];

fn all_tables(config: &LlamaConfig) -> Vec<Buffer> {
    let schedule =
        Schedule { peak_rate: 1e-3, warmup_steps: 1, total_steps: 2, final_share: 0.1, shape: Shape::Cosine };
    tables(config, LEN, &AdamW::default(), &schedule)
}

fn run(graph: sip_graph::Graph, config: &LlamaConfig, batch: &[u32], step: u32) -> Executor {
    let threads = Arc::new(Threads::new(2));
    let mut executor = Executor::new(Arc::new(graph), threads, ExecutorOptions::default());
    let (state, tables) = (buffers(&weights(config)), all_tables(config));
    executor.run(&Inputs { state: &state, batch, step, tables: &tables, settings: &[] }, &mut [], None).expect("run");
    executor
}

fn result(executor: &Executor, name: &str) -> Vec<f64> {
    executor.result(name).expect(name).iter().map(|&bits| f32::from_bits(bits) as f64).collect()
}

#[test]
fn losses_equal_the_reference() {
    for (kv_heads, tied) in [(4, true), (2, false), (1, true)] {
        let config = config(kv_heads, tied);
        let executor = run(eval_graph(&config, ROWS, LEN).expect("graph"), &config, &BATCH, 0);
        let (rows, _) = reference(&config, &weights(&config), &BATCH, ROWS, LEN);
        for (found, expected) in result(&executor, "row_loss").iter().zip(&rows) {
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
        let mean = rows.iter().sum::<f64>() / ROWS as f64;
        assert!((result(&executor, "loss")[0] - mean).abs() < 1e-4);
    }
}

#[test]
fn logits_equal_the_reference_at_every_position() {
    let config = config(2, true);
    let (_, all) = reference(&config, &weights(&config), &BATCH[..LEN + 1], 1, LEN);
    for position in 0..LEN {
        // What stands behind the position must not matter.
        let mut window = BATCH[..LEN].to_vec();
        window[position + 1..].fill(0);
        let graph = logits_graph(&config, LEN).expect("graph");
        let found = result(&run(graph, &config, &window, position as u32), "logits");
        for (found, expected) in found.iter().zip(&all[position * config.vocab_size..]) {
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} instead of {expected}");
        }
    }
}

#[test]
fn every_gradient_equals_a_difference_of_the_reference() {
    for (kv_heads, tied) in [(4, true), (2, false)] {
        let config = config(kv_heads, tied);
        let executor = run(
            gradient_graph(&config, ROWS, LEN, &Trained::Weights, &Objective::NextToken).expect("graph"),
            &config,
            &BATCH,
            0,
        );
        let start = weights(&config);
        for (number, spec) in params(&config).iter().enumerate() {
            let found = result(&executor, &format!("gradient.{}", spec.name));
            assert_eq!(found.len(), spec.len());
            for element in 0..spec.len() {
                let step = 1e-5;
                let mut around = [0.0; 2];
                for (value, sign) in around.iter_mut().zip([1.0, -1.0]) {
                    let mut moved = start.clone();
                    moved[number][element] += sign * step;
                    *value = reference(&config, &moved, &BATCH, ROWS, LEN).0.iter().sum::<f64>() / ROWS as f64;
                }
                let expected = (around[0] - around[1]) / (2.0 * step);
                let found = found[element];
                assert!(
                    (found - expected).abs() < 2e-5 * (1.0 + expected.abs()),
                    "{} element {element}: {found} instead of {expected}",
                    spec.name
                );
            }
        }
    }
}

//! One training step of our engine beside candle's: the same model, weights, batch and threads, in turns in one run.

mod engine;
mod rival;
mod size;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cpu_time::ProcessTime;
use engine::Engine;
use rival::Rival;
use serde_json::{Value, json};
use sip_graph::AdamW;
use sip_kernels::{MAX_THREADS, Simd, Threads};
use sip_model::init;
use size::{Shape, Size};
use std::sync::Arc;
use std::time::Instant;

/// Learning rate of both.
const RATE: f64 = 1e-3;
/// Steps on one batch from equal weights, before anything is measured.
const AGREEMENT_STEPS: usize = 6;
/// Greatest relative difference of their losses.
const TOLERANCE: f32 = 1e-3;

/// Training speed of this engine beside candle, in tokens per second.
#[derive(Parser)]
struct Options {
    /// What is trained.
    #[arg(long, value_enum, default_value = "small")]
    size: Size,
    /// Measurements of each side; medians are reported.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// Steps per measurement.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: u32,
    /// Threads of each side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_THREADS as i64))]
    threads: u32,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    /// Also reports where our time goes, by kind and shape of node.
    #[arg(long)]
    profile: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    // SAFETY: no other thread runs yet. candle has no other way to be told its number of threads.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", options.threads.to_string()) };
    let shape = options.size.shape().context("the model crate lacks a preset of this size")?;
    let threads = Arc::new(Threads::new(options.threads as usize));
    let report = measure(&options, &shape, &threads)?;
    if options.json {
        println!("{report:#}")
    } else {
        print(&report)
    }
    Ok(())
}

fn measure(options: &Options, shape: &Shape, threads: &Arc<Threads>) -> Result<Value> {
    let optimizer = AdamW::default();
    let state = init(&shape.config, 1, threads)?;
    let turns = 1 + options.pairs as usize + usize::from(options.profile);
    let total_steps = AGREEMENT_STEPS + turns * options.steps as usize;
    let mut rival = Rival::new(shape, &optimizer, RATE, &state)?;
    let mut engine = Engine::new(shape, &optimizer, RATE, total_steps, threads, state)?;
    let losses = agree(shape, &mut engine, &mut rival)?;

    let mut seed = 0;
    // Fresh tokens: a memorised batch has tiny gradients, which are not what training looks like.
    let mut batches = || -> Vec<Vec<u32>> {
        (0..options.steps)
            .map(|_| {
                seed += 1;
                shape.tokens_of(seed)
            })
            .collect()
    };
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for pair in 0..=options.pairs {
        let batches = batches();
        let own_time = Sample::of(&batches, |batch| engine.step(batch))?;
        let other_time = Sample::of(&batches, |batch| Ok(rival.step(batch, shape.batch)?))?;
        // The first pair warms both up.
        if pair > 0 {
            own.push(own_time);
            other.push(other_time);
        }
    }
    let profile = if options.profile {
        engine.start_profile();
        for batch in &batches() {
            engine.step(batch)?;
        }
        profile(&engine, options.steps)
    } else {
        Value::Null
    };
    let side = |samples: &[Sample]| {
        let seconds = median(samples.iter().map(|sample| sample.seconds));
        let cpu_seconds = median(samples.iter().map(|sample| sample.cpu_seconds));
        let tokens_per_second = shape.tokens() as f64 / seconds;
        json!({ "step_ms": seconds * 1e3, "step_cpu_ms": cpu_seconds * 1e3, "tokens_per_second": tokens_per_second })
    };
    let ratio = |of: fn(&Sample) -> f64| median(own.iter().zip(&other).map(|(own, other)| of(other) / of(own)));
    Ok(json!({
        "parameters": shape.parameters(),
        "batch": shape.batch,
        "seq_len": shape.seq_len,
        "threads": threads.count(),
        "pairs": options.pairs,
        "steps_per_measurement": options.steps,
        "simd": format!("{:?}", Simd::detect()),
        "losses": losses.iter().map(|&(own, other)| json!({ "sip": own, "candle": other })).collect::<Vec<_>>(),
        "sip": side(&own),
        "candle": side(&other),
        "ratio": ratio(|sample| sample.seconds),
        "cpu_ratio": ratio(|sample| sample.cpu_seconds),
        "profile": profile,
    }))
}

/// Trains both on one batch from equal weights; they must give the same losses, and learn.
fn agree(shape: &Shape, engine: &mut Engine, rival: &mut Rival) -> Result<Vec<(f32, f32)>> {
    let batch = shape.tokens_of(0);
    let mut losses = Vec::new();
    for step in 0..AGREEMENT_STEPS {
        let (own, other) = (engine.step(&batch)?, rival.step(&batch, shape.batch)?);
        let difference = (own - other).abs() / other.abs();
        ensure!(
            difference <= TOLERANCE,
            "step {step}: our loss is {own}, candle's {other}; they compute different steps"
        );
        losses.push((own, other));
    }
    let (first, last) = (losses[0], losses[AGREEMENT_STEPS - 1]);
    ensure!(last.0 < first.0 && last.1 < first.1, "the losses do not fall on one batch: {first:?}, then {last:?}");
    Ok(losses)
}

/// Milliseconds of a step per kind and shape of node.
fn profile(engine: &Engine, steps: u32) -> Value {
    let shapes = engine.profile();
    let total: f64 = shapes.iter().map(|shape| shape.time.as_secs_f64()).sum();
    let line = |shape: &engine::ShapeTime| {
        let seconds = shape.time.as_secs_f64();
        json!({
            "shape": shape.label,
            "nodes": shape.nodes,
            "step_ms": seconds * 1e3 / steps as f64,
            "share": seconds / total,
            "billion_terms_per_second": shape.terms as f64 * steps as f64 / seconds / 1e9,
        })
    };
    shapes.iter().map(line).collect()
}

/// Time of a step, the mean of one measurement.
struct Sample {
    seconds: f64,
    /// Of all threads together: it does not grow while other programs hold the cores.
    cpu_seconds: f64,
}

impl Sample {
    fn of(batches: &[Vec<u32>], mut step: impl FnMut(&[u32]) -> Result<f32>) -> Result<Sample> {
        let (started, cpu_started) = (Instant::now(), ProcessTime::now());
        for batch in batches {
            step(batch)?;
        }
        let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_started.elapsed().as_secs_f64());
        let steps = batches.len() as f64;
        Ok(Sample { seconds: seconds / steps, cpu_seconds: cpu_seconds / steps })
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

fn print(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    println!(
        "{:.1} million parameters, batch {} x {}, {} thread(s), medians of {} pairs of {} step(s)",
        number(&report["parameters"]) / 1e6,
        report["batch"],
        report["seq_len"],
        report["threads"],
        report["pairs"],
        report["steps_per_measurement"],
    );
    for (step, losses) in report["losses"].as_array().into_iter().flatten().enumerate() {
        println!("loss at step {step}: sip {:.5}  candle {:.5}", number(&losses["sip"]), number(&losses["candle"]));
    }
    for side in ["sip", "candle"] {
        let side_report = &report[side];
        println!(
            "{side:<7}{:>10.0} tokens/s {:>10.2} ms per step, {:.2} ms of processor time",
            number(&side_report["tokens_per_second"]),
            number(&side_report["step_ms"]),
            number(&side_report["step_cpu_ms"]),
        );
    }
    println!(
        "ratio  {:>10.2} (median over pairs of candle's time by ours); {:.2} of processor time",
        number(&report["ratio"]),
        number(&report["cpu_ratio"]),
    );
    for shape in report["profile"].as_array().into_iter().flatten() {
        println!(
            "{:>6.1} % {:>8.3} ms {:>3} nodes {:>7.2} G terms/s  {}",
            number(&shape["share"]) * 100.0,
            number(&shape["step_ms"]),
            shape["nodes"],
            number(&shape["billion_terms_per_second"]),
            shape["shape"].as_str().unwrap_or_default(),
        );
    }
}

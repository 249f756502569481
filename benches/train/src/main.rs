//! One training step of our engine beside those of others: the same model, weights, batches and threads, in turns.

mod burn;
mod candle;
mod compare;
mod engine;
mod llm_c;
mod machine;
mod report;
mod side;
mod size;

use anyhow::{Context, Result};
use clap::Parser;
use compare::Plan;
use serde_json::{Value, json};
use side::{Programs, Side};
use sip_graph::AdamW;
use sip_kernels::{MAX_THREADS, Threads};
use size::Size;
use std::sync::Arc;

/// Training speed and memory of this engine beside others.
#[derive(Parser)]
struct Options {
    /// What is trained.
    #[arg(long, value_enum, default_value = "small")]
    size: Size,
    /// Threads of each side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_THREADS as i64))]
    threads: u32,
    /// Whom to compare with.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "candle,burn")]
    rivals: Vec<Side>,
    /// Most pairs of measurements per rival; medians are reported.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// Steps per measurement.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: u32,
    /// No further pair begins after this many seconds with a rival, once there are two.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Measures everything: sizes 12m and 124m, one and two threads, all rivals that are there, in about ten minutes.
    #[arg(long)]
    all: bool,
    /// Measures one side alone.
    #[arg(long, value_enum, conflicts_with = "all")]
    only: Option<Side>,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    /// Reports where our own time goes instead, by kind and shape of node.
    #[arg(long, conflicts_with_all = ["all", "only"])]
    profile: bool,
    #[command(flatten)]
    programs: Programs,
    /// Trains when told to; this program starts itself so.
    #[arg(long, value_enum, hide = true)]
    serve: Option<Side>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(side) = options.serve {
        return side::serve(side, &options.size.shape().context(NO_PRESET)?, options.threads);
    }
    if options.profile {
        return print(&options, &profile(&options)?);
    }
    let plan = |size, threads, steps, seconds| Plan {
        size,
        threads,
        rivals: options.rivals.clone(),
        pairs: options.pairs,
        steps,
        seconds,
    };
    let plans: Vec<Plan> = if options.all {
        // (size, steps per measurement, seconds per rival and thread)
        let of = |(size, steps, seconds): (Size, u32, u32)| {
            let rivals = compare::available(size, &options.programs);
            [2, 1].map(|threads| Plan { rivals: rivals.clone(), ..plan(size, threads, steps, seconds) })
        };
        [(Size::TwelveMillion, 2, 15), (Size::Gpt2, 1, 30)].into_iter().flat_map(of).collect()
    } else {
        vec![plan(options.size, options.threads, options.steps, options.seconds)]
    };
    let mut reports = Vec::new();
    for plan in &plans {
        eprintln!("{} with {} thread(s)", plan.size.name(), plan.threads);
        reports.push(compare::run(plan, options.only, &options.programs)?);
    }
    let report = if options.all { Value::from(reports) } else { reports.remove(0) };
    print(&options, &report)
}

const NO_PRESET: &str = "the model crate lacks a preset of this size";

fn print(options: &Options, report: &Value) -> Result<()> {
    if options.json {
        println!("{report:#}");
    } else {
        report::print(report);
    }
    Ok(())
}

/// Milliseconds of a step per kind and shape of node.
fn profile(options: &Options) -> Result<Value> {
    let shape = options.size.shape().context(NO_PRESET)?;
    let threads = Arc::new(Threads::new(options.threads as usize));
    let state = sip_model::init(&shape.config, 1, &threads)?;
    let mut engine = engine::Engine::new(&shape, &AdamW::default(), side::RATE, &threads, state)?;
    engine.step(&shape.tokens_of(0))?;
    engine.start_profile();
    for seed in 1..=options.steps {
        engine.step(&shape.tokens_of(seed.into()))?;
    }
    let shapes = engine.profile();
    let total: f64 = shapes.iter().map(|shape| shape.time.as_secs_f64()).sum();
    let line = |shape: &engine::ShapeTime| {
        let seconds = shape.time.as_secs_f64();
        json!({
            "shape": shape.label,
            "nodes": shape.nodes,
            "step_ms": seconds * 1e3 / options.steps as f64,
            "share": seconds / total,
            "billion_terms_per_second": shape.terms as f64 * options.steps as f64 / seconds / 1e9,
        })
    };
    Ok(json!({
        "size": options.size.name(),
        "threads": options.threads,
        "step_ms": total * 1e3 / options.steps as f64,
        "profile": shapes.iter().map(line).collect::<Vec<Value>>(),
    }))
}

//! What compressed updates cost, measured on this machine:
//! `cargo run --release -p sip-node --example update_cost [preset] [rows] [sequence] [chunk] [keep]`.
//!
//! Prints times of a training step and of the three graphs, the memory that these need between their inputs and outputs, and how many
//! bytes a round exchanges for a weight.

use sip_graph::{AdamW, Buffer, DoubleState, Executor, ExecutorOptions, Graph, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Outer, Schedule, Shape, TrainConfig, UpdateCodec, init, tables, training_graph};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Updates of the aggregate that is measured.
const UPDATES: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or("base".into());
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rows, sequence, chunk, keep) = (number(8)?, number(256)?, number(32)?, number(8)?);
    let preset = LlamaConfig::preset(&preset).ok_or("unknown preset; expected tiny, small, medium, base or large")?;
    let config = LlamaConfig { max_seq_len: sequence, ..preset };
    let threads = Arc::new(Threads::from_environment()?);
    let options = ExecutorOptions { simd: Simd::from_environment()?, ..ExecutorOptions::default() };
    let codec = UpdateCodec { chunk, keep, outer: Outer::Nesterov { rate: 0.7, momentum: 0.9 } };

    let start = init(&config, 1, &threads)?;
    let weights: Vec<usize> = start[..start.len() / 3].iter().map(|entry| entry.len()).collect();
    let parameters: usize = weights.iter().sum();
    println!("{parameters} weights, {} threads, {}", threads.count(), options.simd);

    let (total_steps, optimizer) = (100, AdamW::default());
    let train = TrainConfig { batch: rows, seq_len: sequence, total_steps, optimizer };
    let schedule = Schedule { peak_rate: 1e-3, warmup_steps: 1, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, sequence, &optimizer, &schedule);
    let tokens = (0..rows * (sequence + 1)).map(|n| (n * n % config.vocab_size) as u32).collect::<Vec<u32>>();
    let mut executor = Executor::new(Arc::new(training_graph(&config, &train)?.graph), Arc::clone(&threads), options);
    let mut state = DoubleState::new(start.clone());
    let inputs = |step: u32| Inputs { state: &[], batch: &tokens, step, tables: &tables, settings: &[] };
    executor.step(&mut state, &inputs(0), None)?;
    let started = Instant::now();
    for step in 1..4 {
        executor.step(&mut state, &inputs(step), None)?;
    }
    let step = started.elapsed() / 3;
    println!("a training step {step:?}, {:.1} MB between its inputs and outputs", megabytes(executor.arena_bytes()));
    drop(executor);

    let empty = |lengths: &[usize]| lengths.iter().map(|&len| Buffer::new(len)).collect::<Vec<Buffer>>();
    let mut inputs = empty(&codec.update_lengths(&weights));
    inputs.extend_from_slice(&start);
    inputs.extend(state.into_entries());
    let (mut update, time) = measure("the update", codec.update_graph(&weights)?, &inputs, &threads, options)?;
    drop(inputs);
    println!("  {:.3} % of 50 steps", 100.0 * time.as_secs_f64() / (50.0 * step.as_secs_f64()));
    let zeros = empty(&codec.base_lengths(&weights));
    let base: Vec<Buffer> = start.iter().take(weights.len()).chain(&zeros[weights.len()..]).cloned().collect();
    drop(start);
    let inputs = [&base[..], &update].concat();
    measure("the start", codec.start_graph(&weights)?, &inputs, &threads, options)?;
    // Of the others' updates nobody reads more than what is told.
    update[codec.told_entries(weights.len())..].fill(Buffer::new(0));
    let inputs = [base, vec![update.clone(); UPDATES].concat()].concat();
    let graph = codec.aggregate_graph(&weights, UPDATES)?;
    measure(&format!("the base of {UPDATES} updates"), graph, &inputs, &threads, options)?;
    let started = Instant::now();
    for count in 1..=16 {
        codec.aggregate_graph(&weights, count)?;
    }
    println!("building the graphs over 1 to 16 updates {:?}", started.elapsed());
    let told: usize = update[..codec.told_entries(weights.len())].iter().map(|entry| entry.len() * 4).sum();
    println!("told: {told} bytes, {:.4} a weight; a whole state has 12", told as f64 / parameters as f64);
    Ok(())
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Runs a graph, and says how long planning and the best of three runs took.
fn measure(
    name: &str,
    graph: Graph,
    inputs: &[Buffer],
    threads: &Arc<Threads>,
    options: ExecutorOptions,
) -> Result<(Vec<Buffer>, Duration), Box<dyn std::error::Error>> {
    let graph = Arc::new(graph);
    let largest = graph.nodes().iter().map(|node| node.len() * 4).max().unwrap_or(0);
    let started = Instant::now();
    let mut executor = Executor::new(Arc::clone(&graph), Arc::clone(threads), options);
    let planned = started.elapsed();
    let length = |&node: &u32| Buffer::new(graph.nodes()[node as usize].len());
    let mut next: Vec<Buffer> = graph.state_outputs().iter().map(length).collect();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        executor.run(&Inputs { state: inputs, batch: &[], step: 0, tables: &[], settings: &[] }, &mut next, None)?;
        best = best.min(started.elapsed());
    }
    println!(
        "{name}: {} nodes, planned in {planned:?}, run in {best:?}, {:.1} MB between (largest tensor {:.1} MB)",
        graph.nodes().len(),
        megabytes(executor.arena_bytes()),
        megabytes(largest)
    );
    Ok((next, best))
}

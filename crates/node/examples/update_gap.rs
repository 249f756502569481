//! What compressed updates cost in quality: the demo's model trained by three trainers on the shipped texts, once with whole states
//! averaged and once with each codec, from the same start and on the same batches:
//! `cargo run --release -p sip-node --example update_gap [rounds] [steps] [run…]`.
//!
//! A run is `whole`, `usual`, `chunk,keep` or `chunk,keep,rate,momentum`. Prints the held-out loss after every round, and what a trainer told in it.

use sip_data::{Corpus, DomainTokens, Mixture, TokenBlob};
use sip_graph::AdamW;
use sip_kernels::{Simd, Threads};
use sip_model::tokenizer::{DOCUMENT_ID, Tokenizer};
use sip_model::{
    LlamaConfig, Outer, Schedule, Shape, TrainConfig, UpdateCodec, init, init_base_graph, tables, training_graph,
};
use sip_node::{SegmentTask, State, Task, Updates, Worker, aggregate, compute, scoring};
use std::error::Error;
use std::sync::Arc;

const TRAINERS: u8 = 3;
const ROWS: u32 = 4;
const SEED: u64 = 0;
/// Held-out windows of each domain.
const WINDOWS: u32 = 64;
/// Bytes of each text.
const TEXT_BYTES: usize = 4_000_000;

/// What all runs have in common.
struct Setting {
    config: LlamaConfig,
    worker: Worker,
    scorer: Worker,
    rounds: u32,
    threads: Arc<Threads>,
    simd: Simd,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u32| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rounds, steps) = (number(12)?, number(50)?);
    let mut runs: Vec<String> = arguments.collect();
    if runs.is_empty() {
        runs = vec!["whole".into(), "usual".into()];
    }
    let mut setting = setting(rounds, steps)?;
    let mut of_whole = None;
    for run in runs {
        if run == "whole" {
            of_whole = Some(whole(&mut setting)?);
            continue;
        }
        let loss = compressed(&mut setting, codec(&run)?)?;
        if let Some(of_whole) = of_whole {
            println!("gap {:+.2} %", 100.0 * (loss / of_whole - 1.0));
        }
    }
    Ok(())
}

fn codec(text: &str) -> Result<UpdateCodec, Box<dyn Error>> {
    if text == "usual" {
        return Ok(UpdateCodec::default());
    }
    let parts: Vec<&str> = text.split(',').collect();
    let outer = match parts[..] {
        [_, _] => Outer::Mean,
        [_, _, rate, momentum] => Outer::Nesterov { rate: rate.parse()?, momentum: momentum.parse()? },
        _ => return Err(format!("{text} is no codec; expected usual, chunk,keep or chunk,keep,rate,momentum").into()),
    };
    Ok(UpdateCodec { chunk: parts[0].parse()?, keep: parts[1].parse()?, outer })
}

fn setting(rounds: u32, steps: u32) -> Result<Setting, Box<dyn Error>> {
    let preset = LlamaConfig::preset("small").ok_or("the preset exists")?;
    let corpus = Corpus::shipped(TEXT_BYTES)?;
    let texts: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
    let tokenizer = Tokenizer::train(&texts, preset.vocab_size)?;
    let config = LlamaConfig { vocab_size: tokenizer.vocab_size(), ..preset };
    let (mut domains, mut held_out) = (Vec::new(), Vec::new());
    for domain in corpus.domains() {
        let mut tokens = vec![DOCUMENT_ID];
        tokens.extend(tokenizer.encode(&domain.text)?);
        let parts = DomainTokens::split(&domain.name, tokens, config.max_seq_len)?;
        domains.push(Arc::new(parts.train));
        held_out.push(Arc::new(parts.heldout));
    }
    let (threads, simd) = (Arc::new(Threads::from_environment()?), Simd::from_environment()?);
    let (sequence, total_steps, optimizer) =
        (config.max_seq_len, (rounds as usize + 8) * steps as usize, AdamW::default());
    let train = TrainConfig { batch: ROWS as usize, seq_len: sequence, total_steps, optimizer };
    let warmup_steps = ((rounds * steps) as usize / 20).max(1);
    let schedule = Schedule { peak_rate: 2e-3, warmup_steps, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, sequence, &optimizer, &schedule);
    let windows = scoring::held_out(WINDOWS, ROWS, sequence as u32);
    let scoring = Task::scoring(&config, windows, sequence as u32, tables.clone(), held_out)?;
    let task = task(&config, &train, tables, domains, steps)?;
    Ok(Setting {
        config,
        worker: Worker::new(task, Arc::clone(&threads), simd),
        scorer: Worker::new(scoring, Arc::clone(&threads), simd),
        rounds,
        threads,
        simd,
    })
}

fn task(
    config: &LlamaConfig,
    train: &TrainConfig,
    tables: Vec<sip_graph::Buffer>,
    domains: Vec<Arc<TokenBlob>>,
    steps: u32,
) -> Result<Task, Box<dyn Error>> {
    let graph = training_graph(config, train)?.graph;
    Ok(Task {
        roots: Task::commit(&graph, &tables),
        graph: Arc::new(graph),
        tables,
        domains,
        batch: ROWS,
        sequence_length: train.seq_len as u32,
        inner_steps: steps,
        leaf_interval: steps,
        held_out: None,
    })
}

impl Setting {
    /// The state that a trainer's segment ends with.
    fn train(&mut self, round: u32, place: u8, start: &Arc<State>) -> Result<Arc<State>, Box<dyn Error>> {
        // The same in all runs.
        let seed = sip_proof::tensor_root(&[round]);
        let mixture = Mixture::uniform(self.worker.task().domains.len())?;
        let segment = SegmentTask {
            round,
            first_step: round * self.worker.task().inner_steps,
            seed,
            mixture,
            place,
            base: Arc::clone(start),
            settings: [0; 4],
            bases: Vec::new(),
        };
        Ok(self.worker.train(&segment, None, &mut |_| true)?.end)
    }

    /// Held-out loss in nats per token, over all domains.
    fn loss(&mut self, base: &Arc<State>) -> Result<f64, Box<dyn Error>> {
        let run = self.scorer.train(&SegmentTask::scoring(base, &self.threads)?, None, &mut |_| true)?;
        let task = self.scorer.task();
        let tokens = u64::from(task.inner_steps) * u64::from(task.batch) * u64::from(task.sequence_length);
        Ok(scoring::sums(&run.end).iter().sum::<u64>() as f64 / tokens as f64 / 1e6)
    }

    /// Lengths of the weight tensors.
    fn weights(&self) -> Vec<usize> {
        sip_model::params(&self.config).iter().map(|param| param.len()).collect()
    }
}

fn bytes(entries: &[sip_graph::Buffer]) -> usize {
    entries.iter().map(|entry| entry.len() * 4).sum()
}

fn whole(setting: &mut Setting) -> Result<f64, Box<dyn Error>> {
    println!("whole states");
    let mut base = Arc::new(State::new(init(&setting.config, SEED, &setting.threads)?, &setting.threads));
    let mut loss = f64::NAN;
    for round in 0..setting.rounds {
        let ends = (0..TRAINERS).map(|place| setting.train(round, place, &base)).collect::<Result<Vec<_>, _>>()?;
        base = Arc::new(aggregate(&ends, &setting.threads, setting.simd)?);
        loss = setting.loss(&base)?;
        println!("round {:>2}: loss {loss:.4}, {} bytes a trainer", round + 1, bytes(ends[0].entries()));
    }
    Ok(loss)
}

fn compressed(setting: &mut Setting, codec: UpdateCodec) -> Result<f64, Box<dyn Error>> {
    println!("{codec:?}");
    let (threads, simd) = (Arc::clone(&setting.threads), setting.simd);
    let weights = setting.weights();
    let updates = Updates::new(codec, &weights, &threads)?;
    let genesis = Arc::new(init_base_graph(&setting.config, SEED, codec.outer)?);
    let mut base = Arc::new(compute(&genesis, &[], &threads, simd)?);
    let mut previous = vec![Arc::clone(&updates.reset); usize::from(TRAINERS)];
    let mut loss = f64::NAN;
    for round in 0..setting.rounds {
        for (place, previous) in previous.iter_mut().enumerate() {
            let start = Arc::new(updates.start_state(&base, previous, &threads, simd)?);
            let end = setting.train(round, place as u8, &start)?;
            *previous = Arc::new(updates.update(previous, [&start, &end], &threads, simd)?);
        }
        base = Arc::new(updates.next_base(&base, &previous, &threads, simd)?);
        loss = setting.loss(&base)?;
        let told = bytes(&previous[0].entries()[..codec.told_entries(weights.len())]);
        println!("round {:>2}: loss {loss:.4}, {told} bytes a trainer", round + 1);
    }
    Ok(loss)
}

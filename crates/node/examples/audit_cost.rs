//! What commitments, audits and scores cost, measured on this machine:
//! `cargo run --release -p sip-node --example audit_cost [preset] [rows] [sequence] [steps]`.
//!
//! Prints times of a step, of hashing the state and of an attestation's trace, the leaf interval that follows from them, and of a
//! segment trained and audited at that interval the times and their ratio; then the speed of the scoring run
//! beside that of the same graph without sums.

use sip_data::{Mixture, TokenBlob, heldout_batches};
use sip_graph::{AdamW, Executor, ExecutorOptions, Inputs};
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Schedule, Shape, TrainConfig, eval_graph, init, tables, training_graph};
use sip_node::{Cost, SegmentTask, State, Task, Worker, scoring};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or("base".into());
    let mut number = |usual: u32| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rows, sequence, steps) = (number(8)?, number(128)?, number(20)?);
    let preset = LlamaConfig::preset(&preset).ok_or("unknown preset; expected tiny, small, medium, base or large")?;
    let config = LlamaConfig { max_seq_len: sequence as usize, ..preset };
    let threads = Arc::new(Threads::from_environment()?);
    let simd = Simd::from_environment()?;
    let (total_steps, optimizer) = (1000, AdamW::default());
    let train = TrainConfig { batch: rows as usize, seq_len: sequence as usize, total_steps, optimizer };
    let graph = Arc::new(training_graph(&config, &train)?.graph);
    let schedule = Schedule { peak_rate: 1e-3, warmup_steps: 10, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, sequence as usize, &optimizer, &schedule);
    let vocabulary = config.vocab_size as u32;
    let tokens = (0..200_000u32).map(|i| i.wrapping_mul(i).wrapping_mul(2_654_435_761) % vocabulary).collect();
    let blob = Arc::new(TokenBlob::new(tokens));
    let base = Arc::new(State::new(init(&config, 1, &threads)?, &threads));
    let roots = Task::commit(&graph, &tables);
    let task = |inner_steps: u32, leaf_interval: u32| Task {
        graph: Arc::clone(&graph),
        tables: tables.clone(),
        roots,
        domains: vec![Arc::clone(&blob)],
        batch: rows,
        sequence_length: sequence,
        inner_steps,
        leaf_interval,
        held_out: None,
    };
    let segment = SegmentTask {
        round: 0,
        first_step: 0,
        seed: [3; 32],
        mixture: Mixture::uniform(1)?,
        settings: [0; 4],
        place: 0,
        base: Arc::clone(&base),
        bases: Vec::new(),
    };
    let state_bytes: usize = base.entries().iter().map(|entry| entry.len() * 4).sum();
    println!(
        "{} parameters, state of {:.1} MB, {threads_} threads, {simd}",
        config.parameter_count(),
        state_bytes as f64 / 1e6,
        threads_ = threads.count()
    );

    // A short segment of leaves of one step, after one step that makes everything warm.
    let mut worker = Worker::new(task(4.min(steps), 1), Arc::clone(&threads), simd);
    worker.train(&segment, None, &mut |step| step < 1).ok();
    worker.take_times();
    let short = worker.train(&segment, None, &mut |_| true)?;
    let times = worker.take_times();
    let started = Instant::now();
    let _digests = worker.audit(&segment, (&short.leaves, &short.end.root()), &[0], &mut |_| true)?;
    let audit = started.elapsed();
    let count = short.leaves.len() as u32;
    let cost = Cost {
        step: times.steps / count,
        hash: times.commitments / count,
        trace: audit.saturating_sub(times.steps + times.commitments),
    };
    let interval = cost.leaf_interval().min(steps);
    println!("step {:?}, hashing the state {:?}, trace of an attestation {:?}", cost.step, cost.hash, cost.trace);
    println!(
        "leaf interval {interval}: hashing takes {:.2} % of training; audits stay within 1.05 of training from {} steps on",
        100.0 * cost.commitment_share(interval),
        cost.least_steps(interval)
    );

    let mut worker = Worker::new(task(steps, interval), Arc::clone(&threads), simd);
    let timed = |started: Instant| started.elapsed().as_secs_f64();
    let started = Instant::now();
    let trained = worker.train(&segment, None, &mut |_| true)?;
    let training = timed(started);
    let mut audits = Vec::new();
    for attested in [&[][..], &[0]] {
        let started = Instant::now();
        let audit = worker.audit(&segment, (&trained.leaves, &trained.end.root()), attested, &mut |_| true)?;
        audits.push(timed(started));
        if audit.divergence.is_some() {
            return Err("the audit found another segment than was trained".into());
        }
    }
    println!(
        "{steps} steps: trained in {training:.2} s, replayed in {:.3} of it, audited with an attestation in {:.3}; by formula {:.3}",
        audits[0] / training,
        audits[1] / training,
        cost.audit_share(steps, interval)
    );

    let held_out = scoring::held_out(4 * rows, rows, sequence);
    let scoring_task = Task::scoring(&config, held_out, sequence, tables.clone(), vec![Arc::clone(&blob)])?;
    let mut scorer = Worker::new(scoring_task, Arc::clone(&threads), simd);
    let run = SegmentTask::scoring(&base, &threads)?;
    let eval = Arc::new(eval_graph(&config, rows as usize, sequence as usize)?);
    let mut executor =
        Executor::new(eval, Arc::clone(&threads), ExecutorOptions { simd, ..ExecutorOptions::default() });
    let batches = heldout_batches(&blob, rows, sequence, held_out.windows)?;
    let (mut with, mut without) = (Duration::MAX, Duration::MAX);
    for _ in 0..4 {
        let started = Instant::now();
        scorer.train(&run, None, &mut |_| true)?;
        with = with.min(started.elapsed());
        let started = Instant::now();
        for batch in &batches {
            executor.run(
                &Inputs { state: base.entries(), batch, step: 0, tables: &tables, settings: &[] },
                &mut [],
                None,
            )?;
        }
        without = without.min(started.elapsed());
    }
    let rate = |time: Duration| f64::from(held_out.windows * sequence) / time.as_secs_f64();
    println!("scoring run {:.0} tokens per second; without state and commitments {:.0}", rate(with), rate(without));
    Ok(())
}

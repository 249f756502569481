//! Time of a training step by operator: `cargo run --release -p sip-model --example step_time [preset] [steps]`.

use sip_graph::{AdamW, DoubleState, Executor, ExecutorOptions, Inputs, NodeTime};
use sip_kernels::Threads;
use sip_model::{LlamaConfig, Schedule, Shape, TrainConfig, init, tables, training_graph};
use sip_ops::Kind;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or("small".into());
    let steps: u32 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let config = LlamaConfig::preset(&preset).ok_or("unknown preset")?;
    let (batch, seq_len, total_steps) = (4, config.max_seq_len, 1000);
    let train = TrainConfig { batch, seq_len, total_steps, optimizer: AdamW::default() };
    let built = Instant::now();
    let training = training_graph(&config, &train)?;
    println!(
        "{} parameters, {} nodes, built in {:?}",
        config.parameter_count(),
        training.graph.nodes().len(),
        built.elapsed()
    );
    let kinds =
        [Kind::Input, Kind::Contract, Kind::ReduceAdd, Kind::ReduceMax, Kind::Map, Kind::Gather, Kind::ScatterAdd];
    for kind in kinds {
        println!("  {kind:?}: {}", training.graph.count(kind));
    }
    let threads = Arc::new(Threads::from_environment()?);
    let schedule = Schedule { peak_rate: 3e-3, warmup_steps: 10, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, seq_len, &train.optimizer, &schedule);
    let mut state = DoubleState::new(init(&config, 1, &threads)?);
    let tokens: Vec<u32> = (0..batch * (seq_len + 1)).map(|i| (i * i % 509 % config.vocab_size) as u32).collect();
    let graph = Arc::new(training.graph);
    let mut executor = Executor::new(Arc::clone(&graph), threads, ExecutorOptions::default());
    println!("arena {:.1} MB", executor.arena_bytes() as f64 / 1e6);
    let warm = steps.min(3);
    for step in 0..warm {
        executor.step(&mut state, &Inputs { batch: &tokens, step, tables: &tables, ..Inputs::default() }, None)?;
    }
    let started = Instant::now();
    let mut best = Duration::MAX;
    for step in warm..warm + steps {
        let one = Instant::now();
        executor.step(&mut state, &Inputs { batch: &tokens, step, tables: &tables, ..Inputs::default() }, None)?;
        best = best.min(one.elapsed());
    }
    let mean = started.elapsed() / steps;
    let loss = executor.result("loss").map_or(f32::NAN, |bits| f32::from_bits(bits[0]));
    let rate = |time: Duration| (batch * seq_len) as f64 / time.as_secs_f64();
    println!("step {mean:?} mean, {best:?} best: {:.0} / {:.0} tokens/s, loss {loss}", rate(mean), rate(best));

    // The least time of every node, so that other load on the machine does not count.
    let mut profile: Vec<NodeTime> = Vec::new();
    for step in 0..steps {
        executor.start_profile();
        executor.step(
            &mut state,
            &Inputs { batch: &tokens, step: warm + steps + step, tables: &tables, ..Inputs::default() },
            None,
        )?;
        let mut times = executor.profile();
        times.sort_by_key(|t| t.node);
        if profile.is_empty() {
            profile = times;
        } else {
            profile.iter_mut().zip(times).for_each(|(least, t)| least.time = least.time.min(t.time));
        }
    }
    let total: Duration = profile.iter().map(|t| t.time).sum();
    println!("sum of least node times {total:?}: {:.0} tokens/s", rate(total));
    for kind in kinds {
        let of_kind = profile.iter().filter(|t| graph.nodes()[t.node as usize].kind == kind);
        let time: Duration = of_kind.map(|t| t.time).sum();
        println!("{kind:?}: {:?} ({:.0} %)", time, 100.0 * time.as_secs_f64() / total.as_secs_f64());
    }
    // Nodes of one form together.
    let mut forms: Vec<(String, Duration, u32)> = Vec::new();
    for t in &profile {
        let spec = &graph.nodes()[t.node as usize];
        let strides: Vec<_> = spec.operands.iter().map(|o| o.strides.clone()).collect();
        let form = format!(
            "{:?} out {:?} reduce {:?} strides {strides:?} program {} {}{}",
            spec.kind,
            spec.out_sizes,
            spec.reduce_sizes,
            spec.program.len(),
            if spec.starts_from_operand { "start " } else { "" },
            if spec.constraint.is_some() { "causal" } else { "" }
        );
        match forms.iter_mut().find(|(known, ..)| *known == form) {
            Some((_, time, count)) => (*time, *count) = (*time + t.time, *count + 1),
            None => forms.push((form, t.time, 1)),
        }
    }
    forms.sort_by_key(|(_, time, _)| std::cmp::Reverse(*time));
    for (form, time, count) in forms.iter().take(60) {
        println!("{:9.1} µs in {count:3}: {form}", time.as_secs_f64() * 1e6);
    }
    Ok(())
}

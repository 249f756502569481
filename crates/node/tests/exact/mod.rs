//! A small training run whose outcome is held fast: the test `golden` and the example `state_root` both run it.

use sip_data::{Mixture, TokenBlob};
use sip_graph::{AdamW, DoubleState, Executor, ExecutorOptions, Inputs};
use sip_kernels::Threads;
use sip_model::{LlamaConfig, Schedule, Shape, TrainConfig, init, tables, training_graph};
use sip_node::{SegmentTask, State, Task};
use std::sync::Arc;

/// State root after all steps of the run.
pub(crate) const ROOT: &str = "4c3ccb7aa89a2f8a499742f061df71b569cb22bd85e89e49eede4302901a92a8";

const STEPS: u32 = 24;
const BATCH: u32 = 3;
const SEQUENCE_LENGTH: u32 = 16;

/// How a plan differs from the usual one.
type Choose = fn(ExecutorOptions) -> ExecutorOptions;

/// Ways to run a step that change no bit, by name: how they differ from [`ExecutorOptions::default`].
pub(crate) const PLANS: [(&str, Choose); 5] = [
    ("fused", |options| options),
    ("whole", |options| ExecutorOptions { fuse: false, ..options }),
    ("kept", |options| ExecutorOptions { keep_all: true, ..options }),
    ("micro-batches", |options| ExecutorOptions { micro_batches: BATCH, ..options }),
    ("recompute", |options| ExecutorOptions { recompute: true, ..options }),
];

/// The job, and the segment that is trained: 36 thousand parameters with grouped key/value heads, 24 steps.
pub(crate) fn task(threads: &Arc<Threads>) -> Result<(Task, SegmentTask), Box<dyn std::error::Error>> {
    let preset = LlamaConfig::preset("tiny").ok_or("there is no preset tiny")?;
    let config = LlamaConfig { vocab_size: 300, num_kv_heads: 2, ..preset };
    let (total_steps, seq_len) = (STEPS as usize, SEQUENCE_LENGTH as usize);
    let optimizer = AdamW::default();
    let train = TrainConfig { batch: BATCH as usize, seq_len, total_steps, optimizer };
    let graph = Arc::new(training_graph(&config, &train)?.graph);
    let schedule = Schedule { peak_rate: 3e-3, warmup_steps: 4, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, seq_len, &optimizer, &schedule);
    let tokens = (0..3000u32).map(|i| i.wrapping_mul(i).wrapping_mul(2_654_435_761) % 300).collect();
    let roots = Task::commit(&graph, &tables);
    let task = Task {
        graph,
        tables,
        roots,
        domains: vec![Arc::new(TokenBlob::new(tokens))],
        batch: BATCH,
        sequence_length: SEQUENCE_LENGTH,
        inner_steps: STEPS,
        leaf_interval: 8,
        held_out: None,
    };
    let base = Arc::new(State::new(init(&config, 20_260, threads)?, threads));
    let segment = SegmentTask {
        round: 0,
        first_step: 0,
        seed: [42; 32],
        mixture: Mixture::uniform(1)?,
        settings: [0; 4],
        place: 0,
        base,
        bases: Vec::new(),
    };
    Ok((task, segment))
}

/// State root after all steps on an executor with these options.
pub(crate) fn root(options: ExecutorOptions, threads: &Arc<Threads>) -> Result<String, Box<dyn std::error::Error>> {
    let (task, segment) = task(threads)?;
    let mut executor = Executor::new(Arc::clone(&task.graph), Arc::clone(threads), options);
    let mut state = DoubleState::new(segment.base.entries().to_vec());
    for step in 0..STEPS {
        let batch = segment.batch(&task, step, None)?;
        executor.step(
            &mut state,
            &Inputs { batch: &batch, step: segment.job_step(step), tables: &task.tables, ..Inputs::default() },
            None,
        )?;
    }
    Ok(hex(&State::new(state.into_entries(), threads).root()))
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

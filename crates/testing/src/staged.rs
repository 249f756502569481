//! Averages of small states, a small genesis state and a small scoring run, honest or with a lie, for tests of disputes.

use sip_data::TokenBlob;
use sip_graph::{AdamW, Buffer, Graph};
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Schedule, Shape, init, init_graph, tables};
use sip_node::{Aggregates, Cheat, Computation, Replay, Segment, SegmentTask, State, Task, WorkError, Worker};
use sip_proof::sampler::HeldOut;
use std::sync::Arc;

/// A state with these entries.
pub fn state(entries: &[Vec<u32>]) -> Arc<State> {
    let entries = entries.iter().map(|entry| Buffer::from(&entry[..])).collect();
    Arc::new(State::new(entries, &Threads::new(1)))
}

/// The graphs that average states of this shape.
///
/// # Panics
/// If there is no such graph.
pub fn aggregates(of: &State) -> Aggregates {
    let lengths: Vec<usize> = of.entries().iter().map(|entry| entry.len()).collect();
    Aggregates::new(&lengths).expect("lengths within range")
}

/// The average of these states, or what a cheat makes of it.
///
/// # Panics
/// If there is no such graph.
pub fn average(states: &[Arc<State>], cheat: Option<Cheat>) -> Computation {
    let graph = aggregates(&states[0]).graph(states.len()).expect("1 to 16 states");
    Computation::new(Arc::new(graph), states.to_vec(), cheat, &Arc::new(Threads::new(1)), Simd::detect())
}

/// The genesis state of a tiny model, or what a cheat makes of it.
///
/// # Panics
/// If the model has no graph.
pub fn genesis(seed: u64, cheat: Option<Cheat>) -> Computation {
    Computation::new(Arc::new(genesis_graph(seed)), Vec::new(), cheat, &Arc::new(Threads::new(1)), Simd::detect())
}

/// The graph of that state.
///
/// # Panics
/// If the model has no graph.
pub fn genesis_graph(seed: u64) -> Graph {
    let config = LlamaConfig { vocab_size: 300, ..LlamaConfig::preset("tiny").expect("the preset exists") };
    init_graph(&config, seed).expect("the model has a graph")
}

/// The scoring run of a tiny model over three domains.
#[derive(Clone)]
pub struct Scoring {
    /// Its graph, tables and held-out tokens; nine steps in leaves of two.
    pub task: Task,
    /// The run of a base.
    pub segment: SegmentTask,
    /// The base.
    pub base: Arc<State>,
}

impl Scoring {
    /// Tokens of a window, less one.
    pub const SEQUENCE_LENGTH: u32 = 16;
    /// Windows of a domain, and of a step.
    pub const HELD_OUT: HeldOut = HeldOut { windows: 6, rows: 2 };

    /// The run of a fresh model.
    ///
    /// # Panics
    /// If there is no such run.
    #[allow(clippy::new_without_default, reason = "it panics")]
    pub fn new() -> Scoring {
        let threads = Arc::new(Threads::new(1));
        let config =
            LlamaConfig { vocab_size: 300, num_kv_heads: 2, ..LlamaConfig::preset("tiny").expect("the preset exists") };
        let schedule =
            Schedule { peak_rate: 1e-3, warmup_steps: 4, total_steps: 64, final_share: 0.1, shape: Shape::Cosine };
        let tables = tables(&config, Self::SEQUENCE_LENGTH as usize, &AdamW::default(), &schedule);
        let blob = |salt: u32, count: u32| {
            Arc::new(TokenBlob::new((0..count).map(|i| (i * 7 + i * i * salt) % 300).collect()))
        };
        let domains = vec![blob(3, 400), blob(5, 17), blob(11, 900)];
        let mut task = Task::scoring(&config, Self::HELD_OUT, Self::SEQUENCE_LENGTH, tables, domains).expect("a run");
        task.leaf_interval = 2;
        let base = Arc::new(State::new(init(&config, 5, &threads).expect("a shape"), &threads));
        let segment = SegmentTask::scoring(&base, &threads).expect("a run");
        Scoring { task, segment, base }
    }

    /// Runs it, and gives the evidence that goes with it.
    ///
    /// # Errors
    /// A lie may lead to values that are not finite.
    pub fn run(&self, cheat: Option<Cheat>) -> Result<(Replay, Segment), WorkError> {
        let worker = || Worker::new(self.task.clone(), Arc::new(Threads::new(1)), Simd::detect());
        let work = worker().train(&self.segment, cheat.as_ref(), &mut |_| true)?;
        Ok((Replay::new(worker(), self.segment.clone(), cheat, work.leaves.clone()), work))
    }
}

//! Averages of small states and a small genesis state, honest or with a lie, for tests of disputes.

use crate::{Aggregates, Cheat, Computation, State};
use sip_graph::Buffer;
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, init_graph};
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
    let config = LlamaConfig { vocab_size: 300, ..LlamaConfig::preset("tiny").expect("the preset exists") };
    let graph = init_graph(&config, seed).expect("the model has a graph");
    Computation::new(Arc::new(graph), Vec::new(), cheat, &Arc::new(Threads::new(1)), Simd::detect())
}

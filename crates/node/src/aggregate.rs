//! The outer step: the mean of the accepted segments' states.

use sip_graph::{Buffer, Executor, ExecutorOptions, Graph, Inputs, RunError};
use sip_kernels::{Simd, Threads};
use std::sync::Arc;

use crate::State;

/// Why states cannot be aggregated.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// There is no graph for so many states.
    #[error("cannot average {found} states: {reason}")]
    Count {
        /// States given.
        found: usize,
        /// What stands in the way.
        reason: String,
    },
    /// A sum is not finite.
    #[error("the mean of the accepted states: {0}")]
    Run(#[from] RunError),
}

/// The mean of states, entry by entry, as a graph of the operator set; the order of the states is the order of the trainers'
/// places, since rounding depends on it.
///
/// # Errors
/// No state, or one that is not finite.
pub fn aggregate(states: &[Arc<State>], threads: &Arc<Threads>, simd: Simd) -> Result<State, AggregateError> {
    let [first, ..] = states else {
        return Err(AggregateError::Count { found: 0, reason: "a round needs an accepted segment".into() });
    };
    let shapes: Vec<Vec<usize>> = first.entries().iter().map(|entry| vec![entry.len()]).collect();
    let graph: Graph = sip_model::aggregate_graph(&shapes, states.len())
        .map_err(|error| AggregateError::Count { found: states.len(), reason: error.to_string() })?;
    let inputs: Vec<Buffer> = states.iter().flat_map(|state| state.entries().iter().cloned()).collect();
    let mut next: Vec<Buffer> = first.entries().iter().map(|entry| Buffer::new(entry.len())).collect();
    let mut executor =
        Executor::new(Arc::new(graph), Arc::clone(threads), ExecutorOptions { simd, ..ExecutorOptions::default() });
    executor.run(&Inputs { state: &inputs, batch: &[], step: 0, tables: &[] }, &mut next, None)?;
    Ok(State::new(next, threads))
}

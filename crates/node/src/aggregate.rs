//! The outer step: the mean of the accepted segments' states.

use sip_graph::{Buffer, Executor, ExecutorOptions, Graph, Inputs, RunError};
use sip_kernels::{Simd, Threads};
use sip_proof::{AGGREGATE_COUNTS, GraphRoots, Hash, hash_at, merkle::MerkleTree};
use std::sync::Arc;

use crate::{State, Task};

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
    let lengths: Vec<usize> = first.entries().iter().map(|entry| entry.len()).collect();
    let graph = build(&lengths, states.len())?;
    let inputs: Vec<Buffer> = states.iter().flat_map(|state| state.entries().iter().cloned()).collect();
    let mut next: Vec<Buffer> = first.entries().iter().map(|entry| Buffer::new(entry.len())).collect();
    let mut executor =
        Executor::new(Arc::new(graph), Arc::clone(threads), ExecutorOptions { simd, ..ExecutorOptions::default() });
    executor.run(&Inputs { state: &inputs, batch: &[], step: 0, tables: &[], settings: &[] }, &mut next, None)?;
    Ok(State::new(next, threads))
}

/// The graphs that average 1 to 16 states of one shape, as a job commits to them.
pub struct Aggregates {
    lengths: Vec<usize>,
    graphs: Vec<GraphRoots>,
    tree: MerkleTree,
}

impl Aggregates {
    /// The graphs over states with entries of these lengths.
    ///
    /// # Errors
    /// Lengths out of range.
    pub fn new(lengths: &[usize]) -> Result<Aggregates, AggregateError> {
        let graphs = (1..=AGGREGATE_COUNTS as usize)
            .map(|count| Ok(Task::commit(&build(lengths, count)?, &[])))
            .collect::<Result<Vec<GraphRoots>, AggregateError>>()?;
        let tree = MerkleTree::new(graphs.iter().map(GraphRoots::aggregate_leaf));
        Ok(Aggregates { lengths: lengths.to_vec(), graphs, tree })
    }

    /// What a job commits to.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The graph over so many states.
    ///
    /// # Errors
    /// A count that is not among those committed.
    pub fn graph(&self, count: usize) -> Result<Graph, AggregateError> {
        self.index(count)?;
        build(&self.lengths, count)
    }

    /// Roots of the graph over so many states, and its siblings in the tree, from the leaf upward: what opens it on chain.
    ///
    /// # Errors
    /// A count that is not among those committed.
    pub fn opening(&self, count: usize) -> Result<(GraphRoots, [Hash; 4]), AggregateError> {
        let index = self.index(count)?;
        let path = self.tree.path(index as u32);
        Ok((self.graphs[index], std::array::from_fn(|level| hash_at(&path, level).copied().unwrap_or_default())))
    }

    fn index(&self, count: usize) -> Result<usize, AggregateError> {
        let index = count.checked_sub(1).filter(|index| *index < self.graphs.len());
        index.ok_or_else(|| AggregateError::Count {
            found: count,
            reason: format!("a job averages 1 to {AGGREGATE_COUNTS}"),
        })
    }
}

fn build(lengths: &[usize], count: usize) -> Result<Graph, AggregateError> {
    let shapes: Vec<Vec<usize>> = lengths.iter().map(|&len| vec![len]).collect();
    sip_model::aggregate_graph(&shapes, count)
        .map_err(|error| AggregateError::Count { found: count, reason: error.to_string() })
}

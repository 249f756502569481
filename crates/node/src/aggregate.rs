//! The outer step: the mean of the accepted segments' states, and the graphs that a job commits to for it.

use sip_graph::{Graph, RunError};
use sip_kernels::{Simd, Threads};
use sip_proof::{AGGREGATE_COUNTS, GraphRoots, Hash, hash_at, merkle::MerkleTree};
use std::sync::Arc;

use crate::{State, Task, compute};

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
    let graph = mean(&lengths, states.len())?;
    Ok(compute(&Arc::new(graph), states, threads, simd)?)
}

/// Builds the graph over so many segments.
type Build = dyn Fn(usize) -> Result<Graph, AggregateError> + Send + Sync;

/// The graphs that make the next base of what 1 to 16 segments hand over, as a job commits to them.
pub struct Aggregates {
    build: Box<Build>,
    graphs: Vec<GraphRoots>,
    tree: MerkleTree,
}

impl Aggregates {
    /// The graphs that average states with entries of these lengths.
    ///
    /// # Errors
    /// Lengths out of range.
    pub fn new(lengths: &[usize]) -> Result<Aggregates, AggregateError> {
        let lengths = lengths.to_vec();
        Aggregates::with(move |count| mean(&lengths, count))
    }

    /// The graphs that `build` gives for each number of segments; it must give the same one whenever it is asked.
    ///
    /// # Errors
    /// What `build` says.
    pub fn with(
        build: impl Fn(usize) -> Result<Graph, AggregateError> + Send + Sync + 'static,
    ) -> Result<Aggregates, AggregateError> {
        let graphs = (1..=AGGREGATE_COUNTS as usize)
            .map(|count| Ok(Task::commit(&build(count)?, &[])))
            .collect::<Result<Vec<GraphRoots>, AggregateError>>()?;
        let tree = MerkleTree::new(graphs.iter().map(GraphRoots::aggregate_leaf));
        Ok(Aggregates { build: Box::new(build), graphs, tree })
    }

    /// What a job commits to.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Entries of the base that comes out.
    pub fn base_entries(&self) -> u32 {
        self.graphs.first().map_or(0, |graph| graph.state_count)
    }

    /// The graph over so many states or updates.
    ///
    /// # Errors
    /// A count that is not among those committed.
    pub fn graph(&self, count: usize) -> Result<Graph, AggregateError> {
        self.index(count)?;
        (self.build)(count)
    }

    /// Roots of the graph over so many states or updates, and its siblings in the tree, from the leaf upward: what opens it on chain.
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

fn mean(lengths: &[usize], count: usize) -> Result<Graph, AggregateError> {
    let shapes: Vec<Vec<usize>> = lengths.iter().map(|&len| vec![len]).collect();
    sip_model::aggregate_graph(&shapes, count)
        .map_err(|error| AggregateError::Count { found: count, reason: error.to_string() })
}

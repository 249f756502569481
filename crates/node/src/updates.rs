//! Compressed updates: what the three further graphs of such a job give, for those who train, audit, vote or dispute.
//!
//! A segment starts from the round's base and its trainer's previous update, and hands over a new one. What all share is the base; what
//! only the trainer's next segment reads, as moments and the residual of rounding, lies in the update behind what the others read.

use sip_graph::{Buffer, Graph, RunError};
use sip_kernels::{Simd, Threads};
use sip_model::{ModelError, UpdateCodec};
use sip_proof::merkle::{self, MerkleTree};
use sip_proof::{GraphRoots, Hash, HostSha256};
use sip_protocol::{ground::case::CaseKind, training::job::JobSpec};
use std::sync::Arc;

use crate::{AggregateError, Aggregates, Computation, State, Task, compute};

/// Why there are no graphs for compressed updates.
#[derive(Debug, thiserror::Error)]
pub enum UpdatesError {
    /// Of the start or the update.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Of the next base.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
}

/// The graphs by which a job exchanges compressed updates.
#[derive(Clone)]
pub struct Updates {
    /// Reads the round's base, then the trainer's previous update; gives the state that the segment starts from.
    pub start: Arc<Graph>,
    /// Reads the previous update, then the segment's start state, then its end state; gives the update.
    pub update: Arc<Graph>,
    /// The graph for k updates reads the round's base, then the k updates in order of place; gives the next base.
    pub aggregates: Arc<Aggregates>,
    /// The update that stands for the previous one of a trainer who has none that was applied.
    pub reset: Arc<State>,
}

impl Updates {
    /// The graphs of a codec over weight tensors of these lengths; the update of a trainer who has none is all zeros.
    ///
    /// # Errors
    /// A codec or lengths out of range, or so many tensors that the graph over 16 updates is too large.
    pub fn new(codec: UpdateCodec, weights: &[usize], threads: &Threads) -> Result<Updates, UpdatesError> {
        let (start, update) = (codec.start_graph(weights)?, codec.update_graph(weights)?);
        let reset = codec.update_lengths(weights).into_iter().map(Buffer::new).collect();
        let weights = weights.to_vec();
        let aggregates = Aggregates::with(move |count| {
            codec
                .aggregate_graph(&weights, count)
                .map_err(|error| AggregateError::Count { found: count, reason: error.to_string() })
        })?;
        Ok(Updates {
            start: Arc::new(start),
            update: Arc::new(update),
            aggregates: Arc::new(aggregates),
            reset: Arc::new(State::new(reset, threads)),
        })
    }

    /// Writes what a job commits to of them into its specification.
    pub fn specify(&self, spec: &mut JobSpec) {
        let graphs = self.graphs();
        spec.update_graphs_root = MerkleTree::new(graphs.map(|graph| graph.aggregate_leaf())).root();
        spec.update_entries = graphs[1].state_count;
        spec.base_entries = self.aggregates.base_entries();
        spec.aggregates_root = self.aggregates.root();
        spec.reset_update_root = self.reset.root();
    }

    fn graphs(&self) -> [GraphRoots; 2] {
        [Task::commit(&self.start, &[]), Task::commit(&self.update, &[])]
    }

    /// Roots of the start graph ([`CaseKind::Start`]) or the update graph ([`CaseKind::Update`]), and the other one's node in the tree of
    /// the two: what opens it on chain. `None` for any other case.
    pub fn opening(&self, case: CaseKind) -> Option<(GraphRoots, Hash)> {
        let place = match case {
            CaseKind::Start => 0,
            CaseKind::Update => 1,
            _ => return None,
        };
        let graphs = self.graphs();
        Some((graphs[place], merkle::leaf::<HostSha256>(&graphs[1 - place].aggregate_leaf())))
    }

    /// The state that a segment starts from.
    ///
    /// # Errors
    /// States of another shape, or a value that is not finite.
    pub fn start_state(
        &self,
        base: &Arc<State>,
        previous: &Arc<State>,
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Result<State, RunError> {
        compute(&self.start, &[Arc::clone(base), Arc::clone(previous)], threads, simd)
    }

    /// The update that a segment ends with; `segment` is its start state and its end state.
    ///
    /// # Errors
    /// States of another shape, or a value that is not finite.
    pub fn update(
        &self,
        previous: &Arc<State>,
        segment: [&Arc<State>; 2],
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Result<State, RunError> {
        let [start, end] = segment.map(Arc::clone);
        compute(&self.update, &[Arc::clone(previous), start, end], threads, simd)
    }

    /// The next base, of the accepted segments' updates in order of place.
    ///
    /// # Errors
    /// A number of updates that is not 1 to 16, updates of another shape, or a value that is not finite.
    pub fn next_base(
        &self,
        base: &Arc<State>,
        updates: &[Arc<State>],
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Result<State, AggregateError> {
        let graph = Arc::new(self.aggregates.graph(updates.len())?);
        let states: Vec<Arc<State>> = std::iter::once(base).chain(updates).map(Arc::clone).collect();
        Ok(compute(&graph, &states, threads, simd)?)
    }

    /// [`Updates::start_state`] as evidence in a dispute about it.
    pub fn start_evidence(
        &self,
        base: &Arc<State>,
        previous: &Arc<State>,
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Computation {
        let graph = Arc::clone(&self.start);
        Computation::new(graph, vec![Arc::clone(previous)], None, threads, simd).carrying(Arc::clone(base))
    }

    /// [`Updates::update`] as evidence in a dispute about it.
    pub fn update_evidence(
        &self,
        previous: &Arc<State>,
        segment: [&Arc<State>; 2],
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Computation {
        let (graph, bases) = (Arc::clone(&self.update), segment.map(Arc::clone).to_vec());
        Computation::new(graph, bases, None, threads, simd).carrying(Arc::clone(previous))
    }

    /// [`Updates::next_base`] as evidence in a dispute about a vote for it.
    ///
    /// # Errors
    /// A number of updates that is not 1 to 16.
    pub fn base_evidence(
        &self,
        base: &Arc<State>,
        updates: &[Arc<State>],
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Result<Computation, AggregateError> {
        let graph = Arc::new(self.aggregates.graph(updates.len())?);
        Ok(Computation::new(graph, updates.to_vec(), None, threads, simd).carrying(Arc::clone(base)))
    }
}

//! Compressed updates: what the three further graphs of such a job give, for whoever trains, audits, votes or disputes.
//!
//! A segment starts from the round's base and its trainer's previous update, and hands over a new one. What all share is the base; what
//! only the trainer's next segment reads, as moments and the residual of rounding, lies in the update behind what the others read.

use sip_graph::{Graph, RunError};
use sip_kernels::{Simd, Threads};
use sip_protocol::job::JobSpec;
use std::sync::Arc;

use crate::{AggregateError, Aggregates, Computation, State, Task, compute};

/// The graphs by which a job exchanges compressed updates.
#[derive(Clone)]
pub struct Updates {
    /// Reads the round's base, then the trainer's previous update; gives the state that the segment starts from.
    pub start: Arc<Graph>,
    /// Reads the previous update, then the segment's start state, then its end state; gives the update.
    pub update: Arc<Graph>,
    /// Each reads the round's base, then as many updates in order of place; gives the next base.
    pub aggregates: Arc<Aggregates>,
    /// The update that stands for the previous one of a trainer who has none that was applied.
    pub reset: Arc<State>,
}

impl Updates {
    /// Writes what a job commits to of them into its specification.
    pub fn specify(&self, spec: &mut JobSpec) {
        let (start, update) = (Task::commit(&self.start, &[]), Task::commit(&self.update, &[]));
        spec.start_nodes_root = start.nodes_root;
        spec.start_outputs_root = start.outputs_root;
        spec.start_node_count = start.node_count;
        spec.update_nodes_root = update.nodes_root;
        spec.update_outputs_root = update.outputs_root;
        spec.update_node_count = update.node_count;
        spec.update_entries = update.state_count;
        spec.base_entries = self.aggregates.base_entries();
        spec.aggregates_root = self.aggregates.root();
        spec.reset_update_root = self.reset.root();
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

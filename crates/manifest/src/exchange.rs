//! How segments hand over their work: the whole state that they end with, or a compressed update.
//!
//! With whole states a segment starts from the round's base and hands over its end; the next base is the mean. With updates it starts
//! from the base and its trainer's previous update, hands over a new one, and the next base is the old one moved by all of them.

use anyhow::Result;
use sip_graph::Graph;
use sip_node::{Computation, State, aggregate, compute};
use sip_proof::{GraphRoots, Hash};
use sip_protocol::ground::case::CaseKind;
use sip_protocol::training::segment::SegmentClaim;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machine::Machine;
use crate::prepare::Prepared;
use crate::settings::{Exchange, Settings};
use crate::value::{Manifest, Part};

/// By place, the updates that the last round which counts applied: what their trainers go on from. Empty with whole states.
pub type Applied = BTreeMap<u8, Arc<State>>;

/// What a segment starts from.
#[derive(Clone)]
pub struct Start {
    /// The trainer's previous update, or the reset where none was applied; nothing with whole states.
    pub previous: Option<Arc<State>>,
    /// The state before the first step.
    pub state: Arc<State>,
}

impl Manifest {
    /// Elements of the entries of a base.
    ///
    /// # Errors
    /// Where a graph's bytes are none.
    pub fn base_lengths(&self) -> Result<Vec<usize>> {
        let graph = self.graph(Part::Average(1))?;
        Ok(graph.state_outputs().iter().map(|&node| graph.nodes()[node as usize].len()).collect())
    }

    /// Elements of the entries of what a segment hands over.
    ///
    /// # Errors
    /// Where a graph's bytes are none.
    pub fn result_lengths(&self) -> Result<Vec<usize>> {
        let Some(bytes) = self.graphs.get(&Part::Update) else { return self.base_lengths() };
        let graph = Graph::from_bytes(bytes)?;
        Ok(graph.state_outputs().iter().map(|&node| graph.nodes()[node as usize].len()).collect())
    }

    /// The next base by the job's own graph, as [`Prepared::next_base`] gives it: from what the accepted segments handed over in order of place, and with
    /// compressed updates from the base before.
    ///
    /// # Errors
    /// Where the states are of other shapes than the job's, or the outcome is not finite.
    pub fn next_base(
        &self,
        base: Option<&Arc<State>>,
        results: &[Arc<State>],
        machine: &Machine,
    ) -> Result<Arc<State>> {
        let graph = Arc::new(self.graph(Part::Average(results.len() as u8))?);
        let states: Vec<Arc<State>> = base.into_iter().chain(results).cloned().collect();
        Ok(Arc::new(compute(&graph, &states, &machine.threads, machine.simd)?))
    }
}

impl Prepared {
    /// What a segment starts from, of a trainer whose update the last round applied, if it has one.
    ///
    /// # Errors
    /// Where the states are of other shapes than the job's, or the outcome is not finite.
    pub fn start(&self, base: &Arc<State>, applied: Option<&Arc<State>>, machine: &Machine) -> Result<Start> {
        let Some(updates) = &self.updates else { return Ok(Start { previous: None, state: Arc::clone(base) }) };
        let previous = Arc::clone(applied.unwrap_or(&updates.reset));
        let state = updates.start_state(base, &previous, &machine.threads, machine.simd)?;
        Ok(Start { previous: Some(previous), state: Arc::new(state) })
    }

    /// What a segment hands over that ends with this state.
    ///
    /// # Errors
    /// Where the states are of other shapes than the job's, or the outcome is not finite.
    pub fn result(&self, start: &Start, end: &Arc<State>, machine: &Machine) -> Result<Arc<State>> {
        let (Some(updates), Some(previous)) = (&self.updates, &start.previous) else { return Ok(Arc::clone(end)) };
        Ok(Arc::new(updates.update(previous, [&start.state, end], &machine.threads, machine.simd)?))
    }

    /// Adds what only segments with updates claim.
    pub fn claim(&self, claim: SegmentClaim, start: &Start, result: &State) -> SegmentClaim {
        match &start.previous {
            Some(previous) => SegmentClaim { previous_root: previous.root(), update_root: result.root(), ..claim },
            None => claim,
        }
    }

    /// The next base from what the accepted segments handed over, in order of place.
    ///
    /// # Errors
    /// Where the states are of other shapes than the job's, or the outcome is not finite.
    pub fn next_base(&self, base: &Arc<State>, results: &[Arc<State>], machine: &Machine) -> Result<Arc<State>> {
        Ok(Arc::new(match &self.updates {
            Some(updates) => updates.next_base(base, results, &machine.threads, machine.simd)?,
            None => aggregate(results, &machine.threads, machine.simd)?,
        }))
    }

    /// [`Prepared::next_base`] as evidence in a dispute about a vote for it.
    ///
    /// # Errors
    /// Where the states are of other shapes than the job's, or the outcome is not finite.
    pub fn base_evidence(&self, base: &Arc<State>, results: &[Arc<State>], machine: &Machine) -> Result<Computation> {
        let (threads, simd) = (&machine.threads, machine.simd);
        Ok(match &self.updates {
            Some(updates) => updates.base_evidence(base, results, threads, simd)?,
            None => {
                let graph = Arc::new(self.aggregates.graph(results.len())?);
                Computation::new(graph, results.to_vec(), None, threads, simd)
            }
        })
    }

    /// What a segment with updates hands over, as evidence in a dispute about it, its graph, and the other
    /// graph's node in the tree that the job committed; nothing with whole states.
    pub fn update_evidence(
        &self,
        start: &Start,
        end: &Arc<State>,
        machine: &Machine,
    ) -> Option<(Computation, GraphRoots, Hash)> {
        let (updates, previous) = (self.updates.as_ref()?, start.previous.as_ref()?);
        let (roots, sibling) = updates.opening(CaseKind::Update)?;
        let evidence = updates.update_evidence(previous, [&start.state, end], &machine.threads, machine.simd);
        Some((evidence, roots, sibling))
    }

    /// What the next round's trainers go on from, of those that this round accepted with what they handed over.
    pub fn applied<'a>(&self, accepted: impl Iterator<Item = (u8, &'a Arc<State>)>) -> Applied {
        match self.updates {
            Some(_) => accepted.map(|(place, result)| (place, Arc::clone(result))).collect(),
            None => Applied::new(),
        }
    }

    /// Bytes that the other trainers need of what a segment handed over.
    pub fn exchanged_bytes(&self, settings: &Settings, result: &State) -> u64 {
        let entries = match settings.updates {
            Exchange::Whole => result.entries().len(),
            Exchange::Compressed => settings.codec().told_entries(settings.weights().len()),
        };
        result.entries().iter().take(entries).map(|entry| 4 * entry.len() as u64).sum()
    }
}

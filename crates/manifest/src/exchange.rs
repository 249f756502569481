//! How segments hand over their work: the whole state that they end with, or a compressed update.
//!
//! With whole states a segment starts from the round's base and hands over its end; the next base is the mean. With updates it starts
//! from the base and its trainer's previous update, hands over a new one, and the next base is the old one moved by all of them.

use anyhow::Result;
use sip_client::UpdateGraph;
use sip_node::{Computation, State, aggregate};
use sip_protocol::ground::case::CaseKind;
use sip_protocol::training::segment::SegmentClaim;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::prepare::{Machine, Prepared};
use super::settings::{Exchange, Settings};

/// By place, the updates that the last round which counts applied: what their trainers go on from. Empty with whole states.
pub(crate) type Applied = BTreeMap<u8, Arc<State>>;

/// What a segment starts from.
#[derive(Clone)]
pub(crate) struct Start {
    /// The trainer's previous update, or the reset where none was applied; nothing with whole states.
    pub previous: Option<Arc<State>>,
    /// The state before the first step.
    pub state: Arc<State>,
}

impl Prepared {
    /// What a segment starts from, of a trainer whose update the last round applied, if it has one.
    pub(crate) fn start(&self, base: &Arc<State>, applied: Option<&Arc<State>>, machine: &Machine) -> Result<Start> {
        let Some(updates) = &self.updates else { return Ok(Start { previous: None, state: Arc::clone(base) }) };
        let previous = Arc::clone(applied.unwrap_or(&updates.reset));
        let state = updates.start_state(base, &previous, &machine.threads, machine.simd)?;
        Ok(Start { previous: Some(previous), state: Arc::new(state) })
    }

    /// What a segment hands over that ends with this state.
    pub(crate) fn result(&self, start: &Start, end: &Arc<State>, machine: &Machine) -> Result<Arc<State>> {
        let (Some(updates), Some(previous)) = (&self.updates, &start.previous) else { return Ok(Arc::clone(end)) };
        Ok(Arc::new(updates.update(previous, [&start.state, end], &machine.threads, machine.simd)?))
    }

    /// Adds what only segments with updates claim.
    pub(crate) fn claim(&self, claim: SegmentClaim, start: &Start, result: &State) -> SegmentClaim {
        match &start.previous {
            Some(previous) => SegmentClaim { previous_root: previous.root(), update_root: result.root(), ..claim },
            None => claim,
        }
    }

    /// The next base from what the accepted segments handed over, in order of place.
    pub(crate) fn next_base(&self, base: &Arc<State>, results: &[Arc<State>], machine: &Machine) -> Result<Arc<State>> {
        Ok(Arc::new(match &self.updates {
            Some(updates) => updates.next_base(base, results, &machine.threads, machine.simd)?,
            None => aggregate(results, &machine.threads, machine.simd)?,
        }))
    }

    /// [`Prepared::next_base`] as evidence in a dispute about a vote for it.
    pub(crate) fn base_evidence(
        &self,
        base: &Arc<State>,
        results: &[Arc<State>],
        machine: &Machine,
    ) -> Result<Computation> {
        let (threads, simd) = (&machine.threads, machine.simd);
        Ok(match &self.updates {
            Some(updates) => updates.base_evidence(base, results, threads, simd)?,
            None => {
                let graph = Arc::new(self.aggregates.graph(results.len())?);
                Computation::new(graph, results.to_vec(), None, threads, simd)
            }
        })
    }

    /// What a segment with updates hands over, as evidence in a dispute about it, and what opens its graph; nothing with whole states.
    pub(crate) fn update_evidence(
        &self,
        start: &Start,
        end: &Arc<State>,
        machine: &Machine,
    ) -> Option<(Computation, UpdateGraph)> {
        let (updates, previous) = (self.updates.as_ref()?, start.previous.as_ref()?);
        let case = CaseKind::Update;
        let (roots, sibling) = updates.opening(case)?;
        let evidence = updates.update_evidence(previous, [&start.state, end], &machine.threads, machine.simd);
        Some((evidence, UpdateGraph { case, roots, sibling }))
    }

    /// What the next round's trainers go on from, of those that this round accepted with what they handed over.
    pub(crate) fn applied<'a>(&self, accepted: impl Iterator<Item = (u8, &'a Arc<State>)>) -> Applied {
        match self.updates {
            Some(_) => accepted.map(|(place, result)| (place, Arc::clone(result))).collect(),
            None => Applied::new(),
        }
    }

    /// Bytes that the other trainers need of what a segment handed over.
    pub(crate) fn exchanged_bytes(&self, settings: &Settings, result: &State) -> u64 {
        let entries = match settings.updates {
            Exchange::Whole => result.entries().len(),
            Exchange::Compressed => settings.codec().told_entries(settings.weights().len()),
        };
        result.entries().iter().take(entries).map(|entry| 4 * entry.len() as u64).sum()
    }
}

//! A segment run again, as evidence for either side of a dispute.

use sip_graph::{Buffer, Graph};
use sip_proof::{Hash, Leaf, tensor_root};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dispute::{Evidence, FaultPlace, GraphEvidence, StepRoots};
use crate::trace::{Keep, Trace};
use crate::{Cheat, SegmentTask, State, Task, Times, WorkError, Worker, state};

/// States kept at once; a dispute looks at the steps of one leaf.
const STATES_KEPT: usize = 20;
/// Tensors of the disputed step that are kept, bytes: beyond them a step is computed again for the node that is asked for and what
/// that reads.
const TENSOR_BYTES_KEPT: usize = 1 << 30;

/// Evidence from running the segment again: honestly, or with the cheat that it was committed with.
pub struct Replay {
    worker: Worker,
    segment: SegmentTask,
    cheat: Option<Cheat>,
    leaves: Vec<Leaf>,
    /// States by the step before which they stand.
    states: BTreeMap<u32, Arc<State>>,
    trace: Option<(u32, Trace)>,
    tensor_bytes_kept: usize,
    fault: Option<FaultPlace>,
}

impl Replay {
    /// `leaves` are those that this side believes true.
    pub fn new(worker: Worker, segment: SegmentTask, cheat: Option<Cheat>, leaves: Vec<Leaf>) -> Replay {
        let (states, trace, fault) = (BTreeMap::new(), None, None);
        Replay { worker, segment, cheat, leaves, states, trace, tensor_bytes_kept: TENSOR_BYTES_KEPT, fault }
    }

    /// The same with another bound on the tensors of a step that are kept, bytes.
    pub fn keeping(self, tensor_bytes: usize) -> Replay {
        Replay { tensor_bytes_kept: tensor_bytes, ..self }
    }

    /// The same of a segment that stops at a fault, as [`crate::Audit::fault`] tells: `leaves` are those before it.
    pub fn stopping_at(self, fault: Option<FaultPlace>) -> Replay {
        Replay { fault, ..self }
    }

    /// Where the time went since the last call.
    pub fn take_times(&mut self) -> Times {
        self.worker.take_times()
    }

    fn state(&mut self, step: u32) -> Result<Arc<State>, WorkError> {
        if let Some(known) = self.states.get(&step) {
            return Ok(Arc::clone(known));
        }
        let before = self.states.range(..step).next_back();
        let (from, start) = before.map_or((0, &self.segment.base), |(at, state)| (*at, state));
        let reached = self.worker.advance(&self.segment, self.cheat.as_ref(), from, step, start)?;
        if self.states.len() >= STATES_KEPT {
            self.states.pop_first();
        }
        self.states.insert(step, Arc::clone(&reached));
        Ok(reached)
    }

    fn trace(&mut self, step: u32) -> Result<&Trace, WorkError> {
        if self.trace.as_ref().is_none_or(|(known, _)| *known != step) {
            self.run(step, Keep::Bytes(self.tensor_bytes_kept))?;
        }
        Ok(self.trace.as_ref().map_or(const { &Trace::new() }, |(_, trace)| trace))
    }

    /// Computes the trace of a step.
    fn run(&mut self, step: u32, keep: Keep<'_>) -> Result<(), WorkError> {
        let before = self.state(step)?;
        let (trace, _) = self.worker.trace(&self.segment, self.cheat.as_ref(), step, &before, keep)?;
        self.trace = Some((step, trace));
        Ok(())
    }
}

impl Evidence for Replay {
    type Error = WorkError;

    fn leaves(&mut self) -> Result<Vec<Leaf>, WorkError> {
        Ok(self.leaves.clone())
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, WorkError> {
        let Some((first, count)) = self.worker.task().leaves().nth(leaf as usize) else { return Ok(Vec::new()) };
        let mut steps = Vec::new();
        let end = self.fault.map_or(first + count, |fault| fault.step.clamp(first, first + count));
        for step in first..end {
            let batch = self.segment.batch(self.worker.task(), step, self.cheat.as_ref())?;
            steps.push(StepRoots { batch_root: tensor_root(&batch), end_root: self.state(step + 1)?.root() });
        }
        Ok(steps)
    }

    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, WorkError> {
        let state = self.state(step)?;
        let entries: Vec<&[u32]> = state.entries().iter().map(|entry| &**entry).collect();
        Ok(state::roots(&entries, self.worker.threads()))
    }

    fn base_roots(&mut self, base: u32) -> Result<Vec<Hash>, WorkError> {
        let Some(base) = self.segment.bases.get(base as usize) else { return Ok(Vec::new()) };
        let entries: Vec<&[u32]> = base.entries().iter().map(|entry| &**entry).collect();
        Ok(state::roots(&entries, self.worker.threads()))
    }

    fn trace_roots(&mut self, step: u32) -> Result<Vec<Hash>, WorkError> {
        Ok(self.trace(step)?.roots().to_vec())
    }

    fn tensor(&mut self, step: u32, node: u32) -> Result<Vec<u32>, WorkError> {
        let trace = self.trace(step)?;
        if trace.tensor(node).is_none() && (node as usize) < trace.roots().len() {
            let mut nodes = vec![node];
            nodes.extend(self.worker.task().graph.nodes()[node as usize].operands.iter().map(|operand| operand.node));
            self.run(step, Keep::Nodes(&nodes))?;
        }
        Ok(self.trace(step)?.tensor(node).unwrap_or_default().to_vec())
    }

    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, WorkError> {
        let blob = self.worker.task().domains.get(domain as usize);
        Ok(blob.map_or_else(Vec::new, |blob| blob.tokens().to_vec()))
    }

    fn fault(&mut self) -> Result<Option<FaultPlace>, WorkError> {
        Ok(self.fault)
    }
}

impl Task {
    /// The graph with the trees that a dispute opens.
    pub fn graph_evidence(&self) -> GraphEvidence {
        graph_evidence(&self.graph, &self.tables)
    }
}

/// A graph with the trees that a dispute opens.
pub(crate) fn graph_evidence(graph: &Graph, tables: &[Buffer]) -> GraphEvidence {
    GraphEvidence::new(
        graph.nodes().iter().map(|node| node.encode()).collect(),
        graph.state_outputs().to_vec(),
        tables.iter().map(|table| tensor_root(table)).collect(),
    )
}

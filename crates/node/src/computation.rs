//! A graph run once, as evidence for either side of a dispute: the aggregate of a round, a job's genesis state.

use sip_graph::{Buffer, Executor, ExecutorOptions, Graph, Inputs, RunError};
use sip_kernels::{Fault, Simd, Threads};
use sip_ops::{Kind, Source};
use sip_proof::{Hash, Leaf, roots_tree};
use std::sync::Arc;

use crate::dispute::{Evidence, FaultPlace, GraphEvidence, StepRoots};
use crate::{Cheat, State, replay, state};

/// What a graph gives for the states that its inputs read: honestly, or with a cheat.
pub struct Computation {
    graph: Arc<Graph>,
    bases: Vec<Arc<State>>,
    cheat: Option<Cheat>,
    threads: Arc<Threads>,
    simd: Simd,
    outcome: Option<Outcome>,
}

/// All tensors in graph order.
type Trace = Vec<Vec<u32>>;

/// All tensors, as far as there are any, and the roots of the state that comes out.
struct Outcome {
    trace: Trace,
    after: Vec<Hash>,
    fault: Option<FaultPlace>,
}

impl Computation {
    /// `Source::State(n)` of the graph reads entry `n mod e` of base `⌊n / e⌋`, where a base has `e` entries.
    pub fn new(
        graph: Arc<Graph>,
        bases: Vec<Arc<State>>,
        cheat: Option<Cheat>,
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Computation {
        Computation { graph, bases, cheat, threads: Arc::clone(threads), simd, outcome: None }
    }

    /// The graph with the trees that a dispute opens.
    pub fn graph_evidence(&self) -> GraphEvidence {
        replay::graph_evidence(&self.graph, &[])
    }

    /// The state root that comes out.
    ///
    /// # Errors
    /// An input that does not fit.
    pub fn root(&mut self) -> Result<Hash, RunError> {
        Ok(roots_tree(&self.outcome()?.after).root())
    }

    fn outcome(&mut self) -> Result<&Outcome, RunError> {
        let outcome = match self.outcome.take() {
            Some(known) => known,
            None => self.run()?,
        };
        Ok(self.outcome.insert(outcome))
    }

    fn run(&self) -> Result<Outcome, RunError> {
        let state: Vec<Buffer> = self.bases.iter().flat_map(|base| base.entries().iter().cloned()).collect();
        let nodes = self.graph.nodes();
        let input = |node: &sip_ops::NodeSpec| match (node.kind, node.source) {
            (Kind::Input, Source::State(number)) => {
                state.get(number as usize).map_or_else(Vec::new, |entry| entry.to_vec())
            }
            _ => Vec::new(),
        };
        let mut trace: Trace = nodes.iter().map(input).collect();
        let mut next: Vec<Buffer> =
            self.graph.state_outputs().iter().map(|&node| Buffer::new(nodes[node as usize].len())).collect();
        let options = ExecutorOptions { simd: self.simd, ..ExecutorOptions::default() };
        let mut executor = Executor::new(Arc::clone(&self.graph), Arc::clone(&self.threads), options);
        let mut observe = |node: usize, output: &mut [u32]| {
            if let Some(cheat) = &self.cheat {
                cheat.corrupt(0, node, output);
            }
            trace[node] = output.to_vec();
        };
        let inputs = Inputs { state: &state, batch: &[], step: 0, tables: &[] };
        let mut fault = None;
        match executor.run(&inputs, &mut next, Some(&mut observe)) {
            Err(RunError::Fault {
                node, fault: Fault::NotFinite { index, .. } | Fault::OutOfRange { index }, ..
            }) => {
                fault = Some(FaultPlace { step: 0, node, element: index as u32 });
            }
            outcome => outcome?,
        }
        if let Some(fault) = fault {
            trace.truncate(fault.node as usize);
        }
        let entries: Vec<&[u32]> = next.iter().map(|entry| &**entry).collect();
        Ok(Outcome { trace, after: state::roots(&entries, &self.threads), fault })
    }
}

impl Evidence for Computation {
    type Error = RunError;

    fn leaves(&mut self) -> Result<Vec<Leaf>, RunError> {
        Ok(Vec::new())
    }

    fn steps(&mut self, _leaf: u32) -> Result<Vec<StepRoots>, RunError> {
        Ok(Vec::new())
    }

    /// Before the step there is no state but the bases.
    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, RunError> {
        if step == 0 { Ok(Vec::new()) } else { Ok(self.outcome()?.after.clone()) }
    }

    fn trace_roots(&mut self, _step: u32) -> Result<Vec<Hash>, RunError> {
        let threads = Arc::clone(&self.threads);
        let tensors: Vec<&[u32]> = self.outcome()?.trace.iter().map(Vec::as_slice).collect();
        Ok(state::roots(&tensors, &threads))
    }

    fn tensor(&mut self, _step: u32, node: u32) -> Result<Vec<u32>, RunError> {
        Ok(self.outcome()?.trace.get(node as usize).cloned().unwrap_or_default())
    }

    fn tokens(&mut self, _domain: u32) -> Result<Vec<u32>, RunError> {
        Ok(Vec::new())
    }

    fn base_roots(&mut self, base: u32) -> Result<Vec<Hash>, RunError> {
        let Some(base) = self.bases.get(base as usize) else { return Ok(Vec::new()) };
        let entries: Vec<&[u32]> = base.entries().iter().map(|entry| &**entry).collect();
        Ok(state::roots(&entries, &self.threads))
    }

    fn fault(&mut self) -> Result<Option<FaultPlace>, RunError> {
        Ok(self.outcome()?.fault)
    }
}

//! A graph run once: for its outcome, or as evidence for either side of a dispute about it. So are the aggregate of a round, a job's
//! genesis state, and with compressed updates the start state and the update of a segment.

use sip_graph::{Buffer, Executor, ExecutorOptions, Graph, Inputs, RunError};
use sip_kernels::{Fault, Simd, Threads};
use sip_ops::{Kind, NodeSpec, Source};
use sip_proof::{Hash, Leaf, roots_tree};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dispute::{Evidence, FaultPlace, GraphEvidence, StepRoots};
use crate::{Cheat, State, replay, state};

/// What a graph gives for the states that its inputs read: honestly, or with a cheat.
pub struct Computation {
    graph: Arc<Graph>,
    carried: Option<Arc<State>>,
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
    /// Why the run stopped at it.
    stopped: Option<RunError>,
}

impl Computation {
    /// `Source::State(n)` of the graph reads entry `n mod e` of base `⌊n / e⌋`, where a base has `e` entries, unless it has a state to
    /// read before them: see [`Computation::carrying`].
    pub fn new(
        graph: Arc<Graph>,
        bases: Vec<Arc<State>>,
        cheat: Option<Cheat>,
        threads: &Arc<Threads>,
        simd: Simd,
    ) -> Computation {
        Computation { graph, carried: None, bases, cheat, threads: Arc::clone(threads), simd, outcome: None }
    }

    /// The same, where the first numbers read the entries of this state, and those after them the bases.
    pub fn carrying(mut self, state: Arc<State>) -> Computation {
        self.carried = Some(state);
        self.outcome = None;
        self
    }

    /// The same with a cheat, or without one.
    pub fn cheating(mut self, cheat: Option<Cheat>) -> Computation {
        self.cheat = cheat;
        self.outcome = None;
        self
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

    /// The state that comes out.
    ///
    /// # Errors
    /// An input that does not fit, or a value that does not exist.
    pub fn state(&mut self) -> Result<State, RunError> {
        let (graph, threads) = (Arc::clone(&self.graph), Arc::clone(&self.threads));
        let Outcome { trace, stopped, .. } = self.outcome()?;
        if let Some(error) = stopped {
            return Err(error.clone());
        }
        let entry = |&node: &u32| Buffer::from(&trace[node as usize][..]);
        Ok(State::new(graph.state_outputs().iter().map(entry).collect(), &threads))
    }

    fn outcome(&mut self) -> Result<&Outcome, RunError> {
        let outcome = match self.outcome.take() {
            Some(known) => known,
            None => self.run()?,
        };
        Ok(self.outcome.insert(outcome))
    }

    fn run(&self) -> Result<Outcome, RunError> {
        let state = entries(&self.graph, self.carried.iter().chain(&self.bases));
        let nodes = self.graph.nodes();
        let input = |node: &NodeSpec| match (node.kind, node.source) {
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
        let inputs = Inputs { state: &state, batch: &[], step: 0, tables: &[], settings: &[] };
        let (mut fault, mut stopped) = (None, None);
        match executor.run(&inputs, &mut next, Some(&mut observe)) {
            Err(
                error @ RunError::Fault {
                    node,
                    fault: Fault::NotFinite { index, .. } | Fault::OutOfRange { index },
                    ..
                },
            ) => {
                fault = Some(FaultPlace { step: 0, node, element: index as u32 });
                stopped = Some(error);
            }
            outcome => outcome?,
        }
        if let Some(fault) = fault {
            trace.truncate(fault.node as usize);
        }
        let entries: Vec<&[u32]> = next.iter().map(|entry| &**entry).collect();
        Ok(Outcome { trace, after: state::roots(&entries, &self.threads), fault, stopped })
    }
}

/// All entries of states, one state after the other; those that the graph does not read are left empty.
fn entries<'a>(graph: &Graph, states: impl Iterator<Item = &'a Arc<State>>) -> Vec<Buffer> {
    let input = |node: &NodeSpec| match (node.kind, node.source) {
        (Kind::Input, Source::State(number)) => Some(number as usize),
        _ => None,
    };
    let read: BTreeSet<usize> = graph.nodes().iter().filter_map(input).collect();
    let entry = |(number, entry): (usize, &Buffer)| if read.contains(&number) { entry.clone() } else { Buffer::new(0) };
    states.flat_map(|state| state.entries()).enumerate().map(entry).collect()
}

fn entry_roots(state: &State, threads: &Threads) -> Vec<Hash> {
    let entries: Vec<&[u32]> = state.entries().iter().map(|entry| &**entry).collect();
    state::roots(&entries, threads)
}

/// The state that a graph gives, whose `Source::State(n)` reads entry n of all these states one after the other. It reads neither
/// batch, step nor tables.
///
/// # Errors
/// A state that does not fit, or a value that is not finite.
pub fn compute(
    graph: &Arc<Graph>,
    states: &[Arc<State>],
    threads: &Arc<Threads>,
    simd: Simd,
) -> Result<State, RunError> {
    let state = entries(graph, states.iter());
    let nodes = graph.nodes();
    let mut next: Vec<Buffer> =
        graph.state_outputs().iter().map(|&node| Buffer::new(nodes[node as usize].len())).collect();
    let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
    let mut executor = Executor::new(Arc::clone(graph), Arc::clone(threads), options);
    executor.run(&Inputs { state: &state, batch: &[], step: 0, tables: &[], settings: &[] }, &mut next, None)?;
    Ok(State::new(next, threads))
}

impl Evidence for Computation {
    type Error = RunError;

    fn leaves(&mut self) -> Result<Vec<Leaf>, RunError> {
        Ok(Vec::new())
    }

    fn steps(&mut self, _leaf: u32) -> Result<Vec<StepRoots>, RunError> {
        Ok(Vec::new())
    }

    /// Before the step there is the state that is read before the bases, if there is one.
    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, RunError> {
        if step > 0 {
            return Ok(self.outcome()?.after.clone());
        }
        Ok(self.carried.as_ref().map_or_else(Vec::new, |state| entry_roots(state, &self.threads)))
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
        Ok(self.bases.get(base as usize).map_or_else(Vec::new, |base| entry_roots(base, &self.threads)))
    }

    fn fault(&mut self) -> Result<Option<FaultPlace>, RunError> {
        Ok(self.outcome()?.fault)
    }
}

//! Running a graph: every tensor has its place before the first step.

use crate::buffer::Buffer;
use crate::graph::Graph;
use crate::plan::{Plan, PlanError, PlanOptions};
use crate::run::{self, Machine, Memory, Next};
use sip_kernels::{Fault, Simd, Threads};
use sip_ops::{Kind, Source};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Called after every node that computes, with its number and output; what it changes is what later nodes read.
pub type Observer<'a> = dyn FnMut(usize, &mut [u32]) + 'a;

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A node gave a value that is not finite, or looked up an index that does not exist.
    #[error("node {node} ({kind:?}): {fault}")]
    Fault {
        /// Number of the node.
        node: u32,
        /// Its operator.
        kind: Kind,
        /// Which element, and what is wrong with it.
        fault: Fault,
    },
    /// An input is missing or of the wrong length.
    #[error("input {what} has {found} elements, expected {expected}")]
    Input {
        /// The input.
        what: String,
        /// Elements given; 0 if it is missing.
        found: usize,
        /// Elements that the graph reads.
        expected: usize,
    },
    /// The graph has no plan, so that it can never run.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Tensors from outside the graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Entries of the state before the step.
    pub state: &'a [Buffer],
    /// Token ids, row-major [batch, sequence + 1].
    pub batch: &'a [u32],
    /// Number of the step within the job.
    pub step: u32,
    /// The job's tables.
    pub tables: &'a [Buffer],
    /// The round's steered settings, multiples of 2⁻¹⁶.
    pub settings: &'a [u32],
}

/// How a graph is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// Vector instructions; they change no bit.
    pub simd: Simd,
    /// Whether every node's tensor stays readable after a run, instead of sharing memory. Nodes then run whole.
    pub keep_all: bool,
    /// Whether nodes run together slice by slice, so that what passes between them stays in a cache. It changes no bit.
    pub fuse: bool,
    /// In how many parts the batch runs, one after the other: the greatest number up to this that divides its rows. Sums over rows go on
    /// from part to part, so that no bit changes; memory falls, and so does speed a little.
    pub micro_batches: u32,
    /// Whether of the forward pass only residual streams and short tensors are kept, and the rest is computed again for the backward
    /// pass: less memory, about a quarter more time, the same bits.
    pub recompute: bool,
    /// Most memory for tensors between nodes and for the kernels' tables, in bytes (state and inputs aside). A graph that needs more
    /// does not run: for graphs from outside.
    pub max_bytes: usize,
}

impl Default for ExecutorOptions {
    fn default() -> ExecutorOptions {
        ExecutorOptions {
            simd: Simd::detect(),
            keep_all: false,
            fuse: true,
            micro_batches: 1,
            recompute: false,
            max_bytes: usize::MAX,
        }
    }
}

impl ExecutorOptions {
    fn plan(self, threads: usize) -> PlanOptions {
        let ExecutorOptions { simd, keep_all, fuse, micro_batches, recompute, max_bytes } = self;
        PlanOptions { simd, keep_all, fuse, micro_batches, recompute, in_order: keep_all, threads, max_bytes }
    }
}

/// A state and, where a step needs it, room for the next one. Entries beyond the graph's state outputs stay as they are.
#[derive(Clone, Debug, Default)]
pub struct DoubleState {
    current: Vec<Buffer>,
    next: Vec<Buffer>,
}

impl DoubleState {
    /// Starts from these entries.
    pub fn new(state: Vec<Buffer>) -> DoubleState {
        DoubleState { current: state, next: Vec::new() }
    }

    /// The state after the last step that succeeded.
    pub fn entries(&self) -> &[Buffer] {
        &self.current
    }

    /// Gives the entries back.
    pub fn into_entries(self) -> Vec<Buffer> {
        self.current
    }
}

/// Time that a node took, summed over the profiled runs.
#[derive(Clone, Copy, Debug)]
pub struct NodeTime {
    /// Number of the node.
    pub node: u32,
    /// Time in all runs.
    pub time: Duration,
}

/// A graph that is ready to run.
pub struct Executor {
    graph: Arc<Graph>,
    threads: Arc<Threads>,
    single: Threads,
    options: ExecutorOptions,
    fast: Result<Prepared, PlanError>,
    /// Node after node, for observers; made when the first one comes.
    plain: Option<Prepared>,
    /// Whether the last run was the plain one.
    ran_plain: bool,
    profile: Option<Vec<AtomicU64>>,
}

/// A plan with the memory that it runs in.
struct Prepared {
    plan: Plan,
    memory: Memory,
}

impl Prepared {
    fn new(graph: &Graph, options: PlanOptions) -> Result<Prepared, PlanError> {
        let plan = Plan::new(graph, options)?;
        let memory = Memory::new(&plan, options.threads)?;
        Ok(Prepared { plan, memory })
    }
}

impl Executor {
    /// Plans memory and prepares every kernel. A graph that has no plan, because it needs more memory than it may have or than there
    /// is, is reported by [`Executor::plan_error`] and by every run.
    pub fn new(graph: Arc<Graph>, threads: Arc<Threads>, options: ExecutorOptions) -> Executor {
        let fast = Prepared::new(&graph, options.plan(threads.count()));
        let single = Threads::new(1);
        Executor { graph, threads, single, options, fast, plain: None, ran_plain: false, profile: None }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Memory of all tensors between nodes, in bytes (state and inputs aside).
    pub fn arena_bytes(&self) -> usize {
        self.fast.as_ref().map_or(0, |prepared| prepared.memory.len() * size_of::<u32>())
    }

    /// Why the graph cannot run.
    pub fn plan_error(&self) -> Option<&PlanError> {
        self.fast.as_ref().err()
    }

    /// Runs the graph. `next` receives the state after the step, one entry per state output.
    ///
    /// # Errors
    /// A fault, or an input that does not fit; `next` is then unspecified. Of several faults it is the first in the order of the graph,
    /// whatever the plan: the nodes then run once more, one after the other, if there is the memory for it.
    pub fn run(
        &mut self,
        inputs: &Inputs<'_>,
        next: &mut [Buffer],
        observer: Option<&mut Observer<'_>>,
    ) -> Result<(), RunError> {
        self.check(inputs, &next.iter().map(|entry| entry.len()).collect::<Vec<_>>())?;
        self.run_plan(inputs, Next::Apart(next), observer).map_err(|error| self.first_fault(inputs, error))
    }

    fn run_plan(
        &mut self,
        inputs: &Inputs<'_>,
        next: Next<'_>,
        observer: Option<&mut Observer<'_>>,
    ) -> Result<(), RunError> {
        self.ran_plain = observer.is_some() && !self.options.keep_all;
        let prepared = if self.ran_plain {
            let plain = match self.plain.take() {
                Some(plain) => plain,
                None => self.prepare_plain()?,
            };
            self.plain.insert(plain)
        } else {
            self.fast.as_mut().map_err(|error| error.clone())?
        };
        let machine = Machine { threads: &self.threads, single: &self.single, times: self.profile.as_deref() };
        run::run(&prepared.plan, &mut prepared.memory, &machine, inputs, next, observer)
    }

    fn prepare_plain(&self) -> Result<Prepared, PlanError> {
        Prepared::new(&self.graph, self.options.plan(self.threads.count()).plain())
    }

    /// The first fault in the order of the graph, of a run that found `found`.
    #[cold]
    fn first_fault(&self, inputs: &Inputs<'_>, found: RunError) -> RunError {
        if self.ran_plain || self.options.keep_all || !matches!(found, RunError::Fault { .. }) {
            return found;
        }
        let lengths = self.graph.state_outputs().iter().map(|&node| self.graph.nodes()[node as usize].len());
        let room: Option<Vec<Buffer>> = lengths.map(Buffer::try_new).collect();
        let (Some(mut next), Ok(mut plain)) = (room, self.prepare_plain()) else { return found };
        let machine = Machine { threads: &self.threads, single: &self.single, times: None };
        run::run(&plain.plan, &mut plain.memory, &machine, inputs, Next::Apart(&mut next), None).err().unwrap_or(found)
    }

    /// Runs the graph on `state`, which stands in for that of `inputs`, and, if it succeeds, makes the outcome the current state.
    ///
    /// Where every entry is replaced by a function of itself and of what does not change, as an optimizer does, the outcome takes the
    /// place of the old entries; it is computed twice then, so that nothing is written before all of it is known to be finite.
    ///
    /// # Errors
    /// As [`Executor::run`]; the current state is then what it was.
    pub fn step(
        &mut self,
        state: &mut DoubleState,
        inputs: &Inputs<'_>,
        observer: Option<&mut Observer<'_>>,
    ) -> Result<(), RunError> {
        if self.fast.as_ref().is_ok_and(|fast| fast.plan.in_place) && observer.is_none() {
            let lengths: Vec<usize> = state.current.iter().map(|entry| entry.len()).collect();
            self.check(&Inputs { state: &state.current, ..*inputs }, &lengths)?;
            let inputs = Inputs { state: &[], ..*inputs };
            return self.run_plan(&inputs, Next::InPlace(&mut state.current), None).map_err(|error| {
                // Nothing has been written.
                self.first_fault(&Inputs { state: &state.current, ..inputs }, error)
            });
        }
        let lengths = state.current.iter().take(self.graph.state_outputs().len()).map(|entry| entry.len());
        if !state.next.iter().map(|entry| entry.len()).eq(lengths.clone()) {
            state.next = lengths.map(Buffer::new).collect();
        }
        let inputs = Inputs { state: &state.current, ..*inputs };
        self.run(&inputs, &mut state.next, observer)?;
        for (current, next) in state.current.iter_mut().zip(&mut state.next) {
            std::mem::swap(current, next);
        }
        Ok(())
    }

    /// A named tensor of the last run.
    pub fn result(&self, name: &str) -> Option<&[u32]> {
        self.kept(self.graph.result(name)?)
    }

    /// Any computed tensor of the last run that is no state output; needs [`ExecutorOptions::keep_all`].
    pub fn tensor(&self, node: u32) -> Option<&[u32]> {
        if self.options.keep_all { self.kept(node) } else { None }
    }

    fn kept(&self, node: u32) -> Option<&[u32]> {
        let plain = self.plain.as_ref().filter(|_| self.ran_plain);
        let prepared = plain.or(self.fast.as_ref().ok())?;
        prepared.memory.get(prepared.plan.kept.get(node as usize)?.as_ref()?)
    }

    /// Starts to measure the time of every node, from zero.
    pub fn start_profile(&mut self) {
        self.profile = Some(self.graph.nodes().iter().map(|_| AtomicU64::new(0)).collect());
    }

    /// Times since [`Executor::start_profile`], slowest first. Where slices of a node run side by side, their sum is divided by the number
    /// of threads.
    pub fn profile(&self) -> Vec<NodeTime> {
        let times = run::durations(self.profile.as_deref().unwrap_or(&[]));
        let times = times.into_iter().enumerate();
        let mut times: Vec<NodeTime> = times.map(|(node, time)| NodeTime { node: node as u32, time }).collect();
        times.sort_by_key(|t| std::cmp::Reverse(t.time));
        times
    }

    fn check(&self, inputs: &Inputs<'_>, next: &[usize]) -> Result<(), RunError> {
        for spec in self.graph.nodes().iter().filter(|spec| spec.kind == Kind::Input) {
            let found = inputs.get(&[0], spec.source).len();
            if found != spec.len() {
                return Err(RunError::Input { what: format!("{:?}", spec.source), found, expected: spec.len() });
            }
        }
        for (entry, &node) in self.graph.state_outputs().iter().enumerate() {
            let expected = self.graph.nodes()[node as usize].len();
            let found = next.get(entry).copied().unwrap_or(0);
            if found != expected {
                return Err(RunError::Input { what: format!("room for state entry {entry}"), found, expected });
            }
        }
        Ok(())
    }
}

impl<'a> Inputs<'a> {
    /// The tensor of a source; empty if there is none.
    pub(crate) fn get(&self, step: &'a [u32; 1], source: Source) -> &'a [u32] {
        match source {
            Source::State(entry) => self.state.get(entry as usize).map_or(&[], |buffer| buffer),
            Source::Batch => self.batch,
            Source::Step => step,
            Source::Table(table) => self.tables.get(table as usize).map_or(&[], |buffer| buffer),
            Source::Setting => self.settings,
        }
    }
}

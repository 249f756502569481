//! Running a graph: every tensor has its place before the first step, and a step allocates nothing.

use crate::buffer::Buffer;
use crate::graph::Graph;
use sip_kernels::{Fault, Kernel, Simd, Threads};
use sip_ops::{Kind, MAX_OPERANDS, Source};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
}

/// Tensors from outside the graph.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Entries of the state before the step.
    pub state: &'a [Buffer],
    /// Token ids, row-major [batch, sequence + 1].
    pub batch: &'a [u32],
    /// Number of the step within the job.
    pub step: u32,
    /// The job's tables.
    pub tables: &'a [Buffer],
}

/// How a graph is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// Vector instructions; they change no bit.
    pub simd: Simd,
    /// Whether every node's tensor stays readable after a run, instead of sharing memory.
    pub keep_all: bool,
}

impl Default for ExecutorOptions {
    fn default() -> ExecutorOptions {
        ExecutorOptions { simd: Simd::detect(), keep_all: false }
    }
}

/// A state and room for the next one.
#[derive(Clone, Debug, Default)]
pub struct DoubleState {
    current: Vec<Buffer>,
    next: Vec<Buffer>,
}

impl DoubleState {
    /// Starts from these entries.
    pub fn new(state: Vec<Buffer>) -> DoubleState {
        let next = state.iter().map(|entry| Buffer::new(entry.len())).collect();
        DoubleState { current: state, next }
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

/// Where a node's tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Input(Source),
    Slot(u32),
    /// Entry of the state after the step.
    State(u32),
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
    kernels: Vec<Option<Kernel>>,
    places: Vec<Place>,
    slots: Vec<Buffer>,
    /// (state entry, node) where the entry's tensor lies elsewhere.
    copies: Vec<(u32, u32)>,
    keep_all: bool,
    profile: Option<Vec<Duration>>,
}

impl Executor {
    /// Plans memory and prepares every kernel.
    pub fn new(graph: Arc<Graph>, threads: Arc<Threads>, options: ExecutorOptions) -> Executor {
        let kernels = graph
            .nodes()
            .iter()
            .map(|spec| (spec.kind != Kind::Input).then(|| Kernel::new(spec, options.simd)))
            .collect();
        let (places, capacities, copies) = plan(&graph, options.keep_all);
        let slots = capacities.into_iter().map(Buffer::new).collect();
        Executor { graph, threads, kernels, places, slots, copies, keep_all: options.keep_all, profile: None }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Memory of all tensors between nodes, in bytes (state and inputs aside).
    pub fn arena_bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.len() * 4).sum()
    }

    /// Runs the graph. `next` receives the state after the step, one entry per state output.
    ///
    /// # Errors
    /// A fault, or an input that does not fit; `next` is then unspecified.
    pub fn run(
        &mut self,
        inputs: &Inputs<'_>,
        next: &mut [Buffer],
        mut observer: Option<&mut Observer<'_>>,
    ) -> Result<(), RunError> {
        self.check(inputs, next)?;
        let graph = Arc::clone(&self.graph);
        let step = [inputs.step];
        for (number, spec) in graph.nodes().iter().enumerate() {
            let Some(kernel) = &self.kernels[number] else { continue };
            let started = self.profile.is_some().then(Instant::now);
            let place = self.places[number];
            // The output leaves its place while the node runs, so the operands can be borrowed beside it.
            let mut buffer = match place {
                Place::Slot(slot) => std::mem::take(&mut self.slots[slot as usize]),
                Place::State(entry) => std::mem::take(&mut next[entry as usize]),
                Place::Input(_) => continue,
            };
            let mut operands: [&[u32]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
            for (slice, operand) in operands.iter_mut().zip(&spec.operands) {
                let read = &graph.nodes()[operand.node as usize];
                let found = match self.places[operand.node as usize] {
                    Place::Input(source) => input(inputs, &step, source),
                    Place::Slot(slot) => &self.slots[slot as usize],
                    Place::State(entry) => &next[entry as usize],
                };
                *slice = found.get(..read.len()).unwrap_or(&[]);
            }
            let out = &mut buffer[..spec.len()];
            let outcome = kernel.run(&operands[..spec.operands.len()], out, &self.threads);
            if outcome.is_ok()
                && let Some(observer) = observer.as_mut()
            {
                observer(number, out);
            }
            match place {
                Place::State(entry) => next[entry as usize] = buffer,
                Place::Slot(slot) => self.slots[slot as usize] = buffer,
                Place::Input(_) => {}
            }
            outcome.map_err(|fault| RunError::Fault { node: number as u32, kind: spec.kind, fault })?;
            if let (Some(times), Some(started)) = (&mut self.profile, started) {
                times[number] += started.elapsed();
            }
        }
        for &(entry, node) in &self.copies {
            let mut target = std::mem::take(&mut next[entry as usize]);
            let source = match self.places[node as usize] {
                Place::Input(source) => input(inputs, &step, source),
                Place::Slot(slot) => &self.slots[slot as usize],
                Place::State(entry) => &next[entry as usize],
            };
            let len = target.len();
            target.copy_from_slice(&source[..len]);
            next[entry as usize] = target;
        }
        Ok(())
    }

    /// Runs the graph on `state` and, if it succeeds, makes the outcome the current state.
    ///
    /// # Errors
    /// As [`Executor::run`]; the current state is then what it was.
    pub fn step(
        &mut self,
        state: &mut DoubleState,
        batch: &[u32],
        step: u32,
        tables: &[Buffer],
        observer: Option<&mut Observer<'_>>,
    ) -> Result<(), RunError> {
        let inputs = Inputs { state: &state.current, batch, step, tables };
        self.run(&inputs, &mut state.next, observer)?;
        std::mem::swap(&mut state.current, &mut state.next);
        Ok(())
    }

    /// A named tensor of the last run.
    pub fn result(&self, name: &str) -> Option<&[u32]> {
        self.slot_of(self.graph.result(name)?)
    }

    /// Any computed tensor of the last run that is no state output; needs [`ExecutorOptions::keep_all`].
    pub fn tensor(&self, node: u32) -> Option<&[u32]> {
        if self.keep_all { self.slot_of(node) } else { None }
    }

    fn slot_of(&self, node: u32) -> Option<&[u32]> {
        match self.places.get(node as usize)? {
            Place::Slot(slot) => self.slots.get(*slot as usize)?.get(..self.graph.nodes()[node as usize].len()),
            _ => None,
        }
    }

    /// Starts to measure the time of every node, from zero.
    pub fn start_profile(&mut self) {
        self.profile = Some(vec![Duration::ZERO; self.kernels.len()]);
    }

    /// Times since [`Executor::start_profile`], slowest first.
    pub fn profile(&self) -> Vec<NodeTime> {
        let times = self.profile.iter().flatten().enumerate();
        let mut times: Vec<NodeTime> = times.map(|(node, &time)| NodeTime { node: node as u32, time }).collect();
        times.sort_by_key(|t| std::cmp::Reverse(t.time));
        times
    }

    fn check(&self, inputs: &Inputs<'_>, next: &[Buffer]) -> Result<(), RunError> {
        for (spec, place) in self.graph.nodes().iter().zip(&self.places) {
            let Place::Input(source) = *place else { continue };
            let found = input(inputs, &[0], source).len();
            if found != spec.len() {
                return Err(RunError::Input { what: format!("{source:?}"), found, expected: spec.len() });
            }
        }
        for (entry, &node) in self.graph.state_outputs().iter().enumerate() {
            let expected = self.graph.nodes()[node as usize].len();
            let found = next.get(entry).map_or(0, |buffer| buffer.len());
            if found != expected {
                return Err(RunError::Input { what: format!("room for state entry {entry}"), found, expected });
            }
        }
        Ok(())
    }
}

fn input<'a>(inputs: &Inputs<'a>, step: &'a [u32; 1], source: Source) -> &'a [u32] {
    match source {
        Source::State(entry) => inputs.state.get(entry as usize).map_or(&[], |buffer| buffer),
        Source::Batch => inputs.batch,
        Source::Step => step,
        Source::Table(table) => inputs.tables.get(table as usize).map_or(&[], |buffer| buffer),
    }
}

/// Gives every node a place. A slot is free again after the last reader of its tensor; the free slot whose size fits
/// best is taken, the one freed last among equals (it is warm in the cache).
fn plan(graph: &Graph, keep_all: bool) -> (Vec<Place>, Vec<usize>, Vec<(u32, u32)>) {
    let nodes = graph.nodes();
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (number, spec) in nodes.iter().enumerate() {
        spec.operands.iter().for_each(|o| last_use[o.node as usize] = number);
    }
    for (_, node) in graph.results() {
        last_use[*node as usize] = usize::MAX;
    }
    let mut state_entry: Vec<Option<u32>> = vec![None; nodes.len()];
    let mut copies = Vec::new();
    for (entry, &node) in graph.state_outputs().iter().enumerate() {
        let named = graph.results().iter().any(|(_, result)| *result == node);
        if nodes[node as usize].kind == Kind::Input || state_entry[node as usize].is_some() || named {
            copies.push((entry as u32, node));
            last_use[node as usize] = usize::MAX;
        } else {
            state_entry[node as usize] = Some(entry as u32);
        }
    }
    let mut ends: Vec<Vec<u32>> = vec![Vec::new(); nodes.len()];
    let mut capacities: Vec<usize> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut places = Vec::with_capacity(nodes.len());
    for (number, spec) in nodes.iter().enumerate() {
        let place = if spec.kind == Kind::Input {
            Place::Input(spec.source)
        } else if let Some(entry) = state_entry[number] {
            Place::State(entry)
        } else {
            let len = spec.len();
            let best = (0..free.len()).rev().min_by_key(|&f| {
                let capacity = capacities[free[f] as usize];
                (capacity < len, capacity.abs_diff(len))
            });
            let slot = match best {
                Some(found) if !keep_all => free.remove(found),
                _ => {
                    capacities.push(0);
                    (capacities.len() - 1) as u32
                }
            };
            capacities[slot as usize] = capacities[slot as usize].max(len);
            if let Some(end) = ends.get_mut(last_use[number]) {
                end.push(slot);
            }
            Place::Slot(slot)
        };
        places.push(place);
        free.append(&mut ends[number]);
    }
    (places, capacities, copies)
}

//! Training and auditing: the same computation, once to commit to it and once to check what was committed.

use sip_graph::{Buffer, DoubleState, Executor, ExecutorOptions, Observer};
use sip_kernels::{Simd, Threads};
use sip_ops::{Kind, NodeSpec, Source};
use sip_proof::{Hash, HostSha256, Leaf, Sha256, tensor_root};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Cheat, Segment, SegmentTask, State, Task, WorkError, state};

/// Name of the graph's result that holds the training loss.
const LOSS: &str = "loss";
const DIGEST_TAG: &[u8] = b"sip.digest.1";

/// Where the time of a worker went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Training steps.
    pub steps: Duration,
    /// Hashing of states and batches.
    pub commitments: Duration,
}

/// The first place where a segment is not what its trainer committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The leaf.
    pub leaf: u32,
    /// What it would be.
    pub expected: Leaf,
}

/// What an audit found.
#[derive(Clone)]
pub struct Audit {
    /// The segment as it should be.
    pub replayed: Segment,
    /// What each attester attests with if nothing differs.
    pub digests: Vec<Hash>,
    /// The first leaf that differs.
    pub divergence: Option<Divergence>,
}

/// All tensors of one step in graph order.
pub type Trace = Vec<Vec<u32>>;

/// A machine that runs steps of a task.
pub struct Worker {
    task: Task,
    executor: Executor,
    threads: Arc<Threads>,
    simd: Simd,
    times: Times,
}

impl Worker {
    /// Prepares a task's graph.
    pub fn new(task: Task, threads: Arc<Threads>, simd: Simd) -> Worker {
        let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
        let executor = Executor::new(Arc::clone(&task.graph), Arc::clone(&threads), options);
        Worker { task, executor, threads, simd, times: Times::default() }
    }

    /// The task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Where the time went since the last call.
    pub fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    /// Computes a segment. `progress` is called after every step and says whether to go on.
    ///
    /// # Errors
    /// A fault of the arithmetic, or data that do not fit the task.
    pub fn train(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        progress: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Segment, WorkError> {
        self.compute(segment, cheat, &mut BTreeMap::new(), progress)
    }

    /// Computes a segment; the traces of the steps that are asked for are filled in on the way.
    fn compute(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        traced: &mut BTreeMap<u32, Trace>,
        progress: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Segment, WorkError> {
        let mut leaves = Vec::new();
        let mut losses = Vec::new();
        let carried = self.task.carried();
        let mut state = DoubleState::new(segment.inputs(&self.task, &segment.base));
        let mut start_root = segment.base.root();
        for (first_step, count) in self.task.leaves().collect::<Vec<_>>() {
            let mut batches = Vec::new();
            for step in first_step..first_step + count {
                let batch = self.batch(segment, cheat, step)?;
                batches.push(batch.1);
                if cheat != Some(&Cheat::Lazy) {
                    self.step(segment, cheat, step, &mut state, &batch.0, traced.get_mut(&step))?;
                    let loss = self.executor.result(LOSS).and_then(|loss| loss.first());
                    losses.extend(loss.map(|&bits| f32::from_bits(bits)));
                }
                if !progress(step) {
                    return Err(WorkError::Stopped);
                }
            }
            let started = Instant::now();
            let end_root = match cheat {
                Some(Cheat::Lazy) => start_root,
                _ => state::root(&state.entries()[..carried], &self.threads),
            };
            self.times.commitments += started.elapsed();
            leaves.push(Leaf { first_step, count, start_root, batches_root: Leaf::batches_root(&batches), end_root });
            start_root = end_root;
        }
        let end = match cheat {
            Some(Cheat::Lazy) => Arc::clone(&segment.base),
            _ => Arc::new(State::with_root(self.carried(state), start_root)),
        };
        Ok(Segment { leaves, end, losses })
    }

    /// The entries that the next step starts from, without those of the bases.
    fn carried(&self, state: DoubleState) -> Vec<Buffer> {
        let mut entries = state.into_entries();
        entries.truncate(self.task.carried());
        entries
    }

    /// A step's batch and its root.
    fn batch(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        step: u32,
    ) -> Result<(Vec<u32>, Hash), WorkError> {
        let started = Instant::now();
        let batch = segment.batch(&self.task, step, cheat)?;
        let root = tensor_root(&batch);
        self.times.commitments += started.elapsed();
        Ok((batch, root))
    }

    /// One step of the graph; every node's tensor goes into the trace, if one is asked for.
    fn step(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        step: u32,
        state: &mut DoubleState,
        batch: &[u32],
        mut trace: Option<&mut Trace>,
    ) -> Result<(), WorkError> {
        let started = Instant::now();
        let job_step = segment.job_step(&self.task, step);
        if let Some(trace) = trace.as_deref_mut() {
            let input = |node: &NodeSpec| match (node.kind, node.source) {
                (Kind::Input, Source::State(entry)) => state.entries()[entry as usize].to_vec(),
                (Kind::Input, Source::Batch) => batch.to_vec(),
                (Kind::Input, Source::Step) => vec![job_step],
                (Kind::Input, Source::Table(table)) => self.task.tables[table as usize].to_vec(),
                _ => Vec::new(),
            };
            *trace = self.task.graph.nodes().iter().map(input).collect();
        }
        let trace_wanted = trace.is_some();
        let mut observe = |node: usize, output: &mut [u32]| {
            if let Some(cheat) = cheat {
                cheat.corrupt(step, node, output);
            }
            if let Some(trace) = trace.as_deref_mut() {
                trace[node] = output.to_vec();
            }
        };
        let observer: Option<&mut Observer<'_>> =
            if cheat.is_some() || trace_wanted { Some(&mut observe) } else { None };
        self.executor
            .step(state, batch, job_step, &self.task.tables, observer)
            .map_err(|source| WorkError::Run { step, source })?;
        self.times.steps += started.elapsed();
        Ok(())
    }

    /// Replays a segment and compares it with what was committed: the leaves that the trainer published, which must fold to
    /// the accumulator on chain (the caller's to check), and the end that stands on chain.
    ///
    /// For every attester, a key and the draw that it revealed, the digest is what it attests with: a hash of both and of the
    /// trace of one step that follows from the draw, which only a replay yields.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn audit(
        &mut self,
        segment: &SegmentTask,
        committed: (&[Leaf], &Hash),
        attesters: &[(Hash, Hash)],
        progress: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Audit, WorkError> {
        let steps: Vec<u32> = attesters
            .iter()
            .map(|(_, draw)| {
                let drawn = HostSha256::hashv(&[DIGEST_TAG, draw]);
                u32::from_le_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]) % self.task.inner_steps
            })
            .collect();
        let mut traces: BTreeMap<u32, Trace> = steps.iter().map(|step| (*step, Trace::new())).collect();
        let replayed = self.compute(segment, None, &mut traces, progress)?;
        let digest = |((auditor, draw), step): (&(Hash, Hash), &u32)| {
            let tensors: Vec<&[u32]> = traces.get(step).into_iter().flatten().map(Vec::as_slice).collect();
            let trace_root = sip_proof::roots_tree(&state::roots(&tensors, &self.threads)).root();
            HostSha256::hashv(&[DIGEST_TAG, auditor, draw, &step.to_le_bytes(), &trace_root])
        };
        let digests = attesters.iter().zip(&steps).map(digest).collect();
        let differs = |(number, expected): (usize, &Leaf)| {
            let false_end = number + 1 == replayed.leaves.len() && expected.end_root != *committed.1;
            let differs = committed.0.get(number) != Some(expected) || false_end;
            differs.then_some(Divergence { leaf: number as u32, expected: *expected })
        };
        let divergence = replayed.leaves.iter().enumerate().find_map(differs);
        Ok(Audit { replayed, digests, divergence })
    }

    /// All tensors of one step in graph order, inputs included: what a dispute is about.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn trace(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        step: u32,
        before: &State,
    ) -> Result<Trace, WorkError> {
        let (batch, _) = self.batch(segment, cheat, step)?;
        let mut state = DoubleState::new(segment.inputs(&self.task, before));
        let mut trace = Trace::new();
        // A lazy trainer did none of the steps; the only trace it can show is the honest one.
        self.step(segment, cheat, step, &mut state, &batch, Some(&mut trace))?;
        Ok(trace)
    }

    /// The state before step `to`, from the one before step `from`.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn advance(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        from: u32,
        to: u32,
        start: &Arc<State>,
    ) -> Result<Arc<State>, WorkError> {
        if cheat == Some(&Cheat::Lazy) || from >= to {
            return Ok(Arc::clone(start));
        }
        let mut state = DoubleState::new(segment.inputs(&self.task, start));
        for step in from..to {
            let (batch, _) = self.batch(segment, cheat, step)?;
            self.step(segment, cheat, step, &mut state, &batch, None)?;
        }
        Ok(Arc::new(State::new(self.carried(state), &self.threads)))
    }

    /// The machine's threads.
    pub fn threads(&self) -> &Arc<Threads> {
        &self.threads
    }

    /// The kernels' instruction set.
    pub fn simd(&self) -> Simd {
        self.simd
    }
}

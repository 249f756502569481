//! Training and auditing: the same computation, once to commit to it and once to check what was committed.

use sip_graph::{Buffer, DoubleState, Executor, ExecutorOptions, Inputs, Observer, RunError};
use sip_kernels::{Fault, Simd, Threads};
use sip_ops::{Kind, Source};
use sip_proof::{Hash, Leaf, tensor_root};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dispute::FaultPlace;
use crate::trace::{Keep, Recorder, Trace};
use crate::{Cheat, Segment, SegmentTask, State, Task, WorkError, state};

/// Name of the graph's result that holds the training loss.
const LOSS: &str = "loss";

/// Where the time of a worker went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Training steps.
    pub steps: Duration,
    /// How many these were.
    pub step_count: u32,
    /// Hashing of states and batches.
    pub commitments: Duration,
}

/// The first place where a segment is not what its trainer committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The leaf.
    pub leaf: u32,
    /// What it would be; `None` if there is no such leaf, since the segment stops in it.
    pub expected: Option<Leaf>,
}

/// What an audit found.
#[derive(Clone)]
pub struct Audit {
    /// The segment as it should be.
    pub replayed: Segment,
    /// For each attested leaf, the trace root that its auditor attests with if nothing differs: see [`sip_protocol::training::attestation`].
    pub trace_roots: Vec<Hash>,
    /// The first leaf that differs.
    pub divergence: Option<Divergence>,
    /// Where the segment stops, if it does: no honest trainer commits one. What was replayed ends with the leaf before.
    pub fault: Option<FaultPlace>,
    /// States on the way: see [`Worker::keep_checkpoints`].
    pub checkpoints: Checkpoints,
}

/// States of a replay, each before a step at which a leaf starts, in the order of steps: none, unless a worker was asked to keep them.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints(Vec<(u32, Arc<State>)>);

/// A segment as it should be.
#[derive(Clone)]
pub struct Replayed {
    /// As far as it goes.
    pub segment: Segment,
    /// For each attested leaf, the trace root that its auditor attests with, if the segment does not stop.
    pub trace_roots: Vec<Hash>,
    /// Where the segment stops, if it does: no honest trainer commits one. What was replayed ends with the leaf before.
    pub fault: Option<FaultPlace>,
    /// States on the way: see [`Worker::keep_checkpoints`].
    pub checkpoints: Checkpoints,
}

/// A segment between two of its steps: who goes on from it gives the same segment as who never stopped.
#[derive(Clone)]
pub struct Pause {
    /// The step that comes next.
    pub next_step: u32,
    /// Leaves that are done.
    pub leaves: Vec<Leaf>,
    /// Losses of the steps that are done.
    pub losses: Vec<f32>,
    /// Roots of the batches of the leaf under way.
    pub batches: Vec<Hash>,
    /// Trace roots of a replay, by step.
    pub traces: BTreeMap<u32, Hash>,
    /// The state before the next step.
    pub state: Arc<State>,
}

/// Called after every step, with what makes a pause of what is done; says whether to go on.
pub type Watch<'a> = dyn FnMut(u32, &dyn Fn() -> Pause) -> bool + 'a;

/// What was computed of a segment.
#[derive(Default)]
struct Done {
    leaves: Vec<Leaf>,
    losses: Vec<f32>,
    /// `None` until the last step is done, and where it is the base.
    end: Option<Arc<State>>,
    /// One every so many steps; none at 0.
    checkpoint_steps: u32,
    checkpoints: Checkpoints,
}

impl Done {
    fn segment(self, base: &Arc<State>) -> Segment {
        Segment { leaves: self.leaves, end: self.end.unwrap_or_else(|| Arc::clone(base)), losses: self.losses }
    }
}

/// A machine that runs steps of a task.
pub struct Worker {
    task: Task,
    executor: Executor,
    threads: Arc<Threads>,
    simd: Simd,
    times: Times,
    checkpoint_steps: u32,
}

impl Worker {
    /// Prepares a task's graph.
    pub fn new(task: Task, threads: Arc<Threads>, simd: Simd) -> Worker {
        let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
        let executor = Executor::new(Arc::clone(&task.graph), Arc::clone(&threads), options);
        Worker { task, executor, threads, simd, times: Times::default(), checkpoint_steps: 0 }
    }

    /// The task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Where the time went since the last call.
    pub fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    /// From now on a replay keeps a state every so many steps, at the start of a leaf, so that [`Worker::trace_root`] need not start from
    /// the base; none at 0. Each takes as much memory as the job's state.
    pub fn keep_checkpoints(&mut self, every_steps: u32) {
        self.checkpoint_steps = every_steps;
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
        self.train_on(segment, cheat, None, &mut |step, _| progress(step))
    }

    /// As [`Worker::train`], from where an earlier call stopped. `watch` may keep a pause, for a later call with the same segment and cheat.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn train_on(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        from: Option<Pause>,
        watch: &mut Watch<'_>,
    ) -> Result<Segment, WorkError> {
        let mut done = Done::default();
        self.compute(segment, cheat, &mut BTreeMap::new(), &mut done, (from, watch))?;
        Ok(done.segment(&segment.base))
    }

    /// Computes a segment, or what a pause leaves of it; the trace roots of the steps that are asked for are filled in on the way.
    fn compute(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        traced: &mut BTreeMap<u32, Hash>,
        done: &mut Done,
        (from, watch): (Option<Pause>, &mut Watch<'_>),
    ) -> Result<(), WorkError> {
        let carried = self.task.carried();
        let before = from.as_ref().map_or(&segment.base, |pause| &pause.state);
        let mut state = DoubleState::new(segment.inputs(&self.task, before));
        let mut start_root = segment.base.root();
        let (mut next_step, mut batches) = (0, Vec::new());
        if let Some(pause) = from {
            start_root = pause.leaves.last().map_or(start_root, |leaf| leaf.end_root);
            (next_step, batches) = (pause.next_step, pause.batches);
            (done.leaves, done.losses) = (pause.leaves, pause.losses);
            traced.extend(pause.traces);
        }
        for (first_step, count) in self.task.leaves().skip(done.leaves.len()).collect::<Vec<_>>() {
            for step in first_step.max(next_step)..first_step + count {
                let batch = self.batch(segment, cheat, step)?;
                batches.push(batch.1);
                if cheat != Some(&Cheat::Lazy) {
                    match traced.get_mut(&step) {
                        Some(root) => {
                            let mut trace = Trace::new();
                            self.step(segment, cheat, step, &mut state, &batch.0, Some((Keep::Nothing, &mut trace)))?;
                            *root = trace.root();
                        }
                        None => self.step(segment, cheat, step, &mut state, &batch.0, None)?,
                    }
                    let loss = self.executor.result(LOSS).and_then(|loss| loss.first());
                    done.losses.extend(loss.map(|&bits| f32::from_bits(bits)));
                }
                let pause = || Pause {
                    next_step: step + 1,
                    leaves: done.leaves.clone(),
                    losses: done.losses.clone(),
                    batches: batches.clone(),
                    traces: traced.clone(),
                    state: Arc::new(State::new(state.entries()[..carried].to_vec(), &self.threads)),
                };
                if !watch(step, &pause) {
                    return Err(WorkError::Stopped);
                }
            }
            let started = Instant::now();
            let end_root = match cheat {
                Some(Cheat::Lazy) => start_root,
                _ => state::root(&state.entries()[..carried], &self.threads),
            };
            self.times.commitments += started.elapsed();
            let batches_root = Leaf::batches_root(&std::mem::take(&mut batches));
            done.leaves.push(Leaf { first_step, count, start_root, batches_root, end_root });
            start_root = end_root;
            let next_step = first_step + count;
            let kept = done.checkpoints.0.last().map_or(0, |(step, _)| *step);
            let is_due = done.checkpoint_steps != 0 && next_step - kept >= done.checkpoint_steps;
            if is_due && next_step < self.task.inner_steps {
                let entries = state.entries()[..carried].to_vec();
                done.checkpoints.0.push((next_step, Arc::new(State::with_root(entries, start_root))));
            }
        }
        if cheat != Some(&Cheat::Lazy) {
            done.end = Some(Arc::new(State::with_root(self.carried(state), start_root)));
        }
        Ok(())
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

    /// One step of the graph; if its trace is asked for, it is set, also where the step fails.
    fn step(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        step: u32,
        state: &mut DoubleState,
        batch: &[u32],
        trace: Option<(Keep<'_>, &mut Trace)>,
    ) -> Result<(), WorkError> {
        let started = Instant::now();
        let job_step = segment.job_step(step);
        let settings = segment.settings(cheat);
        let mut recorder = trace.as_ref().map(|(keep, _)| Recorder::new(&self.task.graph, *keep, &self.threads));
        if let Some(recorder) = &mut recorder {
            for (number, node) in self.task.graph.nodes().iter().enumerate() {
                let mut note = |input: &[u32]| recorder.note(number as u32, input);
                match (node.kind, node.source) {
                    (Kind::Input, Source::State(entry)) => note(&state.entries()[entry as usize]),
                    (Kind::Input, Source::Batch) => note(batch),
                    (Kind::Input, Source::Step) => note(&[job_step]),
                    (Kind::Input, Source::Setting) => note(&settings),
                    (Kind::Input, Source::Table(table)) => note(&self.task.tables[table as usize]),
                    _ => {}
                }
            }
        }
        let is_observed = cheat.is_some() || recorder.is_some();
        let mut observe = |node: usize, output: &mut [u32]| {
            if let Some(cheat) = cheat {
                cheat.corrupt(step, node, output);
            }
            if let Some(recorder) = &mut recorder {
                recorder.note(node as u32, output);
            }
        };
        let observer: Option<&mut Observer<'_>> = if is_observed { Some(&mut observe) } else { None };
        let inputs = Inputs { state: &[], batch, step: job_step, tables: &self.task.tables, settings: &settings };
        let outcome = self.executor.step(state, &inputs, observer);
        if let (Some(recorder), Some((_, trace))) = (recorder, trace) {
            *trace = recorder.finish();
        }
        outcome.map_err(|source| WorkError::Run { step, source })?;
        self.times.steps += started.elapsed();
        self.times.step_count += 1;
        Ok(())
    }

    /// Replays a segment and compares it with what was committed: the leaves that the trainer published, which must fold to
    /// the accumulator on chain (the caller's to check), and the end that stands on chain.
    ///
    /// For every leaf of `attested`, the trace root is what its auditor attests with: that of the leaf's first step, which only a replay
    /// yields. Which leaf that is, [`sip_protocol::training::attestation::leaf`] says.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn audit(
        &mut self,
        segment: &SegmentTask,
        committed: (&[Leaf], &Hash),
        attested: &[u32],
        progress: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Audit, WorkError> {
        let Replayed { segment: replayed, trace_roots, fault, checkpoints } =
            self.replay(segment, attested, progress)?;
        let leaf_count = self.task.leaves().count();
        let differs = |(number, expected): (usize, &Leaf)| {
            let false_end = number + 1 == leaf_count && expected.end_root != *committed.1;
            let differs = committed.0.get(number) != Some(expected) || false_end;
            differs.then_some(Divergence { leaf: number as u32, expected: Some(*expected) })
        };
        let stopped = fault.map(|_| Divergence { leaf: replayed.leaves.len() as u32, expected: None });
        let divergence = replayed.leaves.iter().enumerate().find_map(differs).or(stopped);
        Ok(Audit { replayed, trace_roots, divergence, fault, checkpoints })
    }

    /// Replays a segment of which only what stands on chain is known, with the traces of the first steps of some of its leaves.
    ///
    /// # Errors
    /// As of [`Worker::train`], but for a fault.
    pub fn replay(
        &mut self,
        segment: &SegmentTask,
        attested: &[u32],
        progress: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Replayed, WorkError> {
        self.replay_on(segment, attested, None, &mut |step, _| progress(step))
    }

    /// As [`Worker::replay`], from where an earlier call stopped. `watch` may keep a pause, for a later call with the same segment and leaves.
    ///
    /// # Errors
    /// As of [`Worker::replay`].
    pub fn replay_on(
        &mut self,
        segment: &SegmentTask,
        attested: &[u32],
        from: Option<Pause>,
        watch: &mut Watch<'_>,
    ) -> Result<Replayed, WorkError> {
        let steps: Vec<u32> = attested.iter().map(|leaf| leaf * self.task.leaf_interval).collect();
        // Of a step that is never reached, it is the root over nothing.
        let mut traces: BTreeMap<u32, Hash> = steps.iter().map(|step| (*step, Trace::new().root())).collect();
        let mut done = Done { checkpoint_steps: self.checkpoint_steps, ..Done::default() };
        let fault = match self.compute(segment, None, &mut traces, &mut done, (from, watch)) {
            Err(WorkError::Run { step, source: RunError::Fault { .. } }) => self.locate_fault(segment, step)?,
            outcome => outcome.map(|()| None)?,
        };
        let trace_roots = steps.iter().filter_map(|step| traces.get(step).copied()).collect();
        let checkpoints = std::mem::take(&mut done.checkpoints);
        Ok(Replayed { segment: done.segment(&segment.base), trace_roots, fault, checkpoints })
    }

    /// The first fault of a step at which the segment stops.
    fn locate_fault(&mut self, segment: &SegmentTask, step: u32) -> Result<Option<FaultPlace>, WorkError> {
        let before = self.advance(segment, None, 0, step, &segment.base)?;
        Ok(self.trace(segment, None, step, &before, Keep::Nothing)?.1)
    }

    /// The trace of one step: what a dispute is about, and the place of the fault at which it stops, if it does.
    ///
    /// # Errors
    /// As of [`Worker::train`], but for a fault.
    pub fn trace(
        &mut self,
        segment: &SegmentTask,
        cheat: Option<&Cheat>,
        step: u32,
        before: &State,
        keep: Keep<'_>,
    ) -> Result<(Trace, Option<FaultPlace>), WorkError> {
        let (batch, _) = self.batch(segment, cheat, step)?;
        let mut state = DoubleState::new(segment.inputs(&self.task, before));
        let mut trace = Trace::new();
        // A lazy trainer did none of the steps; the only trace it can show is the honest one.
        match self.step(segment, cheat, step, &mut state, &batch, Some((keep, &mut trace))) {
            Err(WorkError::Run { source: RunError::Fault { node, fault, .. }, .. }) => {
                let (Fault::NotFinite { index, .. } | Fault::OutOfRange { index }) = fault else {
                    return Err(WorkError::Run { step, source: RunError::Fault { node, kind: Kind::Input, fault } });
                };
                trace.truncate(node);
                Ok((trace, Some(FaultPlace { step, node, element: index as u32 })))
            }
            outcome => outcome.map(|()| (trace, None)),
        }
    }

    /// What an auditor of the leaf that starts with a step attests with, for a segment that a replay has found true and left checkpoints
    /// of; and the steps that it took. The same as that replay would have given for the leaf.
    ///
    /// # Errors
    /// As of [`Worker::train`].
    pub fn trace_root(
        &mut self,
        segment: &SegmentTask,
        step: u32,
        checkpoints: &Checkpoints,
    ) -> Result<(Hash, u32), WorkError> {
        let nearest = checkpoints.0.iter().rev().find(|(kept, _)| *kept <= step);
        let (from, state) = nearest.map_or((0, &segment.base), |(kept, state)| (*kept, state));
        let before = self.advance(segment, None, from, step, state)?;
        Ok((self.trace(segment, None, step, &before, Keep::Nothing)?.0.root(), step - from + 1))
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

//! Running a plan: stage after stage, the slices of a loop side by side where no chain runs through them.

use crate::buffer::Buffer;
use crate::executor::{Inputs, Observer, RunError};
use crate::plan::work::{MAX_AXES, MAX_SIDES, Origin};
use crate::plan::{Base, Place, Plan, PlanError, Read, Stage, Step, Transfer, Turns};
use sip_kernels::{Fault, Threads};
use sip_ops::{MAX_OPERANDS, Source};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Coordinates of the loops around, outermost first.
#[derive(Clone, Copy, Default)]
struct Coordinates {
    values: [usize; MAX_AXES],
    len: usize,
}

impl Coordinates {
    fn get(&self) -> &[usize] {
        &self.values[..self.len]
    }

    /// One loop further in: the coordinates of slice `number`, counted row-major.
    fn within(mut self, counts: &[u32], mut number: usize) -> Coordinates {
        for (axis, &count) in counts.iter().enumerate().rev() {
            self.values[self.len + axis] = number % count as usize;
            number /= count as usize;
        }
        self.len += counts.len();
        self
    }
}

/// Some elements of memory that several threads use.
#[derive(Clone, Copy)]
struct Span {
    pointer: *mut u32,
    len: usize,
}

impl Span {
    const EMPTY: Span = Span { pointer: std::ptr::NonNull::dangling().as_ptr(), len: 0 };

    fn of(buffer: &mut [u32]) -> Span {
        Span { pointer: buffer.as_mut_ptr(), len: buffer.len() }
    }

    /// Memory that is only ever read.
    fn read_only(buffer: &[u32]) -> Span {
        Span { pointer: buffer.as_ptr().cast_mut(), len: buffer.len() }
    }

    /// `len` elements from `start` on.
    fn part(self, start: usize, len: usize) -> Span {
        assert!(start <= self.len && len <= self.len - start, "the plan reaches outside of a tensor");
        // SAFETY: within the span by the check.
        Span { pointer: unsafe { self.pointer.add(start) }, len }
    }

    /// # Safety
    /// While the slice lives, nothing writes these elements.
    unsafe fn read<'a>(self) -> &'a [u32] {
        // SAFETY: spans cover memory that outlives the run; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.pointer, self.len) }
    }

    /// # Safety
    /// While the slice lives, nothing else accesses these elements.
    unsafe fn write<'a>(self) -> &'a mut [u32] {
        // SAFETY: as in `read`.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.len) }
    }
}

/// Memory that a plan runs in.
#[derive(Default)]
pub(crate) struct Memory {
    arena: Buffer,
    /// For each thread, room for what passes between the operators of a slice.
    scratch: Mutex<Vec<Buffer>>,
}

impl Memory {
    pub(crate) fn new(plan: &Plan, threads: usize) -> Result<Memory, PlanError> {
        let room = |len: usize| {
            Buffer::try_new(len).ok_or(PlanError::Refused { needed: len.saturating_mul(size_of::<u32>()) })
        };
        let threads = if plan.scratch == 0 { 0 } else { threads };
        let scratch: Result<Vec<Buffer>, PlanError> = (0..threads).map(|_| room(plan.scratch)).collect();
        Ok(Memory { arena: room(plan.arena)?, scratch: Mutex::new(scratch?) })
    }

    /// Elements in all.
    pub(crate) fn len(&self) -> usize {
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        self.arena.len() + scratch.iter().map(|buffer| buffer.len()).sum::<usize>()
    }

    /// A tensor that is kept in the arena.
    pub(crate) fn get(&self, place: &Place) -> Option<&[u32]> {
        if place.base == Base::Arena { self.arena.get(place.offset..place.offset + place.len) } else { None }
    }
}

/// Where the state after the step goes.
pub(crate) enum Next<'a> {
    /// Into these entries.
    Apart(&'a mut [Buffer]),
    /// In the place of the state before the step, which is the inputs' state.
    InPlace(&'a mut [Buffer]),
}

/// A fault and where it was found: of several, the one in the first slice counts.
type Found = (usize, u32, Fault);

/// One run of a plan.
struct Run<'a> {
    inputs: Inputs<'a>,
    step: [u32; 1],
    arena: Span,
    state: Vec<Span>,
    /// The old state, where the new one takes its place.
    old: Option<Vec<Span>>,
    scratch: &'a Mutex<Vec<Buffer>>,
    threads: &'a Threads,
    single: &'a Threads,
    times: Option<&'a [AtomicU64]>,
}

// SAFETY: spans are accessed by `read` and `write` only, whose callers see to it that no two threads are in each other's way.
unsafe impl Sync for Run<'_> {}

/// What a plan runs on.
pub(crate) struct Machine<'a> {
    pub(crate) threads: &'a Threads,
    /// A pool of one thread, for the operators of slices that run side by side.
    pub(crate) single: &'a Threads,
    /// Nanoseconds per node, if they are measured.
    pub(crate) times: Option<&'a [AtomicU64]>,
}

/// Runs a plan.
///
/// # Errors
/// The first fault, with the number of its node. With [`Next::InPlace`] the state is then what it was.
pub(crate) fn run(
    plan: &Plan,
    memory: &mut Memory,
    machine: &Machine<'_>,
    inputs: &Inputs<'_>,
    next: Next<'_>,
    mut observer: Option<&mut Observer<'_>>,
) -> Result<(), RunError> {
    let (state, old) = match next {
        Next::Apart(entries) => (entries.iter_mut().map(|entry| Span::of(entry)).collect::<Vec<_>>(), None),
        Next::InPlace(entries) => {
            let spans: Vec<Span> = entries.iter_mut().map(|entry| Span::of(entry)).collect();
            (spans.clone(), Some(spans))
        }
    };
    let run = Run {
        inputs: *inputs,
        step: [inputs.step],
        arena: Span::of(&mut memory.arena),
        state,
        old,
        scratch: &memory.scratch,
        threads: machine.threads,
        single: machine.single,
        times: machine.times,
    };
    let coordinates = Coordinates::default();
    let replaces = run.old.is_some();
    for stage in &plan.stages {
        let transfers = !(replaces && matches!(stage, Stage::Turns(turns) if turns.writes_state));
        run.stage(stage, coordinates, Span::EMPTY, run.threads, transfers).map_err(|found| report(stage, found))?;
        if let (Stage::Step(step), Some(observer)) = (stage, observer.as_mut()) {
            // SAFETY: nothing else runs between two stages.
            observer(step.node as usize, unsafe {
                run.span(&step.out, coordinates, Span::EMPTY, Some(step.len)).write()
            });
        }
    }
    if replaces {
        // Nothing has faulted, and the loops that write the state do the same once more.
        for stage in &plan.stages {
            if matches!(stage, Stage::Turns(turns) if turns.writes_state) {
                run.stage(stage, coordinates, Span::EMPTY, run.threads, true).map_err(|found| report(stage, found))?;
            }
        }
        return Ok(());
    }
    for (entry, place) in &plan.copies {
        let target = run.state[*entry as usize];
        // SAFETY: nothing else runs any more, and a copied entry lies elsewhere.
        unsafe { target.write().copy_from_slice(run.span(place, coordinates, Span::EMPTY, Some(target.len)).read()) };
    }
    Ok(())
}

fn report(stage: &Stage, (_, node, fault): Found) -> RunError {
    fn kind(stage: &Stage, node: u32) -> Option<sip_ops::Kind> {
        match stage {
            Stage::Step(step) => (step.node == node).then_some(step.kind),
            Stage::Turns(turns) => turns.stages.iter().find_map(|stage| kind(stage, node)),
        }
    }
    RunError::Fault { node, kind: kind(stage, node).unwrap_or(sip_ops::Kind::Input), fault }
}

impl Run<'_> {
    fn span(&self, place: &Place, at: Coordinates, scratch: Span, extent: Option<usize>) -> Span {
        let base = match place.base {
            Base::Arena => self.arena,
            Base::Scratch => scratch,
            Base::State(entry) => self.state[entry as usize],
            Base::Source(Source::State(entry)) => match &self.old {
                Some(old) => old[entry as usize],
                None => Span::read_only(self.inputs.get(&self.step, Source::State(entry))),
            },
            Base::Source(source) => Span::read_only(self.inputs.get(&self.step, source)),
        };
        base.part(place.offset + place.moved(at.get()), extent.unwrap_or_else(|| place.rest(at.get())))
    }

    fn stage(
        &self,
        stage: &Stage,
        at: Coordinates,
        scratch: Span,
        threads: &Threads,
        transfers: bool,
    ) -> Result<(), Found> {
        match stage {
            Stage::Step(step) => self.one(step, at, scratch, threads),
            Stage::Turns(turns) => self.turns(turns, at, scratch, threads, transfers),
        }
    }

    fn one(&self, step: &Step, at: Coordinates, scratch: Span, threads: &Threads) -> Result<(), Found> {
        let started = self.times.map(|_| Instant::now());
        let is_next = at.get().last().is_some_and(|&coordinate| coordinate > 0);
        let (kernel, count) = match &step.next {
            Some(next) if is_next => (next, step.next_operands),
            _ => (&step.kernel, step.operands.len()),
        };
        let mut operands: [&[u32]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
        for (slice, Read { place, extent }) in operands.iter_mut().zip(&step.operands) {
            // SAFETY: the plan gives an output no memory that an operand still has, and loops that write the state read what they
            // replace before.
            *slice = unsafe { self.span(place, at, scratch, *extent).read() };
        }
        // SAFETY: as above; slices that run side by side write disjoint ranges.
        let out = unsafe { self.span(&step.out, at, scratch, Some(step.len)).write() };
        let outcome = kernel.run(&operands[..count], out, threads);
        if let (Some(times), Some(started)) = (self.times, started) {
            // Slices run side by side: their times are shares of the whole.
            let share = if std::ptr::eq(threads, self.single) { self.threads.count() as u64 } else { 1 };
            times[step.node as usize].fetch_add(started.elapsed().as_nanos() as u64 / share, Ordering::Relaxed);
        }
        outcome.map_err(|fault| (0, step.node, located(fault, &step.origins, at)))
    }

    fn turns(
        &self,
        turns: &Turns,
        at: Coordinates,
        scratch: Span,
        threads: &Threads,
        transfers: bool,
    ) -> Result<(), Found> {
        let count: usize = turns.counts.iter().map(|&count| count as usize).product();
        let slice = |number: usize, scratch: Span, threads: &Threads| -> Result<(), Found> {
            let at = at.within(&turns.counts, number);
            for stage in &turns.stages {
                self.stage(stage, at, scratch, threads, true).map_err(|(_, node, fault)| (number, node, fault))?;
            }
            if transfers {
                turns.transfers.iter().for_each(|transfer| self.transfer(transfer, at, scratch));
            }
            Ok(())
        };
        if !turns.parallel {
            return (0..count).try_for_each(|number| slice(number, scratch, threads));
        }
        let first: Mutex<Option<Found>> = Mutex::new(None);
        // Slices after one that faulted need not run.
        let limit = AtomicUsize::new(count);
        threads.run(count, &|number| {
            if number > limit.load(Ordering::Relaxed) {
                return;
            }
            let mut buffer = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let outcome = slice(number, Span::of(&mut buffer), self.single);
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
            if let Err(found) = outcome {
                limit.fetch_min(number, Ordering::Relaxed);
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|known| found.0 < known.0) {
                    *first = Some(found);
                }
            }
        });
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Copies a slice to its place, stretch by stretch.
    fn transfer(&self, transfer: &Transfer, at: Coordinates, scratch: Span) {
        let Origin { sizes, strides, .. } = &transfer.origin;
        // The innermost sides that are neighbours in both.
        let mut stretch = 1;
        let mut outer = sizes.len();
        while outer > 0 && (strides[outer - 1] == stretch || sizes[outer - 1] == 1) {
            stretch *= sizes[outer - 1] as usize;
            outer -= 1;
        }
        let count: usize = sizes[..outer].iter().map(|&size| size as usize).product();
        let from = self.span(&transfer.from, at, scratch, Some(count * stretch));
        let to = self.span(&transfer.to, at, scratch, None);
        let mut coordinates = [0usize; MAX_SIDES];
        for number in 0..count {
            let mut rest = number;
            for side in (0..outer).rev() {
                coordinates[side] = rest % sizes[side] as usize;
                rest /= sizes[side] as usize;
            }
            let start = coordinates.iter().zip(&strides[..outer]).map(|(coordinate, stride)| coordinate * stride).sum();
            let (from, to) = (from.part(number * stretch, stretch), to.part(start, stretch));
            // SAFETY: both parts are whole by the checks of `part`; slices that run side by side have disjoint places, and nothing reads
            // the tensor before the loop's end, or reads only the slice that is replaced, and has done so.
            unsafe { std::ptr::copy_nonoverlapping(from.pointer, to.pointer, stretch) };
        }
    }
}

/// A fault of a slice, with the index within the node's output.
fn located(fault: Fault, origins: &[Origin], at: Coordinates) -> Fault {
    let mut end = at.len;
    let mut whole = |index: u64| {
        let mut index = index as usize;
        for origin in origins {
            let mut rest = index;
            index = 0;
            for (&size, &stride) in origin.sizes.iter().zip(&origin.strides).rev() {
                index += rest % size as usize * stride;
                rest /= size as usize;
            }
            let first = end.saturating_sub(origin.steps.len());
            let moved = origin.steps.iter().zip(&at.values[first..end]);
            index += moved.map(|(step, coordinate)| step * coordinate).sum::<usize>();
            end = first;
        }
        index as u64
    };
    match fault {
        Fault::NotFinite { index, bits } => Fault::NotFinite { index: whole(index), bits },
        Fault::OutOfRange { index } => Fault::OutOfRange { index: whole(index) },
        other => other,
    }
}

/// Time per node, as collected.
pub(crate) fn durations(times: &[AtomicU64]) -> Vec<Duration> {
    times.iter().map(|time| Duration::from_nanos(time.load(Ordering::Relaxed))).collect()
}

//! Compressed updates over the synthetic segment, for tests of disputes.
//!
//! The state is the synthetic one: weights [hidden, width] and biases, which are the base that all share, and three further tensors, of
//! which the first two stand for moments. An update has codes for the weights' steps with a scale for each row, the biases' steps, the two
//! moments, the residual that rounding left, and the number of updates in a row.

use crate::staged;
use crate::synthetic::Run;
use sip_graph::{Builder, Graph, GraphError, Tensor};
use sip_kernels::{Simd, Threads};
use sip_node::{AggregateError, Aggregates, Computation, State, Updates};
use sip_ops::{Source, Type};
use std::sync::Arc;

/// Shapes of the state's entries.
const STATE: [&[usize]; 5] = [&[40, 600], &[40], &[50, 2], &[12], &[12]];
/// Entries of the base: the first of the state.
pub const BASE_ENTRIES: usize = 2;

/// Entry numbers of an update.
pub mod entry {
    /// u32 [hidden, width]: the weights' steps in units of the row's scale, as i32.
    pub const CODES: usize = 0;
    /// f32 [hidden].
    pub const SCALES: usize = 1;
    /// f32 [hidden]: the biases' steps.
    pub const BIAS_STEPS: usize = 2;
    /// f32 [vocabulary, 2]: the first that only the trainer's next segment reads.
    pub const FIRST_MOMENT: usize = 3;
    /// f32 [samples].
    pub const SECOND_MOMENT: usize = 4;
    /// f32 [hidden, width]: what the codes left of the weights' steps.
    pub const RESIDUAL: usize = 5;
    /// u32 [1]: updates since the last reset.
    pub const AGE: usize = 6;
}

const UPDATE: [(&[usize], Type); 7] = [
    (STATE[0], Type::U32),
    (STATE[1], Type::F32),
    (STATE[1], Type::F32),
    (STATE[2], Type::F32),
    (STATE[3], Type::F32),
    (STATE[0], Type::F32),
    (&[1], Type::U32),
];

/// Inputs that read the entries of a base or state, whose first has this number.
fn state_inputs(b: &mut Builder, first: usize, entries: usize) -> Vec<Tensor> {
    (0..entries).map(|n| b.input(Source::State((first + n) as u32), STATE[n], Type::F32)).collect()
}

/// Inputs that read the entries of an update, whose first has this number.
fn update_inputs(b: &mut Builder, first: usize) -> Vec<Tensor> {
    let input =
        |(n, (shape, dtype)): (usize, &(&[usize], Type))| b.input(Source::State((first + n) as u32), shape, *dtype);
    UPDATE.iter().enumerate().map(input).collect()
}

/// Weights and biases are the base's, the moments the previous update's; the last entry is computed, so that the graph has something to
/// compute.
fn start_graph() -> Result<Graph, GraphError> {
    let mut b = Builder::new();
    let base = state_inputs(&mut b, 0, BASE_ENTRIES);
    let previous = update_inputs(&mut b, BASE_ENTRIES);
    let (first, second) = (previous[entry::FIRST_MOMENT], previous[entry::SECOND_MOMENT]);
    let all = b.axis(second.len());
    let halved = b.map(&[all], [second.read(&[all])], |p, [moment]| {
        let half = p.constant(0.5);
        p.mul(moment, half)
    });
    b.finish(&[base[0], base[1], first, second, halved], &[])
}

fn update_graph() -> Result<Graph, GraphError> {
    let mut b = Builder::new();
    let previous = update_inputs(&mut b, 0);
    let start = state_inputs(&mut b, UPDATE.len(), STATE.len());
    let end = state_inputs(&mut b, UPDATE.len() + STATE.len(), STATE.len());
    let (row, column) = (b.axis(STATE[0][0]), b.axis(STATE[0][1]));
    let by_place = [row, column];
    let views = [end[0], start[0], previous[entry::RESIDUAL]].map(|tensor| tensor.read(&by_place));
    let steps = b.map(&by_place, views, |p, [end, start, residual]| {
        let step = p.sub(end, start);
        p.add(step, residual)
    });
    let magnitudes = b.map(&by_place, [steps.read(&by_place)], |p, [step]| p.abs(step));
    let greatest = b.reduce_max(&[row], &[column], magnitudes.read(&by_place), None);
    let scales = b.map(&[row], [greatest.read(&[row])], |p, [greatest]| {
        let (zero, one, most) = (p.constant(0.0), p.constant(1.0), p.constant(127.0));
        let scale = p.div(greatest, most);
        let is_some = p.less(zero, scale);
        p.select(is_some, scale, one)
    });
    let codes = b.map(&by_place, [steps.read(&by_place), scales.read(&[row])], |p, [step, scale]| {
        let scaled = p.div(step, scale);
        p.to_i(scaled)
    });
    let views = [steps.read(&by_place), codes.read(&by_place), scales.read(&[row])];
    let residual = b.map(&by_place, views, |p, [step, code, scale]| {
        let (code, minus_scale) = (p.from_i(code), p.neg(scale));
        p.fma(code, minus_scale, step)
    });
    let bias_steps = b.map(&[row], [end[1].read(&[row]), start[1].read(&[row])], |p, [end, start]| p.sub(end, start));
    let one = b.axis(1);
    let age = b.map(&[one], [previous[entry::AGE].read(&[one])], |p, [age]| {
        let one = p.constant_u(1);
        p.add_u(age, one)
    });
    b.finish(&[codes, scales, bias_steps, end[2], end[3], residual, age], &[])
}

fn aggregate_graph(count: usize) -> Result<Graph, AggregateError> {
    let mut b = Builder::new();
    let base = state_inputs(&mut b, 0, BASE_ENTRIES);
    let updates: Vec<Vec<Tensor>> =
        (0..count).map(|number| update_inputs(&mut b, BASE_ENTRIES + number * UPDATE.len())).collect();
    let (row, column) = (b.axis(STATE[0][0]), b.axis(STATE[0][1]));
    let by_place = [row, column];
    let (mut weights, mut biases) = (base[0], base[1]);
    for update in &updates {
        let views = [weights.read(&by_place), update[entry::CODES].read(&by_place), update[entry::SCALES].read(&[row])];
        weights = b.map(&by_place, views, |p, [weight, code, scale]| {
            let (code, count) = (p.from_i(code), p.constant(count as f32));
            let part = p.div(scale, count);
            p.fma(code, part, weight)
        });
        biases = b.map(&[row], [biases.read(&[row]), update[entry::BIAS_STEPS].read(&[row])], |p, [bias, step]| {
            let count = p.constant(count as f32);
            let part = p.div(step, count);
            p.plus(bias, part)
        });
    }
    b.finish(&[weights, biases], &[]).map_err(|error| AggregateError::Count { found: count, reason: error.to_string() })
}

/// The graphs of the job.
///
/// # Panics
/// If one of them is not well formed.
pub fn updates() -> Updates {
    let reset = UPDATE.iter().map(|(shape, _)| vec![0; shape.iter().product()]).collect::<Vec<Vec<u32>>>();
    Updates {
        start: Arc::new(start_graph().expect("a start graph")),
        update: Arc::new(update_graph().expect("an update graph")),
        aggregates: Arc::new(Aggregates::with(aggregate_graph).expect("graphs for 1 to 16 updates")),
        reset: staged::state(&reset),
    }
}

/// The base that a state of the synthetic segment holds.
pub fn base_of(state: &[Vec<u32>]) -> Arc<State> {
    staged::state(&state[..BASE_ENTRIES])
}

fn machine() -> (Arc<Threads>, Simd) {
    (Arc::new(Threads::new(1)), Simd::detect())
}

/// The next base of these updates, as evidence.
///
/// # Panics
/// If there is no graph for so many updates.
pub fn base_evidence(updates: &Updates, base: &Arc<State>, of: &[Arc<State>]) -> Computation {
    let (threads, simd) = machine();
    updates.base_evidence(base, of, &threads, simd).expect("1 to 16 updates")
}

/// The next base of these updates.
///
/// # Panics
/// If there is no graph for so many updates, or one of them has another shape.
pub fn next_base(updates: &Updates, base: &Arc<State>, of: &[Arc<State>]) -> Arc<State> {
    let (threads, simd) = machine();
    Arc::new(updates.next_base(base, of, &threads, simd).expect("updates that fit"))
}

/// A state or update with one bit of it flipped.
///
/// # Panics
/// If there is no such element.
pub fn flipped(state: &State, entry: usize, element: usize, bit: u32) -> Arc<State> {
    let mut entries: Vec<Vec<u32>> = state.entries().iter().map(|entry| entry.to_vec()).collect();
    entries[entry][element] ^= 1 << bit;
    staged::state(&entries)
}

/// A segment with what it started from and what it hands over.
#[derive(Clone)]
pub struct Work {
    /// The round's base.
    pub base: Arc<State>,
    /// The trainer's previous update.
    pub previous: Arc<State>,
    /// What the segment starts from.
    pub start: Arc<State>,
    /// The segment.
    pub run: Run,
    /// What it ends with.
    pub end: Arc<State>,
    /// The update.
    pub update: Arc<State>,
}

impl Work {
    /// Honest work: `run` runs a segment from its start state.
    ///
    /// # Panics
    /// If a state does not fit.
    pub fn honest(
        updates: &Updates,
        base: &Arc<State>,
        previous: &Arc<State>,
        run: impl FnOnce(&State) -> Run,
    ) -> Work {
        let (threads, simd) = machine();
        let start = Arc::new(updates.start_state(base, previous, &threads, simd).expect("a start state"));
        let run = run(&start);
        let end = staged::state(run.end_state());
        let update = Arc::new(updates.update(previous, [&start, &end], &threads, simd).expect("an update"));
        Work { base: Arc::clone(base), previous: Arc::clone(previous), start, run, end, update }
    }

    /// How the start state came about, as evidence.
    pub fn start_evidence(&self, updates: &Updates) -> Computation {
        let (threads, simd) = machine();
        updates.start_evidence(&self.base, &self.previous, &threads, simd)
    }

    /// How the update came about, as evidence.
    pub fn update_evidence(&self, updates: &Updates) -> Computation {
        let (threads, simd) = machine();
        updates.update_evidence(&self.previous, [&self.start, &self.end], &threads, simd)
    }
}

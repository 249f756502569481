//! Sums and maxima of outputs whose neighbours lie far apart in the operand: sixteen outputs at once, transposed on the way in.

use crate::address::{Bounds, Output, Terms, Walk, any_fault};
use crate::level::Level;
use crate::pack::{Scratch, pack, panel_len, with_scratch};
use crate::simd::per_level;
use crate::{Simd, Threads};
use sip_arith::{NEGATIVE_INFINITY, order_key};
use sip_ops::{Kind, NodeSpec};
use std::sync::atomic::{AtomicBool, Ordering};

/// Outputs at once.
const LANES: usize = 16;
/// Terms that are packed at once.
const BLOCK_TERMS: usize = 128;
/// Least terms of a task, over all its outputs.
const TASK_TERMS: usize = 16 * 1024;

/// A prepared sum or maximum.
pub(crate) struct Reduce {
    kind: Kind,
    walk: Walk,
    terms: Terms,
    /// Per block of terms, whether the addresses are consecutive.
    unit: Vec<bool>,
    /// The output labels' side of the constraint.
    small: Option<Walk>,
    large: Option<Walk>,
    len: usize,
    /// Whether chains go on from what the output holds.
    accumulates: bool,
}

impl Reduce {
    /// `None` if neighbouring outputs read neighbouring elements, which needs no transposition.
    pub(crate) fn new(spec: &NodeSpec, accumulates: bool) -> Option<Reduce> {
        let walk = Walk::operand(spec, 0);
        if walk.inner_stride() == 1 {
            return None;
        }
        let terms = Terms::new(spec);
        let unit = (0..terms.count)
            .step_by(BLOCK_TERMS)
            .map(|first| terms.step(0, first..terms.count.min(first + BLOCK_TERMS)) == Some(1))
            .collect();
        let constraint = spec.constraint.filter(|(small, large)| small != large);
        let side = |label: Option<u8>| {
            let label = label.map(usize::from).filter(|&label| label < spec.out_sizes.len());
            label.map(|label| Walk::coordinate(spec, label))
        };
        Some(Reduce {
            kind: spec.kind,
            walk,
            unit,
            terms,
            small: side(constraint.map(|c| c.0)),
            large: side(constraint.map(|c| c.1)),
            len: spec.len(),
            accumulates,
        })
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let fault = AtomicBool::new(false);
        let out = Output::new(out);
        let block = (TASK_TERMS / self.terms.count.max(1)).next_multiple_of(LANES).max(LANES);
        threads.run(self.len.div_ceil(block), &|task| {
            let first = task * block;
            // SAFETY: tasks have disjoint ranges.
            let out = unsafe { out.slice(first, block.min(out.len() - first)) };
            with_scratch(|scratch| run_block(simd, self, operands[0], first, out, &mut scratch[0]));
            if any_fault(out) {
                fault.store(true, Ordering::Relaxed);
            }
        });
        fault.into_inner()
    }
}

per_level! {
    fn run_block(reduce: &Reduce, from: &[u32], first: usize, out: &mut [u32], scratch: &mut Scratch) = run_block_body;
}

#[inline(always)]
fn run_block_body<L: Level>(reduce: &Reduce, from: &[u32], first: usize, out: &mut [u32], scratch: &mut Scratch) {
    let packed = scratch.get(panel_len(LANES, BLOCK_TERMS));
    for (at, out) in out.chunks_mut(LANES).enumerate() {
        run_lanes::<L>(reduce, from, first + at * LANES, out, packed);
    }
}

#[inline(always)]
fn run_lanes<L: Level>(reduce: &Reduce, from: &[u32], first: usize, out: &mut [u32], packed: &mut [f32]) {
    let count = out.len();
    let mut lines = [0isize; LANES];
    reduce.walk.addresses(first, &mut lines[..count]);
    let coordinates = |walk: &Option<Walk>, default: u32| {
        let mut values = [default; LANES];
        if let Some(walk) = walk {
            let mut addresses = [0isize; LANES];
            walk.addresses(first, &mut addresses[..count]);
            values = addresses.map(|address| address as u32);
        }
        values
    };
    let (small, large) = (coordinates(&reduce.small, 0), coordinates(&reduce.large, u32::MAX));
    let constrained = reduce.small.is_some() || reduce.large.is_some();
    let extremes = |values: &[u32; LANES]| {
        let values = &values[..count];
        (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(u32::MAX))
    };
    let ((least_small, greatest_small), (least_large, greatest_large)) = (extremes(&small), extremes(&large));
    let mut sums = [0f32; LANES];
    let mut greatest = [order_key(NEGATIVE_INFINITY); LANES];
    if reduce.accumulates {
        for (i, &out) in out.iter().enumerate() {
            (sums[i], greatest[i]) = (f32::from_bits(out), order_key(out));
        }
    }
    for (block, &unit) in reduce.unit.iter().enumerate() {
        let range = block * BLOCK_TERMS..reduce.terms.count.min((block + 1) * BLOCK_TERMS);
        let bounds = if constrained { reduce.terms.bounds.get(range.clone()).unwrap_or(&[]) } else { &[] };
        // The block's terms as a whole, if the constraint compares them: do all outputs have them, or none?
        let mut masked = constrained;
        if constrained {
            let open = [Bounds::OPEN];
            let bounds = if bounds.is_empty() { &open[..] } else { bounds };
            let all = |small: u32, large: u32| bounds.iter().all(|b| b.small.max(small) <= b.large.min(large));
            let any = |small: u32, large: u32| bounds.iter().any(|b| b.small.max(small) <= b.large.min(large));
            if !any(least_small, greatest_large) {
                continue;
            }
            masked = !all(greatest_small, least_large);
        }
        let terms = &reduce.terms.addresses[0][range.clone()];
        pack::<L>(packed, panel_len(LANES, BLOCK_TERMS), LANES, from, 0, &lines[..count], terms, unit);
        for (k, values) in packed.chunks_exact(LANES).take(range.len()).enumerate() {
            let mut present = [true; LANES];
            if masked {
                let term = bounds.get(k).copied().unwrap_or(Bounds::OPEN);
                for i in 0..LANES {
                    present[i] = small[i].max(term.small) <= large[i].min(term.large);
                }
            }
            if reduce.kind == Kind::ReduceMax {
                for i in 0..LANES {
                    let key = order_key(values[i].to_bits());
                    let next = greatest[i].max(key);
                    greatest[i] = if present[i] { next } else { greatest[i] };
                }
            } else {
                for i in 0..LANES {
                    let next = sums[i] + values[i];
                    sums[i] = if present[i] { next } else { sums[i] };
                }
            }
        }
    }
    for (i, out) in out.iter_mut().enumerate() {
        // `order_key` is its own inverse.
        let max = order_key(greatest[i] as u32) as u32;
        *out = if reduce.kind == Kind::ReduceMax { max } else { sums[i].to_bits() };
    }
}

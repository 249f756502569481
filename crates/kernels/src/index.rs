//! Gathers, and scattered sums over the sources in ascending order.

use crate::Threads;
use crate::address::{Output, Terms, Walk, any_fault};
use sip_ops::{NodeSpec, Type};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Outputs of a task.
const BLOCK: usize = 4096;

/// A prepared gather.
pub(crate) struct Gather {
    index: Walk,
    from: Walk,
    index_stride: isize,
    is_f32: bool,
    len: usize,
}

impl Gather {
    pub(crate) fn new(spec: &NodeSpec) -> Gather {
        Gather {
            index: Walk::operand(spec, 0),
            from: Walk::operand(spec, 1),
            index_stride: spec.operands[1].index_stride as isize,
            is_f32: spec.dtype == Type::F32,
            len: spec.len(),
        }
    }

    /// Returns whether an output is not finite, or the first output whose address is outside its operand.
    pub(crate) fn run(&self, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> Result<bool, u64> {
        let (fault, outside) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let out = Output::new(out);
        threads.run(self.len.div_ceil(BLOCK), &|task| {
            let first = task * BLOCK;
            // SAFETY: tasks have disjoint ranges.
            let out = unsafe { out.slice(first, BLOCK.min(out.len() - first)) };
            match self.run_block(operands, first, out) {
                Ok(()) => {
                    if self.is_f32 && any_fault(out) {
                        fault.store(true, Ordering::Relaxed);
                    }
                }
                Err(position) => {
                    outside.fetch_min((first + position) as u64, Ordering::Relaxed);
                }
            }
        });
        match outside.into_inner() {
            u64::MAX => Ok(fault.into_inner()),
            index => Err(index),
        }
    }

    fn run_block(&self, operands: &[&[u32]], first: usize, out: &mut [u32]) -> Result<(), usize> {
        let (index, from) = (operands[0], operands[1]);
        let mut result = Ok(());
        // Within a run of the index, the index is often one value, and then what it selects is often one slice.
        self.index.runs(first, out.len(), |start, length, address, stride| {
            self.from.runs(first + start, length, |position, length, base, step| {
                let start = start + position;
                let address = address + position as isize * stride;
                let selected = |i: usize| {
                    let index = index[(address + i as isize * stride) as usize] as i64;
                    let moved = index.wrapping_mul(self.index_stride as i64).wrapping_add(base as i64);
                    usize::try_from(moved.wrapping_add(i as i64 * step as i64)).ok()
                };
                if result.is_err() {
                    return;
                }
                let out = &mut out[start..start + length];
                if stride == 0
                    && step == 1
                    && let Some(at) = selected(0)
                    && let Some(row) = at.checked_add(length).and_then(|end| from.get(at..end))
                {
                    out.copy_from_slice(row);
                    return;
                }
                for (i, out) in out.iter_mut().enumerate() {
                    match selected(i).and_then(|at| from.get(at)) {
                        Some(&value) => *out = value,
                        None => {
                            result = Err(start + i);
                            return;
                        }
                    }
                }
            });
        });
        result
    }
}

/// A prepared scattered sum whose index is the same for all outputs.
pub(crate) struct Scatter {
    /// Addresses of the index and what each source adds to the address of operand 1.
    terms: Terms,
    index_offset: isize,
    from: Walk,
    /// Number of targets (output label 0), outputs of one target, and what a target adds to the address of operand 1.
    targets: usize,
    inner: usize,
    target_stride: isize,
    /// Whether sums go on from what the output holds.
    accumulates: bool,
}

impl Scatter {
    /// `None` if the index depends on the output, or the constraint does.
    pub(crate) fn new(spec: &NodeSpec, accumulates: bool) -> Option<Scatter> {
        let out = spec.out_sizes.len();
        let outer_constraint = spec
            .constraint
            .is_some_and(|(small, large)| small != large && ((small as usize) < out || (large as usize) < out));
        if out == 0 || outer_constraint || spec.operands[0].strides[..out].iter().any(|&stride| stride != 0) {
            return None;
        }
        let mut inner = spec.clone();
        inner.out_sizes[0] = 1;
        Some(Scatter {
            terms: Terms::new(spec),
            index_offset: spec.operands[0].offset as isize,
            from: Walk::operand(&inner, 1),
            targets: spec.out_sizes[0] as usize,
            inner: inner.len(),
            target_stride: spec.operands[1].strides[0] as isize,
            accumulates,
        })
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let fault = AtomicBool::new(false);
        let out = Output::new(out);
        let columns = self.inner.div_ceil(2 * threads.count()).next_multiple_of(32).clamp(32, 1024);
        threads.run(self.inner.div_ceil(columns), &|task| {
            let first = task * columns;
            let count = columns.min(self.inner - first);
            for target in 0..if self.accumulates { 0 } else { self.targets } {
                // SAFETY: this task alone touches these columns.
                unsafe { out.slice(target * self.inner + first, count) }.fill(0);
            }
            for (index, source) in self.terms.addresses[0].iter().zip(&self.terms.addresses[1]) {
                let target = operands[0][(self.index_offset + index) as usize] as usize;
                if target >= self.targets {
                    continue;
                }
                // SAFETY: as above.
                let sums = unsafe { out.slice(target * self.inner + first, count) };
                let base = source + target as isize * self.target_stride;
                self.from.runs(first, count, |position, length, address, stride| {
                    let sums = &mut sums[position..position + length];
                    let start = base + address;
                    if stride == 1 {
                        let values = &operands[1][start as usize..start as usize + length];
                        for (sum, &value) in sums.iter_mut().zip(values) {
                            *sum = (f32::from_bits(*sum) + f32::from_bits(value)).to_bits();
                        }
                    } else {
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let value = operands[1][(start + i as isize * stride) as usize];
                            *sum = (f32::from_bits(*sum) + f32::from_bits(value)).to_bits();
                        }
                    }
                });
            }
            for target in 0..self.targets {
                // SAFETY: as above.
                if any_fault(unsafe { out.slice(target * self.inner + first, count) }) {
                    fault.store(true, Ordering::Relaxed);
                }
            }
        });
        fault.into_inner()
    }
}

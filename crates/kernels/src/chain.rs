//! Chains of any shape: blocks of consecutive outputs, term after term. The way for what no faster kernel takes.

use crate::address::{Bounds, Output, Terms, Walk, any_fault};
use crate::level::{Level, mul_add};
use crate::simd::per_level;
use crate::{Simd, Threads};
use sip_arith::max_total;
use sip_ops::{Kind, NodeSpec, dot_i8};
use std::sync::atomic::{AtomicBool, Ordering};

/// Most outputs of a block.
const BLOCK: usize = 256;
/// Fewest outputs for which a block is worth its own loop over the terms.
const LEAST_BLOCK: usize = 32;

/// A prepared chain of any kind.
pub(crate) struct Chain {
    kind: Kind,
    /// Addresses of the operands over the outputs.
    walks: Vec<Walk>,
    terms: Terms,
    /// The output labels' side of the constraint, if they have one.
    small: Option<Walk>,
    large: Option<Walk>,
    constrained: bool,
    starts_from_operand: bool,
    /// Whether chains go on from what the output holds.
    accumulates: bool,
    /// Coordinates of output label 0 (`Kind::ScatterAdd`).
    target: Option<Walk>,
    len: usize,
}

impl Chain {
    pub(crate) fn new(spec: &NodeSpec, accumulates: bool) -> Chain {
        let out = spec.out_sizes.len();
        let constraint = spec.constraint.filter(|(small, large)| small != large);
        let side = |label: Option<u8>| {
            label.map(usize::from).filter(|&label| label < out).map(|label| Walk::coordinate(spec, label))
        };
        let (small, large) = (side(constraint.map(|c| c.0)), side(constraint.map(|c| c.1)));
        Chain {
            kind: spec.kind,
            walks: (0..spec.operands.len()).map(|operand| Walk::operand(spec, operand)).collect(),
            terms: Terms::new(spec),
            constrained: small.is_some() || large.is_some(),
            small,
            large,
            starts_from_operand: spec.starts_from_operand,
            accumulates,
            target: (spec.kind == Kind::ScatterAdd && out > 0).then(|| Walk::coordinate(spec, 0)),
            len: spec.len(),
        }
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let fault = AtomicBool::new(false);
        let out = Output::new(out);
        // Few outputs: smaller blocks keep all threads busy.
        let most = (self.len / (threads.count() * 2)).next_multiple_of(32).clamp(32, BLOCK);
        // A block within one run of an operand's addresses is read as it lies, one across two runs is collected.
        let run = self.walks.iter().map(Walk::inner_len).min().unwrap_or(self.len);
        let block = (LEAST_BLOCK..=most).rev().find(|block| run.is_multiple_of(*block)).unwrap_or(most);
        threads.run(self.len.div_ceil(block), &|task| {
            let first = task * block;
            let count = block.min(out.len() - first);
            // SAFETY: tasks have disjoint ranges.
            let out = unsafe { out.slice(first, count) };
            if run_block(simd, self, operands, first, out) {
                fault.store(true, Ordering::Relaxed);
            }
        });
        fault.into_inner()
    }
}

per_level! {
    fn run_block(chain: &Chain, operands: &[&[u32]], first: usize, out: &mut [u32]) -> bool = run_block_body;
}

/// The values of one operand at one term.
struct Lanes {
    addresses: [isize; BLOCK],
    /// The one stride of the addresses, if it is 0 or 1.
    stride: Option<isize>,
    values: [u32; BLOCK],
}

impl Lanes {
    #[inline(always)]
    fn new(walk: &Walk, first: usize, count: usize) -> Lanes {
        let mut lanes = Lanes { addresses: [0; BLOCK], stride: None, values: [0; BLOCK] };
        walk.addresses(first, &mut lanes.addresses[..count]);
        let addresses = &lanes.addresses[..count];
        lanes.stride = [0, 1].into_iter().find(|&stride| addresses.windows(2).all(|a| a[1] == a[0] + stride));
        lanes
    }

    #[inline(always)]
    fn read<'a>(&'a mut self, from: &'a [u32], term: isize, count: usize) -> &'a [u32] {
        let start = (self.addresses[0] + term) as usize;
        match self.stride {
            Some(1) => return &from[start..start + count],
            Some(_) => self.values[..count].fill(from[start]),
            None => {
                for (value, &address) in self.values[..count].iter_mut().zip(&self.addresses[..count]) {
                    *value = from[(address + term) as usize];
                }
            }
        }
        &self.values[..count]
    }
}

#[inline(always)]
fn run_block_body<L: Level>(chain: &Chain, operands: &[&[u32]], first: usize, out: &mut [u32]) -> bool {
    let count = out.len();
    let terms = &chain.terms;
    let mut first_operand = Lanes::new(&chain.walks[0], first, count);
    let mut second_operand = chain.walks.get(1).map(|walk| Lanes::new(walk, first, count));
    let initial = if chain.kind == Kind::ReduceMax { sip_arith::NEGATIVE_INFINITY } else { 0 };
    if !chain.accumulates {
        out.fill(initial);
    }
    if chain.starts_from_operand
        && let (Some(walk), Some(from)) = (chain.walks.get(2), operands.get(2))
    {
        out.copy_from_slice(Lanes::new(walk, first, count).read(from, 0, count));
    }
    let coordinates = |walk: &Option<Walk>, default: u32| -> [u32; BLOCK] {
        let mut values = [default; BLOCK];
        if let Some(walk) = walk {
            let mut addresses = [0; BLOCK];
            walk.addresses(first, &mut addresses[..count]);
            values = addresses.map(|address| address as u32);
        }
        values
    };
    let (small, large) = (coordinates(&chain.small, 0), coordinates(&chain.large, u32::MAX));
    let target = coordinates(&chain.target, 0);
    let mut present = [true; BLOCK];
    for term in 0..terms.count {
        if chain.constrained {
            let bounds = terms.bounds.get(term).copied().unwrap_or(Bounds::OPEN);
            for i in 0..count {
                present[i] = small[i].max(bounds.small) <= large[i].min(bounds.large);
            }
        }
        let a = first_operand.read(operands[0], terms.addresses[0][term], count);
        let b = match &mut second_operand {
            Some(second) => second.read(operands[1], terms.addresses[1][term], count),
            None => a,
        };
        let present = if chain.constrained { &present[..count] } else { &[] };
        match chain.kind {
            Kind::Contract => combine(out, a, b, present, |sum, a, b| {
                mul_add::<L>(f32::from_bits(a), f32::from_bits(b), f32::from_bits(sum))
            }),
            Kind::ReduceAdd => combine(out, a, b, present, |sum, a, _| f32::from_bits(sum) + f32::from_bits(a)),
            Kind::ReduceMax => combine(out, a, b, present, |greatest, a, _| f32::from_bits(max_total(greatest, a))),
            Kind::ContractI8 => {
                for i in 0..count {
                    if present.is_empty() || present[i] {
                        out[i] = out[i].wrapping_add(dot_i8(a[i], b[i]));
                    }
                }
            }
            _ => {
                for i in 0..count {
                    if (present.is_empty() || present[i]) && a[i] == target[i] {
                        out[i] = (f32::from_bits(out[i]) + f32::from_bits(b[i])).to_bits();
                    }
                }
            }
        }
    }
    any_fault(out)
}

/// One more term for every output that has it; no `present` means that all have.
#[inline(always)]
fn combine(out: &mut [u32], a: &[u32], b: &[u32], present: &[bool], term: impl Fn(u32, u32, u32) -> f32) {
    if present.is_empty() {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = term(*out, a, b).to_bits();
        }
    }
    for (((out, &a), &b), &present) in out.iter_mut().zip(a).zip(b).zip(present) {
        let next = term(*out, a, b).to_bits();
        *out = if present { next } else { *out };
    }
}

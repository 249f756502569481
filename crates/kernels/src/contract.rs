//! Contractions as matrix products: the preparation. [`crate::product`] computes them.
//!
//! Output labels that only operand 0 sees are *rows*, those that only operand 1 sees are *columns* (or the other way round), the rest are
//! *batch*. Rows, columns and terms are flattened into tables of addresses, so that any strides and any number of labels are one case.
//! Rows and columns are cut into panels, as high and as wide as a tile of the micro-kernel. The terms are cut into blocks; a tile of
//! outputs goes on from what it holds after the block before, so every chain stays whole and ascending.

use crate::address::{Bounds, Terms, one_step};
use crate::level::Level;
use crate::product::Work;
use crate::{Simd, Threads};
use sip_ops::NodeSpec;
use std::ops::Range;

/// Most terms of a block. Outputs are read and written once per block, so blocks should be long; but a panel of rows and one of columns
/// should stay in the second-level cache.
const BLOCK_TERMS: usize = 1024;
/// Fewest columns for which rows are copied into panels before they are read.
const PACKED_COLUMNS: usize = 192;

/// A batch, a row or a column: what it adds to addresses, and its side of the constraint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) out: usize,
    pub(crate) initial: isize,
    pub(crate) bounds: Bounds,
}

/// A flattened group of output labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// What each adds to the addresses of operand 0 and 1.
    pub(crate) addresses: [Vec<isize>; 2],
    pub(crate) lines: Vec<Line>,
}

impl Lines {
    /// `labels` are (label, step of the output).
    fn new(spec: &NodeSpec, labels: &[(usize, usize)]) -> Lines {
        let stride = |operand: usize, label: usize| spec.operands.get(operand).map_or(0, |o| o.strides[label] as isize);
        let mut group =
            Lines { addresses: [vec![0], vec![0]], lines: vec![Line { out: 0, initial: 0, bounds: Bounds::OPEN }] };
        for &(label, step) in labels {
            let mut longer = Lines::default();
            for at in 0..group.lines.len() {
                let line = group.lines[at];
                for coordinate in 0..spec.out_sizes[label] {
                    let position = coordinate as isize;
                    for operand in 0..2 {
                        let address = group.addresses[operand][at] + position * stride(operand, label);
                        longer.addresses[operand].push(address);
                    }
                    longer.lines.push(Line {
                        out: line.out + coordinate as usize * step,
                        initial: line.initial + position * stride(2, label),
                        bounds: line.bounds.and(Bounds::of(spec, label, coordinate)),
                    });
                }
            }
            group = longer;
        }
        group
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }
}

/// Neighbouring lines: the rows or the columns of a tile.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Which lines.
    pub(crate) lines: Range<usize>,
    /// Where the first lies in the output, and the one step between them, if there is one.
    pub(crate) out: usize,
    pub(crate) out_step: Option<usize>,
    /// The address of the first in the operand, and the one step between them, if there is one.
    pub(crate) address: isize,
    pub(crate) step: Option<isize>,
    /// The same in the operand that chains start from.
    pub(crate) initial: isize,
    pub(crate) initial_step: Option<isize>,
    /// The least and the greatest bounds.
    pub(crate) least: Bounds,
    pub(crate) greatest: Bounds,
}

/// The rows or the columns, with the operand that they read.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) operand: usize,
    pub(crate) lines: Lines,
    /// Lines of a panel; the last one may have fewer.
    pub(crate) width: usize,
    pub(crate) panels: Vec<Panel>,
}

impl Side {
    fn new(operand: usize, lines: Lines, width: usize) -> Side {
        let panel = |first: usize| {
            let range = first..lines.len().min(first + width);
            let addresses = &lines.addresses[operand][range.clone()];
            let group = &lines.lines[range.clone()];
            let mut least = Bounds { small: u32::MAX, large: u32::MAX };
            let mut greatest = Bounds { small: 0, large: 0 };
            for Line { bounds, .. } in group {
                least = Bounds { small: least.small.min(bounds.small), large: least.large.min(bounds.large) };
                greatest = Bounds { small: greatest.small.max(bounds.small), large: greatest.large.max(bounds.large) };
            }
            Panel {
                lines: range,
                out: group[0].out,
                out_step: one_step(group.iter().map(|line| line.out as isize)).map(|step| step as usize),
                address: addresses[0],
                step: one_step(addresses.iter().copied()),
                initial: group[0].initial,
                initial_step: one_step(group.iter().map(|line| line.initial)),
                least,
                greatest,
            }
        };
        let panels = (0..lines.len()).step_by(width).map(panel).collect();
        Side { operand, lines, width, panels }
    }
}

/// A block of terms.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) terms: Range<usize>,
    /// The one step of the addresses of operand 0 and 1, if there is one.
    pub(crate) step: [Option<isize>; 2],
}

/// How the constraint bears on outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    /// Not at all.
    None,
    /// Outputs have all terms or none.
    Outputs,
    /// Outputs have the terms up to one.
    First,
    /// Outputs have the terms from one on.
    Last,
}

/// A prepared contraction.
pub(crate) struct Contract {
    pub(crate) offsets: [isize; 3],
    pub(crate) batches: Lines,
    pub(crate) rows: Side,
    pub(crate) columns: Side,
    pub(crate) terms: Terms,
    /// Never empty.
    pub(crate) blocks: Vec<Block>,
    pub(crate) constraint: Constraint,
    pub(crate) starts_from_operand: bool,
    /// Whether chains go on from what the output holds.
    pub(crate) accumulates: bool,
    /// Whether rows are read where they are, instead of being packed.
    pub(crate) direct_rows: bool,
}

impl Contract {
    /// `None` if the node is no product worth tiling.
    pub(crate) fn new(spec: &NodeSpec, simd: Simd, accumulates: bool) -> Option<Contract> {
        let out = spec.out_sizes.len();
        let (mut batch, mut seen): (Vec<_>, [Vec<_>; 2]) = Default::default();
        let mut step = 1;
        for label in (0..out).rev() {
            let size = spec.out_sizes[label] as usize;
            let (a, b) = (spec.operands[0].strides[label], spec.operands[1].strides[label]);
            // A label of size 1 may still be constrained; as a batch it costs nothing.
            match (a != 0, b != 0) {
                (true, false) if size > 1 => seen[0].insert(0, (label, step)),
                (false, true) if size > 1 => seen[1].insert(0, (label, step)),
                _ => batch.insert(0, (label, step)),
            }
            step *= size;
        }
        let size =
            |group: &[(usize, usize)]| -> usize { group.iter().map(|&(l, _)| spec.out_sizes[l] as usize).product() };
        if size(&seen[0]) * size(&seen[1]) < 16 || spec.terms() < 2 {
            return None;
        }
        let column_operand = if cost(spec, &seen, 0) < cost(spec, &seen, 1) { 0 } else { 1 };
        let row_operand = 1 - column_operand;
        let inside = |label: u8| label as usize >= out;
        let constraint = match spec.constraint.filter(|(small, large)| small != large) {
            Some((small, large)) if !inside(small) && !inside(large) => Constraint::Outputs,
            Some((small, large)) if inside(small) && !inside(large) => Constraint::First,
            Some((small, large)) if !inside(small) && inside(large) => Constraint::Last,
            _ => Constraint::None,
        };
        let (tile_rows, tile_columns) = tile_shape(simd);
        let terms = Terms::new(spec);
        let mut contract = Contract {
            offsets: std::array::from_fn(|operand| spec.operands.get(operand).map_or(0, |o| o.offset as isize)),
            batches: Lines::new(spec, &batch),
            rows: Side::new(row_operand, Lines::new(spec, &seen[row_operand]), tile_rows),
            columns: Side::new(column_operand, Lines::new(spec, &seen[column_operand]), tile_columns),
            blocks: blocks(&terms),
            terms,
            constraint,
            starts_from_operand: spec.starts_from_operand,
            accumulates,
            direct_rows: false,
        };
        contract.direct_rows = contract.columns.lines.len() < PACKED_COLUMNS && contract.rows_are_regular();
        Some(contract)
    }

    /// Whether the micro-kernel can read the rows where they are, and well: addresses have one step each along rows and terms, and neither
    /// is a multiple of large powers of two, which would make them compete for the same places of the caches.
    fn rows_are_regular(&self) -> bool {
        let operand = self.rows.operand;
        let steps = || self.rows.panels.iter().map(|p| p.step).chain(self.blocks.iter().map(|b| b.step[operand]));
        steps().all(|step| step.is_some_and(|step| step >= 0 && (step < 512 || step % 512 != 0)))
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        Work::new(self, operands, out).run(simd, threads)
    }

    /// What a batch adds to the address of an operand, with the operand's offset.
    #[inline(always)]
    pub(crate) fn base(&self, operand: usize, batch: usize) -> isize {
        self.offsets[operand] + self.batches.addresses[operand][batch]
    }
}

/// About how long one batch takes with the columns of this operand, where a multiply-add takes 1; `seen` are the (label, output step)
/// that operand 0 and operand 1 alone see.
fn cost(spec: &NodeSpec, seen: &[Vec<(usize, usize)>; 2], column_operand: usize) -> f64 {
    let row_operand = 1 - column_operand;
    let size = |operand: usize| -> f64 { seen[operand].iter().map(|&(l, _)| spec.out_sizes[l] as f64).product() };
    let (rows, columns, terms) = (size(row_operand), size(column_operand), spec.terms() as f64);
    // Vectors run along the columns; fewer than a vector cost as much as one.
    let lanes = if columns > 8.0 { 16.0 } else { 8.0 };
    let multiply = rows * (columns / lanes).ceil() * lanes * terms;
    let strides = |operand: usize| &spec.operands[operand].strides;
    let unit_terms = |operand: usize| strides(operand).last() == Some(&1);
    // Lines are packed as they lie in memory, or transposed, or value by value; rows that few columns use are read where they are.
    let pack = |operand: usize| match seen[operand].last() {
        Some(&(label, _)) if strides(operand)[label] == 1 => 4.0,
        _ if unit_terms(operand) => 10.0,
        _ => 24.0,
    };
    let is_read = columns < PACKED_COLUMNS as f64 && unit_terms(row_operand);
    let pack_rows = if is_read { 0.0 } else { pack(row_operand) };
    let consecutive = |operand: usize| seen[operand].last().is_none_or(|&(_, step)| step == 1);
    let write = match (consecutive(column_operand), consecutive(row_operand)) {
        (true, _) => 0.0,
        (false, true) => 16.0,
        (false, false) => 48.0,
    };
    multiply + rows * terms * pack_rows + columns * terms * pack(column_operand) + rows * columns * write
}

/// Blocks of about equal length that do not reach across stretches.
fn blocks(terms: &Terms) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut push = |range: Range<usize>| {
        let step = [terms.step(0, range.clone()), terms.step(1, range.clone())];
        blocks.push(Block { terms: range, step });
    };
    let ends = terms.stretches.iter().skip(1).copied().chain([terms.count]);
    for (&start, end) in terms.stretches.iter().zip(ends) {
        let parts = (end - start).div_ceil(BLOCK_TERMS).max(1);
        let length = (end - start).div_ceil(parts).next_multiple_of(8);
        for first in (start..end).step_by(length.max(1)) {
            push(first..end.min(first + length));
        }
    }
    blocks
}

/// Rows and columns of the micro-tile.
fn tile_shape(simd: Simd) -> (usize, usize) {
    fn of<L: Level>() -> (usize, usize) {
        (L::ROWS, 2 * L::LANES)
    }
    match simd {
        Simd::Scalar => of::<crate::level::Portable>(),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => of::<crate::level::Avx2>(),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => of::<crate::level::Avx512>(),
        #[cfg(target_arch = "aarch64")]
        Simd::Neon => of::<crate::level::Neon>(),
        #[allow(unreachable_patterns)]
        _ => of::<crate::level::Portable>(),
    }
}

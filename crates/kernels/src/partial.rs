//! A tile of outputs within a block of terms: whole, or where the constraint leaves only some of its outputs or terms.

use crate::address::{Bounds, any_fault};
use crate::contract::{Constraint, Contract, Line, Panel};
use crate::level::{Level, MAX_COLUMNS, MAX_ROWS};
use crate::product::Work;
use crate::tile::{Product, Rows, Start};
use std::ops::Range;

/// Terms for which masks of columns are made at a time.
const MASKED_TERMS: usize = 32;

/// A tile of outputs within a block of terms.
pub(crate) struct Tile<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) batch: Line,
    pub(crate) rows: &'a Panel,
    pub(crate) columns: &'a Panel,
    /// The terms' side of the constraint, if they have one.
    pub(crate) bounds: &'a [Bounds],
    pub(crate) terms: usize,
    /// Where the next tile lies in the output.
    pub(crate) next: usize,
    /// Whether this is the first, the last block.
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// Which terms of a block a tile has: some outputs have `before`, all have `all`, some have `after`.
struct Parts {
    before: Range<usize>,
    all: Range<usize>,
    after: Range<usize>,
    /// Only the outputs that fulfil the constraint are written.
    masked: bool,
}

impl Parts {
    fn is_empty(&self) -> bool {
        self.before.is_empty() && self.all.is_empty() && self.after.is_empty()
    }
}

impl Tile<'_> {
    /// Goes on with the chains of the tile. Returns whether a result was found that is not finite.
    #[inline(always)]
    pub(crate) fn run<L: Level>(&self, work: &Work<'_>, a: Rows<'_>, b: &[f32], buffer: &mut Buffer) -> bool {
        let contract = self.contract;
        let parts = self.parts();
        let starts_at_zero = self.is_first && !contract.accumulates && !contract.starts_from_operand;
        let whole = !parts.masked && parts.before.is_empty() && parts.after.is_empty() && !parts.all.is_empty();
        // What is not finite stays so; a constrained tile may have no terms in the last block.
        let check = self.is_last || contract.constraint != Constraint::None;
        let mut fault = false;
        let direct = self.rows.out_step.filter(|_| whole && self.columns.out_step == Some(1));
        let mut start = (!starts_at_zero || !parts.before.is_empty()).then_some(Start::Held);
        if self.is_first && contract.starts_from_operand {
            match self.start_tile(work).filter(|_| direct.is_some()) {
                Some(tile) => start = Some(tile),
                None => fault |= self.start_from_operand(work),
            }
        }
        if parts.is_empty() {
            if starts_at_zero {
                self.fill::<L>(work);
            }
            return fault;
        }
        if direct.is_none() {
            if !starts_at_zero {
                self.read(work, buffer);
            } else if !parts.before.is_empty() || parts.all.is_empty() {
                *buffer = Buffer::new();
            }
            if !parts.before.is_empty() {
                self.run_some::<L>(parts.before.clone(), buffer, a, b);
            }
        }
        if !parts.all.is_empty() {
            let (rows, columns) = (self.rows.lines.len(), self.columns.lines.len());
            let product = Product {
                rows,
                columns,
                a: a.skip(parts.all.start),
                b: &b[parts.all.start * 2 * L::LANES..],
                b_step: 2 * L::LANES,
                terms: parts.all.len(),
                start,
                check: check && direct.is_some(),
                next: work.out.place(self.next),
            };
            let first = self.batch.out + self.rows.out + self.columns.out;
            let (c, c_step) = match direct {
                // SAFETY: the calling task alone computes the outputs of the tile.
                Some(step) => (unsafe { work.out.tile(first, rows, step, columns) }, step),
                None => (buffer.0.as_mut_ptr().cast(), MAX_COLUMNS),
            };
            // SAFETY: the level is the one this function is compiled for; the tile is valid, in the output or in the buffer.
            fault |= unsafe { product.run::<L>(c, c_step) };
        }
        if direct.is_some() {
            return fault;
        }
        if !parts.after.is_empty() {
            self.run_some::<L>(parts.after.clone(), buffer, a, b);
        }
        self.write::<L>(work, buffer, parts.masked, starts_at_zero) && check || fault
    }

    #[inline(always)]
    fn parts(&self) -> Parts {
        let all = Parts { before: 0..0, all: 0..self.terms, after: 0..0, masked: false };
        if self.contract.constraint == Constraint::None {
            return all;
        }
        let least = self.batch.bounds.and(self.rows.least).and(self.columns.least);
        let greatest = self.batch.bounds.and(self.rows.greatest).and(self.columns.greatest);
        match self.contract.constraint {
            Constraint::None => all,
            Constraint::Outputs if greatest.small <= least.large => all,
            Constraint::Outputs if least.small > greatest.large => Parts { all: 0..0, ..all },
            Constraint::Outputs => Parts { masked: true, ..all },
            Constraint::First => {
                let common = self.bounds.partition_point(|term| term.small <= least.large);
                let any = self.bounds.partition_point(|term| term.small <= greatest.large);
                Parts { all: 0..common, after: common..any, ..all }
            }
            Constraint::Last => {
                let common = self.bounds.partition_point(|term| term.large < greatest.small);
                let any = self.bounds.partition_point(|term| term.large < least.small);
                Parts { before: any..common, all: common..self.terms, ..all }
            }
        }
    }

    #[inline(always)]
    fn row_lines(&self) -> &[Line] {
        &self.contract.rows.lines.lines[self.rows.lines.clone()]
    }

    #[inline(always)]
    fn column_lines(&self) -> &[Line] {
        &self.contract.columns.lines.lines[self.columns.lines.clone()]
    }

    /// The outputs of a row, one slice if the columns are consecutive, else one slice per column.
    #[inline(always)]
    fn slices<'o>(&'o self, work: &'o Work<'_>, row: &Line) -> (usize, usize, impl Fn(usize) -> &'o mut [u32]) {
        let first = self.batch.out + row.out;
        let columns = self.column_lines();
        let (count, length) = if self.columns.out_step == Some(1) { (1, columns.len()) } else { (columns.len(), 1) };
        // SAFETY: the calling task alone computes these outputs, and each slice is dropped before the next is made.
        (count, length, move |at| unsafe { work.out.slice(first + columns[at].out, length) })
    }

    /// Starts chains that have no term in this block.
    #[inline(always)]
    fn fill<L: Level>(&self, work: &Work<'_>) {
        for row in self.row_lines() {
            let (count, length, slice) = self.slices(work, row);
            for at in 0..count {
                let out = slice(at).as_mut_ptr().cast::<f32>();
                for lane in (0..length).step_by(L::LANES) {
                    // SAFETY: the slice has `length` values; the level is the one this function is compiled for.
                    unsafe { store_up_to::<L>(out.add(lane), L::splat(0.0), length - lane) };
                }
            }
        }
    }

    /// What the chains start from, if it is a tile of the operand with consecutive columns.
    #[inline(always)]
    fn start_tile(&self, work: &Work<'_>) -> Option<Start> {
        let step = usize::try_from(self.rows.initial_step?).ok()?;
        if self.columns.initial_step != Some(1) {
            return None;
        }
        let from = work.operands[2];
        let [row, column] = [self.rows, self.columns].map(|panel| panel.initial);
        let first = usize::try_from(self.contract.offsets[2] + self.batch.initial + row + column).ok()?;
        let len = (self.rows.lines.len() - 1) * step + self.columns.lines.len();
        Some(Start::Other(from.get(first..first + len)?.as_ptr().cast(), step))
    }

    /// Writes what the chains start from. Returns whether it is not finite.
    #[inline(never)]
    fn start_from_operand(&self, work: &Work<'_>) -> bool {
        let (from, base) = (work.operands[2], self.contract.offsets[2] + self.batch.initial);
        let mut fault = false;
        for row in self.row_lines() {
            let (count, length, slice) = self.slices(work, row);
            for (at, columns) in self.column_lines().chunks(length).enumerate().take(count) {
                let out = slice(at);
                for (out, column) in out.iter_mut().zip(columns) {
                    *out = from[(base + row.initial + column.initial) as usize];
                }
                fault |= any_fault(out);
            }
        }
        fault
    }

    #[inline(always)]
    fn read(&self, work: &Work<'_>, buffer: &mut Buffer) {
        for (row, sums) in self.row_lines().iter().zip(&mut buffer.0) {
            let (count, length, slice) = self.slices(work, row);
            for at in 0..count {
                for (sum, value) in sums[at..at + length].iter_mut().zip(&*slice(at)) {
                    *sum = f32::from_bits(*value);
                }
            }
        }
    }

    /// Writes the outputs that are present; with `zero`, the others become +0, else they stay. Returns whether a value is not finite.
    #[inline(always)]
    fn write<L: Level>(&self, work: &Work<'_>, buffer: &Buffer, masked: bool, zero: bool) -> bool {
        if self.rows.out_step == Some(1) && self.columns.out_step != Some(1) && !masked {
            return self.write_transposed::<L>(work, buffer);
        }
        let (small, large) = if masked { self.column_bounds() } else { ([0; MAX_COLUMNS], [u32::MAX; MAX_COLUMNS]) };
        let mut mask = [-1f32; MAX_COLUMNS];
        // Slices have `length` values and rows of the buffer have whole vectors.
        // SAFETY: (here and below) the level is the one this function is compiled for, and memory is valid by the line above.
        let mut zeros = unsafe { L::splat(0.0) };
        for (row, sums) in self.row_lines().iter().zip(&buffer.0) {
            if masked {
                let bounds = self.batch.bounds.and(row.bounds);
                for c in 0..MAX_COLUMNS {
                    let present = small[c].max(bounds.small) <= large[c].min(bounds.large);
                    mask[c] = if present { -1.0 } else { 0.0 };
                }
            }
            let (count, length, slice) = self.slices(work, row);
            for at in 0..count {
                let out = slice(at).as_mut_ptr().cast::<f32>();
                if length == 1 {
                    // SAFETY: see above.
                    let held = if zero { 0.0 } else { unsafe { *out } };
                    let value = if mask[at].is_sign_negative() { sums[at] } else { held };
                    // SAFETY: see above.
                    unsafe {
                        *out = value;
                        zeros = L::fma(L::splat(value), L::splat(0.0), zeros);
                    }
                    continue;
                }
                for lane in (0..length).step_by(L::LANES) {
                    let lanes = length - lane;
                    // SAFETY: see above.
                    unsafe {
                        let out = out.add(lane);
                        let held = if zero || !masked { L::splat(0.0) } else { load_up_to::<L>(out, lanes) };
                        let sum = load_up_to::<L>(sums[lane..].as_ptr(), lanes);
                        let value = L::choose(L::load(mask[lane..].as_ptr()), sum, held);
                        store_up_to::<L>(out, value, lanes);
                        zeros = L::fma(value, L::splat(0.0), zeros);
                    }
                }
            }
        }
        // SAFETY: see above. x · 0 is ±0 for a finite x, and a NaN for others.
        unsafe { L::any_nan(zeros) }
    }

    /// Writes outputs whose rows are consecutive, but whose columns are not. Returns whether a value is not finite.
    #[inline(always)]
    fn write_transposed<L: Level>(&self, work: &Work<'_>, buffer: &Buffer) -> bool {
        let (columns, count) = (self.column_lines(), self.rows.lines.len());
        let mut turned = [[0f32; 16]; MAX_COLUMNS];
        for half in (0..count).step_by(8) {
            for first in (0..columns.len()).step_by(8) {
                let places = std::array::from_fn(|i| buffer.0[(half + i).min(MAX_ROWS - 1)][first..first + 8].as_ptr());
                let to = turned[first..first + 8].as_mut_ptr().cast::<f32>().wrapping_add(half);
                // SAFETY: eight values are readable at each place, and eight writable in each of eight columns; the level is the one
                // this function is compiled for.
                unsafe { L::transpose(places, to, 16) };
            }
        }
        // Slices have `count` values, and a column of the turned tile has whole vectors.
        // SAFETY: (here and below) the level as above, and memory is valid by the line above.
        let mut zeros = unsafe { L::splat(0.0) };
        for (column, sums) in columns.iter().zip(&turned) {
            // SAFETY: the calling task alone computes these outputs.
            let out = unsafe { work.out.slice(self.batch.out + self.rows.out + column.out, count) };
            for lane in (0..count).step_by(L::LANES) {
                // SAFETY: see above.
                unsafe {
                    let value = load_up_to::<L>(sums[lane..].as_ptr(), count - lane);
                    store_up_to::<L>(out.as_mut_ptr().cast::<f32>().add(lane), value, count - lane);
                    zeros = L::fma(value, L::splat(0.0), zeros);
                }
            }
        }
        // SAFETY: see above. x · 0 is ±0 for a finite x, and a NaN for others.
        unsafe { L::any_nan(zeros) }
    }

    /// Terms that only some outputs of the tile have.
    #[inline(always)]
    fn run_some<L: Level>(&self, terms: Range<usize>, buffer: &mut Buffer, a: Rows<'_>, b: &[f32]) {
        if self.column_lines().iter().any(|line| line.bounds != Bounds::OPEN) {
            return self.run_some_columns::<L>(terms, buffer, a, b);
        }
        let width = 2 * L::LANES;
        for (r, row) in self.row_lines().iter().enumerate() {
            let row_bounds = self.batch.bounds.and(row.bounds);
            let sums = &mut buffer.0[r][..width];
            // SAFETY: the level is the one this function is compiled for; `sums` and each `b` have two vectors.
            unsafe {
                let mut halves = [L::load(sums.as_ptr()), L::load(sums[L::LANES..].as_ptr())];
                for k in terms.clone() {
                    if row_bounds.and(self.bounds[k]).is_present() {
                        let (value, b) = (L::splat(a.get(r, k)), &b[k * width..][..width]);
                        halves[0] = L::fma(value, L::load(b.as_ptr()), halves[0]);
                        halves[1] = L::fma(value, L::load(b[L::LANES..].as_ptr()), halves[1]);
                    }
                }
                L::store(sums.as_mut_ptr(), halves[0]);
                L::store(sums[L::LANES..].as_mut_ptr(), halves[1]);
            }
        }
    }

    /// Terms that only some columns of the tile have: rows and the batch then have no side of the constraint.
    #[inline(always)]
    fn run_some_columns<L: Level>(&self, terms: Range<usize>, buffer: &mut Buffer, a: Rows<'_>, b: &[f32]) {
        let width = 2 * L::LANES;
        let (small, large) = self.column_bounds();
        let mut masks = [[0f32; MAX_COLUMNS]; MASKED_TERMS];
        for first in terms.clone().step_by(MASKED_TERMS) {
            let terms = first..terms.end.min(first + MASKED_TERMS);
            for (mask, term) in masks.iter_mut().zip(&self.bounds[terms.clone()]) {
                for c in 0..MAX_COLUMNS {
                    let present = small[c].max(term.small) <= large[c].min(term.large);
                    mask[c] = if present { -1.0 } else { 0.0 };
                }
            }
            let (a, b) = (a.skip(first), &b[first * width..]);
            let masks = &masks[..terms.len()];
            let count = self.rows.lines.len();
            let whole = count / 4 * 4;
            for row in (0..whole).step_by(4) {
                masked_rows::<L, 4>(masks, row, a, b, buffer);
            }
            for row in whole..count {
                masked_rows::<L, 1>(masks, row, a, b, buffer);
            }
        }
    }

    /// The bounds of the columns as two vectors; columns that do not exist never fulfil the constraint.
    #[inline(always)]
    fn column_bounds(&self) -> ([u32; MAX_COLUMNS], [u32; MAX_COLUMNS]) {
        let (mut small, mut large) = ([1; MAX_COLUMNS], [0; MAX_COLUMNS]);
        for (c, column) in self.column_lines().iter().enumerate() {
            (small[c], large[c]) = (column.bounds.small, column.bounds.large);
        }
        (small, large)
    }
}

/// Adds terms to `R` rows of the buffer, in the columns that the terms' masks choose.
#[inline(always)]
fn masked_rows<L: Level, const R: usize>(
    masks: &[[f32; MAX_COLUMNS]],
    row: usize,
    a: Rows<'_>,
    b: &[f32],
    buffer: &mut Buffer,
) {
    let Ok(rows) = <&mut [[f32; MAX_COLUMNS]; R]>::try_from(&mut buffer.0[row..row + R]) else { return };
    // SAFETY: the level is the one this function is compiled for; two vectors are at most `MAX_COLUMNS` values.
    unsafe {
        let mut sums = [[L::splat(0.0); 2]; R];
        for r in 0..R {
            sums[r] = [L::load(rows[r].as_ptr()), L::load(rows[r][L::LANES..].as_ptr())];
        }
        for ((k, mask), b) in masks.iter().enumerate().zip(b.chunks_exact(2 * L::LANES)) {
            let masks = [L::load(mask.as_ptr()), L::load(mask[L::LANES..].as_ptr())];
            let columns = [L::load(b.as_ptr()), L::load(b[L::LANES..].as_ptr())];
            for r in 0..R {
                let value = L::splat(a.get(row + r, k));
                for v in 0..2 {
                    sums[r][v] = L::choose(masks[v], L::fma(value, columns[v], sums[r][v]), sums[r][v]);
                }
            }
        }
        for r in 0..R {
            L::store(rows[r].as_mut_ptr(), sums[r][0]);
            L::store(rows[r][L::LANES..].as_mut_ptr(), sums[r][1]);
        }
    }
}

/// A tile of outputs outside the output.
#[repr(C, align(64))]
pub(crate) struct Buffer([[f32; MAX_COLUMNS]; MAX_ROWS]);

impl Buffer {
    pub(crate) fn new() -> Buffer {
        Buffer([[0.0; MAX_COLUMNS]; MAX_ROWS])
    }
}

/// A vector, or its first `lanes` values if it has more.
///
/// # Safety
/// The processor has the instructions of `L`, and the values are readable.
#[inline(always)]
unsafe fn load_up_to<L: Level>(from: *const f32, lanes: usize) -> L::Vector {
    // SAFETY: the caller vouches for it.
    unsafe { if lanes < L::LANES { L::load_first(from, lanes) } else { L::load(from) } }
}

/// Writes a vector, or its first `lanes` values if it has more.
///
/// # Safety
/// The processor has the instructions of `L`, and the values are writable.
#[inline(always)]
unsafe fn store_up_to<L: Level>(to: *mut f32, value: L::Vector, lanes: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { if lanes < L::LANES { L::store_first(to, value, lanes) } else { L::store(to, value) } }
}

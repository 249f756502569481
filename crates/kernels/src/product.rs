//! Matrix products over packed panels.
//!
//! Of rows and columns, the *shared* side is the smaller one: it is packed once for all tasks. The other side is cut into groups of panels
//! that fit into a core's own cache. A task packs a group and multiplies it with every shared panel. So every value is packed once, however
//! many threads there are.

use crate::address::{Bounds, Output};
use crate::contract::{Block, Constraint, Contract, Side};
use crate::level::Level;
use crate::pack::{Scratch, pack, panel_len, with_scratch};
use crate::partial::{Buffer, Tile};
use crate::simd::per_level;
use crate::tile::Rows;
use crate::{Simd, Threads};
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most values of shared panels that are packed at a time: a third-level cache holds them at best.
const SHARED_VALUES: usize = 4 * 1024 * 1024;
/// Values of a packed group: half of a second-level cache of 1 MiB.
const GROUP_VALUES: usize = 128 * 1024;
/// Groups per thread at least, where there is enough to do: threads that fall behind leave groups to the others.
const THREAD_GROUPS: usize = 4;
/// Most panels of a group by which a task of packing is measured out.
const PACK_PANELS: usize = 4;

thread_local! {
    /// Shared panels, kept between runs.
    static SHARED: Cell<Scratch> = Cell::default();
}

/// One run of a contraction.
pub(crate) struct Work<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) operands: &'a [&'a [u32]],
    pub(crate) out: Output<'a>,
    /// Whether the columns are the shared side.
    shares_columns: bool,
    fault: AtomicBool,
}

/// Packed panels of a side: block after block, panel after panel.
#[derive(Clone, Copy)]
struct Packed<'a> {
    values: &'a [f32],
    /// Which panels of the side.
    panels: &'a Range<usize>,
    /// Where the first of them starts in `values`, and how far they are apart.
    start: usize,
    distance: usize,
}

impl<'a> Packed<'a> {
    #[inline(always)]
    fn panel(&self, panel: usize) -> &'a [f32] {
        &self.values[self.start + (panel - self.panels.start) * self.distance..][..self.distance]
    }
}

per_level! {
    fn run_group(
        work: &Work<'_>,
        batch: usize,
        group: Range<usize>,
        shared: &Range<usize>,
        values: &[f32],
        scratch: &mut Scratch,
    ) -> bool = run_group_body;
}
per_level! {
    fn pack_shared(work: &Work<'_>, batch: usize, block: usize, panels: Range<usize>, to: &mut [f32]) = pack_shared_body;
}

impl<'a> Work<'a> {
    pub(crate) fn new(contract: &'a Contract, operands: &'a [&'a [u32]], out: &'a mut [u32]) -> Work<'a> {
        Work {
            contract,
            operands,
            out: Output::new(out),
            shares_columns: contract.columns.lines.len() <= contract.rows.lines.len(),
            fault: AtomicBool::new(false),
        }
    }

    fn shared(&self) -> &'a Side {
        if self.shares_columns { &self.contract.columns } else { &self.contract.rows }
    }

    fn private(&self) -> &'a Side {
        if self.shares_columns { &self.contract.rows } else { &self.contract.columns }
    }

    /// Whether a side is packed at all.
    #[inline(always)]
    fn packs(&self, is_shared: bool) -> bool {
        is_shared == self.shares_columns || !self.contract.direct_rows
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(self, simd: Simd, threads: &Threads) -> bool {
        let batches = self.contract.batches.len();
        // Many batches keep all threads equally busy by themselves.
        let alone = threads.count() == 1 || batches >= 8 * threads.count() || batches.is_multiple_of(threads.count());
        let at_once = if alone { 1 } else { batches };
        let one = self.place(self.shared(), 1, self.contract.blocks.len(), 0) * at_once;
        let most = if self.packs(true) { (SHARED_VALUES / one.max(1)).max(1) } else { usize::MAX };
        let panels = self.shared().panels.len();
        for first in (0..panels).step_by(most) {
            let shared = first..panels.min(first.saturating_add(most));
            if alone {
                threads.run(batches, &|batch| {
                    with_scratch(|scratch| self.run_batch(simd, batch, shared.clone(), scratch));
                });
            } else {
                self.run_together(simd, threads, shared);
            }
        }
        self.fault.into_inner()
    }

    /// One task for a batch.
    fn run_batch(&self, simd: Simd, batch: usize, shared: Range<usize>, scratch: &mut [Scratch; 2]) {
        let [private, memory] = scratch;
        let (side, blocks) = (self.shared(), self.contract.blocks.len());
        let mut values: &[f32] = &[];
        if self.packs(true) {
            let memory = memory.get(self.place(side, shared.len(), blocks, 0));
            for block in 0..blocks {
                let to = &mut memory[self.place(side, shared.len(), block, 0)..];
                pack_shared(simd, self, batch, block, shared.clone(), to);
            }
            values = memory;
        }
        let (panels, size) = (self.private().panels.len(), self.group_panels(1, 1));
        for first in (0..panels).step_by(size) {
            let group = first..panels.min(first + size);
            self.run_group(simd, batch, group, &shared, values, private);
        }
    }

    fn run_group(
        &self,
        simd: Simd,
        batch: usize,
        group: Range<usize>,
        shared: &Range<usize>,
        values: &[f32],
        scratch: &mut Scratch,
    ) {
        if run_group(simd, self, batch, group, shared, values, scratch) {
            self.fault.store(true, Ordering::Relaxed);
        }
    }

    /// Several tasks per batch.
    fn run_together(&self, simd: Simd, threads: &Threads, shared: Range<usize>) {
        let (batches, blocks) = (self.contract.batches.len(), self.contract.blocks.len());
        let side = self.shared();
        let batch_len = if self.packs(true) { self.place(side, shared.len(), blocks, 0) } else { 0 };
        let mut memory = SHARED.take();
        let values = &mut memory.get(batch_len * batches)[..batch_len * batches];
        if self.packs(true) {
            let destination = Destination { pointer: values.as_mut_ptr(), len: values.len() };
            let parts = shared.len().div_ceil(PACK_PANELS);
            threads.run(batches * blocks * parts, &|task| {
                let (batch, rest) = (task / (blocks * parts), task % (blocks * parts));
                let (block, first) = (rest / parts, rest % parts * PACK_PANELS);
                let panels = shared.start + first..shared.end.min(shared.start + first + PACK_PANELS);
                let start = batch * batch_len + self.place(side, shared.len(), block, first);
                let len = self.panel_len(side, block) * panels.len();
                // SAFETY: panels lie one after the other, and each belongs to one task.
                pack_shared(simd, self, batch, block, panels, unsafe { destination.slice(start, len) });
            });
        }
        let values = &*values;
        let size = self.group_panels(batches, threads.count());
        let panels = self.private().panels.len();
        let groups = panels.div_ceil(size);
        threads.run(batches * groups, &|task| {
            let (batch, group) = (task / groups, task % groups);
            let group = group * size..panels.min((group + 1) * size);
            let values = &values[batch * batch_len..][..batch_len];
            with_scratch(|scratch| self.run_group(simd, batch, group, &shared, values, &mut scratch[0]));
        });
        SHARED.set(memory);
    }

    /// Panels of a group.
    fn group_panels(&self, batches: usize, threads: usize) -> usize {
        let side = self.private();
        let panels = side.panels.len();
        let longest = self.contract.blocks.iter().map(|block| block.terms.len()).max().unwrap_or(0);
        let most = (GROUP_VALUES / (longest.max(1) * side.width)).clamp(1, panels);
        if threads == 1 {
            return panels.div_ceil(panels.div_ceil(most));
        }
        let most = most.min((panels * batches).div_ceil(THREAD_GROUPS * threads));
        // The busiest thread decides: of two sizes that keep it equally long, the greater one reads the shared panels less often.
        let busiest = |size: usize| (batches * panels.div_ceil(size)).div_ceil(threads) * size;
        (most.div_ceil(2)..=most).rev().min_by_key(|&size| busiest(size)).unwrap_or(most)
    }

    /// Where a panel starts in packed panels of `panels` panels per block.
    #[inline(always)]
    fn place(&self, side: &Side, panels: usize, block: usize, panel: usize) -> usize {
        let before: usize = (0..block).map(|block| self.panel_len(side, block)).sum();
        let here = if panel > 0 { panel * self.panel_len(side, block) } else { 0 };
        before * panels + here
    }

    #[inline(always)]
    fn panel_len(&self, side: &Side, block: usize) -> usize {
        panel_len(side.width, self.contract.blocks[block].terms.len())
    }

    /// The terms of a block, counted within it, that a tile of some panels of a side may have.
    #[inline(always)]
    fn needed(&self, side: &Side, batch: usize, block: usize, panels: Range<usize>) -> Range<usize> {
        let Block { terms, .. } = &self.contract.blocks[block];
        let (bounds, panels) = (&self.contract.terms.bounds, &side.panels[panels]);
        let batch = self.contract.batches.lines[batch].bounds;
        match self.contract.constraint {
            Constraint::First => {
                let large = panels.iter().map(|panel| panel.greatest.large).max().unwrap_or(0).min(batch.large);
                0..bounds[terms.clone()].partition_point(|term| term.small <= large)
            }
            Constraint::Last => {
                let small = panels.iter().map(|panel| panel.least.small).min().unwrap_or(0).max(batch.small);
                bounds[terms.clone()].partition_point(|term| term.large < small)..terms.len()
            }
            _ => 0..terms.len(),
        }
    }
}

/// Packed values while they are written.
struct Destination {
    pointer: *mut f32,
    len: usize,
}

// SAFETY: tasks write disjoint ranges, see `slice`.
unsafe impl Sync for Destination {}

impl Destination {
    /// # Safety
    /// While the slice lives, nothing else may access these values.
    #[expect(clippy::mut_from_ref)]
    unsafe fn slice(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start <= self.len && len <= self.len - start, "packed panels are out of bounds");
        // SAFETY: in bounds by the check, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), len) }
    }
}

/// Packs panels of a side, one after the other; terms that no tile has are left out.
#[inline(always)]
fn pack_side<L: Level>(work: &Work<'_>, side: &Side, batch: usize, block: usize, panels: Range<usize>, to: &mut [f32]) {
    let Block { terms, step } = &work.contract.blocks[block];
    let (from, base) = (work.operands[side.operand], work.contract.base(side.operand, batch));
    let distance = work.panel_len(side, block);
    let is_unit = step[side.operand] == Some(1);
    // Panels that are read along the terms have nothing in common; others are read together, in longer stretches.
    let together = if is_unit { 1 } else { panels.len() };
    for first in panels.clone().step_by(together) {
        let some = first..panels.end.min(first + together);
        let needed = work.needed(side, batch, block, some.clone());
        let lines = side.panels[some.start].lines.start..side.panels[some.end - 1].lines.end;
        let to = &mut to[(first - panels.start) * distance + needed.start * side.width..];
        let terms = &work.contract.terms.addresses[side.operand][terms.clone()][needed];
        pack::<L>(to, distance, side.width, from, base, &side.lines.addresses[side.operand][lines], terms, is_unit);
    }
}

#[inline(always)]
fn pack_shared_body<L: Level>(work: &Work<'_>, batch: usize, block: usize, panels: Range<usize>, to: &mut [f32]) {
    pack_side::<L>(work, work.shared(), batch, block, panels, to);
}

/// Multiplies a group of private panels with the shared panels, from the first term to the last.
#[inline(always)]
fn run_group_body<L: Level>(
    work: &Work<'_>,
    batch: usize,
    group: Range<usize>,
    shared: &Range<usize>,
    values: &[f32],
    scratch: &mut Scratch,
) -> bool {
    let contract = work.contract;
    let mut buffer = Buffer::new();
    let mut fault = false;
    for block in 0..contract.blocks.len() {
        let distance = work.panel_len(work.private(), block);
        let own = scratch.get(distance * group.len());
        if work.packs(false) {
            pack_side::<L>(work, work.private(), batch, block, group.clone(), own);
        }
        let private = Packed { values: own, panels: &group, start: 0, distance };
        let distance = work.panel_len(work.shared(), block);
        let start = work.place(work.shared(), shared.len(), block, 0);
        let shared = Packed { values, panels: shared, start, distance };
        let (rows, columns) = if work.shares_columns { (private, shared) } else { (shared, private) };
        fault |= multiply::<L>(work, batch, block, rows, columns, &mut buffer);
    }
    fault
}

/// The tiles of some panels of rows and columns over a block of terms.
#[inline(always)]
fn multiply<L: Level>(
    work: &Work<'_>,
    batch: usize,
    block: usize,
    rows: Packed<'_>,
    columns: Packed<'_>,
    buffer: &mut Buffer,
) -> bool {
    let contract = work.contract;
    let Block { terms, step } = &contract.blocks[block];
    let operand = contract.rows.operand;
    let bounds: &[Bounds] = match contract.constraint {
        Constraint::First | Constraint::Last => &contract.terms.bounds[terms.clone()],
        _ => &[],
    };
    let first_term = contract.terms.addresses[operand].get(terms.start).copied().unwrap_or(0);
    let base = contract.base(operand, batch) + first_term;
    // The shared panels outside: each is read once while the group stays cached.
    let (outers, inners) =
        if work.shares_columns { (columns.panels, rows.panels) } else { (rows.panels, columns.panels) };
    let batch_line = contract.batches.lines[batch];
    let mut fault = false;
    for outer in outers.clone() {
        for inner in inners.clone() {
            let (row, column) = if work.shares_columns { (inner, outer) } else { (outer, inner) };
            let panel = &contract.rows.panels[row];
            let a = if contract.direct_rows {
                let values = as_f32(&work.operands[operand][(base + panel.address) as usize..]);
                let (row_step, term_step) = (panel.step.unwrap_or(0) as usize, step[operand].unwrap_or(0) as usize);
                Rows { values, row_step, term_step }
            } else {
                Rows { values: rows.panel(row), row_step: 1, term_step: contract.rows.width }
            };
            // The tile after this one; after the last, this one.
            let (next_outer, next_inner) = match (inner + 1 < inners.end, outer + 1 < outers.end) {
                (true, _) => (outer, inner + 1),
                (false, true) => (outer + 1, inners.start),
                (false, false) => (outer, inner),
            };
            let (next_row, next_column) =
                if work.shares_columns { (next_inner, next_outer) } else { (next_outer, next_inner) };
            let tile = Tile {
                contract,
                batch: batch_line,
                next: batch_line.out + contract.rows.panels[next_row].out + contract.columns.panels[next_column].out,
                rows: panel,
                columns: &contract.columns.panels[column],
                bounds,
                terms: terms.len(),
                is_first: block == 0,
                is_last: block + 1 == contract.blocks.len(),
            };
            fault |= tile.run::<L>(work, a, columns.panel(column), buffer);
        }
    }
    fault
}

#[inline(always)]
fn as_f32(bits: &[u32]) -> &[f32] {
    // SAFETY: f32 has the size and the alignment of u32, and every bit pattern is a value.
    unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
}

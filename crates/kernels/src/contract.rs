//! Contractions as matrix products.
//!
//! Output labels that only operand 0 sees are *rows*, those that only operand 1 sees are *columns* (or the other way round), the rest are *batch*.
//! Rows, columns and terms are flattened into tables of addresses, so that any strides and any number of labels are one case. The terms are cut
//! into blocks; a tile of outputs goes on from what it holds after the block before, so every chain stays whole and ascending.

use crate::address::{Bounds, Output, Terms, any_fault, one_step};
use crate::level::{Level, MAX_COLUMNS, MAX_ROWS};
use crate::pack::{Scratch, pack, panel_len, with_scratch};
use crate::simd::per_level;
use crate::tile::{Product, Rows};
use crate::{Simd, Threads};
use sip_ops::NodeSpec;
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most terms of a block: a panel of rows stays in the first-level cache.
const BLOCK_TERMS: usize = 256;
/// Values of columns that are packed for all tasks at a time; they come from a third-level cache at best.
const PACKED_VALUES: usize = 4 * 1024 * 1024;
/// Panels of rows that are packed together: memory is read in longer stretches.
const GROUP_PANELS: usize = 4;
/// Most panels of columns for which rows are not packed.
const DIRECT_PANELS: usize = 8;
/// Most panels of columns that a task packs for itself where several tasks share the rows.
const OWN_PANELS: usize = 4;
/// Terms for which masks of columns are made at a time.
const MASKED_TERMS: usize = 32;
/// Values of packed columns that stay in the second-level cache.
const CACHED_VALUES: usize = 128 * 1024;

/// A batch, a row or a column: what it adds to addresses, and its side of the constraint.
#[derive(Clone, Copy, Debug)]
struct Line {
    out: usize,
    initial: isize,
    bounds: Bounds,
}

/// A flattened group of output labels.
#[derive(Clone, Debug, Default)]
struct Lines {
    /// What each adds to the addresses of operand 0 and 1.
    addresses: [Vec<isize>; 2],
    lines: Vec<Line>,
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

    fn len(&self) -> usize {
        self.lines.len()
    }
}

/// A block of terms.
#[derive(Clone, Debug)]
struct Block {
    terms: Range<usize>,
    /// The one step of the addresses of operand 0 and 1, if there is one.
    step: [Option<isize>; 2],
}

/// How the constraint bears on outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constraint {
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
    /// Which operand the rows read, and which the columns.
    row_operand: usize,
    column_operand: usize,
    offsets: [isize; 3],
    batches: Lines,
    rows: Lines,
    columns: Lines,
    terms: Terms,
    blocks: Vec<Block>,
    constraint: Constraint,
    starts_from_operand: bool,
}

impl Contract {
    /// `None` if the node is no product worth tiling.
    pub(crate) fn new(spec: &NodeSpec) -> Option<Contract> {
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
        // Vectors run along the columns, so these should be the group with the innermost output label.
        let size =
            |group: &[(usize, usize)]| -> usize { group.iter().map(|&(l, _)| spec.out_sizes[l] as usize).product() };
        let innermost = |group: &[(usize, usize)]| group.last().is_some_and(|&(_, step)| step == 1);
        let inner = if innermost(&seen[0]) { 0 } else { 1 };
        let is_wide = size(&seen[inner]) >= 8 || size(&seen[inner]) >= size(&seen[1 - inner]);
        let column_operand = if is_wide { inner } else { 1 - inner };
        let row_operand = 1 - column_operand;
        if size(&seen[0]) * size(&seen[1]) < 16 || spec.terms() < 2 {
            return None;
        }
        let terms = Terms::new(spec);
        let inside = |label: u8| label as usize >= out;
        let constraint = match spec.constraint.filter(|(small, large)| small != large) {
            Some((small, large)) if !inside(small) && !inside(large) => Constraint::Outputs,
            Some((small, large)) if inside(small) && !inside(large) => Constraint::First,
            Some((small, large)) if !inside(small) && inside(large) => Constraint::Last,
            _ => Constraint::None,
        };
        let mut contract = Contract {
            row_operand,
            column_operand,
            offsets: std::array::from_fn(|operand| spec.operands.get(operand).map_or(0, |o| o.offset as isize)),
            batches: Lines::new(spec, &batch),
            rows: Lines::new(spec, &seen[row_operand]),
            columns: Lines::new(spec, &seen[column_operand]),
            terms,
            blocks: Vec::new(),
            constraint,
            starts_from_operand: spec.starts_from_operand,
        };
        let terms = &contract.terms;
        let ends = terms.stretches.iter().skip(1).copied().chain([terms.count]);
        for (&start, end) in terms.stretches.iter().zip(ends) {
            let parts = (end - start).div_ceil(BLOCK_TERMS).max(1);
            let length = (end - start).div_ceil(parts).next_multiple_of(8);
            for first in (start..end).step_by(length.max(1)) {
                let range = first..end.min(first + length);
                let step = [terms.step(0, range.clone()), terms.step(1, range.clone())];
                contract.blocks.push(Block { terms: range, step });
            }
        }
        Some(contract)
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let (tile_rows, tile_columns) = tile_shape(simd);
        let panels = self.rows.len().div_ceil(tile_rows);
        let column_panels = self.columns.len().div_ceil(tile_columns);
        let longest = self.blocks.iter().map(|block| block.terms.len()).max().unwrap_or(0);
        // Columns that stay cached while panels of rows pass by.
        let chunk_panels = (CACHED_VALUES / (longest.max(1) * tile_columns)).clamp(1, column_panels);
        let work = Work {
            contract: self,
            operands,
            out: Output::new(out),
            panels,
            column_panels,
            chunk_panels,
            tile_rows,
            tile_columns,
            extremes: match self.constraint {
                Constraint::None => Vec::new(),
                _ => self.columns.lines.chunks(tile_columns).map(extremes).collect(),
            },
            fault: AtomicBool::new(false),
        };
        match work.own_panels(threads.count()) {
            Some(size) => work.run_alone(simd, threads, size),
            None => work.run_shared(simd, threads),
        }
        work.fault.into_inner()
    }
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
        #[cfg(not(target_arch = "x86_64"))]
        _ => of::<crate::level::Portable>(),
    }
}

thread_local! {
    /// Packed columns that all threads read, kept between runs.
    static PACKED: Cell<Scratch> = Cell::default();
}

/// One run of a contraction.
struct Work<'a> {
    contract: &'a Contract,
    operands: &'a [&'a [u32]],
    out: Output<'a>,
    panels: usize,
    column_panels: usize,
    chunk_panels: usize,
    tile_rows: usize,
    tile_columns: usize,
    /// The least and the greatest bounds of each panel of columns, if outputs are constrained.
    extremes: Vec<(Bounds, Bounds)>,
    fault: AtomicBool,
}

/// Columns of a batch, packed: block after block, panel after panel.
#[derive(Clone, Copy)]
struct Packed<'a> {
    values: &'a [f32],
    panels: &'a Range<usize>,
}

per_level! {
    fn run_batch(work: &Work<'_>, batch: usize, columns: Range<usize>, scratch: &mut [Scratch; 2]) = run_batch_body;
}
per_level! {
    fn compute(
        work: &Work<'_>,
        batch: usize,
        panels: Range<usize>,
        columns: Range<usize>,
        packed: Packed<'_>,
        scratch: &mut Scratch,
    ) = compute_body;
}
per_level! {
    fn pack_columns(work: &Work<'_>, batch: usize, block: usize, panels: Range<usize>, to: &mut [f32]) = pack_columns_body;
}

impl Work<'_> {
    /// Panels of columns that a task packs for itself; `None` if threads had better share the packed columns.
    fn own_panels(&self, threads: usize) -> Option<usize> {
        let batches = self.contract.batches.len();
        if batches >= 2 * threads {
            return Some(self.column_panels);
        }
        if self.panels == 1 {
            let parts = (8 * threads).div_ceil(batches).min(self.column_panels);
            return Some(self.column_panels.div_ceil(parts));
        }
        // Rows are read once per task: that pays only where little is read.
        if threads == 1 || self.contract.columns.len() * self.contract.terms.count > 2 * CACHED_VALUES {
            return None;
        }
        // Few columns per task, so that the rows are read where they are. The busiest thread decides: of two sizes that keep it
        // equally long, the greater one reads the rows less often.
        let busiest = |size: usize| (batches * self.column_panels.div_ceil(size)).div_ceil(threads) * size;
        let best = (1..=OWN_PANELS).rev().min_by_key(|&size| busiest(size))?;
        let even = (batches * self.column_panels).div_ceil(threads);
        (busiest(best) <= even + even / 8).then_some(best)
    }

    /// A task is some panels of columns of a batch, which it packs for itself.
    fn run_alone(&self, simd: Simd, threads: &Threads, size: usize) {
        let batches = self.contract.batches.len();
        let parts = self.column_panels.div_ceil(size);
        threads.run(batches * parts, &|task| {
            let first = task % parts * size;
            let columns = first..self.column_panels.min(first + size);
            with_scratch(|scratch| run_batch(simd, self, task / parts, columns, scratch));
        });
    }

    /// The columns are packed once for all tasks, as many at a time as is reasonable to keep.
    fn run_shared(&self, simd: Simd, threads: &Threads) {
        let mut memory = PACKED.take();
        let one = self.place(1, self.contract.blocks.len(), 0) * self.contract.batches.len();
        let most = (PACKED_VALUES / one.max(1)).max(1);
        for first in (0..self.column_panels).step_by(most) {
            let columns = first..self.column_panels.min(first + most);
            self.run_columns(simd, threads, columns, &mut memory);
        }
        PACKED.set(memory);
    }

    /// Packs some panels of columns, then computes their outputs; a task is some panels of rows by a chunk of the columns.
    fn run_columns(&self, simd: Simd, threads: &Threads, columns: Range<usize>, memory: &mut Scratch) {
        let (batches, blocks) = (self.contract.batches.len(), self.contract.blocks.len());
        let batch_len = self.place(columns.len(), blocks, 0);
        let values = &mut memory.get(batch_len * batches)[..batch_len * batches];
        let shared = Shared { pointer: values.as_mut_ptr(), len: values.len() };
        let groups = columns.len().div_ceil(GROUP_PANELS);
        threads.run(batches * blocks * groups, &|task| {
            let (batch, rest) = (task / (blocks * groups), task % (blocks * groups));
            let (block, first) = (rest / groups, rest % groups * GROUP_PANELS);
            let panels = columns.start + first..columns.end.min(columns.start + first + GROUP_PANELS);
            let start = batch * batch_len + self.place(columns.len(), block, first);
            let len = self.panel_len(block) * panels.len();
            // SAFETY: panels lie one after the other, and each belongs to one task.
            pack_columns(simd, self, batch, block, panels, unsafe { shared.slice(start, len) });
        });
        let values = &*values;
        // Short tasks balance the threads; but where blocks of columns come and go, long ones are needed to make it worth while.
        let least = if blocks > 1 { GROUP_PANELS } else { 1 };
        let wanted = if threads.count() == 1 { 1 } else { (4 * threads.count()).div_ceil(batches) };
        let most = self.panels.div_ceil(wanted);
        let task_panels =
            if most > GROUP_PANELS { most.next_multiple_of(GROUP_PANELS).min(16) } else { most.max(least) };
        let row_tasks = self.panels.div_ceil(task_panels);
        let chunks = columns.len().div_ceil(self.chunk_panels);
        threads.run(batches * chunks * row_tasks, &|task| {
            let (batch, rest) = (task / (chunks * row_tasks), task % (chunks * row_tasks));
            let (chunk, rows) = (rest / row_tasks, rest % row_tasks);
            let panels = rows * task_panels..self.panels.min((rows + 1) * task_panels);
            let first = columns.start + chunk * self.chunk_panels;
            let chunk = first..columns.end.min(first + self.chunk_panels);
            let packed = Packed { values: &values[batch * batch_len..][..batch_len], panels: &columns };
            with_scratch(|scratch| compute(simd, self, batch, panels, chunk, packed, &mut scratch[0]));
        });
    }

    /// Where a panel starts in packed columns of `panels` panels.
    #[inline(always)]
    fn place(&self, panels: usize, block: usize, panel: usize) -> usize {
        let before: usize = (0..block).map(|block| self.panel_len(block)).sum();
        let here = if panel > 0 { panel * self.panel_len(block) } else { 0 };
        before * panels + here
    }

    #[inline(always)]
    fn panel_len(&self, block: usize) -> usize {
        panel_len(self.tile_columns, self.contract.blocks[block].terms.len())
    }

    #[inline(always)]
    fn column_range(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * self.tile_columns..self.contract.columns.len().min(panels.end * self.tile_columns)
    }

    #[inline(always)]
    fn row_range(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * self.tile_rows..self.contract.rows.len().min(panels.end * self.tile_rows)
    }

    /// The address of an operand in a batch, for the first row, column and term.
    #[inline(always)]
    fn base(&self, operand: usize, batch: usize) -> isize {
        self.contract.offsets[operand] + self.contract.batches.addresses[operand][batch]
    }
}

/// Packed columns while they are written.
struct Shared {
    pointer: *mut f32,
    len: usize,
}

// SAFETY: tasks write disjoint ranges, see `slice`.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// While the slice lives, nothing else may access these values.
    #[allow(clippy::mut_from_ref)]
    unsafe fn slice(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start <= self.len && len <= self.len - start, "packed columns are out of bounds");
        // SAFETY: in bounds by the check, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), len) }
    }
}

#[inline(always)]
fn pack_columns_body<L: Level>(work: &Work<'_>, batch: usize, block: usize, panels: Range<usize>, to: &mut [f32]) {
    let operand = work.contract.column_operand;
    let Block { terms, step } = &work.contract.blocks[block];
    let lines = &work.contract.columns.addresses[operand][work.column_range(panels)];
    let terms = &work.contract.terms.addresses[operand][terms.clone()];
    let (from, base) = (work.operands[operand], work.base(operand, batch));
    pack::<L>(to, work.tile_columns, from, base, lines, terms, step[operand] == Some(1));
}

#[inline(always)]
fn run_batch_body<L: Level>(work: &Work<'_>, batch: usize, columns: Range<usize>, scratch: &mut [Scratch; 2]) {
    let [rows, packed] = scratch;
    let blocks = work.contract.blocks.len();
    let one = work.place(1, blocks, 0);
    let most = (PACKED_VALUES / one.max(1)).clamp(1, work.chunk_panels);
    for first in columns.clone().step_by(most) {
        let chunk = first..columns.end.min(first + most);
        let values = packed.get(work.place(chunk.len(), blocks, 0));
        for block in 0..blocks {
            let to = &mut values[work.place(chunk.len(), block, 0)..];
            pack_columns_body::<L>(work, batch, block, chunk.clone(), to);
        }
        let packed = Packed { values, panels: &chunk };
        compute_body::<L>(work, batch, 0..work.panels, chunk.clone(), packed, rows);
    }
}

/// Computes the outputs of some panels of rows and columns from the first term to the last.
#[inline(always)]
fn compute_body<L: Level>(
    work: &Work<'_>,
    batch: usize,
    panels: Range<usize>,
    columns: Range<usize>,
    packed: Packed<'_>,
    scratch: &mut Scratch,
) {
    let contract = work.contract;
    let batch_line = contract.batches.lines[batch];
    let column_lines = &contract.columns.lines[work.column_range(columns.clone())];
    let consecutive = column_lines.windows(2).all(|pair| pair[1].out == pair[0].out + 1);
    let row_lines = &contract.rows.lines[work.row_range(panels.clone())];
    // Where chains may get no term, or do not start at +0, outputs are initialised first.
    let constrained = contract.constraint != Constraint::None;
    let prefilled = contract.starts_from_operand || constrained || contract.blocks.is_empty();
    let mut fault = false;
    if prefilled {
        let initial =
            contract.starts_from_operand.then(|| (work.operands[2], contract.offsets[2] + batch_line.initial));
        for row in row_lines {
            let (count, length) = if consecutive { (1, column_lines.len()) } else { (column_lines.len(), 1) };
            for (at, columns) in column_lines.chunks(length).enumerate().take(count) {
                let first = batch_line.out + row.out + column_lines[at].out;
                // SAFETY: this task alone computes these rows and columns of this batch.
                let out = unsafe { work.out.slice(first, length) };
                match initial {
                    None => out.fill(0),
                    Some((from, base)) => {
                        for (out, column) in out.iter_mut().zip(columns) {
                            *out = from[(base + row.initial + column.initial) as usize];
                        }
                        fault |= any_fault(out);
                    }
                }
            }
        }
    }
    let operand = contract.row_operand;
    let (from, base) = (work.operands[operand], work.base(operand, batch));
    let mut buffer = Buffer([[0.0; MAX_COLUMNS]; MAX_ROWS]);
    for (block, Block { terms, step }) in contract.blocks.iter().enumerate() {
        let bounds: &[Bounds] = match contract.constraint {
            Constraint::First | Constraint::Last => &contract.terms.bounds[terms.clone()],
            _ => &[],
        };
        let term_addresses = &contract.terms.addresses[operand][terms.clone()];
        let column_start = work.place(packed.panels.len(), block, 0);
        let column_len = work.panel_len(block);
        let row_len = panel_len(work.tile_rows, terms.len());
        for group in panels.clone().step_by(GROUP_PANELS) {
            let group = group..panels.end.min(group + GROUP_PANELS);
            let lines = &contract.rows.addresses[operand][work.row_range(group.clone())];
            // Rows that are used by few columns are read where they are, the others are packed when they are first needed. Large powers
            // of two between reads fall on the same places of the caches.
            let direct = match (one_step(lines.iter().copied()), step[operand]) {
                (Some(row_step @ 0..), Some(term_step @ 0..)) => {
                    let far = row_step.max(term_step);
                    let most = if far % 1024 == 0 { 2 } else { DIRECT_PANELS };
                    (columns.len() <= most).then_some((row_step as usize, term_step as usize))
                }
                _ => None,
            };
            let mut is_packed = false;
            for (at, panel) in group.clone().enumerate() {
                let rows = work.row_range(panel..panel + 1);
                let row_lines = &contract.rows.lines[rows.clone()];
                let row_extremes = if constrained { extremes(row_lines) } else { (Bounds::OPEN, Bounds::OPEN) };
                let row_step = if consecutive { one_step(row_lines.iter().map(|row| row.out as isize)) } else { None };
                for column_panel in columns.clone() {
                    let tile = Tile {
                        batch: batch_line,
                        rows: row_lines,
                        columns: &contract.columns.lines[work.column_range(column_panel..column_panel + 1)],
                        consecutive,
                        row_step: row_step.map(|step| step as usize),
                        constraint: contract.constraint,
                        bounds,
                        terms: terms.len(),
                        resume: prefilled || block > 0,
                        // What is not finite stays so; a constrained tile may have no terms in the last block.
                        check: constrained || block + 1 == contract.blocks.len(),
                    };
                    let parts = if constrained {
                        let ((row_least, row_greatest), (least, greatest)) =
                            (row_extremes, work.extremes[column_panel]);
                        let least = batch_line.bounds.and(row_least).and(least);
                        tile.parts(least, batch_line.bounds.and(row_greatest).and(greatest))
                    } else {
                        Parts { before: 0..0, all: 0..terms.len(), after: 0..0, masked: false }
                    };
                    if parts.is_empty() {
                        continue;
                    }
                    let a = if let Some((row_step, term_step)) = direct {
                        let first = base + contract.rows.addresses[operand][rows.start] + term_addresses[0];
                        Rows { values: as_f32(&from[first as usize..]), row_step, term_step }
                    } else {
                        if !is_packed {
                            let to = scratch.get(row_len * group.len());
                            pack::<L>(to, work.tile_rows, from, base, lines, term_addresses, step[operand] == Some(1));
                            is_packed = true;
                        }
                        let values = &scratch.get(row_len * group.len())[at * row_len..][..row_len];
                        Rows { values, row_step: 1, term_step: work.tile_rows }
                    };
                    let b = &packed.values[column_start + (column_panel - packed.panels.start) * column_len..]
                        [..column_len];
                    fault |= tile.run::<L>(&work.out, &parts, a, b, &mut buffer);
                }
            }
        }
    }
    if fault {
        work.fault.store(true, Ordering::Relaxed);
    }
}

#[inline(always)]
fn as_f32(bits: &[u32]) -> &[f32] {
    // SAFETY: f32 has the size and the alignment of u32, and every bit pattern is a value.
    unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
}

/// A tile of outputs within a block of terms.
struct Tile<'a> {
    batch: Line,
    rows: &'a [Line],
    columns: &'a [Line],
    /// Whether the columns are consecutive in the output, and then the one step between rows, if there is one.
    consecutive: bool,
    row_step: Option<usize>,
    constraint: Constraint,
    /// The terms' side of the constraint, if they have one.
    bounds: &'a [Bounds],
    terms: usize,
    resume: bool,
    /// Whether to look for results that are not finite.
    check: bool,
}

/// The least and the greatest bounds of some lines.
fn extremes(lines: &[Line]) -> (Bounds, Bounds) {
    let least = lines.iter().fold(Bounds { small: u32::MAX, large: u32::MAX }, |least, line| Bounds {
        small: least.small.min(line.bounds.small),
        large: least.large.min(line.bounds.large),
    });
    let greatest = lines.iter().fold(Bounds { small: 0, large: 0 }, |greatest, line| Bounds {
        small: greatest.small.max(line.bounds.small),
        large: greatest.large.max(line.bounds.large),
    });
    (least, greatest)
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
    /// The parts of a tile whose outputs have bounds between `least` and `greatest`.
    fn parts(&self, least: Bounds, greatest: Bounds) -> Parts {
        let all = Parts { before: 0..0, all: 0..self.terms, after: 0..0, masked: false };
        match self.constraint {
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
    fn run<L: Level>(&self, out: &Output<'_>, parts: &Parts, a: Rows<'_>, b: &[f32], buffer: &mut Buffer) -> bool {
        let b_step = 2 * L::LANES;
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let whole = !parts.masked && parts.before.is_empty() && parts.after.is_empty();
        let direct = self.row_step.filter(|_| whole);
        let first = self.batch.out + self.rows[0].out + self.columns[0].out;
        let mut fault = false;
        if direct.is_none() && self.resume {
            self.read(out, buffer);
        }
        if !parts.before.is_empty() {
            self.run_some::<L>(parts.before.clone(), buffer, a, b);
        }
        if !parts.all.is_empty() {
            let product = Product {
                rows,
                columns,
                a: a.skip(parts.all.start),
                b: &b[parts.all.start * b_step..],
                b_step,
                terms: parts.all.len(),
                resume: self.resume,
                check: self.check && direct.is_some(),
            };
            let (c, c_step) = match direct {
                // SAFETY: the calling task alone computes the outputs of the tile.
                Some(step) => (unsafe { out.tile(first, rows, step, columns) }, step),
                None => (buffer.0.as_mut_ptr().cast(), MAX_COLUMNS),
            };
            // SAFETY: the level is the one this function is compiled for; the tile is valid, in the output or in the buffer.
            fault |= unsafe { product.run::<L>(c, c_step) };
        }
        if !parts.after.is_empty() {
            self.run_some::<L>(parts.after.clone(), buffer, a, b);
        }
        if direct.is_none() {
            fault |= self.write(out, buffer, parts.masked);
        }
        fault
    }

    /// The outputs of a row, one slice if the columns are consecutive, else one slice per column.
    #[inline(always)]
    fn slices<'o>(&self, out: &'o Output<'_>, row: &Line) -> (usize, usize, impl Fn(usize) -> &'o mut [u32]) {
        let first = self.batch.out + row.out;
        let (count, length) = if self.consecutive { (1, self.columns.len()) } else { (self.columns.len(), 1) };
        // SAFETY: the calling task alone computes these outputs, and each slice is dropped before the next is made.
        (count, length, move |at| unsafe { out.slice(first + self.columns[at].out, length) })
    }

    #[inline(always)]
    fn read(&self, out: &Output<'_>, buffer: &mut Buffer) {
        for (row, sums) in self.rows.iter().zip(&mut buffer.0) {
            let (count, length, slice) = self.slices(out, row);
            for at in 0..count {
                for (sum, value) in sums[at..at + length].iter_mut().zip(&*slice(at)) {
                    *sum = f32::from_bits(*value);
                }
            }
        }
    }

    #[inline(always)]
    fn write(&self, out: &Output<'_>, buffer: &Buffer, masked: bool) -> bool {
        let mut fault = false;
        let (small, large) = if masked { self.column_bounds() } else { ([0; MAX_COLUMNS], [u32::MAX; MAX_COLUMNS]) };
        for (row, sums) in self.rows.iter().zip(&buffer.0) {
            let bounds = if masked { self.batch.bounds.and(row.bounds) } else { Bounds::OPEN };
            let (count, length, slice) = self.slices(out, row);
            for at in 0..count {
                let values = &mut *slice(at);
                let columns = small[at..at + length].iter().zip(&large[at..at + length]);
                for ((value, sum), (&small, &large)) in values.iter_mut().zip(&sums[at..at + length]).zip(columns) {
                    let present = small.max(bounds.small) <= large.min(bounds.large);
                    *value = if present { sum.to_bits() } else { *value };
                }
                fault |= any_fault(values);
            }
        }
        fault && self.check
    }

    /// Terms that only some outputs of the tile have.
    #[inline(always)]
    fn run_some<L: Level>(&self, terms: Range<usize>, buffer: &mut Buffer, a: Rows<'_>, b: &[f32]) {
        if self.columns.iter().any(|line| line.bounds != Bounds::OPEN) {
            return self.run_some_columns::<L>(terms, buffer, a, b);
        }
        let width = 2 * L::LANES;
        for (r, row) in self.rows.iter().enumerate() {
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
            let whole = self.rows.len() / 4 * 4;
            for row in (0..whole).step_by(4) {
                masked_rows::<L, 4>(masks, row, a, b, buffer);
            }
            for row in whole..self.rows.len() {
                masked_rows::<L, 1>(masks, row, a, b, buffer);
            }
        }
    }

    /// The bounds of the columns as two vectors; columns that do not exist never fulfil the constraint.
    #[inline(always)]
    fn column_bounds(&self) -> ([u32; MAX_COLUMNS], [u32; MAX_COLUMNS]) {
        let (mut small, mut large) = ([1; MAX_COLUMNS], [0; MAX_COLUMNS]);
        for (c, column) in self.columns.iter().enumerate() {
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
struct Buffer([[f32; MAX_COLUMNS]; MAX_ROWS]);

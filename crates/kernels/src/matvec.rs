//! Products of a matrix with a few vectors, as when a language model writes one token: the matrix is read once, as fast as memory
//! gives it, and is not copied.
//!
//! The outputs that share a vector are *columns*, one after the other; the vectors are *rows*; what both operands see is *batch*. Where the
//! terms of a column are consecutive, blocks of the matrix are transposed in registers, so that a vector register still holds one term of
//! several columns; where columns are consecutive, several terms are added in one pass over the sums.

use crate::address::{Output, Terms, any_fault, one_step};
use crate::level::Level;
use crate::pack::{Scratch, with_scratch};
use crate::sides::{Place, Sides};
use crate::simd::per_level;
use crate::{Simd, Threads};
use sip_ops::NodeSpec;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most vectors.
const MAX_VECTORS: usize = 8;
/// Fewest columns: the lanes of the longest register.
const LEAST_COLUMNS: usize = 16;
/// Terms of a block that is transposed in registers.
const BLOCK_TERMS: usize = 4;
/// Terms that are added in one pass over the sums of consecutive columns.
const PASS_TERMS: usize = 8;
/// f32 of a cache line.
const LINE: usize = 16;
/// Sums that stay in the first-level cache.
const CACHED_SUMS: usize = 4096;
/// Least terms of a task, over all its columns.
const TASK_TERMS: usize = 16 * 1024;

/// A prepared product.
pub(crate) struct Matvec {
    /// Which operand is the vectors, and which the matrix.
    vector: usize,
    matrix: usize,
    batches: Vec<Place>,
    rows: Vec<Place>,
    columns: usize,
    /// What one column adds.
    step: Place,
    terms: Terms,
    /// Whether the terms of a column are consecutive in the matrix; otherwise the columns are.
    transposes: bool,
    /// Whether the terms are consecutive in the vectors.
    unit_terms: bool,
    starts_from_operand: bool,
    /// Whether chains go on from what the output holds.
    accumulates: bool,
}

impl Matvec {
    /// `None` if the node is no such product.
    pub(crate) fn new(spec: &NodeSpec, accumulates: bool) -> Option<Matvec> {
        let sides = Sides::new(spec);
        let matrix = if sides.count(0) > sides.count(1) { 0 } else { 1 };
        let vector = 1 - matrix;
        let columns = sides.count(matrix);
        let is_constrained = spec.constraint.is_some_and(|(small, large)| small != large);
        if columns < LEAST_COLUMNS || sides.count(vector) > MAX_VECTORS || is_constrained {
            return None;
        }
        // Columns of several labels must be as evenly spaced as those of one.
        let step = sides.step(*sides.seen[matrix].last()?);
        let even = sides.seen[matrix].windows(2).all(|pair| {
            let (outer, inner) = (sides.step(pair[0]), sides.step(pair[1]));
            (0..4).all(|number| outer[number] == sides.size(pair[1]) as isize * inner[number])
        });
        let terms = Terms::new(spec);
        let transposes = step[matrix] != 1;
        if !even || terms.count < BLOCK_TERMS || transposes && terms.step(matrix, 0..terms.count) != Some(1) {
            return None;
        }
        Some(Matvec {
            vector,
            matrix,
            batches: sides.batches(),
            rows: sides.lines(vector),
            columns,
            step,
            transposes,
            unit_terms: one_step(terms.addresses[vector].iter().copied()) == Some(1),
            terms,
            starts_from_operand: spec.starts_from_operand,
            accumulates,
        })
    }

    /// Returns whether an output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let fault = AtomicBool::new(false);
        let out = Output::new(out);
        let most = CACHED_SUMS / self.rows.len().next_power_of_two();
        let least = TASK_TERMS / self.terms.count;
        let even = (self.columns * self.batches.len()).div_ceil(4 * threads.count());
        let size = even.max(least).next_multiple_of(2 * LEAST_COLUMNS).min(most);
        let parts = self.columns.div_ceil(size);
        threads.run(self.batches.len() * parts, &|task| {
            let first = task % parts * size;
            let columns = first..self.columns.min(first + size);
            let is_fault = with_scratch(|scratch| {
                run_columns(simd, self, operands, &out, &self.batches[task / parts], columns, scratch)
            });
            if is_fault {
                fault.store(true, Ordering::Relaxed);
            }
        });
        fault.into_inner()
    }
}

per_level! {
    fn run_columns(
        product: &Matvec,
        operands: &[&[u32]],
        out: &Output<'_>,
        batch: &Place,
        columns: Range<usize>,
        scratch: &mut [Scratch; 2],
    ) -> bool = run_columns_body;
}

#[inline(always)]
fn run_columns_body<L: Level>(
    product: &Matvec,
    operands: &[&[u32]],
    out: &Output<'_>,
    batch: &Place,
    columns: Range<usize>,
    scratch: &mut [Scratch; 2],
) -> bool {
    match product.rows.len() {
        1 => run_vectors::<L, 1>(product, operands, out, batch, columns, scratch),
        2 => run_vectors::<L, 2>(product, operands, out, batch, columns, scratch),
        3 | 4 => run_vectors::<L, 4>(product, operands, out, batch, columns, scratch),
        _ => run_vectors::<L, MAX_VECTORS>(product, operands, out, batch, columns, scratch),
    }
}

/// At most `R` vectors times some columns of the matrix; missing ones are taken as 0, and dropped.
#[inline(always)]
fn run_vectors<L: Level, const R: usize>(
    product: &Matvec,
    operands: &[&[u32]],
    out: &Output<'_>,
    batch: &Place,
    columns: Range<usize>,
    scratch: &mut [Scratch; 2],
) -> bool {
    let [packed, sums] = scratch;
    let terms = &product.terms;
    let from = operands[product.vector];
    let base = batch[product.vector];
    // The vectors term by term, where they do not lie so already.
    let vectors = if R == 1 && product.unit_terms {
        from[(base + product.rows[0][product.vector] + terms.addresses[product.vector][0]) as usize..].as_ptr().cast()
    } else {
        let packed = packed.get(terms.count * R);
        for (values, term) in packed.chunks_exact_mut(R).zip(&terms.addresses[product.vector]) {
            values.fill(0.0);
            for (value, row) in values.iter_mut().zip(&product.rows) {
                *value = f32::from_bits(from[(base + row[product.vector] + term) as usize]);
            }
        }
        packed.as_ptr()
    };
    let count = columns.len();
    let distance = count.next_multiple_of(LINE);
    let sums = &mut sums.get(R * distance)[..R * distance];
    let first =
        |number: usize, row: &Place| batch[number] + row[number] + columns.start as isize * product.step[number];
    let out_step = product.step[3] as usize;
    sums.fill(0.0);
    for (sums, row) in sums.chunks_exact_mut(distance).zip(&product.rows) {
        let sums = &mut sums[..count];
        if product.starts_from_operand {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = f32::from_bits(operands[2][(first(2, row) + at as isize * product.step[2]) as usize]);
            }
        } else if product.accumulates {
            for (at, sum) in sums.iter_mut().enumerate() {
                // SAFETY: this task alone computes these columns of this batch.
                *sum = f32::from_bits(unsafe { out.slice(first(3, row) as usize + at * out_step, 1) }[0]);
            }
        }
    }
    let matrix = Matrix { from: operands[product.matrix], base: batch[product.matrix], columns: columns.clone() };
    // SAFETY: this is compiled for the level of `L`; `vectors` holds `R` values of each term, `sums` holds `R` rows of `distance`.
    unsafe {
        if product.transposes {
            transposed::<L, R, 2>(product, &matrix, vectors, sums, distance);
        } else {
            passes::<L, R>(product, &matrix, vectors, sums, distance);
        }
    }
    let mut fault = false;
    for (sums, row) in sums.chunks_exact(distance).zip(&product.rows) {
        let place = first(3, row) as usize;
        if out_step == 1 {
            // SAFETY: as above.
            let values = unsafe { out.slice(place, count) };
            for (value, sum) in values.iter_mut().zip(sums) {
                *value = sum.to_bits();
            }
            fault |= any_fault(values);
            continue;
        }
        for (at, sum) in sums[..count].iter().enumerate() {
            // SAFETY: as above.
            let value = unsafe { out.slice(place + at * out_step, 1) };
            value[0] = sum.to_bits();
            fault |= !sum.is_finite();
        }
    }
    fault
}

/// Some columns of a batch's matrix.
struct Matrix<'a> {
    from: &'a [u32],
    base: isize,
    columns: Range<usize>,
}

/// Adds all terms where the terms of a column are consecutive.
///
/// # Safety
/// The processor has the instructions of `L`; `vectors` holds `R` values per term, `sums` holds `R` rows of `distance`.
#[inline(always)]
unsafe fn transposed<L: Level, const R: usize, const G: usize>(
    product: &Matvec,
    matrix: &Matrix<'_>,
    vectors: *const f32,
    sums: &mut [f32],
    distance: usize,
) {
    let (step, terms) = (product.step[product.matrix], product.terms.count);
    let base = matrix.base + product.terms.addresses[product.matrix][0];
    let count = matrix.columns.len();
    let column = |at: usize| matrix.from.as_ptr().cast::<f32>().wrapping_offset(base + at as isize * step);
    let whole = count / L::LANES * L::LANES;
    let groups = whole / (G * L::LANES) * (G * L::LANES);
    for at in (0..groups).step_by(G * L::LANES) {
        let from = column(matrix.columns.start + at);
        // SAFETY: the operand holds all terms of all columns, and `sums` the columns of each row.
        unsafe {
            block::<L, R, G>(from, step, terms, vectors, sums.as_mut_ptr().add(at), distance);
        }
    }
    for at in (groups..whole).step_by(L::LANES) {
        let from = column(matrix.columns.start + at);
        // SAFETY: as above.
        unsafe {
            block::<L, R, 1>(from, step, terms, vectors, sums.as_mut_ptr().add(at), distance);
        }
    }
    if whole < count {
        // The last columns that fill a register; what is computed of those before is not kept.
        let (before, first) = (L::LANES - (count - whole), matrix.columns.end - L::LANES);
        let mut lanes = [0f32; MAX_VECTORS * LINE];
        for r in 0..R {
            lanes[r * LINE + before..r * LINE + L::LANES]
                .copy_from_slice(&sums[r * distance + whole..r * distance + count]);
        }
        // SAFETY: there are at least as many columns as lanes, see `LEAST_COLUMNS`; `lanes` holds `R` rows of them.
        unsafe { block::<L, R, 1>(column(first), step, terms, vectors, lanes.as_mut_ptr(), LINE) };
        for r in 0..R {
            sums[r * distance + whole..r * distance + count]
                .copy_from_slice(&lanes[r * LINE + before..r * LINE + L::LANES]);
        }
    }
}

/// Adds all terms of `G` registers of columns, while the same number of columns after these is prefetched.
///
/// # Safety
/// The processor has the instructions of `L`; `from` is the first of the columns, each `step` values after the other, of `terms` values
/// each; `sums` holds `R` rows, each `distance` values after the other.
#[inline(always)]
unsafe fn block<L: Level, const R: usize, const G: usize>(
    from: *const f32,
    step: isize,
    terms: usize,
    vectors: *const f32,
    sums: *mut f32,
    distance: usize,
) {
    // SAFETY: the caller vouches for all that is read and written; addresses ahead are hints.
    unsafe {
        let mut chains = [[L::splat(0.0); G]; R];
        for r in 0..R {
            for g in 0..G {
                chains[r][g] = L::load(sums.add(r * distance + g * L::LANES));
            }
        }
        let lines = terms / LINE * LINE;
        let columns = G * L::LANES;
        // Lines of the columns after these: in the order of memory if nothing lies between the columns.
        let (line, next) = if step == terms as isize { (LINE as isize, columns * LINE) } else { (step, LINE) };
        let mut ahead = from.wrapping_offset(columns as isize * step);
        for k in (0..lines).step_by(LINE) {
            for column in 0..columns {
                L::prefetch_far(ahead.wrapping_offset(column as isize * line));
            }
            ahead = ahead.wrapping_add(next);
            // A cache line of each column is read to its end before other columns can displace it.
            for g in 0..G {
                let from = from.offset((g * L::LANES) as isize * step);
                for part in 0..LINE / BLOCK_TERMS {
                    add_block::<L, R, G>(&mut chains, g, from, step, vectors, k + part * BLOCK_TERMS, 0);
                }
            }
        }
        let whole = terms / BLOCK_TERMS * BLOCK_TERMS;
        for k in (lines..whole).step_by(BLOCK_TERMS) {
            for g in 0..G {
                let from = from.offset((g * L::LANES) as isize * step);
                add_block::<L, R, G>(&mut chains, g, from, step, vectors, k, 0);
            }
        }
        if whole < terms {
            // The last terms that fill a block, those before not again.
            let first = terms - BLOCK_TERMS;
            for g in 0..G {
                let from = from.offset((g * L::LANES) as isize * step);
                add_block::<L, R, G>(&mut chains, g, from, step, vectors, first, whole - first);
            }
        }
        for r in 0..R {
            for g in 0..G {
                L::store(sums.add(r * distance + g * L::LANES), chains[r][g]);
            }
        }
    }
}

/// Adds a block of terms from term `k` on, without those before the `skip`th.
///
/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn add_block<L: Level, const R: usize, const G: usize>(
    chains: &mut [[L::Vector; G]; R],
    g: usize,
    from: *const f32,
    step: isize,
    vectors: *const f32,
    k: usize,
    skip: usize,
) {
    // SAFETY: the caller vouches for all that is read.
    unsafe {
        let columns = L::load_columns(from.add(k), step);
        for j in 0..BLOCK_TERMS {
            if j < skip {
                continue;
            }
            for r in 0..R {
                let value = L::splat(*vectors.add((k + j) * R + r));
                chains[r][g] = L::fma(value, columns[j], chains[r][g]);
            }
        }
    }
}

/// Adds all terms where the columns are consecutive.
///
/// # Safety
/// The processor has the instructions of `L`; `vectors` holds `R` values per term, `sums` holds `R` rows of `distance`.
#[inline(always)]
unsafe fn passes<L: Level, const R: usize>(
    product: &Matvec,
    matrix: &Matrix<'_>,
    vectors: *const f32,
    sums: &mut [f32],
    distance: usize,
) {
    let terms = &product.terms.addresses[product.matrix][..];
    let first = matrix.base + matrix.columns.start as isize;
    let place = |term: isize| matrix.from.as_ptr().cast::<f32>().wrapping_offset(first + term);
    let (count, whole) = (matrix.columns.len(), terms.len() / PASS_TERMS * PASS_TERMS);
    // SAFETY: the operand holds all columns at all terms.
    unsafe {
        for k in (0..whole).step_by(PASS_TERMS) {
            let from: [*const f32; PASS_TERMS] = std::array::from_fn(|j| place(terms[k + j]));
            pass::<L, R, PASS_TERMS>(from, vectors.add(k * R), sums, distance, count);
        }
        for k in whole..terms.len() {
            pass::<L, R, 1>([place(terms[k])], vectors.add(k * R), sums, distance, count);
        }
    }
}

/// Adds `T` terms to the sums of all columns.
///
/// # Safety
/// The processor has the instructions of `L`; each place of `from` holds `count` values, `vectors` holds `R` values per term.
#[inline(always)]
unsafe fn pass<L: Level, const R: usize, const T: usize>(
    from: [*const f32; T],
    vectors: *const f32,
    sums: &mut [f32],
    distance: usize,
    count: usize,
) {
    // SAFETY: the caller vouches for what is read; sums are padded to whole registers.
    unsafe {
        let sums = sums.as_mut_ptr();
        let whole = count / L::LANES * L::LANES;
        for at in (0..whole).step_by(L::LANES) {
            let mut columns = [L::splat(0.0); T];
            for j in 0..T {
                columns[j] = L::load(from[j].add(at));
            }
            add::<L, R, T>(&columns, vectors, sums.add(at), distance);
        }
        if whole < count {
            let mut columns = [L::splat(0.0); T];
            for j in 0..T {
                columns[j] = L::load_first(from[j].add(whole), count - whole);
            }
            add::<L, R, T>(&columns, vectors, sums.add(whole), distance);
        }
    }
}

/// Adds `T` terms to the sums of one register of columns.
///
/// # Safety
/// As for [`pass`].
#[inline(always)]
unsafe fn add<L: Level, const R: usize, const T: usize>(
    columns: &[L::Vector; T],
    vectors: *const f32,
    sums: *mut f32,
    distance: usize,
) {
    // SAFETY: the caller vouches for all that is read and written.
    unsafe {
        for r in 0..R {
            let mut chain = L::load(sums.add(r * distance));
            for j in 0..T {
                chain = L::fma(L::splat(*vectors.add(j * R + r)), columns[j], chain);
            }
            L::store(sums.add(r * distance), chain);
        }
    }
}

//! Products of signed bytes, four to a word, exact modulo 2³²: the order of the terms does not matter, so vectors run along them.
//!
//! Labels are grouped as for products of f32: *rows* are outputs' labels that only one operand sees, *columns* those that only the other sees,
//! the rest is *batch*. Rows are copied together with the sums of their bytes; columns are read where they lie if their terms are
//! consecutive, else copied as well.

use crate::address::{Output, Terms};
use crate::sides::{Place, Sides};
use crate::{Simd, Threads};
use sip_ops::{NodeSpec, dot_i8};
use std::cell::Cell;

/// Rows and columns of outputs that are computed at once.
const TILE: usize = 4;
/// Words of a copied line are a multiple of this: the longest step of a level.
const PAD: usize = 16;
/// Words of rows that stay in the second-level cache while columns pass by.
const CACHED_WORDS: usize = 64 * 1024;
/// Columns of a task at most, and fewest products of bytes by fours that are worth one.
const TASK_COLUMNS: usize = 256;
const TASK_WORK: usize = 64 * 1024;

/// A prepared product of bytes.
pub(crate) struct ContractI8 {
    /// Which operand the rows read, and which the columns.
    row: usize,
    column: usize,
    batches: Vec<Place>,
    rows: Vec<Place>,
    columns: Vec<Place>,
    terms: Terms,
    /// Whether the terms of a column are consecutive.
    in_place: bool,
    starts_from_operand: bool,
    /// Whether sums go on from what the output holds.
    accumulates: bool,
}

impl ContractI8 {
    /// `None` if the node has a constraint between outputs and terms, or nothing to share.
    pub(crate) fn new(spec: &NodeSpec, accumulates: bool) -> Option<ContractI8> {
        let sides = Sides::new(spec);
        let outputs = spec.out_sizes.len();
        let bears =
            |&(small, large): &(u8, u8)| small != large && ((small as usize) < outputs || (large as usize) < outputs);
        let terms = Terms::new(spec);
        let [rows, columns] = [sides.count(0), sides.count(1)];
        if spec.constraint.as_ref().is_some_and(bears) || rows * columns < 4 || terms.count < 4 {
            return None;
        }
        let column = if rows > columns { 0 } else { 1 };
        Some(ContractI8 {
            row: 1 - column,
            column,
            batches: sides.batches(),
            rows: sides.lines(1 - column),
            columns: sides.lines(column),
            in_place: terms.step(column, 0..terms.count) == Some(1),
            terms,
            starts_from_operand: spec.starts_from_operand,
            accumulates,
        })
    }

    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) {
        let kernel = kernel(simd);
        let out = Output::new(out);
        let pitch = self.terms.count.next_multiple_of(PAD);
        let (mut rows, mut columns) = COPIES.take();
        for batch in &self.batches {
            // A row is its words, and behind them the sum of its bytes.
            self.copy(self.row, batch, operands, &self.rows, pitch, &mut rows, threads);
            if !self.in_place {
                self.copy(self.column, batch, operands, &self.columns, pitch, &mut columns, threads);
            }
            let even = self.columns.len().div_ceil(4 * threads.count());
            let least = TASK_WORK / (self.terms.count * self.rows.len()).max(1);
            let size = even.max(least).next_multiple_of(TILE).min(TASK_COLUMNS);
            let cached = (CACHED_WORDS / pitch).next_multiple_of(TILE).max(TILE);
            threads.run(self.columns.len().div_ceil(size), &|task| {
                let task = task * size..self.columns.len().min((task + 1) * size);
                for first_row in (0..self.rows.len()).step_by(cached) {
                    let last_row = self.rows.len().min(first_row + cached);
                    for column in task.clone().step_by(TILE) {
                        // Missing columns repeat the last one.
                        let column_of = |i: usize| (column + i).min(task.end - 1);
                        let from: [&[u32]; TILE] = std::array::from_fn(|i| {
                            if !self.in_place {
                                return &columns[column_of(i) * (pitch + 1)..][..self.terms.count];
                            }
                            let place = &self.columns[column_of(i)];
                            let first = batch[self.column] + place[self.column] + self.terms.addresses[self.column][0];
                            &operands[self.column][first as usize..][..self.terms.count]
                        });
                        for row in (first_row..last_row).step_by(TILE) {
                            let count = TILE.min(last_row - row);
                            let mut sums = [[0u32; TILE]; TILE];
                            // SAFETY: `kernel` chose a function whose instructions the processor has.
                            unsafe {
                                kernel(&rows[row * (pitch + 1)..][..count * (pitch + 1)], pitch, &from, &mut sums)
                            };
                            for (sums, row) in sums.iter().zip(&self.rows[row..row + count]) {
                                for (&sum, column) in sums.iter().zip(&self.columns[column..task.end]) {
                                    let at = |i: usize| (batch[i] + row[i] + column[i]) as usize;
                                    // SAFETY: the task alone computes these columns.
                                    let value = unsafe { out.slice(at(3), 1) };
                                    let start = match () {
                                        _ if self.starts_from_operand => operands[2][at(2)],
                                        _ if self.accumulates => value[0],
                                        _ => 0,
                                    };
                                    value[0] = start.wrapping_add(sum);
                                }
                            }
                        }
                    }
                }
            });
        }
        COPIES.set((rows, columns));
    }

    /// Copies lines of an operand: `pitch` words each, zeros behind the terms, and one word with the sum of the bytes.
    #[expect(clippy::too_many_arguments)]
    fn copy(
        &self,
        operand: usize,
        batch: &Place,
        operands: &[&[u32]],
        lines: &[Place],
        pitch: usize,
        to: &mut Vec<u32>,
        threads: &Threads,
    ) {
        to.resize(lines.len() * (pitch + 1), 0);
        let to = Output::new(to);
        let terms = &self.terms.addresses[operand];
        threads.run(lines.len().div_ceil(TILE), &|task| {
            for line in task * TILE..lines.len().min((task + 1) * TILE) {
                // SAFETY: each line belongs to one task.
                let to = unsafe { to.slice(line * (pitch + 1), pitch + 1) };
                let first = batch[operand] + lines[line][operand];
                for (to, term) in to.iter_mut().zip(terms) {
                    *to = operands[operand][(first + term) as usize];
                }
                to[terms.len()..].fill(0);
                let sum = to.iter().fold(0u32, |sum, &word| sum.wrapping_add(dot_i8(word, 0x0101_0101)));
                to[pitch] = sum;
            }
        });
    }
}

thread_local! {
    /// Copied rows and columns, kept between runs.
    static COPIES: Cell<(Vec<u32>, Vec<u32>)> = Cell::default();
}

/// Sums up to `TILE` rows, which lie `pitch + 1` words apart, with four columns, which have as many words as there are terms.
type Kernel = unsafe fn(rows: &[u32], pitch: usize, columns: &[&[u32]; TILE], sums: &mut [[u32; TILE]; TILE]);

/// The fastest function for a level that the processor has.
fn kernel(simd: Simd) -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if simd >= Simd::Avx512 && std::is_x86_feature_detected!("avx512vnni") {
            return x86::vnni;
        }
        if simd >= Simd::Avx2 {
            return x86::avx2;
        }
    }
    #[cfg(target_arch = "aarch64")]
    if simd == Simd::Neon {
        return neon::neon;
    }
    let _ = simd;
    portable
}

fn portable(rows: &[u32], pitch: usize, columns: &[&[u32]; TILE], sums: &mut [[u32; TILE]; TILE]) {
    for (row, sums) in rows.chunks_exact(pitch + 1).zip(sums) {
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum = row.iter().zip(*column).fold(0, |sum, (&a, &b)| sum.wrapping_add(dot_i8(a, b)));
        }
    }
}

/// Calls a function with as many rows as there are, as a constant.
#[allow(unused_macros)]
macro_rules! by_rows {
    ($function:ident, $rows:ident, $pitch:ident, $columns:ident, $sums:ident) => {
        match $rows.len() / ($pitch + 1) {
            1 => $function::<1>($rows, $pitch, $columns, $sums),
            2 => $function::<2>($rows, $pitch, $columns, $sums),
            3 => $function::<3>($rows, $pitch, $columns, $sums),
            _ => $function::<TILE>($rows, $pitch, $columns, $sums),
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{PAD, TILE};
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX-512 F, BW and VNNI.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    pub(super) unsafe fn vnni(rows: &[u32], pitch: usize, columns: &[&[u32]; TILE], sums: &mut [[u32; TILE]; TILE]) {
        // SAFETY: the same instructions.
        unsafe { by_rows!(vnni_rows, rows, pitch, columns, sums) }
    }

    /// The instruction multiplies unsigned by signed bytes, so columns are taken with 128 added, and 128 times the row's sum is taken off.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn vnni_rows<const R: usize>(
        rows: &[u32],
        pitch: usize,
        columns: &[&[u32]; TILE],
        sums: &mut [[u32; TILE]; TILE],
    ) {
        let terms = columns[0].len();
        assert!(rows.len() >= R * (pitch + 1) && terms <= pitch && columns.iter().all(|column| column.len() == terms));
        let offset = _mm512_set1_epi8(-128);
        let mut total = [[_mm512_setzero_si512(); TILE]; R];
        let row = |r: usize, k: usize| rows.as_ptr().wrapping_add(r * (pitch + 1) + k);
        for k in (0..terms).step_by(PAD) {
            let mask = if terms - k < PAD { ((1u32 << (terms - k)) - 1) as u16 } else { u16::MAX };
            let mut values = [offset; R];
            for r in 0..R {
                // SAFETY: `pitch` words are readable, a multiple of 16.
                values[r] = unsafe { _mm512_loadu_si512(row(r, k).cast()) };
            }
            for c in 0..TILE {
                // SAFETY: words behind the terms are masked; the rows are 0 there.
                let column = unsafe { _mm512_maskz_loadu_epi32(mask, columns[c].as_ptr().add(k).cast()) };
                let column = _mm512_xor_si512(column, offset);
                for r in 0..R {
                    total[r][c] = _mm512_dpbusd_epi32(total[r][c], column, values[r]);
                }
            }
        }
        for r in 0..R {
            let fold =
                |sum: __m512i| _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
            let sum = four_sums(total[r].map(fold));
            let correction = rows[r * (pitch + 1) + pitch].wrapping_mul(128);
            for c in 0..TILE {
                sums[r][c] = sum[c].wrapping_sub(correction);
            }
        }
    }

    /// The sum of the lanes of each of four vectors.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn four_sums(total: [__m256i; 4]) -> [u32; 4] {
        let pairs = (_mm256_hadd_epi32(total[0], total[1]), _mm256_hadd_epi32(total[2], total[3]));
        let halves = _mm256_hadd_epi32(pairs.0, pairs.1);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        let mut sums = [0u32; 4];
        // SAFETY: four words are writable.
        unsafe { _mm_storeu_si128(sums.as_mut_ptr().cast(), sum) };
        sums
    }

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(rows: &[u32], pitch: usize, columns: &[&[u32]; TILE], sums: &mut [[u32; TILE]; TILE]) {
        // Two rows at a time: their sums stay in registers.
        for (rows, sums) in rows.chunks(2 * (pitch + 1)).zip(sums.chunks_mut(2)) {
            // SAFETY: the same instructions.
            unsafe {
                match sums {
                    [one, two] if rows.len() > pitch + 1 => avx2_rows(rows, pitch, columns, [one, two]),
                    [one, ..] => avx2_rows(rows, pitch, columns, [one]),
                    [] => {}
                }
            }
        }
    }

    /// Bytes are widened to 16 bits, whose products in pairs are exact.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn avx2_rows<const R: usize>(
        rows: &[u32],
        pitch: usize,
        columns: &[&[u32]; TILE],
        sums: [&mut [u32; TILE]; R],
    ) {
        let terms = columns[0].len();
        assert!(rows.len() >= R * (pitch + 1) && terms <= pitch && columns.iter().all(|column| column.len() == terms));
        let mut total = [[_mm256_setzero_si256(); TILE]; R];
        let whole = terms / 4 * 4;
        for k in (0..whole).step_by(4) {
            let mut values = [_mm256_setzero_si256(); R];
            for r in 0..R {
                // SAFETY: four words are readable from `k` on.
                let words = unsafe { _mm_loadu_si128(rows.as_ptr().add(r * (pitch + 1) + k).cast()) };
                values[r] = _mm256_cvtepi8_epi16(words);
            }
            for c in 0..TILE {
                // SAFETY: as above.
                let words = unsafe { _mm_loadu_si128(columns[c].as_ptr().add(k).cast()) };
                let column = _mm256_cvtepi8_epi16(words);
                for r in 0..R {
                    total[r][c] = _mm256_add_epi32(total[r][c], _mm256_madd_epi16(values[r], column));
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            *sums = four_sums(total[r]);
            for (sum, column) in sums.iter_mut().zip(columns) {
                for (k, &word) in column.iter().enumerate().skip(whole) {
                    *sum = sum.wrapping_add(super::dot_i8(rows[r * (pitch + 1) + k], word));
                }
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::TILE;
    use std::arch::aarch64::*;

    /// # Safety
    /// The processor has NEON.
    #[target_feature(enable = "neon")]
    pub(super) unsafe fn neon(rows: &[u32], pitch: usize, columns: &[&[u32]; TILE], sums: &mut [[u32; TILE]; TILE]) {
        // SAFETY: the same instructions.
        unsafe { by_rows!(neon_rows, rows, pitch, columns, sums) }
    }

    /// Products of bytes are exact in 16 bits, and added in pairs to sums of 32.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn neon_rows<const R: usize>(
        rows: &[u32],
        pitch: usize,
        columns: &[&[u32]; TILE],
        sums: &mut [[u32; TILE]; TILE],
    ) {
        let terms = columns[0].len();
        assert!(rows.len() >= R * (pitch + 1) && terms <= pitch && columns.iter().all(|column| column.len() == terms));
        let mut total = [[vdupq_n_s32(0); TILE]; R];
        let whole = terms / 4 * 4;
        for k in (0..whole).step_by(4) {
            let mut values = [vdupq_n_s8(0); R];
            for r in 0..R {
                // SAFETY: four words are readable from `k` on.
                values[r] = unsafe { vld1q_s8(rows.as_ptr().add(r * (pitch + 1) + k).cast()) };
            }
            for c in 0..TILE {
                // SAFETY: as above.
                let column = unsafe { vld1q_s8(columns[c].as_ptr().add(k).cast()) };
                for r in 0..R {
                    let low = vmull_s8(vget_low_s8(values[r]), vget_low_s8(column));
                    let high = vmull_high_s8(values[r], column);
                    total[r][c] = vpadalq_s16(vpadalq_s16(total[r][c], low), high);
                }
            }
        }
        for r in 0..R {
            for c in 0..TILE {
                sums[r][c] = vaddvq_s32(total[r][c]) as u32;
                for k in whole..terms {
                    sums[r][c] = sums[r][c].wrapping_add(super::dot_i8(rows[r * (pitch + 1) + k], columns[c][k]));
                }
            }
        }
    }
}

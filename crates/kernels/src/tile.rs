//! The micro-kernel of products: a tile of outputs in registers.

use crate::level::{Level, MAX_ROWS};

/// C[r][j] ← fma(A[r][k], B[k][j], C[r][j]) for k ascending, for `R` rows and `V` vectors of columns.
///
/// `a` is read `row_step` values apart from row to row and `term_step` from term to term (1 and `R` if `PACKED`); `b` has `b_step` values
/// from term to term, `c` has `c_step` values from row to row. Of the last vector, the first `lanes` columns exist in C; B has all.
/// The chains start from `start`, with `start_step` values from row to row, or at +0 if it is null; it may be C itself. `next` is where the
/// next tile of C lies, which is asked for in advance. Returns whether a result is a NaN or an infinity, if asked to `check`.
///
/// # Safety
/// The processor has the instructions of `L`; `a`, `b`, `c` and `start` are valid as described.
#[inline(always)]
#[expect(clippy::too_many_arguments)]
unsafe fn tile<L: Level, const R: usize, const V: usize, const PACKED: bool>(
    terms: usize,
    a: *const f32,
    row_step: usize,
    term_step: usize,
    mut b: *const f32,
    b_step: usize,
    c: *mut f32,
    c_step: usize,
    lanes: usize,
    start: *const f32,
    start_step: usize,
    check: bool,
    next: *const f32,
) -> bool {
    let (row_step, term_step) = if PACKED { (1, R) } else { (row_step, term_step) };
    // SAFETY: all reads and writes are those that the caller vouches for; pointers past the last term are not read.
    unsafe {
        for r in 0..R {
            // Lines of 16 values, and the last value's, as C is not aligned.
            let row = next.wrapping_add(r * c_step);
            for line in (0..V * L::LANES).step_by(16) {
                L::prefetch_write(row.wrapping_add(line));
            }
            L::prefetch_write(row.wrapping_add(V * L::LANES - 1));
        }
        let mut sums = [[L::splat(0.0); V]; R];
        if !start.is_null() {
            for r in 0..R {
                for v in 0..V {
                    let at = start.add(r * start_step + v * L::LANES);
                    sums[r][v] = if v + 1 == V && lanes < L::LANES { L::load_first(at, lanes) } else { L::load(at) };
                }
            }
        }
        // One pointer per three rows: the other two are reached by the processor's scaled addresses.
        let mut rows = [a; MAX_ROWS.div_ceil(3)];
        for i in 0..rows.len() {
            rows[i] = a.wrapping_add(3 * i * row_step);
            if !PACKED {
                // Otherwise the compiler computes each pointer from the one before, for every term.
                rows[i] = std::hint::black_box(rows[i]);
            }
        }
        for _ in 0..terms {
            let mut columns = [L::splat(0.0); V];
            for v in 0..V {
                columns[v] = L::load(b.add(v * L::LANES));
            }
            for r in 0..R {
                let value = L::splat(*rows[r / 3].add(r % 3 * row_step));
                for v in 0..V {
                    sums[r][v] = L::fma(value, columns[v], sums[r][v]);
                }
            }
            for i in 0..rows.len() {
                rows[i] = rows[i].wrapping_add(term_step);
            }
            b = b.wrapping_add(b_step);
        }
        for r in 0..R {
            for v in 0..V {
                let at = c.add(r * c_step + v * L::LANES);
                if v + 1 == V && lanes < L::LANES {
                    L::store_first(at, sums[r][v], lanes);
                    // Columns that do not exist are no faults.
                    sums[r][v] = L::load_first(at, lanes);
                } else {
                    L::store(at, sums[r][v]);
                }
            }
        }
        if !check {
            return false;
        }
        // x · 0 is ±0 for a finite x, and a NaN for others.
        let mut zeros = [L::splat(0.0); V];
        for r in 0..R {
            for v in 0..V {
                zeros[v] = L::fma(sums[r][v], L::splat(0.0), zeros[v]);
            }
        }
        let mut fault = false;
        for zeros in zeros {
            fault |= L::any_nan(zeros);
        }
        fault
    }
}

/// Some rows of A over some terms.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Row `r` at term `k` is `values[r · row_step + k · term_step]`.
    pub(crate) values: &'a [f32],
    pub(crate) row_step: usize,
    pub(crate) term_step: usize,
}

impl Rows<'_> {
    #[inline(always)]
    pub(crate) fn get(&self, row: usize, term: usize) -> f32 {
        self.values[row * self.row_step + term * self.term_step]
    }

    /// The rows without the first terms.
    #[inline(always)]
    pub(crate) fn skip(self, terms: usize) -> Self {
        Rows { values: &self.values[terms * self.term_step..], ..self }
    }
}

/// A tile that chains start from.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// What C holds.
    Held,
    /// Another one, with so many values from row to row.
    Other(*const f32, usize),
}

/// A product of panels into a tile of C.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// Number of rows, 1..=`Level::ROWS`.
    pub(crate) rows: usize,
    /// Number of columns, 1..=2 · `Level::LANES`.
    pub(crate) columns: usize,
    pub(crate) a: Rows<'a>,
    /// `b_step` values per term, at least as many as there are lanes in the vectors of the columns.
    pub(crate) b: &'a [f32],
    /// Distance of terms in `b`.
    pub(crate) b_step: usize,
    /// Number of terms, at least 1.
    pub(crate) terms: usize,
    /// What the chains start from; otherwise they start at +0.
    pub(crate) start: Option<Start>,
    /// Whether to look for results that are not finite.
    pub(crate) check: bool,
    /// Where the next tile lies, with rows as far apart; need not be valid.
    pub(crate) next: *const f32,
}

impl Product<'_> {
    /// Runs the micro-kernel on the tile of C at `c`, with `c_step` values from row to row. Returns whether a result was found that is
    /// not finite.
    ///
    /// # Safety
    /// The processor has the instructions of `L`, the tile at `c` is valid for reads and writes, and one that the chains start from is valid
    /// for reads.
    #[inline(always)]
    pub(crate) unsafe fn run<L: Level>(&self, c: *mut f32, c_step: usize) -> bool {
        let vectors = self.columns.div_ceil(L::LANES);
        assert!(
            (1..=2).contains(&vectors) && (1..=L::ROWS).contains(&self.rows) && self.terms > 0,
            "tile is too large"
        );
        let Rows { values: a, row_step, term_step } = self.a;
        assert!((self.rows - 1) * row_step + (self.terms - 1) * term_step < a.len(), "panel of rows is too short");
        assert!((self.terms - 1) * self.b_step + vectors * L::LANES <= self.b.len(), "panel of columns is too short");
        let lanes = self.columns - (vectors - 1) * L::LANES;
        let (a, b) = (a.as_ptr(), self.b.as_ptr());
        let (start, start_step) = match self.start {
            None => (std::ptr::null(), 0),
            Some(Start::Held) => (c.cast_const(), c_step),
            Some(Start::Other(start, step)) => (start, step),
        };
        // Most tiles are whole ones of packed rows.
        let packed = row_step == 1 && term_step == self.rows && self.rows == L::ROWS;
        macro_rules! rows {
            ($vectors:literal, $packed:literal: $($rows:literal)*) => {
                match self.rows {
                    // SAFETY: the panels are long enough by the checks above, the rest is the caller's promise.
                    $($rows if if $packed { $rows == L::ROWS } else { $rows <= L::ROWS } => unsafe {
                        tile::<L, $rows, $vectors, $packed>(
                            self.terms, a, row_step, term_step, b, self.b_step, c, c_step, lanes, start, start_step, self.check, self.next,
                        )
                    },)*
                    _ => false,
                }
            };
        }
        match (vectors, packed) {
            (2, true) => rows!(2, true: 4 6 12),
            (2, false) => rows!(2, false: 1 2 3 4 5 6 7 8 9 10 11 12),
            (_, true) => rows!(1, true: 4 6 12),
            (_, false) => rows!(1, false: 1 2 3 4 5 6 7 8 9 10 11 12),
        }
    }
}

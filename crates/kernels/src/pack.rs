//! Copies operands into the order in which a kernel reads them.

use crate::level::Level;
use std::cell::RefCell;

/// Values that a pack may write past its end; every destination has them in excess.
pub(crate) const SLACK: usize = 16;

/// How many terms ahead memory is asked for.
const PREFETCH_TERMS: usize = 12;

/// A cache line of f32.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; 16]);

/// f32 scratch memory, aligned to cache lines.
#[derive(Default)]
pub(crate) struct Scratch(Vec<CacheLine>);

impl Scratch {
    /// At least `len` values of unspecified content.
    pub(crate) fn get(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, CacheLine([0.0; 16]));
        }
        // SAFETY: a `CacheLine` is exactly 16 f32 without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }
}

thread_local! {
    static SCRATCH: RefCell<[Scratch; 2]> = RefCell::default();
}

/// Calls `body` with this thread's scratch memories (fresh ones when they are in use already).
pub(crate) fn with_scratch<R>(body: impl FnOnce(&mut [Scratch; 2]) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => body(&mut scratch),
        Err(_) => body(&mut Default::default()),
    })
}

/// Values of a packed panel, and thus the distance from panel to panel.
#[inline(always)]
pub(crate) fn panel_len(width: usize, terms: usize) -> usize {
    width * terms + SLACK
}

/// Packs lines in panels of `width`, the last one maybe narrower:
/// `to[panel · panel_len + k · width + i] = from[base + lines[panel · width + i] + terms[k]]`, where `unit_terms` says that the terms
/// are consecutive. Other values of a panel become unspecified.
///
/// `width` is at most 16 or a multiple of 16.
#[inline(always)]
pub(crate) fn pack<L: Level>(
    to: &mut [f32],
    width: usize,
    from: &[u32],
    base: isize,
    lines: &[isize],
    terms: &[isize],
    unit_terms: bool,
) {
    debug_assert!(width <= 16 || width.is_multiple_of(16));
    let distance = panel_len(width, terms.len());
    let to = &mut to[..lines.len().div_ceil(width) * distance];
    if lines.windows(2).all(|pair| pair[1] == pair[0] + 1) {
        return pack_rows::<L>(to, distance, width, from, base, lines, terms);
    }
    for (to, lines) in to.chunks_mut(distance).zip(lines.chunks(width)) {
        if unit_terms {
            pack_transposed::<L>(to, width, from, base, lines, terms);
        } else {
            pack_any(to, width, from, base, lines, terms);
        }
    }
}

#[inline(always)]
fn pack_any(to: &mut [f32], width: usize, from: &[u32], base: isize, lines: &[isize], terms: &[isize]) {
    for (row, &term) in to.chunks_mut(width).zip(terms) {
        for (to, &line) in row.iter_mut().zip(lines) {
            *to = f32::from_bits(from[(base + line + term) as usize]);
        }
    }
}

/// Term by term over all panels, so that memory is read in long stretches. Sixteen lanes at once, though fewer may be wanted: the next
/// term overwrites what is too much.
#[inline(always)]
fn pack_rows<L: Level>(
    to: &mut [f32],
    distance: usize,
    width: usize,
    from: &[u32],
    base: isize,
    lines: &[isize],
    terms: &[isize],
) {
    for (k, &term) in terms.iter().enumerate() {
        if let Some(&ahead) = terms.get(k + PREFETCH_TERMS) {
            // Terms lie far apart, where the processor does not look ahead by itself.
            let place = from.as_ptr().cast::<f32>().wrapping_offset(base + lines[0] + ahead);
            for line in (0..lines.len() + 15).step_by(16) {
                // SAFETY: this function is compiled for, and called at, the level of `L`; the address need not be valid.
                unsafe { L::prefetch(place.wrapping_add(line)) };
            }
        }
        for (panel, first_line) in (0..lines.len()).step_by(width).enumerate() {
            let count = width.min(lines.len() - first_line);
            for first in (0..count).step_by(16) {
                let at = (base + lines[first_line + first] + term) as usize;
                let to = &mut to[panel * distance + k * width + first..][..16];
                if let Some(from) = from.get(at..at + 16) {
                    for lane in 0..16 {
                        to[lane] = f32::from_bits(from[lane]);
                    }
                } else {
                    for (to, &from) in to.iter_mut().zip(&from[at..at + (count - first).min(16)]) {
                        *to = f32::from_bits(from);
                    }
                }
            }
        }
    }
}

/// Blocks of eight terms by sixteen lines; a missing line repeats the last one. Eight lanes are written at once, though fewer may be
/// wanted: lanes past the width are those of the next term, which are written later.
#[inline(always)]
fn pack_transposed<L: Level>(
    to: &mut [f32],
    width: usize,
    from: &[u32],
    base: isize,
    lines: &[isize],
    terms: &[isize],
) {
    let whole = terms.len() / 8 * 8;
    for first in (0..lines.len()).step_by(16) {
        // The far half first: what it writes too much, the near half overwrites.
        for half in [first + 8, first] {
            if half >= lines.len() || whole == 0 {
                continue;
            }
            let mut places: [*const f32; 8] = [std::ptr::null(); 8];
            for (i, place) in places.iter_mut().enumerate() {
                let at = (base + lines[(half + i).min(lines.len() - 1)] + terms[0]) as usize;
                *place = from[at..at + whole].as_ptr().cast();
            }
            let to = to[half..half + (whole - 1) * width + 8].as_mut_ptr();
            for k in (0..whole).step_by(8) {
                // SAFETY: `whole` values are readable at each place, and eight writable at each term's place, by the slices'
                // checks; this function is compiled for, and called at, the level of `L`.
                unsafe {
                    L::transpose(places, to.add(k * width), width);
                    for place in &mut places {
                        *place = place.wrapping_add(8);
                    }
                }
            }
        }
    }
    pack_any(&mut to[whole * width..], width, from, base, lines, &terms[whole..]);
}

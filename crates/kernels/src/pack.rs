//! Copies operands into the order in which a kernel reads them.

use crate::level::Level;
use crate::memory::use_huge_pages;
use std::cell::RefCell;

/// Values that a pack may write past its end; every destination has them in excess.
pub(crate) const SLACK: usize = 16;

/// How many terms ahead memory is asked for: terms may be a large power of two apart, where few fit into the nearest cache.
const PREFETCH_TERMS: usize = 4;
/// Lines that are packed at a time, so that what is written stays in the nearest cache until it is complete.
const PACKED_LINES: usize = 256;

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
            self.0 = Vec::with_capacity(lines);
            use_huge_pages(self.0.spare_capacity_mut());
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

/// Packs lines in panels of `width`, `distance` values apart, the last one maybe narrower:
/// `to[panel · distance + k · width + i] = from[base + lines[panel · width + i] + terms[k]]`, where `unit_terms` says that the terms
/// are consecutive. Other values of a panel, up to [`SLACK`] past its last term, become unspecified.
///
/// `width` is at most 16 or a multiple of 16.
#[inline(always)]
#[expect(clippy::too_many_arguments)]
pub(crate) fn pack<L: Level>(
    to: &mut [f32],
    distance: usize,
    width: usize,
    from: &[u32],
    base: isize,
    lines: &[isize],
    terms: &[isize],
    unit_terms: bool,
) {
    debug_assert!(width <= 16 || width.is_multiple_of(16));
    if lines.windows(2).all(|pair| pair[1] == pair[0] + 1) {
        return pack_rows::<L>(to, distance, width, from, base, lines, terms);
    }
    for (panel, to) in to.chunks_mut(distance).take(lines.len().div_ceil(width)).enumerate() {
        let first = panel * width;
        if unit_terms {
            pack_transposed::<L>(to, width, from, base, &lines[first..], terms);
        } else {
            pack_any(to, width, from, base, &lines[first..lines.len().min(first + width)], terms);
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

/// Term by term over some panels, so that memory is read in long stretches. Whole vectors are written, though fewer lanes may be wanted:
/// the next term overwrites what is too much.
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
    let (Some(&least), Some(&greatest)) = (terms.iter().min(), terms.iter().max()) else { return };
    let start = base + lines[0];
    let panels = lines.len().div_ceil(width);
    assert!(start + least >= 0 && (start + greatest) as usize + lines.len() <= from.len(), "lines are out of bounds");
    assert!(
        (panels - 1) * distance + (terms.len() - 1) * width + width.max(L::LANES) <= to.len(),
        "panels are too short"
    );
    let group = (PACKED_LINES / width).max(1);
    for first_panel in (0..panels).step_by(group) {
        let group = first_panel..panels.min(first_panel + group);
        for (k, &term) in terms.iter().enumerate() {
            if let Some(&ahead) = terms.get(k + PREFETCH_TERMS) {
                // Terms lie far apart, where the processor does not look ahead by itself.
                let place = from.as_ptr().cast::<f32>().wrapping_offset(start + ahead);
                for line in (group.start * width..lines.len().min(group.end * width) + 15).step_by(16) {
                    // SAFETY: this function is compiled for, and called at, the level of `L`; the address need not be valid.
                    unsafe { L::prefetch(place.wrapping_add(line)) };
                }
            }
            for panel in group.clone() {
                let first = (start + term) as usize + panel * width;
                let count = width.min(lines.len() - panel * width);
                for lane in (0..count).step_by(L::LANES) {
                    // SAFETY: the level as above; reads are within `from` and writes within `to` by the checks above, where the last
                    // vector of a term reads only the lanes that exist if there are too few behind them.
                    unsafe {
                        let place = from.as_ptr().add(first + lane).cast::<f32>();
                        let value = if first + lane + L::LANES <= from.len() {
                            L::load(place)
                        } else {
                            L::load_first(place, (count - lane).min(L::LANES))
                        };
                        L::store(to.as_mut_ptr().add(panel * distance + k * width + lane), value);
                    }
                }
            }
        }
    }
}

/// Blocks of eight terms by sixteen lines; a missing line repeats the last one. `lines` are those of the panel and all behind it. Eight
/// lanes are written at once, though fewer may be wanted: lanes past the width are those of the next term, which are written later.
#[inline(always)]
fn pack_transposed<L: Level>(
    to: &mut [f32],
    width: usize,
    from: &[u32],
    base: isize,
    lines: &[isize],
    terms: &[isize],
) {
    let count = width.min(lines.len());
    let whole = terms.len() / 8 * 8;
    for first in (0..count).step_by(16) {
        // The far half first: what it writes too much, the near half overwrites.
        for half in [first + 8, first] {
            if half >= count || whole == 0 {
                continue;
            }
            let mut places: [*const f32; 8] = [std::ptr::null(); 8];
            let mut ahead: [*const f32; 8] = [std::ptr::null(); 8];
            for i in 0..8 {
                let at = (base + lines[(half + i).min(count - 1)] + terms[0]) as usize;
                places[i] = from[at..at + whole].as_ptr().cast();
                let next = lines[(half + i + width.min(16)).min(lines.len() - 1)];
                ahead[i] = from.as_ptr().cast::<f32>().wrapping_offset(base + next + terms[0]);
            }
            let to = to[half..half + (whole - 1) * width + 8].as_mut_ptr();
            for k in (0..whole).step_by(8) {
                // SAFETY: `whole` values are readable at each place, and eight writable at each term's place, by the slices'
                // checks; this function is compiled for, and called at, the level of `L`. Addresses ahead need not be valid.
                unsafe {
                    L::transpose(places, to.add(k * width), width);
                    for i in 0..8 {
                        places[i] = places[i].wrapping_add(8);
                        // Once per cache line, and when this one is done with: lines may all compete for one place in the cache.
                        if k % 16 == 8 {
                            L::prefetch_far(ahead[i].wrapping_add(k));
                        }
                    }
                }
            }
        }
    }
    pack_any(&mut to[whole * width..], width, from, base, &lines[..count], &terms[whole..]);
}

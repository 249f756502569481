//! Tensors in memory: 32-bit elements that start on a cache line.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

const LANES: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

/// A huge page, of 2 MiB: reading is up to half as fast again where a processor needs to know the places of few pages.
#[repr(C, align(2097152))]
struct HugePage([Line; PAGE_LINES]);

const PAGE_LINES: usize = 32 * 1024;
/// Memory that a buffer may leave unused to consist of huge pages: a quarter of its elements.
const UNUSED: usize = 4;

/// Memory of a buffer.
enum Memory {
    Lines(Vec<Line>),
    Pages(Vec<HugePage>),
}

/// A fixed number of 32-bit elements that start on a 64-byte boundary, zero at first.
pub struct Buffer {
    memory: Memory,
    len: usize,
}

impl Buffer {
    /// `len` elements of value 0. Ends the process if the system does not give the memory.
    pub fn new(len: usize) -> Buffer {
        let layout = || Layout::array::<u32>(len).unwrap_or(Layout::new::<u32>());
        Buffer::try_new(len).unwrap_or_else(|| std::alloc::handle_alloc_error(layout()))
    }

    /// As [`Buffer::new`]; `None` if the system does not give the memory.
    pub fn try_new(len: usize) -> Option<Buffer> {
        /// A vector of `count` zeros.
        fn zeros<T>(count: usize) -> Option<Vec<T>> {
            let mut values = Vec::new();
            values.try_reserve_exact(count).ok()?;
            let memory: &mut [MaybeUninit<T>] = &mut values.spare_capacity_mut()[..count];
            sip_kernels::use_huge_pages(memory);
            // SAFETY: `T` is a `Line` or a `HugePage`, which consist of u32, whose zero is all zeros; the capacity is at least `count`.
            unsafe {
                memory.as_mut_ptr().write_bytes(0, count);
                values.set_len(count);
            }
            Some(values)
        }
        let lines = len.div_ceil(LANES);
        let pages = lines.div_ceil(PAGE_LINES);
        let fits = pages * PAGE_LINES - lines <= lines / UNUSED;
        let memory = if fits { Memory::Pages(zeros(pages)?) } else { Memory::Lines(zeros(lines)?) };
        Some(Buffer { memory, len })
    }

    fn pointer(&self) -> *const u32 {
        match &self.memory {
            Memory::Lines(lines) => lines.as_ptr().cast(),
            Memory::Pages(pages) => pages.as_ptr().cast(),
        }
    }

    /// The values as f32, borrowed.
    pub fn as_f32(&self) -> &[f32] {
        // SAFETY: f32 has the size and alignment of u32, and every pattern of bits is one.
        unsafe { std::slice::from_raw_parts(self.pointer().cast(), self.len) }
    }

    /// The values as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.iter().map(|&bits| f32::from_bits(bits)).collect()
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        Buffer::from(&**self)
    }
}

impl Default for Buffer {
    /// No elements.
    fn default() -> Buffer {
        Buffer::new(0)
    }
}

impl From<&[u32]> for Buffer {
    fn from(values: &[u32]) -> Buffer {
        let mut buffer = Buffer::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Buffer {
        let mut buffer = Buffer::new(values.len());
        for (slot, value) in buffer.iter_mut().zip(values) {
            *slot = value.to_bits();
        }
        buffer
    }
}

impl Deref for Buffer {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        // SAFETY: the memory holds at least `len` initialised, contiguous u32 (lines and pages are `repr(C)` without padding).
        unsafe { std::slice::from_raw_parts(self.pointer().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u32] {
        let pointer = match &mut self.memory {
            Memory::Lines(lines) => lines.as_mut_ptr().cast(),
            Memory::Pages(pages) => pages.as_mut_ptr().cast(),
        };
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(pointer, self.len) }
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Buffer) -> bool {
        **self == **other
    }
}

impl Eq for Buffer {}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} elements)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_ones_are_alike() {
        let page = PAGE_LINES * LANES;
        for len in [0, 1, 17, page / 2, page - page / 8, page, page + 1, 2 * page - 3] {
            let mut buffer = Buffer::new(len);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(64)), (len, 0));
            assert!(buffer.iter().all(|&value| value == 0), "{len}");
            if let Some(last) = buffer.last_mut() {
                *last = 7;
            }
            let copy = buffer.clone();
            assert_eq!(copy, buffer);
            assert_eq!(copy.iter().map(|&value| u64::from(value)).sum::<u64>(), 7 * u64::from(len > 0));
        }
    }
}

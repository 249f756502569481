//! Tensors in memory: 32-bit elements that start on a cache line.

use std::ops::{Deref, DerefMut};

const LANES: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

/// A fixed number of 32-bit elements that start on a 64-byte boundary, zero at first.
#[derive(Clone, Default)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` elements of value 0.
    pub fn new(len: usize) -> Buffer {
        Buffer { lines: vec![Line([0; LANES]); len.div_ceil(LANES)], len }
    }

    /// As [`Buffer::new`]; `None` if the system does not give the memory.
    pub fn try_new(len: usize) -> Option<Buffer> {
        let count = len.div_ceil(LANES);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0; LANES]));
        Some(Buffer { lines, len })
    }

    /// The values as f32, borrowed.
    pub fn as_f32(&self) -> &[f32] {
        // SAFETY: f32 has the size and alignment of u32, and every pattern of bits is one.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The values as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.iter().map(|&bits| f32::from_bits(bits)).collect()
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
        // SAFETY: `lines` holds at least `len` initialised, contiguous u32 (`Line` is `repr(C)` without padding).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
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

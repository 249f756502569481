//! Memory of large tensors.

use std::mem::MaybeUninit;

/// The usual length of a huge page, in bytes: shorter memory holds none.
const LEAST_BYTES: usize = 2 << 20;

/// Asks the system to back memory that is not yet written by huge pages, where it is long enough and the system has them: products and
/// packing reach into many pages at once, and a processor knows the places of only some thousands. Memory stays what it is where the
/// system refuses.
pub fn use_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let bytes = std::mem::size_of_val(memory);
    if bytes < LEAST_BYTES {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_int, c_void};
        const PAGE_BYTES: usize = 4096;
        const MADV_HUGEPAGE: c_int = 14;
        unsafe extern "C" {
            fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
        }
        // The whole pages within.
        let start = memory.as_mut_ptr().cast::<c_void>();
        let skipped = start.align_offset(PAGE_BYTES);
        let bytes = bytes.saturating_sub(skipped) / PAGE_BYTES * PAGE_BYTES;
        // SAFETY: the range lies within `memory`, and this advice changes no content.
        // It may be refused, and then nothing is lost.
        let _ = unsafe { madvise(start.wrapping_byte_add(skipped), bytes, MADV_HUGEPAGE) };
    }
}

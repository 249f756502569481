//! The vector operations that the compiler would not find by itself, per SIMD level.
//!
//! Everything else is written as plain loops that the compiler vectorises within [`crate::simd::per_level`].

/// Largest micro-tile, in rows.
pub(crate) const MAX_ROWS: usize = 12;
/// Largest micro-tile, in columns.
pub(crate) const MAX_COLUMNS: usize = 32;

/// Vector operations of one level.
///
/// # Safety
/// The functions of an implementation may be called only where the processor has the level's instructions.
pub(crate) trait Level {
    /// Some f32.
    type Vector: Copy;
    /// f32 per vector.
    const LANES: usize;
    /// Rows of the micro-tile of a product; its columns are two vectors.
    const ROWS: usize;
    /// Whether it has an instruction for a · b + c.
    const HAS_FMA: bool = true;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// a · b + c per lane, rounded once.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Reads `LANES` values.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Writes `LANES` values.
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// Reads the first `lanes` values, the others are 0.
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self::Vector;
    /// Writes the first `lanes` values.
    unsafe fn store_first(to: *mut f32, value: Self::Vector, lanes: usize);
    /// Per lane `a` where the sign of `mask` is set, else `b`.
    unsafe fn choose(mask: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Asks for the cache line of an address, which need not be valid.
    unsafe fn prefetch(address: *const f32);
    /// Asks for the cache line of an address for later: into the second-level cache, so that it displaces nothing that is in use.
    unsafe fn prefetch_far(address: *const f32);
    /// Asks for the cache line of an address that will be written; the address need not be valid.
    unsafe fn prefetch_write(_address: *const f32) {}
    /// Whether a lane is a NaN.
    unsafe fn any_nan(value: Self::Vector) -> bool;
    /// Reads four values from each of `LANES` places that are `step` values apart: lane `i` of vector `k` is `from[i · step + k]`.
    unsafe fn load_columns(from: *const f32, step: isize) -> [Self::Vector; 4];
    /// Reads eight values from each of eight places, and writes the `k`th of all to `to + k · step`, for `k` ascending.
    unsafe fn transpose(from: [*const f32; 8], to: *mut f32, step: usize);
}

/// a · b + c, rounded once, within a function that is compiled for the level: never by the C library, which may round twice.
#[inline(always)]
pub(crate) fn mul_add<L: Level>(a: f32, b: f32, c: f32) -> f32 {
    if L::HAS_FMA { a.mul_add(b, c) } else { sip_arith::fused::fma(a, b, c) }
}

/// No instructions beyond the compiler's target.
pub(crate) struct Portable;

impl Level for Portable {
    type Vector = [f32; 8];
    const LANES: usize = 8;
    const ROWS: usize = 4;
    const HAS_FMA: bool = sip_arith::fused::HAS_INSTRUCTION;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| mul_add::<Portable>(a[lane], b[lane], c[lane]))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller vouches for eight readable values; no alignment is assumed.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 8]) {
        // SAFETY: the caller vouches for eight writable values; no alignment is assumed.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> [f32; 8] {
        // SAFETY: the caller vouches for the first `lanes` values.
        std::array::from_fn(|lane| if lane < lanes { unsafe { *from.add(lane) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, value: [f32; 8], lanes: usize) {
        for (lane, value) in value.into_iter().enumerate().take(lanes) {
            // SAFETY: the caller vouches for the first `lanes` values.
            unsafe { *to.add(lane) = value }
        }
    }
    #[inline(always)]
    unsafe fn choose(mask: [f32; 8], a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| if mask[lane].is_sign_negative() { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn prefetch_far(_: *const f32) {}
    #[inline(always)]
    unsafe fn any_nan(value: [f32; 8]) -> bool {
        value.iter().any(|value| value.is_nan())
    }
    #[inline(always)]
    unsafe fn load_columns(from: *const f32, step: isize) -> [[f32; 8]; 4] {
        // SAFETY: the caller vouches for four values at each place.
        std::array::from_fn(|k| std::array::from_fn(|lane| unsafe { *from.offset(lane as isize * step).add(k) }))
    }
    #[inline(always)]
    unsafe fn transpose(from: [*const f32; 8], to: *mut f32, step: usize) {
        for k in 0..8 {
            for (row, from) in from.iter().enumerate() {
                // SAFETY: the caller vouches for eight values at each place and at each step.
                unsafe { *to.add(k * step + row) = *from.add(k) }
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Level;
    use std::arch::x86_64::*;

    /// AVX2 and FMA.
    pub(crate) struct Avx2;
    /// AVX-512 F, BW, DQ and VL.
    pub(crate) struct Avx512;

    /// The mask of the first `lanes` lanes.
    #[inline(always)]
    unsafe fn first(lanes: usize) -> __m256i {
        // SAFETY: the caller's processor has AVX2.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    // SAFETY (every block below): the caller vouches for the instructions and for the memory that is read or written, and no
    // alignment is assumed.
    impl Level for Avx2 {
        type Vector = __m256;
        const LANES: usize = 8;
        const ROWS: usize = 6;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, lanes: usize) -> __m256 {
            // SAFETY: see above; masked lanes are not read.
            unsafe { _mm256_maskload_ps(from, first(lanes)) }
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, value: __m256, lanes: usize) {
            // SAFETY: see above; masked lanes are not written.
            unsafe { _mm256_maskstore_ps(to, first(lanes), value) }
        }
        #[inline(always)]
        unsafe fn choose(mask: __m256, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_blendv_ps(b, a, mask) }
        }
        #[inline(always)]
        unsafe fn prefetch(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_far(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_write(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn any_nan(value: __m256) -> bool {
            // SAFETY: see above.
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value)) != 0 }
        }
        #[inline(always)]
        unsafe fn load_columns(from: *const f32, step: isize) -> [__m256; 4] {
            // SAFETY: see above.
            unsafe {
                let mut rows = [_mm256_setzero_ps(); 4];
                for (i, row) in rows.iter_mut().enumerate() {
                    let from = from.offset(i as isize * step);
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(from));
                    *row = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.offset(4 * step)));
                }
                let [a, b, c, d] = rows;
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (low2, high2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                [
                    _mm256_shuffle_ps::<0x44>(low, low2),
                    _mm256_shuffle_ps::<0xEE>(low, low2),
                    _mm256_shuffle_ps::<0x44>(high, high2),
                    _mm256_shuffle_ps::<0xEE>(high, high2),
                ]
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: [*const f32; 8], to: *mut f32, step: usize) {
            // SAFETY: see above.
            unsafe {
                let r0 = _mm256_loadu_ps(from[0]);
                let r1 = _mm256_loadu_ps(from[1]);
                let r2 = _mm256_loadu_ps(from[2]);
                let r3 = _mm256_loadu_ps(from[3]);
                let r4 = _mm256_loadu_ps(from[4]);
                let r5 = _mm256_loadu_ps(from[5]);
                let r6 = _mm256_loadu_ps(from[6]);
                let r7 = _mm256_loadu_ps(from[7]);
                // Pairs of rows, then quadruples within the halves of 128 bits, then the halves.
                let (p0, p1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
                let (p2, p3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
                let (p4, p5) = (_mm256_unpacklo_ps(r4, r5), _mm256_unpackhi_ps(r4, r5));
                let (p6, p7) = (_mm256_unpacklo_ps(r6, r7), _mm256_unpackhi_ps(r6, r7));
                let (q0, q1) = (_mm256_shuffle_ps::<0x44>(p0, p2), _mm256_shuffle_ps::<0xEE>(p0, p2));
                let (q2, q3) = (_mm256_shuffle_ps::<0x44>(p1, p3), _mm256_shuffle_ps::<0xEE>(p1, p3));
                let (q4, q5) = (_mm256_shuffle_ps::<0x44>(p4, p6), _mm256_shuffle_ps::<0xEE>(p4, p6));
                let (q6, q7) = (_mm256_shuffle_ps::<0x44>(p5, p7), _mm256_shuffle_ps::<0xEE>(p5, p7));
                _mm256_storeu_ps(to, _mm256_permute2f128_ps::<0x20>(q0, q4));
                _mm256_storeu_ps(to.add(step), _mm256_permute2f128_ps::<0x20>(q1, q5));
                _mm256_storeu_ps(to.add(2 * step), _mm256_permute2f128_ps::<0x20>(q2, q6));
                _mm256_storeu_ps(to.add(3 * step), _mm256_permute2f128_ps::<0x20>(q3, q7));
                _mm256_storeu_ps(to.add(4 * step), _mm256_permute2f128_ps::<0x31>(q0, q4));
                _mm256_storeu_ps(to.add(5 * step), _mm256_permute2f128_ps::<0x31>(q1, q5));
                _mm256_storeu_ps(to.add(6 * step), _mm256_permute2f128_ps::<0x31>(q2, q6));
                _mm256_storeu_ps(to.add(7 * step), _mm256_permute2f128_ps::<0x31>(q3, q7));
            }
        }
    }

    // SAFETY (every block below): as for AVX2.
    impl Level for Avx512 {
        type Vector = __m512;
        const LANES: usize = 16;
        const ROWS: usize = 12;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, lanes: usize) -> __m512 {
            // SAFETY: see above; masked lanes are not read.
            unsafe { _mm512_maskz_loadu_ps(((1u32 << lanes) - 1) as u16, from) }
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, value: __m512, lanes: usize) {
            // SAFETY: see above; masked lanes are not written.
            unsafe { _mm512_mask_storeu_ps(to, ((1u32 << lanes) - 1) as u16, value) }
        }
        #[inline(always)]
        unsafe fn choose(mask: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(mask)), b, a) }
        }
        #[inline(always)]
        unsafe fn prefetch(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_far(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_write(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) }
        }
        #[inline(always)]
        unsafe fn any_nan(value: __m512) -> bool {
            // SAFETY: see above.
            unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value) != 0 }
        }
        #[inline(always)]
        unsafe fn load_columns(from: *const f32, step: isize) -> [__m512; 4] {
            // SAFETY: see above.
            unsafe {
                let mut rows = [_mm512_setzero_ps(); 4];
                for (i, row) in rows.iter_mut().enumerate() {
                    let from = from.offset(i as isize * step);
                    let one = _mm512_castps128_ps512(_mm_loadu_ps(from));
                    let two = _mm512_insertf32x4::<1>(one, _mm_loadu_ps(from.offset(4 * step)));
                    let three = _mm512_insertf32x4::<2>(two, _mm_loadu_ps(from.offset(8 * step)));
                    *row = _mm512_insertf32x4::<3>(three, _mm_loadu_ps(from.offset(12 * step)));
                }
                let [a, b, c, d] = rows;
                let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (low2, high2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                [
                    _mm512_shuffle_ps::<0x44>(low, low2),
                    _mm512_shuffle_ps::<0xEE>(low, low2),
                    _mm512_shuffle_ps::<0x44>(high, high2),
                    _mm512_shuffle_ps::<0xEE>(high, high2),
                ]
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: [*const f32; 8], to: *mut f32, step: usize) {
            // SAFETY: see above.
            unsafe { Avx2::transpose(from, to, step) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::Level;
    use std::arch::aarch64::*;

    /// NEON, two registers at a time: the tiles of AVX2 on twice as many registers.
    pub(crate) struct Neon;

    /// Reads four values from each of four places: vector `k` holds the `k`th of all.
    #[inline(always)]
    unsafe fn load_transposed(from: [*const f32; 4]) -> [float32x4_t; 4] {
        // SAFETY: the caller vouches for four values at each place.
        unsafe {
            let [a, b, c, d] = from.map(|from| vld1q_f32(from));
            // Pairs of rows, then the pairs' halves of 64 bits.
            let low = [vtrn1q_f32(a, b), vtrn2q_f32(a, b)].map(|pair| vreinterpretq_f64_f32(pair));
            let high = [vtrn1q_f32(c, d), vtrn2q_f32(c, d)].map(|pair| vreinterpretq_f64_f32(pair));
            [
                vreinterpretq_f32_f64(vtrn1q_f64(low[0], high[0])),
                vreinterpretq_f32_f64(vtrn1q_f64(low[1], high[1])),
                vreinterpretq_f32_f64(vtrn2q_f64(low[0], high[0])),
                vreinterpretq_f32_f64(vtrn2q_f64(low[1], high[1])),
            ]
        }
    }

    // SAFETY (every block below): every aarch64 processor has NEON; the caller vouches for the memory that is read or written, and no
    // alignment is assumed.
    impl Level for Neon {
        type Vector = [float32x4_t; 2];
        const LANES: usize = 8;
        const ROWS: usize = 6;

        #[inline(always)]
        unsafe fn splat(value: f32) -> [float32x4_t; 2] {
            // SAFETY: see above.
            unsafe { [vdupq_n_f32(value); 2] }
        }
        #[inline(always)]
        unsafe fn fma(a: [float32x4_t; 2], b: [float32x4_t; 2], c: [float32x4_t; 2]) -> [float32x4_t; 2] {
            // SAFETY: see above.
            unsafe { [vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> [float32x4_t; 2] {
            // SAFETY: see above.
            unsafe { [vld1q_f32(from), vld1q_f32(from.add(4))] }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: [float32x4_t; 2]) {
            // SAFETY: see above.
            unsafe {
                vst1q_f32(to, value[0]);
                vst1q_f32(to.add(4), value[1]);
            }
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, lanes: usize) -> [float32x4_t; 2] {
            let mut values = [0f32; 8];
            // SAFETY: see above.
            unsafe {
                std::ptr::copy_nonoverlapping(from, values.as_mut_ptr(), lanes.min(8));
                Self::load(values.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, value: [float32x4_t; 2], lanes: usize) {
            let mut values = [0f32; 8];
            // SAFETY: see above.
            unsafe {
                Self::store(values.as_mut_ptr(), value);
                std::ptr::copy_nonoverlapping(values.as_ptr(), to, lanes.min(8));
            }
        }
        #[inline(always)]
        unsafe fn choose(mask: [float32x4_t; 2], a: [float32x4_t; 2], b: [float32x4_t; 2]) -> [float32x4_t; 2] {
            // SAFETY: see above.
            unsafe {
                let sign = |mask| vcltzq_s32(vreinterpretq_s32_f32(mask));
                [vbslq_f32(sign(mask[0]), a[0], b[0]), vbslq_f32(sign(mask[1]), a[1], b[1])]
            }
        }
        #[inline(always)]
        unsafe fn prefetch(address: *const f32) {
            // SAFETY: a hint, which reads nothing.
            unsafe {
                std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly))
            }
        }
        #[inline(always)]
        unsafe fn prefetch_far(address: *const f32) {
            // SAFETY: as above.
            unsafe {
                std::arch::asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly))
            }
        }
        #[inline(always)]
        unsafe fn any_nan(value: [float32x4_t; 2]) -> bool {
            // SAFETY: see above. A comparison with itself fails for a NaN only.
            unsafe { vminvq_u32(vandq_u32(vceqq_f32(value[0], value[0]), vceqq_f32(value[1], value[1]))) == 0 }
        }
        #[inline(always)]
        unsafe fn load_columns(from: *const f32, step: isize) -> [[float32x4_t; 2]; 4] {
            // SAFETY: see above.
            unsafe {
                let low = load_transposed(std::array::from_fn(|row| from.offset(row as isize * step)));
                let high = load_transposed(std::array::from_fn(|row| from.offset((row + 4) as isize * step)));
                std::array::from_fn(|k| [low[k], high[k]])
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: [*const f32; 8], to: *mut f32, step: usize) {
            for first in [0, 4] {
                // SAFETY: see above. Ascending: with a short step, a term overwrites what the one before wrote too much.
                unsafe {
                    let low = load_transposed(std::array::from_fn(|row| from[row].add(first)));
                    let high = load_transposed(std::array::from_fn(|row| from[row + 4].add(first)));
                    for k in 0..4 {
                        Self::store(to.add((first + k) * step), [low[k], high[k]]);
                    }
                }
            }
        }
    }
}

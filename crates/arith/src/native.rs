//! [`Arith`] on the floating point unit of the machine.
use crate::fused::mul_add;
use crate::{Arith, INFINITY, NAN};
use core::hint::black_box;

/// [`Arith`] on the floating point unit of the machine.
pub struct Native;

/// The bits with every NaN made the canonical one. The test is on the bits, since a compiler may take every NaN for
/// equal to every other and then leave out what it thinks changes nothing.
#[inline(always)]
fn bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits & 0x7FFF_FFFF > INFINITY { NAN } else { bits }
}

/// Whether this thread's floating point unit does what [`Native`] relies on: small numbers are kept, and sums and products are rounded to
/// nearest. A library that is built for speed alone may have changed the unit's settings, for its thread and those started from it.
pub fn is_exact_here() -> bool {
    let [tiny, least, half, two] = black_box([f32::from_bits(1), f32::MIN_POSITIVE, 0.5, 2.0]);
    let keeps_small = (tiny * two).to_bits() == 2 && (least * half).to_bits() == 0x0040_0000;
    // Both sums lie in the middle of two neighbours, of which the even one is once the lower and once the upper.
    let [one, next, unit] = black_box([1.0f32, 1.0 + f32::EPSILON, f32::EPSILON / 2.0]);
    keeps_small && one + unit == 1.0 && next + unit == 1.0 + 2.0 * f32::EPSILON
}

impl Arith for Native {
    #[inline(always)]
    fn add(a: u32, b: u32) -> u32 {
        bits(f32::from_bits(a) + f32::from_bits(b))
    }
    #[inline(always)]
    fn mul(a: u32, b: u32) -> u32 {
        bits(f32::from_bits(a) * f32::from_bits(b))
    }
    #[inline(always)]
    fn div(a: u32, b: u32) -> u32 {
        bits(f32::from_bits(a) / f32::from_bits(b))
    }
    #[inline(always)]
    fn fma(a: u32, b: u32, c: u32) -> u32 {
        bits(mul_add(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c)))
    }
    #[inline(always)]
    fn sqrt(a: u32) -> u32 {
        bits(f32::from_bits(a).sqrt())
    }
    #[inline(always)]
    fn from_u32(a: u32) -> u32 {
        (a as f32).to_bits()
    }
}

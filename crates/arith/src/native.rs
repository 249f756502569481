//! [`Arith`] on the floating point unit of the machine.
use crate::{Arith, INFINITY, NAN};

/// [`Arith`] on the floating point unit of the machine.
pub struct Native;

/// The bits with every NaN made the canonical one. The test is on the bits, since a compiler may take every NaN for
/// equal to every other and then leave out what it thinks changes nothing.
#[inline(always)]
fn bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits & 0x7FFF_FFFF > INFINITY { NAN } else { bits }
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
        bits(f32::from_bits(a).mul_add(f32::from_bits(b), f32::from_bits(c)))
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

//! Exact arithmetic for two purposes: integers that move money ([`int`]) and IEEE-754 binary32
//! ([`Arith`]), once on the hardware's floating point unit ([`Native`]) and once on integers
//! ([`Soft`]) for machines that have none, such as the Solana virtual machine.
//!
//! A value is always its 32 bits (`u32`), so that "equal" means the same everywhere.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod int;
pub mod soft;

#[cfg(any(test, feature = "std"))]
pub mod fused;
#[cfg(any(test, feature = "std"))]
mod native;
#[cfg(any(test, feature = "std"))]
pub use native::{Native, is_exact_here};
pub use soft::Soft;

/// The one NaN: whatever operation yields a NaN yields these bits.
pub const NAN: u32 = 0x7FC0_0000;
/// Positive infinity.
pub const INFINITY: u32 = 0x7F80_0000;
/// Negative infinity.
pub const NEGATIVE_INFINITY: u32 = 0xFF80_0000;

/// IEEE-754 binary32, round to nearest even, subnormals kept, one canonical [`NAN`].
///
/// All implementations agree on every bit of every result.
pub trait Arith {
    /// a + b
    fn add(a: u32, b: u32) -> u32;
    /// a − b
    fn sub(a: u32, b: u32) -> u32 {
        Self::add(a, b ^ 0x8000_0000)
    }
    /// a · b
    fn mul(a: u32, b: u32) -> u32;
    /// a / b
    fn div(a: u32, b: u32) -> u32;
    /// a · b + c, rounded once
    fn fma(a: u32, b: u32, c: u32) -> u32;
    /// √a
    fn sqrt(a: u32) -> u32;
    /// The integer as the nearest binary32.
    fn from_u32(a: u32) -> u32;
}

/// Whether the bits are a NaN or an infinity: a fault when they stand in a tensor.
#[inline(always)]
pub const fn is_fault(bits: u32) -> bool {
    bits & 0x7F80_0000 == 0x7F80_0000
}

/// a < b as IEEE-754 orders them: false when either is a NaN, and −0 equals +0.
#[inline(always)]
pub const fn less_than(a: u32, b: u32) -> bool {
    let (magnitude_a, magnitude_b) = (a & 0x7FFF_FFFF, b & 0x7FFF_FFFF);
    if magnitude_a > 0x7F80_0000 || magnitude_b > 0x7F80_0000 || magnitude_a | magnitude_b == 0 {
        return false;
    }
    order_key(a) < order_key(b)
}

/// The bits of the i32 that is nearest to a binary32, ties to even. What is beyond its range becomes the nearest i32, and a NaN 0.
#[inline(always)]
pub const fn nearest_integer(bits: u32) -> u32 {
    let exponent = bits >> 23 & 0xFF;
    let mantissa = bits & 0x007F_FFFF | 0x0080_0000;
    let magnitude = if exponent < 126 {
        // Below one half.
        0
    } else if exponent < 150 {
        let shift = 150 - exponent;
        let (whole, rest) = (mantissa >> shift, mantissa & ((1 << shift) - 1));
        let half = 1 << (shift - 1);
        whole + (rest > half || rest == half && whole & 1 == 1) as u32
    } else if exponent < 158 {
        mantissa << (exponent - 150)
    } else if bits & 0x7FFF_FFFF > INFINITY {
        0
    } else {
        return if bits >> 31 == 1 { 0x8000_0000 } else { 0x7FFF_FFFF };
    };
    if bits >> 31 == 1 { magnitude.wrapping_neg() } else { magnitude }
}

/// Maps bits to integers of the same order (−0 below +0), so that a maximum does not depend on
/// the order in which values are seen.
#[inline(always)]
pub const fn order_key(bits: u32) -> i32 {
    let signed = bits as i32;
    signed ^ (((signed >> 31) as u32) >> 1) as i32
}

/// The greater of two values in the order of [`order_key`].
#[inline(always)]
pub const fn max_total(a: u32, b: u32) -> u32 {
    if order_key(a) < order_key(b) { b } else { a }
}

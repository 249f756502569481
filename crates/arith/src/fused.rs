//! a · b + c with one rounding, on machines without an instruction for it.
//!
//! The C library's function is no substitute: some libraries round twice. The product of two binary32 is exact in binary64; the sum is
//! rounded *to odd* there (towards the neighbour whose last bit is set, unless it is exact), which loses nothing that the last
//! rounding, to 24 bits or fewer of 53, could need.

/// a · b + c, rounded once to the nearest binary32, ties to even; the sign and the payload of a NaN are not specified.
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    let (product, addend) = (a as f64 * b as f64, c as f64);
    let sum = product + addend;
    // What the sum lost, exactly (Knuth): nothing here is subnormal or infinite in binary64 unless an operand is.
    let part = sum - product;
    let lost = (product - (sum - part)) + (addend - part);
    let bits = sum.to_bits();
    let is_away = (lost > 0.0) == (sum > 0.0);
    let neighbour = if is_away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    // For an infinity or a NaN nothing is lost, or a NaN, which is greater than nothing.
    let is_inexact = lost.abs() > 0.0;
    f64::from_bits(if is_inexact && bits & 1 == 0 { neighbour } else { bits }) as f32
}

/// a · b + c, rounded once: in one instruction where the compiler may count on it, else by [`fma`].
#[inline(always)]
pub fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if HAS_INSTRUCTION { a.mul_add(b, c) } else { fma(a, b, c) }
}

/// Whether every processor of the target has the instruction.
pub const HAS_INSTRUCTION: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

#[cfg(test)]
mod tests {
    use super::fma;
    use crate::soft::tests::{float, special};
    use crate::{Arith, INFINITY, NAN, Soft};
    use sip_testing::Random;

    fn check(a: u32, b: u32, c: u32) {
        let found = fma(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c)).to_bits();
        let found = if found & 0x7FFF_FFFF > INFINITY { NAN } else { found };
        assert_eq!(found, Soft::fma(a, b, c), "{a:#010x} · {b:#010x} + {c:#010x}");
    }

    #[test]
    fn special_values_equal_the_integers() {
        let values = special();
        for &a in &values {
            for &b in &values {
                values.iter().for_each(|&c| check(a, b, c));
            }
        }
    }

    #[test]
    fn random_values_equal_the_integers() {
        let mut random = Random::new(5);
        for _ in 0..3_000_000 {
            check(float(&mut random), float(&mut random), float(&mut random));
        }
    }

    /// Products that end in exactly half a unit of the sum, and addends that tip them, up to the smallest.
    #[test]
    fn sums_close_to_the_middle_of_two_neighbours_equal_the_integers() {
        let mut random = Random::new(6);
        for _ in 0..1_000_000 {
            let bits = random.next();
            // A power of two far from the product decides where the half unit lies.
            let exponent = 1 + (bits >> 8) as u32 % 253;
            let large = exponent << 23 | random.next() as u32 & 0x007F_FFFF;
            let half = exponent.saturating_sub(24 + (bits >> 32) as u32 % 3).max(1);
            let tiny = random.next() as u32 & 0x8000_0003;
            let one = 0x3F80_0000 | (bits >> 48) as u32 & 1;
            check(half << 23 | (bits as u32 & 0x8000_0000), one, large);
            check(half << 23 | (bits as u32 & 0x8000_0000) | 1, one, large);
            // The product is within a unit of the least normal numbers, the sum subnormal.
            let a = (64 + (bits >> 16) as u32 % 16) << 23 | bits as u32 & 0x807F_FFFF;
            let b = (64 + (bits >> 24) as u32 % 8) << 23 | random.next() as u32 & 0x007F_FFFF;
            check(a, b, tiny);
            check(a, b, random.next() as u32 & 0x80FF_FFFF);
            // The sum is within a unit of the greatest number.
            check(0x7F7F_FFFF, one, (half.max(228) << 23) | tiny);
            check(a ^ 0x2000_0000, b ^ 0x2000_0000, 0xFF7F_FFFF & random.next() as u32 | 0x7F00_0000);
        }
    }
}

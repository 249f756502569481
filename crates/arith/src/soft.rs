//! [`Arith`] on integers alone.
//!
//! Every operation computes a significand of up to 63 bits whose lowest bit is *sticky* (it is set if anything
//! below it was cut off), and rounds it once in [`round`]. Exponents are carried as IEEE-754 biased exponents plus
//! [`BIAS`], so that they never fall below zero. All words are 64 bits wide and all arithmetic wraps
//! explicitly (nothing here can wrap in fact): both save instructions on Solana, where the release profile checks
//! overflow and each instruction is paid for. An addition is fma(a, 1, b) and a product is fma(a, b, ±0).

use crate::{Arith, INFINITY, NAN};

/// [`Arith`] on integers alone.
pub struct Soft;

const BIAS: u64 = 256;
const SIGN: u64 = 0x8000_0000;
const FRACTION: u64 = 0x007F_FFFF;
const IMPLICIT: u64 = 0x0080_0000;
const ONE: u32 = 0x3F80_0000;
/// Position of the leading bit of a significand when it is rounded.
const TOP: u32 = 62;
/// Bits that rounding to 24 bits drops.
const DROPPED: u32 = TOP - 23;

impl Arith for Soft {
    #[inline]
    fn add(a: u32, b: u32) -> u32 {
        Soft::fma(a, ONE, b)
    }

    #[inline]
    fn mul(a: u32, b: u32) -> u32 {
        Soft::fma(a, b, (a ^ b) & 0x8000_0000)
    }

    fn div(a: u32, b: u32) -> u32 {
        let sign = (a ^ b) & 0x8000_0000;
        let (magnitude_a, magnitude_b) = (a & 0x7FFF_FFFF, b & 0x7FFF_FFFF);
        if magnitude_a > INFINITY || magnitude_b > INFINITY || (magnitude_a == magnitude_b && is_edge(magnitude_a)) {
            return NAN;
        }
        if magnitude_a == INFINITY || magnitude_b == 0 {
            return sign | INFINITY;
        }
        if magnitude_b == INFINITY || magnitude_a == 0 {
            return sign;
        }
        let (exponent_a, a) = unpack(magnitude_a as u64);
        let (exponent_b, b) = unpack(magnitude_b as u64);
        // The quotient of the scaled significands lies in (2³⁷, 2³⁹).
        let (quotient, rest) = ((a << 38) / b, (a << 38) % b);
        let exponent = exponent_a.wrapping_sub(exponent_b).wrapping_add(BIAS + 127 + TOP as u64 - 38);
        round(sign as u64, exponent, quotient | (rest != 0) as u64)
    }

    #[inline(never)]
    fn fma(a: u32, b: u32, c: u32) -> u32 {
        let (a, b, c) = (a as u64, b as u64, c as u64);
        let (exponent_a, exponent_b, exponent_c) = ((a >> 23) & 0xFF, (b >> 23) & 0xFF, (c >> 23) & 0xFF);
        let is_normal = |exponent: u64| exponent.wrapping_sub(1) < 254;
        let c_magnitude = c & 0x7FFF_FFFF;
        if !(is_normal(exponent_a) && is_normal(exponent_b) && (is_normal(exponent_c) || c_magnitude == 0)) {
            return fma_edge(a, b, c);
        }
        let product = ((a & FRACTION) | IMPLICIT).wrapping_mul((b & FRACTION) | IMPLICIT);
        let exponent = exponent_a.wrapping_add(exponent_b).wrapping_add(BIAS - 127);
        if c_magnitude == 0 {
            return round((a ^ b) & SIGN, exponent.wrapping_add(TOP as u64 - 46), product);
        }
        fused((a ^ b) & SIGN, exponent, product, c & SIGN, exponent_c.wrapping_add(BIAS), (c & FRACTION) | IMPLICIT)
    }

    fn sqrt(a: u32) -> u32 {
        if a & 0x7FFF_FFFF == 0 || a == INFINITY {
            return a;
        }
        if a > INFINITY {
            return NAN;
        }
        let (exponent, significand) = unpack(a as u64);
        // √(significand · 2^(exponent − 127 − 23)), where the power of two is made even; the root has 25 or 26 bits.
        let odd = (exponent ^ 127) & 1;
        let mut rest = significand << (27 + odd);
        let (mut root, mut bit) = (0u64, 1u64 << 50);
        while bit != 0 {
            let trial = root | bit;
            root >>= 1;
            if rest >= trial {
                rest = rest.wrapping_sub(trial);
                root |= bit;
            }
            bit >>= 2;
        }
        // The leading bit of the root stands at 25, and at 26 beside its sticky bit.
        let half = exponent.wrapping_sub(odd).wrapping_sub(BIAS + 127).wrapping_add(2 * BIAS) >> 1;
        round(0, half.wrapping_add(127 + TOP as u64 - 26), root << 1 | (rest != 0) as u64)
    }

    fn from_u32(a: u32) -> u32 {
        if a == 0 { 0 } else { round(0, BIAS + 127 + TOP as u64, a as u64) }
    }
}

/// Whether a magnitude is zero or infinite.
#[inline(always)]
const fn is_edge(magnitude: u32) -> bool {
    magnitude == 0 || magnitude == INFINITY
}

/// Biased exponent plus [`BIAS`] and the significand, leading bit at 23, of a finite magnitude that is not zero.
#[inline(always)]
fn unpack(magnitude: u64) -> (u64, u64) {
    let exponent = magnitude >> 23;
    if exponent != 0 {
        return (exponent.wrapping_add(BIAS), (magnitude & FRACTION) | IMPLICIT);
    }
    let (mut exponent, mut significand) = (BIAS + 1, magnitude);
    let mut step = 16;
    while step > 0 {
        if significand >> (24 - step) == 0 {
            significand <<= step;
            exponent = exponent.wrapping_sub(step);
        }
        step >>= 1;
    }
    (exponent, significand)
}

/// `fma` of operands of which one is zero, subnormal, infinite or NaN.
#[cold]
#[inline(never)]
fn fma_edge(a: u64, b: u64, c: u64) -> u32 {
    const INFINITE: u64 = INFINITY as u64;
    let (a_magnitude, b_magnitude, c_magnitude) = (a & 0x7FFF_FFFF, b & 0x7FFF_FFFF, c & 0x7FFF_FFFF);
    let sign = (a ^ b) & SIGN;
    if a_magnitude > INFINITE || b_magnitude > INFINITE || c_magnitude > INFINITE {
        return NAN;
    }
    if a_magnitude == INFINITE || b_magnitude == INFINITE {
        let invalid = a_magnitude == 0 || b_magnitude == 0 || (c_magnitude == INFINITE && c & SIGN != sign);
        return if invalid { NAN } else { sign as u32 | INFINITY };
    }
    if c_magnitude == INFINITE {
        return c as u32;
    }
    if a_magnitude == 0 || b_magnitude == 0 {
        // A sum of two zeros of different signs is +0.
        return if c_magnitude == 0 { (c & sign) as u32 } else { c as u32 };
    }
    let (exponent_a, a) = unpack(a_magnitude);
    let (exponent_b, b) = unpack(b_magnitude);
    let exponent = exponent_a.wrapping_add(exponent_b).wrapping_sub(BIAS + 127);
    let product = a.wrapping_mul(b);
    if c_magnitude == 0 {
        return round(sign, exponent.wrapping_add(TOP as u64 - 46), product);
    }
    let (exponent_c, c_significand) = unpack(c_magnitude);
    fused(sign, exponent, product, c & SIGN, exponent_c, c_significand)
}

/// The rounded sum of a product of two significands (leading bit at 46 or 47; at 46 its exponent is `exponent`) and
/// a significand (leading bit at 23).
#[inline(always)]
fn fused(sign: u64, exponent: u64, product: u64, sign_c: u64, exponent_c: u64, c: u64) -> u32 {
    // Both are scaled so that bit 60 stands for the exponent; the smaller one is shifted to the greater one's.
    let (mut product, mut c, mut top) = (product << 14, c << 37, exponent);
    if exponent >= exponent_c {
        // Up to 37 places nothing is cut off; beyond, at most one leading bit can cancel, so that a sticky bit will do.
        let distance = exponent.wrapping_sub(exponent_c);
        c = if distance <= 37 { c >> distance } else { shift_sticky(c, distance) };
    } else {
        let distance = exponent_c.wrapping_sub(exponent);
        product = if distance <= 14 { product >> distance } else { shift_sticky(product, distance) };
        top = exponent_c;
    }
    let (mut sign, mut sum) = (sign, product.wrapping_add(c));
    if sign != sign_c {
        sum = product.wrapping_sub(c);
        if product < c {
            sum = c.wrapping_sub(product);
            sign = sign_c;
        } else if sum == 0 {
            return 0;
        }
    }
    round(sign, top.wrapping_add(TOP as u64 - 60), sum)
}

/// Shifts right; the lowest bit of the result is also set if anything was cut off.
#[inline(always)]
fn shift_sticky(value: u64, distance: u64) -> u64 {
    if distance > 63 {
        return (value != 0) as u64;
    }
    let shifted = value >> distance;
    shifted | (shifted << distance != value) as u64
}

/// Rounds to nearest even and packs: the significand, not zero and below 2⁶³, has a sticky lowest bit, and
/// `exponent` is the one that its bit [`TOP`] stands for.
#[inline(always)]
fn round(sign: u64, exponent: u64, significand: u64) -> u32 {
    let (mut exponent, mut significand) = (exponent, significand);
    if significand >> (TOP - 3) == 0 {
        if significand >> (TOP - 31) == 0 {
            significand <<= 32;
            exponent = exponent.wrapping_sub(32);
        }
        if significand >> (TOP - 15) == 0 {
            significand <<= 16;
            exponent = exponent.wrapping_sub(16);
        }
        if significand >> (TOP - 7) == 0 {
            significand <<= 8;
            exponent = exponent.wrapping_sub(8);
        }
        if significand >> (TOP - 3) == 0 {
            significand <<= 4;
            exponent = exponent.wrapping_sub(4);
        }
    }
    if significand >> (TOP - 1) == 0 {
        significand <<= 2;
        exponent = exponent.wrapping_sub(2);
    }
    if significand >> TOP == 0 {
        significand <<= 1;
        exponent = exponent.wrapping_sub(1);
    }
    // A carry out of the significand correctly moves to the next exponent, up to infinity.
    let mut packed = exponent.wrapping_sub(BIAS + 1);
    if packed >= 254 {
        if exponent > BIAS {
            return sign as u32 | INFINITY;
        }
        significand = shift_sticky(significand, (BIAS + 1).wrapping_sub(exponent));
        packed = 0;
    }
    let odd = (significand >> DROPPED) & 1;
    let rounded = significand.wrapping_add((1 << (DROPPED - 1)) - 1).wrapping_add(odd) >> DROPPED;
    (packed << 23).wrapping_add(rounded).wrapping_add(sign) as u32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Native;
    use sip_testing::Random;
    use std::vec::Vec;

    /// Zeros, subnormal boundaries, powers of two and their neighbours, halfway patterns, the greatest numbers,
    /// infinities and NaNs, of both signs.
    pub(crate) fn special() -> Vec<u32> {
        let mut values: Vec<u32> = std::vec![0, 1, 2, 3, 0x7F_FFFF, 0x7F_FFFE, 0x40_0000, 0x3F_FFFF, 0x40_0001];
        for exponent in [1u32, 2, 23, 24, 25, 64, 102, 103, 104, 126, 127, 128, 150, 151, 152, 190, 252, 253, 254] {
            for fraction in [0u32, 1, 2, 0x40_0000, 0x2A_AAAA, 0x7F_F800, 0x7F_FFFE, 0x7F_FFFF] {
                values.push(exponent << 23 | fraction);
            }
        }
        values.extend([INFINITY, 0x7F80_0001, NAN, 0x7FFF_FFFF]);
        let negative: Vec<u32> = values.iter().map(|value| value | 0x8000_0000).collect();
        values.extend(negative);
        values
    }

    /// Any bits, or few significant bits, so that ties and exact results occur.
    pub(crate) fn float(random: &mut Random) -> u32 {
        let (bits, shape) = (random.next() as u32, random.next());
        match shape & 3 {
            0 => bits,
            1 => bits & (0xFFFF_FFFFu32 << ((shape >> 8) % 24)),
            2 => bits | (0x7F_FFFF >> ((shape >> 8) % 24)),
            _ => bits & 0x807F_FFFF | (120 + (shape >> 8) as u32 % 16) << 23,
        }
    }

    fn check_pair(a: u32, b: u32) {
        assert_eq!(Soft::add(a, b), Native::add(a, b), "{a:#010x} + {b:#010x}");
        assert_eq!(Soft::sub(a, b), Native::sub(a, b), "{a:#010x} − {b:#010x}");
        assert_eq!(Soft::mul(a, b), Native::mul(a, b), "{a:#010x} · {b:#010x}");
        assert_eq!(Soft::div(a, b), Native::div(a, b), "{a:#010x} / {b:#010x}");
    }

    fn check_fma(a: u32, b: u32, c: u32) {
        assert_eq!(Soft::fma(a, b, c), Native::fma(a, b, c), "{a:#010x} · {b:#010x} + {c:#010x}");
    }

    fn check_one(a: u32) {
        assert_eq!(Soft::sqrt(a), Native::sqrt(a), "√{a:#010x}");
        assert_eq!(Soft::from_u32(a), Native::from_u32(a), "{a}");
        let nearest = f32::from_bits(a).round_ties_even() as i32;
        assert_eq!(crate::nearest_integer(a) as i32, nearest, "{a:#010x}");
    }

    #[test]
    fn special_values_equal_the_hardware() {
        let values = special();
        for &a in &values {
            check_one(a);
            for &b in &values {
                check_pair(a, b);
                for &c in values.iter() {
                    check_fma(a, b, c);
                }
            }
        }
    }

    #[test]
    fn random_values_equal_the_hardware() {
        let mut random = Random::new(1);
        for _ in 0..3_000_000 {
            let (a, b, c) = (float(&mut random), float(&mut random), float(&mut random));
            check_one(a);
            check_pair(a, b);
            check_fma(a, b, c);
        }
    }

    /// The addend is the rounded product, negated and nudged by up to 2 units: the leading bits cancel.
    #[test]
    fn cancelling_sums_equal_the_hardware() {
        let mut random = Random::new(2);
        for _ in 0..3_000_000 {
            let (a, b, nudge) = (float(&mut random), float(&mut random), random.next());
            let product = Native::mul(a, b) ^ 0x8000_0000;
            check_fma(a, b, product.wrapping_add((nudge % 5) as u32).wrapping_sub(2));
            check_fma(a, b, (nudge as u32 & 0x807F_FFFF) | (product & 0x7F80_0000));
            check_pair(a, a.wrapping_add((nudge % 5) as u32).wrapping_sub(2) ^ 0x8000_0000);
        }
    }

    /// Every distance between the exponents of the product and the addend, near the ends of the range too.
    #[test]
    fn every_alignment_equals_the_hardware() {
        let mut random = Random::new(3);
        for exponent_a in (0u32..255).step_by(3) {
            for exponent_c in 0u32..255 {
                for exponent_b in [1u32, 63, 104, 127, 150, 254] {
                    let bits = (random.next() as u32, random.next() as u32, random.next() as u32);
                    let a = bits.0 & 0x807F_FFFF | exponent_a << 23;
                    let b = bits.1 & 0x807F_FFFF | exponent_b << 23;
                    let c = bits.2 & 0x807F_FFFF | exponent_c << 23;
                    check_fma(a, b, c);
                    check_fma(a & 0xFF80_0000, b, c & 0xFF80_0000);
                    check_fma(a | 0x7F_FFFF, b & 0xFF80_0001, c & 0xFF80_0001);
                    check_pair(a, c);
                }
            }
        }
    }

    #[test]
    #[ignore = "all 2^32 inputs take some minutes"]
    fn square_roots_and_conversions_of_every_input_equal_the_hardware() {
        std::thread::scope(|scope| {
            for part in 0..8u32 {
                scope.spawn(move || (part << 29..=part << 29 | 0x1FFF_FFFF).for_each(check_one));
            }
        });
    }
}

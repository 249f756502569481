//! `sip_ops::exp` and `sip_ops::log` without branches, so that the compiler vectorises them.
//!
//! The same operations on the same values; only a NaN's sign and payload may differ.

use crate::level::{Level, mul_add};

const ONE: u32 = 0x3F80_0000;

#[inline(always)]
fn f(bits: u32) -> f32 {
    f32::from_bits(bits)
}

/// eˣ
#[inline(always)]
pub(crate) fn exp<L: Level>(bits: u32) -> u32 {
    let x = f(bits);
    let magic = f(0x4B40_0000);
    let shifted = mul_add::<L>(x, f(0x3FB8_AA3B), magic);
    let n = shifted - magic;
    let r = mul_add::<L>(n, f(0xBF31_7200), x);
    let r = mul_add::<L>(n, f(0xB5BF_BE8E), r);
    let mut p = f(0x3950_0D01);
    for c in [0x3AB6_0B61, 0x3C08_8889, 0x3D2A_AAAB, 0x3E2A_AAAB, 0x3F00_0000, ONE, ONE] {
        p = mul_add::<L>(p, r, f(c));
    }
    let exponent = shifted.to_bits().wrapping_sub(0x4B40_0000) as i32;
    let half = exponent >> 1;
    let first = f((half.wrapping_add(127) as u32) << 23);
    let second = f((exponent.wrapping_sub(half).wrapping_add(127) as u32) << 23);
    let y = p * first * second;
    let y = if x > f(0x42B1_7218) { f32::INFINITY } else { y };
    let y = if x < f(0xC2CF_F1B4) { 0.0 } else { y };
    let y = if x.is_nan() { f32::NAN } else { y };
    y.to_bits()
}

/// ln x
#[inline(always)]
pub(crate) fn log<L: Level>(bits: u32) -> u32 {
    let is_small = bits < 0x0080_0000;
    let scaled = if is_small { (f(bits) * f(0x4B00_0000)).to_bits() } else { bits };
    let bias = if is_small { 23 } else { 0 };
    let shifted = scaled.wrapping_add(ONE - 0x3F35_04F3);
    let e = ((shifted >> 23) as i32 - 127 - bias) as f32;
    let m = f((shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3));
    let x = m - 1.0;
    let z = x * x;
    let mut p = f(0x3D90_21BB);
    for c in [0xBDEB_D1B8, 0x3DEF_251A, 0xBDFE_5D4F, 0x3E11_E9BF, 0xBE2A_AE50, 0x3E4C_CEAC, 0xBE7F_FFFC, 0x3EAA_AAAA] {
        p = mul_add::<L>(p, x, f(c));
    }
    let y = x * z * p;
    let y = mul_add::<L>(e, f(0xB95E_8083), y);
    let y = mul_add::<L>(f(0xBF00_0000), z, y);
    let y = x + y;
    let y = mul_add::<L>(e, f(0x3F31_8000), y).to_bits();
    let special = if bits == 0x7F80_0000 { bits } else { f32::NAN.to_bits() };
    let y = if bits >= 0x7F80_0000 { special } else { y };
    if bits & 0x7FFF_FFFF == 0 { 0xFF80_0000 } else { y }
}

#[cfg(test)]
mod tests {
    use crate::level::Portable;
    use sip_arith::{Native, is_fault};

    #[test]
    fn are_the_defined_functions() {
        let edges =
            [0, 0x8000_0000, 0x42B1_7218, 0x42B1_7219, 0xC2CF_F1B4, 0xC2CF_F1B5, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000];
        for bits in (0..=u32::MAX).step_by(1009).chain(edges) {
            for (got, expected) in [
                (super::exp::<Portable>(bits), sip_ops::exp::<Native>(bits)),
                (super::log::<Portable>(bits), sip_ops::log::<Native>(bits)),
            ] {
                let both_nan = f32::from_bits(got).is_nan() && f32::from_bits(expected).is_nan();
                assert!(got == expected || (is_fault(got) && both_nan), "{bits:#010x}: {got:#010x} {expected:#010x}");
            }
        }
    }
}

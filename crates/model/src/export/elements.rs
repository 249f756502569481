//! Numbers of 16 bits to and from f32, bit for bit.

use std::ops::Range;

use super::ExportError;

/// How a weight is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE 754 binary32: what the engine computes with.
    #[default]
    F32,
    /// bfloat16, the upper half of a binary32; written with round to nearest, ties to even.
    Bf16,
    /// IEEE 754 binary16; read only.
    F16,
}

impl ElementType {
    /// By the word of safetensors.
    pub(crate) fn from_name(name: &str) -> Option<ElementType> {
        match name {
            "F32" => Some(ElementType::F32),
            "BF16" => Some(ElementType::Bf16),
            "F16" => Some(ElementType::F16),
            _ => None,
        }
    }

    /// The word of safetensors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "F32",
            ElementType::Bf16 => "BF16",
            ElementType::F16 => "F16",
        }
    }

    pub(crate) fn size_bytes(self) -> usize {
        match self {
            ElementType::F32 => 4,
            ElementType::Bf16 | ElementType::F16 => 2,
        }
    }

    /// Widens little-endian elements to the bits of f32, which is exact. `out` is as long as `bytes` has elements.
    pub(crate) fn widen(self, bytes: &[u8], out: &mut [u32]) {
        match self {
            ElementType::F32 => {
                for (slot, &word) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *slot = u32::from_le_bytes(word);
                }
            }
            ElementType::Bf16 => {
                for (slot, &half) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *slot = u32::from(u16::from_le_bytes(half)) << 16;
                }
            }
            ElementType::F16 => {
                for (slot, &half) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *slot = f16_to_f32(u16::from_le_bytes(half)).to_bits();
                }
            }
        }
    }
}

/// A binary16 as a binary32: exact for every value, NaN payloads included.
pub(crate) fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(half >> 10) & 0x1F, u32::from(half) & 0x3FF);
    let magnitude = match exponent {
        // Subnormal: the fraction counts units of 2⁻²⁴, and the product is exact.
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        31 => 0x7F80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The bfloat16 nearest to a finite f32, ties to even; beyond the largest bfloat16 it is infinite.
pub(crate) fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

/// The part of a tensor that has just been widened: what a finiteness error names.
pub(crate) struct Widened<'a> {
    /// The file, or `model` when it is to be saved.
    pub(crate) origin: &'a str,
    /// Name of the tensor.
    pub(crate) name: &'a str,
    /// Row-major indices of the part within the tensor.
    pub(crate) range: Range<usize>,
}

/// Refuses NaN and infinities; `bits` are those of f32.
pub(crate) fn check_finite(part: &Widened<'_>, bits: impl Iterator<Item = u32>) -> Result<(), ExportError> {
    const EXPONENT: u32 = 0x7F80_0000;
    match bits.zip(part.range.clone()).find(|&(bits, _)| bits & EXPONENT == EXPONENT) {
        Some((bits, index)) => Err(ExportError::NotFinite {
            origin: part.origin.to_owned(),
            name: part.name.to_owned(),
            index,
            value: f32::from_bits(bits),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_exactly() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 0x1F), f64::from(half & 0x3FF));
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let expected = if half >> 15 == 1 { -magnitude } else { magnitude };
            let found = f64::from(f16_to_f32(half));
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{half:#06x}: {found} for {expected}");
            assert_eq!(f16_to_f32(half).is_sign_negative(), half >> 15 == 1);
        }
    }

    #[test]
    fn bfloat16_is_the_nearest_and_ties_go_to_even() {
        for upper in 0..=u16::MAX {
            let value = f32::from_bits(u32::from(upper) << 16);
            if !value.is_finite() {
                continue;
            }
            assert_eq!(f32_to_bf16(value), upper);
            let at = |lower: u32| f32_to_bf16(f32::from_bits(u32::from(upper) << 16 | lower));
            assert_eq!([at(1), at(0x7FFF), at(0x8001), at(0xFFFF)], [upper, upper, upper + 1, upper + 1]);
            assert_eq!(at(0x8000), upper + (upper & 1));
        }
    }
}

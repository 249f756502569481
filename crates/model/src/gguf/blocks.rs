//! Blocks of quantised numbers to f32.
//!
//! A block is a few scales and small integers. Each value is a product of scales and integer, rounded, plus or minus an
//! offset, rounded: the same bits as the reference in Python that belongs to the format.

use crate::export::{ElementType, f16_to_f32};

/// How a tensor is stored: blocks of some values with scales of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockType {
    /// f32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// 32 values: scale, 4 bits each, around 0.
    Q4_0,
    /// 32 values: scale and least value, 4 bits each.
    Q4_1,
    /// 32 values: scale, 5 bits each, around 0.
    Q5_0,
    /// 32 values: scale and least value, 5 bits each.
    Q5_1,
    /// 32 values: scale, 8 bits each.
    Q8_0,
    /// 256 values: 8 groups with scales and least values of 6 bits, 4 bits each.
    Q4K,
    /// 256 values: 8 groups with scales and least values of 6 bits, 5 bits each.
    Q5K,
    /// 256 values: 16 groups with scales of 8 bits, 6 bits each.
    Q6K,
    /// 256 values: 16 groups with scales and least values of 4 bits, 2 bits each.
    Q2K,
    /// 256 values: 16 groups with scales of 6 bits, 3 bits each.
    Q3K,
    /// 32 values: scale, 4 bits each that name one of 16 numbers.
    Iq4Nl,
    /// 256 values: 8 groups with scales of 6 bits, values as in [`BlockType::Iq4Nl`].
    Iq4Xs,
    /// 32 values: a power of two, 4 bits each in floating point (Open Compute Project 2023, microscaling formats).
    Mxfp4,
}

use BlockType::*;

impl BlockType {
    /// What error messages list.
    pub(crate) const NAMES: &str =
        "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS or MXFP4";

    /// By the number in the file.
    pub fn from_id(id: u32) -> Option<BlockType> {
        let known = [
            (0, F32),
            (1, F16),
            (2, Q4_0),
            (3, Q4_1),
            (6, Q5_0),
            (7, Q5_1),
            (8, Q8_0),
            (10, Q2K),
            (11, Q3K),
            (12, Q4K),
            (13, Q5K),
            (14, Q6K),
            (20, Iq4Nl),
            (23, Iq4Xs),
            (30, Bf16),
            (39, Mxfp4),
        ];
        known.into_iter().find(|&(number, _)| number == id).map(|(_, block)| block)
    }

    /// What a number in the file is called, also of types that are not read.
    pub(crate) fn name_of(id: u32) -> String {
        let others = [
            (9, "Q8_1"),
            (15, "Q8_K"),
            (16, "IQ2_XXS"),
            (17, "IQ2_XS"),
            (18, "IQ3_XXS"),
            (19, "IQ1_S"),
            (21, "IQ3_S"),
            (22, "IQ2_S"),
            (24, "I8"),
            (25, "I16"),
            (26, "I32"),
            (27, "I64"),
            (28, "F64"),
            (29, "IQ1_M"),
            (34, "TQ1_0"),
            (35, "TQ2_0"),
            (40, "NVFP4"),
        ];
        let known = others.into_iter().find(|&(number, _)| number == id);
        known.map_or_else(|| format!("number {id}"), |(_, name)| name.to_owned())
    }

    /// Values in a block.
    #[expect(clippy::len_without_is_empty, reason = "no block is empty")]
    pub fn len(self) -> usize {
        match self {
            F32 | F16 | Bf16 => 1,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Iq4Nl | Mxfp4 => 32,
            Q2K | Q3K | Q4K | Q5K | Q6K | Iq4Xs => 256,
        }
    }

    /// Bytes of a block.
    pub fn size_bytes(self) -> usize {
        match self {
            F32 => 4,
            F16 | Bf16 => 2,
            Q4_0 => 18,
            Q4_1 => 20,
            Q5_0 => 22,
            Q5_1 => 24,
            Q8_0 => 34,
            Q4K => 144,
            Q5K => 176,
            Q6K => 210,
            Q2K => 84,
            Q3K => 110,
            Iq4Nl => 18,
            Iq4Xs => 136,
            Mxfp4 => 17,
        }
    }

    /// The f32 bits of whole blocks; `out` has [`BlockType::len`] values for each.
    pub fn dequantise(self, bytes: &[u8], out: &mut [u32]) {
        match self {
            F32 => ElementType::F32.widen(bytes, out),
            F16 => ElementType::F16.widen(bytes, out),
            Bf16 => ElementType::Bf16.widen(bytes, out),
            Q4_0 => each(bytes, out, q4_0),
            Q4_1 => each(bytes, out, q4_1),
            Q5_0 => each(bytes, out, q5_0),
            Q5_1 => each(bytes, out, q5_1),
            Q8_0 => each(bytes, out, q8_0),
            Q4K => each(bytes, out, q4_k),
            Q5K => each(bytes, out, q5_k),
            Q6K => each(bytes, out, q6_k),
            Q2K => each(bytes, out, q2_k),
            Q3K => each(bytes, out, q3_k),
            Iq4Nl => each(bytes, out, iq4_nl),
            Iq4Xs => each(bytes, out, iq4_xs),
            Mxfp4 => each(bytes, out, mxfp4),
        }
    }
}

fn each<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    out: &mut [u32],
    block: impl Fn(&[u8; BYTES]) -> [f32; LEN],
) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut::<LEN>().0) {
        *out = block(bytes).map(f32::to_bits);
    }
}

/// The binary16 at a byte.
fn half(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Value `i` of 32: the lower four bits of 16 bytes come before the upper ones.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    bytes[i % 16] >> (i / 16 * 4) & 0xF
}

/// The fifth bit of value `i` of 32.
fn fifth(bits: &[u8], i: usize) -> u8 {
    (bits[i / 8] >> (i % 8) & 1) << 4
}

fn q4_0(block: &[u8; 18]) -> [f32; 32] {
    let scale = half(block, 0);
    std::array::from_fn(|i| scale * f32::from(nibble(&block[2..], i) as i8 - 8))
}

fn q4_1(block: &[u8; 20]) -> [f32; 32] {
    let (scale, least) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| scale * f32::from(nibble(&block[4..], i)) + least)
}

fn q5_0(block: &[u8; 22]) -> [f32; 32] {
    let scale = half(block, 0);
    std::array::from_fn(|i| scale * f32::from((nibble(&block[6..], i) | fifth(&block[2..6], i)) as i8 - 16))
}

fn q5_1(block: &[u8; 24]) -> [f32; 32] {
    let (scale, least) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| scale * f32::from(nibble(&block[8..], i) | fifth(&block[4..8], i)) + least)
}

fn q8_0(block: &[u8; 34]) -> [f32; 32] {
    let scale = half(block, 0);
    std::array::from_fn(|i| scale * f32::from(block[2 + i] as i8))
}

/// Scale and least value of group `group` of 8, six bits each in 12 bytes: the first four groups have theirs in bytes of
/// their own, the others have the lower four bits in the last bytes and the upper two in the first.
fn scale_and_least(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, least) = match group {
        0..4 => (packed[group] & 0x3F, packed[group + 4] & 0x3F),
        _ => {
            let lower = packed[group + 4];
            (lower & 0xF | packed[group - 4] >> 6 << 4, lower >> 4 | packed[group] >> 6 << 4)
        }
    };
    (f32::from(scale), f32::from(least))
}

/// The blocks of 256 with 8 groups: `value` is the integer of value `i`.
fn grouped(block: &[u8], value: impl Fn(usize) -> u8) -> [f32; 256] {
    let (scale, least) = (half(block, 0), half(block, 2));
    let mut out = [0.0; 256];
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (own_scale, own_least) = scale_and_least(&block[4..16], group);
        let (scale, least) = (scale * own_scale, least * own_least);
        for (i, out) in out.iter_mut().enumerate() {
            *out = scale * f32::from(value(group * 32 + i)) - least;
        }
    }
    out
}

/// Value `i` of 256: 32 bytes hold 32 values in their lower halves, then 32 in their upper ones.
fn nibble_of_256(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 0xF
}

fn q4_k(block: &[u8; 144]) -> [f32; 256] {
    grouped(block, |i| nibble_of_256(&block[16..], i))
}

fn q5_k(block: &[u8; 176]) -> [f32; 256] {
    grouped(block, |i| nibble_of_256(&block[48..], i) | (block[16 + i % 32] >> (i / 32) & 1) << 4)
}

fn q6_k(block: &[u8; 210]) -> [f32; 256] {
    let scale = half(block, 208);
    std::array::from_fn(|i| {
        // Two parts of 128 values; in each, 64 bytes have the lower four bits and 32 bytes the upper two.
        let (part, within) = (i / 128, i % 128);
        let lower = block[part * 64 + within % 64] >> (within / 64 * 4) & 0xF;
        let upper = block[128 + part * 32 + within % 32] >> (within / 32 * 2) & 3;
        let scale = scale * f32::from(block[192 + i / 16] as i8);
        scale * f32::from((lower | upper << 4) as i8 - 32)
    })
}

/// The lower two bits of value `i` of 256: 32 bytes hold 128 values, 32 in each pair of bits.
fn pair_of_256(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3
}

fn q2_k(block: &[u8; 84]) -> [f32; 256] {
    let (scale, least) = (half(block, 80), half(block, 82));
    std::array::from_fn(|i| {
        let own = block[i / 16];
        let (scale, least) = (scale * f32::from(own & 0xF), least * f32::from(own >> 4));
        scale * f32::from(pair_of_256(&block[16..], i)) - least
    })
}

fn q3_k(block: &[u8; 110]) -> [f32; 256] {
    let (upper, lower, scales, scale) = (&block[..32], &block[32..96], &block[96..108], half(block, 108));
    std::array::from_fn(|i| {
        let group = i / 16;
        let low = scales[group % 8] >> (group / 8 * 4) & 0xF;
        let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = scale * f32::from((low | high << 4) as i8 - 32);
        // The third bit says that 4 is not taken away.
        let away = if upper[i % 32] >> (i / 32) & 1 == 1 { 0 } else { 4 };
        scale * f32::from(pair_of_256(lower, i) as i8 - away)
    })
}

/// The numbers that four bits name.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the numbers that four bits of floating point are.
const FP4: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

fn iq4_nl(block: &[u8; 18]) -> [f32; 32] {
    let scale = half(block, 0);
    std::array::from_fn(|i| scale * f32::from(IQ4[usize::from(nibble(&block[2..], i))]))
}

fn iq4_xs(block: &[u8; 136]) -> [f32; 256] {
    let (scale, upper) = (half(block, 0), u16::from_le_bytes([block[2], block[3]]));
    std::array::from_fn(|i| {
        let group = i / 32;
        let low = block[4 + group / 2] >> (group % 2 * 4) & 0xF;
        let high = (upper >> (2 * group) & 3) as u8;
        let scale = scale * f32::from((low | high << 4) as i8 - 32);
        scale * f32::from(IQ4[usize::from(nibble(&block[8 + group * 16..], i % 32))])
    })
}

fn mxfp4(block: &[u8; 17]) -> [f32; 32] {
    let exponent = u32::from(block[0]);
    // Half the power of two, which is subnormal for the two least exponents.
    let scale = f32::from_bits(if exponent < 2 { 0x20_0000 << exponent } else { (exponent - 1) << 23 });
    std::array::from_fn(|i| scale * f32::from(FP4[usize::from(nibble(&block[1..], i))]))
}

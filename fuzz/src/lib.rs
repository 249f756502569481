//! What several fuzz targets share.

mod files;

pub use files::{Folder, edited, gguf_bytes};

use arbitrary::{Result, Unstructured};

/// A number of bytes of the input, zeros where it ends.
pub fn take<const N: usize>(input: &mut Unstructured<'_>) -> [u8; N] {
    let mut bytes = [0; N];
    // Past its end the input reads as zeros; it never fails.
    let _ = input.fill_buffer(&mut bytes);
    bytes
}

/// A size that is often small, sometimes anything.
fn size(input: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match input.int_in_range(0..=7u8)? {
        0 => input.arbitrary()?,
        1 => input.int_in_range(0..=1 << 16)?,
        2 | 3 => input.int_in_range(250..=520)?,
        _ => input.int_in_range(1..=20)?,
    })
}

/// The bytes of a node whose length and header mostly fit its kind: what arbitrary bytes almost never do. Sizes, operands,
/// strides and program are whatever the input says.
pub fn node_bytes(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let kind = input.int_in_range(0..=6u8)?;
    let is_chain = !matches!(kind, 0 | 4 | 5);
    let out_labels = input.int_in_range((kind == 6) as u8..=5)?;
    let reduce_labels = if is_chain { input.int_in_range(0..=2)? } else { 0 };
    let labels = out_labels + reduce_labels;
    let starts_from_operand = kind == 1 && input.arbitrary()?;
    let operands = match kind {
        0 => 0,
        1 => 2 + starts_from_operand as u8,
        2 | 3 => 1,
        4 => input.int_in_range(0..=8)?,
        _ => 2,
    };
    let constraint = if is_chain && labels > 0 && input.arbitrary()? {
        [input.int_in_range(0..=labels - 1)?, input.int_in_range(0..=labels - 1)?]
    } else {
        [255, 255]
    };
    let program_len = if kind == 4 { input.int_in_range(1..=12)? } else { 0 };
    let source = if kind == 0 { input.int_in_range(0..=3)? } else { 0 };
    let source_index = if kind == 0 && matches!(source, 0 | 3) { input.int_in_range(0..=9u32)? } else { 0 };
    let mut bytes = vec![kind, input.int_in_range(0..=1)?, out_labels, reduce_labels, operands];
    bytes.extend(constraint);
    bytes.extend([program_len, starts_from_operand as u8, source, 0, 0]);
    bytes.extend(source_index.to_le_bytes());
    for _ in 0..labels {
        bytes.extend(size(input)?.to_le_bytes());
    }
    for _ in 0..operands {
        bytes.extend(input.int_in_range(0..=9u32)?.to_le_bytes());
        for _ in 0..2 + labels {
            let step = if input.arbitrary()? { input.arbitrary()? } else { input.int_in_range(-4..=300i32)? };
            bytes.extend(step.to_le_bytes());
        }
    }
    for number in 0..program_len {
        bytes.push(input.int_in_range(0..=26)?);
        for _ in 0..3 {
            bytes.push(input.int_in_range(0..=operands + number)?);
        }
        bytes.extend(take::<4>(input));
    }
    // A wrong byte now and then.
    if input.ratio(1, 16)? {
        let at = input.int_in_range(0..=bytes.len() - 1)?;
        bytes[at] = input.arbitrary()?;
    }
    Ok(bytes)
}

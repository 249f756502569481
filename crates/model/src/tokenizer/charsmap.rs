//! The table of characters and what they become that SentencePiece compiles into its models (`precompiled_charsmap`).
//!
//! The library looks things up in it without checking places; here it is checked that none is out of it.

/// What a character becomes has at most so many bytes; the longest of Unicode's compatibility forms has 33.
const REPLACEMENT_BYTES_MAX: usize = 36;
/// What a byte becomes has at most so many.
const OF_BYTE_MAX: usize = 8;
/// The kinds of bytes by which a node of the table branches.
const BRANCHES: usize = 256;

/// Checks a table.
///
/// The table is the length of a double array in bytes (32 bits), the array in numbers of 32 bits, and texts that each end with a 0.
///
/// # Errors
/// What in it the library would not survive, or what makes texts much longer.
pub(super) fn check(charsmap: &[u8]) -> Result<(), String> {
    let cut = || "is cut short".to_owned();
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or_else(cut)?;
    let array_bytes = u32::from_le_bytes(*size) as usize / 4 * 4;
    let (array, texts) = rest.split_at_checked(array_bytes).ok_or_else(cut)?;
    let texts = std::str::from_utf8(texts).map_err(|_| "has a text that is not UTF-8".to_owned())?;
    let units = array.as_chunks::<4>().0;
    if units.is_empty() {
        return Err("has no table".to_owned());
    }
    let unit = |place: usize| units.get(place).map(|unit| u32::from_le_bytes(*unit) as usize);
    // Bytes of the text that a value names.
    let replacement = |value: usize| -> Result<usize, String> {
        let text = texts.get(value..).ok_or("names a text that is not there")?;
        let length = text.bytes().position(|byte| byte == 0).unwrap_or(text.len());
        match length <= REPLACEMENT_BYTES_MAX {
            true => Ok(length),
            false => Err(format!("replaces a character by {length} bytes, expected at most {REPLACEMENT_BYTES_MAX}")),
        }
    };
    for (place, _) in units.iter().enumerate() {
        let Some(found) = unit(place).filter(|found| place == 0 || found & VALUE == 0) else { continue };
        let base = place ^ offset(found);
        if (base | (BRANCHES - 1)) >= units.len() {
            return Err("leads out of itself".to_owned());
        }
        if found & HAS_VALUE != 0 {
            replacement(unit(base).unwrap_or(0) & !VALUE)?;
        }
    }
    let root = offset(unit(0).unwrap_or(0));
    for byte in 1..BRANCHES {
        let place = root ^ byte;
        let Some(found) = unit(place).filter(|found| found & (VALUE | (BRANCHES - 1)) == byte) else { continue };
        if found & HAS_VALUE != 0 {
            let length = replacement(unit(place ^ offset(found)).unwrap_or(0) & !VALUE)?;
            if length > OF_BYTE_MAX {
                return Err(format!("replaces a byte by {length}, expected at most {OF_BYTE_MAX}"));
            }
        }
    }
    Ok(())
}

/// The mark of a unit that is a value and no node.
const VALUE: usize = 1 << 31;
/// The mark of a node at which a key ends.
const HAS_VALUE: usize = 1 << 8;

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

/// Numbers of base64 (RFC 4648) as bytes.
pub(super) fn bytes_of_base64(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| format!("is no base64: {error}"))
}

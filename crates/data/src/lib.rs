//! Text to tokens to committed shards, and the deterministic sampler of batches.
//!
//! The way of the text: [`corpus`] reads one text per domain, a tokenizer (of another crate) turns each text into
//! token ids, [`blob`] names ids by their BLAKE3 root and [`split`] sets the end of each text aside as held-out,
//! [`sampler`] says for every round seed, trainer, step and row which window of which domain is trained on.
//! [`read`] judges files by what they hold; [`files`] keeps what is on disk whole.

mod blame;
pub mod blob;
pub mod corpus;
mod documents;
mod error;
pub mod files;
pub mod read;
pub mod sampler;
pub mod split;

pub use blame::{Missing, WrongWords};
pub use blob::TokenBlob;
pub use corpus::{Corpus, Domain};
pub use documents::Documents;
pub use error::DataError;
pub use sampler::{Location, Mixture, batch, batch_root, locate};
pub use split::{DomainTokens, heldout_batch, heldout_batches};

/// Stands between documents of a text that is given to a tokenizer trained here.
pub const DOCUMENT_SEPARATOR: &str = "<|document|>";

/// Domains of a job at most: the mixture of a round has this many places.
pub const DOMAINS_MAX: usize = 8;

/// Hexadecimal digits of a hash.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash from its hexadecimal digits.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// Characters of somebody else's name or value that an error shows.
const SHOWN_CHARS: usize = 80;
/// Paths are shown up to this length.
const PATH_SHOWN_CHARS: usize = 1000;

/// A name or value out of somebody else's file, as an error may show it: what a terminal would obey as escapes, and cut after 80
/// characters.
pub fn shown(text: &str) -> String {
    shown_up_to(text, SHOWN_CHARS)
}

/// A path for people, whatever characters its names have.
pub fn shown_path(path: &std::path::Path) -> String {
    shown_up_to(&path.to_string_lossy(), PATH_SHOWN_CHARS)
}

/// As [`shown`], with another limit: for what a parser says, which may quote the file.
pub fn shown_up_to(text: &str, chars: usize) -> String {
    // Beside control characters those that reorder text or cannot be seen.
    let is_obeyed = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::new();
    for (count, char) in text.chars().enumerate() {
        if count == chars {
            shown.push('…');
            break;
        }
        if is_obeyed(char) { shown.extend(char.escape_debug()) } else { shown.push(char) }
    }
    shown
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hash_comes_back_from_its_digits_and_nothing_else_does() {
        let hash = std::array::from_fn(|at| at as u8 * 7);
        assert_eq!(super::unhex(&super::hex(&hash)), Some(hash));
        for wrong in ["", "00", &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(super::unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_an_error_shows_is_short_and_commands_no_terminal() {
        assert_eq!(super::shown("naïve Ġthe"), "naïve Ġthe");
        assert_eq!(super::shown("\u{1b}[2J\n"), "\\u{1b}[2J\\n");
        assert_eq!(super::shown(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(super::shown(&"x".repeat(1 << 20)).chars().count(), 81);
        assert_eq!(super::shown_up_to("\u{202e}abc", 2), "\\u{202e}a…");
    }
}

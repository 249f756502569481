//! JSON from elsewhere, bounded before it is built in memory: the one door through which every file and every answer in JSON enters.
//!
//! A text of `[[],[],…]` takes thirty times its own length as a tree of values, one of `{"a":{"a":…` two hundred times. Every reader of
//! JSON here looks at the text first, without building anything, and refuses one that would take more than three bytes of memory a byte
//! of text (the text itself is the fourth) and a floor that small files never reach. What may be long is not built at all, but walked
//! through: [`members`], [`Elements`], [`text`], [`lines`].
//!
//! The look is lexical: it counts the marks of a text that need not be JSON, so it never counts less than a parser builds.
//!
//! Nothing else in the repository calls a parser of JSON; `tests/door.rs` says so, and names the exceptions with their reasons.

mod file;
mod members;
mod text;
mod weight;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny};

pub use file::{lines, read_file, read_text};
pub use members::{Elements, MemberError, elements, members};
pub use text::text;
pub use weight::{Budget, DEPTH_MAX, Overweight, Weight};

/// What a text may take in memory beyond three bytes a byte.
pub const FLOOR_BYTES: usize = 1 << 20;
/// The same of records, whose names may be kept: those of a long run are a little over three bytes a byte as they are looked at.
const RECORDS_FLOOR_BYTES: usize = 8 << 20;

/// Reads a value of any type, of which most may be trees of [`serde_json::Value`].
///
/// # Errors
/// A text that would take too much memory or is nested too deeply, and those of [`serde_json::from_slice`].
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    checked(text, Weight::values_bytes, FLOOR_BYTES)?;
    serde_json::from_slice(text)
}

/// As [`from_slice`], of a text.
///
/// # Errors
/// Those of [`from_slice`].
pub fn from_str<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    from_slice(text.as_bytes())
}

/// Reads a value of a type that holds fields, lists and texts of its own, and no tree of [`serde_json::Value`] and no map: a file that may
/// be long.
///
/// # Errors
/// As [`from_slice`].
pub fn fields_from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    checked(text, Weight::fields_bytes, FLOOR_BYTES)?;
    serde_json::from_slice(text)
}

/// As [`fields_from_slice`], of a type that may hold maps by name within its fields.
///
/// # Errors
/// As [`from_slice`].
pub fn records_from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    checked(text, Weight::records_bytes, RECORDS_FLOOR_BYTES)?;
    serde_json::from_slice(text)
}

/// Says what is wrong with a text that is no JSON, and builds nothing.
///
/// # Errors
/// A text that is nested too deeply, and those of the parser.
pub fn check(text: &[u8]) -> Result<(), MemberError> {
    Weight::of(text).check_depth()?;
    Ok(serde_json::from_slice::<IgnoredAny>(text).map(|_| ())?)
}

fn checked(text: &[u8], bytes: fn(&Weight) -> usize, floor_bytes: usize) -> serde_json::Result<()> {
    let weight = Weight::of(text);
    let taken = weight.check_depth().and_then(|()| Budget::new(text.len(), floor_bytes).take(bytes(&weight)));
    taken.map_err(serde_json::Error::custom)
}

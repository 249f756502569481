//! JSON from elsewhere, bounded before it is built in memory.
//!
//! A text of `[[],[],…]` takes thirty times its own length as a tree of values, one of `{"a":{"a":…` two hundred times. Every reader of
//! JSON here looks at the text first, without building anything, and refuses one that would take more than three bytes of memory a byte
//! of text (the text itself is the fourth) and a floor that small files never reach.
//!
//! The look is lexical: it counts the marks of a text that need not be JSON, so it never counts less than a parser builds.

mod members;
mod weight;

use serde::de::{DeserializeOwned, Error as _};

pub use members::{MemberError, elements, members};
pub use weight::{Budget, DEPTH_MAX, Overweight, Weight};

/// What a text may take in memory beyond three bytes a byte.
pub const FLOOR_BYTES: usize = 1 << 20;

/// Reads a value of any type, of which most may be trees of [`serde_json::Value`].
///
/// # Errors
/// A text that would take too much memory or is nested too deeply, and those of [`serde_json::from_slice`].
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    checked(text, Weight::values_bytes)?;
    serde_json::from_slice(text)
}

/// As [`from_slice`], of a text.
///
/// # Errors
/// Those of [`from_slice`].
pub fn from_str<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    from_slice(text.as_bytes())
}

/// Reads a value of a type that holds fields, lists and texts of its own, and no tree of [`serde_json::Value`]: a file that may be long.
///
/// # Errors
/// As [`from_slice`].
pub fn fields_from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    checked(text, Weight::fields_bytes)?;
    serde_json::from_slice(text)
}

fn checked(text: &[u8], bytes: fn(&Weight) -> usize) -> serde_json::Result<()> {
    let weight = Weight::of(text);
    let taken = weight.check_depth().and_then(|()| Budget::new(text.len(), FLOOR_BYTES).take(bytes(&weight)));
    taken.map_err(serde_json::Error::custom)
}

//! Folders that are gone with who made them.

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A folder for what is fetched and not kept, which is gone when this is.
///
/// # Errors
/// The file system's.
pub fn scratch() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("sip-")
        .tempdir()
        .context("cannot make a folder for what is fetched; TMPDIR names a place")
}

//! Keys in files, as `solana-keygen` writes them.

use solana_keypair::Keypair;
use std::path::{Path, PathBuf};

/// A key file has some hundred bytes.
const LIMIT_BYTES: usize = 64 << 10;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system's error.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The file system's reason.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is no key file: expected a JSON list of 64 numbers, as solana-keygen writes it")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// The key in a file as `solana-keygen` writes it.
///
/// # Errors
/// [`KeyError::File`] where it cannot be read, [`KeyError::Content`] where it is something else.
pub fn read_key(path: &Path) -> Result<Keypair, KeyError> {
    let text = sip_json::read_file(path, LIMIT_BYTES).map_err(|source| KeyError::File { path: path.into(), source })?;
    let wrong = || KeyError::Content { path: path.into() };
    let bytes: Vec<u8> = sip_json::fields_from_slice(&text).map_err(|_| wrong())?;
    Keypair::try_from(&bytes[..]).map_err(|_| wrong())
}

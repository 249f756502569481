//! What can go wrong on a shelf.

use crate::hex;
use crate::{Hash, files};
use std::io;
use std::path::{Path, PathBuf};

/// Why a shelf cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the shelf open.
    #[error("{folder} is in use by another process; stop it, or give this one a folder of its own", folder = folder.display())]
    Busy {
        /// The shelf.
        folder: PathBuf,
    },
    /// The disk is full.
    #[error("the disk of {path} is full; what lies there is whole: make room, or move the folder, and start again", path = path.display())]
    DiskFull {
        /// What did not fit.
        path: PathBuf,
    },
    /// What was reserved is used up.
    #[error(
        "{needed} more bytes do not fit: {used} of the {limit} that were reserved are used; forget what nobody is owed any more, or reserve more"
    )]
    Full {
        /// Bytes that are asked for.
        needed: u64,
        /// Bytes that are used.
        used: u64,
        /// Bytes that were reserved.
        limit: u64,
    },
    /// It does not lie here, or not all of it.
    #[error("{} is not here, or not all of what was asked for; fetch it first", hex(root))]
    Missing {
        /// What.
        root: Hash,
    },
    /// The file is not what was written. What is wrong was marked as missing.
    #[error(
        "{} was damaged on the disk; what was wrong counts as missing now: fetch it again, and look after the disk",
        hex(root)
    )]
    Damaged {
        /// What.
        root: Hash,
    },
    /// What is asked for cannot be.
    #[error("{what}")]
    Impossible {
        /// Why.
        what: String,
    },
}

impl ShelfError {
    /// Turns the system's errors about a path into this one.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> ShelfError + use<> {
        let path = path.to_owned();
        move |source| match files::is_full(&source) {
            true => ShelfError::DiskFull { path: path.clone() },
            false => ShelfError::Io { path: path.clone(), source },
        }
    }
}

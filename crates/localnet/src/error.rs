//! Why a local chain cannot be opened or served.

use sip_ledger::LedgerError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a local chain cannot be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum LocalnetError {
    /// The file system's error.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The file system's reason.
        source: std::io::Error,
    },
    /// The folder belongs to something else.
    #[error("{folder} holds {found} and no local chain; give an empty folder or one that does not exist")]
    Foreign {
        /// The data directory.
        folder: PathBuf,
        /// A file in it that no local chain writes.
        found: PathBuf,
    },
    /// Another process has the chain open.
    #[error("another process runs the local chain in {folder}; stop it or give another folder")]
    InUse {
        /// The data directory.
        folder: PathBuf,
    },
    /// A file was damaged after it had been written.
    #[error("{path} is damaged at byte {offset}: {reason}; restore the folder from a copy, or start anew with --reset")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage is.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A part of the log is missing.
    #[error(
        "{folder} has no log of transaction {number}, which the snapshot does not hold either; \
         restore the folder from a copy, or start anew with --reset"
    )]
    MissingLog {
        /// The data directory.
        folder: PathBuf,
        /// The first transaction that is missing, from 0.
        number: u64,
    },
    /// The log does not replay to what was executed.
    #[error(
        "transaction {number} in {path} gives another result than when it was first executed; \
         go on with the build that wrote it, or start anew with --reset"
    )]
    Diverged {
        /// The log.
        path: PathBuf,
        /// Which transaction, from 0.
        number: u64,
    },
    /// The key file of the faucet is none, or cannot be read.
    #[error(transparent)]
    Key(#[from] sip_ledger::KeyError),
    /// A port is taken, or may not be used.
    #[error("cannot listen on {address}: {source}; choose another port with --port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The next port, which WebSocket clients assume, does not exist.
    #[error("port {port} has no next port for WebSocket; choose a smaller one with --port")]
    NoNextPort {
        /// The port for HTTP.
        port: u16,
    },
    /// The virtual machine or its snapshot.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl LocalnetError {
    /// For `map_err` of a file operation.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

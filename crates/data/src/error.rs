//! What can go wrong between a text file and a batch.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::DOMAINS_MAX;

/// Why texts, token blobs or batches could not be had.
#[derive(Debug, Error)]
pub enum DataError {
    /// The file system refused, or the path does not exist.
    #[error("{path}: {source}", path = crate::shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// No path was given.
    #[error("no text was given: name a folder of texts, or one file per domain")]
    NoPaths,
    /// A folder holds no text.
    #[error("{path} holds no text", path = crate::shown_path(path))]
    NoTexts {
        /// The folder.
        path: PathBuf,
    },
    /// A file has nothing but whitespace.
    #[error("{path} is empty: give a file that has text", path = crate::shown_path(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file is not UTF-8.
    #[error("{path} is not UTF-8 at byte {offset}: convert the file to UTF-8, for example with \"iconv -f latin1 -t utf-8\"", path = crate::shown_path(path))]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that does not belong to a character.
        offset: usize,
    },
    /// A file is no text.
    #[error("{path} is {what}", path = crate::shown_path(path))]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// A line is not what the lines before it are, or not what was expected.
    #[error("{path}, line {line}: {reason}", path = crate::shown_path(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Several files, or several records, cannot be used; each has a line.
    #[error("{}", several(.0))]
    Several(Vec<DataError>),
    /// More domains than a mixture has places.
    #[error("{found} domains, expected 1 to {DOMAINS_MAX}: join files, or name fewer")]
    TooManyDomains {
        /// Domains named.
        found: usize,
    },
    /// A text shipped inside the program is not the one that was packed.
    #[error("the built-in text {name} is damaged ({reason}): rebuild the program from a clean checkout")]
    Damaged {
        /// Name of the domain.
        name: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// A domain has too few tokens for a training and a held-out part.
    #[error(
        "domain {domain} has {tokens} tokens, but training with sequences of {seq_len} needs {needed}: \
         add text or shorten the sequences"
    )]
    TooSmall {
        /// Name of the domain.
        domain: String,
        /// Tokens it has.
        tokens: usize,
        /// Tokens per sequence.
        seq_len: usize,
        /// Tokens needed at least.
        needed: usize,
    },
    /// A blob on disk is not a whole number of token ids.
    #[error("{path} has {bytes} bytes, which is not a whole number of 4-byte tokens: fetch it again", path = crate::shown_path(path))]
    BlobLength {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// A blob on disk is not the one that was asked for.
    #[error("{path} has root {found}, expected {expected}: fetch it again", path = crate::shown_path(path))]
    BlobRoot {
        /// The file.
        path: PathBuf,
        /// BLAKE3 of its bytes.
        found: blake3::Hash,
        /// BLAKE3 asked for.
        expected: blake3::Hash,
    },
    /// Weights that are not a mixture.
    #[error("{domains} weights with a sum of {sum} bps, expected 1 to {DOMAINS_MAX} with a sum of 10000")]
    Mixture {
        /// Number of weights.
        domains: usize,
        /// Their sum.
        sum: u64,
    },
    /// The mixture draws from a domain that has no window of the asked length.
    #[error("the mixture draws from domain {domain}, which has {tokens} tokens; a window has {window}")]
    NoWindow {
        /// Index of the domain.
        domain: usize,
        /// Its tokens; 0 when there is no such domain.
        tokens: u64,
        /// Tokens of a window.
        window: u64,
    },
    /// Held-out windows do not fill batches.
    #[error("{windows} held-out windows do not fill batches of {batch}: ask for a positive multiple")]
    PartialBatch {
        /// Windows asked for.
        windows: usize,
        /// Rows of a batch.
        batch: usize,
    },
}

impl DataError {
    /// Errors as one; none is none.
    ///
    /// # Errors
    /// The one that there is, or [`DataError::Several`].
    pub fn all(mut errors: Vec<DataError>) -> Result<(), DataError> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(DataError::Several(errors)),
        }
    }

    /// Whether so many errors of records were found that no more are looked for: a large file may hold nothing else.
    pub fn are_enough(errors: &[DataError]) -> bool {
        errors.len() >= ERRORS_KEPT
    }
}

/// Errors of records that are kept.
const ERRORS_KEPT: usize = 1_000;

/// Errors that are told one by one, and how much is told of each.
const ERRORS_TOLD: usize = 10;
const ERROR_CHARS_TOLD: usize = 1000;

fn several(errors: &[DataError]) -> String {
    let is_of_records = errors.iter().all(|error| matches!(error, DataError::Line { .. }));
    let what = match (is_of_records, DataError::are_enough(errors)) {
        (true, true) => "records or more",
        (true, false) => "records",
        (false, _) => "files",
    };
    let mut said = format!("{} {what} cannot be used:", errors.len());
    for error in errors.iter().take(ERRORS_TOLD) {
        said += "\n  ";
        said += &crate::shown_up_to(&error.to_string(), ERROR_CHARS_TOLD);
    }
    match errors.len().saturating_sub(ERRORS_TOLD) {
        0 => said,
        more => said + &format!("\n  and {more} more"),
    }
}

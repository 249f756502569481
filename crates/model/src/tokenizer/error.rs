//! Why a tokenizer cannot be had or used.

use std::io;
use std::path::PathBuf;

use sip_data::shown_up_to;
use thiserror::Error;

use super::{VOCAB_SIZE_MAX, VOCAB_SIZE_MIN};
use crate::export::REASON_CHARS_SHOWN;

/// Why a tokenizer could not be trained, loaded, saved or used.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// The vocabulary is too small to hold all bytes, or unreasonably large.
    #[error("vocabulary of {0} tokens, expected {VOCAB_SIZE_MIN} to {VOCAB_SIZE_MAX}")]
    VocabSize(usize),
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The text is no tokenizer, or one with parts that are not supported.
    #[error("not a usable tokenizer.json: {reason}", reason = shown_up_to(.0, REASON_CHARS_SHOWN))]
    Format(String),
    /// A file holds no tokenizer that can be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<TokenizerError>,
    },
    /// The `tokenizers` library refused a text.
    #[error("tokenizer: {0}")]
    Library(String),
    /// A token of the text is one that the model has no row for.
    #[error("the text holds the token {token} (id {id}), for which the model has no row: it has {rows}; take the token out of the text, or give the model a row for it", token = sip_data::shown(token))]
    NoRow {
        /// Its text.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the model's embedding.
        rows: usize,
    },
    /// An id is outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size} tokens")]
    UnknownId {
        /// The id.
        id: u32,
        /// Tokens in the vocabulary.
        vocab_size: usize,
    },
}

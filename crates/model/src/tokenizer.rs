//! Tokenizers: byte-level BPE as it is trained here, and BPE and Unigram as other tools write them (`tokenizer.json`).
//!
//! Training is exact across machines and thread counts: the same texts give the same file. Datasets are committed as
//! token ids, so the tokenizer stays outside the proofs.

pub(crate) mod added;
mod bpe;
mod charsmap;
mod error;
mod file;
mod folder;
mod foreign;
mod merges;
mod model;
mod parallel;
mod pattern;
mod table;
#[cfg(test)]
mod tests;
mod training;
mod unigram;

pub(crate) use bpe::{Settings, Tables};
pub use error::TokenizerError;
pub(crate) use file::{FLOOR_BYTES, MERGES_MAX, merge_of};
pub(crate) use foreign::Parts;
pub(crate) use model::Pieces;
use parallel::{in_parallel, parts, thread_count};
use sip_json::Budget;
pub(crate) use table::{MERGE_BYTES, Merge, Merges, Vocabulary};
pub(crate) use unigram::{SCORED_BYTES, Scored};

/// The special token between documents; it begins and ends every text.
pub const DOCUMENT_TOKEN: &str = sip_data::DOCUMENT_SEPARATOR;
/// The id of [`DOCUMENT_TOKEN`].
pub const DOCUMENT_ID: u32 = 0;
/// Tokens of a vocabulary when nobody asks for another number.
pub const VOCAB_SIZE_DEFAULT: usize = 2048;
/// The document token and the 256 bytes: every text can be encoded.
pub const VOCAB_SIZE_MIN: usize = 257;
/// The largest vocabulary that is trained or loaded.
pub const VOCAB_SIZE_MAX: usize = 1 << 20;

/// File name of the tokenizer itself.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// File name of what `transformers.AutoTokenizer` needs beside it.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// File name of the special tokens' roles.
pub const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";

/// The tokens that begin and end a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Stands before every text that the model is given; `None` where it expects the text alone.
    pub begin: Option<u32>,
    /// What the model's files call the beginning of a text, whether or not it stands before texts.
    pub bos: Option<u32>,
    /// Any of these ends a text that the model writes.
    pub end: Vec<u32>,
}

impl SpecialTokens {
    /// Those of models trained here: [`DOCUMENT_ID`] begins and ends every text.
    pub fn document() -> SpecialTokens {
        SpecialTokens { begin: Some(DOCUMENT_ID), bos: Some(DOCUMENT_ID), end: vec![DOCUMENT_ID] }
    }
}

/// A tokenizer: one trained here, whose token 0 is [`DOCUMENT_TOKEN`], or that of a model from elsewhere.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: file::Inner,
    /// One more than the largest id.
    vocab_size: usize,
    /// Whether texts may be cut at the places that [`parts`] finds.
    divisible: bool,
    /// Ids from here on have no row in the model: added tokens that were never trained.
    rows: usize,
    /// Whether tokens such as `<0xE2>` are bytes, which are put together over neighbouring tokens.
    byte_tokens: bool,
}

impl Tokenizer {
    /// Learns a vocabulary of `vocab_size` tokens from `texts`; [`DOCUMENT_TOKEN`] in a text separates documents.
    ///
    /// The vocabulary is smaller when the texts are so short that no pair of tokens is left that occurs twice.
    /// The result depends on the texts (as a list) and `vocab_size` alone.
    ///
    /// # Errors
    /// [`TokenizerError::VocabSize`] outside [`VOCAB_SIZE_MIN`]..=[`VOCAB_SIZE_MAX`].
    pub fn train(texts: &[&str], vocab_size: usize) -> Result<Self, TokenizerError> {
        Self::train_on(texts, vocab_size, thread_count())
    }

    /// One more than the largest id; for a vocabulary without holes, the number of tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token ids of a text. Special tokens in the text, such as [`DOCUMENT_TOKEN`], become their ids; nothing is added.
    ///
    /// Long texts are encoded on all processors, with the same result as on one.
    ///
    /// # Errors
    /// [`TokenizerError::Library`], which a text cannot cause with a vocabulary that holds all bytes.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_on(text, thread_count())
    }

    fn encode_on(&self, text: &str, threads: usize) -> Result<Vec<u32>, TokenizerError> {
        let parts: Vec<&str> = if self.divisible { parts(text).collect() } else { vec![text] };
        let encoded = in_parallel(&parts, threads, |part| {
            let encoding =
                self.inner.encode_fast(part, false).map_err(|error| TokenizerError::Library(error.to_string()))?;
            Ok(encoding.get_ids().to_vec())
        })?;
        let ids = encoded.concat();
        match ids.iter().find(|&&id| id as usize >= self.rows) {
            Some(&id) => Err(self.no_row(id)),
            None => Ok(ids),
        }
    }

    fn no_row(&self, id: u32) -> TokenizerError {
        TokenizerError::NoRow { token: self.token(id).unwrap_or_default(), id, rows: self.rows }
    }

    /// The text of token ids, special tokens included. Bytes that are not UTF-8 (an id sequence may be cut within a
    /// character) become U+FFFD.
    ///
    /// # Errors
    /// [`TokenizerError::UnknownId`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(TokenizerError::UnknownId { id, vocab_size: self.vocab_size });
        }
        self.inner.decode(ids, false).map_err(|error| TokenizerError::Library(error.to_string()))
    }

    /// The content of `tokenizer.json`; equal tokenizers give equal bytes.
    ///
    /// # Errors
    /// [`TokenizerError::Library`], which does not happen for a tokenizer that was trained or loaded here.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        self.inner.to_string(true).map_err(|error| TokenizerError::Library(error.to_string()))
    }

    /// The id of a token by its text, special tokens included.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The text of a token, in the characters that stand for bytes; special tokens are as they are.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// One more than the largest id of a token that was not added: no model has fewer rows.
    pub(crate) fn trained_size(&self) -> usize {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        let mut ids = self.inner.get_model().vocabulary().iter().rev().map(|(_, id)| id);
        ids.find(|id| !added.contains_key(id)).map_or(0, |id| id as usize + 1)
    }

    /// Says how many rows the model has: texts with tokens beyond them are refused.
    pub(crate) fn set_rows(&mut self, rows: usize) {
        self.rows = rows;
    }

    /// Whether a token is a byte that is put together with its neighbours to characters.
    pub(crate) fn is_byte(&self, id: u32) -> bool {
        let hexadecimal = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.byte_tokens
            && self.token(id).is_some_and(|token| {
                token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')).is_some_and(hexadecimal)
            })
    }

    /// Whether texts are documents that begin and end with [`DOCUMENT_TOKEN`], as in every tokenizer trained here.
    pub fn has_documents(&self) -> bool {
        self.id(DOCUMENT_TOKEN) == Some(DOCUMENT_ID)
    }

    /// The token that the tokenizer itself sets before a text, if it does; what it sets behind is none.
    pub(crate) fn begin(&self) -> Result<Option<u32>, TokenizerError> {
        let ids = |with_special: bool| {
            let encoding = self.inner.encode_fast("a", with_special);
            encoding.map(|e| e.get_ids().to_vec()).map_err(|error| TokenizerError::Library(error.to_string()))
        };
        let (alone, whole) = (ids(false)?, ids(true)?);
        let before = whole.windows(alone.len().max(1)).position(|part| part == alone).unwrap_or(0);
        Ok(whole[..before].first().copied())
    }

    /// Reads the content of a `tokenizer.json`: one written here, or one of another model.
    ///
    /// Truncation and padding that the file asks for are left out.
    ///
    /// # Errors
    /// [`TokenizerError::Format`] when it is not a tokenizer of the kinds that [`foreign`] lists, or has ids twice or
    /// none; [`TokenizerError::VocabSize`].
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_json_with(json, &[])
    }

    /// As [`Tokenizer::from_json`], with tokens that other files add to it.
    pub(crate) fn from_json_with(json: &[u8], beside: &[added::Beside]) -> Result<Self, TokenizerError> {
        Self::of(file::read(json, beside)?)
    }

    /// The tokenizer of a file that is no `tokenizer.json`, within what is left of a budget.
    pub(crate) fn from_pieces(
        parts: Parts,
        pieces: Pieces,
        added: &[tokenizers::AddedToken],
        budget: &mut Budget,
    ) -> Result<Self, TokenizerError> {
        Self::of(file::of_parts(parts, pieces, added, budget)?)
    }

    fn of((inner, checked): (file::Inner, foreign::Checked)) -> Result<Self, TokenizerError> {
        let foreign::Checked { divisible, byte_tokens } = checked;
        let plain = |token: &tokenizers::AddedToken| {
            !(token.single_word || token.lstrip || token.rstrip || token.content.contains(char::is_whitespace))
        };
        let added = inner.get_added_vocabulary().get_added_tokens_decoder();
        let divisible = divisible && added.values().all(plain);
        let largest = inner.get_model().vocabulary().iter().next_back().map(|(_, id)| id);
        let vocab_size = added.keys().copied().chain(largest).max().map_or(0, |id| id as usize + 1);
        if !(VOCAB_SIZE_MIN..=VOCAB_SIZE_MAX).contains(&vocab_size) {
            return Err(TokenizerError::VocabSize(vocab_size));
        }
        Ok(Tokenizer { inner, vocab_size, divisible, rows: usize::MAX, byte_tokens })
    }
}

//! Byte-level BPE, as every other tool reads it (`tokenizer.json`).
//!
//! Training is exact across machines and thread counts: the same texts give the same file. Datasets are committed as
//! token ids, so the tokenizer stays outside the proofs.

pub(crate) mod added;
mod foreign;
mod merges;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde_json::json;
use sip_data::files::{Staged, commit_together};
use sip_data::shown_up_to;
use thiserror::Error;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use crate::export::{CHAT_TEMPLATE_FILE, REASON_CHARS_SHOWN};

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

/// Of longer texts, merges are learned on an evenly spaced sample of about this many bytes, so that every text has a
/// like say in the vocabulary and training takes seconds.
const SAMPLE_BYTES: usize = 1_500_000;
/// Texts are cut into parts of about this many bytes for the threads.
const PART_BYTES: usize = 32 << 10;
/// A `tokenizer.json` is read up to this size.
const FILE_LIMIT_BYTES: u64 = 256 << 20;

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

/// A BPE tokenizer: one trained here, whose token 0 is [`DOCUMENT_TOKEN`], or that of a model from elsewhere.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
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

    fn train_on(texts: &[&str], vocab_size: usize, threads: usize) -> Result<Self, TokenizerError> {
        if !(VOCAB_SIZE_MIN..=VOCAB_SIZE_MAX).contains(&vocab_size) {
            return Err(TokenizerError::VocabSize(vocab_size));
        }
        // Ids follow the order of the characters that stand for bytes, as in other byte-level vocabularies.
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        let ids: HashMap<char, u32> = alphabet.iter().copied().zip(DOCUMENT_ID + 1..).collect();
        let mut symbols = vec![DOCUMENT_TOKEN.to_owned()];
        symbols.extend(alphabet.iter().map(char::to_string));

        let parts: Vec<&str> = texts.iter().flat_map(|text| sample(parts(text))).collect();
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut words: Vec<merges::Word> = Vec::new();
        for counted in in_parallel(&parts, threads, count_words)? {
            for (word, count) in counted {
                match index.get(&word) {
                    Some(&at) => words[at].count += count,
                    None => {
                        // Every character is one of the alphabet: that is what the pre-tokenizer maps to.
                        let symbols = word.chars().filter_map(|char| ids.get(&char).copied()).collect();
                        index.insert(word, words.len());
                        words.push(merges::Word { symbols, count });
                    }
                }
            }
        }
        let merges = merges::learn(words, &mut symbols, vocab_size);
        Self::from_parts(&symbols, &merges)
    }

    fn from_parts(symbols: &[String], merges: &[(u32, u32)]) -> Result<Self, TokenizerError> {
        let vocab: serde_json::Map<String, serde_json::Value> =
            symbols.iter().zip(0u32..).map(|(symbol, id)| (symbol.clone(), id.into())).collect();
        let merges: Vec<[&str; 2]> = merges
            .iter()
            .map(|&(left, right)| [symbols[left as usize].as_str(), symbols[right as usize].as_str()])
            .collect();
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [{
                "id": DOCUMENT_ID, "content": DOCUMENT_TOKEN, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            }],
            "normalizer": null,
            "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
            "post_processor": null,
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": merges,
            },
        });
        Self::from_json(file.to_string().as_bytes())
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
        let added = self.inner.get_added_tokens_decoder();
        let ids = self.inner.get_vocab(false).into_values();
        ids.filter(|id| !added.contains_key(id)).max().map_or(0, |id| id as usize + 1)
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
    /// [`TokenizerError::Format`] when it is not a BPE tokenizer of the kinds that [`foreign`] lists, or has ids twice or
    /// none; [`TokenizerError::VocabSize`].
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_json_with(json, &[])
    }

    /// As [`Tokenizer::from_json`], with tokens that other files add to it.
    pub(crate) fn from_json_with(json: &[u8], beside: &[added::Beside]) -> Result<Self, TokenizerError> {
        let foreign::Checked { divisible, byte_tokens } = foreign::check(json)?;
        let mut inner =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| TokenizerError::Format(error.to_string()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| TokenizerError::Format(error.to_string()))?;
        added::add(&mut inner, beside)?;
        let plain = |token: &tokenizers::AddedToken| {
            !(token.single_word || token.lstrip || token.rstrip || token.content.contains(char::is_whitespace))
        };
        let divisible = divisible && inner.get_added_tokens_decoder().values().all(plain);
        let vocab_size = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if !(VOCAB_SIZE_MIN..=VOCAB_SIZE_MAX).contains(&vocab_size) {
            return Err(TokenizerError::VocabSize(vocab_size));
        }
        Ok(Tokenizer { inner, vocab_size, divisible, rows: usize::MAX, byte_tokens })
    }

    /// Writes the three files that `transformers.AutoTokenizer.from_pretrained(folder)` reads into `folder` (created
    /// when missing). `max_seq_len` is the longest sequence of the model, in tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Io`].
    pub fn save(&self, folder: &Path, max_seq_len: usize) -> Result<(), TokenizerError> {
        self.save_with(folder, max_seq_len, &SpecialTokens::document(), None)
    }

    /// As [`Tokenizer::save`], with the special tokens and the chat template (in Jinja) of a model from elsewhere.
    ///
    /// # Errors
    /// [`TokenizerError::Io`].
    pub fn save_with(
        &self,
        folder: &Path,
        max_seq_len: usize,
        special: &SpecialTokens,
        chat_template: Option<&str>,
    ) -> Result<(), TokenizerError> {
        let staged = self.stage_with(folder, max_seq_len, special, chat_template)?;
        commit_together(&[folder.join(CHAT_TEMPLATE_FILE)], staged)
            .map_err(|(path, source)| TokenizerError::Io { path, source })
    }

    /// The files of [`Tokenizer::save_with`], on the disk but without their names; `tokenizer.json` is the last.
    pub(crate) fn stage_with(
        &self,
        folder: &Path,
        max_seq_len: usize,
        special: &SpecialTokens,
        chat_template: Option<&str>,
    ) -> Result<Vec<Staged>, TokenizerError> {
        fs::create_dir_all(folder).map_err(|source| TokenizerError::Io { path: folder.to_owned(), source })?;
        let mut special_tokens = serde_json::Map::new();
        for (role, id) in [("bos_token", special.bos), ("eos_token", special.end.first().copied())] {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                special_tokens.insert(role.to_owned(), token.into());
            }
        }
        let mut config = special_tokens.clone();
        config.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
        config.insert("model_max_length".to_owned(), max_seq_len.into());
        config.insert("clean_up_tokenization_spaces".to_owned(), false.into());
        if let Some(template) = chat_template {
            config.insert("chat_template".to_owned(), template.into());
        }
        let files = [
            (SPECIAL_TOKENS_FILE, format!("{:#}\n", serde_json::Value::Object(special_tokens))),
            (TOKENIZER_CONFIG_FILE, format!("{:#}\n", serde_json::Value::Object(config))),
            (TOKENIZER_FILE, self.to_json()?),
        ];
        let stage = |(name, text): (&str, String)| {
            let path = folder.join(name);
            Staged::write(&path, |temporary| fs::write(temporary, &text))
                .map_err(|source| TokenizerError::Io { path, source })
        };
        files.into_iter().map(stage).collect()
    }

    /// Reads the tokenizer in `folder`.
    ///
    /// # Errors
    /// [`TokenizerError::Io`], and [`TokenizerError::File`] with those of [`Tokenizer::from_json`].
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join(TOKENIZER_FILE);
        let io_error = |source| TokenizerError::Io { path: path.clone(), source };
        let file_error = |error| TokenizerError::File { path: path.clone(), source: Box::new(error) };
        let size_bytes = fs::metadata(&path).map_err(io_error)?.len();
        if size_bytes > FILE_LIMIT_BYTES {
            let reason = format!("{size_bytes} bytes, expected at most {FILE_LIMIT_BYTES}");
            return Err(file_error(TokenizerError::Format(reason)));
        }
        Self::from_json(&fs::read(&path).map_err(io_error)?).map_err(file_error)
    }
}

fn thread_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Cuts a text into parts of at least [`PART_BYTES`] that are tokenized alone exactly as within the whole.
///
/// A part ends where ASCII whitespace follows a visible ASCII character. Every piece of the byte-level pattern begins
/// anew there: only a piece's first character may be whitespace unless it is all whitespace, and the pattern never
/// looks behind. The document token holds no whitespace, so it is not cut either.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let boundary = (PART_BYTES..bytes.len())
            .find(|&at| bytes[at].is_ascii_whitespace() && bytes[at - 1].is_ascii_graphic())
            .unwrap_or(bytes.len());
        let (part, after) = rest.split_at(boundary);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Of many parts, evenly spaced ones of about [`SAMPLE_BYTES`] in sum.
fn sample<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let parts: Vec<&str> = parts.collect();
    let kept = parts.len().min(SAMPLE_BYTES.div_ceil(PART_BYTES));
    (0..kept).map(|at| parts[at * parts.len() / kept]).collect()
}

/// The pieces that merges do not cross, in byte-level characters, each with its number of occurrences, in the order
/// in which they first occur.
fn count_words(part: &str) -> Result<Vec<(String, u64)>, TokenizerError> {
    let pre_tokenizer = ByteLevel::new(false, true, true);
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut words: Vec<(String, u64)> = Vec::new();
    for document in part.split(DOCUMENT_TOKEN) {
        let mut pieces = PreTokenizedString::from(document);
        pre_tokenizer.pre_tokenize(&mut pieces).map_err(|error| TokenizerError::Library(error.to_string()))?;
        for (piece, _, _) in pieces.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            match index.get(piece) {
                Some(&at) => words[at].1 += 1,
                None => {
                    index.insert(piece.to_owned(), words.len());
                    words.push((piece.to_owned(), 1));
                }
            }
        }
    }
    Ok(words)
}

/// Applies `work` to every part on up to `threads` threads; results are in the order of the parts.
fn in_parallel<T: Send>(
    parts: &[&str],
    threads: usize,
    work: impl Fn(&str) -> Result<T, TokenizerError> + Sync,
) -> Result<Vec<T>, TokenizerError> {
    if threads.min(parts.len()) <= 1 {
        return parts.iter().map(|part| work(part)).collect();
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, Result<T, TokenizerError>)> = thread::scope(|scope| {
        for _ in 0..threads.min(parts.len()) {
            let (next, work, sender) = (&next, &work, sender.clone());
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = parts.get(at) else { break };
                    if sender.send((at, work(part))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().collect()
    });
    results.sort_unstable_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sip_data::{Corpus, TokenBlob};

    use super::*;

    /// Text with words, numbers, punctuation, line ends and characters of two to four bytes.
    fn prose(sentences: usize) -> String {
        let sentence = |at: usize| {
            format!("The {at}th ship's crew don't sail — naïve, {}% of 渡り鳥 🦆!  \n\n\tEnd", at * 7 % 100)
        };
        let text: Vec<String> = (0..sentences).map(sentence).collect();
        text.join(if sentences.is_multiple_of(2) { "<|document|>" } else { " " })
    }

    #[test]
    fn training_gives_the_same_bytes_on_every_run_and_thread_count() {
        let (first, second) = (prose(3000), prose(1001));
        let train = |threads| Tokenizer::train_on(&[&first, &second], 600, threads).unwrap().to_json().unwrap();
        let expected = train(1);
        for threads in [1, 2, 3, 8] {
            assert_eq!(train(threads), expected, "{threads} threads");
        }
    }

    #[test]
    fn training_on_the_built_in_texts_is_the_same_on_every_machine() {
        let corpus = Corpus::shipped(200_000).unwrap();
        let texts: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
        let tokenizer = Tokenizer::train(&texts, VOCAB_SIZE_DEFAULT).unwrap();
        assert_eq!(tokenizer.vocab_size(), VOCAB_SIZE_DEFAULT);
        let ids: Vec<u32> = texts.iter().flat_map(|text| tokenizer.encode(text).unwrap()).collect();
        let roots = [blake3::hash(tokenizer.to_json().unwrap().as_bytes()), TokenBlob::new(ids).root().into()];
        assert_eq!(
            roots.map(|root| root.to_hex().to_string()),
            [
                "9665e9d0854815e088de9b9037a5270083e1667a397ad26575627ca652a09bba",
                "b8f4db197fc0c6ddf5cfd80e6c48e95fb84786786fefa6d16e8695e2b5284189"
            ]
        );
    }

    #[test]
    fn parts_of_a_text_encode_as_the_whole() {
        let text = prose(6000);
        let tokenizer = Tokenizer::train(&[&text], 400).unwrap();
        assert!(parts(&text).count() > 8);
        assert_eq!(parts(&text).collect::<String>(), text);
        let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
        for threads in [1, 2, 7] {
            assert_eq!(tokenizer.encode_on(&text, threads).unwrap(), whole.get_ids());
        }
        assert_eq!(tokenizer.decode(whole.get_ids()).unwrap(), text);
    }

    #[test]
    fn the_document_token_is_one_token_and_never_part_of_another() {
        let tokenizer = Tokenizer::train(&["<|document|>".repeat(1000).as_str(), &prose(500)], 300).unwrap();
        let ids = tokenizer.encode("a<|document|> b").unwrap();
        assert_eq!(ids.iter().filter(|&&id| id == DOCUMENT_ID).count(), 1);
        assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|document|> b");
        let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
        let vocab = json["model"]["vocab"].as_object().unwrap();
        assert!(vocab.keys().all(|token| token == DOCUMENT_TOKEN || !token.contains("document|")), "{vocab:?}");
    }

    #[test]
    fn a_saved_tokenizer_loads_and_saves_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = Tokenizer::train(&[&prose(500)], 400).unwrap();
        tokenizer.save(folder.path(), 128).unwrap();
        let loaded = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(loaded.vocab_size(), tokenizer.vocab_size());
        assert_eq!(loaded.to_json().unwrap(), tokenizer.to_json().unwrap());
        assert_eq!(loaded.encode("The ship's").unwrap(), tokenizer.encode("The ship's").unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn short_texts_give_a_smaller_vocabulary() {
        assert_eq!(Tokenizer::train(&["", "a"], 2048).unwrap().vocab_size(), VOCAB_SIZE_MIN);
        assert_eq!(Tokenizer::train(&[], 2048).unwrap().vocab_size(), VOCAB_SIZE_MIN);
        let tokenizer = Tokenizer::train(&["abab abab"], 2048).unwrap();
        assert!(tokenizer.encode("").unwrap().is_empty());
        assert_eq!(tokenizer.encode("abab").unwrap().len(), 1);
    }

    #[test]
    fn vocabulary_sizes_out_of_range_are_refused() {
        for size in [0, VOCAB_SIZE_MIN - 1, VOCAB_SIZE_MAX + 1] {
            assert!(
                matches!(Tokenizer::train(&["text"], size), Err(TokenizerError::VocabSize(found)) if found == size)
            );
        }
    }

    #[test]
    fn ids_outside_the_vocabulary_are_refused() {
        let tokenizer = Tokenizer::train(&[], 257).unwrap();
        assert!(matches!(tokenizer.decode(&[5, 257]), Err(TokenizerError::UnknownId { id: 257, vocab_size: 257 })));
    }

    #[test]
    fn damaged_tokenizer_files_are_refused() {
        let json = Tokenizer::train(&[&prose(50)], 300).unwrap().to_json().unwrap();
        for bad in ["", "{}", "null", &json[..json.len() / 2]] {
            let error = Tokenizer::from_json(bad.as_bytes()).unwrap_err();
            assert!(matches!(error, TokenizerError::Format(_)), "{error}");
        }
        let error = Tokenizer::from_json(json.replace("\"!\": 1,", "\"!\": 4000000000,").as_bytes()).unwrap_err();
        assert!(matches!(error, TokenizerError::VocabSize(4_000_000_001)), "{error}");
        assert!(matches!(Tokenizer::load(Path::new("no/such/folder")), Err(TokenizerError::Io { .. })));
    }

    /// A tokenizer trained here with parts replaced as in models from elsewhere.
    fn foreign(changes: &[(&str, serde_json::Value)]) -> Result<Tokenizer, TokenizerError> {
        let json = Tokenizer::train(&[&prose(300)], 500).unwrap().to_json().unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (pointer, value) in changes {
            *json.pointer_mut(pointer).unwrap() = value.clone();
        }
        Tokenizer::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn tokenizers_from_elsewhere_are_read() {
        let sequence = |parts: serde_json::Value| json!({ "type": "Sequence", "pretokenizers": parts });
        let byte_level = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
        let digits = json!({ "type": "Digits", "individual_digits": true });
        let split = json!({ "type": "Split", "pattern": { "Regex": "[a-z]+[\\s]*|." }, "behavior": "Isolated", "invert": false });
        let smollm = foreign(&[("/pre_tokenizer", sequence(json!([digits, byte_level(true)])))]).unwrap();
        assert!(smollm.divisible);
        assert!(smollm.encode("1234").unwrap().len() == 4 && smollm.has_documents());
        // A piece may hold whitespace behind letters: such texts are not cut.
        let other = foreign(&[("/pre_tokenizer", sequence(json!([split, byte_level(false)])))]).unwrap();
        assert!(!other.divisible);
        let text = prose(3000);
        for tokenizer in [smollm, other] {
            let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(tokenizer.encode_on(&text, 3).unwrap(), whole.get_ids());
            assert_eq!(tokenizer.decode(whole.get_ids()).unwrap(), text);
        }
        let padded = json!({
            "strategy": { "Fixed": 64 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
            "pad_token": DOCUMENT_TOKEN,
        });
        assert!(foreign(&[("/padding", padded)]).unwrap().encode("a").unwrap().len() == 1);
        assert!(!foreign(&[("/added_tokens/0/rstrip", true.into())]).unwrap().divisible);
    }

    fn replace(pattern: serde_json::Value, content: &str) -> serde_json::Value {
        json!({ "type": "Replace", "pattern": pattern, "content": content })
    }

    fn normalizers(members: Vec<serde_json::Value>) -> serde_json::Value {
        json!({ "type": "Sequence", "normalizers": members })
    }

    #[test]
    fn the_normalizer_of_llama_is_read_and_what_stands_behind_a_text_is_no_beginning() {
        let prepend = json!({ "type": "Prepend", "prepend": "▁" });
        let llama = normalizers(vec![prepend, replace(json!({ "String": " " }), "▁")]);
        let tokenizer = foreign(&[("/normalizer", llama)]).unwrap();
        assert_eq!(tokenizer.encode("a b").unwrap(), tokenizer.encode("a▁b").unwrap());
        let template = |parts: &[&str]| {
            let part = |&part: &&str| match part {
                "A" => json!({ "Sequence": { "id": "A", "type_id": 0 } }),
                token => json!({ "SpecialToken": { "id": token, "type_id": 0 } }),
            };
            let single: Vec<_> = parts.iter().map(part).collect();
            let value = json!({
                "type": "TemplateProcessing", "single": single, "pair": single,
                "special_tokens": { "begin": { "id": "begin", "ids": [7], "tokens": ["x"] }, "end": { "id": "end", "ids": [9], "tokens": ["x"] } },
            });
            foreign(&[("/post_processor", value)]).unwrap().begin().unwrap()
        };
        assert_eq!(template(&["A"]), None);
        assert_eq!(template(&["A", "end"]), None);
        assert_eq!(template(&["begin", "A"]), Some(7));
        assert_eq!(template(&["begin", "A", "end"]), Some(7));
    }

    #[test]
    fn parts_that_are_not_supported_are_refused_by_name() {
        for (expected, pointer, value) in [
            ("its model is Unigram", "/model/type", json!("Unigram")),
            ("dropout", "/model/dropout", json!(0.1)),
            ("continuing_subword_prefix", "/model/continuing_subword_prefix", json!("##")),
            ("end_of_word_suffix", "/model/end_of_word_suffix", json!("</w>")),
            ("its normalizer is BertNormalizer", "/normalizer", json!({ "type": "BertNormalizer" })),
            ("its pre_tokenizer is Whitespace", "/pre_tokenizer", json!({ "type": "Whitespace" })),
            ("its decoder is CTC", "/decoder", json!({ "type": "Sequence", "decoders": [{ "type": "CTC" }] })),
            ("its post_processor is unnamed", "/post_processor", json!(5)),
            ("empty text", "/added_tokens/0/content", json!("")),
            ("has 513 bytes, expected at most 512", "/added_tokens/0/content", json!("x".repeat(513))),
            ("Prepend in its normalizer sets 0 bytes", "/normalizer", json!({ "type": "Prepend", "prepend": "" })),
            ("sets 17 bytes", "/normalizer", json!({ "type": "Prepend", "prepend": "x".repeat(17) })),
            ("Replace in its normalizer has another pattern", "/normalizer", replace(json!({ "String": "" }), "b")),
            ("has another pattern", "/normalizer", replace(json!({ "Regex": "x*" }), "b")),
            ("has another pattern", "/decoder", replace(json!({ "Regex": "x*" }), "b")),
            ("can make a text 17 times as long", "/normalizer", replace(json!({ "String": "." }), &"a".repeat(17))),
            (
                "100 times as long",
                "/normalizer",
                normalizers(vec![replace(json!({ "String": "." }), &"a".repeat(10)); 2]),
            ),
            ("has 9 members", "/normalizer", normalizers(vec![json!({ "type": "NFC" }); 9])),
            ("Strip in its decoder", "/decoder", json!({ "type": "Strip", "content": " ", "start": 0, "stop": 1 })),
        ] {
            let error = foreign(&[(pointer, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    proptest! {
        #[test]
        fn files_with_any_bytes_changed_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), head_only: bool,
        ) {
            let mut json = Tokenizer::train(&[], 257).unwrap().to_json().unwrap().into_bytes();
            let end = if head_only { 1200 } else { json.len() };
            for (at, byte) in changes {
                json[at.index(end)] = byte;
            }
            if let Ok(tokenizer) = Tokenizer::from_json(&json) {
                let _ = tokenizer.encode("It's the 12th\n").and_then(|ids| tokenizer.decode(&ids));
            }
        }

        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            let tokenizer = Tokenizer::train(&[], 257).unwrap();
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(ids.len(), text.len() - (DOCUMENT_TOKEN.len() - 1) * text.matches(DOCUMENT_TOKEN).count());
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
    }

    /// `cargo test --release -p sip-model built_in_texts_in_full -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement of some seconds"]
    fn built_in_texts_in_full() {
        let corpus = Corpus::shipped(sip_data::corpus::MAX_BYTES_DEFAULT).unwrap();
        let texts: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
        let start = std::time::Instant::now();
        let tokenizer = Tokenizer::train(&texts, VOCAB_SIZE_DEFAULT).unwrap();
        println!("train: {:.2?}", start.elapsed());
        for domain in corpus.domains() {
            let start = std::time::Instant::now();
            let ids = tokenizer.encode(&domain.text).unwrap();
            let (seconds, per_token) = (start.elapsed(), domain.text.chars().count() as f64 / ids.len() as f64);
            println!("{}: {} tokens, {per_token:.3} characters each, {seconds:.2?}", domain.name, ids.len());
            assert_eq!(tokenizer.decode(&ids).unwrap(), domain.text);
        }
    }
}

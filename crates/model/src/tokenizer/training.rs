//! Learns a vocabulary from texts, the same on any number of threads.

use std::collections::HashMap;

use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::parallel::{PART_BYTES, in_parallel, parts};
use super::{DOCUMENT_ID, DOCUMENT_TOKEN, Tokenizer, TokenizerError, VOCAB_SIZE_MAX, VOCAB_SIZE_MIN, merges};

/// Of longer texts, merges are learned on an evenly spaced sample of about this many bytes, so that every text has a
/// like say in the vocabulary and training takes seconds.
const SAMPLE_BYTES: usize = 1_500_000;

impl Tokenizer {
    pub(super) fn train_on(texts: &[&str], vocab_size: usize, threads: usize) -> Result<Self, TokenizerError> {
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

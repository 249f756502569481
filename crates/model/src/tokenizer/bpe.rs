//! Byte-pair encoding over the compact tables, to the same tokens as the `tokenizers` library.
//!
//! The library keeps every token twice in maps and reads a file through trees of values; a vocabulary takes six times its file there, a
//! hostile one hundred times. What stands around the vocabulary (normalizers, pieces, templates, decoders) is the library's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::{Model, Token};

use super::table::{Merges, Vocabulary};

/// Pieces that are remembered with their tokens.
const REMEMBERED_MAX: usize = 10_000;
/// Longer pieces are not remembered.
const REMEMBERED_BYTES_MAX: usize = 256;

/// What a file says about its model beside the tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) dropout: Option<f32>,
    pub(crate) unknown: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) suffix: Option<String>,
    pub(crate) fuse_unknown: bool,
    pub(crate) byte_fallback: bool,
    pub(crate) ignore_merges: bool,
}

/// A vocabulary with its merges.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) merges: Merges,
    pub(crate) settings: Settings,
}

/// A model of the `tokenizers` library that answers with ids alone: its tokens have no text and no place.
#[derive(Debug)]
pub(super) struct Bpe {
    tables: Arc<Tables>,
    /// The tokens `<0x00>` to `<0xFF>`.
    bytes: Box<[Option<u32>; 256]>,
    remembered: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl Clone for Bpe {
    /// The tables are shared; what was remembered is not.
    fn clone(&self) -> Bpe {
        Bpe { tables: Arc::clone(&self.tables), bytes: self.bytes.clone(), remembered: RwLock::default() }
    }
}

/// The end of a list of symbols.
const NONE: u32 = u32::MAX;

/// A token of a piece while it is merged.
struct Symbol {
    id: u32,
    before: u32,
    after: u32,
    is_gone: bool,
}

impl Bpe {
    pub(super) fn new(tables: Tables) -> Bpe {
        let mut bytes = Box::new([None; 256]);
        for (byte, id) in bytes.iter_mut().enumerate() {
            *id = tables.vocabulary.id(&format!("<0x{byte:02X}>"));
        }
        Bpe { tables: Arc::new(tables), bytes, remembered: RwLock::default() }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.tables.vocabulary
    }

    /// The tokens of a piece.
    fn ids(&self, piece: &str) -> Result<Box<[u32]>, String> {
        if self.tables.settings.ignore_merges
            && let Some(id) = self.vocabulary().id(piece)
        {
            return Ok([id].into());
        }
        let is_short = piece.len() < REMEMBERED_BYTES_MAX;
        // Another thread that writes is not waited for.
        if let Some(ids) = self.remembered.try_read().ok().filter(|_| is_short).and_then(|all| all.get(piece).cloned())
        {
            return Ok(ids);
        }
        let mut ids = self.characters(piece)?;
        self.merge(&mut ids);
        let ids = ids.into_boxed_slice();
        if is_short
            && let Ok(mut all) = self.remembered.try_write()
            && all.len() < REMEMBERED_MAX
        {
            all.insert(piece.into(), ids.clone());
        }
        Ok(ids)
    }

    /// The tokens of the characters of a piece.
    fn characters(&self, piece: &str) -> Result<Vec<u32>, String> {
        let settings = &self.tables.settings;
        let mut ids = Vec::with_capacity(piece.len());
        let mut unknown = None;
        let mut buffer = [0; 4];
        for character in piece.chars() {
            let text: &str = character.encode_utf8(&mut buffer);
            if let Some(id) = self.vocabulary().id(text) {
                ids.extend(unknown.take());
                ids.push(id);
                continue;
            }
            if settings.byte_fallback && text.bytes().all(|byte| self.bytes[usize::from(byte)].is_some()) {
                ids.extend(text.bytes().filter_map(|byte| self.bytes[usize::from(byte)]));
                continue;
            }
            let Some(token) = &settings.unknown else { continue };
            if !settings.fuse_unknown {
                ids.extend(unknown.take());
            }
            if unknown.is_none() {
                let id = self.vocabulary().id(token);
                unknown = Some(id.ok_or_else(|| format!("the unknown token {token} is not in the vocabulary"))?);
            }
        }
        ids.extend(unknown);
        Ok(ids)
    }

    /// Merges neighbours, the lowest rank first and of equals the first place, until no two make a token.
    fn merge(&self, ids: &mut Vec<u32>) {
        let merges = &self.tables.merges;
        let last = ids.len().saturating_sub(1) as u32;
        let mut symbols: Vec<Symbol> = (0u32..)
            .zip(ids.iter())
            .map(|(at, &id)| Symbol {
                id,
                before: at.checked_sub(1).unwrap_or(NONE),
                after: if at == last { NONE } else { at + 1 },
                is_gone: false,
            })
            .collect();
        // (rank, place, what it gives)
        let entry = |at: u32, left: u32, right: u32| merges.get(left, right).map(|(rank, id)| Reverse((rank, at, id)));
        let pairs = (0u32..).zip(ids.windows(2));
        let mut queue: BinaryHeap<Reverse<(u32, u32, u32)>> =
            pairs.filter_map(|(at, pair)| entry(at, pair[0], pair[1])).collect();
        while let Some(Reverse((_, at, merged))) = queue.pop() {
            let Symbol { id, before, after, is_gone } = symbols[at as usize];
            if is_gone || after == NONE {
                continue;
            }
            let right = &mut symbols[after as usize];
            // The neighbours may have changed since.
            if merges.get(id, right.id).is_none_or(|(_, id)| id != merged) {
                continue;
            }
            right.is_gone = true;
            let next = right.after;
            (symbols[at as usize].id, symbols[at as usize].after) = (merged, next);
            if next != NONE {
                symbols[next as usize].before = at;
                queue.extend(entry(at, merged, symbols[next as usize].id));
            }
            if before != NONE {
                queue.extend(entry(before, symbols[before as usize].id, merged));
            }
        }
        ids.clear();
        ids.extend(symbols.iter().filter(|symbol| !symbol.is_gone).map(|symbol| symbol.id));
    }
}

impl Model for Bpe {
    type Trainer = BpeTrainer;

    fn tokenize(&self, piece: &str) -> tokenizers::Result<Vec<Token>> {
        let ids = self.ids(piece)?;
        Ok(ids.iter().map(|&id| Token::new(id, String::new(), (0, 0))).collect())
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary().id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.vocabulary().token(id).map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.vocabulary().iter().map(|(token, id)| (token.to_owned(), id)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary().len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a vocabulary is saved within tokenizer.json".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}

impl Serialize for Bpe {
    /// The keys in the library's order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = &self.tables.settings;
        let mut model = serializer.serialize_struct("BPE", 10)?;
        model.serialize_field("type", "BPE")?;
        model.serialize_field("dropout", &settings.dropout)?;
        model.serialize_field("unk_token", &settings.unknown)?;
        model.serialize_field("continuing_subword_prefix", &settings.prefix)?;
        model.serialize_field("end_of_word_suffix", &settings.suffix)?;
        model.serialize_field("fuse_unk", &settings.fuse_unknown)?;
        model.serialize_field("byte_fallback", &settings.byte_fallback)?;
        model.serialize_field("ignore_merges", &settings.ignore_merges)?;
        model.serialize_field("vocab", &TokensOf(&self.tables))?;
        model.serialize_field("merges", &MergesOf(&self.tables))?;
        model.end()
    }
}

struct TokensOf<'a>(&'a Tables);

impl Serialize for TokensOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.vocabulary.iter())
    }
}

struct MergesOf<'a>(&'a Tables);

impl Serialize for MergesOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Tables { vocabulary, merges, .. } = self.0;
        let mut list = serializer.serialize_seq(None)?;
        for merge in merges.iter() {
            list.serialize_element(&[merge.left, merge.right].map(|id| vocabulary.token(id).unwrap_or_default()))?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tokenizer;
    use proptest::prelude::*;
    use serde_json::json;

    /// A file with a vocabulary of some letters, bytes as tokens, and merges of what there is.
    fn file(letters: &str, choices: &[(usize, usize)], flags: [bool; 4], ids_step: u32) -> String {
        let [fuse, fallback, ignore, unknown] = flags;
        let mut tokens: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        tokens.push("<unk>".to_owned());
        let mut parts: Vec<String> = letters.chars().map(String::from).collect();
        let mut merges: Vec<[String; 2]> = Vec::new();
        for &(left, right) in choices {
            let pair = [parts[left % parts.len()].clone(), parts[right % parts.len()].clone()];
            if !parts.contains(&pair.concat()) {
                parts.push(pair.concat());
            }
            merges.push(pair);
        }
        tokens.extend(parts);
        let ids = (0..).step_by(ids_step as usize);
        let vocab: serde_json::Map<String, serde_json::Value> =
            tokens.iter().zip(ids).map(|(token, id): (&String, u32)| (token.clone(), id.into())).collect();
        let decoder = json!({ "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, { "type": "Fuse" }] });
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
            "added_tokens": [{
                "id": 256 * ids_step, "content": "<unk>", "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false,
            }],
            "post_processor": null, "decoder": decoder,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": unknown.then_some("<unk>"),
                "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": fuse,
                "byte_fallback": fallback, "ignore_merges": ignore, "vocab": vocab, "merges": merges,
            },
        })
        .to_string()
    }

    proptest! {
        #[test]
        fn tokens_texts_and_files_are_those_of_the_library(
            choices in prop::collection::vec((0usize..40, 0usize..40), 0..40),
            flags: [bool; 4],
            ids_step in 1u32..3,
            texts in prop::collection::vec("[abcéx ]{0,40}", 1..6),
        ) {
            let file = file("abcé", &choices, flags, ids_step);
            let library = tokenizers::Tokenizer::from_bytes(&file).unwrap();
            let own = Tokenizer::from_json(file.as_bytes()).unwrap();
            // Twice: the second time pieces are remembered.
            for text in texts.iter().chain(&texts) {
                let expected = library.encode_fast(text.as_str(), false).unwrap();
                let ids = expected.get_ids();
                prop_assert_eq!(own.encode(text).unwrap(), ids);
                prop_assert_eq!(own.decode(ids).unwrap(), library.decode(ids, false).unwrap());
            }
            prop_assert_eq!(own.to_json().unwrap(), library.to_string(true).unwrap());
            let largest = library.get_vocab(true).into_values().max().unwrap();
            prop_assert_eq!(own.vocab_size(), largest as usize + 1);
        }
    }
}

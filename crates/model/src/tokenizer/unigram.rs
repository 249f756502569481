//! Unigram tokenizers of SentencePiece (Kudo 2018) over a compact table, to the same tokens as the `tokenizers` library: of all ways to write
//! a piece as tokens, the likeliest.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::{Model, Token};

use super::table::Vocabulary;

/// Bytes of memory of a token beside those of the vocabulary.
pub(crate) const SCORED_BYTES: usize = size_of::<f64>() + size_of::<u32>();
/// A character that is no token is less likely than every token by this much.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Tokens with their scores; ids are places.
#[derive(Debug)]
pub(crate) struct Scored {
    pub(crate) vocabulary: Vocabulary,
    /// The logarithm of each token's likelihood, by id.
    pub(crate) scores: Vec<f64>,
    /// The token of characters that are no token.
    pub(crate) unknown: Option<u32>,
    pub(crate) byte_fallback: bool,
}

/// A model of the `tokenizers` library that answers with ids alone: its tokens have no text and no place.
#[derive(Clone, Debug)]
pub(super) struct Unigram {
    scored: Arc<Scored>,
    /// The ids in the order of the tokens' bytes.
    sorted: Arc<Vec<u32>>,
    /// The tokens `<0x00>` to `<0xFF>`.
    bytes: Arc<[Option<u32>; 256]>,
    unknown_score: f64,
}

/// The likeliest way to a place of a piece.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    /// Where its last token begins; [`NOWHERE`] before there is a way.
    start: u32,
    id: u32,
}

const NOWHERE: u32 = u32::MAX;

impl Unigram {
    pub(super) fn new(scored: Scored) -> Unigram {
        let vocabulary = &scored.vocabulary;
        let mut sorted = Vec::with_capacity(vocabulary.len());
        sorted.extend(0..vocabulary.len() as u32);
        sorted.sort_unstable_by_key(|&id| vocabulary.token(id));
        let bytes = std::array::from_fn(|byte| vocabulary.id(&format!("<0x{byte:02X}>")));
        let least = scored.scores.iter().copied().fold(f64::INFINITY, f64::min);
        let unknown_score = least - UNKNOWN_PENALTY;
        Unigram { scored: Arc::new(scored), sorted: Arc::new(sorted), bytes: Arc::new(bytes), unknown_score }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.scored.vocabulary
    }

    fn text(&self, place: usize) -> &[u8] {
        self.vocabulary().token(self.sorted[place]).unwrap_or_default().as_bytes()
    }

    /// Calls `each` with every token that a text begins with and its bytes, the shortest first.
    fn beginnings(&self, text: &[u8], mut each: impl FnMut(usize, u32)) {
        let mut range: Range<usize> = 0..self.sorted.len();
        for (length, &byte) in text.iter().enumerate() {
            // Among tokens that are alike so far, those that end here come first.
            let places = |range: &Range<usize>, is_before: &dyn Fn(Option<u8>) -> bool| {
                let (mut low, mut high) = (range.start, range.end);
                while low < high {
                    let middle = low.midpoint(high);
                    match is_before(self.text(middle).get(length).copied()) {
                        true => low = middle + 1,
                        false => high = middle,
                    }
                }
                low
            };
            let start = places(&range, &|found| found < Some(byte));
            let end = places(&(start..range.end), &|found| found <= Some(byte));
            range = start..end;
            if range.is_empty() {
                return;
            }
            if self.text(range.start).len() == length + 1 {
                each(length + 1, self.sorted[range.start]);
            }
        }
    }

    /// The tokens of a piece.
    fn ids(&self, piece: &str) -> Result<Vec<u32>, String> {
        let Scored { scores, unknown, .. } = &*self.scored;
        if u32::try_from(piece.len()).is_err() {
            return Err("a piece of 4 GiB or more is not split".to_owned());
        }
        let mut steps = vec![Step { score: 0.0, start: NOWHERE, id: 0 }; piece.len() + 1];
        let is_better = |step: &Step, score: f64| step.start == NOWHERE || score > step.score;
        for (start, character) in piece.char_indices() {
            let (here, mut is_token) = (steps[start].score, false);
            self.beginnings(&piece.as_bytes()[start..], |length, id| {
                let (step, score) = (&mut steps[start + length], scores[id as usize] + here);
                if is_better(step, score) {
                    *step = Step { score, start: start as u32, id };
                }
                is_token |= length == character.len_utf8();
            });
            let (step, score) = (&mut steps[start + character.len_utf8()], self.unknown_score + here);
            if !is_token && is_better(step, score) {
                let id = unknown.ok_or("a character is no token, and the tokenizer has no unk_id for it")?;
                *step = Step { score, start: start as u32, id };
            }
        }
        let mut ids = Vec::new();
        let (mut end, mut unknown_end) = (piece.len(), None);
        while end > 0 {
            let Step { start, id, .. } = steps[end];
            // Unknown characters next to each other are one token.
            if Some(id) == *unknown {
                unknown_end = unknown_end.or(Some(end));
            } else {
                if let Some(unknown_end) = unknown_end.take() {
                    self.push_unknown(&piece[end..unknown_end], &mut ids);
                }
                ids.push(id);
            }
            end = start as usize;
        }
        if let Some(unknown_end) = unknown_end {
            self.push_unknown(&piece[..unknown_end], &mut ids);
        }
        ids.reverse();
        Ok(ids)
    }

    /// What stands for unknown characters, the last first.
    fn push_unknown(&self, text: &str, ids: &mut Vec<u32>) {
        if let Some(id) = self.vocabulary().id(text) {
            ids.push(id);
        } else if self.scored.byte_fallback && text.bytes().all(|byte| self.bytes[usize::from(byte)].is_some()) {
            ids.extend(text.bytes().rev().filter_map(|byte| self.bytes[usize::from(byte)]));
        } else {
            ids.extend(self.scored.unknown);
        }
    }
}

impl Model for Unigram {
    type Trainer = BpeTrainer;

    fn tokenize(&self, piece: &str) -> tokenizers::Result<Vec<Token>> {
        let ids = self.ids(piece)?;
        Ok(ids.into_iter().map(|id| Token::new(id, String::new(), (0, 0))).collect())
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

impl Serialize for Unigram {
    /// The keys in the library's order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut model = serializer.serialize_struct("Unigram", 4)?;
        model.serialize_field("type", "Unigram")?;
        model.serialize_field("unk_id", &self.scored.unknown)?;
        model.serialize_field("vocab", &TokensOf(&self.scored))?;
        model.serialize_field("byte_fallback", &self.scored.byte_fallback)?;
        model.end()
    }
}

struct TokensOf<'a>(&'a Scored);

impl Serialize for TokensOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Scored { vocabulary, scores, .. } = self.0;
        let mut list = serializer.serialize_seq(None)?;
        for ((token, _), score) in vocabulary.iter().zip(scores) {
            list.serialize_element(&(token, score))?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tokenizer;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn file(pieces: &[(String, f64)], has_bytes: bool, unknown: Option<usize>) -> Value {
        let mut vocab = vec![json!(["<unk>", 0.0]), json!(["<s>", 0.0])];
        if has_bytes {
            vocab.extend((0..=255).map(|byte| json!([format!("<0x{byte:02X}>"), -20.0])));
        }
        // A vocabulary has a least size.
        vocab.extend((0x4E00..0x4F00).filter_map(char::from_u32).map(|letter| json!([letter, -30.0])));
        vocab.extend(pieces.iter().map(|(piece, score)| json!([piece, score])));
        let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": metaspace,
            "added_tokens": [{
                "id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false,
            }],
            "post_processor": null, "decoder": metaspace,
            "model": { "type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": has_bytes },
        })
    }

    proptest! {
        #[test]
        fn tokens_texts_and_files_are_those_of_the_library(
            pieces in prop::collection::btree_map("▁?[abcé]{1,4}", -30i32..0, 0..40),
            has_bytes: bool,
            unknown in prop::option::weighted(0.9, 0usize..2),
            texts in prop::collection::vec("[abcéx ]{0,40}(<s>)?", 1..6),
        ) {
            // Halves, so that sums tie often.
            let pieces: Vec<(String, f64)> = pieces.into_iter().map(|(piece, score)| (piece, f64::from(score) / 2.0)).collect();
            let file = file(&pieces, has_bytes, unknown).to_string();
            let library = tokenizers::Tokenizer::from_bytes(&file).unwrap();
            let own = Tokenizer::from_json(file.as_bytes()).unwrap();
            for text in &texts {
                match library.encode_fast(text.as_str(), false) {
                    Ok(expected) => {
                        let ids = expected.get_ids();
                        prop_assert_eq!(own.encode(text).unwrap(), ids, "{}", text);
                        prop_assert_eq!(own.decode(ids).unwrap(), library.decode(ids, false).unwrap());
                    }
                    Err(_) => prop_assert!(own.encode(text).is_err()),
                }
            }
            prop_assert_eq!(own.to_json().unwrap(), library.to_string(true).unwrap());
        }
    }
}

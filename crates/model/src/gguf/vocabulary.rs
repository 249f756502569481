//! The tokenizer in a GGUF file's metadata: its vocabulary and merges go from the file's tables into those of the tokenizer, and are no JSON
//! on the way; only the small parts around them are written as in a `tokenizer.json`.

use base64::Engine;
use serde_json::{Value as Json, json};
use sip_data::shown;
use sip_json::Budget;
use tokenizers::AddedToken;

use super::container::{Container, Texts, Value};
use crate::tokenizer::{
    FLOOR_BYTES, MERGE_BYTES, MERGES_MAX, Merge, Merges, Parts, Pieces, SCORED_BYTES, Scored, Settings, Tables,
    Tokenizer, TokenizerError, VOCAB_SIZE_MAX, Vocabulary, merge_of,
};

/// Bytes of a token at most; the longest of models are some hundred spaces.
const TOKEN_BYTES_MAX: usize = 4 << 10;
/// The same where all ways to spell it are tried.
const SPLIT_BYTES_MAX: usize = 512;

/// Kinds of tokens in `tokenizer.ggml.token_type`.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

/// The pieces of GPT-2: contractions, letters, digits, other characters, whitespace.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Those of Llama 3: up to three digits, and line ends apart.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Those of Qwen 2: every digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What files without a name for their pieces are cut into, one pattern after the other.
const DEFAULT: [&str; 4] = [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"];

/// The tokenizer that the metadata describes.
///
/// Tables are counted before they are made, within three bytes of memory a byte of the file's tables, what is read of them among that.
///
/// # Errors
/// Metadata that is missing or contradicts itself, and kinds other than BPE and Unigram.
pub(super) fn tokenizer(container: &Container) -> Result<Tokenizer, TokenizerError> {
    let table_bytes = usize::try_from(container.data_start).unwrap_or(usize::MAX);
    let mut budget = Budget::new(table_bytes, FLOOR_BYTES);
    budget.take(container.metadata_bytes())?;
    build(container, &mut budget).map_err(|error| match error {
        TokenizerError::Format(reason) => TokenizerError::Format(format!("tokenizer of the GGUF file: {reason}")),
        other => other,
    })
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, TokenizerError> {
    Err(TokenizerError::Format(reason.into()))
}

/// Tokens of a file with what is said of each.
struct Tokens<'a> {
    container: &'a Container,
    texts: &'a Texts,
    /// By token, or empty.
    kinds: &'a [u32],
}

impl<'a> Tokens<'a> {
    fn read(container: &'a Container) -> Result<Tokens<'a>, TokenizerError> {
        let texts = texts(container, "tokenizer.ggml.tokens")?;
        if texts.len() > VOCAB_SIZE_MAX {
            return Err(TokenizerError::VocabSize(texts.len()));
        }
        if let Some(long) = texts.iter().find(|token| token.len() > TOKEN_BYTES_MAX) {
            return refuse(format!("a token has {} bytes, expected at most {TOKEN_BYTES_MAX}", long.len()));
        }
        let kinds: &[u32] = match container.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::Words(kinds)) if kinds.len() == texts.len() => kinds,
            None => &[],
            Some(other) => {
                return refuse(format!("tokenizer.ggml.token_type is {other}, expected {} numbers", texts.len()));
            }
        };
        Ok(Tokens { container, texts, kinds })
    }

    fn kind(&self, id: usize) -> u32 {
        self.kinds.get(id).copied().unwrap_or(0)
    }

    /// Tokens of some kinds, which are found in a text before it is cut into pieces.
    fn added(&self, kinds: &'a [u32], budget: &mut Budget) -> Result<Vec<AddedToken>, TokenizerError> {
        let chosen = || self.texts.iter().enumerate().filter(|&(id, _)| kinds.contains(&self.kind(id)));
        budget.take(chosen().map(|(_, token)| size_of::<AddedToken>() + token.len()).sum())?;
        let mut added = Vec::with_capacity(chosen().count());
        added.extend(
            chosen().map(|(id, token)| AddedToken::from(token, self.kind(id) != USER_DEFINED).normalized(false)),
        );
        Ok(added)
    }

    /// The token that a key of the metadata names by its id.
    fn named(&self, key: &str) -> Option<(u64, &'a str)> {
        let id = self.container.metadata.get(key).and_then(Value::as_u64)?;
        Some((id, self.texts.get(usize::try_from(id).ok()?)?))
    }

    /// The token of characters that are no token, by the file's word or by its kind.
    fn unknown(&self) -> Option<(u64, &'a str)> {
        let of_kind = || self.texts.iter().enumerate().find(|&(id, _)| self.kind(id) == UNKNOWN);
        self.named("tokenizer.ggml.unknown_token_id").or_else(|| of_kind().map(|(id, token)| (id as u64, token)))
    }

    /// How likely each token is, where the file says it.
    fn scores(&self) -> Result<Option<&'a [f32]>, TokenizerError> {
        let count = self.texts.len();
        match self.container.metadata.get("tokenizer.ggml.scores") {
            None => Ok(None),
            Some(Value::Floats(scores)) if scores.len() == count && scores.iter().all(|score| score.is_finite()) => {
                Ok(Some(scores))
            }
            Some(other) => refuse(format!("tokenizer.ggml.scores is {other}, expected {count} finite numbers")),
        }
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.container.metadata.get(key) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }
}

fn texts<'a>(container: &'a Container, key: &str) -> Result<&'a Texts, TokenizerError> {
    match container.metadata.get(key) {
        Some(Value::Texts(texts)) => Ok(texts),
        _ => refuse(format!("{key} is missing or no array of texts")),
    }
}

fn build(container: &Container, budget: &mut Budget) -> Result<Tokenizer, TokenizerError> {
    let kind = container.text("tokenizer.ggml.model").unwrap_or("unnamed");
    if !["gpt2", "llama", "t5"].contains(&kind) {
        return refuse(format!(
            "tokenizer.ggml.model is {}, but only gpt2 (byte-level BPE), llama (SentencePiece BPE) and t5 (Unigram) are supported",
            shown(kind)
        ));
    }
    let tokens = Tokens::read(container)?;
    if kind == "llama" {
        return sentence_pieces(&tokens, budget);
    }
    if kind == "t5" {
        return unigram(&tokens, budget);
    }
    let merges = texts(container, "tokenizer.ggml.merges")?;
    let name = container.text("tokenizer.ggml.pre");
    let Some((pre_tokenizer, whole_words)) = pre_tokenizer(name) else {
        let name = shown(name.unwrap_or("unnamed"));
        return refuse(format!("tokenizer.ggml.pre is {name}, expected smollm, gpt-2, llama-bpe, qwen2 or default"));
    };
    let vocabulary = Vocabulary::of(tokens.texts.iter(), budget)?;
    let merges = given_merges(merges, &vocabulary, budget)?;
    let added = tokens.added(&[CONTROL, USER_DEFINED], budget)?;
    // Without the flag, what the models with this name expect.
    let begin = tokens.flag("tokenizer.ggml.add_bos_token").unwrap_or(whole_words);
    let bos = tokens.named("tokenizer.ggml.bos_token_id").filter(|_| begin);
    let parts = Parts {
        normalizer: Json::Null,
        pre_tokenizer,
        post_processor: bos.map_or(Json::Null, |(id, token)| before_texts(id, token)),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
    };
    let settings = Settings { ignore_merges: whole_words, ..Settings::default() };
    Tokenizer::from_pieces(parts, Pieces::Merged(Tables { vocabulary, merges, settings }), &added, budget)
}

/// Merges as files have them: two tokens with a space between. Tokens hold no space: both alphabets have another character for it.
fn given_merges(merges: &Texts, vocabulary: &Vocabulary, budget: &mut Budget) -> Result<Merges, TokenizerError> {
    if merges.len() > MERGES_MAX {
        return refuse(format!("it has {} merges, expected at most {MERGES_MAX}", merges.len()));
    }
    budget.take(merges.len() * MERGE_BYTES)?;
    let mut rows = Vec::with_capacity(merges.len());
    let mut whole = String::new();
    for merge in merges.iter() {
        let Some((left, right)) = merge.split_once(' ') else {
            return refuse("a merge is not two tokens with a space between");
        };
        rows.push(merge_of(left, right, vocabulary, &mut whole).map_err(TokenizerError::Format)?);
    }
    Ok(Merges::from_rows(rows))
}

/// The tokenizer of SentencePiece: two neighbours become the token that they spell, the likeliest token first. As a list of merges, in
/// the order in which `transformers` makes it.
fn sentence_pieces(tokens: &Tokens<'_>, budget: &mut Budget) -> Result<Tokenizer, TokenizerError> {
    let given = match tokens.container.metadata.get("tokenizer.ggml.merges") {
        Some(Value::Texts(merges)) => Some(merges),
        _ => None,
    };
    // Some writers keep the merges themselves; others neither, and then all tokens are equally likely.
    let scores = tokens.scores()?.unwrap_or(&[]);
    let vocabulary = Vocabulary::of(tokens.texts.iter(), budget)?;
    let merges = match given.filter(|_| scores.is_empty()) {
        Some(given) => given_merges(given, &vocabulary, budget)?,
        None => scored_merges(tokens.texts, scores, &vocabulary, budget)?,
    };
    let added = tokens.added(&[UNKNOWN, CONTROL, USER_DEFINED], budget)?;
    let unknown = tokens.unknown().map(|(_, token)| token);
    let begin = tokens.flag("tokenizer.ggml.add_bos_token").unwrap_or(true);
    let bos = tokens.named("tokenizer.ggml.bos_token_id").filter(|_| begin);
    let spaced = tokens.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let replaced = |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
    let mut normalizers = vec![replaced(" ", "\u{2581}")];
    let mut decoders = vec![replaced("\u{2581}", " "), json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    if spaced {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": "\u{2581}" }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let parts = Parts {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Json::Null,
        post_processor: bos.map_or(Json::Null, |(id, token)| before_texts(id, token)),
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
    };
    let unknown = unknown.map(str::to_owned);
    let settings = Settings { unknown, fuse_unknown: true, byte_fallback: true, ..Settings::default() };
    Tokenizer::from_pieces(parts, Pieces::Merged(Tables { vocabulary, merges, settings }), &added, budget)
}

/// The Unigram tokenizer of SentencePiece: of all ways to write a text as tokens, the likeliest.
fn unigram(tokens: &Tokens<'_>, budget: &mut Budget) -> Result<Tokenizer, TokenizerError> {
    let Some(scores) = tokens.scores()? else { return refuse("tokenizer.ggml.scores is missing") };
    let vocabulary = Vocabulary::of(tokens.texts.iter(), budget)?;
    budget.take(tokens.texts.len() * SCORED_BYTES)?;
    let mut exact = Vec::with_capacity(scores.len());
    exact.extend(scores.iter().copied().map(f64::from));
    let added = tokens.added(&[UNKNOWN, CONTROL, USER_DEFINED], budget)?;
    let mut normalizers = Vec::new();
    match tokens.container.metadata.get("tokenizer.ggml.precompiled_charsmap") {
        Some(Value::Bytes(table)) if !table.is_empty() => {
            budget.take(2 * table.len())?;
            let table = base64::engine::general_purpose::STANDARD.encode(table);
            normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": table }));
        }
        None | Some(Value::Bytes(_)) => {}
        Some(other) => return refuse(format!("tokenizer.ggml.precompiled_charsmap is {other}, expected bytes")),
    }
    if tokens.flag("tokenizer.ggml.remove_extra_whitespaces").unwrap_or(false) {
        normalizers.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        normalizers.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    let spaced = tokens.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let scheme = if spaced { "always" } else { "never" };
    let metaspace = json!({ "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": false });
    let begin = tokens.flag("tokenizer.ggml.add_bos_token").unwrap_or(false);
    let bos = tokens.named("tokenizer.ggml.bos_token_id").filter(|_| begin);
    let parts = Parts {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: metaspace.clone(),
        post_processor: bos.map_or(Json::Null, |(id, token)| before_texts(id, token)),
        decoder: metaspace,
    };
    let unknown = tokens.unknown().and_then(|(id, _)| u32::try_from(id).ok());
    let scored = Scored { vocabulary, scores: exact, unknown, byte_fallback: false };
    Tokenizer::from_pieces(parts, Pieces::Scored(scored), &added, budget)
}

/// Every way in which two tokens spell a third, the likeliest third first; of equally likely ones first that whose parts are longest, then
/// in the order of the ids.
fn scored_merges(
    texts: &Texts,
    scores: &[f32],
    vocabulary: &Vocabulary,
    budget: &mut Budget,
) -> Result<Merges, TokenizerError> {
    if let Some(long) = texts.iter().find(|token| token.len() > SPLIT_BYTES_MAX) {
        return refuse(format!("a token has {} bytes, expected at most {SPLIT_BYTES_MAX}", long.len()));
    }
    let all = || {
        texts.iter().zip(0..).flat_map(|(token, id)| {
            let splits = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            splits.filter_map(move |(left, right)| {
                Some(Merge { left: vocabulary.id(left)?, right: vocabulary.id(right)?, id })
            })
        })
    };
    // Counted first, so that the list is made in its size; no longer than it may be.
    let count = all().take(MERGES_MAX + 1).count();
    if count > MERGES_MAX {
        return refuse(format!("its tokens spell each other in more than {MERGES_MAX} ways"));
    }
    budget.take(count * MERGE_BYTES)?;
    let mut rows: Vec<Merge> = Vec::with_capacity(count);
    rows.extend(all());
    let length = |id: u32| texts.get(id as usize).map_or(0, |token| token.chars().count());
    let score = |merge: &Merge| scores.get(merge.id as usize).copied().unwrap_or(0.0);
    let lengths = |merge: &Merge| (length(merge.left), length(merge.right));
    rows.sort_unstable_by(|a, b| {
        let by_score = score(b).total_cmp(&score(a));
        let by_length = || lengths(b).cmp(&lengths(a));
        by_score.then_with(by_length).then_with(|| (a.id, a.left, a.right).cmp(&(b.id, b.left, b.right)))
    });
    Ok(Merges::from_rows(rows))
}

/// How texts are cut into pieces by the name in the metadata, and whether a piece that is a token is one without merging.
fn pre_tokenizer(name: Option<&str>) -> Option<(Json, bool)> {
    let byte_level = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let split = |pattern: &str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
    let sequence = |parts: Vec<Json>| json!({ "type": "Sequence", "pretokenizers": parts });
    Some(match name {
        Some("gpt-2") => (byte_level(true), false),
        Some("smollm") => {
            (sequence(vec![json!({ "type": "Digits", "individual_digits": true }), byte_level(true)]), false)
        }
        Some("llama-bpe" | "llama3" | "llama-v3") => (sequence(vec![split(LLAMA3), byte_level(false)]), true),
        Some("qwen2") => (sequence(vec![split(QWEN2), byte_level(false)]), false),
        Some("default") | None => {
            let mut parts: Vec<Json> = DEFAULT.into_iter().map(split).collect();
            parts.push(byte_level(false));
            (sequence(parts), false)
        }
        Some(_) => return None,
    })
}

/// A template that sets a token before every text.
fn before_texts(id: u64, token: &str) -> Json {
    let special = |sequence: u32| json!({ "SpecialToken": { "id": token, "type_id": sequence } });
    let text = |name: &str, sequence: u32| json!({ "Sequence": { "id": name, "type_id": sequence } });
    json!({
        "type": "TemplateProcessing",
        "single": [special(0), text("A", 0)],
        "pair": [special(0), text("A", 0), special(1), text("B", 1)],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The order in which `transformers` makes merges: token after token, the ways of each by the ids of its parts, then by score and length
    /// with a sort that keeps the order of equals.
    fn slow(tokens: &[String], scores: &[f32]) -> Vec<Merge> {
        let ids: BTreeMap<&str, u32> = tokens.iter().map(String::as_str).zip(0..).collect();
        let mut merges = Vec::new();
        for (token, id) in tokens.iter().zip(0..) {
            let splits = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            let mut own: Vec<Merge> = splits
                .filter_map(|(left, right)| Some(Merge { left: *ids.get(left)?, right: *ids.get(right)?, id }))
                .collect();
            own.sort_by_key(|merge| (merge.left, merge.right));
            merges.extend(own);
        }
        let chars = |id: u32| tokens[id as usize].chars().count();
        let lengths = |merge: &Merge| (chars(merge.left), chars(merge.right));
        merges.sort_by(|a, b| {
            let scores = scores[b.id as usize].total_cmp(&scores[a.id as usize]);
            scores.then(lengths(b).cmp(&lengths(a)))
        });
        merges
    }

    proptest! {
        #[test]
        fn merges_by_score_have_the_order_of_transformers(
            tokens in prop::collection::btree_set("[a\u{e9}]{1,5}", 1..40),
            seed in prop::collection::vec(0u8..4, 40),
        ) {
            let mut tokens: Vec<String> = tokens.into_iter().collect();
            tokens.sort_by_key(|token| token.bytes().map(u64::from).fold(0, |sum, byte| sum * 31 + byte) % 97);
            let scores: Vec<f32> = tokens.iter().zip(&seed).map(|(_, &score)| -f32::from(score)).collect();
            let texts: Texts = tokens.iter().map(String::as_str).collect();
            let mut budget = Budget::new(0, 1 << 20);
            let vocabulary = Vocabulary::of(texts.iter(), &mut budget).unwrap();
            let found = scored_merges(&texts, &scores, &vocabulary, &mut budget).unwrap();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), slow(&tokens, &scores));
        }
    }
}

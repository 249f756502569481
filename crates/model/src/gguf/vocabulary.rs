//! The tokenizer in a GGUF file's metadata, as a `tokenizer.json`.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use sip_data::shown;

use super::container::{Container, Value};
use crate::tokenizer::{Tokenizer, TokenizerError, VOCAB_SIZE_MAX};

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
/// # Errors
/// Metadata that is missing or contradicts itself, and kinds other than BPE.
pub(super) fn tokenizer(container: &Container) -> Result<Tokenizer, TokenizerError> {
    let format_error = |reason: String| TokenizerError::Format(format!("tokenizer of the GGUF file: {reason}"));
    let kind = container.text("tokenizer.ggml.model").unwrap_or("unnamed");
    if !["gpt2", "llama"].contains(&kind) {
        return Err(format_error(format!(
            "tokenizer.ggml.model is {}, but only gpt2 (byte-level BPE) and llama (SentencePiece BPE) are supported",
            shown(kind)
        )));
    }
    let texts = |key: &str| match container.metadata.get(key) {
        Some(Value::Texts(texts)) => Ok(texts),
        _ => Err(format_error(format!("{key} is missing or no array of texts"))),
    };
    let tokens = texts("tokenizer.ggml.tokens")?;
    if tokens.len() > VOCAB_SIZE_MAX {
        return Err(TokenizerError::VocabSize(tokens.len()));
    }
    let types: &[u32] = match container.metadata.get("tokenizer.ggml.token_type") {
        Some(Value::Words(types)) if types.len() == tokens.len() => types,
        None => &[],
        Some(other) => {
            return Err(format_error(format!(
                "tokenizer.ggml.token_type is {other}, expected {} numbers",
                tokens.len()
            )));
        }
    };
    if kind == "llama" {
        return sentence_pieces(container, tokens, types).map_err(format_error)?;
    }
    let merges = texts("tokenizer.ggml.merges")?;
    let name = container.text("tokenizer.ggml.pre");
    let (pre_tokenizer, whole_words) = pre_tokenizer(name).ok_or_else(|| {
        let name = shown(name.unwrap_or("unnamed"));
        format_error(format!("tokenizer.ggml.pre is {name}, expected smollm, gpt-2, llama-bpe, qwen2 or default"))
    })?;

    let mut vocab = Map::new();
    let mut added = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        if vocab.insert(token.clone(), id.into()).is_some() {
            return Err(format_error(format!("token \"{}\" is there twice", shown(token))));
        }
        let kind = types.get(id).copied().unwrap_or(0);
        if kind == CONTROL || kind == USER_DEFINED {
            added.push(json!({
                "id": id, "content": token, "special": kind == CONTROL,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            }));
        }
    }
    let pairs: Option<Vec<[&str; 2]>> = merges
        .iter()
        // Tokens hold no space: the byte-level alphabet has another character for it.
        .map(|merge| merge.split_once(' ').map(|(left, right)| [left, right]))
        .collect();
    let pairs = pairs.ok_or_else(|| format_error("a merge is not two tokens with a space between".to_owned()))?;

    let begin = match container.metadata.get("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(add)) => *add,
        // What the models with this name expect.
        _ => whole_words,
    };
    let bos = container.metadata.get("tokenizer.ggml.bos_token_id").and_then(Value::as_u64).filter(|_| begin);
    let bos = bos.and_then(|id| Some((id, tokens.get(usize::try_from(id).ok()?)?)));
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": bos.map_or(Json::Null, |(id, token)| before_texts(id, token)),
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": whole_words,
            "vocab": vocab, "merges": pairs,
        },
    });
    Tokenizer::from_json(file.to_string().as_bytes())
}

/// The tokenizer of SentencePiece: two neighbours become the token that they spell, the likeliest token first. As a list of merges, in
/// the order in which `transformers` makes it.
fn sentence_pieces(
    container: &Container,
    tokens: &[String],
    types: &[u32],
) -> Result<Result<Tokenizer, TokenizerError>, String> {
    let given = match container.metadata.get("tokenizer.ggml.merges") {
        Some(Value::Texts(merges)) => Some(merges),
        _ => None,
    };
    let scores: &[f32] = match (container.metadata.get("tokenizer.ggml.scores"), given) {
        (Some(Value::Floats(scores)), _)
            if scores.len() == tokens.len() && scores.iter().all(|score| score.is_finite()) =>
        {
            scores
        }
        // Some writers keep the merges themselves.
        (None, Some(_)) => &[],
        _ => return Err(format!("tokenizer.ggml.scores is missing or not {} numbers", tokens.len())),
    };
    let flag = |key: &str| match container.metadata.get(key) {
        Some(Value::Bool(flag)) => *flag,
        _ => true,
    };
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for (id, token) in tokens.iter().enumerate() {
        if ids.insert(token, id).is_some() {
            return Err(format!("token \"{}\" is there twice", shown(token)));
        }
    }
    let mut merges: Vec<(f32, [usize; 2], [&str; 2])> = Vec::new();
    for (token, &score) in tokens.iter().zip(scores) {
        let splits = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let mut own: Vec<([usize; 2], [&str; 2])> =
            splits.filter_map(|(left, right)| Some(([*ids.get(left)?, *ids.get(right)?], [left, right]))).collect();
        own.sort_unstable_by_key(|&(ids, _)| ids);
        merges.extend(own.into_iter().map(|(_, pair)| (score, pair.map(|part| part.chars().count()), pair)));
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let kind = |id: usize| types.get(id).copied().unwrap_or(0);
    let added: Vec<Json> = tokens
        .iter()
        .enumerate()
        .filter(|&(id, _)| [UNKNOWN, CONTROL, USER_DEFINED].contains(&kind(id)))
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "special": kind(id) != USER_DEFINED,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    let id = |key: &str| container.metadata.get(key).and_then(Value::as_u64);
    let named = |id: u64| Some((id, tokens.get(usize::try_from(id).ok()?)?));
    let unknown = id("tokenizer.ggml.unknown_token_id").and_then(named).map(|(_, token)| token);
    let unknown =
        unknown.or_else(|| tokens.iter().enumerate().find(|&(id, _)| kind(id) == UNKNOWN).map(|(_, token)| token));
    let begin = flag("tokenizer.ggml.add_bos_token");
    let bos = id("tokenizer.ggml.bos_token_id").filter(|_| begin).and_then(named);
    let spaced = flag("tokenizer.ggml.add_space_prefix");
    let replaced = |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
    let mut normalizers = vec![replaced(" ", "\u{2581}")];
    let mut decoders = vec![replaced("\u{2581}", " "), json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    if spaced {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": "\u{2581}" }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let vocab: Map<String, Json> = tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
    let mut pairs: Vec<[&str; 2]> = merges.into_iter().map(|(_, _, pair)| pair).collect();
    if let Some(given) = given.filter(|_| scores.is_empty()) {
        if given.iter().any(|merge| !merge.contains(' ')) {
            return Err("a merge is not two tokens with a space between".to_owned());
        }
        pairs = given.iter().filter_map(|merge| merge.split_once(' ')).map(|(left, right)| [left, right]).collect();
    }
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "post_processor": bos.map_or(Json::Null, |(id, token)| before_texts(id, token)),
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": pairs,
        },
    });
    Ok(Tokenizer::from_json(file.to_string().as_bytes()))
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

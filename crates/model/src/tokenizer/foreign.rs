//! Which parts of a `tokenizer.json` are used here: BPE and what Llama models set around it.
//!
//! Everything else that the `tokenizers` library knows is refused by name. The list is also what keeps hostile files
//! out of code that trusts its input.

use serde::Deserialize;
use serde_json::Value;

use super::TokenizerError;

/// Kinds of each part; a `Sequence` may hold several of the same part.
const NORMALIZERS: [&str; 6] = ["NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace"];
const PRE_TOKENIZERS: [&str; 4] = ["ByteLevel", "Split", "Digits", "Metaspace"];
const POST_PROCESSORS: [&str; 2] = ["ByteLevel", "TemplateProcessing"];
const DECODERS: [&str; 6] = ["ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"];

/// The parts of the file but its vocabulary.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// Checks that every part of the file is of a known kind; says whether texts may be cut before whitespace.
pub(super) fn check(json: &[u8]) -> Result<bool, TokenizerError> {
    let refuse = |reason: String| Err(TokenizerError::Format(reason));
    let file: File = serde_json::from_slice(json).map_err(|error| TokenizerError::Format(error.to_string()))?;
    let kind = file.model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" {
        return refuse(format!("its model is {kind:.40}, but only BPE is supported"));
    }
    if file.model.dropout.is_some_and(|share| share != 0.0) {
        return refuse("its model has dropout, which would make the tokens of a text random".to_owned());
    }
    for (key, affix) in [
        ("continuing_subword_prefix", &file.model.continuing_subword_prefix),
        ("end_of_word_suffix", &file.model.end_of_word_suffix),
    ] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return refuse(format!("its model has a {key}, which is not supported"));
        }
    }
    if file.added_tokens.iter().any(|token| token.content.is_empty()) {
        return refuse("an added token is the empty text".to_owned());
    }
    for (part, value, list, known) in [
        ("normalizer", &file.normalizer, "normalizers", &NORMALIZERS[..]),
        ("pre_tokenizer", &file.pre_tokenizer, "pretokenizers", &PRE_TOKENIZERS),
        ("post_processor", &file.post_processor, "processors", &POST_PROCESSORS),
        ("decoder", &file.decoder, "decoders", &DECODERS),
    ] {
        for value in members(value, list) {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("unnamed");
            if !known.contains(&kind) {
                let known = known.join(", ");
                return refuse(format!(
                    "its {part} is {kind:.40}, but only {known} and sequences of them are supported"
                ));
            }
        }
    }
    Ok(is_divisible(&file))
}

/// The members of a sequence, or the value alone, or nothing.
fn members<'a>(value: &'a Value, list: &str) -> &'a [Value] {
    match value.get("type").and_then(Value::as_str) {
        Some("Sequence") => value.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice),
        _ if value.is_null() => &[],
        _ => std::slice::from_ref(value),
    }
}

/// Whether a piece never holds whitespace but at its start, or only whitespace: then a text may be cut between a visible
/// character and whitespace. So it is with the pattern of GPT-2, also after digits were set apart.
fn is_divisible(file: &File) -> bool {
    let plain = |token: &AddedToken| {
        !(token.single_word || token.lstrip || token.rstrip || token.content.contains(char::is_whitespace))
    };
    let Some((last, before)) = members(&file.pre_tokenizer, "pretokenizers").split_last() else { return false };
    let is = |value: &Value, kind: &str| value.get("type").is_some_and(|found| found == kind);
    file.normalizer.is_null()
        && file.added_tokens.iter().all(plain)
        && before.iter().all(|value| is(value, "Digits"))
        && is(last, "ByteLevel")
        && last.get("add_prefix_space") == Some(&Value::Bool(false))
        && last.get("use_regex") != Some(&Value::Bool(false))
}

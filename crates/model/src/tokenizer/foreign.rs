//! Which parts of a `tokenizer.json` are used here: BPE and Unigram, and what models set around them.
//!
//! Everything else that the `tokenizers` library knows is refused by name. The list is also what keeps hostile files
//! out of code that trusts its input.

use serde_json::Value;
use sip_data::shown;
use tokenizers::AddedToken;

use super::TokenizerError;
use super::bpe::Settings;
use super::charsmap;
use super::pattern::{compiled_bytes, matches_something};

/// Kinds of each part; a `Sequence` may hold several of the same part.
const NORMALIZERS: [&str; 11] =
    ["NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Precompiled", "Lowercase", "StripAccents", "Strip", "Nmt"];
const PRE_TOKENIZERS: [&str; 7] =
    ["ByteLevel", "Split", "Digits", "Metaspace", "WhitespaceSplit", "Whitespace", "Punctuation"];
const POST_PROCESSORS: [&str; 2] = ["ByteLevel", "TemplateProcessing"];
const DECODERS: [&str; 6] = ["ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"];

/// Members of a sequence; Llama models have two normalizers and four decoders.
const MEMBERS_MAX: usize = 8;
/// How many times as long `Replace` may make a text, all of them together; a space that becomes U+2581 makes it 3.
const GROWTH_MAX: usize = 16;
/// Bytes that `Prepend` may set before a text.
const PREPEND_BYTES_MAX: usize = 16;
/// The key of a table of what characters become.
const CHARSMAP: &str = "precompiled_charsmap";
/// Memory of a character of such a table: copies of it while it is read, its bytes, and the places of its tree as numbers of 64 bits.
const CHARSMAP_BYTES: usize = 6;
/// Bytes of an added token: the library's matcher takes time that grows with the square.
const ADDED_BYTES_MAX: usize = 512;
/// Bytes of all added tokens together; models have some hundreds of tokens of ten bytes.
const ADDED_BYTES_SUM_MAX: usize = 1 << 20;

/// The parts of the file but its model and its added tokens; null where there is none.
pub(crate) struct Parts {
    pub(crate) normalizer: Value,
    pub(crate) pre_tokenizer: Value,
    pub(crate) post_processor: Value,
    pub(crate) decoder: Value,
}

/// What is known of a file that was checked.
pub(super) struct Checked {
    /// Whether texts may be cut before whitespace.
    pub divisible: bool,
    /// Whether tokens such as `<0xE2>` are bytes.
    pub byte_tokens: bool,
}

/// Checks that a BPE model asks for nothing that is not known.
pub(super) fn check_settings(settings: &Settings) -> Result<(), TokenizerError> {
    let refuse = |reason: String| Err(TokenizerError::Format(reason));
    if settings.dropout.is_some_and(|share| share != 0.0) {
        return refuse("its model has dropout, which would make the tokens of a text random".to_owned());
    }
    for (key, affix) in [("continuing_subword_prefix", &settings.prefix), ("end_of_word_suffix", &settings.suffix)] {
        if affix.as_deref().is_some_and(|affix| !affix.is_empty()) {
            return refuse(format!("its model has a {key}, which is not supported"));
        }
    }
    Ok(())
}

/// Checks that every part of the file is of a known kind.
pub(super) fn check_parts(file: &Parts) -> Result<(), TokenizerError> {
    let refuse = |reason: String| Err(TokenizerError::Format(reason));
    for (part, value, list, known) in [
        ("normalizer", &file.normalizer, "normalizers", &NORMALIZERS[..]),
        ("pre_tokenizer", &file.pre_tokenizer, "pretokenizers", &PRE_TOKENIZERS),
        ("post_processor", &file.post_processor, "processors", &POST_PROCESSORS),
        ("decoder", &file.decoder, "decoders", &DECODERS),
    ] {
        let members = members(value, list);
        if members.len() > MEMBERS_MAX {
            return refuse(format!("its {part} has {} members, expected at most {MEMBERS_MAX}", members.len()));
        }
        let mut growth = 1usize;
        for value in members {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("unnamed");
            if !known.contains(&kind) {
                let known = known.join(", ");
                return refuse(format!(
                    "its {part} is {}, but only {known} and sequences of them are supported",
                    shown(kind)
                ));
            }
            match growth_of(part, kind, value) {
                Ok(more) => growth = growth.saturating_mul(more),
                Err(reason) => return refuse(format!("{kind} in its {part} {reason}")),
            }
        }
        if growth > GROWTH_MAX {
            return refuse(format!("its {part} can make a text {growth} times as long, expected at most {GROWTH_MAX}"));
        }
    }
    // What is replaced after the tokens were put together may span them, and no text could be written before the last token.
    if let Some(fuse) = decoder_place(file, "Fuse") {
        let one_character = |value: &Value| {
            let pattern = value.pointer("/pattern/String").and_then(Value::as_str);
            pattern.is_some_and(|pattern| pattern.chars().count() == 1)
        };
        let late = members(&file.decoder, "decoders")[fuse..].iter().find_map(|value| match kind(value) {
            Some("Fuse" | "Strip") => None,
            Some("Replace") if one_character(value) => None,
            other => Some(other.unwrap_or("unnamed")),
        });
        if let Some(late) = late {
            return refuse(format!("its decoder has {late} after Fuse, which is not supported"));
        }
    }
    Ok(())
}

fn kind(value: &Value) -> Option<&str> {
    value.get("type").and_then(Value::as_str)
}

/// The place of a decoder among those of the file.
fn decoder_place(file: &Parts, wanted: &str) -> Option<usize> {
    members(&file.decoder, "decoders").iter().position(|value| kind(value) == Some(wanted))
}

/// What is known of a file whose parts are in order.
pub(super) fn checked(file: &Parts, added: &[AddedToken]) -> Checked {
    Checked { divisible: is_divisible(file, added), byte_tokens: decoder_place(file, "ByteFallback").is_some() }
}

/// Checks that added tokens are such that finding them in a text takes little time.
pub(super) fn check_added<'a>(tokens: impl Iterator<Item = &'a str> + Clone) -> Result<(), TokenizerError> {
    let refuse = |reason: String| Err(TokenizerError::Format(reason));
    if tokens.clone().any(str::is_empty) {
        return refuse("an added token is the empty text".to_owned());
    }
    if let Some(long) = tokens.clone().find(|token| token.len() > ADDED_BYTES_MAX) {
        let (token, bytes) = (shown(long), long.len());
        return refuse(format!("its added token {token} has {bytes} bytes, expected at most {ADDED_BYTES_MAX}"));
    }
    let sum: usize = tokens.map(str::len).sum();
    if sum > ADDED_BYTES_SUM_MAX {
        return refuse(format!("its added tokens have {sum} bytes, expected at most {ADDED_BYTES_SUM_MAX}"));
    }
    Ok(())
}

/// What the patterns and tables of a file take in memory at most.
pub(super) fn part_bytes(file: &Parts) -> usize {
    let cutting = members(&file.pre_tokenizer, "pretokenizers").iter();
    let all = cutting.chain(members(&file.normalizer, "normalizers"));
    let of_part = |value: &Value| {
        let pattern = value.pointer("/pattern/Regex").and_then(Value::as_str);
        let charsmap = value.get(CHARSMAP).and_then(Value::as_str);
        pattern.map_or(0, compiled_bytes).saturating_add(charsmap.map_or(0, |map| CHARSMAP_BYTES * map.len()))
    };
    all.map(of_part).fold(0, usize::saturating_add)
}

/// How many times as long a member of a part may make a text; in the error, what in it the library would not survive.
fn growth_of(part: &str, kind: &str, value: &Value) -> Result<usize, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "Prepend" => match text("prepend").len() {
            1..=PREPEND_BYTES_MAX => Ok(1),
            bytes => Err(format!("sets {bytes} bytes before a text, expected 1 to {PREPEND_BYTES_MAX}")),
        },
        "Replace" => match value.pointer("/pattern/String").and_then(Value::as_str) {
            Some(pattern) if !pattern.is_empty() => Ok(text("content").len().div_ceil(pattern.len()).max(1)),
            None if part == "normalizer" => match value.pointer("/pattern/Regex").and_then(Value::as_str) {
                // A match has a byte at least.
                Some(pattern) if matches_something(pattern) => Ok(text("content").len().max(1)),
                Some(_) => Err("has a pattern that may match nothing, between characters, expected one that always matches a character"
                    .to_owned()),
                None => Err("has another pattern than a text that is not empty".to_owned()),
            },
            _ => Err("has another pattern than a text that is not empty".to_owned()),
        },
        "Strip" if value.get("stop").is_some_and(|stop| *stop != 0) => {
            Err("takes characters from the end of a token, which is not supported".to_owned())
        }
        // How much longer a text may become by it is bounded where it is checked.
        "Precompiled" => charsmap::check(&charsmap::bytes_of_base64(text(CHARSMAP))?).map(|()| 1),
        _ => Ok(1),
    }
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
fn is_divisible(file: &Parts, added: &[AddedToken]) -> bool {
    let plain = |token: &AddedToken| {
        !(token.single_word || token.lstrip || token.rstrip || token.content.contains(char::is_whitespace))
    };
    let Some((last, before)) = members(&file.pre_tokenizer, "pretokenizers").split_last() else { return false };
    let is = |value: &Value, kind: &str| value.get("type").is_some_and(|found| found == kind);
    file.normalizer.is_null()
        && added.iter().all(plain)
        && before.iter().all(|value| is(value, "Digits"))
        && is(last, "ByteLevel")
        && last.get("add_prefix_space") == Some(&Value::Bool(false))
        && last.get("use_regex") != Some(&Value::Bool(false))
}

//! Tokens that were added to a vocabulary, wherever tools write them: in `tokenizer.json` itself, in `tokenizer_config.json`
//! (`added_tokens_decoder`), in `added_tokens.json`, and as special tokens that are named by their role or by any other `*_token`.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use sip_json::{Budget, members};
use tokenizers::{AddedToken, NormalizedString, Normalizer};

use super::TokenizerError;
use super::file::Inner;
use super::foreign::check_added;
use crate::side::{ADDED_TOKENS_KEY, MORE_SPECIAL, ROLES, further_roles};

/// Memory of an added token beside its text and the automaton: the library keeps it in six places.
pub(super) const TOKEN_BYTES: usize = 640;
/// Memory of a token beside the tokenizer, but for its text.
const BESIDE_BYTES: usize = 320;
/// Copies of the text of an added token.
const TEXTS: usize = 8;
/// Memory of a byte of a text while it is normalized.
const NORMALIZED_BYTES: usize = 64;
/// Memory of a state of an automaton, both of its forms and room to grow.
const STATE_BYTES: usize = 160;
/// Memory of a kind of byte in a state that has a table of them.
const DENSE_BYTES: usize = 12;
/// Up to so many tokens every state has a table.
const DENSE_TOKENS_MAX: usize = 100;
/// The first states always have one.
const DENSE_DEPTH: usize = 3;

/// A token beside `tokenizer.json`, and the id that it is said to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Beside {
    token: AddedToken,
    id: Option<u32>,
    /// The file, for errors.
    file: &'static str,
}

/// The tokens that `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` (null where missing) name, those with ids first
/// and in their order; `decoder` is the text of `added_tokens_decoder` in the first.
pub(crate) fn beside(
    config: &Value,
    decoder: Option<&[u8]>,
    special: &Value,
    added: &Value,
) -> Result<Vec<Beside>, TokenizerError> {
    let mut found: Vec<Beside> = Vec::new();
    let mut known: BTreeSet<(String, Option<u32>)> = BTreeSet::new();
    let mut add = |token: Option<AddedToken>, id: Option<u32>, file: &'static str| {
        let Some(token) = token.filter(|token| !token.content.is_empty()) else { return };
        let key = (token.content.clone(), id);
        // No id means any.
        let is_known = match id {
            Some(_) => known.contains(&key),
            None => known.range(key.clone()..).next().is_some_and(|(content, _)| *content == key.0),
        };
        if !is_known {
            known.insert(key);
            found.push(Beside { token, id, file });
        }
    };
    if let Some(text) = decoder.filter(|text| text.starts_with(b"{")) {
        let mut budget = Budget::new(text.len(), sip_json::FLOOR_BYTES);
        members::<TokenizerError>(text, |id, token| {
            budget.take(BESIDE_BYTES)?;
            let number = id.parse().map_err(|_| {
                TokenizerError::Format(format!(
                    "{ADDED_TOKENS_KEY} has the key {}, expected an id",
                    sip_data::shown(&id)
                ))
            })?;
            let token: Value = sip_json::from_slice(token)?;
            add(token_of(&token, false), Some(number), "tokenizer_config.json");
            Ok(true)
        })?;
    }
    if let Some(tokens) = added.as_object() {
        for (text, id) in tokens {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            // Found in a text as it is given: a normalizer might set something before the token, and it would be found nowhere.
            add(Some(plain(text, false).normalized(false)), number, "added_tokens.json");
        }
    }
    // In the order in which `transformers` gives ids: the roles, what has another name, and lists.
    let files = [("tokenizer_config.json", config), ("special_tokens_map.json", special)];
    for (file, value) in files {
        for role in ROLES {
            add(token_of(value.get(role).unwrap_or(&Value::Null), true), None, file);
        }
    }
    for (file, value) in files {
        further_roles(value).for_each(|(_, token)| add(token_of(token, true), None, file));
        for named in MORE_SPECIAL.iter().filter_map(|list| value.get(list)?.as_object()) {
            named.values().for_each(|token| add(token_of(token, true), None, file));
        }
    }
    for (file, value) in files {
        for list in MORE_SPECIAL.iter().filter_map(|list| value.get(list)?.as_array()) {
            list.iter().for_each(|token| add(token_of(token, true), None, file));
        }
    }
    found.sort_by_key(|beside| beside.id.unwrap_or(u32::MAX));
    Ok(found)
}

fn plain(text: &str, special: bool) -> AddedToken {
    AddedToken::from(text, special)
}

/// A token as files have it: its text, or an object with the text and how it is found.
fn token_of(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(text) = value.as_str() {
        return Some(plain(text, special));
    }
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = special || flag("special").unwrap_or(false);
    Some(
        plain(value.get("content")?.as_str()?, special)
            .single_word(flag("single_word").unwrap_or(false))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special)),
    )
}

/// Checks the added tokens of a tokenizer before it gets them: those of its file, and those that other files name beside it and that
/// it does not have. The latter are what is returned.
///
/// # Errors
/// Tokens that could not be found in a text in little time and memory.
pub(super) fn check(
    inner: &Inner,
    own: &[AddedToken],
    beside: &[Beside],
    budget: &mut Budget,
) -> Result<Vec<AddedToken>, TokenizerError> {
    let mut known: HashSet<&str> = own.iter().map(|token| token.content.as_str()).collect();
    let new: Vec<AddedToken> =
        beside.iter().map(|beside| &beside.token).filter(|token| known.insert(&token.content)).cloned().collect();
    budget.take(new.len() * TOKEN_BYTES)?;
    let all = || own.iter().chain(&new);
    check_added(all().map(|token| token.content.as_str()))?;
    budget.take(all().map(|token| TEXTS * token.content.len()).sum())?;
    let plain = all().filter(|token| !token.normalized).map(|token| Cow::Borrowed(token.content.as_str()));
    budget.take(automaton_bytes(plain.collect()))?;
    let mut normalized = Vec::new();
    for token in all().filter(|token| token.normalized) {
        let Some(normalizer) = inner.get_normalizer() else {
            normalized.push(Cow::Borrowed(token.content.as_str()));
            continue;
        };
        budget.take(NORMALIZED_BYTES * token.content.len())?;
        let mut text = NormalizedString::from(token.content.as_str());
        normalizer.normalize(&mut text).map_err(|error| TokenizerError::Format(error.to_string()))?;
        normalized.push(Cow::Owned(text.get().to_owned()));
    }
    budget.take(automaton_bytes(normalized))?;
    Ok(new)
}

/// Checks that tokens have the ids that files beside the tokenizer say.
///
/// # Errors
/// A token that has another id.
pub(super) fn check_ids(inner: &Inner, beside: &[Beside]) -> Result<(), TokenizerError> {
    for Beside { token, id, file } in beside {
        if let (Some(said), Some(found)) = (*id, inner.token_to_id(&token.content))
            && said != found
        {
            let token = sip_data::shown(&token.content);
            return Err(TokenizerError::Format(format!(
                "{file} says that {token} has id {said}, but in this vocabulary it has id {found}: the files contradict each other"
            )));
        }
    }
    Ok(())
}

/// What the automaton takes at most that finds tokens in a text, while it is built.
fn automaton_bytes(mut tokens: Vec<Cow<'_, str>>) -> usize {
    tokens.sort_unstable();
    tokens.dedup();
    let mut seen = [false; 256];
    tokens.iter().flat_map(|token| token.bytes()).for_each(|byte| seen[usize::from(byte)] = true);
    // Bytes that are in no token are one kind.
    let kinds = (seen.into_iter().filter(|seen| *seen).count() + 1).next_power_of_two();
    let (mut states, mut first_states) = (3, 3);
    let mut before: &[u8] = b"";
    for token in tokens.iter().map(|token| token.as_bytes()) {
        let common = token.iter().zip(before).take_while(|(a, b)| a == b).count();
        states += token.len() - common;
        first_states += DENSE_DEPTH.min(token.len()).saturating_sub(common);
        before = token;
    }
    let dense = if tokens.len() <= DENSE_TOKENS_MAX { states } else { first_states };
    states * STATE_BYTES + dense * kinds * DENSE_BYTES
}

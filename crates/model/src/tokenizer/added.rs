//! Tokens that were added to a vocabulary, wherever tools write them: in `tokenizer.json` itself, in `tokenizer_config.json`
//! (`added_tokens_decoder`), in `added_tokens.json`, and as special tokens that are named by their role.

use serde_json::Value;
use tokenizers::AddedToken;

use super::TokenizerError;
use super::foreign::check_added;
use crate::side::{MORE_SPECIAL, ROLES};

/// A token beside `tokenizer.json`, and the id that it is said to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Beside {
    token: AddedToken,
    id: Option<u32>,
    /// The file, for errors.
    file: &'static str,
}

/// The tokens that `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` (null where missing) name, those with ids first
/// and in their order.
pub(crate) fn beside(config: &Value, special: &Value, added: &Value) -> Result<Vec<Beside>, TokenizerError> {
    let mut found: Vec<Beside> = Vec::new();
    let mut add = |token: Option<AddedToken>, id: Option<u32>, file: &'static str| {
        let Some(token) = token.filter(|token| !token.content.is_empty()) else { return };
        let known = found.iter().any(|other| other.token.content == token.content && (id.is_none() || other.id == id));
        if !known {
            found.push(Beside { token, id, file });
        }
    };
    if let Some(tokens) = config.get("added_tokens_decoder").and_then(Value::as_object) {
        for (id, token) in tokens {
            let number = id.parse().map_err(|_| {
                TokenizerError::Format(format!(
                    "added_tokens_decoder has the key {}, expected an id",
                    sip_data::shown(id)
                ))
            })?;
            add(token_of(token, false), Some(number), "tokenizer_config.json");
        }
    }
    if let Some(tokens) = added.as_object() {
        for (text, id) in tokens {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            add(Some(plain(text, false)), number, "added_tokens.json");
        }
    }
    for (file, value) in [("tokenizer_config.json", config), ("special_tokens_map.json", special)] {
        for role in ROLES {
            add(token_of(value.get(role).unwrap_or(&Value::Null), true), None, file);
        }
        for list in MORE_SPECIAL {
            match value.get(list) {
                Some(Value::Array(tokens)) => tokens.iter().for_each(|token| add(token_of(token, true), None, file)),
                Some(Value::Object(named)) => named.values().for_each(|token| add(token_of(token, true), None, file)),
                _ => {}
            }
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

/// Adds the tokens that a tokenizer does not have as added ones yet.
///
/// # Errors
/// A token that gets another id than the file says.
pub(super) fn add(inner: &mut tokenizers::Tokenizer, beside: &[Beside]) -> Result<(), TokenizerError> {
    check_added(beside.iter().map(|beside| beside.token.content.as_str()))?;
    for Beside { token, id, file } in beside {
        let known = inner.get_added_vocabulary().get_vocab().contains_key(&token.content);
        if !known {
            inner.add_tokens(std::slice::from_ref(token));
        }
        let found = inner.token_to_id(&token.content);
        if let (Some(said), Some(found)) = (*id, found)
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

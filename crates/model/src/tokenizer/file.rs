//! Reads `tokenizer.json` part by part into tables of the size that was counted before, so that a file takes little more memory than it is
//! long, whatever is in it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use sip_data::shown;
use sip_json::{Budget, MemberError, Overweight, Weight, elements, members};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::added::{self, Beside};
use super::bpe::{Settings, Tables};
use super::foreign::{self, Checked, Parts};
use super::model::{AnyModel, Pieces};
use super::table::{MERGE_BYTES, Merge, Merges, TOKEN_BYTES, Vocabulary};
use super::unigram::{SCORED_BYTES, Scored};
use super::{TokenizerError, VOCAB_SIZE_MAX};

/// The library's pieces around our own model.
pub(super) type Inner =
    TokenizerImpl<AnyModel, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// What a tokenizer may take beyond three bytes of memory a byte of its file.
pub(crate) const FLOOR_BYTES: usize = 8 << 20;
/// A part that is neither the vocabulary nor the added tokens has at most so many bytes; those of models have some thousand.
const PART_BYTES_MAX: usize = 64 << 10;
/// A normalizer may hold a table of what characters become; that of SentencePiece has 320 thousand bytes.
const NORMALIZER_BYTES_MAX: usize = 1 << 20;
/// Merges of a vocabulary; large models have two for each token.
pub(crate) const MERGES_MAX: usize = 4 * VOCAB_SIZE_MAX;

impl From<MemberError> for TokenizerError {
    fn from(error: MemberError) -> TokenizerError {
        TokenizerError::Format(error.to_string())
    }
}

impl From<Overweight> for TokenizerError {
    fn from(error: Overweight) -> TokenizerError {
        TokenizerError::Format(error.to_string())
    }
}

impl From<serde_json::Error> for TokenizerError {
    fn from(error: serde_json::Error) -> TokenizerError {
        TokenizerError::Format(error.to_string())
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, TokenizerError> {
    Err(TokenizerError::Format(reason.into()))
}

/// The values of some keys of an object; each at most once.
fn values<'a, const N: usize>(text: &'a [u8], keys: [&str; N]) -> Result<[Option<&'a [u8]>; N], TokenizerError> {
    let mut found = [None; N];
    members(text, |key, value| {
        let Some(place) = keys.iter().position(|known| *known == key) else { return Ok(false) };
        match found[place].replace(value) {
            None => Ok(true),
            Some(_) => refuse(format!("its key {key} is there twice")),
        }
    })?;
    Ok(found)
}

/// A value that is there and not null.
fn given(value: Option<&[u8]>) -> Option<&[u8]> {
    value.filter(|text| *text != b"null")
}

/// The tokenizer in a file with the tokens that other files add to it, and what is known of it.
pub(super) fn read(json: &[u8], beside: &[Beside]) -> Result<(Inner, Checked), TokenizerError> {
    let mut budget = Budget::new(json.len(), FLOOR_BYTES);
    let [version, added, normalizer, pre_tokenizer, post_processor, decoder, model] =
        values(json, ["version", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"])?;
    if version.is_some_and(|version| version != b"\"1.0\"") {
        return refuse("its version is not 1.0");
    }
    let Some(model) = model else { return refuse("missing field `model`") };
    let mut part = |name: &str, text: Option<&[u8]>| -> Result<Value, TokenizerError> {
        let text = text.unwrap_or(b"null");
        let bytes_max = if name == "normalizer" { NORMALIZER_BYTES_MAX } else { PART_BYTES_MAX };
        if text.len() > bytes_max {
            return refuse(format!("its {name} has {} bytes, expected at most {bytes_max}", text.len()));
        }
        budget.take(Weight::of(text).values_bytes())?;
        Ok(sip_json::from_slice(text)?)
    };
    let parts = Parts {
        normalizer: part("normalizer", normalizer)?,
        pre_tokenizer: part("pre_tokenizer", pre_tokenizer)?,
        post_processor: part("post_processor", post_processor)?,
        decoder: part("decoder", decoder)?,
    };
    budget.take(foreign::part_bytes(&parts))?;
    foreign::check_parts(&parts)?;
    let pieces = pieces(model, &mut budget)?;
    let added = added_tokens(added, &mut budget)?;
    assembled(parts, pieces, &added, beside, &mut budget)
}

/// The tokenizer of a file that is no `tokenizer.json`: parts, tables and added tokens that were made elsewhere within a budget.
pub(super) fn of_parts(
    parts: Parts,
    pieces: Pieces,
    added: &[AddedToken],
    budget: &mut Budget,
) -> Result<(Inner, Checked), TokenizerError> {
    budget.take(foreign::part_bytes(&parts))?;
    foreign::check_parts(&parts)?;
    budget.take(added.len() * added::TOKEN_BYTES)?;
    assembled(parts, pieces, added, &[], budget)
}

fn assembled(
    parts: Parts,
    pieces: Pieces,
    added: &[AddedToken],
    beside: &[Beside],
    budget: &mut Budget,
) -> Result<(Inner, Checked), TokenizerError> {
    let checked = foreign::checked(&parts, added);
    let mut inner = Inner::new(AnyModel::from(pieces));
    inner.with_normalizer(built::<NormalizerWrapper>(parts.normalizer)?);
    inner.with_pre_tokenizer(built::<PreTokenizerWrapper>(parts.pre_tokenizer)?);
    inner.with_post_processor(built::<PostProcessorWrapper>(parts.post_processor)?);
    inner.with_decoder(built::<DecoderWrapper>(parts.decoder)?);
    let new = added::check(&inner, added, beside, budget)?;
    inner.add_tokens(&[added, &new].concat());
    added::check_ids(&inner, beside)?;
    Ok((inner, checked))
}

/// A part as the library has it.
fn built<T: for<'de> Deserialize<'de>>(part: Value) -> Result<Option<T>, TokenizerError> {
    Ok(if part.is_null() { None } else { Some(serde_json::from_value(part)?) })
}

/// The model of a file.
fn pieces(text: &[u8], budget: &mut Budget) -> Result<Pieces, TokenizerError> {
    let [kind, vocab] = values(text, ["type", "vocab"])?;
    let kind =
        given(kind).map(|kind| if kind.len() > PART_BYTES_MAX { Ok(Cow::from("")) } else { sip_json::text(kind) });
    match kind.transpose()?.as_deref() {
        Some("BPE") => tables(text, budget).map(Pieces::Merged),
        Some("Unigram") => scored(text, budget).map(Pieces::Scored),
        // Old files do not say it; only one of the two has a list of tokens.
        None if given(vocab).is_some_and(|vocab| vocab.starts_with(b"[")) => scored(text, budget).map(Pieces::Scored),
        None => tables(text, budget).map(Pieces::Merged),
        Some(other) => refuse(format!("its model is {}, but only BPE and Unigram are supported", shown(other))),
    }
}

/// A Unigram model: a list of tokens with their scores.
fn scored(text: &[u8], budget: &mut Budget) -> Result<Scored, TokenizerError> {
    let [unknown, fallback, vocab] = values(text, ["unk_id", "byte_fallback", "vocab"])?;
    let Some(vocab) = given(vocab) else { return refuse("its model has no vocab") };
    let unknown: Option<u32> = given(unknown).map(sip_json::fields_from_slice).transpose()?;
    let byte_fallback = given(fallback).map_or(Ok(false), sip_json::fields_from_slice)?;
    let (mut tokens, mut text_bytes) = (0usize, 0usize);
    each_scored(vocab, &mut |token, _| {
        tokens += 1;
        text_bytes += token.len();
        Ok(())
    })?;
    if tokens > VOCAB_SIZE_MAX {
        return Err(TokenizerError::VocabSize(tokens));
    }
    if let Some(id) = unknown.filter(|&id| id as usize >= tokens) {
        return refuse(format!("its unk_id is {id}, but it has {tokens} tokens"));
    }
    budget.take(text_bytes + tokens * (TOKEN_BYTES + SCORED_BYTES))?;
    let (mut vocabulary, mut scores) = (Vocabulary::with_capacity(tokens, text_bytes), Vec::with_capacity(tokens));
    each_scored(vocab, &mut |token, score| {
        vocabulary.push(token, scores.len() as u32);
        scores.push(score);
        Ok(())
    })?;
    vocabulary.finish().map_err(twice)?;
    Ok(Scored { vocabulary, scores, unknown, byte_fallback })
}

fn twice(token: String) -> TokenizerError {
    TokenizerError::Format(format!("its token {} is there twice", shown(&token)))
}

/// A BPE model: tokens and their merges.
fn tables(text: &[u8], budget: &mut Budget) -> Result<Tables, TokenizerError> {
    let keys = [
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "fuse_unk",
        "byte_fallback",
        "ignore_merges",
        "vocab",
        "merges",
    ];
    let [dropout, unknown, prefix, suffix, fuse, fallback, ignore, vocab, merges] = values(text, keys)?;
    let text = |value: Option<&[u8]>| -> Result<Option<String>, TokenizerError> {
        match given(value) {
            Some(text) if text.len() > PART_BYTES_MAX => refuse("a token that its model names is too long"),
            Some(text) => Ok(Some(sip_json::text(text)?.into_owned())),
            None => Ok(None),
        }
    };
    let flag = |value: Option<&[u8]>| -> Result<bool, TokenizerError> {
        given(value).map_or(Ok(false), |text| Ok(sip_json::fields_from_slice(text)?))
    };
    let settings = Settings {
        dropout: given(dropout).map(sip_json::fields_from_slice).transpose()?,
        unknown: text(unknown)?,
        prefix: text(prefix)?,
        suffix: text(suffix)?,
        fuse_unknown: flag(fuse)?,
        byte_fallback: flag(fallback)?,
        ignore_merges: flag(ignore)?,
    };
    foreign::check_settings(&settings)?;
    let (Some(vocab), Some(merges)) = (given(vocab), given(merges)) else {
        return refuse("its model has no vocab or no merges");
    };
    let vocabulary = vocabulary(vocab, budget)?;
    let merges = merges_of(merges, &vocabulary, budget)?;
    Ok(Tables { vocabulary, merges, settings })
}

/// Reads an object of texts and numbers twice: to count it, and to fill a table of just that size.
fn vocabulary(text: &[u8], budget: &mut Budget) -> Result<Vocabulary, TokenizerError> {
    let (mut tokens, mut text_bytes) = (0usize, 0usize);
    each_token(text, &mut |token, _| {
        tokens += 1;
        text_bytes += token.len();
        Ok(())
    })?;
    if tokens > VOCAB_SIZE_MAX {
        return Err(TokenizerError::VocabSize(tokens));
    }
    budget.take(text_bytes + tokens * TOKEN_BYTES)?;
    let mut vocabulary = Vocabulary::with_capacity(tokens, text_bytes);
    each_token(text, &mut |token, id| {
        vocabulary.push(token, id);
        Ok(())
    })?;
    vocabulary.finish().map_err(twice)?;
    Ok(vocabulary)
}

fn merges_of(text: &[u8], vocabulary: &Vocabulary, budget: &mut Budget) -> Result<Merges, TokenizerError> {
    let mut count = 0usize;
    each_merge(text, &mut |_, _| {
        count += 1;
        Ok(())
    })?;
    if count > MERGES_MAX {
        return refuse(format!("its model has {count} merges, expected at most {MERGES_MAX}"));
    }
    budget.take(count * MERGE_BYTES)?;
    let mut merges = Merges::with_capacity(count);
    let mut whole = String::new();
    each_merge(text, &mut |left, right| {
        merges.push(merge_of(left, right, vocabulary, &mut whole)?);
        Ok(())
    })?;
    Ok(merges)
}

/// The merge of two tokens; `whole` is a place for what they become.
pub(crate) fn merge_of(left: &str, right: &str, vocabulary: &Vocabulary, whole: &mut String) -> Result<Merge, String> {
    whole.clear();
    whole.push_str(left);
    whole.push_str(right);
    let id = |token: &str| {
        vocabulary.id(token).ok_or_else(|| format!("a merge has the token {}, which its vocab has not", shown(token)))
    };
    Ok(Merge { left: id(left)?, right: id(right)?, id: id(whole)? })
}

/// Calls `each` with every token of a list and its score.
fn each_scored(
    text: &[u8],
    each: &mut dyn FnMut(&str, f64) -> Result<(), TokenizerError>,
) -> Result<(), TokenizerError> {
    elements::<TokenizerError>(text, |element| {
        let (Text(token), score) = serde_json::from_slice(element)?;
        each(&token, score)
    })
}

type EachToken<'f> = &'f mut dyn FnMut(&str, u32) -> Result<(), String>;
type EachMerge<'f> = &'f mut dyn FnMut(&str, &str) -> Result<(), String>;

fn each_token(text: &[u8], each: EachToken<'_>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.deserialize_map(Tokens(each))?;
    deserializer.end()
}

struct Tokens<'f>(EachToken<'f>);

impl<'de> Visitor<'de> for Tokens<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tokens and their ids")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(token)) = map.next_key()? {
            (self.0)(&token, map.next_value()?).map_err(M::Error::custom)?;
        }
        Ok(())
    }
}

/// A text that is copied only where it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'de>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

fn each_merge(text: &[u8], each: EachMerge<'_>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.deserialize_seq(AllMerges(each))?;
    deserializer.end()
}

struct AllMerges<'f>(EachMerge<'f>);

impl<'de> Visitor<'de> for AllMerges<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of merges")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(merge) = list.next_element::<Pair<'de>>()? {
            match merge {
                Pair::Two(left, right) => (self.0)(&left, &right),
                // The first line of a merges.txt.
                Pair::One(line) if line.starts_with("#version") => Ok(()),
                Pair::One(line) => match line.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => (self.0)(left, right),
                    _ => Err(format!("the merge {} is not two tokens with a space between", shown(&line))),
                },
            }
            .map_err(S::Error::custom)?;
        }
        Ok(())
    }
}

/// A merge as files have it: two texts, or one with a space.
enum Pair<'a> {
    One(Cow<'a, str>),
    Two(Cow<'a, str>, Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Pair<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pair<'de>, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Pair<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge: two tokens")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Pair<'de>, E> {
                Ok(Pair::One(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Pair<'de>, E> {
                Ok(Pair::One(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Pair<'de>, S::Error> {
                let (left, right, more) =
                    (list.next_element()?, list.next_element()?, list.next_element::<IgnoredAny>()?);
                match (left, right, more) {
                    (Some(Text(left)), Some(Text(right)), None) => Ok(Pair::Two(left, right)),
                    _ => Err(S::Error::custom("a merge is not two tokens")),
                }
            }
        }
        deserializer.deserialize_any(PairVisitor)
    }
}

/// An added token in a file. What the library insists on is not optional here either.
#[derive(Deserialize)]
struct AddedEntry {
    #[serde(rename = "id")]
    _id: u32,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

fn added_tokens(text: Option<&[u8]>, budget: &mut Budget) -> Result<Vec<AddedToken>, TokenizerError> {
    let Some(text) = given(text) else { return Ok(Vec::new()) };
    let mut count = 0usize;
    elements::<TokenizerError>(text, |_| {
        count += 1;
        Ok(())
    })?;
    budget.take(count * added::TOKEN_BYTES)?;
    let mut tokens = Vec::with_capacity(count);
    elements::<TokenizerError>(text, |element| {
        if element.len() > PART_BYTES_MAX {
            return refuse(format!("an added token has {} bytes of settings", element.len()));
        }
        let entry: AddedEntry = sip_json::fields_from_slice(element)?;
        let token = AddedToken::from(entry.content, entry.special);
        let token = token.single_word(entry.single_word).lstrip(entry.lstrip).rstrip(entry.rstrip);
        tokens.push(token.normalized(entry.normalized));
        Ok(())
    })?;
    Ok(tokens)
}

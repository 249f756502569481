//! Continuing text: a decoder, a sampler, and what happens when the context is full.

pub use crate::decode::GenerateError;

use crate::decode::Decoder;
use crate::export::LlamaConfig;
use crate::sampler::Sampler;
use crate::tokenizer::{Tokenizer, TokenizerError};
use sip_graph::Buffer;
use sip_kernels::{Simd, Threads};
use std::sync::Arc;

/// What a model sees of a text: the end of it, when its context is too short.
///
/// When the cache is full, the front half of it is forgotten and the rest is fed anew (positions are part of the keys), so that
/// every token sees at least half a context, and feeding anew costs every token about two.
pub struct Generator {
    decoder: Decoder,
    /// What the cache holds.
    tokens: Vec<u32>,
    forgotten: usize,
}

impl Generator {
    /// `weights` are the tensors of [`LlamaConfig::parameters`], in that order; the context is `max_seq_len` tokens.
    ///
    /// # Errors
    /// A shape that is out of range.
    pub fn new(config: &LlamaConfig, weights: Vec<Buffer>, threads: Arc<Threads>) -> Result<Generator, GenerateError> {
        Ok(Generator::from(Decoder::new(config, weights, config.max_seq_len, threads, Simd::detect())?))
    }

    /// Tokens that were forgotten since the last prompt because the context was full.
    pub fn forgotten(&self) -> usize {
        self.forgotten
    }

    /// Starts a new text; the logits (f32 bits, one per token id) after the last token.
    ///
    /// # Errors
    /// As [`Decoder::feed`]; a prompt of any length fits.
    pub fn prompt(&mut self, tokens: &[u32]) -> Result<&[u32], GenerateError> {
        self.forgotten = tokens.len().saturating_sub(self.decoder.context());
        self.tokens.clear();
        self.tokens.extend_from_slice(&tokens[self.forgotten..]);
        self.decoder.truncate(0);
        self.decoder.feed(&self.tokens)
    }

    /// Goes on by one token; the logits after it.
    ///
    /// # Errors
    /// As [`Decoder::feed`].
    pub fn next(&mut self, token: u32) -> Result<&[u32], GenerateError> {
        self.tokens.push(token);
        if self.tokens.len() <= self.decoder.context() {
            return self.decoder.feed(&[token]);
        }
        let kept = self.decoder.context().div_ceil(2);
        let front = self.tokens.len() - kept;
        self.tokens.drain(..front);
        self.forgotten += front;
        self.decoder.truncate(0);
        self.decoder.feed(&self.tokens)
    }

    /// Continues `prompt` by at most `count` tokens; `on_token` sees each as it is drawn and returns whether to go on.
    ///
    /// # Errors
    /// As [`Decoder::feed`].
    pub fn generate(
        &mut self,
        prompt: &[u32],
        count: usize,
        sampler: &mut Sampler,
        on_token: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Vec<u32>, GenerateError> {
        sampler.start(prompt);
        let mut drawn = Vec::new();
        let mut logits = self.prompt(prompt)?;
        while drawn.len() < count {
            let token = sampler.draw(logits);
            drawn.push(token);
            if !on_token(token) || drawn.len() == count {
                break;
            }
            logits = self.next(token)?;
        }
        Ok(drawn)
    }
}

impl From<Decoder> for Generator {
    fn from(decoder: Decoder) -> Generator {
        Generator { decoder, tokens: Vec::new(), forgotten: 0 }
    }
}

/// Text from tokens as they come, in whole characters: a character may span tokens, and a tokenizer may write a token differently
/// at the start of a text than within it.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    /// Tokens whose text is out, kept for what follows them, and the ones behind.
    ids: Vec<u32>,
    out: usize,
}

impl TextStream {
    /// The text that this token completes; empty while what follows might still change it: within a character, and among byte tokens,
    /// which are characters only as a whole.
    ///
    /// # Errors
    /// An id that the tokenizer does not have.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<String, TokenizerError> {
        self.ids.push(token);
        if tokenizer.is_byte(token) {
            return Ok(String::new());
        }
        let all = tokenizer.decode(&self.ids)?;
        if all.ends_with('\u{FFFD}') {
            return Ok(String::new());
        }
        let before = tokenizer.decode(&self.ids[..self.out])?;
        match all.strip_prefix(&before) {
            Some(new) => {
                self.ids.drain(..self.out);
                self.out = self.ids.len();
                Ok(new.to_owned())
            }
            None => Ok(String::new()),
        }
    }

    /// What is left, complete or not.
    ///
    /// # Errors
    /// None after [`TextStream::push`] succeeded with this tokenizer.
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Result<String, TokenizerError> {
        let before = tokenizer.decode(&self.ids[..self.out])?;
        let all = tokenizer.decode(&self.ids)?;
        *self = TextStream::default();
        let shared: usize =
            all.chars().zip(before.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        Ok(all[shared..].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_tokens_gives_the_text_in_whole_characters() {
        // So few merges that these characters are bytes, one token each.
        let tokenizer = Tokenizer::train(&["the people of the state, the people"], 260).expect("tokenizer");
        let text = "the people 🙂 süß — e\u{301} 人民 the";
        let ids = tokenizer.encode(text).expect("ids");
        assert!(ids.len() > 20);
        let mut stream = TextStream::default();
        let mut parts: Vec<String> = ids.iter().map(|&id| stream.push(&tokenizer, id).expect("text")).collect();
        parts.push(stream.finish(&tokenizer).expect("text"));
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().all(|part| !part.contains('\u{FFFD}')));
        assert!(parts.iter().filter(|part| !part.is_empty()).count() > 10);
    }

    #[test]
    fn bytes_that_are_no_character_come_out_as_such() {
        let tokenizer = Tokenizer::train(&["the people"], 257).expect("tokenizer");
        let smile = tokenizer.encode("🙂").expect("ids");
        let (first, letter) = (smile[0], tokenizer.encode("a").expect("id")[0]);
        for ids in [vec![first, letter], vec![first], vec![smile[1]; 9], vec![first; 5]] {
            let mut stream = TextStream::default();
            let mut text: String = ids.iter().map(|&id| stream.push(&tokenizer, id).expect("text")).collect();
            text += &stream.finish(&tokenizer).expect("text");
            assert_eq!(text.contains('a'), ids.contains(&letter));
            assert!(text.contains('\u{FFFD}'), "{ids:?} gives {text:?}");
        }
        assert!(TextStream::default().push(&tokenizer, 1 << 20).is_err());
    }

    /// Tokenizers of every kind that is read.
    fn kinds() -> Vec<Tokenizer> {
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).into();
        tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend(["▁", "a", "b", "é", "\u{FFFD}", "▁a", "ab", "▁ab", "▁▁"].map(str::to_owned));
        let vocab: serde_json::Map<String, serde_json::Value> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
        let replace = serde_json::json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " });
        let decoders = [
            serde_json::json!({ "type": "Sequence", "decoders": [
                replace, { "type": "ByteFallback" }, { "type": "Fuse" }, { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
            ] }),
            serde_json::json!({ "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, { "type": "Fuse" }, replace] }),
            serde_json::json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true }),
            serde_json::json!({ "type": "Sequence", "decoders": [
                { "type": "ByteFallback" }, { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false },
            ] }),
        ];
        let mut all = vec![
            Tokenizer::train(&["the people 🙂 süß the people"], 300).expect("tokenizer"),
            Tokenizer::train(&[], 257).expect("tokenizer"),
        ];
        for decoder in decoders {
            let file = serde_json::json!({
                "added_tokens": [{ "id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false }],
                "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": decoder,
                "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": [] },
            });
            all.push(Tokenizer::from_json(file.to_string().as_bytes()).expect("tokenizer"));
            // Unigram, with and without tokens of bytes, and tokens that were added: some are special, some have spaces at an edge.
            for byte_fallback in [false, true] {
                let mut file = file.clone();
                let added = |(at, content): (usize, &&str)| {
                    let id = tokens.len() + at;
                    serde_json::json!({ "id": id, "content": content, "special": at % 2 == 0, "single_word": false, "lstrip": at == 1,
                        "rstrip": at == 2, "normalized": false })
                };
                let added = ["<|a|>", " b ", "▁c", "é\n", "🙂"].iter().enumerate().map(added);
                file["added_tokens"].as_array_mut().expect("list").extend(added);
                all.push(Tokenizer::from_json(file.to_string().as_bytes()).expect("tokenizer"));
                let scored: Vec<_> = tokens.iter().map(|token| serde_json::json!([token, -1.0])).collect();
                file["model"] = serde_json::json!({ "type": "Unigram", "unk_id": 0, "vocab": scored, "byte_fallback": byte_fallback });
                all.push(Tokenizer::from_json(file.to_string().as_bytes()).expect("tokenizer"));
            }
        }
        all
    }

    proptest::proptest! {
        #[test]
        fn streamed_text_is_the_text_decoded_at_once(picks in proptest::collection::vec((0u32..5, 0u32..1 << 16), 0..40)) {
            for tokenizer in kinds() {
                let size = tokenizer.vocab_size() as u32;
                // Bytes that begin and continue characters, and single tokens of all kinds, often next to each other.
                let bytes: Vec<u32> = (0..size).filter(|&id| tokenizer.is_byte(id)).collect();
                let ids: Vec<u32> = picks.iter().map(|&(kind, pick)| match (kind, bytes.len()) {
                    (0..=1, 1..) => bytes[(0x80 + pick as usize % 0x80) % bytes.len()],
                    (2, 1..) => bytes[[0xE2, 0x80, 0xB0, 0xF0, 0x9F, 0x99, 0x82][pick as usize % 7]],
                    (3, _) => size - 1 - pick % 9,
                    _ => pick % size,
                }).collect();
                let mut stream = TextStream::default();
                let mut text: String = ids.iter().map(|&id| stream.push(&tokenizer, id).unwrap()).collect();
                text += &stream.finish(&tokenizer).unwrap();
                proptest::prop_assert_eq!(text, tokenizer.decode(&ids).unwrap());
            }
        }
    }
}

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

/// No character spans more tokens: it has at most 4 bytes. After as many, what is no character yet will be none.
const CHARACTER_TOKENS: usize = 4;

impl TextStream {
    /// The text that this token completes; empty while a character is incomplete.
    ///
    /// # Errors
    /// An id that the tokenizer does not have.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<String, TokenizerError> {
        self.ids.push(token);
        let before = tokenizer.decode(&self.ids[..self.out])?;
        let all = tokenizer.decode(&self.ids)?;
        if all.ends_with('\u{FFFD}') && self.ids.len() - self.out < CHARACTER_TOKENS {
            return Ok(String::new());
        }
        Ok(self.flush(&before, &all))
    }

    /// What is left, complete or not.
    ///
    /// # Errors
    /// None after [`TextStream::push`] succeeded with this tokenizer.
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Result<String, TokenizerError> {
        let before = tokenizer.decode(&self.ids[..self.out])?;
        let all = tokenizer.decode(&self.ids)?;
        Ok(self.flush(&before, &all))
    }

    fn flush(&mut self, before: &str, all: &str) -> String {
        self.ids.drain(..self.out);
        self.out = self.ids.len();
        all.strip_prefix(before).unwrap_or_default().to_owned()
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
}

//! How likely a model finds texts: loss, perplexity and bits per byte.

use sip_data::{DataError, shown};
use sip_model::tokenizer::{SpecialTokens, Tokenizer, TokenizerError};
use sip_model::{Decoder, GenerateError};
use std::path::PathBuf;

/// Why a text or a set of questions has no score.
#[derive(Debug, thiserror::Error)]
pub enum LikelihoodError {
    /// The text has nothing to be scored.
    #[error("the text is empty")]
    Empty,
    /// A file has nothing to be answered.
    #[error(
        "there is no question, expected {{\"context\": …, \"choices\": [\"…\", \"…\"], \"answer\": 0}} on every line"
    )]
    NoQuestion,
    /// The model's files name no token that stands before a text.
    #[error("the model names no token that begins or ends texts, so the first token of a text has no likelihood")]
    NoPrefix,
    /// Windows that do not cover the text once.
    #[error("the stride is {stride} tokens, expected 1 to {context}, the length of a window")]
    Stride {
        /// Tokens from one window to the next.
        stride: usize,
        /// Tokens of a window.
        context: usize,
    },
    /// A choice that the model cannot see as a whole.
    #[error("the choice has {tokens} tokens, more than the model's context of {context}")]
    TooLong {
        /// Tokens of the choice.
        tokens: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// The tokens of a context and a choice are those of the context alone.
    #[error("the choice \"{}\" adds no token to its context", shown(.0))]
    NoToken(String),
    /// A line that is no question.
    #[error("line {line}: {reason}")]
    Question {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it, and what was expected.
        reason: String,
    },
    /// A question cannot be answered.
    #[error("question {question}: {source}")]
    Answer {
        /// Its number, from 1.
        question: usize,
        /// What happened.
        source: Box<LikelihoodError>,
    },
    /// A file cannot be read, or is none of records.
    #[error("{0}")]
    Data(#[from] DataError),
    /// A file holds no questions.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer refused.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model gave no likelihood.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

/// A model as a judge of texts.
pub struct Judge {
    pub(crate) decoder: Decoder,
    pub(crate) tokenizer: Tokenizer,
    /// What stands before every text that the model is given, if anything.
    pub(crate) begin: Option<u32>,
    /// What stands before a text whose first token is to be scored.
    prefix: Option<u32>,
    /// The tokens at the start of the decoder's cache that the next question may share.
    pub(crate) cached: Vec<u32>,
}

/// How likely a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextScore {
    /// Tokens, each of which counts once.
    pub tokens: usize,
    /// Length of the text in UTF-8.
    pub bytes: usize,
    /// Sum over the tokens of ln p, in nats.
    pub log_likelihood: f64,
}

impl TextScore {
    /// Mean cross-entropy in nats per token.
    pub fn loss(&self) -> f64 {
        -self.log_likelihood / self.tokens as f64
    }

    /// exp(loss): among how many equally likely tokens the model would be as unsure.
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }

    /// Bits that an optimal code by this model needs per byte of the text; comparable between tokenizers.
    pub fn bits_per_byte(&self) -> f64 {
        -self.log_likelihood / (self.bytes as f64 * std::f64::consts::LN_2)
    }
}

impl std::ops::AddAssign for TextScore {
    fn add_assign(&mut self, other: TextScore) {
        self.tokens += other.tokens;
        self.bytes += other.bytes;
        self.log_likelihood += other.log_likelihood;
    }
}

impl Judge {
    /// Windows and questions have as many tokens as the decoder caches.
    pub fn new(decoder: Decoder, tokenizer: Tokenizer, special: &SpecialTokens) -> Judge {
        let prefix = special.begin.or(special.bos).or(special.end.first().copied());
        Judge { decoder, tokenizer, begin: special.begin, prefix, cached: Vec::new() }
    }

    /// Tokens that the model sees at once, at most.
    pub fn context(&self) -> usize {
        self.decoder.context()
    }

    /// Forgets what the cache holds but for the tokens that it shares with these at the start; their number.
    pub(crate) fn keep(&mut self, tokens: &[u32]) -> usize {
        let shared = self.cached.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        self.cached.truncate(shared);
        self.decoder.truncate(shared);
        shared
    }

    pub(crate) fn prefix(&self) -> Result<u32, LikelihoodError> {
        self.prefix.ok_or(LikelihoodError::NoPrefix)
    }

    /// Scores every token of a text once, also the first, before which stands the token that begins (or else ends) texts.
    ///
    /// The text is cut into windows. The first scores as many tokens as the context has, each further one the next `stride`
    /// tokens after as many earlier ones as fit. With a stride of the whole context, windows share only the one token
    /// that comes before the first scored one, as in the rolling log-likelihood of the LM Evaluation Harness; with a smaller stride every
    /// token but the first ones sees at least context − stride + 1 tokens, at context / stride times the cost.
    ///
    /// `on_window` sees how many of how many tokens are scored, after every window.
    ///
    /// # Errors
    /// An empty text, a stride out of range, or no likelihood.
    pub fn score(
        &mut self,
        text: &str,
        stride: usize,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<TextScore, LikelihoodError> {
        let context = self.context();
        if stride == 0 || stride > context {
            return Err(LikelihoodError::Stride { stride, context });
        }
        let mut tokens = vec![self.prefix()?];
        tokens.extend(self.tokenizer.encode(text)?);
        let count = tokens.len() - 1;
        if count == 0 {
            return Err(LikelihoodError::Empty);
        }
        let mut log_likelihood = 0.0;
        // `first..end` are the tokens that the window scores; it sees those from `start` on.
        let (mut first, mut end) = (1, 1 + count.min(context));
        loop {
            let start = (end - 1).saturating_sub(context);
            self.keep(&[]);
            if start + 1 < first {
                self.decoder.feed(&tokens[start..first - 1])?;
            }
            let found = self.decoder.log_likelihoods(&tokens[first - 1..end - 1], &tokens[first..end])?;
            log_likelihood += found.into_iter().map(f64::from).sum::<f64>();
            on_window(end - 1, count);
            if end > count {
                return Ok(TextScore { tokens: count, bytes: text.len(), log_likelihood });
            }
            (first, end) = (end, (end + stride).min(count + 1));
        }
    }
}

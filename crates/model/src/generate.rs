//! Continuing text: next-token logits by the same exact operators, and sampling from a seed.

use crate::export::LlamaConfig;
use crate::init::next_random;
use crate::llama::{ModelError, logits_graph};
use crate::tables::inference_tables;
use sip_arith::{Native, order_key};
use sip_graph::{Buffer, Executor, ExecutorOptions, Inputs, RunError};
use sip_kernels::Threads;
use std::sync::Arc;

/// Why no text can be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// There is no token to continue.
    #[error("the prompt has no token: give at least one")]
    EmptyPrompt,
    /// A token id that the model does not have.
    #[error("token {token} is not below the vocabulary size {vocab_size}")]
    Token {
        /// The id.
        token: u32,
        /// Number of ids.
        vocab_size: usize,
    },
    /// The logits cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The logits cannot be computed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f32,
    /// Only the likeliest `top_k` tokens count; 0 for all.
    pub top_k: usize,
    /// Only the likeliest tokens that together reach this probability count; 1 for all.
    pub top_p: f32,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 0.8, top_k: 0, top_p: 0.95 }
    }
}

/// Draws tokens; the same seed and logits give the same tokens on every machine.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: u64,
}

impl Sampler {
    /// Starts from a seed.
    pub fn new(sampling: Sampling, seed: u64) -> Sampler {
        Sampler { sampling, random: seed }
    }

    /// Draws a token from logits (f32 bits); ties go to the lowest id.
    pub fn draw(&mut self, logits: &[u32]) -> u32 {
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        ids.sort_by_key(|&id| (std::cmp::Reverse(order_key(logits[id as usize])), id));
        let Some(&best) = ids.first() else { return 0 };
        let Sampling { temperature, top_k, top_p } = self.sampling;
        if temperature <= 0.0 {
            return best;
        }
        if top_k > 0 {
            ids.truncate(top_k);
        }
        let highest = f32::from_bits(logits[best as usize]);
        let weight = |&id: &u32| {
            let difference = (f32::from_bits(logits[id as usize]) - highest) / temperature;
            f32::from_bits(sip_ops::exp::<Native>(difference.to_bits())) as f64
        };
        let weights: Vec<f64> = ids.iter().map(weight).collect();
        let limit = weights.iter().sum::<f64>() * (top_p as f64).clamp(0.0, 1.0);
        let mut kept = 0.0;
        let mut count = 0;
        while count < weights.len() && (count == 0 || kept < limit) {
            kept += weights[count];
            count += 1;
        }
        let mut point = (next_random(&mut self.random) >> 11) as f64 / (1u64 << 53) as f64 * kept;
        for (&id, weight) in ids.iter().zip(&weights[..count]) {
            point -= weight;
            if point < 0.0 {
                return id;
            }
        }
        ids[count - 1]
    }
}

/// A model that continues token sequences within a fixed window.
pub struct Generator {
    executor: Executor,
    weights: Vec<Buffer>,
    tables: Vec<Buffer>,
    window: Vec<u32>,
    vocab_size: usize,
}

impl Generator {
    /// `weights` are the tensors of [`LlamaConfig::parameters`], in that order; the window is `max_seq_len` tokens.
    ///
    /// # Errors
    /// A shape that is out of range.
    pub fn new(config: &LlamaConfig, weights: Vec<Buffer>, threads: Arc<Threads>) -> Result<Generator, GenerateError> {
        let window = config.max_seq_len;
        let graph = logits_graph(config, window)?;
        let executor = Executor::new(Arc::new(graph), threads, ExecutorOptions::default());
        let tables = inference_tables(config, window);
        Ok(Generator { executor, weights, tables, window: vec![0; window], vocab_size: config.vocab_size })
    }

    /// Logits (f32 bits, one per token id) after the last of `tokens`; only the last window of them counts.
    ///
    /// # Errors
    /// No token, an unknown token, weights that do not fit, or a value that is not finite.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<&[u32], GenerateError> {
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= self.vocab_size) {
            return Err(GenerateError::Token { token, vocab_size: self.vocab_size });
        }
        let seen = &tokens[tokens.len().saturating_sub(self.window.len())..];
        let last = seen.len().checked_sub(1).ok_or(GenerateError::EmptyPrompt)?;
        self.window.fill(0);
        self.window[..seen.len()].copy_from_slice(seen);
        let inputs = Inputs { state: &self.weights, batch: &self.window, step: last as u32, tables: &self.tables };
        self.executor.run(&inputs, &mut [], None)?;
        Ok(self.executor.result("logits").unwrap_or(&[]))
    }

    /// Continues `prompt` by `count` tokens; `on_token` sees each as it is drawn and returns whether to go on.
    ///
    /// # Errors
    /// As [`Generator::logits`].
    pub fn generate(
        &mut self,
        prompt: &[u32],
        count: usize,
        sampler: &mut Sampler,
        on_token: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Vec<u32>, GenerateError> {
        let mut tokens = prompt.to_vec();
        for _ in 0..count {
            let token = sampler.draw(self.logits(&tokens)?);
            tokens.push(token);
            if !on_token(token) {
                break;
            }
        }
        Ok(tokens.split_off(prompt.len()))
    }
}

//! Scoring of models: the held-out loss of a checkpoint as an integer, the same that a scoring run gives on chain, and for people loss, perplexity and
//! bits per byte of any text ([`Judge::score`]) and the share of questions answered right ([`Judge::answer`]).
//!
//! Log-likelihoods are the same bits on every machine; so are the choices made by them.

mod choices;
mod likelihood;

pub use choices::{ChoiceScore, Question, Questions};
pub use likelihood::{Judge, LikelihoodError, TextScore};

use sip_data::{DataError, TokenBlob, heldout_batches};
use sip_graph::{Buffer, Executor, ExecutorOptions, Inputs, RunError};
use sip_kernels::{Simd, Threads};
use sip_model::export::LlamaConfig;
use sip_model::heldout::{self, eval_graph};
use sip_model::llama::ModelError;
use std::sync::Arc;

/// Micro-nats per nat: the unit of scores on chain.
pub const MICRO_NATS: f64 = 1e6;

/// Why a checkpoint has no score.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model's graph cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The held-out tokens do not make up the windows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model gives values that are not finite.
    #[error("scoring: {0}")]
    Run(#[from] RunError),
}

/// The windows of one domain on which every checkpoint is scored.
#[derive(Clone)]
pub struct Benchmark {
    batches: Vec<Vec<u32>>,
}

impl Benchmark {
    /// `windows` evenly spaced windows of held-out tokens, `batch` at a time.
    ///
    /// # Errors
    /// Too few tokens, or windows that are no multiple of the batch.
    pub fn new(heldout: &TokenBlob, batch: u32, sequence_length: u32, windows: u32) -> Result<Benchmark, EvalError> {
        Ok(Benchmark { batches: heldout_batches(heldout, batch, sequence_length, windows)? })
    }
}

/// A model's scoring graph, ready to run.
pub struct Scorer {
    executor: Executor,
    tables: Vec<Buffer>,
    /// Predicted tokens of a batch.
    tokens: u64,
}

impl Scorer {
    /// Prepares the graph for windows of this shape; `tables` are the job's.
    ///
    /// # Errors
    /// A shape that no model has.
    pub fn new(
        config: &LlamaConfig,
        batch: u32,
        sequence_length: u32,
        tables: Vec<Buffer>,
        threads: Arc<Threads>,
        simd: Simd,
    ) -> Result<Scorer, EvalError> {
        let graph = eval_graph(config, batch as usize, sequence_length as usize)?;
        let executor = Executor::new(Arc::new(graph), threads, ExecutorOptions { simd, ..ExecutorOptions::default() });
        Ok(Scorer { executor, tables, tokens: u64::from(batch) * u64::from(sequence_length) })
    }

    /// Mean loss of a checkpoint in micro-nats per token: each token's loss is rounded to the nearest micro-nat, and the mean
    /// of these integers is rounded down, as in a scoring run.
    ///
    /// # Errors
    /// Weights that give no finite loss.
    pub fn score(&mut self, weights: &[Buffer], benchmark: &Benchmark) -> Result<u32, EvalError> {
        let mut sum = 0u64;
        let mut tokens = 0u64;
        for batch in &benchmark.batches {
            let inputs = Inputs { state: weights, batch, step: 0, tables: &self.tables, settings: &[] };
            self.executor.run(&inputs, &mut [], None)?;
            sum += heldout::micro_nats(self.executor.result("row_bytes").unwrap_or(&[]));
            tokens += self.tokens;
        }
        // A token counts as at most 2 · 10⁹ micro-nats.
        Ok((sum / tokens.max(1)) as u32)
    }
}

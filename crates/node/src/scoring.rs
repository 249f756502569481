//! The scoring run of a job: the held-out loss of a base, computed and committed like the steps of a trainer.

use sip_data::{DataError, Mixture, TokenBlob};
use sip_graph::{Buffer, Graph};
use sip_kernels::Threads;
use sip_model::{LlamaConfig, ModelError, held_out_graph, heldout};
use sip_proof::{MAX_STEPS_PER_LEAF, sampler::HeldOut};
use sip_protocol::training::setting::MAX_SETTINGS;
use std::sync::Arc;

use crate::{SegmentTask, State, Task};

/// Sums of a scoring run by domain, in micro-nats.
pub type Sums = [u64; heldout::DOMAINS];

/// Why there is no scoring run.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// The model's graph cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The windows do not make up steps.
    #[error(
        "{windows} windows in steps of {rows} for each of {domains} domains; expected whole steps for 1 to 8 domains"
    )]
    Windows {
        /// Windows of a domain.
        windows: u32,
        /// Windows of a step.
        rows: u32,
        /// Domains.
        domains: usize,
    },
    /// A domain is shorter than a window.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The windows of a scoring run: as many of a domain as asked for, up to whole steps, and in a step as many rows as a batch has,
/// unless these are more tokens than a step may sum up.
pub fn held_out(windows: u32, batch: u32, sequence_length: u32) -> HeldOut {
    let most = heldout::STEP_TOKENS_MAX as u32 / sequence_length.max(1);
    let rows = batch.min(most).max(1);
    HeldOut { windows: windows.max(1).next_multiple_of(rows), rows }
}

impl Task {
    /// The scoring run of a job: all windows of the first domain, then those of the next.
    ///
    /// `tables` are the job's, `domains` the held-out tokens.
    ///
    /// # Errors
    /// A shape that no model has, windows that are no whole steps, or a domain that holds none.
    pub fn scoring(
        config: &LlamaConfig,
        held_out: HeldOut,
        sequence_length: u32,
        tables: Vec<Buffer>,
        domains: Vec<Arc<TokenBlob>>,
    ) -> Result<Task, ScoringError> {
        let steps = counted(held_out, domains.len())?;
        let per_domain = steps / domains.len().max(1) as u32;
        let graph = held_out_graph(config, held_out.rows as usize, sequence_length as usize, per_domain)?;
        let leaf_interval = steps.min(MAX_STEPS_PER_LEAF);
        Task::scoring_by(Arc::new(graph), held_out, sequence_length, leaf_interval, tables, domains)
    }

    /// As [`Task::scoring`], by a graph that is there.
    ///
    /// # Errors
    /// Windows that are no whole steps, or a domain that holds none.
    pub fn scoring_by(
        graph: Arc<Graph>,
        held_out: HeldOut,
        sequence_length: u32,
        leaf_interval: u32,
        tables: Vec<Buffer>,
        domains: Vec<Arc<TokenBlob>>,
    ) -> Result<Task, ScoringError> {
        let inner_steps = counted(held_out, domains.len())?;
        let window = u64::from(sequence_length) + 1;
        if let Some(domain) = domains.iter().position(|blob| blob.token_count() < window) {
            return Err(DataError::NoWindow { domain, tokens: domains[domain].token_count(), window }.into());
        }
        let roots = Task::commit(&graph, &tables);
        Ok(Task {
            graph,
            tables,
            roots,
            domains,
            batch: held_out.rows,
            sequence_length,
            inner_steps,
            leaf_interval,
            held_out: Some(held_out),
        })
    }
}

/// Steps of a scoring run over so many domains.
fn counted(held_out: HeldOut, domains: usize) -> Result<u32, ScoringError> {
    let HeldOut { windows, rows } = held_out;
    let known = (1..=heldout::DOMAINS).contains(&domains).then_some(domains as u32);
    known.and_then(|domains| held_out.steps(domains)).ok_or(ScoringError::Windows { windows, rows, domains })
}

impl SegmentTask {
    /// The scoring run of a base. It starts from zero sums, and neither seed, mixture, settings nor place say anything in it.
    ///
    /// # Errors
    /// None that a task of [`Task::scoring`] could give.
    pub fn scoring(base: &Arc<State>, threads: &Threads) -> Result<SegmentTask, DataError> {
        let start = State::new(vec![Buffer::new(2 * heldout::DOMAINS)], threads);
        Ok(SegmentTask {
            round: 0,
            first_step: 0,
            seed: [0; 32],
            mixture: Mixture::uniform(1)?,
            settings: [0; MAX_SETTINGS],
            place: 0,
            base: Arc::new(start),
            bases: vec![Arc::clone(base)],
        })
    }
}

/// The sums in a state of a scoring run.
pub fn sums(state: &State) -> Sums {
    let halves = state.entries().first().map_or(&[][..], |entry| entry);
    std::array::from_fn(|domain| {
        let half = |half: usize| u64::from(halves.get(2 * domain + half).copied().unwrap_or(0));
        half(1) << 32 | half(0)
    })
}

//! What is to be computed: the job, and one segment of it.

use sip_data::{DataError, Mixture, TokenBlob, heldout_batch, sampler};
use sip_graph::{Buffer, Graph, RunError};
use sip_ops::{Kind, Source};
use sip_proof::{GraphRoots, Hash, Leaf, merkle::MerkleTree, sampler::HeldOut, tensor_root};
use sip_protocol::training::setting::MAX_SETTINGS;
use std::sync::Arc;

use crate::{Cheat, State};

/// Why work stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The watcher of the progress asked for it.
    #[error("the work was asked to stop")]
    Stopped,
    /// A step gave a value that is not finite, or an input does not fit.
    #[error("step {step} of the segment: {source}")]
    Run {
        /// The step within the segment.
        step: u32,
        /// What happened.
        source: RunError,
    },
    /// The batch cannot be drawn.
    #[error("step {step} of the segment: {source}")]
    Batch {
        /// The step within the segment.
        step: u32,
        /// What happened.
        source: DataError,
    },
}

/// A job: everything that is the same in all rounds.
#[derive(Clone)]
pub struct Task {
    /// The graph of one step.
    pub graph: Arc<Graph>,
    /// The committed tables.
    pub tables: Vec<Buffer>,
    /// Commitments to graph and tables.
    pub roots: GraphRoots,
    /// Training tokens by domain.
    pub domains: Vec<Arc<TokenBlob>>,
    /// Sequences per step.
    pub batch: u32,
    /// Tokens per sequence.
    pub sequence_length: u32,
    /// Steps per segment.
    pub inner_steps: u32,
    /// Steps per leaf.
    pub leaf_interval: u32,
    /// Nothing for training, whose batches are drawn by the round's seed and mixture. A scoring run goes through these windows instead,
    /// and `domains` are held-out tokens.
    pub held_out: Option<HeldOut>,
}

impl Task {
    /// Commits to a graph and its tables.
    pub fn commit(graph: &Graph, tables: &[Buffer]) -> GraphRoots {
        let nodes: Vec<Vec<u8>> = graph.nodes().iter().map(|node| node.encode()).collect();
        let tables: Vec<Hash> = tables.iter().map(|table| tensor_root(table)).collect();
        GraphRoots::new(&nodes, graph.state_outputs(), &tables)
    }

    /// Entries of the state that a step replaces; further ones that the graph reads belong to the segment's bases.
    pub(crate) fn carried(&self) -> usize {
        self.graph.state_outputs().len()
    }

    /// (first step, steps) of every leaf.
    pub fn leaves(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let interval = self.leaf_interval.max(1) as usize;
        (0..self.inner_steps).step_by(interval).map(|first| (first, self.leaf_interval.min(self.inner_steps - first)))
    }
}

/// One trainer's segment of one round.
#[derive(Clone)]
pub struct SegmentTask {
    /// Number of the round.
    pub round: u32,
    /// The number within the job that its first step has, [`first_step`](sip_protocol::training::round::Round::first_step) of the round.
    pub first_step: u32,
    /// The round's seed.
    pub seed: Hash,
    /// The round's mixture.
    pub mixture: Mixture,
    /// The round's steered settings, which the graph reads; multiples of 2⁻¹⁶.
    pub settings: [u32; MAX_SETTINGS],
    /// The trainer's place in the job.
    pub place: u8,
    /// Where the segment starts.
    pub base: Arc<State>,
    /// States that the graph reads and no step changes: the entries of the first follow those of the start, and so on.
    pub bases: Vec<Arc<State>>,
}

impl SegmentTask {
    /// The batch of a step, or what a cheat takes instead.
    ///
    /// # Errors
    /// A domain too short for a window.
    pub fn batch(&self, task: &Task, step: u32, cheat: Option<&Cheat>) -> Result<Vec<u32>, WorkError> {
        let blobs: Vec<&TokenBlob> = task.domains.iter().map(|blob| &**blob).collect();
        if let Some(held_out) = &task.held_out {
            let batch = heldout_batch(held_out, step, &blobs, task.sequence_length);
            return batch.map_err(|source| WorkError::Batch { step, source });
        }
        let mixture = match cheat {
            Some(Cheat::WrongData { domain }) => {
                let mut weights = vec![0; blobs.len()];
                if let Some(weight) = weights.get_mut(*domain as usize) {
                    *weight = sampler::MIXTURE_SUM_BPS;
                }
                Mixture::new(&weights)
            }
            _ => Ok(self.mixture),
        };
        mixture
            .and_then(|mixture| {
                let place = u32::from(self.place);
                sampler::batch(&self.seed, place, step, task.batch, &mixture, &blobs, task.sequence_length)
            })
            .map_err(|source| WorkError::Batch { step, source })
    }

    /// The settings that the graph reads, or what a cheat reads instead.
    pub(crate) fn settings(&self, cheat: Option<&Cheat>) -> [u32; MAX_SETTINGS] {
        let mut settings = self.settings;
        if let Some(Cheat::WrongSetting { setting, value }) = cheat
            && let Some(word) = settings.get_mut(*setting as usize)
        {
            *word = *value;
        }
        settings
    }

    /// What the graph reads as its state at `start`: the carried entries, and of the bases as many as the graph reads.
    pub(crate) fn inputs(&self, task: &Task, start: &State) -> Vec<Buffer> {
        let nodes = task.graph.nodes().iter().filter(|node| node.kind == Kind::Input);
        let read = nodes.filter_map(|node| match node.source {
            Source::State(entry) => Some(entry as usize + 1),
            _ => None,
        });
        let count = read.max().unwrap_or(0).max(task.carried());
        let entries = start.entries().iter().chain(self.bases.iter().flat_map(|base| base.entries()));
        entries.take(count).cloned().collect()
    }

    /// The step's number within the job, which the graph reads.
    pub fn job_step(&self, step: u32) -> u32 {
        self.first_step.wrapping_add(step)
    }
}

/// A segment that was computed.
#[derive(Clone)]
pub struct Segment {
    /// What is committed, leaf by leaf.
    pub leaves: Vec<Leaf>,
    /// The state after the last step.
    pub end: Arc<State>,
    /// Training loss of each step, in nats per token.
    pub losses: Vec<f32>,
}

impl Segment {
    /// Root of the Merkle tree over the leaves.
    pub fn accumulator_root(&self) -> Hash {
        MerkleTree::new(self.leaves.iter().map(Leaf::preimage)).root()
    }
}

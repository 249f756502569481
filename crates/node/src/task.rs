//! What is to be computed: the job, and one segment of it.

use sip_data::{DataError, Mixture, TokenBlob, sampler};
use sip_graph::{Buffer, Graph, RunError};
use sip_proof::{GraphRoots, Hash, Leaf, merkle::MerkleTree, tensor_root};
use std::sync::Arc;

use crate::{Cheat, State};

/// Why work stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Whoever watched the progress asked for it.
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
}

impl Task {
    /// Commits to a graph and its tables.
    pub fn commit(graph: &Graph, tables: &[Buffer]) -> GraphRoots {
        let nodes: Vec<Vec<u8>> = graph.nodes().iter().map(|node| node.encode()).collect();
        let tables: Vec<Hash> = tables.iter().map(|table| tensor_root(table)).collect();
        GraphRoots::new(&nodes, graph.state_outputs(), &tables)
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
    /// The round's seed.
    pub seed: Hash,
    /// The round's mixture.
    pub mixture: Mixture,
    /// The trainer's place in the job.
    pub place: u8,
    /// Where the segment starts.
    pub base: Arc<State>,
}

impl SegmentTask {
    /// The batch of a step, or what a cheat takes instead.
    ///
    /// # Errors
    /// A domain too short for a window.
    pub fn batch(&self, task: &Task, step: u32, cheat: Option<&Cheat>) -> Result<Vec<u32>, WorkError> {
        let blobs: Vec<&TokenBlob> = task.domains.iter().map(|blob| &**blob).collect();
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

    /// The step's number within the job, which the graph reads.
    pub fn job_step(&self, task: &Task, step: u32) -> u32 {
        self.round.wrapping_mul(task.inner_steps).wrapping_add(step)
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

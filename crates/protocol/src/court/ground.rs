//! What a dispute is about: copied once when it opens, so that every later move needs the dispute's own account only
//! and nothing that happens to the job meanwhile can change the case.

use bytemuck::{Pod, Zeroable};
use sip_proof::sampler::{Corpus, HeldOut, Row, Window};
use sip_proof::{Hash, MAX_STEPS_PER_LEAF, Sha256};

use crate::court::CaseKind;
use crate::training::job::{MAX_DOMAINS, MAX_TRAINERS};
use crate::training::setting::MAX_SETTINGS;
use crate::{Error, Result, ground::layout::layout};

/// Most bases: an aggregate reads the end of every trainer's segment.
pub const MAX_BASES: usize = MAX_TRAINERS;

layout! {
    /// The undisputed facts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Ground {
        /// The graph in question: see [`sip_proof::GraphRoots`].
        pub nodes_root: Hash,
        /// See [`sip_proof::GraphRoots`].
        pub outputs_root: Hash,
        /// See [`sip_proof::GraphRoots`].
        pub tables_root: Hash,
        /// Seed of the round's batches.
        pub round_seed: Hash,
        /// State root before the first step: of a segment what it starts from, of a graph that is computed once what its first inputs read.
        pub start_root: Hash,
        /// State root that is claimed after the last step.
        pub end_root: Hash,
        /// Merkle root over the segment's leaves.
        pub accumulator_root: Hash,
        /// BLAKE3 root of each domain's tokens: for training, or held out in a scoring run.
        pub dataset_roots: [Hash; MAX_DOMAINS],
        /// How many these are.
        pub token_counts: [u64; MAX_DOMAINS],
        /// Share of each domain in the round's batches, basis points.
        pub mixture_bps: [u16; MAX_DOMAINS],
        /// Nodes of the graph.
        pub node_count: u32,
        /// Entries of the state.
        pub state_count: u32,
        /// Tables of the job.
        pub table_count: u32,
        /// Steps of the segment.
        pub inner_steps: u32,
        /// Steps of a leaf; the last leaf of a segment may have fewer.
        pub steps_per_leaf: u32,
        /// Number that the segment's first step has within the job.
        pub first_step: u32,
        /// The trainer's number in the sampler.
        pub trainer: u32,
        /// Rows of a batch.
        pub batch_rows: u32,
        /// Tokens of a row: sequence length + 1.
        pub row_tokens: u32,
        /// A [`CaseKind`].
        pub case: u32,
        /// State inputs up to this number read the state before the step; see [`Ground::input`].
        pub carried: u32,
        /// Entries of each base.
        pub base_entries: u32,
        /// Bases.
        pub base_count: u32,
        /// Held-out windows of each domain in a scoring run, whose batches they are in order; else 0.
        pub windows: u32,
        /// State roots, beside the state before the step, that inputs read.
        pub bases: [Hash; MAX_BASES],
        /// Steered settings of the round: the words that `Source::Setting` reads.
        pub settings: [u32; MAX_SETTINGS],
    }
}

/// Where a state input reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateInput {
    /// An entry of the state before the step.
    Carried(u32),
    /// An entry of a base.
    Base {
        /// Which base.
        base: u32,
        /// Its entry.
        entry: u32,
    },
}

impl Ground {
    /// What the case is about.
    pub fn case(&self) -> Result<CaseKind> {
        CaseKind::from_number(self.case).ok_or(Error::WrongKind)
    }

    /// Where `Source::State(number)` reads: the first `carried` numbers are the entries of the state before the step, those after
    /// them the entries of the first base, then of the second, and so on.
    pub fn input(&self, number: u32) -> Result<StateInput> {
        let Some(beyond) = number.checked_sub(self.carried) else { return Ok(StateInput::Carried(number)) };
        let base = beyond.checked_div(self.base_entries).ok_or(Error::NothingThere)?;
        if base >= self.base_count {
            return Err(Error::NothingThere);
        }
        Ok(StateInput::Base { base, entry: beyond % self.base_entries })
    }

    /// The window of tokens that a row of a step's batch holds.
    #[inline(always)]
    pub fn window<S: Sha256>(&self, step: u32, row: u32) -> Option<Window> {
        if self.windows != 0 {
            let held_out = HeldOut { windows: self.windows, rows: self.batch_rows };
            return held_out.locate(step, row, &self.token_counts, self.row_tokens);
        }
        let corpus = Corpus { mixture_bps: &self.mixture_bps, token_counts: &self.token_counts };
        let row = Row { round_seed: self.round_seed, trainer: self.trainer, step, row };
        row.locate::<S>(&corpus, self.row_tokens)
    }

    /// Leaves of the segment.
    pub fn leaf_count(&self) -> u32 {
        if self.steps_per_leaf == 0 { 0 } else { self.inner_steps.div_ceil(self.steps_per_leaf) }
    }

    /// First step of a leaf, counted within the segment, and number of its steps.
    pub fn leaf_steps(&self, leaf: u32) -> (u32, u32) {
        let first = leaf.wrapping_mul(self.steps_per_leaf);
        (first, self.inner_steps.saturating_sub(first).min(self.steps_per_leaf).min(MAX_STEPS_PER_LEAF))
    }
}

//! A job as a value: all that it computes with, under one hash.
//!
//! [`Manifest::to_bytes`] is the only encoding ([`crate::bytes`]); its BLAKE3 hash names the job's work wherever it lies. What the chain commits follows from it
//! ([`crate::commits`]), and so do graphs, tables and states ([`crate::prepare`]); only tokens and tokenizer are files of their own, by their hashes.

use sip_graph::{AdamW, Graph, GraphError};
use sip_model::{LlamaConfig, UpdateCodec};
use sip_proof::{AGGREGATE_COUNTS, Hash};
use std::collections::BTreeMap;

use crate::table::Table;

/// All that a job computes with.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Steps, rows, tokens.
    pub sizes: Sizes,
    /// Shape of the model; nothing where the graphs are another family's.
    pub model: Option<LlamaConfig>,
    /// Numbers of the optimizer in the step graph; nothing where it is another.
    pub optimizer: Option<AdamW>,
    /// Numbers of the codec in the graphs of compressed updates; nothing where it is another, or segments hand over whole states.
    pub codec: Option<UpdateCodec>,
    /// Seed of the genesis graph; 0 where there is none.
    pub genesis_seed: u64,
    /// State root before the first round.
    pub genesis_root: Hash,
    /// Root of the update that a trainer begins with; zeros where segments hand over whole states.
    pub reset_root: Hash,
    /// `tokenizer.json`.
    pub tokenizer: Blob,
    /// Texts, in the order of every mixture.
    pub domains: Vec<Domain>,
    /// Committed tables, by number.
    pub tables: Vec<Table>,
    /// Canonical bytes of every graph.
    pub graphs: BTreeMap<Part, Vec<u8>>,
}

/// A file of its own: what it takes to ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// BLAKE3 of its bytes.
    pub root: Hash,
    /// Their number; 0 where there is no such file.
    pub bytes: u64,
}

impl Blob {
    /// The name of a file with these bytes.
    pub fn of(bytes: &[u8]) -> Blob {
        Blob { root: content_hash(bytes), bytes: bytes.len() as u64 }
    }
}

/// Steps, rows and tokens of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Sequences of a step.
    pub batch: u32,
    /// Tokens of a sequence.
    pub sequence_length: u32,
    /// Steps of a segment.
    pub inner_steps: u32,
    /// Steps of a leaf.
    pub leaf_interval: u32,
    /// Scored rounds.
    pub rounds: u32,
    /// Held-out windows of a domain.
    pub score_windows: u32,
    /// Windows of a step of a scoring run.
    pub score_rows: u32,
    /// Steps of a leaf of a scoring run.
    pub score_leaf_interval: u32,
}

/// Texts of a domain, as tokens under their roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Name.
    pub name: String,
    /// Licence, as an SPDX identifier; empty where it is not known.
    pub licence: String,
    /// BLAKE3 of the training tokens.
    pub train_root: Hash,
    /// Their number.
    pub train_tokens: u64,
    /// BLAKE3 of the held-out tokens.
    pub heldout_root: Hash,
    /// Their number.
    pub heldout_tokens: u64,
}

/// What a graph of a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A step of training.
    Step,
    /// A step of a scoring run.
    Scoring,
    /// The genesis state; absent where that is an import.
    Genesis,
    /// With compressed updates, the state that a segment starts from.
    Start,
    /// With compressed updates, what a segment hands over.
    Update,
    /// The next base of so many segments.
    Average(u8),
}

/// An average's number in the bytes is this and the number of its segments.
const FIRST_AVERAGE: u32 = 16;

impl Part {
    /// Its number in the bytes.
    pub fn number(self) -> u32 {
        match self {
            Part::Step => 0,
            Part::Scoring => 1,
            Part::Genesis => 2,
            Part::Start => 3,
            Part::Update => 4,
            Part::Average(count) => FIRST_AVERAGE + u32::from(count),
        }
    }

    /// The part of a number.
    pub fn from_number(number: u32) -> Option<Part> {
        let named = [Part::Step, Part::Scoring, Part::Genesis, Part::Start, Part::Update];
        let average = || {
            let count = number.checked_sub(FIRST_AVERAGE).filter(|count| (1..=AGGREGATE_COUNTS).contains(count))?;
            Some(Part::Average(count as u8))
        };
        named.get(number as usize).copied().or_else(average)
    }

    /// Its name, also of the file that it is exported to.
    pub fn name(self) -> String {
        match self {
            Part::Step => "step".into(),
            Part::Scoring => "scoring".into(),
            Part::Genesis => "genesis".into(),
            Part::Start => "start".into(),
            Part::Update => "update".into(),
            Part::Average(count) => format!("average-{count}"),
        }
    }

    /// The averages that every job has.
    pub fn averages() -> impl Iterator<Item = Part> {
        (1..=AGGREGATE_COUNTS as u8).map(Part::Average)
    }
}

impl Manifest {
    /// The hash that names it: BLAKE3 of its bytes, so that a chunk of them is opened like one of a tensor.
    pub fn hash(&self) -> Hash {
        content_hash(&self.to_bytes())
    }

    /// Whether segments hand over compressed updates.
    pub fn is_compressed(&self) -> bool {
        self.graphs.contains_key(&Part::Start)
    }

    /// One of the graphs.
    ///
    /// # Errors
    /// Where there is none, or its bytes are none; a manifest that was read has valid ones.
    pub fn graph(&self, part: Part) -> Result<Graph, GraphError> {
        match self.graphs.get(&part) {
            Some(bytes) => Graph::from_bytes(bytes),
            None => Err(GraphError::Bytes { at: 0, reason: format!("the manifest has no graph {}", part.name()) }),
        }
    }
}

/// BLAKE3 of bytes.
pub fn content_hash(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

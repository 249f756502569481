//! From what a job is asked to be to a manifest: which graphs, tables and numbers this implementation computes with.

use anyhow::{Context, Result, ensure};
use sip_data::{DomainTokens, TokenBlob, unhex};
use sip_graph::{AdamW, Buffer, Graph};
use sip_model::{
    LlamaConfig, Schedule, TrainConfig, UpdateCodec, aggregate_graph, held_out_graph, init_base_graph, init_graph,
    params, training_graph,
};
use sip_node::{State, compute, scoring};
use sip_proof::{AGGREGATE_COUNTS, MAX_STEPS_PER_LEAF};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::folder::{Store, tokenizer_bytes};
use crate::machine::Machine;
use crate::settings::{DomainSettings, Exchange, Settings};
use crate::table::{Rotary, Rule, Table};
use crate::value::{Blob, Domain, Manifest, Part, Sizes};

/// What the graphs, tables and sizes of a job are made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Shape of the model; its longest sequence is the length of every sequence.
    pub model: LlamaConfig,
    /// Sequences of a step.
    pub batch: u32,
    /// Steps of a segment.
    pub inner_steps: u32,
    /// Steps of a leaf.
    pub leaf_interval: u32,
    /// Scored rounds.
    pub rounds: u32,
    /// Held-out windows of each domain on which a base is scored.
    pub windows: u32,
    /// The optimizer.
    pub optimizer: AdamW,
    /// The learning rate over the job.
    pub schedule: Schedule,
    /// How updates are written and applied; nothing where segments hand over whole states.
    pub codec: Option<UpdateCodec>,
    /// Where the model comes from.
    pub genesis: Genesis,
}

/// The state before the first round.
#[derive(Clone, Debug)]
pub enum Genesis {
    /// Random weights of a seed, by a graph that everybody can run.
    Seed(u64),
    /// Weights that exist, of the model's shape.
    Import(Arc<State>),
}

/// The state that a job starts from with weights that exist: they, and zeros for moments, or with updates for the momentum of the outer step.
///
/// # Errors
/// Weights that are not of the model's shape.
pub fn import(
    model: &LlamaConfig,
    weights: Vec<Buffer>,
    codec: Option<&UpdateCodec>,
    machine: &Machine,
) -> Result<State> {
    let lengths: Vec<usize> = params(model).iter().map(|param| param.len()).collect();
    ensure!(
        weights.iter().map(|weights| weights.len()).eq(lengths.iter().copied()),
        "the weights are not of the model's shape"
    );
    let zeros = match codec {
        None => 2,
        Some(codec) => codec.aggregate_graph(&lengths, 1)?.state_outputs().len() / lengths.len().max(1) - 1,
    };
    let mut entries = weights;
    for _ in 0..zeros {
        entries.extend(lengths.iter().map(|&length| Buffer::new(length)));
    }
    Ok(State::new(entries, &machine.threads))
}

impl Domain {
    /// A domain of tokens that are at hand.
    pub fn of(tokens: &DomainTokens, licence: &str) -> Domain {
        Domain {
            name: cut(&tokens.name),
            licence: cut(licence),
            train_root: tokens.train.root(),
            train_tokens: tokens.train.token_count(),
            heldout_root: tokens.heldout.root(),
            heldout_tokens: tokens.heldout.token_count(),
        }
    }
}

impl Recipe {
    /// Tokens of a sequence.
    pub fn sequence_length(&self) -> u32 {
        self.model.max_seq_len as u32
    }

    /// Lengths of the weight tensors.
    pub fn weights(&self) -> Vec<usize> {
        params(&self.model).iter().map(|param| param.len()).collect()
    }

    /// The manifest, over these texts and this tokenizer.
    ///
    /// # Errors
    /// Sizes beyond their bounds, or windows that are no whole steps.
    pub fn manifest(&self, domains: Vec<Domain>, tokenizer: Blob, machine: &Machine) -> Result<Manifest> {
        let held_out = scoring::held_out(self.windows, self.batch, self.sequence_length());
        let score_steps = held_out.steps(domains.len() as u32).context("the windows are no whole steps")?;
        let (genesis_seed, genesis_root) = match &self.genesis {
            Genesis::Seed(seed) => {
                (*seed, compute(&Arc::new(self.genesis_graph(*seed)?), &[], &machine.threads, machine.simd)?.root())
            }
            Genesis::Import(state) => (0, state.root()),
        };
        let reset_root = match &self.codec {
            None => [0; 32],
            Some(codec) => crate::prepare::zeros(&codec.update_lengths(&self.weights()), machine).root(),
        };
        let graphs = self.graphs()?.into_iter().map(|(part, graph)| (part, graph.to_bytes())).collect();
        Ok(Manifest {
            sizes: Sizes {
                batch: self.batch,
                sequence_length: self.sequence_length(),
                inner_steps: self.inner_steps,
                leaf_interval: self.leaf_interval,
                rounds: self.rounds,
                score_windows: held_out.windows,
                score_rows: held_out.rows,
                score_leaf_interval: score_steps.min(MAX_STEPS_PER_LEAF),
            },
            model: Some(self.model.clone()),
            optimizer: Some(self.optimizer),
            codec: self.codec,
            genesis_seed,
            genesis_root,
            reset_root,
            tokenizer,
            domains,
            tables: self.tables(),
            graphs,
        })
    }

    /// The graph of the state that the job starts from, of a seed.
    fn genesis_graph(&self, seed: u64) -> Result<Graph> {
        Ok(match &self.codec {
            None => init_graph(&self.model, seed)?,
            Some(codec) => init_base_graph(&self.model, seed, codec.outer)?,
        })
    }

    /// The constants that the graphs read.
    pub fn tables(&self) -> Vec<Table> {
        let (model, optimizer) = (&self.model, &self.optimizer);
        let angles =
            Rotary { pairs: (model.head_dim() / 2) as u32, positions: self.sequence_length(), theta: model.rope_theta };
        let steps = Rule::Steps { schedule: self.schedule, beta1: optimizer.beta1, beta2: optimizer.beta2 };
        [steps, Rule::Cosines(angles), Rule::Sines(angles)].map(Table::of).into()
    }

    /// The graph of one training step.
    ///
    /// # Errors
    /// A shape that is out of range.
    pub fn step_graph(&self) -> Result<Graph> {
        let (batch, seq_len) = (self.batch as usize, self.model.max_seq_len);
        let total_steps = self.schedule.total_steps;
        let config = TrainConfig { batch, seq_len, total_steps, optimizer: self.optimizer };
        Ok(training_graph(&self.model, &config)?.graph)
    }

    fn graphs(&self) -> Result<BTreeMap<Part, Graph>> {
        let held_out = scoring::held_out(self.windows, self.batch, self.sequence_length());
        let steps = held_out.steps_per_domain().context("the windows are no whole steps")?;
        let scored = held_out_graph(&self.model, held_out.rows as usize, self.model.max_seq_len, steps)?;
        let mut graphs = BTreeMap::from([(Part::Step, self.step_graph()?), (Part::Scoring, scored)]);
        if let Genesis::Seed(seed) = self.genesis {
            graphs.insert(Part::Genesis, self.genesis_graph(seed)?);
        }
        let weights = self.weights();
        if let Some(codec) = &self.codec {
            graphs.insert(Part::Start, codec.start_graph(&weights)?);
            graphs.insert(Part::Update, codec.update_graph(&weights)?);
        }
        let shapes: Vec<Vec<usize>> = weights.iter().cycle().take(3 * weights.len()).map(|&len| vec![len]).collect();
        for count in 1..=AGGREGATE_COUNTS as usize {
            let graph = match &self.codec {
                None => aggregate_graph(&shapes, count)?,
                Some(codec) => codec.aggregate_graph(&weights, count)?,
            };
            graphs.insert(Part::Average(count as u8), graph);
        }
        Ok(graphs)
    }
}

impl Settings {
    /// What a run of these settings is made of.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            model: self.model.clone(),
            batch: self.batch,
            inner_steps: self.inner_steps,
            leaf_interval: self.leaf_interval,
            rounds: self.rounds,
            windows: self.windows,
            optimizer: self.optimizer(),
            schedule: self.schedule(),
            codec: (self.updates == Exchange::Compressed).then(|| self.codec()),
            genesis: Genesis::Seed(self.seed),
        }
    }
}

/// The manifest of what settings ask for, with the tokens and the tokenizer in a folder.
///
/// # Errors
/// Where the settings are beyond their bounds, or a file is not what they name.
pub fn manifest(settings: &Settings, store: &Store, machine: &Machine) -> Result<Manifest> {
    settings.check()?;
    let domain = |(number, domain)| describe(store, number, domain);
    let domains = settings.domains.iter().enumerate().map(domain).collect::<Result<Vec<Domain>>>()?;
    settings.recipe().manifest(domains, Blob::of(&tokenizer_bytes(store)?), machine)
}

fn describe(store: &Store, number: usize, domain: &DomainSettings) -> Result<Domain> {
    let load = |part: &str, root: &str| -> Result<TokenBlob> {
        let root = unhex(root).with_context(|| format!("the settings name no root for {}", domain.name))?;
        Ok(TokenBlob::load(&store.tokens(number, part), &root)?)
    };
    let (train, heldout) = (load("train", &domain.train_root)?, load("heldout", &domain.heldout_root)?);
    Ok(Domain::of(&DomainTokens { name: domain.name.clone(), train, heldout }, &domain.licence))
}

/// A text as a manifest has it: cut to fit, without control characters.
fn cut(text: &str) -> String {
    let mut kept = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > crate::bytes::NAME_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}

//! From settings to a manifest: which graphs, tables and numbers a run of this implementation computes with.

use anyhow::{Context, Result};
use sip_data::{TokenBlob, unhex};
use sip_graph::Graph;
use sip_model::{TrainConfig, aggregate_graph, held_out_graph, init_base_graph, init_graph, params, training_graph};
use sip_node::{compute, scoring};
use sip_proof::{AGGREGATE_COUNTS, MAX_STEPS_PER_LEAF};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::folder::{Store, tokenizer_bytes};
use crate::machine::Machine;
use crate::settings::{DomainSettings, Exchange, Settings};
use crate::table::{Rotary, Rule, Table};
use crate::value::{Domain, Manifest, Part, Sizes, content_hash};

/// The manifest of what settings ask for, with the tokens and the tokenizer in a folder.
///
/// # Errors
/// Where the settings are beyond their bounds, or a file is not what they name.
pub fn manifest(settings: &Settings, store: &Store, machine: &Machine) -> Result<Manifest> {
    settings.check()?;
    let domain = |(number, domain)| describe(store, number, domain);
    let domains = settings.domains.iter().enumerate().map(domain).collect::<Result<Vec<Domain>>>()?;
    let held_out = scoring::held_out(settings.windows, settings.batch, settings.sequence_length());
    let score_steps = held_out.steps(domains.len() as u32).context("the windows are no whole steps")?;
    let graphs = graphs(settings)?;
    let genesis = compute(&Arc::new(genesis(settings)?), &[], &machine.threads, machine.simd)?;
    let reset_root = match settings.updates {
        Exchange::Whole => [0; 32],
        Exchange::Compressed => {
            crate::prepare::zeros(&settings.codec().update_lengths(&settings.weights()), machine).root()
        }
    };
    let bytes = graphs.into_iter().map(|(part, graph)| (part, graph.to_bytes())).collect();
    Ok(Manifest {
        sizes: Sizes {
            batch: settings.batch,
            sequence_length: settings.sequence_length(),
            inner_steps: settings.inner_steps,
            leaf_interval: settings.leaf_interval,
            rounds: settings.rounds,
            score_windows: held_out.windows,
            score_rows: held_out.rows,
            score_leaf_interval: score_steps.min(MAX_STEPS_PER_LEAF),
        },
        model: Some(settings.model.clone()),
        optimizer: Some(settings.optimizer()),
        codec: (settings.updates == Exchange::Compressed).then(|| settings.codec()),
        genesis_seed: settings.seed,
        genesis_root: genesis.root(),
        reset_root,
        tokenizer: content_hash(&tokenizer_bytes(store)?),
        domains,
        tables: tables(settings),
        graphs: bytes,
    })
}

fn describe(store: &Store, number: usize, domain: &DomainSettings) -> Result<Domain> {
    let load = |part: &str, root: &str| -> Result<TokenBlob> {
        let root = unhex(root).with_context(|| format!("the settings name no root for {}", domain.name))?;
        Ok(TokenBlob::load(&store.tokens(number, part), &root)?)
    };
    let (train, heldout) = (load("train", &domain.train_root)?, load("heldout", &domain.heldout_root)?);
    Ok(Domain {
        name: cut(&domain.name),
        licence: cut(&domain.licence),
        train_root: train.root(),
        train_tokens: train.token_count(),
        heldout_root: heldout.root(),
        heldout_tokens: heldout.token_count(),
    })
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

/// The graph of the state that the job starts from.
fn genesis(settings: &Settings) -> Result<Graph> {
    Ok(match settings.updates {
        Exchange::Whole => init_graph(&settings.model, settings.seed)?,
        Exchange::Compressed => init_base_graph(&settings.model, settings.seed, settings.codec().outer)?,
    })
}

fn tables(settings: &Settings) -> Vec<Table> {
    let (model, optimizer) = (&settings.model, settings.optimizer());
    let angles =
        Rotary { pairs: (model.head_dim() / 2) as u32, positions: settings.sequence_length(), theta: model.rope_theta };
    let steps = Rule::Steps { schedule: settings.schedule(), beta1: optimizer.beta1, beta2: optimizer.beta2 };
    [steps, Rule::Cosines(angles), Rule::Sines(angles)].map(Table::of).into()
}

fn graphs(settings: &Settings) -> Result<BTreeMap<Part, Graph>> {
    let (batch, seq_len) = (settings.batch as usize, settings.sequence_length() as usize);
    let config = TrainConfig { batch, seq_len, total_steps: settings.total_steps(), optimizer: settings.optimizer() };
    let held_out = scoring::held_out(settings.windows, settings.batch, settings.sequence_length());
    let steps = held_out.steps_per_domain().context("the windows are no whole steps")?;
    let mut graphs = BTreeMap::from([
        (Part::Step, training_graph(&settings.model, &config)?.graph),
        (Part::Scoring, held_out_graph(&settings.model, held_out.rows as usize, seq_len, steps)?),
        (Part::Genesis, genesis(settings)?),
    ]);
    let (codec, weights) = (settings.codec(), settings.weights());
    if settings.updates == Exchange::Compressed {
        graphs.insert(Part::Start, codec.start_graph(&weights)?);
        graphs.insert(Part::Update, codec.update_graph(&weights)?);
    }
    let entries = params(&settings.model).len();
    let shapes: Vec<Vec<usize>> = weights.iter().cycle().take(3 * entries).map(|&len| vec![len]).collect();
    for count in 1..=AGGREGATE_COUNTS as usize {
        let graph = match settings.updates {
            Exchange::Whole => aggregate_graph(&shapes, count)?,
            Exchange::Compressed => codec.aggregate_graph(&weights, count)?,
        };
        graphs.insert(Part::Average(count as u8), graph);
    }
    Ok(graphs)
}

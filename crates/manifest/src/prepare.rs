//! From texts to a task: tokens, blobs, graph, tables, genesis state.

use anyhow::{Context, Result, bail};
use sip_data::{Corpus, DomainTokens, TokenBlob, WrongWords, corpus, hex, unhex};
use sip_graph::Graph;
use sip_model::tokenizer::{DOCUMENT_ID, Tokenizer};
use sip_model::{TrainConfig, init_base_graph, init_graph, tables, training_graph};
use sip_node::{Aggregates, State, Task, Updates, compute, scoring};
use sip_proof::GraphRoots;
use std::path::PathBuf;
use std::sync::Arc;

use crate::folder::Store;
use crate::machine::Machine;
use crate::settings::{DomainSettings, Exchange, Fraud, Settings};

/// Everything that a run computes with.
pub struct Prepared {
    /// A segment: graph, tables, data.
    pub task: Task,
    /// The state that the job starts from.
    pub genesis: Arc<State>,
    /// The graph whose outcome the genesis state is.
    pub init: GraphRoots,
    /// The graphs that make the next base of what a round's segments hand over.
    pub aggregates: Arc<Aggregates>,
    /// Tokens that scoring runs read, by domain.
    pub heldout: Vec<Arc<TokenBlob>>,
    /// The scoring run of a base.
    pub scoring: Task,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The graphs of compressed updates, where segments hand over those.
    pub updates: Option<Updates>,
}

/// Reads the texts (the shipped ones, or the user's), learns a tokenizer and saves the tokens; completes the settings. What a person may want to know is `told`,
/// a line at a time.
///
/// # Errors
/// Where a text cannot be read or trained on, where two are the same, and where files cannot be written; then nothing of an earlier run
/// was touched.
pub fn tokenize(
    settings: &mut Settings,
    texts: &[PathBuf],
    max_bytes: usize,
    store: &Store,
    told: &dyn Fn(&str),
) -> Result<()> {
    let corpus = if texts.is_empty() {
        Corpus::shipped(max_bytes.min(corpus::MAX_BYTES_DEFAULT))?
    } else {
        Corpus::read(texts, max_bytes.min(corpus::MAX_BYTES_DEFAULT))?
    };
    corpus.notes().iter().for_each(|note| told(note));
    let all: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
    let tokenizer = Tokenizer::train(&all, settings.model.vocab_size)?;
    let mut domains = Vec::new();
    for domain in corpus.domains() {
        let mut tokens = vec![DOCUMENT_ID];
        tokens.extend(tokenizer.encode(&domain.text)?);
        let parts = DomainTokens::split(&domain.name, tokens, settings.model.max_seq_len)?;
        let (train, heldout) = (parts.train.token_count(), parts.heldout.token_count());
        told(&format!(
            "{:<12} {train:>9} tokens to train on, {heldout:>7} held out, {:.2} characters per token",
            parts.name,
            domain.text.chars().count() as f64 / (train + heldout) as f64
        ));
        domains.push(parts);
    }
    for (number, parts) in domains.iter().enumerate() {
        if let Some(same) = domains[..number].iter().find(|earlier| earlier.train.root() == parts.train.root()) {
            bail!("{} has the same text as {}; give each text once", parts.name, same.name);
        }
    }
    if settings.cheats.contains(&Fraud::WrongData) && domains.len() < 2 {
        return Err(WrongWords("--cheat wrong-data needs at least two domains; give a second text file".into()).into());
    }
    // Nothing of an earlier run is touched before everything that can be wrong with the texts was found out.
    store.begin()?;
    settings.model.vocab_size = tokenizer.vocab_size();
    tokenizer.save(&store.data(), settings.model.max_seq_len)?;
    settings.domains.clear();
    for (number, parts) in domains.into_iter().enumerate() {
        parts.train.save(&store.tokens(number, "train"))?;
        parts.heldout.save(&store.tokens(number, "heldout"))?;
        settings.domains.push(DomainSettings {
            name: parts.name,
            licence: licence(texts, number).into(),
            train_root: hex(&parts.train.root()),
            heldout_root: hex(&parts.heldout.root()),
        });
    }
    Ok(())
}

/// The licence of a domain, as an SPDX identifier; `data/README.md` says where the shipped texts come from.
fn licence(texts: &[PathBuf], domain: usize) -> &'static str {
    match (texts.is_empty(), domain) {
        (true, 0) => "CC0-1.0",
        (true, _) => "LicenseRef-Public-Domain",
        (false, _) => "LicenseRef-Own",
    }
}

/// The graph of the state that the job starts from.
///
/// # Errors
/// Where the shape of the model has none.
pub fn genesis_graph(settings: &Settings) -> Result<Graph> {
    Ok(match settings.updates {
        Exchange::Whole => init_graph(&settings.model, settings.seed)?,
        Exchange::Compressed => init_base_graph(&settings.model, settings.seed, settings.codec().outer)?,
    })
}

/// Loads the tokens and builds graph, tables and genesis state from the settings.
///
/// # Errors
/// Where the settings are beyond their bounds, or a file is not what they name.
pub fn prepare(settings: &Settings, store: &Store, machine: &Machine) -> Result<Prepared> {
    settings.check()?;
    let sequence_length = settings.sequence_length();
    let mut domains = Vec::new();
    let mut heldout = Vec::new();
    for (number, domain) in settings.domains.iter().enumerate() {
        let load = |part: &str, root: &str| -> Result<Arc<TokenBlob>> {
            let root = unhex(root).with_context(|| format!("the settings name no root for {}", domain.name))?;
            Ok(Arc::new(TokenBlob::load(&store.tokens(number, part), &root)?))
        };
        domains.push(load("train", &domain.train_root)?);
        heldout.push(load("heldout", &domain.heldout_root)?);
    }
    let optimizer = settings.optimizer();
    let total_steps = settings.total_steps();
    let config =
        TrainConfig { batch: settings.batch as usize, seq_len: sequence_length as usize, total_steps, optimizer };
    let graph = Arc::new(training_graph(&settings.model, &config)?.graph);
    let tables = tables(&settings.model, sequence_length as usize, &optimizer, &settings.schedule());
    let roots = Task::commit(&graph, &tables);
    let updates = match settings.updates {
        Exchange::Whole => None,
        Exchange::Compressed => Some(Updates::new(settings.codec(), &settings.weights(), &machine.threads)?),
    };
    let init = genesis_graph(settings)?;
    let init_roots = Task::commit(&init, &[]);
    let genesis = compute(&Arc::new(init), &[], &machine.threads, machine.simd)?;
    let held_out = scoring::held_out(settings.windows, settings.batch, sequence_length);
    let scoring = Task::scoring(&settings.model, held_out, sequence_length, tables.clone(), heldout.clone())?;
    let task = Task {
        graph,
        tables,
        roots,
        domains,
        batch: settings.batch,
        sequence_length,
        inner_steps: settings.inner_steps,
        leaf_interval: settings.leaf_interval,
        held_out: None,
    };
    let aggregates = match &updates {
        Some(updates) => Arc::clone(&updates.aggregates),
        None => Arc::new(Aggregates::new(&genesis.entries().iter().map(|entry| entry.len()).collect::<Vec<usize>>())?),
    };
    Ok(Prepared {
        task,
        genesis: Arc::new(genesis),
        init: init_roots,
        aggregates,
        heldout,
        scoring,
        tokenizer: Tokenizer::load(&store.data())?,
        updates,
    })
}

//! From texts to a task: tokens, blobs, graph, tables, genesis state.

use anyhow::{Context, Result, bail, ensure};
use sip_data::{Corpus, DomainTokens, TokenBlob, WrongWords, corpus, hex};
use sip_graph::{Buffer, Graph};
use sip_model::tokenizer::{DOCUMENT_ID, Tokenizer};
use sip_node::{AggregateError, Aggregates, State, Task, Updates, compute};
use sip_proof::{Hash, sampler::HeldOut};
use sip_protocol::training::job::JobSpec;
use std::path::PathBuf;
use std::sync::Arc;

use crate::folder::{Store, read_manifest, tokenizer_bytes};
use crate::machine::Machine;
use crate::recipe;
use crate::settings::{DomainSettings, Fraud, Settings};
use crate::value::{Blob, Manifest, Part};

/// Everything that a run computes with.
pub struct Prepared {
    /// A segment: graph, tables, data.
    pub task: Task,
    /// The state that the job starts from.
    pub genesis: Arc<State>,
    /// What it was made of.
    pub manifest: Manifest,
    /// The manifest's hash.
    pub hash: Hash,
    /// What a job on chain commits of it.
    pub commits: JobSpec,
    /// The graphs that make the next base of what a round's segments hand over.
    pub aggregates: Arc<Aggregates>,
    /// Tokens that scoring runs read, by domain.
    pub heldout: Vec<Arc<TokenBlob>>,
    /// The scoring run of a base.
    pub scoring: Task,
    /// The tokenizer, where the folder has it: nobody needs it to compute.
    tokenizer: Option<Tokenizer>,
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
    let domains = split(corpus.domains(), &tokenizer, settings.model.max_seq_len, told)?;
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

/// The tokens of texts, to train on and held out, with a line on each.
///
/// # Errors
/// Texts that are too short for sequences of this length, and two that are the same.
pub fn split(
    texts: &[sip_data::Domain],
    tokenizer: &Tokenizer,
    sequence_length: usize,
    told: &dyn Fn(&str),
) -> Result<Vec<DomainTokens>> {
    let mut domains: Vec<DomainTokens> = Vec::new();
    for domain in texts {
        let mut tokens = vec![DOCUMENT_ID];
        tokens.extend(tokenizer.encode(&domain.text)?);
        let parts = DomainTokens::split(&domain.name, tokens, sequence_length)?;
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
    Ok(domains)
}

/// The licence of a domain, as an SPDX identifier; `data/README.md` says where the shipped texts come from.
fn licence(texts: &[PathBuf], domain: usize) -> &'static str {
    match (texts.is_empty(), domain) {
        (true, 0) => "CC0-1.0",
        (true, _) => "LicenseRef-Public-Domain",
        (false, _) => "LicenseRef-Own",
    }
}

/// The graph whose outcome is the genesis state.
///
/// # Errors
/// Where the manifest has none.
pub fn genesis_graph(manifest: &Manifest) -> Result<Graph> {
    Ok(manifest.graph(Part::Genesis)?)
}

/// Makes the manifest of what settings ask for, writes it into the folder of the run, and builds from it.
///
/// # Errors
/// Where the settings are beyond their bounds, or a file is not what they name.
pub fn prepare(settings: &Settings, store: &Store, machine: &Machine) -> Result<Prepared> {
    let manifest = recipe::manifest(settings, store, machine)?;
    store.write_manifest(&manifest)?;
    Prepared::from_manifest(manifest, store, machine)
}

/// Builds from the manifest of a folder.
///
/// # Errors
/// Where there is none, and as [`Prepared::from_manifest`].
pub fn open(store: &Store, machine: &Machine) -> Result<Prepared> {
    Prepared::from_manifest(read_manifest(&store.manifest())?, store, machine)
}

impl Prepared {
    /// The tokenizer.
    ///
    /// # Errors
    /// Where the folder has none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer
            .as_ref()
            .context("the folder of the job has no tokenizer.json, which is needed to read and write text")
    }

    /// Everything that a job computes with, of its manifest and of the tokens in a folder.
    ///
    /// # Errors
    /// Where a file is not the one of its hash, a table not the one of its root, the genesis state not what its graph gives, or a graph of
    /// another shape than the others.
    pub fn from_manifest(manifest: Manifest, store: &Store, machine: &Machine) -> Result<Prepared> {
        let hash = manifest.hash();
        let sizes = manifest.sizes;
        let (domains, heldout) = tokens(&manifest, store)?;
        let tables = manifest.elements()?;
        let graph = |part| -> Result<Arc<Graph>> { Ok(Arc::new(manifest.graph(part)?)) };
        let scoring = Task::scoring_by(
            graph(Part::Scoring)?,
            HeldOut { windows: sizes.score_windows, rows: sizes.score_rows },
            sizes.sequence_length,
            sizes.score_leaf_interval,
            tables.clone(),
            heldout.clone(),
        )?;
        let step = graph(Part::Step)?;
        let task = Task {
            roots: Task::commit(&step, &tables),
            graph: step,
            tables,
            domains,
            batch: sizes.batch,
            sequence_length: sizes.sequence_length,
            inner_steps: sizes.inner_steps,
            leaf_interval: sizes.leaf_interval,
            held_out: None,
        };
        let genesis = genesis(&manifest, store, machine)?;
        let aggregates = Arc::new(aggregates(&manifest)?);
        let updates = match manifest.is_compressed() {
            false => None,
            true => Some(updates(&manifest, &aggregates, machine)?),
        };
        let tokenizer = match store.tokenizer().exists() {
            true => Some(tokenizer(&manifest, store)?),
            false => None,
        };
        Ok(Prepared {
            task,
            genesis: Arc::new(genesis),
            commits: manifest.commits()?,
            hash,
            aggregates,
            heldout,
            scoring,
            tokenizer,
            updates,
            manifest,
        })
    }
}

fn tokenizer(manifest: &Manifest, store: &Store) -> Result<Tokenizer> {
    let is_named = Blob::of(&tokenizer_bytes(store)?) == manifest.tokenizer;
    ensure!(is_named, "{} is not the tokenizer of the manifest", store.tokenizer().display());
    Ok(Tokenizer::load(&store.data())?)
}

/// Training and held-out tokens of all domains.
type Tokens = (Vec<Arc<TokenBlob>>, Vec<Arc<TokenBlob>>);

fn tokens(manifest: &Manifest, store: &Store) -> Result<Tokens> {
    let (mut train, mut heldout) = (Vec::new(), Vec::new());
    for (number, domain) in manifest.domains.iter().enumerate() {
        let load = |part: &str, root: &Hash, tokens: u64| -> Result<Arc<TokenBlob>> {
            let blob = TokenBlob::load(&store.tokens(number, part), root)?;
            let count = blob.token_count();
            ensure!(count == tokens, "the manifest says that {} has {tokens} {part} tokens, not {count}", domain.name);
            Ok(Arc::new(blob))
        };
        train.push(load("train", &domain.train_root, domain.train_tokens)?);
        heldout.push(load("heldout", &domain.heldout_root, domain.heldout_tokens)?);
    }
    Ok((train, heldout))
}

/// The genesis state: what its graph gives, or, without one, the state that the folder has of it.
fn genesis(manifest: &Manifest, store: &Store, machine: &Machine) -> Result<State> {
    let state = match manifest.graphs.contains_key(&Part::Genesis) {
        true => compute(&Arc::new(manifest.graph(Part::Genesis)?), &[], &machine.threads, machine.simd)?,
        false => State::load(&store.base(0), &machine.threads)?,
    };
    ensure!(state.root() == manifest.genesis_root, "the manifest's genesis state is not what its graph gives");
    Ok(state)
}

fn aggregates(manifest: &Manifest) -> Result<Aggregates> {
    let graphs: Vec<Vec<u8>> = Part::averages().filter_map(|part| manifest.graphs.get(&part)).cloned().collect();
    Ok(Aggregates::with(move |count| {
        let wrong = |reason: String| AggregateError::Count { found: count, reason };
        let bytes = graphs.get(count.wrapping_sub(1)).ok_or_else(|| wrong("there is no graph for them".into()))?;
        Graph::from_bytes(bytes).map_err(|error| wrong(error.to_string()))
    })?)
}

fn updates(manifest: &Manifest, aggregates: &Arc<Aggregates>, machine: &Machine) -> Result<Updates> {
    let update = manifest.graph(Part::Update)?;
    let lengths: Vec<usize> = update.state_outputs().iter().map(|&node| update.nodes()[node as usize].len()).collect();
    let reset = zeros(&lengths, machine);
    ensure!(reset.root() == manifest.reset_root, "the update to begin with is not zeros of the update graph's lengths");
    Ok(Updates {
        start: Arc::new(manifest.graph(Part::Start)?),
        update: Arc::new(update),
        aggregates: Arc::clone(aggregates),
        reset: Arc::new(reset),
    })
}

/// A state of zeros with entries of these lengths.
pub(crate) fn zeros(lengths: &[usize], machine: &Machine) -> State {
    State::new(lengths.iter().map(|&len| Buffer::new(len)).collect(), &machine.threads)
}

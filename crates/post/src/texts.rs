//! The texts of a job or of a dataset, as tokens; and the tokenizer that they are tokens of.

use anyhow::{Context, Result, ensure};
use sip_data::{Domain as Words, DomainTokens, shown};
use sip_manifest::folder::Store;
use sip_manifest::folder::tokenizer_bytes;
use sip_manifest::prepare::split;
use sip_manifest::value::{Blob, Domain};
use sip_model::tokenizer::Tokenizer;
use sip_model::{LlamaConfig, LoadedModel};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use solana_address::Address;

use super::config::{JobFile, Text};
use sip_console::tokens::grouped;
use sip_console::words::wrong;
use sip_console::{AddressText, Desk};

/// Licence of the built-in texts, as an SPDX identifier; `data/README.md` says where they come from.
fn builtin_licence(name: &str) -> &'static str {
    if name == "addresses" { "CC0-1.0" } else { "LicenseRef-Public-Domain" }
}

/// Datasets that are told where several are called alike.
const TOLD: usize = 4;
/// Bytes of a name on the chain.
const NAME_BYTES: usize = 32;

/// A name or a licence, as an account has it.
pub(super) fn shown_name(bytes: &[u8; NAME_BYTES]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// Refuses a domain's name that a command could not be given, or that would be the name of no folder.
pub(super) fn require_name(what: &str, name: &str) -> Result<()> {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    ensure!(
        (1..=NAME_BYTES).contains(&name.len()) && name.chars().all(is_plain) && !name.starts_with(['-', '.']),
        wrong(format!(
            "{what} is \"{}\"; a name has letters, digits, -, _ and ., begins with a letter or digit, and has at most {NAME_BYTES} bytes",
            shown(name)
        ))
    );
    Ok(())
}

/// Refuses a text that is no SPDX expression: readers and programs could not tell what they may do with the texts.
pub(super) fn require_licence(what: &str, licence: &str) -> Result<()> {
    let why = match spdx::Expression::parse(licence) {
        Ok(_) if licence.len() <= NAME_BYTES => return Ok(()),
        Ok(_) => format!("has more than {NAME_BYTES} bytes"),
        Err(_) => "is no SPDX identifier".to_owned(),
    };
    Err(wrong(format!(
        "{what} is \"{}\", which {why}; such are CC0-1.0, CC-BY-4.0, MIT, and for one that has none LicenseRef-NAME",
        shown(licence)
    )))
}

/// A domain of a job.
pub(super) enum Source {
    /// Texts at hand.
    Own { words: Words, licence: String },
    /// What somebody has registered.
    Registered { address: Address, domain: Domain },
}

impl Source {
    /// Of the domain.
    pub(super) fn name(&self) -> &str {
        match self {
            Source::Own { words, .. } => &words.name,
            Source::Registered { domain, .. } => &domain.name,
        }
    }
}

/// Reads texts, and datasets from the chain.
pub(super) fn read(desk: &Desk, file: &JobFile, told: &dyn Fn(&str)) -> Result<Vec<Source>> {
    let source = |text: &Text| -> Result<Source> {
        if let Some(dataset) = &text.dataset {
            return registered(desk, dataset);
        }
        let licence = |default: &str| text.licence.clone().unwrap_or_else(|| default.to_owned());
        if let Some(builtin) = &text.builtin {
            let found = Words::shipped(builtin, text.max_bytes)?;
            let mut words = found.with_context(|| {
                format!("no text \"{builtin}\" is built in; there are addresses, novels and scripture")
            })?;
            words.name = text.name.clone().unwrap_or(words.name);
            return Ok(Source::Own { words, licence: licence(builtin_licence(builtin)) });
        }
        let name = text.name.clone().unwrap_or_default();
        let (words, notes) = Words::gather(&name, &text.files, text.max_bytes)?;
        notes.iter().for_each(|note| told(note));
        Ok(Source::Own { words, licence: licence("") })
    };
    let numbered = |(at, text): (usize, &Text)| source(text).with_context(|| format!("domain {}", at + 1));
    file.domain.iter().enumerate().map(numbered).collect()
}

fn registered(desk: &Desk, text: &str) -> Result<Source> {
    let address = match desk.locate(AccountKind::Dataset, &text.parse::<AddressText>().map_err(wrong)?) {
        Ok(address) => address,
        Err(error) => called(desk, text)?.ok_or(error)?,
    };
    let state: Dataset = desk.read(&address)?;
    ensure!(
        state.require_offered().is_ok(),
        "the provider of the dataset {address} has given notice: no new job trains on it"
    );
    let domain = Domain {
        name: shown_name(&state.domain),
        licence: shown_name(&state.licence),
        train_root: state.train_root,
        train_tokens: state.train_tokens,
        heldout_root: state.held_out_root,
        heldout_tokens: state.held_out_tokens,
    };
    Ok(Source::Registered { address, domain })
}

/// The wallet's dataset that is called so; nothing where none is. Those of others are told by their addresses: anybody may call a dataset as another is called.
fn called(desk: &Desk, name: &str) -> Result<Option<Address>> {
    let all = desk.all::<Dataset>(AccountKind::Dataset)?;
    let called: Vec<_> = all.iter().filter(|(_, state)| shown_name(&state.domain) == name).collect();
    let own = desk.program.pool(PoolKind::Data, &desk.wallet()?, 0).to_bytes();
    let offered = called.iter().filter(|(_, state)| state.pool == own && state.require_offered().is_ok());
    let offered: Vec<Address> = offered.map(|(address, _)| *address).collect();
    match (&called[..], &offered[..]) {
        ([], _) => Ok(None),
        (_, [one]) => Ok(Some(*one)),
        _ => {
            let told = called.iter().take(TOLD).map(|(address, state)| {
                let whose = if state.pool == own { "the wallet's own" } else { "somebody else's" };
                format!("{address} ({whose}, {}, {} tokens)", shown_name(&state.licence), grouped(state.train_tokens))
            });
            let told = told.collect::<Vec<String>>().join(", ");
            let more = if called.len() > TOLD { ", …" } else { "" };
            Err(wrong(format!("\"{name}\" is what a dataset is called; name it by its address: {told}{more}")))
        }
    }
}

/// The tokenizer and the shape of the model with its vocabulary; a model that exists comes with its weights.
pub(super) struct Shape {
    pub config: LlamaConfig,
    pub tokenizer: Tokenizer,
    pub weights: Option<Vec<sip_graph::Buffer>>,
}

/// What is trained: a checkpoint, or a preset with a tokenizer that exists or is learned from the texts.
pub(super) fn shape(file: &JobFile, sources: &[Source]) -> Result<Shape> {
    let sequence = file.model.sequence;
    if let Some(path) = &file.model.checkpoint {
        let model = LoadedModel::open(path)?;
        let mut config = model.config;
        config.max_seq_len = sequence.unwrap_or(config.max_seq_len.min(1024));
        config.validate()?;
        return Ok(Shape { config, tokenizer: model.tokenizer, weights: Some(model.weights) });
    }
    let mut config = file.preset()?;
    config.max_seq_len = sequence.unwrap_or(config.max_seq_len);
    let tokenizer = match &file.model.tokenizer {
        Some(folder) => sip_manifest::tokenizer::open(folder)?,
        None => learn(sources, file.model.vocabulary.unwrap_or(config.vocab_size))?,
    };
    config.vocab_size = tokenizer.vocab_size();
    config.validate()?;
    Ok(Shape { config, tokenizer, weights: None })
}

fn learn(sources: &[Source], vocabulary: usize) -> Result<Tokenizer> {
    let texts: Vec<&str> = sources
        .iter()
        .filter_map(|source| match source {
            Source::Own { words, .. } => Some(words.text.as_str()),
            Source::Registered { .. } => None,
        })
        .collect();
    Ok(Tokenizer::train(&texts, vocabulary)?)
}

/// Domains as the manifest has them, in order, and the tokens of those that are own.
pub(super) struct Tokens {
    pub domains: Vec<Domain>,
    pub own: Vec<Option<DomainTokens>>,
}

/// Splits the own texts into tokens.
pub(super) fn tokens(
    sources: Vec<Source>,
    tokenizer: &Tokenizer,
    sequence: usize,
    told: &dyn Fn(&str),
) -> Result<Tokens> {
    let words: Vec<Words> = sources
        .iter()
        .filter_map(|source| match source {
            Source::Own { words, .. } => Some(words.clone()),
            Source::Registered { .. } => None,
        })
        .collect();
    let mut parts = split(&words, tokenizer, sequence, told)?.into_iter();
    let (mut domains, mut own) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            Source::Registered { domain, .. } => {
                told(&format!(
                    "{:<12} {:>9} tokens to train on, {:>7} held out, as registered",
                    domain.name, domain.train_tokens, domain.heldout_tokens
                ));
                domains.push(domain);
                own.push(None);
            }
            Source::Own { licence, .. } => {
                let part = parts.next().context("a text was lost")?;
                domains.push(Domain::of(&part, &licence));
                own.push(Some(part));
            }
        }
    }
    Ok(Tokens { domains, own })
}

/// Writes the tokenizer into a folder's data, and gives its name.
pub(super) fn save_tokenizer(tokenizer: &Tokenizer, store: &Store, sequence: usize) -> Result<Blob> {
    std::fs::create_dir_all(store.data())
        .with_context(|| format!("cannot make the folder {}", store.data().display()))?;
    tokenizer.save(&store.data(), sequence)?;
    Ok(Blob::of(&tokenizer_bytes(store)?))
}

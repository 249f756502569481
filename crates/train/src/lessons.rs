//! What `sip finetune` learns: preferences, answers or texts as rows of tokens and marks.

use anyhow::{Result, bail, ensure};
use sip_data::{TokenBlob, heldout_batches};
use sip_model::dpo::Preference;
use sip_model::example::{Example, text_row};
use sip_model::{LoadedModel, Objective};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::answers::{Format, Kind, Order, Split, answers, kind, preferences};
use crate::data::{self, Windows};
use crate::finetune::Settings;
use crate::session::BatchOf;
use sip_data::hex;
use sip_report::{Progress, count};

/// Held-out windows of every text that are measured.
const WINDOWS: u32 = 16;

/// What is learned, as rows of tokens and marks.
pub(crate) struct Lessons {
    pub objective: Objective,
    pub batch: BatchOf,
    /// Held-out rows by name.
    pub held_out: Vec<(String, Vec<u32>)>,
    /// Identifies the data.
    pub parts: BTreeMap<String, String>,
    /// Of preferences: the pairs of the training data, and whether the rows of `held_out` are pairs.
    pub pairs: Option<Vec<[Example; 2]>>,
}

/// Reads what the settings ask to learn.
pub(crate) fn lessons(
    settings: &Settings,
    model: &LoadedModel,
    sequence: usize,
    progress: Progress,
) -> Result<Lessons> {
    let format = || Format::new(model, settings.plain, settings.template.as_deref());
    if let Some(path) = &settings.dpo {
        return of_preferences(path, settings, &format()?, sequence, progress);
    }
    let mut files = Vec::new();
    for found in data::all_of(&settings.data, settings.max_bytes, Progress::new(true))? {
        for (path, file) in found.files {
            files.push((kind(&path, &file.content)?, path));
        }
    }
    let (answers, texts): (Vec<_>, Vec<_>) = files.into_iter().partition(|(kind, _)| *kind == Kind::Answers);
    match (answers.first(), texts.first()) {
        (Some((_, answers)), Some((_, text))) => bail!(
            "{} holds prompts with answers and {} is a text: give one kind of data at a time",
            answers.display(),
            text.display()
        ),
        (Some(_), None) => {
            let paths: Vec<PathBuf> = answers.into_iter().map(|(_, path)| path).collect();
            of_answers(&paths, settings, &format()?, sequence, progress)
        }
        _ => of_texts(settings, model, sequence, progress),
    }
}

fn of_preferences(
    path: &Path,
    settings: &Settings,
    format: &Format<'_>,
    sequence: usize,
    progress: Progress,
) -> Result<Lessons> {
    let batch = u64::from(settings.batch);
    let Split { train, held_out } = preferences(path, format)?;
    progress.line(&format!("{} to learn from, {} held out", count(train.len(), "pair"), held_out.len()));
    told_what_is_cut(train.iter().flatten(), sequence, progress);
    let objective = Objective::Preference(Preference { beta: settings.beta, pairs: train.len() });
    let order = Order::new(settings.seed, train.len());
    let pairs = train.clone();
    let batch_of = move |step: u32| {
        let numbers: Vec<usize> = (0..batch).map(|row| order.at(u64::from(step) * batch + row)).collect();
        let mut rows = Vec::new();
        numbers.iter().flat_map(|&number| &train[number]).for_each(|example| example.row(sequence, &mut rows));
        rows.extend(numbers.iter().map(|&number| number as u32));
        Ok(rows)
    };
    let held_out_rows = rows_of(held_out.iter().flatten(), sequence);
    let parts = BTreeMap::from([part("pairs", pairs.iter().flatten().chain(held_out.iter().flatten()))]);
    let held_out = vec![("pairs".to_string(), held_out_rows)];
    Ok(Lessons { objective, batch: Box::new(batch_of), held_out, parts, pairs: Some(pairs) })
}

fn of_answers(
    paths: &[PathBuf],
    settings: &Settings,
    format: &Format<'_>,
    sequence: usize,
    progress: Progress,
) -> Result<Lessons> {
    let batch = u64::from(settings.batch);
    let Split { train, held_out } = answers(paths, format)?;
    progress.line(&format!("{} to learn from, {} held out", count(train.len(), "answer"), held_out.len()));
    told_what_is_cut(train.iter(), sequence, progress);
    ensure!(
        train.iter().any(|example| example.counted(sequence) > 0),
        "no answer in {} has a token to learn",
        paths[0].display()
    );
    let parts = BTreeMap::from([part("answers", train.iter().chain(&held_out))]);
    let held_out = vec![("answers".to_string(), rows_of(held_out.iter(), sequence))];
    let order = Order::new(settings.seed, train.len());
    let batch_of = move |step: u32| {
        let examples = (0..batch).map(|row| &train[order.at(u64::from(step) * batch + row)]);
        Ok(rows_of(examples, sequence))
    };
    Ok(Lessons { objective: Objective::Response, batch: Box::new(batch_of), held_out, parts, pairs: None })
}

fn of_texts(settings: &Settings, model: &LoadedModel, sequence: usize, progress: Progress) -> Result<Lessons> {
    let texts = data::texts(&[], &settings.data, settings.max_bytes, progress)?;
    let domains = data::tokens(texts, &model.tokenizer, &model.special, sequence, progress)?;
    let mixture = data::mixture(&[], domains.len())?;
    let text_rows = move |windows: &[u32]| {
        let mut rows = Vec::new();
        windows.chunks(sequence + 1).for_each(|window| text_row(window, &mut rows));
        rows
    };
    let (mut parts, mut held_out, mut blobs) = (BTreeMap::new(), Vec::new(), Vec::new());
    for domain in domains {
        let other = parts.insert(format!("text {}", domain.name), hex(&domain.train.root()));
        ensure!(other.is_none(), "two texts are called {}", domain.name);
        let windows = heldout_batches(&domain.heldout, WINDOWS, sequence as u32, WINDOWS)?;
        held_out.push((domain.name, text_rows(&windows.concat())));
        blobs.push(domain.train);
    }
    let (seed, rows, sequence) = (settings.seed, settings.batch, sequence as u32);
    let windows = Windows { seed, rows, sequence, mixture, domains: blobs };
    let batch_of = move |step: u32| Ok(text_rows(&windows.batch(step)?));
    Ok(Lessons { objective: Objective::Response, batch: Box::new(batch_of), held_out, parts, pairs: None })
}

fn rows_of<'a>(examples: impl Iterator<Item = &'a Example>, sequence: usize) -> Vec<u32> {
    let mut rows = Vec::new();
    examples.for_each(|example| example.row(sequence, &mut rows));
    rows
}

/// The hash of examples, under their name.
fn part<'a>(name: &str, examples: impl Iterator<Item = &'a Example>) -> (String, String) {
    let mut tokens = Vec::new();
    for example in examples {
        tokens.extend([example.prompt.len() as u32, example.response.len() as u32]);
        tokens.extend(example.prompt.iter().chain(&example.response));
    }
    (name.to_string(), hex(&TokenBlob::new(tokens).root()))
}

fn told_what_is_cut<'a>(examples: impl Iterator<Item = &'a Example>, sequence: usize, progress: Progress) {
    let cut = examples.filter(|example| example.prompt.len() + example.response.len() > sequence + 1).count();
    if cut > 0 {
        progress.line(&format!("{} cut to {sequence} tokens; --sequence allows more", count(cut, "answer")));
    }
}

//! A model that exists learns from texts, answers or preferences.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_graph::{Buffer, ExecutorOptions};
use sip_model::LoadedModel;
use sip_model::checkpoint::state_root;
use sip_model::export::SaveOptions;
use sip_model::llama::{FROZEN_TABLE, STEP_TOKENS_MAX};
use sip_model::lora::{self, Lora, Target};
use sip_model::tables::inference_tables;
use sip_model::{LlamaConfig, TrainConfig, Trained, step_graph, tables};
use sip_node::Task;
use sip_proof::HostSha256;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::folder::Folder;
use crate::lessons::{Lessons, lessons};
use crate::scorer::{Scorer, measure};
use crate::session::Job;
use crate::settings::{Checkpoints, Optimizer, Rates, ShapeName, nearest};
use sip_data::{WrongWords, hex};
use sip_manifest::machine::Machine;
use sip_report::{Progress, count, grouped};

/// Bytes of a text that are used unless the user says otherwise.
const MAX_BYTES: usize = 100_000_000;
/// Sequences are this long unless the model or the user says otherwise.
const SEQUENCE: usize = 256;

/// What a run is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Settings {
    /// Model to start from: a Hugging Face folder or a .gguf file
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH", required_unless_present = "resume"))]
    model: Option<PathBuf>,
    /// Texts (files, also packed with gzip or zstd, JSON lines with {"text": …}, or folders), or JSON lines with
    /// {"prompt": …, "response": …}, of which the responses are learned. The end of every text is held out, of answers 1 in 20,
    /// at most 64
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH", num_args = 1.., required_unless_present_any = ["dpo", "resume"]))]
    pub(crate) data: Vec<PathBuf>,
    /// Learn preferences (DPO) from a .jsonl file with {"prompt": …, "chosen": …, "rejected": …} on every line
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", conflicts_with = "data"))]
    pub(crate) dpo: Option<PathBuf>,
    /// How strongly the model is held to where it started; of --dpo
    #[cfg_attr(feature = "clap", arg(long, value_name = "B", default_value_t = 0.1))]
    pub(crate) beta: f32,
    /// Train adapters of low rank instead of all weights
    #[cfg_attr(feature = "clap", arg(long))]
    lora: bool,
    /// Rank of the adapters
    #[cfg_attr(feature = "clap", arg(long, value_name = "R", default_value_t = 8, requires = "lora"))]
    rank: usize,
    /// The adapters' part is scaled by A / R
    #[cfg_attr(feature = "clap", arg(long, value_name = "A", default_value_t = 16.0, requires = "lora"))]
    alpha: f32,
    /// Matrices that get an adapter, separated by commas: q, k, v, o, gate, up, down
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "NAMES", default_value = "q,k,v,o,gate,up,down", requires = "lora")
    )]
    targets: String,
    /// Give prompts to the model as they are, even if it has a chat template
    #[cfg_attr(feature = "clap", arg(long))]
    pub(crate) plain: bool,
    /// Chat template of the model, where it has several
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    #[serde(default)]
    pub(crate) template: Option<String>,
    /// Folder of an adapter (of peft, or one made here) that is merged into the model first
    #[cfg_attr(feature = "clap", arg(long, value_name = "FOLDER"))]
    #[serde(default)]
    adapter: Option<PathBuf>,
    /// Steps to train
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24)))]
    steps: u32,
    /// Sequences in a step; pairs of them with --dpo. Times --sequence at most 65536 tokens
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1 << 15)))]
    pub(crate) batch: u32,
    /// Tokens in a sequence; what is longer is cut [default: 256, or what the model is made for]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    sequence: Option<usize>,
    /// Parts that a step's sequences are worked on in, one after the other: less memory, the same bits
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 16)))]
    micro_batches: u32,
    /// Compute activations again for the backward pass: less memory, more time, the same bits
    #[cfg_attr(feature = "clap", arg(long))]
    recompute: bool,
    /// Learning rate after the warm-up [default: 2e-5, with --lora 2e-4; with --dpo a quarter of it]
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE"))]
    learning_rate: Option<f64>,
    /// How the learning rate goes on after the warm-up
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHAPE", default_value = "linear"))]
    schedule: ShapeName,
    /// Steps over which the learning rate rises [default: a twentieth of the run]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    warmup: Option<usize>,
    /// Weight decay
    #[cfg_attr(feature = "clap", arg(long, value_name = "D", default_value_t = 0.0))]
    weight_decay: f32,
    /// Seed of the order of the data and of the adapters
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 0))]
    pub(crate) seed: u64,
    /// Steps between measurements on held-out data; 0 for at the ends only
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 50))]
    eval_every: u64,
    /// Steps between checkpoints, of which the latest two are kept
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..)))]
    checkpoint_every: u32,
    /// Folder for the results
    #[cfg_attr(feature = "clap", arg(long, value_name = "FOLDER", default_value = "sip-finetune"))]
    pub out: PathBuf,
    /// Bytes of every text that are used, from its beginning
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = MAX_BYTES))]
    #[serde(default = "max_bytes")]
    pub(crate) max_bytes: usize,
}

fn max_bytes() -> usize {
    MAX_BYTES
}

impl Settings {
    /// All that the run reads, each with the option that names it.
    pub fn inputs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let model = self.model.iter().map(|path| ("--model", path.as_path()));
        let adapter = self.adapter.iter().map(|path| ("--adapter", path.as_path()));
        let data = self.data.iter().map(|path| ("--data", path.as_path()));
        let pairs = self.dpo.iter().map(|path| ("--dpo", path.as_path()));
        model.chain(adapter).chain(data).chain(pairs)
    }

    fn trained(&self) -> Result<Trained> {
        if !self.lora {
            return Ok(Trained::Weights);
        }
        let mut targets = Vec::new();
        for name in self.targets.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let names = Target::ALL.map(|(name, _)| name);
            let Some((_, target)) = Target::ALL.into_iter().find(|(known, _)| *known == name) else {
                let near = nearest(name, names.into_iter());
                return words(format!("--targets does not know \"{name}\"{near}; it knows {}", names.join(", ")));
            };
            targets.push(target);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Trained::Adapters(Lora { rank: self.rank, alpha: self.alpha, targets }))
    }

    /// Numbers that no option may have.
    fn check(&self) -> Result<()> {
        let Settings { beta, weight_decay, alpha, rank, max_bytes, .. } = self;
        let wrong = [
            (!(*beta > 0.0 && beta.is_finite())).then(|| format!("--beta is {beta}, expected a number above 0")),
            (!(0.0..=10.0).contains(weight_decay))
                .then(|| format!("--weight-decay is {weight_decay}, expected 0 to 10")),
            (!(*alpha > 0.0 && alpha.is_finite())).then(|| format!("--alpha is {alpha}, expected a number above 0")),
            (*rank == 0).then(|| "--rank is 0, expected 1 or more".into()),
            (self.sequence == Some(0)).then(|| "--sequence is 0, expected 1 or more".into()),
            (*max_bytes == 0).then(|| "--max-bytes is 0, expected 1 or more".into()),
        ];
        wrong.into_iter().flatten().next().map_or(Ok(()), words)
    }

    fn rates(&self) -> Result<sip_model::Schedule> {
        let usual = if self.lora { 2e-4 } else { 2e-5 } * if self.dpo.is_some() { 0.25 } else { 1.0 };
        let peak = self.learning_rate.unwrap_or(usual);
        if !(peak > 0.0 && peak <= 1.0) {
            return words(format!("--learning-rate is {peak}, expected a number above 0 and up to 1"));
        }
        if let Some(warmup) = self.warmup.filter(|warmup| *warmup > self.steps as usize) {
            return words(format!("--warmup is {warmup}, but the run has {} steps", self.steps));
        }
        let (warmup_steps, final_share) = (self.warmup, 0.1);
        Rates { shape: self.schedule, peak, warmup_steps, final_share, decay_steps: None }.schedule(self.steps as usize)
    }
}

/// The words of the command are wrong.
fn words<T>(said: String) -> Result<T> {
    Err(WrongWords(said).into())
}

/// Opens the model, reads what it learns from, and builds the graph.
///
/// # Errors
/// Where a file cannot be read, or settings do not go together.
pub fn prepare(settings: &Settings, machine: &Machine, progress: Progress) -> Result<Job> {
    let path = settings.model.as_ref().context("--model is missing")?;
    settings.check()?;
    let trained = settings.trained()?;
    let schedule = settings.rates()?;
    let optimizer = Optimizer { weight_decay: settings.weight_decay, beta2: 0.999, ..Optimizer::default() }.adamw()?;
    progress.stage(&format!("Model {}", path.display()));
    let mut model = LoadedModel::open_with(path, settings.adapter.as_deref())
        .with_context(|| format!("cannot load the model {}", path.display()))?;
    let config = model.config.clone();
    progress.line(&format!("{} weights", grouped(config.parameter_count())));
    let sequence = settings.sequence.unwrap_or(SEQUENCE.min(config.max_seq_len));
    progress.stage("Data");
    let lessons = lessons(settings, &model, sequence, progress)?;
    let rows = settings.batch as usize * if lessons.pairs.is_some() { 2 } else { 1 };
    let tokens = rows.saturating_mul(sequence);
    if tokens > STEP_TOKENS_MAX {
        let pair = if lessons.pairs.is_some() { " (a pair is two sequences)" } else { "" };
        return words(format!(
            "--batch × --sequence is {rows} × {sequence} = {tokens}, expected at most {STEP_TOKENS_MAX} tokens in a step{pair}"
        ));
    }
    let train = TrainConfig { batch: rows, seq_len: sequence, total_steps: settings.steps as usize, optimizer };
    let training = step_graph(&config, &train, &trained, &lessons.objective)?;

    let mut tables = tables(&config, sequence, &optimizer, &schedule);
    let held_out_reference = reference(&lessons, &config, sequence, &model.weights, &mut tables, machine, progress)?;
    let mut parts = lessons.parts;
    let weights = std::mem::take(&mut model.weights);
    parts.insert("model".into(), hex(&state_root(&weights, &machine.threads)));
    let genesis = match &trained {
        Trained::Weights => {
            // The weights are moved, not copied: they may be most of the memory.
            let (mut state, count) = (weights, config.parameters().len());
            for entry in 0..2 * count {
                state.push(Buffer::new(state[entry % count].len()));
            }
            state
        }
        Trained::Adapters(adapters) => {
            tables = lora::with_frozen(tables, weights);
            lora::init(&config, adapters, settings.seed, &machine.threads)?
        }
    };
    parts.insert("seed".into(), settings.seed.to_string());
    // The frozen weights are the part "model" already.
    let graph_tables = &tables[..tables.len().min(FROZEN_TABLE as usize)];
    parts.insert("graph".into(), hex(&Task::commit(&training.graph, graph_tables).root::<HostSha256>()));
    let tables = Rc::new(tables);
    progress.stage(&format!(
        "Training {}, {} numbers",
        if settings.lora { "adapters of low rank" } else { "all weights" },
        grouped(training.params.iter().map(|param| param.len()).sum::<usize>() as u64)
    ));
    progress.line(&format!("{} of {rows} × {sequence} tokens", count(settings.steps, "step")));
    let beta = lessons.pairs.is_some().then_some(settings.beta);
    let measure = measure(
        Scorer::new(&config, sequence, &trained, Rc::clone(&tables), machine)?,
        lessons.held_out,
        beta.map(|beta| (beta, held_out_reference)),
    );
    let (shared, threads, base) = (Rc::clone(&tables), Arc::clone(&machine.threads), path.display().to_string());
    let export = move |result: &[Buffer], folder: &Folder| -> Result<()> {
        model.weights = match &trained {
            Trained::Weights => result.to_vec(),
            Trained::Adapters(adapters) => {
                lora::save_adapter(&folder.adapter(), &config, adapters, result, &base)?;
                lora::merge(&config, adapters, &shared[FROZEN_TABLE as usize..], result, &threads)?
            }
        };
        Ok(model.save(&folder.model(), SaveOptions::default())?)
    };
    Ok(Job {
        command: "finetune",
        graph: training.graph,
        params: training.params,
        tables,
        rates: schedule,
        genesis,
        batch: lessons.batch,
        measure,
        export: Box::new(export),
        options: ExecutorOptions {
            simd: machine.simd,
            micro_batches: settings.micro_batches,
            recompute: settings.recompute,
            ..ExecutorOptions::default()
        },
        unit: if beta.is_some() { "nats per pair" } else { "nats per token" },
        tokens_per_step: (rows * sequence) as u64,
        eval_every: settings.eval_every,
        checkpoints: Checkpoints { every: settings.checkpoint_every as usize, ..Checkpoints::default() },
        parts,
        seed: settings.seed,
    })
}

/// Where preferences are learned, what the model answers before training: the log-probabilities of the training data become a
/// table, those of the held-out pairs are given back.
fn reference(
    lessons: &Lessons,
    config: &LlamaConfig,
    sequence: usize,
    weights: &[Buffer],
    tables: &mut Vec<Buffer>,
    machine: &Machine,
    progress: Progress,
) -> Result<Vec<f32>> {
    let Some(pairs) = &lessons.pairs else { return Ok(Vec::new()) };
    progress.stage("Reference: what the model answers before training");
    let mut rows = Vec::new();
    pairs.iter().flatten().for_each(|example| example.row(sequence, &mut rows));
    let inference = Rc::new(inference_tables(config, sequence));
    let mut scorer = Scorer::new(config, sequence, &Trained::Weights, inference, machine)?;
    let mut reference = |rows: &[u32]| -> Result<Vec<f32>> {
        Ok(scorer.cross_entropies(weights, rows, progress)?.iter().map(|x| -x).collect())
    };
    tables.push(Buffer::from(&reference(&rows)?[..]));
    let mut held_out = Vec::new();
    for (_, rows) in &lessons.held_out {
        held_out.extend(reference(rows)?);
    }
    Ok(held_out)
}

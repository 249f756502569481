//! `sip finetune`: a model that exists learns from texts, answers or preferences.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sip_data::{TokenBlob, heldout_batches};
use sip_graph::{Buffer, Executor, ExecutorOptions, Inputs};
use sip_model::LoadedModel;
use sip_model::checkpoint::state_root;
use sip_model::dpo::Preference;
use sip_model::example::{Example, text_row};
use sip_model::export::SaveOptions;
use sip_model::llama::FROZEN_TABLE;
use sip_model::lora::{self, Lora, Target};
use sip_model::tables::inference_tables;
use sip_model::{LlamaConfig, Objective, TrainConfig, Trained, score_graph, step_graph, tables};
use sip_node::Task;
use sip_proof::HostSha256;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use super::answers::{Format, Order, Split, answers, preferences};
use super::data::{self, Windows};
use super::folder::Folder;
use super::saved_settings;
use super::session::{BatchOf, Job, Measure, conclude};
use super::settings::{Checkpoints, Optimizer, Rates, ShapeName, nearest};
use crate::progress::{Progress, count};
use crate::run::Stop;
use crate::run::prepare::{Machine, hex};

/// Held-out windows of every text that are measured.
const WINDOWS: usize = 16;
/// Sequences are this long unless the model or the user says otherwise.
const SEQUENCE: usize = 256;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Go on with the run in this folder, from its latest checkpoint, to the same bits as without a stop
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "data", "dpo", "lora", "overwrite", "out"])]
    resume: Option<PathBuf>,
    /// Begin anew even if the folder holds a run
    #[arg(long)]
    overwrite: bool,
    /// Print the summary as JSON, and no progress
    #[arg(long)]
    json: bool,
}

/// What a run is asked to do.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
struct Settings {
    /// Model to start from: a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "PATH", required_unless_present = "resume")]
    model: Option<PathBuf>,
    /// Texts (.txt files, folders of them), or one .jsonl file with {"prompt": …, "response": …} on every line, of which
    /// the responses are learned
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present_any = ["dpo", "resume"])]
    data: Vec<PathBuf>,
    /// Learn preferences (DPO) from a .jsonl file with {"prompt": …, "chosen": …, "rejected": …} on every line
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    dpo: Option<PathBuf>,
    /// How strongly the model is held to where it started; of --dpo
    #[arg(long, value_name = "B", default_value_t = 0.1)]
    beta: f32,
    /// Train adapters of low rank instead of all weights
    #[arg(long)]
    lora: bool,
    /// Rank of the adapters
    #[arg(long, value_name = "R", default_value_t = 8, requires = "lora")]
    rank: usize,
    /// The adapters' part is scaled by A / R
    #[arg(long, value_name = "A", default_value_t = 16.0, requires = "lora")]
    alpha: f32,
    /// Matrices that get an adapter, separated by commas: q, k, v, o, gate, up, down
    #[arg(long, value_name = "NAMES", default_value = "q,k,v,o,gate,up,down", requires = "lora")]
    targets: String,
    /// Give prompts to the model as they are, even if it has a chat template
    #[arg(long)]
    plain: bool,
    /// Steps to train
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    steps: u32,
    /// Sequences in a step; pairs of them with --dpo
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1 << 15))]
    batch: u32,
    /// Tokens in a sequence; what is longer is cut [default: 256, or what the model is made for]
    #[arg(long, value_name = "N")]
    sequence: Option<usize>,
    /// Parts that a step's sequences are worked on in, one after the other: less memory, the same bits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    micro_batches: u32,
    /// Compute activations again for the backward pass: less memory, more time, the same bits
    #[arg(long)]
    recompute: bool,
    /// Learning rate after the warm-up [default: 2e-5, with --lora 2e-4; with --dpo a quarter of it]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// How the learning rate goes on after the warm-up
    #[arg(long, value_name = "SHAPE", default_value = "linear")]
    schedule: ShapeName,
    /// Steps over which the learning rate rises [default: a twentieth of the run]
    #[arg(long, value_name = "N")]
    warmup: Option<usize>,
    /// Weight decay
    #[arg(long, value_name = "D", default_value_t = 0.0)]
    weight_decay: f32,
    /// Seed of the order of the data and of the adapters
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Steps between measurements on held-out data; 0 for at the ends only
    #[arg(long, value_name = "N", default_value_t = 50)]
    eval_every: u64,
    /// Steps between checkpoints, of which the latest two are kept
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_every: u32,
    /// Folder for the results
    #[arg(long, value_name = "FOLDER", default_value = "sip-finetune")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let progress = Progress::new(arguments.json);
    let machine = Machine::from_environment()?;
    let stop = Stop::on_interrupt()?;
    if let Some(root) = &arguments.resume {
        let folder = Folder::new(root);
        let settings: Settings = saved_settings(&folder, "finetune")?;
        let summary = prepare(&settings, &machine, progress)?.resume(&folder, &machine, progress, &stop)?;
        return conclude(&summary, arguments.json);
    }
    let folder = Folder::new(&arguments.settings.out);
    folder.refuse_run(arguments.overwrite, "finetune")?;
    // Nothing of an earlier run is touched before everything that can be wrong was found out.
    let job = prepare(&arguments.settings, &machine, progress)?;
    folder.begin()?;
    let summary = job.begin(&arguments.settings, &folder, &machine, progress, &stop)?;
    conclude(&summary, arguments.json)
}

impl Settings {
    fn trained(&self) -> Result<Trained> {
        if !self.lora {
            return Ok(Trained::Weights);
        }
        let mut targets = Vec::new();
        for name in self.targets.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let names = Target::ALL.map(|(name, _)| name);
            let Some((_, target)) = Target::ALL.into_iter().find(|(known, _)| *known == name) else {
                let near = nearest(name, names.into_iter());
                bail!("--targets does not know \"{name}\"{near}; it knows {}", names.join(", "));
            };
            targets.push(target);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Trained::Adapters(Lora { rank: self.rank, alpha: self.alpha, targets }))
    }

    fn rates(&self) -> Result<sip_model::Schedule> {
        let usual = if self.lora { 2e-4 } else { 2e-5 } * if self.dpo.is_some() { 0.25 } else { 1.0 };
        let peak = self.learning_rate.unwrap_or(usual);
        ensure!(peak > 0.0 && peak <= 1.0, "--learning-rate is {peak}, expected a number above 0 and up to 1");
        let (warmup_steps, final_share) = (self.warmup, 0.1);
        Rates { shape: self.schedule, peak, warmup_steps, final_share, decay_steps: None }.schedule(self.steps as usize)
    }
}

/// What is learned, as rows of tokens and marks.
struct Lessons {
    objective: Objective,
    batch: BatchOf,
    /// Held-out rows by name.
    held_out: Vec<(String, Vec<u32>)>,
    /// Identifies the data.
    parts: BTreeMap<String, String>,
    /// Of preferences: the pairs of the training data, and whether the rows of `held_out` are pairs.
    pairs: Option<Vec<[Example; 2]>>,
}

fn prepare(settings: &Settings, machine: &Machine, progress: Progress) -> Result<Job> {
    let path = settings.model.as_ref().context("--model is missing")?;
    let trained = settings.trained()?;
    let schedule = settings.rates()?;
    let optimizer = Optimizer { weight_decay: settings.weight_decay, beta2: 0.999, ..Optimizer::default() }.adamw()?;
    ensure!(settings.beta > 0.0 && settings.beta.is_finite(), "--beta is {}, expected a number above 0", settings.beta);
    progress.stage(&format!("Model {}", path.display()));
    let mut model = LoadedModel::open(path).with_context(|| format!("cannot load the model {}", path.display()))?;
    let config = model.config.clone();
    progress.line(&format!("{:.1} million weights", config.parameter_count() as f64 / 1e6));
    let sequence = settings.sequence.unwrap_or(SEQUENCE.min(config.max_seq_len));
    progress.stage("Data");
    let lessons = lessons(settings, &model, sequence, progress)?;
    let rows = settings.batch as usize * if lessons.pairs.is_some() { 2 } else { 1 };
    let train = TrainConfig { batch: rows, seq_len: sequence, total_steps: settings.steps as usize, optimizer };
    let training = step_graph(&config, &train, &trained, &lessons.objective)?;

    let mut tables = tables(&config, sequence, &optimizer, &schedule);
    let mut held_out_reference = Vec::new();
    if let Some(pairs) = &lessons.pairs {
        progress.stage("Reference: what the model answers before training");
        let mut rows = Vec::new();
        pairs.iter().flatten().for_each(|example| example.row(sequence, &mut rows));
        let inference = Rc::new(inference_tables(&config, sequence));
        let mut scorer = Scorer::new(&config, sequence, &Trained::Weights, inference, machine)?;
        let mut reference = |rows: &[u32]| -> Result<Vec<f32>> {
            Ok(scorer.cross_entropies(&model.weights, rows, progress)?.iter().map(|x| -x).collect())
        };
        tables.push(Buffer::from(&reference(&rows)?[..]));
        for (_, rows) in &lessons.held_out {
            held_out_reference.extend(reference(rows)?);
        }
    }
    let mut parts = lessons.parts;
    let weights = std::mem::take(&mut model.weights);
    parts.insert("model".into(), hex(&state_root(&weights, &machine.threads)));
    let genesis = match &trained {
        Trained::Weights => {
            let moments: Vec<Buffer> = weights.iter().map(|weight| Buffer::new(weight.len())).collect();
            [weights, moments.clone(), moments].concat()
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
        "Training {}, {:.2} million numbers",
        if settings.lora { "adapters of low rank" } else { "all weights" },
        training.params.iter().map(|param| param.len()).sum::<usize>() as f64 / 1e6
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
        tokens_per_step: (rows * sequence) as u64,
        eval_every: settings.eval_every,
        checkpoints: Checkpoints { every: settings.checkpoint_every as usize, ..Checkpoints::default() },
        parts,
        seed: settings.seed,
    })
}

fn lessons(settings: &Settings, model: &LoadedModel, sequence: usize, progress: Progress) -> Result<Lessons> {
    let format = Format { model, plain: settings.plain };
    let batch = u64::from(settings.batch);
    let is_lines = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"));
    if let Some(path) = &settings.dpo {
        let Split { train, held_out } = preferences(path, &format)?;
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
        return Ok(Lessons { objective, batch: Box::new(batch_of), held_out, parts, pairs: Some(pairs) });
    }
    if let Some(path) = settings.data.iter().find(|path| is_lines(path)) {
        ensure!(
            settings.data.len() == 1,
            "--data has {} beside other files; give one .jsonl file, or texts",
            path.display()
        );
        let Split { train, held_out } = answers(path, &format)?;
        progress.line(&format!("{} to learn from, {} held out", count(train.len(), "answer"), held_out.len()));
        told_what_is_cut(train.iter(), sequence, progress);
        ensure!(
            train.iter().any(|example| example.counted(sequence) > 0),
            "no answer in {} has a token to learn",
            path.display()
        );
        let parts = BTreeMap::from([part("answers", train.iter().chain(&held_out))]);
        let held_out = vec![("answers".to_string(), rows_of(held_out.iter(), sequence))];
        let order = Order::new(settings.seed, train.len());
        let batch_of = move |step: u32| {
            let examples = (0..batch).map(|row| &train[order.at(u64::from(step) * batch + row)]);
            Ok(rows_of(examples, sequence))
        };
        return Ok(Lessons { objective: Objective::Response, batch: Box::new(batch_of), held_out, parts, pairs: None });
    }
    let encode = |text: &str| {
        let mut tokens: Vec<u32> = model.special.begin.into_iter().collect();
        tokens.extend(model.tokenizer.encode(text)?);
        Ok(tokens)
    };
    let texts = data::texts(&[], &settings.data, 100_000_000)?;
    let domains = data::tokens(texts, &encode, sequence, progress)?;
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

/// A model that scores rows of tokens and marks.
struct Scorer {
    executor: Executor,
    tables: Rc<Vec<Buffer>>,
    row_elements: usize,
}

impl Scorer {
    /// Rows that are scored at once.
    const ROWS: usize = 4;

    fn new(
        config: &LlamaConfig,
        sequence: usize,
        trained: &Trained,
        tables: Rc<Vec<Buffer>>,
        machine: &Machine,
    ) -> Result<Scorer> {
        let graph = Arc::new(score_graph(config, Scorer::ROWS, sequence, trained)?);
        let options = ExecutorOptions { simd: machine.simd, ..ExecutorOptions::default() };
        let executor = Executor::new(graph, Arc::clone(&machine.threads), options);
        Ok(Scorer { executor, tables, row_elements: 2 * (sequence + 1) })
    }

    /// Sum of the cross-entropies of the marked tokens of every row.
    fn cross_entropies(&mut self, state: &[Buffer], rows: &[u32], progress: Progress) -> Result<Vec<f32>> {
        let bar = progress.bar((rows.len() / self.row_elements) as u64, "scoring");
        let mut found = Vec::new();
        for some in rows.chunks(Scorer::ROWS * self.row_elements) {
            let mut batch = some.to_vec();
            // Rows that are missing hold no mark.
            batch.resize(Scorer::ROWS * self.row_elements, 0);
            let inputs = Inputs { state, batch: &batch, step: 0, tables: &self.tables };
            self.executor.run(&inputs, &mut [], None)?;
            let sums = self.executor.result("cross_entropy").unwrap_or(&[]);
            let count = some.len() / self.row_elements;
            found.extend(sums.iter().take(count).map(|&bits| f32::from_bits(bits)));
            bar.inc(count as u64);
        }
        bar.finish_and_clear();
        Ok(found)
    }
}

/// On held-out rows: the loss in nats per token; of pairs, with (β, log-probabilities of the reference), the loss, the share
/// of pairs whose chosen answer gained more, and by how much, in nats.
fn measure(mut scorer: Scorer, held_out: Vec<(String, Vec<u32>)>, reference: Option<(f32, Vec<f32>)>) -> Measure {
    Box::new(move |state| {
        let mut found = BTreeMap::new();
        for (name, rows) in held_out.iter().filter(|(_, rows)| !rows.is_empty()) {
            let sums = scorer.cross_entropies(state, rows, Progress::new(true))?;
            let Some((beta, reference)) = &reference else {
                let half = scorer.row_elements / 2;
                let counted: u64 = rows.chunks(half).skip(1).step_by(2).flatten().map(|&mark| u64::from(mark)).sum();
                let total: f64 = sums.iter().map(|&sum| f64::from(sum)).sum();
                found.insert(name.clone(), total / counted.max(1) as f64);
                continue;
            };
            let margin = |(sums, reference): (&[f32], &[f32])| {
                let gain = |side: usize| -f64::from(sums[side]) - f64::from(reference[side]);
                gain(0) - gain(1)
            };
            let margins: Vec<f64> = sums.chunks_exact(2).zip(reference.chunks_exact(2)).map(margin).collect();
            let mean = |value: &dyn Fn(f64) -> f64| {
                margins.iter().map(|&margin| value(margin)).sum::<f64>() / margins.len().max(1) as f64
            };
            found.insert("preference loss".into(), mean(&|margin| (-f64::from(*beta) * margin).exp().ln_1p()));
            found.insert("preferred share".into(), mean(&|margin| f64::from(u8::from(margin > 0.0))));
            found.insert("margin in nats".into(), mean(&|margin| margin));
        }
        Ok(found)
    })
}

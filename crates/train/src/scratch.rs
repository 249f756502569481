//! Training from nothing.

use anyhow::{Result, ensure};
use sip_eval::{Benchmark, Scorer};
use sip_graph::{Buffer, ExecutorOptions};
use sip_model::export::SaveOptions;
use sip_model::llama::STEP_TOKENS_MAX;
use sip_model::tokenizer::{DOCUMENT_TOKEN, SpecialTokens, Tokenizer};
use sip_model::{ChatTemplates, LoadedModel, SideFiles};
use sip_model::{LlamaConfig, TrainConfig, init, tables, training_graph};
use sip_node::Task;
use sip_proof::HostSha256;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::data::{self, Windows};
use crate::session::{Job, Measure};
use crate::settings::Settings;
use sip_data::hex;
use sip_manifest::machine::Machine;
use sip_report::{Progress, count, grouped};

/// Reads the texts, learns or loads the tokenizer, and builds the graph.
///
/// # Errors
/// Where a text cannot be read, or settings do not go together.
pub fn prepare(settings: &Settings, machine: &Machine, progress: Progress) -> Result<Job> {
    let mut config = settings.shape()?;
    let (rows, sequence) = (settings.batch.rows, config.max_seq_len);
    ensure!(
        rows * sequence <= STEP_TOKENS_MAX,
        "batch.rows × batch.sequence is {rows} × {sequence} = {}, expected at most {STEP_TOKENS_MAX} tokens in a step",
        rows * sequence
    );
    progress.stage("Data");
    let texts = data::texts(&settings.builtin(), &settings.data.files, settings.data.max_bytes, progress)?;
    let tokenizer = match &settings.data.tokenizer {
        Some(folder) => Tokenizer::load(folder)?,
        None => {
            let whole: Vec<String> = texts.iter().map(|text| text.documents.clone().join(DOCUMENT_TOKEN)).collect();
            let all: Vec<&str> = whole.iter().map(String::as_str).collect();
            let vocabulary = config.vocab_size;
            Tokenizer::train(&all, vocabulary)?
        }
    };
    ensure!(
        tokenizer.has_documents(),
        "the tokenizer in data.tokenizer is of another family: its token 0 is not the document token that texts begin with; \
         leave the key out to learn one"
    );
    config.vocab_size = tokenizer.vocab_size();
    let domains = data::tokens(texts, &tokenizer, &SpecialTokens::document(), sequence, progress)?;
    let mixture = data::mixture(&settings.data.weights, domains.len())?;

    let (optimizer, rates) = (settings.optimizer.adamw()?, settings.rates()?);
    let train = TrainConfig { batch: rows, seq_len: sequence, total_steps: settings.run.steps, optimizer };
    let training = training_graph(&config, &train)?;
    let tables = tables(&config, sequence, &optimizer, &rates);
    let graph_root = Task::commit(&training.graph, &tables).root::<HostSha256>();
    let mut parts = BTreeMap::from([
        ("model, optimizer and schedule".to_string(), hex(&graph_root)),
        ("seed".to_string(), settings.run.seed.to_string()),
        ("mixture".to_string(), format!("{:?}", mixture.weights_bps())),
    ]);
    let mut benchmarks = Vec::new();
    let mut blobs = Vec::new();
    for domain in domains {
        let other = parts.insert(format!("text {}", domain.name), hex(&domain.train.root()));
        ensure!(other.is_none(), "two texts are called {}", domain.name);
        // More windows than there are would be scored twice.
        let places = domain.heldout.tokens().len().saturating_sub(sequence).max(1);
        let windows = settings.run.eval_windows.min(places).next_multiple_of(rows);
        let benchmark = Benchmark::new(&domain.heldout, rows as u32, sequence as u32, windows as u32)?;
        benchmarks.push((domain.name, benchmark));
        blobs.push(domain.train);
    }
    progress.stage(&format!("Training a model of {} weights", grouped(config.parameter_count())));
    progress.line(&format!(
        "{}, {} heads, {} wide, vocabulary of {}; {} of {rows} × {sequence} tokens",
        count(config.num_layers, "layer"),
        config.num_heads,
        config.hidden_size,
        config.vocab_size,
        count(settings.run.steps, "step")
    ));
    let genesis = init(&config, settings.run.seed, &machine.threads)?;
    let (micro_batches, recompute) = (settings.batch.micro_batches, settings.batch.recompute);
    let windows =
        Windows { seed: settings.run.seed, rows: rows as u32, sequence: sequence as u32, mixture, domains: blobs };
    Ok(Job {
        command: "train",
        graph: training.graph,
        params: training.params,
        rates,
        genesis,
        batch: Box::new(move |step| windows.batch(step)),
        measure: measure(&config, rows, sequence, &tables, benchmarks, machine)?,
        export: Box::new(move |weights, folder| {
            let (weights, special) = (weights.to_vec(), SpecialTokens::document());
            let (chat, side) = (ChatTemplates::default(), SideFiles::default());
            let model = LoadedModel { config, weights, tokenizer, special, chat, side };
            Ok(model.save(&folder.model(), SaveOptions::default())?)
        }),
        tables: Rc::new(tables),
        options: ExecutorOptions { simd: machine.simd, micro_batches, recompute, ..ExecutorOptions::default() },
        unit: "nats per token",
        tokens_per_step: (rows * sequence) as u64,
        eval_every: settings.run.eval_every as u64,
        checkpoints: settings.checkpoints.clone(),
        parts,
        seed: settings.run.seed,
    })
}

/// Held-out loss of every domain, in nats per token.
fn measure(
    config: &LlamaConfig,
    rows: usize,
    sequence: usize,
    tables: &[Buffer],
    benchmarks: Vec<(String, Benchmark)>,
    machine: &Machine,
) -> Result<Measure> {
    let threads = std::sync::Arc::clone(&machine.threads);
    let mut scorer = Scorer::new(config, rows as u32, sequence as u32, tables.to_vec(), threads, machine.simd)?;
    Ok(Box::new(move |weights| {
        let mut found = BTreeMap::new();
        for (name, benchmark) in &benchmarks {
            found.insert(name.clone(), f64::from(scorer.score(weights, benchmark)?) / sip_eval::MICRO_NATS);
        }
        Ok(found)
    }))
}

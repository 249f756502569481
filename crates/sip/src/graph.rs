//! `sip graph`: what a model computes, operator by operator.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sip_graph::show::{self, Names, quantity};
use sip_graph::{AdamW, Buffer, Executor, ExecutorOptions, Graph};
use sip_kernels::Threads;
use sip_model::export::load_config;
use sip_model::llama::STEP_TOKENS_MAX;
use sip_model::preset::PRESETS;
use sip_model::{
    LlamaConfig, Schedule, Shape, TrainConfig, aggregate_graph, eval_graph, inference_tables, init_graph, logits_graph,
    params, tables, training_graph,
};
use sip_node::Task;
use sip_proof::HostSha256;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use sip_console::words::{count, wrong};
use sip_data::{Missing, hex};
use sip_manifest::folder::write_own;
use sip_manifest::place::keep_apart;
use sip_report::terminal::output;

/// The job whose tables the root covers: what the demo runs by default, with room for rounds that are repeated.
const STEPS: usize = 1000;
const WARMUP_STEPS: usize = 30;
const PEAK_RATE: f64 = 2e-3;
/// States that the graph of an aggregate averages.
const STATES: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List or draw the operators of a model
    Show(Show),
    /// Write every graph and table of a job as files of canonical bytes
    Export(crate::manifest::Export),
}

#[derive(clap::Args)]
struct Show {
    /// A preset (tiny, small, medium, …), a folder with a config.json, or the file
    #[arg(long, value_name = "PRESET|PATH", default_value = "small")]
    model: String,
    /// Sequences per step
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count(1..=1 << 15))]
    batch: usize,
    /// Tokens per sequence [default: as many as the model takes, at most 1024]
    #[arg(long, alias = "seq", value_name = "N", value_parser = count(1..=STEP_TOKENS_MAX as u64))]
    sequence: Option<usize>,
    /// Which of its graphs
    #[arg(long, value_enum, default_value = "train")]
    what: What,
    /// How to show it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print one JSON object: the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A graph of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// One step of training: forward, backward, AdamW
    Train,
    /// The loss on a batch
    Eval,
    /// The next token's logits
    Logits,
    /// The mean of three states
    Aggregate,
    /// The genesis state
    Init,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One node per line
    Text,
    /// A picture for a browser
    Svg,
    /// The language of Graphviz
    Dot,
    /// For programs
    Json,
}

/// A graph with what is said about it.
struct Shown {
    graph: Arc<Graph>,
    names: Names,
    title: String,
    parameters: usize,
    root: String,
    nodes_root: String,
    arena_bytes: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let show = match &arguments.command {
        Command::Show(show) => show,
        Command::Export(export) => return crate::manifest::export(export),
    };
    let config = config(&show.model)?;
    let seq = show.sequence.unwrap_or(config.max_seq_len.min(1024));
    if seq > config.max_seq_len {
        return Err(wrong(format!("--sequence is {seq}, and the model takes at most {} tokens", config.max_seq_len)));
    }
    if show.batch.saturating_mul(seq) > STEP_TOKENS_MAX {
        return Err(wrong(format!(
            "--batch × --sequence is {} × {seq}, expected at most {STEP_TOKENS_MAX}",
            show.batch
        )));
    }
    let shown = build(&config, show, seq)?;
    let text = match if show.json { Format::Json } else { show.format } {
        Format::Text => format!("{}\n{}", shown.summary().join("\n"), show::text(&shown.graph, &shown.names)),
        Format::Svg => sip_graph::svg(&shown.graph, &shown.names, &shown.title, &shown.summary()[1..3]),
        Format::Dot => show::dot(&shown.graph, &shown.names),
        Format::Json => format!("{:#}\n", shown.json()),
    };
    match &show.out {
        Some(path) => {
            keep_apart(path, [("--model", show.model.as_ref())])?;
            write_own(path, &text)?;
        }
        None if show.json || show.format != Format::Text => {
            std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
        }
        None => std::io::Write::write_all(&mut output(), text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A model's shape by the name of a preset, or from its configuration.
fn config(model: &str) -> Result<LlamaConfig> {
    if let Some(preset) = LlamaConfig::preset(model) {
        return Ok(preset);
    }
    let path = Path::new(model);
    if !path.exists() {
        return Err(
            Missing(format!("{model} is neither a preset ({}) nor a file or folder", PRESETS.join(", "))).into()
        );
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    if path.is_file() && path.file_name().is_none_or(|name| name != "config.json") {
        bail!("{model} is not called config.json, as the configuration of a Hugging Face model is");
    }
    Ok(load_config(folder)?)
}

fn build(config: &LlamaConfig, show: &Show, seq: usize) -> Result<Shown> {
    let optimizer = AdamW::default();
    let params = params(config);
    let of = |what: &str| params.iter().map(|p| format!("{what}{}", p.name)).collect::<Vec<String>>();
    let whole_state = || [of(""), of("first moment of "), of("second moment of ")].concat();
    let (what, graph, state, tables): (&str, Graph, Vec<String>, Vec<Buffer>) = match show.what {
        What::Train => {
            let train = TrainConfig { batch: show.batch, seq_len: seq, total_steps: STEPS, optimizer };
            let schedule = Schedule {
                peak_rate: PEAK_RATE,
                warmup_steps: WARMUP_STEPS,
                total_steps: STEPS,
                final_share: 0.1,
                shape: Shape::Cosine,
            };
            let graph = training_graph(config, &train)?.graph;
            ("one step of training", graph, whole_state(), tables(config, seq, &optimizer, &schedule))
        }
        What::Eval => ("the loss", eval_graph(config, show.batch, seq)?, of(""), inference_tables(config, seq)),
        What::Logits => ("the next token", logits_graph(config, seq)?, of(""), inference_tables(config, seq)),
        What::Aggregate => {
            let shapes: Vec<Vec<usize>> = (0..3).flat_map(|_| params.iter().map(|p| p.shape.clone())).collect();
            let state =
                (0..STATES).flat_map(|s| whole_state().into_iter().map(move |name| format!("{name} ({})", s + 1)));
            ("the mean of three states", aggregate_graph(&shapes, STATES)?, state.collect(), Vec::new())
        }
        What::Init => ("the genesis state", init_graph(config, 0)?, whole_state(), Vec::new()),
    };
    let roots = Task::commit(&graph, &tables);
    let graph = Arc::new(graph);
    let executor = Executor::new(Arc::clone(&graph), Arc::new(Threads::new(1)), ExecutorOptions::default());
    let tables = ["learning rates and bias corrections", "cosines", "sines"].map(String::from).to_vec();
    let size = match show.what {
        What::Train | What::Eval => format!(", {} × {seq} tokens", show.batch),
        What::Logits => format!(", {seq} tokens"),
        What::Aggregate | What::Init => String::new(),
    };
    Ok(Shown {
        arena_bytes: executor.arena_bytes(),
        graph,
        names: Names { state, tables },
        title: format!("{}: {what}{size}", show.model),
        parameters: params.iter().map(|p| p.len()).sum(),
        root: hex(&roots.root::<HostSha256>()),
        nodes_root: hex(&roots.nodes_root),
    })
}

impl Shown {
    fn summary(&self) -> Vec<String> {
        let totals = show::totals(&self.graph);
        let kinds = totals.nodes.iter().filter(|(_, count)| *count > 0);
        let kinds: Vec<String> = kinds.map(|&(kind, count)| format!("{count} {}", show::kind_name(kind))).collect();
        vec![
            self.title.clone(),
            format!(
                "{} nodes; {}FLOP; {} parameters; {}B between nodes ({}B if no tensor shared memory)",
                self.graph.nodes().len(),
                with_space(totals.flops),
                quantity(self.parameters as u64),
                with_space(self.arena_bytes as u64),
                with_space(totals.bytes),
            ),
            format!("graph root {}", self.root),
            format!("nodes root {}", self.nodes_root),
            kinds.join(", "),
        ]
    }

    fn json(&self) -> Value {
        let totals = show::totals(&self.graph);
        let nodes = show::describe(&self.graph, &self.names).into_iter().map(|d| {
            json!({
                "node": d.node, "kind": show::kind_name(d.kind), "shape": d.shape, "reduction": d.reduction,
                "reads": d.reads, "name": d.name, "formula": d.formula, "bytes": d.bytes, "flops": d.flops,
            })
        });
        let kinds = totals.nodes.iter().map(|&(kind, count)| (show::kind_name(kind).to_string(), json!(count)));
        json!({
            "title": self.title,
            "graph_root": self.root,
            "nodes_root": self.nodes_root,
            "parameters": self.parameters,
            "flops": totals.flops,
            "bytes": totals.bytes,
            "arena_bytes": self.arena_bytes,
            "kinds": Value::Object(kinds.collect()),
            "nodes": nodes.collect::<Vec<Value>>(),
        })
    }
}

/// A quantity before its unit.
fn with_space(value: u64) -> String {
    let text = quantity(value);
    if text.contains(' ') { text } else { text + " " }
}

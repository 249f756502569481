//! What a model computes.

use anyhow::Result;
use serde_json::{Value, json};
use sip_data::hex;
use sip_graph::show::{self, Names, quantity};
use sip_graph::{AdamW, Buffer, Executor, ExecutorOptions, Graph};
use sip_kernels::Threads;
use sip_model::{
    LlamaConfig, Schedule, Shape, TrainConfig, aggregate_graph, eval_graph, inference_tables, init_graph, logits_graph,
    params, tables, training_graph,
};
use sip_node::Task;
use sip_proof::HostSha256;
use std::sync::Arc;

/// The job whose tables the root covers: what the demo runs by default, with room for rounds that are repeated.
const STEPS: usize = 1000;
const WARMUP_STEPS: usize = 30;
const PEAK_RATE: f64 = 2e-3;
/// States that the graph of an aggregate averages.
const STATES: usize = 3;

/// A graph of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
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

/// A graph with what is said about it.
pub struct Shown {
    /// The graph.
    pub graph: Arc<Graph>,
    /// What its inputs are called.
    pub names: Names,
    /// What it is.
    pub title: String,
    parameters: usize,
    root: String,
    nodes_root: String,
    arena_bytes: usize,
}

impl Shown {
    /// For people, in lines.
    pub fn summary(&self) -> Vec<String> {
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

    /// For programs.
    pub fn json(&self) -> Value {
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

/// Builds a graph of a model of this name: `batch` sequences of `seq` tokens.
///
/// # Errors
/// A model that has no such graph.
pub fn build(config: &LlamaConfig, model: &str, what: What, (batch, seq): (usize, usize)) -> Result<Shown> {
    let optimizer = AdamW::default();
    let params = params(config);
    let of = |what: &str| params.iter().map(|p| format!("{what}{}", p.name)).collect::<Vec<String>>();
    let whole_state = || [of(""), of("first moment of "), of("second moment of ")].concat();
    let (name, graph, state, tables): (&str, Graph, Vec<String>, Vec<Buffer>) = match what {
        What::Train => {
            let train = TrainConfig { batch, seq_len: seq, total_steps: STEPS, optimizer };
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
        What::Eval => ("the loss", eval_graph(config, batch, seq)?, of(""), inference_tables(config, seq)),
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
    let size = match what {
        What::Train | What::Eval => format!(", {} × {seq} tokens", batch),
        What::Logits => format!(", {seq} tokens"),
        What::Aggregate | What::Init => String::new(),
    };
    Ok(Shown {
        arena_bytes: executor.arena_bytes(),
        graph,
        names: Names { state, tables },
        title: format!("{model}: {name}{size}"),
        parameters: params.iter().map(|p| p.len()).sum(),
        root: hex(&roots.root::<HostSha256>()),
        nodes_root: hex(&roots.nodes_root),
    })
}

/// A quantity before its unit.
fn with_space(value: u64) -> String {
    let text = quantity(value);
    if text.contains(' ') { text } else { text + " " }
}

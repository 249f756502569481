//! Our side: the training graph on its executor.

use crate::size::Shape;
use anyhow::{Context, Result};
use sip_graph::{AdamW, Buffer, DoubleState, Executor, ExecutorOptions, Inputs};
use sip_kernels::Threads;
use sip_model::{Schedule, TrainConfig, tables, training_graph};
use sip_ops::{Kind, NodeSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rows of the table of learning rates.
const MOST_STEPS: usize = 1 << 16;

/// The model with its optimizer.
pub struct Engine {
    executor: Executor,
    state: DoubleState,
    tables: Vec<Buffer>,
    step: u32,
}

/// Time of all nodes of one kind and shape.
pub struct ShapeTime {
    /// Operator, output sizes and reduction sizes.
    pub label: String,
    /// Number of such nodes.
    pub nodes: usize,
    /// Products, or other terms of chains, of all of them in one step, those that a kernel may skip included (masked
    /// ones, and the ones that a scatter adds elsewhere).
    pub terms: u64,
    /// Time of all of them in all profiled steps.
    pub time: Duration,
}

impl Engine {
    /// Starts from `state`: weights, first and second moments. At most [`MOST_STEPS`] steps can follow.
    pub fn new(
        shape: &Shape,
        optimizer: &AdamW,
        rate: f64,
        threads: &Arc<Threads>,
        state: Vec<Buffer>,
    ) -> Result<Engine> {
        let total_steps = MOST_STEPS;
        let train = TrainConfig { batch: shape.batch, seq_len: shape.seq_len, total_steps, optimizer: *optimizer };
        let graph = Arc::new(training_graph(&shape.config, &train)?.graph);
        let schedule = Schedule {
            peak_rate: rate,
            warmup_steps: 0,
            total_steps,
            final_share: 1.0,
            shape: sip_model::Shape::Constant,
        };
        Ok(Engine {
            executor: Executor::new(graph, Arc::clone(threads), ExecutorOptions::default()),
            state: DoubleState::new(state),
            tables: tables(&shape.config, shape.seq_len, optimizer, &schedule),
            step: 0,
        })
    }

    /// One training step on a batch u32 [batch, sequence + 1]; the loss before it.
    pub fn step(&mut self, batch: &[u32]) -> Result<f32> {
        self.executor.step(&mut self.state, &Inputs { batch, step: self.step, tables: &self.tables, ..Inputs::default() }, None)?;
        self.step += 1;
        let loss = self.executor.result("loss").and_then(|loss| loss.first());
        loss.map(|&bits| f32::from_bits(bits)).context("the training graph has no loss")
    }

    /// Starts to measure the time of every node.
    pub fn start_profile(&mut self) {
        self.executor.start_profile();
    }

    /// Times since [`Engine::start_profile`] by kind and shape, slowest first.
    pub fn profile(&self) -> Vec<ShapeTime> {
        let mut found: BTreeMap<String, ShapeTime> = BTreeMap::new();
        for node in self.executor.profile() {
            let spec = &self.executor.graph().nodes()[node.node as usize];
            if spec.kind == Kind::Input {
                continue;
            }
            let label = label(spec);
            let empty = ShapeTime { label: label.clone(), nodes: 0, terms: 0, time: Duration::ZERO };
            let entry = found.entry(label).or_insert(empty);
            entry.nodes += 1;
            entry.terms += spec.reduce_sizes.iter().fold(spec.len() as u64, |terms, &size| terms * size as u64);
            entry.time += node.time;
        }
        let mut found: Vec<ShapeTime> = found.into_values().collect();
        found.sort_by_key(|shape| std::cmp::Reverse(shape.time));
        found
    }
}

fn label(spec: &NodeSpec) -> String {
    let mut label = format!("{:?} {:?}", spec.kind, spec.out_sizes);
    if !spec.reduce_sizes.is_empty() {
        label += &format!(" over {:?}", spec.reduce_sizes);
    }
    if !spec.program.is_empty() {
        label += &format!(", {} instructions", spec.program.len());
    }
    if spec.constraint.is_some() {
        label += ", causal";
    }
    label
}

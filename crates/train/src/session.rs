//! The loop of a run: step, measure, save; from the start or from a checkpoint, to the end or to Ctrl-C.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sip_graph::{Buffer, DoubleState, Executor, ExecutorOptions, Graph, Inputs};
use sip_model::checkpoint::{Checkpoint, save_bf16, state_root};
use sip_model::{ParamSpec, Schedule};
use sip_proof::Hash;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::folder::Folder;
use crate::metrics::{Metrics, Row, unix_seconds};
use crate::settings::Checkpoints;
use sip_data::hex;
use sip_manifest::folder::{read_values, write_json};
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_report::Progress;

/// The batch of a step, counted from 0: a function of nothing but the run and the step.
pub(crate) type BatchOf = Box<dyn Fn(u32) -> Result<Vec<u32>>>;
/// Measures trained tensors (without moments) on held-out data, by name.
pub(crate) type Measure = Box<dyn FnMut(&[Buffer]) -> Result<BTreeMap<String, f64>>>;
/// Writes the result of training from the trained tensors.
pub(crate) type Export = Box<dyn FnOnce(&[Buffer], &Folder) -> Result<()>>;

/// A run, ready to begin.
pub struct Job {
    /// The command that made it.
    pub(crate) command: &'static str,
    pub(crate) graph: Graph,
    pub(crate) params: Vec<ParamSpec>,
    /// Shared with what measures.
    pub(crate) tables: Rc<Vec<Buffer>>,
    pub(crate) rates: Schedule,
    /// The state before the first step.
    pub(crate) genesis: Vec<Buffer>,
    pub(crate) batch: BatchOf,
    pub(crate) measure: Measure,
    pub(crate) export: Export,
    /// How the graph is run; no bit depends on it.
    pub(crate) options: ExecutorOptions,
    /// The unit of the training loss.
    pub(crate) unit: &'static str,
    /// Tokens that a step works on.
    pub(crate) tokens_per_step: u64,
    /// Steps between measurements; 0 for at the ends only.
    pub(crate) eval_every: u64,
    pub(crate) checkpoints: Checkpoints,
    /// By name the hash of everything that the result depends on.
    pub(crate) parts: BTreeMap<String, String>,
    pub(crate) seed: u64,
}

/// `run.json`: what `--resume` begins from.
#[derive(Serialize, Deserialize)]
pub(crate) struct Saved<S> {
    /// `train` or `finetune`.
    pub command: String,
    /// What was asked for.
    pub settings: S,
    /// By name the hash of everything that the result depends on.
    pub parts: BTreeMap<String, String>,
}

/// What came of a run; everything but [`Timings`] depends on the settings and the data alone.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of the program.
    pub version: String,
    /// The command that made it.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// Whether all steps are done.
    pub finished: bool,
    /// Steps that are done.
    pub step: u64,
    /// Steps that were asked for.
    pub steps: u64,
    /// Numbers of the model.
    pub parameters: u64,
    /// Of them, those that are trained.
    pub trained_parameters: u64,
    /// Tokens that were worked on.
    pub tokens: u64,
    /// Training loss of the first and the last step, in the unit of the objective.
    pub first_loss: Option<f32>,
    /// Of the last step.
    pub last_loss: Option<f32>,
    /// First and last measurement on held-out data.
    pub held_out_before: BTreeMap<String, f64>,
    /// The last measurement.
    pub held_out_after: BTreeMap<String, f64>,
    /// Identifies weights and moments, bit for bit.
    pub state_root: String,
    /// Where the results lie.
    pub folder: String,
    /// Figures of the machine.
    pub timings: Timings,
}

/// Figures of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct Timings {
    /// Of this part of the run.
    pub seconds: f64,
    /// The speed.
    pub tokens_per_second: f64,
    /// Memory of the executor.
    pub arena_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Instruction set.
    pub simd: String,
}

/// Identifies a run: the hash of its parts.
fn job_id(parts: &BTreeMap<String, String>) -> Hash {
    let text: String = parts.iter().map(|(name, hash)| format!("{name}\t{hash}\n")).collect();
    sip_proof::tensor_root(&text.bytes().map(u32::from).collect::<Vec<u32>>())
}

impl Job {
    /// Trains from the beginning.
    ///
    /// # Errors
    /// Where files cannot be written, or the training faults.
    pub fn begin<S: Serialize>(
        mut self,
        settings: &S,
        folder: &Folder,
        machine: &Machine,
        progress: Progress,
        stop: &Stop,
    ) -> Result<Summary> {
        let saved = Saved { command: self.command.into(), settings, parts: self.parts.clone() };
        write_json(&folder.settings(), &saved)?;
        let start = self.start(machine);
        self.run(start, folder, machine, progress, stop)
    }

    /// Trains on from the latest checkpoint.
    ///
    /// # Errors
    /// Also where something that the result depends on is not what it was.
    pub fn resume(mut self, folder: &Folder, machine: &Machine, progress: Progress, stop: &Stop) -> Result<Summary> {
        let saved: Saved<serde_json::Value> = read_values(&folder.settings())?;
        for name in self.parts.keys().chain(saved.parts.keys()) {
            if saved.parts.get(name) != self.parts.get(name) {
                bail!(
                    "the run in {} cannot go on: its {name} is not what it was when the run began; put it back, or begin anew \
                     with --overwrite",
                    folder.root().display()
                );
            }
        }
        let start = match folder.steps()?.last() {
            Some(&step) => {
                self.genesis.clear();
                Checkpoint::load(&folder.checkpoint(step), &self.params, &job_id(&self.parts), &machine.threads)?
            }
            None => self.start(machine),
        };
        progress.stage(&format!("Going on after step {} of {}", start.step, self.rates.total_steps));
        progress.line(&format!("state root {}", hex(&start.root)));
        self.run(start, folder, machine, progress, stop)
    }

    /// The state before the first step, which is in memory once.
    fn start(&mut self, machine: &Machine) -> Checkpoint {
        let entries = std::mem::take(&mut self.genesis);
        let root = state_root(&entries, &machine.threads);
        Checkpoint { step: 0, entries, root }
    }

    fn run(
        mut self,
        start: Checkpoint,
        folder: &Folder,
        machine: &Machine,
        progress: Progress,
        stop: &Stop,
    ) -> Result<Summary> {
        folder.tidy(self.checkpoints.keep)?;
        let steps = self.rates.total_steps as u64;
        let mut metrics = Metrics::open(folder, start.step)?;
        let graph = Arc::new(std::mem::replace(&mut self.graph, Graph::new(vec![], vec![], vec![])?));
        let mut executor = Executor::new(graph, Arc::clone(&machine.threads), self.options);
        let (mut step, mut root) = (start.step, start.root);
        let mut saved = (step > 0).then_some(step);
        let mut state = DoubleState::new(start.entries);
        if step == 0 && metrics.rows().is_empty() {
            let held_out = self.held_out(&state)?;
            report(progress, 0, &held_out);
            let unix_seconds = unix_seconds();
            metrics.add(Row {
                step,
                loss: None,
                learning_rate: 0.0,
                tokens_per_second: 0.0,
                unix_seconds,
                held_out,
            })?;
        }
        let bar = progress.bar(steps, "begins");
        bar.begin_at(step);
        let (began, first_step) = (Instant::now(), step);
        let mut training_seconds = 0.0;
        while step < steps && !stop.requested() {
            let started = Instant::now();
            let batch = (self.batch)(step as u32)?;
            executor
                .step(
                    &mut state,
                    &Inputs { batch: &batch, step: step as u32, tables: &self.tables, ..Inputs::default() },
                    None,
                )
                .with_context(|| {
                    let last = saved.map_or("nothing was saved yet".into(), |step| {
                        format!("the last checkpoint is of step {step}")
                    });
                    format!("step {} of {steps} failed, {last}; a lower learning rate may help", step + 1)
                })?;
            let seconds = started.elapsed().as_secs_f64();
            training_seconds += seconds;
            let learning_rate = self.rates.rate(step as usize);
            step += 1;
            let loss = executor.result("loss").and_then(|loss| loss.first().copied()).map(f32::from_bits);
            let mut held_out = BTreeMap::new();
            if step == steps || (self.eval_every > 0 && step.is_multiple_of(self.eval_every)) {
                held_out = self.held_out(&state)?;
                report(progress, step, &held_out);
            }
            let tokens_per_second = self.tokens_per_second(1, seconds);
            metrics.add(Row {
                step,
                loss,
                learning_rate,
                tokens_per_second,
                unix_seconds: unix_seconds(),
                held_out,
            })?;
            let mean = self.tokens_per_second(step - first_step, training_seconds);
            bar.set_message(format!("loss {:.4}, {mean:.0} tokens/s", loss.unwrap_or(f32::NAN)));
            bar.inc(1);
            if step == steps || step.is_multiple_of(self.checkpoints.every as u64) {
                root = self.save(step, &state, folder, machine)?;
                saved = Some(step);
                progress.line(&format!("step {step}: checkpoint, state root {}", hex(&root)));
                metrics.plot(&format!("sip {}: step {step} of {steps}", self.command), self.unit)?;
            }
        }
        drop(bar);
        // Only a stop comes here with steps that are not saved.
        if step > first_step && saved != Some(step) {
            root = self.save(step, &state, folder, machine)?;
            metrics.plot(&format!("sip {}: step {step} of {steps}", self.command), self.unit)?;
        }
        let finished = step == steps;
        let speed = self.tokens_per_second(step - first_step, training_seconds);
        let entries = state.into_entries();
        let count = self.params.len();
        if finished {
            (self.export)(&entries[..count], folder)?;
        }
        let losses = || metrics.rows().iter().filter_map(|row| row.loss);
        let mut measured = metrics.rows().iter().map(|row| &row.held_out).filter(|held_out| !held_out.is_empty());
        let held_out_before = measured.next().cloned().unwrap_or_default();
        let trained_parameters = self.params.iter().map(|param| param.len() as u64).sum();
        let frozen: u64 =
            self.tables.iter().skip(sip_model::llama::FROZEN_TABLE as usize).map(|t| t.len() as u64).sum();
        let summary = Summary {
            version: env!("CARGO_PKG_VERSION").into(),
            command: self.command.into(),
            seed: self.seed,
            finished,
            step,
            steps,
            parameters: trained_parameters + frozen,
            trained_parameters,
            tokens: step * self.tokens_per_step,
            first_loss: losses().next(),
            last_loss: losses().next_back(),
            held_out_after: measured.next_back().cloned().unwrap_or_else(|| held_out_before.clone()),
            held_out_before,
            state_root: hex(&root),
            folder: folder.root().display().to_string(),
            timings: Timings {
                seconds: began.elapsed().as_secs_f64(),
                tokens_per_second: speed,
                arena_bytes: executor.arena_bytes() as u64,
                threads: machine.threads.count() as u64,
                simd: machine.simd.to_string(),
            },
        };
        if finished {
            write_json(&folder.summary(), &summary)?;
        }
        Ok(summary)
    }

    fn held_out(&mut self, state: &DoubleState) -> Result<BTreeMap<String, f64>> {
        (self.measure)(&state.entries()[..self.params.len()])
    }

    fn tokens_per_second(&self, steps: u64, seconds: f64) -> f64 {
        (self.tokens_per_step * steps) as f64 / seconds.max(1e-9)
    }

    /// Writes the state, and forgets checkpoints that are too many.
    fn save(&self, step: u64, state: &DoubleState, folder: &Folder, machine: &Machine) -> Result<Hash> {
        let entries = state.entries();
        let root = state_root(entries, &machine.threads);
        Checkpoint::save(&folder.checkpoint(step), &self.params, &job_id(&self.parts), step, entries, &root)?;
        if self.checkpoints.bf16_weights {
            save_bf16(&folder.bf16_weights(step), &self.params, step, entries)?;
        }
        folder.tidy(self.checkpoints.keep)?;
        Ok(root)
    }
}

fn report(progress: Progress, step: u64, held_out: &BTreeMap<String, f64>) {
    if !held_out.is_empty() {
        let values: Vec<String> = held_out.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        progress.line(&format!("step {step}: held out: {}", values.join(", ")));
    }
}

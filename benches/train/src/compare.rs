//! The comparison: sides in pairs, ours and one rival's at a time.

use crate::machine::Machine;
use crate::side::{self, Programs, Running, Side, Turn};
use crate::size::{Shape, Size};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sip_kernels::Simd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Greatest relative difference of losses.
const TOLERANCE: f32 = 1e-3;
/// Pairs that are measured however long they take.
const LEAST_PAIRS: usize = 2;

/// What is compared, and for how long.
pub struct Plan {
    /// What is trained.
    pub size: Size,
    /// Threads of each side.
    pub threads: u32,
    /// Whom to compare with.
    pub rivals: Vec<Side>,
    /// Most pairs per rival.
    pub pairs: u32,
    /// Steps per measurement.
    pub steps: u32,
    /// No further pair begins after this many seconds with a rival.
    pub seconds: u32,
}

/// A folder that goes when this does.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        let path = std::env::temp_dir().join(format!("sip-bench-train-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// The rivals that can be measured here.
pub fn available(size: Size, programs: &Programs) -> Vec<Side> {
    let mut rivals = vec![Side::Candle, Side::Burn];
    let torch = std::process::Command::new(&programs.python).args(["-c", "import torch"]).output();
    if torch.is_ok_and(|output| output.status.success()) {
        rivals.push(Side::Pytorch);
    } else {
        eprintln!("pytorch is left out: {} has no package torch; --python names another", programs.python.display());
    }
    if size == Size::Gpt2 {
        rivals.push(Side::PlainC);
        if programs.llm_c.is_some() {
            rivals.push(Side::LlmC);
        } else {
            eprintln!("llm-c is left out: --llm-c names its train_gpt2.c");
        }
    }
    rivals
}

/// Measures what the plan says, or one side alone.
pub fn run(plan: &Plan, only: Option<Side>, programs: &Programs) -> Result<Value> {
    let shape = plan.size.shape().context("the model crate lacks a preset of this size")?;
    let rivals: Vec<Side> = if only.is_some() { Vec::new() } else { plan.rivals.clone() };
    let first = only.unwrap_or(Side::Sip);
    let scratch = Scratch::new()?;
    if rivals.iter().chain(&only).any(|&side| side == Side::Pytorch) {
        side::write_weights(&shape, &scratch.0)?;
    }
    for &side in rivals.iter().chain(&only) {
        ensure!(side.is_comparable() || plan.size == Size::Gpt2, "{} exists at size 124m only", side.name());
    }
    let machine = Machine::measure(plan.threads as usize);
    let mut own = Contestant::start(first, plan, programs, &scratch.0)?;
    let mut sides = Vec::new();
    if only.is_some() {
        let started = Instant::now();
        while own.wants_another(plan, started) {
            own.measure(plan.steps)?;
        }
    }
    for &side in &rivals {
        ensure!(side != Side::Sip, "sip is not its own rival");
        let mut rival = Contestant::start(side, plan, programs, &scratch.0)?;
        if side.is_comparable() {
            agree(side, &own.agreement, &rival.agreement)?;
        }
        let (from, started) = (own.samples.len(), Instant::now());
        while rival.wants_another(plan, started) {
            own.measure(plan.steps)?;
            // A slow program in C need not make several of its steps.
            rival.measure(if side.is_comparable() { plan.steps } else { 1 })?;
        }
        let per_token =
            |c: &Contestant, of: fn(&Sample) -> f64, at: usize| of(&c.samples[at]) / c.side.tokens(&shape) as f64;
        let ratio = |of: fn(&Sample) -> f64| {
            let pairs = 0..rival.samples.len();
            median(pairs.map(|pair| per_token(&rival, of, pair) / per_token(&own, of, from + pair)))
        };
        let mut report = rival.report(&shape, &machine);
        report["ratio"] = json!(ratio(|sample| sample.seconds));
        report["cpu_ratio"] = json!(ratio(|sample| sample.cpu_seconds));
        sides.push(report);
    }
    sides.insert(0, own.report(&shape, &machine));
    Ok(json!({
        "size": plan.size.name(),
        "parameters": shape.parameters(),
        "batch": shape.batch,
        "seq_len": shape.seq_len,
        "gflop_per_token": shape.flops_per_token() / 1e9,
        "threads": plan.threads,
        "simd": format!("{:?}", Simd::detect()),
        "peak_gflops": machine.gflops,
        "read_gb_per_second": machine.read_gb_per_second,
        "sides": sides,
    }))
}

/// Time of a step, the mean of one measurement.
struct Sample {
    seconds: f64,
    cpu_seconds: f64,
}

/// A side with what was measured of it.
struct Contestant {
    side: Side,
    running: Running,
    /// Losses on one batch, from the first step on.
    agreement: Vec<f32>,
    samples: Vec<Sample>,
    peak_bytes: u64,
    next_batch: u64,
}

impl Contestant {
    /// Starts it, and lets it learn one batch, which warms it up.
    fn start(side: Side, plan: &Plan, programs: &Programs, scratch: &Path) -> Result<Contestant> {
        let mut running = Running::start(side, plan.size, plan.threads, programs, scratch)?;
        let steps = if side.is_comparable() { plan.size.agreement_steps() } else { 2 };
        let Turn { losses, peak_bytes, .. } = running.turn(&vec![0; steps])?;
        let falls = losses.first().zip(losses.last()).is_none_or(|(first, last)| last < first);
        ensure!(falls, "{} does not learn: its losses on one batch are {losses:?}", side.name());
        Ok(Contestant { side, running, agreement: losses, samples: Vec::new(), peak_bytes, next_batch: 1 })
    }

    fn wants_another(&self, plan: &Plan, started: Instant) -> bool {
        let measured = self.samples.len();
        let in_time = started.elapsed() < Duration::from_secs(plan.seconds.into());
        measured < LEAST_PAIRS || (measured < plan.pairs as usize && in_time)
    }

    /// Measures some steps. Their tokens are fresh: a memorised batch has tiny gradients, which are not what training
    /// looks like.
    fn measure(&mut self, steps: u32) -> Result<()> {
        let batches: Vec<u64> = (self.next_batch..self.next_batch + u64::from(steps)).collect();
        self.next_batch += u64::from(steps);
        let turn = self.running.turn(&batches)?;
        let steps = f64::from(steps);
        self.samples.push(Sample { seconds: turn.seconds / steps, cpu_seconds: turn.cpu_seconds / steps });
        self.peak_bytes = self.peak_bytes.max(turn.peak_bytes);
        Ok(())
    }

    fn report(&self, shape: &Shape, machine: &Machine) -> Value {
        let seconds = median(self.samples.iter().map(|sample| sample.seconds));
        let cpu_seconds = median(self.samples.iter().map(|sample| sample.cpu_seconds));
        let tokens_per_second = self.side.tokens(shape) as f64 / seconds;
        json!({
            "side": self.side.name(),
            "measurements": self.samples.len(),
            "tokens_per_step": self.side.tokens(shape),
            "step_ms": seconds * 1e3,
            "step_cpu_ms": cpu_seconds * 1e3,
            "tokens_per_second": tokens_per_second,
            "share_of_peak": tokens_per_second * shape.flops_per_token() / (machine.gflops * 1e9),
            "peak_bytes": self.peak_bytes,
            "losses": self.agreement,
        })
    }
}

/// From equal weights on one batch, both must have the same losses.
fn agree(side: Side, own: &[f32], other: &[f32]) -> Result<()> {
    ensure!(own.len() == other.len(), "{} gives {} losses for {} steps", side.name(), other.len(), own.len());
    for (step, (own, other)) in own.iter().zip(other).enumerate() {
        let difference = (own - other).abs() / other.abs();
        ensure!(
            difference <= TOLERANCE,
            "step {step}: our loss is {own}, that of {} {other}; they compute different steps",
            side.name()
        );
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

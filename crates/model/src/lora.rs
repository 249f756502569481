//! Adapters of low rank (Hu et al. 2021): W x + (α / r) · B (A x) with W frozen; only A [r, in] and B [out, r] are trained.
//!
//! A starts uniform in ±1/√in and B at zero, so the adapted model starts as the model itself. State entries are, for every
//! adapted matrix in the order of the parameters, A and then B; then all first and all second moments. Names and files
//! are those of the `peft` library.

use crate::checkpoint::{self, CheckpointError, Named};
use crate::export::LlamaConfig;
use crate::init::{build, uniform};
use crate::llama::{FROZEN_TABLE, ModelError, ParamSpec, params as all_params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sip_data::files::write_atomically;
use sip_graph::{Buffer, Builder, Contraction, Executor, ExecutorOptions, Graph, Inputs, Tensor};
use sip_kernels::Threads;
use sip_ops::{Source, Type};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// File names of the `peft` library.
pub const ADAPTER_FILE: &str = "adapter_model.safetensors";
/// The adapter's shape and what it belongs to.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";

/// A matrix of every layer that can have an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// `q_proj`
    #[serde(rename = "q")]
    Query,
    /// `k_proj`
    #[serde(rename = "k")]
    Key,
    /// `v_proj`
    #[serde(rename = "v")]
    Value,
    /// `o_proj`
    #[serde(rename = "o")]
    Output,
    /// `gate_proj`
    #[serde(rename = "gate")]
    Gate,
    /// `up_proj`
    #[serde(rename = "up")]
    Up,
    /// `down_proj`
    #[serde(rename = "down")]
    Down,
}

impl Target {
    /// All of them, with the names that a command line uses, in the order of the parameters.
    pub const ALL: [(&'static str, Target); 7] = [
        ("q", Target::Query),
        ("k", Target::Key),
        ("v", Target::Value),
        ("o", Target::Output),
        ("gate", Target::Gate),
        ("up", Target::Up),
        ("down", Target::Down),
    ];

    /// The module's name in Hugging Face models.
    pub fn module(self) -> &'static str {
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"][self as usize]
    }
}

/// The shape of the adapters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// The adapter's part is scaled by `alpha` / `rank`.
    pub alpha: f32,
    /// Which matrices have one.
    pub targets: Vec<Target>,
}

impl Lora {
    fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    fn adapts(&self, spec: &ParamSpec) -> bool {
        self.targets.iter().any(|target| spec.name.ends_with(&format!("{}.weight", target.module())))
    }
}

/// An adapter in a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapter {
    /// A
    pub(crate) down: Tensor,
    /// B
    pub(crate) up: Tensor,
    pub(crate) rank: usize,
    /// α / r
    pub(crate) scale: f32,
}

/// The trained tensors, by their names in `peft` files.
///
/// # Errors
/// A rank, a factor or a list of targets that makes no adapter.
pub fn params(config: &LlamaConfig, lora: &Lora) -> Result<Vec<ParamSpec>, ModelError> {
    let bound = config.hidden_size.min(config.intermediate_size);
    if lora.rank == 0 || lora.rank > bound {
        let expected = format!("1 to {bound}, the smaller side of the model's matrices");
        return Err(ModelError::Size { field: "rank", value: lora.rank, expected });
    }
    if lora.targets.is_empty() {
        let expected = "at least one of q, k, v, o, gate, up, down".into();
        return Err(ModelError::Size { field: "number of targets", value: 0, expected });
    }
    if !(lora.alpha.is_finite() && lora.alpha > 0.0) {
        return Err(ModelError::Number { field: "alpha", value: lora.alpha, expected: "a number above 0" });
    }
    let adapted = all_params(config).into_iter().filter(|spec| lora.adapts(spec));
    let both = |spec: ParamSpec| {
        let module = spec.name.trim_end_matches(".weight").to_owned();
        let part = |letter: &str, shape: [usize; 2]| ParamSpec {
            name: format!("base_model.model.{module}.lora_{letter}.weight"),
            shape: shape.to_vec(),
            decay: true,
        };
        [part("A", [lora.rank, spec.shape[1]]), part("B", [spec.shape[0], lora.rank])]
    };
    Ok(adapted.flat_map(both).collect())
}

/// For every parameter of the model its adapter, out of the tensors in the order of [`params`].
pub(crate) fn adapters(all: &[ParamSpec], lora: &Lora, trained: &[Tensor]) -> Vec<Option<Adapter>> {
    let mut pairs = trained.chunks_exact(2);
    let mut adapter = |spec: &ParamSpec| match (lora.adapts(spec), pairs.len()) {
        (true, 1..) => pairs.next(),
        _ => None,
    };
    let adapter = |spec| match adapter(spec)? {
        &[down, up] => Some(Adapter { down, up, rank: lora.rank, scale: lora.scale() }),
        _ => None,
    };
    all.iter().map(adapter).collect()
}

/// The state that training of adapters starts from, moments included.
///
/// # Errors
/// As of [`params`].
pub fn init(config: &LlamaConfig, lora: &Lora, seed: u64, threads: &Arc<Threads>) -> Result<Vec<Buffer>, ModelError> {
    let mut b = Builder::new();
    let params = params(config, lora)?;
    let mut outputs: Vec<Tensor> = Vec::with_capacity(params.len() * 3);
    for (index, spec) in params.iter().enumerate() {
        let is_down = index % 2 == 0;
        outputs.push(match is_down {
            true => uniform(&mut b, spec.len(), seed, index, 1.0 / (spec.shape[1] as f64).sqrt()),
            false => constant(&mut b, spec.len()),
        });
    }
    for _ in 0..2 {
        outputs.extend(params.iter().map(|spec| constant(&mut b, spec.len())).collect::<Vec<_>>());
    }
    build(b.finish(&outputs, &[])?, threads)
}

fn constant(b: &mut Builder, len: usize) -> Tensor {
    let all = b.axis(len);
    b.map(&[all], [], |p, _: [_; 0]| p.constant(0.0))
}

/// The tables of a training or scoring graph with adapters: the job's first tables, filled up, then the frozen weights.
pub fn with_frozen(mut tables: Vec<Buffer>, weights: Vec<Buffer>) -> Vec<Buffer> {
    tables.resize_with(FROZEN_TABLE as usize, || Buffer::new(0));
    tables.extend(weights);
    tables
}

/// W + (α / r) · B A for every adapted matrix, the other weights as they are: state entries are the weights before and
/// after, table i is tensor i of [`params`].
///
/// # Errors
/// As of [`params`].
pub fn merge_graph(config: &LlamaConfig, lora: &Lora) -> Result<Graph, ModelError> {
    let mut b = Builder::new();
    let all = all_params(config);
    let mut input = |source, spec: &ParamSpec| b.input(source, &spec.shape, Type::F32);
    let weights: Vec<Tensor> = all.iter().enumerate().map(|(i, s)| input(Source::State(i as u32), s)).collect();
    let trained: Vec<Tensor> =
        params(config, lora)?.iter().enumerate().map(|(i, s)| input(Source::Table(i as u32), s)).collect();
    let mut outputs = weights.clone();
    for ((spec, output), adapter) in all.iter().zip(&mut outputs).zip(adapters(&all, lora, &trained)) {
        let Some(Adapter { down, up, rank, scale }) = adapter else { continue };
        let (out, rank, input) = (b.axis(spec.shape[0]), b.axis(rank), b.axis(spec.shape[1]));
        let scaled = b.map(&[out, rank], [up.read(&[out, rank])], |p, [up]| {
            let scale = p.constant(scale);
            p.mul(up, scale)
        });
        *output = b.contraction(Contraction {
            out: &[out, input],
            reduce: &[rank],
            a: scaled.read(&[out, rank]),
            b: down.read(&[rank, input]),
            start: Some(output.read(&[out, input])),
            only: None,
        });
    }
    Ok(b.finish(&outputs, &[])?)
}

/// The weights of a model without adapters that computes the same: the outcome of [`merge_graph`].
///
/// # Errors
/// As of [`params`], tensors that do not fit, and sums that are not finite.
pub fn merge(
    config: &LlamaConfig,
    lora: &Lora,
    weights: &[Buffer],
    adapters: &[Buffer],
    threads: &Arc<Threads>,
) -> Result<Vec<Buffer>, ModelError> {
    let graph = merge_graph(config, lora)?;
    let mut merged: Vec<Buffer> = all_params(config).iter().map(|spec| Buffer::new(spec.len())).collect();
    let mut executor = Executor::new(Arc::new(graph), Arc::clone(threads), ExecutorOptions::default());
    let inputs = Inputs { state: weights, batch: &[], step: 0, tables: adapters, settings: &[] };
    executor.run(&inputs, &mut merged, None)?;
    Ok(merged)
}

/// Writes `adapter_model.safetensors` and `adapter_config.json`, which `peft.PeftModel.from_pretrained` loads on top of
/// the model `base_model` (a name or a folder).
///
/// # Errors
/// As of [`params`], and what the file system refuses.
pub fn save_adapter(
    folder: &Path,
    config: &LlamaConfig,
    lora: &Lora,
    adapters: &[Buffer],
    base_model: &str,
) -> Result<(), AdapterError> {
    let params = params(config, lora)?;
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| CheckpointError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let tensors: Vec<Named<'_>> = params
        .iter()
        .zip(adapters)
        .map(|(spec, values)| Named { name: spec.name.clone(), shape: &spec.shape, values })
        .collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    checkpoint::save_tensors(&folder.join(ADAPTER_FILE), &metadata, &tensors)?;
    let modules: Vec<&str> = lora.targets.iter().map(|target| target.module()).collect();
    let text = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "target_modules": modules,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
    });
    let path = folder.join(ADAPTER_CONFIG_FILE);
    write_atomically(&path, |temporary| fs::write(temporary, format!("{text:#}\n"))).map_err(io_error(&path))?;
    Ok(())
}

/// Why an adapter could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// Its shape does not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its file could not be written.
    #[error(transparent)]
    File(#[from] CheckpointError),
}

//! Adapters in the files of the `peft` library, merged into the weights of their model.
//!
//! W + s · B A, where s is α / r, or α / √r for rsLoRA (Kalajdzievski 2023); for DoRA (Liu et al. 2024) every row of the sum is scaled to a
//! length of its own. Modules that were trained whole replace those of the model. What else `peft` has is refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Map, Value};
use sip_data::shown;
use sip_graph::Buffer;
use thiserror::Error;

use crate::export::other_files::refuse_other;
use crate::export::{ExportError, LlamaConfig, WeightsFile, canonical, read_json};
use crate::lora::{ADAPTER_CONFIG_FILE, ADAPTER_FILE};

/// The configuration is read up to this size.
const CONFIG_LIMIT_BYTES: u64 = 1 << 20;

/// Why an adapter cannot be used.
#[derive(Debug, Error)]
pub enum AdapterError {
    /// Its files.
    #[error(transparent)]
    File(#[from] ExportError),
    /// A setting or a tensor of a kind that is not read.
    #[error("{path}: the adapter has {what}: merge it into its model with peft first (merge_and_unload), and use the result", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The setting and its value.
        what: String,
    },
    /// The model that it belongs to is not here.
    #[error(
        "{path} is an adapter for the model {base}, which is no folder here: get that model, then name it with --model and the adapter with \
         --adapter",
        path = path.display(), base = shown(base)
    )]
    NoBase {
        /// The folder of the adapter.
        path: PathBuf,
        /// The model's name.
        base: String,
    },
    /// A tensor that does not fit the model.
    #[error("{path}: {reason}: the adapter is not of this model", path = path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

/// `adapter_config.json`.
struct Settings {
    path: PathBuf,
    keys: Map<String, Value>,
}

impl Settings {
    fn read(folder: &Path) -> Result<Settings, AdapterError> {
        let path = folder.join(ADAPTER_CONFIG_FILE);
        let keys = sip_json::from_slice(&read_json(&path, CONFIG_LIMIT_BYTES)?)
            .map_err(|error| ExportError::Format { path: path.clone(), reason: error.to_string() })?;
        Ok(Settings { path, keys })
    }

    fn get(&self, key: &str) -> &Value {
        self.keys.get(key).unwrap_or(&Value::Null)
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key).as_bool().unwrap_or(false)
    }

    /// Refuses what would change the result and is not computed here.
    fn check(&self) -> Result<(), AdapterError> {
        let kind = self.get("peft_type");
        let initial = self.get("init_lora_weights").as_str().unwrap_or("true").to_ascii_lowercase();
        let changes_base = ["pissa", "olora", "corda", "loftq", "lora_ga"].iter().any(|name| initial.starts_with(name));
        let is_empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(keys) => keys.is_empty(),
            _ => false,
        };
        let mut wrong = vec![
            ("peft_type", kind != "LORA"),
            ("bias", !matches!(self.get("bias").as_str(), None | Some("none"))),
            ("init_lora_weights", changes_base),
        ];
        for key in [
            "fan_in_fan_out",
            "lora_bias",
            "layer_replication",
            "trainable_token_indices",
            "target_parameters",
            "alora_invocation_tokens",
            "use_bdlora",
            "arrow_config",
            "use_qalora",
            "megatron_config",
        ] {
            wrong.push((key, !is_empty(self.get(key))));
        }
        match wrong.into_iter().find(|(_, wrong)| *wrong) {
            Some((key, _)) => Err(self.unsupported(format!("{key} {}", shown(&self.get(key).to_string())))),
            None => Ok(()),
        }
    }

    fn unsupported(&self, what: String) -> AdapterError {
        AdapterError::Unsupported { path: self.path.clone(), what }
    }

    /// What B A of a module of this name and rank is multiplied by.
    fn scale(&self, module: &str, rank: usize) -> Result<f32, AdapterError> {
        let mut numbers = [("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")].map(|(key, pattern)| {
            let mut found = self.get(key).as_f64();
            for (name, value) in self.get(pattern).as_object().into_iter().flatten() {
                if name.contains(['^', '$', '*', '+', '?', '[', '(', '{', '|', '\\']) {
                    return Err(self.unsupported(format!("{pattern} with the pattern {}", shown(name))));
                }
                if module == name || module.ends_with(&format!(".{name}")) {
                    found = value.as_f64();
                }
            }
            found.ok_or_else(|| self.unsupported(format!("no number {key}")))
        });
        let alpha = std::mem::replace(&mut numbers[1], Ok(0.0))?;
        let said = std::mem::replace(&mut numbers[0], Ok(0.0))?;
        if said != rank as f64 {
            let reason = format!("{module} has rank {rank}, but {ADAPTER_CONFIG_FILE} says {said}");
            return Err(AdapterError::Misfit { path: self.path.clone(), reason });
        }
        Ok(match self.flag("use_rslora") {
            true => (alpha / said.sqrt()) as f32,
            false => (alpha / said) as f32,
        })
    }
}

/// The folder or file of the model that an adapter belongs to, as its configuration names it.
///
/// # Errors
/// A configuration that cannot be read, or a model that is not here.
pub(crate) fn base_model(folder: &Path) -> Result<PathBuf, AdapterError> {
    let settings = Settings::read(folder)?;
    settings.check()?;
    let base = settings.get("base_model_name_or_path").as_str().unwrap_or("without a name").to_owned();
    let places = [folder.join(&base), PathBuf::from(&base)];
    // Only one step: an adapter whose model is an adapter has to be merged first.
    let is_model = |path: &&PathBuf| path.is_file() || path.join(crate::export::CONFIG_FILE).is_file();
    match places.iter().find(is_model) {
        Some(path) => Ok(path.clone()),
        None => Err(AdapterError::NoBase { path: folder.to_owned(), base }),
    }
}

/// The tensors of one module.
#[derive(Default)]
struct Parts {
    /// A [r, in]
    down: Option<String>,
    /// B [out, r]
    up: Option<String>,
    /// A [r, rows] and B [width, r] of an embedding, which stand the other way around.
    embedding: [Option<String>; 2],
    /// The length of every row.
    magnitude: Option<String>,
    /// A module that was trained whole.
    whole: Option<String>,
}

/// Merges the adapter in a folder into weights in the order of [`LlamaConfig::parameters`].
///
/// # Errors
/// Files that cannot be read, settings that are not supported, and tensors that do not fit the model.
pub fn merge(folder: &Path, config: &LlamaConfig, weights: &mut [Buffer]) -> Result<(), AdapterError> {
    let settings = Settings::read(folder)?;
    settings.check()?;
    let path = folder.join(ADAPTER_FILE);
    if !path.exists() && folder.join("adapter_model.bin").exists() {
        refuse_other(&folder.join("adapter_model.bin"))?;
    }
    let mut file = WeightsFile::open(&path)?;
    let parameters = config.parameters();
    let misfit = |reason: String| AdapterError::Misfit { path: path.clone(), reason };
    for (module, parts) in modules(&path, file.table.entries.keys(), &parameters)? {
        let index = parameters.iter().position(|(name, _)| *name == module).unwrap_or(0);
        let (_, shape) = &parameters[index];
        let is_end = ["model.embed_tokens.weight", "lm_head.weight"].contains(&module.as_str());
        if config.tie_embeddings && is_end {
            let what = format!("{module}, which this model shares between embedding and output");
            return Err(AdapterError::Unsupported { path, what });
        }
        let mut read = |name: &String| -> Result<(Vec<usize>, Buffer), AdapterError> {
            let entry = file.table.entries[name].clone();
            let mut bits = Buffer::new(entry.shape.iter().product());
            file.read(name, &entry, &mut bits)?;
            Ok((entry.shape, bits))
        };
        if let Some(name) = &parts.whole {
            let (found, bits) = read(name)?;
            if found != *shape {
                return Err(misfit(format!("{name} has shape {found:?}, expected {shape:?}")));
            }
            weights[index] = bits;
        }
        let (pair, is_embedding) = match &parts.embedding {
            [None, None] => ([&parts.down, &parts.up], false),
            [down, up] => ([down, up], true),
        };
        let [Some(down), Some(up)] = pair else {
            match (pair, parts.whole.is_some()) {
                ([None, None], true) => continue,
                _ => return Err(misfit(format!("of {module} only one of lora_A and lora_B is there"))),
            }
        };
        let ((down_shape, mut down), (up_shape, mut up)) = (read(down)?, read(up)?);
        let (&[rank, inner], &[outer, other]) = (&down_shape[..], &up_shape[..]) else {
            return Err(misfit(format!("the tensors of {module} are no matrices")));
        };
        // Delta = B A is [outer, inner]; of an embedding, that is its transpose.
        let expected = if is_embedding { [shape[1], shape[0]] } else { [shape[0], *shape.get(1).unwrap_or(&1)] };
        if rank == 0 || rank != other || [outer, inner] != expected || shape.len() != 2 {
            return Err(misfit(format!("the tensors of {module} have shapes {down_shape:?} and {up_shape:?}")));
        }
        let name = module.trim_end_matches(".weight");
        let scale = settings.scale(name, rank)?;
        if is_embedding {
            (down, up) = (transposed(&up, outer, rank), transposed(&down, rank, inner));
        }
        let product = Product { down: down.as_f32(), up: up.as_f32(), rank, scale };
        add(&mut weights[index], shape[1], &product);
        match &parts.magnitude {
            None if settings.flag("use_dora") => return Err(misfit(format!("{module} has no lora_magnitude_vector"))),
            None => {}
            Some(_) if is_embedding => {
                return Err(AdapterError::Unsupported { path, what: format!("DoRA on the embedding {module}") });
            }
            Some(name) => {
                let (_, lengths) = read(name)?;
                if lengths.len() != shape[0] {
                    return Err(misfit(format!("{name} has {} numbers, expected {}", lengths.len(), shape[0])));
                }
                set_lengths(&mut weights[index], shape[1], lengths.as_f32());
            }
        }
        if weights[index].as_f32().iter().any(|value| !value.is_finite()) {
            return Err(misfit(format!("merging {module} gives numbers that are not finite")));
        }
    }
    Ok(())
}

/// The tensors of a file by the parameter that they change.
fn modules<'a>(
    path: &Path,
    names: impl Iterator<Item = &'a String>,
    parameters: &[(String, Vec<usize>)],
) -> Result<BTreeMap<String, Parts>, AdapterError> {
    let known: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let mut all: BTreeMap<String, Parts> = BTreeMap::new();
    for name in names {
        let ends = [
            (".lora_A.weight", 0),
            (".lora_B.weight", 1),
            (".lora_A.default.weight", 0),
            (".lora_B.default.weight", 1),
            (".lora_embedding_A", 2),
            (".lora_embedding_B", 3),
            (".lora_embedding_A.default", 2),
            (".lora_embedding_B.default", 3),
            (".lora_magnitude_vector", 4),
            (".lora_magnitude_vector.weight", 4),
            (".lora_magnitude_vector.default.weight", 4),
            (".modules_to_save.weight", 5),
            (".modules_to_save.default.weight", 5),
            // What is below an adapter of an embedding or an output layer; it replaces that of the model.
            (".base_layer.weight", 5),
            (".weight", 5),
        ];
        let found = ends.into_iter().find_map(|(end, part)| Some((name.strip_suffix(end)?, part)));
        let module = found.and_then(|(module, part)| Some((canonical(&format!("{module}.weight"), &known)?, part)));
        let Some((module, part)) = module else {
            let what = format!("the tensor {}, which belongs to no weight of the model", shown(name));
            return Err(AdapterError::Unsupported { path: path.to_owned(), what });
        };
        let parts = all.entry(module).or_default();
        let slot = match part {
            0 => &mut parts.down,
            1 => &mut parts.up,
            2 => &mut parts.embedding[0],
            3 => &mut parts.embedding[1],
            4 => &mut parts.magnitude,
            _ => &mut parts.whole,
        };
        if slot.replace(name.clone()).is_some() {
            let reason = format!("{} is there twice", shown(name));
            return Err(AdapterError::Misfit { path: path.to_owned(), reason });
        }
    }
    Ok(all)
}

/// scale · up · down, up [rows, rank], down [rank, width].
struct Product<'a> {
    down: &'a [f32],
    up: &'a [f32],
    rank: usize,
    scale: f32,
}

/// Adds a product to a matrix of rows of `width`, on all processors, to the same bits as on one.
fn add(matrix: &mut Buffer, width: usize, product: &Product<'_>) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let rows = matrix.len() / width;
    let share = rows.div_ceil(threads).max(1);
    thread::scope(|scope| {
        for (number, part) in matrix.chunks_mut(share * width).enumerate() {
            scope.spawn(move || {
                let mut delta = vec![0.0f32; width];
                for (row, values) in part.chunks_mut(width).enumerate() {
                    let row = number * share + row;
                    delta.fill(0.0);
                    for (k, line) in product.down.chunks(width).enumerate() {
                        let factor = product.up[row * product.rank + k];
                        delta.iter_mut().zip(line).for_each(|(sum, &value)| *sum += factor * value);
                    }
                    for (bits, delta) in values.iter_mut().zip(&delta) {
                        *bits = (f32::from_bits(*bits) + product.scale * delta).to_bits();
                    }
                }
            });
        }
    });
}

/// Scales every row to a length.
fn set_lengths(matrix: &mut Buffer, width: usize, lengths: &[f32]) {
    for (row, &length) in matrix.chunks_mut(width).zip(lengths) {
        let squares: f64 = row.iter().map(|&bits| f64::from(f32::from_bits(bits)).powi(2)).sum();
        let factor = f64::from(length) / squares.sqrt();
        row.iter_mut().for_each(|bits| *bits = ((f64::from(f32::from_bits(*bits)) * factor) as f32).to_bits());
    }
}

fn transposed(matrix: &[u32], rows: usize, columns: usize) -> Buffer {
    let mut out = Buffer::new(matrix.len());
    for row in 0..rows {
        for column in 0..columns {
            out[column * rows + row] = matrix[row * columns + column];
        }
    }
    out
}

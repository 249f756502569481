//! Hugging Face layout out and in: `config.json`, `generation_config.json` and `model.safetensors`.
//!
//! A folder written here loads with `transformers.AutoModelForCausalLM.from_pretrained(folder)`; a Llama folder from
//! elsewhere loads here when it is a plain Llama (no biases, no scaled RoPE, one weight file). The weights are a
//! derived export: what the proofs commit to are the raw tensors, in the order of [`LlamaConfig::parameters`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sip_data::files::write_atomically;
use thiserror::Error;

/// File name of the model's shape.
pub const CONFIG_FILE: &str = "config.json";
/// File name of the defaults of text generation.
pub const GENERATION_CONFIG_FILE: &str = "generation_config.json";
/// File name of the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// No dimension of a model is larger; products of two dimensions and a layer count then fit in 64 bits.
const DIMENSION_LIMIT: usize = 1 << 20;
/// No model has more layers.
const LAYER_LIMIT: usize = 1 << 12;
/// A configuration file is read up to this size.
const CONFIG_LIMIT_BYTES: u64 = 1 << 20;
/// Headers larger than this are refused by the `safetensors` crate as well.
const WEIGHTS_HEADER_LIMIT_BYTES: u64 = 100_000_000;

/// Shape of a Llama model (Touvron et al. 2023: RMSNorm before each block, rotary positions, SwiGLU, no biases;
/// grouped key/value heads as in Ainslie et al. 2023).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Rows of the embedding; token ids are below it.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_layers: usize,
    /// Query heads; `hidden_size / num_heads` is the width of a head.
    pub num_heads: usize,
    /// Key/value heads; each serves `num_heads / num_kv_heads` query heads.
    pub num_kv_heads: usize,
    /// Longest sequence in tokens.
    pub max_seq_len: usize,
    /// Added to the mean square inside RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Whether the output layer is the embedding itself.
    pub tie_embeddings: bool,
}

impl LlamaConfig {
    /// Checks that the shape describes a model that can be built.
    ///
    /// # Errors
    /// [`ExportError::Config`] with the field and the rule it breaks.
    pub fn validate(&self) -> Result<(), ExportError> {
        let sizes = [
            ("vocab_size", self.vocab_size, DIMENSION_LIMIT),
            ("hidden_size", self.hidden_size, DIMENSION_LIMIT),
            ("intermediate_size", self.intermediate_size, DIMENSION_LIMIT),
            ("num_layers", self.num_layers, LAYER_LIMIT),
            ("num_heads", self.num_heads, DIMENSION_LIMIT),
            ("num_kv_heads", self.num_kv_heads, DIMENSION_LIMIT),
            ("max_seq_len", self.max_seq_len, DIMENSION_LIMIT),
        ];
        for (field, value, limit) in sizes {
            if value == 0 || value > limit {
                return Err(config_error(field, format!("is {value}, expected 1 to {limit}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_heads) {
            let reason = format!("{} is not a multiple of num_heads {}", self.hidden_size, self.num_heads);
            return Err(config_error("hidden_size", reason));
        }
        if !self.head_dim().is_multiple_of(2) {
            let reason = format!("per head is {}, but rotary positions need an even number", self.head_dim());
            return Err(config_error("hidden_size", reason));
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let reason = format!("{} is not a multiple of num_kv_heads {}", self.num_heads, self.num_kv_heads);
            return Err(config_error("num_heads", reason));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            let reason = format!("is {}, expected a number above 0 and below 1", self.rms_norm_eps);
            return Err(config_error("rms_norm_eps", reason));
        }
        if !(self.rope_theta > 1.0 && self.rope_theta.is_finite()) {
            return Err(config_error("rope_theta", format!("is {}, expected a number above 1", self.rope_theta)));
        }
        Ok(())
    }

    /// Width of one attention head. Needs a valid configuration.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Every parameter tensor as (Hugging Face name, shape), in the order of the forward pass.
    ///
    /// Matrices are `[out, in]`, row-major; norms are `[hidden_size]`. `lm_head.weight` exists only when the
    /// embedding is not tied.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let kv = self.head_dim() * self.num_kv_heads;
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden])];
        for layer in 0..self.num_layers {
            let parts = [
                ("input_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![hidden, hidden]),
                ("self_attn.k_proj", vec![kv, hidden]),
                ("self_attn.v_proj", vec![kv, hidden]),
                ("self_attn.o_proj", vec![hidden, hidden]),
                ("post_attention_layernorm", vec![hidden]),
                ("mlp.gate_proj", vec![inner, hidden]),
                ("mlp.up_proj", vec![inner, hidden]),
                ("mlp.down_proj", vec![hidden, inner]),
            ];
            all.extend(parts.map(|(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape)));
        }
        all.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tie_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, hidden]));
        }
        all
    }

    /// Number of trained values. Needs a valid configuration.
    pub fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|(_, shape)| shape.iter().map(|&side| side as u64).product::<u64>()).sum()
    }
}

/// One parameter tensor as it is saved.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    /// Hugging Face name.
    pub name: &'a str,
    /// Sides, outermost first.
    pub shape: &'a [usize],
    /// Row-major values, as many as the product of the sides.
    pub data: &'a [f32],
}

/// One parameter tensor as it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Hugging Face name.
    pub name: String,
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// Row-major values, as many as the product of the sides.
    pub data: Vec<f32>,
}

impl Tensor {
    /// The same tensor, borrowed.
    pub fn as_ref(&self) -> TensorRef<'_> {
        TensorRef { name: &self.name, shape: &self.shape, data: &self.data }
    }
}

/// Why a model could not be saved or loaded.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The shape is not one of a model that can be built.
    #[error("model configuration: {field} {reason}")]
    Config {
        /// Field of [`LlamaConfig`] or key of `config.json`.
        field: String,
        /// The rule it breaks.
        reason: String,
    },
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file is larger than its content can be.
    #[error("{path} has {size_bytes} bytes, expected at most {limit_bytes}", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The largest size accepted.
        limit_bytes: u64,
    },
    /// A file is not of its format: truncated, or not JSON, or a header that does not describe the data.
    #[error("{path} is damaged or not of the expected format: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// `config.json` describes a model other than a plain Llama.
    #[error("{path}: {key} is {found}, but only {expected} is supported", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key in the file.
        key: &'static str,
        /// Its value.
        found: String,
        /// The values that work here.
        expected: String,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("{origin}: tensor {name} with shape {expected:?} is missing")]
    Missing {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor is there that the configuration does not know, or is there twice.
    #[error("{origin}: tensor {name} is unexpected: the configuration has no such parameter, or it is given twice")]
    Unexpected {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{origin}: tensor {name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Shape of the tensor.
        found: Vec<usize>,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor to be saved has more or fewer values than its shape says.
    #[error("tensor {name} of shape {shape:?} has {found} values, expected {expected}")]
    Length {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Number of values given.
        found: usize,
        /// Product of the sides.
        expected: usize,
    },
    /// A tensor's numbers are of a kind that is not read.
    #[error("{path}: tensor {name} has type {found}, expected F32 or BF16: convert the weights first", path = path.display())]
    ElementType {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Its element type in the words of safetensors.
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error("{origin}: tensor {name} holds {value} at flat index {index}: weights must be finite")]
    NotFinite {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Row-major index of the value.
        index: usize,
        /// The value.
        value: f32,
    },
}

fn config_error(field: &str, reason: String) -> ExportError {
    ExportError::Config { field: field.to_owned(), reason }
}

/// Writes the model into `folder` (created when missing): weights, `config.json` and `generation_config.json`.
///
/// `tensors` are the parameters of [`LlamaConfig::parameters`] in any order. Each file is replaced whole or not at
/// all; the bytes depend on the arguments alone.
///
/// # Errors
/// A configuration that is not valid, a tensor that is missing, unexpected, of another shape or not finite, and
/// what the file system refuses. Nothing is written unless all tensors are in order.
pub fn save_pretrained(folder: &Path, config: &LlamaConfig, tensors: &[TensorRef<'_>]) -> Result<(), ExportError> {
    config.validate()?;
    check_tensors(config, tensors)?;
    fs::create_dir_all(folder).map_err(|source| ExportError::Io { path: folder.to_owned(), source })?;

    // The key that `transformers` insists on.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views: Vec<(&str, SavedTensor<'_>)> =
        tensors.iter().map(|&tensor| (tensor.name, SavedTensor(tensor))).collect();
    write_file(&folder.join(WEIGHTS_FILE), |temporary| {
        safetensors::serialize_to_file(views, Some(metadata), temporary).map_err(io::Error::other)
    })?;
    write_json(&folder.join(CONFIG_FILE), &ConfigFile::from(config))?;
    write_json(&folder.join(GENERATION_CONFIG_FILE), &GenerationConfigFile::default())
}

/// Reads the model in `folder`: its shape, and its parameters in the order of [`LlamaConfig::parameters`].
///
/// BF16 weights are widened to f32, which is exact.
///
/// # Errors
/// Every variant of [`ExportError`] but `Length`; a hostile file costs at most the memory of the model that its
/// configuration describes.
pub fn load_pretrained(folder: &Path) -> Result<(LlamaConfig, Vec<Tensor>), ExportError> {
    let config = load_config(folder)?;
    let path = folder.join(WEIGHTS_FILE);
    let limit_bytes = config.parameter_count().saturating_mul(4).saturating_add(WEIGHTS_HEADER_LIMIT_BYTES);
    let bytes = read_file(&path, limit_bytes)?;
    let tensors = parse_weights(&path, &config, &bytes)?;
    Ok((config, tensors))
}

/// Reads the shape of the model in `folder` from its `config.json`.
///
/// # Errors
/// What the file system refuses, a file that is not such a configuration, and models that are not a plain Llama.
pub fn load_config(folder: &Path) -> Result<LlamaConfig, ExportError> {
    let path = folder.join(CONFIG_FILE);
    let bytes = read_file(&path, CONFIG_LIMIT_BYTES)?;
    let file: ConfigFile = serde_json::from_slice(&bytes)
        .map_err(|error| ExportError::Format { path: path.clone(), reason: error.to_string() })?;
    file.into_config(&path)
}

fn check_tensors(config: &LlamaConfig, tensors: &[TensorRef<'_>]) -> Result<(), ExportError> {
    let origin = || "model".to_owned();
    let mut given = BTreeMap::new();
    for tensor in tensors {
        if given.insert(tensor.name, tensor).is_some() {
            return Err(ExportError::Unexpected { origin: origin(), name: tensor.name.to_owned() });
        }
    }
    for (name, expected) in config.parameters() {
        let Some(tensor) = given.remove(name.as_str()) else {
            return Err(ExportError::Missing { origin: origin(), name, expected });
        };
        if tensor.shape != expected {
            return Err(ExportError::Shape { origin: origin(), name, found: tensor.shape.to_vec(), expected });
        }
        let length = expected.iter().product();
        if tensor.data.len() != length {
            return Err(ExportError::Length { name, shape: expected, found: tensor.data.len(), expected: length });
        }
        check_finite("model", tensor.name, tensor.data)?;
    }
    match given.into_keys().next() {
        Some(name) => Err(ExportError::Unexpected { origin: origin(), name: name.to_owned() }),
        None => Ok(()),
    }
}

fn check_finite(origin: &str, name: &str, data: &[f32]) -> Result<(), ExportError> {
    match data.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            let (origin, name) = (origin.to_owned(), name.to_owned());
            Err(ExportError::NotFinite { origin, name, index, value: data[index] })
        }
        None => Ok(()),
    }
}

fn parse_weights(path: &Path, config: &LlamaConfig, bytes: &[u8]) -> Result<Vec<Tensor>, ExportError> {
    let format_error = |reason: String| ExportError::Format { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(bytes).map_err(|error| format_error(error.to_string()))?;
    let origin = path.display().to_string();
    let parameters = config.parameters();

    // Buffers that older writers store beside the weights and that follow from the configuration.
    let derived =
        |name: &str| name.ends_with(".rotary_emb.inv_freq") || (config.tie_embeddings && name == "lm_head.weight");
    let known: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let mut names = file.names();
    names.sort_unstable();
    for name in names {
        if !derived(name) && !known.contains(name) {
            return Err(ExportError::Unexpected { origin, name: name.to_owned() });
        }
    }
    parameters
        .into_iter()
        .map(|(name, expected)| {
            let Ok(view) = file.tensor(&name) else {
                return Err(ExportError::Missing { origin: origin.clone(), name, expected });
            };
            if view.shape() != expected {
                return Err(ExportError::Shape {
                    origin: origin.clone(),
                    name,
                    found: view.shape().to_vec(),
                    expected,
                });
            }
            let data: Vec<f32> = match view.dtype() {
                Dtype::F32 => view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect(),
                // A bfloat16 is the upper half of a binary32.
                Dtype::BF16 => {
                    let halves = view.data().as_chunks().0.iter().map(|&half| u16::from_le_bytes(half));
                    halves.map(|half| f32::from_bits(u32::from(half) << 16)).collect()
                }
                other => {
                    return Err(ExportError::ElementType { path: path.to_owned(), name, found: format!("{other:?}") });
                }
            };
            check_finite(&origin, &name, &data)?;
            Ok(Tensor { name, shape: expected, data })
        })
        .collect()
}

/// Writes a tensor without holding a second copy of the whole model.
struct SavedTensor<'a>(TensorRef<'a>);

impl safetensors::View for SavedTensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.data.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.data)
    }
}

/// The keys of `config.json` that decide what a Llama model computes.
#[derive(Serialize, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    /// Absent in files of the first Llama, which has as many as query heads.
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    /// Newer files keep it inside `rope_parameters`; the first Llama has neither.
    rope_theta: Option<f32>,
    #[serde(default)]
    rope_scaling: serde_json::Value,
    #[serde(default, skip_serializing)]
    rope_parameters: serde_json::Value,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    attention_dropout: f32,
    #[serde(default)]
    initializer_range: f32,
    #[serde(default)]
    bos_token_id: serde_json::Value,
    #[serde(default)]
    eos_token_id: serde_json::Value,
    #[serde(default)]
    torch_dtype: Option<String>,
}

fn silu() -> String {
    "silu".to_owned()
}

/// What a Llama file without `rope_theta` means.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;

impl From<&LlamaConfig> for ConfigFile {
    fn from(config: &LlamaConfig) -> Self {
        ConfigFile {
            architectures: vec!["LlamaForCausalLM".to_owned()],
            model_type: "llama".to_owned(),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_layers,
            num_attention_heads: config.num_heads,
            num_key_value_heads: Some(config.num_kv_heads),
            head_dim: Some(config.head_dim()),
            max_position_embeddings: config.max_seq_len,
            rms_norm_eps: config.rms_norm_eps,
            rope_theta: Some(config.rope_theta),
            rope_scaling: serde_json::Value::Null,
            rope_parameters: serde_json::Value::Null,
            tie_word_embeddings: config.tie_embeddings,
            hidden_act: silu(),
            attention_bias: false,
            mlp_bias: false,
            attention_dropout: 0.0,
            initializer_range: 0.02,
            bos_token_id: crate::tokenizer::DOCUMENT_ID.into(),
            eos_token_id: crate::tokenizer::DOCUMENT_ID.into(),
            torch_dtype: Some("float32".to_owned()),
        }
    }
}

impl ConfigFile {
    fn into_config(self, path: &Path) -> Result<LlamaConfig, ExportError> {
        let require = |holds: bool, key: &'static str, found: String, expected: String| match holds {
            true => Ok(()),
            false => Err(ExportError::Unsupported { path: path.to_owned(), key, found, expected }),
        };
        require(self.model_type == "llama", "model_type", self.model_type.clone(), "llama".to_owned())?;
        require(self.hidden_act == "silu", "hidden_act", self.hidden_act.clone(), silu())?;
        require(!self.attention_bias, "attention_bias", "true".to_owned(), "false".to_owned())?;
        require(!self.mlp_bias, "mlp_bias", "true".to_owned(), "false".to_owned())?;
        require(plain_rope(&self.rope_scaling), "rope_scaling", self.rope_scaling.to_string(), "null".to_owned())?;
        let parameters = &self.rope_parameters;
        let default_rope = "rope_type \"default\"".to_owned();
        require(plain_rope(parameters), "rope_parameters", parameters.to_string(), default_rope)?;
        let nested_theta = parameters.get("rope_theta").and_then(serde_json::Value::as_f64).map(|theta| theta as f32);

        let config = LlamaConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_layers: self.num_hidden_layers,
            num_heads: self.num_attention_heads,
            num_kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            max_seq_len: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: self.rope_theta.or(nested_theta).unwrap_or(DEFAULT_ROPE_THETA),
            tie_embeddings: self.tie_word_embeddings,
        };
        config.validate()?;
        let head_dim = self.head_dim.unwrap_or(config.head_dim());
        let expected = format!("hidden_size / num_attention_heads = {}", config.head_dim());
        require(head_dim == config.head_dim(), "head_dim", head_dim.to_string(), expected)?;
        Ok(config)
    }
}

/// Whether a `rope_scaling` or `rope_parameters` value leaves the rotary frequencies as in the paper.
fn plain_rope(value: &serde_json::Value) -> bool {
    let kind = value.get("rope_type").or_else(|| value.get("type"));
    value.is_null() || kind.is_some_and(|kind| kind == "default")
}

#[derive(Serialize)]
struct GenerationConfigFile {
    bos_token_id: u32,
    eos_token_id: u32,
}

impl Default for GenerationConfigFile {
    fn default() -> Self {
        GenerationConfigFile {
            bos_token_id: crate::tokenizer::DOCUMENT_ID,
            eos_token_id: crate::tokenizer::DOCUMENT_ID,
        }
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExportError> {
    write_file(path, |temporary| {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        fs::write(temporary, text)
    })
}

fn write_file(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), ExportError> {
    write_atomically(path, write).map_err(|source| ExportError::Io { path: path.to_owned(), source })
}

/// Reads a whole file, but never more than `limit_bytes`, whatever the file system says its size is.
fn read_file(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ExportError> {
    let io_error = |source| ExportError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io_error)?;
    let size_bytes = file.metadata().map_err(io_error)?.len();
    let mut bytes = Vec::new();
    if size_bytes <= limit_bytes {
        file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error)?;
    }
    let size_bytes = size_bytes.max(bytes.len() as u64);
    if size_bytes > limit_bytes {
        return Err(ExportError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

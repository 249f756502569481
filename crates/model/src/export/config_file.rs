//! `config.json` and `generation_config.json`, as `transformers` writes them today and wrote them before.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::other_files::instead_of_model;
use super::rope;
use super::{CONFIG_FILE, ElementType, ExportError, JSON_LIMIT_BYTES, is_file_of_model, read_json};
use crate::config::{LlamaConfig, RopeScaling, Variant};
use crate::tokenizer::SpecialTokens;

/// Reads the shape of the model in `folder` from its `config.json`.
///
/// # Errors
/// What the file system refuses, a file that is not such a configuration, and models that are not a plain Llama.
pub fn load_config(folder: &Path) -> Result<LlamaConfig, ExportError> {
    let path = folder.join(CONFIG_FILE);
    ConfigFile::load(&path)?.into_config(&path)
}

/// Whether a folder holds what stands beside the configuration of a model.
fn has_other_files(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_str().is_some_and(is_file_of_model))
}

/// The keys of `config.json` that decide what a Llama model computes, and the ids of its special tokens.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    architectures: Option<Vec<String>>,
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
    #[serde(default = "least_square")]
    rms_norm_eps: f32,
    #[serde(default)]
    rope_theta: Value,
    #[serde(default)]
    rope_scaling: Value,
    #[serde(default, skip_serializing)]
    rope_parameters: Value,
    /// The share of a head that is rotated, in files that do not say it with the rope.
    #[serde(default, skip_serializing)]
    partial_rotary_factor: Value,
    #[serde(default, skip_serializing)]
    original_max_position_embeddings: Value,
    #[serde(default, deserialize_with = "null_as_none")]
    tie_word_embeddings: bool,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default, deserialize_with = "null_as_none")]
    attention_bias: bool,
    #[serde(default, deserialize_with = "null_as_none")]
    mlp_bias: bool,
    #[serde(default, deserialize_with = "null_as_none")]
    attention_dropout: f32,
    #[serde(default)]
    initializer_range: f32,
    #[serde(default)]
    bos_token_id: Value,
    #[serde(default)]
    eos_token_id: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    sliding_window: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    use_sliding_window: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_window_layers: Option<usize>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    layer_types: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    quantization_config: Value,
    #[serde(default)]
    torch_dtype: Option<String>,
}

fn silu() -> String {
    "silu".to_owned()
}

/// What every family adds under the root where its file does not say.
fn least_square() -> f32 {
    1e-6
}

/// A key that is null is as one that is missing.
fn null_as_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ConfigFile {
    /// The file of a model.
    pub(crate) fn new(config: &LlamaConfig, special: &SpecialTokens, element: ElementType) -> ConfigFile {
        let variant = config.variant;
        let (family, class) = match variant {
            Variant { head_norm: true, .. } => ("qwen3", "Qwen3"),
            Variant { query_bias: true, output_bias: false, .. } => ("qwen2", "Qwen2"),
            Variant { window: Some(_), .. } => ("mistral", "Mistral"),
            _ => ("llama", "Llama"),
        };
        let switches = ["qwen2", "qwen3"].contains(&family) && variant.window.is_some();
        let dtype = if element == ElementType::Bf16 { "bfloat16" } else { "float32" };
        ConfigFile {
            architectures: Some(vec![format!("{class}ForCausalLM")]),
            model_type: family.to_owned(),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_layers,
            num_attention_heads: config.num_heads,
            num_key_value_heads: Some(config.num_kv_heads),
            head_dim: Some(config.head_dim()),
            max_position_embeddings: config.max_seq_len,
            rms_norm_eps: config.rms_norm_eps,
            rope_theta: config.rope_theta.into(),
            rope_scaling: config.rope_scaling.map_or(Value::Null, scaling_value),
            rope_parameters: Value::Null,
            partial_rotary_factor: Value::Null,
            original_max_position_embeddings: Value::Null,
            tie_word_embeddings: config.tie_embeddings,
            hidden_act: silu(),
            attention_bias: variant.query_bias,
            mlp_bias: variant.mlp_bias,
            attention_dropout: 0.0,
            initializer_range: 0.02,
            bos_token_id: special.bos.into(),
            eos_token_id: ids_value(&special.end),
            sliding_window: variant.window.map_or(Value::Null, Value::from),
            use_sliding_window: switches.then_some(true),
            max_window_layers: switches.then_some(0),
            layer_types: Value::Null,
            quantization_config: Value::Null,
            torch_dtype: Some(dtype.to_owned()),
        }
    }

    /// The file of a model that was read with the keys `before`: they stay, but for what training changes.
    pub(crate) fn over(&self, before: Option<&Map<String, Value>>) -> Result<Value, ExportError> {
        let new = serde_json::to_value(self)
            .map_err(|error| ExportError::Format { path: CONFIG_FILE.into(), reason: error.to_string() })?;
        let Some(before) = before else { return Ok(new) };
        let mut keys = before.clone();
        let dtype = if keys.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        for key in ["dtype", "torch_dtype"] {
            if key == dtype || keys.contains_key(key) {
                keys.insert(key.to_owned(), new["torch_dtype"].clone());
            }
        }
        if keys.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false) != self.tie_word_embeddings {
            keys.insert("tie_word_embeddings".to_owned(), self.tie_word_embeddings.into());
        }
        // A base model is written with its output layer.
        if let Some(Value::Array(names)) = keys.get_mut("architectures") {
            for name in names {
                if let Some(family) = name.as_str().and_then(|name| name.strip_suffix("Model")) {
                    *name = format!("{family}ForCausalLM").into();
                }
            }
        }
        Ok(Value::Object(keys))
    }

    pub(crate) fn load(path: &Path) -> Result<ConfigFile, ExportError> {
        let bytes = read_json(path, JSON_LIMIT_BYTES).map_err(|error| match path.parent() {
            Some(folder) if !path.exists() && instead_of_model(folder).is_some() => {
                instead_of_model(folder).unwrap_or(error)
            }
            Some(folder) if !path.exists() && has_other_files(folder) => {
                ExportError::Unfinished { path: folder.into() }
            }
            _ => error,
        })?;
        sip_json::from_slice(&bytes)
            .map_err(|error| ExportError::Format { path: path.to_owned(), reason: error.to_string() })
    }

    /// The ids of the tokens that begin and end a text, where the file names them.
    pub(crate) fn token_ids(&self) -> (Option<u32>, Vec<u32>) {
        (token_ids(&self.bos_token_id).first().copied(), token_ids(&self.eos_token_id))
    }

    /// The width of a head that the file names, or that its family has without naming it.
    fn head_width(&self) -> Option<usize> {
        self.head_dim.or((self.model_type == "qwen3").then_some(128))
    }

    /// In what the model differs from a plain Llama.
    fn variant(&self, path: &Path) -> Result<Variant, ExportError> {
        let is = |family: &str| self.model_type == family;
        let bias = self.attention_bias;
        Ok(Variant {
            query_bias: is("qwen2") || (bias && !is("mistral")),
            output_bias: bias && (is("llama") || is("qwen3")),
            mlp_bias: self.mlp_bias && is("llama"),
            head_norm: is("qwen3"),
            window: if is("llama") { None } else { self.window(path)? },
        })
    }

    /// How far back every layer looks; layers that differ in it are refused.
    fn window(&self, path: &Path) -> Result<Option<usize>, ExportError> {
        let unsupported = |key: &str, found: &Value, expected: &str| {
            let (path, key, expected) = (path.to_owned(), key.to_owned(), expected.to_owned());
            Err(ExportError::Unsupported { path, key, found: found.to_string(), expected })
        };
        let window = match &self.sliding_window {
            Value::Null => None,
            value => match value.as_u64().and_then(|window| usize::try_from(window).ok()) {
                Some(window) if window > 0 => Some(window),
                _ => return unsupported("sliding_window", value, "a number of tokens"),
            },
        };
        if self.model_type == "mistral" {
            return Ok(window);
        }
        let Some(window) = window.filter(|_| self.use_sliding_window == Some(true)) else { return Ok(None) };
        if let Value::Array(kinds) = &self.layer_types {
            let slides = kinds.iter().filter(|kind| *kind == "sliding_attention").count();
            return match slides {
                0 => Ok(None),
                count if count == kinds.len() => Ok(Some(window)),
                _ => unsupported("layer_types", &self.layer_types, "the same type of attention in all layers"),
            };
        }
        match self.max_window_layers {
            Some(0) => Ok(Some(window)),
            Some(first) if first >= self.num_hidden_layers => Ok(None),
            other => unsupported("max_window_layers", &other.into(), "0 or the number of layers (all attend alike)"),
        }
    }

    /// The shape, if the model is a Llama or of a family that is close to it.
    pub(crate) fn into_config(self, path: &Path) -> Result<LlamaConfig, ExportError> {
        let unsupported = |key: &str, found: String, expected: &str| ExportError::Unsupported {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            expected: expected.to_owned(),
        };
        let quantization = &self.quantization_config;
        let rules = [
            (
                "model_type",
                ["llama", "mistral", "qwen2", "qwen3"].contains(&self.model_type.as_str()),
                self.model_type.clone(),
                "llama, mistral, qwen2 or qwen3",
            ),
            ("hidden_act", ["silu", "swish"].contains(&self.hidden_act.as_str()), self.hidden_act.clone(), "silu"),
            ("quantization_config", quantization.is_null(), quantization.to_string(), "null"),
        ];
        for (key, holds, found, expected) in rules {
            if !holds {
                return Err(unsupported(key, found, expected));
            }
        }
        let rope = rope::Keys {
            path,
            theta: &self.rope_theta,
            scaling: &self.rope_scaling,
            parameters: &self.rope_parameters,
            partial: &self.partial_rotary_factor,
            original: &self.original_max_position_embeddings,
            max_seq_len: self.max_position_embeddings,
        };
        let rope = rope.resolve()?;
        let (variant, head_dim) = (self.variant(path)?, self.head_width());
        let derived = self.num_attention_heads.checked_mul(head_dim.unwrap_or(0)) == Some(self.hidden_size);
        let config = LlamaConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_layers: self.num_hidden_layers,
            num_heads: self.num_attention_heads,
            num_kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim: head_dim.filter(|_| !derived),
            max_seq_len: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: rope.theta,
            rope_scaling: rope.scaling,
            tie_embeddings: self.tie_word_embeddings,
            variant,
        };
        config.validate()?;
        Ok(config)
    }
}

fn scaling_value(scaling: RopeScaling) -> Value {
    match scaling {
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_seq_len } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original_max_seq_len,
        }),
        RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max_seq_len, truncate } => json!({
            "rope_type": "yarn", "factor": factor, "attention_factor": attention_factor, "beta_fast": beta_fast,
            "beta_slow": beta_slow, "original_max_position_embeddings": original_max_seq_len, "truncate": truncate,
        }),
    }
}

/// One id or a list of ids; anything else is none.
fn token_ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(ids) => ids.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    }
}

/// No id as null, one as a number, several as a list.
fn ids_value(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => (*id).into(),
        several => several.into(),
    }
}

/// The keys of `generation_config.json` that name tokens.
#[derive(Serialize, Deserialize)]
pub(crate) struct GenerationConfigFile {
    #[serde(default)]
    bos_token_id: Value,
    #[serde(default)]
    eos_token_id: Value,
}

impl GenerationConfigFile {
    /// The file of a model.
    pub(crate) fn new(special: &SpecialTokens) -> GenerationConfigFile {
        GenerationConfigFile { bos_token_id: special.bos.into(), eos_token_id: ids_value(&special.end) }
    }

    /// The file, if there is one.
    pub(crate) fn load(path: &Path) -> Result<Option<GenerationConfigFile>, ExportError> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_json(path, JSON_LIMIT_BYTES)?;
        sip_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ExportError::Format { path: path.to_owned(), reason: error.to_string() })
    }

    /// The ids of the tokens that begin and end a text, where the file names them.
    pub(crate) fn token_ids(&self) -> (Option<u32>, Vec<u32>) {
        (token_ids(&self.bos_token_id).first().copied(), token_ids(&self.eos_token_id))
    }
}

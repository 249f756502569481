//! `config.json` and `generation_config.json`, as `transformers` writes them today and wrote them before.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CONFIG_FILE, ElementType, ExportError, JSON_LIMIT_BYTES, is_file_of_model, read_file};
use crate::config::{LlamaConfig, RopeScaling};
use crate::tokenizer::SpecialTokens;

/// What a Llama file without `rope_theta` means.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;

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
    rms_norm_eps: f32,
    /// Newer files keep it inside `rope_parameters`; the first Llama has neither.
    rope_theta: Option<f32>,
    #[serde(default)]
    rope_scaling: Value,
    #[serde(default, skip_serializing)]
    rope_parameters: Value,
    /// The share of a head that is rotated, in files that do not say it with the rope.
    #[serde(default, skip_serializing)]
    partial_rotary_factor: Value,
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
    bos_token_id: Value,
    #[serde(default)]
    eos_token_id: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    quantization_config: Value,
    #[serde(default)]
    torch_dtype: Option<String>,
}

fn silu() -> String {
    "silu".to_owned()
}

impl ConfigFile {
    /// The file of a model.
    pub(crate) fn new(config: &LlamaConfig, special: &SpecialTokens, element: ElementType) -> ConfigFile {
        let dtype = if element == ElementType::Bf16 { "bfloat16" } else { "float32" };
        ConfigFile {
            architectures: Some(vec!["LlamaForCausalLM".to_owned()]),
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
            rope_scaling: config.rope_scaling.map_or(Value::Null, scaling_value),
            rope_parameters: Value::Null,
            partial_rotary_factor: Value::Null,
            tie_word_embeddings: config.tie_embeddings,
            hidden_act: silu(),
            attention_bias: false,
            mlp_bias: false,
            attention_dropout: 0.0,
            initializer_range: 0.02,
            bos_token_id: special.bos.into(),
            eos_token_id: ids_value(&special.end),
            quantization_config: Value::Null,
            torch_dtype: Some(dtype.to_owned()),
        }
    }

    pub(crate) fn load(path: &Path) -> Result<ConfigFile, ExportError> {
        let bytes = read_file(path, JSON_LIMIT_BYTES).map_err(|error| match path.parent() {
            Some(folder) if !path.exists() && has_other_files(folder) => {
                ExportError::Unfinished { path: folder.into() }
            }
            _ => error,
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ExportError::Format { path: path.to_owned(), reason: error.to_string() })
    }

    /// The ids of the tokens that begin and end a text, where the file names them.
    pub(crate) fn token_ids(&self) -> (Option<u32>, Vec<u32>) {
        (token_ids(&self.bos_token_id).first().copied(), token_ids(&self.eos_token_id))
    }

    /// The shape, if the model is a plain Llama.
    pub(crate) fn into_config(self, path: &Path) -> Result<LlamaConfig, ExportError> {
        let unsupported = |key: &'static str, found: String, expected: &str| ExportError::Unsupported {
            path: path.to_owned(),
            key,
            found,
            expected: expected.to_owned(),
        };
        let quantization = &self.quantization_config;
        let rules = [
            ("model_type", self.model_type == "llama", self.model_type.clone(), "llama"),
            ("hidden_act", self.hidden_act == "silu", self.hidden_act.clone(), "silu"),
            ("attention_bias", !self.attention_bias, "true".to_owned(), "false"),
            ("mlp_bias", !self.mlp_bias, "true".to_owned(), "false"),
            (
                "partial_rotary_factor",
                is_whole(&self.partial_rotary_factor),
                self.partial_rotary_factor.to_string(),
                "1",
            ),
            ("quantization_config", quantization.is_null(), quantization.to_string(), "null"),
        ];
        for (key, holds, found, expected) in rules {
            if !holds {
                return Err(unsupported(key, found, expected));
            }
        }
        // Older files say it in `rope_scaling`, newer ones in `rope_parameters`.
        let (key, rope) = match self.rope_scaling.is_null() {
            false => ("rope_scaling", &self.rope_scaling),
            true => ("rope_parameters", &self.rope_parameters),
        };
        let rope_scaling = rope_scaling(rope, self.max_position_embeddings)
            .map_err(|expected| unsupported(key, rope.to_string(), expected))?;
        let nested_theta = self.rope_parameters.get("rope_theta").and_then(Value::as_f64).map(|theta| theta as f32);
        let derived = self.num_attention_heads.checked_mul(self.head_dim.unwrap_or(0)) == Some(self.hidden_size);
        let config = LlamaConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_layers: self.num_hidden_layers,
            num_heads: self.num_attention_heads,
            num_kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim: self.head_dim.filter(|_| !derived),
            max_seq_len: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: self.rope_theta.or(nested_theta).unwrap_or(DEFAULT_ROPE_THETA),
            rope_scaling,
            tie_embeddings: self.tie_word_embeddings,
        };
        config.validate()?;
        Ok(config)
    }
}

/// What a `rope_scaling` or `rope_parameters` value asks for; in the error, what would be supported.
fn rope_scaling(value: &Value, max_seq_len: usize) -> Result<Option<RopeScaling>, &'static str> {
    let number = |key: &str| value.get(key).and_then(Value::as_f64).map(|number| number as f32);
    let kind = value.get("rope_type").or_else(|| value.get("type"));
    if !is_whole(value.get("partial_rotary_factor").unwrap_or(&Value::Null)) {
        return Err("partial_rotary_factor 1");
    }
    // Without a type there may be the base, and no scaling.
    let is_plain = |key: &String| ["rope_theta", "partial_rotary_factor"].contains(&key.as_str());
    if value.is_null() || (kind.is_none() && value.as_object().is_some_and(|keys| keys.keys().all(is_plain))) {
        return Ok(None);
    }
    let factor = || number("factor").ok_or("a rope with a factor");
    let original = match value.get("original_max_position_embeddings").and_then(Value::as_u64) {
        Some(length) => usize::try_from(length).map_err(|_| "an original length that fits in memory")?,
        None => max_seq_len,
    };
    match kind.and_then(Value::as_str) {
        Some("default") => Ok(None),
        Some("linear") => Ok(Some(RopeScaling::Linear { factor: factor()? })),
        Some("llama3") => Ok(Some(RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: number("low_freq_factor").ok_or("a rope with a low_freq_factor")?,
            high_freq_factor: number("high_freq_factor").ok_or("a rope with a high_freq_factor")?,
            original_max_seq_len: original,
        })),
        Some("yarn") => {
            let factor = factor()?;
            let scales = [number("mscale"), number("mscale_all_dim")];
            Ok(Some(RopeScaling::Yarn {
                factor,
                attention_factor: number("attention_factor").unwrap_or_else(|| yarn_attention_factor(factor, scales)),
                beta_fast: number("beta_fast").unwrap_or(YARN_BETA_FAST),
                beta_slow: number("beta_slow").unwrap_or(YARN_BETA_SLOW),
                original_max_seq_len: original,
                truncate: value.get("truncate").and_then(Value::as_bool).unwrap_or(true),
            }))
        }
        _ => Err("rope_type default, linear, llama3 or yarn"),
    }
}

/// Whether a share that is rotated is the whole head, or not given.
fn is_whole(share: &Value) -> bool {
    share.is_null() || share.as_f64() == Some(1.0)
}

/// What a file without `beta_fast` means.
pub(crate) const YARN_BETA_FAST: f32 = 32.0;
/// What a file without `beta_slow` means.
pub(crate) const YARN_BETA_SLOW: f32 = 1.0;

/// The factor of cosines and sines that the paper suggests; `scales` are `mscale` and `mscale_all_dim`.
pub(crate) fn yarn_attention_factor(factor: f32, scales: [Option<f32>; 2]) -> f32 {
    let scale = |weight: f32| match factor > 1.0 {
        true => 0.1 * f64::from(weight) * libm::log(f64::from(factor)) + 1.0,
        false => 1.0,
    };
    match scales {
        [Some(one), Some(all)] if one != 0.0 && all != 0.0 => (scale(one) / scale(all)) as f32,
        _ => scale(1.0) as f32,
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
        let bytes = read_file(path, JSON_LIMIT_BYTES)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ExportError::Format { path: path.to_owned(), reason: error.to_string() })
    }

    /// The ids of the tokens that begin and end a text, where the file names them.
    pub(crate) fn token_ids(&self) -> (Option<u32>, Vec<u32>) {
        (token_ids(&self.bos_token_id).first().copied(), token_ids(&self.eos_token_id))
    }
}

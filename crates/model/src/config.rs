//! The shape of a Llama model, and how its rotary positions are stretched.

use serde::{Deserialize, Serialize};

use crate::export::ExportError;

/// No dimension of a model is larger; products of two dimensions and a layer count then fit in 64 bits.
const DIMENSION_LIMIT: usize = 1 << 20;
/// No model has more layers.
const LAYER_LIMIT: usize = 1 << 12;
/// No stretch of the rotary positions is larger.
const ROPE_FACTOR_LIMIT: f32 = 65_536.0;

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
    /// Query heads.
    pub num_heads: usize,
    /// Key/value heads; each serves `num_heads / num_kv_heads` query heads.
    pub num_kv_heads: usize,
    /// Width of a head where it is not `hidden_size / num_heads`; see [`LlamaConfig::head_dim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Longest sequence in tokens.
    pub max_seq_len: usize,
    /// Added to the mean square inside RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// How the rotary positions are stretched beyond the length of the first training, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the output layer is the embedding itself.
    pub tie_embeddings: bool,
    /// In what it differs from a plain Llama.
    #[serde(default, skip_serializing_if = "Variant::is_plain")]
    pub variant: Variant,
}

/// In what a model differs from a plain Llama: families that are the same graph but for a bias, a norm or a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Queries, keys and values have biases (Qwen 2).
    #[serde(default)]
    pub query_bias: bool,
    /// The output projection of attention has a bias.
    #[serde(default)]
    pub output_bias: bool,
    /// The gated layers have biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Every head's queries and keys are normalised before they are rotated (Qwen 3).
    #[serde(default)]
    pub head_norm: bool,
    /// Positions that a token attends to, itself included, where they are not all before it (Mistral).
    #[serde(default)]
    pub window: Option<usize>,
}

impl Variant {
    /// Whether it is a plain Llama.
    pub fn is_plain(&self) -> bool {
        *self == Variant::default()
    }
}

/// How rotary frequencies are changed for sequences longer than those of the first training.
///
/// All of it enters through the committed tables of cosines and sines; see [`crate::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case")]
pub enum RopeScaling {
    /// Every frequency divided by `factor` (Chen et al. 2023, position interpolation).
    Linear {
        /// How many times longer sequences become.
        factor: f32,
    },
    /// Long wavelengths divided by `factor`, short ones kept, those between blended (Llama 3.1).
    Llama3 {
        /// How many times longer sequences become.
        factor: f32,
        /// Wavelengths above `original_max_seq_len / low_freq_factor` tokens are divided in full.
        low_freq_factor: f32,
        /// Wavelengths below `original_max_seq_len / high_freq_factor` tokens are kept.
        high_freq_factor: f32,
        /// Longest sequence of the first training, in tokens.
        original_max_seq_len: usize,
    },
    /// A ramp over the dimensions between kept and divided frequencies, and scaled cosines and sines (Peng et al. 2023).
    Yarn {
        /// How many times longer sequences become.
        factor: f32,
        /// Multiplies cosines and sines.
        attention_factor: f32,
        /// Frequencies that turn at least this often within the original length are kept.
        beta_fast: f32,
        /// Frequencies that turn at most this often within the original length are divided in full.
        beta_slow: f32,
        /// Longest sequence of the first training, in tokens.
        original_max_seq_len: usize,
        /// Whether the ends of the ramp are rounded outwards to whole dimensions.
        truncate: bool,
    },
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
            ("head_dim", self.head_dim.unwrap_or(1), DIMENSION_LIMIT),
            ("max_seq_len", self.max_seq_len, DIMENSION_LIMIT),
        ];
        for (field, value, limit) in sizes {
            if value == 0 || value > limit {
                return Err(config_error(field, format!("is {value}, expected 1 to {limit}")));
            }
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(self.num_heads) {
            let reason = format!("{} is not a multiple of num_heads {}", self.hidden_size, self.num_heads);
            return Err(config_error("hidden_size", reason));
        }
        let field = if self.head_dim.is_some() { "head_dim" } else { "hidden_size" };
        if !self.head_dim().is_multiple_of(2) {
            let reason = format!("per head is {}, but rotary positions need an even number", self.head_dim());
            return Err(config_error(field, reason));
        }
        if self.attention_width() > DIMENSION_LIMIT {
            let reason = format!("times num_heads is {}, expected at most {DIMENSION_LIMIT}", self.attention_width());
            return Err(config_error(field, reason));
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
        if self.variant.window == Some(0) {
            return Err(config_error("sliding_window", "is 0, expected at least 1".to_owned()));
        }
        self.rope_scaling.map_or(Ok(()), RopeScaling::validate)
    }

    /// Width of one attention head. Needs a valid configuration.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or_else(|| self.hidden_size / self.num_heads)
    }

    /// Width of all query heads together: the rows of `q_proj`. It is `hidden_size` unless `head_dim` is given. Needs a
    /// valid configuration.
    pub fn attention_width(&self) -> usize {
        self.head_dim() * self.num_heads
    }

    /// Every parameter tensor as (Hugging Face name, shape), in the order of the forward pass.
    ///
    /// Matrices are `[out, in]`, row-major; norms are `[hidden_size]`. `lm_head.weight` exists only when the
    /// embedding is not tied.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size;
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden])];
        for layer in 0..self.num_layers {
            let parts = self.layer_parts();
            all.extend(parts.into_iter().map(|(part, shape)| (format!("model.layers.{layer}.{part}"), shape)));
        }
        all.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tie_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, hidden]));
        }
        all
    }

    /// The parameters of one layer, in the order of the forward pass.
    fn layer_parts(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner, variant) = (self.hidden_size, self.intermediate_size, self.variant);
        let (attention, kv) = (self.attention_width(), self.head_dim() * self.num_kv_heads);
        let mut parts = Vec::new();
        let mut matrix = |name: &str, rows: usize, columns: usize, bias: bool| {
            parts.push((format!("{name}.weight"), vec![rows, columns]));
            if bias {
                parts.push((format!("{name}.bias"), vec![rows]));
            }
        };
        matrix("self_attn.q_proj", attention, hidden, variant.query_bias);
        matrix("self_attn.k_proj", kv, hidden, variant.query_bias);
        matrix("self_attn.v_proj", kv, hidden, variant.query_bias);
        matrix("self_attn.o_proj", hidden, attention, variant.output_bias);
        matrix("mlp.gate_proj", inner, hidden, variant.mlp_bias);
        matrix("mlp.up_proj", inner, hidden, variant.mlp_bias);
        matrix("mlp.down_proj", hidden, inner, variant.mlp_bias);
        let place = |parts: &[(String, Vec<usize>)], name: &str| parts.iter().position(|(part, _)| part == name);
        if variant.head_norm {
            let at = place(&parts, "self_attn.o_proj.weight").unwrap_or(parts.len());
            let norm = |name: &str| (format!("self_attn.{name}.weight"), vec![self.head_dim()]);
            parts.splice(at..at, [norm("q_norm"), norm("k_norm")]);
        }
        let at = place(&parts, "mlp.gate_proj.weight").unwrap_or(parts.len());
        parts.insert(at, ("post_attention_layernorm.weight".to_owned(), vec![hidden]));
        parts.insert(0, ("input_layernorm.weight".to_owned(), vec![hidden]));
        parts
    }

    /// Parameters of a layer, and those of them that come before the output projection of attention.
    pub(crate) fn layer_counts(&self) -> [usize; 2] {
        let parts = self.layer_parts();
        let before = parts.iter().take_while(|(part, _)| !part.contains("o_proj")).count();
        [parts.len(), before]
    }

    /// Number of trained values. Needs a valid configuration.
    pub fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|(_, shape)| shape.iter().map(|&side| side as u64).product::<u64>()).sum()
    }
}

impl RopeScaling {
    fn validate(self) -> Result<(), ExportError> {
        let refuse = |reason: String| Err(config_error("rope_scaling", reason));
        let (factor, original) = match self {
            RopeScaling::Linear { factor } => (factor, 1),
            RopeScaling::Llama3 { factor, original_max_seq_len, low_freq_factor, high_freq_factor } => {
                if !(low_freq_factor > 0.0 && high_freq_factor > low_freq_factor && high_freq_factor.is_finite()) {
                    return refuse(format!(
                        "has low_freq_factor {low_freq_factor} and high_freq_factor {high_freq_factor}, expected 0 < low < high"
                    ));
                }
                (factor, original_max_seq_len)
            }
            RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max_seq_len, .. } => {
                if !(attention_factor > 0.0 && attention_factor < ROPE_FACTOR_LIMIT) {
                    return refuse(format!("has attention_factor {attention_factor}, expected a number above 0"));
                }
                if !(beta_slow > 0.0 && beta_fast > beta_slow && beta_fast.is_finite()) {
                    return refuse(format!(
                        "has beta_slow {beta_slow} and beta_fast {beta_fast}, expected 0 < slow < fast"
                    ));
                }
                (factor, original_max_seq_len)
            }
        };
        if !(1.0..=ROPE_FACTOR_LIMIT).contains(&factor) {
            return refuse(format!("has factor {factor}, expected 1 to {ROPE_FACTOR_LIMIT}"));
        }
        if original == 0 || original > DIMENSION_LIMIT {
            return refuse(format!("has an original length of {original} tokens, expected 1 to {DIMENSION_LIMIT}"));
        }
        Ok(())
    }
}

pub(crate) fn config_error(field: &str, reason: String) -> ExportError {
    ExportError::Config { field: field.to_owned(), reason }
}

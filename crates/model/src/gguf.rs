//! GGUF files (versions 2 and 3) of the Llama architecture, read only.
//!
//! A file is a table of metadata, a table of tensors, and the tensors, quantised in blocks. [`container`] reads the
//! tables, [`blocks`] the blocks; this file maps names and orders to those of the Hugging Face layout, and
//! [`vocabulary`] builds the tokenizer. Everything is checked before memory is asked for.

mod blocks;
mod container;
mod parts;
mod vocabulary;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sip_graph::Buffer;

pub use blocks::BlockType;
pub use container::{Container, TensorInfo, Texts, Value};

use crate::chat::{ChatTemplates, DEFAULT_TEMPLATE};
use crate::config::{LlamaConfig, RopeScaling, Variant};
use crate::export::{ExportError, Widened, YARN_BETA_FAST, YARN_BETA_SLOW, check_finite, yarn_attention_factor};
use crate::loaded::{LoadError, LoadedModel, Text, synthetic, unique};
use crate::tables::rotary_frequencies;
use crate::tokenizer::{SpecialTokens, TokenizerError};

/// Blocks are read in parts of about this many bytes.
const PART_BYTES: usize = 1 << 20;
/// Chat templates of a file have at most so many bytes together; the longest have some 30 thousand.
const TEMPLATES_BYTES_MAX: usize = 256 << 10;
/// The base of the rotary frequencies of a file that does not name one.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;
/// The tensor that some files hold in place of the parameters of Llama 3's rope scaling.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A `.gguf` file that is open for reading, with the other parts where the model is in several.
struct Gguf<'a> {
    path: &'a Path,
    /// Metadata of the first part, and tensors of all.
    container: Container,
    parts: Vec<Part>,
    /// The part of every tensor.
    places: BTreeMap<String, usize>,
}

/// One file.
struct Part {
    path: PathBuf,
    file: File,
    /// First byte of the tensors' data.
    data_start: u64,
}

/// Opens a `.gguf` file.
pub(crate) fn open(path: &Path) -> Result<LoadedModel, LoadError> {
    let mut gguf = Gguf::open(path)?;
    let config = gguf.config()?;
    let Text { tokenizer, special, chat, side } = gguf.text(&config)?;
    let weights = gguf.weights(&config)?;
    Ok(LoadedModel { config, weights, tokenizer, special, chat, side })
}

/// What a `.gguf` file says about texts, and the rows of its embedding.
pub(crate) fn open_tokenizer(path: &Path) -> Result<(Text, usize), LoadError> {
    let mut gguf = Gguf::open(path)?;
    let config = gguf.config()?;
    Ok((gguf.text(&config)?, config.vocab_size))
}

impl Gguf<'_> {
    fn text(&self, config: &LlamaConfig) -> Result<Text, LoadError> {
        let template_bytes: usize = self.template_texts().map(|(_, text)| text.len()).sum();
        if template_bytes > TEMPLATES_BYTES_MAX {
            let reason =
                format!("its chat templates have {template_bytes} bytes, expected at most {TEMPLATES_BYTES_MAX}");
            return Err(self.format_error(reason).into());
        }
        let tokenizer = vocabulary::tokenizer(&self.container)
            .map_err(|error| TokenizerError::File { path: self.path.to_owned(), source: Box::new(error) })?;
        let special = self.special(config, tokenizer.begin()?);
        let (roles, templates) = (self.roles(), self.templates());
        let side = synthetic(&roles, &templates, config.max_seq_len);
        Ok(Text { tokenizer, special, chat: ChatTemplates::new(templates, roles), side })
    }

    fn format_error(&self, reason: String) -> ExportError {
        ExportError::Format { path: self.path.to_owned(), reason }
    }

    fn unsupported(&self, key: &'static str, found: String, expected: &str) -> ExportError {
        let (path, key, expected) = (self.path.to_owned(), key.to_owned(), expected.to_owned());
        ExportError::Unsupported { path, key, found, expected }
    }

    fn size(&self, key: &'static str) -> Result<Option<usize>, ExportError> {
        let Some(value) = self.container.metadata.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|size| usize::try_from(size).ok()) {
            Some(size) => Ok(Some(size)),
            None => Err(self.unsupported(key, value.to_string(), "a whole number")),
        }
    }

    fn required_size(&self, key: &'static str) -> Result<usize, ExportError> {
        self.size(key)?.ok_or_else(|| self.format_error(format!("its metadata lacks {key}")))
    }

    fn number(&self, key: &'static str) -> Result<Option<f32>, ExportError> {
        let Some(value) = self.container.metadata.get(key) else { return Ok(None) };
        match value.as_f32() {
            Some(number) => Ok(Some(number)),
            None => Err(self.unsupported(key, value.to_string(), "a number")),
        }
    }

    /// The shape that metadata and the embedding's rows give.
    fn config(&mut self) -> Result<LlamaConfig, ExportError> {
        let architecture = self.container.text("general.architecture").unwrap_or("unnamed").to_owned();
        if !["llama", "qwen2", "qwen3"].contains(&architecture.as_str()) {
            return Err(self.unsupported("general.architecture", architecture, "llama, qwen2 or qwen3"));
        }
        // The keys of all architectures are those of llama under another name.
        let prefix = format!("{architecture}.");
        let keys: Vec<String> =
            self.container.metadata.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        for key in keys.iter().filter(|_| architecture != "llama") {
            if let Some(value) = self.container.metadata.remove(key) {
                self.container.metadata.insert(format!("llama.{}", &key[prefix.len()..]), value);
            }
        }
        if let Some(experts @ 1..) = self.size("llama.expert_count")? {
            return Err(self.unsupported("llama.expert_count", experts.to_string(), "0"));
        }
        let embedding = self.tensor("token_embd.weight")?;
        let [vocab_size, _] = embedding.shape[..] else {
            return Err(
                self.format_error(format!("token_embd.weight has shape {:?}, expected two sides", embedding.shape))
            );
        };
        let num_heads = self.required_size("llama.attention.head_count")?;
        let hidden_size = self.required_size("llama.embedding_length")?;
        let head_dim = self.size("llama.attention.key_length")?;
        let derived = head_dim.and_then(|width| width.checked_mul(num_heads)) == Some(hidden_size);
        let mut config = LlamaConfig {
            vocab_size,
            hidden_size,
            intermediate_size: self.required_size("llama.feed_forward_length")?,
            num_layers: self.required_size("llama.block_count")?,
            num_heads,
            num_kv_heads: self.size("llama.attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim: head_dim.filter(|_| !derived),
            max_seq_len: self.required_size("llama.context_length")?,
            rms_norm_eps: self
                .number("llama.attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| self.format_error("its metadata lacks llama.attention.layer_norm_rms_epsilon".into()))?,
            rope_theta: self.number("llama.rope.freq_base")?.unwrap_or(DEFAULT_ROPE_THETA),
            rope_scaling: None,
            tie_embeddings: !self.container.tensors.contains_key("output.weight"),
            variant: Variant {
                query_bias: self.container.tensors.contains_key("blk.0.attn_q.bias"),
                output_bias: self.container.tensors.contains_key("blk.0.attn_output.bias"),
                mlp_bias: self.container.tensors.contains_key("blk.0.ffn_gate.bias"),
                head_norm: self.container.tensors.contains_key("blk.0.attn_q_norm.weight"),
                window: self.size("llama.attention.sliding_window")?.filter(|&window| window > 0),
            },
        };
        config.validate()?;
        for key in ["llama.rope.dimension_count", "llama.attention.value_length"] {
            let found = self.size(key)?.unwrap_or(config.head_dim());
            if found != config.head_dim() {
                let expected = format!("the width of a head, {},", config.head_dim());
                return Err(self.unsupported(key, found.to_string(), &expected));
            }
        }
        config.rope_scaling = self.rope_scaling(&config)?;
        config.validate()?;
        Ok(config)
    }

    fn rope_scaling(&mut self, config: &LlamaConfig) -> Result<Option<RopeScaling>, ExportError> {
        const KIND: &str = "llama.rope.scaling.type";
        if self.container.tensors.contains_key(ROPE_FACTORS) {
            return self.llama3_scaling(config).map(Some);
        }
        let linear = self.number("llama.rope.scale_linear")?.filter(|&factor| factor != 1.0);
        let factor = self.number("llama.rope.scaling.factor")?.or(linear);
        let original_max_seq_len =
            self.size("llama.rope.scaling.original_context_length")?.unwrap_or(config.max_seq_len);
        match (self.container.text(KIND), factor) {
            (Some("none"), _) | (None, None) => Ok(None),
            (None | Some("linear"), Some(factor)) => Ok(Some(RopeScaling::Linear { factor })),
            (Some("yarn"), Some(factor)) => Ok(Some(RopeScaling::Yarn {
                factor,
                attention_factor: self.number("llama.rope.scaling.attn_factor")?.unwrap_or(1.0)
                    * yarn_attention_factor(factor, [None, None]),
                beta_fast: self.number("llama.rope.scaling.yarn_beta_fast")?.unwrap_or(YARN_BETA_FAST),
                beta_slow: self.number("llama.rope.scaling.yarn_beta_slow")?.unwrap_or(YARN_BETA_SLOW),
                original_max_seq_len,
                truncate: true,
            })),
            (kind, _) => {
                let found = kind.unwrap_or("unnamed").to_owned();
                Err(self.unsupported(KIND, found, "none, linear or yarn with llama.rope.scaling.factor"))
            }
        }
    }

    /// Llama 3 files hold the divisor of every frequency instead of the four numbers that they follow from: those of published models are
    /// tried, then other lengths, then those that the divisors themselves say.
    fn llama3_scaling(&mut self, config: &LlamaConfig) -> Result<RopeScaling, ExportError> {
        let info = self.tensor(ROPE_FACTORS)?.clone();
        let expected = vec![config.head_dim() / 2];
        if info.shape != expected {
            let (origin, name) = (self.path.display().to_string(), ROPE_FACTORS.to_owned());
            return Err(ExportError::Shape { origin, name, found: info.shape, expected });
        }
        let mut divisors = Buffer::new(expected[0]);
        self.read(ROPE_FACTORS, &info, &mut divisors)?;
        let divisors: Vec<f64> = divisors.to_f32().into_iter().map(f64::from).collect();
        let plain = rotary_frequencies(config).0;
        // The slowest frequencies are divided by the whole factor.
        let factor = rounded(divisors.iter().copied().fold(1.0, f64::max)) as f32;
        let usual = |length: usize| (1.0, 4.0, length);
        let lengths = std::iter::once(8192).chain((4..=20).map(|power| 1 << power));
        let candidates = lengths.map(usual).chain(said_by(&plain, &divisors, f64::from(factor)));
        for (low_freq_factor, high_freq_factor, original_max_seq_len) in candidates.filter(|_| factor > 1.0) {
            let scaling = RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_seq_len };
            let scaled = rotary_frequencies(&LlamaConfig { rope_scaling: Some(scaling), ..config.clone() }).0;
            let fits =
                |((plain, scaled), &divisor): ((&f64, &f64), &f64)| (plain / scaled - divisor).abs() < 1e-4 * divisor;
            if plain.iter().zip(&scaled).zip(&divisors).all(fits) {
                return Ok(scaling);
            }
        }
        Err(self.unsupported(ROPE_FACTORS, "of other models".to_owned(), "the rope scaling of Llama 3.1 to 3.3"))
    }

    fn special(&self, config: &LlamaConfig, begin: Option<u32>) -> SpecialTokens {
        let id = |key: &str| {
            let id = self.container.metadata.get(key)?.as_u64()?;
            u32::try_from(id).ok().filter(|&id| (id as usize) < config.vocab_size)
        };
        let end = ["eos", "eot", "eom"].into_iter().filter_map(|role| id(&format!("tokenizer.ggml.{role}_token_id")));
        let begin = begin.filter(|&id| (id as usize) < config.vocab_size);
        SpecialTokens { begin, bos: id("tokenizer.ggml.bos_token_id"), end: unique(end.collect(), config.vocab_size) }
    }

    /// The texts of the special tokens by their roles in other files.
    fn roles(&self) -> BTreeMap<String, String> {
        let Some(Value::Texts(tokens)) = self.container.metadata.get("tokenizer.ggml.tokens") else {
            return BTreeMap::new();
        };
        let roles = [
            ("bos", "bos"),
            ("eos", "eos"),
            ("unknown", "unk"),
            ("seperator", "sep"),
            ("padding", "pad"),
            ("mask", "mask"),
        ];
        let token = |(key, role): (&str, &str)| {
            let id = self.container.metadata.get(&format!("tokenizer.ggml.{key}_token_id"))?.as_u64()?;
            Some((format!("{role}_token"), tokens.get(usize::try_from(id).ok()?)?.to_owned()))
        };
        roles.into_iter().filter_map(token).collect()
    }

    /// The chat templates by name.
    fn templates(&self) -> BTreeMap<String, String> {
        self.template_texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    fn template_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        const KEY: &str = "tokenizer.chat_template";
        self.container.metadata.iter().filter_map(|(key, value)| match (key.strip_prefix(KEY)?, value) {
            ("", Value::Text(text)) => Some((DEFAULT_TEMPLATE, text.as_str())),
            (name, Value::Text(text)) => Some((name.strip_prefix('.')?, text.as_str())),
            _ => None,
        })
    }

    fn tensor(&self, name: &str) -> Result<&TensorInfo, ExportError> {
        self.container.tensors.get(name).ok_or_else(|| self.format_error(format!("it lacks the tensor {name}")))
    }

    /// The parameters in the order of [`LlamaConfig::parameters`].
    fn weights(&mut self, config: &LlamaConfig) -> Result<Vec<Buffer>, ExportError> {
        let origin = self.path.display().to_string();
        let mut unused: BTreeMap<String, TensorInfo> = self.container.tensors.clone();
        unused.remove(ROPE_FACTORS);
        let mut found = Vec::new();
        for (parameter, expected) in config.parameters() {
            let name = gguf_name(&parameter);
            let Some(info) = unused.remove(&name) else {
                return Err(ExportError::Missing { origin, name, expected });
            };
            if info.shape != expected {
                return Err(ExportError::Shape { origin, name, found: info.shape, expected });
            }
            found.push((name, info));
        }
        if let Some((name, _)) = unused.pop_first() {
            return Err(ExportError::Unexpected { origin, name });
        }
        let mut weights = Vec::with_capacity(found.len());
        for (name, info) in found {
            let mut bits = Buffer::new(info.shape.iter().product());
            self.read(&name, &info, &mut bits)?;
            let is_rotated = ["attn_q.", "attn_k."].iter().any(|part| name.contains(part));
            // Only this architecture has them in pairs.
            if is_rotated && self.container.text("general.architecture") == Some("llama") {
                bits = halves_apart(&bits, config.head_dim(), info.shape.get(1).copied().unwrap_or(1));
            }
            weights.push(bits);
        }
        Ok(weights)
    }

    /// Reads a tensor as the bits of f32.
    fn read(&mut self, name: &str, info: &TensorInfo, out: &mut [u32]) -> Result<(), ExportError> {
        let part = &mut self.parts[self.places.get(name).copied().unwrap_or(0)];
        let io_error = |source| ExportError::Io { path: part.path.clone(), source };
        let origin = part.path.display().to_string();
        let Some(block) = BlockType::from_id(info.type_id) else {
            return Err(ExportError::ElementType {
                path: part.path.clone(),
                name: name.to_owned(),
                found: BlockType::name_of(info.type_id),
                expected: BlockType::NAMES,
            });
        };
        let (file, data_start) = (&mut part.file, part.data_start);
        file.seek(SeekFrom::Start(data_start + info.offset)).map_err(io_error)?;
        let per_part = (PART_BYTES / block.size_bytes()) * block.len();
        let mut bytes = Vec::new();
        for (number, out) in out.chunks_mut(per_part).enumerate() {
            bytes.resize(out.len() / block.len() * block.size_bytes(), 0);
            file.read_exact(&mut bytes).map_err(io_error)?;
            block.dequantise(&bytes, out);
            let start = number * per_part;
            let range = start..start + out.len();
            check_finite(&Widened { origin: &origin, name, range }, out.iter().copied())?;
        }
        Ok(())
    }
}

/// The name in GGUF of a parameter of the Hugging Face layout.
fn gguf_name(parameter: &str) -> String {
    let (name, kind) = parameter.rsplit_once('.').unwrap_or((parameter, "weight"));
    let Some((layer, part)) = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) else {
        let name = match name {
            "model.embed_tokens" => "token_embd",
            "model.norm" => "output_norm",
            _ => "output",
        };
        return format!("{name}.{kind}");
    };
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "post_attention_layernorm" => "ffn_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        _ => "ffn_down",
    };
    format!("blk.{layer}.{part}.{kind}")
}

/// GGUF keeps the two rows that rotate together side by side; here the first halves of a head stand before the second.
/// `head_dim` rows of `width` make a head.
fn halves_apart(rows: &[u32], head_dim: usize, width: usize) -> Buffer {
    let mut out = Buffer::new(rows.len());
    let half = head_dim / 2;
    for (head, out) in rows.chunks_exact(head_dim * width).zip(out.chunks_exact_mut(head_dim * width)) {
        for (number, row) in out.chunks_exact_mut(width).enumerate() {
            let from = number % half * 2 + number / half;
            row.copy_from_slice(&head[from * width..(from + 1) * width]);
        }
    }
    out
}

/// The bounds (the lower is 1, for only their ratio matters) and the original length that follow from divisors between 1 and the factor:
/// what is kept of a frequency grows with it along a line.
fn said_by(plain: &[f64], divisors: &[f64], factor: f64) -> Option<(f32, f32, usize)> {
    let kept = |divisor: f64| (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor);
    let points =
        plain.iter().zip(divisors).map(|(frequency, &divisor)| (frequency / std::f64::consts::TAU, kept(divisor)));
    let mut points = points.filter(|(_, kept)| (1e-3..1.0 - 1e-3).contains(kept));
    let (first, last) = (points.next()?, points.next_back()?);
    let slope = (first.1 - last.1) / (first.0 - last.0);
    let width = 1.0 / (slope * first.0 - first.1);
    let length = (slope * width).round();
    let is_sound = width.is_finite() && width > 0.0 && (1.0..1e9).contains(&length);
    is_sound.then(|| (1.0, rounded(1.0 + width) as f32, length as usize))
}

/// The nearest quarter where it is near.
fn rounded(number: f64) -> f64 {
    let quarter = (number * 4.0).round() / 4.0;
    if (quarter - number).abs() < 2e-3 * number { quarter } else { number }
}

#[cfg(test)]
mod tests;

//! The rival: candle's own Llama with its cache of keys and values, on its CPU backend.

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama};
use sip_graph::Buffer;
use sip_model::LlamaConfig;
use std::collections::HashMap;

/// The model with the tokens it has seen.
pub struct Rival {
    model: Llama,
    config: Config,
    cache: Cache,
    len: usize,
}

impl Rival {
    /// The same weights, copied.
    pub fn new(config: &LlamaConfig, weights: &[Buffer]) -> Result<Rival> {
        if config.rope_scaling.is_some() || config.attention_width() != config.hidden_size {
            bail!("this comparison knows plain Llamas only: no scaled positions, no head width of its own");
        }
        let mut tensors = HashMap::new();
        for ((name, sides), values) in config.parameters().into_iter().zip(weights) {
            tensors.insert(name, Tensor::from_slice(&values.to_f32(), sides, &Device::Cpu)?);
        }
        let config = Config {
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            vocab_size: config.vocab_size,
            num_hidden_layers: config.num_layers,
            num_attention_heads: config.num_heads,
            num_key_value_heads: config.num_kv_heads,
            use_flash_attn: false,
            rms_norm_eps: f64::from(config.rms_norm_eps),
            rope_theta: config.rope_theta,
            bos_token_id: None,
            eos_token_id: None,
            rope_scaling: None,
            max_position_embeddings: config.max_seq_len,
            tie_word_embeddings: config.tie_embeddings,
        };
        let model = Llama::load(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu), &config)?;
        let cache = Cache::new(true, DType::F32, &config, &Device::Cpu)?;
        Ok(Rival { model, config, cache, len: 0 })
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) -> Result<()> {
        self.cache = Cache::new(true, DType::F32, &self.config, &Device::Cpu)?;
        self.len = 0;
        Ok(())
    }

    /// Adds tokens; the logits after the last of them.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let input = Tensor::from_slice(tokens, (1, tokens.len()), &Device::Cpu)?;
        let logits = self.model.forward(&input, self.len, &mut self.cache)?;
        self.len += tokens.len();
        Ok(logits.flatten_all()?.to_vec1()?)
    }
}

//! The shapes that are measured.

use clap::ValueEnum;
use sip_model::LlamaConfig;

/// A model with the batch that it is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// The preset `small`: 1.1 million parameters, batch 4 × 128.
    Small,
    /// The preset `medium`: 3.0 million parameters, batch 4 × 128.
    Medium,
    /// 12.2 million parameters, batch 8 × 256.
    #[value(name = "12m")]
    TwelveMillion,
}

/// Shape of a training step.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The model.
    pub config: LlamaConfig,
    /// Rows per batch.
    pub batch: usize,
    /// Tokens per row.
    pub seq_len: usize,
}

impl Size {
    /// The shape; `None` if the model crate has no such preset.
    pub fn shape(self) -> Option<Shape> {
        let preset = |name| Some(Shape { config: LlamaConfig::preset(name)?, batch: 4, seq_len: 128 });
        match self {
            Size::Small => preset("small"),
            Size::Medium => preset("medium"),
            Size::TwelveMillion => {
                let medium = LlamaConfig::preset("medium")?;
                let config = LlamaConfig {
                    vocab_size: 4096,
                    hidden_size: 384,
                    intermediate_size: 1024,
                    num_layers: 6,
                    num_heads: 6,
                    num_kv_heads: 6,
                    max_seq_len: 256,
                    ..medium
                };
                Some(Shape { config, batch: 8, seq_len: 256 })
            }
        }
    }
}

impl Shape {
    /// Tokens that one step learns from.
    pub fn tokens(&self) -> usize {
        self.batch * self.seq_len
    }

    /// Weights of the model.
    pub fn parameters(&self) -> usize {
        self.config.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Token ids [batch, sequence + 1], uniform over the vocabulary; `seed` says which.
    pub fn tokens_of(&self, seed: u64) -> Vec<u32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            // Knuth's linear congruential generator; its high bits are the good ones.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % self.config.vocab_size as u64) as u32
        };
        (0..self.batch * (self.seq_len + 1)).map(|_| next()).collect()
    }
}

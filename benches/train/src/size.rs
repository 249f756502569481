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
    /// The size of GPT-2 124M in the shape of Llama: 123.6 million parameters, batch 4 × 256.
    #[value(name = "124m")]
    Gpt2,
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
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "small",
            Size::Medium => "medium",
            Size::TwelveMillion => "12m",
            Size::Gpt2 => "124m",
        }
    }

    /// Steps on one batch from equal weights, after which the losses must agree and have fallen.
    pub fn agreement_steps(self) -> usize {
        if self == Size::Gpt2 { 3 } else { 6 }
    }

    /// The shape; `None` if the model crate has no such preset.
    pub fn shape(self) -> Option<Shape> {
        let preset = |name| Some(Shape { config: LlamaConfig::preset(name)?, batch: 4, seq_len: 128 });
        let wide = |vocab_size, hidden_size, intermediate_size, num_layers, heads, batch| {
            let config = LlamaConfig {
                vocab_size,
                hidden_size,
                intermediate_size,
                num_layers,
                num_heads: heads,
                num_kv_heads: heads,
                max_seq_len: 256,
                ..LlamaConfig::preset("medium")?
            };
            Some(Shape { config, batch, seq_len: 256 })
        };
        match self {
            Size::Small => preset("small"),
            Size::Medium => preset("medium"),
            Size::TwelveMillion => wide(4096, 384, 1024, 6, 6, 8),
            Size::Gpt2 => wide(50_257, 768, 2048, 12, 12, 4),
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

    /// Operations of the matrix products of one step per token, the masked half of attention aside: six per weight, and
    /// 12 · layers · width per token attended to.
    pub fn flops_per_token(&self) -> f64 {
        let gains = (2 * self.config.num_layers + 1) * self.config.hidden_size;
        let attended = (self.seq_len as f64 + 1.0) / 2.0;
        let attention = 12 * self.config.num_layers * self.config.hidden_size;
        6.0 * (self.parameters() - gains) as f64 + attention as f64 * attended
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

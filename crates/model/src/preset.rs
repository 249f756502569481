//! Model shapes by name.

use crate::export::LlamaConfig;

/// Names that [`LlamaConfig::preset`] knows, smallest first.
pub const PRESETS: [&str; 5] = ["tiny", "small", "medium", "base", "large"];

impl LlamaConfig {
    /// A shape by name: `tiny` for tests (36 thousand parameters), `small` (1.1 million, the default of the demo),
    /// `medium` (3.0 million), `base` (12 million), `large` (124 million, the size of GPT-2). All have tied embeddings; the
    /// vocabulary is the caller's to change.
    pub fn preset(name: &str) -> Option<LlamaConfig> {
        let (vocab_size, hidden_size, intermediate_size, num_layers, num_heads, max_seq_len) = match name {
            "tiny" => (512, 32, 88, 2, 4, 16),
            "small" => (2048, 128, 344, 4, 4, 128),
            "medium" => (2048, 192, 512, 6, 6, 128),
            "base" => (4096, 384, 1024, 6, 6, 256),
            "large" => (50_257, 768, 2048, 12, 12, 1024),
            _ => return None,
        };
        Some(LlamaConfig {
            vocab_size,
            hidden_size,
            intermediate_size,
            num_layers,
            num_heads,
            num_kv_heads: num_heads,
            head_dim: None,
            max_seq_len,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            tie_embeddings: true,
            variant: crate::config::Variant::default(),
        })
    }
}

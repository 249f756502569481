//! Llama-family models: graph builder, tokenizer, Hugging Face layout in and out, sampling.

pub mod export;
pub mod generate;
pub mod init;
pub mod llama;
pub mod preset;
pub mod tables;
pub mod tokenizer;

pub use export::LlamaConfig;
pub use generate::{GenerateError, Generator, Sampler, Sampling};
pub use init::{init, init_graph};
pub use llama::{
    ModelError, ParamSpec, TrainConfig, TrainingGraph, aggregate_graph, eval_graph, gradient_graph, logits_graph,
    params, training_graph,
};
pub use tables::{Schedule, tables};

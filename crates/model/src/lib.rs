//! Llama-family models: graph builder, tokenizer, Hugging Face layout in and out, sampling.

pub mod adapter;
pub mod aggregate;
pub mod chat;
pub mod checkpoint;
mod config;
pub mod decode;
pub mod dpo;
pub mod example;
pub mod export;
pub mod generate;
pub mod gguf;
pub mod heldout;
pub mod init;
pub mod llama;
mod loaded;
pub mod lora;
pub mod preset;
pub mod sampler;
mod side;
pub mod tables;
pub mod tokenizer;
pub mod update;

pub use aggregate::aggregate_graph;
pub use chat::{ChatError, ChatTemplate, ChatTemplates, Message, Role};
pub use config::{LlamaConfig, RopeScaling, Variant};
pub use decode::{Decoder, GenerateError};
pub use generate::{Generator, TextStream};
pub use heldout::{eval_graph, held_out_graph};
pub use init::{init, init_base_graph, init_graph};
pub use llama::{
    ModelError, Objective, ParamSpec, TrainConfig, Trained, TrainingGraph, gradient_graph, logits_graph, params,
    score_graph, step_graph, training_graph,
};
pub use loaded::{LoadError, LoadedModel, Text};
pub use sampler::{Sampler, Sampling};
pub use side::SideFiles;
pub use tables::{Schedule, Shape, inference_tables, tables};
pub use update::{Outer, UpdateCodec};

//! Small manifests, for tests, fuzzing and vectors.

use sip_graph::AdamW;
use sip_model::{
    LlamaConfig, Schedule, Shape, TrainConfig, UpdateCodec, Variant, aggregate_graph, held_out_graph, init_base_graph,
    init_graph, params, training_graph,
};
use sip_proof::AGGREGATE_COUNTS;
use std::collections::BTreeMap;

use crate::table::{Rotary, Rule, Table};
use crate::value::{Blob, Domain, Manifest, Part, Sizes};

/// The least Llama.
pub fn model() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 8,
        hidden_size: 4,
        intermediate_size: 8,
        num_layers: 1,
        num_heads: 2,
        num_kv_heads: 1,
        head_dim: None,
        max_seq_len: 4,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_embeddings: true,
        variant: Variant::default(),
    }
}

/// A manifest of that model, with compressed updates or without. Its genesis root is none: nothing is computed.
///
/// # Panics
/// Never: the model has all its graphs.
pub fn manifest(is_compressed: bool) -> Manifest {
    let (model, optimizer, codec) = (model(), AdamW::default(), UpdateCodec::default());
    let (batch, seq_len, total_steps) = (2, 4, 20);
    let weights: Vec<usize> = params(&model).iter().map(|param| param.len()).collect();
    let shapes: Vec<Vec<usize>> = weights.iter().cycle().take(3 * weights.len()).map(|&len| vec![len]).collect();
    let config = TrainConfig { batch, seq_len, total_steps, optimizer };
    let is_there = "the example has every graph";
    let mut graphs = BTreeMap::from([
        (Part::Step, training_graph(&model, &config).expect(is_there).graph),
        (Part::Scoring, held_out_graph(&model, 2, seq_len, 2).expect(is_there)),
    ]);
    let genesis = if is_compressed { init_base_graph(&model, 7, codec.outer) } else { init_graph(&model, 7) };
    graphs.insert(Part::Genesis, genesis.expect(is_there));
    for count in 1..=AGGREGATE_COUNTS as usize {
        let graph = match is_compressed {
            true => codec.aggregate_graph(&weights, count),
            false => aggregate_graph(&shapes, count),
        };
        graphs.insert(Part::Average(count as u8), graph.expect(is_there));
    }
    if is_compressed {
        graphs.insert(Part::Start, codec.start_graph(&weights).expect(is_there));
        graphs.insert(Part::Update, codec.update_graph(&weights).expect(is_there));
    }
    let schedule = Schedule { peak_rate: 2e-3, warmup_steps: 2, total_steps, final_share: 0.1, shape: Shape::Cosine };
    let angles = Rotary { pairs: 1, positions: seq_len as u32, theta: model.rope_theta };
    let domain = |number: u8, name: &str, licence: &str| Domain {
        name: name.into(),
        licence: licence.into(),
        train_root: [number; 32],
        train_tokens: 1_000 + u64::from(number),
        heldout_root: [number + 1; 32],
        heldout_tokens: 100,
    };
    Manifest {
        sizes: Sizes {
            batch: batch as u32,
            sequence_length: seq_len as u32,
            inner_steps: 4,
            leaf_interval: 2,
            rounds: 3,
            score_windows: 4,
            score_rows: 2,
            score_leaf_interval: 4,
        },
        model: Some(model),
        optimizer: Some(optimizer),
        codec: is_compressed.then_some(codec),
        genesis_seed: 7,
        genesis_root: [3; 32],
        reset_root: if is_compressed { [4; 32] } else { [0; 32] },
        tokenizer: Blob { root: [5; 32], bytes: 500 },
        domains: vec![domain(10, "stories", "CC0-1.0"), domain(20, "notes", "")],
        tables: [
            Rule::Steps { schedule, beta1: optimizer.beta1, beta2: optimizer.beta2 },
            Rule::Cosines(angles),
            Rule::Sines(angles),
        ]
        .map(Table::of)
        .into(),
        graphs: graphs.into_iter().map(|(part, graph)| (part, graph.to_bytes())).collect(),
    }
}

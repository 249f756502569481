//! The bits of training, held fast: one root, whatever the instruction set and the number of threads.
//!
//! If this fails after a change that is meant to alter the graph of a model, put the new root here and say so in the
//! change; if it fails on another machine or after any other change, exactness is broken.

use sip_data::{Mixture, TokenBlob};
use sip_graph::AdamW;
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Schedule, TrainConfig, init, tables, training_graph};
use sip_node::{SegmentTask, State, Task, Worker};
use std::sync::Arc;

/// State root after 24 steps of the model below.
const ROOT: &str = "4c3ccb7aa89a2f8a499742f061df71b569cb22bd85e89e49eede4302901a92a8";

fn root(simd: Simd, threads: usize) -> String {
    let threads = Arc::new(Threads::new(threads));
    let config = LlamaConfig { vocab_size: 300, num_kv_heads: 2, ..LlamaConfig::preset("tiny").unwrap() };
    let optimizer = AdamW::default();
    let train = TrainConfig { batch: 3, seq_len: 16, total_steps: 24, optimizer };
    let graph = Arc::new(training_graph(&config, &train).unwrap().graph);
    let schedule = Schedule { peak_rate: 3e-3, warmup_steps: 4, total_steps: 24, final_share: 0.1 };
    let tables = tables(&config, 16, &optimizer, &schedule);
    let tokens = (0..3000u32).map(|i| i.wrapping_mul(i).wrapping_mul(2_654_435_761) % 300).collect();
    let roots = Task::commit(&graph, &tables);
    let task = Task {
        graph,
        tables,
        roots,
        domains: vec![Arc::new(TokenBlob::new(tokens))],
        batch: 3,
        sequence_length: 16,
        inner_steps: 24,
        leaf_interval: 8,
    };
    let base = Arc::new(State::new(init(&config, 20_260, &threads).unwrap(), &threads));
    let segment = SegmentTask { round: 0, seed: [42; 32], mixture: Mixture::uniform(1).unwrap(), place: 0, base };
    let end = Worker::new(task, threads, simd).train(&segment, None, &mut |_| true).unwrap().end;
    end.root().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn training_gives_the_committed_root_on_every_instruction_set_and_number_of_threads() {
    for simd in Simd::ALL.iter().copied().filter(|simd| simd.is_supported()) {
        for threads in [1, 2, 3, 8] {
            assert_eq!(root(simd, threads), ROOT, "{simd} with {threads} threads");
        }
    }
}

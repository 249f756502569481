//! A token is written without asking the system for memory.

use crate::counted::{allocations, alone};
use sip_kernels::{Simd, Threads};
use sip_model::{Decoder, LlamaConfig, Sampler, Sampling, init, params};
use std::sync::Arc;

#[test]
fn a_token_is_written_without_allocating() {
    let _alone = alone();
    let config = LlamaConfig::preset("small").expect("preset");
    let threads = Arc::new(Threads::new(2));
    let mut weights = init(&config, 1, &threads).expect("weights");
    weights.truncate(params(&config).len());
    let mut decoder = Decoder::new(&config, weights, 128, threads, Simd::detect()).expect("decoder");
    let mut sampler = Sampler::new(Sampling { top_k: 40, ..Sampling::default() }, 1);
    let mut token = sampler.draw(decoder.feed(&[1, 2, 3]).expect("logits"));
    let mut write = |count: usize| {
        let before = allocations();
        for _ in 0..count {
            token = sampler.draw(decoder.feed(&[token]).expect("logits"));
        }
        allocations() - before
    };
    // The first tokens make the graphs and fill the scratch memory of both threads.
    write(20);
    // No thread can be certain to have taken part before; it then allocates its scratch memory once.
    assert!(write(40) <= 4, "tokens 24 to 63 allocate");
}

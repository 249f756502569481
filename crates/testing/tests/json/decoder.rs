//! A token is written without asking the system for memory.

use sip_kernels::{Simd, Threads};
use sip_model::{Decoder, LlamaConfig, Sampler, Sampling, init, params};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's memory, counted.
struct Counted;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[test]
fn a_token_is_written_without_allocating() {
    let config = LlamaConfig::preset("small").expect("preset");
    let threads = Arc::new(Threads::new(2));
    let mut weights = init(&config, 1, &threads).expect("weights");
    weights.truncate(params(&config).len());
    let mut decoder = Decoder::new(&config, weights, 128, threads, Simd::detect()).expect("decoder");
    let mut sampler = Sampler::new(Sampling { top_k: 40, ..Sampling::default() }, 1);
    let mut token = sampler.draw(decoder.feed(&[1, 2, 3]).expect("logits"));
    let mut write = |count: usize| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..count {
            token = sampler.draw(decoder.feed(&[token]).expect("logits"));
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    // The first tokens make the graphs and fill the scratch memory of both threads.
    write(20);
    // No thread can be certain to have taken part before; it then allocates its scratch memory once.
    assert!(write(40) <= 4, "tokens 24 to 63 allocate");
}

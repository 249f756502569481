//! The whole of money under any order of steps: the world of `crates/protocol/tests/model`, with choices from the fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/protocol/tests/model/mod.rs"]
mod model;

use model::{Source, World};

/// Choices from the input's bytes, zeros after its end.
struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        let length = if limit <= 1 << 8 { 1 } else { 8 };
        let mut word = [0; 8];
        for byte in word.iter_mut().take(length) {
            if let Some((first, rest)) = self.0.split_first() {
                (*byte, self.0) = (*first, rest);
            }
        }
        u64::from_le_bytes(word) % limit
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut source = Bytes(bytes);
    let mut world = World::new();
    while !source.0.is_empty() {
        // A refusal changes nothing.
        let _ = world.step(&mut source);
        world.check();
    }
    world.leave();
    assert!(world.done.iter().sum::<u64>() <= bytes.len() as u64);
});

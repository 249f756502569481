//! A graph from any bytes, or from an example's with changes: it is refused, or every plan of it gives the same bits or the same fault.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use sip_graph::Graph;
use std::sync::Arc;

#[path = "../../crates/graph/tests/every_plan/mod.rs"]
mod every_plan;

fn check(bytes: &[u8]) {
    let Ok(graph) = Graph::from_bytes(bytes) else { return };
    assert_eq!(graph.to_bytes(), bytes, "the bytes are the only ones for their graph");
    let graph = Arc::new(graph);
    if let Some(given) = every_plan::foreign::given(&graph) {
        assert_eq!(every_plan::first_difference(&graph, &given), None);
    }
}

/// The example with some words changed, by a little or altogether.
fn changed(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = every_plan::foreign::example().to_bytes();
    for _ in 0..input.int_in_range(1..=6)? {
        let at = input.int_in_range(0..=bytes.len() / 4 - 1)? * 4;
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[at..at + 4]);
        let old = i32::from_le_bytes(word);
        let new = match input.int_in_range(0..=2u8)? {
            0 => input.arbitrary()?,
            1 => input.int_in_range(-40..=40)?,
            _ => old.wrapping_add(input.int_in_range(-40..=40)?),
        };
        bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
    }
    Ok(bytes)
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte says whether the rest is the graph or says how the example is changed.
    let Some((&first, rest)) = bytes.split_first() else { return };
    if first & 1 == 0 {
        check(rest);
    } else if let Ok(bytes) = changed(&mut Unstructured::new(rest)) {
        check(&bytes);
    }
});

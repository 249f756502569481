//! Graphs as bytes: the bytes are the only ones of their graph, and whatever else they say, nothing panics and every plan agrees.

use crate::every_plan::first_difference;
use crate::every_plan::foreign::{example, given};
use proptest::prelude::*;
use sip_graph::{Buffer, Builder, Executor, ExecutorOptions, Graph, GraphError, PlanError, RunError};
use sip_kernels::Threads;
use sip_ops::{Kind, NodeSpec, Source, Type};
use std::sync::Arc;

#[test]
fn bytes_are_read_back() {
    for graph in [example(), Graph::new(Vec::new(), Vec::new(), Vec::new()).expect("the empty graph")] {
        assert_eq!(Graph::from_bytes(&graph.to_bytes()), Ok(graph));
    }
}

#[test]
fn every_prefix_and_every_longer_text_is_refused() {
    let bytes = example().to_bytes();
    for end in 0..bytes.len() {
        let error = Graph::from_bytes(&bytes[..end]).expect_err("too short");
        assert!(matches!(error, GraphError::Bytes { .. }), "{end}: {error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Graph::from_bytes(&longer), Err(GraphError::Bytes { at, .. }) if at == bytes.len()));
}

#[test]
fn more_than_there_can_be_is_refused_before_there_is_room_for_it() {
    for words in [&[u32::MAX][..], &[0, u32::MAX], &[0, 0, u32::MAX], &[1, u32::MAX, 0, 0, 0, 0]] {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(matches!(Graph::from_bytes(&bytes), Err(GraphError::Bytes { .. })), "{words:?}");
    }
    let node = NodeSpec {
        kind: Kind::Input,
        dtype: Type::F32,
        out_sizes: Vec::new(),
        reduce_sizes: Vec::new(),
        operands: Vec::new(),
        constraint: None,
        starts_from_operand: false,
        source: Source::Table(0),
        program: Vec::new(),
    };
    let nodes = vec![node; sip_graph::MAX_NODES + 1];
    assert_eq!(Graph::new(nodes, Vec::new(), Vec::new()), Err(GraphError::Size { nodes: sip_graph::MAX_NODES + 1 }));
}

#[test]
fn a_graph_that_needs_more_memory_than_it_may_have_does_not_run() {
    // 2³¹ elements of one value, from a graph of three nodes.
    let mut b = Builder::new();
    let (many, more) = (b.axis(1 << 16), b.axis(1 << 15));
    let x = b.input(Source::Table(0), &[1], Type::F32);
    let all = [many, more];
    let wide = b.map(&all, [x.read(&[])], |p, [x]| p.exp(x));
    let most = b.reduce_max(&[many], &[more], wide.read(&all), None);
    let graph = Arc::new(b.finish(&[], &[("most", most), ("wide", wide)]).expect("graph"));
    let options = ExecutorOptions { max_bytes: 1 << 20, ..ExecutorOptions::default() };
    let mut executor = Executor::new(graph, Arc::new(Threads::new(1)), options);
    assert!(matches!(executor.plan_error(), Some(PlanError::Memory { needed, most }) if needed > most));
    let (state, table) = ([], [Buffer::from([1.0f32].as_slice())]);
    let inputs = sip_graph::Inputs { state: &state, batch: &[], step: 0, tables: &table, settings: &[] };
    let error = executor.run(&inputs, &mut [], None).expect_err("there is no plan");
    assert!(matches!(error, RunError::Plan(PlanError::Memory { .. })), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_changed_bytes_say_is_refused_or_runs_the_same_under_every_plan(
        changes in prop::collection::vec((any::<prop::sample::Index>(), -40i32..40, any::<bool>()), 1..4),
    ) {
        let mut bytes = example().to_bytes();
        for (place, value, adds) in changes {
            // Words lie anywhere: what describes nodes is a whole number of words, names are not.
            let at = place.index(bytes.len() / 4 - 1) * 4;
            let word: &mut [u8; 4] = (&mut bytes[at..at + 4]).try_into().expect("four bytes");
            let old = i32::from_le_bytes(*word);
            *word = (if adds { old.wrapping_add(value) } else { value }).to_le_bytes();
        }
        if let Ok(graph) = Graph::from_bytes(&bytes) {
            prop_assert_eq!(graph.to_bytes(), bytes, "the bytes are the only ones");
            let graph = Arc::new(graph);
            if let Some(given) = given(&graph) {
                prop_assert_eq!(first_difference(&graph, &given), None);
            }
        }
    }
}

//! Trainers, auditors and the outer step on a tiny model.

use sip_data::{Mixture, TokenBlob};
use sip_graph::AdamW;
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Schedule, Shape, TrainConfig, init, tables, training_graph};
use sip_node::{Cheat, SegmentTask, State, Task, Worker, aggregate};
use sip_ops::Kind;
use std::sync::Arc;

fn task() -> (Task, SegmentTask, Arc<Threads>) {
    let threads = Arc::new(Threads::new(2));
    let config = LlamaConfig { vocab_size: 300, ..LlamaConfig::preset("tiny").unwrap() };
    let optimizer = AdamW::default();
    let train = TrainConfig { batch: 2, seq_len: 16, total_steps: 64, optimizer };
    let graph = Arc::new(training_graph(&config, &train).unwrap().graph);
    let schedule =
        Schedule { peak_rate: 1e-3, warmup_steps: 4, total_steps: 64, final_share: 0.1, shape: Shape::Cosine };
    let tables = tables(&config, 16, &optimizer, &schedule);
    let blob = |salt: u32| Arc::new(TokenBlob::new((0..2000u32).map(|i| (i * 7 + i * i * salt) % 300).collect()));
    let roots = Task::commit(&graph, &tables);
    let task = Task {
        graph,
        tables,
        roots,
        domains: vec![blob(3), blob(5)],
        batch: 2,
        sequence_length: 16,
        inner_steps: 7,
        leaf_interval: 3,
        held_out: None,
    };
    let base = Arc::new(State::new(init(&config, 1, &threads).unwrap(), &threads));
    let segment = SegmentTask {
        round: 2,
        seed: [9; 32],
        mixture: Mixture::uniform(2).unwrap(),
        place: 1,
        base,
        bases: Vec::new(),
    };
    (task, segment, threads)
}

/// The last node of a kind: on the way from a gradient to a weight.
fn node(task: &Task, kind: Kind) -> u32 {
    task.graph.nodes().iter().rposition(|n| n.kind == kind && n.len() > 8).unwrap() as u32
}

#[test]
fn a_replay_gives_the_same_leaves_and_the_same_digest_on_every_machine() {
    let (task, segment, threads) = task();
    let mut trainer = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let committed = trainer.train(&segment, None, &mut |_| true).unwrap();
    assert_eq!(committed.leaves.iter().map(|l| l.count).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(committed.losses.len(), 7);
    let audit = |count: usize, simd: Simd| {
        let mut worker = Worker::new(task.clone(), Arc::new(Threads::new(count)), simd);
        worker
            .audit(&segment, (&committed.leaves, &committed.end.root()), &[([1; 32], [2; 32])], &mut |_| true)
            .unwrap()
    };
    let (first, second) = (audit(1, Simd::Scalar), audit(3, Simd::detect()));
    assert_eq!((first.divergence, second.divergence), (None, None));
    assert_eq!(first.digests, second.digests);
    assert_eq!(first.replayed.end.root(), committed.end.root());
}

#[test]
fn every_cheat_is_found_in_the_first_leaf_that_it_touches() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task.clone(), threads, Simd::detect());
    let cheats = [
        (Cheat::Lazy, 0),
        (Cheat::Poison { node: node(&task, Kind::Contract) }, 0),
        (Cheat::FlipBit { step: 4, node: node(&task, Kind::Map), element: 3, bit: 20 }, 1),
        (Cheat::WrongData { domain: 1 }, 0),
    ];
    for (cheat, leaf) in cheats {
        let committed = worker.train(&segment, Some(&cheat), &mut |_| true).unwrap();
        let audit = worker
            .audit(&segment, (&committed.leaves, &committed.end.root()), &[([1; 32], [2; 32])], &mut |_| true)
            .unwrap();
        assert_eq!(audit.divergence.map(|d| d.leaf), Some(leaf), "{cheat:?}");
    }
}

#[test]
fn an_end_that_the_leaves_do_not_reach_is_found() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task, threads, Simd::detect());
    let committed = worker.train(&segment, None, &mut |_| true).unwrap();
    let audit = worker.audit(&segment, (&committed.leaves, &[7; 32]), &[], &mut |_| true).unwrap();
    assert_eq!(audit.divergence.map(|d| d.leaf), Some(2));
}

#[test]
fn the_state_before_a_step_is_on_the_way_to_the_end() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task, threads, Simd::detect());
    let segment_done = worker.train(&segment, None, &mut |_| true).unwrap();
    assert_eq!(worker.advance(&segment, None, 0, 3, &segment.base).unwrap().root(), segment_done.leaves[0].end_root);
    let middle = worker.advance(&segment, None, 0, 2, &segment.base).unwrap();
    assert_eq!(worker.advance(&segment, None, 2, 3, &middle).unwrap().root(), segment_done.leaves[0].end_root);
}

#[test]
fn the_mean_of_one_state_is_that_state_and_the_mean_of_two_lies_between() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task, Arc::clone(&threads), Simd::detect());
    let one = worker.train(&segment, None, &mut |_| true).unwrap().end;
    let other = worker.train(&SegmentTask { place: 0, ..segment }, None, &mut |_| true).unwrap().end;
    assert_eq!(aggregate(&[Arc::clone(&one)], &threads, Simd::detect()).unwrap().root(), one.root());
    let mean = aggregate(&[Arc::clone(&one), Arc::clone(&other)], &threads, Simd::Scalar).unwrap();
    for ((a, b), m) in one.entries().iter().zip(other.entries()).zip(mean.entries()) {
        for ((a, b), m) in a.iter().zip(b.iter()).zip(m.iter()) {
            let (a, b, m) = (f32::from_bits(*a), f32::from_bits(*b), f32::from_bits(*m));
            assert!(m >= a.min(b) && m <= a.max(b));
        }
    }
    assert!(aggregate(&[], &threads, Simd::Scalar).is_err());
}

//! Trainers, auditors and the outer step on a tiny model.

use sip_data::{Mixture, TokenBlob};
use sip_graph::{AdamW, Steered};
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, Schedule, Shape, TrainConfig, init, tables, training_graph};
use sip_node::dispute::Evidence;
use sip_node::{
    Aggregates, Cheat, Computation, Keep, Pause, Replay, SegmentTask, State, Task, WorkError, Worker, aggregate,
};
use sip_ops::Kind;
use sip_proof::merkle::Opening;
use sip_proof::{Hash, HostSha256, roots_tree, tensor_root};
use std::sync::Arc;

fn task() -> (Task, SegmentTask, Arc<Threads>) {
    let threads = Arc::new(Threads::new(2));
    let config = LlamaConfig { vocab_size: 300, ..LlamaConfig::preset("tiny").unwrap() };
    let steered = Steered { learning_rate: Some(0), weight_decay: Some(1) };
    let optimizer = AdamW { steered, ..AdamW::default() };
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
        first_step: 14,
        seed: [9; 32],
        mixture: Mixture::uniform(2).unwrap(),
        settings: [98_304, 32_768, 0, 0],
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
        worker.audit(&segment, (&committed.leaves, &committed.end.root()), &[2], &mut |_| true).unwrap()
    };
    let (first, second) = (audit(1, Simd::Scalar), audit(3, Simd::detect()));
    assert_eq!((first.divergence, second.divergence), (None, None));
    assert_eq!(first.trace_roots, second.trace_roots);
    let drawn = 2 * 3;
    let before = trainer.advance(&segment, None, 0, drawn, &segment.base).unwrap();
    let (trace, fault) = trainer.trace(&segment, None, drawn, &before, Keep::Bytes(usize::MAX)).unwrap();
    let nodes = 0..task.graph.nodes().len() as u32;
    let roots: Vec<Hash> = nodes.map(|node| tensor_root(trace.tensor(node).unwrap())).collect();
    assert_eq!(roots, trace.roots());
    assert_eq!((fault, first.trace_roots[0]), (None, roots_tree(&roots).root()));
    assert_eq!(first.replayed.end.root(), committed.end.root());
}

#[test]
fn a_leaf_is_attested_from_a_checkpoint_as_by_a_whole_replay() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task, threads, Simd::detect());
    let committed = worker.train(&segment, None, &mut |_| true).unwrap();
    let leaves = [0, 1, 2];
    for (every_steps, computed) in [(0, [1, 4, 7]), (1, [1, 1, 1]), (4, [1, 4, 1])] {
        worker.keep_checkpoints(every_steps);
        let audit = worker.audit(&segment, (&committed.leaves, &committed.end.root()), &leaves, &mut |_| true).unwrap();
        for leaf in leaves {
            let (root, steps) = worker.trace_root(&segment, leaf * 3, &audit.checkpoints).unwrap();
            assert_eq!(
                (root, steps),
                (audit.trace_roots[leaf as usize], computed[leaf as usize]),
                "every {every_steps}"
            );
        }
    }
}

#[test]
fn a_segment_that_was_stopped_after_any_step_ends_as_if_it_had_not_been() {
    let (task, segment, threads) = task();
    let mut worker = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let whole = worker.train(&segment, None, &mut |_| true).unwrap();
    let replayed = worker.replay(&segment, &[0, 2], &mut |_| true).unwrap();
    for stop_at in 0..task.inner_steps {
        // A worker of its own each time: nothing but the pause is carried over.
        let mut pause = None;
        let mut first = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
        let stopped = first.train_on(&segment, None, None, &mut |step, of| {
            pause = (step == stop_at).then(of);
            pause.is_none()
        });
        assert!(matches!(stopped, Err(WorkError::Stopped)));
        let mut second = Worker::new(task.clone(), Arc::clone(&threads), Simd::Scalar);
        let mut steps = 0;
        let mut count = |_: u32, _: &dyn Fn() -> Pause| {
            steps += 1;
            true
        };
        let rest = second.train_on(&segment, None, pause, &mut count).unwrap();
        assert_eq!((rest.leaves, rest.losses), (whole.leaves.clone(), whole.losses.clone()), "after step {stop_at}");
        assert_eq!((rest.end.root(), steps), (whole.end.root(), task.inner_steps - 1 - stop_at));
        let mut pause = None;
        let stopped = first.replay_on(&segment, &[0, 2], None, &mut |step, of| {
            pause = (step == stop_at).then(of);
            pause.is_none()
        });
        assert!(stopped.is_err());
        let rest = second.replay_on(&segment, &[0, 2], pause, &mut |_, _| true).unwrap();
        assert_eq!((rest.trace_roots, rest.segment.end.root()), (replayed.trace_roots.clone(), whole.end.root()));
    }
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
        (Cheat::WrongSetting { setting: 0, value: 131_072 }, 0),
        (Cheat::WrongSetting { setting: 1, value: 32_769 }, 0),
    ];
    for (cheat, leaf) in cheats {
        let committed = worker.train(&segment, Some(&cheat), &mut |_| true).unwrap();
        let audit = worker.audit(&segment, (&committed.leaves, &committed.end.root()), &[2], &mut |_| true).unwrap();
        assert_eq!(audit.divergence.map(|d| d.leaf), Some(leaf), "{cheat:?}");
    }
}

#[test]
fn a_segment_that_stops_is_found_with_the_place_of_the_fault() {
    let (task, mut segment, threads) = task();
    let mut entries = segment.base.entries().to_vec();
    let gain = entries.iter().position(|entry| entry.iter().all(|bits| *bits == 1f32.to_bits())).unwrap();
    entries[gain][3] = f32::MAX.to_bits();
    segment.base = Arc::new(State::new(entries, &threads));
    let mut worker = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    assert!(worker.train(&segment, None, &mut |_| true).is_err());
    let audit = worker.audit(&segment, (&[], &[7; 32]), &[], &mut |_| true).unwrap();
    let fault = audit.fault.unwrap();
    assert_eq!((fault.step, audit.replayed.leaves.len()), (0, 0));
    assert_eq!(audit.divergence.map(|d| (d.leaf, d.expected)), Some((0, None)));
    let (trace, again) = worker.trace(&segment, None, 0, &segment.base, Keep::Bytes(usize::MAX)).unwrap();
    assert_eq!((trace.roots().len(), again), (fault.node as usize, Some(fault)));
    let nodes = task.graph.nodes().iter().enumerate().take(fault.node as usize);
    let mut lengths = nodes.map(|(number, node)| (trace.tensor(number as u32).map(<[u32]>::len), node.len()));
    assert!(lengths.all(|(found, expected)| found == Some(expected)));
    assert_eq!(trace.tensor(fault.node), None);
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

#[test]
fn a_job_commits_to_the_average_of_one_to_sixteen_states() {
    let (_, segment, threads) = task();
    let lengths: Vec<usize> = segment.base.entries().iter().map(|entry| entry.len()).collect();
    let aggregates = Aggregates::new(&lengths).unwrap();
    for count in 1..=16 {
        let (roots, path) = aggregates.opening(count).unwrap();
        let opening = Opening { leaf_count: 16, index: count as u32 - 1, path: &path.concat() };
        assert!(opening.opens::<HostSha256>(&aggregates.root(), &roots.aggregate_leaf()));
        assert_eq!(Task::commit(&aggregates.graph(count).unwrap(), &[]), roots);
    }
    assert!(aggregates.opening(0).is_err() && aggregates.opening(17).is_err() && aggregates.graph(17).is_err());
    // What the graph gives is what the round's aggregate is.
    let states = vec![Arc::clone(&segment.base), segment.base];
    let mut computed =
        Computation::new(Arc::new(aggregates.graph(2).unwrap()), states.clone(), None, &threads, Simd::detect());
    assert_eq!(computed.root().unwrap(), aggregate(&states, &threads, Simd::Scalar).unwrap().root());
}

#[test]
fn a_replay_that_keeps_nothing_shows_the_same_tensors() {
    let (task, segment, threads) = task();
    let worker = || Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let cheat = Cheat::FlipBit { step: 4, node: node(&task, Kind::Contract), element: 3, bit: 20 };
    let committed = worker().train(&segment, Some(&cheat), &mut |_| true).unwrap();
    let replay = |bytes: usize| {
        Replay::new(worker(), segment.clone(), Some(cheat.clone()), committed.leaves.clone()).keeping(bytes)
    };
    let (mut all, mut some, mut none) = (replay(usize::MAX), replay(10_000), replay(0));
    assert_eq!(all.trace_roots(4).unwrap(), none.trace_roots(4).unwrap());
    for node in [0, 5, node(&task, Kind::Contract), task.graph.nodes().len() as u32 - 1] {
        let tensor = all.tensor(4, node).unwrap();
        assert_eq!(tensor.len(), task.graph.nodes()[node as usize].len());
        assert_eq!(some.tensor(4, node).unwrap(), tensor);
        assert_eq!(none.tensor(4, node).unwrap(), tensor);
        assert_eq!(none.trace_roots(4).unwrap()[node as usize], tensor_root(&tensor));
    }
}

#[test]
fn a_side_of_a_dispute_computes_a_replay_up_to_the_end_of_the_leaf_and_one_step_more() {
    let (mut task, segment, threads) = task();
    (task.inner_steps, task.leaf_interval) = (15, 5);
    let worker = || Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let committed = worker().train(&segment, None, &mut |_| true).unwrap();
    let (leaf, step, contraction) = (1, 7, node(&task, Kind::Contract));
    let mut side = Replay::new(worker(), segment, None, committed.leaves);
    // What a dispute asks for on the longest way, in its order, more than once.
    for _ in 0..2 {
        side.leaves().unwrap();
        assert_eq!(side.steps(leaf).unwrap()[4].end_root, side.leaves().unwrap()[leaf as usize].end_root);
        side.trace_roots(step).unwrap();
        side.state_roots(step + 1).unwrap();
        side.tensor(step, contraction).unwrap();
        for operand in &task.graph.nodes()[contraction as usize].operands {
            side.tensor(step, operand.node).unwrap();
        }
    }
    assert_eq!(side.take_times().step_count, (leaf + 1) * 5 + 1);
}

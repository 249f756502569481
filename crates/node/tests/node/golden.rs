//! The bits of training, held fast: one root, whatever the instruction set and the number of threads.
//!
//! If this fails after a change that is meant to alter the graph of a model, put the new root into `exact/mod.rs` and say
//! so in the change; if it fails on another machine or after any other change, exactness is broken. `tests/exact.sh` runs the
//! same steps in builds and on processors that no single test can have.

use crate::exact::{PLANS, ROOT, hex, root, task};
use sip_graph::ExecutorOptions;
use sip_kernels::{Simd, Threads};
use sip_node::Worker;
use std::sync::Arc;

#[test]
fn training_gives_the_committed_root_on_every_instruction_set_and_number_of_threads() {
    for simd in Simd::ALL.iter().copied().filter(|simd| simd.is_supported()) {
        for threads in [1, 2, 3, 8] {
            let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
            assert_eq!(root(options, &Arc::new(Threads::new(threads))).unwrap(), ROOT, "{simd} with {threads} threads");
        }
    }
}

#[test]
fn training_gives_the_committed_root_with_every_plan() {
    for (name, plan) in PLANS {
        for simd in Simd::ALL.iter().copied().filter(|simd| simd.is_supported()) {
            let options = plan(ExecutorOptions { simd, ..ExecutorOptions::default() });
            assert_eq!(root(options, &Arc::new(Threads::new(2))).unwrap(), ROOT, "plan {name} with {simd}");
        }
    }
}

#[test]
fn a_trainer_commits_to_the_committed_root() {
    let threads = Arc::new(Threads::new(2));
    let (task, segment) = task(&threads).unwrap();
    let segment = Worker::new(task, threads, Simd::detect()).train(&segment, None, &mut |_| true).unwrap();
    assert_eq!(hex(&segment.end.root()), ROOT);
    assert_eq!(hex(&segment.leaves.last().unwrap().end_root), ROOT);
}

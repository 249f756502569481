//! A step of a graph under every plan, against node after node.
#![allow(dead_code)] // Each test file uses a part.

pub(crate) mod foreign;

use sip_graph::{Buffer, DoubleState, Executor, ExecutorOptions, Graph, Inputs, RunError};
use sip_kernels::Threads;
use std::sync::Arc;

/// What a graph reads.
pub(crate) struct Given {
    /// Entries of the state; a graph has an output for each.
    pub(crate) state: Vec<Buffer>,
    pub(crate) batch: Vec<u32>,
    pub(crate) tables: Vec<Buffer>,
    pub(crate) settings: Vec<u32>,
}

impl Given {
    fn inputs(&self) -> Inputs<'_> {
        Inputs { state: &self.state, batch: &self.batch, step: 3, tables: &self.tables, settings: &self.settings }
    }
}

/// Named results and the state after the step, or the fault.
type Outcome = Result<(Vec<Vec<u32>>, Vec<Buffer>), RunError>;

fn results(graph: &Graph, executor: &Executor) -> Vec<Vec<u32>> {
    let named = graph.results().iter();
    named.map(|(name, _)| executor.result(name).expect("a result that the graph names").to_vec()).collect()
}

/// The step into room of its own.
fn apart(graph: &Graph, given: &Given, executor: &mut Executor) -> Outcome {
    let mut next: Vec<Buffer> = given.state.iter().map(|entry| Buffer::new(entry.len())).collect();
    executor.run(&given.inputs(), &mut next, None)?;
    Ok((results(graph, executor), next))
}

/// The step as training runs it, where it may replace the state.
fn replacing(graph: &Graph, given: &Given, executor: &mut Executor) -> Outcome {
    let mut state = DoubleState::new(given.state.clone());
    let outcome = executor.step(&mut state, &given.inputs(), None);
    if let Err(fault) = outcome {
        assert_eq!(state.entries(), given.state, "a fault changed the state");
        return Err(fault);
    }
    Ok((results(graph, executor), state.into_entries()))
}

/// Every plan that there is.
fn plans() -> Vec<(usize, ExecutorOptions)> {
    let mut plans = Vec::new();
    for fuse in [false, true] {
        for recompute in [false, true] {
            for micro_batches in [1, 2, 3] {
                for threads in [1, 3] {
                    let options = ExecutorOptions { fuse, recompute, micro_batches, ..ExecutorOptions::default() };
                    plans.push((threads, options));
                }
            }
        }
    }
    plans.push((3, ExecutorOptions { keep_all: true, ..ExecutorOptions::default() }));
    plans
}

/// The step, node after node.
pub(crate) fn plain(graph: &Arc<Graph>, given: &Given) -> Outcome {
    let options = ExecutorOptions { keep_all: true, ..ExecutorOptions::default() };
    let mut executor = Executor::new(Arc::clone(graph), Arc::new(Threads::new(1)), options);
    apart(graph, given, &mut executor)
}

/// Which plan gives something else than node after node, and what.
pub(crate) fn first_difference(graph: &Arc<Graph>, given: &Given) -> Option<String> {
    let expected = plain(graph, given);
    let pools = [1, 3].map(|count| (count, Arc::new(Threads::new(count))));
    for (count, options) in plans() {
        let threads = &pools.iter().find(|(pool, _)| *pool == count).expect("a pool of that size").1;
        let mut executor = Executor::new(Arc::clone(graph), Arc::clone(threads), options);
        for (name, run) in [("run", apart as fn(&Graph, &Given, &mut Executor) -> Outcome), ("step", replacing)] {
            let found = run(graph, given, &mut executor);
            if found != expected {
                let (found, expected) = (describe(graph, &found, &expected), describe(graph, &expected, &expected));
                return Some(format!("{name}, {count} threads, {options:?}: {found} instead of {expected}"));
            }
        }
    }
    None
}

/// A fault, or the results and entries that are not as expected.
fn describe(graph: &Graph, outcome: &Outcome, expected: &Outcome) -> String {
    match (outcome, expected) {
        (Err(fault), _) => format!("\"{fault}\""),
        (Ok(_), Err(_)) => "no fault".into(),
        (Ok((results, state)), Ok(expected)) => {
            let names = graph.results().iter().map(|(name, node)| format!("{name} (node {node})"));
            let entries = graph.state_outputs().iter().enumerate();
            let names = names.chain(entries.map(|(entry, node)| format!("entry {entry} (node {node})")));
            let found = results.iter().map(|result| &result[..]).chain(state.iter().map(|entry| &entry[..]));
            let wanted = expected.0.iter().map(|result| &result[..]).chain(expected.1.iter().map(|entry| &entry[..]));
            let wrong = names.zip(found.zip(wanted)).filter_map(|(name, (found, wanted))| {
                let count = found.iter().zip(wanted).filter(|(a, b)| a != b).count();
                (count > 0).then(|| format!("{count} of {} elements of {name} differ", found.len()))
            });
            let wrong: Vec<String> = wrong.collect();
            if wrong.is_empty() { "the expected bits".into() } else { wrong.join(", ") }
        }
    }
}

/// Values between −1 and 1, other ones for every seed.
pub(crate) fn values(len: usize, seed: u64) -> Buffer {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..len).map(|_| next()).collect();
    Buffer::from(values.as_slice())
}

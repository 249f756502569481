//! Running graphs: memory, observers, faults and the optimizer.

use sip_graph::{
    AdamW, Buffer, Builder, DoubleState, Executor, ExecutorOptions, Graph, Inputs, Moments, RunError, Steered, adamw,
};
use sip_kernels::Threads;
use sip_ops::{Source, Type};
use std::sync::Arc;

fn executor(graph: &Arc<Graph>, keep_all: bool) -> Executor {
    let options = ExecutorOptions { keep_all, ..ExecutorOptions::default() };
    Executor::new(Arc::clone(graph), Arc::new(Threads::new(1)), options)
}

/// State entry 0 becomes its square plus 1, entry 1 stays, entry 2 becomes what entry 0 becomes.
fn counter() -> Arc<Graph> {
    let mut b = Builder::new();
    let all = b.axis(3);
    let x = b.input(Source::State(0), &[3], Type::F32);
    let y = b.input(Source::State(1), &[3], Type::F32);
    let z = b.input(Source::State(2), &[3], Type::F32);
    let square = b.contract(&[all], &[], x.read(&[all]), x.read(&[all]));
    let next = b.map(&[all], [square.read(&[all])], |p, [x]| {
        let one = p.constant(1.0);
        p.add(x, one)
    });
    let both = b.contract(&[all], &[], next.read(&[all]), z.read(&[all]));
    Arc::new(b.finish(&[next, y, next], &[("both", both)]).expect("graph"))
}

fn state() -> DoubleState {
    let entry = |values: [f32; 3]| Buffer::from(values.as_slice());
    DoubleState::new(vec![entry([1.0, 2.0, 3.0]), entry([7.0; 3]), entry([0.5; 3])])
}

#[test]
fn a_step_gives_every_entry_its_node() {
    let graph = counter();
    let mut executor = executor(&graph, false);
    let mut state = state();
    executor.step(&mut state, &Inputs::default(), None).expect("step");
    assert_eq!(state.entries()[0].to_f32(), [2.0, 5.0, 10.0]);
    assert_eq!(state.entries()[1].to_f32(), [7.0; 3]);
    assert_eq!(state.entries()[2].to_f32(), [2.0, 5.0, 10.0]);
    let both: Vec<f32> = executor.result("both").expect("result").iter().map(|&b| f32::from_bits(b)).collect();
    assert_eq!(both, [1.0, 2.5, 5.0]);
}

#[test]
fn what_an_observer_changes_is_what_later_nodes_read() {
    let graph = counter();
    let mut executor = executor(&graph, true);
    let mut state = state();
    let mut seen = Vec::new();
    let mut observer = |node: usize, out: &mut [u32]| {
        seen.push(node);
        if seen.len() == 1 {
            out[1] ^= 1 << 23; // the square of 2 becomes 2
        }
    };
    executor.step(&mut state, &Inputs::default(), Some(&mut observer)).expect("step");
    assert_eq!(seen.len(), graph.nodes().len() - 3);
    assert_eq!(state.entries()[0].to_f32(), [2.0, 3.0, 10.0]);
}

#[test]
fn a_fault_names_the_node_and_leaves_the_state() {
    let graph = counter();
    let mut executor = executor(&graph, false);
    let start = Buffer::from([1.0f32, 3e38, 3.0].as_slice());
    let mut state = DoubleState::new(vec![start.clone(), Buffer::new(3), Buffer::new(3)]);
    let error = executor.step(&mut state, &Inputs::default(), None).expect_err("the square overflows");
    let RunError::Fault { node, fault, .. } = &error else { panic!("{error}") };
    assert_eq!(graph.nodes()[*node as usize].kind, sip_ops::Kind::Contract);
    assert!(matches!(fault, sip_kernels::Fault::NotFinite { index: 1, .. }), "{fault}");
    assert_eq!(state.entries()[0], start);
}

#[test]
fn an_input_of_the_wrong_length_is_refused() {
    let graph = counter();
    let mut state = DoubleState::new(vec![Buffer::new(3), Buffer::new(2), Buffer::new(3)]);
    let error = executor(&graph, false).step(&mut state, &Inputs::default(), None).expect_err("2 is not 3");
    assert_eq!(error.to_string(), "input State(1) has 2 elements, expected 3");
}

#[test]
fn shared_memory_changes_nothing() {
    let mut b = Builder::new();
    let all = b.axis(40);
    let x = b.input(Source::State(0), &[40], Type::F32);
    let mut tensors = vec![x];
    for n in 1..30 {
        tensors.push(b.contract(&[all], &[], tensors[n - 1].read(&[all]), x.read(&[all])));
    }
    let last = tensors[29];
    let graph = Arc::new(b.finish(&[], &[("last", last)]).expect("graph"));
    let input = Buffer::from((0..40).map(|n| 1.0 - n as f32 / 80.0).collect::<Vec<f32>>().as_slice());
    let run = |keep_all| {
        let mut executor = executor(&graph, keep_all);
        let inputs = Inputs { state: std::slice::from_ref(&input), batch: &[], step: 0, tables: &[], settings: &[] };
        executor.run(&inputs, &mut [], None).expect("run");
        (executor.result("last").expect("last").to_vec(), executor.arena_bytes())
    };
    let (kept, kept_bytes) = run(true);
    let (shared, shared_bytes) = run(false);
    assert_eq!(kept, shared);
    assert!(shared_bytes < kept_bytes);
}

#[test]
fn adamw_follows_its_definition() {
    check_adamw(Steered::default(), &[], [1.0, 1.0]);
}

#[test]
fn settings_multiply_the_learning_rate_and_the_weight_decay() {
    // One and a half, a half, 65,535.99998 and nothing.
    let settings = [98_304, 32_768, u32::MAX, 0];
    check_adamw(Steered { learning_rate: Some(0), weight_decay: None }, &settings, [1.5, 1.0]);
    check_adamw(Steered { learning_rate: None, weight_decay: Some(1) }, &settings, [1.0, 0.5]);
    check_adamw(Steered { learning_rate: Some(1), weight_decay: Some(0) }, &settings, [0.5, 1.5]);
    check_adamw(Steered { learning_rate: Some(3), weight_decay: Some(2) }, &settings, [0.0, 65_536.0]);
    let bits = |steered, settings: &[u32]| check_adamw(steered, settings, [1.0, 1.0]);
    let steered = Steered { learning_rate: Some(2), weight_decay: Some(2) };
    assert_eq!(bits(steered, &[0, 0, 1 << 16, 0]), bits(Steered::default(), &[]), "one changes no bit");
}

#[test]
fn settings_that_are_not_there_are_refused() {
    let mut b = Builder::new();
    let settings = b.input(Source::Setting, &[4], Type::U32);
    let all = b.axis(4);
    let scales = b.map(&[all], [settings.read(&[all])], |p, [word]| p.from_u(word));
    let graph = Arc::new(b.finish(&[], &[("scales", scales)]).expect("graph"));
    let inputs = Inputs { settings: &[1, 2, 3], ..Inputs::default() };
    let error = executor(&graph, false).run(&inputs, &mut [], None).expect_err("three are not four");
    assert_eq!(error, RunError::Input { what: "Setting".into(), found: 3, expected: 4 });
}

/// Runs a step against f64 arithmetic; `scales` multiply the learning rate and the weight decay. Gives the state after it.
fn check_adamw(steered: Steered, settings: &[u32], scales: [f64; 2]) -> Vec<Buffer> {
    let config = AdamW { clip_norm: 0.5, steered, ..AdamW::default() };
    let len = 40;
    let mut b = Builder::new();
    let mut input = |n: u32| b.input(Source::State(n), &[len], Type::F32);
    let (weight, first, second, gradient) = (input(0), input(1), input(2), input(3));
    let scalars = b.input(Source::Table(0), &[4], Type::F32);
    let moments = [Moments { weight, first, second, gradient, decay: true }];
    let [new] = adamw(&mut b, &config, scalars, &moments)[..] else { panic!("one tensor in, one out") };
    let graph = Arc::new(b.finish(&[new[0], new[1], new[2], gradient], &[]).expect("graph"));
    let value = |n: usize, seed: usize| ((n * 31 + seed * 17) % 23) as f64 / 23.0 - 0.4;
    let entry = |seed: usize| (0..len).map(|n| value(n, seed)).collect::<Vec<f64>>();
    let (w, m, g) = (entry(1), entry(2), entry(3));
    let v: Vec<f64> = entry(4).iter().map(|v| v * v).collect();
    let buffer = |x: &[f64]| Buffer::from(x.iter().map(|&x| x as f32).collect::<Vec<f32>>().as_slice());
    let mut state = DoubleState::new([&w, &m, &v, &g].map(|x| buffer(x)).to_vec());
    let (rate, c1, c2) = (0.01, 2.5, 4.0);
    let tables = [buffer(&[rate, c1, c2, 0.0])];
    executor(&graph, false)
        .step(&mut state, &Inputs { tables: &tables, settings, ..Inputs::default() }, None)
        .expect("step");
    let rate = rate * scales[0];
    let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
    assert!(norm > config.clip_norm as f64);
    let scale = config.clip_norm as f64 / norm;
    for n in 0..len {
        let gradient = g[n] * scale;
        let first = 0.9 * m[n] + 0.1 * gradient;
        let second = 0.95 * v[n] + 0.05 * gradient * gradient;
        let direction = first * c1 / ((second * c2).sqrt() + 1e-8);
        let weight = w[n] - rate * (direction + 0.1 * scales[1] * w[n]);
        for (entry, expected) in [weight, first, second].into_iter().enumerate() {
            let found = f32::from_bits(state.entries()[entry][n]) as f64;
            assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{entry} {n}: {found}, {expected}");
        }
    }
    state.into_entries()
}

//! A job that a person can follow: tokens are drawn to the one that comes next, by an embedding of three numbers each.

use sip_data::{Mixture, TokenBlob};
use sip_graph::{Buffer, Builder, Graph};
use sip_node::{SegmentTask, State, Task};
use sip_ops::{Source, Type};
use std::sync::Arc;

/// Tokens that there are.
pub(super) const VOCABULARY: usize = 6;
/// Numbers of an embedding.
pub(super) const FEATURES: usize = 3;
/// Sequences of a step, and tokens of each.
pub(super) const BATCH: usize = 2;
pub(super) const SEQUENCE: usize = 2;

/// Forward, backward, and a step down whose rate is a table's, times a setting.
pub(super) fn step() -> Graph {
    let mut b = Builder::new();
    let [word, feature, row, token, one] = [VOCABULARY, FEATURES, BATCH, SEQUENCE, 1].map(|size| b.axis(size));
    let embedding = b.input(Source::State(0), &[VOCABULARY, FEATURES], Type::F32);
    let batch = b.input(Source::Batch, &[BATCH, SEQUENCE + 1], Type::U32);
    let number = b.input(Source::Step, &[1], Type::U32);
    let rates = b.input(Source::Table(0), &[16, 1], Type::F32);
    let settings = b.input(Source::Setting, &[4], Type::U32);
    let all = [feature, row, token];
    let token_at = |b: &mut Builder, offset: i32| {
        let ids = batch.strided(offset, &[(row, SEQUENCE as i32 + 1), (token, 1)]);
        b.gather(&all, ids, embedding.strided(0, &[(feature, 1)]), FEATURES)
    };
    let (here, next) = (token_at(&mut b, 0), token_at(&mut b, 1));
    let apart = b.map(&all, [here.read(&all), next.read(&all)], |p, [here, next]| p.sub(here, next));
    let loss = b.contract(&[one], &all, apart.read(&all), apart.read(&all));
    let gradient = b.gradients(loss, &[embedding])[0];
    let rate = b.gather(&[one], number.strided(0, &[]), rates.strided(0, &[]), 1);
    let at = [word, feature];
    let views = [embedding.read(&at), gradient.read(&at), rate.strided(0, &[]), settings.strided(0, &[])];
    let down = b.map(&at, views, |p, [weight, gradient, rate, setting]| {
        let (units, unit) = (p.from_u(setting), p.constant(1.0 / 65_536.0));
        let scale = p.mul(units, unit);
        let rate = p.mul(rate, scale);
        let change = p.mul(gradient, rate);
        p.sub(weight, change)
    });
    b.finish(&[down], &[("loss", loss)]).expect("a graph")
}

/// Table 0: the rate of each step.
pub(super) fn rates() -> Buffer {
    Buffer::from((0..16).map(|step| 0.125 / (1.0 + step as f32)).collect::<Vec<f32>>().as_slice())
}

/// The embedding at the beginning.
pub(super) fn embedding() -> Vec<u32> {
    (0..VOCABULARY * FEATURES).map(|at| ((at * 7 % 11) as f32 * 0.25 - 1.0).to_bits()).collect()
}

/// Training tokens of two domains.
pub(super) fn domains() -> Vec<Arc<TokenBlob>> {
    let tokens = |factor: u32, len: u32| (0..len).map(|at| (at * at + factor * at) % VOCABULARY as u32).collect();
    vec![Arc::new(TokenBlob::new(tokens(1, 40))), Arc::new(TokenBlob::new(tokens(5, 57)))]
}

/// Segments of five steps, two a leaf.
pub(super) fn task() -> Task {
    let (graph, tables) = (Arc::new(step()), vec![rates()]);
    Task {
        roots: Task::commit(&graph, &tables),
        graph,
        tables,
        domains: domains(),
        batch: BATCH as u32,
        sequence_length: SEQUENCE as u32,
        inner_steps: 5,
        leaf_interval: 2,
        held_out: None,
    }
}

/// A trainer's segment.
pub(super) fn segment(base: Arc<State>, place: u8, seed: [u8; 32]) -> SegmentTask {
    SegmentTask {
        round: 3,
        first_step: 5,
        seed,
        mixture: Mixture::new(&[3_000, 7_000]).expect("a mixture"),
        settings: [87_381, 0, 0, 0],
        place,
        base,
        bases: Vec::new(),
    }
}

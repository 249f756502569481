//! What somebody else may say a graph is: an example to change, and inputs for what comes out.

use super::{Given, values};
use sip_graph::{Buffer, Builder, Contraction, Graph};
use sip_ops::{Kind, Source, Type};

/// Most multiply-adds of a graph that is run.
const MOST_WORK: usize = 1 << 20;

/// A graph with operators of every kind that the planner treats in its own way.
pub(crate) fn example() -> Graph {
    let mut b = Builder::new();
    let [row, token, feature, other, word] = [4, 24, 16, 8, 16].map(|size| b.axis(size));
    let batch = b.input(Source::Batch, &[4, 25], Type::U32);
    let ids = batch.strided(0, &[(row, 25), (token, 1)]);
    let embedding = b.input(Source::State(0), &[16 * 16], Type::F32);
    let weight = b.input(Source::State(1), &[8 * 16], Type::F32);
    let all = [feature, row, token];
    let x = b.gather(&all, ids.clone(), embedding.strided(0, &[(feature, 1)]), 16);
    let at = [row, token];
    let sums = b.reduce_add(&at, &[feature], x.read(&all));
    let scaled = b.map(&all, [x.read(&all), sums.read(&at)], |p, [x, sum]| {
        let magnitude = p.abs(sum);
        let minus = p.neg(magnitude);
        let share = p.exp(minus);
        p.mul(x, share)
    });
    let hidden = b.contraction(Contraction {
        out: &[other, row, token],
        reduce: &[feature],
        a: weight.read(&[other, feature]),
        b: scaled.read(&all),
        start: None,
        only: Some((other, feature)),
    });
    let losses = b.reduce_max(&at, &[other], hidden.read(&[other, row, token]), None);
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&at));
    let counts = b.scatter_add(&[word, feature], &[row, token], ids, scaled.read(&all));
    let next =
        b.map(&[word, feature], [embedding.read(&[word, feature]), counts.read(&[word, feature])], |p, [w, g]| {
            p.sub(w, g)
        });
    b.finish(&[next, weight], &[("loss", loss), ("hidden", hidden)]).expect("graph")
}

/// Inputs of the lengths that the graph reads; `None` if running it would take long.
pub(crate) fn given(graph: &Graph) -> Option<Given> {
    let mut given = Given { state: Vec::new(), batch: Vec::new(), tables: Vec::new(), settings: Vec::new() };
    let work = graph.nodes().iter().map(|spec| spec.len().saturating_mul(spec.terms())).fold(0, usize::saturating_add);
    if work > MOST_WORK {
        return None;
    }
    for (entry, &node) in graph.state_outputs().iter().enumerate() {
        given.state.push(values(graph.nodes()[node as usize].len(), entry as u64));
    }
    for spec in graph.nodes().iter().filter(|spec| spec.kind == Kind::Input) {
        match spec.source {
            // An entry that no output replaces is none of a step.
            Source::State(entry) if entry as usize >= given.state.len() => return None,
            Source::State(_) | Source::Step => {}
            Source::Setting => given.settings = (0..spec.len()).map(|i| (i as u32 + 3) << 14).collect(),
            Source::Batch => given.batch = (0..spec.len()).map(|i| (i * i % 16) as u32).collect(),
            Source::Table(number) if number < 8 => {
                while given.tables.len() <= number as usize {
                    given.tables.push(Buffer::default());
                }
                given.tables[number as usize] = values(spec.len(), number as u64);
            }
            Source::Table(_) => return None,
        }
    }
    Some(given)
}

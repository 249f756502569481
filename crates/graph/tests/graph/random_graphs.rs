//! Random graphs: every plan gives the bits of node after node, or the same fault.

use crate::every_plan::{Given, first_difference, values};
use proptest::prelude::*;
use sip_graph::{Axis, Builder, Contraction, Graph, Program, Tensor, Value, View};
use sip_ops::{Source, Type};
use std::sync::Arc;

/// Most elements of a tensor, and most multiply-adds of a node: bands form, and a case still takes milliseconds.
const MOST_ELEMENTS: usize = 24 * 1024;
const MOST_WORK: usize = 1 << 20;
/// Most operators, optimizer aside.
const MOST_STEPS: usize = 18;
/// Token ids are below this.
const WORDS: usize = 8;

/// Decisions from a list of numbers; 0 when it is used up, so that shorter lists give simpler graphs.
struct Choices<'a>(std::slice::Iter<'a, u16>);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |&number| number as usize % count.max(1))
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 1
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    fn are_left(&self) -> bool {
        !self.0.as_slice().is_empty()
    }
}

/// A tensor and the axes that it is row-major over.
#[derive(Clone)]
struct Known {
    tensor: Tensor,
    axes: Vec<Axis>,
    is_input: bool,
    is_read: bool,
}

struct Writer<'a> {
    b: Builder,
    choices: Choices<'a>,
    known: Vec<Known>,
    /// The axes of the batch, then that of words, then others.
    axes: Vec<Axis>,
    batch: Tensor,
    given: Given,
}

fn size(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.size() as usize).product()
}

/// x / (1 + |x|), so that nothing grows without end.
fn bounded(p: &mut Program, x: Value) -> Value {
    let one = p.constant(1.0);
    let magnitude = p.abs(x);
    let sum = p.add(one, magnitude);
    p.div(x, sum)
}

impl<'a> Writer<'a> {
    fn new(numbers: &'a [u16]) -> Writer<'a> {
        let mut choices = Choices(numbers.iter());
        let mut b = Builder::new();
        let rows = [2, 3, 4, 6][choices.below(4)];
        let tokens = [16, 48, 12, 64, 33, 96][choices.below(6)];
        let features = [32, 16, 64, 24][choices.below(4)];
        let inner = [48, 8, 3, 20][choices.below(4)];
        let axes: Vec<Axis> = [rows, tokens, WORDS, features, inner, 2].map(|size| b.axis(size)).to_vec();
        let batch = b.input(Source::Batch, &[rows, tokens + 1], Type::U32);
        let ids = (0..rows * (tokens + 1)).map(|i| ((i * i + i / 3) % WORDS) as u32).collect();
        let given = Given { state: Vec::new(), batch: ids, tables: Vec::new(), settings: Vec::new() };
        let mut writer = Writer { b, choices, known: Vec::new(), axes, batch, given };
        let [row, token, word, feature, inner] = [0, 1, 2, 3, 4].map(|axis| writer.axes[axis]);
        for axes in [&[word, feature][..], &[feature, inner], &[inner, feature], &[feature]] {
            let (entry, len) = (writer.given.state.len(), size(axes));
            let tensor = writer.b.input(Source::State(entry as u32), &[len], Type::F32);
            writer.given.state.push(values(len, 11 + entry as u64));
            writer.known.push(Known { tensor, axes: axes.to_vec(), is_input: true, is_read: true });
        }
        for axes in [&[row, token, feature][..], &[token, row], &[feature, token]] {
            let (table, len) = (writer.given.tables.len(), size(axes));
            let tensor = writer.b.input(Source::Table(table as u32), &[len], Type::F32);
            writer.given.tables.push(values(len, 31 + table as u64));
            writer.known.push(Known { tensor, axes: axes.to_vec(), is_input: true, is_read: true });
        }
        let embedding = writer.known[0].tensor.strided(0, &[(feature, 1)]);
        let mut out = vec![row, token, feature];
        writer.choices.shuffle(&mut out);
        let found = writer.b.gather(&out, writer.tokens(0), embedding, feature.size() as usize);
        writer.add(found, out);
        writer
    }

    /// The token ids, or those one place on.
    fn tokens(&self, shift: i32) -> View {
        let (row, token) = (self.axes[0], self.axes[1]);
        self.batch.strided(shift, &[(row, token.size() as i32 + 1), (token, 1)])
    }

    fn add(&mut self, tensor: Tensor, axes: Vec<Axis>) {
        self.known.push(Known { tensor, axes, is_input: false, is_read: false });
    }

    /// A tensor that nothing reads yet, one of the last few, or any.
    fn pick(&mut self) -> Known {
        let count = self.known.len();
        let unread: Vec<usize> = (0..count).filter(|&number| !self.known[number].is_read).collect();
        let number = match self.choices.below(4) {
            0 => count - 1 - self.choices.below(4),
            1 => self.choices.below(count),
            _ if unread.is_empty() => count - 1,
            _ => unread[self.choices.below(unread.len())],
        };
        self.known[number].is_read = true;
        self.known[number].clone()
    }

    fn read(&mut self, known: &Known) -> View {
        let view = known.tensor.read(&known.axes);
        let axis = known.axes[self.choices.below(known.axes.len())];
        if self.choices.one_in(10) { view.flip(axis) } else { view }
    }

    /// A bounded function of some values, which may ask for a coordinate, and rarely faults.
    fn program(&mut self, out: &[Axis]) -> impl FnOnce(&mut Program, &[Value]) -> Value + use<> {
        let (form, place) = (self.choices.below(8), self.choices.below(out.len()));
        let faults = self.choices.below(60) == 59;
        let axis = out[place];
        move |p, values| {
            let mut x = values[0];
            for (number, &value) in values.iter().enumerate().skip(1) {
                x = match (form + number) % 3 {
                    0 => p.add(x, value),
                    1 => p.mul(x, value),
                    _ => p.sub(value, x),
                };
            }
            if form == 5 {
                let (coordinate, half) = (p.coordinate(axis), p.constant_u(axis.size() / 2));
                let (is_low, minus) = (p.less_u(coordinate, half), p.neg(x));
                x = p.select(is_low, x, minus);
            }
            if form == 6 {
                let magnitude = p.abs(x);
                let minus = p.neg(magnitude);
                x = p.exp(minus);
            }
            if faults {
                let one = p.constant(0.999);
                let difference = p.sub(one, x);
                x = p.log(difference);
            }
            bounded(p, x)
        }
    }

    fn map_of(&mut self, out: Vec<Axis>, views: Vec<View>) {
        let body = self.program(&out);
        let count = views.len();
        let mut views = views.into_iter();
        let mut next = || views.next().expect("as many views as their count says");
        let tensor = match count {
            1 => self.b.map(&out, [next()], |p, values| body(p, &values)),
            2 => self.b.map(&out, [next(), next()], |p, values| body(p, &values)),
            _ => self.b.map(&out, [next(), next(), next()], |p, values| body(p, &values)),
        };
        self.add(tensor, out);
    }

    /// A map over all axes of its operands, in any order.
    fn map(&mut self) {
        let mut out: Vec<Axis> = Vec::new();
        let mut operands: Vec<Known> = Vec::new();
        for _ in 0..1 + self.choices.below(3) {
            let known = self.pick();
            let mut longer = out.clone();
            longer.extend(known.axes.iter().filter(|axis| !out.contains(axis)));
            if longer.len() <= 5 && size(&longer) <= MOST_ELEMENTS {
                out = longer;
                operands.push(known);
            }
        }
        if operands.is_empty() {
            return;
        }
        self.choices.shuffle(&mut out);
        let views = operands.iter().map(|known| self.read(known)).collect();
        self.map_of(out, views);
    }

    /// A tensor read as if it had other axes.
    fn reshape(&mut self) {
        let known = self.pick();
        let len = known.tensor.len();
        let mut out = vec![self.b.axis(len)];
        for part in [2, 3, 4, 8] {
            let rest = out[0].size() as usize;
            if self.choices.below(2) == 0 && rest.is_multiple_of(part) && out.len() < 4 {
                let (first, second) = (self.b.axis(part), self.b.axis(rest / part));
                out.splice(..1, [second, first]);
            }
        }
        let view = known.tensor.read(&out);
        let mut views = vec![view];
        // Another tensor of that length, read the same way, or one that is constant along most axes.
        let other = self.pick();
        if other.tensor.len() == len {
            views.push(other.tensor.read(&out));
        }
        self.choices.shuffle(&mut out);
        self.map_of(out, views);
    }

    /// A tensor read along one flat axis, beside axes of its own that only a table has: up to five labels.
    fn widen(&mut self) {
        let known = self.pick();
        let len = known.tensor.len();
        let count = [2, 3, 4][self.choices.below(3)];
        let mut out: Vec<Axis> = [2, 3, 2, 2][..count].iter().map(|&size| self.b.axis(size)).collect();
        if len * size(&out) > MOST_ELEMENTS {
            return;
        }
        let (table, table_len) = (self.given.tables.len(), size(&out));
        let tensor = self.b.input(Source::Table(table as u32), &[table_len], Type::F32);
        self.given.tables.push(values(table_len, 53 + table as u64));
        let other = tensor.read(&out);
        let flat = self.b.axis(len);
        let place = self.choices.below(out.len() + 1);
        out.insert(place, flat);
        self.choices.shuffle(&mut out);
        self.map_of(out, vec![known.tensor.read(&[flat]), other]);
    }

    fn contract(&mut self) {
        let (a, b) = (self.pick(), self.pick());
        let mut out = a.axes.clone();
        out.extend(b.axes.iter().filter(|axis| !a.axes.contains(axis)));
        self.choices.shuffle(&mut out);
        let mut reduce = Vec::new();
        for _ in 0..1 + self.choices.below(2) {
            let shared = out.iter().position(|axis| a.axes.contains(axis) && b.axes.contains(axis));
            let place = shared.unwrap_or(self.choices.below(out.len()));
            if out.len() > 1 {
                reduce.push(out.remove(place));
            }
        }
        let (len, terms) = (size(&out), size(&reduce));
        if reduce.is_empty() || out.len() > 5 || len.max(terms) > MOST_ELEMENTS || len * terms > MOST_WORK {
            return;
        }
        let (a, b) = (self.read(&a), self.read(&b));
        let start = self.pick();
        let starts = self.choices.one_in(3) && start.axes.iter().all(|axis| out.contains(axis));
        let only = self.constraint(&out, &reduce);
        let start = starts.then(|| start.tensor.read(&start.axes));
        let tensor = self.b.contraction(Contraction { out: &out, reduce: &reduce, a, b, start, only });
        self.add(tensor, out);
    }

    fn constraint(&mut self, out: &[Axis], reduce: &[Axis]) -> Option<(Axis, Axis)> {
        let all: Vec<Axis> = out.iter().chain(reduce).copied().collect();
        let pair = (all[self.choices.below(all.len())], all[self.choices.below(all.len())]);
        self.choices.one_in(3).then_some(pair)
    }

    fn reduce(&mut self) {
        let known = self.pick();
        let mut out = known.axes.clone();
        self.choices.shuffle(&mut out);
        let row = self.axes[0];
        if self.choices.one_in(2)
            && let Some(place) = out.iter().position(|&axis| axis == row)
        {
            out.swap(0, place);
        }
        let count = (1 + self.choices.below(2)).min(out.len());
        let reduce: Vec<Axis> = out.drain(..count).collect();
        if out.is_empty() {
            out.push(self.b.axis(1));
        }
        let view = self.read(&known);
        let tensor = if self.choices.one_in(3) {
            let only = self.constraint(&out, &reduce);
            // A maximum of nothing is no finite value: it faults.
            let only = only.filter(|(small, _)| self.choices.one_in(4) || reduce.contains(small));
            self.b.reduce_max(&out, &reduce, view, only)
        } else {
            self.b.reduce_add(&out, &reduce, view)
        };
        self.add(tensor, out);
    }

    /// What the token ids choose along one axis of a tensor.
    fn gather(&mut self) {
        let known = self.pick();
        let fits = |axis: &Axis| axis.size() as usize >= WORDS && !self.axes[..2].contains(axis);
        let fitting: Vec<Axis> = known.axes.iter().copied().filter(fits).collect();
        let rarely = self.choices.one_in(24);
        let Some(&along) = (if rarely { known.axes.last() } else { fitting.first() }) else { return };
        let place = known.axes.iter().position(|&axis| axis == along).expect("one of its axes");
        let index_stride = size(&known.axes[place + 1..]);
        let mut strides = Vec::new();
        for (number, &axis) in known.axes.iter().enumerate().filter(|(number, _)| *number != place) {
            strides.push((axis, size(&known.axes[number + 1..]) as i32));
        }
        let mut out: Vec<Axis> = strides.iter().map(|(axis, _)| *axis).collect();
        out.extend(self.axes[..2].iter().filter(|axis| !strides.iter().any(|(known, _)| known == *axis)));
        if out.len() > 5 || size(&out) > MOST_ELEMENTS {
            return;
        }
        self.choices.shuffle(&mut out);
        let shift = self.choices.below(2) as i32;
        let tensor = self.b.gather(&out, self.tokens(shift), known.tensor.strided(0, &strides), index_stride);
        self.add(tensor, out);
    }

    /// The sum of what belongs to each word.
    fn scatter(&mut self) {
        let known = self.pick();
        let (row, token, word) = (self.axes[0], self.axes[1], self.axes[2]);
        let rest = known.axes.iter().copied().filter(|axis| ![row, token].contains(axis));
        let mut out: Vec<Axis> = rest.collect();
        if out.len() + 2 != known.axes.len() || out.contains(&word) || size(&out) * WORDS > MOST_ELEMENTS {
            return;
        }
        self.choices.shuffle(&mut out);
        out.insert(0, word);
        let values = known.tensor.read(&known.axes);
        let tensor = self.b.scatter_add(&out, &[row, token], self.tokens(0), values);
        self.add(tensor, out);
    }

    /// The entry after the step: as it was, another tensor, or a function of itself and of others.
    fn update(&mut self, entry: usize) -> Tensor {
        let old = self.known[entry].clone();
        let same: Vec<Known> =
            self.known.iter().filter(|k| !k.is_input && k.tensor.len() == old.tensor.len()).cloned().collect();
        let within: Vec<Known> = self
            .known
            .iter()
            .filter(|k| !k.is_input && k.axes.iter().all(|axis| old.axes.contains(axis)))
            .cloned()
            .collect();
        let form = self.choices.below(12);
        if form == 11 {
            return old.tensor;
        }
        let mut views = vec![self.read(&old)];
        let mut out = old.axes.clone();
        if form == 10 && !same.is_empty() {
            return same[self.choices.below(same.len())].tensor;
        }
        if form >= 6 && !same.is_empty() {
            out = vec![self.b.axis(old.tensor.len())];
            views = vec![old.tensor.read(&out)];
            views.push(same[self.choices.below(same.len())].tensor.read(&out));
        } else if !within.is_empty() {
            let other = within[self.choices.below(within.len())].clone();
            views.push(other.tensor.read(&other.axes));
        }
        self.map_of(out, views);
        self.known.last().expect("just added").tensor
    }

    fn finish(mut self) -> (Arc<Graph>, Given) {
        let most = self.known.len() + MOST_STEPS;
        while self.choices.are_left() && self.known.len() < most {
            match self.choices.below(12) {
                0..=3 => self.map(),
                4 | 5 => self.contract(),
                6 | 7 => self.reduce(),
                8 => self.gather(),
                9 => self.scatter(),
                10 => self.reshape(),
                _ => self.widen(),
            }
        }
        let state: Vec<Tensor> = (0..self.given.state.len()).map(|entry| self.update(entry)).collect();
        // Whatever nothing reads is a result, and so are some intermediates.
        let mut results = Vec::new();
        for number in 0..self.known.len() {
            let Known { tensor, is_input, is_read, .. } = self.known[number];
            if !is_input && (!is_read || self.choices.one_in(4)) {
                results.push((format!("tensor {number}"), tensor));
            }
        }
        let results: Vec<(&str, Tensor)> = results.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
        (Arc::new(self.b.finish(&state, &results).expect("a valid graph")), self.given)
    }
}

fn nodes(graph: &Graph) -> String {
    let lines = graph.nodes().iter().enumerate().map(|(number, spec)| format!("{number}: {spec:?}"));
    let lines: Vec<String> = lines.collect();
    format!("{}\nstate {:?}, results {:?}", lines.join("\n"), graph.state_outputs(), graph.results())
}

fn difference(numbers: &[u16]) -> Option<String> {
    let (graph, given) = Writer::new(numbers).finish();
    first_difference(&graph, &given).map(|difference| format!("{difference}\n{}", nodes(&graph)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_plan_of_a_random_graph_gives_its_bits(numbers in prop::collection::vec(any::<u16>(), 0..300)) {
        if let Some(difference) = difference(&numbers) {
            prop_assert!(false, "{}", difference);
        }
    }
}

#[test]
#[ignore = "as many graphs as SIP_GRAPHS says, 2000 if it says nothing"]
fn every_plan_of_many_random_graphs_gives_their_bits() {
    let count = std::env::var("SIP_GRAPHS").map_or(2000, |text| text.parse().expect("SIP_GRAPHS is a number"));
    let mut state = 1u64;
    for case in 0..count {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as u16
        };
        let len = 20 + next() as usize % 300;
        let numbers: Vec<u16> = (0..len).map(|_| next()).collect();
        assert_eq!(difference(&numbers), None, "graph {case}");
    }
}

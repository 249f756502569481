//! Whole disputes about start states, updates and next bases of jobs with compressed updates: over graphs made for the tests, in which
//! entries differ in shape and type, and over the codec.

use super::Random;
use super::cases::{Subject, Wrong, computed, flip};
use serde_json::Value;
use sip_graph::{Buffer, Graph};
use sip_kernels::{Simd, Threads};
use sip_model::{Outer, UpdateCodec};
use sip_node::{State, Updates};
use sip_protocol::ground::case::CaseKind;
use sip_testing::compressed::{self, entry, flipped};
use sip_testing::staged;
use std::sync::Arc;

/// A segment of a trainer, whatever its steps were.
struct Work {
    updates: Updates,
    base: Arc<State>,
    previous: Arc<State>,
    start: Arc<State>,
    end: Arc<State>,
    /// Entry of the previous update that the start graph reads, and the one that the update graph reads.
    read: [usize; 2],
    threads: Arc<Threads>,
    simd: Simd,
}

/// The same state with all values a little off.
fn moved(state: &State, random: &mut Random) -> Arc<State> {
    let mut moved = |entry: &Buffer| entry.iter().map(|&value| near(value, random)).collect();
    let entries: Vec<Vec<u32>> = state.entries().iter().map(&mut moved).collect();
    staged::state(&entries)
}

fn near(value: u32, random: &mut Random) -> u32 {
    (f32::from_bits(value) + small(random)).to_bits()
}

fn small(random: &mut Random) -> f32 {
    random.next() as i32 as f32 / i32::MAX as f32
}

impl Work {
    fn new(updates: Updates, base_lengths: &[usize], read: [usize; 2]) -> Work {
        let random = &mut Random::new(77);
        let (threads, simd) = (Arc::new(Threads::new(1)), Simd::detect());
        let base: Vec<Vec<u32>> =
            base_lengths.iter().map(|&len| (0..len).map(|_| small(random).to_bits()).collect()).collect();
        let base = staged::state(&base);
        let work = |previous: &Arc<State>, random: &mut Random| {
            let start = Arc::new(updates.start_state(&base, previous, &threads, simd).expect("a start state"));
            let end = moved(&start, random);
            (start, end)
        };
        // An update that follows another one, so that what it goes on from is not zero.
        let (start, end) = work(&updates.reset, random);
        let previous = updates.update(&updates.reset, [&start, &end], &threads, simd).expect("an update");
        let previous = Arc::new(previous);
        let (start, end) = work(&previous, random);
        Work { base, previous, start, end, read, updates, threads, simd }
    }

    fn hand_made() -> Work {
        Work::new(compressed::updates(), &[40 * 600, 40], [entry::FIRST_MOMENT, entry::RESIDUAL])
    }

    fn of_codec(outer: Outer) -> Work {
        let codec = UpdateCodec { chunk: 8, keep: 4, outer };
        let lengths = [300, 20, 5];
        let updates = Updates::new(codec, &lengths, &Threads::new(1)).expect("graphs");
        Work::new(updates, &codec.base_lengths(&lengths), [9, 15])
    }

    fn start(&self, claimed: Option<Wrong>, believed: Option<Wrong>, root: Option<[u8; 32]>, name: &str) -> Value {
        let run = |wrong: Option<Wrong>| {
            let (mut base, mut previous) = (Arc::clone(&self.base), Arc::clone(&self.previous));
            match wrong {
                Some(Wrong::Carried) => base = flipped(&base, 0, 1, 21),
                Some(Wrong::Base(_)) => previous = flipped(&previous, self.read[0], 1, 21),
                _ => {}
            }
            let evidence = self.updates.start_evidence(&base, &previous, &self.threads, self.simd);
            evidence.cheating(Wrong::cheat(&wrong))
        };
        let bases = [Arc::clone(&self.previous)];
        let subject = Subject { case: CaseKind::Start, carried: Some(&self.base), bases: &bases };
        computed(&subject, &run, (claimed, believed), root, name)
    }

    fn update(&self, claimed: Option<Wrong>, believed: Option<Wrong>, root: Option<[u8; 32]>, name: &str) -> Value {
        let run = |wrong: Option<Wrong>| {
            let mut previous = Arc::clone(&self.previous);
            let mut segment = [Arc::clone(&self.start), Arc::clone(&self.end)];
            match wrong {
                Some(Wrong::Carried) => previous = flipped(&previous, self.read[1], 1, 21),
                Some(Wrong::Base(place)) => segment[place] = flipped(&segment[place], 0, 1, 21),
                _ => {}
            }
            let [start, end] = &segment;
            let evidence = self.updates.update_evidence(&previous, [start, end], &self.threads, self.simd);
            evidence.cheating(Wrong::cheat(&wrong))
        };
        let bases = [Arc::clone(&self.start), Arc::clone(&self.end)];
        let subject = Subject { case: CaseKind::Update, carried: Some(&self.previous), bases: &bases };
        computed(&subject, &run, (claimed, believed), root, name)
    }

    /// A vote for the next base of two updates.
    fn vote(&self, claimed: Option<Wrong>, believed: Option<Wrong>, root: Option<[u8; 32]>, name: &str) -> Value {
        let updates = self.told();
        let run = |wrong: Option<Wrong>| {
            let (mut base, mut updates) = (Arc::clone(&self.base), updates.clone());
            match wrong {
                Some(Wrong::Carried) => base = flipped(&base, 0, 1, 21),
                Some(Wrong::Base(place)) => updates[place] = flipped(&updates[place], 1, 0, 1),
                _ => {}
            }
            let evidence = self.updates.base_evidence(&base, &updates, &self.threads, self.simd);
            evidence.expect("a graph for two updates").cheating(Wrong::cheat(&wrong))
        };
        let subject = Subject { case: CaseKind::Aggregate, carried: Some(&self.base), bases: &updates };
        computed(&subject, &run, (claimed, believed), root, name)
    }

    /// The updates of a round: the previous one for another trainer's, and the segment's.
    fn told(&self) -> [Arc<State>; 2] {
        let update = self.updates.update(&self.previous, [&self.start, &self.end], &self.threads, self.simd);
        [Arc::clone(&self.previous), Arc::new(update.expect("an update"))]
    }

    fn vote_graph(&self) -> Graph {
        self.updates.aggregates.graph(2).expect("a graph for two updates")
    }
}

/// A bit of an entry that comes out.
fn output(graph: &Graph, entry: usize, element: u32, bit: u32) -> Option<Wrong> {
    flip(0, graph.state_outputs()[entry], element, bit)
}

/// A bit of what one of the nodes of a kind gives, counted in the order of the graph without those that give an entry.
fn inner(graph: &Graph, kind: sip_ops::Kind, number: usize, element: u32, bit: u32) -> Option<Wrong> {
    let mut found = (0..graph.nodes().len() as u32)
        .filter(|&node| graph.nodes()[node as usize].kind == kind && !graph.state_outputs().contains(&node));
    flip(0, found.nth(number).expect("a node of this kind"), element, bit)
}

pub(crate) fn starts() -> Vec<Value> {
    let (made, codec) = (Work::hand_made(), Work::of_codec(Outer::Mean));
    let graph = &made.updates.start;
    vec![
        made.start(output(graph, 4, 7, 3), None, None, "a bit of an entry that is computed"),
        made.start(output(graph, 4, 0, 31), None, None, "the sign of an entry that is computed"),
        made.start(Some(Wrong::Carried), None, None, "another base than the round's"),
        made.start(Some(Wrong::Base(0)), None, None, "another previous update than the trainer's"),
        made.start(None, None, Some([7; 32]), "a start root that nothing has"),
        made.start(None, None, Some(made.end.root()), "the end state for the start state"),
        made.start(None, None, None, "a true start state, conceded"),
        made.start(None, output(graph, 4, 1, 9), None, "a true start state, accused with a false entry"),
        made.start(None, Some(Wrong::Base(0)), None, "a true start state, accused with another previous update"),
        codec.start(Some(Wrong::Carried), None, None, "another base, where every output is an input"),
        codec.start(Some(Wrong::Base(0)), None, None, "other moments, where every output is an input"),
        codec.start(None, Some(Wrong::Carried), None, "a true start state of the codec, accused with another base"),
    ]
}

pub(crate) fn updates() -> Vec<Value> {
    use sip_ops::Kind::{Map, ReduceMax};
    let (made, codec) = (Work::hand_made(), Work::of_codec(Outer::Mean));
    let (graph, coded) = (&made.updates.update, &codec.updates.update);
    vec![
        made.update(output(graph, entry::CODES, 300, 2), None, None, "a bit of a code"),
        made.update(output(graph, entry::SCALES, 39, 0), None, None, "the last bit of a scale"),
        made.update(output(graph, entry::RESIDUAL, 23_999, 12), None, None, "a bit of a residual, in the last chunk"),
        made.update(output(graph, entry::AGE, 0, 0), None, None, "another count of updates"),
        made.update(inner(graph, ReduceMax, 0, 3, 22), None, None, "a row's greatest change"),
        made.update(Some(Wrong::Carried), None, None, "another residual than the previous update's"),
        made.update(Some(Wrong::Base(0)), None, None, "another start state than the segment's"),
        made.update(Some(Wrong::Base(1)), None, None, "another end state than the segment's"),
        made.update(None, None, Some([8; 32]), "an update root that nothing has"),
        made.update(None, None, Some(made.previous.root()), "the previous update once more"),
        made.update(None, None, None, "a true update, conceded"),
        made.update(None, output(graph, entry::CODES, 5, 0), None, "a true update, accused with a false code"),
        made.update(None, Some(Wrong::Base(1)), None, "a true update, accused with another end state"),
        codec.update(output(coded, 0, 3, 9), None, None, "another place than that of a great change"),
        codec.update(output(coded, 3, 10, 6), None, None, "a bit of four codes in a word"),
        codec.update(output(coded, 8, 0, 1), None, None, "the scale of a chunk that reaches beyond the tensor"),
        codec.update(inner(coded, ReduceMax, 3, 2, 23), None, None, "the name of the second greatest change"),
        codec.update(inner(coded, Map, 5, 17, 30), None, None, "a magnitude that is left after the first choice"),
        codec.update(None, output(coded, 0, 0, 0), None, "a true update of the codec, accused with another place"),
    ]
}

pub(crate) fn next_bases() -> Vec<Value> {
    use sip_ops::Kind::{ContractI8, Map, ReduceAdd};
    let (made, codec) = (Work::hand_made(), Work::of_codec(Outer::Nesterov { rate: 0.7, momentum: 0.9 }));
    let (graph, coded) = (made.vote_graph(), codec.vote_graph());
    vec![
        made.vote(output(&graph, 0, 9_000, 4), None, None, "a bit of the next base"),
        made.vote(Some(Wrong::Carried), None, None, "another base than the round's, for the next one"),
        made.vote(Some(Wrong::Base(1)), None, None, "another second update"),
        made.vote(None, None, None, "a true next base, conceded"),
        codec.vote(output(&coded, 5, 4, 22), None, None, "a bit of an outer momentum"),
        codec.vote(inner(&coded, ContractI8, 3, 0, 5), None, None, "a sum of squares"),
        codec.vote(inner(&coded, ReduceAdd, 0, 0, 20), None, None, "a sum over the chunks of a tensor"),
        codec.vote(inner(&coded, Map, 2, 0, 23), None, None, "a part of a norm"),
        codec.vote(Some(Wrong::Base(0)), None, None, "another first update, of the codec"),
        codec.vote(None, output(&coded, 0, 299, 2), None, "a true next base, accused with a false weight"),
    ]
}

//! Whole disputes of the other cases: votes, genesis states, attestations, scoring runs; segments that stop at a fault; and, from
//! [`compressed`], start states, updates and next bases.

use super::compressed;
use super::transcript::Transcript;
use serde_json::{Map, Value};
use sip_data::TokenBlob;
use sip_kernels::Threads;
use sip_node::dispute::{Challenger, Defender, Evidence, GraphEvidence, Move};
use sip_node::{Cheat, Computation, Replay, SegmentTask, State};
use sip_ops::{Kind, Source};
use sip_protocol::{
    court::{Game, Ground, MoveKind, Outcome, Phase},
    ground::case::CaseKind,
};
use sip_testing::staged::{self, Scoring};
use sip_testing::synthetic::{self, Flaw, Lie, Scene, node};
use std::sync::Arc;

/// Few moves that must be refused are tried in these games: `disputes.json` has them all.
const SPOIL: u64 = 41;

/// In what a side's view is false.
#[derive(Clone)]
pub(crate) enum Wrong {
    /// A bit of a node's output.
    Bit(Cheat),
    /// An element of the state that is read before the bases.
    Carried,
    /// An element of this base.
    Base(usize),
    /// A token of this domain.
    Token(usize),
    /// The first table that the graph reads.
    Table,
}

impl Wrong {
    pub(crate) fn cheat(wrong: &Option<Wrong>) -> Option<Cheat> {
        match wrong {
            Some(Wrong::Bit(cheat)) => Some(cheat.clone()),
            _ => None,
        }
    }
}

pub(crate) fn flip(step: u32, node: u32, element: u32, bit: u32) -> Option<Wrong> {
    Some(Wrong::Bit(Cheat::FlipBit { step, node, element, bit }))
}

/// The same state with another element in its first entry.
fn other_state(state: &State) -> Arc<State> {
    let mut entries: Vec<Vec<u32>> = state.entries().iter().map(|entry| entry.to_vec()).collect();
    entries[0][1] ^= 1 << 21;
    staged::state(&entries)
}

/// What a graph that is run once reads, and in which case.
pub(crate) struct Subject<'a> {
    pub(crate) case: CaseKind,
    /// The state that is read before the bases.
    pub(crate) carried: Option<&'a Arc<State>>,
    pub(crate) bases: &'a [Arc<State>],
}

/// What is claimed of it.
fn claim(subject: &Subject<'_>, graph: &GraphEvidence, root: [u8; 32]) -> Ground {
    let roots = graph.roots();
    let entries = |state: &Arc<State>| state.entries().len() as u32;
    let mut ground = Ground {
        nodes_root: roots.nodes_root,
        outputs_root: roots.outputs_root,
        tables_root: roots.tables_root,
        node_count: roots.node_count,
        state_count: roots.state_count,
        start_root: subject.carried.map_or([0; 32], |state| state.root()),
        carried: subject.carried.map_or(0, entries),
        base_entries: subject.bases.first().map_or(0, entries),
        base_count: subject.bases.len() as u32,
        inner_steps: 1,
        steps_per_leaf: 1,
        end_root: root,
        case: subject.case as u32,
        ..bytemuck::Zeroable::zeroed()
    };
    for (place, base) in ground.bases.iter_mut().zip(subject.bases) {
        *place = base.root();
    }
    ground
}

/// One computation against another: `claimed` and `believed` say who errs. A root may be claimed that is neither's.
pub(crate) fn computed(
    subject: &Subject<'_>,
    run: &dyn Fn(Option<Wrong>) -> Computation,
    (claimed, believed): (Option<Wrong>, Option<Wrong>),
    root: Option<[u8; 32]>,
    name: &str,
) -> Value {
    let is_true = claimed.is_none() && root.is_none();
    let mut claimed = run(claimed);
    let graph = Arc::new(claimed.graph_evidence());
    let root = root.unwrap_or_else(|| claimed.root().expect("a finite outcome"));
    let defender = Defender::new(Arc::clone(&graph), claimed);
    let challenger = Challenger::new(Arc::clone(&graph), run(believed));
    let expected = if is_true { Outcome::Acquitted } else { Outcome::Convicted };
    let opened = Transcript::open(claim(subject, &graph, root), None);
    opened.play(defender, challenger, SPOIL, |_, _| ()).end(name, expected)
}

/// Votes for the mean of 1, 2, 3 and 16 states.
fn aggregates() -> Vec<Value> {
    let states = |count: u32| -> Vec<Arc<State>> {
        let entry = |place: u32, len: u32, scale: f32| -> Vec<u32> {
            (0..len).map(|at| ((at % 97) as f32 * scale - (place * 13 + at) as f32 * 0.37).to_bits()).collect()
        };
        (0..count).map(|place| staged::state(&[entry(place, 700, 0.3), entry(place, 3, 1.7)])).collect()
    };
    let game = |count: u32, claimed, believed, root, name: &str| {
        let states = states(count);
        let run = |wrong: Option<Wrong>| {
            let mut states = states.clone();
            if let Some(Wrong::Base(place)) = wrong {
                states[place] = other_state(&states[place]);
            }
            staged::average(&states, Wrong::cheat(&wrong))
        };
        let subject = Subject { case: CaseKind::Aggregate, carried: None, bases: &states };
        computed(&subject, &run, (claimed, believed), root, name)
    };
    let maps = |count: u32| -> Vec<u32> {
        let graph = staged::aggregates(&states(count)[0]).graph(count as usize).expect("1 to 16 states");
        let is_map = |node: &usize| graph.nodes()[*node].kind == Kind::Map;
        (0..graph.nodes().len()).filter(is_map).map(|node| node as u32).collect()
    };
    let (two, many) = (maps(2), maps(16));
    let last = |nodes: &[u32]| nodes[nodes.len() - 1];
    vec![
        game(2, flip(0, two[0], 300, 5), None, None, "a bit of a sum of two"),
        game(2, flip(0, last(&two), 1, 22), None, None, "a bit of the last mean of two"),
        game(2, Some(Wrong::Base(0)), None, None, "a base that is none of the segments' ends"),
        game(2, Some(Wrong::Base(1)), None, None, "another second base"),
        game(16, flip(0, many[2], 699, 12), None, None, "a bit of a sum of sixteen, in the last chunk"),
        game(16, Some(Wrong::Base(15)), None, None, "another sixteenth base"),
        game(1, flip(0, last(&maps(1)), 0, 0), None, None, "the last bit of the mean of one"),
        game(3, None, None, Some([7; 32]), "a root that nothing has"),
        game(3, None, None, Some(states(3)[0].root()), "one segment's end for the mean of three"),
        game(2, None, None, None, "a true vote, conceded"),
        game(3, None, flip(0, maps(3)[0], 5, 9), None, "a true vote, accused with a false sum"),
        game(2, None, Some(Wrong::Base(0)), None, "a true vote, accused with a false base"),
        game(16, None, flip(0, last(&many), 1, 14), None, "a true vote over sixteen, accused with a false mean"),
    ]
}

/// Genesis states of a tiny model.
fn genesis() -> Vec<Value> {
    let game = |seed: u64, claimed, believed, root, name: &str| {
        let run = |wrong| staged::genesis(seed, Wrong::cheat(&wrong));
        let subject = Subject { case: CaseKind::Genesis, carried: None, bases: &[] };
        computed(&subject, &run, (claimed, believed), root, name)
    };
    let graph = staged::genesis_graph(1);
    let outputs = graph.state_outputs();
    let inner: Vec<u32> = (0..graph.nodes().len() as u32).filter(|node| !outputs.contains(node)).collect();
    let middle = inner.get(inner.len() / 2).copied().unwrap_or(outputs[1]);
    let last = outputs[outputs.len() - 1];
    let end = graph.nodes()[outputs[0] as usize].len() as u32;
    let other = staged::genesis(9, None).root().expect("a finite outcome");
    vec![
        game(1, flip(0, outputs[0], 70, 3), None, None, "a bit of the embedding"),
        game(1, flip(0, outputs[0], end - 1, 31), None, None, "a sign at the embedding's end"),
        game(2, flip(0, outputs[1], 0, 0), None, None, "the last bit of a norm"),
        game(2, flip(0, outputs[2], 511, 22), None, None, "a bit of a projection"),
        game(3, flip(0, middle, 0, 16), None, None, "a bit of a node between"),
        game(3, flip(0, last, 0, 23), None, None, "a moment that does not start at zero"),
        game(4, None, None, Some([9; 32]), "a root that nothing has"),
        game(4, None, None, Some(other), "another seed's state"),
        game(5, None, None, None, "a true state, conceded"),
        game(5, None, flip(0, outputs[0], 257, 8), None, "a true state, accused with a false embedding"),
        game(6, None, flip(0, last, 1, 1), None, "a true state, accused with a false moment"),
    ]
}

/// Attestations of segments of several shapes.
fn attestations() -> Vec<Value> {
    let game = |(inner_steps, steps_per_leaf, leaf): (u32, u32, u32),
                claimed: Option<Lie>,
                believed: Option<Lie>,
                root: Option<[u8; 32]>,
                name: &str| {
        let scene = Scene::new(inner_steps, steps_per_leaf);
        let honest = scene.run(None);
        let attested = scene.run(claimed);
        let shown = root.unwrap_or_else(|| attested.trace_root(leaf * steps_per_leaf));
        let is_true = shown == honest.trace_root(leaf * steps_per_leaf);
        let ground = Ground { case: CaseKind::Attestation as u32, ..honest.ground() };
        let defender = Defender::new(scene.graph.clone(), attested);
        // The challenger errs about the trace only: the leaf that it shows is the segment's.
        let challenger = Challenger::new(scene.graph.clone(), scene.run(believed));
        let expected = if is_true { Outcome::Acquitted } else { Outcome::Convicted };
        let opened = Transcript::open(ground, Some((leaf, shown)));
        opened.play(defender, challenger, SPOIL, |_, _| ()).end(name, expected)
    };
    let lie = |step, node, element, bit| Some(Lie::IsolatedOutput { step, node, element, bit });
    vec![
        game((3, 1, 1), lie(1, node::CONTRACTED, 41, 9), None, None, "a bit of a contraction"),
        game((7, 3, 1), lie(3, node::GATHERED, 300, 22), None, None, "a bit of a gather, in a leaf of three steps"),
        game((7, 3, 2), lie(6, node::SUM, 3, 1), None, None, "a bit of a sum, in the last leaf"),
        game((1, 1, 0), lie(0, node::MAX, 2, 23), None, None, "a bit of a greatest value"),
        game((2, 2, 0), lie(0, node::UPDATED, 23_999, 31), None, None, "a sign of a pointwise program"),
        game((17, 1, 16), lie(16, node::SCATTERED, 9, 14), None, None, "a bit of a scatter"),
        game((5, 1, 3), lie(3, node::CONTRACTED_BYTES, 17, 30), None, None, "a bit of a contraction of bytes"),
        game((3, 1, 2), lie(2, node::WEIGHTS, 300, 19), None, None, "another state than the leaf starts from"),
        game((3, 1, 2), lie(2, node::BATCH, 0, 0), None, None, "another batch than the leaf's"),
        game((3, 1, 0), None, None, Some([3; 32]), "a root that was made up"),
        game((7, 3, 1), None, None, None, "a true attestation, conceded"),
        game((3, 1, 1), None, lie(1, node::CAUSAL, 3, 4), None, "a true attestation, accused with a false contraction"),
        game((6, 2, 2), None, lie(4, node::COPIED, 7, 2), None, "a true attestation, accused with a false program"),
        game((7, 3, 0), None, lie(0, node::TABLE, 600, 2), None, "a true attestation, accused with a false table"),
    ]
}

/// The scoring run of a tiny model.
struct Scored(Scoring);

impl Scored {
    fn replay(&self, wrong: &Option<Wrong>) -> (Replay, sip_node::Segment) {
        let mut scoring = self.0.clone();
        match wrong {
            Some(Wrong::Base(_)) => {
                let other = other_state(&scoring.base);
                scoring.segment = SegmentTask::scoring(&other, &Threads::new(1)).expect("a scoring run");
            }
            Some(Wrong::Token(domain)) => {
                let mut tokens = scoring.task.domains[*domain].tokens().to_vec();
                tokens[9] ^= 1;
                scoring.task.domains[*domain] = Arc::new(TokenBlob::new(tokens));
            }
            Some(Wrong::Table) => {
                let read = scoring.task.graph.nodes().iter().find_map(|node| match (node.kind, node.source) {
                    (Kind::Input, Source::Table(table)) => Some(table as usize),
                    _ => None,
                });
                let table = &mut scoring.task.tables[read.expect("a table that the graph reads")];
                table.iter_mut().for_each(|value| *value ^= 1 << 20);
            }
            _ => {}
        }
        scoring.run(Wrong::cheat(wrong)).expect("finite sums")
    }

    fn game(&self, claimed: Option<Wrong>, believed: Option<Wrong>, end: Option<[u8; 32]>, name: &str) -> Value {
        let Scoring { task, segment, base } = &self.0;
        let is_true = claimed.is_none() && end.is_none();
        let graph = Arc::new(task.graph_evidence());
        let roots = graph.roots();
        let (defence, work) = self.replay(&claimed);
        let mut ground = Ground {
            nodes_root: roots.nodes_root,
            outputs_root: roots.outputs_root,
            tables_root: roots.tables_root,
            node_count: roots.node_count,
            state_count: roots.state_count,
            table_count: roots.table_count,
            // Neither seed nor mixture say anything in a scoring run.
            round_seed: [4; 32],
            start_root: segment.base.root(),
            end_root: end.unwrap_or_else(|| work.end.root()),
            accumulator_root: work.accumulator_root(),
            inner_steps: task.inner_steps,
            steps_per_leaf: task.leaf_interval,
            batch_rows: task.batch,
            row_tokens: Scoring::SEQUENCE_LENGTH + 1,
            windows: Scoring::HELD_OUT.windows,
            case: CaseKind::Score as u32,
            carried: 1,
            base_entries: base.entries().len() as u32,
            base_count: 1,
            ..bytemuck::Zeroable::zeroed()
        };
        ground.bases[0] = base.root();
        for (domain, tokens) in task.domains.iter().enumerate() {
            ground.dataset_roots[domain] = tokens.root();
            ground.token_counts[domain] = tokens.token_count();
        }
        let defender = Defender::new(Arc::clone(&graph), defence);
        let challenger = Challenger::new(graph, self.replay(&believed).0);
        let expected = if is_true { Outcome::Acquitted } else { Outcome::Convicted };
        Transcript::open(ground, None).play(defender, challenger, SPOIL, |_, _| ()).end(name, expected)
    }
}

fn scores() -> Vec<Value> {
    let scored = Scored(Scoring::new());
    let nodes = scored.0.task.graph.nodes();
    let of = |kind: Kind| nodes.iter().position(|node| node.kind == kind).expect("a node of this kind") as u32;
    let sum = scored.0.task.graph.state_outputs()[0];
    let game = |claimed, believed, end, name: &str| scored.game(claimed, believed, end, name);
    vec![
        game(flip(3, of(Kind::Contract), 5, 22), None, None, "a bit of a product"),
        game(flip(1, sum, 0, 16), None, None, "a bit of the sum that is reported"),
        game(flip(8, sum, 4, 3), None, None, "a bit of the sum in the last step"),
        game(flip(2, of(Kind::Gather), 7, 22), None, None, "a bit of an embedding that is looked up"),
        game(flip(5, of(Kind::ReduceAdd), 1, 22), None, None, "a bit of a sum"),
        game(flip(6, of(Kind::Map), 2, 22), None, None, "a bit of a pointwise program"),
        game(Some(Wrong::Base(0)), None, None, "another base than the round's"),
        game(
            Some(Wrong::Token(1)),
            None,
            None,
            "another token than the window's, where the windows of a short domain are one",
        ),
        game(Some(Wrong::Token(2)), None, None, "another token of the last domain"),
        game(Some(Wrong::Table), None, None, "another table than the job's"),
        game(None, None, Some([6; 32]), "an end that the leaves do not have"),
        game(None, None, None, "a true run, conceded"),
        game(None, flip(3, of(Kind::Contract), 6, 22), None, "a true run, accused with a false product"),
        game(None, flip(1, sum, 2, 5), None, "a true run, accused with a false sum"),
        game(None, Some(Wrong::Base(0)), None, "a true run, accused with a false base"),
    ]
}

/// Segments that should have stopped: at a value that is not finite, at a lookup beyond its table.
fn faults() -> Vec<Value> {
    let overflow = |shape: (u32, u32), name: &str| {
        let scene = Scene::new(shape.0, shape.1).flawed(Flaw::Overflow);
        let claimed = scene.run(Some(Lie::PastFault));
        let defender = Defender::new(scene.graph.clone(), claimed.clone());
        let challenger = Challenger::new(scene.graph.clone(), scene.run(None));
        let opened = Transcript::open(claimed.ground(), None);
        opened.play(defender, challenger, SPOIL, |_, _| ()).end(name, Outcome::Convicted)
    };
    // The trainer posts the token that is there, or another one that would do.
    let lookup = |(inner_steps, steps_per_leaf, every): (u32, u32, usize), is_posted: bool, name: &str| {
        let scene = Scene::new(inner_steps, steps_per_leaf).flawed(Flaw::UnknownTokens { every });
        let honest = scene.run(None);
        let fault = honest.clone().fault().expect("infallible").expect("a fault");
        let claimed = scene.run(Some(Lie::PastFault));
        let batch = claimed.clone().tensor(fault.step, node::BATCH).expect("infallible");
        let sample = fault.element / 600;
        let row_tokens = synthetic::ROW_TOKENS;
        let token = batch[(sample / (row_tokens - 1) * row_tokens + sample % (row_tokens - 1)) as usize];
        let posted = if is_posted { token } else { token - synthetic::VOCABULARY };
        let mut defender = Defender::new(scene.graph.clone(), claimed.clone());
        let mut challenger = Challenger::new(scene.graph.clone(), honest);
        let mut transcript = Transcript::open(claimed.ground(), None);
        while transcript.game.outcome() == Ok(Outcome::Open) {
            let game = transcript.game;
            let side = game.on_move().expect("the game is on");
            let next = if game.phase() == Ok(Phase::PostValues) {
                Move { kind: MoveKind::PostValues, payload: [posted.to_le_bytes(), game.claim.to_le_bytes()].concat() }
            } else {
                let own = defender.next(&game).expect("evidence");
                own.or_else(|| challenger.next(&game).expect("evidence")).expect("a move")
            };
            assert!(transcript.attempt(side, &next));
        }
        transcript.end(name, Outcome::Convicted)
    };
    // An honest trainer, accused of a fault that it has not; the challenger's view stops where nothing is wrong.
    let accused = |shape: (u32, u32), flaw: Flaw, name: &str| {
        let scene = Scene::new(shape.0, shape.1);
        let honest = scene.run(None);
        let believed = scene.flawed(flaw).run(None);
        let defender = Defender::new(scene.graph.clone(), honest.clone());
        let challenger = Challenger::new(scene.graph.clone(), believed);
        let beyond = |game: &Game, next: &mut Move| {
            if game.phase() == Ok(Phase::ProveOperand) && game.node == node::GATHERED {
                next.kind = MoveKind::ProveBeyond;
                next.payload = scene.graph.node_opening(node::TABLE);
            }
        };
        let opened = Transcript::open(honest.ground(), None);
        opened.play(defender, challenger, SPOIL, beyond).end(name, Outcome::Acquitted)
    };
    vec![
        overflow((1, 1), "an infinity, in one step"),
        overflow((7, 3), "an infinity, in leaves of three steps"),
        overflow((33, 1), "an infinity, in 33 leaves"),
        overflow((3, 2), "an infinity, in leaves of two steps"),
        lookup((1, 1, 3), true, "a token beyond the vocabulary"),
        lookup((7, 3, 41), true, "a token beyond the vocabulary, in a later step"),
        lookup((5, 1, 41), true, "a token beyond the vocabulary, in five leaves"),
        lookup((1, 1, 3), false, "a token within it posted for one beyond"),
        lookup((18, 16, 41), false, "a token within it posted for one beyond, in leaves of sixteen steps"),
        accused((1, 1), Flaw::Overflow, "finite values, said to be infinite"),
        accused((7, 3), Flaw::Overflow, "finite values, said to be infinite, in leaves of three steps"),
        accused((1, 1), Flaw::UnknownTokens { every: 3 }, "a token of the vocabulary, said to be beyond it"),
    ]
}

pub(crate) fn vectors() -> Map<String, Value> {
    let mut file = Map::new();
    file.insert("aggregate".into(), aggregates().into());
    file.insert("genesis".into(), genesis().into());
    file.insert("attestation".into(), attestations().into());
    file.insert("score".into(), scores().into());
    file.insert("fault".into(), faults().into());
    file.insert("start".into(), compressed::starts().into());
    file.insert("update".into(), compressed::updates().into());
    file.insert("next_base".into(), compressed::next_bases().into());
    file
}

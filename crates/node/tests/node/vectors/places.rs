//! Games about places: leaves, traces, states after a step, and about clocks.

use super::table::{Claimed, SAME, Table, floats, input, map, operand, state};
use serde_json::Value;
use sip_ops::{Opcode, Source, Type};
use sip_proof::merkle::MerkleTree;
use sip_proof::{Leaf, tensor_root};
use sip_protocol::court::{CaseKind, MoveKind, Outcome};

/// A graph of 70 nodes, whose trace is not revealed at once.
fn copies() -> Claimed {
    let mut nodes = vec![state(0, 2)];
    nodes.extend((1..70).map(|_| map(Opcode::Neg, &[2], vec![operand(0, 0, &[1])])));
    let mut outputs = vec![floats(&[3.0, 4.0])];
    outputs.extend((1..70).map(|_| floats(&[-3.0, -4.0])));
    Claimed::new(nodes, outputs)
}

/// The state after the step, its time, and padding.
pub(super) fn traces() -> Vec<Value> {
    let lie = Claimed { end: vec![floats(&[-3.0, -5.0])], ..copies() };
    let lied = tensor_root(&lie.end[0]);
    let mut found = Vec::new();
    for case in [CaseKind::Segment, CaseKind::Score] {
        let mut table = Table::open(lie.clone(), |ground, _| {
            ground.case = case as u32;
            ground.windows = u32::from(case == CaseKind::Score) * 4;
        });
        let proof = table.comes_to_trace().output(0);
        table
            .takes(MoveKind::DisputeState, &[])
            .refuses(MoveKind::OpenEntry, &[7; 32])
            .takes(MoveKind::OpenEntry, &lied);
        let ended =
            table.takes(MoveKind::ProveOutput, &proof).ends("a state that is not the outputs", Outcome::Convicted);
        found.push(ended);
    }
    let mut table = Table::open(copies(), SAME);
    let (pair, trace, opened) = (table.trace.children(1, 0), table.trace_nodes(), table.node(1));
    table.comes_to_trace().refuses(MoveKind::Pick, &[0; 3]).never_picks(35).never_picks(40).never_picks(64).picks(0);
    table.refuses(MoveKind::PostTrace, &trace).takes(MoveKind::Reveal, &pair);
    // Two nodes lie on the table now; what lay there before does not count.
    table.refuses(MoveKind::DisputeState, &[]).never_picks(2).never_picks(5).picks(1);
    table.refuses(MoveKind::PostTrace, &trace).takes(MoveKind::OpenNode, &opened);
    found.push(table.concedes("a true trace of 70 nodes", Outcome::Convicted));
    let mut table = Table::open(copies(), SAME);
    let mut trace = table.trace_nodes();
    trace[40 * 32] ^= 1;
    let leaf = table.leaf_roots();
    table.takes(MoveKind::OpenLeaf, &leaf).takes(MoveKind::PostTrace, &trace).never_picks(35);
    found.push(table.picks(40).ends("something where only padding is", Outcome::Convicted));
    let mut table = Table::open(copies(), |ground, _| ground.case = CaseKind::Attestation as u32);
    let (leaf, trace) = (table.leaf_roots(), table.trace_nodes());
    table.takes(MoveKind::ShowLeaf, &leaf).takes(MoveKind::Reveal, &trace).refuses(MoveKind::DisputeState, &[]);
    found.push(table.concedes("the state of an attestation", Outcome::Acquitted));
    found
}

/// Leaves of several steps, many leaves, leaves that do not fit.
pub(super) fn leaves() -> Vec<Value> {
    let mut found = Vec::new();
    let roots: Vec<[u8; 32]> = (1..=3).map(|number| [number; 32]).collect();
    for (node, step, word, name, outcome) in [
        (Source::Step, 2, vec![9], "the step that it is", Outcome::Acquitted),
        (Source::Step, 2, vec![5], "the step on the other side", Outcome::Convicted),
        (Source::Step, 0, vec![8], "another step", Outcome::Convicted),
        (Source::Setting, 1, vec![65_536, 7, 0, 0], "the settings that they are", Outcome::Acquitted),
        (Source::Setting, 1, vec![65_536, 7, 0, 1], "other settings", Outcome::Convicted),
    ] {
        let node = input(node, Type::U32, &[word.len() as u32]);
        let claimed = Claimed::new(vec![node], vec![word]);
        let mut table = Table::open(claimed, |ground, leaf| {
            (ground.inner_steps, ground.steps_per_leaf, ground.first_step) = (3, 3, 7);
            ground.settings = [65_536, 7, 0, 0];
            (leaf.count, leaf.batches_root) = (3, Leaf::batches_root(&roots));
        });
        let leaf = table.leaf_roots();
        let end = table.leaf.end_root;
        let steps = |batches: &[[u8; 32]], end: [u8; 32]| {
            [batches[0], [11; 32], batches[1], [12; 32], batches[2], end].concat()
        };
        let mut other = leaf.clone();
        other[40] ^= 1;
        let opened = table.node(0);
        table.refuses(MoveKind::OpenLeaf, &other).takes(MoveKind::OpenLeaf, &leaf);
        table.refuses(MoveKind::PostSteps, &steps(&roots, [13; 32]));
        table.refuses(MoveKind::PostSteps, &steps(&[roots[1], roots[0], roots[2]], end));
        table.takes(MoveKind::PostSteps, &steps(&roots, end)).never_picks(3).picks(step);
        table.posts_trace().picks(0);
        found.push(table.takes(MoveKind::OpenNode, &opened).ends(name, outcome));
    }
    let mut table = Table::open(copies(), |ground, _| ground.start_root = [5; 32]);
    let leaf = table.leaf_roots();
    found.push(table.refuses(MoveKind::OpenLeaf, &leaf).is_silent("a leaf that starts elsewhere", Outcome::Convicted));
    let mut table = Table::open(copies(), |ground, _| ground.end_root = [5; 32]);
    let leaf = table.leaf_roots();
    found.push(table.refuses(MoveKind::OpenLeaf, &leaf).is_silent("a leaf that ends elsewhere", Outcome::Convicted));
    // A hundred leaves: two reveals.
    let root = |number: u32| tensor_root(&[number]);
    let all: Vec<Leaf> = (0..100)
        .map(|number| Leaf {
            first_step: number,
            count: 1,
            start_root: root(number),
            batches_root: root(1_000 + number),
            end_root: root(number + 1),
        })
        .collect();
    let tree = MerkleTree::new(all.iter().map(Leaf::preimage));
    let roots = |leaf: &Leaf| [leaf.start_root, leaf.batches_root, leaf.end_root].concat();
    let mut table = Table::open(copies(), |ground, _| {
        (ground.inner_steps, ground.accumulator_root) = (100, tree.root());
        (ground.start_root, ground.end_root) = (root(0), root(100));
    });
    let before = [roots(&all[98]), tree.path(98)].concat();
    let unlike = [roots(&all[97]), tree.path(97)].concat();
    table.takes(MoveKind::Reveal, &tree.children(7, 0)).never_picks(50).never_picks(64).picks(49);
    table.takes(MoveKind::Reveal, &tree.children(1, 49)).never_picks(2).picks(1);
    table.refuses(MoveKind::OpenLeaf, &roots(&all[99]));
    table.refuses(MoveKind::OpenLeaf, &[&roots(&all[99])[..], &unlike].concat());
    table.takes(MoveKind::OpenLeaf, &[&roots(&all[99])[..], &before].concat());
    found.push(table.concedes("the last of a hundred leaves", Outcome::Convicted));
    found
}

/// Clocks of 1000 slots from slot 5 on.
pub(super) fn clocks() -> Vec<Value> {
    let mut found = Vec::new();
    let mut table = Table::open(copies(), SAME);
    let (leaf, trace, pair) = (table.leaf_roots(), table.trace_nodes(), table.trace.children(1, 0));
    table.at(100).takes_now(MoveKind::OpenLeaf, &leaf);
    // An earlier slot counts as no time, and is where the next move is counted from.
    table.at(60).refuses_time_out().takes_now(MoveKind::PostTrace, &trace).at(63).takes_now(MoveKind::Pick, &[0; 4]);
    // 905 slots are left to the trainer.
    table.at(969).refuses(MoveKind::Reveal, &pair).at(968).refuses_time_out().takes_now(MoveKind::Reveal, &pair);
    table.at(1_966).refuses(MoveKind::Pick, &[0; 4]).at(1_965).takes_now(MoveKind::Pick, &[0; 4]);
    let opened = table.node(0);
    table.at(1_966).refuses(MoveKind::OpenNode, &opened).at(1_964).refuses_time_out();
    found.push(table.is_silent("clocks to the last slot", Outcome::Convicted));
    let mut table = Table::open(copies(), SAME);
    let leaf = table.leaf_roots();
    table.at(1).takes_now(MoveKind::OpenLeaf, &leaf).at(2).posts_trace();
    found.push(table.is_silent("a challenger that is silent", Outcome::Acquitted));
    found
}

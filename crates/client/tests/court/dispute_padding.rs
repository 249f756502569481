//! A trainer that fills the padding of its trees with something else commits roots that no replay gives, though no leaf
//! of them is false. The challenger points at the padding.

use crate::court::Court;
use sip_node::dispute::{Evidence, Move};
use sip_proof::merkle::{self, MerkleTree};
use sip_proof::{Hash, HostSha256, Leaf};
use sip_protocol::Error;
use sip_protocol::court::{MoveKind, Outcome, Side};
use sip_protocol::training::segment::{self, Segment};
use solana_signer::Signer;

const RUBBISH: Hash = [7; 32];

/// Replaces what the trainer has committed, behind the program's back: the court's trainers commit padded trees only.
fn commit(court: &mut Court, end_root: Hash, accumulator_root: Hash) {
    let address = court.scene.segment(court.trainer);
    let mut segment: Segment = court.scene.world.state(&address);
    segment.claim.end_root = end_root;
    segment.claim.accumulator_root = accumulator_root;
    court.scene.world.overwrite(&address, &segment);
}

fn reveal(court: &mut Court, payload: Vec<u8>) {
    court.play(Side::Trainer, &Move { kind: MoveKind::Reveal, payload });
}

/// Lets the challenger's brain move, and checks that it convicts by picking this.
fn convicts_by_picking(court: &mut Court, pick: u32) {
    let (side, next) = court.next();
    assert_eq!((side, next.kind, &next.payload[..]), (Side::Challenger, MoveKind::Pick, &pick.to_le_bytes()[..]));
    court.play(side, &next);
    assert_eq!(court.state().game.outcome().unwrap(), Outcome::Convicted);
    court.resolve();
    assert_eq!(court.scene.segment_state(court.trainer).status, segment::CONVICTED);
}

/// The tree over the honest leaves of the segment.
fn accumulator(court: &Court) -> MerkleTree {
    let leaves = court.honest.clone().leaves().unwrap();
    MerkleTree::new(leaves.iter().map(Leaf::preimage))
}

#[test]
fn false_padding_of_the_leaves_convicts() {
    // Three leaves and one of padding; 33 leaves and 31 of padding.
    for (inner_steps, steps_per_leaf, pick) in [(10, 4, 3), (33, 1, 33), (33, 1, 63)] {
        let mut court = Court::new(inner_steps, steps_per_leaf, None);
        let tree = accumulator(&court);
        let mut children = tree.children(merkle::depth(tree.leaf_count()), 0);
        children[pick * 32..][..32].copy_from_slice(&RUBBISH);
        let root = merkle::fold::<HostSha256>(&children).unwrap();
        let end_root = court.honest.end_root();
        commit(&mut court, end_root, root);
        court.open();
        reveal(&mut court, children);
        convicts_by_picking(&mut court, pick as u32);
    }
}

/// A tree over 65 leaves that nobody has computed: its padding fills whole subtrees at the height of the first reveal.
fn deep_tree() -> MerkleTree {
    MerkleTree::new((0..65u8).map(|leaf| [leaf; 3]))
}

/// The program's rule alone: the challenger's brain would find the made-up leaves first.
#[test]
fn false_padding_of_whole_subtrees_convicts_and_true_padding_is_nothing_to_pick() {
    for rubbish in [None, Some(33u32), Some(63)] {
        let mut court = Court::new(65, 1, None);
        let mut children = deep_tree().children(merkle::depth(65), 0);
        if let Some(pick) = rubbish {
            children[pick as usize * 32..][..32].copy_from_slice(&RUBBISH);
        }
        let root = merkle::fold::<HostSha256>(&children).unwrap();
        commit(&mut court, RUBBISH, root);
        court.open();
        reveal(&mut court, children);
        let (key, dispute) = (court.challenger_key(), court.dispute());
        for pick in [33u32, 63].into_iter().filter(|pick| rubbish != Some(*pick)) {
            let pick = court.scene.world.program.moves(&key.pubkey(), &dispute, MoveKind::Pick, &pick.to_le_bytes());
            court.scene.world.refused(&pick, &[&key], Error::NothingThere);
        }
        if let Some(pick) = rubbish {
            court.play(Side::Challenger, &Move { kind: MoveKind::Pick, payload: pick.to_le_bytes().to_vec() });
            assert_eq!(court.state().game.outcome().unwrap(), Outcome::Convicted);
        }
    }
}

#[test]
fn false_padding_of_a_state_convicts() {
    let mut court = Court::new(1, 1, None);
    let roots = court.honest.clone().state_roots(1).unwrap();
    let mut children = MerkleTree::new(&roots).children(merkle::depth(roots.len() as u32), 0);
    children[roots.len() * 32..][..32].copy_from_slice(&RUBBISH);
    let end_root = merkle::fold::<HostSha256>(&children).unwrap();
    let leaf = Leaf { end_root, ..court.honest.clone().leaves().unwrap()[0] };
    commit(&mut court, end_root, leaf.hash::<HostSha256>());
    court.open();
    let payload = [leaf.start_root, leaf.batches_root, leaf.end_root].concat();
    court.play(Side::Trainer, &Move { kind: MoveKind::OpenLeaf, payload });
    // The trace is honest; it is the state that is not its outputs.
    for kind in [MoveKind::PostTrace, MoveKind::DisputeState] {
        let (side, next) = court.next();
        assert_eq!(next.kind, kind);
        court.play(side, &next);
    }
    reveal(&mut court, children);
    convicts_by_picking(&mut court, roots.len() as u32);
}

#[test]
fn true_padding_is_nothing_to_dispute() {
    for (inner_steps, steps_per_leaf, pick) in [(10, 4, 3u32), (33, 1, 33), (33, 1, 63)] {
        let mut court = Court::new(inner_steps, steps_per_leaf, None);
        court.open();
        let (side, next) = court.next();
        court.play(side, &next);
        let (key, dispute) = (court.challenger_key(), court.dispute());
        let pick = court.scene.world.program.moves(&key.pubkey(), &dispute, MoveKind::Pick, &pick.to_le_bytes());
        court.scene.world.refused(&pick, &[&key], Error::NothingThere);
    }
}

#[test]
fn an_end_that_is_not_the_last_leafs_leaves_the_trainer_without_a_move() {
    let mut court = Court::new(10, 4, None);
    let root = accumulator(&court).root();
    commit(&mut court, RUBBISH, root);
    court.open();
    let (side, next) = court.next();
    court.play(side, &next);
    // All leaves are true, so the last one is what the segment's end contradicts.
    court.play(Side::Challenger, &Move { kind: MoveKind::Pick, payload: 2u32.to_le_bytes().to_vec() });
    let (side, next) = court.next();
    assert_eq!(next.kind, MoveKind::OpenLeaf);
    let (key, dispute) = (court.key(side), court.dispute());
    let open = court.scene.world.program.moves(&key.pubkey(), &dispute, next.kind, &next.payload);
    court.scene.world.refused(&open, &[&key], Error::LeafOutOfPlace);
}

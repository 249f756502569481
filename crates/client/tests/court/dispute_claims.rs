//! Disputes on votes, attestations, genesis states and faults, through the compiled program: from the accusation to the money.

use crate::common::send_guarded;
use crate::court::Court;
use crate::court::hall::{Hall, fight};
use sip_client::{AttestationAccusation, GenesisAccusation, VoteAccusation};
use sip_node::dispute::{Challenger, Defender, Evidence};
use sip_node::{Cheat, Computation};
use sip_proof::Hash;
use sip_protocol::ground::{escrow::REVEAL_SLOTS, units::TOKEN};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::{
    Error,
    training::{
        round,
        segment::{self, Segment},
    },
};
use sip_protocol::{
    court::{Dispute, MoveKind, Outcome},
    ground::case::CaseKind,
};
use sip_testing::staged;
use sip_testing::synthetic::{self, Flaw, Lie, Run, node};
use sip_testing::{BOND_TOKENS, Cast, Operator, Scene, named, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// A bit of an element of a node's output.
fn flip(node: u32, element: u32) -> Option<Cheat> {
    Some(Cheat::FlipBit { step: 0, node, element, bit: 21 })
}

#[test]
fn a_wrong_average_is_convicted_and_its_base_taken_back() {
    let mut hall = Hall::closed();
    let base = hall.scene.round_state().base_root;
    let quotient = staged::average(&hall.ends(), None).graph_evidence().output(0).unwrap();
    let lie = || staged::average(&hall.ends(), flip(quotient, 12_345));
    let (first, second) = (lie(), lie());
    let root = lie().root().unwrap();
    hall.scene.vote(0, &root);
    hall.scene.vote(1, &root);
    let state = hall.scene.round_state();
    assert_eq!((state.status, state.next_base, hall.scene.job_state().base_root), (round::AGGREGATED, root, root));
    let (outcome, moves) = hall.dispute_vote(0, first);
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::PostValues));
    let job = hall.scene.job_state();
    assert_eq!(hall.scene.round_state().status, round::VOID);
    assert_eq!((job.base_root, job.round_live), (base, 0));
    // Everybody else who voted for it is convicted as well.
    assert_eq!(hall.dispute_vote(1, second).0, Outcome::Convicted);
    // The job goes on without both, from the same base.
    hall.scene.to_committed();
    assert_eq!(hall.scene.round_state().base_root, base);
    let (seat, key) = (hall.scene.auditors[0].seat, hall.key(0));
    let preimage = hall.scene.next_draw(0);
    let reveal = hall.scene.world.program.reveal_draw(&seat, &hall.scene.job, &hall.scene.round(), &preimage);
    // Its own bond is gone, so that it is refused for more than one reason.
    assert!(hall.scene.world.fails(&[reveal], &[&key]).custom_code().is_some());
    hall.scene.reveal(2);
    hall.scene.attest(2, 0);
    hall.scene.attest(2, 1);
    hall.scene.close_round();
    hall.scene.show_all();
    hall.scene.vote(2, &named("the next base"));
    assert_eq!(hall.scene.round_state().status, round::AGGREGATED, "one of one active auditor is a majority");
    hall.scene.to_scored(&[scores(5_000_000)]);
    hall.scene.finalise_all();
    let (job, round) = (hall.scene.job, hall.scene.round());
    let convicted = hall.scene.auditors[0].seat;
    let settle = hall.scene.world.program.settle_audit(&job, &round, &convicted.pool, 0);
    // The round never awaited it.
    hall.scene.crank_refused(settle, Error::WrongPlace);
}

#[test]
fn a_false_base_that_is_found_out_after_its_scores_is_taken_back_as_well() {
    let mut hall = Hall::closed();
    let base = hall.scene.round_state().base_root;
    let quotient = staged::average(&hall.ends(), None).graph_evidence().output(0).unwrap();
    let mut lie = staged::average(&hall.ends(), flip(quotient, 77));
    let root = lie.root().unwrap();
    hall.scene.vote(0, &root);
    hall.scene.vote(1, &root);
    hall.scene.to_scored(&[scores(5_000_000)]);
    assert_eq!((hall.scene.round_state().status, hall.scene.job_state().base_root), (round::SCORED, root));
    assert_eq!(hall.dispute_vote(0, lie).0, Outcome::Convicted);
    let (job, state) = (hall.scene.job_state(), hall.scene.round_state());
    assert_eq!((state.status, state.is_undone, job.base_root), (round::VOID, 1, base));
    assert_eq!((job.rounds_scored, job.chain.open_count), (0, 0));
}

/// Of three auditors two lie, each in its own way, so that nobody has a majority before both are convicted.
#[test]
fn votes_are_counted_again_when_an_auditor_is_convicted() {
    let mut hall = Hall::closed();
    let mut truth = staged::average(&hall.ends(), None);
    let root = truth.root().unwrap();
    let quotient = truth.graph_evidence().output(0).unwrap();
    let lies = [5, 6].map(|element| staged::average(&hall.ends(), flip(quotient, element)));
    hall.scene.vote(0, &root);
    for (auditor, mut lie) in [1, 2].into_iter().zip(lies) {
        assert_eq!(hall.scene.round_state().status, round::CLOSED);
        if auditor == 1 {
            hall.scene.vote(2, &named("another lie"));
        }
        let lie_root = lie.root().unwrap();
        hall.scene.vote(auditor, &lie_root);
        assert_eq!(hall.dispute_vote(auditor, lie).0, Outcome::Convicted);
    }
    let (job, state) = (hall.scene.job_state(), hall.scene.round_state());
    assert_eq!((state.status, state.next_base, job.base_root), (round::AGGREGATED, root, root));
    assert_eq!((state.auditor_stake, job.chain.open_count), (state.auditors[0].stake, 1));
    // The round goes on to its end.
    hall.scene.to_scored(&[scores(5_000_000)]);
    hall.scene.finalise_all();
}

/// Two of three auditors are convicted, one of them for a root that the third then votes for: all the stake that is left.
#[test]
fn what_a_convicted_vote_named_makes_no_base() {
    let mut hall = Hall::closed();
    let quotient = staged::average(&hall.ends(), None).graph_evidence().output(0).unwrap();
    let [mut first, second] = [5, 6].map(|element| staged::average(&hall.ends(), flip(quotient, element)));
    let false_root = first.root().unwrap();
    assert_eq!(hall.dispute_vote(0, first).0, Outcome::Convicted);
    assert_eq!(hall.dispute_vote(1, second).0, Outcome::Convicted);
    hall.scene.vote(2, &false_root);
    assert_eq!(hall.scene.round_state().status, round::CLOSED);
    let root = staged::average(&hall.ends(), None).root().unwrap();
    hall.scene.vote(2, &root);
    assert_eq!((hall.scene.round_state().status, hall.scene.round_state().next_base), (round::AGGREGATED, root));
}

#[test]
fn votes_for_stale_or_missing_states_are_convicted() {
    let mut hall = Hall::closed();
    let ends = hall.ends();
    let start = staged::state(hall.runs[0].start_state());
    // The second segment's start instead of its end.
    let stale = staged::average(&[ends[0].clone(), start], None);
    let (outcome, moves) = hall.dispute_vote(0, stale);
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::ProveInput));
    // One segment left out: with the graph of two states, or with the graph of one.
    let doubled = staged::average(&[ends[0].clone(), ends[0].clone()], None);
    let (outcome, moves) = hall.dispute_vote(1, doubled);
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::ProveInput));
    let alone = staged::average(&ends[..1], None);
    let (outcome, moves) = hall.dispute_vote(2, alone);
    assert_eq!((outcome, moves), (Outcome::Convicted, vec![]));
}

/// Attack: an honest auditor's vote is accused over an evaluator's scoring run, which stands in the place of a trainer's segment.
#[test]
fn attack_an_evaluators_scoring_run_is_no_base_of_a_vote() {
    let mut hall = Hall::closed();
    let root = staged::average(&hall.ends(), None).root().unwrap();
    (0..2).for_each(|auditor| hall.scene.vote(auditor, &root));
    hall.scene.commit_score(0, &scores(5_000_000));
    hall.scene.reveal_score(0, &scores(5_000_000));
    let run = hall.scene.world.program.run(&hall.scene.round(), &hall.scene.evaluators[0].seat.pool);
    hall.send(hall.vote_commitment(0));
    let key = hall.challenger.key.insecure_clone();
    // It is revealed in the first trainer's place; and where segments of other kinds stand, none of them is a base.
    let mut accusation = hall.vote_accusation(0);
    let first = accusation.accounts.iter().position(|meta| meta.pubkey == hall.scene.segment(0)).unwrap();
    accusation.accounts[first].pubkey = run;
    hall.scene.world.refused(&[accusation.clone()], &[&key], Error::WrongKind);
    accusation.accounts[first].pubkey = hall.scene.segment(1);
    hall.scene.world.refused(&[accusation.clone()], &[&key], Error::WrongSegments);
    // Nor is a segment whose pool did not hold the place when the round was opened, nor one that did not count.
    let state = hall.scene.segment_state(0);
    accusation.accounts[first].pubkey = hall.scene.segment(0);
    for (wrong, error) in [
        (Segment { pool: hall.scene.evaluators[0].seat.pool.to_bytes(), ..state }, Error::WrongPlace),
        (Segment { status: segment::COMMITTED, ..state }, Error::WrongSegments),
    ] {
        let address = hall.scene.segment(0);
        hall.scene.world.overwrite(&address, &wrong);
        hall.scene.world.refused(&[accusation.clone()], &[&key], error);
    }
    let address = hall.scene.segment(0);
    hall.scene.world.overwrite(&address, &state);
    hall.scene.world.send(&[accusation], &[&key]);
}

#[test]
fn a_vote_for_no_average_is_convicted_by_the_state_and_stands_while_it_is_accused() {
    let mut hall = Hall::closed();
    hall.scene.vote(0, &named("no average"));
    let truth = || staged::average(&hall.ends(), None);
    let (own, other, root) = (truth(), truth(), truth().root().unwrap());
    let graph = Arc::new(other.graph_evidence());
    let dispute = hall.vote_dispute(0);
    let keys = [hall.key(0), hall.challenger.key.insecure_clone()];
    hall.accuse_vote(0);
    // Too late to have voted otherwise.
    let change = hall.scene.vote_instruction(0, &root);
    hall.scene.world.refused(&[change], &[&keys[0]], Error::ClaimDisputed);
    // The others decide.
    hall.scene.vote(1, &root);
    hall.scene.vote(2, &root);
    let (defender, challenger) = (Defender::new(graph.clone(), own), Challenger::new(graph, other));
    let (outcome, moves) = fight(&mut hall.scene, &dispute, &keys, defender, challenger);
    assert_eq!((outcome, moves), (Outcome::Convicted, vec![MoveKind::PostTrace, MoveKind::DisputeState]));
    let resolve = hall.resolve_instruction(&dispute, 0);
    hall.scene.crank(resolve);
    let seat = hall.scene.round_state().auditors[0];
    assert_eq!((seat.is_vote_convicted, seat.vote_disputes), (1, 0));
    assert_eq!(hall.scene.round_state().status, round::AGGREGATED);
}

#[test]
fn a_true_vote_is_acquitted_and_its_round_final_after_the_verdict_only() {
    let mut hall = Hall::closed();
    let mut truth = staged::average(&hall.ends(), None);
    let root = truth.root().unwrap();
    hall.scene.vote(0, &root);
    hall.scene.vote(1, &root);
    let (graph, dispute) = (Arc::new(truth.graph_evidence()), hall.vote_dispute(0));
    let keys = [hall.key(0), hall.challenger.key.insecure_clone()];
    hall.accuse_vote(0);
    hall.scene.commit_score(0, &scores(5_000_000));
    hall.scene.reveal_score(0, &scores(5_000_000));
    // The round goes on, and waits at its end.
    let tally = hall.scene.world.program.tally(&hall.scene.job, &hall.scene.round());
    hall.scene.crank(tally);
    let end_slot = hall.scene.round_state().final_slot();
    let other = staged::average(&hall.ends(), None);
    let (defender, challenger) = (Defender::new(graph.clone(), truth), Challenger::new(graph, other));
    let (outcome, moves) = fight(&mut hall.scene, &dispute, &keys, defender, challenger);
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Acquitted, MoveKind::Concede));
    let resolve = hall.resolve_instruction(&dispute, 0);
    hall.scene.advance_to(end_slot);
    let finalise = hall.scene.world.program.finalize_round(&hall.scene.job, &hall.scene.round());
    hall.scene.crank_refused(finalise, Error::ChallengeOpen);
    hall.scene.crank(resolve.clone());
    hall.scene.world.advance(1);
    hall.scene.crank_refused(resolve, Error::AlreadyResolved);
    hall.scene.finalise_all();
    let state = hall.scene.round_state();
    assert_eq!((state.status, state.next_base, state.vote_disputes), (round::FINAL, root, 0));
    assert_eq!(hall.scene.round_state().excluded_auditors(&hall.scene.job_state()), 0);
}

#[test]
fn a_false_attestation_is_convicted_and_the_segment_stands() {
    for (inner_steps, steps_per_leaf) in [(1, 1), (7, 3), (33, 1)] {
        let mut hall = Hall::new(inner_steps, steps_per_leaf);
        // Auditor 0 has computed a value of the first step wrong; auditor 1 guesses; auditor 2 is honest.
        let step = hall.leaf(0, 0) * steps_per_leaf;
        let lie = Lie::Output { step, node: node::CONTRACTED, element: 300, bit: 12 };
        let lied = hall.runs[0].scene().run(Some(lie));
        let root = lied.trace_root(step);
        hall.attest(|auditor, trainer, truth| match (auditor, trainer) {
            (0, 0) => root,
            (1, 0) => named("a guess"),
            _ => truth,
        });
        hall.scene.close_round();
        hall.show(0, 0, &root);
        hall.show(1, 0, &named("a guess"));
        let honest = hall.root(2, 0);
        hall.show(2, 0, &honest);
        let (outcome, moves) = hall.dispute_attestation(0, 0, &lied);
        assert_eq!(
            (outcome, moves[0], *moves.last().unwrap()),
            (Outcome::Convicted, MoveKind::ShowLeaf, MoveKind::PostValues)
        );
        let truth = hall.runs[0].clone();
        let (outcome, moves) = hall.dispute_attestation(2, 0, &truth);
        assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Acquitted, MoveKind::Concede));
        let (outcome, moves) = hall.dispute_attestation(1, 0, &truth);
        assert_eq!((outcome, moves), (Outcome::Convicted, vec![MoveKind::ShowLeaf]), "nothing opens a guess");
        assert_eq!(hall.scene.segment_state(0).status, segment::ACCEPTED);
        assert_eq!(hall.scene.segment_state(0).open_disputes, 0);
        // The least own bond stands behind an auditor's attestations, and goes once; the slice behind its vote stays.
        let (least, slice) = (hall.scene.job_state().parameters.minimum_self_bond, hall.scene.job_state().spec.slice);
        assert!(least < slice);
        let bond = |auditor: usize| hall.scene.pool_state(&hall.scene.auditors[auditor].seat.pool);
        for (auditor, lost) in [least, least, 0].into_iter().enumerate() {
            let pool = bond(auditor);
            assert_eq!(pool.self_bond, BOND_TOKENS * TOKEN - lost, "auditor {auditor}");
            assert_eq!(pool.frozen_bond, slice + least - lost, "auditor {auditor}");
        }
    }
}

#[test]
fn an_attested_leaf_is_opened_as_committed_and_no_state_is_in_question() {
    let mut hall = Hall::new(6, 3);
    hall.attest(|_, _, root| root);
    hall.scene.close_round();
    let root = hall.root(0, 0);
    hall.show(0, 0, &root);
    let dispute = hall.attestation_dispute(0, 0);
    let (challenger, auditor, program) = (hall.challenger.key.insecure_clone(), hall.key(0), hall.scene.world.program);
    hall.accuse_attestation(0, 0);
    let run = hall.runs[0].clone();
    let game = hall.scene.world.state::<Dispute>(&dispute).game;
    let show = Challenger::new(run.graph(), run.clone()).next(&game).unwrap().unwrap();
    assert_eq!((show.kind, game.trace_root), (MoveKind::ShowLeaf, root));
    let world = &mut hall.scene.world;
    let play = |kind, payload: &[u8]| program.moves(&challenger.pubkey(), &dispute, kind, payload);
    for &kind in MoveKind::ALL.iter().filter(|kind| ![MoveKind::ShowLeaf, MoveKind::Concede].contains(kind)) {
        let expected = if kind == MoveKind::Pick { Error::WrongPayload } else { Error::WrongMove };
        world.refused(&play(kind, &show.payload), &[&challenger], expected);
    }
    // Two leaves of three steps: roots, one sibling, batch root, two siblings.
    assert_eq!(show.payload.len(), 96 + 32 + 32 + 64);
    for place in [5, 40, 70, 100, 130, 180] {
        let mut wrong = show.payload.clone();
        wrong[place] ^= 1;
        world.refused(&play(show.kind, &wrong), &[&challenger], Error::HashMismatch);
    }
    let longer = [&show.payload[..], &[0]].concat();
    // The path of a leaf's batches is all that is left.
    world.refused(&play(show.kind, &longer), &[&challenger], Error::HashMismatch);
    world.refused(&play(show.kind, &show.payload[..100]), &[&challenger], Error::WrongPayload);
    let foreign = program.moves(&auditor.pubkey(), &dispute, show.kind, &show.payload);
    world.refused(&foreign, &[&auditor], Error::NotOnMove);
    world.send(&play(show.kind, &show.payload), &[&challenger]);
    let game = world.state::<Dispute>(&dispute).game;
    let reveal = Defender::new(run.graph(), run).next(&game).unwrap().unwrap();
    world.send(&program.moves(&auditor.pubkey(), &dispute, reveal.kind, &reveal.payload), &[&auditor]);
    world.refused(&play(MoveKind::DisputeState, &[]), &[&challenger], Error::WrongMove);
}

#[test]
fn the_trace_of_another_step_is_convicted_by_its_inputs() {
    let mut hall = Hall::new(4, 1);
    let other = (hall.leaf(0, 0) + 1) % 4;
    let root = hall.runs[0].trace_root(other);
    hall.attest(|auditor, trainer, truth| if (auditor, trainer) == (0, 0) { root } else { truth });
    hall.scene.close_round();
    hall.show(0, 0, &root);
    let shifted = Shifted { run: hall.runs[0].clone(), step: other };
    let truth = hall.runs[0].clone();
    let (defender, dispute) = (Defender::new(truth.graph(), shifted), (hall.attestation_dispute(0, 0), 0));
    hall.accuse_attestation(0, 0);
    let (outcome, moves) = hall.dispute(dispute, defender, Challenger::new(truth.graph(), truth));
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::ProveInput));
}

/// Evidence of one step, whichever is asked for.
struct Shifted {
    run: Run,
    step: u32,
}

impl Evidence for Shifted {
    type Error = <Run as Evidence>::Error;

    fn leaves(&mut self) -> Result<Vec<sip_proof::Leaf>, Self::Error> {
        self.run.leaves()
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<sip_node::dispute::StepRoots>, Self::Error> {
        self.run.steps(leaf)
    }

    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, Self::Error> {
        self.run.state_roots(step)
    }

    fn trace_roots(&mut self, _step: u32) -> Result<Vec<Hash>, Self::Error> {
        self.run.trace_roots(self.step)
    }

    fn tensor(&mut self, _step: u32, node: u32) -> Result<Vec<u32>, Self::Error> {
        self.run.tensor(self.step, node)
    }

    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, Self::Error> {
        self.run.tokens(domain)
    }
}

/// A job over the genesis state of a tiny model, or over one that is not quite it.
fn genesis(cheat: Option<Cheat>) -> (Scene, Operator, Computation) {
    let mut claimed = staged::genesis(7, cheat);
    let roots = claimed.graph_evidence().roots();
    let mut cast = Cast { trainers: 1, auditors: 1, evaluators: 1, ..Cast::default() };
    cast.spec.genesis_root = claimed.root().unwrap();
    cast.spec.state_count = roots.state_count;
    cast.spec.init_nodes_root = roots.nodes_root;
    cast.spec.init_outputs_root = roots.outputs_root;
    cast.spec.init_node_count = roots.node_count;
    let mut scene = Scene::with(&cast);
    let challenger = scene.world.operator("challenger", PoolKind::Auditor);
    (scene, challenger, claimed)
}

/// What this wallet says of the genesis state.
fn genesis_accusation<'a>(challenger: &'a Address, job: &'a Address) -> GenesisAccusation<'a> {
    GenesisAccusation { challenger, job, salt: &[3; 32] }
}

/// Commits an accusation of the genesis state, and gives the instruction that opens it.
fn commit_genesis(scene: &mut Scene, key: &Keypair) -> Instruction {
    let (program, job, wallet) = (scene.world.program, scene.job, key.pubkey());
    let accusation = genesis_accusation(&wallet, &job);
    scene.world.send(&[program.commit_hidden(&accusation.hidden())], &[key]);
    scene.world.advance(1);
    program.open_genesis_dispute(&accusation)
}

/// Accuses a genesis state and fights to the end; returns the outcome, and the last move.
fn dispute_genesis(scene: &mut Scene, challenger: &Operator, claimed: Computation) -> (Outcome, MoveKind) {
    let truth = staged::genesis(7, None);
    let graph = Arc::new(truth.graph_evidence());
    let program = scene.world.program;
    let wallet = challenger.key.pubkey();
    let keys = [scene.world.authority.insecure_clone(), challenger.key.insecure_clone()];
    let open = commit_genesis(scene, &keys[1]);
    scene.world.send(&[open], &[&keys[1]]);
    let dispute = program.dispute(&scene.job, &wallet);
    let (defender, accuser) = (Defender::new(graph.clone(), claimed), Challenger::new(graph, truth));
    let (outcome, moves) = fight(scene, &dispute, &keys, defender, accuser);
    (outcome, *moves.last().unwrap())
}

#[test]
fn a_bit_of_a_genesis_weight_closes_the_job() {
    // Node 0 is the embedding.
    let (mut scene, challenger, claimed) = genesis(flip(0, 17));
    let parameters = scene.world.config().parameters;
    let wallet = challenger.key.pubkey();
    let tokens = scene.world.tokens(&wallet);
    assert_eq!(scene.job_state().genesis_bond, parameters.genesis_bond);
    assert_eq!(dispute_genesis(&mut scene, &challenger, claimed), (Outcome::Convicted, MoveKind::PostValues));
    let resolve = scene.world.program.resolve_genesis_dispute(&wallet, &scene.job);
    scene.crank(resolve.clone());
    let job = scene.job_state();
    assert_eq!((job.closed, job.genesis_bond, job.genesis_disputes), (1, 0, 0));
    // The bond comes back at once, the bounty when nobody can turn out to have accused earlier.
    assert_eq!((scene.world.tokens(&wallet), job.escrow.bounty), (tokens, parameters.genesis_bond / 2));
    // Of what the challenger does not get a tenth waits to be burned.
    let (config, rest) = (scene.world.config(), parameters.genesis_bond / 2);
    assert_eq!((config.condemned, config.buckets.insurance), (rest / 10, rest - rest / 10));
    let claim = scene.world.program.claim_bounty(&scene.job, &wallet);
    scene.crank_refused(claim.clone(), Error::BountyHeld);
    scene.advance_to(job.escrow.slot + REVEAL_SLOTS + 1);
    scene.crank(claim);
    assert_eq!(scene.world.tokens(&wallet), tokens + parameters.genesis_bond / 2);
    let authority = scene.world.authority.insecure_clone();
    let program = scene.world.program;
    let open = program.open_round(&authority.pubkey(), &scene.job, 0, 3);
    scene.crank_refused(open, Error::JobClosed);
    scene.world.advance(parameters.unbonding_slots);
    scene.crank_refused(program.reclaim_genesis_bond(&authority.pubkey(), &scene.job), Error::NothingToClaim);
    scene.crank_refused(resolve, Error::AlreadyResolved);
    let second = scene.world.operator("second", PoolKind::Auditor);
    let open = commit_genesis(&mut scene, &second.key);
    scene.world.refused(&[open], &[&second.key], Error::ClaimConvicted);
}

#[test]
fn a_true_genesis_is_acquitted_and_its_bond_returned_after_an_unbonding_time() {
    let (mut scene, challenger, claimed) = genesis(None);
    // Longer than the scene took so far.
    let mut job = scene.job_state();
    job.parameters.unbonding_slots = 2_000_000;
    let (address, parameters) = (scene.job, job.parameters);
    scene.world.overwrite(&address, &job);
    let (program, wallet) = (scene.world.program, challenger.key.pubkey());
    let authority = scene.world.authority.insecure_clone();
    let own = commit_genesis(&mut scene, &authority);
    scene.crank_refused(own, Error::OwnClaim);
    let reclaim = program.reclaim_genesis_bond(&authority.pubkey(), &scene.job);
    scene.crank_refused(reclaim.clone(), Error::BondLocked);
    assert_eq!(dispute_genesis(&mut scene, &challenger, claimed), (Outcome::Acquitted, MoveKind::Concede));
    scene.world.advance(parameters.unbonding_slots);
    scene.crank_refused(reclaim.clone(), Error::BondLocked);
    let burned = scene.world.config().burned;
    let resolve = program.resolve_genesis_dispute(&wallet, &scene.job);
    scene.crank(resolve);
    // The creator's own accusation is still open, so that this one took two bonds.
    assert_eq!(scene.world.config().burned, burned + parameters.dispute_bond);
    let bond = parameters.genesis_bond + parameters.dispute_bond;
    assert_eq!((scene.job_state().closed, scene.job_state().genesis_bond), (0, bond));
    let stranger = scene.world.wallet("stranger");
    let foreign = program.reclaim_genesis_bond(&stranger.pubkey(), &scene.job);
    scene.world.refused(&[foreign], &[&stranger], Error::NotAuthority);
    let before = scene.world.tokens(&authority.pubkey());
    send_guarded(&mut scene.world, reclaim, &authority, &[]);
    assert_eq!(scene.world.tokens(&authority.pubkey()), before + bond);
    scene.open_round();
}

#[test]
fn an_imported_genesis_needs_no_bond_and_has_no_court() {
    let mut cast = Cast::default();
    cast.spec.init_node_count = 0;
    cast.spec.init_nodes_root = [0; 32];
    cast.spec.init_outputs_root = [0; 32];
    let mut scene = Scene::with(&cast);
    assert_eq!(scene.job_state().genesis_bond, 0);
    let challenger = scene.world.operator("challenger", PoolKind::Auditor);
    let open = commit_genesis(&mut scene, &challenger.key);
    scene.world.refused(&[open], &[&challenger.key], Error::NoClaim);
}

#[test]
fn a_value_that_is_not_finite_is_convicted_by_pointing_at_it() {
    let story = synthetic::Scene::new(7, 3).flawed(Flaw::Overflow);
    let mut court = Court::on(&story, Some(Lie::PastFault));
    court.open();
    let (outcome, record) = court.fight();
    assert_eq!((outcome, record.moves.last().unwrap().1), (Outcome::Convicted, MoveKind::Pick));
    court.resolve();
    assert_eq!(court.scene.segment_state(court.trainer).status, segment::CONVICTED);
}

#[test]
fn a_lookup_beyond_its_table_is_convicted_by_the_tables_size() {
    let story = synthetic::Scene::new(7, 3).flawed(Flaw::UnknownTokens { every: 3 });
    let mut court = Court::on(&story, Some(Lie::PastFault));
    court.open();
    court.lookup_beyond();
    let (side, proof) = court.next();
    assert_eq!(proof.kind, MoveKind::ProveBeyond);
    let (key, dispute, program) = (court.key(side), court.dispute(), court.scene.world.program);
    let mut wrong = proof.payload.clone();
    wrong[5] ^= 1;
    let refused = program.moves(&key.pubkey(), &dispute, proof.kind, &wrong);
    court.scene.world.refused(&refused, &[&key], Error::HashMismatch);
    court.play(side, &proof);
    assert_eq!(court.state().game.outcome().unwrap(), Outcome::Convicted);
    court.resolve();
}

#[test]
fn a_lookup_within_its_table_proves_nothing() {
    let lie = Lie::Output { step: 1, node: node::GATHERED, element: 7, bit: 23 };
    let mut court = Court::new(2, 2, Some(lie));
    court.open();
    let (side, mut values) = court.play_until(MoveKind::PostValues);
    let claim = court.state().game.claim;
    values.payload[4..8].copy_from_slice(&claim.to_le_bytes());
    court.play(side, &values);
    let graph = court.honest.graph();
    let proof = graph.node_opening(node::TABLE);
    let (key, dispute, program) = (court.challenger_key(), court.dispute(), court.scene.world.program);
    let beyond = program.moves(&key.pubkey(), &dispute, MoveKind::ProveBeyond, &proof);
    court.scene.world.refused(&beyond, &[&key], Error::NotContradicted);
}

#[test]
fn votes_are_accused_in_time_by_others_and_with_the_rounds_own_graph_and_segments() {
    let mut hall = Hall::new(2, 1);
    hall.attest(|_, _, root| root);
    let challenger = hall.challenger.key.insecure_clone();
    let accuse = |hall: &Hall| hall.vote_accusation(0);
    hall.send(hall.vote_commitment(0));
    hall.scene.world.refused(&[accuse(&hall)], &[&challenger], Error::NoClaim);
    hall.scene.close_round();
    hall.scene.world.refused(&[accuse(&hall)], &[&challenger], Error::NoClaim);
    hall.scene.vote(0, &named("no average"));
    hall.scene.world.refused(&[accuse(&hall)], &[&challenger], Error::AccusationTooOld);
    hall.send(hall.vote_withdrawal(0));
    hall.send(hall.vote_commitment(0));
    let with = |place: usize, account: Address| {
        let mut accusation = accuse(&hall);
        accusation.accounts[place].pubkey = account;
        accusation
    };
    let (other_pool, segments) = (hall.scene.auditors[1].seat.pool, [hall.scene.segment(0), hall.scene.segment(1)]);
    let stranger = named("stranger's dispute").into();
    let cases = [
        (with(3, other_pool), Error::WrongPlace),
        (with(3, hall.scene.trainers[0].seat.pool), Error::WrongPlace),
        (with(4, stranger), Error::WrongAddress),
        (with(7, segments[1]), Error::WrongSegments),
        (with(8, segments[0]), Error::WrongSegments),
        (with(8, hall.scene.job), Error::WrongKind),
    ];
    for (accusation, expected) in cases {
        hall.scene.world.refused(&[accusation], &[&challenger], expected);
    }
    let mut short = accuse(&hall);
    short.accounts.pop();
    hall.scene.world.refused(&[short], &[&challenger], Error::MissingAccount);
    // The graph that averages one state is not the one of this round.
    let (graph, path) = hall.aggregates.opening(1).unwrap();
    let accusation = VoteAccusation {
        challenger: &challenger.pubkey(),
        job: &hall.scene.job,
        round: &hall.scene.round(),
        auditor: &hall.scene.auditors[0].seat,
        graph: &graph,
        path: &path,
        segments: &segments,
        salt: &hall.salt,
    };
    let wrong = hall.scene.world.program.open_vote_dispute(&accusation);
    hall.scene.world.refused(&[wrong], &[&challenger], Error::HashMismatch);
    let auditor = hall.key(0);
    let own = VoteAccusation { challenger: &auditor.pubkey(), ..accusation };
    let program = hall.scene.world.program;
    hall.scene.world.send(&[program.commit_hidden(&own.hidden())], &[&auditor]);
    hall.scene.world.advance(1);
    hall.scene.world.refused(&[program.open_vote_dispute(&own)], &[&auditor], Error::OwnClaim);
    // Nobody opens an accusation in another's name.
    let mut foreign = accuse(&hall);
    foreign.accounts[0].pubkey = auditor.pubkey();
    hall.scene.world.refused(&[foreign], &[&auditor], Error::WrongAccusation);

    hall.scene.vote(1, &named("no average"));
    let last = hall.scene.round_state().accusable_until(CaseKind::Aggregate);
    hall.scene.advance_to(last + 1);
    hall.salt = named("another salt");
    hall.send(hall.vote_commitment(0));
    hall.scene.world.refused(&[accuse(&hall)], &[&challenger], Error::NoClaim);
}

#[test]
fn attestations_are_shown_once_as_committed_and_accused_in_time() {
    let mut hall = Hall::new(2, 1);
    hall.attest(|_, _, root| root);
    let (challenger, auditor) = (hall.challenger.key.insecure_clone(), hall.key(0));
    let root = hall.root(0, 0);
    let show = hall.scene.show_instruction(0, 0, &root);
    hall.scene.world.refused(std::slice::from_ref(&show), &[&auditor], Error::WrongRoundStatus);
    hall.scene.close_round();
    hall.send(hall.attestation_commitment(0, 0));
    let accusation = hall.attestation_accusation(0, 0);
    hall.scene.world.refused(std::slice::from_ref(&accusation), &[&challenger], Error::NoClaim);
    let wrong = hall.scene.show_instruction(0, 0, &named("another trace"));
    hall.scene.world.refused(&[wrong], &[&auditor], Error::WrongAttestation);
    // What another auditor attested is no use: the commitment names the pool and the segment.
    let other = hall.key(1);
    let copied = hall.scene.segment_state(0).attestations[0];
    let mut state = hall.scene.segment_state(0);
    state.attestations[1] = copied;
    let address = hall.scene.segment(0);
    hall.scene.world.overwrite(&address, &state);
    let seat = hall.scene.auditors[1].seat;
    let salt = Scene::salt(0);
    let shown = sip_protocol::training::attestation::Shown { salt: &salt, trace_root: &root };
    let (job, round) = (hall.scene.job, hall.scene.round());
    let copy = hall.scene.world.program.reveal_attestation(&seat, &job, &round, &address, &shown);
    hall.scene.world.refused(&[copy], &[&other], Error::WrongAttestation);
    send_guarded(&mut hall.scene.world, show.clone(), &auditor, &[]);
    hall.scene.world.refused(&[show], &[&auditor], Error::NothingAttested);
    assert_eq!(hall.scene.segment_state(0).attestations[0], root);
    assert_eq!(hall.scene.round_state().auditors[0].shown, 1);
    let spec = hall.scene.job_state().spec;
    hall.scene.world.advance(spec.vote_slots as u64);
    let late = hall.scene.show_instruction(0, 1, &hall.root(0, 1));
    hall.scene.world.refused(&[late], &[&auditor], Error::WrongRoundStatus);
    let own = AttestationAccusation {
        challenger: &auditor.pubkey(),
        job: &job,
        round: &round,
        segment: &address,
        auditor: &hall.scene.auditors[0].seat,
        datasets: &hall.scene.datasets,
        salt: &hall.salt,
    };
    let program = hall.scene.world.program;
    hall.scene.world.send(&[program.commit_hidden(&own.hidden())], &[&auditor]);
    hall.scene.world.advance(1);
    hall.scene.world.refused(&[program.open_attestation_dispute(&own)], &[&auditor], Error::OwnClaim);
    hall.scene.world.advance(spec.audit_slots as u64);
    hall.salt = named("another salt");
    hall.send(hall.attestation_commitment(0, 0));
    let late = hall.attestation_accusation(0, 0);
    hall.scene.world.refused(&[late], &[&challenger], Error::NoClaim);
}

#[test]
fn accusations_and_verdicts_over_auditors_are_guarded() {
    let mut hall = Hall::closed();
    let (challenger, auditor) = (hall.challenger.key.insecure_clone(), hall.key(0));
    let program = hall.scene.world.program;
    hall.scene.vote(0, &named("no average"));
    let root = hall.root(0, 0);
    hall.show(0, 0, &root);
    let vote = (hall.vote_accusation(0), hall.vote_dispute(0));
    let attestation = (hall.attestation_accusation(0, 0), hall.attestation_dispute(0, 0));
    for commitment in [hall.vote_commitment(0), hall.attestation_commitment(0, 0)] {
        send_guarded(&mut hall.scene.world, commitment, &challenger, &[]);
        hall.scene.world.advance(1);
    }
    send_guarded(&mut hall.scene.world, vote.0, &challenger, &[]);
    send_guarded(&mut hall.scene.world, attestation.0, &challenger, &[]);
    let concede = program.play_move(&auditor.pubkey(), &vote.1, MoveKind::Concede, 0, &[]);
    hall.scene.world.send(&[concede], &[&auditor]);
    let concede = program.play_move(&challenger.pubkey(), &attestation.1, MoveKind::Concede, 0, &[]);
    hall.scene.world.send(&[concede], &[&challenger]);
    let genesis = program.resolve_genesis_dispute(&challenger.pubkey(), &hall.scene.job);
    let mut wrong = genesis.clone();
    wrong.accounts[2].pubkey = vote.1;
    hall.scene.crank_refused(wrong, Error::WrongCase);
    // A verdict goes to the accounts of its dispute, once.
    for dispute in [vote.1, attestation.1] {
        let resolve = hall.resolve_instruction(&dispute, 0);
        let (other_pool, program_id) = (hall.scene.auditors[1].seat.pool, program.id);
        let cases = [
            (0, hall.scene.job, Error::WrongKind),
            (1, hall.scene.round(), Error::WrongKind),
            (2, hall.scene.segment(0), Error::WrongKind),
            (3, other_pool, Error::WrongAccount),
            (4, hall.scene.segment(0), Error::WrongKind),
            (6, program.token_account(&auditor.pubkey()), Error::WrongTokenAccount),
            (8, program_id, Error::WrongProgram),
        ];
        for (place, account, expected) in cases {
            let mut wrong = resolve.clone();
            wrong.accounts[place].pubkey = account;
            hall.scene.crank_refused(wrong, expected);
        }
        for place in 0..5 {
            let mut readonly = resolve.clone();
            readonly.accounts[place].is_writable = false;
            hall.scene.crank_refused(readonly, Error::NotWritable);
        }
        let mut misplaced = resolve.clone();
        if dispute == vote.1 {
            misplaced.accounts[5].pubkey = program.token_account(&auditor.pubkey());
        } else {
            misplaced.accounts[7].pubkey = program.vault();
        }
        hall.scene.crank_refused(misplaced, Error::WrongTokenAccount);
        let mut foreign = program.resolve_dispute(
            &challenger.pubkey(),
            &hall.scene.job,
            &hall.scene.round(),
            &hall.scene.trainers[0].seat.pool,
        );
        foreign.accounts[5].pubkey = dispute;
        hall.scene.crank_refused(foreign, Error::WrongAccount);
        hall.scene.crank(resolve.clone());
        hall.scene.world.advance(1);
        hall.scene.crank_refused(resolve, Error::AlreadyResolved);
    }
    let open = commit_genesis(&mut hall.scene, &challenger);
    send_guarded(&mut hall.scene.world, open, &challenger, &[]);
    hall.scene.crank_refused(genesis.clone(), Error::DisputeNotOver);
    let dispute = program.dispute(&hall.scene.job, &challenger.pubkey());
    let creator = hall.scene.world.authority.insecure_clone();
    let concede = program.play_move(&creator.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
    hall.scene.world.send(&[concede], &[&creator]);
    for (place, account, expected) in [
        (0, hall.scene.job, Error::WrongKind),
        (1, hall.scene.round(), Error::WrongKind),
        (2, hall.scene.job, Error::WrongKind),
        (3, program.token_account(&auditor.pubkey()), Error::WrongTokenAccount),
    ] {
        let mut wrong = genesis.clone();
        wrong.accounts[place].pubkey = account;
        // The job in the place of the configuration or the dispute is there twice.
        let error = hall.scene.world.fails(&[wrong], &[&challenger]).custom_code().and_then(sip_client::refusal);
        assert!(error == Some(expected) || error == Some(Error::DuplicateAccount), "{place}: {error:?}");
    }
    let mut foreign = hall.resolve_instruction(&dispute, 0);
    foreign.accounts[4].pubkey = dispute;
    hall.scene.crank_refused(foreign, Error::WrongAccount);
    hall.scene.crank(genesis);
}

//! Attack: a job is made as large as it may be, so that an instruction of somebody else's needs more than a transaction holds: sixteen of
//! every role, eight domains, every segment drawn and attested by everybody, every vote another, every score another.

use crate::accuser::Accuser;
use sip_client::VoteAccusation;
use sip_ledger::Ledger;
use sip_protocol::{
    court::MoveKind,
    ground::{case::CaseKind, escrow::REVEAL_SLOTS},
    stake::pool::PoolKind,
    training::{
        round::{self, Round},
        segment::CONVICTED,
    },
};
use sip_testing::{Cast, Scene, named, scores, staged};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::BTreeMap;

/// What an instruction may take that names no more.
const LIMIT: u64 = 200_000;

/// The dearest of each kind.
struct Costs(BTreeMap<&'static str, u64>);

impl Costs {
    fn send(&mut self, scene: &mut Scene, name: &'static str, instruction: Instruction, key: Option<&Keypair>) {
        let authority = scene.world.authority.insecure_clone();
        let signers: Vec<&Keypair> = std::iter::once(&authority).chain(key).collect();
        let receipt = scene.world.ledger.send(&[instruction], &authority, &signers);
        let receipt = receipt.unwrap_or_else(|error| panic!("{name}: {error}: {:#?}", error.failure()));
        let most = self.0.entry(name).or_default();
        *most = (*most).max(receipt.compute_units);
    }

    /// Refuses what takes more than it may.
    fn check(&self) {
        println!("{:?}", self.0);
        assert!(self.0.values().all(|units| *units <= LIMIT), "{:?}", self.0);
    }
}

fn crowd() -> Cast {
    let mut cast = Cast { trainers: 16, auditors: 16, evaluators: 16, ..Cast::default() };
    cast.spec.domain_count = 8;
    (cast.spec.challenge_slots, cast.spec.audit_slots) = (5_000, 2_000);
    cast
}

#[test]
fn no_instruction_of_the_largest_job_needs_more_than_a_transaction_holds() {
    let mut scene = Scene::with(&crowd());
    let mut costs = Costs(BTreeMap::new());
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let open = program.open_next_round(&authority.pubkey(), &job, &scene.job_state());
    costs.send(&mut scene, "open_round", open, None);
    let round = scene.round();
    for trainer in 0..16 {
        let (commit, key) =
            (scene.commit_instruction(trainer, &scene.claim(trainer)), scene.trainers[trainer].key.insecure_clone());
        costs.send(&mut scene, "commit_segment", commit, Some(&key));
    }
    costs.send(&mut scene, "close_commits", program.close_commits(&job, &round), None);
    for auditor in 0..16 {
        let key = scene.auditors[auditor].key.insecure_clone();
        let reveal = program.reveal_draw(&scene.auditors[auditor].seat, &job, &round, &scene.next_draw(auditor));
        costs.send(&mut scene, "reveal_draw", reveal, Some(&key));
        (0..16).for_each(|trainer| scene.attest(auditor, trainer));
    }
    let close = scene.close_instruction(&(0..16).collect::<Vec<_>>());
    costs.send(&mut scene, "close_round", close, None);
    for auditor in 0..16 {
        let key = scene.auditors[auditor].key.insecure_clone();
        let show = scene.show_instruction(auditor, 15, &Scene::trace_root(auditor, 15));
        costs.send(&mut scene, "reveal_attestation", show, Some(&key));
        // Every vote another, and then all the same.
        let vote = scene.vote_instruction(auditor, &named(&format!("{auditor}")));
        costs.send(&mut scene, "vote_base", vote, Some(&key));
    }
    for auditor in 0..16 {
        if scene.round_state().status == round::CLOSED {
            let (vote, key) =
                (scene.vote_instruction(auditor, &named("base")), scene.auditors[auditor].key.insecure_clone());
            costs.send(&mut scene, "vote_base", vote, Some(&key));
        }
    }
    for evaluator in 0..16 {
        let key = scene.evaluators[evaluator].key.insecure_clone();
        let found = scores(5_000_000 + 1_000 * evaluator as u32);
        let commit = scene.commit_score_instruction(evaluator, &found);
        costs.send(&mut scene, "commit_score", commit, Some(&key));
    }
    for evaluator in 0..16 {
        let key = scene.evaluators[evaluator].key.insecure_clone();
        let found = scores(5_000_000 + 1_000 * evaluator as u32);
        let reveal = scene.reveal_score_instruction(evaluator, &found);
        costs.send(&mut scene, "reveal_score", reveal, Some(&key));
    }
    let after = scene.round_state().reveal_deadline_slot + u64::from(scene.job_state().spec.evaluation_slots);
    scene.advance_to(after);
    costs.send(&mut scene, "tally", program.tally(&job, &round), None);
    let due = scene.round_state().seed_slots[1] + 1;
    scene.advance_to(due);
    costs.send(&mut scene, "capture_seed", program.capture_seed(&job, &round), None);
    let accuser = Accuser::new(&mut scene, "accuser", &round, 15);
    let commit = accuser.commit_instruction(&scene);
    costs.send(&mut scene, "commit_accusation", commit, Some(&accuser.key));
    scene.world.advance(1);
    let open = accuser.open_instruction(&scene);
    costs.send(&mut scene, "open_dispute", open, Some(&accuser.key));
    accuser.win(&mut scene);
    assert_eq!(scene.segment_state(15).status, CONVICTED);
    scene.world.advance(REVEAL_SLOTS + 1);
    let claim = accuser.claim_instruction(&scene);
    costs.send(&mut scene, "claim_bounty", claim, None);
    let end = scene.round_state().final_slot();
    scene.advance_to(end);
    for place in 0..16u8 {
        let [trainer, auditor, evaluator] =
            [&scene.trainers, &scene.auditors, &scene.evaluators].map(|all| all[usize::from(place)].seat.pool);
        costs.send(&mut scene, "settle_segment", program.settle_segment(&job, &round, &trainer), None);
        costs.send(&mut scene, "settle_audit", program.settle_audit(&job, &round, &auditor, place), None);
        costs.send(&mut scene, "settle_evaluation", program.settle_evaluation(&job, &round, &evaluator, place), None);
    }
    scene.world.check_conservation();
    costs.check();
}

/// Where nobody draws anything at first: votes that bring draws over sixteen segments, their attestations, the dispute of a vote over the same sixteen, and the
/// verdict on it, which counts sixteen votes again; then what ends and closes such rounds.
#[test]
fn nor_does_one_with_second_draws_verdicts_on_votes_and_rounds_that_are_undone_or_close() {
    let states = staged::state(&(0..9).map(|entry| vec![entry; 4]).collect::<Vec<_>>());
    let aggregates = staged::aggregates(&states);
    let mut cast = crowd();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, u32::MAX);
    cast.spec.aggregates_root = aggregates.root();
    let mut scene = Scene::with(&cast);
    let mut costs = Costs(BTreeMap::new());
    let (program, job) = (scene.world.program, scene.job);
    scene.open_round();
    let first = scene.round();
    for trainer in 0..16 {
        scene.commit(trainer);
    }
    scene.close_commits();
    (0..16).for_each(|auditor| scene.reveal(auditor));
    let close = scene.close_instruction(&(0..16).collect::<Vec<_>>());
    costs.send(&mut scene, "close_round", close, None);
    for auditor in 0..16 {
        let key = scene.auditors[auditor].key.insecure_clone();
        let vote = scene.vote_instruction(auditor, &named(&format!("{auditor}")));
        costs.send(&mut scene, "vote_base", vote, Some(&key));
        let attest = scene.attest_second_instruction(auditor, 15, &Scene::trace_root(auditor, 15));
        costs.send(&mut scene, "attest_second", attest, Some(&key));
    }

    // All that sixteen segments say stands in one transaction of the dispute.
    let challenger = scene.world.operator("challenger", PoolKind::Auditor).key;
    let wallet = challenger.pubkey();
    let (graph, path) = aggregates.opening(16).expect("sixteen states");
    let segments: Vec<Address> = (0..16).map(|trainer| scene.segment(trainer)).collect();
    let (seat, salt) = (scene.auditors[15].seat, named("salt"));
    let accusation = VoteAccusation {
        challenger: &wallet,
        job: &job,
        round: &first,
        auditor: &seat,
        graph: &graph,
        path: &path,
        segments: &segments,
        salt: &salt,
    };
    let commit = program.commit_hidden(&accusation.hidden());
    scene.world.send(&[commit], &[&challenger]);
    scene.world.advance(1);
    costs.send(&mut scene, "open_vote_dispute", program.open_vote_dispute(&accusation), Some(&challenger));
    let dispute = program.auditor_dispute(&first, &wallet, 15);
    let liar = scene.auditors[15].key.insecure_clone();
    let concede = program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
    scene.world.send(&[concede], &[&liar]);
    let resolve = program.resolve_auditor_dispute(&wallet, &dispute, &job, &first, &seat.pool);
    costs.send(&mut scene, "resolve_auditor_dispute", resolve, None);

    for auditor in (0..15).rev() {
        if scene.round_state().status == round::CLOSED {
            scene.vote(auditor, &named("base"));
        }
    }
    (0..16).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    (0..16).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
    let later = scene.round_state().reveal_deadline_slot;
    scene.advance_to(later);
    scene.tally();
    scene.capture_seed();

    // The next one runs when what it builds on is undone.
    let accuser = Accuser::new(&mut scene, "accuser", &first, 15);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.open_round();
    let second = scene.round();
    for trainer in 0..16 {
        scene.commit(trainer);
    }
    accuser.win(&mut scene);
    let undo = scene.undo_round(&second);
    costs.send(&mut scene, "undo_round", undo, None);

    // And one that comes to nothing, from which a trainer is absent.
    scene.open_round();
    let third = scene.round();
    for trainer in 0..14 {
        scene.commit(trainer);
    }
    let deadline = scene.round_state().commit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_commits();
    (0..15).for_each(|auditor| scene.reveal(auditor));
    scene.close_round();
    let deadline = scene.round_state().vote_deadline_slot;
    scene.advance_to(deadline);
    costs.send(&mut scene, "void_round", program.void_round(&job, &third), None);
    let end = scene.round_state().final_slot();
    scene.advance_to(end);
    let absent = scene.trainers[14].seat;
    costs.send(&mut scene, "settle_absent", program.settle_absent(&job, &third, &absent.pool, absent.place), None);

    let bounties =
        [accuser.claim_instruction(&scene), program.claim_auditors_bounty(&first, 15, CaseKind::Aggregate, &wallet)];
    for bounty in bounties {
        costs.send(&mut scene, "claim_bounty", bounty, None);
    }
    for round in [first, second] {
        let end = scene.world.state::<Round>(&round).final_slot();
        scene.advance_to(end);
        scene.settle_round(&round);
    }
    let slots = scene.job_state().parameters.unbonding_slots;
    scene.world.advance(slots);
    for round in [first, second] {
        for reclaim in scene.reclaim_instructions(&round) {
            costs.send(&mut scene, "reclaim", reclaim, None);
        }
    }
    scene.world.check_conservation();
    costs.check();
}

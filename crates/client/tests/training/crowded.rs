//! Attack: a job is made as large as it may be, so that an instruction of somebody else's needs more than a transaction holds: sixteen of
//! every role, eight domains, every segment drawn and attested by everybody, every vote another, every score another.

use crate::accuser::Accuser;
use sip_ledger::Ledger;
use sip_protocol::{
    ground::escrow::REVEAL_SLOTS,
    training::{round, segment::CONVICTED},
};
use sip_testing::{Cast, Scene, named, scores};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
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
}

fn crowd() -> Scene {
    let mut cast = Cast { trainers: 16, auditors: 16, evaluators: 16, ..Cast::default() };
    cast.spec.domain_count = 8;
    (cast.spec.challenge_slots, cast.spec.audit_slots) = (5_000, 2_000);
    Scene::with(&cast)
}

#[test]
fn no_instruction_of_the_largest_job_needs_more_than_a_transaction_holds() {
    let mut scene = crowd();
    let mut costs = Costs(BTreeMap::new());
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let open = program.open_next_round(&solana_signer::Signer::pubkey(&authority), &job, &scene.job_state());
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
    println!("{:?}", costs.0);
    assert!(costs.0.values().all(|units| *units <= LIMIT), "{:?}", costs.0);
}

//! What is challenged: accusations, amendments, demands, disputes and all their moves.

use sip_client::{Accusation, GenesisAccusation, StateDemand};
use sip_node::availability::{data_answer, state_answer};
use sip_node::dispute::Challenger;
use sip_proof::{BlobTree, merkle::MerkleTree};
use sip_protocol::instructions::{Args, OpenDispute, ResolveDispute};
use sip_protocol::{
    admin::config::Parameters,
    court::{Dispute, MoveKind, Outcome},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, units::TOKEN},
    training::{data::Dataset, round::Round, segment::SegmentClaim},
};
use sip_testing::synthetic::{self, Flaw, Lie, node};
use sip_testing::{Cast, Scene, named, scores};
use solana_signer::Signer;

use crate::Table;
use crate::{
    accuser::Accuser,
    court::{Court, chamber::Chamber, hall::Hall},
};

pub(crate) fn challenges() -> Table {
    let mut table = Table::default();
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 30_000;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let job = scene.job;
    let entries = [vec![7u8; 300_000], vec![5; 3]];
    let roots: Vec<[u8; 32]> = (0..9).map(|entry| BlobTree::new(&entries[(entry != 4) as usize]).root()).collect();
    let tokens: Vec<u8> = (0..400_000u32).map(|byte| byte as u8).collect();
    let dataset = scene.datasets[0];
    let state: Dataset = scene.world.state(&dataset);
    scene.world.overwrite(&dataset, &Dataset { train_root: BlobTree::new(&tokens).root(), ..state });

    scene.open_round();
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    let round = scene.round();
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    scene.world.send(&[program.add_bond(&seat.operator, &seat.pool, 10 * TOKEN)], &[&trainer]);
    let claim = SegmentClaim { end_root: MerkleTree::new(&roots).root(), ..scene.claim(0) };
    let amend = program.amend_segment(&seat.operator, &job, &round, &seat.pool, &claim);
    table.run(&mut scene.world, amend, &trainer);
    scene.close_commits();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.open_round();
    let running = scene.round();

    let reader = scene.world.wallet("reader");
    let wallet = reader.pubkey();
    let demand = StateDemand { demander: &wallet, job: &job, round: &round, pool: &seat.pool, entry: 4, chunk: 292 };
    table.run(&mut scene.world, program.demand_state(&demand), &reader);
    let address = program.demand(&program.segment(&round, &seat.pool), &wallet, 4, 292);
    let answer = state_answer(&roots, 4, &entries[0], 292).unwrap();
    let mut parts = program.answer_state(&seat.operator, &address, &round, &seat.pool, &answer);
    let last = parts.pop().unwrap();
    for part in parts {
        table.run(&mut scene.world, part, &trainer);
    }
    table.run(&mut scene.world, last, &trainer);
    table.run(&mut scene.world, program.close_demand(&wallet, &address), &reader);
    let (pool, provider) = (scene.providers[0].seat.pool, scene.providers[0].key.insecure_clone());
    table.run(&mut scene.world, program.demand_data(&wallet, &dataset, &pool, 200), &reader);
    let address = program.demand(&dataset, &wallet, 0, 200);
    let answer = data_answer(&tokens, 200).unwrap();
    let mut parts = program.answer_data(&provider.pubkey(), &address, &dataset, &pool, &answer);
    let last = parts.pop().unwrap();
    for part in parts {
        scene.world.send(&[part], &[&provider]);
    }
    table.run(&mut scene.world, last, &provider);
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    scene.world.send(&[program.demand_data(&wallet, &dataset, &pool, 201)], &[&reader]);

    let [first, second, third] = ["first", "second", "third"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    for accuser in [&first, &second, &third] {
        let commit = accuser.commit_instruction(&scene);
        table.run(&mut scene.world, commit, &accuser.key);
    }
    scene.world.advance(1);
    second.open(&mut scene);
    second.win(&mut scene);
    let withdraw = third.withdraw_instruction(&scene);
    table.run(&mut scene.world, withdraw, &third.key);
    let slots = scene.world.config().parameters.clock_slots;
    scene.world.advance(slots + 1);
    let expire = first.expire_instruction(&scene);
    table.run(&mut scene.world, expire, &authority);
    let claim = second.claim_instruction(&scene);
    table.run(&mut scene.world, claim, &authority);
    let undo = scene.undo_round(&running);
    table.run(&mut scene.world, undo, &authority);
    table.run(&mut scene.world, program.fail_state(&demand), &authority);
    let fail = program.fail_data(&wallet, &dataset, &pool, 201);
    table.run(&mut scene.world, fail, &authority);
    let retire = program.retire_dataset(&provider.pubkey(), &dataset, &pool);
    table.run(&mut scene.world, retire, &provider);
    let segment = program.segment(&round, &seat.pool);
    let deadline = scene.world.state::<Round>(&round).disputable_until() - REVEAL_SLOTS;
    scene.advance_to(deadline + REVEAL_SLOTS + 1);
    table.run(&mut scene.world, program.release_bounty(&round, &segment), &authority);
    table
}

/// Disputes that together play every move; in the last one the trainer posts an operand value that gives its claim.
pub(crate) fn compressed_updates() -> Table {
    let mut table = Table::default();
    let mut chamber = Chamber::new();
    let program = chamber.scene.world.program;
    let (seat, key) = (chamber.scene.trainers[1].seat, chamber.scene.trainers[1].key.insecure_clone());
    chamber.scene.world.send(&[program.add_bond(&seat.operator, &seat.pool, 100 * TOKEN)], &[&key]);
    for case in ["reset", "update"] {
        let first = chamber.honest(0);
        chamber.scene.commit_claim(0, &first);
        let commit = chamber.scene.commit_instruction(1, &chamber.scene.claim(1));
        table.run_as(&mut chamber.scene.world, case, commit, &key);
        let (round, previous, claim) = (chamber.scene.round(), chamber.scene.previous_segment(1), chamber.honest(1));
        let amend = program.amend_update(&seat.operator, &chamber.scene.job, &round, &seat.pool, &claim, &previous);
        table.run_as(&mut chamber.scene.world, case, amend, &key);
        if case == "reset" {
            chamber.finish_round();
            chamber.open_round();
        }
    }
    chamber.scene.close_commits();
    for (case, name) in [(CaseKind::Start, "start"), (CaseKind::Update, "update")] {
        let challenger = chamber.challenger();
        let [commit, open] = chamber.accusation(&challenger.pubkey(), 1, case);
        chamber.scene.world.send(&[commit], &[&challenger]);
        chamber.scene.world.advance(1);
        table.run_as(&mut chamber.scene.world, name, open, &challenger);
    }
    table
}

pub(crate) fn moves() -> Table {
    let mut table = Table::default();
    let output = |step, node, element, bit| Lie::Output { step, node, element, bit };
    let cases = [
        (10, 3, Some(output(4, node::CONTRACTED, 300, 12))),
        (20, 1, Some(output(7, node::UPDATED, 17_000, 20))),
        (20, 16, Some(output(7, node::UPDATED, 23_999, 20))),
        (1, 1, Some(output(0, node::WEIGHTS, 0, 22))),
        (1, 1, Some(output(0, node::STEP, 0, 0))),
        (10, 3, Some(Lie::Batch { step: 5 })),
        (10, 3, Some(Lie::LazyCopy { step: 0 })),
        (10, 3, None),
        (1, 1, Some(output(0, node::GATHERED, 300, 22))),
    ];
    let last = cases.len() - 1;
    for (number, (inner_steps, steps_per_leaf, lie)) in cases.into_iter().enumerate() {
        let mut court = Court::new(inner_steps, steps_per_leaf, lie);
        let opened = court.open();
        while court.state().game.outcome().unwrap() == Outcome::Open {
            let (side, mut next) = court.next();
            if number == last && next.kind == MoveKind::PostValues {
                next.payload[4..].copy_from_slice(&court.state().game.claim.to_le_bytes());
            }
            for receipt in court.play(side, &next) {
                table.play(next.kind, &receipt);
            }
        }
        if number == last {
            table.note(OpenDispute::TAG, "2 datasets", opened.compute_units, opened.transaction_bytes);
            let resolved = court.resolve();
            table.note(ResolveDispute::TAG, "", resolved.compute_units, resolved.transaction_bytes);
            let (key, dispute) = (court.challenger_key(), court.dispute());
            let close = court.scene.world.program.close_dispute(&key.pubkey(), &dispute);
            table.run(&mut court.scene.world, close, &key);
        }
    }
    let mut court =
        Court::on(&synthetic::Scene::new(1, 1).flawed(Flaw::UnknownTokens { every: 3 }), Some(Lie::PastFault));
    court.open();
    court.lookup_beyond();
    let (side, next) = court.next();
    for receipt in court.play(side, &next) {
        table.play(next.kind, &receipt);
    }
    let mut hall = Hall::new(18, 4);
    hall.attest(|_, _, root| root);
    hall.scene.close_round();
    let (challenger, root) = (hall.challenger.key.insecure_clone(), hall.root(0, 0));
    hall.show(0, 0, &root);
    hall.scene.vote(0, &named("no average"));
    let (vote, attestation) = (hall.vote_dispute(0), hall.attestation_dispute(0, 0));
    let program = hall.scene.world.program;
    let (job, wallet, salt) = (hall.scene.job, challenger.pubkey(), hall.salt);
    let genesis = GenesisAccusation { challenger: &wallet, job: &job, salt: &salt };
    hall.send(hall.vote_commitment(0));
    hall.send(hall.attestation_commitment(0, 0));
    hall.send(program.commit_hidden(&genesis.hidden()));
    let open = hall.vote_accusation(0);
    table.run_as(&mut hall.scene.world, "2 segments", open, &challenger);
    let bytes = table.0[table.0.len() - 1].bytes;
    assert!(bytes + 14 * 33 <= 1_232, "sixteen segments do not fit into one transaction");
    let open = hall.attestation_accusation(0, 0);
    table.run(&mut hall.scene.world, open, &challenger);
    let open = program.open_genesis_dispute(&genesis);
    table.run(&mut hall.scene.world, open, &challenger);
    let truth = hall.runs[0].clone();
    let game = hall.scene.world.state::<Dispute>(&attestation).game;
    let show = Challenger::new(truth.graph(), truth).next(&game).unwrap().unwrap();
    for instruction in program.moves(&challenger.pubkey(), &attestation, show.kind, &show.payload) {
        let receipt = hall.scene.world.send(&[instruction], &[&challenger]);
        table.play(show.kind, &receipt);
    }
    let genesis = program.dispute(&hall.scene.job, &challenger.pubkey());
    hall.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    for dispute in [vote, attestation, genesis] {
        hall.scene.crank(program.time_out(&dispute));
    }
    let resolve = hall.resolve_instruction(&vote, 0);
    table.run(&mut hall.scene.world, resolve, &challenger);
    let resolve = program.resolve_genesis_dispute(&challenger.pubkey(), &hall.scene.job);
    table.run(&mut hall.scene.world, resolve, &challenger);

    let mut court = Court::new(1, 1, None);
    court.open();
    let (trainer, dispute) = (court.trainer_key(), court.dispute());
    let program = court.scene.world.program;
    let upload = program.upload(&trainer.pubkey(), &dispute, 0, &[7; sip_client::MOVE_PART_BYTES]);
    table.run(&mut court.scene.world, upload, &trainer);
    court.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    table.run(&mut court.scene.world, program.time_out(&dispute), &trainer);

    table
}

/// A scoring run that is disputed before its round is scored.
pub(crate) fn runs() -> Table {
    let mut table = Table::default();
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    (0..3).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    (0..3).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
    let (program, job, round, pool) = (scene.world.program, scene.job, scene.round(), scene.evaluators[0].seat.pool);
    let accuser = scene.world.wallet("accuser");
    let (challenger, datasets) = (accuser.pubkey(), scene.datasets.clone());
    let accusation = Accusation {
        challenger: &challenger,
        job: &job,
        round: &round,
        pool: &pool,
        datasets: &datasets,
        salt: &[9; 32],
    };
    scene.world.send(&[program.commit_run_accusation(&accusation)], &[&accuser]);
    scene.world.advance(1);
    table.run_as(&mut scene.world, "3 datasets", program.open_run_dispute(&accusation), &accuser);
    scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    scene.crank(program.time_out(&program.dispute(&program.run(&round, &pool), &challenger)));
    let resolve = program.resolve_run_dispute(&challenger, &job, &round, &pool);
    table.run(&mut scene.world, resolve, &accuser);
    table
}

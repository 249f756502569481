//! Valid transactions of disputes, verdicts and answers for the table.

use crate::court::{Court, hall::Hall};
use crate::table::{record, send_guarded, send_unread};
use sip_client::{Accusation, GenesisAccusation, Party, StateDemand};
use sip_node::availability::{data_answer, state_answer};
use sip_proof::{BlobTree, merkle::MerkleTree};
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::{MoveKind, Side},
    ground::escrow::REVEAL_SLOTS,
    training::{data::Dataset, segment::SegmentClaim},
};
use sip_testing::synthetic::{Lie, node};
use sip_testing::{Cast, Scene, named, scores};
use solana_instruction::AccountMeta;
use solana_signer::Signer;

const LIE: Lie = Lie::Output { step: 4, node: node::CONTRACTED, element: 300, bit: 12 };

pub(crate) fn a_segment_is_disputed() {
    let mut court = Court::new(10, 3, Some(LIE));
    let (program, trainer, challenger) = (court.scene.world.program, court.trainer_key(), court.challenger_key());
    court.open();
    let dispute = court.dispute();
    let (_, reveal) = court.play_until(MoveKind::Reveal);
    let (last, uploads) = {
        let mut moves = program.moves(&trainer.pubkey(), &dispute, reveal.kind, &reveal.payload);
        (moves.pop().expect("a move has a last part"), moves)
    };
    for upload in uploads {
        court.scene.world.send(&[upload], &[&trainer]);
    }
    let upload = program.upload(&trainer.pubkey(), &dispute, 3_000, &[1, 2, 3]);
    send_guarded(&mut court.scene.world, upload, &trainer, &[]);
    let seat = court.scene.trainers[court.trainer].seat;
    let hot = court.scene.world.wallet("hot defender");
    let set = program.set_session(&seat.operator, &seat.pool, &hot.pubkey(), u64::MAX);
    court.scene.world.send(&[set], &[&trainer]);
    let party = Party { wallet: hot.pubkey(), pool: Some(seat.pool) };
    let upload = program.upload(party, &dispute, 3_000, &[1, 2, 4]);
    court.scene.world.refused(std::slice::from_ref(&upload), &[&hot], Error::SessionWaits);
    court.scene.world.advance(Parameters::DEFAULT.clock_slots / 2);
    send_guarded(&mut court.scene.world, upload, &hot, &[]);
    // A session key plays, and does not concede.
    let concede = program.play_move(party, &dispute, MoveKind::Concede, 0, &[]);
    court.scene.world.refused(&[concede], &[&hot], Error::NotParty);
    let mut by_session = last.clone();
    by_session.accounts[0].pubkey = hot.pubkey();
    by_session.accounts.push(AccountMeta::new_readonly(seat.pool, false));
    record(&court.scene.world.ledger, &by_session, &[], &[]);
    send_guarded(&mut court.scene.world, last, &trainer, &[]);
    while court.next().0 != Side::Trainer {
        let (side, next) = court.next();
        court.play(side, &next);
    }
    court.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    send_guarded(&mut court.scene.world, program.time_out(&dispute), &challenger, &[]);
    let resolve = court.resolve_instruction();
    // A conviction burns nothing.
    send_unread(&mut court.scene.world, resolve, &challenger, &[], &[8]);
    let close = program.close_dispute(&challenger.pubkey(), &dispute);
    send_guarded(&mut court.scene.world, close, &challenger, &[]);
}

pub(crate) fn auditors_are_disputed() {
    let mut hall = Hall::new(2, 1);
    hall.attest(|_, _, root| root);
    hall.scene.close_round();
    let (challenger, auditor) = (hall.challenger.key.insecure_clone(), hall.key(0));
    let program = hall.scene.world.program;
    hall.scene.vote(0, &named("no average"));
    let root = hall.root(0, 0);
    let show = hall.scene.show_instruction(0, 0, &root);
    send_guarded(&mut hall.scene.world, show, &auditor, &[]);
    for commitment in [hall.vote_commitment(0), hall.attestation_commitment(0, 0)] {
        send_guarded(&mut hall.scene.world, commitment, &challenger, &[]);
    }
    hall.scene.world.advance(1);
    let (vote, attestation) = (hall.vote_accusation(0), hall.attestation_accusation(0, 0));
    send_guarded(&mut hall.scene.world, vote, &challenger, &[]);
    send_guarded(&mut hall.scene.world, attestation, &challenger, &[]);
    // A conviction burns nothing; an acquittal pays the challenger nothing.
    let (vote, attestation) = (hall.vote_dispute(0), hall.attestation_dispute(0, 0));
    for (dispute, loser, unread) in [(vote, &auditor, 7), (attestation, &challenger, 5)] {
        let concede = program.play_move(&loser.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        hall.scene.world.send(&[concede], &[loser]);
        let resolve = hall.resolve_instruction(&dispute, 0);
        send_unread(&mut hall.scene.world, resolve, &challenger, &[], &[unread]);
    }
}

pub(crate) fn a_scoring_run_is_disputed() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    (0..3).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    (0..3).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
    let (program, job, round, pool) = (scene.world.program, scene.job, scene.round(), scene.evaluators[0].seat.pool);
    let (run, datasets) = (program.run(&round, &pool), scene.datasets.clone());
    let [first, second] = ["accuser", "late accuser"].map(|name| scene.world.wallet(name));
    let wallets = [first.pubkey(), second.pubkey()];
    let accusations = [&wallets[0], &wallets[1]].map(|challenger| Accusation {
        challenger,
        job: &job,
        round: &round,
        pool: &pool,
        datasets: &datasets,
        salt: &[9; 32],
    });
    send_guarded(&mut scene.world, program.commit_run_accusation(&accusations[0]), &first, &[]);
    scene.world.advance(1);
    scene.world.send(&[program.commit_run_accusation(&accusations[1])], &[&second]);
    send_guarded(&mut scene.world, program.open_run_dispute(&accusations[0]), &first, &[]);
    scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    scene.crank(program.time_out(&program.dispute(&run, &wallets[0])));
    // A conviction burns nothing.
    let resolve = program.resolve_run_dispute(&wallets[0], &job, &round, &pool);
    send_unread(&mut scene.world, resolve, &first, &[], &[8]);
    let withdraw = program.withdraw_hidden(&accusations[1].hidden(&run), Some(accusations[1].round), None);
    send_guarded(&mut scene.world, withdraw, &second, &[]);
    send_guarded(&mut scene.world, program.claim_bounty(&run, &wallets[0]), &first, &[]);
}

pub(crate) fn a_genesis_state_is_disputed() {
    let mut hall = Hall::closed();
    let (program, job) = (hall.scene.world.program, hall.scene.job);
    let challenger = hall.challenger.key.insecure_clone();
    let accuser = challenger.pubkey();
    let accusation = GenesisAccusation { challenger: &accuser, job: &job, salt: &named("salt") };
    hall.send(program.commit_hidden(&accusation.hidden()));
    let open = program.open_genesis_dispute(&accusation);
    send_guarded(&mut hall.scene.world, open, &challenger, &[]);
    let dispute = program.dispute(&job, &challenger.pubkey());
    hall.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    hall.scene.crank(program.time_out(&dispute));
    let resolve = program.resolve_genesis_dispute(&challenger.pubkey(), &job);
    // A conviction burns nothing.
    send_unread(&mut hall.scene.world, resolve, &challenger, &[], &[5]);
    hall.scene.world.advance(REVEAL_SLOTS + 1);
    let claim = program.claim_bounty(&job, &accuser);
    send_guarded(&mut hall.scene.world, claim, &challenger, &[]);

    let mut scene = Scene::new();
    let creator = scene.world.authority.insecure_clone();
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    let reclaim = program.reclaim_genesis_bond(&creator.pubkey(), &scene.job);
    send_guarded(&mut scene.world, reclaim, &creator, &[]);
}

pub(crate) fn demands_are_answered() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 30_000;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let entry = vec![7u8; 300_000];
    let root = BlobTree::new(&entry).root();
    let roots = [root; 9];
    let tokens: Vec<u8> = (0..400_000u32).map(|byte| byte as u8).collect();
    let dataset = scene.datasets[0];
    let state: Dataset = scene.world.state(&dataset);
    scene.world.overwrite(&dataset, &Dataset { train_root: BlobTree::new(&tokens).root(), ..state });
    scene.open_round();
    let claim = SegmentClaim { end_root: MerkleTree::new(roots).root(), ..scene.claim(0) };
    scene.commit_claim(0, &claim);
    for trainer in 1..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    let reader = scene.world.wallet("reader");
    let (job, round, seat) = (scene.job, scene.round(), scene.trainers[0].seat);
    let trainer = scene.trainers[0].key.insecure_clone();
    let demand =
        StateDemand { demander: &reader.pubkey(), job: &job, round: &round, pool: &seat.pool, entry: 4, chunk: 292 };
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    let address = program.demand(&scene.segment(0), &reader.pubkey(), 4, 292);
    let answer = state_answer(&roots, 4, &entry, 292).expect("the chunk exists");
    for part in program.answer_state(&seat.operator, &address, &round, &seat.pool, &answer) {
        send_guarded(&mut scene.world, part, &trainer, &[]);
    }
    let (pool, provider) = (scene.providers[0].seat.pool, scene.providers[0].key.insecure_clone());
    scene.world.send(&[program.demand_data(&reader.pubkey(), &dataset, &pool, 200)], &[&reader]);
    let address = program.demand(&dataset, &reader.pubkey(), 0, 200);
    let answer = data_answer(&tokens, 200).expect("the chunk exists");
    let mut parts = program.answer_data(&provider.pubkey(), &address, &dataset, &pool, &answer);
    let last = parts.pop().expect("an answer has a last part");
    for part in parts {
        scene.world.send(&[part], &[&provider]);
    }
    send_guarded(&mut scene.world, last, &provider, &[]);
}

pub(crate) fn an_old_demand_is_closed() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    scene.to_committed();
    let (round, pool, job) = (scene.round(), scene.trainers[0].seat.pool, scene.job);
    let reader = scene.world.wallet("forgetful reader");
    let demand = StateDemand { demander: &reader.pubkey(), job: &job, round: &round, pool: &pool, entry: 3, chunk: 0 };
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    let clock = scene.job_state().parameters.clock_slots;
    scene.world.advance(clock + 1);
    scene.crank(program.fail_state(&demand));
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    let address = program.demand(&program.segment(&round, &pool), &reader.pubkey(), 3, 0);
    send_guarded(&mut scene.world, program.close_old_demand(&reader.pubkey(), &address), &authority, &[]);
}

pub(crate) fn what_is_over_is_closed() {
    let mut scene = Scene::new();
    let authority = scene.world.authority.insecure_clone();
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let round = scene.round();
    scene.settle_round(&round);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    for instruction in scene.reclaim_instructions(&round) {
        // The other segments and runs of an operator are other rounds'; this is its only one here.
        send_guarded(&mut scene.world, instruction, &authority, &[]);
    }
}

//! A wallet that trains in two seats of a job: each of its segments is committed and defended by its own leaves.

use super::*;
use sip_client::UpdateGraph;
use sip_proof::Leaf;
use sip_roles::{Charge, Charged};

/// Somebody with two trainer's seats of one wallet; the two pools.
pub(super) fn twins(run: &mut Run, job: &Address) -> (usize, [Address; 2]) {
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let keypair = Keypair::new_from_array([78; 32]);
    let wallet = keypair.pubkey();
    let pools = [0, 1].map(|index| program.pool(PoolKind::Trainer, &wallet, index));
    let (name, pool) = ("twins".to_owned(), Some((PoolKind::Trainer, pools[0])));
    run.world.people.push(Person { name, role: "twins", keypair, pool, place: 3 });
    let person = run.world.people.len() - 1;
    run.world.ledger.airdrop(&wallet, 1_000_000_000_000).unwrap();
    run.world.send(0, program.create_token_account(&creator, &wallet)).unwrap();
    run.world.send(0, program.distribute(&creator, &wallet, 60_000 * TOKEN)).unwrap();
    for (index, pool) in pools.iter().enumerate() {
        let new = NewPool { index: index as u32, self_bond: 20_000 * TOKEN, commission_bps: 0, chain_tip: [0; 32] };
        run.world.send(person, program.create_pool(&wallet, PoolKind::Trainer, &new)).unwrap();
        run.world.send(person, program.join_job(&wallet, job, pool)).unwrap();
    }
    (person, pools)
}

/// Accuses a segment of the first round; the accuser and the dispute.
pub(super) fn accuse(run: &mut Run, job: &Address, pool: &Address, part: Option<UpdateGraph>) -> (usize, Address) {
    let program = run.world.program;
    let accuser = run.world.with_role(PATRON)[0];
    let datasets = dataset_addresses(&run.world, &run.prepared).unwrap();
    let charged = Charged::Segment { round: program.round(job, 0), pool: *pool, part };
    let challenger = run.world.people[accuser].wallet();
    let charge = Charge { program: &program, challenger, job: *job, datasets, charged, salt: [5; 32] };
    run.world.send(accuser, charge.commit()).unwrap();
    run.world.ledger.advance_slots(1).unwrap();
    run.world.send(accuser, charge.open().unwrap()).unwrap();
    (accuser, charge.dispute())
}

/// The same of its steps, which are honest, with a lie for evidence.
fn accuse_steps(run: &mut Run, job: &Address, pool: &Address, task: SegmentTask, leaves: Vec<Leaf>) -> Party {
    let (accuser, dispute) = accuse(run, job, pool, None);
    let node = run.prepared.task.graph.state_outputs()[1];
    let lie = Cheat::FlipBit { step: 1, node, element: 3, bit: 20 };
    let worker = Worker::new(run.prepared.task.clone(), Arc::clone(&run.machine.threads), run.machine.simd);
    let graph = run.prepared.task.graph_evidence();
    let evidence = Replay::new(worker, task, Some(lie), leaves);
    Party::new(accuser, Side::Challenger, dispute, graph, evidence)
}

#[test]
fn each_segment_of_a_wallet_with_two_seats_is_defended_also_where_its_leaves_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, _) = stage(folder.path(), Vec::new(), 1.0);
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let (person, pools) = twins(&mut run, &job);
    let state: Job = run.world.read(&job).unwrap();
    run.world.send(0, program.open_next_round(&creator, &job, &state)).unwrap();
    let round = round_state(&run, &job, 0);
    let mut twins = Tower { trains: true, ..Tower::new(&run, person, false) };
    // What was trained is on the disk before anybody hears of it, so that a kill then costs nothing.
    twins.dies_computing = true;
    twins.step(&mut run, &source, job);
    let record = Record::open(twins.folder.join(job.to_string())).unwrap();
    assert_eq!(record.known(0).unwrap().worked.len(), 1);
    twins.dies_computing = false;
    twins.work(&mut run, &source, job);
    let place = |pool: &Address| (0..16).find(|place| round.trainers[*place] == pool.to_bytes()).unwrap() as u8;
    let places = pools.each_ref().map(place);
    for pool in &pools {
        let segment: Segment = run.world.read(&program.segment(&program.round(&job, 0), pool)).unwrap();
        assert_eq!(segment.status, segment::COMMITTED, "{:?}", twins.events);
    }
    let known = record.known(0).unwrap();
    assert_eq!(known.worked.keys().copied().collect::<Vec<_>>(), places.map(|place| (0, place)));

    pass_slots_to(&mut run, round.commit_deadline_slot + 1);
    run.world.send(0, program.close_commits(&job, &program.round(&job, 0))).unwrap();

    // Somebody accuses both, falsely. Of the second the record is lost meanwhile; what is in it follows from the chain.
    std::fs::remove_file(record.folder().join(format!("round-0-work-{}.json", places[1]))).unwrap();
    for (pool, place) in pools.iter().zip(places) {
        let mixture = Mixture::new(&round.mixture_bps[..usize::from(state.spec.domain_count)]).unwrap();
        let (first_step, base) = (round.first_step(run.prepared.task.inner_steps), Arc::clone(&run.base));
        let (seed, settings) = (round.seed, round.settings);
        let task = SegmentTask { round: 0, first_step, seed, mixture, settings, place, base, bases: Vec::new() };
        let leaves = run.worker.train(&task, None, &mut |_| true).unwrap().leaves;
        let mut parties = vec![accuse_steps(&mut run, &job, pool, task, leaves)];
        play_out(&mut run, &source, job, &mut twins, &mut parties);
        let dispute: Dispute = run.world.read(&parties[0].dispute).unwrap();
        let outcome = dispute.game.outcome();
        assert_eq!(outcome, Ok(sip_protocol::court::Outcome::Acquitted), "of place {place}: {:?}", twins.events);
    }
    twins.assert_unrefused();
    assert!(run.world.is_conserved().unwrap());
}

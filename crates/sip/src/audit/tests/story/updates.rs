//! Rounds of compressed updates: false start states, updates and votes are convicted by a watchtower that is killed after every
//! transaction, and what follows from the true ones is voted and scored.

use super::*;
use sip_client::UpdateGraph;
use sip_graph::Buffer;
use sip_manifest::settings::Exchange;
use sip_protocol::ground::case::CaseKind;
use solana_instruction::Instruction;

/// A stage whose segments hand over updates.
fn compressed_stage(folder: &Path) -> (Run, Arc<Source>, Address, usize) {
    let settings = settings(Vec::new());
    stage_with(folder, Settings { rounds: 4, audit_rate: 1.0, updates: Exchange::Compressed, ..settings })
}

/// A state with one bit of it changed.
fn flipped(state: &State, entry: usize, element: usize, run: &Run) -> Arc<State> {
    let mut entries: Vec<Buffer> = state.entries().to_vec();
    entries[entry][element] ^= 1 << 20;
    Arc::new(State::new(entries, &run.machine.threads))
}

/// Lets a trainer start from the state that another base, or another previous update, gives.
fn start_falsely(run: &mut Run, segment: &mut Committed, base: &Arc<State>, previous: Option<&Arc<State>>) {
    let start = run.prepared.start(base, previous, &run.machine).unwrap();
    assert_ne!(start.state.root(), segment.start.state.root());
    segment.task.base = Arc::clone(&start.state);
    segment.work = run.worker.train(&segment.task, None, &mut |_| true).unwrap();
    // Which update is the previous one, the program knows.
    segment.start.state = start.state;
    segment.result = run.prepared.result(&segment.start, &segment.work.end, &run.machine).unwrap();
}

/// The others of a round reveal their draws, and attest what is true.
/// All but the last attestation, which is returned: it keeps the audit open until it is sent, and a lie that counts undoes its round.
fn audit(
    run: &mut Run,
    job: &Address,
    index: u32,
    number: u32,
    honest: &[&Committed],
) -> (Vec<[u8; 32]>, (usize, Instruction)) {
    let (program, round) = (run.world.program, run.world.program.round(job, index));
    let (mut roots, mut last) = (Vec::new(), None);
    for auditor in run.world.with_role(AUDITOR) {
        let seat = run.world.people[auditor].seat().unwrap();
        let draw = sip_demo::chain(&run.settings, &run.world.people[auditor].name).draw(number).unwrap();
        run.world.send(auditor, program.reveal_draw(&seat, job, &round, &draw)).unwrap();
        for segment in honest {
            let (root, ..) = trace_root(run, segment, &draw, false);
            let digest = commitment(&seat.pool, &segment.address, &[1; 32], &root);
            if let Some((auditor, attest)) =
                last.replace((auditor, program.attest(&seat, job, &round, &segment.address, &digest)))
            {
                run.world.send(auditor, attest).unwrap();
            }
            roots.push(root);
        }
    }
    (roots, last.unwrap())
}

#[test]
fn false_starts_and_updates_are_convicted_by_a_watchtower_that_is_killed_after_every_transaction() {
    false_starts_and_updates_are_convicted(false);
}

#[test]
fn false_starts_and_updates_are_convicted_by_a_watchtower_whose_states_lie_on_a_shelf() {
    false_starts_and_updates_are_convicted(true);
}

fn false_starts_and_updates_are_convicted(is_on_network: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, person) = compressed_stage(folder.path());
    let program = run.world.program;
    let updates = run.prepared.updates.clone().unwrap();
    let (threads, simd) = (Arc::clone(&run.machine.threads), run.machine.simd);
    let mut tower = Tower { is_cut: true, is_on_network, ..Tower::new(&run, person, true) };
    let wallet = run.world.people[person].wallet();

    // One trainer is honest, one starts from another base, one hands over another update than its steps give.
    let (index, mut committed) = train_all(&mut run, &job);
    let round = program.round(&job, index);
    let genesis = Arc::clone(&run.base);
    let other_base = flipped(&genesis, 0, 7, &run);
    start_falsely(&mut run, &mut committed[1], &other_base, None);
    let previous = Arc::clone(committed[2].start.previous.as_ref().unwrap());
    let outputs = updates.update.state_outputs();
    let cheat = Cheat::FlipBit { step: 0, node: outputs[outputs.len() - 1], element: 3, bit: 20 };
    let segment = [&committed[2].start.state, &committed[2].work.end];
    let mut false_update = updates.update_evidence(&previous, segment, &threads, simd).cheating(Some(cheat));
    committed[2].result = flipped(&committed[2].result, outputs.len() - 1, 3, &run);
    assert_eq!(false_update.root().unwrap(), committed[2].result.root());
    for segment in &committed {
        run.commit(segment, &job, &round).unwrap();
    }
    let previous = committed[1].start.previous.as_ref().unwrap();
    let false_start = updates.start_evidence(&other_base, previous, &threads, simd);
    let disputes = [1, 2].map(|liar: usize| program.dispute(&committed[liar].address, &wallet));
    let mut parties = vec![
        Party::new(committed[1].trainer, Side::Trainer, disputes[0], false_start.graph_evidence(), false_start),
        Party::new(committed[2].trainer, Side::Trainer, disputes[1], false_update.graph_evidence(), false_update),
    ];
    tower.work(&mut run, &source, job);
    let (roots, (auditor, attest)) = audit(&mut run, &job, index, 0, &[&committed[0]]);
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    let places = [1, 2].map(|liar: usize| Claim::Segment { round: index, place: committed[liar].task.place });
    let mut convicted = tower.convicted();
    convicted.sort();
    assert_eq!(convicted, places);
    run.world.send(auditor, attest).unwrap();
    tower.work(&mut run, &source, job);
    let place = committed[0].task.place;
    let closed = round_state(&run, &job, index);
    assert_eq!((closed.status, closed.accepted), (round::CLOSED, bit(place)));

    // An auditor votes for a false base; another, and the tower, for what base and update give.
    let auditors = run.world.with_role(AUDITOR);
    let seats = [0, 1].map(|auditor| run.world.people[auditors[auditor]].seat().unwrap());
    for (auditor, (seat, trace_root)) in seats.iter().zip(&roots).enumerate() {
        let shown = Shown { salt: &[1; 32], trace_root };
        let show = program.reveal_attestation(seat, &job, &round, &committed[0].address, &shown);
        run.world.send(auditors[auditor], show).unwrap();
    }
    let results = [Arc::clone(&committed[0].result)];
    let next = run.prepared.next_base(&genesis, &results, &run.machine).unwrap();
    let graph = updates.aggregates.graph(1).unwrap();
    let cheat = Cheat::FlipBit { step: 0, node: graph.state_outputs()[0], element: 5, bit: 20 };
    let truth = updates.base_evidence(&genesis, &results, &threads, simd).unwrap();
    let mut lie = truth.cheating(Some(cheat));
    let false_root = lie.root().unwrap();
    cast_vote(&mut run, 0, (&job, &round), &false_root);
    let vote = program.auditor_dispute(&round, &wallet, seats[0].place);
    parties.push(Party::new(auditors[0], Side::Trainer, vote, lie.graph_evidence(), lie));
    tower.work(&mut run, &source, job);
    assert_eq!(round_state(&run, &job, index).auditors[2].vote, next.root(), "the tower voted for what it computed");
    cast_vote(&mut run, 1, (&job, &round), &next.root());
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    assert!(tower.convicted().contains(&Claim::Vote { round: index, place: seats[0].place }));

    // Its scores are those of the base.
    evaluate(&mut run, &job, index, &next, None);
    tower.work(&mut run, &source, job);
    let is_true = |event: &&Event| matches!(event, Event::Judged { claim: Claim::Run { .. }, is_true: true, .. });
    assert_eq!(tower.events.iter().filter(is_true).count(), run.world.with_role(EVALUATOR).len());
    let end_slot = round_state(&run, &job, index).final_slot();
    pass_slots_to(&mut run, end_slot + REVEAL_SLOTS);
    tower.work(&mut run, &source, job);
    assert_eq!(round_state(&run, &job, index).status, round::FINAL);

    // In the next round the honest trainer forgets what it had: the tower, which has the update, does not.
    run.base = Arc::clone(&next);
    run.applied = run.prepared.applied([(place, &committed[0].result)].into_iter());
    let (index, mut committed) = train_all(&mut run, &job);
    assert_eq!(committed.len(), 1);
    start_falsely(&mut run, &mut committed[0], &next, None);
    run.commit(&committed[0], &job, &program.round(&job, index)).unwrap();
    let reset = updates.start_evidence(&next, &updates.reset, &threads, simd);
    let dispute = program.dispute(&committed[0].address, &wallet);
    let mut parties = vec![Party::new(committed[0].trainer, Side::Trainer, dispute, reset.graph_evidence(), reset)];
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    assert!(tower.convicted().contains(&Claim::Segment { round: index, place }), "{:?}", tower.convicted());
    assert_eq!(tower.convicted().len(), 4);
    assert!(run.world.is_conserved().unwrap());
    tower.assert_unrefused();
}

#[test]
fn a_verdict_that_is_refused_keeps_nobody_from_the_last_move() {
    for is_spoiled in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut run, source, job, _) = compressed_stage(folder.path());
        let program = run.world.program;
        let updates = run.prepared.updates.clone().unwrap();
        let (index, mut committed) = train_all(&mut run, &job);
        let round = program.round(&job, index);
        let other_base = flipped(&run.base, 0, 7, &run);
        start_falsely(&mut run, &mut committed[1], &other_base, None);
        for segment in &committed {
            run.commit(segment, &job, &round).unwrap();
        }
        run.world.send(0, program.close_commits(&job, &round)).unwrap();
        let person = run.world.with_role(PATRON)[0];
        let mut tower = Tower { is_spoiled, ..Tower::new(&run, person, false) };
        let liar = &committed[1];
        let (previous, threads) = (liar.start.previous.as_ref().unwrap(), &run.machine.threads);
        let evidence = updates.start_evidence(&other_base, previous, threads, run.machine.simd);
        let dispute = program.dispute(&liar.address, &run.world.people[person].wallet());
        let mut parties = [Party::new(liar.trainer, Side::Trainer, dispute, evidence.graph_evidence(), evidence)];
        play_out(&mut run, &source, job, &mut tower, &mut parties);
        // The challenger shows which base it should be: that is the last move.
        let moved = tower.events.iter().rev().find_map(|event| match event {
            Event::Moved { kind, .. } => Some(kind.as_str()),
            _ => None,
        });
        assert_eq!(moved, Some("ProveInput"));
        assert_eq!(tower.convicted(), [Claim::Segment { round: index, place: liar.task.place }]);
        assert_eq!(run.world.read::<Segment>(&liar.address).unwrap().status, segment::CONVICTED);
        assert!(run.world.ledger.account(&dispute).is_none(), "the dispute is closed");
        assert_eq!(tower.has_said("play the last move and apply the verdict: the program refused"), is_spoiled);
    }
}

#[test]
fn an_honest_update_is_defended_from_a_shelf() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, _) = compressed_stage(folder.path());
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let (person, pools) = twins::twins(&mut run, &job);
    let state: Job = run.world.read(&job).unwrap();
    run.world.send(0, program.open_next_round(&creator, &job, &state)).unwrap();
    let round = round_state(&run, &job, 0);
    let mut trainer = Tower { trains: true, is_on_network: true, ..Tower::new(&run, person, false) };
    trainer.work(&mut run, &source, job);
    pass_slots_to(&mut run, round.commit_deadline_slot + 1);
    run.world.send(0, program.close_commits(&job, &program.round(&job, 0))).unwrap();

    let updates = run.prepared.updates.clone().unwrap();
    let (roots, sibling) = updates.opening(CaseKind::Update).unwrap();
    let graph = UpdateGraph { case: CaseKind::Update, roots, sibling };
    let (accuser, dispute) = twins::accuse(&mut run, &job, &pools[0], Some(graph));
    let record = Record::open(trainer.folder.join(job.to_string())).unwrap();
    let claim = record.known(0).unwrap().worked.first_key_value().unwrap().1.claim().unwrap();
    let states = trainer.states(&source, &record);
    let threads = Arc::clone(&run.machine.threads);
    let load = |root: &[u8; 32]| states.load(root, &threads).unwrap().expect("a state of the own segment");
    let start = run.prepared.start(&run.base, None, &run.machine).unwrap();
    let lie = Cheat::FlipBit { step: 0, node: updates.update.state_outputs()[0], element: 1, bit: 3 };
    let evidence =
        updates.update_evidence(&updates.reset, [&start.state, &load(&claim.end_root)], &threads, run.machine.simd);
    drop(states);
    let evidence = evidence.cheating(Some(lie));
    let mut parties = [Party::new(accuser, Side::Challenger, dispute, evidence.graph_evidence(), evidence)];
    play_out(&mut run, &source, job, &mut trainer, &mut parties);
    let outcome = run.world.read::<Dispute>(&dispute).unwrap().game.outcome();
    assert_eq!(outcome, Ok(sip_protocol::court::Outcome::Acquitted), "{:?}", trainer.events);
    trainer.assert_unrefused();
}

//! The second draw: what an auditor did not draw it replays with its vote, and attests or accuses before the round is final.

use super::*;

#[test]
fn an_auditor_attests_what_its_second_draw_selects_and_accuses_what_is_false_of_it() {
    // Both for one that replays only what it draws, and for one that has replayed everything before it votes.
    for drawn in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings { rounds: 4, audit_rate: 0.0, second_audit_rate: 1.0, ..settings(vec![Fraud::FlipBit]) };
        let (mut run, source, job, person) = stage_with(folder.path(), settings);
        let program = run.world.program;
        let mut tower = Tower { drawn, is_cut: true, ..Tower::new(&run, person, true) };
        let (index, committed) = unseen_round(&mut run, &source, job, &mut tower);
        let liar = committed.iter().find(|segment| segment.cheat.is_some()).unwrap();
        let place = liar.task.place;
        let round = program.round(&job, index);
        let wallet = run.world.people[person].wallet();
        let ends: Vec<Arc<State>> = committed.iter().map(|segment| Arc::clone(&segment.work.end)).collect();
        let base = run.prepared.next_base(&run.base, &ends, &run.machine).unwrap();
        cast_vote(&mut run, 0, (&job, &round), &base.root());
        tower.work(&mut run, &source, job);
        let seat = round_state(&run, &job, index).auditors[2];
        let dispute = program.dispute(&liar.address, &wallet);
        if drawn {
            assert_eq!((seat.vote, seat.drawn_again), (base.root(), 0b111), "{:?}", tower.events);
            assert_eq!(seat.attested_again, 2, "{:?}", tower.events);
            for honest in committed.iter().filter(|segment| segment.task.place != place) {
                let account: Segment = run.world.read(&honest.address).unwrap();
                let leaves = run.prepared.task.leaves().count() as u32;
                let state = round_state(&run, &job, index);
                let leaf = sip_protocol::training::attestation::leaf::<HostSha256>(&state, &account, 2, leaves);
                let task = run.prepared.task.clone();
                let step = leaf * task.leaf_interval;
                let worker = Worker::new(task, Arc::clone(&run.machine.threads), run.machine.simd);
                let mut replay = Replay::new(worker, honest.task.clone(), None, honest.work.leaves.clone());
                let expected = roots_tree(&replay.trace_roots(step).unwrap()).root();
                assert_eq!(account.attestations[2], expected);
            }
        } else {
            // It knew before that the base would be false.
            assert_eq!((seat.vote, seat.drawn_again), ([0; 32], 0), "{:?}", tower.events);
        }
        let clock_slots = run.world.read::<Dispute>(&dispute).unwrap().game.clock_slots;
        run.world.ledger.advance_slots(clock_slots[0].max(clock_slots[1]) + 1).unwrap();
        tower.work(&mut run, &source, job);
        assert_eq!(tower.convicted(), [Claim::Segment { round: index, place }], "{:?}", tower.events);
        assert_eq!(run.world.read::<Segment>(&liar.address).unwrap().status, segment::CONVICTED);
        assert_eq!(round_state(&run, &job, index).is_undone, 1);
        tower.assert_unrefused();
    }
}

#[test]
fn an_auditor_that_has_replayed_all_replays_again_for_the_leaf_of_its_second_draw() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { rounds: 4, audit_rate: 0.0, second_audit_rate: 1.0, ..settings(Vec::new()) };
    let (mut run, source, job, person) = stage_with(folder.path(), settings);
    let mut tower = Tower { is_cut: true, ..Tower::new(&run, person, true) };
    let (index, _) = unseen_round(&mut run, &source, job, &mut tower);
    let state = round_state(&run, &job, index);
    let seat = state.auditors[2];
    assert_eq!((state.status, seat.drawn_again, seat.attested_again), (round::CLOSED, 0b111, 3), "{:?}", tower.events);
    assert!(tower.has_said("attested by the second draw"));
    tower.assert_unrefused();
}

//! A liar's past: what it did in several rounds that nobody drew, opened after its first conviction.

use super::*;
use sip_protocol::training::job::Card;

/// Rounds that may wait for finality in [`deeper`].
const LOOKAHEAD: u8 = 3;
/// Own bond that backs so many of its claims, base units.
const BOND: u64 = 40_000 * TOKEN;

/// A second job of the stage, in which three rounds may wait for finality; everyone moves over to it with a bond that is enough for it.
fn deeper(run: &mut Run, first: &Address) -> Address {
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let spec =
        JobSpec { lookahead: LOOKAHEAD, round_reward: 3_000 * TOKEN, ..run.world.read::<Job>(first).unwrap().spec };
    let datasets = dataset_addresses(&run.world, &run.prepared).unwrap();
    run.world.send(0, program.create_job(&creator, 1, &spec, &datasets)).unwrap();
    let job = program.job(&creator, 1);
    let card = run.prepared.manifest.to_bytes();
    let card = Card::new(run.prepared.manifest.hash(), card.len() as u64);
    run.world.send(0, program.describe_job(&creator, &job, &card)).unwrap();
    for number in spec.attention_numbers() {
        run.world.send(0, program.create_attention_pool(&creator, &job, number)).unwrap();
    }
    for person in 0..run.world.people.len() {
        let Some((kind, pool)) = run.world.people[person].pool else { continue };
        if kind == PoolKind::Data {
            continue;
        }
        let wallet = run.world.people[person].wallet();
        let pool = if kind == PoolKind::Auditor {
            // An auditor's chain serves one job.
            let chain_tip = if run.world.people[person].role == AUDITOR {
                run.world.read::<Pool>(&pool).unwrap().chain_tip
            } else {
                let secret = crate::chain::pool::draw_secret(&run.world.people[person].keypair, 1);
                sip_roles::HashChain::from_secret(secret, 65).tip()
            };
            let new = NewPool { index: 1, self_bond: BOND, commission_bps: 0, chain_tip };
            run.world.send(person, program.create_pool(&wallet, kind, &new)).unwrap();
            program.pool(kind, &wallet, 1)
        } else {
            run.world.send(person, program.add_bond(&wallet, &pool, BOND)).unwrap();
            let seat = run.world.people[person].seat().unwrap();
            run.world.send(person, program.leave_job(&seat, first)).unwrap();
            pool
        };
        run.world.people[person].pool = Some((kind, pool));
        run.world.send(person, program.join_job(&wallet, &job, &pool)).unwrap();
    }
    job
}

/// A round that nobody looks at, whose base two of three auditors vote for, and that is scored.
fn scored_unseen(run: &mut Run, source: &Arc<Source>, job: Address, tower: &mut Tower) -> Vec<Committed> {
    let (index, committed) = unseen_round(run, source, job, tower);
    let round = run.world.program.round(&job, index);
    let ends: Vec<Arc<State>> = committed.iter().map(|segment| Arc::clone(&segment.work.end)).collect();
    let base = run.prepared.next_base(&run.base, &ends, &run.machine).unwrap();
    cast_vote(run, 0, (&job, &round), &base.root());
    tower.work(run, source, job);
    evaluate(run, &job, index, &base, None);
    let due = round_state(run, &job, index).seed_slots[1] + 1;
    pass_slots_to(run, due);
    tower.work(run, source, job);
    assert_eq!(round_state(run, &job, index).status, round::SCORED);
    run.base = base;
    assert!(tower.convicted().is_empty() && !tower.has_said("false"), "nobody drew it: {:?}", tower.events);
    committed
}

/// Another auditor convicts the liar of what it did in a round.
fn convict_lie(run: &mut Run, job: &Address, (index, committed): &(u32, Vec<Committed>)) {
    let auditor = run.world.with_role(AUDITOR)[0];
    let lie = committed.iter().find(|segment| segment.cheat.is_some()).unwrap();
    let account: Segment = run.world.read(&lie.address).unwrap();
    let claimed = (&lie.work.leaves[..], &account.claim.end_root);
    let audit = run.worker.audit(&lie.task, claimed, &[], &mut |_| true).unwrap();
    let view = sip_demo::View { cheat: None, leaves: audit.replayed.leaves, fault: audit.fault };
    let round = run.world.program.round(job, *index);
    run.dispute_segment(auditor, lie, view, job, &round, 1).unwrap();
}

#[test]
fn every_past_lie_of_a_convicted_trainer_is_accused_and_each_is_paid_by_its_own_slice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, first, person) = stage(folder.path(), vec![Fraud::FlipBit], 0.0);
    let job = deeper(&mut run, &first);
    let mut tower = Tower { drawn: true, ..Tower::new(&run, person, true) };
    let (program, wallet) = (run.world.program, run.world.people[person].wallet());
    let state: Job = run.world.read(&job).unwrap();
    let (slice, bounty) = (state.spec.slice, state.parameters.penalties.bounty(state.spec.slice).unwrap());

    // Two rounds with a lie each, the second on the base that the first one made; then a third, whose lie another auditor finds.
    let past: Vec<Committed> = (0..2)
        .map(|_| scored_unseen(&mut run, &source, job, &mut tower))
        .map(|round| round.into_iter().find(|segment| segment.cheat.is_some()).unwrap())
        .collect();
    let pool = run.world.people[past[0].trainer].pool().unwrap();
    let last = unseen_round(&mut run, &source, job, &mut tower);
    let before: Pool = run.world.read(&pool).unwrap();
    assert_eq!(before.frozen_bond, 3 * slice);
    convict_lie(&mut run, &job, &last);
    assert_eq!(run.world.read::<Pool>(&pool).unwrap().frozen_bond, 2 * slice, "the others stay behind their claims");

    // The tower opens both, and wins against silence.
    let tokens = |run: &Run| run.world.ledger.token_balance(&program.token_account(&wallet)).unwrap();
    let owned = tokens(&run);
    tower.work(&mut run, &source, job);
    let clocks: Vec<u64> = past
        .iter()
        .flat_map(|lie| {
            run.world.read::<Dispute>(&program.dispute(&lie.address, &wallet)).map(|dispute| dispute.game.clock_slots)
        })
        .flatten()
        .collect();
    assert_eq!(clocks.len(), 4, "both lies are accused at once: {:?}", tower.events);
    run.world.ledger.advance_slots(clocks.into_iter().max().unwrap_or_default() + 1).unwrap();
    tower.work(&mut run, &source, job);
    let place = past[0].task.place;
    let expected = [0, 1].map(|round| Claim::Segment { round, place });
    let mut convicted = tower.convicted();
    convicted.sort();
    assert_eq!(convicted, expected, "{:?}", tower.events);
    for lie in &past {
        let state: Segment = run.world.read(&lie.address).unwrap();
        assert_eq!((state.status, state.slice), (segment::CONVICTED, 0));
    }
    let after: Pool = run.world.read(&pool).unwrap();
    assert_eq!((after.self_bond, after.frozen_bond), (before.self_bond - 3 * slice, 0));
    run.world.ledger.advance_slots(REVEAL_SLOTS + 1).unwrap();
    tower.work(&mut run, &source, job);
    // A bounty out of each slice; the bonds of the accusations are back.
    assert_eq!(tokens(&run), owned + 2 * bounty, "{:?}", tower.events);
    tower.assert_unrefused();
    // Of what others did it has still replayed nothing.
    let judged =
        tower.events.iter().filter(|event| matches!(event, Event::Judged { claim: Claim::Segment { .. }, .. }));
    assert_eq!(judged.count(), 2, "{:?}", tower.events);
    assert!(run.world.is_conserved().unwrap());
}

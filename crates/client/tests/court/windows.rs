//! Every claim has a full window: however late it was made, an accusation of it is committed in the last slot, opened in its last slot, and
//! convicts, and nothing is final before.

use crate::accuser::Accuser;
use crate::court::Court;
use crate::court::chamber::Chamber;
use crate::court::hall::Hall;
use sip_client::{Accusation, GenesisAccusation};
use sip_protocol::ground::clock::{MOVE_SLOTS, longest_dispute_slots};
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::{
    Error,
    training::{round, seats::CONVICTED},
};
use sip_protocol::{
    court::{MoveKind, Phase, Side},
    ground::case::CaseKind,
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, named, scores};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The slots of the demo's job.
fn demo() -> Cast {
    let mut cast = Cast { evaluators: 2, ..Cast::default() };
    let spec = &mut cast.spec;
    (spec.commit_slots, spec.audit_slots, spec.vote_slots) = (1_000, 10_000, 1_000);
    (spec.evaluation_slots, spec.challenge_slots) = (10_000, 10_000);
    cast
}

/// Commits an accusation in a slot and opens it in its last one; the round cannot be final before.
fn open_last(scene: &mut Scene, key: &Keypair, halves: [Instruction; 2], last: u64) {
    open_all_last(scene, key, &[halves], last);
}

/// The same of several accusations.
fn open_all_last(scene: &mut Scene, key: &Keypair, accusations: &[[Instruction; 2]], last: u64) {
    scene.advance_to(last);
    assert_eq!(scene.world.ledger.slot(), last);
    for [commit, _] in accusations {
        scene.world.send(std::slice::from_ref(commit), &[key]);
    }
    scene.world.advance(REVEAL_SLOTS);
    let finalise = scene.world.program.finalize_round(&scene.job, &scene.round());
    let is_scored = scene.round_state().status == round::SCORED;
    if is_scored {
        scene.crank_refused(finalise.clone(), Error::ChallengeOpen);
    }
    for [_, open] in accusations {
        scene.world.send(std::slice::from_ref(open), &[key]);
    }
    if is_scored {
        scene.world.advance(1);
        scene.crank_refused(finalise, Error::ChallengeOpen);
    }
}

/// Scores a round of these scores in the last slot for it, where everybody agrees.
fn score_late(scene: &mut Scene, evaluators: usize) {
    let made_up = scores(1);
    (0..evaluators).for_each(|evaluator| scene.commit_score(evaluator, &made_up));
    scene.advance_to(scene.round_state().reveal_deadline_slot - 1);
    (0..evaluators).for_each(|evaluator| scene.reveal_score(evaluator, &made_up));
    scene.tally();
}

#[test]
fn evaluators_who_all_agree_and_reveal_in_the_last_slot_are_convicted_after_the_tally() {
    let mut scene = Scene::with(&demo());
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    score_late(&mut scene, 2);
    let last = scene.world.ledger.slot() + scene.job_state().spec.audit_slots as u64;
    assert_eq!(scene.round_state().accusable_until(CaseKind::Score), last);
    let key = scene.world.wallet("reader");
    let (round, program, challenger) = (scene.round(), scene.world.program, key.pubkey());
    let pools = [0, 1].map(|evaluator: usize| scene.evaluators[evaluator].seat.pool);
    let accusations = pools.map(|pool| {
        let accusation = Accusation {
            challenger: &challenger,
            job: &scene.job,
            round: &round,
            pool: &pool,
            datasets: &scene.datasets,
            salt: &named("salt"),
        };
        [program.commit_run_accusation(&accusation), program.open_run_dispute(&accusation)]
    });
    open_all_last(&mut scene, &key, &accusations, last);
    // The liars say nothing, for an audit's length, which is longer than the configuration's clock.
    let clocks = [scene.world.config().parameters.clock_slots, u64::from(scene.job_state().spec.audit_slots)];
    assert!(clocks[0] < clocks[1], "{clocks:?}");
    let time_out = program.time_out(&program.dispute(&program.run(&round, &pools[0]), &challenger));
    scene.world.advance(clocks[0] + 1);
    scene.crank_refused(time_out.clone(), Error::ClockRunning);
    scene.world.advance(clocks[1] - clocks[0] - 2);
    scene.crank_refused(time_out, Error::ClockRunning);
    scene.world.advance(1);
    // The other made the same scores: the round stands with them until that run is convicted as well.
    for (place, (pool, status)) in pools.iter().zip([round::SCORED, round::VOID]).enumerate() {
        scene.crank(program.time_out(&program.dispute(&program.run(&round, pool), &challenger)));
        scene.crank(program.resolve_run_dispute(&challenger, &scene.job, &round, pool));
        assert_eq!(scene.pool_state(pool).self_bond, BOND_TOKENS * TOKEN - SLICE);
        assert_eq!(scene.round_state().status, status);
        // Nobody waits for it any more.
        assert_eq!(scene.job_state().evaluators[place].state, CONVICTED);
    }
    assert_eq!((scene.round_state().is_undone, scene.job_state().rounds_scored), (2, 0));
}

#[test]
fn a_segment_is_accused_in_the_last_slot_and_its_round_is_undone() {
    let mut scene = Scene::with(&demo());
    scene.whole_round(&scores(5_000_000));
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    let halves = [accuser.commit_instruction(&scene), accuser.open_instruction(&scene)];
    let last = scene.round_state().accusable_until(CaseKind::Segment);
    open_last(&mut scene, &accuser.key, halves, last);
    accuser.win(&mut scene);
    assert_eq!(scene.round_state().status, round::VOID);
}

#[test]
fn start_states_and_updates_are_accused_in_the_last_slot() {
    for case in [CaseKind::Start, CaseKind::Update] {
        let mut chamber = Chamber::committed();
        chamber.scene.to_closed();
        chamber.finish_closed();
        let key = chamber.challenger();
        let halves = chamber.accusation(&key.pubkey(), 0, case);
        let last = chamber.scene.round_state().accusable_until(case);
        open_last(&mut chamber.scene, &key, halves, last);
        let trainer = chamber.scene.trainers[0].key.insecure_clone();
        let (program, segment) = (chamber.scene.world.program, chamber.scene.segment(0));
        let dispute = program.dispute(&segment, &key.pubkey());
        let concede = program.play_move(&trainer.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        chamber.scene.world.send(&[concede], &[&trainer]);
        chamber.resolve(0, &key);
        assert_eq!(chamber.scene.round_state().status, round::VOID, "{case:?}");
    }
}

#[test]
fn votes_and_attestations_are_accused_in_the_last_slot() {
    for is_vote in [true, false] {
        let mut hall = Hall::closed();
        // In the last slot for both.
        let deadline = hall.scene.round_state().vote_deadline_slot;
        hall.scene.advance_to(deadline - 1);
        let root = hall.root(0, 0);
        hall.show(0, 0, &root);
        (0..2).for_each(|auditor| hall.scene.vote(auditor, &named("no average")));
        score_late(&mut hall.scene, 1);
        let key = hall.challenger.key.insecure_clone();
        let (halves, kind, dispute) = if is_vote {
            ([hall.vote_commitment(0), hall.vote_accusation(0)], CaseKind::Aggregate, hall.vote_dispute(0))
        } else {
            let halves = [hall.attestation_commitment(0, 0), hall.attestation_accusation(0, 0)];
            (halves, CaseKind::Attestation, hall.attestation_dispute(0, 0))
        };
        let last = hall.scene.round_state().accusable_until(kind);
        assert_eq!(last, deadline + hall.scene.job_state().spec.audit_slots as u64);
        open_last(&mut hall.scene, &key, halves, last);
        // Silence loses, on either side: the accuser of an attestation is on move first.
        let clock = hall.scene.world.config().parameters.clock_slots;
        hall.scene.world.advance(clock + 1);
        let program = hall.scene.world.program;
        hall.scene.crank(program.time_out(&dispute));
        let resolve = hall.resolve_instruction(&dispute, 0);
        hall.scene.crank(resolve);
        assert_eq!(hall.scene.round_state().status, if is_vote { round::VOID } else { round::SCORED });
    }
}

#[test]
fn a_vote_after_the_deadline_would_have_a_shorter_window_and_is_refused() {
    let mut hall = Hall::closed();
    let deadline = hall.scene.round_state().vote_deadline_slot;
    hall.scene.advance_to(deadline);
    let vote = hall.scene.vote_instruction(0, &named("late"));
    let key = hall.key(0);
    hall.scene.world.refused(&[vote], &[&key], Error::WrongRoundStatus);
}

#[test]
fn a_genesis_bond_waits_for_an_accusation_of_the_last_slot() {
    // Nobody has staked yet, so that no time has passed.
    let mut scene = Scene::new();
    let unbonding = scene.world.config().parameters.unbonding_slots;
    let mut job = scene.job_state();
    // As if it had been created now.
    job.created_slot = scene.world.ledger.slot();
    let address = scene.job;
    scene.world.overwrite(&address, &job);
    let last = job.genesis_disputable_until(unbonding) - REVEAL_SLOTS;
    assert_eq!(last, job.created_slot + unbonding);
    let (key, program) = (scene.world.wallet("reader"), scene.world.program);
    let creator = scene.world.authority.insecure_clone();
    let accusation = GenesisAccusation { challenger: &key.pubkey(), job: &address, salt: &named("salt") };
    scene.advance_to(last);
    scene.world.send(&[program.commit_hidden(&accusation.hidden())], &[&key]);
    scene.world.advance(REVEAL_SLOTS);
    let reclaim = program.reclaim_genesis_bond(&creator.pubkey(), &address);
    scene.world.refused(std::slice::from_ref(&reclaim), &[&creator], Error::BondLocked);
    scene.world.send(&[program.open_genesis_dispute(&accusation)], &[&key]);
    scene.world.advance(1);
    scene.world.refused(std::slice::from_ref(&reclaim), &[&creator], Error::BondLocked);
    // Its creator says nothing, for a clock or an audit's length.
    let parameters = scene.world.config().parameters;
    let clock = parameters.clock_slots.max(u64::from(job.spec.audit_slots));
    scene.world.advance(clock + 1);
    scene.crank(program.time_out(&program.dispute(&address, &key.pubkey())));
    scene.crank(program.resolve_genesis_dispute(&key.pubkey(), &address));
    let convicted = scene.job_state();
    assert_eq!(convicted.genesis_bond, 0);
    assert_eq!(convicted.escrow.bounty, parameters.penalties.bounty(job.genesis_bond).unwrap());
    scene.world.refused(&[reclaim], &[&creator], Error::NothingToClaim);
}

/// What docs/security.md says: a griefer who accuses in the last slot, and thinks as long as it may, delays the round's finality by so much;
/// the rounds go on meanwhile.
#[test]
fn a_griefers_bond_delays_finality_by_no_more_than_its_own_clock_and_what_its_moves_give_back() {
    let mut court = Court::new(10, 3, None);
    court.scene.reveal(0);
    (0..2).for_each(|trainer| court.scene.attest(0, trainer));
    court.scene.close_round();
    court.scene.to_aggregated();
    court.scene.to_scored(&[scores(5_000_000)]);
    court.scene.capture_seed();
    let state = court.scene.round_state();
    let (key, program) = (court.challenger_key(), court.scene.world.program);
    let halves = [court.commit_instruction(), court.open_instruction()];
    open_last(&mut court.scene, &key, halves, state.accusable_until(CaseKind::Segment));
    court.scene.open_round();
    let opened_slot = court.state().opened_slot;
    let mut own_moves = 0;
    loop {
        let game = court.state().game;
        if game.on_move().unwrap() == Side::Trainer {
            // The side that is right answers at once.
            let (key, next) = (court.trainer_key(), court.next().1);
            for part in program.moves(&key.pubkey(), &court.dispute(), next.kind, &next.payload) {
                court.scene.world.send(&[part], &[&key]);
            }
            continue;
        }
        if matches!(
            game.phase().unwrap(),
            Phase::ProveInput | Phase::ProveOperand | Phase::ProveOutput | Phase::ProveToken
        ) {
            break;
        }
        // As long as the move gives back.
        court.scene.world.advance(MOVE_SLOTS);
        let pick = program.moves(&key.pubkey(), &court.dispute(), MoveKind::Pick, &0u32.to_le_bytes());
        court.scene.world.send(&pick, &[&key]);
        own_moves += 1;
    }
    let clock = court.state().full_clock_slots;
    assert_eq!((court.state().game.clock_slots, clock), ([clock; 2], 9_000));
    court.scene.world.advance(clock + 1);
    court.scene.crank(program.time_out(&court.dispute()));
    court.resolve();
    let delay = court.scene.world.ledger.slot() - opened_slot;
    assert!(own_moves > 2 && delay <= clock + own_moves * MOVE_SLOTS + 2, "{own_moves} moves, {delay} slots");
    assert!(delay <= longest_dispute_slots(clock));
    let finalise = program.finalize_round(&court.scene.job, &court.round);
    court.scene.crank(finalise);
}

#[test]
fn each_open_accusation_of_a_job_raises_the_next_ones_bond_and_a_closed_one_lowers_it() {
    let mut scene = Scene::with(&demo());
    scene.to_committed();
    let round = scene.round();
    let one = scene.world.config().parameters.dispute_bond;
    let [first, second, third] = ["first", "second", "third"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    let open = |scene: &Scene| scene.job_state().open_accusations;
    let full = first.tokens(&scene);
    first.commit(&mut scene);
    second.commit(&mut scene);
    assert_eq!((full - first.tokens(&scene), full - second.tokens(&scene), open(&scene)), (one, 2 * one, 2));
    // A dispute counts until it is resolved, an accusation until it expired or was taken back.
    first.open(&mut scene);
    assert_eq!(open(&scene), 2);
    first.win(&mut scene);
    assert_eq!((open(&scene), first.tokens(&scene)), (1, full));
    let back = second.withdraw_instruction(&scene);
    scene.world.send(&[back], &[&second.key]);
    assert_eq!((open(&scene), second.tokens(&scene)), (0, full));
    third.commit(&mut scene);
    scene.world.advance(REVEAL_SLOTS);
    let expire = third.expire_instruction(&scene);
    scene.crank(expire);
    assert_eq!((open(&scene), full - third.tokens(&scene)), (0, one / 4));
}

/// A job whose scores are over long after an audit's length from their reveals.
fn slow_scores() -> Cast {
    let mut cast = demo();
    (cast.spec.audit_slots, cast.spec.evaluation_slots, cast.spec.challenge_slots) = (9_000, 20_000, 100_000);
    cast
}

/// The halves of an accusation of an evaluator's run, by a new wallet.
fn run_accusation(scene: &mut Scene, name: &str, evaluator: usize) -> (Keypair, [Instruction; 2]) {
    let (key, program, round) = (scene.world.wallet(name), scene.world.program, scene.round());
    let accusation = Accusation {
        challenger: &key.pubkey(),
        job: &scene.job,
        round: &round,
        pool: &scene.evaluators[evaluator].seat.pool,
        datasets: &scene.datasets,
        salt: &named(name),
    };
    let halves = [program.commit_run_accusation(&accusation), program.open_run_dispute(&accusation)];
    (key, halves)
}

/// Brings two evaluators' runs to the slot in which, by the end of the reveals alone, nobody could accuse them any more.
fn late_scores(scene: &mut Scene, made_up: [u32; 2]) {
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    (0..2).for_each(|evaluator| scene.commit_score(evaluator, &scores(made_up[evaluator])));
    (0..2).for_each(|evaluator| scene.reveal_score(evaluator, &scores(made_up[evaluator])));
    let round = scene.round_state();
    let late = round.reveal_deadline_slot + scene.job_state().spec.audit_slots as u64 + 10;
    assert_eq!(round.accusable_until(CaseKind::Score), u64::MAX);
    scene.advance_to(late);
}

/// Attack: let a friend's segment be convicted, so that the round is undone while its scores are waited for, and what was an accusation of a lying run in time
/// is one too late.
#[test]
fn an_accusation_of_a_run_in_time_is_opened_though_the_round_is_undone_before_its_tally() {
    let mut scene = Scene::with(&slow_scores());
    late_scores(&mut scene, [5_000_000, 6_000_000]);
    let address = scene.round();
    let friend = Accuser::new(&mut scene, "friend", &address, 1);
    let (key, [commit, open]) = run_accusation(&mut scene, "finder", 1);
    scene.world.send(&[commit], &[&key]);
    let committed = scene.world.ledger.slot();
    friend.commit(&mut scene);
    friend.open(&mut scene);
    friend.win(&mut scene);
    let round = scene.round_state();
    assert_eq!((round.status, round.void_from), (round::VOID, round::AGGREGATED));
    let audit = scene.job_state().spec.audit_slots as u64;
    assert!(round.accusable_until(CaseKind::Score) >= committed + audit, "the last slot has moved back");
    scene.world.send(&[open], &[&key]);
    // Who replays the other run only now has an audit's length.
    let (key, halves) = run_accusation(&mut scene, "reader", 0);
    open_last(&mut scene, &key, halves, round.accusable_until(CaseKind::Score));
}

/// Attack: the same by having every run convicted, after which the tally voids the round.
#[test]
fn an_accusation_of_a_run_in_time_is_opened_though_no_score_stands_at_the_tally() {
    let mut scene = Scene::with(&slow_scores());
    late_scores(&mut scene, [5_000_000; 2]);
    let (finder, [commit, open]) = run_accusation(&mut scene, "finder", 0);
    scene.world.send(&[commit], &[&finder]);
    let friends = [0, 1].map(|evaluator| {
        let (key, [commit, open]) = run_accusation(&mut scene, &format!("friend {evaluator}"), evaluator);
        scene.world.advance(1);
        scene.world.send(&[commit], &[&key]);
        (key, open)
    });
    scene.world.advance(1);
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    for (evaluator, (key, open)) in friends.iter().enumerate() {
        let (seat, liar) = (scene.evaluators[evaluator].seat, scene.evaluators[evaluator].key.insecure_clone());
        scene.world.send(std::slice::from_ref(open), &[key]);
        let dispute = program.dispute(&program.run(&round, &seat.pool), &key.pubkey());
        let concede = program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        scene.world.send(&[concede], &[&liar]);
        scene.crank(program.resolve_run_dispute(&key.pubkey(), &job, &round, &seat.pool));
    }
    scene.tally();
    let state = scene.round_state();
    assert_eq!((state.status, state.void_from), (round::VOID, round::AGGREGATED));
    assert!(state.accusable_until(CaseKind::Score) >= scene.world.ledger.slot(), "the last slot has moved back");
    scene.world.send(&[open], &[&finder]);
}

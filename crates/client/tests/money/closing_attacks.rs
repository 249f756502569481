//! What one who wants rent, a second settlement or another's loss out of accounts that close tries in vain.

use crate::accuser::Accuser;
use sip_protocol::{
    Account, Error,
    ground::escrow::REVEAL_SLOTS,
    training::{
        job::Job,
        round::{self, Round},
        segment::Segment,
    },
};
use sip_testing::{Cast, Scene, named, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

fn is_there(scene: &Scene, address: &Address) -> bool {
    scene.world.ledger.account(address).is_some_and(|account| !account.data.is_empty())
}

/// That nothing of a round closes now.
fn nothing_closes(scene: &mut Scene, round: &Address) {
    let authority = scene.world.authority.insecure_clone();
    for instruction in scene.reclaim_instructions(round) {
        let error = scene.world.fails(&[instruction], &[&authority]);
        let refused = error.custom_code().and_then(Error::from_code);
        assert!(
            matches!(refused, Some(Error::NotFinal | Error::StillNeeded | Error::StillResting)),
            "{refused:?}: {error}"
        );
    }
}

fn unbonding(scene: &Scene) -> u64 {
    scene.job_state().parameters.unbonding_slots
}

/// A job with compressed updates, whose segments go on from those of the round before.
fn compressed() -> Scene {
    let mut cast = Cast::default();
    cast.spec.update_graphs_root = named("update graphs");
    cast.spec.reset_update_root = named("reset");
    (cast.spec.update_entries, cast.spec.base_entries) = (4, 5);
    Scene::with(&cast)
}

#[test]
fn nothing_closes_in_any_phase_before_its_time_however_long_it_is_left() {
    let mut scene = Scene::new();
    let long = 2 * unbonding(&scene);
    scene.open_round();
    let round = scene.round();
    nothing_closes(&mut scene, &round);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    nothing_closes(&mut scene, &round);
    scene.close_commits();
    nothing_closes(&mut scene, &round);
    scene.to_closed();
    scene.to_aggregated();
    nothing_closes(&mut scene, &round);
    scene.to_scored(&[scores(5_000_000); 3]);
    // Scored, and never made final.
    scene.world.advance(long);
    nothing_closes(&mut scene, &round);
    scene.finalise_all();
    nothing_closes(&mut scene, &round);
    scene.settle_round(&round);
    // The head of the chain.
    scene.world.advance(long);
    nothing_closes(&mut scene, &round);
    scene.whole_round(&scores(4_000_000));
    // A round that builds on it runs, or can still be undone.
    nothing_closes(&mut scene, &round);
    scene.finalise_all();
    for instruction in scene.reclaim_instructions(&round) {
        scene.crank(instruction);
    }
    assert!(!is_there(&scene, &round));
}

#[test]
fn whoever_is_not_the_rounds_gets_nothing_and_closes_nothing_of_it() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    for score in [5_000_000, 4_000_000] {
        scene.whole_round(&scores(score));
        scene.finalise_all();
        let round = scene.round();
        scene.settle_round(&round);
    }
    scene.whole_round(&scores(3_000_000));
    scene.finalise_all();
    let slots = unbonding(&scene);
    scene.world.advance(slots);
    let [first, second] = [0, 1].map(|index| program.round(&scene.job, index));
    let operator = scene.trainers[0].seat.operator;
    let segment = program.segment(&second, &scene.trainers[0].seat.pool);
    // One round's segment counts for no other round, whose own would stand without it.
    scene.crank_refused(program.reclaim_claim(&scene.job, &first, &segment, &operator), Error::WrongAccount);
    let other = scene.trainers[1].seat.operator;
    scene.crank_refused(program.reclaim_claim(&scene.job, &second, &segment, &other), Error::WrongAccount);
    // Neither is anything else a claim of the round, nor a claim a round.
    for account in [second, scene.job, scene.trainers[0].seat.pool, program.config()] {
        let swapped = program.reclaim_claim(&scene.job, &second, &account, &operator);
        let authority = scene.world.authority.insecure_clone();
        scene.world.fails(&[swapped], &[&authority]);
        assert!(is_there(&scene, &account));
    }
    let payer = scene.world.authority.pubkey();
    scene.crank_refused(program.reclaim_round(&scene.job, &segment, &payer), Error::WrongKind);
    // Twice in one transaction, the second finds nothing.
    let authority = scene.world.authority.insecure_clone();
    let mut twice = scene.reclaim_instructions(&first);
    twice.truncate(1);
    twice.push(twice[0].clone());
    scene.world.fails(&twice, &[&authority]);
    assert!(is_there(&scene, &twice[0].accounts[3].pubkey));
}

#[test]
fn what_was_closed_never_comes_again_and_nothing_is_settled_twice() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let first = scene.round();
    let claim = scene.claim(0);
    let seat = scene.trainers[0].seat;
    let commit = program.commit_segment(&seat.operator, &scene.job, &first, &seat.pool, &claim);
    let reveal = scene.reveal_score_instruction(0, &scores(5_000_000));
    let job: Job = scene.job_state();
    let authority = scene.world.authority.insecure_clone();
    let reopen = program.open_round(&authority.pubkey(), &scene.job, 0, job.spec.domain_count);
    scene.settle_round(&first);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    let slots = unbonding(&scene);
    scene.world.advance(slots);
    let mut closes = scene.reclaim_instructions(&first);
    let last = closes.pop().expect("the round");
    for instruction in closes {
        scene.crank(instruction);
    }
    // While the round is there, it is in no phase for commitments; afterwards there is none.
    let (trainer, evaluator) = (scene.trainers[0].key.insecure_clone(), scene.evaluators[0].key.insecure_clone());
    let settle = program.settle_segment(&scene.job, &first, &seat.pool);
    scene.world.refused(std::slice::from_ref(&commit), &[&trainer], Error::WrongRoundStatus);
    scene.world.fails(std::slice::from_ref(&reveal), &[&evaluator]);
    scene.world.fails(std::slice::from_ref(&settle), &[&authority]);
    scene.crank(last.clone());
    // Lamports that are paid to the addresses revive nothing.
    let segment = program.segment(&first, &seat.pool);
    for address in [&first, &segment] {
        scene.world.ledger.airdrop(address, 100_000_000).expect("lamports");
    }
    let audit = scene.auditors[0].seat;
    let again = program.settle_audit(&scene.job, &first, &audit.pool, audit.place);
    for (instruction, key) in
        [(commit, &trainer), (reveal, &evaluator), (settle, &authority), (again, &authority), (reopen, &authority)]
    {
        scene.world.fails(&[instruction], &[key]);
    }
    scene.world.fails(&[last], &[&authority]);
    assert!(!is_there(&scene, &first) && !is_there(&scene, &segment));
}

#[test]
fn no_segment_closes_that_a_later_rounds_trainers_go_on_from() {
    let mut scene = compressed();
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let first = scene.round();
    scene.settle_round(&first);
    let slots = unbonding(&scene);
    scene.world.advance(slots);
    scene.open_round();
    nothing_closes(&mut scene, &first);
    // The second goes on from it, comes to nothing, and so does the third.
    let update = scene.world.state::<Segment>(&scene.previous_segment(0)).claim.update_root;
    assert_eq!(scene.claim(0).previous_root, update);
    scene.commit(0);
    scene.commit(1);
    scene.commit(2);
    scene.close_commits();
    scene.to_closed();
    scene.advance_to(scene.round_state().vote_deadline_slot);
    let second = scene.round();
    scene.crank(scene.world.program.void_round(&scene.job, &second));
    scene.advance_to(scene.world.state::<Round>(&second).final_slot());
    scene.settle_round(&second);
    scene.world.advance(slots);
    // The one that came to nothing is nobody's ground and closes; what the chain ends with stays.
    nothing_closes(&mut scene, &first);
    // Without its account nobody could settle the next seed, and the job would stand still for good.
    nothing_closes(&mut scene, &second);
    scene.capture_seed();
    let late = scene.reclaim_instructions(&second);
    let next = scene.open_round();
    for instruction in late {
        scene.crank(instruction);
    }
    assert_eq!(scene.round(), next);
    assert_eq!((scene.round_state().parent, scene.claim(0).previous_root), (0, update));
    scene.commit(0);
}

#[test]
fn a_round_that_builds_on_nothing_that_stands_takes_no_commitments() {
    let mut scene = compressed();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    let first = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &first, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.open_round();
    scene.commit(0);
    let late = scene.commit_instruction(2, &scene.claim(2));
    accuser.win(&mut scene);
    // Its parent may be closed before it is undone, and what its trainers would go on from with it.
    let key = scene.trainers[2].key.insecure_clone();
    scene.world.refused(&[late], &[&key], Error::Orphaned);
}

#[test]
fn a_segment_of_a_round_that_was_undone_while_it_was_open_answers_for_its_whole_window() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    let first = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &first, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.open_round();
    scene.commit(0);
    let second = scene.round();
    accuser.win(&mut scene);
    scene.crank(scene.undo_round(&second));
    let state: Round = scene.world.state(&second);
    assert_eq!((state.status, state.void_from), (round::VOID, round::OPEN));
    // Its trainer would free its slice at once, before anybody has looked at what it committed.
    let pool = scene.trainers[0].seat.pool;
    let settle = program.settle_segment(&scene.job, &second, &pool);
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    let segment: Segment = scene.world.state(&program.segment(&second, &pool));
    let last = scene.world.state::<Round>(&second).segment_accusable_until(&segment);
    let finder = Accuser::new(&mut scene, "finder", &second, 0);
    scene.advance_to(last);
    finder.commit(&mut scene);
    scene.advance_to(last + REVEAL_SLOTS);
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    nothing_closes(&mut scene, &second);
    finder.open(&mut scene);
    scene.world.advance(1);
    // What is disputed is not settled either.
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    let before = scene.pool_state(&pool).self_bond;
    finder.win(&mut scene);
    assert!(scene.pool_state(&pool).self_bond < before);
    scene.crank(settle);
    nothing_closes(&mut scene, &second);
}

#[test]
fn an_accusation_that_waits_to_be_opened_keeps_all_of_a_round_that_came_to_nothing() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    scene.to_committed();
    scene.to_closed();
    let first = scene.round();
    scene.advance_to(scene.round_state().vote_deadline_slot);
    scene.crank(program.void_round(&scene.job, &first));
    let pool = scene.trainers[1].seat.pool;
    let state: Round = scene.world.state(&first);
    let segment: Segment = scene.world.state(&program.segment(&first, &pool));
    let last = state.segment_accusable_until(&segment);
    let finder = Accuser::new(&mut scene, "finder", &first, 1);
    scene.advance_to(last);
    finder.commit(&mut scene);
    scene.advance_to(last + REVEAL_SLOTS);
    for settle in [
        program.settle_segment(&scene.job, &first, &pool),
        program.settle_audit(&scene.job, &first, &scene.auditors[0].seat.pool, 0),
    ] {
        scene.crank_refused(settle, Error::ChallengeOpen);
    }
    nothing_closes(&mut scene, &first);
    finder.open(&mut scene);
    let slots = unbonding(&scene);
    scene.world.advance(1);
    nothing_closes(&mut scene, &first);
    finder.outwait(&mut scene);
    scene.world.advance(slots);
    nothing_closes(&mut scene, &first);
    // Once it is decided everyone is settled, and an unbonding time later the bounty still has to be somebody's.
    scene.settle_round(&first);
    scene.world.advance(slots);
    let instructions = scene.reclaim_instructions(&first);
    scene.crank_refused(instructions[1].clone(), Error::StillNeeded);
    let claim = finder.claim_instruction(&scene);
    scene.crank(claim);
    scene.capture_seed();
    for instruction in instructions {
        scene.crank(instruction);
    }
    assert!(!is_there(&scene, &first));
}

#[test]
fn nobody_keeps_anothers_rent_by_leaving_its_own_part_unsettled() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let first = scene.round();
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    let slots = unbonding(&scene);
    scene.world.advance(3 * slots);
    nothing_closes(&mut scene, &first);
    // Nobody of the round signs or pays: a stranger settles and closes all of it, also for who was slashed or retired since.
    let stranger = scene.world.wallet("stranger");
    let retired = scene.evaluators[2].key.insecure_clone();
    let leave = scene.world.program.leave_job(&scene.evaluators[2].seat, &scene.job);
    let retire = scene.world.program.retire_pool(&retired.pubkey(), &scene.evaluators[2].seat.pool);
    scene.world.send(&[leave, retire], &[&retired]);
    scene.world.authority = stranger.insecure_clone();
    scene.settle_round(&first);
    scene.world.advance(slots);
    let instructions: Vec<Instruction> = scene.reclaim_instructions(&first);
    let payer = Address::new_from_array(Round::decode(&account(&scene, &first)).expect("a round").payer);
    for mut instruction in instructions {
        if instruction.accounts.len() == 4 {
            instruction.accounts[3].pubkey = payer;
        }
        scene.crank(instruction);
    }
    assert!(!is_there(&scene, &first));
}

#[test]
fn a_place_that_nobody_held_keeps_no_round_on_chain() {
    let mut scene = Scene::new();
    let gone = scene.evaluators.remove(0);
    let leave = scene.world.program.leave_job(&gone.seat, &scene.job);
    scene.world.send(&[leave], &[&gone.key]);
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let first = scene.round();
    let state: Round = scene.world.state(&first);
    assert_eq!((state.evaluator_count, state.awaited_evaluators), (3, 0b110));
    scene.settle_round(&first);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    let slots = unbonding(&scene);
    scene.world.advance(slots);
    for instruction in scene.reclaim_instructions(&first) {
        scene.crank(instruction);
    }
    assert!(!is_there(&scene, &first));
}

#[test]
fn compensation_that_nobody_collects_is_insured_when_its_round_closes() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    let first = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &first, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    scene.advance_to(scene.world.state::<Round>(&first).final_slot());
    scene.capture_seed();
    scene.settle_round(&first);
    let left = scene.world.state::<Round>(&first).uncollected().expect("a balance");
    assert!(left > 0);
    let slots = unbonding(&scene);
    scene.world.advance(slots);
    let claim = accuser.claim_instruction(&scene);
    scene.crank(claim);
    let before = scene.world.config().buckets.insurance;
    for instruction in scene.reclaim_instructions(&first) {
        scene.crank(instruction);
    }
    assert_eq!(scene.world.config().buckets.insurance, before + left);
    assert!(!is_there(&scene, &first));
}

fn account(scene: &Scene, address: &Address) -> Vec<u8> {
    scene.world.ledger.account(address).expect("an account").data
}

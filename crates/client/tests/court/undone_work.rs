//! What is left of a liar's slice is shared by all rounds that its conviction undid: no matter who worked them, others lose at most twice what the liar and its friends lose.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    training::{
        job::SABOTAGE_RATIO,
        round::{self, Round},
    },
};
use sip_testing::{Cast, SLICE, Scene, scores};
use solana_address::Address;

/// Nine tenths of the half of a slice that its friend does not get back.
const LEFT: u64 = SLICE / 2 / 10 * 9;

fn scene(lookahead: u8) -> Scene {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.rounds, cast.spec.challenge_slots) = (lookahead, 20, 5_000);
    Scene::with(&cast)
}

/// So many scored rounds that build on one another.
fn build(scene: &mut Scene, rounds: u32) -> Vec<Address> {
    let score = |number: u32| 5_000_000 - 100_000 * number;
    let played = (0..rounds).map(|number| {
        scene.whole_round(&scores(score(number)));
        scene.round()
    });
    played.collect()
}

/// A trainer has its segment of a round convicted, through a friend.
fn confess(scene: &mut Scene, name: &str, round: &Address, trainer: usize) {
    let friend = Accuser::new(scene, name, round, trainer);
    friend.commit(scene);
    friend.open(scene);
    friend.win(scene);
    scene.world.check_conservation();
}

fn state(scene: &Scene, round: &Address) -> Round {
    scene.world.state(round)
}

fn undo(scene: &mut Scene, round: &Address) {
    let undo = scene.undo_round(round);
    scene.crank(undo);
    scene.world.check_conservation();
}

/// Attack: a coalition works a round alone, lets others build as many rounds on it as they may, and has a claim of its own in it convicted. It had all
/// of the compensation back, and the others nothing.
#[test]
fn attack_whoever_works_how_many_of_the_undone_rounds_others_lose_at_most_twice_what_the_liar_loses() {
    for lookahead in [1, 2, 3, 5, 8] {
        let mut scene = scene(lookahead);
        let rounds = build(&mut scene, u32::from(lookahead));
        let insured = scene.world.config().buckets.insurance;
        confess(&mut scene, "friend", &rounds[0], 1);
        // Each takes its part after the one that it builds on.
        for (place, round) in rounds.iter().enumerate().skip(2) {
            let undo = scene.undo_round(round);
            assert!(state(&scene, &rounds[place - 1]).is_undone == 0);
            scene.crank_refused(undo, Error::ParentNotUndone);
        }
        rounds.iter().skip(1).for_each(|round| undo(&mut scene, round));
        let part = LEFT / u64::from(lookahead);
        let states: Vec<Round> = rounds.iter().map(|round| state(&scene, round)).collect();
        for (number, state) in states.iter().enumerate() {
            assert!(state.reward > 0 && state.is_undone == if number == 0 { 1 } else { 3 });
            assert_eq!(state.compensation, part.min(state.reward), "{lookahead}, {number}");
        }
        assert_eq!(states[usize::from(lookahead) - 1].to_children, 0);
        let kept: u64 = states.iter().map(|state| state.compensation + state.to_children).sum();
        let rest = scene.world.config().buckets.insurance - insured;
        // The pools of those who are charged round down.
        assert!((rest + kept).abs_diff(LEFT) < 10_000, "the rest is insured");
        // A coalition that worked the first of them alone, or none, where its auditors are charged too.
        let attested = scene.job_state().misattested_segment(0b11).expect("it adds up") * 2;
        for alone in 0..states.len() {
            let (own, others) = states.split_at(alone);
            let back: u64 = own.iter().map(|state| state.compensation).sum();
            let unpaid: u64 = others.iter().map(|state| state.reward - state.compensation).sum();
            let charged = if alone == 0 { attested } else { 0 };
            assert!(unpaid + charged <= SABOTAGE_RATIO * (SLICE / 2 - back), "{lookahead}, {alone}: {unpaid}");
        }
        // All of it is paid out.
        for (round, state) in rounds.iter().zip(&states) {
            scene.advance_to(state.final_slot());
            scene.settle_round(round);
            let paid = self::state(&scene, round).paid;
            assert!(paid > 0 && paid <= state.compensation, "{lookahead}");
            scene.world.check_conservation();
        }
    }
}

/// Of the round that runs, which was not scored, only the auditors have earned; what the others would have had stays until it is insured.
#[test]
fn the_round_that_runs_has_its_part_as_well() {
    let mut scene = scene(3);
    let mut rounds = build(&mut scene, 2);
    scene.to_committed();
    scene.to_closed();
    rounds.push(scene.round());
    confess(&mut scene, "friend", &rounds[0], 1);
    rounds.iter().skip(1).for_each(|round| undo(&mut scene, round));
    let states: Vec<Round> = rounds.iter().map(|round| state(&scene, round)).collect();
    assert_eq!(states[2].void_from, round::CLOSED);
    assert!(states.iter().all(|state| state.compensation == (LEFT / 3).min(state.reward)));
    scene.advance_to(states[2].final_slot());
    scene.settle_round(&rounds[2]);
    let auditors = u64::from(scene.job_state().parameters.auditors_bps);
    let (paid, most) = (state(&scene, &rounds[2]).paid, states[2].compensation / 10_000 * auditors);
    assert!(paid > 0 && paid.abs_diff(most) <= most / 100, "{paid} of {most}");
}

/// Two lies in two rounds, the second convicted before anybody has told its round that its base is gone: it takes its part all the same, and first.
#[test]
fn a_round_that_is_undone_for_a_lie_of_its_own_on_a_false_base_loses_nothing_of_its_part() {
    let mut scene = scene(3);
    let rounds = build(&mut scene, 3);
    confess(&mut scene, "first friend", &rounds[0], 1);
    confess(&mut scene, "second friend", &rounds[1], 2);
    let lied = state(&scene, &rounds[1]);
    assert_eq!((lied.is_undone, lied.compensation), (1, lied.reward.min(LEFT)));
    let last = scene.undo_round(&rounds[2]);
    scene.crank_refused(last, Error::ParentNotUndone);
    let settle = scene.world.program.settle_absent(&scene.job, &rounds[1], &scene.trainers[0].seat.pool, 0);
    scene.advance_to(lied.final_slot());
    scene.crank_refused(settle, Error::Orphaned);
    rounds.iter().skip(1).for_each(|round| undo(&mut scene, round));
    let again = scene.undo_round(&rounds[1]);
    scene.crank_refused(again, Error::NotOrphaned);
    assert_eq!(state(&scene, &rounds[1]).is_undone, 3);
    let last = state(&scene, &rounds[2]);
    assert_eq!(last.compensation, (LEFT / 3).min(last.reward));
}

/// One that came to nothing by itself has no part, whatever its base becomes, and asks for no account of that.
#[test]
fn a_round_that_came_to_nothing_has_no_part() {
    let mut scene = scene(3);
    let mut rounds = build(&mut scene, 1);
    scene.open_round();
    scene.advance_to(scene.round_state().commit_deadline_slot);
    scene.close_commits();
    scene.close_round();
    rounds.push(scene.round());
    scene.capture_seed();
    scene.whole_round(&scores(4_900_000));
    rounds.push(scene.round());
    confess(&mut scene, "friend", &rounds[0], 1);
    let undo = scene.world.program.undo_round(&scene.job, &rounds[1], &rounds[1]);
    scene.crank(undo);
    self::undo(&mut scene, &rounds[2]);
    let compensated = [0, 1, 2].map(|number| state(&scene, &rounds[number]).compensation);
    let most = state(&scene, &rounds[2]).reward.min(LEFT / 2);
    assert_eq!(compensated, [most, 0, most]);
}

/// The account of a round stays as long as one that was undone with it has not taken its part; then what is left of it is insured.
#[test]
fn a_round_that_keeps_what_is_anothers_is_not_closed() {
    let mut scene = scene(2);
    let rounds = build(&mut scene, 2);
    let friend = Accuser::new(&mut scene, "friend", &rounds[0], 1);
    friend.commit(&mut scene);
    friend.open(&mut scene);
    friend.win(&mut scene);
    scene.capture_seed();
    scene.advance_to(state(&scene, &rounds[0]).final_slot());
    scene.settle_round(&rounds[0]);
    scene.world.advance(scene.world.config().parameters.unbonding_slots);
    let claim = friend.claim_instruction(&scene);
    scene.crank(claim);
    let mut closing = scene.reclaim_instructions(&rounds[0]);
    let last = closing.pop().expect("the round itself");
    for instruction in closing {
        scene.crank(instruction);
    }
    scene.crank_refused(last.clone(), Error::StillNeeded);
    undo(&mut scene, &rounds[1]);
    let told = state(&scene, &rounds[1]);
    assert_eq!(told.compensation, told.reward.min(LEFT / 2));
    let (left, before) = (state(&scene, &rounds[0]).uncollected().unwrap(), scene.world.config().buckets.insurance);
    scene.crank(last);
    assert_eq!(scene.world.config().buckets.insurance, before + left);
    scene.world.check_conservation();
}

/// Two lies of one trainer in two rounds on each other, both verdicts in one transaction, the later lie's first, while a third round runs on them: that has its
/// part of what the second round keeps, and nothing waits for it in the first.
#[test]
fn a_round_that_runs_takes_its_part_once_however_many_of_those_below_it_fall() {
    for is_aggregated in [false, true] {
        let mut scene = scene(3);
        let rounds = build(&mut scene, 2);
        scene.to_committed();
        scene.to_closed();
        if is_aggregated {
            scene.to_aggregated();
        }
        let running = scene.round();
        let accusers = [0, 1].map(|number: usize| {
            let accuser = Accuser::new(&mut scene, &format!("finder {number}"), &rounds[number], 1);
            accuser.commit(&mut scene);
            accuser.open(&mut scene);
            accuser
        });
        accusers.iter().for_each(|accuser| accuser.concede(&mut scene));
        let verdicts = [1, 0].map(|number: usize| accusers[number].resolve_instruction(&scene));
        let authority = scene.world.authority.insecure_clone();
        scene.world.send(&verdicts, &[&authority]);
        undo(&mut scene, &running);
        // The second round was taken off the chain by its own lie, and is told nothing.
        let [first, second] = [0, 1].map(|number: usize| state(&scene, &rounds[number]));
        assert_eq!((first.undone_after, first.to_children, first.has_heirs()), (0, 0, false), "{is_aggregated}");
        assert_eq!((second.is_undone, second.has_heirs()), (1, false));
        assert_eq!(state(&scene, &running).compensation, (LEFT / 2).min(state(&scene, &running).reward));
        assert_eq!(first.compensation, LEFT.min(first.reward));
        scene.capture_seed();
        undo(&mut scene, &rounds[1]);
        // All of them close.
        for round in rounds.iter().chain([&running]) {
            scene.advance_to(state(&scene, round).final_slot());
            scene.settle_round(round);
        }
        scene.world.advance(scene.world.config().parameters.unbonding_slots);
        for accuser in &accusers {
            let claim = accuser.claim_instruction(&scene);
            scene.crank(claim);
        }
        for round in rounds.iter().chain([&running]) {
            for instruction in scene.reclaim_instructions(round) {
                scene.crank(instruction);
            }
            assert!(scene.world.ledger.account(round).is_none());
        }
        scene.world.check_conservation();
    }
}

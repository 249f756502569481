//! Seats that move: nobody waits for a dead one, any can be left at any time, and who left still answers for what it did.

use sip_protocol::{
    Error,
    ground::units::TOKEN,
    stake::pool::{PoolKind, RETIRED},
    training::seats::{AWAKE, CURE_SLOTS, DORMANT, FREE, MISSED, SHUT_OUT_ROUNDS, Seat},
};
use sip_testing::{BOND_TOKENS, Cast, Operator, SLICE, Scene, scores};
use solana_address::Address;
use solana_instruction::Instruction;

const ROLES: [PoolKind; 3] = [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator];

fn seat(scene: &Scene, kind: PoolKind, place: usize) -> Seat {
    scene.job_state().seats(kind).unwrap()[place]
}

fn operator(scene: &Scene, kind: PoolKind, place: usize) -> &Operator {
    match kind {
        PoolKind::Trainer => &scene.trainers[place],
        PoolKind::Auditor => &scene.auditors[place],
        _ => &scene.evaluators[place],
    }
}

fn leave(scene: &mut Scene, kind: PoolKind, place: usize) {
    let here = operator(scene, kind, place);
    let (leave, key) = (scene.world.program.leave_job(&here.seat, &scene.job), here.key.insecure_clone());
    scene.world.send(&[leave], &[&key]);
}

fn join(scene: &Scene, joining: &Operator) -> Instruction {
    scene.world.program.join_job(&joining.seat.operator, &scene.job, &joining.seat.pool)
}

fn check(scene: &Scene, kind: PoolKind, place: usize) -> Instruction {
    let pool = operator(scene, kind, place).seat.pool;
    scene.world.program.check_seat(&scene.job, &pool, place as u8)
}

#[test]
fn a_place_of_an_idle_job_is_left_without_anybodys_help_and_the_next_operator_takes_it() {
    for kind in ROLES {
        let mut scene = Scene::new();
        leave(&mut scene, kind, 1);
        let pool = operator(&scene, kind, 1).seat.pool;
        assert_eq!((seat(&scene, kind, 1).state, scene.pool_state(&pool).allotted_bps), (FREE, 0));
        // The round that opens now awaits it no more.
        scene.open_round();
        assert_eq!(scene.round_state().require_holder(kind, 1, pool.as_array()), Err(Error::WrongPlace));
        let newcomer = scene.join("newcomer", kind, 1);
        let next = seat(&scene, kind, 1);
        assert_eq!((next.pool, next.state, next.since_round), (newcomer.seat.pool.to_bytes(), AWAKE, 1));
        assert_eq!(scene.round_state().require_holder(kind, 1, &next.pool), Err(Error::WrongPlace));
    }
}

#[test]
fn who_leaves_in_a_round_is_paid_and_answers_for_what_it_did_and_its_place_goes_to_a_newcomer() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    (0..3).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    let mut newcomers = Vec::new();
    for kind in ROLES {
        leave(&mut scene, kind, 1);
        let pool = scene.pool_state(&operator(&scene, kind, 1).seat.pool);
        // Its claims stand on their slices, and what stands behind them counts nowhere else.
        assert!(pool.frozen_bond >= SLICE && pool.allotted_bps == 10_000 && pool.left_bps == 10_000);
        newcomers.push(scene.join(&format!("newcomer {kind:?}"), kind, 1));
    }
    (0..3).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
    scene.tally();
    let round = scene.round();
    let mut newcomers = newcomers.into_iter();
    let mut changed: Vec<Operator> = Vec::new();
    for people in [&mut scene.trainers, &mut scene.auditors, &mut scene.evaluators] {
        changed.push(std::mem::replace(&mut people[1], newcomers.next().unwrap()));
    }
    // The next round is the newcomers'.
    scene.whole_round(&scores(4_000_000));
    for (people, left) in [&mut scene.trainers, &mut scene.auditors, &mut scene.evaluators].into_iter().zip(changed) {
        people[1] = left;
    }
    scene.finalise_all();
    scene.settle_round(&round);
    for kind in ROLES {
        let (pool_address, key) = (operator(&scene, kind, 1).seat.pool, operator(&scene, kind, 1).key.insecure_clone());
        let pool = scene.pool_state(&pool_address);
        assert!(pool.commission_owed > 0 && pool.frozen_bond == 0, "{kind:?}");
        assert_eq!(pool.self_bond, BOND_TOKENS * TOKEN);
        // It comes back when there is room: once its claims are settled, its stake is free.
        let again = scene.world.program.join_job(&operator(&scene, kind, 1).seat.operator, &scene.job, &pool_address);
        scene.world.send(&[again], &[&key]);
        assert_eq!(scene.pool_state(&pool_address).allotted_bps, 10_000);
    }
}

#[test]
fn who_leaves_before_its_part_has_no_say_in_it() {
    let mut scene = Scene::new();
    scene.to_committed();
    leave(&mut scene, PoolKind::Auditor, 1);
    let (job, round) = (scene.job, scene.round());
    let auditor = &mut scene.auditors[1];
    let (preimage, key) = (*auditor.chain.last().unwrap(), auditor.key.insecure_clone());
    let reveal = scene.world.program.reveal_draw(&auditor.seat, &job, &round, &preimage);
    scene.world.refused(&[reveal], &[&key], Error::NothingAllotted);
}

#[test]
fn nobody_waits_for_a_seat_that_missed_two_rounds_until_its_holder_wakes_it() {
    for kind in ROLES {
        let mut scene = Scene::new();
        // All others of the role are there.
        let absent = match kind {
            PoolKind::Auditor => 1,
            _ => 2,
        };
        for missed in 1..=2 {
            scene.open_round();
            // Without two thirds no phase of scores ends early, and nobody is shut out.
            let skip = |here: PoolKind, place: usize| {
                here == kind && (place == absent || (kind == PoolKind::Evaluator && place == 1))
            };
            (0..3).filter(|place| !skip(PoolKind::Trainer, *place)).for_each(|place| {
                scene.commit(place);
            });
            if kind == PoolKind::Trainer {
                let deadline = scene.round_state().commit_deadline_slot;
                scene.advance_to(deadline);
            }
            scene.close_commits();
            for auditor in (0..2).filter(|place| !skip(PoolKind::Auditor, *place)) {
                scene.reveal(auditor);
                for trainer in (0..3).filter(|place| !skip(PoolKind::Trainer, *place)) {
                    scene.attest(auditor, trainer);
                }
            }
            if kind == PoolKind::Auditor {
                let deadline = scene.round_state().audit_deadline_slot;
                scene.advance_to(deadline);
            }
            scene.close_round();
            scene.show_all();
            scene.to_aggregated();
            let there: Vec<usize> = (0..3).filter(|place| !skip(PoolKind::Evaluator, *place)).collect();
            there.iter().for_each(|place| scene.commit_score(*place, &scores(5_000_000)));
            if kind == PoolKind::Evaluator {
                let deadline = scene.round_state().score_deadline_slot;
                scene.advance_to(deadline);
            }
            there.iter().for_each(|place| scene.reveal_score(*place, &scores(5_000_000)));
            scene.tally();
            assert_eq!(seat(&scene, kind, absent).missed, missed * MISSED);
        }
        assert_eq!(seat(&scene, kind, absent).state, DORMANT);
        // The third round waits for no deadline.
        scene.open_round();
        let opened = scene.world.ledger.slot();
        (0..3)
            .filter(|place| scene.is_awaited(PoolKind::Trainer, &scene.trainers[*place]))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|place| {
                scene.commit(place);
            });
        scene.close_commits();
        scene.to_closed();
        scene.to_aggregated();
        let there: Vec<usize> =
            (0..3).filter(|place| scene.is_awaited(PoolKind::Evaluator, &scene.evaluators[*place])).collect();
        there.iter().for_each(|place| scene.commit_score(*place, &scores(4_000_000)));
        there.iter().for_each(|place| scene.reveal_score(*place, &scores(4_000_000)));
        scene.tally();
        assert!(scene.world.ledger.slot() < opened + 40, "{kind:?}");
        // Its holder wakes it, and is there from the next round.
        let here = operator(&scene, kind, absent);
        let (wake, key) = (join(&scene, here), here.key.insecure_clone());
        scene.world.send(&[wake], &[&key]);
        if kind == PoolKind::Evaluator {
            let other = operator(&scene, kind, 1);
            let (wake, key) = (join(&scene, other), other.key.insecure_clone());
            scene.world.send(&[wake], &[&key]);
        }
        assert_eq!((seat(&scene, kind, absent).state, seat(&scene, kind, absent).missed), (AWAKE, 0));
        scene.whole_round(&scores(3_000_000));
    }
}

#[test]
fn a_seat_that_sleeps_an_audits_length_is_another_operators_to_take() {
    let mut scene = Scene::with(&Cast { trainers: 3, auditors: 16, evaluators: 3, ..Cast::default() });
    let mut job = scene.job_state();
    let slot = scene.world.ledger.slot();
    (job.auditors[5].state, job.auditors[5].changed_slot) = (DORMANT, slot);
    let (job_address, holder) = (scene.job, scene.auditors[5].seat.pool);
    scene.world.overwrite(&job_address, &job);
    let newcomer = scene.world.operator("newcomer", PoolKind::Auditor);
    let program = scene.world.program;
    let take = |displaced: &Address| {
        program.take_seat(&newcomer.seat.operator, &job_address, &newcomer.seat.pool, displaced, 10_000)
    };
    scene.world.refused(&[take(&holder)], &[&newcomer.key], Error::JobFull);
    scene.advance_to(slot + u64::from(job.spec.audit_slots));
    let without = join(&scene, &newcomer);
    scene.world.refused(&[without], &[&newcomer.key], Error::MissingAccount);
    let other = scene.auditors[4].seat.pool;
    scene.world.refused(&[take(&other)], &[&newcomer.key], Error::WrongAccount);
    scene.world.send(&[take(&holder)], &[&newcomer.key]);
    assert_eq!(seat(&scene, PoolKind::Auditor, 5).pool, newcomer.seat.pool.to_bytes());
    assert_eq!(scene.pool_state(&holder).allotted_bps, 0);
}

#[test]
fn anybody_puts_the_seat_of_a_retired_or_convicted_pool_to_sleep_and_a_short_bond_has_a_day_to_cure() {
    for kind in ROLES {
        let mut scene = Scene::new();
        let nothing = check(&scene, kind, 1);
        scene.crank_refused(nothing.clone(), Error::SeatInOrder);
        let address = operator(&scene, kind, 1).seat.pool;
        let fit = scene.pool_state(&address);
        let (job_address, slice) = (scene.job, scene.job_state().spec.slice);
        // The bond is as it was, the place needs more.
        let needs = |scene: &mut Scene, slice: u64| {
            let mut job = scene.job_state();
            job.spec.slice = slice;
            scene.world.overwrite(&job_address, &job);
        };
        // A bond that falls short, and is topped up in time.
        needs(&mut scene, fit.self_bond);
        scene.crank(nothing.clone());
        let advance = scene.world.ledger.slot() + 1;
        scene.advance_to(advance);
        scene.crank_refused(nothing.clone(), Error::CureRunning);
        needs(&mut scene, slice);
        scene.crank(nothing.clone());
        assert_eq!((seat(&scene, kind, 1).state, seat(&scene, kind, 1).changed_slot), (AWAKE, 0));
        // One that was found short and topped up, which nobody told the seat, is as good as any when it is short again later.
        needs(&mut scene, fit.self_bond);
        scene.crank(nothing.clone());
        needs(&mut scene, slice);
        scene.world.advance(2 * CURE_SLOTS);
        needs(&mut scene, fit.self_bond);
        scene.crank(nothing.clone());
        assert_eq!(
            (seat(&scene, kind, 1).state, seat(&scene, kind, 1).changed_slot),
            (AWAKE, scene.world.ledger.slot())
        );
        needs(&mut scene, slice);
        scene.world.advance(1);
        scene.crank(nothing.clone());
        // One that is not.
        needs(&mut scene, fit.self_bond);
        let found = scene.world.ledger.slot() + 1;
        scene.advance_to(found);
        scene.crank(nothing.clone());
        scene.advance_to(found + CURE_SLOTS + 2);
        scene.crank(nothing.clone());
        assert_eq!(seat(&scene, kind, 1).state, DORMANT);
        let here = operator(&scene, kind, 1);
        let (wake, key) = (join(&scene, here), here.key.insecure_clone());
        scene.world.refused(std::slice::from_ref(&wake), &[&key], Error::SelfBondTooSmall);
        needs(&mut scene, slice);
        scene.world.send(std::slice::from_ref(&wake), &[&key]);
        assert_eq!(seat(&scene, kind, 1).state, AWAKE);
        // A retired pool.
        let mut retired = fit;
        (retired.status, retired.allotted_bps) = (RETIRED, 10_000);
        scene.world.overwrite(&address, &retired);
        scene.crank(nothing.clone());
        assert_eq!(seat(&scene, kind, 1).state, DORMANT);
        // One that was convicted in another job, which is not woken again.
        scene.world.overwrite(&address, &fit);
        scene.world.send(std::slice::from_ref(&wake), &[&key]);
        let mut convicted = fit;
        convicted.claims_convicted = 1;
        scene.world.overwrite(&address, &convicted);
        scene.crank(nothing);
        assert_eq!(seat(&scene, kind, 1).state, DORMANT);
        scene.world.refused(&[wake], &[&key], Error::PoolConvicted);
    }
}

#[test]
fn one_dead_seat_does_not_cost_the_whole_deadline_and_whoever_is_shut_out_is_not_charged() {
    let mut scene = Scene::new();
    scene.open_round();
    let state = scene.round_state();
    (0..2).for_each(|trainer| {
        scene.commit(trainer);
    });
    // Two thirds are in at once: the others have half of the phase all the same.
    let half = state.opened_slot + u64::from(scene.job_state().spec.commit_slots) / 2;
    assert_eq!(scene.round_state().early_close_slot, half);
    scene.advance_to(half - 1);
    let close = scene.world.program.close_commits(&scene.job, &scene.round());
    scene.crank_refused(close, Error::TooEarly);
    scene.advance_to(half);
    scene.close_commits();
    assert_eq!(scene.round_state().shut_out_trainers, 0b100);
    scene.to_closed();
    assert_eq!(seat(&scene, PoolKind::Trainer, 2).missed, 1);
    scene.to_aggregated();
    let state = scene.round_state();
    (0..2).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    let half = state.aggregated_slot + u64::from(scene.job_state().spec.evaluation_slots) / 2;
    assert_eq!(scene.round_state().score_deadline_slot, half);
    scene.advance_to(half);
    let late = scene.commit_score_instruction(2, &scores(5_000_000));
    let key = scene.evaluators[2].key.insecure_clone();
    scene.world.refused(&[late], &[&key], Error::WrongRoundStatus);
    (0..2).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
    scene.tally();
    assert_eq!(seat(&scene, PoolKind::Evaluator, 2).missed, 1);
    scene.settle_all();
    for pool in [scene.trainers[2].seat.pool, scene.evaluators[2].seat.pool] {
        assert_eq!(scene.pool_state(&pool).self_bond, BOND_TOKENS * TOKEN);
    }
}

#[test]
fn the_grace_is_half_as_long_again_as_two_thirds_took_and_ends_with_the_phase() {
    for (taken, expected) in [(10, 50), (40, 60), (60, 90), (90, 100)] {
        let mut scene = Scene::new();
        scene.open_round();
        let opened = scene.round_state().opened_slot;
        scene.commit(0);
        assert_eq!(scene.round_state().early_close_slot, 0);
        scene.advance_to(opened + taken);
        scene.commit(1);
        assert_eq!(scene.round_state().early_close_slot, opened + expected);
        // A third that comes before the closing counts, and moves nothing.
        scene.commit(2);
        assert_eq!(scene.round_state().early_close_slot, opened + expected);
        scene.close_commits();
    }
}

/// Attack: a trainer and an evaluator beside two thirds that are there do nothing for ever. Nobody charges them, since they were shut out,
/// but each phase would wait for them to its half.
#[test]
fn a_dead_seat_beside_two_thirds_that_are_there_is_awaited_for_eight_rounds() {
    let mut cast = Cast::default();
    cast.spec.rounds = 10;
    let mut scene = Scene::with(&cast);
    let play = |scene: &mut Scene| {
        scene.open_round();
        let opened = scene.world.ledger.slot();
        (0..2).for_each(|trainer| {
            scene.commit(trainer);
        });
        let early = scene.round_state().early_close_slot;
        if scene.is_awaited(PoolKind::Trainer, &scene.trainers[2]) {
            scene.advance_to(early);
        }
        scene.close_commits();
        scene.to_closed();
        scene.to_aggregated();
        (0..2).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
        if scene.is_awaited(PoolKind::Evaluator, &scene.evaluators[2]) {
            let deadline = scene.round_state().score_deadline_slot;
            scene.advance_to(deadline);
        }
        (0..2).for_each(|evaluator| scene.reveal_score(evaluator, &scores(5_000_000)));
        scene.tally();
        scene.world.ledger.slot() - opened
    };
    for round in 1..=SHUT_OUT_ROUNDS {
        assert!(play(&mut scene) >= 50 + 25);
        for kind in [PoolKind::Trainer, PoolKind::Evaluator] {
            let state = if round < SHUT_OUT_ROUNDS { AWAKE } else { DORMANT };
            assert_eq!((seat(&scene, kind, 2).state, seat(&scene, kind, 2).missed), (state, round), "{kind:?}");
            assert_eq!((seat(&scene, kind, 1).state, seat(&scene, kind, 1).missed), (AWAKE, 0), "{kind:?}");
        }
    }
    assert!(play(&mut scene) < 40, "nobody waits any more");
    scene.settle_all();
    for pool in [scene.trainers[2].seat.pool, scene.evaluators[2].seat.pool] {
        assert_eq!(scene.pool_state(&pool).self_bond, BOND_TOKENS * TOKEN);
    }
}

/// Attack: take all places of a role in an idle job, retire at once, and have the bond back before the next round awaits the seats.
#[test]
fn no_bond_leaves_while_its_pool_holds_a_place_that_rounds_would_await() {
    for kind in ROLES {
        let mut scene = Scene::new();
        let program = scene.world.program;
        let here = operator(&scene, kind, 1);
        let (own, key) = (here.seat, here.key.insecure_clone());
        assert_eq!(scene.pool_state(&own.pool).seats, 1);
        // Retired long before, the bond was free in the transaction in which a round was opened that awaited the seat and the place was left.
        let retire = program.retire_pool(&own.operator, &own.pool);
        scene.world.refused(std::slice::from_ref(&retire), &[&key], Error::SeatsHeld);
        let slots = scene.world.config().parameters.unbonding_slots;
        scene.world.advance(slots + 1);
        scene.open_round();
        let withdraw = program.withdraw_bond(&own.operator, &own.pool);
        // Nobody's help is needed.
        leave(&mut scene, kind, 1);
        scene.world.refused(std::slice::from_ref(&withdraw), &[&key], Error::PoolNotRetired);
        scene.world.send(&[retire], &[&key]);
        let longest = scene.job_state().spec.longest_round_slots(&scene.job_state().parameters);
        assert!(longest < slots, "the round is settled sooner");
        scene.world.advance(slots - 1);
        scene.world.refused(std::slice::from_ref(&withdraw), &[&key], Error::BondLocked);
        scene.world.advance(1);
        scene.world.send(&[withdraw], &[&key]);
        assert_eq!((scene.pool_state(&own.pool).self_bond, scene.pool_state(&own.pool).seats), (0, 0));
    }
}

//! Attack: sixteen wallets take all places of a role and do nothing, or as little as keeps the job from going on. It is delayed by two rounds, and, where those
//! build on a round that is not final, by the longest dispute on top of them; they lose what the two rounds could have paid everybody.

use sip_client::StateDemand;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::units::TOKEN,
    stake::pool::{Pool, PoolKind},
    training::{
        round::{self, Round},
        seats::{AWAKE, DORMANT},
    },
};
use sip_testing::{BOND_TOKENS, Cast, Operator, PARAMETERS, Scene, named, scores};
use solana_address::Address;
use solana_signer::Signer;

/// How far the squatters go along.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Silence {
    /// They do nothing.
    Whole,
    /// They begin and do not end: a draw without a vote, a score that is never revealed.
    Half,
}

fn people(scene: &Scene, kind: PoolKind) -> &Vec<Operator> {
    match kind {
        PoolKind::Trainer => &scene.trainers,
        PoolKind::Auditor => &scene.auditors,
        _ => &scene.evaluators,
    }
}

/// A round of which a role keeps silent, to its end.
fn silenced(scene: &mut Scene, kind: PoolKind, silence: Silence) {
    silenced_after(scene, kind, silence, |_| {});
}

/// The same, with something that somebody does in the slot in which it ends without votes or scores.
fn silenced_after(scene: &mut Scene, kind: PoolKind, silence: Silence, last: impl FnOnce(&mut Scene)) {
    scene.open_round();
    if kind == PoolKind::Trainer {
        let deadline = scene.round_state().commit_deadline_slot;
        scene.advance_to(deadline);
        scene.close_commits();
        return scene.close_round();
    }
    (0..scene.trainers.len()).for_each(|trainer| {
        scene.commit(trainer);
    });
    scene.close_commits();
    if kind == PoolKind::Auditor && silence == Silence::Whole {
        let deadline = scene.round_state().audit_deadline_slot;
        scene.advance_to(deadline);
        return scene.close_round();
    }
    scene.to_closed();
    if kind == PoolKind::Auditor {
        let deadline = scene.round_state().vote_deadline_slot;
        scene.advance_to(deadline);
        last(scene);
        let void = scene.world.program.void_round(&scene.job, &scene.round());
        scene.crank(void);
        return;
    }
    scene.to_aggregated();
    if silence == Silence::Half {
        (0..scene.evaluators.len()).for_each(|evaluator| scene.commit_score(evaluator, &scores(5_000_000)));
    }
    let deadline = scene.round_state().reveal_deadline_slot;
    scene.advance_to(deadline);
    last(scene);
    scene.tally();
}

fn bonds(scene: &Scene, pools: &[Address]) -> u64 {
    pools.iter().map(|pool| scene.pool_state(pool).self_bond).sum()
}

/// Lets the bonds of those who worked in a round that came to nothing back the next one.
fn thaw_all(scene: &mut Scene, round: &Address) {
    let program = scene.world.program;
    let trainers: Vec<Address> = scene.trainers.iter().map(|trainer| trainer.seat.pool).collect();
    for pool in trainers {
        if scene.world.ledger.account(&program.segment(round, &pool)).is_some() {
            scene.crank(program.thaw_segment(round, &pool));
        }
    }
    let state: Round = scene.world.state(round);
    for (place, seat) in (0u8..).zip(&state.auditors) {
        if seat.vote_slice != 0 {
            scene.crank(program.thaw_seat(round, &seat.pool.into(), place));
        }
    }
}

fn squat(kind: PoolKind, silence: Silence) {
    squat_after(kind, silence, |_, _| {});
}

/// The same after something that the squatters did.
fn squat_after(kind: PoolKind, silence: Silence, prepare: impl Fn(&mut Scene, &[Address])) {
    let cast = Cast { trainers: 3, auditors: 2, evaluators: 3, ..Cast::default() };
    squat_in(cast, kind, silence, prepare);
}

/// The same in a job of one's choice.
fn squat_in(mut cast: Cast, kind: PoolKind, silence: Silence, prepare: impl Fn(&mut Scene, &[Address])) {
    match kind {
        PoolKind::Trainer => cast.trainers = 16,
        PoolKind::Auditor => cast.auditors = 16,
        _ => cast.evaluators = 16,
    }
    // Bonds as large and rewards as high as they may be beside each other.
    cast.spec.slice = BOND_TOKENS * TOKEN / u64::from(cast.spec.lookahead) - PARAMETERS.minimum_self_bond;
    cast.spec.round_reward = cast.parameters.round_reward;
    let mut scene = Scene::with(&cast);
    let squatters: Vec<Address> = people(&scene, kind).iter().map(|operator| operator.seat.pool).collect();
    prepare(&mut scene, &squatters);
    let (before, scored) = (bonds(&scene, &squatters), scene.job_state().rounds_scored);
    let mut rounds = Vec::new();
    for _ in 0..2 {
        silenced(&mut scene, kind, silence);
        let state = scene.round_state();
        assert_eq!((state.status, scene.job_state().rounds_scored), (round::VOID, scored));
        rounds.push((scene.round(), state.expected_reward));
    }
    let asleep_from = scene.world.ledger.slot();
    rounds.iter().for_each(|(round, _)| thaw_all(&mut scene, round));
    let job = scene.job_state();
    assert!(job.seats(kind).unwrap().iter().all(|seat| seat.state == DORMANT));

    // Honest people take the places as soon as a verdict could take no absence back, at once where nothing is open, and the next round is theirs.
    let is_base_open = !job.chain.open_rounds().is_empty();
    let free_slot = asleep_from + if is_base_open { job.spec.longest_dispute_slots(&job.parameters) } else { 0 };
    assert_eq!((is_base_open, job.takeable(kind, free_slot)), (scored > 0, Ok(0)));
    if is_base_open {
        assert_eq!(job.takeable(kind, free_slot - 1), Err(Error::JobFull));
        scene.finalise_all();
        scene.advance_to(free_slot);
        assert_eq!(scene.world.ledger.slot(), free_slot, "the job waits for the seats, and not for what it builds on");
    }
    let mut newcomers = Vec::new();
    for (place, squatter) in squatters.iter().enumerate().take(2) {
        let mut newcomer = scene.world.operator(&format!("newcomer {place}"), kind);
        newcomer.seat.place = place as u8;
        let wait = u64::from(job.spec.audit_slots) * (place > 0) as u64;
        scene.world.advance(wait);
        let seat = newcomer.seat;
        let take = scene.world.program.take_seat(&seat.operator, &scene.job, &seat.pool, squatter, 10_000);
        scene.world.send(&[take], &[&newcomer.key]);
        assert_eq!(scene.job_state().seats(kind).unwrap()[place].state, AWAKE);
        newcomers.push(newcomer);
    }
    let old = match kind {
        PoolKind::Trainer => std::mem::replace(&mut scene.trainers, newcomers),
        PoolKind::Auditor => std::mem::replace(&mut scene.auditors, newcomers),
        _ => std::mem::replace(&mut scene.evaluators, newcomers),
    };
    scene.whole_round(&scores(4_000_000));
    assert_eq!((scene.round_state().status, scene.job_state().rounds_scored), (round::SCORED, scored + 1));

    // What they destroyed they pay.
    match kind {
        PoolKind::Trainer => scene.trainers = old,
        PoolKind::Auditor => scene.auditors = old,
        _ => scene.evaluators = old,
    }
    let mut destroyed = 0;
    for (round, expected) in rounds {
        let end = scene.world.state::<round::Round>(&round).final_slot();
        scene.advance_to(end);
        scene.settle_round(&round);
        destroyed += expected;
    }
    let flat = scene.job_state().parameters.penalties.missed_vote;
    assert!(is_base_open || destroyed / 32 > flat, "it is no flat row that counts");
    let lost = before - bonds(&scene, &squatters);
    assert!(destroyed > 0 && lost >= destroyed, "{kind:?}, {silence:?}: {lost} of {destroyed}");
}

#[test]
fn sixteen_trainers_that_commit_nothing_delay_a_job_by_two_rounds_and_pay_for_them() {
    squat(PoolKind::Trainer, Silence::Whole);
}

#[test]
fn sixteen_auditors_that_reveal_nothing_delay_a_job_by_two_rounds_and_pay_for_them() {
    squat(PoolKind::Auditor, Silence::Whole);
}

#[test]
fn sixteen_auditors_that_do_not_vote_delay_a_job_by_two_rounds_and_pay_for_them() {
    squat(PoolKind::Auditor, Silence::Half);
}

#[test]
fn sixteen_evaluators_that_score_nothing_delay_a_job_by_two_rounds_and_pay_for_them() {
    squat(PoolKind::Evaluator, Silence::Whole);
}

#[test]
fn sixteen_evaluators_that_hide_their_scores_delay_a_job_by_two_rounds_and_pay_for_them() {
    squat(PoolKind::Evaluator, Silence::Half);
}

/// Attack: the squatters work in a round, and keep silent in the two that build on it before it is final. Each of their absences could still be taken back by a conviction
/// in that round, so that their seats are nobody else's before the longest dispute is over: 21,600 slots by default, 83,600 with an audit of 40,000.
#[test]
fn sixteen_squatters_of_a_job_that_runs_delay_it_by_two_rounds_and_the_longest_dispute_and_pay_for_the_rounds() {
    for (kind, silence) in [
        (PoolKind::Trainer, Silence::Whole),
        (PoolKind::Auditor, Silence::Whole),
        (PoolKind::Auditor, Silence::Half),
        (PoolKind::Evaluator, Silence::Whole),
        (PoolKind::Evaluator, Silence::Half),
    ] {
        let mut cast = Cast { trainers: 3, auditors: 2, evaluators: 3, ..Cast::default() };
        (cast.spec.lookahead, cast.spec.challenge_slots) = (3, 10_000);
        let longest = [200, 9_000, 40_000].map(|audit_slots| {
            let mut spec = cast.spec;
            spec.audit_slots = audit_slots;
            spec.longest_dispute_slots(&Parameters::DEFAULT)
        });
        assert_eq!(longest, [21_600, 21_600, 83_600]);
        squat_in(cast, kind, silence, |scene, _| scene.whole_round(&scores(5_000_000)));
    }
}

/// Attack: the squatters have themselves convicted before, in a job of their own, where it costs one small slice, since who was
/// convicted has paid more than an absence.
#[test]
fn a_conviction_in_another_job_excuses_no_squatter() {
    let convicted = |scene: &mut Scene, squatters: &[Address]| {
        for pool in squatters {
            let state = scene.pool_state(pool);
            let convicted = Pool { segments_convicted: 1, claims_convicted: 1, ..state };
            scene.world.overwrite(pool, &convicted);
        }
    };
    for kind in [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator] {
        squat_after(kind, Silence::Whole, convicted);
    }
}

/// Attack: in the slot in which their round comes to nothing a friend of the squatters demands something of an honest trainer, so that they seem to be absent
/// only because something is in question. Their seats stayed awake for ever, for half of a fee a round.
#[test]
fn squatters_whose_friend_asks_for_something_sleep_like_others_and_keep_their_seats_for_one_dispute_more() {
    for (kind, silence) in [
        (PoolKind::Auditor, Silence::Half),
        (PoolKind::Evaluator, Silence::Whole),
        (PoolKind::Evaluator, Silence::Half),
    ] {
        let mut cast = Cast { trainers: 3, auditors: 2, evaluators: 3, ..Cast::default() };
        match kind {
            PoolKind::Auditor => cast.auditors = 16,
            _ => cast.evaluators = 16,
        }
        let mut scene = Scene::with(&cast);
        let friend = scene.world.wallet("friend");
        let mut asleep_from = 0;
        for _ in 0..2 {
            silenced_after(&mut scene, kind, silence, |scene| {
                let (wallet, round, pool) = (friend.pubkey(), scene.round(), scene.trainers[0].seat.pool);
                let demand =
                    StateDemand { demander: &wallet, job: &scene.job, round: &round, pool: &pool, entry: 0, chunk: 0 };
                let ask = scene.world.program.demand_state(&demand);
                scene.world.send(&[ask], &[&friend]);
            });
            assert_eq!(scene.round_state().status, round::VOID);
            asleep_from = scene.world.ledger.slot();
        }
        let job = scene.job_state();
        assert!(job.seats(kind).unwrap().iter().all(|seat| seat.state == DORMANT), "{kind:?}, {silence:?}");
        let until = asleep_from + job.spec.longest_dispute_slots(&job.parameters);
        assert_eq!((job.takeable(kind, until - 1), job.takeable(kind, until)), (Err(Error::JobFull), Ok(0)));
    }
}

/// Attack: thirteen squatters beside three honest people of a role. The rounds go on with the three, at the deadlines of two rounds, and
/// the thirteen pay their part of what their role could have earned.
#[test]
fn thirteen_squatters_beside_three_honest_seats_cost_two_rounds_their_deadlines_and_pay_their_part() {
    for (kind, silence) in [
        (PoolKind::Trainer, Silence::Whole),
        (PoolKind::Auditor, Silence::Whole),
        (PoolKind::Evaluator, Silence::Whole),
        (PoolKind::Evaluator, Silence::Half),
    ] {
        let mut cast = Cast::default();
        match kind {
            PoolKind::Trainer => cast.trainers = 16,
            PoolKind::Auditor => cast.auditors = 16,
            _ => cast.evaluators = 16,
        }
        (cast.spec.slice, cast.spec.round_reward) = (550 * TOKEN, cast.parameters.round_reward);
        let mut scene = Scene::with(&cast);
        let squatters: Vec<Address> = people(&scene, kind).iter().take(13).map(|it| it.seat.pool).collect();
        let honest: Vec<Address> = people(&scene, kind).iter().skip(13).map(|it| it.seat.pool).collect();
        let [before, honest_before] = [&squatters, &honest].map(|pools| bonds(&scene, pools));
        let mut rounds = Vec::new();
        for number in 0..3u32 {
            let took = beside_squatters(&mut scene, kind, silence, 5_000_000 - 100_000 * number);
            assert_eq!(scene.round_state().status, round::SCORED, "{kind:?}, {silence:?}");
            assert!(number < 2 || took < 120, "{kind:?}, {silence:?}: {took} slots");
            rounds.push((scene.round(), scene.round_state().expected_reward));
        }
        let job = scene.job_state();
        let asleep = job.seats(kind).unwrap().iter().filter(|seat| seat.state == DORMANT).count();
        assert_eq!(asleep, 13, "{kind:?}, {silence:?}");
        scene.finalise_all();
        let (mut owed, parameters) = (0, job.parameters);
        let role = match kind {
            PoolKind::Trainer => parameters.trainers_bps,
            PoolKind::Auditor => parameters.auditors_bps,
            _ => parameters.evaluators_bps,
        };
        for (number, (round, expected)) in rounds.iter().enumerate() {
            scene.settle_round(round);
            owed += if number < 2 { expected / 10_000 * u64::from(role) / 16 * 13 } else { 0 };
        }
        let [lost, honest_lost] = [before - bonds(&scene, &squatters), honest_before - bonds(&scene, &honest)];
        assert!(lost >= owed && owed > 0 && honest_lost == 0, "{kind:?}, {silence:?}: {lost} of {owed}, {honest_lost}");
        let earned: Vec<u64> = honest.iter().map(|pool| scene.pool_state(pool).commission_owed).collect();
        assert!(earned.iter().all(|earned| *earned > 0), "{kind:?}, {silence:?}: {earned:?}");
    }
}

/// A round in which the first thirteen of a role are silent, as long as anybody awaits them; returns how many slots it took.
fn beside_squatters(scene: &mut Scene, kind: PoolKind, silence: Silence, score: u32) -> u64 {
    scene.open_round();
    let opened = scene.world.ledger.slot();
    let acts = |scene: &Scene, here: PoolKind| -> Vec<usize> {
        let operators = people(scene, here);
        let is_there = |place: &usize| scene.is_awaited(here, &operators[*place]) && (here != kind || *place >= 13);
        (0..operators.len()).filter(is_there).collect()
    };
    let trainers = acts(scene, PoolKind::Trainer);
    for trainer in &trainers {
        scene.commit(*trainer);
    }
    let is_awaited = |scene: &Scene| scene.is_awaited(kind, &people(scene, kind)[0]);
    if kind == PoolKind::Trainer && is_awaited(scene) {
        let deadline = scene.round_state().commit_deadline_slot;
        scene.advance_to(deadline);
    }
    scene.close_commits();
    for auditor in acts(scene, PoolKind::Auditor) {
        scene.reveal(auditor);
        trainers.iter().for_each(|trainer| scene.attest(auditor, *trainer));
    }
    if kind == PoolKind::Auditor && is_awaited(scene) {
        let deadline = scene.round_state().audit_deadline_slot;
        scene.advance_to(deadline);
    }
    scene.close_round();
    scene.show_all();
    for auditor in acts(scene, PoolKind::Auditor) {
        scene.vote(auditor, &named(&format!("base {score}")));
    }
    let is_hidden = kind == PoolKind::Evaluator && silence == Silence::Half && is_awaited(scene);
    if is_hidden {
        (0..13).for_each(|squatter| scene.commit_score(squatter, &scores(score)));
    }
    let evaluators = acts(scene, PoolKind::Evaluator);
    evaluators.iter().for_each(|evaluator| scene.commit_score(*evaluator, &scores(score)));
    if kind == PoolKind::Evaluator && is_awaited(scene) && !is_hidden {
        let deadline = scene.round_state().score_deadline_slot;
        scene.advance_to(deadline);
    }
    evaluators.iter().for_each(|evaluator| scene.reveal_score(*evaluator, &scores(score)));
    if is_hidden {
        let deadline = scene.round_state().reveal_deadline_slot;
        scene.advance_to(deadline);
    }
    scene.tally();
    scene.world.ledger.slot() - opened
}

/// Attack: one trainer works alone with sixteen auditors, or a job has just begun; then fifteen more come, and what the auditors keep from being done costs as
/// much as one trainer was worth. And the other way round: who fails once, when fifteen have left, paid for all of them.
#[test]
fn squatters_after_a_round_of_one_trainer_pay_for_all_that_they_keep_from_work() {
    let mut cast = Cast { trainers: 1, auditors: 16, evaluators: 1, ..Cast::default() };
    (cast.spec.slice, cast.spec.round_reward) = (900 * TOKEN, cast.parameters.round_reward);
    // One trainer's work is worth a part of what a round may draw.
    cast.schedule.unit_reward = 40_000 * TOKEN;
    let mut scene = Scene::with(&cast);
    let most = scene.job_state().spec.round_reward;
    scene.whole_round(&scores(5_000_000));
    let worth = scene.round_state().reward;
    assert!(worth > 100 && worth < most / 8, "{worth} of {most}");
    for place in 1..16 {
        let joined = scene.join(&format!("trainer {place}"), PoolKind::Trainer, place);
        scene.trainers.push(joined);
    }
    let squatters: Vec<Address> = scene.auditors.iter().map(|operator| operator.seat.pool).collect();
    let before = bonds(&scene, &squatters);
    silenced(&mut scene, PoolKind::Auditor, Silence::Whole);
    let (round, state) = (scene.round(), scene.round_state());
    assert_eq!(state.status, round::VOID);
    assert!(state.expected_reward >= (16 * worth).min(most), "{} for {worth} each", state.expected_reward);
    scene.finalise_all();
    scene.advance_to(state.final_slot());
    scene.settle_round(&round);
    let lost = before - bonds(&scene, &squatters);
    assert!(lost >= state.expected_reward, "{lost} of {}", state.expected_reward);
    // And fifteen leave again.
    for trainer in 1..16 {
        let (seat, key) = (scene.trainers[trainer].seat, scene.trainers[trainer].key.insecure_clone());
        let leave = scene.world.program.leave_job(&seat, &scene.job);
        scene.world.send(&[leave], &[&key]);
    }
    scene.open_round();
    assert!(scene.round_state().expected_reward.abs_diff(worth) <= 1);
}

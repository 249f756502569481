//! What an auditor answers for that attested a segment which is convicted afterwards.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    ground::{offence::Penalties, units::TOKEN},
    stake::pool::Pool,
    training::{
        job::SABOTAGE_RATIO,
        round::{self, Round},
        segment::{self, Segment},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, named, scores};
use solana_address::Address;
use solana_instruction::Instruction;

const FULL: u64 = BOND_TOKENS * TOKEN;
/// Twice what nobody gets back of a trainer's slice whose state is withheld from a friend, who has five fees of it and half of the rest while
/// the undone have nine tenths of the other half; divided by the two auditors: less than the row.
const PENALTY: u64 = SABOTAGE_RATIO * (SLICE - 5 * TOKEN) / 2 / 10 / 2;

fn scene() -> Scene {
    scene_where_it_costs(Penalties::DEFAULT.misattested_segment)
}

fn scene_where_it_costs(misattested_segment: u64) -> Scene {
    let mut cast = Cast::default();
    cast.parameters.penalties.misattested_segment = misattested_segment;
    cast.spec.challenge_slots = 5_000;
    Scene::with(&cast)
}

/// Someone who accuses the second trainer's segment of the present round, to which it concedes.
fn convict(scene: &mut Scene) {
    let address = scene.round();
    let accuser = Accuser::new(scene, "accuser", &address, 1);
    accuser.commit(scene);
    accuser.open(scene);
    accuser.win(scene);
    assert_eq!(scene.segment_state(1).status, segment::CONVICTED);
}

fn auditor(scene: &Scene, auditor: usize) -> Pool {
    scene.pool_state(&scene.auditors[auditor].seat.pool)
}

fn settle(scene: &Scene, round: &Address, auditor: usize) -> Instruction {
    let seat = scene.auditors[auditor].seat;
    scene.world.program.settle_audit(&scene.job, round, &seat.pool, seat.place)
}

#[test]
fn before_the_closing_it_costs_the_penalty_and_the_part_of_the_reward() {
    // Less than what the honest part of its work earns.
    let penalty = TOKEN;
    let mut scene = scene_where_it_costs(penalty);
    scene.to_committed();
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    // Only the first attests the false segment.
    scene.attest(0, 1);
    convict(&mut scene);
    scene.close_round();
    scene.show_all();
    let seats = scene.round_state().auditors;
    assert_eq!([0, 1].map(|a: usize| (seats[a].drawn, seats[a].shown, seats[a].refuted)), [(3, 2, 1), (2, 2, 0)]);
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    let insured = scene.world.config().buckets.insurance;
    scene.settle_all();
    let [careless, careful] = [0, 1].map(|number| auditor(&scene, number));
    let whole = scene.round_state().reward / 10_000 * 750;
    assert!(careful.commission_owed.abs_diff(whole) < 10_000, "{}", careful.commission_owed);
    assert!(careless.commission_owed.abs_diff(whole / 3 * 2 - penalty) < 10_000, "{}", careless.commission_owed);
    // Neither missed anything; what the penalty took out of the reward was never paid.
    assert_eq!([careless.audits_missed, careful.audits_missed], [0, 0]);
    assert_eq!((careless.self_bond, scene.world.config().buckets.insurance), (FULL, insured));
}

#[test]
fn after_the_closing_it_costs_the_same_whether_the_attestation_was_shown_or_not() {
    let mut scene = scene();
    scene.to_committed();
    for auditor in 0..2 {
        scene.reveal(auditor);
        (0..3).for_each(|trainer| scene.attest(auditor, trainer));
    }
    scene.close_round();
    (0..3).for_each(|trainer| scene.show(0, trainer));
    scene.show(1, 0);
    scene.show(1, 2);
    convict(&mut scene);
    let state = scene.round_state();
    assert_eq!((state.status, state.is_undone), (round::VOID, 1));
    for seat in &state.auditors[..2] {
        assert_eq!((seat.drawn, seat.attested, seat.shown, seat.refuted), (3, 2, 2, 1));
    }
    let address = scene.round();
    let [first, second] = [0, 1].map(|auditor| settle(&scene, &address, auditor));
    scene.crank_refused(first.clone(), Error::ChallengeOpen);
    let insured = scene.world.config().buckets.insurance;
    scene.advance_to(state.final_slot());
    scene.crank(first);
    scene.crank(second);
    for number in 0..2 {
        let pool = auditor(&scene, number);
        assert_eq!((pool.self_bond, pool.audits_attested, pool.audits_missed), (FULL - PENALTY, 2, 0));
    }
    assert_eq!(scene.world.config().buckets.insurance, insured + 2 * PENALTY);
}

/// Attack: the round comes to nothing by itself, and the auditor has itself settled before anybody accuses what it attested.
#[test]
fn attack_nobody_is_settled_ahead_of_a_verdict() {
    let mut scene = scene();
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("a"));
    scene.vote(1, &named("b"));
    let deadline = scene.round_state().vote_deadline_slot;
    scene.advance_to(deadline);
    let address = scene.round();
    let void = scene.world.program.void_round(&scene.job, &address);
    scene.crank(void);
    let hasty = settle(&scene, &address, 0);
    scene.crank_refused(hasty.clone(), Error::ChallengeOpen);
    convict(&mut scene);
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    scene.crank(hasty.clone());
    assert_eq!(auditor(&scene, 0).self_bond, FULL - PENALTY);
    scene.crank_refused(hasty, Error::AlreadySettled);
}

/// Two accusations convict one segment: its auditors answer once.
#[test]
fn a_second_conviction_of_a_segment_charges_nobody_again() {
    let mut scene = scene();
    scene.to_committed();
    let address = scene.round();
    let early = Accuser::new(&mut scene, "early", &address, 1);
    let late = Accuser::new(&mut scene, "late", &address, 1);
    early.commit(&mut scene);
    late.commit(&mut scene);
    for auditor in 0..2 {
        scene.reveal(auditor);
        (0..3).for_each(|trainer| scene.attest(auditor, trainer));
    }
    late.open(&mut scene);
    early.open(&mut scene);
    late.win(&mut scene);
    early.win(&mut scene);
    for seat in &scene.round_state().auditors[..2] {
        assert_eq!((seat.drawn, seat.refuted), (1, 1));
    }
}

/// A disputed segment counts, attested or not; who believed it false has missed nothing, and who attested it answers only once it is
/// convicted.
#[test]
fn a_disputed_segment_counts_and_who_did_not_attest_it_has_missed_nothing() {
    let mut cast = Cast { auditors: 3, ..Cast::default() };
    cast.spec.challenge_slots = 5_000;
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    let address = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &address, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    for auditor in 0..3 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    scene.attest(0, 1);
    let deadline = scene.round_state().audit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_round();
    let state = scene.round_state();
    assert_eq!(state.accepted, 0b111);
    let counts = |number: usize| {
        let seat = scene.round_state().auditors[number];
        (seat.drawn, seat.attested, seat.refuted)
    };
    assert_eq!([counts(0), counts(1), counts(2)], [(3, 3, 0), (2, 2, 0), (2, 2, 0)]);
    accuser.win(&mut scene);
    let seats = scene.round_state().auditors.map(|seat| (seat.drawn, seat.attested, seat.refuted));
    assert_eq!(seats[..3], [(3, 2, 1), (2, 2, 0), (2, 2, 0)]);
    assert_eq!(scene.round_state().status, round::VOID);
}

/// What a conviction leaves to burn is burned by anyone, out of the vault and the supply, once.
#[test]
fn the_condemned_part_of_a_conviction_is_burned() {
    let mut scene = scene();
    scene.to_committed();
    let burn = scene.world.program.burn_condemned();
    scene.crank_refused(burn.clone(), Error::NothingToBurn);
    convict(&mut scene);
    let before = scene.world.config();
    // One slice of the own bond, half of it the challenger's; with the seed's part, a tenth of the rest.
    assert!(before.condemned.abs_diff(SLICE / 2 / 10) < 1_000, "{}", before.condemned);
    let supply = |scene: &Scene| {
        let mint = scene.world.ledger.account(&scene.world.program.mint()).unwrap();
        u64::from_le_bytes(mint.data[36..44].try_into().unwrap())
    };
    let minted = supply(&scene);
    scene.crank(burn.clone());
    let after = scene.world.config();
    assert_eq!((after.condemned, after.burned), (0, before.burned + before.condemned));
    assert_eq!(supply(&scene), minted - before.condemned);
    assert_eq!(scene.world.emission().fees_burned, 0, "no demand");
    scene.crank_refused(burn, Error::NothingToBurn);
}

/// Attack: a trainer concedes a true segment to a friend, so that everybody who attested it is charged.
#[test]
fn who_concedes_a_true_segment_costs_its_auditors_no_more_than_itself() {
    let mut cast = Cast { auditors: 16, ..Cast::default() };
    cast.spec.challenge_slots = 5_000;
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    convict(&mut scene);
    let address = scene.round();
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    let settlements: Vec<Instruction> = (0..16).map(|number| settle(&scene, &address, number)).collect();
    settlements.into_iter().for_each(|settlement| {
        scene.crank(settlement);
    });
    let charged: u64 = (0..16).map(|number| FULL - auditor(&scene, number).self_bond).sum();
    assert!(charged > SLICE / 20 && charged <= SABOTAGE_RATIO * (SLICE / 2 / 10), "{charged}");
}

/// Attack: a trainer, its friend, and all others but fifteen auditors with the bonds of their places are of one coalition, whose own auditor has what is
/// delegated. The friend has half of the slice, and the coalition's rounds nearly all of the rest; the fifteen were charged as if all of it were lost.
#[test]
fn attack_a_coalition_that_works_alone_costs_the_auditors_beside_it_at_most_twice_what_it_loses() {
    let mut cast = Cast { auditors: 16, ..Cast::default() };
    cast.spec.challenge_slots = 5_000;
    let mut scene = Scene::with(&cast);
    let delegator = scene.world.wallet("delegator");
    for operator in [scene.auditors[0].seat.pool, scene.trainers[0].seat.pool, scene.trainers[2].seat.pool] {
        scene.world.stake(&delegator, &operator, 30_000 * TOKEN);
    }
    let rounds = [5_000_000, 4_900_000].map(|score| {
        scene.whole_round(&scores(score));
        scene.round()
    });
    let honest: Vec<Address> = scene.auditors[1..].iter().map(|auditor| auditor.seat.pool).collect();
    let held = |scene: &Scene| honest.iter().map(|pool| scene.pool_state(pool).held().unwrap()).sum::<u64>();
    // What neither they nor anyone of the coalition has any more, or can still collect.
    let gone = |scene: &Scene| {
        let config = scene.world.config();
        let parts = rounds.map(|round| scene.world.state::<Round>(&round).uncollected().unwrap());
        config.buckets.insurance + config.condemned + config.burned + parts.iter().sum::<u64>()
    };
    let (held_before, gone_before) = (held(&scene), gone(&scene));
    let friend = Accuser::new(&mut scene, "friend", &rounds[0], 1);
    friend.commit(&mut scene);
    friend.open(&mut scene);
    friend.win(&mut scene);
    let undo = scene.undo_round(&rounds[1]);
    scene.crank(undo);
    for round in &rounds {
        let end = scene.world.state::<Round>(round).final_slot();
        scene.advance_to(end);
        scene.settle_round(round);
    }
    let segment: Segment = scene.world.state(&friend.segment(&scene));
    assert_eq!(segment.escrow.bounty, SLICE / 2);
    let others = held_before - held(&scene);
    let coalition = gone(&scene) - gone_before - others;
    assert!(others > 0 && others <= SABOTAGE_RATIO * coalition, "{others} for {coalition}");
}

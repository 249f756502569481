//! Attack: a role brings round after round to nothing, and a friend has a trainer's claims in them convicted, all on one bond, so that none of the
//! absences is charged.

use crate::accuser::Accuser;
use sip_protocol::{
    ground::units::TOKEN,
    stake::pool::Pool,
    training::{
        job::SABOTAGE_RATIO,
        round::{self, Round},
        seats::{DORMANT, MISSED_ROUNDS},
    },
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, Scene};
use solana_address::Address;

/// The trainer whose claims are conceded, and another.
const LIAR: usize = 1;
const OTHER: usize = 2;
/// What a round may draw at most.
const REWARD: u64 = 40 * TOKEN;

/// A round that comes to nothing, since its one evaluator scores nothing. Its slices are thawed, and a friend accuses the liar.
fn silenced(scene: &mut Scene, number: usize, liar: usize) -> (Address, Accuser) {
    let (seat, key) = (scene.evaluators[0].seat, scene.evaluators[0].key.insecure_clone());
    if scene.job_state().evaluators[0].state == DORMANT {
        scene.world.send(&[scene.world.program.wake_seat(&seat, &scene.job)], &[&key]);
    }
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    let deadline = scene.round_state().reveal_deadline_slot;
    scene.advance_to(deadline);
    scene.tally();
    let round = scene.round();
    assert_eq!(scene.round_state().status, round::VOID);
    let program = scene.world.program;
    for trainer in 0..scene.trainers.len() {
        scene.crank(program.thaw_segment(&round, &scene.trainers[trainer].seat.pool));
    }
    for auditor in 0..2 {
        let seat = scene.auditors[auditor].seat;
        scene.crank(program.thaw_seat(&round, &seat.pool, seat.place));
    }
    let friend = Accuser::new(scene, &format!("friend {number}"), &round, liar);
    friend.commit(scene);
    friend.open(scene);
    (round, friend)
}

/// Plays a round for each of these trainers, whose claim is conceded, in a job that builds so far ahead, and then the convictions. Returns how many rounds they undid.
fn play(lookahead: u8, liars: &[usize], spoil: impl Fn(&mut Pool)) -> usize {
    let rounds = liars.len();
    let mut cast = Cast { trainers: 3, auditors: 2, evaluators: 1, ..Cast::default() };
    cast.spec.lookahead = lookahead;
    cast.spec.slice = BOND_TOKENS * TOKEN / u64::from(lookahead) - PARAMETERS.minimum_self_bond;
    cast.spec.round_reward = REWARD;
    cast.parameters.penalties.missed_score = 0;
    let mut scene = Scene::with(&cast);
    let evaluator = scene.evaluators[0].seat.pool;
    let auditors = [0, 1].map(|auditor: usize| scene.auditors[auditor].seat.pool);
    let bonds = |scene: &Scene, pools: &[Address]| pools.iter().map(|it| scene.pool_state(it).self_bond).sum::<u64>();
    let before = [bonds(&scene, &[evaluator]), bonds(&scene, &auditors)];
    let plays: Vec<(Address, Accuser)> =
        (0..).zip(liars).map(|(number, liar)| silenced(&mut scene, number, *liar)).collect();
    for liar in [LIAR, OTHER].map(|liar| scene.trainers[liar].seat.pool) {
        let mut pool = scene.pool_state(&liar);
        spoil(&mut pool);
        scene.world.overwrite(&liar, &pool);
    }
    plays.iter().for_each(|(_, friend)| friend.win(&mut scene));
    let ends = plays.iter().map(|(round, _)| scene.world.state::<Round>(round).final_slot());
    scene.advance_to(ends.max().unwrap());
    let (mut excused, mut owed) = (0, 0);
    for (round, _) in &plays {
        let state: Round = scene.world.state(round);
        let is_excused = state.is_undone != 0;
        excused += is_excused as usize;
        owed += if is_excused { 0 } else { state.expected_reward };
        scene.settle_round(round);
    }
    // Who kept silent pays for each round that no whole slice excused.
    let charged = [before[0] - bonds(&scene, &[evaluator]), before[1] - bonds(&scene, &auditors)];
    assert!(charged[0] == owed && (owed != 0 || excused == rounds), "{lookahead}: {} of {owed}", charged[0]);
    // And those who attested true segments pay at most twice what the convictions took from everybody.
    let burned = scene.world.config().condemned;
    assert!(charged[1] <= SABOTAGE_RATIO * burned, "{lookahead}: {} for {burned}", charged[1]);
    excused
}

/// Without the bound all of them were excused, on however few slices: ten rounds in the demonstration's phases, 36 in phases of 300 slots.
#[test]
fn attack_one_bond_excuses_no_more_rounds_that_come_to_nothing_than_it_has_slices_or_two() {
    for lookahead in 1..=3u8 {
        let slice = BOND_TOKENS * TOKEN / u64::from(lookahead) - PARAMETERS.minimum_self_bond;
        let slices = (BOND_TOKENS * TOKEN / slice) as usize;
        assert_eq!(play(lookahead, &[LIAR; 5], |_| {}), slices.max(usize::from(MISSED_ROUNDS)), "{lookahead}");
    }
}

/// Attack: the bond of a liar that keeps its states to itself is owed before, for claims of a job of its own, so that those who could score neither of
/// its rounds are charged.
#[test]
fn attack_a_liar_whose_bond_is_owed_already_has_nobody_charged_before_its_seat_sleeps() {
    assert_eq!(play(2, &[LIAR; 4], |liar| liar.owed_bond = liar.self_bond), usize::from(MISSED_ROUNDS));
}

/// Attack: one liar uses up what is excused, so that those who could do nothing about what another kept to itself are charged.
#[test]
fn attack_what_one_liar_had_excused_is_not_what_is_excused_of_another() {
    let owed = |liar: &mut Pool| liar.owed_bond = liar.self_bond;
    assert_eq!(play(2, &[LIAR, LIAR, OTHER, OTHER], owed), 2 * usize::from(MISSED_ROUNDS));
    assert_eq!(play(2, &[LIAR, LIAR, LIAR, OTHER], owed), 3);
}

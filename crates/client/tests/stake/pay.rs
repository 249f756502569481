//! Work is paid to the stake that was there when it was done: attacks by those who come, go or add bond between the work and its pay, on the
//! compiled program. The world checks after every transaction that the vault holds what all accounts are owed.

use sip_client::Seat;
use sip_protocol::{
    Error,
    ground::units::TOKEN,
    stake::{
        cohort::COHORT_SLOTS,
        pool::{Pool, PoolKind, SEED_SHARES},
        position::Position,
    },
    training::job::Job,
};
use sip_testing::{Cast, Operator, Scene, scores};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Most that rounding may take from somebody's pay, base units.
pub(crate) const ROUNDING: u64 = 2;

/// What an owner's position in a pool could claim now, base units.
pub(crate) fn claimable(scene: &Scene, pool: &Address, owner: &Keypair) -> u64 {
    let address = scene.world.program.position(pool, &owner.pubkey());
    let (mut state, mut pool): (Position, Pool) = (scene.world.state(&address), scene.pool_state(pool));
    state.settle(&mut pool).unwrap();
    state.claimable
}

/// A scene with two delegators of the first trainer, 20,000 and 10,000 tokens.
fn delegated() -> (Scene, Keypair, Keypair) {
    let mut scene = Scene::new();
    let pool = scene.trainers[0].seat.pool;
    let [first, second] = ["first delegator", "second delegator"].map(|name| scene.world.wallet(name));
    scene.world.stake(&first, &pool, 20_000 * TOKEN);
    scene.world.stake(&second, &pool, 10_000 * TOKEN);
    (scene, first, second)
}

/// Plays a round, with something done once the trainers have committed, and settles the first trainer's segment. Returns what the two
/// delegators can claim, and what the operator is owed.
fn paid(
    after_the_commitment: impl FnOnce(&mut Scene, &Keypair, &Keypair),
    before_the_pay: impl FnOnce(&mut Scene),
) -> [u64; 3] {
    let (mut scene, first, second) = delegated();
    let (program, job, pool) = (scene.world.program, scene.job, scene.trainers[0].seat.pool);
    scene.to_committed();
    after_the_commitment(&mut scene, &first, &second);
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.finalise_all();
    before_the_pay(&mut scene);
    let round = scene.round();
    scene.crank(program.settle_segment(&job, &round, &pool));
    [claimable(&scene, &pool, &first), claimable(&scene, &pool, &second), scene.pool_state(&pool).commission_owed]
}

fn near(found: [u64; 3], honest: [u64; 3]) {
    for (found, honest) in found.iter().zip(&honest) {
        assert!(found.abs_diff(*honest) <= ROUNDING, "{found} for {honest}");
    }
}

#[test]
fn who_leaves_between_the_commitment_and_the_pay_is_paid_as_if_it_had_stayed() {
    let honest = paid(|_, _, _| {}, |_| {});
    assert!(honest[0] > TOKEN && honest[0].abs_diff(2 * honest[1]) <= ROUNDING, "{honest:?}");
    let leaves = |parts: u64| {
        move |scene: &mut Scene, _: &Keypair, second: &Keypair| {
            let (program, pool) = (scene.world.program, scene.trainers[0].seat.pool);
            for number in 0..parts {
                let shares = 10_000 * TOKEN / parts;
                scene.world.send(&[program.request_exit(&second.pubkey(), &pool, number as u32, shares)], &[second]);
            }
        }
    };
    near(paid(leaves(1), |_| {}), honest);
    near(paid(leaves(5), |_| {}), honest);
    // And who takes its exit back is paid for it once.
    let rebonds = |scene: &mut Scene, first: &Keypair, second: &Keypair| {
        leaves(1)(scene, first, second);
        let (program, pool) = (scene.world.program, scene.trainers[0].seat.pool);
        scene.world.send(&[program.rebond(&second.pubkey(), &pool, 0, 0)], &[second]);
    };
    near(paid(rebonds, |_| {}), honest);
}

/// Attack: delegate as much as the pool has a slot after the commitment, and be there for the pay.
#[test]
fn attack_stake_that_comes_after_the_commitment_takes_nothing() {
    let honest = paid(|_, _, _| {}, |_| {});
    let flash = |scene: &mut Scene, _: &Keypair, _: &Keypair| {
        let (program, pool) = (scene.world.program, scene.trainers[0].seat.pool);
        let whale = scene.world.wallet("whale");
        scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&whale]);
    };
    let activates = |scene: &mut Scene| {
        let (program, pool) = (scene.world.program, scene.trainers[0].seat.pool);
        let whale = scene.world.wallet("whale");
        let position: Position = scene.world.state(&program.position(&pool, &whale.pubkey()));
        // As late as the exposure lasts: nothing of it is active.
        let last = position.ramp_slot - COHORT_SLOTS;
        scene.world.advance(last.saturating_sub(scene.world.ledger.slot()));
        let activate = program.activate(&pool, &whale.pubkey());
        scene.world.refused(&[activate], &[&whale], Error::NothingPending);
    };
    near(paid(flash, activates), honest);
}

/// Attack: stake that is on its way into a pool when its operator joins a job, in the same slot, has no waiting time of its own; it is active
/// when the first segments are paid, in which it had no part.
#[test]
fn attack_stake_that_is_on_its_way_when_a_pool_joins_a_job_takes_nothing_of_its_first_work() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let newcomer = scene.world.operator("newcomer", PoolKind::Trainer);
    let (pool, key) = (newcomer.seat.pool, newcomer.key.insecure_clone());
    let (loyal, whale) = (scene.world.wallet("loyal"), scene.world.wallet("whale"));
    scene.world.stake(&loyal, &pool, 10_000 * TOKEN);
    let deposit = program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0);
    let join = program.join_job(&newcomer.seat.operator, &scene.job, &pool);
    scene.world.send(&[deposit, join], &[&whale, &key]);
    let waits = scene.pool_state(&pool).waiting_slots();
    let slots = scene.world.config().parameters.activation_slots;
    assert!(waits > COHORT_SLOTS && waits < slots);
    // As late as the first segments are paid.
    scene.world.advance(waits - 1);
    scene.world.refused(&[program.activate(&pool, &whale.pubkey())], &[&whale], Error::NothingPending);
    // Who does not want to wait goes.
    let position = program.position(&pool, &whale.pubkey());
    let before = scene.world.state::<Position>(&position);
    scene.world.send(&[program.cancel_deposit(&whale.pubkey(), &pool, 0)], &[&whale]);
    assert_eq!((before.shares, scene.world.state::<Position>(&position).pending), (0, 0));
    // Who came before the last of it, and stays, is active when it would have been.
    let later = scene.world.wallet("later");
    scene.world.send(&[program.deposit(&later.pubkey(), &pool, 1_000 * TOKEN, 0)], &[&later]);
    scene.world.advance(slots);
    scene.crank(program.activate(&pool, &later.pubkey()));
    assert_eq!(scene.world.state::<Position>(&program.position(&pool, &later.pubkey())).shares, 1_000 * TOKEN);
}

/// Attack: in a pool before its first job, where stake becomes active at once, leave and come back again and again, to count as often among those who left
/// when its first segments are paid.
#[test]
fn attack_stake_that_leaves_and_comes_back_before_a_pools_first_job_is_paid_once() {
    let mut cast = Cast::default();
    cast.parameters.activation_slots = 100;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let newcomer = scene.world.operator("newcomer", PoolKind::Trainer);
    let pool = newcomer.seat.pool;
    let [loyal, cycler] = ["loyal", "cycler"].map(|name| scene.world.wallet(name));
    for owner in [&loyal, &cycler] {
        scene.world.stake(owner, &pool, 5_000 * TOKEN);
    }
    for nonce in 0..30 {
        let shares = scene.world.state::<Position>(&program.position(&pool, &cycler.pubkey())).shares;
        let exit = program.request_exit(&cycler.pubkey(), &pool, nonce, shares);
        scene.world.send(&[exit, program.rebond(&cycler.pubkey(), &pool, nonce, 0)], &[&cycler]);
        scene.world.advance(100);
        scene.crank(program.activate(&pool, &cycler.pubkey()));
    }
    let place = scene.trainers.len() as u8;
    let join = program.join_job(&newcomer.seat.operator, &scene.job, &pool);
    scene.world.send(&[join], &[&newcomer.key]);
    scene.trainers.push(Operator { seat: Seat { place, ..newcomer.seat }, ..newcomer });
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let round = scene.round();
    scene.crank(program.settle_segment(&scene.job, &round, &pool));
    let earned = [&loyal, &cycler].map(|owner| claimable(&scene, &pool, owner));
    assert!(earned[0] > TOKEN / 100 && earned[0].abs_diff(earned[1]) <= ROUNDING, "{earned:?}");
}

/// Attack: leave a slot before the commitment's pay and come back, in a pool where nobody else is left.
#[test]
fn attack_who_is_alone_again_after_the_leavers_takes_nothing_of_theirs() {
    let honest = paid(|_, _, _| {}, |_| {});
    let both_leave = |scene: &mut Scene, first: &Keypair, second: &Keypair| {
        let (program, pool) = (scene.world.program, scene.trainers[0].seat.pool);
        for (owner, shares) in [(first, 20_000 * TOKEN), (second, 10_000 * TOKEN)] {
            scene.world.send(&[program.request_exit(&owner.pubkey(), &pool, 0, shares)], &[owner]);
        }
        let dust = scene.world.wallet("dust");
        scene.world.send(&[program.deposit(&dust.pubkey(), &pool, 1, 0)], &[&dust]);
    };
    near(
        paid(both_leave, |scene| assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).shares, SEED_SHARES)),
        honest,
    );
}

/// Attack: add own bond before the pay, also to what no claim has recorded stake for: a data pool's.
#[test]
fn attack_bond_that_is_added_before_the_pay_takes_nothing_from_a_data_pools_delegators() {
    let [honest, greedy] = [0, 90_000].map(|added| {
        let mut scene = Scene::new();
        let (program, job) = (scene.world.program, scene.job);
        let (seat, key) = (scene.providers[0].seat, scene.providers[0].key.insecure_clone());
        let delegator = scene.world.wallet("delegator");
        scene.world.stake(&delegator, &seat.pool, 20_000 * TOKEN);
        scene.whole_round(&scores(5_000_000));
        scene.finalise_all();
        let settle = program.settle_data(&job, &scene.round(), 0, &scene.datasets[0], &seat.pool);
        let add = program.add_bond(&seat.operator, &seat.pool, added * TOKEN);
        let all = if added == 0 { vec![settle] } else { vec![add, settle] };
        scene.world.send(&all, &[&key]);
        (claimable(&scene, &seat.pool, &delegator), scene.pool_state(&seat.pool).commission_owed)
    });
    assert_eq!(honest, greedy);
    assert!(honest.0 > 0);
}

/// Attack: create a long job that pays nothing with somebody's dataset, so that those who delegate to its provider wait longer.
#[test]
fn attack_a_job_that_pays_nothing_keeps_no_providers_delegators_waiting() {
    for rewarded in [0, 1] {
        let mut scene = Scene::new();
        let (program, job) = (scene.world.program, scene.job);
        let pool = scene.providers[0].seat.pool;
        let state = scene.job_state();
        scene.world.overwrite(&job, &Job { rewarded, ..state });
        scene.whole_round(&scores(5_000_000));
        scene.finalise_all();
        let round = scene.round();
        scene.crank(program.settle_data(&job, &round, 0, &scene.datasets[0], &pool));
        assert_eq!(scene.pool_state(&pool).waiting_slots() > 0, rewarded != 0);
    }
}

/// The stated bound: who left less than a cohort before the commitment is paid too; who left earlier is not.
#[test]
fn who_left_a_cohort_before_the_commitment_takes_nothing() {
    for (waits, takes_part) in [(0, true), (COHORT_SLOTS, false)] {
        let (mut scene, first, second) = delegated();
        let (program, job, pool) = (scene.world.program, scene.job, scene.trainers[0].seat.pool);
        scene.world.send(&[program.request_exit(&second.pubkey(), &pool, 0, 10_000 * TOKEN)], &[&second]);
        scene.world.advance(waits);
        scene.whole_round(&scores(5_000_000));
        scene.finalise_all();
        let round = scene.round();
        scene.crank(program.settle_segment(&job, &round, &pool));
        assert_eq!(claimable(&scene, &pool, &second) > 0, takes_part);
        assert!(claimable(&scene, &pool, &first) > 0);
        // Anyone collects it for who has left, also when the pool takes no stake any more.
        if takes_part {
            let key = scene.trainers[0].key.insecure_clone();
            let operator = scene.trainers[0].seat.operator;
            let leave = program.leave_job(&scene.trainers[0].seat, &job);
            scene.world.send(&[leave, program.retire_pool(&operator, &pool)], &[&key]);
            scene.crank(program.activate(&pool, &second.pubkey()));
            assert!(scene.world.state::<Position>(&program.position(&pool, &second.pubkey())).claimable > 0);
            let again = program.activate(&pool, &second.pubkey());
            scene.world.refused(&[again], &[&key], Error::PoolRetired);
        }
    }
}

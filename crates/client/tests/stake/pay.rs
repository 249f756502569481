//! Work is paid to the stake that was there when it was done: attacks by those who come, go or add bond between the work and its pay, on the
//! compiled program. The world checks after every transaction that the vault holds what all accounts are owed.

use sip_protocol::{
    Error,
    ground::units::TOKEN,
    stake::{
        cohort::COHORT_SLOTS,
        pool::{Pool, SEED_SHARES},
        position::Position,
    },
    training::job::Job,
};
use sip_testing::{Scene, scores};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Most that rounding may take from somebody's pay, base units.
const ROUNDING: u64 = 2;

/// What an owner's position in a pool could claim now, base units.
fn claimable(scene: &Scene, pool: &Address, owner: &Keypair) -> u64 {
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

/// Patrons are paid for the attention that was there when the round was opened: who moves away afterwards keeps its part, and who comes gets none.
#[test]
fn patrons_are_paid_for_what_was_there_when_the_round_was_opened() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let [from, to] = [0, 1].map(|domain| program.attention_pool(&job, domain));
    let [leaver, stayer] = [0, 1].map(|number: usize| scene.patrons[number].insecure_clone());
    scene.to_committed();
    let shares = scene.world.state::<Position>(&program.position(&from, &leaver.pubkey())).shares;
    scene.world.send(&[program.move_attention(&leaver.pubkey(), &from, &to, shares, 0)], &[&leaver]);
    let dust = scene.world.wallet("dust");
    scene.world.send(&[program.deposit(&dust.pubkey(), &from, 1, 0)], &[&dust]);
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.finalise_all();
    let round = scene.round();
    for domain in [0, 1] {
        scene.crank(program.settle_patrons(&job, &round, domain));
    }
    let (left, moved) = (claimable(&scene, &from, &leaver), claimable(&scene, &to, &leaver));
    assert_eq!((moved, claimable(&scene, &from, &dust)), (0, 0));
    let owed = scene.pool_state(&from).rewards_owed;
    assert!(left > 0 && owed - left <= ROUNDING, "{left} of {owed}");
    let (stays, owed) = (claimable(&scene, &to, &stayer), scene.pool_state(&to).rewards_owed);
    assert!(stays > 0 && owed - stays <= ROUNDING, "{stays} of {owed}");
    // It claims what it earned where it has nothing any more.
    scene.world.send(&[program.claim_rewards(&leaver.pubkey(), &from)], &[&leaver]);
}

/// The stated bound for patrons: who comes after the opening takes no more than the part of its stake that is active when the pay comes.
#[test]
fn who_comes_to_a_domain_after_the_opening_takes_at_most_its_active_part() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let pool = program.attention_pool(&job, 0);
    scene.to_committed();
    let whale = scene.world.wallet("whale");
    let before = scene.pool_state(&pool).shares - SEED_SHARES;
    scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&whale]);
    let deposited = scene.world.ledger.slot();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.finalise_all();
    scene.crank(program.activate(&pool, &whale.pubkey()));
    let round = scene.round();
    scene.crank(program.settle_patrons(&job, &round, 0));
    let passed = (scene.world.ledger.slot() - deposited) as u128;
    let active = 90_000 * TOKEN as u128 * passed / scene.world.config().parameters.activation_slots as u128;
    let most = scene.pool_state(&pool).rewards_owed as u128 * active / (active + before as u128);
    let taken = claimable(&scene, &pool, &whale) as u128;
    assert!(taken > 0 && taken <= most + 1, "{taken} of at most {most}");
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
            scene.world.send(&[program.retire_pool(&operator, &pool)], &[&key]);
            scene.crank(program.activate(&pool, &second.pubkey()));
            assert!(scene.world.state::<Position>(&program.position(&pool, &second.pubkey())).claimable > 0);
            let again = program.activate(&pool, &second.pubkey());
            scene.world.refused(&[again], &[&key], Error::PoolRetired);
        }
    }
}

//! Attacks on the price of shares: rounding, donations, slippage, slashes, and stake that comes or goes at the right moment.

use crate::accuser::Accuser;
use crate::table::{simulate, stranger};
use sip_client::{NewModel, NewPool, Service, TOKEN_PROGRAM};
use sip_ledger::Ledger;
use sip_protocol::{
    Error,
    admin::administration::{DEFAULT_TIMELOCK_SLOTS, ProposalKind},
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    stake::{
        pool::{Pool, PoolKind, RETIRED},
        position::{Position, Ticket},
    },
};
use sip_testing::{BOND_TOKENS, SLICE, Scene, World, named, scores};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;

const BOND: u64 = BOND_TOKENS * TOKEN;

/// A compounding pool of a server in which somebody holds a thousand tokens, and whose price has risen to an odd number.
fn risen() -> (World, Address, Keypair) {
    let mut world = World::new();
    let (operator, holder) = (world.wallet("operator"), world.wallet("holder"));
    let program = world.program;
    let pool = program.pool(PoolKind::Server, &operator.pubkey(), 0);
    let new = NewPool { self_bond: BOND, commission_bps: 333, ..NewPool::default() };
    world.send(&[program.create_compounding_pool(&operator.pubkey(), PoolKind::Server, &new)], &[&operator]);
    world.stake(&holder, &pool, 1_000 * TOKEN + 7);
    // Counted, earned, settled, and passed on evenly over the epoch after it.
    for _ in 0..5 {
        world.turn_epoch(&[pool]);
    }
    let state: Pool = world.state(&pool);
    assert!(state.assets > state.shares && !state.assets.is_multiple_of(state.shares));
    (world, pool, holder)
}

fn position(world: &World, pool: &Address, owner: &Address) -> Position {
    world.state(&world.program.position(pool, owner))
}

/// Base units that shares are worth.
fn worth(pool: &Pool, shares: u64) -> u64 {
    (shares as u128 * pool.assets as u128 / pool.shares as u128) as u64
}

fn transfer(from: &Address, to: &Address, owner: &Address, amount: u64) -> Instruction {
    let data = [[3].as_slice(), &amount.to_le_bytes()].concat();
    let accounts =
        vec![AccountMeta::new(*from, false), AccountMeta::new(*to, false), AccountMeta::new_readonly(*owner, true)];
    Instruction { program_id: TOKEN_PROGRAM, accounts, data }
}

/// Attack: go in and out with amounts that round, a thousand times, and keep what the rounding gives.
#[test]
fn rounding_to_the_users_favour() {
    let (mut world, pool, _) = risen();
    let program = world.program;
    let thief = world.wallet("thief");
    let owner = thief.pubkey();
    let share_account = program.share_account(&owner, &pool);
    world.send(&[program.open_share_mint(&owner, &pool)], &[&thief]);
    world.send(&[program.create_share_account(&owner, &owner, &pool)], &[&thief]);
    let start = world.tokens(&owner);
    let price = |world: &World| world.state::<Pool>(&pool);
    let check = |world: &World, before: &Pool| {
        let after = price(world);
        let fell = (after.assets as u128) * (before.shares as u128) < (before.assets as u128) * (after.shares as u128);
        assert!(!fell, "the price fell from {}/{} to {}/{}", before.assets, before.shares, after.assets, after.shares);
    };
    world.refused(&[program.deposit(&owner, &pool, 1, 0)], &[&thief], Error::ZeroAmount);
    let unbonding_slots = world.config().parameters.unbonding_slots;
    let mut nonce = 0;
    for amount in [2, 3, 5, 7, 11, 999, 1_000, 1_001, 65_537, 1_000_003, TOKEN - 1, TOKEN + 1, 777 * TOKEN + 13] {
        let before = price(&world);
        world.send(&[program.deposit(&owner, &pool, amount, 0)], &[&thief]);
        // Brought up often, so that it rounds often.
        for _ in 0..8 {
            world.advance(30_001);
            let _ = world.ledger.send(&[program.activate(&pool, &owner)], &thief, &[&thief]);
            check(&world, &before);
        }
        let shares = position(&world, &pool, &owner).shares;
        if shares > 1 {
            // Half of them to tokens and back, one by one and all at once.
            world.send(&[program.tokenize_shares(&owner, &pool, &share_account, shares / 2)], &[&thief]);
            for part in [1, shares / 2 - 1] {
                let back = program.detokenize_shares(&owner, &pool, &share_account, part);
                let _ = world.ledger.send(&[back], &thief, &[&thief]);
                check(&world, &before);
            }
        }
        let shares = position(&world, &pool, &owner).shares;
        for part in [1, shares / 3, shares - shares / 3 - 1] {
            let exit = program.request_exit(&owner, &pool, nonce, part);
            nonce += world.ledger.send(&[exit], &thief, &[&thief]).is_ok() as u32;
            check(&world, &before);
        }
        let cancel = program.cancel_deposit(&owner, &pool, nonce);
        nonce += world.ledger.send(&[cancel], &thief, &[&thief]).is_ok() as u32;
        world.check_conservation();
    }
    world.advance(unbonding_slots);
    for ticket in 0..nonce {
        world.send(&[program.claim_exit(&owner, &pool, ticket)], &[&thief]);
    }
    assert!(nonce > 26 && world.tokens(&owner) < start, "rounding was paid for: {} of {start}", world.tokens(&owner));
    assert!(start - world.tokens(&owner) < 10_000, "and nothing but rounding");
}

/// Attack: be the first in a pool with next to nothing, make a share dear by a gift, and let the next depositor's stake round to nothing.
#[test]
fn donation_inflation() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    let creator = scene.world.authority.insecure_clone();
    let (thief, victim) = (scene.world.wallet("thief"), scene.world.wallet("victim"));
    let world = &mut scene.world;
    let [server, model] = [PoolKind::Server, PoolKind::Model];
    let pools = [program.pool(server, &thief.pubkey(), 0), program.pool(model, &creator.pubkey(), 0)];
    let new = NewPool { self_bond: BOND, ..NewPool::default() };
    world.send(&[program.create_compounding_pool(&thief.pubkey(), server, &new)], &[&thief]);
    let new = NewModel { self_bond: BOND, ..NewModel::default() };
    world.send(&[program.create_model_pool(&creator.pubkey(), &job, &new)], &[&creator]);
    world.stake(&thief, &pools[0], 1);
    // A gift by the rules, as a fee: the part that falls to one share is one share's part.
    let service = Service { job: &job, round: &round, server: &pools[0], models: &pools[1..] };
    let pay = program.pay_fee(&thief.pubkey(), &service, &named("gift"), 50_000 * TOKEN);
    world.send(&[pay], &[&thief]);
    // A gift behind the rules' back, as tokens: nobody's.
    let before: Pool = world.state(&pools[0]);
    let vault = |world: &World| world.ledger.token_balance(&program.vault()).expect("the vault");
    let donate = transfer(&program.token_account(&thief.pubkey()), &program.vault(), &thief.pubkey(), 20_000 * TOKEN);
    let held = vault(world);
    world.ledger.send(&[donate], &thief, &[&thief]).expect("anyone may give");
    assert_eq!(vault(world) - held, 20_000 * TOKEN);
    let after: Pool = world.state(&pools[0]);
    assert_eq!((before.assets, before.shares), (after.assets, after.shares), "a balance is no price");
    let send = |world: &mut World, instruction: Instruction, key: &Keypair| {
        world.ledger.send(&[instruction], key, &[key]).expect("accepted");
    };
    send(world, program.deposit(&victim.pubkey(), &pools[0], 100 * TOKEN, 0), &victim);
    let slots = world.config().parameters.activation_slots;
    world.advance(slots);
    send(world, program.activate(&pools[0], &victim.pubkey()), &victim);
    let state: Pool = world.state(&pools[0]);
    let held = position(world, &pools[0], &victim.pubkey());
    let (value, share) = (worth(&state, held.shares) + held.pending, state.assets / state.shares + 1);
    assert!(value + share + 1 >= 100 * TOKEN, "{value}: at most a share is lost to rounding");
    assert!(share < 1_000_000, "a share costs {share}");
}

/// Attack: let a signed deposit land after the price has changed.
#[test]
fn missing_slippage_bound() {
    let (mut world, pool, holder) = risen();
    let program = world.program;
    let owner = holder.pubkey();
    let state: Pool = world.state(&pool);
    let buys = |amount: u64, state: &Pool| (amount as u128 * state.shares as u128 / state.assets as u128) as u64;
    world.send(&[program.request_exit(&owner, &pool, 0, 400 * TOKEN)], &[&holder]);
    let ticket: Ticket = world.state(&program.ticket(&program.position(&pool, &owner), 0));
    let deposit = program.deposit(&owner, &pool, 100 * TOKEN, buys(100 * TOKEN, &state));
    let rebond = program.rebond(&owner, &pool, 0, buys(ticket.assets, &state) - 1);
    for instruction in [&deposit, &rebond] {
        simulate(&funded(&world), std::slice::from_ref(instruction)).expect("at this price");
    }
    // Somebody's yield comes in between.
    world.turn_epoch(&[pool]);
    assert!(worth(&world.state(&pool), TOKEN) > worth(&state, TOKEN));
    world.refused(&[deposit], &[&holder], Error::SlippageExceeded);
    world.refused(&[rebond], &[&holder], Error::SlippageExceeded);
    // A seller is worse off only after a slash, which a bound must not let anybody escape.
    let again = program.request_exit(&owner, &pool, 1, TOKEN);
    world.send(&[again], &[&holder]);
    let ticket: Ticket = world.state(&program.ticket(&program.position(&pool, &owner), 1));
    assert!(ticket.assets > worth(&state, TOKEN));
}

fn funded(world: &World) -> sip_svm::Embedded {
    let mut ledger = world.ledger.clone();
    ledger.airdrop(&stranger().pubkey(), 1_000_000_000_000).expect("lamports");
    ledger
}

/// Attack: lie, and let a friend have the bounty.
#[test]
fn self_conviction() {
    let mut scene = Scene::new();
    scene.to_committed();
    let round = scene.round();
    let (pool, trainer) = (scene.trainers[1].seat.pool, scene.trainers[1].key.pubkey());
    let friend = Accuser::new(&mut scene, "friend", &round, 1);
    let together =
        |scene: &Scene| scene.pool_state(&pool).held().unwrap() + scene.world.tokens(&trainer) + friend.tokens(scene);
    let forfeited = |scene: &Scene| {
        let config = scene.world.config();
        config.buckets.insurance + config.condemned
    };
    let (before, nobodys) = (together(&scene), forfeited(&scene));
    friend.commit(&mut scene);
    friend.open(&mut scene);
    friend.win(&mut scene);
    let claim = friend.claim_instruction(&scene);
    scene.world.advance(REVEAL_SLOTS + 1);
    scene.crank(claim);
    let lost = before - together(&scene);
    assert!(lost >= SLICE / 2, "they lost {lost}, less than half of the slice");
    assert_eq!(forfeited(&scene) - nobodys, lost, "what they lost is insured or waits to be burned");
}

/// Attack: be slashed again and again until a share is worth so little that shares can no longer be counted, and nobody gets out.
#[test]
fn share_price_overflow_after_repeated_slashes() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let (dataset, pool, provider) =
        (scene.datasets[0], scene.providers[0].seat.pool, scene.providers[0].key.insecure_clone());
    let (patron, leaver) = (scene.patrons[0].insecure_clone(), scene.patrons[1].insecure_clone());
    for key in [&patron, &leaver] {
        scene.world.stake(key, &pool, 300 * TOKEN);
    }
    scene.world.send(&[program.request_exit(&leaver.pubkey(), &pool, 0, 300 * TOKEN)], &[&leaver]);
    let (reader, whale) = (scene.world.wallet("reader"), scene.world.wallet("whale"));
    let authority = scene.world.authority.insecure_clone();
    let buckets = scene.world.config().buckets;
    let (key, rich) = (authority.pubkey(), whale.pubkey());
    let spend = program.propose_spending(&key, ProposalKind::Treasury, &rich, buckets.treasury);
    scene.world.send(&[program.distribute(&key, &rich, buckets.public), spend], &[&authority]);
    scene.world.advance(DEFAULT_TIMELOCK_SLOTS);
    scene.crank(program.apply_spending(&rich));
    let all = buckets.public + buckets.treasury;
    let clock = scene.world.config().parameters.clock_slots;
    let (mut slashes, mut uncountable) = (0, 0);
    while scene.pool_state(&pool).status != RETIRED {
        let state = scene.pool_state(&pool);
        // Nearly a third of all tokens at the lowest price would be more shares than a number counts.
        if all as u128 * state.shares as u128 / state.assets as u128 > u64::MAX as u128 {
            uncountable += 1;
            let deposit = program.deposit(&whale.pubkey(), &pool, all, 0);
            scene.world.refused(&[deposit], &[&whale], Error::Overflow);
        }
        let demand = program.demand_data(&reader.pubkey(), &dataset, &pool, slashes);
        scene.world.send(&[demand], &[&reader]);
        scene.world.advance(clock + 1);
        scene.crank(program.fail_data(&reader.pubkey(), &dataset, &pool, slashes));
        slashes += 1;
        assert!(slashes < 60, "the pool goes on at {}/{}", state.assets, state.shares);
    }
    assert!(slashes > 40 && uncountable > 0, "a tenth each");
    let deposit = program.deposit(&whale.pubkey(), &pool, TOKEN, 0);
    scene.world.refused(&[deposit], &[&whale], Error::PoolRetired);
    // Everybody leaves with the same small part.
    let shares = position(&scene.world, &pool, &patron.pubkey()).shares;
    scene.world.send(&[program.request_exit(&patron.pubkey(), &pool, 0, shares)], &[&patron]);
    scene.world.send(&[program.retire_pool(&provider.pubkey(), &pool)], &[&provider]);
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    let paid = [&patron, &leaver].map(|key| {
        let before = scene.world.tokens(&key.pubkey());
        scene.world.send(&[program.claim_exit(&key.pubkey(), &pool, 0)], &[key]);
        scene.world.tokens(&key.pubkey()) - before
    });
    assert!(paid[0] > 0 && paid[0].abs_diff(paid[1]) < 100, "{paid:?}");
    scene.world.send(&[program.withdraw_bond(&provider.pubkey(), &pool)], &[&provider]);
}

/// Attack: buy liquid shares of stake that has long been active, and have it count at once.
#[test]
fn liquid_shares_laundering_the_activation_ramp() {
    let (mut world, pool, holder) = risen();
    let program = world.program;
    let thief = world.wallet("thief");
    let accounts = [&holder, &thief].map(|key| program.share_account(&key.pubkey(), &pool));
    world.send(&[program.open_share_mint(&holder.pubkey(), &pool)], &[&holder]);
    for key in [&holder, &thief] {
        world.send(&[program.create_share_account(&key.pubkey(), &key.pubkey(), &pool)], &[key]);
    }
    let shares = 500 * TOKEN;
    world.send(&[program.tokenize_shares(&holder.pubkey(), &pool, &accounts[0], shares)], &[&holder]);
    world.send(&[transfer(&accounts[0], &accounts[1], &holder.pubkey(), shares)], &[&holder]);
    // A token has no vote, no claim and no exit of its own.
    for instruction in [
        program.request_exit(&thief.pubkey(), &pool, 0, 1),
        program.claim_rewards(&thief.pubkey(), &pool),
        program.activate(&pool, &thief.pubkey()),
    ] {
        world.refused(&[instruction], &[&thief], Error::NotInitialised);
    }
    let stake = world.state::<Pool>(&pool).stake().unwrap();
    world.send(&[program.detokenize_shares(&thief.pubkey(), &pool, &accounts[1], shares)], &[&thief]);
    let (state, held) = (world.state::<Pool>(&pool), position(&world, &pool, &thief.pubkey()));
    let slots = world.config().parameters.activation_slots;
    assert_eq!((held.shares, held.ramp_end_slot - held.ramp_slot), (0, slots), "all of it starts anew");
    assert!(held.pending > shares && state.stake().unwrap() + held.pending == stake, "and counts for nothing");
    for instruction in [
        program.request_exit(&thief.pubkey(), &pool, 0, 1),
        program.tokenize_shares(&thief.pubkey(), &pool, &accounts[1], 1),
    ] {
        world.refused(&[instruction], &[&thief], Error::NotEnoughShares);
    }
    // Nor does it help to wait for half of the line, and to go out and in again.
    world.advance(slots / 2);
    world.send(&[program.activate(&pool, &thief.pubkey())], &[&thief]);
    let half = position(&world, &pool, &thief.pubkey()).shares;
    assert!(half.abs_diff(shares / 2) < TOKEN);
    world.send(&[program.tokenize_shares(&thief.pubkey(), &pool, &accounts[1], half)], &[&thief]);
    world.send(&[program.detokenize_shares(&thief.pubkey(), &pool, &accounts[1], half)], &[&thief]);
    let held = position(&world, &pool, &thief.pubkey());
    assert_eq!(held.shares, 0);
    assert!(held.ramp_end_slot - held.ramp_slot >= slots / 4 * 3, "what was active waits again");
}

/// Attack: an operator whose fraud is known sells its loss to people who do not know yet.
#[test]
fn late_depositors_absorbing_known_fraud() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = scene.trainers[1].seat.pool;
    let [loyal, leaver, late] = [0, 1, 2].map(|patron| scene.patrons[patron].insecure_clone());
    for key in [&loyal, &leaver] {
        scene.world.stake(key, &pool, 500 * TOKEN);
    }
    scene.world.send(&[program.request_exit(&leaver.pubkey(), &pool, 0, 500 * TOKEN)], &[&leaver]);
    scene.to_committed();
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    let half_way = program.deposit(&leaver.pubkey(), &pool, 100 * TOKEN, 0);
    scene.world.send(&[half_way], &[&leaver]);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    // Nobody gets in: not as new stake, not from an exit, not from what was on its way.
    let world = &mut scene.world;
    world.refused(&[program.deposit(&late.pubkey(), &pool, TOKEN, 0)], &[&late], Error::PoolFrozen);
    world.refused(&[program.rebond(&leaver.pubkey(), &pool, 0, 0)], &[&leaver], Error::PoolFrozen);
    world.advance(100);
    world.refused(&[program.activate(&pool, &leaver.pubkey())], &[&leaver], Error::PoolFrozen);
    let before = scene.pool_state(&pool);
    accuser.win(&mut scene);
    // All who were in lose the same part: the loyal, the leaving, and what was on its way.
    let (after, slash) =
        (scene.pool_state(&pool), scene.world.config().parameters.penalties.convicted_segment.delegated_bps as u64);
    let left = |amount: u64| amount / 10_000 * (10_000 - slash);
    for (was, is) in [
        (before.assets, after.assets),
        (before.unbonding_assets, after.unbonding_assets),
        (before.pending_assets, after.pending_assets),
    ] {
        assert!(was > 0 && is.abs_diff(left(was)) < 10_000, "{was} {is}");
    }
    assert_eq!(after.self_bond, before.self_bond - SLICE);
    // A newcomer buys at the price after it, and loses nothing.
    scene.world.stake(&late, &pool, 100 * TOKEN);
    let held = position(&scene.world, &pool, &late.pubkey());
    let value = worth(&scene.pool_state(&pool), held.shares) + held.pending;
    assert!(value + 2 >= 100 * TOKEN, "{value}");
}

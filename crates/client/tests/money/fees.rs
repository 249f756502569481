//! Fees on their way to a job's domains, on the compiled program: whose they are, and attacks by those who come when they are settled.

use sip_protocol::{
    ground::units::TOKEN,
    money::fees::Fees,
    stake::{
        cohort::COHORT_SLOTS,
        pool::{Pool, SEED_SHARES},
        position::Position,
    },
    training::data::Dataset,
};
use sip_testing::{Cast, scores};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::money::Shop;

/// Most that rounding may take, base units.
const ROUNDING: u64 = 10;

/// What an owner's position in a pool could claim now, base units.
fn claimable(shop: &Shop, pool: &Address, owner: &Keypair) -> u64 {
    let world = &shop.scene.world;
    let (mut state, mut pool): (Position, Pool) =
        (world.state(&world.program.position(pool, &owner.pubkey())), world.state(pool));
    pool.accrue(world.ledger.slot()).unwrap();
    state.settle(&mut pool).unwrap();
    state.claimable
}

/// A shop whose last round was opened when a domain had no patron.
fn without_patrons(domain: usize) -> Shop {
    let mut shop = Shop::new(&Cast::default());
    shop.scene.settle_all();
    let program = shop.scene.world.program;
    let attention = program.attention_pool(&shop.scene.job, domain as u32);
    let patron = shop.scene.patrons[domain].insecure_clone();
    let shares = shop.scene.pool_state(&attention).shares - SEED_SHARES;
    shop.scene.world.send(&[program.claim_rewards(&patron.pubkey(), &attention)], &[&patron]);
    shop.scene.world.send(&[program.request_exit(&patron.pubkey(), &attention, 0, shares)], &[&patron]);
    shop.scene.world.advance(COHORT_SLOTS);
    shop.scene.whole_round(&scores(4_000_000));
    shop
}

/// Attack: fees were paid for years while a domain had no patron; then a thousandth of a token comes, is active a slot later, and has them settled.
#[test]
fn attack_dust_takes_no_fees_that_were_paid_while_a_domain_had_no_patrons() {
    let domain = 2;
    let mut shop = without_patrons(domain);
    let program = shop.scene.world.program;
    let attention = program.attention_pool(&shop.scene.job, domain as u32);
    let user = shop.scene.world.wallet("user");
    let treasury = shop.scene.world.config().buckets.treasury;
    let pay = shop.pay(&user.pubkey(), 90_000 * TOKEN);
    shop.scene.world.send(&[pay], &[&user]);
    let mixture = shop.scene.round_state().mixture_bps[domain] as u64;
    assert!(mixture >= 500);
    let dust = shop.scene.world.wallet("dust");
    shop.scene.world.send(&[program.deposit(&dust.pubkey(), &attention, 1_000_000, 0)], &[&dust]);
    shop.scene.world.advance(1);
    shop.scene.crank(program.activate(&attention, &dust.pubkey()));
    let (dataset, provider) = (shop.scene.datasets[domain], shop.scene.providers[domain].seat.pool);
    shop.scene.crank(program.settle_fees(&shop.scene.job, domain as u8, &dataset, &provider));
    assert_eq!(claimable(&shop, &attention, &dust), 0);
    // Nor when it has been there for as long as one likes.
    let slots = 4 * shop.scene.world.config().parameters.activation_slots;
    shop.scene.world.advance(slots);
    shop.scene.crank(program.activate(&attention, &dust.pubkey()));
    shop.scene.world.advance(slots);
    assert_eq!(claimable(&shop, &attention, &dust), 0);
    // They are the treasury's: its own twentieth of the whole, and the patrons' twentieth of the domain's part.
    let taken = shop.scene.world.config().buckets.treasury - treasury;
    let expected = 4_500 * TOKEN + 4_500 * TOKEN / 10_000 * mixture;
    assert!(taken.abs_diff(expected) <= ROUNDING, "{taken} for {expected}");
}

/// Attack: stake is active for a moment, has all fees settled that were paid since the last settlement, and leaves.
#[test]
fn attack_stake_that_comes_for_a_settlement_of_fees_takes_none_of_them() {
    let mut shop = Shop::new(&Cast::default());
    shop.scene.settle_all();
    let program = shop.scene.world.program;
    let (job, domain) = (shop.scene.job, 1);
    let (attention, data) = (program.attention_pool(&job, 1), shop.scene.providers[1].seat.pool);
    let user = shop.scene.world.wallet("user");
    let loyal = shop.scene.patrons[1].insecure_clone();
    shop.scene.world.send(&[program.claim_rewards(&loyal.pubkey(), &attention)], &[&loyal]);
    let pay = shop.pay(&user.pubkey(), 90_000 * TOKEN);
    shop.scene.world.send(&[pay], &[&user]);
    let fees: Fees = shop.scene.world.state(&program.fees(&job));
    let whale = shop.scene.world.wallet("whale");
    for pool in [attention, data] {
        shop.scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 40_000 * TOKEN, 0)], &[&whale]);
    }
    shop.scene.world.activate(&[(attention, whale.pubkey()), (data, whale.pubkey())]);
    let commission = shop.scene.pool_state(&data).commission_owed;
    let dataset = shop.scene.datasets[1];
    shop.scene.crank(program.settle_fees(&job, domain, &dataset, &data));
    for pool in [attention, data] {
        assert_eq!(claimable(&shop, &pool, &whale), 0, "nothing at once");
        let shares = shop.scene.world.state::<Position>(&program.position(&pool, &whale.pubkey())).shares;
        shop.scene.world.send(&[program.request_exit(&whale.pubkey(), &pool, 0, shares)], &[&whale]);
    }
    // They are passed on to those who stay.
    shop.scene.world.advance(8 * shop.scene.world.config().parameters.activation_slots);
    for pool in [attention, data] {
        assert!(claimable(&shop, &pool, &whale) < TOKEN / 10, "{}", claimable(&shop, &pool, &whale));
    }
    let stays = claimable(&shop, &attention, &loyal);
    assert!(stays.abs_diff(fees.attention[1]) < TOKEN / 10, "{stays} of {}", fees.attention[1]);
    let mut after = shop.scene.pool_state(&data);
    after.accrue(shop.scene.world.ledger.slot()).unwrap();
    let earned = after.commission_owed - commission;
    assert!(earned.abs_diff(fees.data[1]) < TOKEN / 10, "{earned} of {}", fees.data[1]);
}

/// Attack: a provider gives notice, withdraws its bond, and leaves one share behind for the fees of all time.
#[test]
fn attack_a_provider_whose_duty_is_over_earns_no_fees() {
    for retires in [false, true] {
        let mut shop = Shop::new(&Cast::default());
        shop.scene.settle_all();
        let program = shop.scene.world.program;
        let (dataset, pool) = (shop.scene.datasets[0], shop.scene.providers[0].seat.pool);
        let provider = shop.scene.providers[0].key.insecure_clone();
        let over = if retires {
            program.retire_pool(&provider.pubkey(), &pool)
        } else {
            program.retire_dataset(&provider.pubkey(), &dataset, &pool)
        };
        shop.scene.world.send(&[over], &[&provider]);
        let user = shop.scene.world.wallet("user");
        let settle = program.settle_fees(&shop.scene.job, 0, &dataset, &pool);
        let worth = |shop: &Shop| {
            let state = shop.scene.pool_state(&pool);
            state.dripping + state.commission_owed + state.rewards_owed
        };
        let before = worth(&shop);
        let pay = shop.pay(&user.pubkey(), 1_000 * TOKEN);
        shop.scene.world.send(&[pay], &[&user]);
        shop.scene.crank(settle.clone());
        let due = worth(&shop) - before;
        assert!(due > 30 * TOKEN, "as long as it answers for the tokens it is paid: {due}");
        let end =
            [shop.scene.world.state::<Dataset>(&dataset).duty_end_slot, shop.scene.pool_state(&pool).bond_release_slot];
        shop.scene.advance_to(end[0].max(end[1]));
        let pay = shop.pay(&user.pubkey(), 1_000 * TOKEN);
        shop.scene.world.send(&[pay], &[&user]);
        let (before, treasury) = (worth(&shop), shop.scene.world.config().buckets.treasury);
        shop.scene.crank(settle);
        assert!(worth(&shop) <= before, "{} more", worth(&shop) - before);
        let taken = shop.scene.world.config().buckets.treasury - treasury;
        assert!(taken.abs_diff(due) <= ROUNDING, "{taken} for {due}");
        let fees: Fees = shop.scene.world.state(&program.fees(&shop.scene.job));
        assert_eq!(fees.data[0], 0);
    }
}

/// Attack: a few base units are paid to a young job and left unsettled, so that what others pay much later is passed on over all that time: those who are there
/// by then leave with next to nothing of it, and the ones who come afterwards have it.
#[test]
fn attack_a_dust_of_fees_makes_no_later_fees_old() {
    let mut shop = Shop::new(&Cast::default());
    shop.scene.settle_all();
    let program = shop.scene.world.program;
    let (job, domain) = (shop.scene.job, 1usize);
    let user = shop.scene.world.wallet("user");
    let pay = shop.pay(&user.pubkey(), 10_000);
    shop.scene.world.send(&[pay], &[&user]);
    let since = |shop: &Shop| shop.scene.world.state::<Fees>(&program.fees(&job)).since_slots[domain];
    assert_eq!(since(&shop), shop.scene.world.ledger.slot());
    shop.scene.world.advance(10_000_000);
    let pay = shop.pay(&user.pubkey(), 1_000 * TOKEN);
    shop.scene.world.send(&[pay], &[&user]);
    let slot = shop.scene.world.ledger.slot();
    assert!(slot - since(&shop) <= 1_000, "{}", slot - since(&shop));
    // What is worth as much as what came before is half as old.
    shop.scene.world.advance(1_000_000);
    let pay = shop.pay(&user.pubkey(), 1_000 * TOKEN);
    shop.scene.world.send(&[pay], &[&user]);
    let age = shop.scene.world.ledger.slot() - since(&shop);
    assert!(age.abs_diff(500_000) < 2_000, "{age}");
    let (dataset, provider) = (shop.scene.datasets[domain], shop.scene.providers[domain].seat.pool);
    shop.scene.crank(program.settle_fees(&job, domain as u8, &dataset, &provider));
    let attention = shop.scene.pool_state(&program.attention_pool(&job, domain as u32));
    assert!(attention.drip_end_slot <= shop.scene.world.ledger.slot() + age.max(216_000) + 1);
}

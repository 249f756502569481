//! The stake that yields is counted once, wherever it goes: attacks on the count, on the compiled program.

use sip_client::NewPool;
use sip_protocol::{
    ground::units::TOKEN,
    stake::pool::{Pool, PoolKind},
};
use sip_testing::{BOND_TOKENS, Scene, World};
use solana_signer::Signer;

/// S_t, base units.
fn counted(world: &World) -> u64 {
    world.emission().total_stake
}

/// Attack: stake goes from domain to domain, and each pool's stake is counted while it is there, so that the sum grows by it every day.
#[test]
fn attack_stake_that_goes_from_pool_to_pool_counts_once() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pools = [0, 1, 2].map(|domain| program.attention_pool(&scene.job, domain));
    let whale = scene.world.wallet("whale");
    scene.world.stake(&whale, &pools[0], 50_000 * TOKEN);
    for pool in pools {
        scene.crank(program.settle_yield(&pool));
    }
    let before = counted(&scene.world);
    assert!(before > 50_000 * TOKEN);
    for number in 0..3 {
        let (from, to) = (pools[number % 3], pools[(number + 1) % 3]);
        scene.world.send(&[program.move_attention(&whale.pubkey(), &from, &to, 50_000 * TOKEN, 0)], &[&whale]);
        assert!(counted(&scene.world) <= before - 50_000 * TOKEN, "it counts nowhere while it is on its way");
        scene.world.activate(&[(to, whale.pubkey())]);
        scene.crank(program.settle_yield(&to));
        assert!(counted(&scene.world) <= before, "move {number}");
    }
    // An exit counts down at once, too.
    scene.world.send(&[program.request_exit(&whale.pubkey(), &pools[0], 0, 50_000 * TOKEN)], &[&whale]);
    assert!(counted(&scene.world) <= before - 50_000 * TOKEN);
}

/// Attack: a bond is counted in the transaction that stops its pool, again and again.
#[test]
fn attack_a_bond_that_is_counted_and_retired_in_one_transaction_counts_nowhere() {
    let mut world = World::new();
    let program = world.program;
    let wallet = world.wallet("attacker");
    for index in 0..3 {
        let new = NewPool { index, self_bond: BOND_TOKENS * TOKEN, commission_bps: 0, chain_tip: [0; 32] };
        let pool = program.pool(PoolKind::Server, &wallet.pubkey(), index);
        let create = program.create_pool(&wallet.pubkey(), PoolKind::Server, &new);
        let retire = program.retire_pool(&wallet.pubkey(), &pool);
        world.send(&[create, program.settle_yield(&pool), retire], &[&wallet]);
        assert_eq!((counted(&world), world.state::<Pool>(&pool).yield_share.stake), (0, 0));
    }
}

/// Shares that go the way back from tokens count no more either, and what is counted is what is there.
#[test]
fn shares_that_are_turned_back_from_tokens_count_no_more() {
    let mut world = World::new();
    let program = world.program;
    let operator = world.wallet("operator");
    let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, commission_bps: 0, chain_tip: [0; 32] };
    world.send(&[program.create_compounding_pool(&operator.pubkey(), PoolKind::Server, &new)], &[&operator]);
    let pool = program.pool(PoolKind::Server, &operator.pubkey(), 0);
    let owner = world.wallet("owner");
    world.stake(&owner, &pool, 10_000 * TOKEN);
    let open = program.open_share_mint(&owner.pubkey(), &pool);
    let account = program.create_share_account(&owner.pubkey(), &owner.pubkey(), &pool);
    world.send(&[open, account], &[&owner]);
    let tokens = program.share_account(&owner.pubkey(), &pool);
    world.send(&[program.tokenize_shares(&owner.pubkey(), &pool, &tokens, 10_000 * TOKEN)], &[&owner]);
    world.send(&[program.settle_yield(&pool)], &[&owner]);
    let before = counted(&world);
    assert!(before > 10_000 * TOKEN);
    world.send(&[program.detokenize_shares(&owner.pubkey(), &pool, &tokens, 10_000 * TOKEN)], &[&owner]);
    assert!(counted(&world) <= before - 10_000 * TOKEN);
}

//! Pools, positions, exits, bonds, attention.

use sip_client::NewPool;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::units::TOKEN,
    stake::{
        pool::{ACTIVE, Pool, PoolKind, RETIRED, SEED_SHARES},
        position::{Position, Ticket},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, SLICE_TOKENS, Scene, World, named, scores};
use solana_signer::Signer;

const NEW: NewPool = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, commission_bps: 1_000, chain_tip: [0; 32] };

#[test]
fn a_pool_is_created_with_its_bond_and_seed() {
    let mut world = World::new();
    let operator = world.wallet("operator");
    let (key, program) = (operator.pubkey(), world.program);
    let before = world.tokens(&key);
    world.send(&[program.create_pool(&key, PoolKind::Trainer, &NEW)], &[&operator]);
    let pool: Pool = world.state(&program.pool(PoolKind::Trainer, &key, 0));
    assert_eq!(
        (pool.status, pool.self_bond, pool.assets, pool.shares),
        (ACTIVE, NEW.self_bond, SEED_SHARES, SEED_SHARES)
    );
    assert_eq!(before - world.tokens(&key), NEW.self_bond + SEED_SHARES);
}

#[test]
fn a_pool_outside_the_rules_is_refused() {
    let mut world = World::new();
    let operator = world.wallet("operator");
    let (key, program) = (operator.pubkey(), world.program);
    let minimum = Parameters::DEFAULT.minimum_self_bond;
    let chain_tip = named("tip");
    for (kind, new, expected) in [
        (PoolKind::Trainer, NewPool { self_bond: minimum - 1, ..NEW }, Error::SelfBondTooSmall),
        (PoolKind::Trainer, NewPool { commission_bps: 3_001, ..NEW }, Error::CommissionTooHigh),
        (PoolKind::Trainer, NewPool { chain_tip, ..NEW }, Error::MissingChainTip),
        (PoolKind::Auditor, NEW, Error::MissingChainTip),
        (PoolKind::Attention, NEW, Error::WrongPoolKind),
    ] {
        let create = program.create_pool(&key, kind, &new);
        world.refused(&[create], &[&operator], expected);
    }
    for kind in [0u8, 6, 255] {
        let mut create = program.create_pool(&key, PoolKind::Trainer, &NEW);
        let offset = create.data.len() - 2;
        assert_eq!(create.data[offset], PoolKind::Trainer as u8);
        create.data[offset] = kind;
        world.refused(&[create], &[&operator], Error::WrongPoolKind);
    }
    // More than the wallet has: the token program refuses.
    let create = program.create_pool(&key, PoolKind::Trainer, &NewPool { self_bond: u64::MAX - 2_000, ..NEW });
    world.fails(&[create], &[&operator]);
    let create = program.create_pool(&key, PoolKind::Trainer, &NewPool { self_bond: u64::MAX, ..NEW });
    world.refused(&[create], &[&operator], Error::Overflow);
}

#[test]
fn an_attention_pool_needs_a_domain() {
    let mut scene = Scene::new();
    let authority = scene.world.authority.insecure_clone();
    let create = scene.world.program.create_attention_pool(&authority.pubkey(), &scene.job, 3);
    scene.world.refused(&[create], &[&authority], Error::TooManyDomains);
}

#[test]
fn deposits_buy_shares_at_the_price_of_the_pool() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let patron = world.wallet("patron");
    let (owner, pool, program) = (patron.pubkey(), operator.seat.pool, world.program);
    world.send(&[program.deposit(&owner, &pool, 500 * TOKEN, 500 * TOKEN)], &[&patron]);
    world.send(&[program.deposit(&owner, &pool, 1, 1)], &[&patron]);
    world.activate(&[(pool, owner)]);
    let position: Position = world.state(&program.position(&pool, &owner));
    let state: Pool = world.state(&pool);
    assert_eq!(position.shares, 500 * TOKEN + 1);
    assert_eq!(state.shares, position.shares + SEED_SHARES);
    assert_eq!(state.assets, state.shares);
}

#[test]
fn deposits_outside_the_rules_are_refused() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let patron = world.wallet("patron");
    let (owner, pool, program) = (patron.pubkey(), operator.seat.pool, world.program);
    world.refused(&[program.deposit(&owner, &pool, 0, 0)], &[&patron], Error::ZeroAmount);
    world.refused(&[program.deposit(&owner, &pool, TOKEN, TOKEN + 1)], &[&patron], Error::SlippageExceeded);
    world.fails(&[program.deposit(&owner, &pool, u64::MAX / 2, 0)], &[&patron]);
    let state: Pool = world.state(&pool);
    world.overwrite(&pool, &Pool { open_disputes: 1, ..state });
    world.refused(&[program.deposit(&owner, &pool, TOKEN, 0)], &[&patron], Error::PoolFrozen);
    world.overwrite(&pool, &Pool { status: RETIRED, ..state });
    world.refused(&[program.deposit(&owner, &pool, TOKEN, 0)], &[&patron], Error::PoolRetired);
}

#[test]
fn exits_mature_one_by_one_and_pay_once() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let patron = world.wallet("patron");
    let (owner, pool, program) = (patron.pubkey(), operator.seat.pool, world.program);
    let before = world.tokens(&owner);
    world.stake(&patron, &pool, 500 * TOKEN);
    world.refused(&[program.request_exit(&owner, &pool, 0, 500 * TOKEN + 1)], &[&patron], Error::NotEnoughShares);
    world.refused(&[program.request_exit(&owner, &pool, 0, 0)], &[&patron], Error::ZeroAmount);
    world.refused(&[program.request_exit(&owner, &pool, 1, 1)], &[&patron], Error::WrongAddress);
    world.send(&[program.request_exit(&owner, &pool, 0, 100 * TOKEN)], &[&patron]);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots - 1);
    // A dispute or the end of the pool holds nobody back, and a second exit does not touch the first.
    let state: Pool = world.state(&pool);
    world.overwrite(&pool, &Pool { open_disputes: 1, status: RETIRED, ..state });
    let first: Ticket = world.state(&program.ticket(&program.position(&pool, &owner), 0));
    world.send(&[program.request_exit(&owner, &pool, 1, 400 * TOKEN)], &[&patron]);
    let again: Ticket = world.state(&program.ticket(&program.position(&pool, &owner), 0));
    assert_eq!((first.assets, first.mature_slot), (again.assets, again.mature_slot));
    world.refused(&[program.claim_exit(&owner, &pool, 0)], &[&patron], Error::TicketNotMature);
    world.advance(1);
    world.send(&[program.claim_exit(&owner, &pool, 0)], &[&patron]);
    assert_eq!(before - world.tokens(&owner), 400 * TOKEN);
    assert!(
        world.ledger.account(&program.ticket(&program.position(&pool, &owner), 0)).is_none(),
        "the ticket is closed"
    );
    world.refused(&[program.claim_exit(&owner, &pool, 0)], &[&patron], Error::NotInitialised);
    world.refused(&[program.claim_exit(&owner, &pool, 1)], &[&patron], Error::TicketNotMature);
    world.advance(slots);
    world.send(&[program.claim_exit(&owner, &pool, 1)], &[&patron]);
    assert_eq!(before, world.tokens(&owner));
    assert_eq!(world.state::<Pool>(&pool).unbonding_assets, 0);
}

#[test]
fn a_ticket_is_not_revived_in_the_transaction_that_closes_it() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let patron = world.wallet("patron");
    let (owner, pool, program) = (patron.pubkey(), operator.seat.pool, world.program);
    world.stake(&patron, &pool, 500 * TOKEN);
    world.send(&[program.request_exit(&owner, &pool, 0, 100 * TOKEN)], &[&patron]);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    let claim = program.claim_exit(&owner, &pool, 0);
    world.refused(&[claim.clone(), claim], &[&patron], Error::NotInitialised);
}

#[test]
fn nobody_claims_what_is_anothers() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    let program = scene.world.program;
    let (patron, thief) = (scene.patrons[0].insecure_clone(), scene.patrons[1].insecure_clone());
    let pool = program.attention_pool(&scene.job, 0);
    scene.world.send(&[program.request_exit(&patron.pubkey(), &pool, 0, TOKEN)], &[&patron]);
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    for mut instruction in [
        program.claim_rewards(&patron.pubkey(), &pool),
        program.claim_exit(&patron.pubkey(), &pool, 0),
        program.request_exit(&patron.pubkey(), &pool, 1, TOKEN),
        program.move_attention(&patron.pubkey(), &pool, &program.attention_pool(&scene.job, 1), TOKEN, 0),
    ] {
        instruction.accounts[0].pubkey = thief.pubkey();
        scene.world.refused(&[instruction], &[&thief], Error::NotAuthority);
    }
    let mut commission = program.claim_commission(&scene.trainers[0].seat.operator, &scene.trainers[0].seat.pool);
    commission.accounts[0].pubkey = thief.pubkey();
    scene.world.refused(&[commission], &[&thief], Error::NotAuthority);
    for instruction in [
        program.add_bond(&thief.pubkey(), &scene.trainers[0].seat.pool, TOKEN),
        program.retire_pool(&thief.pubkey(), &scene.trainers[0].seat.pool),
        program.withdraw_bond(&thief.pubkey(), &scene.trainers[0].seat.pool),
        program.claim_commission(&thief.pubkey(), &pool),
        program.retire_pool(&scene.job, &pool),
    ] {
        let mut instruction = instruction;
        instruction.accounts[0].pubkey = thief.pubkey();
        scene.world.refused(&[instruction], &[&thief], Error::NotAuthority);
    }
}

#[test]
fn earnings_are_claimed_once() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let pool = program.attention_pool(&scene.job, 0);
    let claim = program.claim_rewards(&patron.pubkey(), &pool);
    scene.world.refused(std::slice::from_ref(&claim), &[&patron], Error::NothingToClaim);
    let trainer = scene.trainers[0].key.insecure_clone();
    let commission = program.claim_commission(&trainer.pubkey(), &scene.trainers[0].seat.pool);
    scene.world.refused(std::slice::from_ref(&commission), &[&trainer], Error::NothingToClaim);
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    let before = scene.world.tokens(&patron.pubkey());
    scene.world.send(std::slice::from_ref(&claim), &[&patron]);
    assert!(scene.world.tokens(&patron.pubkey()) > before);
    scene.world.refused(&[claim], &[&patron], Error::NothingToClaim);
    scene.world.send(std::slice::from_ref(&commission), &[&trainer]);
    scene.world.refused(&[commission], &[&trainer], Error::NothingToClaim);
}

#[test]
fn a_bond_leaves_only_after_the_pool_stopped_and_no_dispute_is_open() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let (key, pool, program) = (operator.seat.operator, operator.seat.pool, world.program);
    world.refused(&[program.add_bond(&key, &pool, 0)], &[&operator.key], Error::ZeroAmount);
    world.send(&[program.add_bond(&key, &pool, 5 * TOKEN)], &[&operator.key]);
    world.refused(&[program.withdraw_bond(&key, &pool)], &[&operator.key], Error::PoolNotRetired);
    world.send(&[program.retire_pool(&key, &pool)], &[&operator.key]);
    world.refused(&[program.retire_pool(&key, &pool)], &[&operator.key], Error::PoolRetired);
    world.refused(&[program.add_bond(&key, &pool, TOKEN)], &[&operator.key], Error::PoolRetired);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots - 1);
    world.refused(&[program.withdraw_bond(&key, &pool)], &[&operator.key], Error::BondLocked);
    world.advance(1);
    let state: Pool = world.state(&pool);
    world.overwrite(&pool, &Pool { open_disputes: 1, ..state });
    world.refused(&[program.withdraw_bond(&key, &pool)], &[&operator.key], Error::BondLocked);
    world.overwrite(&pool, &state);
    let before = world.tokens(&key);
    world.send(&[program.withdraw_bond(&key, &pool)], &[&operator.key]);
    assert_eq!(world.tokens(&key) - before, (BOND_TOKENS + 5) * TOKEN);
    world.refused(&[program.withdraw_bond(&key, &pool)], &[&operator.key], Error::NothingToClaim);
}

#[test]
fn attention_moves_within_a_job_and_becomes_active_anew() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let world = &mut scene.world;
    let move_attention = |shares, minimum| program.move_attention(&owner, &from, &to, shares, minimum);
    world.refused(&[move_attention(0, 0)], &[&patron], Error::ZeroAmount);
    world.refused(&[move_attention(1_000 * TOKEN + 1, 0)], &[&patron], Error::NotEnoughShares);
    world.refused(&[move_attention(TOKEN, TOKEN + 1)], &[&patron], Error::SlippageExceeded);
    world.send(&[move_attention(400 * TOKEN, 400 * TOKEN)], &[&patron]);
    assert_eq!(world.state::<Position>(&program.position(&from, &owner)).shares, 600 * TOKEN);
    let moved: Position = world.state(&program.position(&to, &owner));
    assert_eq!((moved.shares, moved.pending), (0, 400 * TOKEN));
    world.activate(&[(to, owner)]);
    assert_eq!(world.state::<Position>(&program.position(&to, &owner)).shares, 400 * TOKEN);

    let trainer = scene.trainers[0].seat.pool;
    let world = &mut scene.world;
    world.stake(&patron, &trainer, TOKEN);
    world.refused(&[program.move_attention(&owner, &trainer, &to, 1, 0)], &[&patron], Error::WrongPoolKind);
    world.refused(&[program.move_attention(&owner, &from, &trainer, 1, 0)], &[&patron], Error::WrongPoolKind);
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let spec = scene.job_state().spec;
    let other = program.job(&key, 1);
    let create = program.create_job(&key, 1, &spec, &scene.datasets);
    scene.world.send(&[create, program.create_attention_pool(&key, &other, 0)], &[&authority]);
    let elsewhere = program.move_attention(&owner, &from, &program.attention_pool(&other, 0), 1, 0);
    scene.world.refused(&[elsewhere], &[&patron], Error::DifferentJobs);
}

/// An evaluator lies, so that its pool is slashed: delegators and exits under way lose alike, its own bond too.
#[test]
fn a_slash_takes_the_same_part_of_delegated_stake_and_of_exits_under_way() {
    let mut scene = Scene::with(&Cast::default());
    let program = scene.world.program;
    let pool = scene.evaluators[2].seat.pool;
    let (stayer, leaver) = (scene.patrons[0].insecure_clone(), scene.patrons[1].insecure_clone());
    for patron in [&stayer, &leaver] {
        scene.world.stake(patron, &pool, 300 * TOKEN);
    }
    scene.world.send(&[program.request_exit(&leaver.pubkey(), &pool, 0, 300 * TOKEN)], &[&leaver]);
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000), scores(5_000_000), scores(1_000_000)]);
    let insurance = scene.world.config().buckets.insurance;
    scene.settle_all();
    let state = scene.pool_state(&pool);
    assert_eq!(state.self_bond, BOND_TOKENS * TOKEN - SLICE / 10);
    assert_eq!(state.assets, (300 * TOKEN + SEED_SHARES) / 10 * 9);
    assert_eq!(state.unbonding_assets, 270 * TOKEN);
    assert_eq!(state.evaluations_rejected, 1);
    let taken = (SLICE_TOKENS / 10 + 30 + 30) * TOKEN + SEED_SHARES / 10;
    assert_eq!(scene.world.config().buckets.insurance - insurance, taken);
    // A newcomer buys at the new price, the one who left gets what is left, and one who leaves later gets the same.
    let newcomer = scene.patrons[2].insecure_clone();
    scene.world.stake(&newcomer, &pool, 90 * TOKEN);
    let newcomer: Position = scene.world.state(&program.position(&pool, &scene.patrons[2].pubkey()));
    assert_eq!(newcomer.shares, 100 * TOKEN);
    scene.world.send(&[program.request_exit(&stayer.pubkey(), &pool, 0, 300 * TOKEN)], &[&stayer]);
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    for patron in [&stayer, &leaver] {
        let before = scene.world.tokens(&patron.pubkey());
        scene.world.send(&[program.claim_exit(&patron.pubkey(), &pool, 0)], &[patron]);
        assert_eq!(scene.world.tokens(&patron.pubkey()) - before, 270 * TOKEN);
    }
}

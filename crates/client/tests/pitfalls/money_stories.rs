//! Valid transactions of emission, fees, liquid shares, locks, votes and migration for the table.

use crate::table::{record, send_guarded, send_unread};
use sip_client::{NewModel, NewPool, Service};
use sip_protocol::{
    admin::administration::DEFAULT_TIMELOCK_SLOTS,
    ground::{schedule::Schedule, units::TOKEN},
    stake::pool::{Pool, PoolKind},
};
use sip_testing::{BOND_TOKENS, SCHEDULE, Scene, named, scores};
use solana_signer::Signer;

const BOND: u64 = BOND_TOKENS * TOKEN;
/// Bytes of a pool in the layout before.
const OLD_POOL_BYTES: usize = 288;

/// A scene after one scored round that is settled.
fn scored() -> Scene {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    scene
}

pub(crate) fn a_model_is_paid_for() {
    let mut scene = scored();
    let program = scene.world.program;
    let (job, round) = (scene.job, scene.round());
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let user = scene.world.wallet("user");
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    let world = &mut scene.world;
    let server = program.pool(PoolKind::Server, &key, 0);
    let models = [1, 0].map(|index| program.pool(PoolKind::Model, &key, index));
    let new = NewPool { self_bond: BOND, commission_bps: 1_000, ..NewPool::default() };
    world.send(&[program.create_pool(&key, PoolKind::Server, &new)], &[&authority]);
    let ancestor = NewModel { self_bond: BOND, commission_bps: 500, ..NewModel::default() };
    send_guarded(world, program.create_model_pool(&key, &job, &ancestor), &authority, &[]);
    let model = NewModel { index: 1, parent: Some((models[1], 2_500)), ..ancestor };
    let create = program.create_model_pool(&key, &job, &model);
    // A creator's other model may be the parent.
    let parent = create.accounts.len() - 1;
    send_guarded(world, create, &authority, &[parent]);
    let service = Service { job: &job, round: &round, server: &server, models: &models };
    let pay = program.pay_fee(&user.pubkey(), &service, &named("receipt"), 1_000 * TOKEN);
    // The ancestor is a model of the same job, too.
    send_guarded(world, pay.clone(), &user, &[12]);
    // Once the fees are open nothing is created and no system program is needed.
    send_unread(world, pay, &user, &[12], &[7]);
    send_guarded(world, program.settle_fees(&job, 0, &dataset, &provider), &authority, &[]);
    let schedule = Schedule { epoch_slots: SCHEDULE.epoch_slots + 1, ..SCHEDULE };
    send_guarded(world, program.propose_schedule(&key, &schedule), &authority, &[]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    send_guarded(world, program.apply_schedule(), &authority, &[]);
    world.advance(schedule.epoch_slots);
    send_guarded(world, program.turn_epoch(), &authority, &[]);
    // Any pool may be settled.
    send_guarded(world, program.settle_yield(&server), &authority, &[1]);
}

pub(crate) fn attention_is_locked_and_steered() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let (job, trainer) = (scene.job, scene.trainers[0].seat.pool);
    let authority = scene.world.authority.insecure_clone();
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (pool, target) = (program.attention_pool(&job, 0), program.attention_pool(&job, 1));
    let world = &mut scene.world;
    send_guarded(world, program.lock_shares(&owner, &pool, TOKEN, 1), &patron, &[]);
    world.stake(&patron, &trainer, 100 * TOKEN);
    // Any domain may be the target.
    send_guarded(world, program.steer(&owner, &trainer, &target, TOKEN), &patron, &[3]);
    send_guarded(world, program.refresh_vote(&owner, &trainer, &target), &authority, &[]);
    send_guarded(world, program.unsteer(&owner, &trainer, &target), &patron, &[]);
}

pub(crate) fn shares_become_tokens() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let operator = scene.world.wallet("operator");
    let pool = program.pool(PoolKind::Server, &operator.pubkey(), 0);
    let new = NewPool { self_bond: BOND, ..NewPool::default() };
    let create = program.create_compounding_pool(&operator.pubkey(), PoolKind::Server, &new);
    scene.world.send(&[create], &[&operator]);
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let world = &mut scene.world;
    world.stake(&patron, &pool, 600 * TOKEN);
    // Anyone may pay for the mint.
    send_guarded(world, program.open_share_mint(&owner, &pool), &patron, &[0]);
    world.send(&[program.create_share_account(&owner, &owner, &pool)], &[&patron]);
    let account = program.share_account(&owner, &pool);
    send_guarded(world, program.tokenize_shares(&owner, &pool, &account, 5 * TOKEN), &patron, &[]);
    // With a position nothing is created and no system program is needed.
    send_unread(world, program.detokenize_shares(&owner, &pool, &account, TOKEN), &patron, &[], &[8]);
}

pub(crate) fn an_old_account_is_migrated() {
    let scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let pool = scene.trainers[0].seat.pool;
    // As the first version's program would have left it: shorter, and without what came later.
    let mut old = scene.world.ledger.account(&pool).expect("the pool");
    old.data.truncate(OLD_POOL_BYTES);
    old.data[1] = 1;
    old.lamports = scene.world.ledger.minimum_balance(OLD_POOL_BYTES);
    assert!(old.data.len() < size_of::<Pool>());
    let mut ledger = scene.world.ledger.clone();
    ledger.set_account(pool, old).expect("no account of the runtime");
    // Anyone may pay, and once an account is of an old layout it may be migrated.
    record(&ledger, &program.migrate_account(&authority.pubkey(), &pool), &[0, 1], &[]);
}

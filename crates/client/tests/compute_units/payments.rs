//! Emission, fees, liquid stake, locks and votes. Steering is `move_attention` of a life, `lock_shares` and `steer`.

use sip_client::{NewModel, NewPool, Service};
use sip_ledger::Ledger;
use sip_protocol::instructions::{Args, MigrateAccount};
use sip_protocol::{admin::administration::DEFAULT_TIMELOCK_SLOTS, ground::units::TOKEN, stake::pool::PoolKind};
use sip_testing::{SCHEDULE, Scene, named, scores};
use solana_signer::Signer;

use crate::Table;

/// Emission, fees, liquid stake, locks and votes. Steering is `move_attention` above, `lock_shares` and `steer`.
pub(crate) fn payments() -> Table {
    let mut table = Table::default();
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let (key, job, round) = (authority.pubkey(), scene.job, scene.round());
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (attention, target) = (program.attention_pool(&job, 0), program.attention_pool(&job, 1));
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    let world = &mut scene.world;

    let new = NewPool { index: 0, self_bond: 2_000 * TOKEN, commission_bps: 500, chain_tip: [0; 32] };
    let server = program.pool(PoolKind::Server, &key, 0);
    world.send(&[program.create_compounding_pool(&key, PoolKind::Server, &new)], &[&authority]);
    let models = [1, 0].map(|index| program.pool(PoolKind::Model, &key, index));
    let ancestor = NewModel { self_bond: 2_000 * TOKEN, ..NewModel::default() };
    let create = program.create_model_pool(&key, &job, &ancestor);
    table.run(world, create, &authority);
    let model = NewModel { index: 1, parent: Some((models[1], 2_500)), ..ancestor };
    world.send(&[program.create_model_pool(&key, &job, &model)], &[&authority]);
    let service = Service { job: &job, round: &round, server: &server, models: &models };
    let pay = program.pay_fee(&owner, &service, &named("receipt"), 100 * TOKEN);
    table.run_as(world, "first", pay.clone(), &patron);
    table.run(world, pay, &patron);
    let settle = program.settle_fees(&job, 0, &dataset, &provider);
    table.run(world, settle, &authority);

    table.run(world, program.lock_shares(&owner, &attention, TOKEN, 48), &patron);
    world.stake(&patron, &server, 500 * TOKEN);
    table.run(world, program.steer(&owner, &server, &target, TOKEN), &patron);
    table.run(world, program.refresh_vote(&owner, &server, &target), &patron);
    table.run(world, program.unsteer(&owner, &server, &target), &patron);

    let open = program.open_share_mint(&owner, &server);
    table.run(world, open, &patron);
    let account = program.share_account(&owner, &server);
    world.send(&[program.create_share_account(&owner, &owner, &server)], &[&patron]);
    let shares = 100 * TOKEN;
    let tokenise = program.tokenize_shares(&owner, &server, &account, shares);
    table.run(world, tokenise, &patron);
    let detokenise = program.detokenize_shares(&owner, &server, &account, shares);
    table.run(world, detokenise, &patron);

    world.advance(SCHEDULE.epoch_slots);
    table.run(world, program.turn_epoch(), &authority);
    table.run(world, program.settle_yield(&server), &authority);
    let mut config = world.config();
    config.buckets.reserve -= TOKEN;
    config.condemned = TOKEN;
    world.overwrite(&program.config(), &config);
    table.run(world, program.burn_condemned(), &authority);
    let propose = program.propose_schedule(&key, &SCHEDULE);
    table.run(world, propose, &authority);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(world, program.apply_schedule(), &authority);
    let mut old = world.ledger.account(&server).unwrap();
    old.data.truncate(288);
    old.data[1] = 1;
    let (units, bytes) = {
        world.ledger.set_account(server, old).unwrap();
        let migrate = program.migrate_account(&key, &server);
        let receipt = world.ledger.send(&[migrate], &authority, &[&authority]).unwrap();
        (receipt.compute_units, receipt.transaction_bytes)
    };
    table.note(MigrateAccount::TAG, "", units, bytes);
    table
}

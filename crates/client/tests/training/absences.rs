//! A provider's absence: charged once, however much was asked meanwhile; and how its duty ends.

use sip_protocol::{
    Error, admin::config::Parameters, court::availability::MAX_OPEN_DEMANDS, ground::units::TOKEN, stake::pool::Pool,
    training::data::Dataset,
};
use sip_testing::{BOND_TOKENS, Cast, Scene, WALLET_TOKENS, dataset, scores};
use solana_keypair::Keypair;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const FEE: u64 = Parameters::DEFAULT.dispute_bond / 100;
const BOND: u64 = BOND_TOKENS * TOKEN;
const CLOCK: u64 = Parameters::DEFAULT.clock_slots;

/// Somebody demands a chunk of the first dataset.
fn ask(scene: &mut Scene, reader: &Keypair, chunk: u32) {
    let (dataset, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    let demand = scene.world.program.demand_data(&reader.pubkey(), &dataset, &pool, chunk);
    scene.world.send(&[demand], &[reader]);
}

/// Ends a demand that nobody answered.
fn fail(scene: &mut Scene, reader: &Keypair, chunk: u32) {
    let (dataset, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    scene.crank(scene.world.program.fail_data(&reader.pubkey(), &dataset, &pool, chunk));
}

/// Attack: all demands that a dataset bears, at once, against a provider that is away for one clock.
#[test]
fn silence_to_sixty_four_demands_in_one_clock_costs_a_provider_one_row() {
    let mut scene = Scene::new();
    let pool = scene.providers[0].seat.pool;
    let (patron, leaver) = (scene.patrons[0].insecure_clone(), scene.patrons[1].insecure_clone());
    scene.world.stake(&patron, &pool, 90_000 * TOKEN);
    scene.world.stake(&leaver, &pool, 9_000 * TOKEN);
    let exit = scene.world.program.request_exit(&leaver.pubkey(), &pool, 0, 9_000 * TOKEN);
    scene.world.send(&[exit], &[&leaver]);
    let reader = scene.world.wallet("reader");
    let before: Pool = scene.world.state(&pool);
    let insured = scene.world.config().buckets.insurance;
    let demands = u32::from(MAX_OPEN_DEMANDS);
    for chunk in 0..demands {
        ask(&mut scene, &reader, chunk);
    }
    scene.world.advance(CLOCK + 1);
    for chunk in 0..demands {
        fail(&mut scene, &reader, chunk);
    }
    let after: Pool = scene.world.state(&pool);
    let kept = |amount: u64| amount / 10 * 9;
    assert_eq!((after.self_bond, after.open_disputes), (kept(before.self_bond), 0));
    assert!(after.assets.abs_diff(kept(before.assets)) < 10, "{} of {}", after.assets, before.assets);
    assert!(after.unbonding_assets.abs_diff(kept(before.unbonding_assets)) < 10);
    assert_eq!(scene.world.config().buckets.insurance - insured, before.held().unwrap() - after.held().unwrap());
    // The one who asked pays for the one that was charged, and that is burned.
    assert_eq!(scene.world.tokens(&reader.pubkey()), FULL - FEE / 2);
    assert_eq!(scene.world.config().condemned, FEE / 2);

    // Another clock of absence is another offence.
    ask(&mut scene, &reader, 100);
    scene.world.advance(CLOCK + 1);
    fail(&mut scene, &reader, 100);
    assert_eq!(scene.world.state::<Pool>(&pool).self_bond, kept(kept(before.self_bond)));
    assert_eq!(scene.world.tokens(&reader.pubkey()), FULL - FEE);
}

/// Attack: the same over two datasets of one provider.
#[test]
fn silence_over_two_datasets_in_one_clock_costs_their_provider_one_row() {
    let mut scene = Scene::new();
    let (pool, provider) = (scene.providers[0].seat.pool, scene.providers[0].key.insecure_clone());
    let (reader, other) = (scene.world.wallet("reader"), dataset("another of the same"));
    let program = scene.world.program;
    let register = program.register_dataset(&provider.pubkey(), &pool, &other);
    scene.world.send(&[register], &[&provider]);
    let datasets = [scene.datasets[0], program.dataset(&pool, &other.train_root, &other.held_out_root)];
    for dataset in &datasets {
        let demand = program.demand_data(&reader.pubkey(), dataset, &pool, 0);
        scene.world.send(&[demand], &[&reader]);
        // The second is asked in the last slot of the first one's clock.
        scene.world.advance(CLOCK - 1);
    }
    scene.world.advance(CLOCK);
    for dataset in &datasets {
        scene.crank(program.fail_data(&reader.pubkey(), dataset, &pool, 0));
    }
    assert_eq!(scene.world.state::<Pool>(&pool).self_bond, BOND / 10 * 9);
    assert_eq!(scene.world.tokens(&reader.pubkey()), FULL - FEE / 2, "the one that was charged is paid for");
}

#[test]
fn demands_one_after_the_other_charge_an_absence_once_a_clock() {
    let mut scene = Scene::new();
    let pool = scene.providers[0].seat.pool;
    let reader = scene.world.wallet("reader");
    let begin = scene.world.ledger.slot();
    let gap = CLOCK / 3;
    for chunk in 0..7 {
        ask(&mut scene, &reader, chunk);
        scene.world.advance(gap);
    }
    scene.world.advance(CLOCK + 1);
    for chunk in 0..7 {
        fail(&mut scene, &reader, chunk);
    }
    // Asked over two clocks: at their beginnings, and right after the first one's end.
    assert!(scene.world.ledger.slot() - begin < 4 * CLOCK);
    let bond = scene.world.state::<Pool>(&pool).self_bond;
    assert_eq!(bond, BOND / 10 * 9 / 10 * 9);
}

#[test]
fn a_provider_ends_its_duty_with_a_notice() {
    let cast = Cast::default();
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let (dataset, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    let (provider, reader) = (scene.providers[0].key.insecure_clone(), scene.world.wallet("reader"));
    let authority = scene.world.authority.insecure_clone();
    scene.whole_round(&scores(5_000_000));
    let first = scene.round();
    let others = program.retire_dataset(&reader.pubkey(), &dataset, &pool);
    scene.world.refused(&[others], &[&reader], Error::NotAuthority);
    let elsewhere = program.retire_dataset(&provider.pubkey(), &dataset, &scene.providers[1].seat.pool);
    scene.world.refused(&[elsewhere], &[&provider], Error::WrongAccount);
    let notice = program.retire_dataset(&provider.pubkey(), &dataset, &pool);
    scene.world.send(std::slice::from_ref(&notice), &[&provider]);
    scene.world.advance(1);
    scene.world.refused(&[notice], &[&provider], Error::DatasetRetired);

    // No new job trains on it, and the one that runs can demand all of it until the notice has run out.
    let create = program.create_job(&authority.pubkey(), 1, &cast.spec, &scene.datasets);
    scene.world.refused(&[create], &[&authority], Error::DatasetRetired);
    ask(&mut scene, &reader, 0);
    scene.world.advance(CLOCK + 1);
    fail(&mut scene, &reader, 0);
    assert_eq!(scene.world.state::<Pool>(&pool).self_bond, BOND / 10 * 9);
    let end = scene.world.state::<Dataset>(&dataset).duty_end_slot;
    scene.advance_to(end - 1);
    ask(&mut scene, &reader, 1);
    scene.world.advance(1);
    let late = program.demand_data(&reader.pubkey(), &dataset, &pool, 2);
    scene.world.refused(&[late], &[&reader], Error::DutyOver);
    // What was asked in time is still owed.
    scene.world.advance(CLOCK);
    fail(&mut scene, &reader, 1);
    assert_eq!(scene.world.state::<Pool>(&pool).self_bond, BOND / 10 * 9 / 10 * 9);

    // Who does not answer for it any more is not paid for it; for a round that began before, yes.
    scene.finalise_all();
    let earned = |scene: &Scene| scene.world.state::<Pool>(&pool).commission_owed;
    scene.crank(program.settle_data(&scene.job, &first, 0, &dataset, &pool));
    let paid = earned(&scene);
    assert!(paid > 0);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    scene.crank(program.settle_data(&scene.job, &scene.round(), 0, &dataset, &pool));
    assert_eq!(earned(&scene), paid);
}

#[test]
fn a_retired_providers_datasets_need_no_answer_once_its_bond_may_leave() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let (dataset, pool) = (scene.datasets[0], scene.providers[0].seat.pool);
    let (provider, reader) = (scene.providers[0].key.insecure_clone(), scene.world.wallet("reader"));
    scene.world.send(&[program.retire_pool(&provider.pubkey(), &pool)], &[&provider]);
    // Anyone keeps new jobs from a dataset that nobody will answer for.
    scene.world.send(&[program.retire_dataset(&reader.pubkey(), &dataset, &pool)], &[&reader]);
    let release = scene.world.state::<Pool>(&pool).bond_release_slot;
    scene.advance_to(release - 1);
    ask(&mut scene, &reader, 0);
    scene.world.advance(1);
    let late = program.demand_data(&reader.pubkey(), &dataset, &pool, 1);
    scene.world.refused(&[late], &[&reader], Error::DutyOver);
    scene.world.advance(CLOCK);
    fail(&mut scene, &reader, 0);
    scene.world.send(&[program.withdraw_bond(&provider.pubkey(), &pool)], &[&provider]);
}

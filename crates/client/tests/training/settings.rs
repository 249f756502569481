//! Settings that stake steers: what a round gets, from whom, and what is refused. How a false setting is convicted: `fraud_sweep.rs`.

use sip_protocol::{
    Error,
    ground::units::TOKEN,
    stake::lock::TICK_SLOTS,
    training::setting::{LEARNING_RATE, SETTING_ONE, Setting, Side, WEIGHT_DECAY, attention_number},
};
use sip_testing::{Cast, Scene, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

/// Between half and double; a thousand tokens go half of the way.
const RATE: Setting = Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);

fn scene_with(settings: &[Setting]) -> Scene {
    let mut cast = Cast::default();
    cast.spec.settings[..settings.len()].copy_from_slice(settings);
    Scene::with(&cast)
}

fn pool(scene: &Scene, setting: u32, side: Side) -> Address {
    scene.world.program.attention_pool(&scene.job, attention_number(setting, side))
}

/// Stakes on a pool with a new wallet, and lets the stake become active.
fn lean(scene: &mut Scene, name: &str, at: Address, tokens: u64) {
    let wallet = scene.world.wallet(name);
    scene.world.stake(&wallet, &at, tokens * TOKEN);
}

#[test]
fn settings_follow_stake_over_time() {
    let mut scene = scene_with(&[RATE, Setting { meaning: WEIGHT_DECAY, default: SETTING_ONE * 3 / 2, ..RATE }]);
    scene.whole_round(&scores(5_000_000));
    let none = scene.round_state().settings;
    assert_eq!(
        none,
        [SETTING_ONE, SETTING_ONE * 3 / 2, 0, 0],
        "without stake the defaults, and nothing where there is no setting"
    );

    // Half of the time nothing, half of it 600 tokens upwards: 300 on average, as in the example of docs/economics.md.
    scene.capture_seed();
    let up = pool(&scene, 0, Side::Up);
    lean(&mut scene, "leaning", up, 600);
    let state = scene.pool_state(&up);
    scene.world.advance(state.integral_slot - state.snapshot_slot);
    scene.open_round();
    assert_eq!(scene.round_state().settings, [80_659, SETTING_ONE * 3 / 2, 0, 0]);
    let state = scene.pool_state(&up);
    assert_eq!(
        (state.snapshot_slot, state.snapshot),
        (state.integral_slot, state.integral),
        "the next span begins here"
    );
}

#[test]
fn both_sides_pull_and_no_stake_leaves_the_bounds() {
    let mut scene = scene_with(&[RATE]);
    let (down, up) = (pool(&scene, 0, Side::Down), pool(&scene, 0, Side::Up));
    lean(&mut scene, "up", up, 300);
    lean(&mut scene, "down", down, 200);
    scene.whole_round(&scores(5_000_000));
    scene.open_round();
    assert_eq!(scene.round_state().settings[0], 74_274, "the example of docs/economics.md");

    // A hundred times as much stake as the default has, on either side.
    for (side, bound) in [(up, RATE.upper), (down, RATE.lower)] {
        let mut scene = scene_with(&[RATE]);
        lean(&mut scene, "whale", side, 100_000);
        scene.whole_round(&scores(5_000_000));
        scene.open_round();
        let value = scene.round_state().settings[0];
        let is_near = value.abs_diff(bound) < bound / 50;
        assert!((RATE.lower..=RATE.upper).contains(&value) && is_near, "{value}, near {bound}");
    }
}

#[test]
fn stake_and_votes_of_the_last_moment_move_a_setting_by_almost_nothing() {
    let mut scene = scene_with(&[RATE]);
    let (program, up) = (scene.world.program, pool(&scene, 0, Side::Up));
    scene.whole_round(&scores(5_000_000));
    scene.capture_seed();
    let whale = scene.world.wallet("whale");
    scene.world.send(&[program.deposit(&whale.pubkey(), &up, 90_000 * TOKEN, 0)], &[&whale]);
    let voter = scene.world.wallet("voter");
    let trainer = scene.trainers[0].seat.pool;
    scene.world.stake(&voter, &trainer, 90_000 * TOKEN);
    scene.world.advance(10_000);
    // A slot before the round opens, stake of ninety times the default's becomes active, and as much votes.
    scene.world.send(&[program.activate(&up, &whale.pubkey())], &[&whale]);
    scene.world.send(&[program.steer(&voter.pubkey(), &trainer, &up, 90_000 * TOKEN)], &[&voter]);
    scene.world.advance(1);
    scene.open_round();
    let value = scene.round_state().settings[0];
    assert!((RATE.default..RATE.default + RATE.default / 100).contains(&value), "{value}");
}

#[test]
fn only_the_settings_own_pools_open_a_round_and_nothing_else_pays_them() {
    let mut scene = scene_with(&[RATE]);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let job = scene.job_state();
    let open = program.open_next_round(&key, &scene.job, &job);
    let (down, up) = (open.accounts.len() - 2, open.accounts.len() - 1);
    let mut refuse = |change: &dyn Fn(&mut Instruction), error: Error| {
        let mut wrong = open.clone();
        change(&mut wrong);
        scene.world.refused(&[wrong], &[&authority], error);
    };
    refuse(&|open| open.accounts.swap(down, up), Error::WrongAccount);
    refuse(&|open| open.accounts.truncate(up), Error::MissingAccount);
    refuse(&|open| open.accounts.truncate(down), Error::MissingAccount);
    refuse(&|open| open.accounts[up] = open.accounts[down].clone(), Error::WrongAccount);
    refuse(&|open| open.accounts[up] = open.accounts[5].clone(), Error::WrongAccount);
    let trainer = scene.trainers[0].seat.pool;
    refuse(&|open| open.accounts[up].pubkey = trainer, Error::WrongPoolKind);
    refuse(&|open| open.accounts[up].is_writable = false, Error::NotWritable);

    // Pools of another job's settings are other pools.
    let other = program.job(&key, 7);
    let spec = scene.job_state().spec;
    scene.world.send(&[program.create_job(&key, 7, &spec, &scene.datasets.clone())], &[&authority]);
    let up_number = attention_number(0, Side::Up);
    scene.world.send(&[program.create_attention_pool(&key, &other, up_number)], &[&authority]);
    let mut wrong = open.clone();
    wrong.accounts[up].pubkey = program.attention_pool(&other, up_number);
    scene.world.refused(&[wrong], &[&authority], Error::WrongAccount);

    // The job has three domains and one setting: numbers 0 to 2, 8 and 9.
    for number in [3, 7, 10, 15, 16, u32::MAX] {
        let create = program.create_attention_pool(&key, &scene.job, number);
        scene.world.refused(&[create], &[&authority], Error::TooManyDomains);
    }
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    let settle = program.settle_patrons(&scene.job, &scene.round(), up_number as u8);
    scene.world.refused(&[settle], &[&authority], Error::WrongPlace);
}

#[test]
fn a_job_of_eight_domains_and_four_settings_fits_its_transactions() {
    let mut cast = Cast::default();
    cast.spec.domain_count = 8;
    cast.spec.mixture_floor_bps = 100;
    for (setting, meaning) in cast.spec.settings.iter_mut().zip([LEARNING_RATE, WEIGHT_DECAY, 1_000, u32::MAX]) {
        *setting = Setting { meaning, ..RATE };
    }
    let mut scene = Scene::with(&cast);
    scene.open_round();
    assert_eq!(scene.round_state().settings, [SETTING_ONE; 4]);
    assert_eq!(scene.round_state().mixture_bps, [1_250; 8]);
}

#[test]
fn attention_moves_from_a_domain_to_a_setting_and_is_locked_there() {
    let mut scene = scene_with(&[RATE]);
    let program = scene.world.program;
    let (from, to) = (program.attention_pool(&scene.job, 0), pool(&scene, 0, Side::Down));
    let patron = scene.patrons[0].insecure_clone();
    let key = patron.pubkey();
    scene.world.send(&[program.move_attention(&key, &from, &to, 1_000 * TOKEN, 0)], &[&patron]);
    scene.world.activate(&[(to, key)]);
    scene.world.send(&[program.lock_shares(&key, &to, 1_000 * TOKEN, 48)], &[&patron]);
    scene.whole_round(&scores(5_000_000));
    // What a lock adds is counted from one tick to the next.
    scene.world.advance(TICK_SLOTS);
    scene.open_round();
    let value = scene.round_state().settings[0];
    // A thousand tokens alone go half of the way, to 0.75; locked for four years they weigh two and a half times as much.
    let locked = RATE.value(2_500 * TOKEN, 0).unwrap();
    assert!((locked..locked + 600).contains(&value), "{value}, but {locked}");
}

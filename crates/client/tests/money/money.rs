//! Activation, emission, fees, liquid stake, locks, steering and migration on the compiled program, and attacks on each.

use crate::accuser::Accuser;
use crate::common::send_guarded;
use sip_client::{NewModel, NewPool, Service, TOKEN_PROGRAM};
use sip_ledger::Ledger;
use sip_protocol::{
    Error,
    admin::{administration::DEFAULT_TIMELOCK_SLOTS, config::Config},
    ground::{
        schedule::{NODES, ONE, Schedule},
        units::TOKEN,
    },
    money::{emission::VINTAGES, epoch::EmissionAccount, fees::Fees},
    stake::{
        lock::{PERIOD_TICKS, TICK_SLOTS},
        pool::{Pool, PoolKind, SEED_SHARES},
        position::{Position, Ticket},
        steering::Vote,
    },
};
use sip_testing::{BOND_TOKENS, Cast, SCHEDULE, Scene, World, named, scores};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;

const NEW: NewPool = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, commission_bps: 1_000, chain_tip: [0; 32] };

/// A scene after one scored round, with a server, and a model of the job with a parent; its round can still be settled.
pub(crate) struct Shop {
    pub(crate) scene: Scene,
    operator: Keypair,
    server: Address,
    models: [Address; 2],
}

impl Shop {
    pub(crate) fn new(cast: &Cast) -> Self {
        let mut scene = Scene::with(cast);
        scene.whole_round(&scores(5_000_000));
        let program = scene.world.program;
        let operator = scene.world.authority.insecure_clone();
        let wallet = operator.pubkey();
        let server = program.pool(PoolKind::Server, &wallet, 0);
        let models = [1, 0].map(|index| program.pool(PoolKind::Model, &wallet, index));
        let bond = BOND_TOKENS * TOKEN;
        let ancestor = NewModel { self_bond: bond, commission_bps: 500, ..NewModel::default() };
        let model = NewModel { index: 1, parent: Some((models[1], 2_500)), ..ancestor };
        for instruction in [
            program.create_pool(&wallet, PoolKind::Server, &NEW),
            program.create_model_pool(&wallet, &scene.job, &ancestor),
            program.create_model_pool(&wallet, &scene.job, &model),
        ] {
            scene.world.send(&[instruction], &[&operator]);
        }
        Shop { scene, operator, server, models }
    }

    pub(crate) fn pay(&self, wallet: &Address, amount: u64) -> Instruction {
        self.pay_by(&self.scene.round(), wallet, amount)
    }

    /// A payment that is shared by the mixture of a round.
    fn pay_by(&self, round: &Address, wallet: &Address, amount: u64) -> Instruction {
        let service = Service { job: &self.scene.job, round, server: &self.server, models: &self.models };
        self.scene.world.program.pay_fee(wallet, &service, &named("receipt"), amount)
    }
}

fn position(world: &World, pool: &Address, owner: &Address) -> Position {
    world.state(&world.program.position(pool, owner))
}

#[test]
fn new_stake_becomes_active_on_a_line_and_anyone_may_bring_it_up() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let (patron, keeper) = (world.wallet("patron"), world.wallet("keeper"));
    let (owner, pool, program) = (patron.pubkey(), operator.seat.pool, world.program);
    let slots = world.config().parameters.activation_slots;
    world.send(&[program.deposit(&owner, &pool, 800 * TOKEN, 0)], &[&patron]);
    let activate = program.activate(&pool, &owner);
    world.refused(std::slice::from_ref(&activate), &[&keeper], Error::NothingPending);
    let stake = |world: &World| (position(world, &pool, &owner).shares, world.state::<Pool>(&pool).stake().unwrap());
    let own = BOND_TOKENS * TOKEN + SEED_SHARES;
    assert_eq!(stake(&world), (0, own), "what is pending is no S_i");
    for (step, active) in [(slots / 4, 200), (slots / 4, 400)] {
        world.advance(step);
        world.send(std::slice::from_ref(&activate), &[&keeper]);
        assert_eq!(stake(&world), (active * TOKEN, own + active * TOKEN));
    }
    // More stake blends with what is left of the line: 400 half a time and 400 a whole one are 800 three quarters of one.
    world.send(&[program.deposit(&owner, &pool, 400 * TOKEN, 0)], &[&patron]);
    let blended = position(&world, &pool, &owner);
    assert_eq!((blended.pending, blended.ramp_end_slot - blended.ramp_slot), (800 * TOKEN, slots / 4 * 3));
    // A frozen pool keeps deposits in the queue; exits of what is pending go on.
    let state: Pool = world.state(&pool);
    world.overwrite(&pool, &Pool { open_disputes: 1, ..state });
    world.advance(slots);
    world.refused(std::slice::from_ref(&activate), &[&keeper], Error::PoolFrozen);
    world.send(&[program.cancel_deposit(&owner, &pool, 0)], &[&patron]);
    let ticket: Ticket = world.state(&program.ticket(&program.position(&pool, &owner), 0));
    assert_eq!((ticket.assets, world.state::<Pool>(&pool).pending_assets), (800 * TOKEN, 0));
    world.refused(&[program.cancel_deposit(&owner, &pool, 1)], &[&patron], Error::NothingPending);
}

/// Attack: stake that comes for one settlement and leaves.
#[test]
fn attack_a_deposit_just_before_a_settlement_earns_nothing_of_it() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = scene.trainers[0].seat.pool;
    let loyal = scene.patrons[0].insecure_clone();
    scene.world.stake(&loyal, &pool, 500 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    let thief = scene.world.wallet("thief");
    scene.world.send(&[program.deposit(&thief.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&thief]);
    scene.settle_all();
    assert!(scene.segment_state(0).stake < 3_000 * TOKEN, "S_i is what was active at the commitment");
    scene.world.activate(&[(pool, thief.pubkey())]);
    scene.world.refused(&[program.claim_rewards(&thief.pubkey(), &pool)], &[&thief], Error::NothingToClaim);
    let before = scene.world.tokens(&loyal.pubkey());
    scene.world.send(&[program.claim_rewards(&loyal.pubkey(), &pool)], &[&loyal]);
    let delegated = scene.pool_state(&pool).rewards_owed + scene.world.tokens(&loyal.pubkey()) - before;
    assert!(scene.world.tokens(&loyal.pubkey()) - before + 10 >= delegated, "all of it is the loyal delegator's");
}

/// Attack: stake that comes for one snapshot of the mixture.
#[test]
fn attack_flash_stake_moves_no_mixture() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let whale = scene.world.wallet("whale");
    let pool = program.attention_pool(&scene.job, 2);
    scene.world.advance(1_000);
    scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&whale]);
    // Even held for many slots, until just before it would count.
    scene.world.advance(1_000);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [3_334, 3_333, 3_333]);
    let exit = program.request_exit(&whale.pubkey(), &pool, 0, 90_000 * TOKEN);
    scene.world.refused(&[exit], &[&whale], Error::NotEnoughShares);
}

#[test]
fn what_is_moved_or_taken_back_starts_a_line_of_its_own() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    scene.world.send(&[program.request_exit(&owner, &from, 0, 300 * TOKEN)], &[&patron]);
    scene.world.send(&[program.rebond(&owner, &from, 0, 0)], &[&patron]);
    scene.world.send(&[program.move_attention(&owner, &from, &to, 300 * TOKEN, 0)], &[&patron]);
    for pool in [from, to] {
        let state = position(&scene.world, &pool, &owner);
        let slots = scene.world.config().parameters.activation_slots;
        assert_eq!((state.pending, state.ramp_end_slot - state.ramp_slot), (300 * TOKEN, slots));
    }
    assert_eq!(position(&scene.world, &from, &owner).shares, 400 * TOKEN);
}

#[test]
fn rounds_draw_by_their_work_and_what_nobody_earns_returns_to_the_reserve() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    scene.world.refused(&[program.turn_epoch()], &[&authority], Error::EpochNotOver);
    let drawable = scene.world.emission().drawable().unwrap();
    scene.whole_round(&scores(5_000_000));
    // Nothing is drawn before it is final.
    assert_eq!(scene.world.emission().drawable().unwrap(), drawable);
    scene.settle_all();
    let emission = scene.world.emission();
    assert_eq!((emission.rounds, emission.node_rounds, emission.work), (1, 3, 30));
    assert_eq!(drawable - emission.drawable().unwrap(), scene.round_state().reward);
    assert_eq!(scene.round_state().drawn, scene.round_state().reward);
    let reserve = scene.world.config().buckets.reserve;
    for epoch in 0..VINTAGES {
        assert_eq!(scene.world.config().buckets.reserve, reserve, "epoch {epoch}");
        scene.world.turn_epoch(&[]);
    }
    // What the first epoch released for nodes and nobody drew is the reserve's; stakers' part was spread over stake.
    assert!(scene.world.config().buckets.reserve - reserve >= drawable - scene.round_state().reward);
    // An epoch that is long over is turned once: nothing is caught up.
    scene.world.advance(100 * SCHEDULE.epoch_slots);
    scene.world.turn_epoch(&[]);
    scene.world.refused(&[program.turn_epoch()], &[&authority], Error::EpochNotOver);
}

/// Attack: have rounds tallied when the stream has next to nothing left, so that an absence in the next ones costs as little.
#[test]
fn an_empty_stream_makes_no_absence_cheap() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let (usual, worth) = (scene.round_state().reward, scene.job_state().trainer_worth);
    assert!(usual > TOKEN);
    for left in [TOKEN, 0] {
        let address = scene.world.program.emission();
        let mut account: EmissionAccount = scene.world.state(&address);
        let mut config = scene.world.config();
        config.buckets.reserve += account.emission.streams[NODES].available().unwrap() - left;
        account.emission.streams[NODES].released.fill(0);
        account.emission.streams[NODES].released[0] = left;
        scene.world.overwrite(&address, &account);
        let address = scene.world.program.config();
        scene.world.overwrite(&address, &config);
        scene.whole_round(&scores(4_900_000));
        assert_eq!(scene.round_state().reward, left);
        assert_eq!(scene.job_state().trainer_worth, worth);
    }
    scene.open_round();
    assert_eq!(scene.round_state().expected_reward, usual);
}

#[test]
fn a_job_that_is_not_rewarded_draws_nothing_and_measures_nothing() {
    let mut scene = Scene::new();
    let job = scene.job_state();
    scene.world.overwrite(&scene.job, &sip_protocol::training::job::Job { rewarded: 0, ..job });
    let before = scene.world.emission();
    scene.whole_round(&scores(5_000_000));
    assert_eq!(scene.world.emission(), before);
}

#[test]
fn yield_follows_active_stake_whatever_the_number_of_positions() {
    let mut world = World::new();
    let (few, many) = (world.operator("few", PoolKind::Trainer), world.operator("many", PoolKind::Trainer));
    let program = world.program;
    let mut positions = Vec::new();
    for (pool, owners) in [(few.seat.pool, 1), (many.seat.pool, 12)] {
        for owner in 0..owners {
            let patron = world.wallet(&format!("patron {owner} of {owners}"));
            world.send(&[program.deposit(&patron.pubkey(), &pool, 12_000 / owners * TOKEN, 0)], &[&patron]);
            positions.push((pool, patron.pubkey()));
        }
    }
    let pools = [few.seat.pool, many.seat.pool];
    let late = world.wallet("late");
    world.activate(&positions);
    world.turn_epoch(&pools);
    world.send(&[program.deposit(&late.pubkey(), &pools[0], 50_000 * TOKEN, 0)], &[&late]);
    world.turn_epoch(&[]);
    // The epoch that begins spreads it.
    world.advance(Schedule::DEFAULT.epoch_slots);
    // The first settlement in a slot spreads what is due; it is this one.
    let other = world.operator("other", PoolKind::Trainer);
    let authority = world.authority.insecure_clone();
    world.send(&[program.settle_yield(&other.seat.pool)], &[&authority]);
    let units = pools.map(|pool| {
        let authority = world.authority.insecure_clone();
        world.send(&[program.settle_yield(&pool)], &[&authority]).compute_units
    });
    assert_eq!(units[0], units[1], "no loop over positions");
    let earned = pools.map(|pool| {
        let state: Pool = world.state(&pool);
        state.dripping + state.rewards_owed + state.commission_owed
    });
    assert_eq!(earned[0], earned[1], "pending stake yields nothing");
    let most = (28_000 * TOKEN + 2 * SEED_SHARES) / 500;
    assert!(earned[0] > 0 && earned[0] + earned[1] <= most, "at most 0.2 % per epoch: {earned:?} {most}");
}

/// Attack: 50,000 tokens become active just before an epoch ends, are counted, and are settled right after the turn. They earn for the slots
/// in which they were there; a whole epoch would be a hundred tokens.
#[test]
fn attack_stake_that_becomes_active_just_before_the_turn_earns_for_its_slots() {
    let mut world = World::new();
    let (loyal, flash) = (world.operator("loyal", PoolKind::Trainer), world.operator("flash", PoolKind::Trainer));
    let (pools, program) = ([loyal.seat.pool, flash.seat.pool], world.program);
    world.turn_epoch(&pools);
    world.turn_epoch(&[]);
    let (epoch, activation) = (Schedule::DEFAULT.epoch_slots, world.config().parameters.activation_slots);
    let whale = world.wallet("whale");
    world.advance(epoch - activation - 10);
    world.stake(&whale, &pools[1], 50_000 * TOKEN);
    let authority = world.authority.insecure_clone();
    let settle = |world: &mut World, pool: usize| world.send(&[program.settle_yield(&pools[pool])], &[&authority]);
    settle(&mut world, 1);
    let counted = world.state::<Pool>(&pools[1]).yield_share.stake;
    assert!(counted > 50_000 * TOKEN, "it is active, and counts");
    world.advance(10);
    world.send(&[program.turn_epoch()], &[&authority]);
    world.advance(1);
    settle(&mut world, 1);
    settle(&mut world, 0);
    let [loyal, flash] = pools.map(|pool| {
        let state: Pool = world.state(&pool);
        state.dripping + state.rewards_owed + state.commission_owed
    });
    assert!(loyal.abs_diff(BOND_TOKENS * TOKEN / 500) < TOKEN / 100, "who was there all along has its 0.2 %: {loyal}");
    assert!(flash < loyal + TOKEN / 10, "{flash} and {loyal}");
}

/// Attack: a deposit into a shared pool that nobody has settled for an epoch, active just before the settlement, out again right after it.
#[test]
fn attack_a_late_depositor_takes_nothing_of_what_a_pool_has_earned() {
    let mut world = World::new();
    let operator = world.operator("operator", PoolKind::Trainer);
    let (pool, program) = (operator.seat.pool, world.program);
    let (early, late) = (world.wallet("early"), world.wallet("late"));
    world.stake(&early, &pool, 10_000 * TOKEN);
    world.turn_epoch(&[pool]);
    world.turn_epoch(&[]);
    let (epoch, activation) = (Schedule::DEFAULT.epoch_slots, world.config().parameters.activation_slots);
    world.advance(epoch - activation);
    world.stake(&late, &pool, 50_000 * TOKEN);
    let authority = world.authority.insecure_clone();
    world.send(&[program.settle_yield(&pool)], &[&authority]);
    let dripping = world.state::<Pool>(&pool).dripping;
    assert!(dripping > 20 * TOKEN, "0.2 % of 12,000 tokens: {dripping}");
    let shares = world.state::<Position>(&program.position(&pool, &late.pubkey())).shares;
    world.send(&[program.request_exit(&late.pubkey(), &pool, 0, shares)], &[&late]);
    world.refused(&[program.claim_rewards(&late.pubkey(), &pool)], &[&late], Error::NothingToClaim);
    // All that drips goes to who stays.
    world.advance(3 * epoch);
    let before = world.tokens(&early.pubkey());
    world.send(&[program.claim_rewards(&early.pubkey(), &pool)], &[&early]);
    let delegated = dripping / 12 * 10;
    let got = world.tokens(&early.pubkey()) - before;
    // Less the operator's commission of a tenth.
    assert!(got.abs_diff(delegated / 10 * 9) < TOKEN / 100, "{got} of {dripping}");
}

#[test]
fn a_fee_is_split_and_climbs_the_lineage() {
    let mut shop = Shop::new(&Cast::default());
    shop.scene.settle_all();
    let program = shop.scene.world.program;
    let user = shop.scene.world.wallet("user");
    let wallet = user.pubkey();
    let before = shop.scene.world.config();
    let pools = [shop.server, shop.models[0], shop.models[1]];
    let earned = |shop: &Shop| pools.map(|pool| shop.scene.pool_state(&pool).commission_owed);
    assert_eq!(earned(&shop), [0; 3]);
    shop.scene.world.send(&[shop.pay(&wallet, 1_000 * TOKEN)], &[&user]);
    let config = shop.scene.world.config();
    assert_eq!(config.burned - before.burned, 150 * TOKEN);
    assert_eq!(config.buckets.treasury - before.buckets.treasury, 50 * TOKEN);
    assert_eq!(shop.scene.world.emission().fees_burned, 150 * TOKEN);
    let (server, model, ancestor) = (450 * TOKEN, 150 * TOKEN, 50 * TOKEN);
    for (earned, expected) in earned(&shop).into_iter().zip([server, model, ancestor]) {
        // The seed's part of the stake is next to nothing, and nobody's.
        assert!(earned <= expected && expected - earned < expected / 1_000_000, "{earned} {expected}");
    }
    let fees: Fees = shop.scene.world.state(&program.fees(&shop.scene.job));
    assert_eq!(fees.data.iter().sum::<u64>() + fees.attention.iter().sum::<u64>(), 150 * TOKEN);
    let (dataset, provider) = (shop.scene.datasets[1], shop.scene.providers[1].seat.pool);
    let settle = program.settle_fees(&shop.scene.job, 1, &dataset, &provider);
    let attention = program.attention_pool(&shop.scene.job, 1);
    let dripping = shop.scene.pool_state(&attention).dripping;
    shop.scene.crank(settle.clone());
    shop.scene.crank_refused(settle, Error::NothingToClaim);
    assert_eq!(shop.scene.pool_state(&attention).dripping - dripping, fees.attention[1]);
    // Neither without its ancestor, nor through another job's round, nor for nothing.
    let mut short = shop.pay(&wallet, TOKEN);
    short.accounts.pop();
    shop.scene.world.refused(&[short], &[&user], Error::MissingAccount);
    let zero = shop.pay(&wallet, 0);
    shop.scene.world.refused(&[zero], &[&user], Error::ZeroAmount);
    let operator = shop.operator.insecure_clone();
    shop.scene.world.send(&[program.retire_pool(&operator.pubkey(), &shop.server)], &[&operator]);
    let closed = shop.pay(&wallet, TOKEN);
    shop.scene.world.refused(&[closed], &[&user], Error::PoolRetired);
}

/// The round that was opened last may be closed by anyone once it came to nothing; the last final one stays, so that fees can always be paid.
#[test]
fn a_fee_is_shared_by_the_round_opened_last_or_the_last_final_one_and_by_no_other() {
    let mut shop = Shop::new(&Cast::default());
    let user = shop.scene.world.wallet("user");
    let wallet = user.pubkey();
    let rounds = [0, 1, 2].map(|index| shop.scene.world.program.round(&shop.scene.job, index));
    let taken = |shop: &mut Shop, round: usize, amount: u64| {
        let pay = shop.pay_by(&rounds[round], &wallet, amount * TOKEN);
        shop.scene.world.send(&[pay], &[&user]);
    };
    let refused = |shop: &mut Shop, round: usize, amount: u64| {
        let pay = shop.pay_by(&rounds[round], &wallet, amount * TOKEN);
        shop.scene.world.refused(&[pay], &[&user], Error::WrongAccount);
    };
    // The first round has a result and nothing is final: it was opened last. Once another is open it is neither.
    taken(&mut shop, 0, 1);
    shop.scene.open_round();
    taken(&mut shop, 1, 2);
    refused(&mut shop, 0, 3);
    (0..3).for_each(|trainer| {
        shop.scene.commit(trainer);
    });
    shop.scene.close_commits();
    shop.scene.to_closed();
    shop.scene.to_aggregated();
    shop.scene.to_scored(&[scores(4_900_000); 3]);
    // Final, it shares beside the one that was opened last, until the next one is final.
    shop.scene.finalise_oldest();
    taken(&mut shop, 0, 4);
    taken(&mut shop, 1, 5);
    shop.scene.finalise_oldest();
    shop.scene.open_round();
    refused(&mut shop, 0, 6);
    taken(&mut shop, 1, 7);
    taken(&mut shop, 2, 8);
}

#[test]
fn a_models_pool_needs_its_creator_and_a_royalty_needs_a_parent() {
    let mut shop = Shop::new(&Cast::default());
    let program = shop.scene.world.program;
    let (operator, stranger) = (shop.operator.insecure_clone(), shop.scene.world.wallet("stranger"));
    let new = NewModel { index: 2, self_bond: BOND_TOKENS * TOKEN, ..NewModel::default() };
    let job = shop.scene.job;
    let world = &mut shop.scene.world;
    let create = |wallet: &Address, new: &NewModel| program.create_model_pool(wallet, &job, new);
    world.refused(&[create(&stranger.pubkey(), &new)], &[&stranger], Error::NotAuthority);
    let wallet = operator.pubkey();
    for (new, expected) in [
        (NewModel { parent: Some((shop.models[0], 0)), ..new }, Error::WrongRoyalty),
        (NewModel { parent: Some((shop.models[0], 10_001)), ..new }, Error::WrongRoyalty),
        (NewModel { parent: Some((shop.server, 100)), ..new }, Error::WrongPoolKind),
        (NewModel { self_bond: 1, ..new }, Error::SelfBondTooSmall),
        (NewModel { commission_bps: 3_001, ..new }, Error::CommissionTooHigh),
    ] {
        world.refused(&[create(&wallet, &new)], &[&operator], expected);
    }
    let through_pool = program.create_pool(&wallet, PoolKind::Model, &NEW);
    world.refused(&[through_pool], &[&operator], Error::WrongPoolKind);
}

/// Attack: someone who is server, model and everyone else pays itself for use that nobody made. In all later emission there is less for
/// the whole network than it burned.
#[test]
fn attack_demand_dealt_to_oneself_loses_money() {
    let schedule = Schedule {
        epoch_slots: 10_000,
        first_caps: [20_000 * TOKEN, 20_000 * TOKEN],
        targets: [4_500 * TOKEN, 4_500 * TOKEN],
        demand_reference: 10_000 * TOKEN,
        power_reference: 1,
        nodes_reference: 1,
        maximum_yield: ONE / 5_000,
        utilisation_floor: 0,
        fee_offset_bps: 0,
        ..SCHEDULE
    };
    assert_eq!(schedule.check(), Ok(()));
    let run = |fee: u64| {
        let mut shop = Shop::new(&Cast { schedule, ..Cast::default() });
        let start = shop.scene.world.config();
        let payer = shop.operator.insecure_clone();
        for epoch in 0..24 {
            // Two epochs of dealing, then all that its memory still emits.
            if epoch < 2 && fee > 0 {
                let pay = shop.pay(&payer.pubkey(), fee);
                shop.scene.world.send(&[pay], &[&payer]);
            }
            if epoch < 7 {
                shop.scene.whole_round(&scores(5_000_000));
            }
            shop.scene.world.turn_epoch(&[]);
        }
        let end = shop.scene.world.config();
        let emitted = |config: &Config| config.buckets.staking_rewards + config.buckets.operator_rewards;
        // What is released and returned unspent counts as emitted too: the attacker may have been everyone.
        (emitted(&start) - emitted(&end), end.burned - start.burned)
    };
    let (without, none) = run(0);
    let (with, burned) = run(20_000 * TOKEN);
    assert_eq!((none, burned), (0, 6_000 * TOKEN));
    assert!(with > without, "demand does raise emission");
    assert!(with - without < burned, "{} emitted more, {burned} burned", with - without);
}

/// A scene whose first evaluator has a compounding pool in which the first patron holds 600 tokens.
fn compounding() -> (Scene, Keypair, Address) {
    let mut scene = Scene::new();
    let pool = scene.evaluators[0].seat.pool;
    let state: Pool = scene.world.state(&pool);
    scene.world.overwrite(&pool, &Pool { compounding: 1, ..state });
    let patron = scene.patrons[0].insecure_clone();
    scene.world.stake(&patron, &pool, 600 * TOKEN);
    (scene, patron, pool)
}

/// Turns shares into tokens in the owner's account, which is created in the same transaction as the mint.
fn tokenise(scene: &mut Scene, owner: &Keypair, pool: &Address, shares: u64) -> Address {
    let program = scene.world.program;
    let wallet = owner.pubkey();
    let account = program.share_account(&wallet, pool);
    if scene.world.ledger.account(&program.share_mint(pool)).is_none() {
        scene.world.send(&[program.open_share_mint(&wallet, pool)], &[owner]);
    }
    let create = program.create_share_account(&wallet, &wallet, pool);
    scene.world.send(&[create, program.tokenize_shares(&wallet, pool, &account, shares)], &[owner]);
    account
}

fn transfer(from: &Address, to: &Address, owner: &Address, amount: u64) -> Instruction {
    let mut data = vec![3];
    data.extend(amount.to_le_bytes());
    let accounts =
        vec![AccountMeta::new(*from, false), AccountMeta::new(*to, false), AccountMeta::new_readonly(*owner, true)];
    Instruction { program_id: TOKEN_PROGRAM, accounts, data }
}

#[test]
fn liquid_shares_travel_and_earn_through_their_price() {
    let (mut scene, patron, pool) = compounding();
    let program = scene.world.program;
    let account = tokenise(&mut scene, &patron, &pool, 400 * TOKEN);
    assert_eq!(scene.world.ledger.token_balance(&account), Some(400 * TOKEN));
    let mint = scene.world.ledger.account(&program.share_mint(&pool)).unwrap();
    assert_eq!((mint.data[44], &mint.data[46..50]), (9, [0; 4].as_slice()), "9 decimals and no freeze authority");
    let holder = scene.world.wallet("holder");
    let wallet = holder.pubkey();
    let to = program.share_account(&wallet, &pool);
    scene.world.send(&[program.create_share_account(&wallet, &wallet, &pool)], &[&holder]);
    scene.world.send(&[transfer(&account, &to, &patron.pubkey(), 400 * TOKEN)], &[&patron]);
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    let state = scene.pool_state(&pool);
    assert!(state.assets > state.shares && state.rewards_owed == 0, "rewards raise the price");
    assert_eq!(state.liquid_shares, 400 * TOKEN);
    scene.world.send(&[program.detokenize_shares(&wallet, &pool, &to, 400 * TOKEN)], &[&holder]);
    let worth = (400 * TOKEN as u128 * state.assets as u128 / state.shares as u128) as u64;
    let back = position(&scene.world, &pool, &wallet);
    assert_eq!((back.shares, back.pending), (0, worth));
    assert_eq!(scene.world.ledger.token_balance(&to), Some(0));
    scene.world.activate(&[(pool, wallet)]);
    // Down to the base unit at each of the three divisions.
    assert!(position(&scene.world, &pool, &wallet).shares >= 400 * TOKEN - 3);
}

/// Attack: tokens bought today as a way around the activation time, or as a way out of a slash.
#[test]
fn attack_liquid_shares_neither_launder_the_activation_nor_escape_a_slash() {
    let (mut scene, patron, pool) = compounding();
    let program = scene.world.program;
    let wallet = patron.pubkey();
    let account = tokenise(&mut scene, &patron, &pool, 600 * TOKEN);
    // Deposited, and tokens at once: what is pending has no shares.
    scene.world.send(&[program.deposit(&wallet, &pool, 100 * TOKEN, 0)], &[&patron]);
    let at_once = program.tokenize_shares(&wallet, &pool, &account, 1);
    scene.world.refused(std::slice::from_ref(&at_once), &[&patron], Error::NotEnoughShares);
    // Back from tokens: pending for the whole time, blended with what was there.
    scene.world.send(&[program.detokenize_shares(&wallet, &pool, &account, 300 * TOKEN)], &[&patron]);
    let state = position(&scene.world, &pool, &wallet);
    let slots = scene.world.config().parameters.activation_slots;
    assert_eq!((state.shares, state.pending), (0, 400 * TOKEN));
    assert!(state.ramp_end_slot >= scene.world.ledger.slot() + slots);
    // The operator lies and is slashed: tokens lose with everyone, and while a dispute is open nobody gets out.
    let frozen: Pool = scene.pool_state(&pool);
    scene.world.overwrite(&pool, &Pool { open_disputes: 1, ..frozen });
    let out = program.detokenize_shares(&wallet, &pool, &account, TOKEN);
    scene.world.refused(std::slice::from_ref(&out), &[&patron], Error::PoolFrozen);
    scene.world.refused(&[at_once], &[&patron], Error::PoolFrozen);
    scene.world.overwrite(&pool, &frozen);
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(1_000_000), scores(5_000_000), scores(5_000_000)]);
    scene.settle_all();
    scene.world.send(&[program.detokenize_shares(&wallet, &pool, &account, 300 * TOKEN)], &[&patron]);
    let (held, state) = (position(&scene.world, &pool, &wallet), scene.pool_state(&pool));
    // A little of it has become active until the round was final.
    let active = (held.shares as u128 * state.assets as u128 / state.shares as u128) as u64;
    assert!((held.pending + active).abs_diff(630 * TOKEN) < 10, "a tenth of both is gone");
    scene.world.send(&[program.cancel_deposit(&wallet, &pool, 0)], &[&patron]);
    // The protocol's own mint has the same authority, and is no mint of shares.
    let mut forged = program.tokenize_shares(&wallet, &pool, &program.token_account(&wallet), 1);
    forged.accounts[4].pubkey = program.mint();
    scene.world.stake(&patron, &pool, 100 * TOKEN);
    scene.world.refused(&[forged], &[&patron], Error::WrongAddress);
}

#[test]
fn locked_attention_steers_up_to_two_and_a_half_times_and_stays_until_its_end() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let pool = program.attention_pool(&scene.job, 0);
    scene.whole_round(&scores(5_000_000));
    scene.world.send(&[program.lock_shares(&owner, &pool, 1_000 * TOKEN, 48)], &[&patron]);
    scene.world.refused(&[program.lock_shares(&owner, &pool, 1_000 * TOKEN, 47)], &[&patron], Error::WrongLock);
    scene.world.advance(10 * TICK_SLOTS);
    scene.open_round();
    // 2.5 : 1 : 1, less the part of the first period that is over.
    let [first, second, third] = [0, 1, 2].map(|domain| scene.round_state().mixture_bps[domain]);
    assert!((5_500..=5_556).contains(&first) && second.abs_diff(third) <= 1, "{first} {second} {third}");
    scene.world.refused(&[program.request_exit(&owner, &pool, 0, 1)], &[&patron], Error::SharesLocked);
    let to = program.attention_pool(&scene.job, 1);
    scene.world.refused(&[program.move_attention(&owner, &pool, &to, 1, 0)], &[&patron], Error::SharesLocked);
    scene.world.advance(48 * PERIOD_TICKS * TICK_SLOTS);
    scene.world.send(&[program.request_exit(&owner, &pool, 0, 1_000 * TOKEN)], &[&patron]);
    assert_eq!(scene.pool_state(&pool).shares, SEED_SHARES);
}

#[test]
fn delegated_stake_steers_by_its_owners_vote() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let trainer = scene.trainers[0].seat.pool;
    let targets = [1, 2].map(|domain| program.attention_pool(&scene.job, domain));
    scene.world.stake(&patron, &trainer, 2_000 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    let world = &mut scene.world;
    world.refused(&[program.steer(&owner, &trainer, &targets[0], 2_001 * TOKEN)], &[&patron], Error::NotEnoughShares);
    world.refused(
        &[program.steer(&owner, &trainer, &scene.trainers[1].seat.pool, 1)],
        &[&patron],
        Error::WrongSteering,
    );
    world.send(&[program.steer(&owner, &trainer, &targets[0], 2_000 * TOKEN)], &[&patron]);
    world.refused(&[program.steer(&owner, &trainer, &targets[1], 1)], &[&patron], Error::AlreadyVoted);
    world.refused(&[program.request_exit(&owner, &trainer, 0, 1)], &[&patron], Error::SharesLocked);
    world.advance(1_000);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [2_000, 6_000, 2_000]);
    // Moved in one transaction, at any slot.
    let change =
        [program.unsteer(&owner, &trainer, &targets[0]), program.steer(&owner, &trainer, &targets[1], 500 * TOKEN)];
    scene.world.send(&change, &[&patron]);
    assert_eq!(scene.pool_state(&targets[0]).steered, 0);
    assert_eq!(scene.pool_state(&targets[1]).steered, 500 * TOKEN);
    // A slash of the pool is counted by anyone who cares.
    let state = scene.pool_state(&trainer);
    let mut slashed = state;
    slashed.slash_bps(0, 5_000, 0).unwrap();
    let refresh = program.refresh_vote(&owner, &trainer, &targets[1]);
    scene.world.ledger.set_account(trainer, with_state(&scene, &trainer, &slashed)).unwrap();
    let authority = scene.world.authority.insecure_clone();
    scene.world.ledger.send(std::slice::from_ref(&refresh), &authority, &[&authority]).unwrap();
    assert_eq!(scene.pool_state(&targets[1]).steered, 250 * TOKEN);
    let vote: Vote = scene.world.state(&program.vote(&program.position(&trainer, &owner)));
    assert_eq!((vote.shares, vote.weight), (500 * TOKEN, 250 * TOKEN));
}

fn with_state(scene: &Scene, address: &Address, state: &Pool) -> solana_account::Account {
    let mut account = scene.world.ledger.account(address).unwrap();
    account.data = bytemuck::bytes_of(state).to_vec();
    account
}

#[test]
fn a_schedule_waits_a_day_and_keeps_its_bounds() {
    let mut world = World::new();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let wild = Schedule { demand_reference: TOKEN, ..SCHEDULE };
    world.refused(&[program.propose_schedule(&key, &wild)], &[&authority], Error::ParameterOutOfBounds);
    let next = Schedule { utilisation_floor: ONE / 4, ..SCHEDULE };
    world.send(&[program.propose_schedule(&key, &next)], &[&authority]);
    world.refused(&[program.apply_schedule()], &[&authority], Error::ProposalNotReady);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    world.refused(&[program.apply_parameters()], &[&authority], Error::WrongProposal);
    world.send(&[program.apply_schedule()], &[&authority]);
    assert_eq!(world.emission().schedule, next);
}

/// Attack: bounds are of an epoch, and the authority makes that 432 times shorter. Then caps that have decayed come back by longer epochs.
#[test]
fn attack_a_short_epoch_with_the_caps_of_a_long_one_is_refused() {
    let mut world = World::new();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let short = Schedule { epoch_slots: 1_000, maximum_yield: ONE / 100_000, ..SCHEDULE };
    let some = |amount: u64| Schedule { first_caps: [amount; 2], targets: [amount; 2], ..short };
    for greedy in [
        short,
        Schedule { targets: SCHEDULE.targets, ..some(2_000 * TOKEN) },
        Schedule { first_caps: SCHEDULE.first_caps, ..some(2_000 * TOKEN) },
        Schedule { maximum_yield: SCHEDULE.maximum_yield, ..some(2_000 * TOKEN) },
    ] {
        world.refused(&[program.propose_schedule(&key, &greedy)], &[&authority], Error::ParameterOutOfBounds);
    }
    let caps = |world: &World| world.emission().streams.map(|stream| stream.cap);
    let before = caps(&world);
    // A shorter epoch has no more than its part of what the cap was, and a longer one, which is so at once, no more by the slot.
    for (next, epoch_slots) in [(some(2_000 * TOKEN), 1_000), (SCHEDULE, SCHEDULE.epoch_slots)] {
        let end_slot = world.emission().end_slot;
        let longer = epoch_slots - epoch_slots.min(world.emission().schedule.epoch_slots);
        world.send(&[program.propose_schedule(&key, &next)], &[&authority]);
        world.advance(DEFAULT_TIMELOCK_SLOTS);
        world.send(&[program.apply_schedule()], &[&authority]);
        for (now, before) in caps(&world).into_iter().zip(before) {
            let most = before as u128 * epoch_slots as u128 / SCHEDULE.epoch_slots as u128;
            assert!(now as u128 <= most, "{now} of {most}");
        }
        assert_eq!(world.emission().end_slot, end_slot + longer);
    }
}

#[test]
fn accounts_of_the_first_version_are_refused_until_migrated_and_then_work() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let pool = program.attention_pool(&scene.job, 0);
    let holding = program.position(&pool, &owner);
    // As the first version's program would have left them: shorter, and without what came later.
    let mut state = scene.pool_state(&pool);
    (state.boost, state.yield_share) = (bytemuck::Zeroable::zeroed(), Default::default());
    state.stake_integral = Default::default();
    (state.exposure_slots, state.earning_shares) = (0, 0);
    scene.world.overwrite(&pool, &state);
    let expected = (state, position(&scene.world, &pool, &owner));
    for (address, size) in [(pool, 288), (holding, 112)] {
        let mut account = scene.world.ledger.account(&address).unwrap();
        account.data.truncate(size);
        account.data[1] = 1;
        account.lamports = 890_880 + 6_960 * size as u64;
        scene.world.ledger.set_account(address, account).unwrap();
    }
    let exit = program.request_exit(&owner, &pool, 0, TOKEN);
    let error = scene.world.ledger.send(std::slice::from_ref(&exit), &patron, &[&patron]).unwrap_err();
    assert_eq!(error.custom_code(), Some(Error::WrongVersion.code()));
    for address in [pool, holding] {
        let migrate = program.migrate_account(&key, &address);
        scene.world.ledger.send(std::slice::from_ref(&migrate), &authority, &[&authority]).unwrap();
        scene.world.ledger.advance_slots(1).unwrap();
        let error = scene.world.ledger.send(&[migrate], &authority, &[&authority]).unwrap_err();
        assert_eq!(error.custom_code(), Some(Error::WrongVersion.code()));
    }
    assert_eq!(bytemuck::bytes_of(&scene.pool_state(&pool)), bytemuck::bytes_of(&expected.0));
    let migrated = position(&scene.world, &pool, &owner);
    assert_eq!((migrated.shares, migrated.pending), (expected.1.shares, 0));
    scene.world.send(&[exit], &[&patron]);
    let job = program.migrate_account(&key, &scene.job);
    scene.world.refused(&[job], &[&authority], Error::WrongKind);
}

#[test]
fn everything_new_is_guarded() {
    let mut shop = Shop::new(&Cast::default());
    shop.scene.settle_all();
    let program = shop.scene.world.program;
    let (job, round) = (shop.scene.job, shop.scene.round());
    let authority = shop.scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let user = shop.scene.world.wallet("user");
    let service = Service { job: &job, round: &round, server: &shop.server, models: &shop.models };
    let (dataset, provider) = (shop.scene.datasets[0], shop.scene.providers[0].seat.pool);
    let trainer = shop.scene.trainers[0].seat.pool;
    let patron = shop.scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (pool, target) = (program.attention_pool(&job, 0), program.attention_pool(&job, 1));
    let world = &mut shop.scene.world;
    let pay = program.pay_fee(&user.pubkey(), &service, &named("receipt"), 1_000 * TOKEN);
    // The ancestor is a model of the same job, too.
    send_guarded(world, pay.clone(), &user, &[12]);
    // Once the fees are open nothing is created and no system program is needed.
    send_guarded(world, pay, &user, &[7, 12]);
    send_guarded(world, program.settle_fees(&job, 0, &dataset, &provider), &authority, &[]);
    let model =
        NewModel { index: 5, self_bond: BOND_TOKENS * TOKEN, parent: Some((shop.models[0], 1)), ..NewModel::default() };
    // A creator's other model may be the parent.
    let create = program.create_model_pool(&key, &job, &model);
    let parent = create.accounts.len() - 1;
    send_guarded(world, create, &authority, &[parent]);
    send_guarded(world, program.lock_shares(&owner, &pool, TOKEN, 1), &patron, &[]);
    world.stake(&patron, &trainer, 100 * TOKEN);
    // Any domain may be the target.
    send_guarded(world, program.steer(&owner, &trainer, &target, TOKEN), &patron, &[3]);
    send_guarded(world, program.refresh_vote(&owner, &trainer, &target), &authority, &[]);
    send_guarded(world, program.unsteer(&owner, &trainer, &target), &patron, &[]);
    send_guarded(world, program.propose_schedule(&key, &SCHEDULE), &authority, &[]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    send_guarded(world, program.apply_schedule(), &authority, &[]);
    world.advance(SCHEDULE.epoch_slots);
    send_guarded(world, program.turn_epoch(), &authority, &[]);
    // Any pool may be settled.
    send_guarded(world, program.settle_yield(&trainer), &authority, &[1]);

    let (mut scene, patron, pool) = compounding();
    let program = scene.world.program;
    let owner = patron.pubkey();
    send_guarded(&mut scene.world, program.open_share_mint(&owner, &pool), &patron, &[0]);
    scene.world.send(&[program.create_share_account(&owner, &owner, &pool)], &[&patron]);
    let account = program.share_account(&owner, &pool);
    // Tokens may go to any account of the mint; with an open mint and position nothing is created.
    send_guarded(&mut scene.world, program.tokenize_shares(&owner, &pool, &account, 5 * TOKEN), &patron, &[7]);
    send_guarded(&mut scene.world, program.detokenize_shares(&owner, &pool, &account, TOKEN), &patron, &[8]);
}

/// Attack: a coalition works round after round alone, and has each undone, so that what the emission has released for nodes is drawn for work that is paid by
/// nobody, and all other jobs draw nothing until the epoch is over. What is undone has drawn nothing.
#[test]
fn attack_rounds_that_are_undone_leave_the_stream_to_others() {
    let mut cast = Cast { trainers: 3, ..Cast::default() };
    (cast.spec.lookahead, cast.spec.challenge_slots) = (1, 20_000);
    let mut scene = Scene::with(&cast);
    let drawable = scene.world.emission().drawable().unwrap();
    for trainer in 0..2 {
        scene.whole_round(&scores(5_000_000));
        let round = scene.round();
        assert!(scene.round_state().reward > 0);
        let friend = Accuser::new(&mut scene, &format!("friend {trainer}"), &round, trainer);
        friend.commit(&mut scene);
        friend.open(&mut scene);
        friend.win(&mut scene);
        assert_eq!(scene.round_state().is_undone, 1);
    }
    let emission = scene.world.emission();
    assert_eq!((emission.drawable().unwrap(), emission.rounds, emission.work), (drawable, 0, 0));
    scene.whole_round(&scores(5_000_000));
    scene.settle_all();
    assert_eq!(drawable - scene.world.emission().drawable().unwrap(), scene.round_state().reward);
    assert!(scene.round_state().reward > 0);
}

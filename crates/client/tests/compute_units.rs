//! What each instruction costs, measured on the compiled program. Run with `--nocapture` to see the table.
//!
//! Budgets are what was measured and 15 %, rounded up; where an address is derived, they leave room for the three or four
//! bumps, of 1 500 units each, that another address may need.

mod accuser;
mod court;

use accuser::Accuser;
use court::Court;
use court::chamber::Chamber;
use court::hall::Hall;
use sip_client::{GenesisAccusation, NewModel, NewPool, Program, Service, StateDemand};
use sip_ledger::Ledger;
use sip_node::availability::{data_answer, state_answer};
use sip_node::dispute::Challenger;
use sip_proof::{BlobTree, merkle::MerkleTree};
use sip_protocol::{
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, ProposalKind},
        config::Parameters,
    },
    court::{Dispute, MoveKind, Outcome},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, schedule::YEAR_SLOTS, units::TOKEN},
    stake::pool::PoolKind,
    training::{
        data::Dataset,
        round::{self, Round},
        segment::SegmentClaim,
        setting::{SETTING_ONE, Setting},
    },
};
use sip_testing::synthetic::{self, Flaw, Lie, node};
use sip_testing::{Cast, SCHEDULE, Scene, World, dataset, named, scores};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Rows of the table: instruction, compute units, most that is allowed, transaction bytes.
struct Table(Vec<(&'static str, u64, u64, usize)>);

impl Table {
    fn run(&mut self, world: &mut World, name: &'static str, most: u64, instruction: Instruction, key: &Keypair) {
        let receipt = world.send(&[instruction], &[key]);
        self.0.push((name, receipt.compute_units, most, receipt.transaction_bytes));
    }

    /// Prints the table and checks the budgets.
    fn check(&self) {
        println!("{:<26} {:>8} {:>8} {:>6}", "instruction", "units", "budget", "bytes");
        for (name, units, most, bytes) in &self.0 {
            println!("{name:<26} {units:>8} {most:>8} {bytes:>6}");
        }
        for (name, units, most, _) in &self.0 {
            assert!(units <= most, "{name} takes {units} compute units; its budget is {most}");
            if let Some(before) = cost_before(name) {
                assert!(
                    units * 10 <= before * 13,
                    "{name} takes {units} compute units; before the rules were stricter {before}"
                );
            }
        }
    }
}

/// What an instruction cost before claims had slices, if that is in the table of `docs/spec/costs.md`: | name | before | since | ratio | why |.
fn cost_before(name: &str) -> Option<u64> {
    let costs = include_str!("../../../docs/spec/costs.md");
    let (_, table) = costs.split_once("## What stricter rules cost").expect("the section");
    let cells = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = cells.take_while(|cells| !cells[0].starts_with("##")).find(|cells| cells.get(1) == Some(&name))?;
    Some(row[2].replace(' ', "").parse().expect("compute units"))
}

/// Each segment that a second draw may select costs its vote one hash.
#[test]
fn a_vote_with_a_second_draw_and_its_attestation_stay_within_their_budgets() {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, u32::MAX);
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    let key = scene.auditors[0].key.insecure_clone();
    let mut table = Table(Vec::new());
    let vote = scene.vote_instruction(0, &named("base"));
    table.run(&mut scene.world, "vote_base (3 segments)", 2_100, vote, &key);
    let attest = scene.attest_second_instruction(0, 1, &named("replay"));
    table.run(&mut scene.world, "attest_second", 1_000, attest, &key);
    table.check();
}

#[test]
fn every_instruction_stays_within_its_budget() {
    let mut table = Table(Vec::new());
    let program = Program::default();

    let mut world = World::uninitialised();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    table.run(&mut world, "initialize", 24_500, program.initialize(&key, &Parameters::DEFAULT), &authority);
    table.run(
        &mut world,
        "propose_parameters",
        700,
        program.propose_parameters(&key, &Parameters::DEFAULT),
        &authority,
    );
    let create = program.create_token_account(&key, &key);
    world.send(&[create], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(&mut world, "apply_parameters", 1_000, program.apply_parameters(), &authority);
    let spend = program.propose_spending(&key, ProposalKind::Treasury, &key, TOKEN);
    table.run(&mut world, "propose_spending", 400, spend, &authority);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(&mut world, "apply_spending", 2_000, program.apply_spending(&key), &authority);
    table.run(&mut world, "pause", 300, program.pause(&key), &authority);
    table.run(&mut world, "unpause", 300, program.unpause(&key), &authority);
    table.run(&mut world, "nominate_authority", 200, program.nominate_authority(&key, &key), &authority);
    table.run(&mut world, "accept_authority", 300, program.accept_authority(&key), &authority);
    world.advance(2 * YEAR_SLOTS);
    table.run(&mut world, "claim_vested", 2_300, program.claim_vested(&key, &key), &authority);
    table.run(&mut world, "distribute", 1_900, program.distribute(&key, &key, TOKEN), &authority);

    let mut scene = Scene::new();
    let operator = scene.world.wallet("operator");
    let wallet = operator.pubkey();
    let new = NewPool { index: 0, self_bond: 2_000 * TOKEN, commission_bps: 500, chain_tip: [0; 32] };
    let pool = program.pool(PoolKind::Data, &wallet, 0);
    let world = &mut scene.world;
    table.run(world, "create_pool", 12_000, program.create_pool(&wallet, PoolKind::Data, &new), &operator);
    table.run(world, "add_bond", 2_100, program.add_bond(&wallet, &pool, TOKEN), &operator);
    let data = dataset("another");
    table.run(world, "register_dataset", 10_000, program.register_dataset(&wallet, &pool, &data), &operator);
    let patron = world.wallet("patron");
    let owner = patron.pubkey();
    table.run(world, "deposit (first)", 14_000, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    table.run(world, "deposit", 3_700, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    let half = world.config().parameters.activation_slots / 2;
    world.advance(half);
    table.run(world, "activate", 1_400, program.activate(&pool, &owner), &patron);
    table.run(world, "cancel_deposit", 9_000, program.cancel_deposit(&owner, &pool, 0), &patron);
    table.run(world, "request_exit", 9_000, program.request_exit(&owner, &pool, 1, TOKEN), &patron);
    world.send(&[program.request_exit(&owner, &pool, 2, TOKEN)], &[&patron]);
    table.run(world, "rebond", 2_300, program.rebond(&owner, &pool, 2, 0), &patron);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    table.run(world, "claim_exit", 2_300, program.claim_exit(&owner, &pool, 0), &patron);
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let world = &mut scene.world;
    let steer = program.move_attention(&owner, &from, &to, TOKEN, 0);
    table.run(world, "move_attention (first)", 15_000, steer.clone(), &patron);
    table.run(world, "move_attention", 3_300, steer, &patron);
    table.run(world, "retire_pool", 600, program.retire_pool(&wallet, &pool), &operator);
    world.advance(slots);
    table.run(world, "withdraw_bond", 2_100, program.withdraw_bond(&wallet, &pool), &operator);

    let spec = scene.job_state().spec;
    let another = program.job(&key, 7);
    let create = program.create_job(&key, 7, &spec, &scene.datasets);
    table.run(&mut scene.world, "create_job (3 domains)", 9_000, create, &authority);
    let create = program.create_attention_pool(&key, &another, 0);
    table.run(&mut scene.world, "create_attention_pool", 11_000, create, &authority);
    let trainer = scene.trainers[0].key.insecure_clone();
    let seat = scene.trainers[0].seat;
    table.run(
        &mut scene.world,
        "join_job",
        650,
        program.join_job_with(&seat.operator, &another, &seat.pool, 0),
        &trainer,
    );
    let allot = program.allot_stake(&seat, &scene.job, 10_000);
    table.run(&mut scene.world, "allot_stake", 320, allot, &trainer);
    let leave = program.leave_job(&sip_client::Seat { place: 0, ..seat }, &another);
    table.run(&mut scene.world, "leave_job", 260, leave, &trainer);

    let job = scene.job;
    table.run(&mut scene.world, "open_round (3 domains)", 9_500, program.open_round(&key, &job, 0, 3), &authority);
    let round = scene.round();
    let commit = scene.commit_instruction(0, &scene.claim(0));
    table.run(&mut scene.world, "commit_segment", 12_000, commit, &trainer);
    scene.commit(1);
    scene.commit(2);
    table.run(&mut scene.world, "close_commits", 400, program.close_commits(&job, &round), &authority);
    let preimage = scene.next_draw(0);
    let (auditor, auditor_key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let reveal = program.reveal_draw(&auditor, &job, &round, &preimage);
    table.run(&mut scene.world, "reveal_draw", 900, reveal, &auditor_key);
    let attest = program.attest(&auditor, &job, &round, &scene.segment(0), &named("digest"));
    table.run(&mut scene.world, "attest", 900, attest, &auditor_key);
    scene.attest(0, 1);
    scene.attest(0, 2);
    scene.reveal(1);
    for trainer in 0..3 {
        scene.attest(1, trainer);
    }
    let show = scene.show_instruction(0, 1, &Scene::trace_root(0, 1));
    let close = scene.close_instruction(&[0, 1, 2]);
    table.run(&mut scene.world, "close_round (3 segments)", 3_000, close, &authority);
    table.run(&mut scene.world, "reveal_attestation", 1_000, show, &auditor_key);
    scene.show(0, 2);
    (0..3).for_each(|trainer| scene.show(1, trainer));
    let vote = scene.vote_instruction(0, &named("base"));
    table.run(&mut scene.world, "vote_base", 1_500, vote, &auditor_key);
    scene.vote(1, &named("base"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
    let evaluator = scene.evaluators[0].key.insecure_clone();
    let commit = scene.commit_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, "commit_score", 700, commit, &evaluator);
    scene.commit_score(1, &scores(5_000_000));
    scene.commit_score(2, &scores(5_000_000));
    let reveal = scene.reveal_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, "reveal_score", 24_000, reveal, &evaluator);
    scene.reveal_score(1, &scores(5_000_000));
    scene.reveal_score(2, &scores(5_000_000));
    table.run(&mut scene.world, "tally", 4_400, program.tally(&job, &round), &authority);

    let due = scene.round_state().seed_slots[1] + 1;
    scene.advance_to(due);
    table.run(&mut scene.world, "capture_seed", 1_100, program.capture_seed(&job, &round), &authority);
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    table.run(&mut scene.world, "finalize_round", 460, program.finalize_round(&job, &round), &authority);

    let trainer_pool = scene.trainers[0].seat.pool;
    let evaluator_pool = scene.evaluators[0].seat.pool;
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    let world = &mut scene.world;
    table.run(world, "settle_segment", 1_400, program.settle_segment(&job, &round, &trainer_pool), &authority);
    // The digest that was made up above cannot be shown.
    world.advance(50);
    table.run(world, "settle_audit", 1_600, program.settle_audit(&job, &round, &auditor.pool, 0), &authority);
    let settle = program.settle_evaluation(&job, &round, &evaluator_pool, 0);
    table.run(world, "settle_evaluation", 1_500, settle, &authority);
    let settle = program.settle_data(&job, &round, 0, &dataset, &provider);
    table.run(world, "settle_data", 1_400, settle, &authority);
    table.run(world, "settle_patrons", 1_300, program.settle_patrons(&job, &round, 0), &authority);
    table.run(world, "claim_rewards", 2_300, program.claim_rewards(&owner, &from), &patron);
    table.run(world, "claim_commission", 2_100, program.claim_commission(&seat.operator, &trainer_pool), &trainer);

    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    let reclaim = program.reclaim_genesis_bond(&key, &job);
    table.run(&mut scene.world, "reclaim_genesis_bond", 2_000, reclaim, &authority);

    table.check();
    assert!(scene.world.ledger.statistics().transactions > 0);
}

/// Emission, fees, liquid stake, locks and votes. Steering is `move_attention` above, `lock_shares` and `steer`.
#[test]
fn every_instruction_of_money_stays_within_its_budget() {
    let mut table = Table(Vec::new());
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
    table.run(world, "create_model_pool", 13_500, create, &authority);
    let model = NewModel { index: 1, parent: Some((models[1], 2_500)), ..ancestor };
    world.send(&[program.create_model_pool(&key, &job, &model)], &[&authority]);
    let service = Service { job: &job, round: &round, server: &server, models: &models };
    let pay = program.pay_fee(&owner, &service, &named("receipt"), 100 * TOKEN);
    table.run(world, "pay_fee (first)", 15_000, pay.clone(), &patron);
    table.run(world, "pay_fee", 7_500, pay, &patron);
    let settle = program.settle_fees(&job, 0, &dataset, &provider);
    table.run(world, "settle_fees", 1_300, settle, &authority);

    table.run(world, "lock_shares", 900, program.lock_shares(&owner, &attention, TOKEN, 48), &patron);
    world.stake(&patron, &server, 500 * TOKEN);
    table.run(world, "steer", 13_000, program.steer(&owner, &server, &target, TOKEN), &patron);
    table.run(world, "refresh_vote", 900, program.refresh_vote(&owner, &server, &target), &patron);
    table.run(world, "unsteer", 700, program.unsteer(&owner, &server, &target), &patron);

    let open = program.open_share_mint(&owner, &server);
    table.run(world, "open_share_mint", 12_000, open, &patron);
    let account = program.share_account(&owner, &server);
    world.send(&[program.create_share_account(&owner, &owner, &server)], &[&patron]);
    let shares = 100 * TOKEN;
    let tokenise = program.tokenize_shares(&owner, &server, &account, shares);
    table.run(world, "tokenize_shares", 11_000, tokenise, &patron);
    let detokenise = program.detokenize_shares(&owner, &server, &account, shares);
    table.run(world, "detokenize_shares", 11_000, detokenise, &patron);

    world.advance(SCHEDULE.epoch_slots);
    table.run(world, "turn_epoch", 2_700, program.turn_epoch(), &authority);
    table.run(world, "settle_yield", 800, program.settle_yield(&server), &authority);
    let mut config = world.config();
    config.buckets.reserve -= TOKEN;
    config.condemned = TOKEN;
    world.overwrite(&program.config(), &config);
    table.run(world, "burn_condemned", 9_000, program.burn_condemned(), &authority);
    let propose = program.propose_schedule(&key, &SCHEDULE);
    table.run(world, "propose_schedule", 500, propose, &authority);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(world, "apply_schedule", 600, program.apply_schedule(), &authority);
    let mut old = world.ledger.account(&server).unwrap();
    old.data.truncate(288);
    old.data[1] = 1;
    let (units, bytes) = {
        world.ledger.set_account(server, old).unwrap();
        let migrate = program.migrate_account(&key, &server);
        let receipt = world.ledger.send(&[migrate], &authority, &[&authority]).unwrap();
        (receipt.compute_units, receipt.transaction_bytes)
    };
    table.0.push(("migrate_account", units, 360, bytes));
    table.check();
}

#[test]
fn a_round_of_a_job_that_is_steered_in_full_stays_within_its_budget() {
    let mut cast = Cast::default();
    cast.spec.domain_count = 8;
    cast.spec.mixture_floor_bps = 100;
    for (meaning, setting) in (1..).zip(&mut cast.spec.settings) {
        *setting = Setting::new(meaning, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);
    }
    let mut scene = Scene::with(&cast);
    let mut table = Table(Vec::new());
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let create = scene.world.program.create_job(&key, 7, &cast.spec, &scene.datasets);
    table.run(&mut scene.world, "create_job (8 domains, 4 settings)", 15_000, create, &authority);
    let open = scene.world.program.open_next_round(&key, &scene.job, &scene.job_state());
    table.run(&mut scene.world, "open_round (8 domains, 4 settings)", 40_000, open, &authority);
    table.check();
}

#[test]
fn a_tally_that_remembers_eight_improvements_stays_within_its_budget() {
    let mut cast = Cast::default();
    cast.spec.rounds = 12;
    let mut scene = Scene::with(&cast);
    let mut score = 5_000_000;
    for round in 0..10 {
        scene.whole_round(&scores(score));
        scene.settle_all();
        // Each improvement is greater than the one before: the ratios come in the dearest order to sort.
        score -= 10_000 + 1_000 * (10 - round) * (10 - round);
    }
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    for evaluator in 0..3 {
        scene.commit_score(evaluator, &scores(score));
    }
    for evaluator in 0..3 {
        scene.reveal_score(evaluator, &scores(score));
    }
    let mut table = Table(Vec::new());
    let authority = scene.world.authority.insecure_clone();
    let tally = scene.world.program.tally(&scene.job, &scene.round());
    table.run(&mut scene.world, "tally (8 improvements)", 5_000, tally, &authority);
    table.check();
}

/// A round that is challenged: accusations, amendments, demands.
#[test]
fn closing_what_is_over_stays_within_its_budget() {
    let mut table = Table(Vec::new());
    let mut scene = Scene::new();
    let authority = scene.world.authority.insecure_clone();
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let round = scene.round();
    scene.settle_round(&round);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    for instruction in scene.reclaim_instructions(&round) {
        let name = if instruction.accounts.len() == 5 { "reclaim_claim" } else { "reclaim_round" };
        table.run(&mut scene.world, name, 900, instruction, &authority);
    }
    table.check();
}

#[test]
fn every_challenge_stays_within_its_budget() {
    let mut table = Table(Vec::new());
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 30_000;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let job = scene.job;
    let entries = [vec![7u8; 300_000], vec![5; 3]];
    let roots: Vec<[u8; 32]> = (0..9).map(|entry| BlobTree::new(&entries[(entry != 4) as usize]).root()).collect();
    let tokens: Vec<u8> = (0..400_000u32).map(|byte| byte as u8).collect();
    let dataset = scene.datasets[0];
    let state: Dataset = scene.world.state(&dataset);
    scene.world.overwrite(&dataset, &Dataset { train_root: BlobTree::new(&tokens).root(), ..state });

    scene.open_round();
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    let round = scene.round();
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    scene.world.send(&[program.add_bond(&seat.operator, &seat.pool, 10 * TOKEN)], &[&trainer]);
    let claim = SegmentClaim { end_root: MerkleTree::new(&roots).root(), ..scene.claim(0) };
    let amend = program.amend_segment(&seat.operator, &job, &round, &seat.pool, &claim);
    table.run(&mut scene.world, "amend_segment", 1_300, amend, &trainer);
    scene.close_commits();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.open_round();
    let running = scene.round();

    let reader = scene.world.wallet("reader");
    let wallet = reader.pubkey();
    let demand = StateDemand { demander: &wallet, job: &job, round: &round, pool: &seat.pool, entry: 4, chunk: 292 };
    table.run(&mut scene.world, "demand_state", 13_000, program.demand_state(&demand), &reader);
    let address = program.demand(&program.segment(&round, &seat.pool), &wallet, 4, 292);
    let answer = state_answer(&roots, 4, &entries[0], 292).unwrap();
    let mut parts = program.answer_state(&seat.operator, &address, &round, &seat.pool, &answer);
    let last = parts.pop().unwrap();
    for part in parts {
        table.run(&mut scene.world, "upload_answer", 1_000, part, &trainer);
    }
    table.run(&mut scene.world, "answer_state", 63_000, last, &trainer);
    table.run(&mut scene.world, "close_demand", 220, program.close_demand(&wallet, &address), &reader);
    let (pool, provider) = (scene.providers[0].seat.pool, scene.providers[0].key.insecure_clone());
    table.run(&mut scene.world, "demand_data", 12_000, program.demand_data(&wallet, &dataset, &pool, 200), &reader);
    let address = program.demand(&dataset, &wallet, 0, 200);
    let answer = data_answer(&tokens, 200).unwrap();
    let mut parts = program.answer_data(&provider.pubkey(), &address, &dataset, &pool, &answer);
    let last = parts.pop().unwrap();
    for part in parts {
        scene.world.send(&[part], &[&provider]);
    }
    table.run(&mut scene.world, "answer_data", 81_000, last, &provider);
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    scene.world.send(&[program.demand_data(&wallet, &dataset, &pool, 201)], &[&reader]);

    let [first, second, third] = ["first", "second", "third"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    for accuser in [&first, &second, &third] {
        let commit = accuser.commit_instruction(&scene);
        table.run(&mut scene.world, "commit_accusation", 11_000, commit, &accuser.key);
    }
    scene.world.advance(1);
    second.open(&mut scene);
    second.win(&mut scene);
    let withdraw = third.withdraw_instruction(&scene);
    table.run(&mut scene.world, "withdraw_accusation", 2_400, withdraw, &third.key);
    let slots = scene.world.config().parameters.clock_slots;
    scene.world.advance(slots + 1);
    let expire = first.expire_instruction(&scene);
    table.run(&mut scene.world, "expire_accusation", 2_100, expire, &authority);
    let claim = second.claim_instruction(&scene);
    table.run(&mut scene.world, "claim_bounty", 2_000, claim, &authority);
    table.run(&mut scene.world, "undo_round", 600, program.undo_round(&job, &running), &authority);
    table.run(&mut scene.world, "fail_state", 3_600, program.fail_state(&demand), &authority);
    let fail = program.fail_data(&wallet, &dataset, &pool, 201);
    table.run(&mut scene.world, "fail_data", 2_800, fail, &authority);
    let retire = program.retire_dataset(&provider.pubkey(), &dataset, &pool);
    table.run(&mut scene.world, "retire_dataset", 600, retire, &provider);
    let segment = program.segment(&round, &seat.pool);
    let deadline = scene.world.state::<Round>(&round).disputable_until() - REVEAL_SLOTS;
    scene.advance_to(deadline + REVEAL_SLOTS + 1);
    table.run(&mut scene.world, "release_bounty", 600, program.release_bounty(&round, &segment), &authority);
    table.check();
}

/// Most compute units of a transaction of each move.
const MOVES: [(MoveKind, u64); 18] = [
    (MoveKind::Concede, 500),
    (MoveKind::Reveal, 91_000),
    (MoveKind::OpenLeaf, 2_600),
    (MoveKind::PostSteps, 9_100),
    (MoveKind::PostTrace, 5_200),
    (MoveKind::OpenEntry, 700),
    (MoveKind::OpenNode, 6_700),
    (MoveKind::PostChunk, 53_000),
    (MoveKind::PostPartials, 900),
    (MoveKind::PostValues, 14_200),
    (MoveKind::Pick, 1_000),
    (MoveKind::DisputeState, 600),
    (MoveKind::ProveOutput, 2_700),
    (MoveKind::ProveInput, 1_800),
    (MoveKind::ProveToken, 64_000),
    (MoveKind::ProveOperand, 76_000),
    (MoveKind::ShowLeaf, 2_700),
    (MoveKind::ProveBeyond, 3_200),
];

/// Disputes that together play every move; in the last one the trainer posts an operand value that gives its claim.
#[test]
fn compressed_updates_stay_within_their_budget() {
    let mut table = Table(Vec::new());
    let mut chamber = Chamber::new();
    let program = chamber.scene.world.program;
    let (seat, key) = (chamber.scene.trainers[1].seat, chamber.scene.trainers[1].key.insecure_clone());
    chamber.scene.world.send(&[program.add_bond(&seat.operator, &seat.pool, 100 * TOKEN)], &[&key]);
    for names in
        [["commit_segment (reset)", "amend_segment (reset)"], ["commit_segment (update)", "amend_segment (update)"]]
    {
        let first = chamber.honest(0);
        chamber.scene.commit_claim(0, &first);
        let commit = chamber.scene.commit_instruction(1, &chamber.scene.claim(1));
        table.run(&mut chamber.scene.world, names[0], 18_000, commit, &key);
        let (round, previous, claim) = (chamber.scene.round(), chamber.scene.previous_segment(1), chamber.honest(1));
        let amend = program.amend_update(&seat.operator, &chamber.scene.job, &round, &seat.pool, &claim, &previous);
        table.run(&mut chamber.scene.world, names[1], 8_000, amend, &key);
        if names[0].contains("reset") {
            chamber.finish_round();
            chamber.open_round();
        }
    }
    chamber.scene.close_commits();
    for (case, name) in [(CaseKind::Start, "open_dispute (start)"), (CaseKind::Update, "open_dispute (update)")] {
        let challenger = chamber.challenger();
        let [commit, open] = chamber.accusation(&challenger.pubkey(), 1, case);
        chamber.scene.world.send(&[commit], &[&challenger]);
        chamber.scene.world.advance(1);
        table.run(&mut chamber.scene.world, name, 12_000, open, &challenger);
    }
    table.check();
}

#[test]
fn every_move_of_a_dispute_stays_within_its_budget() {
    let mut table = Table(Vec::new());
    let mut dearest = MOVES.map(|(kind, most)| (kind, 0, most, 0));
    let output = |step, node, element, bit| Lie::Output { step, node, element, bit };
    let cases = [
        (10, 3, Some(output(4, node::CONTRACTED, 300, 12))),
        (20, 1, Some(output(7, node::UPDATED, 17_000, 20))),
        (20, 16, Some(output(7, node::UPDATED, 23_999, 20))),
        (1, 1, Some(output(0, node::WEIGHTS, 0, 22))),
        (1, 1, Some(output(0, node::STEP, 0, 0))),
        (10, 3, Some(Lie::Batch { step: 5 })),
        (10, 3, Some(Lie::LazyCopy { step: 0 })),
        (10, 3, None),
        (1, 1, Some(output(0, node::GATHERED, 300, 22))),
    ];
    let last = cases.len() - 1;
    for (number, (inner_steps, steps_per_leaf, lie)) in cases.into_iter().enumerate() {
        let mut court = Court::new(inner_steps, steps_per_leaf, lie);
        let opened = court.open();
        while court.state().game.outcome().unwrap() == Outcome::Open {
            let (side, mut next) = court.next();
            if number == last && next.kind == MoveKind::PostValues {
                next.payload[4..].copy_from_slice(&court.state().game.claim.to_le_bytes());
            }
            for receipt in court.play(side, &next) {
                note(&mut dearest, next.kind, receipt.compute_units, receipt.transaction_bytes);
            }
        }
        if number == last {
            table.0.push(("open_dispute (2 datasets)", opened.compute_units, 11_000, opened.transaction_bytes));
            let resolved = court.resolve();
            table.0.push(("resolve_dispute", resolved.compute_units, 3_500, resolved.transaction_bytes));
            let (key, dispute) = (court.challenger_key(), court.dispute());
            let close = court.scene.world.program.close_dispute(&key.pubkey(), &dispute);
            table.run(&mut court.scene.world, "close_dispute", 220, close, &key);
        }
    }
    let mut court =
        Court::on(&synthetic::Scene::new(1, 1).flawed(Flaw::UnknownTokens { every: 3 }), Some(Lie::PastFault));
    court.open();
    court.lookup_beyond();
    let (side, next) = court.next();
    for receipt in court.play(side, &next) {
        note(&mut dearest, next.kind, receipt.compute_units, receipt.transaction_bytes);
    }
    let mut hall = Hall::new(18, 4);
    hall.attest(|_, _, root| root);
    hall.scene.close_round();
    let (challenger, root) = (hall.challenger.key.insecure_clone(), hall.root(0, 0));
    hall.show(0, 0, &root);
    hall.scene.vote(0, &named("no average"));
    let (vote, attestation) = (hall.vote_dispute(0), hall.attestation_dispute(0, 0));
    let program = hall.scene.world.program;
    let (job, wallet, salt) = (hall.scene.job, challenger.pubkey(), hall.salt);
    let genesis = GenesisAccusation { challenger: &wallet, job: &job, salt: &salt };
    hall.send(hall.vote_commitment(0));
    hall.send(hall.attestation_commitment(0, 0));
    hall.send(program.commit_hidden(&genesis.hidden()));
    let open = hall.vote_accusation(0);
    table.run(&mut hall.scene.world, "open_vote_dispute (2 segm.)", 15_000, open, &challenger);
    let (.., bytes) = table.0[table.0.len() - 1];
    assert!(bytes + 14 * 33 <= 1_232, "sixteen segments do not fit into one transaction");
    let open = hall.attestation_accusation(0, 0);
    table.run(&mut hall.scene.world, "open_attestation_dispute", 16_000, open, &challenger);
    let open = program.open_genesis_dispute(&genesis);
    table.run(&mut hall.scene.world, "open_genesis_dispute", 12_000, open, &challenger);
    let truth = hall.runs[0].clone();
    let game = hall.scene.world.state::<Dispute>(&attestation).game;
    let show = Challenger::new(truth.graph(), truth).next(&game).unwrap().unwrap();
    for instruction in program.moves(&challenger.pubkey(), &attestation, show.kind, &show.payload) {
        let receipt = hall.scene.world.send(&[instruction], &[&challenger]);
        note(&mut dearest, show.kind, receipt.compute_units, receipt.transaction_bytes);
    }
    let genesis = program.dispute(&hall.scene.job, &challenger.pubkey());
    hall.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    for dispute in [vote, attestation, genesis] {
        hall.scene.crank(program.time_out(&dispute));
    }
    let resolve = hall.resolve_instruction(&vote, 0);
    table.run(&mut hall.scene.world, "resolve_auditor_dispute", 3_800, resolve, &challenger);
    let resolve = program.resolve_genesis_dispute(&challenger.pubkey(), &hall.scene.job);
    table.run(&mut hall.scene.world, "resolve_genesis_dispute", 2_200, resolve, &challenger);

    let mut court = Court::new(1, 1, None);
    court.open();
    let (trainer, dispute) = (court.trainer_key(), court.dispute());
    let program = court.scene.world.program;
    let upload = program.upload(&trainer.pubkey(), &dispute, 0, &[7; sip_client::MOVE_PART_BYTES]);
    table.run(&mut court.scene.world, "upload", 1_000, upload, &trainer);
    court.scene.world.advance(Parameters::DEFAULT.clock_slots + 1);
    table.run(&mut court.scene.world, "time_out", 300, program.time_out(&dispute), &trainer);

    for (kind, units, most, bytes) in dearest {
        assert!(units > 0, "no dispute plays {kind:?}");
        table.0.push((name(kind), units, most, bytes));
    }
    table.check();
}

/// Notes what a transaction of a move took.
fn note(dearest: &mut [(MoveKind, u64, u64, usize)], kind: MoveKind, compute_units: u64, transaction_bytes: usize) {
    let row = dearest.iter_mut().find(|row| row.0 == kind).unwrap();
    row.1 = row.1.max(compute_units);
    row.3 = row.3.max(transaction_bytes);
}

/// A move's name as the table shows it.
fn name(kind: MoveKind) -> &'static str {
    Box::leak(format!("{kind:?}").into_boxed_str())
}

//! What each instruction costs, measured on the compiled program. Run with `--nocapture` to see the table.

use sip_client::{
    NewPool, Program,
    testing::{Scene, World, dataset, named, scores},
};
use sip_ledger::Ledger;
use sip_protocol::{
    config::{Parameters, TOKEN},
    pool::PoolKind,
    round,
};
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
}

#[test]
fn every_instruction_stays_within_its_budget() {
    let mut table = Table(Vec::new());
    let program = Program::default();

    let mut world = World::uninitialised();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    table.run(&mut world, "initialize", 25_000, program.initialize(&key, &Parameters::DEFAULT), &authority);
    table.run(&mut world, "set_parameters", 2_000, program.set_parameters(&key, &Parameters::DEFAULT), &authority);
    let create = program.create_token_account(&key, &key);
    world.send(&[create], &[&authority]);
    table.run(&mut world, "distribute", 5_000, program.distribute(&key, &key, TOKEN), &authority);

    let mut scene = Scene::new();
    let operator = scene.world.wallet("operator");
    let wallet = operator.pubkey();
    let new = NewPool { index: 0, self_bond: 2_000 * TOKEN, commission_bps: 500, chain_tip: [0; 32] };
    let pool = program.pool(PoolKind::Data, &wallet, 0);
    let world = &mut scene.world;
    table.run(world, "create_pool", 15_000, program.create_pool(&wallet, PoolKind::Data, &new), &operator);
    table.run(world, "add_bond", 5_000, program.add_bond(&wallet, &pool, TOKEN), &operator);
    let data = dataset("another");
    table.run(world, "register_dataset", 12_000, program.register_dataset(&wallet, &pool, &data), &operator);
    let patron = world.wallet("patron");
    let owner = patron.pubkey();
    table.run(world, "deposit (first)", 15_000, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    table.run(world, "deposit", 6_000, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    table.run(world, "request_exit", 10_000, program.request_exit(&owner, &pool, 0, TOKEN), &patron);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    table.run(world, "claim_exit", 6_000, program.claim_exit(&owner, &pool, 0), &patron);
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let world = &mut scene.world;
    let steer = program.move_attention(&owner, &from, &to, TOKEN, 0);
    table.run(world, "move_attention (first)", 18_000, steer.clone(), &patron);
    table.run(world, "move_attention", 5_000, steer, &patron);
    table.run(world, "retire_pool", 2_000, program.retire_pool(&wallet, &pool), &operator);
    world.advance(slots);
    table.run(world, "withdraw_bond", 5_000, program.withdraw_bond(&wallet, &pool), &operator);

    let spec = scene.job_state().spec;
    let another = program.job(&key, 7);
    let create = program.create_job(&key, 7, &spec, &scene.datasets);
    table.run(&mut scene.world, "create_job (3 domains)", 12_000, create, &authority);
    let create = program.create_attention_pool(&key, &another, 0);
    table.run(&mut scene.world, "create_attention_pool", 15_000, create, &authority);
    let trainer = scene.trainers[0].key.insecure_clone();
    let seat = scene.trainers[0].seat;
    table.run(&mut scene.world, "join_job", 3_000, program.join_job(&seat.operator, &another, &seat.pool), &trainer);

    let job = scene.job;
    table.run(&mut scene.world, "open_round (3 domains)", 12_000, program.open_round(&key, &job, 0, 3), &authority);
    let round = scene.round();
    let commit = scene.commit_instruction(0, &scene.claim(0));
    table.run(&mut scene.world, "commit_segment", 14_000, commit, &trainer);
    scene.commit(1);
    scene.commit(2);
    table.run(&mut scene.world, "close_commits", 2_000, program.close_commits(&job, &round), &authority);
    let preimage = scene.auditors[0].chain.pop().unwrap();
    let (auditor, auditor_key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let reveal = program.reveal_draw(&auditor, &job, &round, &preimage);
    table.run(&mut scene.world, "reveal_draw", 4_000, reveal, &auditor_key);
    let attest = program.attest(&auditor, &job, &round, &scene.segment(0), &named("digest"));
    table.run(&mut scene.world, "attest", 4_000, attest, &auditor_key);
    scene.attest(0, 1);
    scene.attest(0, 2);
    scene.reveal(1);
    for trainer in 0..3 {
        scene.attest(1, trainer);
    }
    let close = scene.close_instruction(&[0, 1, 2]);
    table.run(&mut scene.world, "close_round (3 segments)", 9_000, close, &authority);
    let vote = program.vote_base(&auditor, &job, &round, &named("base"));
    table.run(&mut scene.world, "vote_base", 4_000, vote, &auditor_key);
    scene.vote(1, &named("base"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
    let evaluator = scene.evaluators[0].key.insecure_clone();
    let commit = scene.commit_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, "commit_score", 3_000, commit, &evaluator);
    scene.commit_score(1, &scores(5_000_000));
    scene.commit_score(2, &scores(5_000_000));
    let reveal = scene.reveal_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, "reveal_score", 4_000, reveal, &evaluator);
    scene.reveal_score(1, &scores(5_000_000));
    scene.reveal_score(2, &scores(5_000_000));
    table.run(&mut scene.world, "tally", 8_000, program.tally(&job, &round), &authority);

    let trainer_pool = scene.trainers[0].seat.pool;
    let evaluator_pool = scene.evaluators[0].seat.pool;
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    let world = &mut scene.world;
    table.run(world, "settle_segment", 4_000, program.settle_segment(&round, &trainer_pool), &authority);
    table.run(world, "settle_audit", 4_000, program.settle_audit(&job, &round, &auditor.pool, 0), &authority);
    let settle = program.settle_evaluation(&job, &round, &evaluator_pool, 0);
    table.run(world, "settle_evaluation", 4_000, settle, &authority);
    let settle = program.settle_data(&job, &round, 0, &dataset, &provider);
    table.run(world, "settle_data", 4_000, settle, &authority);
    table.run(world, "settle_patrons", 4_000, program.settle_patrons(&job, &round, 0), &authority);
    table.run(world, "claim_rewards", 6_000, program.claim_rewards(&owner, &from), &patron);
    table.run(world, "claim_commission", 5_000, program.claim_commission(&seat.operator, &trainer_pool), &trainer);

    println!("{:<26} {:>8} {:>8} {:>6}", "instruction", "units", "budget", "bytes");
    for (name, units, most, bytes) in &table.0 {
        println!("{name:<26} {units:>8} {most:>8} {bytes:>6}");
    }
    for (name, units, most, _) in table.0 {
        assert!(units <= most, "{name} takes {units} compute units; its budget is {most}");
    }
    assert!(scene.world.ledger.statistics().transactions > 0);
}

//! A life from the configuration to the settlement, jobs in their dearest forms, and what closes.

use sip_client::{NewPool, Program};
use sip_protocol::{
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, ProposalKind},
        config::Parameters,
    },
    ground::{schedule::YEAR_SLOTS, units::TOKEN},
    network::peer::{Contact, Peer},
    stake::pool::{Pool, PoolKind, RETIRED},
    training::{
        round::{self},
        seats::DORMANT,
        setting::{SETTING_ONE, Setting},
    },
};
use sip_testing::{Cast, Scene, World, card, dataset, named, scores};
use solana_signer::Signer;

use crate::Table;

/// Each segment that a second draw may select costs its vote one hash.
pub(crate) fn second_draws() -> Table {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, u32::MAX);
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    let key = scene.auditors[0].key.insecure_clone();
    let mut table = Table::default();
    let vote = scene.vote_instruction(0, &named("base"));
    table.run_as(&mut scene.world, "3 segments", vote, &key);
    let attest = scene.attest_second_instruction(0, 1, &named("replay"));
    table.run(&mut scene.world, attest, &key);
    table
}

pub(crate) fn a_life() -> Table {
    let mut table = Table::default();
    let program = Program::default();

    let mut world = World::uninitialised();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    table.run(&mut world, program.initialize(&key, &Parameters::DEFAULT), &authority);
    table.run(&mut world, program.propose_parameters(&key, &Parameters::DEFAULT), &authority);
    let create = program.create_token_account(&key, &key);
    world.send(&[create], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(&mut world, program.apply_parameters(), &authority);
    let spend = program.propose_spending(&key, ProposalKind::Treasury, &key, TOKEN);
    table.run(&mut world, spend, &authority);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    table.run(&mut world, program.apply_spending(&key), &authority);
    world.send(&[program.propose_spending(&key, ProposalKind::Treasury, &key, TOKEN)], &[&authority]);
    table.run(&mut world, program.cancel_proposal(&key), &authority);
    table.run(&mut world, program.pause(&key), &authority);
    table.run(&mut world, program.unpause(&key), &authority);
    table.run(&mut world, program.nominate_authority(&key, &key), &authority);
    table.run(&mut world, program.accept_authority(&key), &authority);
    world.advance(2 * YEAR_SLOTS);
    table.run(&mut world, program.claim_vested(&key, &key), &authority);
    table.run(&mut world, program.distribute(&key, &key, TOKEN), &authority);

    let mut scene = Scene::new();
    let operator = scene.world.wallet("operator");
    let wallet = operator.pubkey();
    let new = NewPool { index: 0, self_bond: 2_000 * TOKEN, commission_bps: 500, chain_tip: [0; 32] };
    let pool = program.pool(PoolKind::Data, &wallet, 0);
    let world = &mut scene.world;
    table.run(world, program.create_pool(&wallet, PoolKind::Data, &new), &operator);
    table.run(world, program.add_bond(&wallet, &pool, TOKEN), &operator);
    let data = dataset("another");
    table.run(world, program.register_dataset(&wallet, &pool, &data), &operator);
    let patron = world.wallet("patron");
    let owner = patron.pubkey();
    table.run_as(world, "first", program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    table.run(world, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron);
    let half = world.config().parameters.activation_slots / 2;
    world.advance(half);
    table.run(world, program.activate(&pool, &owner), &patron);
    table.run(world, program.cancel_deposit(&owner, &pool, 0), &patron);
    table.run(world, program.request_exit(&owner, &pool, 1, TOKEN), &patron);
    world.send(&[program.request_exit(&owner, &pool, 2, TOKEN)], &[&patron]);
    table.run(world, program.rebond(&owner, &pool, 2, 0), &patron);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    table.run(world, program.claim_exit(&owner, &pool, 0), &patron);
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let world = &mut scene.world;
    let steer = program.move_attention(&owner, &from, &to, TOKEN, 0);
    table.run_as(world, "first", steer.clone(), &patron);
    table.run(world, steer, &patron);
    table.run(world, program.retire_pool(&wallet, &pool), &operator);
    world.advance(slots);
    table.run(world, program.withdraw_bond(&wallet, &pool), &operator);

    let spec = scene.job_state().spec;
    let another = program.job(&key, 7);
    let create = program.create_job(&key, 7, &spec, &scene.datasets);
    table.run_as(&mut scene.world, "3 domains", create, &authority);
    let describe = program.describe_job(&key, &another, &card("another manifest"));
    table.run(&mut scene.world, describe, &authority);
    let create = program.create_attention_pool(&key, &another, 0);
    table.run(&mut scene.world, create, &authority);
    let trainer = scene.trainers[0].key.insecure_clone();
    let seat = scene.trainers[0].seat;
    table.run(&mut scene.world, program.join_job_with(&seat.operator, &another, &seat.pool, 0), &trainer);
    let allot = program.allot_stake(&seat, &scene.job, 10_000);
    table.run(&mut scene.world, allot, &trainer);
    let leave = program.leave_job(&sip_client::Seat { place: 0, ..seat }, &another);
    table.run(&mut scene.world, leave, &trainer);

    let job = scene.job;
    table.run_as(&mut scene.world, "3 domains", program.open_round(&key, &job, 0, 3), &authority);
    let round = scene.round();
    let commit = scene.commit_instruction(0, &scene.claim(0));
    table.run(&mut scene.world, commit, &trainer);
    scene.commit(1);
    scene.commit(2);
    table.run(&mut scene.world, program.close_commits(&job, &round), &authority);
    let preimage = scene.next_draw(0);
    let (auditor, auditor_key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let reveal = program.reveal_draw(&auditor, &job, &round, &preimage);
    table.run(&mut scene.world, reveal, &auditor_key);
    let attest = program.attest(&auditor, &job, &round, &scene.segment(0), &named("digest"));
    table.run(&mut scene.world, attest, &auditor_key);
    scene.attest(0, 1);
    scene.attest(0, 2);
    scene.reveal(1);
    for trainer in 0..3 {
        scene.attest(1, trainer);
    }
    let show = scene.show_instruction(0, 1, &Scene::trace_root(0, 1));
    let close = scene.close_instruction(&[0, 1, 2]);
    table.run_as(&mut scene.world, "3 segments", close, &authority);
    table.run(&mut scene.world, show, &auditor_key);
    scene.show(0, 2);
    (0..3).for_each(|trainer| scene.show(1, trainer));
    let vote = scene.vote_instruction(0, &named("base"));
    table.run(&mut scene.world, vote, &auditor_key);
    scene.vote(1, &named("base"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
    let evaluator = scene.evaluators[0].key.insecure_clone();
    let commit = scene.commit_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, commit, &evaluator);
    scene.commit_score(1, &scores(5_000_000));
    scene.commit_score(2, &scores(5_000_000));
    let reveal = scene.reveal_score_instruction(0, &scores(5_000_000));
    table.run(&mut scene.world, reveal, &evaluator);
    scene.reveal_score(1, &scores(5_000_000));
    scene.reveal_score(2, &scores(5_000_000));
    table.run(&mut scene.world, program.tally(&job, &round), &authority);

    let due = scene.round_state().seed_slots[1] + 1;
    scene.advance_to(due);
    table.run(&mut scene.world, program.capture_seed(&job, &round), &authority);
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    table.run(&mut scene.world, program.finalize_round(&job, &round), &authority);

    let trainer_pool = scene.trainers[0].seat.pool;
    let evaluator_pool = scene.evaluators[0].seat.pool;
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    let world = &mut scene.world;
    table.run(world, program.settle_segment(&job, &round, &trainer_pool), &authority);
    // The digest that was made up above cannot be shown.
    world.advance(50);
    table.run(world, program.settle_audit(&job, &round, &auditor.pool, 0), &authority);
    let settle = program.settle_evaluation(&job, &round, &evaluator_pool, 0);
    table.run(world, settle, &authority);
    let settle = program.settle_data(&job, &round, 0, &dataset, &provider);
    table.run(world, settle, &authority);
    table.run(world, program.settle_patrons(&job, &round, 0), &authority);
    table.run(world, program.claim_rewards(&owner, &from), &patron);
    table.run(world, program.claim_commission(&seat.operator, &trainer_pool), &trainer);

    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    let reclaim = program.reclaim_genesis_bond(&key, &job);
    table.run(&mut scene.world, reclaim, &authority);

    table
}

pub(crate) fn a_job_steered_in_full() -> Table {
    let mut cast = Cast::default();
    cast.spec.domain_count = 8;
    cast.spec.mixture_floor_bps = 100;
    for (meaning, setting) in (1..).zip(&mut cast.spec.settings) {
        *setting = Setting::new(meaning, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);
    }
    let mut scene = Scene::with(&cast);
    let mut table = Table::default();
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let create = scene.world.program.create_job(&key, 7, &cast.spec, &scene.datasets);
    table.run_as(&mut scene.world, "8 domains, 4 settings", create, &authority);
    let open = scene.world.program.open_next_round(&key, &scene.job, &scene.job_state());
    table.run_as(&mut scene.world, "8 domains, 4 settings", open, &authority);
    table
}

pub(crate) fn a_tally_that_remembers_eight_improvements() -> Table {
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
    let mut table = Table::default();
    let authority = scene.world.authority.insecure_clone();
    let tally = scene.world.program.tally(&scene.job, &scene.round());
    table.run_as(&mut scene.world, "8 improvements", tally, &authority);
    table
}

/// A round that is challenged: accusations, amendments, demands.
pub(crate) fn closing() -> Table {
    let mut table = Table::default();
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
        table.run(&mut scene.world, instruction, &authority);
    }
    table
}

/// A trainer that is awaited and commits nothing, a seat out of order, and a vote without a majority.
pub(crate) fn absences() -> Table {
    let mut table = Table::default();
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    scene.open_round();
    let deadline = scene.round_state().commit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_commits();
    scene.close_round();
    let end = scene.round_state().final_slot();
    scene.advance_to(end);
    let absent = scene.trainers[2].seat;
    let settle = program.settle_absent(&scene.job, &scene.round(), &absent.pool, absent.place);
    table.run(&mut scene.world, settle, &authority);
    // Slashes have left next to nothing of it.
    let pool = scene.pool_state(&absent.pool);
    scene.world.overwrite(&absent.pool, &Pool { status: RETIRED, ..pool });
    let check = program.check_seat(&scene.job, &absent.pool, absent.place);
    table.run(&mut scene.world, check, &authority);

    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.world.advance(50);
    let void = program.void_round(&scene.job, &scene.round());
    table.run(&mut scene.world, void, &authority);
    let thaw = [
        program.thaw_segment(&scene.round(), &scene.trainers[0].seat.pool),
        program.thaw_seat(&scene.round(), &scene.auditors[0].seat.pool, 0),
    ];
    for thaw in thaw {
        table.run(&mut scene.world, thaw, &authority);
    }
    table
}

/// Peers, session keys, a seat that is woken.
pub(crate) fn peers() -> Table {
    let mut scene = Scene::new();
    let mut table = Table::default();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let hot = scene.world.wallet("hot");
    table.run(&mut scene.world, program.set_session(&seat.operator, &seat.pool, &hot.pubkey(), u64::MAX), &trainer);
    let contact = Contact::NOWHERE.serving_at(&format!("http://{}.example", "a".repeat(80))).expect("a contact");
    let first = program.announce_peer(&hot.pubkey(), &seat.pool, None, 1, &contact);
    table.run_as(&mut scene.world, "first", first, &hot);
    let record: Peer = scene.world.state(&program.peer(&seat.pool));
    scene.world.advance(2);
    let again = program.announce_peer(&hot.pubkey(), &seat.pool, Some(&record), 1, &contact);
    table.run(&mut scene.world, again, &hot);
    scene.world.advance(2);
    table.run(&mut scene.world, program.close_peer(&hot.pubkey(), &seat.pool, &hot.pubkey()), &hot);
    scene.world.send(&[program.announce_peer(&hot.pubkey(), &seat.pool, None, 1, &contact)], &[&hot]);
    scene.world.advance(scene.world.config().parameters.unbonding_slots);
    table.run(&mut scene.world, program.reclaim_peer(&seat.pool, &hot.pubkey()), &hot);
    let mut state = scene.job_state();
    state.trainers[0].state = DORMANT;
    scene.world.overwrite(&job, &state);
    let wake = program.wake_seat(&sip_client::Seat { operator: hot.pubkey(), ..seat }, &job);
    table.run(&mut scene.world, wake, &hot);
    table
}

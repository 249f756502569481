//! Valid transactions of stake, jobs, rounds and challenges for the table, and what becomes of accounts that are not what they should be.

use crate::{
    accuser::Accuser,
    table::{send_guarded, send_unread},
};
use sip_client::{NewPool, StateDemand};
use sip_ledger::Ledger;
use sip_protocol::{
    Account, Error,
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, ProposalKind},
        config::Parameters,
    },
    ground::{escrow::REVEAL_SLOTS, schedule::YEAR_SLOTS, units::TOKEN},
    stake::{
        pool::{Pool, PoolKind, RETIRED},
        position::Position,
    },
    training::{
        round::Round,
        segment::SegmentClaim,
        setting::{LEARNING_RATE, SETTING_ONE, Setting},
    },
};
use sip_testing::{Cast, Scene, World, card, dataset, named, scores};
use solana_account::Account as LedgerAccount;
use solana_instruction::Instruction;
use solana_signer::Signer;

pub(crate) fn settings_are_guarded() {
    let mut cast = Cast::default();
    cast.spec.settings[0] = Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let (key, spec, datasets) = (authority.pubkey(), scene.job_state().spec, scene.datasets.clone());
    let another = program.job(&key, 7);
    let world = &mut scene.world;
    send_guarded(world, program.create_job(&key, 7, &spec, &datasets), &authority, &[]);
    for number in spec.attention_numbers() {
        send_guarded(world, program.create_attention_pool(&key, &another, number), &authority, &[]);
    }
    // Anyone may pay for a round.
    let open = program.open_next_round(&key, &scene.job, &scene.job_state());
    send_guarded(&mut scene.world, open, &authority, &[0]);
}

pub(crate) fn the_configuration_is_guarded() {
    let mut world = World::uninitialised();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    send_guarded(&mut world, program.initialize(&key, &Parameters::DEFAULT), &authority, &[]);
    world.send(&[program.create_token_account(&key, &key)], &[&authority]);
    send_guarded(&mut world, program.propose_parameters(&key, &Parameters::DEFAULT), &authority, &[]);
    send_guarded(&mut world, program.distribute(&key, &key, TOKEN), &authority, &[]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    send_guarded(&mut world, program.apply_parameters(), &authority, &[]);
    let spend = program.propose_spending(&key, ProposalKind::Treasury, &key, TOKEN);
    send_guarded(&mut world, spend.clone(), &authority, &[]);
    send_guarded(&mut world, program.cancel_proposal(&key), &authority, &[]);
    world.send(&[spend], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    send_guarded(&mut world, program.apply_spending(&key), &authority, &[]);
    send_guarded(&mut world, program.pause(&key), &authority, &[]);
    send_guarded(&mut world, program.unpause(&key), &authority, &[]);
    world.advance(2 * YEAR_SLOTS);
    send_guarded(&mut world, program.claim_vested(&key, &key), &authority, &[]);
    condemn(&mut world);
    send_guarded(&mut world, program.burn_condemned(), &authority, &[]);
    let next = world.wallet("next");
    send_guarded(&mut world, program.nominate_authority(&key, &next.pubkey()), &authority, &[]);
    send_guarded(&mut world, program.accept_authority(&next.pubkey()), &next, &[]);
}

/// Leaves something to burn, as a conviction does.
fn condemn(world: &mut World) {
    let mut config = world.config();
    config.buckets.reserve -= TOKEN;
    config.condemned = TOKEN;
    let address = world.program.config();
    world.overwrite(&address, &config);
}

pub(crate) fn stake_is_guarded() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let job = scene.job;
    let world = &mut scene.world;
    let operator = world.wallet("operator");
    let wallet = operator.pubkey();
    let new = NewPool { index: 0, self_bond: 2_000 * TOKEN, commission_bps: 500, chain_tip: [0; 32] };
    let pool = program.pool(PoolKind::Data, &wallet, 0);
    send_guarded(world, program.create_pool(&wallet, PoolKind::Data, &new), &operator, &[]);
    send_guarded(world, program.add_bond(&wallet, &pool, TOKEN), &operator, &[]);
    send_guarded(world, program.register_dataset(&wallet, &pool, &dataset("another")), &operator, &[]);
    let patron = world.wallet("patron");
    let owner = patron.pubkey();
    send_guarded(world, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron, &[]);
    // The second deposit creates nothing and needs no system program.
    send_unread(world, program.deposit(&owner, &pool, 500 * TOKEN, 0), &patron, &[], &[7]);
    let half = world.config().parameters.activation_slots / 2;
    world.advance(half);
    send_guarded(world, program.activate(&pool, &owner), &patron, &[]);
    send_guarded(world, program.cancel_deposit(&owner, &pool, 0), &patron, &[]);
    send_guarded(world, program.request_exit(&owner, &pool, 1, TOKEN), &patron, &[]);
    send_guarded(world, program.request_exit(&owner, &pool, 2, TOKEN), &patron, &[]);
    // The other tickets of the same owner are as good.
    send_guarded(world, program.rebond(&owner, &pool, 2, 0), &patron, &[4]);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    // The other ticket of the same owner is as good.
    send_guarded(world, program.claim_exit(&owner, &pool, 1), &patron, &[3]);
    send_guarded(world, program.claim_exit(&owner, &pool, 0), &patron, &[]);
    let patron = scene.patrons[0].insecure_clone();
    let (from, to) = (program.attention_pool(&job, 0), program.attention_pool(&job, 1));
    send_guarded(world, program.move_attention(&patron.pubkey(), &from, &to, TOKEN, 0), &patron, &[]);
    send_guarded(world, program.retire_pool(&wallet, &pool), &operator, &[]);
    world.advance(slots);
    send_guarded(world, program.withdraw_bond(&wallet, &pool), &operator, &[]);
}

pub(crate) fn jobs_rounds_and_settlements_are_guarded() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let spec = scene.job_state().spec;
    let another = program.job(&key, 7);
    let (datasets, job) = (scene.datasets.clone(), scene.job);
    let world = &mut scene.world;
    // Which datasets a job uses is its creator's choice, but none twice.
    send_guarded(world, program.create_job(&key, 7, &spec, &datasets), &authority, &[]);
    send_guarded(world, program.describe_job(&key, &another, &card("another manifest")), &authority, &[]);
    for domain in 0..3 {
        send_guarded(world, program.create_attention_pool(&key, &another, domain), &authority, &[]);
    }
    let trainer = scene.trainers[0].key.insecure_clone();
    let seat = scene.trainers[0].seat;
    send_guarded(world, program.allot_stake(&seat, &job, 4_000), &trainer, &[]);
    send_guarded(world, program.join_job_with(&seat.operator, &another, &seat.pool, 6_000), &trainer, &[]);
    world.refused(&[program.allot_stake(&seat, &job, 4_001)], &[&trainer], Error::AllotmentTooLarge);
    let mut leaver = world.operator("leaver", PoolKind::Trainer);
    leaver.seat.place = 1;
    world.send(&[program.join_job(&leaver.seat.operator, &another, &leaver.seat.pool)], &[&leaver.key]);
    // Slashes have left next to nothing of it.
    let left: Pool = world.state(&leaver.seat.pool);
    world.overwrite(&leaver.seat.pool, &Pool { status: RETIRED, ..left });
    send_guarded(world, program.check_seat(&another, &leaver.seat.pool, 1), &authority, &[]);
    send_guarded(world, program.leave_job(&leaver.seat, &another), &leaver.key, &[]);

    // Anyone may pay for a round.
    send_guarded(world, program.open_round(&key, &job, 0, 3), &authority, &[0]);
    let round = scene.round();
    for place in 0..3 {
        let commit = scene.commit_instruction(place, &scene.claim(place));
        let trainer = scene.trainers[place].key.insecure_clone();
        send_guarded(&mut scene.world, commit, &trainer, &[]);
    }
    let seat = scene.trainers[0].seat;
    let claim = SegmentClaim { end_root: named("amended"), ..scene.claim(0) };
    let add = program.add_bond(&seat.operator, &seat.pool, 10 * TOKEN);
    scene.world.send(&[add], &[&trainer]);
    let amend = program.amend_segment(&seat.operator, &job, &round, &seat.pool, &claim);
    send_guarded(&mut scene.world, amend, &trainer, &[]);
    send_guarded(&mut scene.world, program.close_commits(&job, &round), &authority, &[]);
    for place in 0..2 {
        let auditor = scene.auditors[place].key.insecure_clone();
        let preimage = scene.next_draw(place);
        let reveal = program.reveal_draw(&scene.auditors[place].seat, &job, &round, &preimage);
        send_guarded(&mut scene.world, reveal, &auditor, &[]);
        for trainer in 0..3 {
            let segment = scene.segment(trainer);
            let attest = program.attest(&scene.auditors[place].seat, &job, &round, &segment, &named("digest"));
            // An auditor that draws everything may attest another segment instead.
            send_guarded(&mut scene.world, attest, &auditor, &[4]);
        }
    }
    let close = scene.close_instruction(&[0, 1, 2]);
    send_guarded(&mut scene.world, close, &authority, &[]);
    for place in 0..2 {
        let auditor = scene.auditors[place].key.insecure_clone();
        let vote = scene.vote_instruction(place, &named("base"));
        send_guarded(&mut scene.world, vote, &auditor, &[]);
    }
    for place in 0..3 {
        let evaluator = scene.evaluators[place].key.insecure_clone();
        let commit = scene.commit_score_instruction(place, &scores(5_000_000));
        send_guarded(&mut scene.world, commit, &evaluator, &[]);
    }
    for place in 0..3 {
        let evaluator = scene.evaluators[place].key.insecure_clone();
        let reveal = scene.reveal_score_instruction(place, &scores(5_000_000));
        send_guarded(&mut scene.world, reveal, &evaluator, &[]);
    }
    send_guarded(&mut scene.world, program.tally(&job, &round), &authority, &[]);
    let due = scene.round_state().seed_slots[1] + 1;
    scene.advance_to(due);
    send_guarded(&mut scene.world, program.capture_seed(&job, &round), &authority, &[]);
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    send_guarded(&mut scene.world, program.finalize_round(&job, &round), &authority, &[]);

    let (trainer_pool, auditor_pool) = (scene.trainers[0].seat.pool, scene.auditors[0].seat.pool);
    let evaluator_pool = scene.evaluators[0].seat.pool;
    let provider = scene.providers[0].seat.pool;
    let patron = scene.patrons[0].insecure_clone();
    let attention = program.attention_pool(&job, 0);
    let world = &mut scene.world;
    send_guarded(world, program.settle_segment(&job, &round, &trainer_pool), &authority, &[]);
    // The digests that were made up above cannot be shown.
    world.advance(50);
    send_guarded(world, program.settle_audit(&job, &round, &auditor_pool, 0), &authority, &[]);
    send_guarded(world, program.settle_evaluation(&job, &round, &evaluator_pool, 0), &authority, &[]);
    send_guarded(world, program.settle_data(&job, &round, 0, &datasets[0], &provider), &authority, &[]);
    send_guarded(world, program.settle_patrons(&job, &round, 0), &authority, &[]);
    absences_are_guarded();
    send_guarded(world, program.claim_rewards(&patron.pubkey(), &attention), &patron, &[]);
    send_guarded(world, program.claim_commission(&seat.operator, &trainer_pool), &trainer, &[]);
}

pub(crate) fn thaws_are_guarded() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    let deadline = scene.round_state().vote_deadline_slot;
    scene.advance_to(deadline);
    scene.crank(scene.world.program.void_round(&scene.job, &scene.round()));
    let (program, round) = (scene.world.program, scene.round());
    let authority = scene.world.authority.insecure_clone();
    let (trainer, auditor) = (scene.trainers[0].seat.pool, scene.auditors[0].seat.pool);
    send_guarded(&mut scene.world, program.thaw_segment(&round, &trainer), &authority, &[]);
    send_guarded(&mut scene.world, program.thaw_seat(&round, &auditor, 0), &authority, &[]);
}

pub(crate) fn second_draws_are_guarded() {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, u32::MAX);
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    let auditor = scene.auditors[0].key.insecure_clone();
    let attest = scene.attest_second_instruction(0, 0, &named("replay"));
    // An auditor that draws everything may attest another segment instead.
    send_guarded(&mut scene.world, attest, &auditor, &[4]);
}

pub(crate) fn accusations_demands_and_undone_rounds_are_guarded() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 30_000;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    scene.whole_round(&scores(5_000_000));
    let (job, round) = (scene.job, scene.round());
    scene.open_round();
    let running = scene.round();
    let [first, second, third] = ["first", "second", "third"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    for accuser in [&first, &second, &third] {
        let commit = accuser.commit_instruction(&scene);
        send_guarded(&mut scene.world, commit, &accuser.key, &[]);
    }
    scene.world.advance(1);
    let open = second.open_instruction(&scene);
    // The configuration and the job's datasets are the only ones of their kind that fit.
    send_guarded(&mut scene.world, open, &second.key, &[]);
    second.win(&mut scene);
    let withdraw = third.withdraw_instruction(&scene);
    send_guarded(&mut scene.world, withdraw, &third.key, &[]);
    scene.world.advance(REVEAL_SLOTS + 1);
    let expire = first.expire_instruction(&scene);
    send_guarded(&mut scene.world, expire, &authority, &[]);
    let claim = second.claim_instruction(&scene);
    send_guarded(&mut scene.world, claim, &authority, &[]);
    let undo = scene.undo_round(&running);
    send_guarded(&mut scene.world, undo, &authority, &[]);

    let reader = scene.world.wallet("reader");
    let (wallet, pool) = (reader.pubkey(), scene.trainers[0].seat.pool);
    let demand = StateDemand { demander: &wallet, job: &job, round: &round, pool: &pool, entry: 3, chunk: 0 };
    send_guarded(&mut scene.world, program.demand_state(&demand), &reader, &[]);
    let (dataset, provider) = (scene.datasets[0], scene.providers[0].seat.pool);
    send_guarded(&mut scene.world, program.demand_data(&wallet, &dataset, &provider, 2), &reader, &[]);
    let slots = scene.world.config().parameters.clock_slots;
    scene.world.advance(slots + 1);
    send_guarded(&mut scene.world, program.fail_state(&demand), &authority, &[]);
    send_guarded(&mut scene.world, program.fail_data(&wallet, &dataset, &provider, 2), &authority, &[]);
    let key = scene.providers[0].key.insecure_clone();
    send_guarded(&mut scene.world, program.retire_dataset(&key.pubkey(), &dataset, &provider), &key, &[]);
    let deadline = scene.world.state::<Round>(&round).disputable_until() - REVEAL_SLOTS;
    scene.advance_to(deadline + REVEAL_SLOTS + 1);
    let release = program.release_bounty(&round, &program.segment(&round, &pool));
    send_guarded(&mut scene.world, release, &authority, &[]);
    for address in
        [program.demand(&program.segment(&round, &pool), &wallet, 3, 0), program.demand(&dataset, &wallet, 0, 2)]
    {
        // The other one is over too, and as much the reader's.
        send_guarded(&mut scene.world, program.close_demand(&wallet, &address), &reader, &[1]);
    }
}

pub(crate) fn a_round_without_a_majority_is_voided_under_guard() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.world.advance(50);
    let void = scene.world.program.void_round(&scene.job, &scene.round());
    let authority = scene.world.authority.insecure_clone();
    send_guarded(&mut scene.world, void, &authority, &[]);
}

#[test]
fn unknown_instructions_are_refused() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    for tag in [0x1F, 0x3F, 0x5F, 0x7F, 0x9F, 0xBF, 0xC0, 0xFF] {
        let instruction = Instruction { program_id: world.program.id, accounts: vec![], data: vec![tag] };
        world.refused(&[instruction], &[&authority], Error::UnknownInstruction);
    }
}

pub(crate) fn lamports_sent_to_an_address_beforehand_do_no_harm() {
    let mut world = World::uninitialised();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    for address in [program.config(), program.mint(), program.vault(), program.job(&key, 0)] {
        world.ledger.airdrop(&address, 1).unwrap();
    }
    let rich = program.pool(PoolKind::Data, &key, 0);
    world.ledger.airdrop(&rich, 10_000_000_000).unwrap();
    world.send(
        &[
            program.initialize(&key, &Parameters::DEFAULT),
            program.create_token_account(&key, &key),
            program.distribute(&key, &key, 10_000 * TOKEN),
        ],
        &[&authority],
    );
    let new = NewPool { self_bond: 2_000 * TOKEN, ..NewPool::default() };
    world.send(&[program.create_pool(&key, PoolKind::Data, &new)], &[&authority]);
    assert_eq!(world.state::<Pool>(&rich).self_bond, 2_000 * TOKEN);
}

pub(crate) fn nothing_is_initialised_twice() {
    let mut scene = Scene::new();
    scene.open_round();
    scene.commit(0);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let initialize = program.initialize(&key, &Parameters::DEFAULT);
    scene.world.refused(&[initialize], &[&authority], Error::AlreadyInitialised);
    let spec = scene.job_state().spec;
    let job = program.create_job(&key, 0, &spec, &scene.datasets);
    scene.world.refused(&[job], &[&authority], Error::AlreadyInitialised);
    let pool = program.create_attention_pool(&key, &scene.job, 0);
    scene.world.refused(&[pool], &[&authority], Error::AlreadyInitialised);
    let provider = scene.providers[0].key.insecure_clone();
    let new = NewPool { self_bond: 2_000 * TOKEN, ..NewPool::default() };
    let pool = program.create_pool(&provider.pubkey(), PoolKind::Data, &new);
    scene.world.refused(&[pool], &[&provider], Error::AlreadyInitialised);
    let again = program.register_dataset(&provider.pubkey(), &scene.providers[0].seat.pool, &dataset("domain 0"));
    scene.world.refused(&[again], &[&provider], Error::AlreadyInitialised);
    let trainer = scene.trainers[0].key.insecure_clone();
    let commit = scene.commit_instruction(0, &scene.claim(0));
    scene.world.refused(&[commit], &[&trainer], Error::AlreadyInitialised);
}

#[test]
fn another_version_size_or_kind_of_an_account_is_refused() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = scene.trainers[0].seat.pool;
    let key = scene.trainers[0].key.insecure_clone();
    let claim = program.claim_commission(&key.pubkey(), &pool);
    let original = scene.world.ledger.account(&pool).unwrap();
    for (offset, value, expected) in [
        (0, 3, Error::WrongKind),
        (0, 0, Error::NotInitialised),
        (0, 200, Error::WrongKind),
        (1, 1, Error::WrongVersion),
        (1, 3, Error::WrongVersion),
    ] {
        let mut changed = original.clone();
        changed.data[offset] = value;
        scene.world.ledger.set_account(pool, changed).unwrap();
        let result = scene.world.ledger.send(std::slice::from_ref(&claim), &key, &[&key]);
        assert_eq!(result.unwrap_err().custom_code(), Some(expected.code()));
    }
    for data in [vec![2u8, 1, 0, 0], [original.data.as_slice(), &[0]].concat(), original.data[..8].to_vec()] {
        let changed = LedgerAccount { data, ..original.clone() };
        scene.world.ledger.set_account(pool, changed).unwrap();
        let result = scene.world.ledger.send(std::slice::from_ref(&claim), &key, &[&key]);
        assert_eq!(result.unwrap_err().custom_code(), Some(Error::WrongSize.code()));
    }
    assert_eq!(Pool::decode(&original.data[1..]).map(|_| ()), Err(Error::WrongSize));
    assert_eq!(Position::decode(&[0; Position::SIZE]).map(|_| ()), Err(Error::NotInitialised));
}

#[test]
fn a_copy_of_an_account_under_another_owner_is_refused() {
    let mut scene = Scene::new();
    let key = scene.trainers[0].key.insecure_clone();
    let pool = scene.trainers[0].seat.pool;
    let copy = solana_keypair::Keypair::new_from_array(named("copy")).pubkey();
    let state = scene.world.ledger.account(&pool).unwrap();
    let owner = solana_keypair::Keypair::new_from_array(named("owner")).pubkey();
    scene.world.ledger.set_account(copy, LedgerAccount { owner, ..state }).unwrap();
    let claim = scene.world.program.claim_commission(&key.pubkey(), &copy);
    scene.world.refused(&[claim], &[&key], Error::WrongOwner);
}

pub(crate) fn one_account_in_two_places_is_refused() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    let owner = patron.pubkey();
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let same = program.move_attention(&owner, &from, &from, TOKEN, 0);
    scene.world.refused(&[same], &[&patron], Error::SamePool);
    let mut both = program.move_attention(&owner, &from, &to, TOKEN, 0);
    both.accounts[6] = both.accounts[4].clone();
    scene.world.refused(&[both], &[&patron], Error::DuplicateAccount);
    // The vault as a wallet would pay the protocol to itself.
    let mut deposit = program.deposit(&owner, &from, TOKEN, 0);
    deposit.accounts[4] = deposit.accounts[5].clone();
    scene.world.refused(&[deposit], &[&patron], Error::WrongTokenAccount);
    let authority = scene.world.authority.insecure_clone();
    let mut distribute = program.distribute(&authority.pubkey(), &authority.pubkey(), TOKEN);
    distribute.accounts[3] = distribute.accounts[2].clone();
    scene.world.refused(&[distribute], &[&authority], Error::WrongTokenAccount);
}

/// A trainer that is awaited and commits nothing.
fn absences_are_guarded() {
    let mut scene = Scene::new();
    let authority = scene.world.authority.insecure_clone();
    scene.open_round();
    let deadline = scene.round_state().commit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_commits();
    scene.close_round();
    let end = scene.round_state().final_slot();
    scene.advance_to(end);
    let absent = scene.trainers[2].seat;
    let settle = scene.world.program.settle_absent(&scene.job, &scene.round(), &absent.pool, absent.place);
    send_guarded(&mut scene.world, settle, &authority, &[]);
}

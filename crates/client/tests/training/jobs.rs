//! Datasets, jobs, joining.

use sip_client::NewPool;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::units::TOKEN,
    instructions::RegisterDataset,
    stake::pool::{Pool, PoolKind, RETIRED},
    training::{
        data::{Dataset, MAX_TOKENS},
        job::{Card, Job, JobSpec, MAX_MANIFEST_BYTES},
        setting::Setting,
    },
};
use sip_testing::{Cast, Scene, World, card, dataset, named};
use solana_signer::Signer;

#[test]
fn a_dataset_names_what_it_is_and_who_provides_it() {
    let mut world = World::new();
    let provider = world.operator("provider", PoolKind::Data);
    let (key, pool, program) = (provider.seat.operator, provider.seat.pool, world.program);
    let good = dataset("novels");
    for (bad, expected) in [
        (RegisterDataset { train_tokens: 0, ..good }, Error::EmptyDataset),
        (RegisterDataset { held_out_tokens: 0, ..good }, Error::EmptyDataset),
        (RegisterDataset { train_tokens: MAX_TOKENS + 1, ..good }, Error::DatasetTooLarge),
        // Its bytes would be counted modulo 2⁶⁴, and no token of it could be opened.
        (RegisterDataset { train_tokens: (1 << 62) + 100, ..good }, Error::DatasetTooLarge),
        (RegisterDataset { held_out_tokens: MAX_TOKENS + 1, ..good }, Error::DatasetTooLarge),
        (RegisterDataset { domain: [0; 32], ..good }, Error::MissingName),
        (RegisterDataset { licence: [0; 32], ..good }, Error::MissingName),
    ] {
        let register = program.register_dataset(&key, &pool, &bad);
        world.refused(&[register], &[&provider.key], expected);
    }
    let state: Pool = world.state(&pool);
    world.overwrite(&pool, &Pool { status: RETIRED, ..state });
    world.refused(&[program.register_dataset(&key, &pool, &good)], &[&provider.key], Error::PoolRetired);
    world.overwrite(&pool, &state);
    let trainer = world.operator("trainer", PoolKind::Trainer);
    let register = program.register_dataset(&trainer.seat.operator, &trainer.seat.pool, &good);
    world.refused(&[register], &[&trainer.key], Error::WrongPoolKind);
    let register = program.register_dataset(&trainer.seat.operator, &pool, &good);
    world.refused(&[register], &[&trainer.key], Error::NotAuthority);
    world.send(&[program.register_dataset(&key, &pool, &good)], &[&provider.key]);
    let state: Dataset = world.state(&program.dataset(&pool, &good.train_root, &good.held_out_root));
    assert_eq!((state.pool, state.train_tokens, &state.domain[..6]), (pool.to_bytes(), 100_000, b"novels".as_slice()));
}

/// Attack: somebody is first to register a public text, with a part held out that is worth nothing.
#[test]
fn attack_who_registers_anothers_text_first_keeps_nobody_from_it() {
    let mut world = World::new();
    let program = world.program;
    let [squatter, provider] = ["squatter", "provider"].map(|name| world.operator(name, PoolKind::Data));
    let good = dataset("novels");
    let garbage = RegisterDataset { held_out_root: named("garbage"), ..good };
    let mut register = |of: &sip_testing::Operator, dataset: &RegisterDataset| {
        let instruction = program.register_dataset(&of.seat.operator, &of.seat.pool, dataset);
        world.send(&[instruction], &[&of.key]);
        let address = program.dataset(&of.seat.pool, &dataset.train_root, &dataset.held_out_root);
        let state: Dataset = world.state(&address);
        assert_eq!((state.pool, state.held_out_root), (of.seat.pool.to_bytes(), dataset.held_out_root));
    };
    register(&squatter, &garbage);
    register(&squatter, &good);
    register(&provider, &good);
    // Of one provider a text with the same part held out is one dataset.
    let again = program.register_dataset(&provider.seat.operator, &provider.seat.pool, &good);
    world.refused(&[again], &[&provider.key], Error::AlreadyInitialised);
}

/// Attack: a job is created with one text as two domains, by two providers, so that one of them is paid twice for it.
#[test]
fn a_job_names_no_text_twice() {
    let cast = Cast { trainers: 0, auditors: 0, evaluators: 0, ..Cast::default() };
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let copy = scene.world.operator("copy", PoolKind::Data);
    let text = RegisterDataset { held_out_root: named("another"), ..dataset("domain 0") };
    scene.world.send(&[program.register_dataset(&copy.seat.operator, &copy.seat.pool, &text)], &[&copy.key]);
    let copied = program.dataset(&copy.seat.pool, &text.train_root, &text.held_out_root);
    let create = |datasets: &[_]| program.create_job(&authority.pubkey(), 1, &cast.spec, datasets);
    let datasets = scene.datasets.clone();
    for twice in [[datasets[0], datasets[1], copied], [datasets[0], datasets[0], datasets[2]]] {
        scene.world.refused(&[create(&twice)], &[&authority], Error::DuplicateDomain);
    }
    scene.world.send(&[create(&[copied, datasets[1], datasets[2]])], &[&authority]);
}

/// The same job with compressed updates.
fn compressed(spec: JobSpec) -> JobSpec {
    JobSpec {
        update_graphs_root: named("start and update"),
        reset_update_root: named("reset"),
        update_entries: 7,
        base_entries: 3,
        ..spec
    }
}

#[test]
fn a_job_of_eight_domains_with_compressed_updates_fits_into_a_transaction() {
    let mut cast = Cast { trainers: 0, auditors: 0, evaluators: 0, ..Cast::default() };
    cast.spec = JobSpec { domain_count: 8, ..compressed(cast.spec) };
    let mut scene = Scene::with(&cast);
    let authority = scene.world.authority.insecure_clone();
    let create = scene.world.program.create_job(&authority.pubkey(), 1, &cast.spec, &scene.datasets);
    let receipt = scene.world.send(&[create], &[&authority]);
    assert!(receipt.transaction_bytes <= 1_232, "{} bytes", receipt.transaction_bytes);
    assert!(scene.job_state().spec.is_compressed());
}

#[test]
fn a_job_outside_the_limits_is_refused() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let good = scene.job_state().spec;
    let datasets = scene.datasets.clone();
    let shapes = [
        JobSpec { node_count: 0, ..good },
        JobSpec { state_count: 0, ..good },
        JobSpec { inner_steps: 0, ..good },
        JobSpec { inner_steps: (1 << 20) + 1, ..good },
        JobSpec { leaf_interval: 0, ..good },
        JobSpec { leaf_interval: good.inner_steps + 1, ..good },
        JobSpec { inner_steps: 100, leaf_interval: 17, ..good },
        JobSpec { batch: 0, ..good },
        JobSpec { sequence_length: 0, ..good },
        JobSpec { rounds: 0, ..good },
        JobSpec { commit_slots: 0, ..good },
        JobSpec { audit_slots: 0, ..good },
        JobSpec { vote_slots: 0, ..good },
        JobSpec { evaluation_slots: 0, ..good },
        JobSpec { reserved: 1, ..good },
        JobSpec { challenge_slots: 0, ..good },
        JobSpec { lookahead: 0, ..good },
        JobSpec { lookahead: 9, ..good },
        JobSpec { score_node_count: 0, ..good },
        JobSpec { score_node_count: (1 << 24) + 1, ..good },
        JobSpec { score_windows: 0, ..good },
        JobSpec { score_rows: 0, ..good },
        JobSpec { score_windows: 33, ..good },
        JobSpec { score_windows: 1 << 20, score_rows: 1, ..good },
        JobSpec { score_leaf_interval: 0, ..good },
        JobSpec { score_leaf_interval: 17, ..good },
        JobSpec { score_windows: 4, score_rows: 4, score_leaf_interval: 4, ..good },
        JobSpec { init_node_count: (1 << 24) + 1, ..good },
        // An import has no graph.
        JobSpec { init_node_count: 0, ..good },
        // Compressed updates are there as a whole or not at all.
        JobSpec { update_entries: 7, ..good },
        JobSpec { reset_update_root: named("reset"), ..good },
        JobSpec { base_entries: 0, ..compressed(good) },
        JobSpec { update_entries: (1 << 24) + 1, ..compressed(good) },
    ];
    for spec in shapes {
        let create = program.create_job(&key, 1, &spec, &datasets);
        scene.world.refused(&[create], &[&authority], Error::WrongJobShape);
    }
    for (spec, expected) in [
        (JobSpec { domain_count: 0, ..good }, Error::TooManyDomains),
        (JobSpec { domain_count: 9, ..good }, Error::TooManyDomains),
        (JobSpec { mixture_floor_bps: 3_334, ..good }, Error::WrongMixtureBounds),
        (JobSpec { mixture_cap_bps: 3_333, ..good }, Error::WrongMixtureBounds),
        (JobSpec { mixture_floor_bps: 3_000, mixture_cap_bps: 2_000, ..good }, Error::WrongMixtureBounds),
        (JobSpec { mixture_cap_bps: 10_001, ..good }, Error::WrongMixtureBounds),
        (JobSpec { sequence_length: 100_000, ..good }, Error::DatasetTooShort),
        (JobSpec { mixture_mode: 2, ..good }, Error::WrongMixtureMode),
        (JobSpec { settings: [Setting { meaning: 1, ..Setting::default() }; 4], ..good }, Error::WrongSetting),
        (JobSpec { audit_slots: u32::MAX, ..good }, Error::UnbondingTooShort),
        (JobSpec { challenge_slots: 432_000, ..good }, Error::UnbondingTooShort),
        (JobSpec { commit_slots: 432_000, ..good }, Error::UnbondingTooShort),
        // Each claim could be convicted in time, but a round takes longer from its opening to its settlement.
        (
            JobSpec {
                commit_slots: 190_000,
                audit_slots: 9_000,
                vote_slots: 190_000,
                evaluation_slots: 133_000,
                challenge_slots: 9_000,
                ..good
            },
            Error::UnbondingTooShort,
        ),
        // The same, of a round with a dispute on an attestation of the second draw that is opened in its last slot.
        (
            JobSpec { commit_slots: 90_000, audit_slots: 60_000, vote_slots: 90_000, evaluation_slots: 1_000, ..good },
            Error::UnbondingTooShort,
        ),
        // A conviction that costs a slice undoes what so many rounds would have paid.
        (JobSpec { slice: good.slice - 1, ..good }, Error::WrongSlice),
        (JobSpec { round_reward: Parameters::DEFAULT.round_reward + 1, ..good }, Error::WrongSlice),
        (JobSpec { round_reward: good.slice, ..good }, Error::WrongSlice),
        (JobSpec { lookahead: 8, ..good }, Error::WrongSlice),
    ] {
        let create = program.create_job(&key, 1, &spec, &datasets);
        scene.world.refused(&[create], &[&authority], expected);
    }
    let twice = [datasets[0], datasets[1], datasets[0]];
    let create = program.create_job(&key, 1, &good, &twice);
    scene.world.refused(&[create], &[&authority], Error::DuplicateDomain);
    // Held out, a domain holds a row as well.
    let state: Dataset = scene.world.state(&datasets[1]);
    scene.world.overwrite(&datasets[1], &Dataset { held_out_tokens: 128, ..state });
    let create = program.create_job(&key, 1, &good, &datasets);
    scene.world.refused(&[create], &[&authority], Error::DatasetTooShort);
    scene.world.overwrite(&datasets[1], &state);
    let create = program.create_job(&key, 1, &good, &datasets[..2]);
    scene.world.refused(&[create], &[&authority], Error::MissingAccount);
}

#[test]
fn only_the_authoritys_jobs_are_rewarded() {
    let mut scene = Scene::new();
    assert_eq!(scene.job_state().rewarded, 1);
    let creator = scene.world.wallet("creator");
    let program = scene.world.program;
    let spec = scene.job_state().spec;
    let create = program.create_job(&creator.pubkey(), 0, &spec, &scene.datasets);
    scene.world.send(&[create], &[&creator]);
    let job: Job = scene.world.state(&program.job(&creator.pubkey(), 0));
    assert_eq!(job.rewarded, 0);
    assert_eq!((job.base_root, job.next_seed), (spec.genesis_root, spec.seed));
}

/// Attack: describe a job twice, in another's name, or with a card that names nothing; take a place of one that nobody could compute.
#[test]
fn a_job_is_described_once_by_its_creator_before_anyone_joins() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let creator = scene.world.wallet("creator");
    let stranger = scene.world.wallet("somebody");
    let spec = scene.job_state().spec;
    let create = program.create_job(&creator.pubkey(), 0, &spec, &scene.datasets);
    scene.world.send(&[create], &[&creator]);
    let job = program.job(&creator.pubkey(), 0);
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let join = program.join_job_with(&seat.operator, &job, &seat.pool, 0);
    scene.world.refused(std::slice::from_ref(&join), &[&key], Error::NotDescribed);

    let good = card("manifest");
    let describe = |card: &Card| program.describe_job(&creator.pubkey(), &job, card);
    scene.world.refused(&[program.describe_job(&stranger.pubkey(), &job, &good)], &[&stranger], Error::NotAuthority);
    for wrong in [
        Card { manifest_root: [0; 32], ..good },
        Card { manifest_bytes: 0, ..good },
        Card { manifest_bytes: MAX_MANIFEST_BYTES + 1, ..good },
        Card { least_protocol: 0, ..good },
        Card { reserved: [1, 0, 0, 0], ..good },
    ] {
        scene.world.refused(&[describe(&wrong)], &[&creator], Error::WrongCard);
    }
    let newer = Card { manifest_bytes: MAX_MANIFEST_BYTES, least_protocol: 2, ..good };
    scene.world.send(&[describe(&newer)], &[&creator]);
    assert_eq!(scene.world.state::<Job>(&job).card, newer);
    for again in [newer, good] {
        scene.world.refused(&[describe(&again)], &[&creator], Error::AlreadyDescribed);
    }
    scene.world.send(&[join], &[&key]);
    scene.world.refused(&[describe(&good)], &[&creator], Error::AlreadyDescribed);
}

#[test]
fn a_job_of_five_domains_is_created_and_described_in_one_transaction() {
    let mut cast = Cast { trainers: 0, auditors: 0, evaluators: 0, ..Cast::default() };
    cast.spec = JobSpec { domain_count: 5, ..cast.spec };
    let mut scene = Scene::with(&cast);
    let authority = scene.world.authority.insecure_clone();
    let (program, key) = (scene.world.program, authority.pubkey());
    let create = program.create_job(&key, 1, &cast.spec, &scene.datasets);
    let describe = program.describe_job(&key, &program.job(&key, 1), &card("manifest"));
    let receipt = scene.world.send(&[create, describe], &[&authority]);
    // Beside it, a limit of compute units and a price of them.
    assert!(receipt.transaction_bytes + 32 + 8 + 12 <= 1_232, "{} bytes", receipt.transaction_bytes);
}

#[test]
fn a_pool_joins_once_and_in_good_standing() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let job = scene.job;
    let trainer = &scene.trainers[0];
    let (seat, key) = (trainer.seat, trainer.key.insecure_clone());
    let join = program.join_job(&seat.operator, &job, &seat.pool);
    scene.world.refused(std::slice::from_ref(&join), &[&key], Error::AlreadyJoined);
    let provider = &scene.providers[0];
    let (provider_seat, provider_key) = (provider.seat, provider.key.insecure_clone());
    let join = program.join_job(&provider_seat.operator, &job, &provider_seat.pool);
    scene.world.refused(&[join], &[&provider_key], Error::WrongPoolKind);
    let join = program.join_job(&provider_seat.operator, &job, &seat.pool);
    scene.world.refused(&[join], &[&provider_key], Error::NotAuthority);

    // The least bond is that of the job's creation, whatever later pools may begin with.
    let newcomer = scene.world.operator("newcomer", PoolKind::Trainer);
    let parameters = scene.world.config().parameters;
    let lower = Parameters { minimum_self_bond: 150 * TOKEN, ..parameters };
    scene.world.set_parameters(&lower);
    let poor = NewPool { index: 1, self_bond: 150 * TOKEN, ..NewPool::default() };
    let create = program.create_pool(&newcomer.seat.operator, PoolKind::Trainer, &poor);
    scene.world.send(&[create], &[&newcomer.key]);
    let poor = program.pool(PoolKind::Trainer, &newcomer.seat.operator, 1);
    let join = program.join_job(&newcomer.seat.operator, &job, &poor);
    scene.world.refused(&[join], &[&newcomer.key], Error::SelfBondTooSmall);
    let join = program.join_job(&newcomer.seat.operator, &job, &newcomer.seat.pool);
    scene.world.send(&[program.retire_pool(&newcomer.seat.operator, &newcomer.seat.pool)], &[&newcomer.key]);
    scene.world.refused(&[join], &[&newcomer.key], Error::PoolRetired);
}

/// A sham job of its own would let an auditor burn the draws that do not suit it, after it has seen the segments.
#[test]
fn an_auditors_chain_serves_one_job() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let creator = scene.auditors[0].key.insecure_clone();
    let seat = scene.auditors[0].seat;
    let spec = scene.job_state().spec;
    let create = program.create_job(&creator.pubkey(), 0, &spec, &scene.datasets);
    scene.world.send(&[create], &[&creator]);
    let sham = program.job(&creator.pubkey(), 0);
    scene.world.send(&[program.describe_job(&creator.pubkey(), &sham, &card("sham"))], &[&creator]);
    let join = program.join_job(&seat.operator, &sham, &seat.pool);
    scene.world.refused(&[join], &[&creator], Error::ChainInUse);
    assert_eq!(scene.pool_state(&seat.pool).chain_job, *scene.job.as_array());
    // A trainer's stake may back several jobs.
    let (trainer, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    scene.world.send(&[program.join_job_with(&trainer.operator, &sham, &trainer.pool, 0)], &[&key]);
    assert_eq!(scene.pool_state(&trainer.pool).chain_job, [0; 32]);
}

#[test]
fn a_job_has_sixteen_places_per_role() {
    let mut scene = Scene::with(&Cast { trainers: 16, auditors: 16, evaluators: 16, ..Cast::default() });
    for (name, kind) in [
        ("17th trainer", PoolKind::Trainer),
        ("17th auditor", PoolKind::Auditor),
        ("17th evaluator", PoolKind::Evaluator),
    ] {
        let late = scene.world.operator(name, kind);
        let join = scene.world.program.join_job(&late.seat.operator, &scene.job, &late.seat.pool);
        scene.world.refused(&[join], &[&late.key], Error::JobFull);
    }
    // A full round fits its transactions and its compute budget.
    scene.whole_round(&sip_testing::scores(4_000_000));
    scene.settle_all();
    assert_eq!(scene.round_state().accepted, u16::MAX);
}

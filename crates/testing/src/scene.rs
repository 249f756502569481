//! A job with everyone who takes part.

use sip_protocol::{
    ground::units::TOKEN,
    stake::pool::{Pool, PoolKind},
    training::{
        job::{Job, JobSpec},
        round::Round,
        segment::Segment,
    },
};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::{Cast, Operator, ROUND_REWARD, SLICE, World, card, dataset};

/// A job with everyone who takes part.
pub struct Scene {
    /// The chain.
    pub world: World,
    /// The job.
    pub job: Address,
    /// Trainers by place.
    pub trainers: Vec<Operator>,
    /// Auditors by place.
    pub auditors: Vec<Operator>,
    /// Evaluators by place.
    pub evaluators: Vec<Operator>,
    /// Data providers by domain.
    pub providers: Vec<Operator>,
    /// Datasets by domain.
    pub datasets: Vec<Address>,
    /// Patrons by domain: each holds 1 000 tokens' worth of the domain's attention pool.
    pub patrons: Vec<Keypair>,
}

impl Scene {
    /// The usual scene.
    pub fn new() -> Self {
        Self::with(&Cast::default())
    }

    /// A scene of this cast, with everyone joined and no round opened.
    pub fn with(cast: &Cast) -> Self {
        let mut world = World::with(&cast.parameters, &cast.schedule);
        let program = world.program;
        let domains = cast.spec.domain_count as usize;
        let mut providers = Vec::new();
        let mut datasets = Vec::new();
        for domain in 0..domains {
            let provider = world.operator(&format!("provider {domain}"), PoolKind::Data);
            let dataset = dataset(&format!("domain {domain}"));
            world.send(
                &[program.register_dataset(&provider.seat.operator, &provider.seat.pool, &dataset)],
                &[&provider.key],
            );
            datasets.push(program.dataset(&provider.seat.pool, &dataset.train_root, &dataset.held_out_root));
            providers.push(provider);
        }
        let creator = world.authority.insecure_clone();
        let job = program.job(&creator.pubkey(), 0);
        // As much as the parameters allow and the slices outweigh.
        let repaid = u128::from(cast.spec.lookahead).saturating_sub(1).max(1);
        let outweighed = ROUND_REWARD as u128 * cast.spec.slice as u128 / SLICE as u128 / repaid;
        let most = cast.spec.round_reward.min(cast.parameters.round_reward).min(outweighed as u64);
        let spec = JobSpec { round_reward: most, ..cast.spec };
        let mut instructions = vec![
            program.create_job(&creator.pubkey(), 0, &spec, &datasets),
            program.describe_job(&creator.pubkey(), &job, &card("manifest")),
        ];
        instructions
            .extend(cast.spec.attention_numbers().map(|n| program.create_attention_pool(&creator.pubkey(), &job, n)));
        for instruction in instructions {
            world.send(&[instruction], &[&creator]);
        }
        let mut scene = Scene {
            world,
            job,
            trainers: Vec::new(),
            auditors: Vec::new(),
            evaluators: Vec::new(),
            providers,
            datasets,
            patrons: Vec::new(),
        };
        for domain in 0..domains {
            let patron = scene.world.wallet(&format!("patron {domain}"));
            let pool = program.attention_pool(&job, domain as u32);
            scene.world.send(&[program.deposit(&patron.pubkey(), &pool, 1_000 * TOKEN, 0)], &[&patron]);
            scene.patrons.push(patron);
        }
        for place in 0..cast.trainers {
            let joined = scene.join(&format!("trainer {place}"), PoolKind::Trainer, place);
            scene.trainers.push(joined);
        }
        for place in 0..cast.auditors {
            let joined = scene.join(&format!("auditor {place}"), PoolKind::Auditor, place);
            scene.auditors.push(joined);
        }
        for place in 0..cast.evaluators {
            let joined = scene.join(&format!("evaluator {place}"), PoolKind::Evaluator, place);
            scene.evaluators.push(joined);
        }
        let operators = scene.trainers.iter().chain(&scene.auditors).chain(&scene.evaluators).chain(&scene.providers);
        let pools: Vec<Address> = operators.map(|operator| operator.seat.pool).collect();
        scene.world.turn_epoch(&pools);
        let attention: Vec<(Address, Address)> = (0..domains)
            .map(|domain| (program.attention_pool(&job, domain as u32), scene.patrons[domain].pubkey()))
            .collect();
        scene.world.activate(&attention);
        scene.world.advance(1);
        scene
    }

    /// A new operator that joins the job and gets this place.
    pub fn join(&mut self, name: &str, kind: PoolKind, place: usize) -> Operator {
        let mut operator = self.world.operator(name, kind);
        operator.seat.place = place as u8;
        let instruction = self.world.program.join_job(&operator.seat.operator, &self.job, &operator.seat.pool);
        self.world.send(&[instruction], &[&operator.key]);
        operator
    }

    /// The job's state.
    pub fn job_state(&self) -> Job {
        self.world.state(&self.job)
    }

    /// The round that was opened last.
    pub fn round(&self) -> Address {
        self.world.program.round(&self.job, self.job_state().next_round.saturating_sub(1))
    }

    /// Its state.
    pub fn round_state(&self) -> Round {
        self.world.state(&self.round())
    }

    /// The segment of a trainer in the last round.
    pub fn segment(&self, trainer: usize) -> Address {
        self.world.program.segment(&self.round(), &self.trainers[trainer].seat.pool)
    }

    /// Its state.
    pub fn segment_state(&self, trainer: usize) -> Segment {
        self.world.state(&self.segment(trainer))
    }

    /// A pool's state.
    pub fn pool_state(&self, pool: &Address) -> Pool {
        self.world.state(pool)
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

//! A chain at every stage of a round, for tests (feature `testing`).
//!
//! [`World`] is a ledger with the compiled program, the initialised configuration and funded wallets; it checks after every transaction
//! that no unit of value was created or lost. [`Scene`] is a job on it with trainers, auditors, evaluators, data providers and one
//! patron per domain, whose steps can be taken one by one. Everything is deterministic. It panics where a test would fail.

mod money;

use sip_ledger::{Ledger, LedgerError, Receipt};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::{
    Account, Error,
    admin::config::{Config, Parameters},
    ground::{
        schedule::{ONE, Schedule},
        units::{CAP, TOKEN},
    },
    instructions::RegisterDataset,
    stake::pool::{Pool, PoolKind},
    training::{
        attestation::Shown,
        evaluation,
        job::{Job, JobSpec, MAX_DOMAINS},
        round::Round,
        segment::{Segment, SegmentClaim, previous_root},
        setting::{MAX_SETTINGS, Setting},
    },
};
use sip_svm::{Embedded, Genesis, PROGRAM_ELF};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::{NewPool, Program, Seat, liabilities, refusal};

/// Tokens that every wallet starts with.
pub const WALLET_TOKENS: u64 = 100_000;
/// Own bond of every operator, tokens.
pub const BOND_TOKENS: u64 = 2_000;
/// Slice of that bond behind each claim in the usual scene, tokens: the bond backs as many rounds as a test builds before it settles.
pub const SLICE_TOKENS: u64 = 100;
/// [`SLICE_TOKENS`], base units.
pub const SLICE: u64 = SLICE_TOKENS * TOKEN;
/// Most that a round of the usual scene draws, base units: as much as a slice outweighs (`Job::initialise`).
pub const ROUND_REWARD: u64 = 54 * TOKEN;
/// The usual scene's parameters: the default, but the least own bond is one slice.
pub const PARAMETERS: Parameters = Parameters { minimum_self_bond: SLICE_TOKENS * TOKEN, ..Parameters::DEFAULT };
/// The schedule of every test's emission: a few operators' stake draws the whole reward of a round.
pub const SCHEDULE: Schedule = Schedule { utilisation_floor: ONE / 2, unit_reward: CAP / 10, ..Schedule::DEFAULT };
/// Length of every auditor's hash chain.
const CHAIN_LENGTH: usize = 2_400;

/// A hash of a name, for keys and roots that tests make up.
pub fn named(name: &str) -> [u8; 32] {
    HostSha256::hashv(&[name.as_bytes()])
}

/// A ledger with the program and its configuration.
pub struct World {
    /// The chain.
    pub ledger: Embedded,
    /// The program on it.
    pub program: Program,
    /// The configuration's authority.
    pub authority: Keypair,
}

impl World {
    /// A ledger with the compiled program, and nothing else but a funded authority, who deployed the program.
    pub fn uninitialised() -> Self {
        let program = Program::default();
        let authority = Keypair::new_from_array(named("authority"));
        let genesis = Genesis::new(program.id, PROGRAM_ELF).deployed_by(authority.pubkey());
        let mut ledger = Embedded::begin(&genesis).expect("the program loads");
        ledger.airdrop(&authority.pubkey(), 1_000_000_000_000).expect("lamports");
        World { ledger, program, authority }
    }

    /// A ledger with the initialised configuration.
    pub fn new() -> Self {
        Self::with_parameters(&Parameters::DEFAULT)
    }

    /// A ledger with a configuration of these parameters and [`SCHEDULE`].
    pub fn with_parameters(parameters: &Parameters) -> Self {
        Self::with(parameters, &SCHEDULE)
    }

    /// A ledger with a configuration of these parameters and this schedule of emission.
    pub fn with(parameters: &Parameters, schedule: &Schedule) -> Self {
        let mut world = Self::uninitialised();
        let authority = world.authority.insecure_clone();
        let program = world.program;
        world.send(
            &[
                program.initialize_with(&authority.pubkey(), parameters, schedule),
                program.create_token_account(&authority.pubkey(), &authority.pubkey()),
                program.distribute(&authority.pubkey(), &authority.pubkey(), WALLET_TOKENS * TOKEN),
            ],
            &[&authority],
        );
        world
    }

    /// A wallet of this name with lamports and [`WALLET_TOKENS`].
    pub fn wallet(&mut self, name: &str) -> Keypair {
        let key = Keypair::new_from_array(named(name));
        self.ledger.airdrop(&key.pubkey(), 100_000_000_000).expect("lamports");
        let authority = self.authority.insecure_clone();
        let program = self.program;
        self.send(
            &[
                program.create_token_account(&authority.pubkey(), &key.pubkey()),
                program.distribute(&authority.pubkey(), &key.pubkey(), WALLET_TOKENS * TOKEN),
            ],
            &[&authority],
        );
        key
    }

    /// Sends a transaction that must succeed; the first signer pays. Checks conservation.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Receipt {
        let receipt = match self.ledger.send(instructions, signers[0], signers) {
            Ok(receipt) => receipt,
            Err(error) => {
                let reason = error.custom_code().and_then(refusal).map(Error::message).unwrap_or_default();
                panic!("{error} ({reason}): {:#?}", error.failure())
            }
        };
        self.check_conservation();
        receipt
    }

    /// Sends a transaction that the program must refuse for this reason.
    pub fn refused(&mut self, instructions: &[Instruction], signers: &[&Keypair], expected: Error) {
        let result = self.ledger.send(instructions, signers[0], signers);
        match result {
            Ok(_) => panic!("the transaction succeeded; expected: {}", expected.message()),
            Err(error) => {
                let found = error.custom_code().and_then(refusal);
                assert_eq!(found, Some(expected), "{error}: {:#?}", error.failure());
            }
        }
        self.check_conservation();
    }

    /// Sends a transaction that must fail for whatever reason, and says which.
    pub fn fails(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> LedgerError {
        let error = self.ledger.send(instructions, signers[0], signers).expect_err("the transaction succeeded");
        self.check_conservation();
        error
    }

    /// Checks over all accounts that the vault holds what is owed, and that what is not burned exists.
    pub fn check_conservation(&self) {
        let Some(config) = self.ledger.account(&self.program.config()).filter(|config| !config.data.is_empty()) else {
            return;
        };
        let config = Config::decode(&config.data).expect("the configuration decodes");
        let accounts = self.ledger.program_accounts(&self.program.id);
        let owed = liabilities(accounts.iter().map(|(_, account)| account.data.as_slice())).expect("accounts decode");
        let vault = self.ledger.account(&self.program.vault()).expect("the vault exists");
        let held = u64::from_le_bytes(vault.data[64..72].try_into().expect("8 bytes"));
        assert_eq!(held, owed, "the vault holds what all accounts together say that it owes");
        let mint = self.ledger.account(&self.program.mint()).expect("the mint exists");
        let supply = u64::from_le_bytes(mint.data[36..44].try_into().expect("8 bytes"));
        assert_eq!(supply, CAP - config.burned, "what is not burned exists");
    }

    /// Decodes an account.
    pub fn state<T: Account>(&self, address: &Address) -> T {
        let account = self.ledger.account(address).expect("the account exists");
        T::decode(&account.data).expect("the account decodes")
    }

    /// Writes an account's state behind the program's back, for refusals that no path leads to.
    pub fn overwrite<T: Account>(&mut self, address: &Address, state: &T) {
        let mut account = self.ledger.account(address).expect("the account exists");
        account.data = bytemuck::bytes_of(state).to_vec();
        self.ledger.set_account(*address, account).expect("the account is the program's");
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        self.state(&self.program.config())
    }

    /// Other parameters from now on, as if they had been proposed a day ago: deadlines of rounds do not pass.
    pub fn set_parameters(&mut self, parameters: &Parameters) {
        parameters.check().expect("the parameters are within their bounds");
        let changed = Config { parameters: *parameters, ..self.config() };
        self.overwrite(&self.program.config(), &changed);
    }

    /// Tokens in a wallet, base units.
    pub fn tokens(&self, wallet: &Address) -> u64 {
        self.ledger.token_balance(&self.program.token_account(wallet)).unwrap_or(0)
    }

    /// Lets slots pass.
    pub fn advance(&mut self, slots: u64) {
        self.ledger.advance_slots(slots).expect("slots pass");
    }

    /// An operator of this name with a pool of a kind, bonded with [`BOND_TOKENS`].
    pub fn operator(&mut self, name: &str, kind: PoolKind) -> Operator {
        let key = self.wallet(name);
        let mut chain = vec![named(name)];
        while chain.len() < CHAIN_LENGTH {
            chain.push(HostSha256::hashv(&[&chain[chain.len() - 1]]));
        }
        let chain_tip = if kind == PoolKind::Auditor { chain.pop().unwrap_or_default() } else { [0; 32] };
        let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, commission_bps: 1_000, chain_tip };
        let instruction = self.program.create_pool(&key.pubkey(), kind, &new);
        self.send(&[instruction], &[&key]);
        let pool = self.program.pool(kind, &key.pubkey(), 0);
        Operator { seat: Seat { operator: key.pubkey(), pool, place: 0 }, key, chain }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// An operator with its pool and, after joining, its place.
pub struct Operator {
    /// The wallet.
    pub key: Keypair,
    /// Wallet, pool and place.
    pub seat: Seat,
    /// An auditor's hash chain from its secret on, without the tip that it began with.
    pub chain: Vec<[u8; 32]>,
}

/// How large a scene is.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Trainers.
    pub trainers: usize,
    /// Auditors.
    pub auditors: usize,
    /// Evaluators.
    pub evaluators: usize,
    /// The job; its `domain_count` gives the number of data providers and patrons.
    pub spec: JobSpec,
    /// The configuration's parameters.
    pub parameters: Parameters,
    /// The schedule of emission.
    pub schedule: Schedule,
}

impl Default for Cast {
    fn default() -> Self {
        let spec = JobSpec {
            nodes_root: named("nodes"),
            outputs_root: named("outputs"),
            tables_root: named("tables"),
            genesis_root: named("genesis"),
            seed: named("seed"),
            node_count: 100,
            state_count: 9,
            table_count: 2,
            inner_steps: 10,
            leaf_interval: 4,
            batch: 4,
            sequence_length: 128,
            rounds: 8,
            audit_rate: u32::MAX,
            domain_count: 3,
            lookahead: 2,
            mixture_mode: 0,
            reserved: 0,
            mixture_floor_bps: 500,
            mixture_cap_bps: 8_000,
            commit_slots: 100,
            audit_slots: 200,
            vote_slots: 50,
            evaluation_slots: 50,
            challenge_slots: 300,
            score_nodes_root: named("score nodes"),
            score_outputs_root: named("score outputs"),
            score_node_count: 90,
            score_windows: 32,
            score_rows: 4,
            score_leaf_interval: 16,
            aggregates_root: named("aggregates"),
            init_nodes_root: named("init nodes"),
            init_outputs_root: named("init outputs"),
            init_node_count: 10,
            settings: [Setting::default(); MAX_SETTINGS],
            slice: SLICE_TOKENS * TOKEN,
            round_reward: ROUND_REWARD,
            ..JobSpec::default()
        };
        Cast { trainers: 3, auditors: 2, evaluators: 3, spec, parameters: PARAMETERS, schedule: SCHEDULE }
    }
}

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
            datasets.push(program.dataset(&dataset.train_root));
            providers.push(provider);
        }
        let creator = world.authority.insecure_clone();
        let job = program.job(&creator.pubkey(), 0);
        // As much as the parameters allow and the slices outweigh.
        let outweighed =
            ROUND_REWARD as u128 * 2 * cast.spec.slice as u128 / SLICE as u128 / cast.spec.lookahead as u128;
        let most = cast
            .spec
            .round_reward
            .min(cast.parameters.round_reward)
            .min(outweighed as u64)
            .min(cast.spec.slice / 10 * 9);
        let spec = JobSpec { round_reward: most, ..cast.spec };
        let mut instructions = vec![program.create_job(&creator.pubkey(), 0, &spec, &datasets)];
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

    /// Opens the next round, after whatever it waits for: the seed, and the end of rounds that are not final.
    pub fn open_round(&mut self) -> Address {
        self.capture_seed();
        while self.job_state().chain.open_count >= self.job_state().spec.lookahead {
            self.finalise_oldest();
        }
        let job = self.job_state();
        let authority = self.world.authority.insecure_clone();
        let instruction = self.world.program.open_next_round(&authority.pubkey(), &self.job, &job);
        self.world.send(&[instruction], &[&authority]);
        self.round()
    }

    /// What an honest trainer claims in the last round.
    pub fn claim(&self, trainer: usize) -> SegmentClaim {
        let (round, spec) = (self.round_state(), self.job_state().spec);
        let root = |what: &str| named(&format!("{what} {} {trainer}", round.index));
        let claim = SegmentClaim {
            start_root: round.base_root,
            end_root: root("end"),
            accumulator_root: root("leaves"),
            leaf_count: spec.leaf_count(),
            place: self.trainers[trainer].seat.place,
            ..SegmentClaim::default()
        };
        if !spec.is_compressed() {
            return claim;
        }
        let address = self.previous_segment(trainer);
        let previous = self.world.ledger.account(&address).map(|_| self.world.state::<Segment>(&address));
        let previous_root = previous_root(&spec, previous.as_ref());
        SegmentClaim { start_root: root("start"), previous_root, update_root: root("update"), ..claim }
    }

    /// The address of the segment from which a trainer goes on in the last round.
    pub fn previous_segment(&self, trainer: usize) -> Address {
        let pool = self.trainers[trainer].seat.pool;
        self.world.program.previous_segment(&self.job, self.round_state().parent, &pool)
    }

    /// The instruction with which a trainer commits a claim.
    pub fn commit_instruction(&self, trainer: usize, claim: &SegmentClaim) -> Instruction {
        let seat = self.trainers[trainer].seat;
        let (program, round) = (self.world.program, self.round());
        if self.job_state().spec.is_compressed() {
            let previous = self.previous_segment(trainer);
            return program.commit_update(&seat.operator, &self.job, &round, &seat.pool, claim, &previous);
        }
        program.commit_segment(&seat.operator, &self.job, &round, &seat.pool, claim)
    }

    /// Commits a trainer's honest claim; returns the segment's address.
    pub fn commit(&mut self, trainer: usize) -> Address {
        let claim = self.claim(trainer);
        self.commit_claim(trainer, &claim)
    }

    /// Commits a trainer's claim; returns the segment's address.
    pub fn commit_claim(&mut self, trainer: usize, claim: &SegmentClaim) -> Address {
        let instruction = self.commit_instruction(trainer, claim);
        let key = self.trainers[trainer].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
        self.segment(trainer)
    }

    /// Whether the last round awaits an operator and it may act in it.
    pub fn is_awaited(&self, kind: PoolKind, operator: &Operator) -> bool {
        let (round, job, place) = (self.round_state(), self.job_state(), operator.seat.place);
        let excluded = match kind {
            PoolKind::Trainer => round.excluded_trainers(&job),
            PoolKind::Auditor => round.excluded_auditors(&job),
            _ => 0,
        };
        round.require_holder(kind, place, operator.seat.pool.as_array()).is_ok() && excluded & (1 << place) == 0
    }

    /// Ends the commitments.
    pub fn close_commits(&mut self) {
        let instruction = self.world.program.close_commits(&self.job, &self.round());
        self.crank(instruction);
    }

    /// The link of an auditor's hash chain that is next: the one that hashes to its pool's tip.
    pub fn next_draw(&self, auditor: usize) -> [u8; 32] {
        let operator = &self.auditors[auditor];
        let tip = self.pool_state(&operator.seat.pool).chain_tip;
        *operator.chain.iter().find(|link| HostSha256::hashv(&[*link]) == tip).expect("the chain is long enough")
    }

    /// Reveals an auditor's draw of the last round.
    pub fn reveal(&mut self, auditor: usize) {
        let (job, round) = (self.job, self.round());
        let (operator, preimage) = (&self.auditors[auditor], self.next_draw(auditor));
        let key = operator.key.insecure_clone();
        let instruction = self.world.program.reveal_draw(&operator.seat, &job, &round, &preimage);
        self.world.send(&[instruction], &[&key]);
    }

    /// The trace root that an auditor of a test attests a segment with.
    pub fn trace_root(auditor: usize, trainer: usize) -> [u8; 32] {
        named(&format!("replay {auditor} {trainer}"))
    }

    /// Attests a trainer's segment.
    pub fn attest(&mut self, auditor: usize, trainer: usize) {
        self.attest_root(auditor, trainer, &Self::trace_root(auditor, trainer));
    }

    /// Attests a trainer's segment with a trace root.
    pub fn attest_root(&mut self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        let shown = Shown { salt: &Self::salt(auditor), trace_root };
        let commitment = shown.commitment::<HostSha256>(seat.pool.as_array(), segment.as_array());
        let instruction = self.world.program.attest(&seat, &self.job, &self.round(), &segment, &commitment);
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction that shows what [`Scene::attest_root`] attested.
    pub fn show_instruction(&self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) -> Instruction {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        let shown = Shown { salt: &Self::salt(auditor), trace_root };
        self.world.program.reveal_attestation(&seat, &self.job, &self.round(), &segment, &shown)
    }

    /// Shows an attestation of a trainer's segment.
    pub fn show(&mut self, auditor: usize, trainer: usize) {
        let instruction = self.show_instruction(auditor, trainer, &Self::trace_root(auditor, trainer));
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// Shows all attestations of accepted segments that were not shown yet.
    pub fn show_all(&mut self) {
        for trainer in 0..self.trainers.len() {
            if self.world.ledger.account(&self.segment(trainer)).is_none() {
                continue;
            }
            for auditor in 0..self.auditors.len() {
                let segment = self.segment_state(trainer);
                let hidden = segment.attested & !segment.shown;
                if segment.status == sip_protocol::training::segment::ACCEPTED && hidden & (1 << auditor) != 0 {
                    self.show(auditor, trainer);
                }
            }
        }
    }

    /// The instruction that closes the last round over the segments of these trainers.
    pub fn close_instruction(&self, trainers: &[usize]) -> Instruction {
        let segments: Vec<Address> = trainers.iter().map(|trainer| self.segment(*trainer)).collect();
        self.world.program.close_round(&self.job, &self.round(), &segments)
    }

    /// Closes the last round over all its committed segments.
    pub fn close_round(&mut self) {
        let committed = self.round_state().committed;
        let trainers: Vec<usize> = (0..self.trainers.len())
            .filter(|trainer| committed & (1 << self.trainers[*trainer].seat.place) != 0)
            .collect();
        let instruction = self.close_instruction(&trainers);
        self.crank(instruction);
    }

    /// An auditor's vote for a root, with its second draw in the last round: the one that it has brought, or the next link of its chain.
    pub fn vote_instruction(&self, auditor: usize, root: &[u8; 32]) -> Instruction {
        let (operator, round) = (&self.auditors[auditor], self.round_state());
        let seat = &round.auditors[operator.seat.place as usize];
        let preimage = if seat.vote == [0; 32] { self.next_draw(auditor) } else { seat.second_preimage };
        self.world.program.vote_base(&operator.seat, &self.job, &self.round(), root, &preimage)
    }

    /// Sends an auditor's vote for a root.
    pub fn vote(&mut self, auditor: usize, root: &[u8; 32]) {
        let instruction = self.vote_instruction(auditor, root);
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction with which an auditor attests a trainer's segment that its second draw selects.
    pub fn attest_second_instruction(&self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) -> Instruction {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        self.world.program.attest_second(&seat, &self.job, &self.round(), &segment, trace_root)
    }

    /// Attests a trainer's segment that an auditor's second draw selects.
    pub fn attest_second(&mut self, auditor: usize, trainer: usize) {
        let instruction = self.attest_second_instruction(auditor, trainer, &Self::trace_root(auditor, trainer));
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The salt that an evaluator or an auditor of a test uses.
    pub fn salt(evaluator: usize) -> [u8; 32] {
        named(&format!("salt {evaluator}"))
    }

    /// The least sums that give these scores, and the root over the leaves of a run that nobody did.
    pub fn scoring_run(&self, scores: &[u32; MAX_DOMAINS]) -> ([u64; MAX_DOMAINS], [u8; 32]) {
        let spec = self.job_state().spec;
        let tokens = u64::from(spec.score_windows) * u64::from(spec.sequence_length);
        let mut sums = [0; MAX_DOMAINS];
        for (sum, score) in sums.iter_mut().zip(scores).take(spec.domain_count.into()) {
            *sum = u64::from(*score) * tokens;
        }
        (sums, named("leaves of a scoring run"))
    }

    /// The instruction with which an evaluator commits scores.
    pub fn commit_score_instruction(&self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) -> Instruction {
        let seat = self.evaluators[evaluator].seat;
        let round = self.round();
        let (sums, accumulator_root) = self.scoring_run(scores);
        let spec = self.job_state().spec;
        let commitment = evaluation::commitment::<HostSha256>(
            &evaluation::claim::<HostSha256>(&spec, &sums, &accumulator_root, seat.place),
            &Self::salt(evaluator),
            seat.pool.as_array(),
            round.as_array(),
        );
        self.world.program.commit_score(&seat, &self.job, &round, &commitment)
    }

    /// Commits an evaluator's scores.
    pub fn commit_score(&mut self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) {
        let instruction = self.commit_score_instruction(evaluator, scores);
        let key = self.evaluators[evaluator].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction with which an evaluator reveals scores.
    pub fn reveal_score_instruction(&self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) -> Instruction {
        let seat = self.evaluators[evaluator].seat;
        let (sums, leaves) = self.scoring_run(scores);
        let salt = Self::salt(evaluator);
        self.world.program.reveal_score(&seat, &self.job, &self.round(), (&sums, &leaves), &salt)
    }

    /// Reveals an evaluator's scores.
    pub fn reveal_score(&mut self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) {
        let instruction = self.reveal_score_instruction(evaluator, scores);
        let key = self.evaluators[evaluator].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// Counts the scores, once they can no more be disputed if they differ.
    pub fn tally(&mut self) {
        let state = self.round_state();
        let mut revealed = state.evaluators.iter().filter(|seat| seat.status == evaluation::REVEALED);
        let first = revealed.next().map(|seat| seat.scores);
        if revealed.any(|seat| Some(seat.scores) != first) {
            let slots = u64::from(self.job_state().spec.evaluation_slots);
            self.advance_to(state.reveal_deadline_slot + slots);
        }
        let instruction = self.world.program.tally(&self.job, &self.round());
        self.crank(instruction);
    }

    /// Sends an instruction that needs nobody's signature.
    pub fn crank(&mut self, instruction: Instruction) -> Receipt {
        let authority = self.world.authority.insecure_clone();
        self.world.send(&[instruction], &[&authority])
    }

    /// Sends an instruction that needs nobody's signature and must be refused for this reason.
    pub fn crank_refused(&mut self, instruction: Instruction, expected: Error) {
        let authority = self.world.authority.insecure_clone();
        self.world.refused(&[instruction], &[&authority], expected);
    }

    /// Takes a round up to open segments: opened, all trainers committed, commits closed.
    pub fn to_committed(&mut self) {
        self.open_round();
        for trainer in 0..self.trainers.len() {
            if self.is_awaited(PoolKind::Trainer, &self.trainers[trainer]) {
                self.commit(trainer);
            }
        }
        self.close_commits();
    }

    /// Takes a committed round to its vote: all draws revealed, all drawn segments attested, closed, attestations shown.
    pub fn to_closed(&mut self) {
        let rate = self.job_state().spec.audit_rate;
        for auditor in 0..self.auditors.len() {
            if self.is_awaited(PoolKind::Auditor, &self.auditors[auditor]) {
                self.reveal(auditor);
            }
        }
        for trainer in 0..self.trainers.len() {
            let address = self.segment(trainer);
            if self.world.ledger.account(&address).is_none() {
                continue;
            }
            for auditor in 0..self.auditors.len() {
                let seat = self.round_state().auditors[auditor];
                if seat.revealed == 0 {
                    continue;
                }
                let segment: Segment = self.world.state(&address);
                if segment.status == sip_protocol::training::segment::COMMITTED
                    && segment.is_drawn::<HostSha256>(address.as_array(), &seat, rate)
                {
                    self.attest(auditor, trainer);
                }
            }
        }
        self.close_round();
        self.show_all();
    }

    /// Takes a closed round to its evaluation: all auditors vote for one root.
    pub fn to_aggregated(&mut self) {
        let root = named(&format!("base {}", self.round_state().index));
        for auditor in 0..self.auditors.len() {
            let state = self.round_state();
            if state.status == sip_protocol::training::round::CLOSED && state.auditors[auditor].revealed != 0 {
                self.vote(auditor, &root);
            }
        }
    }

    /// Takes an aggregated round to its settlement: every evaluator commits and reveals its scores.
    pub fn to_scored(&mut self, scores: &[[u32; MAX_DOMAINS]]) {
        for (evaluator, scores) in scores.iter().enumerate() {
            self.commit_score(evaluator, scores);
        }
        if scores.len() < self.evaluators.len() {
            self.world.advance(self.job_state().spec.evaluation_slots as u64);
        }
        for (evaluator, scores) in scores.iter().enumerate() {
            self.reveal_score(evaluator, scores);
        }
        self.tally();
    }

    /// One whole round in which all evaluators find the same scores, up to the first that the round does not await.
    pub fn whole_round(&mut self, scores: &[u32; MAX_DOMAINS]) {
        self.to_committed();
        self.to_closed();
        self.to_aggregated();
        let awaited = self.evaluators.iter().take_while(|it| self.is_awaited(PoolKind::Evaluator, it)).count();
        self.to_scored(&vec![*scores; awaited]);
    }

    /// Settles the last closed round's seed, if it waits.
    pub fn capture_seed(&mut self) {
        if self.job_state().chain.is_seed_pending == 0 {
            return;
        }
        let round = self.round();
        let due = self.round_state().seed_slots[1] + 1;
        self.advance_to(due);
        let instruction = self.world.program.capture_seed(&self.job, &round);
        self.crank(instruction);
    }

    /// Lets slots pass until this one, if it has not come yet.
    pub fn advance_to(&mut self, slot: u64) {
        self.world.advance(slot.saturating_sub(self.world.ledger.slot()));
    }

    /// Makes the oldest round with a result final, once nobody can challenge it any more.
    pub fn finalise_oldest(&mut self) {
        let round = self.world.program.round(&self.job, self.job_state().chain.open[0]);
        let deadline = self.world.state::<Round>(&round).final_slot();
        self.advance_to(deadline);
        let instruction = self.world.program.finalize_round(&self.job, &round);
        self.crank(instruction);
    }

    /// Makes all rounds with a result final.
    pub fn finalise_all(&mut self) {
        while self.job_state().chain.open_count > 0 {
            self.finalise_oldest();
        }
    }

    /// Makes the rounds final and settles everyone of the last one.
    pub fn settle_all(&mut self) {
        self.finalise_all();
        let round = self.round();
        self.settle_round(&round);
    }

    /// Settles everyone of a round that is final or void.
    pub fn settle_round(&mut self, round: &Address) {
        let (program, job, round) = (self.world.program, self.job, *round);
        let state: Round = self.world.state(&round);
        let mut instructions = Vec::new();
        for trainer in &self.trainers {
            if state.committed & (1 << trainer.seat.place) != 0 {
                instructions.push(program.settle_segment(&job, &round, &trainer.seat.pool));
            } else if state.trainers[usize::from(trainer.seat.place)] == trainer.seat.pool.to_bytes() {
                instructions.push(program.settle_absent(&job, &round, &trainer.seat.pool, trainer.seat.place));
            }
        }
        for auditor in &self.auditors {
            if state.auditors[usize::from(auditor.seat.place)].pool != auditor.seat.pool.to_bytes() {
                continue;
            }
            instructions.push(program.settle_audit(&job, &round, &auditor.seat.pool, auditor.seat.place));
        }
        for evaluator in &self.evaluators {
            if state.evaluators[usize::from(evaluator.seat.place)].pool != evaluator.seat.pool.to_bytes() {
                continue;
            }
            instructions.push(program.settle_evaluation(&job, &round, &evaluator.seat.pool, evaluator.seat.place));
        }
        for domain in 0..state.domain_count {
            let (dataset, provider) = (self.datasets[domain as usize], &self.providers[domain as usize]);
            instructions.push(program.settle_data(&job, &round, domain, &dataset, &provider.seat.pool));
            instructions.push(program.settle_patrons(&job, &round, domain));
        }
        for instruction in instructions {
            self.crank(instruction);
        }
    }

    /// The instructions that close a round and what was committed in it, in order.
    pub fn reclaim_instructions(&self, round: &Address) -> Vec<Instruction> {
        let (program, job) = (self.world.program, self.job);
        let mut instructions = Vec::new();
        let trainers = self.trainers.iter().map(|it| (program.segment(round, &it.seat.pool), it.seat.operator));
        let evaluators = self.evaluators.iter().map(|it| (program.run(round, &it.seat.pool), it.seat.operator));
        for (claim, operator) in trainers.chain(evaluators) {
            if self.world.ledger.account(&claim).is_some() {
                instructions.push(program.reclaim_claim(&job, round, &claim, &operator));
            }
        }
        instructions.push(program.reclaim_round(&job, round, &self.world.authority.pubkey()));
        instructions
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A dataset of this name.
pub fn dataset(name: &str) -> RegisterDataset {
    let mut domain = [0; 32];
    let length = name.len().min(32);
    domain[..length].copy_from_slice(&name.as_bytes()[..length]);
    let mut licence = [0; 32];
    licence[..7].copy_from_slice(b"CC0-1.0");
    RegisterDataset {
        domain,
        train_root: named(&format!("train {name}")),
        held_out_root: named(&format!("held out {name}")),
        train_tokens: 100_000,
        held_out_tokens: 10_000,
        licence,
    }
}

/// One score for every domain, micro-nats per token.
pub fn scores(score: u32) -> [u32; MAX_DOMAINS] {
    [score; MAX_DOMAINS]
}

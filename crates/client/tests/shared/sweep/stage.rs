//! A chain on which one segment after the other is committed and accused: everything before the commitment happens once.

use sip_client::{Accusation, after_move};
use sip_ledger::{Ledger, LedgerError, Receipt, pack};
use sip_node::dispute::Move;
use sip_protocol::court::{Dispute, Ground, Outcome, Side};
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::JobSpec;
use sip_protocol::training::segment::{Segment, SegmentClaim};
use sip_protocol::training::setting::{LEARNING_RATE, SETTING_ONE, Setting};
use sip_svm::Embedded;
use sip_testing::{Cast, Operator, Scene, named};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The place of the trainer that is accused.
const TRAINER: usize = 0;

/// A job with an open round, to which the ledger returns before every case.
pub(crate) struct Stage {
    /// The chain.
    pub(crate) scene: Scene,
    /// What a dispute on the segment is about, but for what the trainer commits.
    pub(crate) ground: Ground,
    /// Someone who takes no part.
    pub(crate) stranger: Keypair,
    fresh: Embedded,
    challenger: Operator,
}

impl Stage {
    /// A job with these roots, counts and datasets of two domains; seed, mixture and place come from the chain.
    pub(crate) fn new(ground: &Ground) -> Stage {
        let mut cast = Cast { trainers: 1, auditors: 1, evaluators: 1, ..Cast::default() };
        cast.spec = JobSpec {
            nodes_root: ground.nodes_root,
            outputs_root: ground.outputs_root,
            tables_root: ground.tables_root,
            genesis_root: ground.start_root,
            node_count: ground.node_count,
            state_count: ground.state_count,
            table_count: ground.table_count,
            inner_steps: ground.inner_steps,
            leaf_interval: ground.steps_per_leaf,
            batch: ground.batch_rows,
            sequence_length: ground.row_tokens - 1,
            domain_count: 2,
            mixture_floor_bps: 1000,
            mixture_cap_bps: 9000,
            ..cast.spec
        };
        cast.spec.settings[0] = Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);
        let mut scene = Scene::with(&cast);
        for (domain, address) in scene.datasets.clone().iter().enumerate() {
            let mut dataset: Dataset = scene.world.state(address);
            dataset.train_root = ground.dataset_roots[domain];
            dataset.train_tokens = ground.token_counts[domain];
            scene.world.overwrite(address, &dataset);
        }
        scene.open_round();
        let round = scene.round_state();
        let challenger = scene.world.operator("challenger", PoolKind::Auditor);
        let stranger = scene.world.wallet("stranger");
        let ground = Ground {
            round_seed: round.seed,
            mixture_bps: round.mixture_bps,
            settings: round.settings,
            first_step: round.first_step(ground.inner_steps),
            trainer: u32::from(scene.trainers[TRAINER].seat.place),
            ..*ground
        };
        Stage { fresh: scene.world.ledger.clone(), scene, ground, stranger, challenger }
    }

    /// Begins anew: the trainer commits these roots and is accused. Returns what the commitment of the segment took, and what the
    /// accusation.
    pub(crate) fn accuse(&mut self, end_root: [u8; 32], accumulator_root: [u8; 32]) -> (Receipt, [Receipt; 2]) {
        self.scene.world.ledger = self.fresh.clone();
        let claim = SegmentClaim { end_root, accumulator_root, ..self.scene.claim(TRAINER) };
        let commit = self.scene.commit_instruction(TRAINER, &claim);
        let trainer = self.key(Side::Trainer);
        let committed = self.scene.world.send(&[commit], &[&trainer]);
        self.scene.close_commits();
        let key = self.key(Side::Challenger);
        let (wallet, pool) = (key.pubkey(), self.pool());
        let accusation = Accusation {
            challenger: &wallet,
            job: &self.scene.job,
            round: &self.scene.round(),
            pool: &pool,
            datasets: &self.scene.datasets,
            salt: &named("salt"),
        };
        let program = self.scene.world.program;
        let hidden = self.scene.world.send(&[program.commit_accusation(&accusation)], &[&key]);
        self.scene.world.advance(1);
        let opened = self.scene.world.send(&[program.open_dispute(&accusation)], &[&key]);
        (committed, [hidden, opened])
    }

    /// The key of a side.
    pub(crate) fn key(&self, side: Side) -> Keypair {
        match side {
            Side::Trainer => self.scene.trainers[TRAINER].key.insecure_clone(),
            Side::Challenger => self.challenger.key.insecure_clone(),
        }
    }

    /// The trainer's pool.
    pub(crate) fn pool(&self) -> Address {
        self.scene.trainers[TRAINER].seat.pool
    }

    /// Its state.
    pub(crate) fn pool_state(&self) -> Pool {
        self.scene.pool_state(&self.pool())
    }

    /// What became of the segment: a status of [`sip_protocol::training::segment`].
    pub(crate) fn segment_status(&self) -> u8 {
        self.scene.segment_state(TRAINER).status
    }

    /// Tokens of the challenger, base units.
    pub(crate) fn challenger_tokens(&self) -> u64 {
        self.scene.world.tokens(&self.challenger.key.pubkey())
    }

    /// Address of the dispute.
    pub(crate) fn dispute(&self) -> Address {
        self.scene.world.program.dispute(&self.scene.segment(TRAINER), &self.challenger.key.pubkey())
    }

    /// Whether there is a dispute.
    pub(crate) fn is_open(&self) -> bool {
        self.scene.world.ledger.account(&self.dispute()).is_some_and(|account| !account.data.is_empty())
    }

    /// State of the dispute.
    pub(crate) fn state(&self) -> Dispute {
        self.scene.world.state(&self.dispute())
    }

    /// The transactions of a move.
    pub(crate) fn instructions(&self, signer: &Keypair, next: &Move) -> Vec<Instruction> {
        self.scene.world.program.moves(&signer.pubkey(), &self.dispute(), next.kind, &next.payload)
    }

    /// Sends one transaction after the other, until one is refused; a slot passes first.
    pub(crate) fn attempt(&mut self, signer: &Keypair, sent: &[Instruction]) -> Result<Vec<Receipt>, LedgerError> {
        self.scene.world.advance(1);
        let ledger = &mut self.scene.world.ledger;
        sent.iter().map(|instruction| ledger.send(std::slice::from_ref(instruction), signer, &[signer])).collect()
    }

    /// Plays a move, which may be refused.
    pub(crate) fn play(&mut self, side: Side, next: &Move) -> Result<Vec<Receipt>, LedgerError> {
        let key = self.key(side);
        let sent = self.instructions(&key, next);
        self.attempt(&key, &sent)
    }

    /// Plays a move that must be accepted in as few transactions as it takes; with the challenger's last move go the verdict and the
    /// closing of the account.
    pub(crate) fn play_packed(&mut self, side: Side, next: &Move) -> Vec<Receipt> {
        let key = self.key(side);
        self.scene.world.advance(1);
        let mut instructions = self.instructions(&key, next);
        let slot = self.scene.world.ledger.slot();
        let after = after_move(&self.state(), side, next.kind, &next.payload, slot).expect("a legal move");
        let is_last = after.game.outcome() != Ok(Outcome::Open);
        if is_last && side == Side::Challenger {
            let (job, round, pool) = (self.scene.job, self.scene.round(), self.pool());
            instructions.extend(self.scene.world.program.conclude_dispute(&key.pubkey(), &job, &round, &pool));
        }
        let transactions = pack(&key.pubkey(), instructions);
        transactions.iter().map(|instructions| self.scene.world.send(instructions, &[&key])).collect()
    }

    /// Asks for the end by the clock, which is refused while it runs.
    pub(crate) fn time_out(&mut self) -> Result<(), LedgerError> {
        let (stranger, time_out) = (self.stranger.insecure_clone(), self.scene.world.program.time_out(&self.dispute()));
        self.scene.world.ledger.send(&[time_out], &stranger, &[&stranger]).map(|_| ())
    }

    /// The side on move says nothing more.
    pub(crate) fn fall_silent(&mut self) {
        let game = self.state().game;
        let side = game.on_move().expect("the game is on");
        self.scene.world.advance(game.clock_slots[side as usize] + 1);
        self.time_out().expect("the clock has run out");
    }

    /// Applies the verdict, pays who won, and checks that all money is somewhere.
    pub(crate) fn settle(&mut self) {
        let challenger = self.challenger.key.pubkey();
        let (job, round, pool) = (self.scene.job, self.scene.round(), self.pool());
        let resolve = self.scene.world.program.resolve_dispute(&challenger, &job, &round, &pool);
        self.scene.crank(resolve);
        self.claim_bounty();
    }

    /// Pays who won, once nobody can have accused earlier.
    pub(crate) fn claim_bounty(&mut self) {
        let challenger = self.challenger.key.pubkey();
        let segment = self.scene.segment(TRAINER);
        let state: Segment = self.scene.world.state(&segment);
        if state.escrow.bounty > 0 {
            self.scene.advance_to(state.escrow.slot + REVEAL_SLOTS + 1);
            self.scene.crank(self.scene.world.program.claim_bounty(&segment, &challenger));
        }
    }
}

//! A job over the synthetic graph on a real ledger, and disputes on it played by both brains.
#![allow(dead_code, reason = "not every test file asks for everything")]

pub(crate) mod chamber;
pub(crate) mod hall;

use sip_client::Accusation;
use sip_ledger::Receipt;
use sip_node::dispute::{Challenger, Defender, Evidence, Move};
use sip_protocol::court::{Dispute, MoveKind, Outcome, Phase, Side};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::JobSpec;
use sip_protocol::training::segment::SegmentClaim;
use sip_testing::synthetic::{self, Lie, Run, node};
use sip_testing::{Cast, Operator, Scene, named};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// A committed segment, true or false, and someone who may accuse it.
pub(crate) struct Court {
    /// The chain.
    pub(crate) scene: Scene,
    /// The round of the segment.
    pub(crate) round: Address,
    /// What the trainer holds.
    pub(crate) claimed: Run,
    /// What is true.
    pub(crate) honest: Run,
    /// The accuser.
    pub(crate) challenger: Operator,
    /// Index of the trainer.
    pub(crate) trainer: usize,
}

/// The job of a story on a chain, its data included.
pub(crate) fn stage(story: &synthetic::Scene, mut cast: Cast) -> Scene {
    let ground = story.ground;
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
        batch: synthetic::ROWS,
        sequence_length: synthetic::ROW_TOKENS - 1,
        domain_count: 2,
        mixture_floor_bps: 1000,
        mixture_cap_bps: 9000,
        ..cast.spec
    };
    let mut scene = Scene::with(&cast);
    for (domain, address) in scene.datasets.clone().iter().enumerate() {
        let mut dataset: Dataset = scene.world.state(address);
        dataset.train_root = ground.dataset_roots[domain];
        dataset.train_tokens = ground.token_counts[domain];
        scene.world.overwrite(address, &dataset);
    }
    scene
}

/// The story as a trainer's segment of the last round.
pub(crate) fn placed(story: &synthetic::Scene, scene: &Scene, trainer: usize) -> Arc<synthetic::Scene> {
    let round = scene.round_state();
    story.placed(|ground| {
        ground.round_seed = round.seed;
        ground.mixture_bps = round.mixture_bps;
        ground.settings = round.settings;
        ground.first_step = round.first_step(ground.inner_steps);
        ground.trainer = trainer as u32;
    })
}

/// What a dispute took.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Moves with side, transactions and the greatest compute units of one of them.
    pub(crate) moves: Vec<(Side, MoveKind, usize, u64)>,
}

impl Record {
    /// Transactions of a side.
    pub(crate) fn transactions(&self, side: Side) -> usize {
        self.moves.iter().filter(|record| record.0 == side).map(|record| record.2).sum()
    }
}

impl Court {
    /// A round of segments of so many steps and steps per leaf, in which one trainer lies, or none does.
    pub(crate) fn new(inner_steps: u32, steps_per_leaf: u32, lie: Option<Lie>) -> Court {
        Court::on(&synthetic::Scene::new(inner_steps, steps_per_leaf), lie)
    }

    /// The same over this job.
    pub(crate) fn on(story: &Arc<synthetic::Scene>, lie: Option<Lie>) -> Court {
        let mut scene = stage(story, Cast { trainers: 2, auditors: 1, evaluators: 1, ..Cast::default() });
        scene.open_round();
        let trainer = 1;
        let story = placed(story, &scene, trainer);
        let honest = story.run(None);
        let claimed = story.run(lie);
        let claim = SegmentClaim {
            start_root: claimed.start_root(),
            end_root: claimed.end_root(),
            accumulator_root: claimed.accumulator_root(),
            ..scene.claim(trainer)
        };
        scene.commit(0);
        scene.commit_claim(trainer, &claim);
        scene.close_commits();
        let challenger = scene.world.operator("challenger", PoolKind::Auditor);
        let round = scene.round();
        Court { scene, round, claimed, honest, challenger, trainer }
    }

    /// The trainer's pool.
    pub(crate) fn pool(&self) -> Address {
        self.scene.trainers[self.trainer].seat.pool
    }

    /// The trainer's key.
    pub(crate) fn trainer_key(&self) -> Keypair {
        self.scene.trainers[self.trainer].key.insecure_clone()
    }

    /// The challenger's key.
    pub(crate) fn challenger_key(&self) -> Keypair {
        self.challenger.key.insecure_clone()
    }

    /// The key of a side.
    pub(crate) fn key(&self, side: Side) -> Keypair {
        match side {
            Side::Trainer => self.trainer_key(),
            Side::Challenger => self.challenger_key(),
        }
    }

    /// Address of the segment.
    pub(crate) fn segment(&self) -> Address {
        self.scene.world.program.segment(&self.round, &self.pool())
    }

    /// Address of the dispute.
    pub(crate) fn dispute(&self) -> Address {
        self.scene.world.program.dispute(&self.segment(), &self.challenger.key.pubkey())
    }

    /// State of the dispute.
    pub(crate) fn state(&self) -> Dispute {
        self.scene.world.state(&self.dispute())
    }

    /// The instruction that accuses.
    pub(crate) fn open_instruction(&self) -> solana_instruction::Instruction {
        self.scene.world.program.open_dispute(&Accusation {
            challenger: &self.challenger.key.pubkey(),
            job: &self.scene.job,
            round: &self.round,
            pool: &self.pool(),
            datasets: &self.scene.datasets,
            salt: &named("salt"),
        })
    }

    /// The instruction that commits the accusation.
    pub(crate) fn commit_instruction(&self) -> solana_instruction::Instruction {
        self.scene.world.program.commit_accusation(&Accusation {
            challenger: &self.challenger.key.pubkey(),
            job: &self.scene.job,
            round: &self.round,
            pool: &self.pool(),
            datasets: &self.scene.datasets,
            salt: &named("salt"),
        })
    }

    /// Commits the accusation, and lets the slot pass after which it may be opened.
    pub(crate) fn commit(&mut self) -> Receipt {
        let (commit, key) = (self.commit_instruction(), self.challenger_key());
        let receipt = self.scene.world.send(&[commit], &[&key]);
        self.scene.world.advance(1);
        receipt
    }

    /// Accuses.
    pub(crate) fn open(&mut self) -> Receipt {
        self.commit();
        let (open, key) = (self.open_instruction(), self.challenger_key());
        self.scene.world.send(&[open], &[&key])
    }

    /// The move that the brain of the side on move plays.
    pub(crate) fn next(&self) -> (Side, Move) {
        let game = self.state().game;
        let side = game.on_move().unwrap();
        let next = match side {
            Side::Trainer => Defender::new(self.claimed.graph(), self.claimed.clone()).next(&game),
            Side::Challenger => Challenger::new(self.honest.graph(), self.honest.clone()).next(&game),
        };
        (side, next.unwrap().unwrap())
    }

    /// Plays a move that must be accepted; returns its receipts.
    pub(crate) fn play(&mut self, side: Side, next: &Move) -> Vec<Receipt> {
        let key = self.key(side);
        let instructions = self.scene.world.program.moves(&key.pubkey(), &self.dispute(), next.kind, &next.payload);
        self.scene.world.advance(1);
        instructions.into_iter().map(|instruction| self.scene.world.send(&[instruction], &[&key])).collect()
    }

    /// Plays until the given side is to play a move of this kind, which is returned unplayed.
    pub(crate) fn play_until(&mut self, kind: MoveKind) -> (Side, Move) {
        loop {
            let (side, next) = self.next();
            if next.kind == kind {
                return (side, next);
            }
            self.play(side, &next);
        }
    }

    /// Plays until the trainer has posted a token beyond the vocabulary, and what it took for its value.
    pub(crate) fn lookup_beyond(&mut self) {
        while self.state().game.phase().unwrap() != Phase::PostValues {
            let (side, next) = self.next();
            self.play(side, &next);
        }
        let game = self.state().game;
        let (row, column) = (game.element / 600 / 4, game.element / 600 % 4);
        let batch = self.claimed.clone().tensor(game.step, node::BATCH).unwrap();
        let token = batch[(row * synthetic::ROW_TOKENS + column) as usize];
        assert!(token >= synthetic::VOCABULARY);
        let payload = [token.to_le_bytes(), game.claim.to_le_bytes()].concat();
        self.play(Side::Trainer, &Move { kind: MoveKind::PostValues, payload });
    }

    /// Plays to the end.
    pub(crate) fn fight(&mut self) -> (Outcome, Record) {
        let mut record = Record::default();
        while self.state().game.outcome().unwrap() == Outcome::Open {
            let (side, next) = self.next();
            let receipts = self.play(side, &next);
            let most = receipts.iter().map(|receipt| receipt.compute_units).max().unwrap_or(0);
            record.moves.push((side, next.kind, receipts.len(), most));
        }
        (self.state().game.outcome().unwrap(), record)
    }

    /// The instruction that applies the verdict.
    pub(crate) fn resolve_instruction(&self) -> solana_instruction::Instruction {
        self.scene.world.program.resolve_dispute(
            &self.challenger.key.pubkey(),
            &self.scene.job,
            &self.round,
            &self.pool(),
        )
    }

    /// Applies the verdict.
    pub(crate) fn resolve(&mut self) -> Receipt {
        let resolve = self.resolve_instruction();
        self.scene.crank(resolve)
    }

    /// The instruction that pays the bounty to the challenger.
    pub(crate) fn claim_bounty_instruction(&self) -> solana_instruction::Instruction {
        self.scene.world.program.claim_bounty(&self.segment(), &self.challenger.key.pubkey())
    }

    /// Tokens of the challenger, base units.
    pub(crate) fn challenger_tokens(&self) -> u64 {
        self.scene.world.tokens(&self.challenger.key.pubkey())
    }

    /// Lamports of an account.
    pub(crate) fn lamports(&self, address: &Address) -> u64 {
        self.scene.world.ledger.account(address).map_or(0, |account| account.lamports)
    }
}

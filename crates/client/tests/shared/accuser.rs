//! Someone who accuses a trainer of a scene, whose roots are made up: the dispute ends when the trainer concedes or stays silent.
#![allow(dead_code, reason = "not every test file asks for everything")]

use sip_client::Accusation;
use sip_protocol::{Error, court::MoveKind};
use sip_testing::{Scene, named};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Who accuses, and whom.
pub(crate) struct Accuser {
    pub(crate) key: Keypair,
    round: Address,
    trainer: usize,
    salt: [u8; 32],
}

impl Accuser {
    /// A wallet of this name that will accuse a trainer's segment of a round.
    pub(crate) fn new(scene: &mut Scene, name: &str, round: &Address, trainer: usize) -> Accuser {
        Accuser { key: scene.world.wallet(name), round: *round, trainer, salt: named(&format!("salt of {name}")) }
    }

    /// The same accuser on another copy of the chain.
    pub(crate) fn copy(&self) -> Accuser {
        Accuser { key: self.key.insecure_clone(), ..*self }
    }

    fn with<T>(&self, scene: &Scene, make: impl FnOnce(&Accusation<'_>) -> T) -> T {
        make(&Accusation {
            challenger: &self.key.pubkey(),
            job: &scene.job,
            round: &self.round,
            pool: &scene.trainers[self.trainer].seat.pool,
            datasets: &scene.datasets,
            salt: &self.salt,
        })
    }

    /// The instruction that commits the accusation.
    pub(crate) fn commit_instruction(&self, scene: &Scene) -> Instruction {
        self.with(scene, |accusation| scene.world.program.commit_accusation(accusation))
    }

    /// The instruction that opens it.
    pub(crate) fn open_instruction(&self, scene: &Scene) -> Instruction {
        self.with(scene, |accusation| scene.world.program.open_dispute(accusation))
    }

    /// The instruction that takes it back.
    pub(crate) fn withdraw_instruction(&self, scene: &Scene) -> Instruction {
        self.with(scene, |accusation| scene.world.program.withdraw_accusation(accusation))
    }

    /// The instruction that ends it unopened.
    pub(crate) fn expire_instruction(&self, scene: &Scene) -> Instruction {
        let hash = self.with(scene, |accusation| accusation.hash(&self.segment(scene)));
        scene.world.program.expire_accusation(&self.key.pubkey(), &scene.job, &hash)
    }

    /// The instruction that pays this wallet the bounty.
    pub(crate) fn claim_instruction(&self, scene: &Scene) -> Instruction {
        scene.world.program.claim_bounty(&self.segment(scene), &self.key.pubkey())
    }

    /// Commits the accusation, and lets a slot pass.
    pub(crate) fn commit(&self, scene: &mut Scene) {
        let commit = self.commit_instruction(scene);
        scene.world.send(&[commit], &[&self.key]);
        scene.world.advance(1);
    }

    /// Opens the dispute.
    pub(crate) fn open(&self, scene: &mut Scene) {
        let open = self.open_instruction(scene);
        scene.world.send(&[open], &[&self.key]);
    }

    /// What the program says to this wallet's opening.
    pub(crate) fn open_refused(&self, scene: &mut Scene, expected: Error) {
        let open = self.open_instruction(scene);
        scene.world.refused(&[open], &[&self.key], expected);
    }

    /// The trainer concedes, and the verdict is applied.
    pub(crate) fn win(&self, scene: &mut Scene) {
        self.concede(scene);
        self.resolve(scene);
    }

    /// The trainer concedes.
    pub(crate) fn concede(&self, scene: &mut Scene) {
        let trainer = scene.trainers[self.trainer].key.insecure_clone();
        let dispute = scene.world.program.dispute(&self.segment(scene), &self.key.pubkey());
        let concede = scene.world.program.play_move(&trainer.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        scene.world.send(&[concede], &[&trainer]);
    }

    /// The trainer stays silent, and the verdict is applied.
    pub(crate) fn outwait(&self, scene: &mut Scene) {
        let clock_slots = scene.world.config().parameters.clock_slots;
        scene.world.advance(clock_slots + 1);
        let dispute = scene.world.program.dispute(&self.segment(scene), &self.key.pubkey());
        scene.crank(scene.world.program.time_out(&dispute));
        self.resolve(scene);
    }

    /// The instruction that applies the verdict.
    pub(crate) fn resolve_instruction(&self, scene: &Scene) -> Instruction {
        let pool = scene.trainers[self.trainer].seat.pool;
        scene.world.program.resolve_dispute(&self.key.pubkey(), &scene.job, &self.round, &pool)
    }

    fn resolve(&self, scene: &mut Scene) {
        let resolve = self.resolve_instruction(scene);
        scene.crank(resolve);
    }

    /// The segment that is accused.
    pub(crate) fn segment(&self, scene: &Scene) -> Address {
        scene.world.program.segment(&self.round, &scene.trainers[self.trainer].seat.pool)
    }

    /// Tokens of the wallet, base units.
    pub(crate) fn tokens(&self, scene: &Scene) -> u64 {
        scene.world.tokens(&self.key.pubkey())
    }
}

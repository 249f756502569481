//! A round of honest segments whose auditors vote and attest as a test lets them, and disputes over what they say.

use super::{placed, stage};
use sip_client::{AttestationAccusation, Program, VoteAccusation};
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender, DisputeError, Evidence, Move};
use sip_node::{Aggregates, Computation, State};
use sip_proof::{Hash, HostSha256};
use sip_protocol::court::{Dispute, MoveKind, Outcome, Phase, Side};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::attestation;
use sip_testing::staged;
use sip_testing::synthetic::{self, Run};
use sip_testing::{Cast, Operator, PARAMETERS, SLICE, Scene, named};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// Slice behind each claim in a hall, base units: not what stands behind an attestation.
pub(crate) const HALL_SLICE: u64 = 3 * SLICE / 2;

/// A round of honest segments whose auditors vote and attest as a test lets them.
pub(crate) struct Hall {
    /// The chain.
    pub(crate) scene: Scene,
    /// What the trainers hold, and what is true.
    pub(crate) runs: Vec<Run>,
    /// The graphs that average.
    pub(crate) aggregates: Aggregates,
    /// The accuser.
    pub(crate) challenger: Operator,
    /// What hides its accusations.
    pub(crate) salt: [u8; 32],
}

impl Hall {
    /// Segments of two trainers, committed; three auditors have revealed their draws.
    pub(crate) fn new(inner_steps: u32, steps_per_leaf: u32) -> Hall {
        Hall::drawn(inner_steps, steps_per_leaf, [u32::MAX, 0])
    }

    /// The same where the first and the second draw select so much of 2³².
    fn drawn(inner_steps: u32, steps_per_leaf: u32, rates: [u32; 2]) -> Hall {
        let story = synthetic::Scene::new(inner_steps, steps_per_leaf);
        let aggregates = staged::aggregates(&staged::state(story.run(None).start_state()));
        let mut cast = Cast { trainers: 2, auditors: 3, evaluators: 1, ..Cast::default() };
        cast.spec.aggregates_root = aggregates.root();
        [cast.spec.audit_rate, cast.spec.second_audit_rate] = rates;
        cast.spec.slice = HALL_SLICE;
        let mut scene = stage(&story, cast);
        scene.open_round();
        let run = |trainer| placed(&story, &scene, trainer).run(None);
        let runs: Vec<Run> = (0..2).map(run).collect();
        for (trainer, run) in runs.iter().enumerate() {
            let mut claim = scene.claim(trainer);
            (claim.end_root, claim.accumulator_root) = (run.end_root(), run.accumulator_root());
            scene.commit_claim(trainer, &claim);
        }
        scene.close_commits();
        (0..3).for_each(|auditor| scene.reveal(auditor));
        let challenger = scene.world.operator("challenger", PoolKind::Auditor);
        Hall { scene, runs, aggregates, challenger, salt: named("salt") }
    }

    /// A hall whose round is closed, everyone having attested the truth.
    pub(crate) fn closed() -> Hall {
        let mut hall = Hall::new(2, 1);
        hall.attest(|_, _, root| root);
        hall.scene.close_round();
        hall
    }

    /// A hall whose round is closed, nobody having drawn anything, with a second draw of everything.
    pub(crate) fn unseen() -> Hall {
        let mut hall = Hall::drawn(20, 1, [0, u32::MAX]);
        hall.scene.close_round();
        hall
    }

    /// The leaf that an auditor's draw picks in a segment.
    pub(crate) fn leaf(&self, auditor: usize, trainer: usize) -> u32 {
        let (round, leaves) = (self.scene.round_state(), self.scene.job_state().spec.leaf_count());
        attestation::leaf::<HostSha256>(&round, &self.scene.segment_state(trainer), auditor as u8, leaves)
    }

    /// What an auditor should attest.
    pub(crate) fn root(&self, auditor: usize, trainer: usize) -> Hash {
        let first_step = self.leaf(auditor, trainer) * self.scene.job_state().spec.leaf_interval;
        self.runs[trainer].trace_root(first_step)
    }

    /// Every auditor attests every segment with what `root` makes of the truth.
    pub(crate) fn attest(&mut self, root: impl Fn(usize, usize, Hash) -> Hash) {
        for auditor in 0..3 {
            for trainer in 0..2 {
                let root = root(auditor, trainer, self.root(auditor, trainer));
                self.scene.attest_root(auditor, trainer, &root);
            }
        }
    }

    pub(crate) fn show(&mut self, auditor: usize, trainer: usize, root: &Hash) {
        let show = self.scene.show_instruction(auditor, trainer, root);
        let key = self.key(auditor);
        self.scene.world.send(&[show], &[&key]);
    }

    pub(crate) fn key(&self, auditor: usize) -> Keypair {
        self.scene.auditors[auditor].key.insecure_clone()
    }

    /// The ends of the segments in order of place.
    pub(crate) fn ends(&self) -> Vec<Arc<State>> {
        self.runs.iter().map(|run| staged::state(run.end_state())).collect()
    }

    /// What the accuser, or another in its place, says of an auditor's vote.
    fn with_vote<T>(&self, auditor: usize, make: impl FnOnce(&Program, &VoteAccusation<'_>) -> T) -> T {
        let (graph, path) = self.aggregates.opening(2).unwrap();
        let accusation = VoteAccusation {
            challenger: &self.challenger.key.pubkey(),
            job: &self.scene.job,
            round: &self.scene.round(),
            auditor: &self.scene.auditors[auditor].seat,
            graph: &graph,
            path: &path,
            segments: &[self.scene.segment(0), self.scene.segment(1)],
            salt: &self.salt,
        };
        make(&self.scene.world.program, &accusation)
    }

    /// What it says of an auditor's attestation.
    fn with_attestation<T>(
        &self,
        auditor: usize,
        trainer: usize,
        make: impl FnOnce(&Program, &AttestationAccusation<'_>) -> T,
    ) -> T {
        let accusation = AttestationAccusation {
            challenger: &self.challenger.key.pubkey(),
            job: &self.scene.job,
            round: &self.scene.round(),
            segment: &self.scene.segment(trainer),
            auditor: &self.scene.auditors[auditor].seat,
            datasets: &self.scene.datasets,
            salt: &self.salt,
        };
        make(&self.scene.world.program, &accusation)
    }

    /// The accusation of an auditor's vote.
    pub(crate) fn vote_accusation(&self, auditor: usize) -> Instruction {
        self.with_vote(auditor, |program, accusation| program.open_vote_dispute(accusation))
    }

    /// Its commitment.
    pub(crate) fn vote_commitment(&self, auditor: usize) -> Instruction {
        self.with_vote(auditor, |program, accusation| program.commit_hidden(&accusation.hidden()))
    }

    /// Takes it back.
    pub(crate) fn vote_withdrawal(&self, auditor: usize) -> Instruction {
        let (round, pool) = self.auditor_accounts(auditor);
        self.with_vote(auditor, |program, accusation| {
            program.withdraw_hidden(&accusation.hidden(), Some(&round), Some(&pool))
        })
    }

    fn auditor_accounts(&self, auditor: usize) -> (Address, Address) {
        (self.scene.round(), self.scene.auditors[auditor].seat.pool)
    }

    pub(crate) fn vote_dispute(&self, auditor: usize) -> Address {
        let (round, challenger) = (self.scene.round(), self.challenger.key.pubkey());
        self.scene.world.program.auditor_dispute(&round, &challenger, auditor as u8)
    }

    /// The accusation of an auditor's attestation.
    pub(crate) fn attestation_accusation(&self, auditor: usize, trainer: usize) -> Instruction {
        self.with_attestation(auditor, trainer, |program, accusation| program.open_attestation_dispute(accusation))
    }

    /// Its commitment.
    pub(crate) fn attestation_commitment(&self, auditor: usize, trainer: usize) -> Instruction {
        self.with_attestation(auditor, trainer, |program, accusation| program.commit_hidden(&accusation.hidden()))
    }

    /// Takes it back.
    pub(crate) fn attestation_withdrawal(&self, auditor: usize, trainer: usize) -> Instruction {
        let (round, pool) = self.auditor_accounts(auditor);
        self.with_attestation(auditor, trainer, |program, accusation| {
            program.withdraw_hidden(&accusation.hidden(), Some(&round), Some(&pool))
        })
    }

    pub(crate) fn attestation_dispute(&self, auditor: usize, trainer: usize) -> Address {
        let (segment, challenger) = (self.scene.segment(trainer), self.challenger.key.pubkey());
        self.scene.world.program.auditor_dispute(&segment, &challenger, auditor as u8)
    }

    /// Sends what the accuser signs, and lets a slot pass.
    pub(crate) fn send(&mut self, instruction: Instruction) {
        let key = self.challenger.key.insecure_clone();
        self.scene.world.send(&[instruction], &[&key]);
        self.scene.world.advance(1);
    }

    /// Commits the accusation of a vote and opens it.
    pub(crate) fn accuse_vote(&mut self, auditor: usize) {
        self.send(self.vote_commitment(auditor));
        self.send(self.vote_accusation(auditor));
    }

    /// Commits the accusation of an attestation and opens it.
    pub(crate) fn accuse_attestation(&mut self, auditor: usize, trainer: usize) {
        self.send(self.attestation_commitment(auditor, trainer));
        self.send(self.attestation_accusation(auditor, trainer));
    }

    pub(crate) fn resolve_instruction(&self, dispute: &Address, auditor: usize) -> Instruction {
        let challenger = self.challenger.key.pubkey();
        let pool = self.scene.auditors[auditor].seat.pool;
        let (job, round) = (self.scene.job, self.scene.round());
        self.scene.world.program.resolve_auditor_dispute(&challenger, dispute, &job, &round, &pool)
    }

    /// Fights a dispute that was opened to its end, and resolves; checks the money.
    pub(crate) fn dispute<D: Evidence, C: Evidence>(
        &mut self,
        (dispute, auditor): (Address, usize),
        defender: Defender<D>,
        challenger: Challenger<C>,
    ) -> (Outcome, Vec<MoveKind>) {
        let keys = [self.key(auditor), self.challenger.key.insecure_clone()];
        let pool_address = self.scene.auditors[auditor].seat.pool;
        let (pool, tokens) = (self.scene.pool_state(&pool_address), self.scene.world.tokens(&keys[1].pubkey()));
        let bond = self.scene.world.state::<Dispute>(&dispute).bond;
        let bounties = self.scene.round_state().bounties().unwrap();
        let (outcome, moves) = fight(&mut self.scene, &dispute, &keys, defender, challenger);
        let resolve = self.resolve_instruction(&dispute, auditor);
        self.scene.crank(resolve);

        let parameters = self.scene.world.config().parameters;
        let after = self.scene.pool_state(&pool_address);
        let gained = self.scene.world.tokens(&keys[1].pubkey()) as i64 - tokens as i64;
        let excluded = self.scene.job_state().auditors[auditor].state == sip_protocol::training::seats::CONVICTED;
        assert_eq!(after.open_disputes, pool.open_disputes - 1);
        match outcome {
            Outcome::Convicted => {
                // The slice of the claim, once.
                let taken = pool.self_bond - after.self_bond;
                let bounty = (taken / 2).min(parameters.penalties.bounty_cap);
                assert!([0, PARAMETERS.minimum_self_bond, HALL_SLICE].contains(&taken));
                assert_eq!(gained as u64, bond);
                assert_eq!(after.claims_convicted, pool.claims_convicted + 1);
                let round = self.scene.round_state();
                let seat = round.auditors[auditor];
                assert_eq!(round.bounties().unwrap(), bounties + bounty);
                assert!(excluded && round.is_struck(auditor as u8));
                assert!(seat.is_vote_convicted != 0 || seat.convicted_attestations != 0);
            }
            _ => {
                assert_eq!(after.held().unwrap(), pool.held().unwrap() + bond / 2);
                assert_eq!((after.self_bond, excluded, gained), (pool.self_bond, false, 0));
            }
        }
        (outcome, moves)
    }

    /// Lets an auditor vote for the outcome of a computation, and accuses it.
    pub(crate) fn dispute_vote(&mut self, auditor: usize, mut claimed: Computation) -> (Outcome, Vec<MoveKind>) {
        let root = claimed.root().unwrap();
        if self.scene.round_state().auditors[auditor].vote != root {
            self.scene.vote(auditor, &root);
        }
        let truth = staged::average(&self.ends(), None);
        let graph = Arc::new(truth.graph_evidence());
        let defender = Defender::new(Arc::new(claimed.graph_evidence()), claimed);
        self.accuse_vote(auditor);
        self.dispute((self.vote_dispute(auditor), auditor), defender, Challenger::new(graph, truth))
    }

    /// Accuses an attestation that was shown; the auditor defends it with this run.
    pub(crate) fn dispute_attestation(
        &mut self,
        auditor: usize,
        trainer: usize,
        claimed: &Run,
    ) -> (Outcome, Vec<MoveKind>) {
        let truth = self.runs[trainer].clone();
        let defender = Defender::new(truth.graph(), claimed.clone());
        self.accuse_attestation(auditor, trainer);
        let dispute = (self.attestation_dispute(auditor, trainer), auditor);
        self.dispute(dispute, defender, Challenger::new(truth.graph(), truth))
    }
}

/// Plays both brains to the end. A side that has nothing to say, or whose move is refused, loses by the clock.
pub(crate) fn fight<D: Evidence, C: Evidence>(
    scene: &mut Scene,
    dispute: &Address,
    keys: &[Keypair; 2],
    mut defender: Defender<D>,
    mut challenger: Challenger<C>,
) -> (Outcome, Vec<MoveKind>) {
    let mut moves = Vec::new();
    loop {
        let game = scene.world.state::<Dispute>(dispute).game;
        if game.phase().unwrap() == Phase::Over {
            return (game.outcome().unwrap(), moves);
        }
        let side = game.on_move().unwrap();
        let next = match side {
            Side::Trainer => said(defender.next(&game)),
            Side::Challenger => said(challenger.next(&game)),
        };
        scene.world.advance(1);
        if !next.is_some_and(|next| try_play(scene, dispute, &keys[side as usize], &next, &mut moves)) {
            scene.world.advance(game.clock_slots[side as usize]);
            let time_out = scene.world.program.time_out(dispute);
            scene.crank(time_out);
        }
        assert!(moves.len() < 60, "the game does not end");
    }
}

fn said<E>(next: Result<Option<Move>, DisputeError<E>>) -> Option<Move> {
    match next {
        Err(DisputeError::Missing(_)) => None,
        Err(_) => panic!("the evidence failed"),
        Ok(next) => next,
    }
}

fn try_play(scene: &mut Scene, dispute: &Address, key: &Keypair, next: &Move, moves: &mut Vec<MoveKind>) -> bool {
    for instruction in scene.world.program.moves(&key.pubkey(), dispute, next.kind, &next.payload) {
        if scene.world.ledger.send(&[instruction], key, &[key]).is_err() {
            return false;
        }
    }
    moves.push(next.kind);
    true
}

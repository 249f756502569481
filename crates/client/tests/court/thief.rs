//! A thief of a session key, played to the end: what it takes, what its friend takes, and what the operator loses.

use crate::accuser::Accuser;
use crate::court::hall::{HALL_SLICE, Hall, fight};
use sip_client::{Party, Seat};
use sip_node::dispute::{Challenger, Defender, Move};
use sip_proof::{
    Hash,
    merkle::{self, MerkleTree},
};
use sip_protocol::{
    Error,
    court::{Dispute, Game, MoveKind, Outcome, Phase},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::Pool,
    training::seats,
};
use sip_testing::{staged, synthetic::node};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// Root of an output that no node has.
const FALSE: Hash = [1; 32];
/// Stake that somebody delegates to each robbed pool, base units.
const DELEGATED: u64 = 10_000 * TOKEN;

/// A hall whose round is voted, with all that is claimed in it true: the thief has the session key of trainer 0 and of auditor 0, and its friend accuses.
struct Theft {
    hall: Hall,
    hot: Keypair,
    friend: Accuser,
    pools: [Address; 2],
}

impl Theft {
    fn new() -> Theft {
        let mut hall = Hall::closed();
        let root = staged::average(&hall.ends(), None).root().unwrap();
        for auditor in 0..2 {
            hall.scene.vote(auditor, &root);
        }
        let (hot, round) = (hall.scene.world.wallet("hot"), hall.scene.round());
        let owners = [hall.scene.trainers[0].key.insecure_clone(), hall.key(0)];
        let seats = [hall.scene.trainers[0].seat, hall.scene.auditors[0].seat];
        for (seat, key) in seats.iter().zip(&owners) {
            let set = hall.scene.world.program.set_session(&seat.operator, &seat.pool, &hot.pubkey(), u64::MAX);
            hall.scene.world.send(&[set], &[key]);
            let patron = hall.scene.world.wallet(&format!("patron of {}", seat.pool));
            let deposit = hall.scene.world.program.deposit(&patron.pubkey(), &seat.pool, DELEGATED, 0);
            hall.scene.world.send(&[deposit], &[&patron]);
        }
        let friend = Accuser::new(&mut hall.scene, "friend", &round, 0);
        hall.challenger.key = friend.key.insecure_clone();
        Theft { hall, hot, friend, pools: seats.map(|seat| seat.pool) }
    }

    /// The friend accuses the segment and the vote.
    fn accuse(&mut self) -> [Address; 2] {
        self.friend.commit(&mut self.hall.scene);
        self.friend.open(&mut self.hall.scene);
        self.hall.accuse_vote(0);
        let program = self.hall.scene.world.program;
        let segment = program.dispute(&self.friend.segment(&self.hall.scene), &self.friend.key.pubkey());
        [segment, self.hall.vote_dispute(0)]
    }

    fn pool(&self, number: usize) -> Pool {
        self.hall.scene.pool_state(&self.pools[number])
    }

    fn game(&self, dispute: &Address) -> Game {
        self.hall.scene.world.state::<Dispute>(dispute).game
    }

    /// A move of the thief.
    fn by_thief(&self, dispute: &Address, pool: usize, next: &Move) -> Instruction {
        let party = Party { wallet: self.hot.pubkey(), pool: Some(self.pools[pool]) };
        self.hall.scene.world.program.play_move(party, dispute, next.kind, 0, &next.payload)
    }

    /// A trace that is false in each of its nodes, and in its padding.
    fn false_trace(&self, dispute: &Address) -> MerkleTree {
        let depth = merkle::depth(self.game(dispute).ground.node_count);
        MerkleTree::new(vec![FALSE; 1 << depth])
    }

    /// What puts it on the table.
    fn false_opening(&self, dispute: &Address) -> Move {
        let tree = self.false_trace(dispute);
        Move::new(MoveKind::PostTrace, tree.children(merkle::depth(self.game(dispute).ground.node_count), 0))
    }

    /// The thief and its friend play a true claim to its conviction, within this slot; how many moves that takes.
    fn lose(&mut self, dispute: &Address, pool: usize) -> u32 {
        let run = self.hall.runs[0].clone();
        let mut defender = Defender::new(run.graph(), run);
        let (hot, friend) = (self.hot.insecure_clone(), self.friend.key.insecure_clone());
        let program = self.hall.scene.world.program;
        while self.game(dispute).phase() != Ok(Phase::Over) {
            let game = self.game(dispute);
            let count = game.ground.node_count;
            // Where there is padding it convicts at once; else the step's number does, which everybody knows.
            let picked = if count.is_power_of_two() { node::STEP } else { count.next_power_of_two() - 1 };
            match game.phase().unwrap() {
                Phase::PickLeaf | Phase::PickStep => {
                    let pick = program.play_move(&friend.pubkey(), dispute, MoveKind::Pick, 0, &[0; 4]);
                    self.hall.scene.world.send(&[pick], &[&friend]);
                }
                Phase::PickTrace => {
                    let pick = picked.to_le_bytes();
                    let pick = program.play_move(&friend.pubkey(), dispute, MoveKind::Pick, 0, &pick);
                    self.hall.scene.world.send(&[pick], &[&friend]);
                }
                Phase::PostTrace => {
                    let lie = self.by_thief(dispute, pool, &self.false_opening(dispute));
                    self.hall.scene.world.send(&[lie], &[&hot]);
                }
                _ => {
                    let mut next = defender.next(&game).ok().flatten().unwrap();
                    if next.kind == MoveKind::OpenNode {
                        let opening = [FALSE.to_vec(), self.false_trace(dispute).path(game.index)].concat();
                        next.payload[..opening.len()].copy_from_slice(&opening);
                    }
                    let opening = self.by_thief(dispute, pool, &next);
                    self.hall.scene.world.send(&[opening], &[&hot]);
                }
            }
        }
        assert_eq!(self.game(dispute).outcome(), Ok(Outcome::Convicted));
        self.hall.scene.world.state::<Dispute>(dispute).moves
    }

    /// Slots of a clock of the job.
    fn clock_slots(&self) -> u64 {
        let job = self.hall.scene.job_state();
        job.spec.clock_slots(&job.parameters)
    }

    /// The verdicts on the segment and on the vote.
    fn resolve(&mut self, disputes: &[Address; 2]) {
        let verdicts =
            [self.friend.resolve_instruction(&self.hall.scene), self.hall.resolve_instruction(&disputes[1], 0)];
        for verdict in verdicts {
            self.hall.scene.crank(verdict);
        }
    }
}

#[test]
fn a_session_key_loses_no_true_claim_of_an_operator_who_looks_within_half_a_clock() {
    let mut theft = Theft::new();
    let before = [theft.pool(0), theft.pool(1)];
    let disputes = theft.accuse();
    let hot = theft.hot.insecure_clone();
    let half = theft.clock_slots() / 2;
    // To concede is the operator's alone; a false opening has to wait.
    let run = theft.hall.runs[0].clone();
    let opening = Defender::new(run.graph(), run.clone()).next(&theft.game(&disputes[0])).ok().flatten().unwrap();
    let lies = [opening, theft.false_opening(&disputes[1])];
    for (pool, (dispute, lie)) in disputes.iter().zip(&lies).enumerate() {
        let concede = theft.by_thief(dispute, pool, &Move::new(MoveKind::Concede, Vec::new()));
        theft.hall.scene.world.refused(&[concede], &[&hot], Error::NotParty);
        let lie = theft.by_thief(dispute, pool, lie);
        theft.hall.scene.world.refused(&[lie], &[&hot], Error::SessionWaits);
    }
    theft.hall.scene.world.advance(half - 2);
    let lie = theft.by_thief(&disputes[1], 1, &lies[1]);
    theft.hall.scene.world.refused(std::slice::from_ref(&lie), &[&hot], Error::SessionWaits);
    // The operators see that they are accused, and end the key; then they defend what is true.
    let owners = [theft.hall.scene.trainers[0].key.insecure_clone(), theft.hall.key(0)];
    for (pool, key) in theft.pools.iter().zip(&owners) {
        let end = theft.hall.scene.world.program.set_session(&key.pubkey(), pool, &Address::default(), 0);
        theft.hall.scene.world.send(&[end], &[key]);
    }
    theft.hall.scene.world.advance(2);
    theft.hall.scene.world.refused(&[lie], &[&hot], Error::NotParty);
    let keys = [owners[0].insecure_clone(), theft.friend.key.insecure_clone()];
    let (defender, accuser) = (Defender::new(run.graph(), run.clone()), Challenger::new(run.graph(), run));
    let (outcome, _) = fight(&mut theft.hall.scene, &disputes[0], &keys, defender, accuser);
    assert_eq!(outcome, Outcome::Acquitted);
    let truth = || staged::average(&theft.hall.ends(), None);
    let graph = Arc::new(truth().graph_evidence());
    let (defender, accuser) = (Defender::new(Arc::clone(&graph), truth()), Challenger::new(graph, truth()));
    let keys = [owners[1].insecure_clone(), keys[1].insecure_clone()];
    let (outcome, _) = fight(&mut theft.hall.scene, &disputes[1], &keys, defender, accuser);
    assert_eq!(outcome, Outcome::Acquitted);
    theft.resolve(&disputes);
    for (pool, before) in before.iter().enumerate() {
        let after = theft.pool(pool);
        assert_eq!((after.self_bond, after.pending_assets), (before.self_bond, before.pending_assets));
    }
}

#[test]
fn a_session_key_whose_operator_never_looks_takes_half_of_each_slice_and_no_token_else() {
    let mut theft = Theft::new();
    let (hot, program, job) = (theft.hot.insecure_clone(), theft.hall.scene.world.program, theft.hall.scene.job);
    let friend = theft.friend.key.pubkey();
    let [before, auditors] = [theft.pool(0), theft.pool(1)];
    let tokens = |theft: &Theft| theft.hall.scene.world.tokens(&friend) + theft.hall.scene.world.tokens(&hot.pubkey());
    let owned = tokens(&theft);
    // What moves money, places or stake is the operator's.
    let seat = Seat { operator: hot.pubkey(), ..theft.hall.scene.trainers[0].seat };
    for instruction in [
        program.leave_job(&seat, &job),
        program.allot_stake(&seat, &job, 0),
        program.retire_pool(&hot.pubkey(), &seat.pool),
        program.set_session(&hot.pubkey(), &seat.pool, &friend, u64::MAX),
    ] {
        theft.hall.scene.world.refused(&[instruction], &[&hot], Error::NotAuthority);
    }
    // Half a clock after the friend has accused what is true, a few moves of one slot convict it.
    let disputes = theft.accuse();
    let half = theft.clock_slots() / 2;
    theft.hall.scene.world.advance(half);
    let slot = theft.hall.scene.world.ledger.slot();
    let moves = [theft.lose(&disputes[0], 0), theft.lose(&disputes[1], 1)];
    assert_eq!((moves, theft.hall.scene.world.ledger.slot()), ([6, 2], slot));
    theft.resolve(&disputes);
    theft.hall.scene.world.advance(REVEAL_SLOTS + 1);
    let claims = [
        theft.friend.claim_instruction(&theft.hall.scene),
        program.claim_auditors_bounty(&theft.hall.scene.round(), 0, CaseKind::Aggregate, &friend),
    ];
    for claim in claims {
        theft.hall.scene.crank(claim);
    }
    // The operators lose the slice of each claim, their delegators three tenths once, and the friend has half of the slices.
    let after = [theft.pool(0), theft.pool(1)];
    assert_eq!(before.self_bond - after[0].self_bond, HALL_SLICE);
    assert_eq!(auditors.self_bond - after[1].self_bond, HALL_SLICE);
    for pool in &after {
        assert_eq!(pool.pending_assets, DELEGATED / 10 * 7);
    }
    assert_eq!(tokens(&theft) - owned, HALL_SLICE);
    // Nobody waits for them any more, and the key has nothing left to lose there.
    let state = theft.hall.scene.job_state();
    assert_eq!((state.trainers[0].state, state.auditors[0].state), (seats::CONVICTED, seats::CONVICTED));
    let wake = program.wake_seat(&seat, &job);
    assert!(theft.hall.scene.world.fails(&[wake], &[&hot]).custom_code().is_some());
}

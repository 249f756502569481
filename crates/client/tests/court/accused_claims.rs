//! Accusations of votes, attestations and genesis states, committed before they are made: who earns the bounty, and who cannot.

use crate::common::send_guarded;
use crate::court::hall::{HALL_SLICE, Hall};
use sip_client::{GenesisAccusation, Program};
use sip_node::dispute::Challenger;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::{Dispute, MoveKind, Side},
    ground::{
        case::CaseKind,
        escrow::{Escrow, REVEAL_SLOTS},
        units::TOKEN,
    },
    training::round,
};
use sip_testing::{BOND_TOKENS, WALLET_TOKENS, named};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const BOND: u64 = Parameters::DEFAULT.dispute_bond;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Of auditor 0.
    Vote,
    /// Of auditor 0, of the segment of trainer 0.
    Attestation,
    /// Of the hall's job.
    Genesis,
}

const CLAIMS: [Claim; 3] = [Claim::Vote, Claim::Attestation, Claim::Genesis];

/// A hall in which auditor 0 has voted and attested, and wallets that accuse it or the job's creator.
struct Bench {
    hall: Hall,
}

impl Bench {
    /// Auditor 0 votes for this root.
    fn new(vote: [u8; 32]) -> Bench {
        let mut hall = Hall::closed();
        hall.scene.vote(0, &vote);
        let root = hall.root(0, 0);
        hall.show(0, 0, &root);
        Bench { hall }
    }

    fn wallets<const N: usize>(&mut self, names: [&str; N]) -> [Keypair; N] {
        names.map(|name| self.hall.scene.world.wallet(name))
    }

    fn program(&self) -> Program {
        self.hall.scene.world.program
    }

    /// What a wallet says of a claim: commitment, opening, withdrawal.
    fn instructions(&mut self, wallet: &Keypair, claim: Claim) -> [Instruction; 3] {
        self.hall.challenger.key = wallet.insecure_clone();
        self.hall.salt = named(&format!("salt of {}", wallet.pubkey()));
        let hall = &self.hall;
        match claim {
            Claim::Vote => [hall.vote_commitment(0), hall.vote_accusation(0), hall.vote_withdrawal(0)],
            Claim::Attestation => [
                hall.attestation_commitment(0, 0),
                hall.attestation_accusation(0, 0),
                hall.attestation_withdrawal(0, 0),
            ],
            Claim::Genesis => {
                let challenger = wallet.pubkey();
                let accusation = GenesisAccusation { challenger: &challenger, job: &hall.scene.job, salt: &hall.salt };
                let (program, hidden) = (self.program(), accusation.hidden());
                [
                    program.commit_hidden(&hidden),
                    program.open_genesis_dispute(&accusation),
                    program.withdraw_hidden(&hidden, None, None),
                ]
            }
        }
    }

    fn commit(&mut self, wallet: &Keypair, claim: Claim) {
        let [commit, ..] = self.instructions(wallet, claim);
        self.hall.send(commit);
    }

    fn open(&mut self, wallet: &Keypair, claim: Claim) {
        let [_, open, _] = self.instructions(wallet, claim);
        self.hall.send(open);
    }

    fn open_refused(&mut self, wallet: &Keypair, claim: Claim, expected: Error) {
        let [_, open, _] = self.instructions(wallet, claim);
        self.hall.scene.world.refused(&[open], &[wallet], expected);
    }

    fn dispute(&self, wallet: &Keypair, claim: Claim) -> Address {
        let (scene, wallet) = (&self.hall.scene, wallet.pubkey());
        match claim {
            Claim::Vote => self.program().auditor_dispute(&scene.round(), &wallet, 0),
            Claim::Attestation => self.program().auditor_dispute(&scene.segment(0), &wallet, 0),
            Claim::Genesis => self.program().dispute(&scene.job, &wallet),
        }
    }

    fn defendant(&self, claim: Claim) -> Keypair {
        if claim == Claim::Genesis { self.hall.scene.world.authority.insecure_clone() } else { self.hall.key(0) }
    }

    /// Brings the defendant on move.
    fn begin(&mut self, wallet: &Keypair, claim: Claim) {
        let address = self.dispute(wallet, claim);
        let game = self.hall.scene.world.state::<Dispute>(&address).game;
        if game.on_move().unwrap() == Side::Challenger {
            let run = self.hall.runs[0].clone();
            let next = Challenger::new(run.graph(), run).next(&game).unwrap().unwrap();
            let moves = self.program().moves(&wallet.pubkey(), &address, next.kind, &next.payload);
            self.hall.scene.world.send(&moves, &[wallet]);
        }
    }

    /// The defendant gives up, and the verdict is applied.
    fn concede(&mut self, wallet: &Keypair, claim: Claim) {
        self.begin(wallet, claim);
        let (defendant, dispute) = (self.defendant(claim), self.dispute(wallet, claim));
        let concede = self.program().play_move(&defendant.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        self.hall.scene.world.send(&[concede], &[&defendant]);
        self.resolve(wallet, claim);
    }

    /// The defendant falls silent, and the verdict is applied.
    fn outwait(&mut self, wallet: &Keypair, claim: Claim) {
        self.begin(wallet, claim);
        let slots = self.hall.scene.world.config().parameters.clock_slots;
        self.hall.scene.world.advance(slots + 1);
        let time_out = self.program().time_out(&self.dispute(wallet, claim));
        self.hall.scene.crank(time_out);
        self.resolve(wallet, claim);
    }

    fn resolve(&mut self, wallet: &Keypair, claim: Claim) {
        self.hall.challenger.key = wallet.insecure_clone();
        let resolve = match claim {
            Claim::Genesis => self.program().resolve_genesis_dispute(&wallet.pubkey(), &self.hall.scene.job),
            _ => self.hall.resolve_instruction(&self.dispute(wallet, claim), 0),
        };
        self.hall.scene.crank(resolve);
    }

    fn escrow(&self, claim: Claim) -> Escrow {
        match claim {
            Claim::Genesis => self.hall.scene.job_state().escrow,
            Claim::Vote => self.hall.scene.round_state().auditors[0].vote_escrow,
            Claim::Attestation => self.hall.scene.round_state().auditors[0].attestation_escrow,
        }
    }

    fn claim(&self, wallet: &Keypair, claim: Claim) -> Instruction {
        let (program, round, wallet) = (self.program(), self.hall.scene.round(), wallet.pubkey());
        match claim {
            Claim::Genesis => program.claim_bounty(&self.hall.scene.job, &wallet),
            Claim::Vote => program.claim_auditors_bounty(&round, 0, CaseKind::Aggregate, &wallet),
            Claim::Attestation => program.claim_auditors_bounty(&round, 0, CaseKind::Attestation, &wallet),
        }
    }

    /// What a conviction must bring.
    fn bounty(&self, claim: Claim) -> u64 {
        let parameters = self.hall.scene.world.config().parameters;
        let bond = match claim {
            Claim::Genesis => parameters.genesis_bond,
            Claim::Attestation => parameters.minimum_self_bond,
            _ => HALL_SLICE,
        };
        (bond / 2).min(parameters.penalties.bounty_cap)
    }

    fn tokens(&self, wallet: &Keypair) -> u64 {
        self.hall.scene.world.tokens(&wallet.pubkey())
    }
}

#[test]
fn who_copies_an_open_accusation_earns_nothing() {
    for claim in CLAIMS {
        let mut bench = Bench::new(named("no average"));
        let [honest, copier] = bench.wallets(["honest", "copier"]);
        let bounty = bench.bounty(claim);
        bench.commit(&honest, claim);
        bench.open(&honest, claim);
        // Now everyone sees what it accuses. The liar concedes to the copier at once.
        bench.commit(&copier, claim);
        bench.open(&copier, claim);
        bench.concede(&copier, claim);
        let escrow = bench.escrow(claim);
        assert_eq!((escrow.bounty, escrow.challenger), (bounty, copier.pubkey().to_bytes()), "{claim:?}");
        bench.hall.scene.world.advance(REVEAL_SLOTS);
        // The honest one's dispute is open.
        let copied = bench.claim(&copier, claim);
        bench.hall.scene.crank_refused(copied.clone(), Error::BountyHeld);
        bench.outwait(&honest, claim);
        bench.hall.scene.crank_refused(copied, Error::WrongTokenAccount);
        let claimed = bench.claim(&honest, claim);
        bench.hall.scene.crank(claimed.clone());
        bench.hall.scene.world.advance(1);
        bench.hall.scene.crank_refused(claimed, Error::NothingToClaim);
        assert_eq!((bench.tokens(&honest), bench.tokens(&copier)), (FULL + bounty, FULL), "{claim:?}");
    }
}

#[test]
fn a_friend_to_whom_the_liar_concedes_first_loses_the_bounty_to_whoever_committed_earlier() {
    for claim in CLAIMS {
        let mut bench = Bench::new(named("no average"));
        let [honest, friend, late] = bench.wallets(["honest", "friend", "late"]);
        let bounty = bench.bounty(claim);
        bench.commit(&honest, claim);
        bench.commit(&friend, claim);
        bench.commit(&late, claim);
        bench.open(&friend, claim);
        let [_, _, withdraw] = bench.instructions(&honest, claim);
        bench.hall.scene.world.refused(std::slice::from_ref(&withdraw), &[&honest], Error::AccusationStands);
        bench.concede(&friend, claim);
        // One who came after the friend has nothing left to accuse, and loses nothing.
        bench.open_refused(&late, claim, Error::ClaimConvicted);
        let [_, _, back] = bench.instructions(&late, claim);
        send_guarded(&mut bench.hall.scene.world, back, &late, &[]);
        assert_eq!(bench.tokens(&late), FULL);
        // One who was before it plays on for the bounty.
        bench.hall.scene.world.refused(&[withdraw], &[&honest], Error::AccusationStands);
        bench.open(&honest, claim);
        let friends = bench.claim(&friend, claim);
        bench.hall.scene.crank_refused(friends, Error::BountyHeld);
        bench.outwait(&honest, claim);
        let (claimed, anyone) = (bench.claim(&honest, claim), bench.hall.scene.world.authority.insecure_clone());
        send_guarded(&mut bench.hall.scene.world, claimed, &anyone, &[]);
        assert_eq!((bench.tokens(&honest), bench.tokens(&friend)), (FULL + bounty, FULL), "{claim:?}");
        assert_eq!((bench.escrow(claim).bounty, bench.tokens(&late)), (0, FULL));
    }
}

#[test]
fn an_accusation_is_opened_in_its_time_or_costs_a_quarter() {
    for claim in CLAIMS {
        let mut bench = Bench::new(named("no average"));
        let [first, second] = bench.wallets(["first", "second"]);
        let [commit, ..] = bench.instructions(&first, claim);
        bench.hall.scene.world.send(&[commit], &[&first]);
        bench.open_refused(&first, claim, Error::AccusationTooFresh);
        bench.commit(&second, claim);
        bench.open(&second, claim);
        bench.concede(&second, claim);
        // The first never opens: the bounty waits for it, then its time passes.
        let claimed = bench.claim(&second, claim);
        bench.hall.scene.crank_refused(claimed.clone(), Error::BountyHeld);
        bench.hall.scene.world.advance(REVEAL_SLOTS + 1);
        bench.open_refused(&first, claim, Error::AccusationExpired);
        bench.hall.scene.crank(claimed);
        let [commit, ..] = bench.instructions(&first, claim);
        let hash: [u8; 32] = commit.data[1..].try_into().unwrap();
        let insured = bench.hall.scene.world.config().buckets.insurance;
        let expire = bench.program().expire_accusation(&first.pubkey(), &bench.hall.scene.job, &hash);
        bench.hall.scene.crank(expire);
        assert_eq!(bench.tokens(&first), FULL - BOND / 4);
        assert_eq!(bench.hall.scene.world.config().buckets.insurance, insured + BOND / 4);
    }
}

#[test]
fn an_accusation_of_one_claim_opens_no_other() {
    let mut bench = Bench::new(named("no average"));
    let [wallet] = bench.wallets(["wallet"]);
    for committed in CLAIMS {
        let [commit, ..] = bench.instructions(&wallet, committed);
        let accusation = commit.accounts[3].pubkey;
        bench.hall.send(commit);
        for opened in CLAIMS.into_iter().filter(|opened| *opened != committed) {
            let [_, mut open, mut withdraw] = bench.instructions(&wallet, opened);
            let place = if opened == Claim::Genesis {
                3
            } else if opened == Claim::Vote {
                5
            } else {
                6
            };
            open.accounts[place].pubkey = accusation;
            bench.hall.scene.world.refused(&[open], &[&wallet], Error::WrongAccusation);
            withdraw.accounts[3].pubkey = accusation;
            bench.hall.scene.world.refused(&[withdraw], &[&wallet], Error::WrongAccusation);
        }
        // An auditor's claim is withdrawn with its own pool, round and job.
        let [_, _, withdraw] = bench.instructions(&wallet, committed);
        if committed != Claim::Genesis {
            let mut foreign = withdraw.clone();
            foreign.accounts[9].pubkey = bench.hall.scene.auditors[1].seat.pool;
            bench.hall.scene.world.refused(&[foreign], &[&wallet], Error::WrongPlace);
            let mut short = withdraw.clone();
            short.accounts.pop();
            bench.hall.scene.world.refused(&[short], &[&wallet], Error::MissingAccount);
        }
        bench.hall.scene.world.refused(&[withdraw], &[&wallet], Error::AccusationStands);
    }
}

/// An auditor whose false vote made the base has itself convicted of something else, by a friend, to save both.
#[test]
fn a_lesser_confession_saves_neither_the_base_nor_the_bounty() {
    let false_root = named("no average");
    let mut bench = Bench::new(false_root);
    bench.hall.scene.vote(1, &false_root);
    let base = bench.hall.scene.round_state().base_root;
    assert_eq!(bench.hall.scene.round_state().status, round::AGGREGATED);
    let [honest, friend, other] = bench.wallets(["honest", "friend", "other"]);
    let bounty = bench.bounty(Claim::Vote);
    bench.commit(&honest, Claim::Vote);
    bench.commit(&friend, Claim::Attestation);
    bench.open(&friend, Claim::Attestation);
    bench.concede(&friend, Claim::Attestation);
    assert_eq!(bench.escrow(Claim::Attestation).challenger, friend.pubkey().to_bytes());
    assert_eq!(bench.escrow(Claim::Vote).bounty, 0);
    // The vote stays on record and can be accused, by anyone who comes later as well.
    bench.commit(&other, Claim::Vote);
    bench.open(&other, Claim::Vote);
    bench.open(&honest, Claim::Vote);
    bench.outwait(&honest, Claim::Vote);
    assert_eq!(bench.hall.scene.round_state().status, round::VOID);
    assert_eq!(bench.hall.scene.job_state().base_root, base);
    let time_out = bench.program().time_out(&bench.dispute(&other, Claim::Vote));
    bench.hall.scene.crank(time_out);
    bench.resolve(&other, Claim::Vote);
    let claimed = [bench.claim(&honest, Claim::Vote), bench.claim(&friend, Claim::Attestation)];
    for claim in claimed {
        bench.hall.scene.crank(claim);
    }
    let tokens = [&honest, &friend, &other].map(|wallet| bench.tokens(wallet));
    // Both claims were convicted, each of its own slice; each has a bounty of its own, of which the auditor has lost twice as much.
    let lesser = bench.bounty(Claim::Attestation);
    assert_eq!(tokens, [FULL + bounty, FULL + lesser, FULL]);
    let pool = bench.hall.scene.pool_state(&bench.hall.scene.auditors[0].seat.pool);
    assert_eq!(
        (pool.self_bond, pool.open_disputes, pool.claims_convicted),
        (BOND_TOKENS * TOKEN - 2 * (bounty + lesser), 0, 3)
    );
}

/// Attack: a liar's friend accuses something else of the same auditor before anybody has found the false vote, and opens it only when somebody
/// has, to take over the bounty of the vote.
#[test]
fn attack_a_friend_who_accused_something_lesser_before_takes_no_bounty_of_who_found_the_vote() {
    let mut bench = Bench::new(named("no average"));
    let [friend, honest] = bench.wallets(["friend", "honest"]);
    let bounty = bench.bounty(Claim::Vote);
    bench.commit(&friend, Claim::Attestation);
    bench.commit(&honest, Claim::Vote);
    bench.open(&honest, Claim::Vote);
    bench.concede(&honest, Claim::Vote);
    assert_eq!(bench.escrow(Claim::Vote).challenger, honest.pubkey().to_bytes());
    bench.open(&friend, Claim::Attestation);
    bench.concede(&friend, Claim::Attestation);
    bench.hall.scene.world.advance(REVEAL_SLOTS + 1);
    let claimed = bench.claim(&honest, Claim::Vote);
    bench.hall.scene.crank(claimed);
    assert_eq!(bench.tokens(&honest), FULL + bounty);
    // Each of the two is claimed as what it is, and a claim that is not an auditor's names none.
    let (program, round, segment) = (bench.program(), bench.hall.scene.round(), bench.hall.scene.segment(0));
    let wallet = friend.pubkey();
    for (holder, place, case, refused) in [
        (round, 0, CaseKind::Segment, Error::WrongCase),
        (round, 16, CaseKind::Aggregate, Error::WrongPlace),
        (round, 1, CaseKind::Attestation, Error::NothingToClaim),
        (segment, 1, CaseKind::Segment, Error::WrongPlace),
        (segment, 0, CaseKind::Attestation, Error::WrongPlace),
    ] {
        bench.hall.scene.crank_refused(program.claim_auditors_bounty(&holder, place, case, &wallet), refused);
    }
    let claimed = bench.claim(&friend, Claim::Attestation);
    bench.hall.scene.crank(claimed);
    assert_eq!(bench.tokens(&friend), FULL + bench.bounty(Claim::Attestation));
}

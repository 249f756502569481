//! Whose a bounty is when silence and accusations convict in any order: a finder's, never a liar's friend's who only asked.

use crate::accuser::Accuser;
use sip_client::StateDemand;
use sip_node::availability::state_answer;
use sip_proof::{BlobTree, Hash, merkle::MerkleTree};
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    training::{
        round,
        segment::{CONVICTED, Segment, SegmentClaim},
    },
};
use sip_testing::Random;
use sip_testing::{Cast, SLICE, Scene, WALLET_TOKENS, World};
use solana_address::Address;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const FEE: u64 = Parameters::DEFAULT.dispute_bond / 100;
const CLOCK: u64 = Parameters::DEFAULT.clock_slots;
/// Demands of the friend in one schedule, at most.
const MOST_DEMANDS: u64 = 8;

/// A round in which trainer 0 lies with a state that it can show, an honest finder, and the liar's friend, who accuses twice at most.
struct Play {
    scene: Scene,
    round: Address,
    honest: Accuser,
    friends: [Accuser; 2],
    roots: Vec<Hash>,
    entries: Vec<Vec<u8>>,
}

/// What happens in a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask(u32),
    Answer(u32),
    Fail(u32),
    Commit,
    Open,
    Outwait,
    Copy(usize),
}

impl Play {
    fn new() -> Play {
        let entries: Vec<Vec<u8>> = (0..9u8).map(|entry| vec![entry; 40]).collect();
        let roots: Vec<Hash> = entries.iter().map(|entry| BlobTree::new(entry).root()).collect();
        let mut cast = Cast::default();
        cast.spec.challenge_slots = 80_000;
        let mut scene = Scene::with(&cast);
        scene.open_round();
        let claim = SegmentClaim { end_root: MerkleTree::new(&roots).root(), ..scene.claim(0) };
        scene.commit_claim(0, &claim);
        scene.commit(1);
        scene.commit(2);
        scene.close_commits();
        scene.to_closed();
        scene.to_aggregated();
        let round = scene.round();
        let [honest, friend, second] =
            ["honest", "friend", "friend again"].map(|name| Accuser::new(&mut scene, name, &round, 0));
        Play { scene, round, honest, friends: [friend, second], roots, entries }
    }

    /// The same chain once more.
    fn copy(&self) -> Play {
        let again = |operators: &[sip_testing::Operator]| {
            operators
                .iter()
                .map(|operator| sip_testing::Operator {
                    key: operator.key.insecure_clone(),
                    seat: operator.seat,
                    chain: operator.chain.clone(),
                })
                .collect()
        };
        let world = &self.scene.world;
        let scene = Scene {
            world: World {
                ledger: world.ledger.clone(),
                program: world.program,
                authority: world.authority.insecure_clone(),
            },
            job: self.scene.job,
            trainers: again(&self.scene.trainers),
            auditors: again(&self.scene.auditors),
            evaluators: again(&self.scene.evaluators),
            providers: again(&self.scene.providers),
            datasets: self.scene.datasets.clone(),
            patrons: self.scene.patrons.iter().map(|key| key.insecure_clone()).collect(),
        };
        let friends = self.friends.each_ref().map(Accuser::copy);
        let (roots, entries) = (self.roots.clone(), self.entries.clone());
        Play { scene, round: self.round, honest: self.honest.copy(), friends, roots, entries }
    }

    fn segment(&self) -> Segment {
        self.scene.segment_state(0)
    }

    fn demand<T>(&self, entry: u32, make: impl FnOnce(&StateDemand<'_>) -> T) -> T {
        make(&StateDemand {
            demander: &self.friends[0].key.pubkey(),
            job: &self.scene.job,
            round: &self.round,
            pool: &self.scene.trainers[0].seat.pool,
            entry,
            chunk: 0,
        })
    }

    fn ask(&mut self, entry: u32) {
        let ask = self.demand(entry, |demand| self.scene.world.program.demand_state(demand));
        self.scene.world.send(&[ask], &[&self.friends[0].key]);
    }

    fn fail(&mut self, entry: u32) {
        let fail = self.demand(entry, |demand| self.scene.world.program.fail_state(demand));
        self.scene.crank(fail);
    }

    fn answer(&mut self, entry: u32) {
        let (program, liar) = (self.scene.world.program, &self.scene.trainers[0]);
        let (seat, key) = (liar.seat, liar.key.insecure_clone());
        let address = program.demand(&self.scene.segment(0), &self.friends[0].key.pubkey(), entry, 0);
        let answer = state_answer(&self.roots, entry, &self.entries[entry as usize], 0).unwrap();
        for part in program.answer_state(&seat.operator, &address, &self.round, &seat.pool, &answer) {
            self.scene.world.send(&[part], &[&key]);
        }
    }

    /// The friend accuses what somebody accuses already, and the liar concedes to it, or somebody was earlier and it takes its bond back.
    fn accuse_again(&mut self, friend: usize) {
        let friend = &self.friends[friend];
        friend.commit(&mut self.scene);
        let segment: Segment = self.scene.world.state(&friend.segment(&self.scene));
        let slot = self.scene.world.ledger.slot() - 1;
        if segment.status != CONVICTED || segment.escrow.is_contestable(slot) {
            friend.open(&mut self.scene);
            friend.win(&mut self.scene);
        } else {
            let withdraw = friend.withdraw_instruction(&self.scene);
            self.scene.world.send(&[withdraw], &[&friend.key]);
        }
    }

    fn play(&mut self, event: Event) {
        match event {
            // What is convicted bears no further demand.
            Event::Ask(_) if self.segment().status == CONVICTED => {}
            Event::Ask(entry) => self.ask(entry),
            Event::Answer(entry) if self.is_asked(entry) => self.answer(entry),
            Event::Fail(entry) if self.is_asked(entry) => self.fail(entry),
            Event::Answer(_) | Event::Fail(_) => {}
            Event::Commit => {
                let commit = self.honest.commit_instruction(&self.scene);
                self.scene.world.send(&[commit], &[&self.honest.key]);
            }
            Event::Open => self.honest.open(&mut self.scene),
            Event::Outwait => self.honest.outwait(&mut self.scene),
            Event::Copy(friend) => self.accuse_again(friend),
        }
    }

    fn is_asked(&self, entry: u32) -> bool {
        let address = self.scene.world.program.demand(&self.scene.segment(0), &self.friends[0].key.pubkey(), entry, 0);
        self.scene.world.ledger.account(&address).is_some()
    }

    /// A schedule: the friend asks all the time; the liar answers as long as nobody accuses, and mostly; the friend accuses whatever it
    /// sees accused.
    fn schedule(random: &mut Random) -> Vec<(u64, Event)> {
        let commit = 1 + random.below(20_000);
        let open = commit + 1 + random.below(REVEAL_SLOTS);
        let mut events = vec![(commit, Event::Commit), (open, Event::Open), (open + CLOCK + 1, Event::Outwait)];
        for entry in 0..1 + random.below(MOST_DEMANDS) as u32 {
            let asked = random.below(open + CLOCK);
            let answered = asked + 1 + random.below(CLOCK);
            let is_silent = answered >= open || random.below(8) == 0;
            events.push((asked, Event::Ask(entry)));
            events.push(if is_silent {
                (asked + CLOCK + 1 + random.below(3_000), Event::Fail(entry))
            } else {
                (answered, Event::Answer(entry))
            });
        }
        for friend in 0..random.below(3) as usize {
            events.push((commit + 1 + random.below(CLOCK), Event::Copy(friend)));
        }
        events.sort();
        events
    }

    /// Plays a schedule to its end; says how many base units the friend had back beyond what it spent, and asserts whose the bounty is.
    fn friend_takes(&mut self, seed: u64) -> u64 {
        let begin = self.scene.world.ledger.slot();
        let mut random = Random::new(seed);
        let bond = SLICE;
        for (slot, event) in Play::schedule(&mut random) {
            self.scene.advance_to(begin + slot);
            self.play(event);
        }
        let escrow = self.segment().escrow;
        assert_eq!(escrow.challenger, self.honest.key.pubkey().to_bytes(), "schedule {seed}");
        assert!(escrow.bounty == bond / 2 || escrow.bounty == (bond - 5 * FEE) / 2, "schedule {seed}");
        self.scene.world.advance(REVEAL_SLOTS + 1);
        for friend in &self.friends {
            let claim = friend.claim_instruction(&self.scene);
            self.scene.crank_refused(claim, Error::WrongTokenAccount);
        }
        self.scene.crank(self.honest.claim_instruction(&self.scene));
        assert_eq!(self.honest.tokens(&self.scene), FULL + escrow.bounty, "schedule {seed}");
        let held: u64 = self.friends.iter().map(|friend| friend.tokens(&self.scene)).sum();
        held.saturating_sub(2 * FULL)
    }
}

/// In how many of so many schedules the friend of a liar had a bounty. What it may have is five fees for a state that it asked for in vain.
fn schedules(seeds: std::ops::Range<u64>) {
    let play = Play::new();
    let mut silences = 0;
    for seed in seeds {
        let taken = play.copy().friend_takes(seed);
        assert!(taken <= 5 * FEE, "schedule {seed}: the friend takes {taken}");
        silences += u64::from(taken > 0);
    }
    println!("silence convicted first, for five fees at most, in {silences} schedules");
}

#[test]
fn a_liars_friend_takes_no_bounty_in_two_hundred_schedules_of_demands_and_accusations() {
    schedules(0..200);
}

/// Attack: the liar's friend asks for what the liar never shows; who finds the lie comes later.
#[test]
fn a_lapsed_demand_never_outranks_a_later_finder() {
    let mut play = Play::new();
    play.ask(3);
    play.scene.world.advance(CLOCK + 1);
    play.fail(3);
    assert_eq!((play.segment().status, play.scene.round_state().status), (CONVICTED, round::VOID));
    assert!(play.segment().escrow.is_nobodys() && play.segment().escrow.bounty > 0);
    let bounty = play.segment().escrow.bounty;
    let none = play.friends[0].claim_instruction(&play.scene);
    play.scene.crank_refused(none, Error::BountyHeld);
    let release = play.scene.world.program.release_bounty(&play.round, &play.scene.segment(0));
    play.scene.crank_refused(release.clone(), Error::BountyHeld);
    play.scene.world.advance(5_000);
    play.honest.commit(&mut play.scene);
    play.honest.open(&mut play.scene);
    play.honest.outwait(&mut play.scene);
    play.scene.crank_refused(release, Error::BountyHeld);
    play.scene.world.advance(REVEAL_SLOTS + 1);
    play.scene.crank(play.honest.claim_instruction(&play.scene));
    assert_eq!(play.honest.tokens(&play.scene), FULL + bounty);
    assert_eq!(play.friends[0].tokens(&play.scene), FULL + 5 * FEE);
}

#[test]
fn what_silence_left_is_insured_once_no_accusation_can_be_opened_any_more() {
    let mut play = Play::new();
    play.ask(3);
    play.scene.world.advance(CLOCK + 1);
    play.fail(3);
    let bounty = play.segment().escrow.bounty;
    let release = play.scene.world.program.release_bounty(&play.round, &play.scene.segment(0));
    let deadline = play.scene.round_state().disputable_until() - REVEAL_SLOTS;
    // The last accusation of all is committed in the last slot, opened in its last, and lost.
    play.scene.advance_to(deadline + REVEAL_SLOTS);
    play.scene.crank_refused(release.clone(), Error::BountyHeld);
    play.scene.world.advance(1);
    let insured = play.scene.world.config().buckets.insurance;
    let elsewhere = play.scene.world.program.release_bounty(&play.round, &play.scene.segment(1));
    play.scene.crank_refused(elsewhere, Error::BountyOwned);
    play.scene.crank(release.clone());
    assert_eq!(play.scene.world.config().buckets.insurance, insured + bounty);
    play.scene.world.advance(1);
    play.scene.crank_refused(release, Error::BountyOwned);
}

//! Strangers with threads of their own, on machines and a chain that fail at times: the job comes to the same.

use sip_client::StateDemand;
use sip_driver::{Root, States, Wanted};
use sip_ledger::Ledger as _;
use sip_manifest::settings::Exchange;
use sip_node::State;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use sip_protocol::training::round;
use sip_roles::Event;
use solana_address::Address;
use solana_signer::Signer as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::network::{Network, Stranger};
use super::whole::check;

/// Everybody has threads of its own.
fn with_threads(folder: &Path) -> Network {
    let mut network = Network::new(folder, Exchange::Whole, 1);
    network.strangers.iter_mut().for_each(Stranger::hire);
    network
}

/// They end their threads, and what came of the job is looked at.
fn end(mut network: Network) {
    network.strangers.iter_mut().for_each(|stranger| stranger.crew = None);
    network.ledger.faults.fails_every.set(0);
    assert_eq!(network.ledger.faults.contradictions(), [], "somebody has signed two things of which one is false");
    check(network);
}

#[test]
fn a_node_that_is_killed_at_any_moment_goes_on_and_signs_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = with_threads(folder.path());
    network.play();
    let killed: Vec<(&str, [u32; 2])> =
        network.strangers.iter().filter(|one| one.forgets).map(|one| (&one.name[..], one.kills)).collect();
    // In the middle of what its threads did, and between two things that it said to the chain.
    let are_killed =
        |name: &str| killed.iter().any(|(who, kills)| who == &name && kills.iter().all(|kills| *kills >= 5));
    assert!(["trainer 2", "auditor 2", "evaluator 2"].iter().all(|name| are_killed(name)), "{killed:?}");
    end(network);
}

/// A folder whose disk is full at times.
struct Full {
    states: Arc<dyn States>,
    is_full: Arc<AtomicBool>,
    refusals: Arc<AtomicU32>,
}

impl States for Full {
    fn roots(&self) -> BTreeSet<Root> {
        self.states.roots()
    }

    fn load(&self, root: &Root, threads: &sip_kernels::Threads) -> anyhow::Result<Option<Arc<State>>> {
        self.states.load(root, threads)
    }

    fn save(&self, state: &State) -> anyhow::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            // At first it is more than the program can take.
            assert!(self.refusals.fetch_add(1, Ordering::SeqCst) > 0, "the disk is full, and nobody thought of it");
            anyhow::bail!("the disk is full");
        }
        self.states.save(state)
    }

    fn forget(&self, root: &Root) {
        self.states.forget(root);
    }

    fn hand_out(&self, root: &Root, threads: &sip_kernels::Threads) -> anyhow::Result<()> {
        self.states.hand_out(root, threads)
    }

    fn fetch(&self, wanted: &Wanted, threads: &sip_kernels::Threads, stop: &AtomicBool) -> anyhow::Result<bool> {
        self.states.fetch(wanted, threads, stop)
    }
}

/// An auditor demands a chunk of what the first trainer handed over in the first round.
pub(super) fn demand(network: &mut Network) {
    let program = network.run.world.program;
    let person = network.run.world.people.iter().find(|person| person.name == "trainer 1").expect("a trainer");
    let pool = person.pool().expect("it has one");
    let (job, round) = (network.job, program.round(&network.job, 0));
    let key = network.stranger("auditor 1").key.insecure_clone();
    let demander = &key.pubkey();
    let demand = StateDemand { demander, job: &job, round: &round, pool: &pool, entry: 0, chunk: 0 };
    let instruction = program.demand_state(&demand);
    network.ledger.send(&[instruction], &key, &[&key]).unwrap();
}

#[test]
fn a_full_disk_stops_new_work_and_never_what_is_owed() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let (is_full, refusals): (Arc<AtomicBool>, Arc<AtomicU32>) = Default::default();
    let trainer = network.stranger("trainer 1");
    let states = Arc::clone(&trainer.bench.states);
    trainer.bench.states = Arc::new(Full { states, is_full: is_full.clone(), refusals: refusals.clone() });
    network.strangers.iter_mut().for_each(Stranger::hire);
    let committed = |network: &Network, index: u32| {
        let of_round =
            |event: &Event| matches!(event, Event::Acted { round, what: "segment committed", .. } if *round == index);
        network.has_told("trainer 1", of_round)
    };
    let is_answered = |event: &Event| matches!(event, Event::Demanded { what: "a demand is answered", .. });
    let (mut has_begun, mut is_demanded, mut seen) = (false, false, None);
    network.play_and(&mut |network| {
        if !has_begun && committed(network, 0) {
            has_begun = true;
            is_full.store(true, Ordering::SeqCst);
        }
        if has_begun && !is_demanded && network.round(0).status == round::COMMITS_CLOSED {
            is_demanded = true;
            demand(network);
        }
        if is_full.load(Ordering::SeqCst) && refusals.load(Ordering::SeqCst) >= 3 {
            seen = Some((committed(network, 1), network.has_told("trainer 1", is_answered)));
            is_full.store(false, Ordering::SeqCst);
        }
    });
    let (has_committed, has_answered) = seen.expect("it has tried again and again");
    assert!(!has_committed, "it commits what it could not keep");
    assert!(has_answered, "it is silent to a demand, for which it is convicted");
    let is_hindered = |event: &Event| matches!(event, Event::Hindered { what, reason, .. } if what == "train" && reason.contains("disk is full"));
    assert!(network.has_told("trainer 1", is_hindered), "it says what keeps it from its work");
    end(network);
}

/// Own bonds of all who work honestly.
pub(super) fn bonds(network: &Network) -> Vec<(String, u64)> {
    let honest = network.run.world.people.iter().filter(|person| person.name != "trainer 3");
    let pools = honest.filter_map(|person| Some((person.name.clone(), person.pool.as_ref()?.1)));
    pools.map(|(name, pool): (String, Address)| (name, network.read::<Pool>(&pool).self_bond)).collect()
}

#[test]
fn a_chain_that_is_away_for_a_while_loses_nobody_its_bond() {
    /// A minute.
    const AWAY_SLOTS: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let mut network = with_threads(folder.path());
    network.ledger.faults.fails_every.set(1_009);
    let before = bonds(&network);
    let (mut phase, mut away, mut left) = ((0, 0), 0, 0);
    network.play_and(&mut |network| {
        let job: Job = network.read(&network.job);
        let newest = job.next_round.checked_sub(1).map(|index| (job.next_round, network.round(index).status));
        // Whenever a phase begins, nobody hears of it for a minute of the chain's time.
        if let Some(newest) = newest.filter(|newest| *newest != phase && left == 0) {
            (phase, left) = (newest, AWAY_SLOTS);
            away += 1;
        }
        network.ledger.faults.is_away.set(left > 0);
        if left > 0 {
            network.pass(10);
            left -= 10;
        }
    });
    assert!(away >= 6, "the chain was away {away} times");
    let lost: Vec<_> = before.iter().zip(bonds(&network)).filter(|(before, after)| after.1 < before.1).collect();
    assert!(lost.is_empty(), "{lost:?}");
    end(network);
}

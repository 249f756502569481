//! Strangers who serve each other over lines that are far, lose packets and are thin, of which some are cut at times: rounds advance, and no honest bond is
//! lost.

use sip_driver::{FolderStates, NetStates, States};
use sip_manifest::settings::Exchange;
use sip_net::{Bans, FetchLimits, Fetcher, Http, Peer, ServeLimits, Server, Shelf};
use sip_protocol::training::job::Job;
use sip_protocol::training::round;
use sip_testing::line::{Conduct, Line};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::faults::bonds;
use super::network::Network;
use super::whole::{are_settled, is_conserved, is_convicted};

/// Who serves, and over which line.
struct Served {
    name: String,
    line: Line,
    _server: Server,
}

/// Everybody has a shelf of its own, which it serves over a line, and gets from the others what it lacks.
fn over_lines(network: &mut Network, folder: &Path, conduct: Conduct) -> Vec<Served> {
    let (mut served, mut peers) = (Vec::new(), Vec::new());
    for stranger in &mut network.strangers {
        let shelf = Shelf::open(&folder.join(&stranger.name).join("shelf")).unwrap();
        let server = Server::start("127.0.0.1:0".parse().unwrap(), &shelf, ServeLimits::default()).unwrap();
        let line = Line::to(server.address(), conduct);
        peers.push(Peer { id: stranger.node.me.wallet.to_bytes(), address: line.address().to_string() });
        let bans = Arc::new(Bans::new(Duration::from_secs(600)));
        let fetcher = Fetcher::new(Arc::new(Http), shelf.clone(), bans, FetchLimits::default());
        let source = &stranger.bench.source;
        let states = NetStates::new(shelf, fetcher, source.shapes(), BTreeSet::new(), Arc::new(|_, _| ()));
        source.given().for_each(|given| states.save(given).unwrap());
        stranger.bench.states = Arc::new(states);
        served.push(Served { name: stranger.name.clone(), line, _server: server });
    }
    for stranger in &mut network.strangers {
        stranger.peers = peers.iter().filter(|peer| peer.id != stranger.node.me.wallet.to_bytes()).cloned().collect();
        stranger.forgets = false;
        stranger.slot = SLOT;
        stranger.hire();
    }
    network.slot = Some(SLOT);
    served
}

/// So fast that a phase lasts some twenty seconds at most.
const SLOT: Duration = Duration::from_millis(2);
/// A third of those who work.
const CUT_OFF: [&str; 3] = ["trainer 1", "auditor 2", "evaluator 3"];

/// They train; in every audit a third of them is cut off from the others.
fn train_over_lines(network: &mut Network, served: &[Served]) -> u32 {
    let (mut is_cut, mut cuts) = (false, 0);
    network.play_and(&mut |network| {
        let job: Job = network.read(&network.job);
        let newest = job.next_round.checked_sub(1).map(|index| network.round(index).status);
        let cut = newest == Some(round::COMMITS_CLOSED);
        if cut != is_cut {
            (is_cut, cuts) = (cut, cuts + u32::from(cut));
            let cut_off = served.iter().filter(|served| CUT_OFF.contains(&&served.name[..]));
            cut_off.for_each(|served| served.line.cut(is_cut));
        }
    });
    cuts
}

fn end(network: &mut Network) {
    network.strangers.iter_mut().for_each(|stranger| {
        stranger.crew = None;
        // Nothing of it serves or fetches any more.
        stranger.bench.states = Arc::new(FolderStates::new(Path::new("."), None, Vec::new(), Vec::new()));
    });
}

fn lost(before: &[(String, u64)], network: &Network) -> Vec<String> {
    let after = bonds(network);
    let lost = before.iter().zip(after).filter(|(before, after)| after.1 < before.1);
    lost.map(|((name, before), (_, after))| format!("{name}: {before} before, {after} after")).collect()
}

#[test]
fn far_lossy_and_thin_lines_of_which_a_third_is_cut_in_every_audit_hold_up_no_round_and_lose_no_honest_bond() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let served = over_lines(&mut network, folder.path(), Conduct::FAR);
    let before = bonds(&network);
    assert!(train_over_lines(&mut network, &served) >= 2);
    end(&mut network);
    assert_eq!(lost(&before, &network), [""; 0]);
    are_settled(&network);
    is_convicted(&network);
    is_conserved(network);
}

/// The same for eight rounds with compressed updates, run by
/// `cargo test --release -p sip --bin sip strangers::lines -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn eight_rounds_over_such_lines_advance_and_lose_no_honest_bond() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::of_rounds(folder.path(), Exchange::Compressed, u32::MAX, 8);
    let served = over_lines(&mut network, folder.path(), Conduct::FAR);
    let before = bonds(&network);
    assert!(train_over_lines(&mut network, &served) >= 8);
    end(&mut network);
    let job: Job = network.read(&network.job);
    assert_eq!((job.rounds_scored, job.chain.final_count), (8, 8), "{:#?}", network.said);
    assert_eq!(lost(&before, &network), [""; 0]);
    is_conserved(network);
}

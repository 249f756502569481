//! Restarts of either side, at any moment.

use crate::common::{Desk, LIMITS, bytes, fetch, id, peer, serve};
use sip_net::{Bans, FetchError, FetchLimits, Fetcher, Held, Http, Item, Peer, ServeLimits, Server, Shelf, Want};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const LEN: usize = 48 << 20;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The process that is killed: fetches from an address into a folder, if it was told to.
#[test]
fn child_that_fetches() {
    let (Some(folder), Some(address), Some(root)) =
        (variable("SIP_NET_FOLDER"), variable("SIP_NET_ADDRESS"), variable("SIP_NET_ROOT"))
    else {
        return;
    };
    let shelf = Shelf::open(&PathBuf::from(folder)).unwrap();
    let item = Item::blob(sip_data::unhex(&root).unwrap(), LEN as u64);
    // As a node does it: what came reaches the disk by 64 MiB, which is more than all of it, and what came outlives the process none the less.
    let fetcher = Fetcher::new(Arc::new(Http), shelf, Arc::new(Bans::new(Duration::ZERO)), FetchLimits::default());
    let (by, stop) = (Instant::now() + Duration::from_secs(60), AtomicBool::new(false));
    let peers = || vec![Peer { id: id(1), address: address.clone() }];
    fetcher.fetch(&Want { item: &item, ranges: None, peers: &peers, by, stop: &stop }, &|_| {}).unwrap();
}

#[test]
fn a_fetch_goes_on_where_a_kill_left_it() {
    let one = Desk::new();
    let content = bytes(LEN, 3);
    let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), LEN as u64);
    // Slow enough to be killed in the middle.
    let slow = ServeLimits { bytes_per_second: 8 << 20, ..ServeLimits::default() };
    let server = Server::start("127.0.0.1:0".parse().unwrap(), &one.shelf, slow).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut held = 0;
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::child_that_fetches"])
            .env("SIP_NET_FOLDER", folder.path())
            .env("SIP_NET_ADDRESS", server.address().to_string())
            .env("SIP_NET_ROOT", sip_data::hex(&item.root))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(2300));
        child.kill().unwrap();
        child.wait().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        let Held::Part { bytes, of } = shelf.held(&item) else { panic!("{:?}", shelf.held(&item)) };
        assert!(bytes > held + (4 << 20) && of == LEN as u64, "{bytes} of {of} after {held}");
        held = bytes;
    }
    drop(server);
    let server = serve(&one.shelf);
    let shelf = Shelf::open(folder.path()).unwrap();
    let rest = fetch(&shelf, &item, &[peer(1, &server)], 60.0);
    assert_eq!(rest.bytes_from(1), LEN as u64 - held, "nothing that came is asked for again");
    assert_eq!(shelf.read(&item.root, LEN as u64).unwrap(), content);
}

#[test]
fn groups_that_came_but_did_not_reach_the_disk_are_missing_after_a_power_cut() {
    let (one, two) = (Desk::new(), Desk::new());
    let content = bytes(4 << 20, 3);
    let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), 4 << 20);
    let server = serve(&one.shelf);
    let (half, peers) = (0..2 << 20, [peer(1, &server)]);
    let ranges = std::slice::from_ref(&half);
    crate::common::fetch_over(Arc::new(Http), &two.shelf, &item, Some(ranges), &|| peers.to_vec(), 10.0)
        .result
        .unwrap();
    let Desk { folder, shelf } = two;
    drop(shelf);
    // The map says that they came, and not that they are on the disk; two groups and a value were lost.
    let at = |ending: &str| folder.path().join("parts").join(sip_data::hex(&item.root)).with_extension(ending);
    let mut map = std::fs::read(at("map")).unwrap();
    let half = map.len() / 2;
    map.copy_within(..half, half);
    map[..half].fill(0);
    std::fs::write(at("map"), map).unwrap();
    let mut data = std::fs::read(at("")).unwrap();
    data[100_000..120_000].fill(0);
    std::fs::write(at(""), data).unwrap();
    let shelf = Shelf::open(folder.path()).unwrap();
    assert_eq!(shelf.held(&item), Held::Part { bytes: (2 << 20) - 2 * 16384, of: 4 << 20 });
    assert_eq!(shelf.read_range(&item, 0..98_304).unwrap(), content[..98_304]);
    fetch(&shelf, &item, &[peer(1, &server)], 10.0).result.unwrap();
    assert_eq!(shelf.read(&item.root, 4 << 20).unwrap(), content);
}

#[test]
fn a_peer_that_restarts_is_asked_again_and_gives_only_the_rest() {
    let (one, two) = (Desk::new(), Desk::new());
    let item = Item::blob(one.shelf.put_bytes(&bytes(LEN, 4)).unwrap(), LEN as u64);
    let slow = ServeLimits { bytes_per_second: 12 << 20, ..ServeLimits::default() };
    let start = |address| Server::start(address, &one.shelf, slow).unwrap();
    let server = start("127.0.0.1:0".parse().unwrap());
    let address = server.address();
    let restarting = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1200));
            drop(server);
            std::thread::sleep(Duration::from_millis(500));
            let server = start(address);
            std::thread::sleep(Duration::from_millis(1000));
            drop(server);
            serve_at(address, &one.shelf)
        });
        fetch(&two.shelf, &item, &[Peer { id: id(1), address: address.to_string() }], 60.0)
    });
    assert_eq!(restarting.bytes_from(1), LEN as u64);
    assert!(restarting.was_aside(1) && !restarting.is_banned(1));
    assert_eq!(two.shelf.read(&item.root, LEN as u64).unwrap(), bytes(LEN, 4));
}

/// Serves for a while.
fn serve_at(address: std::net::SocketAddr, shelf: &Shelf) {
    let _server = Server::start(address, shelf, ServeLimits::default()).unwrap();
    std::thread::sleep(Duration::from_secs(10));
}

#[test]
fn a_stop_in_the_middle_keeps_what_came() {
    let (one, two) = (Desk::new(), Desk::new());
    let item = Item::blob(one.shelf.put_bytes(&bytes(LEN, 4)).unwrap(), LEN as u64);
    let slow = ServeLimits { bytes_per_second: 8 << 20, ..ServeLimits::default() };
    let server = Server::start("127.0.0.1:0".parse().unwrap(), &one.shelf, slow).unwrap();
    let stop = AtomicBool::new(false);
    let peers = || vec![peer(1, &server)];
    let fetcher = Fetcher::new(Arc::new(Http), two.shelf.clone(), Arc::new(Bans::new(Duration::from_secs(1))), LIMITS);
    let want =
        Want { item: &item, ranges: None, peers: &peers, by: Instant::now() + Duration::from_secs(60), stop: &stop };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(2000));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let began = Instant::now();
        assert!(matches!(fetcher.fetch(&want, &|_| {}), Err(FetchError::Stopped)));
        assert!(began.elapsed() < Duration::from_millis(4000), "{:?}", began.elapsed());
    });
    let Held::Part { bytes, .. } = two.shelf.held(&item) else { panic!() };
    assert!(bytes > 4 << 20);
}

#[test]
fn of_a_fetch_that_is_late_all_that_came_is_kept() {
    let one = Desk::new();
    // Many small entries, which come one after the other, and a large one, which comes in pieces.
    let entries: Vec<Vec<u32>> = (0..200).map(|seed| crate::common::words(4 << 10, seed)).collect();
    let small = one.shelf.put_state(&entries.iter().map(|entry| &entry[..]).collect::<Vec<_>>()).unwrap();
    let large = Item::blob(one.shelf.put_bytes(&bytes(8 << 20, 4)).unwrap(), 8 << 20);
    for (item, bytes_per_second) in [(&small, 1 << 20), (&large, 2 << 20)] {
        let slow = ServeLimits { bytes_per_second, ..ServeLimits::default() };
        let server = Server::start("127.0.0.1:0".parse().unwrap(), &one.shelf, slow).unwrap();
        let two = Desk::new();
        let late = fetch(&two.shelf, item, &[peer(1, &server)], 1.5);
        let Err(FetchError::Late { missing_bytes, .. }) = late.result else { panic!("{:?}", late.result) };
        let Desk { folder, shelf } = two;
        drop(shelf);
        let Held::Part { bytes, of } = Shelf::open(folder.path()).unwrap().held(item) else {
            panic!("nothing is kept")
        };
        assert!(bytes >= of - missing_bytes, "{bytes} of {of} are kept, and {missing_bytes} were missing");
    }
}

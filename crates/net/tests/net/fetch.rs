use crate::common::{Desk, Fetch, bytes, fetch, fetch_over, id, is_played_alone_with, peer, serve, words};
use sip_net::{FetchError, Held, Http, InProcess, Item, Peer, ask_hello};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_state_comes_over_http_and_is_served_on() {
    let (one, two, three) = (Desk::new(), Desk::new(), Desk::new());
    let entries = [words(1_000_000, 1), words(7, 2), words(0, 3), words(100_000, 4), words(7, 2)];
    let item = one.shelf.put_state(&entries.each_ref().map(|entry| &entry[..])).unwrap();
    let server = serve(&one.shelf);
    let first = fetch(&two.shelf, &item, &[peer(1, &server)], 20.0);
    assert_eq!(first.result.unwrap().bytes, 4_400_028);
    assert_eq!(two.shelf.read_state(&item).unwrap(), entries);
    drop(server);
    let server = serve(&two.shelf);
    let second = fetch(&three.shelf, &item, &[peer(2, &server)], 20.0);
    assert_eq!(second.bytes_from(2), 4_400_028);
    assert_eq!(three.shelf.read_state(&item).unwrap(), entries);
    // Nothing is asked for twice.
    let again = fetch(&three.shelf, &item, &[], 1.0).result.unwrap();
    assert_eq!((again.bytes, again.from.len()), (0, 0));
}

#[test]
fn the_next_state_costs_only_what_is_new_in_it() {
    let (one, two) = (Desk::new(), Desk::new());
    let (same, old, new) = (words(500_000, 1), words(20_000, 2), words(20_000, 3));
    let before = one.shelf.put_state(&[&same, &old]).unwrap();
    let after = one.shelf.put_state(&[&same, &new]).unwrap();
    let server = serve(&one.shelf);
    fetch(&two.shelf, &before, &[peer(1, &server)], 20.0).result.unwrap();
    assert_eq!(fetch(&two.shelf, &after, &[peer(1, &server)], 20.0).bytes_from(1), 80_000);
}

#[test]
fn two_fetches_at_once_of_states_that_share_entries_do_not_disturb_each_other() {
    let (one, two) = (Desk::new(), Desk::new());
    let (same, also, small) = (words(2_000_000, 1), words(300_000, 2), words(9, 3));
    let first = one.shelf.put_state(&[&same, &also, &small]).unwrap();
    let second = one.shelf.put_state(&[&small, &same, &also, &same]).unwrap();
    let server = serve(&one.shelf);
    let peers = [peer(1, &server)];
    std::thread::scope(|scope| {
        for item in [&first, &second, &first] {
            scope.spawn(|| fetch(&two.shelf, item, &peers, 30.0).result.unwrap());
        }
    });
    assert_eq!(two.shelf.read_state(&first).unwrap(), [same.clone(), also.clone(), small.clone()]);
    assert_eq!(two.shelf.read_state(&second).unwrap(), [small, same.clone(), also, same]);
    let used = two.shelf.room().used;
    let Desk { folder, shelf } = two;
    drop(shelf);
    assert_eq!(sip_net::Shelf::open(folder.path()).unwrap().room().used, used, "nothing is counted twice");
}

#[test]
fn a_state_has_more_entries_than_a_process_may_have_open_files() {
    if is_played_alone_with("fetch::a_state_has_more_entries_than_a_process_may_have_open_files", 100) {
        return;
    }
    let (one, two) = (Desk::new(), Desk::new());
    // Each beyond a megabyte, so that it comes in parts; those with the same bytes would be one.
    let entries: Vec<Vec<u32>> = (0..50).map(|entry| vec![entry; 270_000]).collect();
    let item = one.shelf.put_state(&entries.iter().map(|entry| &entry[..]).collect::<Vec<_>>()).unwrap();
    let server = serve(&one.shelf);
    fetch(&two.shelf, &item, &[peer(1, &server)], 120.0).result.unwrap();
    assert_eq!(two.shelf.held(&item), Held::Whole);
}

#[test]
fn several_peers_give_one_blob() {
    let content = bytes(40 << 20, 5);
    let desks: Vec<Desk> = (0..3).map(|_| Desk::new()).collect();
    for desk in &desks {
        desk.shelf.put_bytes(&content).unwrap();
    }
    let servers: Vec<_> = desks.iter().map(|desk| serve(&desk.shelf)).collect();
    let peers: Vec<Peer> = servers.iter().enumerate().map(|(number, server)| peer(number as u8, server)).collect();
    let item = Item::blob(*blake3::hash(&content).as_bytes(), 40 << 20);
    let own = Desk::new();
    let done = fetch(&own.shelf, &item, &peers, 60.0);
    let from = &done.result.as_ref().unwrap().from;
    assert_eq!(from.iter().map(|(_, bytes)| bytes).sum::<u64>(), 40 << 20);
    assert!(from.len() > 1, "{from:?}");
    assert_eq!(own.shelf.read(&item.root, 40 << 20).unwrap(), content);
}

#[test]
fn windows_of_a_token_file_come_alone_and_lie_there_sparse() {
    let (one, two, three) = (Desk::new(), Desk::new(), Desk::new());
    let content = bytes(20 << 20, 6);
    let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), 20 << 20);
    let server = serve(&one.shelf);
    let ranges: Vec<_> = (0..20u64).map(|window| window * 1_000_003..window * 1_000_003 + 516).collect();
    let some = |desk: &Desk, server: &sip_net::Server, ranges: &[std::ops::Range<u64>]| {
        let peers = [peer(1, server)];
        fetch_over(Arc::new(Http), &desk.shelf, &item, Some(ranges), &|| peers.to_vec(), 20.0)
    };
    let done: Fetch = some(&two, &server, &ranges);
    let came = done.bytes_from(1);
    assert!(came <= 40 * 16384, "{came}");
    for range in &ranges {
        let expected = &content[range.start as usize..range.end as usize];
        assert_eq!(two.shelf.read_range(&item, range.clone()).unwrap(), expected);
    }
    assert_eq!(two.shelf.held(&item), Held::Part { bytes: came, of: 20 << 20 });
    assert!(two.shelf.read_range(&item, 0..1 << 20).is_err());
    // What is there in part is served in part.
    drop(server);
    let server = serve(&two.shelf);
    assert_eq!(some(&three, &server, &ranges[3..9]).result.unwrap().from.len(), 1);
    assert_eq!(three.shelf.read_range(&item, ranges[5].clone()).unwrap().len(), 516);
    let missing = fetch(&three.shelf, &item, &[peer(1, &server)], 1.0);
    assert!(matches!(missing.result, Err(FetchError::Late { .. })));
    assert!(!missing.is_banned(1));
    // The rest, later.
    let whole = serve(&one.shelf);
    fetch(&three.shelf, &item, &[peer(1, &server), peer(2, &whole)], 20.0).result.unwrap();
    assert_eq!(three.shelf.read(&item.root, 20 << 20).unwrap(), content);
}

#[test]
fn a_peer_that_comes_late_is_asked_too() {
    let (one, two) = (Desk::new(), Desk::new());
    let item = Item::blob(one.shelf.put_bytes(&bytes(100_000, 1)).unwrap(), 100_000);
    let network = Arc::new(InProcess::new());
    let began = std::time::Instant::now();
    let peers = || match began.elapsed() > Duration::from_millis(700) {
        true => vec![Peer { id: id(1), address: "late".into() }],
        false => Vec::new(),
    };
    network.add("late", &one.shelf);
    fetch_over(network, &two.shelf, &item, None, &peers, 10.0).result.unwrap();
    assert!(two.shelf.is_whole(&item.root));
}

#[test]
fn a_fetch_that_nobody_serves_says_so_at_its_deadline() {
    let (one, two) = (Desk::new(), Desk::new());
    let item = Item::blob([7; 32], 100_000);
    let server = serve(&one.shelf);
    let alone = fetch(&two.shelf, &item, &[], 0.3).result.unwrap_err().to_string();
    assert!(alone.contains("100000 bytes of 0707") && alone.contains("nobody to ask"), "{alone}");
    let gone = Peer { id: id(9), address: "127.0.0.1:1".into() };
    let asked = fetch(&two.shelf, &item, &[peer(1, &server), gone], 0.5);
    let why = asked.result.as_ref().unwrap_err().to_string();
    assert!(
        why.contains("does not have it") && why.contains("cannot be reached") && why.contains("demand it on chain"),
        "{why}"
    );
    assert!(!asked.is_banned(1) && !asked.is_banned(9));
}

#[test]
fn a_stopped_fetch_ends_at_once() {
    let desk = Desk::new();
    let item = Item::blob([7; 32], 100_000);
    let (stop, peers) = (std::sync::atomic::AtomicBool::new(true), || Vec::new());
    let bans = Arc::new(sip_net::Bans::new(Duration::from_secs(1)));
    let fetcher = sip_net::Fetcher::new(Arc::new(Http), desk.shelf.clone(), bans, crate::common::LIMITS);
    let by = std::time::Instant::now() + Duration::from_secs(60);
    let want = sip_net::Want { item: &item, ranges: None, peers: &peers, by, stop: &stop };
    assert!(matches!(fetcher.fetch(&want, &|_| {}), Err(FetchError::Stopped)));
}

#[test]
fn an_item_that_does_not_fit_is_not_begun_and_the_shelf_stays_as_it_was() {
    let (one, two) = (Desk::new(), Desk::new());
    let item = Item::blob(one.shelf.put_bytes(&bytes(5 << 20, 1)).unwrap(), 5 << 20);
    let kept = two.shelf.put_bytes(b"what is owed").unwrap();
    two.shelf.reserve(1 << 20).unwrap();
    let server = serve(&one.shelf);
    let full = fetch(&two.shelf, &item, &[peer(1, &server)], 5.0);
    assert!(matches!(full.result, Err(FetchError::Disk(sip_net::ShelfError::Full { .. }))), "{:?}", full.result);
    assert_eq!(two.shelf.read(&kept, 12).unwrap(), b"what is owed");
    two.shelf.reserve(16 << 20).unwrap();
    fetch(&two.shelf, &item, &[peer(1, &server)], 20.0).result.unwrap();
}

#[test]
fn a_peer_is_greeted() {
    let desk = Desk::new();
    let server = serve(&desk.shelf);
    let (hello, took) = ask_hello(&Http, &peer(1, &server), Duration::from_secs(5)).unwrap();
    assert_eq!(hello, sip_net::Hello::OWN);
    assert!(took < Duration::from_secs(5));
    assert!(ask_hello(&Http, &Peer { id: id(1), address: "127.0.0.1:1".into() }, Duration::from_secs(1)).is_err());
}

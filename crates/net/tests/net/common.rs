//! What tests share: content by chance, honest peers, fetches with short patience.

use sip_net::{
    Bans, FetchError, FetchLimits, Fetched, Fetcher, Hash, Http, Item, Link, Network, Patience, Peer, Request,
    ServeLimits, Server, Shelf, Told, Want,
};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes by chance, others for each seed.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut found = Vec::with_capacity(len + 8);
    while found.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        found.extend_from_slice(&state.to_le_bytes());
    }
    found.truncate(len);
    found
}

/// Words by chance.
pub(crate) fn words(len: usize, seed: u64) -> Vec<u32> {
    bytes(len * 4, seed).chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// A shelf in a folder that goes with it.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) shelf: Shelf,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        Desk { folder, shelf }
    }
}

pub(crate) fn id(number: u8) -> Hash {
    [number; 32]
}

pub(crate) fn serve(shelf: &Shelf) -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), shelf, ServeLimits::default()).unwrap()
}

pub(crate) fn peer(number: u8, server: &Server) -> Peer {
    Peer { id: id(number), address: server.address().to_string() }
}

/// Short patience: tests are on one machine.
pub(crate) const LIMITS: FetchLimits = FetchLimits {
    peers: 4,
    connect_timeout: Duration::from_secs(2),
    first_byte_timeout: Duration::from_secs(2),
    floor_bytes_per_second: 64 << 10,
    floor_window: Duration::from_secs(1),
    aside: Duration::from_millis(50),
    streams_per_peer: 2,
    flush_bytes: 8 << 20,
};

/// A fetch and what it told.
pub(crate) struct Fetch {
    pub(crate) result: Result<Fetched, FetchError>,
    pub(crate) told: Vec<Told>,
    pub(crate) bans: Arc<Bans>,
}

impl Fetch {
    pub(crate) fn is_banned(&self, number: u8) -> bool {
        self.bans.is_banned(&id(number))
    }

    pub(crate) fn was_aside(&self, number: u8) -> bool {
        self.told.iter().any(|told| matches!(told, Told::Aside { id: other, .. } if *other == id(number)))
    }

    pub(crate) fn bytes_from(&self, number: u8) -> u64 {
        let from = &self.result.as_ref().unwrap().from;
        from.iter().find(|(other, _)| *other == id(number)).map_or(0, |(_, bytes)| *bytes)
    }
}

/// Fetches over HTTP, for at most so many seconds.
pub(crate) fn fetch(shelf: &Shelf, item: &Item, peers: &[Peer], seconds: f32) -> Fetch {
    fetch_over(Arc::new(Http), shelf, item, None, &|| peers.to_vec(), seconds)
}

pub(crate) fn fetch_over(
    network: Arc<dyn Network>,
    shelf: &Shelf,
    item: &Item,
    ranges: Option<&[std::ops::Range<u64>]>,
    peers: &(dyn Fn() -> Vec<Peer> + Sync),
    seconds: f32,
) -> Fetch {
    let bans = Arc::new(Bans::new(Duration::from_secs(600)));
    let fetcher = Fetcher::new(network, shelf.clone(), bans.clone(), LIMITS);
    let stop = AtomicBool::new(false);
    let want = Want { item, ranges, peers, by: Instant::now() + Duration::from_secs_f32(seconds), stop: &stop };
    let told = Mutex::new(Vec::new());
    let result = fetcher.fetch(&want, &|event| told.lock().unwrap().push(event.clone()));
    Fetch { result, told: told.into_inner().unwrap(), bans }
}

/// The right answer of a shelf.
pub(crate) fn right_answer(shelf: &Shelf, request: &Request) -> Option<Vec<u8>> {
    let network = sip_net::InProcess::new();
    network.add("here", shelf);
    let stop = AtomicBool::new(false);
    let long = Duration::from_secs(60);
    let patience = Patience {
        by: Instant::now() + long,
        stop: &stop,
        connect: long,
        first_byte: long,
        floor_bytes_per_second: 0,
        floor_window: long,
    };
    let mut link: Box<dyn Link> = network.dial(&Peer { id: id(0), address: "here".into() }, &patience).unwrap();
    link.ask(request).unwrap();
    link.begin().ok()?;
    let mut answer = vec![0; request.answer_bytes().unwrap() as usize];
    link.read(&mut answer).unwrap();
    Some(answer)
}

/// Plays a test in a process of its own, where nothing else takes memory; false in that process, which then plays it.
pub(crate) fn is_played_alone(name: &str) -> bool {
    is_played_alone_with(name, 4096)
}

/// The same, with at most so many open files.
pub(crate) fn is_played_alone_with(name: &str, open_files: u32) -> bool {
    if std::env::var_os("SIP_NET_ALONE").is_some() {
        return false;
    }
    let mut alone = std::process::Command::new("sh");
    alone.args(["-c", &format!("ulimit -n {open_files} 2>/dev/null; exec \"$0\" --exact {name} --nocapture")]);
    let played = alone.arg(std::env::current_exe().unwrap()).env("SIP_NET_ALONE", "1").output().unwrap();
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&[played.stdout, played.stderr].concat()));
    true
}

/// Bytes of memory that the process has used at most.
pub(crate) fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

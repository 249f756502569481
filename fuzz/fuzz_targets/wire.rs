//! What is read from peers: questions, greetings, and a fetch among an honest peer and one whose answers the input changes.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sip_net::{
    Bans, Failure, FetchLimits, Fetcher, HELLO_BYTES, Hello, InProcess, Item, Link, Network, Patience, Peer, Request, Shelf, Want,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Input {
    Question { is_post: bool, path: String, body: Vec<u8> },
    Greeting([u8; HELLO_BYTES]),
    /// What is done to one answer after the other.
    Answers(Vec<Lie>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Lie {
    Right,
    /// A byte of it, of as many as there are, is another.
    Change { at: u32, by: u8 },
    Break { after: u16 },
    HasNot,
    Refuses,
}

/// A shelf that lies in memory, with what is fetched.
struct Giver {
    _folder: tempfile::TempDir,
    network: InProcess,
    item: Item,
}

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

static GIVER: LazyLock<Giver> = LazyLock::new(|| {
    let folder = folder();
    let shelf = Shelf::open(folder.path()).expect("a shelf");
    let entries = [3usize, 4096, 4097, 300_000].map(|len| (0..len as u32).map(|at| at.wrapping_mul(0x9E37_79B9)).collect::<Vec<u32>>());
    let item = shelf.put_state(&entries.each_ref().map(|entry| &entry[..])).expect("room");
    let network = InProcess::new();
    network.add("honest", &shelf);
    Giver { _folder: folder, network, item }
});

/// The honest peer, and one that lies.
struct Liars {
    lies: Vec<Lie>,
    /// Whether something wrong was given whole.
    has_lied: Arc<AtomicBool>,
}

impl Network for Liars {
    fn dial<'a>(&self, peer: &Peer, patience: &Patience<'a>) -> Result<Box<dyn Link + 'a>, Failure> {
        let link = GIVER.network.dial(&Peer { address: "honest".into(), ..peer.clone() }, patience)?;
        if peer.address == "honest" {
            return Ok(link);
        }
        let (lies, has_lied) = (self.lies.clone(), self.has_lied.clone());
        Ok(Box::new(Lying { link, lies, asked: Vec::new(), begun: 0, answer: Vec::new(), at: 0, until: 0, wrong_at: None, has_lied }))
    }
}

struct Lying<'a> {
    link: Box<dyn Link + 'a>,
    lies: Vec<Lie>,
    asked: Vec<u64>,
    begun: usize,
    answer: Vec<u8>,
    at: usize,
    /// Where the answer breaks off.
    until: usize,
    wrong_at: Option<usize>,
    has_lied: Arc<AtomicBool>,
}

impl Link for Lying<'_> {
    fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        self.asked.push(request.answer_bytes().unwrap_or_default());
        self.link.ask(request)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.link.begin()?;
        self.answer = vec![0; self.asked[self.begun] as usize];
        self.link.read(&mut self.answer)?;
        (self.at, self.until, self.wrong_at) = (0, self.answer.len(), None);
        let number = self.begun;
        self.begun += 1;
        // The greeting and what it has are right: other tests spoil these.
        match number.checked_sub(2).and_then(|number| self.lies.get(number)) {
            None | Some(Lie::Right) => {}
            Some(Lie::Change { at, by }) => {
                let at = *at as usize % self.answer.len().max(1);
                if let Some(byte) = self.answer.get_mut(at).filter(|_| *by != 0) {
                    *byte ^= by;
                    self.wrong_at = Some(at);
                }
            }
            Some(Lie::Break { after }) => self.until = (*after as usize).min(self.answer.len()),
            Some(Lie::HasNot) => return Err(Failure::NotHeld),
            Some(Lie::Refuses) => return Err(Failure::Refused { why: "no".into(), retry_seconds: Some(1) }),
        }
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        let end = self.at + bytes.len();
        if end > self.until {
            return Err(Failure::Gone("broke off".into()));
        }
        bytes.copy_from_slice(&self.answer[self.at..end]);
        self.at = end;
        if self.wrong_at.is_some_and(|at| at < end) {
            self.has_lied.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

fn fetch(lies: Vec<Lie>) {
    let taker = folder();
    let shelf = Shelf::open(taker.path()).expect("a shelf");
    let has_lied = Arc::new(AtomicBool::new(false));
    let network = Arc::new(Liars { lies, has_lied: has_lied.clone() });
    let bans = Arc::new(Bans::new(Duration::from_secs(600)));
    let limits = FetchLimits { aside: Duration::from_millis(1), streams_per_peer: 1, ..FetchLimits::default() };
    let fetcher = Fetcher::new(network, shelf.clone(), bans.clone(), limits);
    let peer = |number: u8, address: &str| Peer { id: [number; 32], address: address.into() };
    let peers = || vec![peer(1, "honest"), peer(2, "liar")];
    let (stop, by) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(30));
    let item = &GIVER.item;
    fetcher.fetch(&Want { item, ranges: None, peers: &peers, by, stop: &stop }, &|_| {}).expect("the honest peer gives all");
    shelf.read_state(item).expect("right bytes");
    assert!(!bans.is_banned(&[1; 32]), "the honest peer");
    assert!(!bans.is_banned(&[2; 32]) || has_lied.load(Ordering::SeqCst), "banned for nothing");
}

fuzz_target!(|input: Input| match input {
    Input::Question { is_post, path, body } => {
        if let Some(request) = Request::parse(is_post, &path, &body) {
            assert_eq!(request.path(), path);
            assert_eq!(request.body().unwrap_or_default(), body);
            assert!(request.answer_bytes().expect("it may be asked") <= 9 << 20);
        }
    }
    Input::Greeting(bytes) => {
        if let Some(hello) = Hello::decode(&bytes) {
            assert_eq!(Hello::decode(&hello.encode()), Some(hello));
        }
    }
    Input::Answers(lies) => fetch(lies),
});

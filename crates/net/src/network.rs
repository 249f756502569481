//! How peers are reached.

use crate::Hash;
use crate::library::{Answer, Refusal, answer};
use crate::shelf::Shelf;
use crate::wire::{HELLO_BYTES, Hello, Request};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Somebody who may have something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Who it is: a pool, or a key. Bans are on it.
    pub id: Hash,
    /// Where it is, as its network says it: `1.2.3.4:9000`, `http://host:9000`.
    pub address: String,
}

/// Why a peer gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached, or went away.
    Gone(String),
    /// It gives too little, or nothing in time.
    Slow(String),
    /// It says no.
    Refused {
        /// Its reason.
        why: String,
        /// When it may be asked again, if it says so.
        retry_seconds: Option<u32>,
    },
    /// It has not got it.
    NotHeld,
    /// It speaks another protocol, or another version of this one.
    Other(String),
    /// What it gave is wrong, which can be no accident: a ban.
    Wrong(String),
    /// The caller does not want it any more.
    Stopped,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Gone(why) => write!(f, "cannot be reached: {why}"),
            Failure::Slow(why) => write!(f, "is too slow: {why}"),
            Failure::Refused { why, .. } => write!(f, "refuses: {why}"),
            Failure::NotHeld => write!(f, "does not have it"),
            Failure::Other(why) => write!(f, "does not speak sip/1: {why}"),
            Failure::Wrong(why) => write!(f, "gave what is wrong: {why}"),
            Failure::Stopped => write!(f, "was not waited for"),
        }
    }
}

/// How long a peer is waited for, and until when at all.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// Nothing is waited for beyond this.
    pub by: Instant,
    /// Once true, nothing is waited for.
    pub stop: &'a AtomicBool,
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer.
    pub first_byte: Duration,
    /// Bytes a second that an answer needs.
    pub floor_bytes_per_second: u64,
    /// Over how long.
    pub floor_window: Duration,
}

impl Patience<'_> {
    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) || Instant::now() >= self.by { Err(Failure::Stopped) } else { Ok(()) }
    }
}

/// A conversation with a peer. Questions may be asked before earlier ones are answered; answers come in the order of the questions.
pub trait Link: Send {
    /// Asks.
    ///
    /// # Errors
    /// The peer is gone, or too slow to take it.
    fn ask(&mut self, request: &Request) -> Result<(), Failure>;

    /// Begins with the next answer, once the one before is read to its end.
    ///
    /// # Errors
    /// There is none; then [`Failure::NotHeld`] and nothing else leaves the link as it is, and the next answer may be begun. An answer of
    /// another length than the question determines is [`Failure::Wrong`].
    fn begin(&mut self) -> Result<(), Failure>;

    /// Reads the next bytes of the answer, exactly so many.
    ///
    /// # Errors
    /// The peer is gone or too slow.
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Failure>;
}

/// A way to reach peers.
pub trait Network: Send + Sync {
    /// Begins a conversation.
    ///
    /// # Errors
    /// The peer cannot be reached.
    fn dial<'a>(&self, peer: &Peer, patience: &Patience<'a>) -> Result<Box<dyn Link + 'a>, Failure>;
}

/// Asks a peer who it is.
///
/// # Errors
/// It is not there, or is no peer of a version that is understood.
pub(crate) fn greet(link: &mut dyn Link) -> Result<Hello, Failure> {
    let mut bytes = [0; HELLO_BYTES];
    link.begin()?;
    link.read(&mut bytes)?;
    let hello = Hello::decode(&bytes).ok_or_else(|| Failure::Other("it greets in another way".into()))?;
    if hello.is_understood() {
        return Ok(hello);
    }
    let (min, max) = (hello.min_version, hello.max_version);
    Err(Failure::Other(format!("it speaks versions {min} to {max}, and this program version {}", crate::VERSION)))
}

/// Asks a peer who it is, and measures how long the answer takes.
///
/// # Errors
/// As [`Failure`] says.
pub fn ask_hello(network: &dyn Network, peer: &Peer, timeout: Duration) -> Result<(Hello, Duration), Failure> {
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let patience = Patience {
        by: began + timeout,
        stop: &stop,
        connect: timeout,
        first_byte: timeout,
        floor_bytes_per_second: 0,
        floor_window: timeout,
    };
    let mut link = network.dial(peer, &patience)?;
    link.ask(&Request::Hello)?;
    let hello = greet(&mut *link).map_err(|failure| match failure {
        Failure::Stopped => Failure::Slow(format!("no answer within {} s", timeout.as_secs_f32())),
        other => other,
    })?;
    Ok((hello, began.elapsed()))
}

/// Peers of one process, by their addresses.
#[derive(Debug, Default)]
pub struct InProcess {
    shelves: Mutex<BTreeMap<String, Shelf>>,
}

impl InProcess {
    /// Nobody yet.
    pub fn new() -> InProcess {
        InProcess::default()
    }

    /// Somebody is there from now on.
    pub fn add(&self, address: &str, shelf: &Shelf) {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).insert(address.into(), shelf.clone());
    }

    /// Nobody is there any more.
    pub fn remove(&self, address: &str) {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

impl Network for InProcess {
    fn dial<'a>(&self, peer: &Peer, patience: &Patience<'a>) -> Result<Box<dyn Link + 'a>, Failure> {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.get(&peer.address).cloned();
        let shelf = shelf.ok_or_else(|| Failure::Gone("nobody is at that address".into()))?;
        Ok(Box::new(Near {
            shelf,
            patience: *patience,
            asked: VecDeque::new(),
            answer: None,
            slice: Vec::new(),
            read: 0,
        }))
    }
}

/// A link within the process.
struct Near<'a> {
    shelf: Shelf,
    patience: Patience<'a>,
    asked: VecDeque<Request>,
    answer: Option<Answer>,
    slice: Vec<u8>,
    read: usize,
}

impl Link for Near<'_> {
    fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        self.asked.push_back(request.clone());
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.patience.check()?;
        let request = self.asked.pop_front().ok_or_else(|| Failure::Gone("nothing was asked".into()))?;
        (self.slice, self.read) = (Vec::new(), 0);
        match answer(&self.shelf, &request) {
            Ok(answer) => self.answer = Some(answer),
            Err(Refusal::NotHeld) => return Err(Failure::NotHeld),
            Err(Refusal::Broken(error)) => return Err(Failure::Gone(error.to_string())),
        }
        Ok(())
    }

    fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            self.patience.check()?;
            if self.read == self.slice.len() {
                let answer = self.answer.as_mut().ok_or_else(|| Failure::Gone("nothing was answered".into()))?;
                answer.next(&mut self.slice).map_err(|error| Failure::Gone(error.to_string()))?;
                self.read = 0;
                if self.slice.is_empty() {
                    return Err(Failure::Gone("the answer is over".into()));
                }
            }
            let count = bytes.len().min(self.slice.len() - self.read);
            bytes[..count].copy_from_slice(&self.slice[self.read..self.read + count]);
            self.read += count;
            bytes = &mut std::mem::take(&mut bytes)[count..];
        }
        Ok(())
    }
}

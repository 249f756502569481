//! Streams of peers at work: what each gives, and who leaves for one that was not tried, or that gave more.

use crate::Hash;
use crate::network::{Failure, Link};
use crate::wire::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often somebody may leave for another; who has been there for less is not judged.
const EXCHANGED_EVERY: Duration = Duration::from_secs(3);
const JUDGED_AFTER: Duration = Duration::from_secs(2);
/// Bytes a second under which somebody leaves for one that was not tried, however little the others give. Peers that agree to give little
/// would else keep those away who give more.
const LITTLE_BYTES_PER_SECOND: f64 = (1 << 20) as f64;

/// A connection to a peer, for the thread that is at it.
#[derive(Clone)]
pub(super) struct Stream {
    pub number: u64,
    came: Arc<AtomicU64>,
    /// Once true, it ends.
    pub leaves: Arc<AtomicBool>,
}

struct Watched {
    id: Hash,
    stream: Stream,
    /// Since when it is measured, and what had come by then.
    since: Instant,
    before: u64,
}

/// All streams of a fetch.
pub(super) struct Streams {
    last: u64,
    open: Vec<Watched>,
    exchanged: Instant,
    /// Bytes a second of each peer, when it was measured last.
    gave: BTreeMap<Hash, f64>,
}

impl Streams {
    pub(super) fn new() -> Streams {
        Streams { last: 0, open: Vec::new(), exchanged: Instant::now(), gave: BTreeMap::new() }
    }

    /// One more stream of a peer.
    pub(super) fn begin(&mut self, id: Hash) -> Stream {
        self.last += 1;
        let stream = Stream { number: self.last, came: Arc::default(), leaves: Arc::default() };
        self.open.push(Watched { id, stream: stream.clone(), since: Instant::now(), before: 0 });
        stream
    }

    pub(super) fn ended(&mut self, number: u64) {
        self.open.retain(|watched| watched.stream.number != number);
    }

    pub(super) fn end_all(&self) {
        self.open.iter().for_each(|watched| watched.stream.leaves.store(true, Ordering::Relaxed));
    }

    /// Who is at work, without those who are about to leave.
    pub(super) fn peers(&self) -> Vec<Hash> {
        let ids: BTreeSet<Hash> = self.open.iter().map(|watched| watched.id).collect();
        ids.into_iter().filter(|id| !self.is_leaving(id)).collect()
    }

    pub(super) fn is_leaving(&self, id: &Hash) -> bool {
        self.open.iter().any(|watched| watched.id == *id && watched.stream.leaves.load(Ordering::Relaxed))
    }

    /// Streams of a peer.
    pub(super) fn count(&self, id: &Hash) -> usize {
        self.open.iter().filter(|watched| watched.id == *id).count()
    }

    /// What a peer gave in a second when it was measured last; 0 of one that never was.
    pub(super) fn gave(&self, id: &Hash) -> f64 {
        self.gave.get(id).copied().unwrap_or(0.0)
    }

    /// What each peer gave in a second since the last look, of those who are there for long enough.
    fn rates(&self) -> BTreeMap<Hash, f64> {
        let mut rates = BTreeMap::new();
        for watched in self.open.iter().filter(|watched| watched.since.elapsed() >= JUDGED_AFTER) {
            let came = watched.stream.came.load(Ordering::Relaxed) - watched.before;
            *rates.entry(watched.id).or_default() += came as f64 / watched.since.elapsed().as_secs_f64();
        }
        rates.retain(|id, _| !self.is_leaving(id));
        rates
    }

    /// Has the slowest leave if it gives little, or less than half of the best, and there is somebody to come: one that was never asked
    /// (`is_new`), or of the `free` one that gave more than twice as much when it was measured last. Whether somebody leaves.
    pub(super) fn exchange(&mut self, is_new: bool, free: &[Hash]) -> bool {
        if self.exchanged.elapsed() < EXCHANGED_EVERY {
            return false;
        }
        self.exchanged = Instant::now();
        let rates = self.rates();
        self.gave.extend(rates.iter().map(|(id, rate)| (*id, *rate)));
        let best = rates.values().copied().fold(0.0, f64::max);
        let slowest = rates.into_iter().min_by(|(_, one), (_, other)| one.total_cmp(other));
        let best_free = free.iter().map(|id| self.gave(id)).fold(0.0, f64::max);
        for watched in &mut self.open {
            watched.before = watched.stream.came.load(Ordering::Relaxed);
            watched.since = Instant::now();
        }
        let is_left = |rate: f64| (is_new && rate < LITTLE_BYTES_PER_SECOND.max(best / 2.0)) || 2.0 * rate < best_free;
        let slowest = slowest.filter(|(_, rate)| is_left(*rate));
        let Some((slowest, _)) = slowest else { return false };
        let of_slowest = self.open.iter().filter(|watched| watched.id == slowest);
        of_slowest.for_each(|watched| watched.stream.leaves.store(true, Ordering::Relaxed));
        true
    }
}

/// A link that counts what comes.
pub(super) struct Counted<'a> {
    pub link: Box<dyn Link + 'a>,
    pub stream: &'a Stream,
}

impl Link for Counted<'_> {
    fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        self.link.ask(request)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.link.begin()
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.link.read(bytes)?;
        self.stream.came.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

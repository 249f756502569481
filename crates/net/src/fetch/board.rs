//! What is still to be fetched, and who is at it.

use crate::Hash;
use crate::shelf::{Claim, Part, Shelf, ShelfError, Staged, blob_cost, group_cost};
use crate::tree::{FRAME_GROUPS, GROUP_BYTES, Geometry, Learned};
use crate::wire::MAX_REQUEST_GROUPS;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a stripe is under way at least before another peer that has nothing else to do is asked for it as well; and in times of what
/// stripes took so far. What comes twice is wasted.
const DOUBLED_AFTER: Duration = Duration::from_secs(1);
const DOUBLED_AFTER_TIMES: u32 = 3;
/// A fetch has so many stripes or more, if they are not smaller than a frame.
const LEAST_STRIPES: u64 = 16;

/// Room that is taken from the disk ahead of what came: so many times as much, and so much at least. All of a blob has its room when a
/// sixteenth of it is here.
const AHEAD_TIMES: u64 = 16;
const LEAST_AHEAD_BYTES: u64 = 64 << 20;

/// How often it is noted what came: so much work is lost by a kill.
const NOTED_EVERY: Duration = Duration::from_millis(200);

/// A blob of which something is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub root: Hash,
    pub geometry: Geometry,
    /// All groups that are wanted, neighbours together.
    groups: Vec<Range<u32>>,
    /// Those that are missing.
    missing: Vec<Range<u32>>,
    /// Where they go; `None` for a small blob that comes whole, and for one of which nothing is missing.
    part: Option<Arc<Part>>,
    /// Bytes that the disk was asked for.
    begun: Mutex<u64>,
}

impl Wanted {
    pub(super) fn new(
        shelf: &Shelf,
        root: Hash,
        bytes: u64,
        ranges: Option<&[Range<u64>]>,
    ) -> Result<Wanted, ShelfError> {
        let what = || ShelfError::Impossible { what: format!("{bytes} bytes are more than a blob has") };
        let geometry = Geometry::new(bytes).ok_or_else(what)?;
        let groups = match ranges {
            None => joined([geometry.all()].to_vec()),
            Some(ranges) => joined(ranges.iter().map(|range| geometry.groups_of(range)).collect()),
        };
        let missing: Vec<Range<u32>> = groups.iter().flat_map(|range| shelf.missing(&root, range)).collect();
        if missing.is_empty() {
            shelf.settle_if_whole(&root)?;
        }
        let is_all = missing[..] == [geometry.all()];
        let part = match missing.is_empty() || (is_all && Shelf::is_small(&geometry)) {
            true => None,
            false => shelf.part(&root, &geometry)?,
        };
        Ok(Wanted { root, geometry, groups, missing, part, begun: Mutex::new(0) })
    }

    fn bytes(&self, groups: &[Range<u32>]) -> u64 {
        let sizes = groups.iter().map(|range| self.geometry.bytes_of(range));
        sizes.map(|bytes| bytes.end - bytes.start).sum()
    }

    /// Room on the disk for what is missing.
    fn cost(&self) -> u64 {
        let groups: u64 = self.missing.iter().map(|range| range.len() as u64).sum();
        match (&self.part, groups) {
            (_, 0) => 0,
            (Some(_), groups) => groups * group_cost(),
            (None, _) => blob_cost(&self.geometry),
        }
    }

    /// What of it stays free on the disk until the first frame came.
    fn promised(&self) -> u64 {
        let is_all = self.groups[..] == [self.geometry.all()];
        if is_all && self.part.is_some() { self.cost() } else { 0 }
    }

    /// A frame came: takes more room for what is still to come, if all is wanted. Under a root that was made for it one frame stands and
    /// nothing else, whatever size is said of it: room is taken ahead of what came by a stated measure only.
    fn begin(&self, part: &Part, claim: &Claim) -> std::io::Result<()> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = self.promised();
        let ahead = part.held_bytes().saturating_mul(AHEAD_TIMES).max(LEAST_AHEAD_BYTES).min(promised);
        if ahead > *begun {
            claim.begin(ahead - *begun);
            part.allocate(if ahead == promised { u64::MAX } else { ahead })?;
            *begun = ahead;
        }
        Ok(())
    }

    /// The groups of a stripe that are missing by now.
    pub(super) fn still_missing(&self, shelf: &Shelf, groups: &Range<u32>) -> Vec<Range<u32>> {
        shelf.missing(&self.root, groups)
    }
}

/// Ranges in order, those that touch as one.
fn joined(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut found: Vec<Range<u32>> = Vec::new();
    for range in ranges {
        match found.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => found.push(range),
        }
    }
    found
}

/// Groups of a blob that one peer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stripe {
    pub number: u64,
    pub blob: usize,
    pub groups: Range<u32>,
}

#[derive(Debug)]
struct UnderWay {
    stripe: Stripe,
    since: Instant,
    /// Whom it was asked of.
    peers: Vec<Hash>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Stripe>,
    under_way: BTreeMap<u64, UnderWay>,
    from: BTreeMap<Hash, u64>,
    /// Stripes that came, and how long they took together.
    taken: (u32, Duration),
    failed: Option<ShelfError>,
    /// Small blobs that came: the numbers of their stripes, and what has no name yet.
    small: BTreeSet<u64>,
    staged: Vec<Staged>,
    /// When progress was told, and how much had come.
    told: Option<(Instant, u64)>,
    settled: Option<Instant>,
}

/// All stripes of a fetch.
#[derive(Debug)]
pub(super) struct Board {
    blobs: Vec<Wanted>,
    claim: Claim,
    of: u64,
    missing: AtomicU64,
    came: AtomicU64,
    /// Bytes of a stripe at most.
    pub stripe_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Board {
    pub(super) fn new(shelf: &Shelf, blobs: Vec<Wanted>) -> Result<Board, ShelfError> {
        let promised = blobs.iter().map(Wanted::promised).sum();
        let claim = shelf.claim_and_keep(blobs.iter().map(Wanted::cost).sum(), promised)?;
        let missing: u64 = blobs.iter().map(|wanted| wanted.bytes(&wanted.missing)).sum();
        let frames = missing / LEAST_STRIPES / (u64::from(FRAME_GROUPS) * GROUP_BYTES);
        let most_groups =
            u32::try_from(frames.max(1)).unwrap_or(u32::MAX).saturating_mul(FRAME_GROUPS).min(MAX_REQUEST_GROUPS);
        let mut waiting = VecDeque::new();
        for (blob, wanted) in blobs.iter().enumerate() {
            for range in &wanted.missing {
                let mut start = range.start;
                while start < range.end {
                    // Stripes end where frames do.
                    let end = ((start / most_groups + 1) * most_groups).min(range.end);
                    waiting.push_back(Stripe { number: waiting.len() as u64, blob, groups: start..end });
                    start = end;
                }
            }
        }
        let stripe_bytes = u64::from(most_groups) * GROUP_BYTES;
        let of = blobs.iter().map(|wanted| wanted.bytes(&wanted.groups)).sum();
        let state = Mutex::new(State { waiting, ..State::default() });
        Ok(Board {
            blobs,
            claim,
            of,
            missing: missing.into(),
            came: 0.into(),
            stripe_bytes,
            state,
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn blob(&self, stripe: &Stripe) -> &Wanted {
        &self.blobs[stripe.blob]
    }

    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.under_way.is_empty()
    }

    /// A stripe to ask a peer for that is in none of two sets of numbers: one that nobody is at, or, where there is none, the one that
    /// another peer has been at for longest, much longer than the others took.
    pub(super) fn take(&self, peer: &Hash, not: [&BTreeSet<u64>; 2]) -> Option<Stripe> {
        let is_free = |stripe: &Stripe| !not.iter().any(|set| set.contains(&stripe.number));
        let mut state = self.state();
        if let Some(index) = state.waiting.iter().position(is_free) {
            let stripe = state.waiting.remove(index)?;
            let under_way = UnderWay { stripe: stripe.clone(), since: Instant::now(), peers: vec![*peer] };
            state.under_way.insert(stripe.number, under_way);
            return Some(stripe);
        }
        let (count, took) = state.taken;
        let patience = DOUBLED_AFTER.max(took / count.max(1) * DOUBLED_AFTER_TIMES);
        let State { under_way, from, .. } = &mut *state;
        let gave = |peer: &Hash| from.get(peer).copied().unwrap_or(0);
        let slow = under_way.values_mut().filter(|other| {
            // The second that was asked may be slow as well; who gave far more than they is asked soon.
            let is_ahead = other.peers.iter().all(|at_it| gave(peer) > 2 * gave(at_it));
            let patience = if is_ahead { DOUBLED_AFTER } else { patience * other.peers.len() as u32 };
            !other.peers.contains(peer) && is_free(&other.stripe) && other.since.elapsed() >= patience
        });
        let slowest = slow.min_by_key(|other| other.since)?;
        slowest.peers.push(*peer);
        Some(slowest.stripe.clone())
    }

    /// Whether a worker could still be given something that is in no set of numbers.
    pub(super) fn has_more(&self, not: &BTreeSet<u64>) -> bool {
        let state = self.state();
        let under_way = state.under_way.keys();
        state.waiting.iter().map(|stripe| &stripe.number).chain(under_way).any(|number| !not.contains(number))
    }

    /// A stripe is here.
    pub(super) fn done(&self, stripe: &Stripe) {
        let mut state = self.state();
        if let Some(under_way) = state.under_way.remove(&stripe.number) {
            state.taken.0 += 1;
            state.taken.1 += under_way.since.elapsed();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A peer is not at a stripe any more.
    pub(super) fn give_back(&self, peer: &Hash, number: u64) {
        let mut state = self.state();
        let Some(under_way) = state.under_way.get_mut(&number) else { return };
        under_way.peers.retain(|other| other != peer);
        if under_way.peers.is_empty()
            && let Some(under_way) = state.under_way.remove(&number)
        {
            state.waiting.push_front(under_way.stripe);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until there may be something else to do.
    pub(super) fn wait(&self) {
        let waited = self.changed.wait_timeout(self.state(), Duration::from_millis(50));
        drop(waited);
    }

    /// Wakes all who wait.
    pub(super) fn wakes(&self) {
        self.changed.notify_all();
    }

    /// Keeps a frame that was checked. False if the shelf cannot take it: then the fetch is over.
    pub(super) fn keep(
        &self,
        shelf: &Shelf,
        peer: &Hash,
        stripe: &Stripe,
        frame: &Range<u32>,
        content: &[u8],
        learned: &Learned,
    ) -> bool {
        let wanted = self.blob(stripe);
        let kept = match &wanted.part {
            None => self.keep_small(shelf, wanted, stripe, content, learned),
            Some(part) => {
                let begun = if part.has(frame) { Ok(()) } else { wanted.begin(part, &self.claim) };
                let written = match begun.and_then(|()| part.write(frame, content, learned)) {
                    // Another fetch of the same blob has settled it meanwhile.
                    Err(_) if shelf.is_whole(&wanted.root) => Ok(0),
                    written => written.map_err(shelf.io()),
                };
                // What is whole waits for the disk, and there may be more of it than a process may have open files.
                if part.is_whole() {
                    part.close();
                }
                written.map(|new| {
                    self.claim.spend(u64::from(new) * group_cost());
                    (u64::from(new) * GROUP_BYTES).min(content.len() as u64)
                })
            }
        };
        match kept {
            Ok(bytes) => {
                let _ = self
                    .missing
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
                self.came.fetch_add(bytes, Ordering::Relaxed);
                *self.state().from.entry(*peer).or_default() += bytes;
                true
            }
            Err(error) => {
                self.state().failed.get_or_insert(error);
                false
            }
        }
    }

    /// Keeps a small blob. How many bytes are new.
    fn keep_small(
        &self,
        shelf: &Shelf,
        wanted: &Wanted,
        stripe: &Stripe,
        content: &[u8],
        learned: &Learned,
    ) -> Result<u64, ShelfError> {
        if self.state().small.contains(&stripe.number) {
            return Ok(0);
        }
        let staged = shelf.stage_small(&wanted.root, &wanted.geometry, content, learned)?;
        let mut state = self.state();
        if !state.small.insert(stripe.number) {
            return Ok(0);
        }
        state.staged.push(staged);
        Ok(content.len() as u64)
    }

    /// Notes what came, and brings to the disk what is whole, or more than so much; all of it at the end, for which that is nothing.
    pub(super) fn settle(&self, shelf: &Shelf, flush_bytes: u64) -> Result<(), ShelfError> {
        let is_last = flush_bytes == 0;
        let (is_due, staged) = {
            let mut state = self.state();
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            let is_due = is_last || state.settled.is_none_or(|at| at.elapsed() > NOTED_EVERY);
            if is_due {
                state.settled = Some(Instant::now());
            }
            (is_due, if is_due { std::mem::take(&mut state.staged) } else { Vec::new() })
        };
        shelf.name_all(staged, &self.claim)?;
        for wanted in &self.blobs {
            let Some(part) = wanted.part.as_ref().filter(|_| !shelf.is_whole(&wanted.root)) else { continue };
            let unflushed = part.unflushed();
            let kept = if is_last || (unflushed > 0 && (unflushed >= flush_bytes || part.is_whole())) {
                shelf.settle(&wanted.root, part)
            } else if is_due {
                part.note().map_err(shelf.io())
            } else {
                Ok(())
            };
            // Another fetch of the same blob may have settled it meanwhile.
            if let Err(error) = kept
                && !shelf.is_whole(&wanted.root)
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Notes what came of a fetch that ends before all of it did, so that nothing of it is lost but by a power cut.
    pub(super) fn leave(&self, shelf: &Shelf) -> Result<(), ShelfError> {
        self.state().settled = None;
        self.settle(shelf, u64::MAX)
    }

    /// Bytes that are here, that are wanted, and that came in a second, once a second.
    pub(super) fn progress(&self) -> Option<(u64, u64, u64)> {
        let came = self.came();
        let mut state = self.state();
        // The first time, nothing is known of a second.
        let (seconds, before) = state.told.map_or((1.0, came), |(at, before)| (at.elapsed().as_secs_f64(), before));
        if seconds < 1.0 {
            return None;
        }
        state.told = Some((Instant::now(), came));
        Some((self.of.saturating_sub(self.missing()), self.of, ((came - before) as f64 / seconds) as u64))
    }

    pub(super) fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }

    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    pub(super) fn from(&self) -> Vec<(Hash, u64)> {
        self.state().from.iter().map(|(id, bytes)| (*id, *bytes)).collect()
    }
}

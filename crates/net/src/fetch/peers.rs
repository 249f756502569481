//! Whom to ask: who has not failed lately, and is not banned.

use super::{FetchError, Fetcher, Told, Want};
use crate::Hash;
use crate::network::{Failure, Link, Patience, Peer, greet};
use crate::wire::{Has, Request};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often the one who waits looks up.
const TICK: Duration = Duration::from_millis(20);
/// How often the caller is asked for peers.
const REFRESH: Duration = Duration::from_millis(500);
/// What is missing is worth more than one stream of a peer.
const MANY_BYTES: u64 = 16 << 20;
/// The longest that a peer is left alone, in times of the first.
const MOST_ASIDE: u32 = 32;

struct Aside {
    times: u32,
    until: Instant,
}

/// What is known of peers in one fetch.
pub(super) struct Choice {
    /// Differs between fetches, so that not all begin with the same peer.
    salt: [u8; 8],
    unit: Duration,
    asides: BTreeMap<Hash, Aside>,
    why: BTreeMap<Hash, String>,
}

impl Choice {
    pub(super) fn new(root: &Hash, unit: Duration) -> Choice {
        let mut hasher = blake3::Hasher::new();
        hasher.update(root).update(&std::process::id().to_le_bytes());
        let mut salt = [0; 8];
        hasher.finalize_xof().fill(&mut salt);
        Choice { salt, unit, asides: BTreeMap::new(), why: BTreeMap::new() }
    }

    /// Who may be asked, best first: who failed least, then in an order of this fetch's own.
    fn order(&self, mut peers: Vec<Peer>, is_out: impl Fn(&Hash) -> bool) -> Vec<Peer> {
        let now = Instant::now();
        let is_aside = |id: &Hash| self.asides.get(id).is_some_and(|aside| aside.until > now);
        peers.retain(|peer| !is_out(&peer.id) && !is_aside(&peer.id));
        let rank = |peer: &Peer| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.salt).update(&peer.id);
            (self.asides.get(&peer.id).map_or(0, |aside| aside.times), *hasher.finalize().as_bytes())
        };
        peers.sort_by_cached_key(rank);
        peers.dedup_by_key(|peer| peer.id);
        peers
    }

    /// Leaves a peer alone for a while.
    fn set_aside(&mut self, id: &Hash, failure: &Failure) -> Duration {
        let times = self.asides.get(id).map_or(0, |aside| aside.times);
        let doubled = self.unit * (1 << times.min(5)).min(MOST_ASIDE);
        let wait = match failure {
            Failure::Refused { retry_seconds: Some(seconds), .. } => {
                doubled.max(Duration::from_secs((*seconds).min(60).into())).min(self.unit * MOST_ASIDE)
            }
            Failure::Slow(_) => doubled * 4,
            Failure::Other(_) => self.unit * MOST_ASIDE,
            _ => doubled,
        };
        self.asides.insert(*id, Aside { times: times.saturating_add(1), until: Instant::now() + wait });
        wait
    }

    fn list(&self) -> Vec<(Hash, String)> {
        self.why.iter().map(|(id, why)| (*id, why.clone())).collect()
    }
}

/// What is done with a peer that was greeted.
pub(super) type Work<'a> = dyn Fn(&Peer, &mut dyn Link) -> Result<(), Failure> + Sync + 'a;

/// Peers at work for one fetch.
pub(super) struct Gathering<'a, 'b> {
    pub fetcher: &'a Fetcher,
    pub want: &'a Want<'b>,
    pub choice: &'a mut Choice,
    pub tell: &'a (dyn Fn(&Told) + Sync),
    /// So many at once.
    pub most: usize,
}

impl Gathering<'_, '_> {
    /// Has peers work until it is done: as many at once as may be, another for each that fails. `look` is called again and again with
    /// who is at work, and gives what is missing; `wake` wakes workers that wait for each other.
    pub(super) fn run(
        &mut self,
        work: &Work<'_>,
        is_done: &(dyn Fn() -> bool + Sync),
        wake: &dyn Fn(),
        look: &mut dyn FnMut(Vec<Hash>) -> Result<u64, FetchError>,
    ) -> Result<(), FetchError> {
        let over = AtomicBool::new(false);
        let patience = self.patience(&over);
        let limits = self.fetcher.limits;
        std::thread::scope(|scope| {
            let (sender, ended) = mpsc::channel::<(Peer, Result<(), Failure>)>();
            let mut active: BTreeMap<Hash, usize> = BTreeMap::new();
            let mut refreshed: Option<Instant> = None;
            let outcome = loop {
                if is_done() {
                    break Ok(());
                }
                let streams = match look(active.keys().copied().collect()) {
                    Err(error) => break Err(error),
                    Ok(missing_bytes) if Instant::now() >= self.want.by => {
                        let (root, why) = (self.want.item.root, self.choice.list());
                        break Err(FetchError::Late { root, missing_bytes, why });
                    }
                    Ok(_) if self.want.stop.load(Ordering::Relaxed) => break Err(FetchError::Stopped),
                    Ok(missing_bytes) if missing_bytes > MANY_BYTES => limits.streams_per_peer,
                    Ok(_) => 1,
                };
                if refreshed.is_none_or(|at| at.elapsed() >= REFRESH) {
                    refreshed = Some(Instant::now());
                    for peer in self.candidates(&active, streams) {
                        *active.entry(peer.id).or_default() += 1;
                        let (sender, fetcher, root) = (sender.clone(), self.fetcher, self.want.item.root);
                        scope.spawn(move || {
                            let result = attend(fetcher, &peer, &root, &patience, work);
                            let _ = sender.send((peer, result));
                        });
                    }
                }
                if let Ok((peer, result)) = ended.recv_timeout(TICK) {
                    if let Some(count) = active.get_mut(&peer.id) {
                        *count -= 1;
                    }
                    active.retain(|_, count| *count > 0);
                    refreshed = None;
                    self.note(&peer, result);
                }
            };
            over.store(true, Ordering::Relaxed);
            wake();
            outcome
        })
    }

    fn patience<'a>(&self, stop: &'a AtomicBool) -> Patience<'a> {
        let limits = &self.fetcher.limits;
        Patience {
            by: self.want.by,
            stop,
            connect: limits.connect_timeout,
            first_byte: limits.first_byte_timeout,
            floor_bytes_per_second: limits.floor_bytes_per_second,
            floor_window: limits.floor_window,
        }
    }

    /// Whom to ask besides those who are at work: each as often as it may have streams.
    fn candidates(&self, active: &BTreeMap<Hash, usize>, streams: usize) -> Vec<Peer> {
        let bans = &self.fetcher.bans;
        let mut peers = self.choice.order((self.want.peers)(), |id| bans.is_banned(id));
        // Those who are at work stay.
        peers.sort_by_key(|peer| !active.contains_key(&peer.id));
        peers.truncate(self.most);
        let more = |peer: &Peer| streams.saturating_sub(active.get(&peer.id).copied().unwrap_or(0));
        let room =
            self.most.saturating_sub(active.keys().filter(|id| peers.iter().all(|peer| peer.id != **id)).count());
        peers.truncate(room);
        peers.iter().flat_map(|peer| std::iter::repeat_n(peer.clone(), more(peer))).collect()
    }

    /// Draws the consequences of how a peer ended.
    fn note(&mut self, peer: &Peer, result: Result<(), Failure>) {
        let Err(failure) = result else { return };
        if failure == Failure::Stopped {
            return;
        }
        self.choice.why.insert(peer.id, failure.to_string());
        if let Failure::Wrong(why) = &failure {
            self.fetcher.bans.add(&peer.id, why);
            (self.tell)(&Told::Banned { id: peer.id, why: failure.to_string() });
            return;
        }
        let seconds = self.choice.set_aside(&peer.id, &failure).as_secs_f32();
        (self.tell)(&Told::Aside { id: peer.id, why: failure.to_string(), seconds });
    }
}

/// Greets a peer, asks whether it has anything of a root, and works with it.
fn attend(
    fetcher: &Fetcher,
    peer: &Peer,
    root: &Hash,
    patience: &Patience<'_>,
    work: &Work<'_>,
) -> Result<(), Failure> {
    let mut link = fetcher.network.dial(peer, patience)?;
    link.ask(&Request::Hello)?;
    link.ask(&Request::Have { roots: vec![*root] })?;
    greet(&mut *link)?;
    link.begin()?;
    let mut has = [0];
    link.read(&mut has)?;
    if has[0] == Has::Nothing as u8 {
        return Err(Failure::NotHeld);
    }
    work(peer, &mut *link)
}

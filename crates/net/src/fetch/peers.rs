//! Whom to ask: who has not failed lately, and is not banned.

use super::streams::{Counted, Stream, Streams};
use super::{FetchError, Fetcher, Told, Want};
use crate::Hash;
use crate::network::{Failure, Link, Patience, Peer, greet};
use crate::wire::{Has, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
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
    unit: Duration,
    asides: BTreeMap<Hash, Aside>,
    /// Who was asked.
    tried: BTreeSet<Hash>,
    why: BTreeMap<Hash, String>,
}

impl Choice {
    pub(super) fn new(unit: Duration) -> Choice {
        Choice { unit, asides: BTreeMap::new(), tried: BTreeSet::new(), why: BTreeMap::new() }
    }

    /// Who may be asked, best first: who failed least, of these who was not tried yet, then as the caller has them.
    fn order(&self, mut peers: Vec<Peer>, is_out: impl Fn(&Hash) -> bool) -> Vec<Peer> {
        let now = Instant::now();
        let is_aside = |id: &Hash| self.asides.get(id).is_some_and(|aside| aside.until > now);
        let mut seen = BTreeSet::new();
        peers.retain(|peer| !is_out(&peer.id) && !is_aside(&peer.id) && seen.insert(peer.id));
        let times = |id: &Hash| self.asides.get(id).map_or(0, |aside| aside.times);
        // Stable: the caller's order stays among equals.
        peers.sort_by_key(|peer| (times(&peer.id), self.tried.contains(&peer.id)));
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
pub(super) type Work<'a> = dyn Fn(&Peer, &Stream, &mut dyn Link) -> Result<(), Failure> + Sync + 'a;

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
        let limits = self.fetcher.limits;
        std::thread::scope(|scope| {
            let (sender, ended) = mpsc::channel::<(u64, Peer, Result<(), Failure>)>();
            let mut streams = Streams::new();
            let mut refreshed: Option<Instant> = None;
            let outcome = loop {
                if is_done() {
                    break Ok(());
                }
                let per_peer = match look(streams.peers()) {
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
                    let peers = self.candidates();
                    if streams.peers().len() >= self.most && self.exchange(&peers, &mut streams) {
                        wake();
                    }
                    for peer in self.more(peers, &streams, per_peer) {
                        self.choice.tried.insert(peer.id);
                        let stream = streams.begin(peer.id);
                        let (sender, fetcher, want) = (sender.clone(), self.fetcher, self.want);
                        scope.spawn(move || {
                            let result = attend(fetcher, &peer, want, &stream, work);
                            let _ = sender.send((stream.number, peer, result));
                        });
                    }
                }
                if let Ok((number, peer, result)) = ended.recv_timeout(TICK) {
                    streams.ended(number);
                    refreshed = None;
                    self.note(&peer, result);
                }
            };
            streams.end_all();
            wake();
            outcome
        })
    }

    /// Whom to ask, best first.
    fn candidates(&self) -> Vec<Peer> {
        let bans = &self.fetcher.bans;
        self.choice.order((self.want.peers)(), |id| bans.is_banned(id))
    }

    /// Where all places are taken, has somebody leave for one that was never asked, or that gave more before.
    fn exchange(&self, peers: &[Peer], streams: &mut Streams) -> bool {
        let active = streams.peers();
        let is_new = peers.iter().any(|peer| !self.choice.tried.contains(&peer.id));
        let free = peers.iter().map(|peer| peer.id).filter(|id| !active.contains(id) && !streams.is_leaving(id));
        streams.exchange(is_new, &free.collect::<Vec<_>>())
    }

    /// Whom to ask besides those who are at work: each as often as it may have streams.
    fn more(&self, mut peers: Vec<Peer>, streams: &Streams, per_peer: usize) -> Vec<Peer> {
        let active = streams.peers();
        // Those who are at work stay; who is about to leave gets nothing more.
        peers.retain(|peer| !streams.is_leaving(&peer.id));
        let is_tried = |peer: &Peer| self.choice.tried.contains(&peer.id);
        // Among those who were tried, who gave most is asked again first; among equals the order stays.
        peers.sort_by(|one, other| {
            let key = |peer: &Peer| (!active.contains(&peer.id), is_tried(peer));
            key(one).cmp(&key(other)).then_with(|| streams.gave(&other.id).total_cmp(&streams.gave(&one.id)))
        });
        peers.truncate(self.most);
        let room =
            self.most.saturating_sub(active.iter().filter(|id| peers.iter().all(|peer| peer.id != **id)).count());
        peers.truncate(room);
        let more = |peer: &Peer| per_peer.saturating_sub(streams.count(&peer.id));
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
fn attend(fetcher: &Fetcher, peer: &Peer, want: &Want<'_>, stream: &Stream, work: &Work<'_>) -> Result<(), Failure> {
    let limits = &fetcher.limits;
    let patience = Patience {
        by: want.by,
        stop: &stream.leaves,
        connect: limits.connect_timeout,
        first_byte: limits.first_byte_timeout,
        floor_bytes_per_second: limits.floor_bytes_per_second,
        floor_window: limits.floor_window,
    };
    let mut link = Counted { link: fetcher.network.dial(peer, &patience)?, stream };
    link.ask(&Request::Hello)?;
    // Who does not greet as a peer learns nothing of what is wanted, and gets no bytes that somebody else chose.
    greet(&mut link)?;
    link.ask(&Request::Have { roots: vec![want.item.root] })?;
    link.begin()?;
    let mut has = [0];
    link.read(&mut has)?;
    if has[0] == Has::Nothing as u8 {
        return Err(Failure::NotHeld);
    }
    work(peer, stream, &mut link)
}

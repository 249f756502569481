//! Bringing an item onto a shelf, from several peers at once.
//!
//! A list's entries come first, and are checked against the list's root; then blobs, cut into stripes of at most 8 MiB (the wire's bound; less where little is missing), each of which one
//! peer gives in frames that are checked against the blob's root before anything of them is kept. What has come and is on the disk is not
//! asked for again, also after the process was killed.

mod board;
mod peers;
mod streams;
mod work;

use crate::bans::Bans;
use crate::item::{Item, Shape};
use crate::network::{Failure, Link, Network, Peer};
use crate::shelf::{Shelf, ShelfError};
use crate::{Hash, hex};
use board::{Board, Wanted};
use peers::{Choice, Gathering};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use streams::Stream;

/// How a fetcher treats peers.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Peers that give at once.
    pub peers: usize,
    /// For a connection.
    pub connect_timeout: Duration,
    /// For the first byte of an answer.
    pub first_byte_timeout: Duration,
    /// Bytes a second that a peer has to give.
    pub floor_bytes_per_second: u64,
    /// Over how long.
    pub floor_window: Duration,
    /// How long a peer that failed is left alone first; each further time twice as long, at most 32 times.
    pub aside: Duration,
    /// Connections to each, where more than 16 MiB are missing.
    pub streams_per_peer: usize,
    /// Bytes of a blob that came and may be lost by a power cut; a kill loses what came in a fifth of a second.
    pub flush_bytes: u64,
}

impl Default for FetchLimits {
    fn default() -> FetchLimits {
        FetchLimits {
            peers: 4,
            connect_timeout: Duration::from_secs(3),
            first_byte_timeout: Duration::from_secs(10),
            floor_bytes_per_second: 64 << 10,
            floor_window: Duration::from_secs(30),
            aside: Duration::from_secs(1),
            streams_per_peer: 2,
            flush_bytes: 64 << 20,
        }
    }
}

/// What is to be fetched.
#[derive(Clone, Copy)]
pub struct Want<'a> {
    /// What.
    pub item: &'a Item,
    /// The bytes of a blob that are wanted; all of them where there are none.
    pub ranges: Option<&'a [Range<u64>]>,
    /// Who may have it, most likely first, in an order by chance where nobody is; asked again and again, so that those who join are asked too.
    pub peers: &'a (dyn Fn() -> Vec<Peer> + Sync),
    /// Until when.
    pub by: Instant,
    /// Once true, the fetch ends, at the latest after the time for a connection.
    pub stop: &'a AtomicBool,
}

/// What a fetch tells while it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// How far it is, about once a second.
    Progress {
        /// Bytes that are here.
        bytes: u64,
        /// Bytes that are wanted.
        of: u64,
        /// Of late.
        bytes_per_second: u64,
        /// Who gives now.
        from: Vec<Hash>,
    },
    /// A peer gave wrong bytes, and is not asked any more.
    Banned {
        /// Who.
        id: Hash,
        /// What it did.
        why: String,
    },
    /// A peer is left alone for a while.
    Aside {
        /// Who.
        id: Hash,
        /// Why.
        why: String,
        /// For how long.
        seconds: f32,
    },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Progress { bytes, of, bytes_per_second, from } => {
                write!(f, "{bytes} of {of} bytes are here, {bytes_per_second} a second from {} peers", from.len())
            }
            Told::Banned { id, why } => write!(f, "peer {} is banned: it {why}", &hex(id)[..8]),
            Told::Aside { id, why, seconds } => write!(f, "peer {} {why}; asked again in {seconds} s", &hex(id)[..8]),
        }
    }
}

/// What a fetch took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// Bytes of the item that came.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// From whom, and how much.
    pub from: Vec<(Hash, u64)>,
}

/// Why a fetch ended without its item. What came is kept.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The time is over.
    #[error(
        "{missing_bytes} bytes of {} are still missing{}; ask more peers, or demand it on chain",
        hex(root),
        reasons(why)
    )]
    Late {
        /// What.
        root: Hash,
        /// How much of it.
        missing_bytes: u64,
        /// What each peer did last.
        why: Vec<(Hash, String)>,
    },
    /// The shelf cannot take it.
    #[error(transparent)]
    Disk(#[from] ShelfError),
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
    /// What is asked for cannot be.
    #[error("{0}")]
    Impossible(String),
}

/// What peers did, for people.
fn reasons(why: &[(Hash, String)]) -> String {
    if why.is_empty() {
        return ", and there was nobody to ask".into();
    }
    why.iter().map(|(id, why)| format!("; peer {} {why}", &hex(id)[..8])).collect()
}

/// Fetches items; clones share their bans and their shelf.
#[derive(Clone)]
pub struct Fetcher {
    network: Arc<dyn Network>,
    shelf: Shelf,
    bans: Arc<Bans>,
    limits: FetchLimits,
}

impl Fetcher {
    /// One that asks over a network and puts what comes onto a shelf.
    pub fn new(network: Arc<dyn Network>, shelf: Shelf, bans: Arc<Bans>, limits: FetchLimits) -> Fetcher {
        Fetcher { network, shelf, bans, limits }
    }

    /// Fetches until all that is wanted lies on the shelf. What lies there already is not asked for; the item is kept from now on, as
    /// [`Shelf::put_bytes`] keeps it, also if the fetch fails.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(&self, want: &Want<'_>, tell: &(dyn Fn(&Told) + Sync)) -> Result<Fetched, FetchError> {
        let began = Instant::now();
        let mut choice = Choice::new(self.limits.aside);
        let blobs = self.wanted(want, &mut choice, tell)?;
        let board = self.board(blobs, want.ranges.filter(|_| matches!(want.item.shape, Shape::Blob { .. })))?;
        if !board.is_done() {
            let work = |peer: &Peer, stream: &Stream, link: &mut dyn Link| {
                let is_over = || stream.leaves.load(Ordering::Relaxed) || self.bans.is_banned(&peer.id);
                work::blobs(&board, &self.shelf, peer, link, &is_over)
            };
            let mut gathering = Gathering { fetcher: self, want, choice: &mut choice, tell, most: self.limits.peers };
            let outcome = gathering.run(&work, &|| board.is_done(), &|| board.wakes(), &mut |active| {
                self.look_after(&board, active, tell)
            });
            if let Err(error) = outcome {
                // What came is kept as far as the shelf can take it.
                let _ = board.leave(&self.shelf).and_then(|()| self.shelf.sync_blobs());
                return Err(error);
            }
        }
        board.settle(&self.shelf, 0)?;
        self.shelf.sync_blobs()?;
        Ok(Fetched { bytes: board.came(), seconds: began.elapsed().as_secs_f64(), from: board.from() })
    }

    /// Brings what came to the disk, and tells how far it is.
    fn look_after(&self, board: &Board, active: Vec<Hash>, tell: &(dyn Fn(&Told) + Sync)) -> Result<u64, FetchError> {
        board.settle(&self.shelf, self.limits.flush_bytes)?;
        if let Some((bytes, of, bytes_per_second)) = board.progress() {
            tell(&Told::Progress { bytes, of, bytes_per_second, from: active });
        }
        Ok(board.missing())
    }

    /// The blobs that are wanted; the list among them is fetched first.
    fn wanted(
        &self,
        want: &Want<'_>,
        choice: &mut Choice,
        tell: &(dyn Fn(&Told) + Sync),
    ) -> Result<Vec<(Hash, u64)>, FetchError> {
        let (item, root) = (want.item, want.item.root);
        if !item.is_possible() {
            return Err(FetchError::Impossible(format!("{} is larger than anything may be", hex(&root))));
        }
        let lengths = match &item.shape {
            Shape::Blob { bytes } => {
                self.shelf.keep_alone(&root, *bytes)?;
                return Ok(vec![(root, *bytes)]);
            }
            Shape::List { bytes } => bytes,
        };
        let entries = match self.shelf.list(&root) {
            Some(entries) => entries,
            None => self.entries(want, lengths, choice, tell)?,
        };
        if entries.len() != lengths.len() {
            let (found, expected) = (entries.len(), lengths.len());
            return Err(FetchError::Impossible(format!("{} has {found} entries, not {expected}", hex(&root))));
        }
        Ok(entries.into_iter().zip(lengths).map(|(entry, bytes)| (entry, *bytes)).collect())
    }

    /// Fetches the hashes of a list's entries, and keeps the list.
    fn entries(
        &self,
        want: &Want<'_>,
        lengths: &[u64],
        choice: &mut Choice,
        tell: &(dyn Fn(&Told) + Sync),
    ) -> Result<Vec<Hash>, FetchError> {
        let found: OnceLock<Vec<Hash>> = OnceLock::new();
        let missing = want.item.bytes();
        let work = |_: &Peer, _: &Stream, link: &mut dyn Link| {
            let entries = work::list(&want.item.root, lengths.len() as u32, link)?;
            let _ = found.set(entries);
            Ok::<(), Failure>(())
        };
        // Two at once: one may be slow.
        let most = self.limits.peers.min(2);
        let mut gathering = Gathering { fetcher: self, want, choice, tell, most };
        gathering.run(&work, &|| found.get().is_some(), &|| (), &mut |_| Ok(missing))?;
        let entries = found.into_inner().unwrap_or_default();
        self.shelf.keep_list(&want.item.root, entries.clone())?;
        Ok(entries)
    }

    /// What is missing of blobs, in stripes.
    fn board(&self, blobs: Vec<(Hash, u64)>, ranges: Option<&[Range<u64>]>) -> Result<Board, FetchError> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut seen = std::collections::BTreeMap::new();
        for (root, bytes) in blobs {
            match seen.insert(root, bytes) {
                None => {}
                Some(other) if other == bytes => continue,
                Some(_) => return Err(FetchError::Impossible(format!("{} stands there with two lengths", hex(&root)))),
            }
            wanted.push(Wanted::new(&self.shelf, root, bytes, ranges)?);
        }
        Ok(Board::new(&self.shelf, wanted)?)
    }
}

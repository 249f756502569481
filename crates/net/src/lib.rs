//! How bytes that are named by roots move among people who do not trust each other.
//!
//! - A [`Shelf`] is a folder of what has a root: blobs (a manifest, a file of tokens, a tensor) and lists of them (a state, an update).
//! - A [`Server`] gives what lies on a shelf to all who ask, within bounds, over HTTP.
//! - A [`Fetcher`] brings an [`Item`] onto a shelf from several [`Peer`]s at once. Every piece is checked against the item's root before
//!   it is kept, and sizes come from the one who asks, never from a peer: a wrong peer can delay a fetch and is banned, it cannot spoil one.
//! - A [`Network`] is how a fetcher reaches peers: [`Http`], or [`InProcess`] in tests and simulations.
//!
//! Nothing here knows of chains: who holds what, and until when it is owed, is the caller's.
//!
//! `BlobTree` of sip-proof keeps 32 bytes for each KiB; here values of 16 KiB groups are kept, in a file beside the blob, 0.4 % of it.

mod bans;
mod fetch;
mod files;
mod http;
mod item;
mod library;
mod network;
mod pace;
mod shelf;
mod tree;
mod wire;

pub use bans::{Ban, Bans};
pub use fetch::{FetchError, FetchLimits, Fetched, Fetcher, Told, Want};
pub use http::{Http, Reach, ServeCounts, ServeLimits, Server, StrangersHttp};
pub use item::{Item, MAX_ENTRIES, Shape};
pub use network::{Failure, InProcess, Link, Network, Patience, Peer, ask_hello};
pub use shelf::{Held, Kept, Room, Shelf, ShelfError};
pub use tree::{FRAME_GROUPS, GROUP_BYTES};
pub use wire::{HELLO_BYTES, Has, Hello, MAX_REQUEST_GROUPS, MAX_ROOTS, Request, VERSION};

pub(crate) use sip_data::{hex, unhex};
pub use sip_proof::Hash;

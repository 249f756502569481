//! A local Solana chain that survives power cuts, and speaks enough JSON-RPC and WebSocket for `@solana/kit`, the
//! `solana-rpc-client` crate and wallets.
//!
//! # The chain
//!
//! Transactions run in [`sip_svm::Embedded`], a Solana virtual machine in this process with the SIP program, SPL Token,
//! Token-2022, associated token accounts, memo and address lookup tables. A slot passes every 400 ms (or as often as the user
//! says, or only when asked: `sip_advanceToSlot`; `sip_slotMicroseconds` tells which). A block hash is recent for 150 slots; a transaction is executed once.
//! Signatures are verified always.
//!
//! There is one state, and all commitments read it. They differ in what they call done: "processed" counts the open slot, "confirmed" and
//! "finalized" the last one that has closed, which has a block and stands among the slot hashes. A transaction is confirmed and finalized
//! when it is on the disk and its slot has closed. Where slots pass only when asked, the open slot counts as closed, since
//! nobody may ever close it; it has no block yet.
//!
//! # What is promised
//!
//! *No acknowledged transaction is lost, whenever the process dies.* A transaction is executed, logged, and acknowledged when
//! the log is on the disk (`log.rs`); those that wait at the same time share one flush. Subscribers hear of it after that too.
//! A start loads the snapshot, replays the log onto it, and compares a hash of every transaction's results and changed
//! accounts with the one in the log. What a crash has torn off the end is cut; damage elsewhere is an error, never a guess.
//! Slots do not run backwards, block hashes stay what they were.
//!
//! Where the disk is full, transactions are refused before they are executed, and all the rest goes on.
//!
//! # Differences from a validator
//!
//! `interop/questions` has 601 questions, the answers of Agave's test validator, and the reasons of those that differ; the page for clients
//! (`docs/clients.md`) has the same reasons. The greatest:
//!
//! - A transaction that cannot enter a block (bad signature, old block hash) is refused at once, with `skipPreflight` too, where a
//!   validator would drop it without a word.
//! - There are no votes, no rewards, no rent. `getBlock` knows the last 512 slots; transactions are known as long as the history limit says.
//! - Fees of others are told as 0, and the system variable of recent block hashes has one entry.
//! - Pages of this machine (`http://localhost:…`) and extensions of browsers, such as wallets, may speak to the chain; other web
//!   pages only where [`Config::allow_web_pages`] says so. An answer has at most 64 MB.

mod chain;
mod connections;
mod encode;
mod engine;
mod error;
mod genesis;
mod history;
mod http;
mod hub;
mod log;
mod meta;
mod outbox;
mod record;
mod rpc;
mod token;
mod websocket;

pub use engine::Localnet;
pub use error::LocalnetError;

use solana_address::Address;
use solana_keypair::Keypair;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// What to run, and where.
pub struct Config {
    /// The data directory; it is created where it does not exist.
    pub data: PathBuf,
    /// Who may connect: this machine alone by default.
    pub host: IpAddr,
    /// The port for HTTP; the next one is for WebSocket. 0 takes any two that are free.
    pub port: u16,
    /// How long a slot lasts. `None` lets slots pass only when a client asks (`sip_advanceToSlot`).
    pub slot: Option<Duration>,
    /// The program of a new chain. An old one goes on with the program that it began with.
    pub program: (Address, Vec<u8>),
    /// More programs, loaded where the chain does not have them yet.
    pub more_programs: Vec<(Address, Vec<u8>)>,
    /// The faucet's key of a new chain; a new key where there is none.
    pub faucet: Option<Keypair>,
    /// The wallet that has deployed the program of a new chain, and may upgrade it and begin the protocol; the faucet's key where none is given.
    pub authority: Option<Address>,
    /// Removes the chain in the data directory, and begins another.
    pub reset: bool,
    /// How much of everything.
    pub limits: Limits,
    /// Whether web pages from elsewhere may speak to the chain.
    pub allow_web_pages: bool,
}

impl Config {
    /// The defaults of `solana-test-validator`: this machine alone, ports 8899 and 8900, 400 ms.
    pub fn new(data: PathBuf, program: (Address, Vec<u8>)) -> Self {
        Self {
            data,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8899,
            slot: Some(Duration::from_millis(400)),
            program,
            more_programs: Vec::new(),
            faucet: None,
            authority: None,
            reset: false,
            limits: Limits::default(),
            allow_web_pages: false,
        }
    }
}

/// How much of everything there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After so many transactions a snapshot shortens the next start.
    pub snapshot_transactions: u64,
    /// Logs of past transactions beyond this are removed, oldest first.
    pub history_bytes: u64,
    /// Open connections, HTTP and WebSocket each. Beyond that number the next one takes the place of the one that has rested
    /// longest: that waits for a request, and is subscribed to nothing.
    pub connections: usize,
    /// Subscriptions of one connection.
    pub subscriptions_per_connection: usize,
    /// Connections of one peer, an address (IPv6: its first 64 bits), HTTP and WebSocket each. Beyond that number its next one takes the place of
    /// the one that has rested longest.
    pub connections_per_peer: usize,
    /// Bytes that wait for a subscriber who does not read. Beyond them it is cut off.
    pub waiting_bytes: usize,
    /// How long a request may take to arrive, and an answer to be taken.
    pub transfer_timeout: Duration,
    /// How long a connection may be silent before its first request.
    pub first_request_timeout: Duration,
    /// How long it may be silent afterwards.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            snapshot_transactions: 10_000,
            history_bytes: 1 << 30,
            connections: 256,
            connections_per_peer: 128,
            subscriptions_per_connection: 1_000,
            waiting_bytes: 16 << 20,
            transfer_timeout: Duration::from_secs(10),
            first_request_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(600),
        }
    }
}

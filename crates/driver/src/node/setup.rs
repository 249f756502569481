//! What a node is told at its start, and what it works with.

use sip_client::Program;
use sip_manifest::folder::Store;
use sip_manifest::stop::Stop;
use sip_net::{Fetcher, Reach, Server, Shelf, StrangersHttp};
use sip_node::Cheat;
use sip_roles::Node;
use solana_address::Address;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Source;

/// What a node is told at its start.
pub struct Setup {
    /// The deployment.
    pub program: Program,
    /// The job.
    pub job: Address,
    /// Who it is and what it does.
    pub node: Node,
    /// Its roles, in words.
    pub roles: Vec<String>,
    /// Its folder.
    pub folder: PathBuf,
    /// Where it serves.
    pub listen: Option<SocketAddr>,
    /// Where others reach it, if that is another address.
    pub announce: Option<String>,
    /// Peers that it was told of.
    pub peers: Vec<String>,
    /// Folders of texts that it serves beside its own.
    pub texts: Vec<PathBuf>,
    /// A folder of states that several people share, in place of a network.
    pub shared: Option<PathBuf>,
    /// Where its manifest lies, if not in its folder.
    pub manifest: Option<PathBuf>,
    /// What bids of a round may take.
    pub max_bid_lamports: u64,
    /// Bytes that states may take; 0 for what the job needs.
    pub disk_bytes: u64,
    /// Whether it ends as soon as nothing is to be done.
    pub once: bool,
    /// Whether it goes on serving when the job is over.
    pub stays: bool,
    /// How near peers are dialled that stand on chain: as near as the chain is.
    pub reach: Reach,
    /// Of a keeper: for how long the first round waits for those who have a seat and are not ready.
    pub seats_patience: Duration,
    /// Pools that take a seat once all is ready.
    pub join: Vec<Address>,
    /// What it does instead of its work from a round on, made of what the job computes with; for tests.
    pub cheat: Option<(u32, MakeCheat)>,
    /// Between two looks at the records of peers: for so long one that was overtaken by another process of its key goes on at most.
    pub peers_every: Duration,
    /// Where the page is.
    pub page: Option<SocketAddr>,
    /// Asks it to end.
    pub stop: Stop,
}

/// Makes a lie of what a job computes with.
pub type MakeCheat = Box<dyn Fn(&Source) -> Option<Cheat>>;

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// The job is over, and nothing is owed.
    Over,
    /// There is nothing to be done now.
    Idle,
}

/// What a node works with.
pub(crate) struct Parts {
    pub store: Store,
    pub shelf: Shelf,
    pub fetcher: Fetcher,
    pub server: Option<Server>,
    pub network: StrangersHttp,
}

//! The life of a node.

use anyhow::{Context, Result};
use sip_ledger::Ledger;
use sip_manifest::folder::Store;
use sip_manifest::machine::Machine;
use sip_net::{Bans, FetchLimits, Fetcher, ServeLimits, Server, Shelf, StrangersHttp};
use sip_roles::{Cheating, Event};
use solana_keypair::Keypair;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::page::Page;
use super::peers::Peers;
use super::room::own_states;
use super::setup::{Ended, Parts, Setup};
use super::status::{State, Status};
use crate::{FolderStates, NetStates, Record, Root, SLOT, Source, States, is_lost};

/// Longest wait before a chain that does not answer is asked again.
pub(crate) const LONGEST_WAIT_SECONDS: u64 = 30;
/// Between two looks at the records of peers, the own ones among them.
pub const PEERS_EVERY: Duration = Duration::from_secs(20);
/// What a peer that gave wrong bytes is banned for at first.
const BAN: Duration = Duration::from_secs(600);

/// A node on a ledger.
pub struct Runner<'a, L> {
    pub(crate) ledger: &'a mut L,
    pub(crate) key: &'a Keypair,
    pub(crate) setup: Setup,
    pub(crate) peers: Peers,
    pub(crate) pace: Pace,
    pub(crate) status: Status,
    pub(crate) announced: super::announce::Announced,
    pub(crate) hold: super::hold::Hold,
    /// Rounds in view that room was reserved for.
    pub(crate) reserved_rounds: u32,
    /// The same, as the page reads it.
    pub(crate) shown: Arc<Mutex<Status>>,
    pub(crate) lines: VecDeque<String>,
    pub(crate) said: BTreeSet<String>,
    pub(crate) peers_read: Option<Instant>,
    /// Whether it has not said yet which job it follows.
    pub(crate) is_new: bool,
    /// Peers that gave wrong bytes, and what, to be told.
    pub(crate) banned: Arc<Mutex<Vec<(Root, String)>>>,
    pub(crate) report: &'a mut dyn FnMut(&Event),
}

impl<'a, L: Ledger> Runner<'a, L> {
    /// A node that has done nothing yet.
    pub fn new(ledger: &'a mut L, key: &'a Keypair, setup: Setup, report: &'a mut dyn FnMut(&Event)) -> Runner<'a, L> {
        let status = Status {
            job: setup.job.to_string(),
            wallet: setup.node.me.wallet.to_string(),
            roles: setup.roles.clone(),
            pid: std::process::id(),
            state: State::GettingReady,
            ..Status::default()
        };
        let peers = Peers::new(&setup.peers, setup.reach);
        Runner {
            ledger,
            key,
            peers,
            pace: Pace::new(SLOT),
            announced: super::announce::Announced::new(),
            hold: super::hold::Hold::new(setup.seats_patience),
            reserved_rounds: 0,
            shown: Arc::new(Mutex::new(status.clone())),
            status,
            lines: VecDeque::new(),
            said: BTreeSet::new(),
            peers_read: None,
            is_new: true,
            banned: Arc::default(),
            report,
            setup,
        }
    }

    /// Runs until it is asked to stop, or there is nothing left to do.
    ///
    /// # Errors
    /// Where it cannot begin: a folder that is in use or damaged, a manifest of another job, an address in use. What may pass is told, waited for and tried again.
    pub fn run(&mut self) -> Result<Ended> {
        self.require_own_folder()?;
        let store = Store::new(&self.setup.folder).with_manifest(self.setup.manifest.as_deref());
        let shelf = Shelf::open(&self.setup.folder.join("shelf"))?;
        let network = StrangersHttp::new(self.setup.reach, self.setup.peers.clone());
        let fetcher =
            Fetcher::new(Arc::new(network.clone()), shelf.clone(), Arc::new(Bans::new(BAN)), FetchLimits::default());
        let server = match self.setup.listen {
            Some(address) => {
                let server = Server::start(address, &shelf, ServeLimits::default());
                Some(server.with_context(|| format!("cannot listen on {address}; --listen names another address"))?)
            }
            None => None,
        };
        if let Some(server) = &server {
            self.status.listens = Some(format!("http://{}", server.address()));
            self.say(&Event::Prepares { what: format!("serves on http://{}", server.address()) });
        }
        let _page = self.setup.page.map(|address| Page::start(address, Arc::clone(&self.shown))).transpose()?;
        let parts = Parts { store, shelf, fetcher, server, network };
        self.write_status(&parts)?;
        self.offer_files(&parts)?;
        self.keep_within_bounds(&parts)?;
        if self.patiently(|runner| runner.announce())?.is_none() || !self.get_ready(&parts)? {
            return Ok(Ended::Stopped);
        }
        let machine = Machine::from_environment()?;
        self.say(&Event::Prepares { what: "builds the job's graphs".into() });
        let source = Arc::new(Source::open(parts.store.clone(), &machine)?);
        if let Some((from_round, make)) = &self.setup.cheat {
            self.setup.node.cheating = make(&source).map(|cheat| Cheating { cheat, from_round: *from_round });
        }
        let record = Record::open(self.setup.folder.join("record"))?;
        if !self.reserve(&parts, &source, &record)? || !self.join(&source, &machine)? {
            return Ok(Ended::Stopped);
        }
        if self.patiently(|runner| runner.announce_ready())?.is_none() {
            return Ok(Ended::Stopped);
        }
        let states = self.states(&parts, &source, &record)?;
        let ended = self.live(&parts, &source, &machine, &record, states)?;
        self.status.state = if ended == Ended::Over { State::Over } else { State::Stopped };
        self.write_status(&parts)?;
        Ok(ended)
    }

    fn states(&self, parts: &Parts, source: &Source, record: &Record) -> Result<Arc<dyn States>> {
        if let Some(shared) = &self.setup.shared {
            std::fs::create_dir_all(shared).with_context(|| format!("cannot make {}", shared.display()))?;
            let states = FolderStates::new(record.folder(), Some(shared), source.published(), source.shapes());
            return Ok(Arc::new(states));
        }
        let banned = Arc::clone(&self.banned);
        let tell: crate::Tell = Arc::new(move |_: &Root, told: &sip_net::Told| {
            if let (sip_net::Told::Banned { id, why }, Ok(mut banned)) = (told, banned.lock()) {
                banned.push((*id, why.clone()));
            }
        });
        let states = NetStates::new(
            parts.shelf.clone(),
            parts.fetcher.clone(),
            source.shapes(),
            own_states(source, record)?,
            tell,
        );
        for given in source.given() {
            states.save(given)?;
        }
        Ok(Arc::new(states))
    }

    /// Does something with the chain until it answers; nothing if it was asked to stop.
    pub(crate) fn patiently<T>(&mut self, mut act: impl FnMut(&mut Self) -> Result<T>) -> Result<Option<T>> {
        let mut wait_seconds = 1;
        loop {
            if self.setup.stop.requested() {
                return Ok(None);
            }
            match act(self) {
                Err(error) if is_lost(&error) => {
                    self.hold_up(&error, wait_seconds);
                    self.sleep(Duration::from_secs(wait_seconds));
                    wait_seconds = (wait_seconds * 2).min(LONGEST_WAIT_SECONDS);
                }
                outcome => return outcome.map(Some),
            }
        }
    }

    /// Sleeps; false if it was asked to stop.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.setup.stop.requested() {
            std::thread::sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
        !self.setup.stop.requested()
    }

    pub(crate) fn read_peers(&mut self) -> Result<()> {
        let (program, job) = (self.setup.program, self.setup.job);
        let account = self.ledger.account(&job)?.filter(|account| account.owner == program.id);
        let account = account.with_context(|| format!("there is no job at {job}"))?;
        let state = <sip_protocol::training::job::Job as sip_protocol::Account>::decode(&account.data);
        let state = Box::new(state.map_err(|error| anyhow::anyhow!("account {job}: {error}"))?);
        self.peers.read(&*self.ledger, &program, &job, &state)?;
        self.peers_read = Some(Instant::now());
        Ok(())
    }
}

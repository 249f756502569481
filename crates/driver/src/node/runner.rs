//! The life of a node.

use anyhow::{Context, Result};
use sip_client::Program;
use sip_ledger::Ledger;
use sip_manifest::folder::{Store, write_json};
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_net::{Bans, FetchLimits, Fetcher, Reach, ServeLimits, Server, Shelf, StrangersHttp};
use sip_node::Cheat;
use sip_roles::{Cheating, Event, Node, View};
use solana_address::Address;
use solana_keypair::Keypair;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::announce::NotAlone;
use super::pace::Pace;
use super::page::Page;
use super::peers::Peers;
use super::room::own_states;
use super::status::{Status, awaited, phase_name};
use crate::{
    Bench, Books, Came, Crew, FolderStates, Live, Memory, NetStates, PAUSE_SLOTS, Record, Root, SLOT, Source, States,
    is_lost, is_stop, phase_end,
};

/// Longest wait before a chain that does not answer is asked again.
const LONGEST_WAIT_SECONDS: u64 = 30;
/// Between two looks at the records of peers, the own ones among them.
pub const PEERS_EVERY: Duration = Duration::from_secs(20);
/// Lines that a status remembers.
const LINES: usize = 20;
/// What a peer that gave wrong bytes is banned for at first.
const BAN: Duration = Duration::from_secs(600);
/// Longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

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
}

/// A node on a ledger.
pub struct Runner<'a, L> {
    pub(crate) ledger: &'a mut L,
    pub(crate) key: &'a Keypair,
    pub(crate) setup: Setup,
    pub(crate) peers: Peers,
    pub(crate) pace: Pace,
    pub(crate) status: Status,
    pub(crate) announced: super::announce::Announced,
    /// Rounds in view that room was reserved for.
    pub(crate) reserved_rounds: u32,
    /// The same, as the page reads it.
    shown: Arc<Mutex<Status>>,
    lines: VecDeque<String>,
    said: BTreeSet<String>,
    peers_read: Option<Instant>,
    /// Whether it has not said yet which job it follows.
    is_new: bool,
    /// Peers that gave wrong bytes, and what, to be told.
    banned: Arc<Mutex<Vec<(Root, String)>>>,
    report: &'a mut dyn FnMut(&Event),
}

impl<'a, L: Ledger> Runner<'a, L> {
    /// A node that has done nothing yet.
    pub fn new(ledger: &'a mut L, key: &'a Keypair, setup: Setup, report: &'a mut dyn FnMut(&Event)) -> Runner<'a, L> {
        let status = Status {
            job: setup.job.to_string(),
            wallet: setup.node.me.wallet.to_string(),
            roles: setup.roles.clone(),
            pid: std::process::id(),
            state: "getting ready".into(),
            ..Status::default()
        };
        let peers = Peers::new(&setup.peers, setup.reach);
        Runner {
            ledger,
            key,
            peers,
            pace: Pace::new(SLOT),
            announced: super::announce::Announced::new(),
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
        let store = Store::new(&self.setup.folder).with_manifest(self.setup.manifest.as_deref());
        let shelf = Shelf::open(&self.setup.folder.join("shelf"))?;
        let network = Arc::new(StrangersHttp::new(self.setup.reach, self.setup.peers.clone()));
        let fetcher = Fetcher::new(network, shelf.clone(), Arc::new(Bans::new(BAN)), FetchLimits::default());
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
        let parts = Parts { store, shelf, fetcher, server };
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
        let states = self.states(&parts, &source, &record)?;
        let ended = self.live(&parts, &source, &machine, &record, states)?;
        self.status.state = if ended == Ended::Over { "over".into() } else { "stopped".into() };
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

    fn live(
        &mut self,
        parts: &Parts,
        source: &Arc<Source>,
        machine: &Machine,
        record: &Record,
        states: Arc<dyn States>,
    ) -> Result<Ended> {
        let stop = Stop::default();
        let bench = {
            let (source, machine, record) = (Arc::clone(source), machine.clone(), record.clone());
            let (states, stop) = (Arc::clone(&states), stop.clone());
            move || Bench::new(source, machine, record, states, stop)
        };
        let mut crew = Crew::start(states, Arc::clone(&machine.threads), stop, bench);
        let mut books = Books::open(record, self.setup.max_bid_lamports)?;
        let mut memory = Memory::default();
        let mut wait_seconds = 1;
        self.status.state = "running".into();
        loop {
            let stepped = self.turn(parts, source, record, (&mut crew, &mut books, &mut memory));
            if self.setup.stop.requested() {
                return Ok(Ended::Stopped);
            }
            let has_acted = match stepped {
                Ok(acted) => {
                    (wait_seconds, self.status.why) = (1, None);
                    acted
                }
                Err(error) if is_stop(&error) => false,
                // Two that sign with one key are told apart by nobody.
                Err(error) if error.is::<NotAlone>() => return Err(error),
                Err(error) => {
                    self.hold_up(&error, wait_seconds);
                    self.write_status(parts)?;
                    if !self.sleep(Duration::from_secs(wait_seconds)) {
                        return Ok(Ended::Stopped);
                    }
                    wait_seconds = (wait_seconds * 2).min(LONGEST_WAIT_SECONDS);
                    false
                }
            };
            self.note_status(parts, &crew, &books, &memory);
            self.write_status(parts)?;
            if has_acted {
                continue;
            }
            let is_over = memory.view().is_some_and(|view| self.setup.node.is_done(view));
            if crew.is_idle() && self.setup.once {
                return Ok(Ended::Idle);
            }
            if crew.is_idle() && is_over && !self.setup.stays {
                return Ok(Ended::Over);
            }
            let pause = (self.pace.slot() * PAUSE_SLOTS as u32).clamp(Duration::from_millis(50), LONGEST_PAUSE);
            self.await_news(record, (&mut crew, &mut books, &mut memory), source, pause)?;
        }
    }

    /// One look at the chain, and what follows from it. Whether anything was done.
    fn turn(
        &mut self,
        parts: &Parts,
        source: &Arc<Source>,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
    ) -> Result<bool> {
        if self.peers_read.is_none_or(|at| at.elapsed() >= self.setup.peers_every) {
            self.read_peers()?;
            self.stay_alone()?;
            self.announce_what_came()?;
            if let Some(server) = &parts.server {
                server.seats(&self.peers.addresses());
            }
        }
        let banned = self.banned.lock().map(|mut banned| std::mem::take(&mut *banned)).unwrap_or_default();
        for (id, why) in banned {
            let what =
                format!("{} gave what is wrong, and is asked for nothing for a while: {why}", self.peers.name(&id));
            self.say(&Event::Prepares { what });
        }
        let acted = self.with_live(source, record, (crew, books, memory), |live| live.step())?;
        if let Some(view) = memory.view() {
            self.pace.note(view.slot, Instant::now());
            self.make_room(parts, source, &view.job, view.rounds.len() as u32);
        }
        let round = memory.view().map_or(0, |view| view.job.next_round.saturating_sub(1));
        let lamports = self.ledger.account(&self.setup.node.me.wallet)?.map_or(0, |account| account.lamports);
        let in_wallet = self.ledger.token_balance(&self.setup.program.token_account(&self.setup.node.me.wallet))?;
        let tokens = in_wallet.unwrap_or(0) + memory.view().map_or(0, |view| bonds(view, &self.setup.node.me.wallet));
        books.balance(round, lamports, tokens);
        self.status.lamports = lamports;
        books.save(record)?;
        Ok(acted)
    }

    fn with_live<T>(
        &mut self,
        source: &Arc<Source>,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
        act: impl FnOnce(&mut Live<'_, L>) -> Result<T>,
    ) -> Result<T> {
        let (mut events, turn_slots) = (Vec::new(), Some(self.turn_slots()));
        let peers = &self.peers;
        let outcome = act(&mut Live {
            ledger: &mut *self.ledger,
            program: self.setup.program,
            key: self.key,
            job: self.setup.job,
            node: &self.setup.node,
            source,
            record: record.clone(),
            hands: crew,
            holders: &|view, root| peers.holders(view, root),
            books,
            slot: self.pace.slot(),
            turn_slots,
            memory,
            report: &mut |event| events.push(event.clone()),
        });
        for event in &events {
            // Rounds are told as they come.
            match event {
                Event::Follows { .. } if !std::mem::take(&mut self.is_new) => {}
                event => self.say(event),
            }
        }
        outcome
    }

    /// How long it leaves to others what anybody may do: the job's keeper nothing, the others by their keys, so that not all pay for the same.
    fn turn_slots(&self) -> u64 {
        let wallet = self.setup.node.me.wallet;
        let rank = 1 + u64::from(wallet.as_array().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) % 4);
        if self.setup.node.roles.keeper { 0 } else { rank * PAUSE_SLOTS }
    }

    /// Waits for what is computed and fetched, and notes all that came.
    fn await_news(
        &mut self,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
        source: &Arc<Source>,
        pause: Duration,
    ) -> Result<()> {
        let end = Instant::now() + pause;
        let mut has_news = false;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            let came = crew.next(if has_news { Duration::ZERO } else { left });
            let is_done = came.is_none() && (has_news || Instant::now() >= end || self.setup.stop.requested());
            has_news |= came.is_some();
            match came {
                Some(Came::Fact(fact, tell)) => {
                    let noted = self.with_live(source, record, (crew, books, memory), |live| live.note(*fact, tell));
                    // What cannot be remembered is computed again.
                    noted.unwrap_or_else(|error| self.hold_up(&error, 1));
                }
                Some(Came::Failed(event)) => self.say(&event),
                Some(Came::News) | None => {}
            }
            if is_done {
                return Ok(());
            }
        }
    }

    /// Says what keeps the node from going on.
    fn hold_up(&mut self, error: &anyhow::Error, seconds: u64) {
        let reason = format!("{error:#}");
        let event = match is_lost(error) {
            true => Event::Lost { reason: reason.clone(), seconds },
            false => Event::Hindered { what: "go on".into(), reason: reason.clone(), seconds },
        };
        self.status.state = if is_lost(error) { "waiting for the chain".into() } else { "held up".into() };
        self.status.why = Some(reason);
        self.say(&event);
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

    /// Tells something, and remembers the line.
    pub(crate) fn say(&mut self, event: &Event) {
        self.lines.push_back(event.to_string());
        if self.lines.len() > LINES {
            self.lines.pop_front();
        }
        (self.report)(event);
    }

    /// Tells something once.
    pub(crate) fn say_once(&mut self, event: &Event) {
        if self.said.insert(event.to_string()) {
            self.say(event);
        }
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

    fn note_status(&mut self, parts: &Parts, crew: &Crew, books: &Books, memory: &Memory) {
        let status = &mut self.status;
        if let Some(view) = memory.view() {
            let newest = view.rounds.last().map(|seen| &seen.round);
            let before = (status.round, status.phase.clone());
            status.slot = view.slot;
            (status.round, status.rounds) = (view.job.next_round, view.job.spec.rounds);
            status.rounds_scored = view.job.rounds_scored;
            status.phase = newest.map_or("between rounds", |round| phase_name(round)).into();
            status.until_slot = phase_end(view);
            let left =
                status.until_slot.map(|end| end.saturating_sub(view.slot) as f64 * self.pace.slot().as_secs_f64());
            status.until = left.map(|left| unix_seconds() + left as u64);
            status.awaited = awaited(view, &self.setup.node.me.wallet);
            let kept = view.final_base().filter(|(_, root)| self.setup.node.roles.keeper && parts.shelf.is_whole(root));
            status.keeps_round = kept.map(|(round, _)| round + 1);
            if before != (status.round, status.phase.clone()) && status.round > 0 {
                let (round, phase, until_slot) = (status.round - 1, status.phase.clone(), status.until_slot);
                self.say(&Event::Phase { round, phase, until_slot, seconds: left.map(|left| left as u64) });
            }
        }
        let status = &mut self.status;
        if status.why.is_none() {
            status.state = "running".into();
        }
        status.slot_milliseconds = self.pace.slot().as_secs_f64() * 1e3;
        status.waits_for_finality = memory.waits().iter().map(|what| (*what).to_owned()).collect();
        status.computing = crew.current().map(|(what, _)| what.to_owned());
        status.computing_seconds = crew.current().map(|(_, time)| time.as_secs());
        (status.fetching, status.peers) = (crew.fetching(), self.peers.count());
        status.bytes_out = parts.server.as_ref().map_or(0, |server| server.counts().bytes_out);
        status.shelf_bytes = parts.shelf.room().used;
        status.total = books.total();
        status.books = books.pages().iter().map(|(round, page)| (*round, *page)).collect();
    }

    pub(crate) fn write_status(&mut self, parts: &Parts) -> Result<()> {
        self.status.written = unix_seconds();
        self.status.said = self.lines.iter().cloned().collect();
        if let Ok(mut shown) = self.shown.lock() {
            *shown = self.status.clone();
        }
        // A disk that is full keeps nobody from going on.
        let _ = write_json(&status_path(parts.store.root()), &self.status);
        Ok(())
    }
}

/// Where a node writes how it stands.
pub fn status_path(folder: &Path) -> PathBuf {
    folder.join("status.json")
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Bonds of a wallet's own pools in the job, base units.
fn bonds(view: &View, wallet: &Address) -> u64 {
    view.pools.values().filter(|pool| pool.scope == wallet.to_bytes()).map(|pool| pool.self_bond).sum()
}

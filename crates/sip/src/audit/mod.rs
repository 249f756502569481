//! `sip audit`: a watchtower that follows jobs, replays what was claimed, convicts liars, and acts for an auditor.

mod data;
mod operator;

use anyhow::{Context, Result, bail, ensure};
use sip_client::Program;
use sip_driver::{
    Bench, Books, FolderStates, Live, Match, Memory, PAUSE_SLOTS, Record, SLOT, Source, Tally, is_lost, is_stop,
    no_holders,
};
use sip_ledger::Ledger;
use sip_protocol::training::job::Job;
use sip_protocol::{Account, AccountKind};
use sip_report::terminal;
use solana_address::Address;
use solana_keypair::Keypair;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use data::{DataDemands, withheld_data};
use operator::check_operator;
pub(crate) use operator::read_chain;
use sip_console::{named_program, no_wallet, reach, variable, wallet_key};
use sip_demo::Folder;
use sip_manifest::folder::{Store, read_manifest};
use sip_manifest::machine::Machine;
use sip_manifest::place::hold_of;
use sip_manifest::stop::Stop;
use sip_roles::{Event, Me, Node, Roles};

/// Longest wait before a chain that does not answer is asked again.
const LONGEST_WAIT_SECONDS: u64 = 60;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a run: manifest and tokens of a job, and its ledger unless --url is given; may be repeated
    #[arg(long, value_name = "FOLDER", default_value = "sip-out")]
    run: Vec<PathBuf>,
    /// File of what a job computes with; may be repeated, in the order of --run [default: run/manifest.sip in the folder]
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// Chain to follow the jobs on: its JSON-RPC address, or localhost, devnet, testnet or mainnet [default: the ledger in the folder, or
    /// $SIP_URL where there is none]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A job to follow, in full or its first letters; may be repeated [default: all jobs of the chain that the folders describe]
    #[arg(long, value_name = "ADDRESS")]
    job: Vec<String>,
    /// Key of the wallet that accuses, puts up bonds and has the bounties, as `solana-keygen` writes it [default: $SIP_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Address of the on-chain program [default: $SIP_PROGRAM, or this build's]
    #[arg(long, value_name = "ADDRESS", value_parser = sip_console::address::in_full)]
    program: Option<Address>,
    /// Also act as the auditor of the job that the wallet is: reveal draws, attest, vote, defend both, move rounds on that are due,
    /// take the pay
    #[arg(long)]
    operator: bool,
    /// With --operator: work for this pool of another wallet, which names this one as its session key; may be repeated
    #[arg(long = "for", value_name = "POOL", requires = "operator", value_parser = sip_console::address::in_full)]
    served: Vec<Address>,
    /// File with the secret of the auditor's hash chain, 64 hexadecimal digits [default: the one that follows from the key]
    #[arg(long, value_name = "FILE", requires = "operator")]
    chain: Option<PathBuf>,
    /// Replay only what the auditor draws; take the ends of other segments from run/states in the run's folder, where they are
    /// missing or false demand them on chain
    #[arg(long, requires = "operator")]
    drawn: bool,
    /// Where nobody hands over tokens of a job's data: demand a chunk of them on chain, which charges a provider that is silent.
    /// Without this nothing is demanded for a file that is missing or damaged here
    #[arg(long)]
    demand_data: bool,
    /// Folder for what was found [default: "audit" in the run's folder, with --url in that of the first run]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Stop when there is nothing to be done now; always so on a ledger in a folder
    #[arg(long)]
    once: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let stop = sip_console::stop_on_interrupt()?;
    let key = wallet_key(arguments.key.as_deref())?.ok_or_else(no_wallet)?;
    let json = arguments.json;
    let mut report = |event: &Event| print(event, json);
    let manifests = arguments.manifest.iter().map(|file| Some(file.as_path())).chain(std::iter::repeat(None));
    let stores: Vec<Store> =
        (arguments.run.iter().zip(manifests)).map(|(folder, file)| Store::new(folder).with_manifest(file)).collect();
    // The variable names a chain for folders that have no ledger of their own.
    let has_ledgers = stores.iter().all(|store| store.latest().is_ok());
    let url = arguments.url.clone().or_else(|| variable("SIP_URL").filter(|_| !has_ledgers));
    let folders: Vec<PathBuf> = match (&arguments.state, &url) {
        (Some(folder), _) => vec![folder.clone()],
        (None, Some(_)) => stores.iter().take(1).map(|store| store.root().join("audit")).collect(),
        (None, None) => stores.iter().map(|store| store.root().join("audit")).collect(),
    };
    // No folder is made for a run that is not there, which is told below.
    let is_there = stores.iter().all(|store| store.settings().exists());
    let held = folders.iter().filter(|_| is_there).map(|folder| hold_of(folder, "audit", "--state"));
    let _held = held.collect::<Result<Vec<_>>>()?;
    let known = Tally::of(&folders);
    let mut goes_on = || !stop.requested();
    let mut patrol =
        Patrol { arguments, key: &key, stop: &stop, once: arguments.once, report: &mut report, goes_on: &mut goes_on };
    match &url {
        Some(url) => patrol.follow(&mut reach(url)?, &stores)?,
        None => {
            patrol.once = true;
            for store in &stores {
                patrol.follow(&mut Folder::open(store)?, std::slice::from_ref(store))?;
            }
        }
    }
    print(&Tally::of(&folders).since(&known), json);
    Ok(ExitCode::SUCCESS)
}

fn print(event: &Event, json: bool) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone needs no line.
    let _ = match serde_json::to_string(event) {
        Ok(object) if json => writeln!(out, "{object}"),
        _ => writeln!(out, "{}", terminal::fitted(&event.to_string(), terminal::Stream::Output, 2)),
    };
}

/// A job that is followed.
struct Followed<'a> {
    job: Address,
    source: &'a Arc<Source>,
    bench: Bench,
    books: Books,
    memory: Memory,
}

/// Who follows jobs, how, and for how long.
struct Patrol<'a> {
    arguments: &'a Arguments,
    key: &'a Keypair,
    stop: &'a Stop,
    /// Whether to stop when there is nothing to be done now.
    once: bool,
    report: &'a mut dyn FnMut(&Event),
    /// Asked before every step.
    goes_on: &'a mut dyn FnMut() -> bool,
}

impl Patrol<'_> {
    /// Follows the jobs of one chain.
    fn follow<L: Ledger>(&mut self, ledger: &mut L, stores: &[Store]) -> Result<()> {
        let machine = Machine::from_environment()?;
        let program = named_program(self.arguments.program)?;
        let first = stores.first().context("no folder of a run is given")?;
        let folder = self.arguments.state.clone().unwrap_or_else(|| first.root().join("audit"));
        let mut sources = Vec::new();
        for store in stores {
            self.see_to_data(ledger, store, folder.clone())?;
            sources.push(Arc::new(Source::open(store.clone(), &machine)?));
        }
        let mut jobs = Vec::new();
        let node = self.node()?;
        for (job, source) in self.jobs(ledger, &program, &sources)? {
            let record = Record::open(folder.join(job.to_string()))?;
            if node.roles.auditor {
                check_operator(ledger, &program, &job, &node.me.wallet)?;
            }
            let states = FolderStates::new(record.folder(), None, source.published(), source.shapes());
            let books = Books::open(&record, 0)?;
            let bench = Bench::new(Arc::clone(source), machine.clone(), record, Arc::new(states), self.stop.clone());
            jobs.push(Followed { job, source, bench, books, memory: Memory::default() });
        }
        let mut wait_seconds = 1;
        loop {
            let mut has_acted = false;
            for followed in &mut jobs {
                if !(self.goes_on)() {
                    return Ok(());
                }
                let mut live = Live {
                    ledger: &mut *ledger,
                    program,
                    key: self.key,
                    job: followed.job,
                    node: &node,
                    source: followed.source,
                    record: followed.bench.record.clone(),
                    hands: &mut followed.bench,
                    holders: &no_holders,
                    holds_opening: &|_| false,
                    books: &mut followed.books,
                    slot: SLOT,
                    turn_slots: None,
                    memory: &mut followed.memory,
                    report: &mut *self.report,
                };
                match live.step() {
                    Ok(acted) => {
                        has_acted |= acted;
                        wait_seconds = 1;
                    }
                    Err(error) if is_stop(&error) => return Ok(()),
                    Err(error) if !self.once && is_lost(&error) => self.wait(&error, &mut wait_seconds),
                    Err(error) => return Err(error),
                }
            }
            if !has_acted {
                if self.once {
                    return Ok(());
                }
                match ledger.advance_slots(PAUSE_SLOTS).map_err(anyhow::Error::from) {
                    Err(error) if is_lost(&error) => self.wait(&error, &mut wait_seconds),
                    passed => passed?,
                }
            }
        }
    }

    /// Who follows the jobs, and what it does in them.
    fn node(&self) -> Result<Node> {
        let is_operator = self.arguments.operator;
        let chain = self.arguments.chain.as_deref().map(read_chain).transpose()?;
        let me =
            Me::new(self.key.to_bytes()).with_chain(chain).serving(self.arguments.served.iter().copied().collect());
        Ok(Node { me, roles: roles(is_operator, self.arguments.drawn), cheating: None })
    }

    /// Waits for a chain that does not answer, twice as long each time.
    fn wait(&mut self, error: &anyhow::Error, seconds: &mut u64) {
        (self.report)(&Event::Lost { reason: format!("{error:#}"), seconds: *seconds });
        for _ in 0..*seconds {
            if self.stop.requested() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        *seconds = (*seconds * 2).min(LONGEST_WAIT_SECONDS);
    }

    /// Demands tokens that are missing or false, and follows demands that were made. Without tokens nothing can be replayed.
    fn see_to_data<L: Ledger>(&mut self, ledger: &mut L, store: &Store, folder: PathBuf) -> Result<()> {
        let domains = read_manifest(&store.manifest())?.domains;
        let withheld = withheld_data(store, &domains);
        let record = Record::open(folder)?;
        for (number, domain) in (0u8..).zip(&domains) {
            let root = domain.train_root;
            // A fault of the disk here is nobody else's.
            let is_withheld = self.arguments.demand_data && withheld.iter().any(|fault| fault.domain == number);
            let (program, key) = (named_program(self.arguments.program)?, self.key);
            let mut demands =
                DataDemands { ledger: &mut *ledger, program, key, record: &record, report: &mut *self.report };
            for dataset in demands.datasets(number, &root, &self.arguments.job)? {
                while demands.step(number, &dataset, is_withheld)? {
                    if !(self.goes_on)() {
                        return Ok(());
                    }
                }
            }
        }
        let faults: Vec<&str> = withheld.iter().map(|fault| &*fault.reason).collect();
        let rest = match self.arguments.demand_data {
            true => {
                "a chunk of each is demanded on chain: get them, and run this again, also to see the demands to their end"
            }
            false => {
                "nothing is demanded on chain for it; put it back, or, where nobody publishes the tokens, demand a chunk of them \
                 with --demand-data"
            }
        };
        ensure!(faults.is_empty(), "{}; {rest}", faults.join("; "));
        Ok(())
    }

    /// The jobs to follow, each with the folder that describes it.
    fn jobs<'s, L: Ledger>(
        &self,
        ledger: &L,
        program: &Program,
        sources: &'s [Arc<Source>],
    ) -> Result<Vec<(Address, &'s Arc<Source>)>> {
        let given = &self.arguments.job;
        let mut jobs = Vec::new();
        for (address, account) in ledger.program_accounts(&program.id)? {
            if account.data.first() != Some(&(AccountKind::Job as u8))
                || !(given.is_empty() || given.iter().any(|given| is_meant(given, &address)))
            {
                continue;
            }
            let job = Job::decode(&account.data).map(Box::new);
            let job = job.map_err(|error| anyhow::anyhow!("account {address}: {error}"))?;
            // A job over other data is another job, though it computes the same.
            let datasets = sip_driver::registered(ledger, program, &job)?;
            match sources.iter().find(|source| source.describes(&job, &datasets) != Match::No) {
                Some(source) => {
                    sip_driver::require_version(&job)?;
                    jobs.push((address, source));
                }
                None if given.is_empty() => {}
                None => bail!("no folder given with --run describes the job at {address}, with its settings and data"),
            }
        }
        if let Some(missing) = given.iter().find(|given| !jobs.iter().any(|(job, _)| is_meant(given, job))) {
            bail!("there is no job at {missing}");
        }
        ensure!(!jobs.is_empty(), "no job on the chain is one that the folders given with --run describe");
        Ok(jobs)
    }
}

/// What a watchtower does, and an auditor beside it.
fn roles(is_operator: bool, is_drawn_only: bool) -> Roles {
    Roles { watchtower: true, auditor: is_operator, turner: is_operator, is_drawn_only, ..Roles::default() }
}

/// Whether an address begins so.
fn is_meant(given: &str, address: &Address) -> bool {
    address.to_string().starts_with(given)
}

#[cfg(test)]
mod tests;

//! A patrol: following jobs that folders describe, on one chain, until there is nothing to be done or somebody asks for an end.

use anyhow::{Context, Result, bail, ensure};
use sip_client::Program;
use sip_ledger::Ledger;
use sip_manifest::folder::{Store, read_manifest};
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use sip_protocol::training::seats;
use sip_protocol::{Account, AccountKind};
use sip_roles::{Event, Node};
use solana_address::Address;
use solana_keypair::Keypair;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::data::{DataDemands, withheld_data};
use crate::{
    Bench, Books, FolderStates, Live, Match, Memory, PAUSE_SLOTS, Record, SLOT, Source, is_lost, is_stop, no_holders,
};

/// Longest wait before a chain that does not answer is asked again.
const LONGEST_WAIT_SECONDS: u64 = 60;

/// A job that is followed.
struct Followed<'a> {
    job: Address,
    source: &'a Arc<Source>,
    bench: Bench,
    books: Books,
    memory: Memory,
}

/// Who follows jobs, how, and for how long.
pub struct Patrol<'a> {
    /// The deployment of the program.
    pub program: Program,
    /// The key that accuses and has the bounties.
    pub key: &'a Keypair,
    /// Who follows the jobs, and what it does in them.
    pub node: Node,
    /// The jobs to follow, by the beginnings of their addresses; all that the folders describe where none is given.
    pub jobs: &'a [String],
    /// Where what was found is kept, beside the first run where nothing else is said.
    pub state: Option<&'a Path>,
    /// Whether tokens that nobody hands over are demanded on chain.
    pub demands_data: bool,
    /// The wish to stop.
    pub stop: &'a Stop,
    /// Whether to stop when there is nothing to be done now.
    pub once: bool,
    /// Whom it tells.
    pub report: &'a mut dyn FnMut(&Event),
    /// Asked before every step.
    pub goes_on: &'a mut dyn FnMut() -> bool,
}

impl Patrol<'_> {
    /// Follows the jobs of one chain.
    ///
    /// # Errors
    /// The chain's and the disk's; tokens that are missing; jobs that no folder describes.
    pub fn follow<L: Ledger>(&mut self, ledger: &mut L, stores: &[Store]) -> Result<()> {
        let machine = Machine::from_environment()?;
        let program = self.program;
        let first = stores.first().context("no folder of a run is given")?;
        let folder = self.state.map_or_else(|| first.root().join("audit"), Path::to_owned);
        let mut sources = Vec::new();
        for store in stores {
            self.see_to_data(ledger, store, folder.clone())?;
            sources.push(Arc::new(Source::open(store.clone(), &machine)?));
        }
        let mut jobs = Vec::new();
        let node = self.node.clone();
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
            let is_withheld = self.demands_data && withheld.iter().any(|fault| fault.domain == number);
            let (program, key) = (self.program, self.key);
            let mut demands =
                DataDemands { ledger: &mut *ledger, program, key, record: &record, report: &mut *self.report };
            for dataset in demands.datasets(number, &root, self.jobs)? {
                while demands.step(number, &dataset, is_withheld)? {
                    if !(self.goes_on)() {
                        return Ok(());
                    }
                }
            }
        }
        let faults: Vec<&str> = withheld.iter().map(|fault| &*fault.reason).collect();
        let rest = match self.demands_data {
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
        let given = self.jobs;
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
            let datasets = crate::registered(ledger, program, &job)?;
            match sources.iter().find(|source| source.describes(&job, &datasets) != Match::No) {
                Some(source) => {
                    crate::require_version(&job)?;
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

/// Whether an address begins so.
pub(crate) fn is_meant(given: &str, address: &Address) -> bool {
    address.to_string().starts_with(given)
}

/// Checks that a pool of the wallet is an auditor of a job.
fn check_operator<L: Ledger>(ledger: &L, program: &Program, job_address: &Address, operator: &Address) -> Result<()> {
    let job: Box<Job> = read(ledger, program, job_address)?;
    for seat in job.auditors.iter().filter(|seat| seat.state != seats::FREE) {
        let pool: Box<Pool> = read(ledger, program, &Address::new_from_array(seat.pool))?;
        if pool.scope == operator.to_bytes() {
            return Ok(());
        }
    }
    anyhow::bail!(
        "no pool of the wallet {operator} is an auditor of the job {job_address}; \"sip job join\" takes a place, and \
         without --operator the watchtower only accuses"
    )
}

fn read<T: Account>(ledger: &impl Ledger, program: &Program, address: &Address) -> Result<Box<T>> {
    let account = ledger.account(address)?.filter(|account| account.owner == program.id);
    let account = account.with_context(|| format!("the program has no account at {address}"))?;
    T::decode(&account.data).map(Box::new).map_err(|error| anyhow::anyhow!("{error}"))
}

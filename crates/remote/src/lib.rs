//! A job on a chain, known by its address alone: what the chain says of it, and what its people hand over under roots that the chain has.
//!
//! [`Remote`] names the job and who may be asked, [`Supply`] asks them. [`verify`] replays what was committed, and [`export`] takes the model out.

mod export;
mod rebuild;
mod replay;
mod snapshot;
mod supply;

use anyhow::{Result, ensure};
use sip_client::Program;
use sip_console::failure::{Code, fault};
use sip_console::word;
use sip_driver::node::Peers;
use sip_ledger::Ledger;
use sip_manifest::folder::read_manifest;
use sip_manifest::value::Manifest;
use sip_net::{Reach, StrangersHttp};
use sip_protocol::Account;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_report::Progress;
use sip_rpc::Rpc;
use solana_address::Address;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use export::{Export, export};
pub use replay::{Replayed, verify};
pub use supply::Supply;

/// A job on a chain, and who may be asked.
pub struct Remote {
    /// The chain.
    pub ledger: Rpc,
    /// The deployment of the program on it.
    pub program: Program,
    /// The job.
    pub job: Address,
    /// Addresses of people who may be asked beside those who stand on the chain.
    pub peers: Vec<String>,
    /// Where what is fetched is kept.
    pub folder: PathBuf,
    /// Whether somebody named that folder.
    pub is_kept: bool,
    /// The manifest, where the chain does not name one.
    pub manifest: Option<PathBuf>,
}

impl Remote {
    /// The state of an account, if there is one.
    ///
    /// # Errors
    /// The chain's, people's and the file system's.
    pub fn find<T: Account>(&self, address: &Address) -> Result<Option<Box<T>>> {
        let account = Ledger::account(&self.ledger, address)?.filter(|account| account.owner == self.program.id);
        let Some(account) = account else { return Ok(None) };
        let state = T::decode(&account.data).map(Box::new);
        state.map(Some).map_err(|error| anyhow::anyhow!("account {address}: {error}"))
    }

    /// The state of an account.
    ///
    /// # Errors
    /// The chain's, people's and the file system's.
    pub fn read<T: Account>(&self, address: &Address) -> Result<Box<T>> {
        let what = word(T::KIND);
        match (self.find(address)?, Ledger::account(&self.ledger, address)?) {
            (Some(found), _) => Ok(found),
            (None, Some(_)) => Err(fault(Code::WrongAccount, format!("{address} is no {what}"))),
            (None, None) => {
                Err(fault(Code::NoAccount, format!("there is no account at {address}, where a {what} is expected")))
            }
        }
    }

    /// What its people have: those who are named, and everybody of the job who says on chain where he serves: addresses there are dialled where they
    /// are not nearer than the chain is.
    ///
    /// # Errors
    /// The chain's, people's and the file system's.
    pub fn supply(&self, job: &Job, progress: Progress) -> Result<Supply> {
        let reach = Reach::of(self.ledger.url());
        let mut peers = Peers::new(&self.peers, reach);
        peers.read(&self.ledger, &self.program, &self.job, job)?;
        let network = StrangersHttp::new(reach, self.peers.clone());
        Ok(Supply::open((&self.folder, self.is_kept), network, peers, progress)?.with_names(self.names(job)?))
    }

    /// What the people of a job are called, by their pools and the job: "trainer 1".
    fn names(&self, job: &Job) -> Result<BTreeMap<[u8; 32], String>> {
        let mut names = BTreeMap::from([(self.job.to_bytes(), "the creator".to_owned())]);
        for address in job.datasets.iter().take(usize::from(job.spec.domain_count)) {
            if let Some(dataset) = self.find::<Dataset>(&Address::new_from_array(*address))? {
                let domain = String::from_utf8_lossy(&dataset.domain).trim_end_matches('\0').to_owned();
                names.entry(dataset.pool).or_insert(format!("the provider of {domain}"));
            }
        }
        for (role, seats) in [("trainer", &job.trainers), ("auditor", &job.auditors), ("evaluator", &job.evaluators)] {
            let held = seats.iter().enumerate().filter(|(_, seat)| seat.pool != [0; 32]);
            names.extend(held.map(|(place, seat)| (seat.pool, format!("{role} {}", place + 1))));
        }
        Ok(names)
    }

    /// The manifest that the chain names, or the one of a file.
    ///
    /// # Errors
    /// The chain's, people's and the file system's.
    pub fn manifest(&self, job: &Job, supply: &mut Supply) -> Result<Manifest> {
        match &self.manifest {
            Some(path) => read_manifest(path),
            None => {
                let named = job.require_described();
                ensure!(named.is_ok(), "the job names no manifest on chain yet; --manifest names its file");
                supply.manifest(&job.card.manifest_root, job.card.manifest_bytes)
            }
        }
    }
}

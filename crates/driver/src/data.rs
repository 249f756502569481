//! Demanding, on chain, tokens of a job's data that nobody publishes.
//!
//! One chunk is demanded of each file, drawn by the key, so that nobody who deleted a part knows which one to keep. An answer shows that the
//! chunk is there; silence is a loss for a provider.

use anyhow::Result;
use sip_client::Program;
use sip_data::{DataError, TokenBlob, hex, shown_path};
use sip_ledger::Ledger;
use sip_manifest::folder::Store;
use sip_manifest::value::Domain;
use sip_proof::blake3::chunk_count;
use sip_protocol::court::availability::Demand;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::{Account, AccountKind};
use sip_roles::{AfterDemand, Asked, Event, Me, after_demand};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Tokens of a run's folder that are missing or false.
pub(crate) struct Fault {
    pub domain: u8,
    /// Which file it is, and what is wrong with it.
    pub reason: String,
}

/// The tokens of a run's folder that are missing or false.
pub(crate) fn withheld_data(store: &Store, domains: &[Domain]) -> Vec<Fault> {
    let mut withheld = Vec::new();
    for (domain, described) in (0u8..).zip(domains) {
        let path = store.tokens(domain.into(), "train");
        let Err(error) = TokenBlob::load(&path, &described.train_root) else { continue };
        let expected = hex(&described.train_root);
        let why = match error {
            DataError::BlobRoot { found, .. } => format!("root {found}, expected {expected}"),
            DataError::BlobLength { bytes, .. } => format!("{bytes} bytes, expected root {expected}"),
            DataError::Io { source, .. } => format!("{source}; expected root {expected}"),
            error => error.to_string(),
        };
        withheld.push(Fault { domain, reason: format!("{} is missing or damaged ({why})", shown_path(&path)) });
    }
    withheld
}

/// Who demands tokens, and where it is noted.
pub(crate) struct DataDemands<'a, L> {
    pub ledger: &'a mut L,
    pub program: Program,
    pub key: &'a Keypair,
    pub record: &'a crate::Record,
    pub report: &'a mut dyn FnMut(&Event),
}

impl<L: Ledger> DataDemands<'_, L> {
    /// The datasets with a domain's text that jobs on the chain train on; of `jobs` alone, by the beginnings of their
    /// addresses, if some are given.
    pub(crate) fn datasets(&self, domain: u8, root: &[u8; 32], jobs: &[String]) -> Result<Vec<Address>> {
        let mut found = Vec::new();
        for (address, account) in self.ledger.program_accounts(&self.program.id)? {
            let is_meant = jobs.is_empty() || jobs.iter().any(|given| crate::patrol::is_meant(given, &address));
            if account.data.first() != Some(&(AccountKind::Job as u8)) || !is_meant {
                continue;
            }
            let job = Job::decode(&account.data).map(Box::new);
            let job = job.map_err(|error| anyhow::anyhow!("account {address}: {error}"))?;
            let Some(dataset) = job.datasets.get(usize::from(domain)).copied().map(Address::new_from_array) else {
                continue;
            };
            if !found.contains(&dataset) && self.find::<Dataset>(&dataset)?.is_some_and(|it| it.train_root == *root) {
                found.push(dataset);
            }
        }
        Ok(found)
    }

    /// The next thing to do about a domain's tokens: `is_withheld` says that they are not there. False if there is nothing, or nothing
    /// now.
    pub(crate) fn step(&mut self, domain: u8, dataset: &Address, is_withheld: bool) -> Result<bool> {
        let (name, dataset) = (format!("data-{dataset}"), *dataset);
        let known = self.record.asked(&name)?;
        let Some(state) = self.find::<Dataset>(&dataset)? else { return Ok(false) };
        let asked = match known {
            Some(asked) => asked,
            None if is_withheld => {
                let chunks = chunk_count(state.train_tokens.saturating_mul(4)).unwrap_or(1);
                let asked = Asked {
                    entry: 0,
                    chunk: Me::new(self.key.to_bytes()).drawn(&dataset, b"chunk", chunks),
                    ended: false,
                };
                self.record.ask(&name, &asked)?;
                asked
            }
            None => return Ok(false),
        };
        let wallet = self.key.pubkey();
        let pool = Address::new_from_array(state.pool);
        let address = self.program.demand(&dataset, &wallet, 0, asked.chunk);
        let event = |what| Event::Demanded { round: None, place: domain, demand: address.to_string(), what };
        let Some(account) = self.find::<Demand>(&address)? else {
            if asked.ended || !is_withheld {
                return Ok(false);
            }
            (self.report)(&event("the tokens are missing or false: a chunk of them is demanded now"));
            self.send(self.program.demand_data(&wallet, &dataset, &pool, asked.chunk))?;
            return Ok(true);
        };
        match after_demand(&account, self.ledger.slot()?) {
            AfterDemand::Nothing => return Ok(false),
            AfterDemand::Fail => {
                self.send(self.program.fail_data(&wallet, &dataset, &pool, asked.chunk))?;
                (self.report)(&event("the demand was not answered: its provider is charged"));
            }
            AfterDemand::Close { answered } => {
                if !asked.ended {
                    self.record.ask(&name, &Asked { ended: true, ..asked })?;
                    if answered {
                        (self.report)(&event("the demand was answered"));
                    }
                }
                self.send(self.program.close_demand(&wallet, &address))?;
            }
        }
        Ok(true)
    }

    fn find<T: sip_protocol::Account>(&self, address: &Address) -> Result<Option<Box<T>>> {
        let account = self.ledger.account(address)?.filter(|account| account.owner == self.program.id);
        let Some(account) = account else { return Ok(None) };
        let decoded = T::decode(&account.data).map_err(|error| anyhow::anyhow!("account {address}: {error}"))?;
        Ok(Some(Box::new(decoded)))
    }

    fn send(&mut self, instruction: Instruction) -> Result<()> {
        self.ledger.send(&[instruction], self.key, &[self.key])?;
        Ok(())
    }
}

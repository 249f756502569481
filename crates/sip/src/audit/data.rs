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
use sip_proof::{HostSha256, Sha256};
use sip_protocol::court::availability::{ANSWERED, Demand, OPEN};
use sip_protocol::training::data::Dataset;
use sip_roles::{Asked, Event};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// What follows from a demand and how it stands.
enum Next {
    /// Nothing, now or ever.
    Nothing,
    /// It is over, and its account can be closed.
    Close { answered: bool },
    /// Nobody answered in time.
    Fail,
}

fn next(demand: &Demand, slot: u64) -> Next {
    match demand.status {
        OPEN if slot > demand.deadline_slot => Next::Fail,
        OPEN => Next::Nothing,
        status => Next::Close { answered: status == ANSWERED },
    }
}

/// A number below a bound that nobody without the key foresees.
fn drawn(key: &Keypair, subject: &Address, purpose: &[u8], below: u32) -> u32 {
    let hash = HostSha256::hashv(&[b"sip.demand.1", &key.to_bytes(), subject.as_array(), purpose]);
    let word = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    word % below.max(1)
}

/// Tokens of a run's folder that are missing or false.
pub(super) struct Fault {
    pub domain: u8,
    /// Which file it is, and what is wrong with it.
    pub reason: String,
}

/// The tokens of a run's folder that are missing or false.
pub(super) fn withheld_data(store: &Store, domains: &[Domain]) -> Vec<Fault> {
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
pub(super) struct DataDemands<'a, L> {
    pub ledger: &'a mut L,
    pub program: Program,
    pub key: &'a Keypair,
    pub record: &'a crate::live::Record,
    pub report: &'a mut dyn FnMut(&Event),
}

impl<L: Ledger> DataDemands<'_, L> {
    /// The next thing to do about a domain's tokens: `is_withheld` says that they are not there. False if there is nothing, or nothing
    /// now.
    pub(super) fn step(&mut self, domain: u8, root: &[u8; 32], is_withheld: bool) -> Result<bool> {
        let name = format!("data-{}", sip_data::hex(root));
        let dataset = self.program.dataset(root);
        let known = self.record.asked(&name)?;
        let Some(state) = self.find::<Dataset>(&dataset)? else { return Ok(false) };
        let asked = match known {
            Some(asked) => asked,
            None if is_withheld => {
                let chunks = chunk_count(state.train_tokens.saturating_mul(4)).unwrap_or(1);
                let asked = Asked { entry: 0, chunk: drawn(self.key, &dataset, b"chunk", chunks), ended: false };
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
        match next(&account, self.ledger.slot()?) {
            Next::Nothing => return Ok(false),
            Next::Fail => {
                self.send(self.program.fail_data(&wallet, &dataset, &pool, asked.chunk))?;
                (self.report)(&event("the demand was not answered: its provider is charged"));
            }
            Next::Close { answered } => {
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

//! The node's own records on chain: where others reach it, and that no other process has its key.

use anyhow::{Result, bail};
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError};
use sip_protocol::Account as _;
use sip_protocol::network::peer::{Contact, Peer};
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use sip_roles::Event;
use solana_address::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};

use super::peers::data_pools;
use super::runner::Runner;

/// What this process has written.
pub(crate) struct Announced {
    /// Drawn at its start.
    process: u64,
    /// By subject, the sequence that it saw of its own.
    sequences: BTreeMap<[u8; 32], u64>,
    /// Whether it does its part from now on: keepers wait for that before they open the first round.
    is_ready: bool,
}

impl Announced {
    pub(crate) fn new() -> Announced {
        // Seeded by the system for every process anew.
        let process = std::hash::RandomState::new().build_hasher().finish();
        Announced { process, sequences: BTreeMap::new(), is_ready: false }
    }

    /// Whether a record is this process's, and says how it stands.
    fn says(&self, record: &Peer) -> bool {
        record.process == self.process && record.contact.is_ready() == self.is_ready
    }

    /// Whether a record is of another process that has written after this one.
    fn is_overtaken_by(&self, record: &Peer) -> bool {
        let seen = self.sequences.get(&record.subject);
        record.process != self.process && seen.is_some_and(|seen| record.sequence > *seen)
    }

    /// Whether a record is to be written. One of data stays with the process that wrote it last: each job of a wallet may have its own.
    fn is_due(&self, record: Option<&Peer>, is_of_data: bool) -> bool {
        let stays = |record: &Peer| self.says(record) || (is_of_data && self.is_overtaken_by(record));
        !record.is_some_and(stays)
    }
}

/// Records by subject.
type Records = BTreeMap<[u8; 32], Box<Peer>>;

/// Who of those that have written after a process is told of: keys other than the wallet that it signs with, and processes of the wallet that answer for
/// the same data in another job, where all that is signed can be signed twice.
///
/// # Errors
/// Where one has that wallet, and a seat's record or a job's.
fn others(
    announced: &Announced,
    (records, of_data): (&Records, &BTreeSet<[u8; 32]>),
    program: &Program,
    wallet: &Address,
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for record in records.values().filter(|record| announced.is_overtaken_by(record)) {
        let address = program.peer(&Address::new_from_array(record.subject));
        if record.signer != wallet.to_bytes() {
            let signer = Address::new_from_array(record.signer);
            told.push(format!("another key, {signer}, has written the record {address}"));
        } else if of_data.contains(&record.subject) {
            let (pool, url) = (Address::new_from_array(record.subject), record.contact.url());
            let place = if url.is_empty() { "nowhere".to_owned() } else { format!("at {url}") };
            told.push(format!(
                "another process of this wallet answers for the data of {pool} as well: newcomers of all its jobs ask {place}, so that one needs \
                 --texts with the texts of each"
            ));
        } else {
            return Err(NotAlone(address).into());
        }
    }
    Ok(told)
}

impl<L: Ledger> Runner<'_, L> {
    /// The pools that the wallet works for in the job, those of datasets among them, and the job where the wallet has made it.
    fn subjects(&self, job: &Job) -> Result<Vec<Address>> {
        let (wallet, slot) = (self.setup.node.me.wallet.to_bytes(), self.ledger.slot()?);
        let pools = job.trainers.iter().chain(&job.auditors).chain(&job.evaluators).map(|seat| seat.pool);
        let pools = pools.chain(data_pools(&*self.ledger, job)?);
        let mut pools: Vec<Address> = pools.filter(|pool| *pool != [0; 32]).map(Address::new_from_array).collect();
        pools.extend(&self.setup.join);
        pools.sort_unstable();
        pools.dedup();
        let found = self.ledger.accounts(&pools)?;
        let served = &self.setup.node.me.served;
        let is_own = |pool: &Address, data: &[u8]| {
            let state = Pool::decode(data);
            let is_accepted = |state: &Pool| state.scope == wallet || served.contains(pool);
            state.is_ok_and(|state| state.is_worker(&wallet, slot) && is_accepted(&state))
        };
        let own =
            pools.iter().zip(found).filter(|(pool, account)| account.as_ref().is_some_and(|a| is_own(pool, &a.data)));
        let mut subjects: Vec<Address> = own.map(|(pool, _)| *pool).collect();
        subjects.extend((job.creator == wallet).then_some(self.setup.job));
        Ok(subjects)
    }

    /// Writes where the node is reached, for each of its pools: after that, an older process of the same key knows that it is not alone.
    pub(crate) fn announce(&mut self) -> Result<()> {
        self.read_peers()?;
        // Before anything is written over: what gets ready for hours may find that another was begun in its place.
        self.stay_alone()?;
        let account = self.ledger.account(&self.setup.job)?;
        let Some(job) = account.and_then(|account| Job::decode(&account.data).map(Box::new).ok()) else {
            return Ok(());
        };
        let url = self.setup.announce.clone().or_else(|| self.status.listens.clone());
        // Who serves nobody says so, and is known as the one that signs.
        let (contact, place) = match &url {
            None => (Contact::NOWHERE, "as one that serves nobody".to_owned()),
            Some(url) => match Contact::NOWHERE.serving_at(url) {
                Ok(contact) => (contact, format!("at {url}")),
                Err(_) => {
                    bail!("{url} is no address that a record of peers takes: at most 96 letters, http:// or https://")
                }
            },
        };
        let contact = if self.announced.is_ready { contact.once_ready() } else { contact };
        let (wallet, program, process) = (self.setup.node.me.wallet, self.setup.program, self.announced.process);
        for subject in self.subjects(&job)? {
            let record = self.peers.records.get(subject.as_array());
            let is_of_data = self.peers.of_data.contains(subject.as_array());
            if !self.announced.is_due(record.map(|record| &**record), is_of_data) {
                continue;
            }
            let is_known = record.is_some_and(|record| record.process == process);
            let instruction =
                program.announce_peer(&wallet, &subject, record.map(|record| &**record), process, &contact);
            match self.ledger.send(&[instruction], self.key, &[self.key]) {
                Ok(_) if is_known => {
                    self.say(&Event::Prepares { what: format!("says on chain that it is ready, for {subject}") })
                }
                Ok(_) => self.say(&Event::Prepares { what: format!("is announced {place} for {subject}") }),
                Err(error @ (LedgerError::Custom { .. } | LedgerError::Transaction { .. })) => {
                    let reason =
                        error.custom_code().and_then(sip_client::refusal).map(|error| error.message().to_owned());
                    let reason = reason.unwrap_or_else(|| error.to_string());
                    self.say_once(&Event::Refused { what: "announce where the node is".into(), reason });
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.read_peers()?;
        for (subject, record) in &self.peers.records {
            if record.process == process {
                self.announced.sequences.insert(*subject, record.sequence);
            }
        }
        Ok(())
    }

    /// Says on chain that the node does its part from now on.
    pub(crate) fn announce_ready(&mut self) -> Result<()> {
        self.announced.is_ready = true;
        self.announce()
    }

    /// Announces the node for pools that have come since: a seat that was taken after its start, or one whose announcement was refused.
    pub(crate) fn announce_what_came(&mut self) -> Result<()> {
        let job = self.read_job()?;
        let is_new = |subject: &Address| !self.announced.sequences.contains_key(subject.as_array());
        if self.subjects(&job)?.iter().any(is_new) { self.announce() } else { Ok(()) }
    }

    /// Ends where another process of the same key has written after this one: it may sign, and this one may not. What a session key or a job's writer
    /// wrote is told and ends nothing, or a thief of that key would have the node gone first that could defend.
    pub(crate) fn stay_alone(&mut self) -> Result<()> {
        let wallet = self.setup.node.me.wallet;
        for what in others(&self.announced, (&self.peers.records, &self.peers.of_data), &self.setup.program, &wallet)? {
            self.say_once(&Event::Prepares { what });
        }
        Ok(())
    }
}

/// Another process of the same key has announced itself later.
#[derive(Debug, thiserror::Error)]
#[error(
    "another process of this key has announced itself in {0} after this one: this one signs nothing more; stop one of the two, and start again \
     where you want it to run"
)]
pub(crate) struct NotAlone(Address);

#[cfg(test)]
mod tests {
    use super::*;
    use sip_protocol::{AccountKind, Header};

    /// Attack: a thief of a session key, or the writer that a job's creator has named, writes the record, and the operator's node ends: the one
    /// that could defend.
    #[test]
    fn another_process_of_the_same_wallet_ends_a_node_and_one_of_another_key_is_told() {
        let (own, hot, program) = (Address::new_from_array([1; 32]), [2; 32], Program::default());
        let announced = Announced { process: 5, sequences: BTreeMap::from([([7; 32], 40)]), is_ready: false };
        let stands = |signer, process, sequence| {
            let (header, contact) = (Header::new(AccountKind::Peer, 0), Contact::NOWHERE);
            let [subject, payer, writer] = [[7; 32], [0; 32], [0; 32]];
            Peer { header, subject, payer, writer, signer, process, sequence, announced_slot: 0, contact }
        };
        let record = |signer, process, sequence| {
            let records = Records::from([([7; 32], Box::new(stands(signer, process, sequence)))]);
            others(&announced, (&records, &BTreeSet::new()), &program, &own)
        };
        assert!(record([1; 32], 5, 41).unwrap().is_empty() && record([1; 32], 6, 40).unwrap().is_empty());
        assert!(record([1; 32], 6, 41).unwrap_err().is::<NotAlone>());
        assert_eq!(record(hot, 6, 41).unwrap().len(), 1);
        // Who provides data has a process for each job, and one record.
        let records = Records::from([([7; 32], Box::new(stands([1; 32], 6, 41)))]);
        let told = others(&announced, (&records, &[[7; 32]].into()), &program, &own).unwrap();
        assert!(told[0].contains("--texts"), "{told:?}");
        // They do not write over each other in turns; one that was begun anew writes once.
        assert!(!announced.is_due(Some(&stands([1; 32], 6, 41)), true));
        let anew = Announced { process: 8, sequences: BTreeMap::new(), is_ready: false };
        assert!(anew.is_due(Some(&stands([1; 32], 6, 41)), true) && anew.is_due(None, true));
        let ready = Announced { is_ready: true, ..announced };
        assert!(
            ready.is_due(Some(&stands([1; 32], 5, 40)), true) && !ready.is_due(Some(&stands([1; 32], 6, 41)), true)
        );
    }
}

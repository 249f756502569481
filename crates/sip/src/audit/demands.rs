//! Demanding, on chain, what somebody committed and did not publish: the end states of segments, and tokens of the job's data.
//!
//! One chunk is demanded of each, drawn by the key, so that nobody who deleted a part knows which one to keep. An answer shows that the
//! chunk is there; silence is a conviction for a trainer and a loss for a provider.

use anyhow::Result;
use sip_client::{Program, StateDemand};
use sip_data::{DataError, TokenBlob, shown_path};
use sip_ledger::Ledger;
use sip_proof::blake3::{CHUNK_BYTES, chunk_count};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::court::availability::{ANSWERED, Demand, OPEN};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::round;
use sip_protocol::training::segment;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands};
use super::record::Asked;
use super::watch::Watch;
use crate::archive::Archive;
use sip_data::hex;
use sip_manifest::folder::Store;
use sip_manifest::value::Domain;

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

fn name(seen: &Seen, stands: &Stands) -> String {
    format!("round-{}-demand-{}", seen.index(), stands.place)
}

impl<L: Ledger> Watch<'_, L> {
    /// What is needed of a segment and not there, since it cannot be replayed, or is not to be: what it hands over, or else the update
    /// that it goes on from, whose entries follow those of its own. Gives the number of the first entry.
    fn withheld(&self, here: &Here, seen: &Seen, stands: &Stands) -> Result<Option<u32>> {
        let committed = &stands.state;
        let can_be_asked = seen.round.status != round::OPEN
            && seen.round.require_challengeable(here.slot).is_ok()
            && committed.status != segment::CONVICTED
            && committed.operator != self.wallet().to_bytes();
        if !can_be_asked {
            return Ok(None);
        }
        let is_judged = self.found(here, Claim::Segment { round: seen.index(), place: stands.place })?.is_some();
        if is_judged || self.is_doubtful(here, seen)? {
            return Ok(None);
        }
        let is_ours = self.knows(&seen.round.base_root)? && !self.is_left_to_others(here, seen, stands);
        let knows_previous = self.knows_previous(stands)?;
        let knows_result = self.knows(committed.claim.result_root(&here.job.spec))?;
        Ok(match (is_ours, knows_previous, knows_result) {
            (true, true, _) | (false, _, true) => None,
            (_, _, false) => Some(0),
            (true, false, true) => Some(here.job.spec.entries_of_result()),
        })
    }

    /// Whether the operator replays only what it draws, and this is not among it: nor is it by somebody who was convicted, whose
    /// whole past is opened as far as it can be accused.
    pub(super) fn is_left_to_others(&self, here: &Here, seen: &Seen, stands: &Stands) -> bool {
        let Some(operator) = self.operator.filter(|_| self.drawn_only) else { return false };
        let is_suspect =
            here.has_convicted(&stands.state.operator) && seen.round.require_challengeable(here.slot).is_ok();
        operator.has_revealed(seen) && !operator.draws(here, seen, stands) && !is_suspect
    }

    /// Whether a demand of ours on a round's segments runs.
    pub(super) fn has_demands(&self, seen: &Seen) -> Result<bool> {
        for stands in &seen.segments {
            if self.record.asked(&name(seen, stands))?.is_some_and(|asked| !asked.ended) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next thing to do about ends of segments that are withheld.
    pub(super) fn demands(&mut self, here: &Here) -> Result<bool> {
        for seen in &here.rounds {
            for stands in &seen.segments {
                if self.demand(here, seen, stands)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn demand(&mut self, here: &Here, seen: &Seen, stands: &Stands) -> Result<bool> {
        let name = name(seen, stands);
        let asked = match self.record.asked(&name)? {
            Some(asked) => asked,
            None => {
                let Some(first) = self.withheld(here, seen, stands)? else { return Ok(false) };
                let entries = self.source.result().entries();
                let entry = drawn(self.key, &stands.address, b"entry", entries.len() as u32);
                let bytes = entries.get(entry as usize).map_or(0, |entry| entry.len() * 4);
                let chunk = drawn(self.key, &stands.address, b"chunk", bytes.div_ceil(CHUNK_BYTES) as u32);
                let asked = Asked { entry: first + entry, chunk, ended: false };
                self.record.ask(&name, &asked)?;
                asked
            }
        };
        let wallet = self.wallet();
        let address = self.program.demand(&stands.address, &wallet, asked.entry, asked.chunk);
        let pool = Address::new_from_array(stands.state.pool);
        let demand = StateDemand {
            demander: &wallet,
            job: &self.job,
            round: &seen.address,
            pool: &pool,
            entry: asked.entry,
            chunk: asked.chunk,
        };
        let event = |what| Event::Demanded {
            round: Some(seen.index()),
            place: stands.place,
            demand: address.to_string(),
            what,
        };
        let Some(account) = self.find::<Demand>(&address)? else {
            if asked.ended {
                return Ok(false);
            }
            if seen.round.require_challengeable(here.slot).is_err() || stands.state.status == segment::CONVICTED {
                self.record.ask(&name, &Asked { ended: true, ..asked })?;
                return Ok(false);
            }
            let sent = self.send("demand a chunk of a state", self.program.demand_state(&demand))?;
            if sent {
                (self.report)(&event("nobody has what it should hand over: a chunk of it is demanded"));
            }
            return Ok(sent);
        };
        match next(&account, here.slot) {
            Next::Nothing => Ok(false),
            Next::Fail => {
                let sent = self.send("end a demand that was not answered", self.program.fail_state(&demand))?;
                if sent {
                    (self.report)(&event("the demand was not answered: convicted"));
                }
                Ok(sent)
            }
            Next::Close { answered } => {
                if !asked.ended {
                    self.record.ask(&name, &Asked { ended: true, ..asked })?;
                    if answered {
                        (self.report)(&event("the demand was answered"));
                    }
                }
                // That a trainer was silent is what its conviction stands on.
                Archive::of(&self.source.store).keep(&address, bytemuck::bytes_of(&*account))?;
                self.send("close a demand", self.program.close_demand(&wallet, &address))
            }
        }
    }
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
    pub record: &'a super::record::Record,
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

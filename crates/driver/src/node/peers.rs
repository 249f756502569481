//! Who is where: the records of a job's people on chain, and those that the node was told of.

use anyhow::Result;
use sip_client::Program;
use sip_data::hex;
use sip_ledger::Ledger;
use sip_manifest::value::content_hash;
use sip_net::{Peer, Reach, StrangersHttp};
use sip_protocol::network::peer::Peer as Contact;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::seats::{self, Seat};
use sip_protocol::{Account as _, PROTOCOL_VERSION};
use sip_roles::View;
use solana_address::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::states::Root;

/// Where the people of a job are.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Those that the node was told of.
    told: Vec<Peer>,
    /// By pool, dataset's pool, or job.
    known: BTreeMap<[u8; 32], Peer>,
    /// Those of them who hold a seat now, or answer for data: what they ask for is served before what others ask for.
    seated: BTreeSet<[u8; 32]>,
    /// Of them, the pools that answer for data: of one wallet the same in every job.
    pub(crate) of_data: BTreeSet<[u8; 32]>,
    /// Their records, those that are there.
    pub(crate) records: BTreeMap<[u8; 32], Box<Contact>>,
    /// How near those are who are dialled because their records say so: as near as the chain itself.
    reach: Reach,
}

/// The pools of those who provide a job's datasets.
pub(crate) fn data_pools(ledger: &dyn Ledger, job: &Job) -> Result<Vec<[u8; 32]>> {
    let datasets = job.datasets.iter().filter(|dataset| **dataset != [0; 32]);
    let datasets: Vec<Address> = datasets.copied().map(Address::new_from_array).collect();
    let found = ledger.accounts(&datasets)?.into_iter().flatten();
    Ok(found.filter_map(|account| Some(Dataset::decode(&account.data).ok()?.pool)).collect())
}

/// The host of a base URL or an address.
fn host(address: &str) -> &str {
    let host = address.trim_start_matches("http://").trim_start_matches("https://");
    let host = host.split('/').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    host.trim_matches(['[', ']'])
}

/// Whether an address that is written as one may be dialled for a record's sake. What a name leads to is looked at when it is dialled.
fn may_be_dialled(address: &str, reach: Reach) -> bool {
    let host = host(address);
    match host.parse::<IpAddr>() {
        Ok(ip) => reach.dials(ip),
        Err(_) => reach == Reach::Machine || host != "localhost",
    }
}

/// Why nobody who reads it on chain would dial a base URL; `None` where they would.
pub fn unreachable(url: &str, reach: Reach) -> Option<&'static str> {
    let Some(address) = url.strip_prefix("http://") else {
        return Some("peers speak plain HTTP: name http://HOST:PORT");
    };
    if address.trim_end_matches('/').contains('/') {
        return Some("a record names a host and a port, no path: name http://HOST:PORT");
    }
    let ip = host(url).parse::<IpAddr>();
    if ip.is_ok_and(|ip| ip.is_unspecified()) {
        return Some(
            "it stands for every address of this machine, and nobody reaches it: name the one that others reach",
        );
    }
    (!may_be_dialled(url, reach))
        .then_some("nobody reaches it from another machine: name the address that others reach")
}

impl Peers {
    /// Those that somebody was told of, by address; nobody else is known yet. Of those who stand on chain they are dialled who are as near as `reach`.
    pub fn new(told: &[String], reach: Reach) -> Peers {
        let peer = |address: &String| Peer { id: content_hash(address.as_bytes()), address: address.clone() };
        Peers { told: told.iter().map(peer).collect(), reach, ..Peers::default() }
    }

    /// Reads the records of everybody in a job.
    ///
    /// # Errors
    /// Where the chain does not answer.
    pub fn read(&mut self, ledger: &dyn Ledger, program: &Program, address: &Address, job: &Job) -> Result<()> {
        let pools = job.trainers.iter().chain(&job.auditors).chain(&job.evaluators).map(|seat| seat.pool);
        let of_data = data_pools(ledger, job)?;
        // Who held a seat last has its pool written in it, and is nobody any more.
        let is_held = |seat: &&Seat| [seats::AWAKE, seats::DORMANT].contains(&seat.state);
        let holders = job.trainers.iter().chain(&job.auditors).chain(&job.evaluators).filter(is_held);
        self.seated =
            holders.map(|seat| seat.pool).chain(of_data.iter().copied()).chain([address.to_bytes()]).collect();
        self.of_data = of_data.iter().copied().collect();
        let mut subjects: Vec<[u8; 32]> = pools.filter(|pool| *pool != [0; 32]).chain(of_data).collect();
        subjects.push(address.to_bytes());
        subjects.sort_unstable();
        subjects.dedup();
        let records: Vec<Address> =
            subjects.iter().map(|subject| program.peer(&Address::new_from_array(*subject))).collect();
        let found = ledger.accounts(&records)?;
        (self.known, self.records) = Default::default();
        for (subject, account) in subjects.iter().zip(found) {
            let Some(account) = account.filter(|account| account.owner == program.id) else { continue };
            let Ok(record) = Contact::decode(&account.data) else { continue };
            let url = record.contact.url();
            let is_spoken = record.contact.speaks(PROTOCOL_VERSION, PROTOCOL_VERSION);
            if record.contact.serves() && is_spoken && !url.is_empty() && may_be_dialled(url, self.reach) {
                self.known.insert(*subject, Peer { id: *subject, address: url.to_owned() });
            }
            self.records.insert(*subject, Box::new(record));
        }
        Ok(())
    }

    /// Everybody.
    pub fn all(&self) -> Vec<Peer> {
        let mut all = self.told.clone();
        all.extend(self.known.values().cloned());
        all.dedup_by(|a, b| a.address == b.address);
        all
    }

    /// Who may have a state, most likely first: its maker, who has voted for it, everybody.
    pub(crate) fn holders(&self, view: &View, root: &Root) -> Vec<Peer> {
        let mut likely = Vec::new();
        for seen in &view.rounds {
            for stands in &seen.segments {
                if stands.state.claim.result_root(&view.job.spec) == root {
                    likely.push(stands.state.pool);
                }
            }
            let voters = seen.round.auditors.iter().filter(|seat| seat.vote == *root && seat.vote != [0; 32]);
            likely.extend(voters.map(|seat| seat.pool));
        }
        self.with_first(&likely)
    }

    /// Everybody, these pools first.
    pub fn with_first(&self, likely: &[[u8; 32]]) -> Vec<Peer> {
        let first: Vec<Peer> = likely.iter().filter_map(|pool| self.known.get(pool)).cloned().collect();
        let rest = self.all().into_iter().filter(|peer| !first.contains(peer));
        first.iter().cloned().chain(rest).collect()
    }

    /// What a peer is called: its pool, or the address that was told of it.
    pub fn name(&self, id: &Root) -> String {
        let told = self.told.iter().find(|peer| peer.id == *id);
        told.map_or_else(|| Address::new_from_array(*id).to_string(), |peer| peer.address.clone())
    }

    /// The IP addresses of everybody, so that a server knows its seats: of a name, those that it led to when it was dialled last.
    pub(crate) fn addresses(&self, network: &StrangersHttp) -> Vec<IpAddr> {
        let of = |peer: &Peer| match host(&peer.address).parse() {
            Ok(ip) => vec![ip],
            Err(_) => network.led_to(&peer.address),
        };
        let seated = self.known.iter().filter(|(subject, _)| self.seated.contains(*subject));
        self.told.iter().chain(seated.map(|(_, peer)| peer)).flat_map(of).collect()
    }

    /// How many serve, by what is known.
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }
}

/// A root's beginning, for people.
pub(crate) fn short(root: &Root) -> String {
    hex(root)[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_makes_nobody_dial_its_own_machine_or_network() {
        let may = |address: &str| {
            [Reach::Internet, Reach::Network, Reach::Machine].map(|reach| may_be_dialled(address, reach))
        };
        for public in ["http://203.0.113.7:9000", "http://node.example", "http://[2001:db8::1]:80"] {
            assert_eq!(may(public), [true; 3], "{public}");
        }
        for private in ["10.1.2.3:9000", "http://192.168.0.9:9000", "http://[::ffff:10.0.0.1]:80"] {
            assert_eq!(may(private), [false, true, true], "{private}");
        }
        for local in ["http://127.0.0.1:8899", "127.9.9.9:1", "http://[::1]:9", "http://localhost:80/"] {
            assert_eq!(may(local), [false, false, true], "{local}");
        }
        for never in ["http://169.254.169.254/latest", "http://0.0.0.0:9", "http://224.0.0.1:9"] {
            assert_eq!(may(never), [false; 3], "{never}");
        }
    }
}

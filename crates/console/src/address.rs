//! Addresses as people write them: in full, by their beginning, or by a name.

use anyhow::Result;
use sip_client::Program;
use sip_ledger::{Ledger, read_key};
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::Job;
use sip_protocol::{Account, AccountKind};
use solana_address::Address;
use solana_signer::Signer;
use std::path::Path;
use std::str::FromStr;

use super::names::Names;
use super::{Desk, attention, kind_name, word};
use crate::failure::{Code, fault};

/// The shortest beginning of an address that stands for it.
const LEAST_LETTERS: usize = 4;
/// Letters of a whole address.
const ADDRESS_LETTERS: std::ops::RangeInclusive<usize> = 32..=44;
/// Addresses that are told where several begin alike.
const TOLD: usize = 4;

/// How an address is written on the command line.
#[derive(Clone, Debug)]
pub struct AddressText(String);

impl FromStr for AddressText {
    type Err = String;

    fn from_str(text: &str) -> Result<AddressText, String> {
        match text.trim() {
            "" => Err("expected an address".into()),
            text => Ok(AddressText(text.into())),
        }
    }
}

impl AddressText {
    /// Whether it is an address letter by letter, rather than a name, a file or a beginning.
    pub(crate) fn is_written_out(&self) -> bool {
        self.0.parse::<Address>().is_ok()
    }

    /// What it stands for without a chain: an address in full, a name, or the file of a key; else nothing.
    pub fn offline(&self, names: &Names) -> Result<Option<Address>> {
        if let Some(address) = known(&self.0, names) {
            return Ok(Some(address));
        }
        let path = Path::new(&self.0);
        Ok(if path.is_file() { Some(read_key(path)?.pubkey()) } else { None })
    }
}

impl std::fmt::Display for AddressText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// An address letter by letter.
pub fn in_full(text: &str) -> Result<Address, String> {
    text.trim().parse().map_err(|_| "it is no address: one is 32 bytes in base58".into())
}

/// An address in full or of a name of the book.
fn known(text: &str, names: &Names) -> Option<Address> {
    text.parse().ok().or_else(|| names.address(text))
}

/// The only one of some addresses that begins so.
pub fn beginning(text: &str, what: &str, all: impl IntoIterator<Item = Address>) -> Result<Address> {
    let begins = |address: &Address| text.len() >= LEAST_LETTERS && address.to_string().starts_with(text);
    let mut found: Vec<Address> = all.into_iter().filter(begins).collect();
    found.sort_unstable();
    found.dedup();
    match found.len() {
        1 => Ok(found[0]),
        0 => Err(fault(Code::NotAnAddress, not_an_address(text, what))),
        count => {
            let told: Vec<String> = found.iter().take(TOLD).map(Address::to_string).collect();
            let more = if count > TOLD { ", …" } else { "" };
            let said = format!(
                "\"{text}\" is the beginning of {count} addresses: {}{more}; write more letters",
                told.join(", ")
            );
            Err(fault(Code::Ambiguous, said))
        }
    }
}

fn not_an_address(text: &str, what: &str) -> String {
    let is_long = ADDRESS_LETTERS.contains(&text.len()) && text.chars().all(|char| char.is_ascii_alphanumeric());
    match is_long {
        true => {
            format!("\"{text}\" is no address: one is 32 bytes in base58, and a letter of this is wrong or missing")
        }
        false => format!(
            "\"{text}\" is no address: expected 32 bytes in base58, the first {LEAST_LETTERS} letters or more of a {what} on the chain, \
             or a name of \"sip wallet names\""
        ),
    }
}

/// The address of an account of a kind, as a text gives it, on any ledger.
pub fn locate<L: Ledger>(
    ledger: &L,
    program: &Program,
    kind: AccountKind,
    text: &str,
    names: &Names,
) -> Result<Address> {
    if let Some(address) = known(text, names) {
        return Ok(address);
    }
    let accounts = ledger.program_accounts(&program.id)?;
    let of_kind = accounts.iter().filter(|(_, account)| account.data.first() == Some(&(kind as u8)));
    beginning(text, &word(kind), of_kind.map(|(address, _)| *address))
}

impl Desk {
    /// An account of a kind.
    pub fn locate(&self, kind: AccountKind, text: &AddressText) -> Result<Address> {
        locate(&self.ledger, &self.program, kind, &text.0, &self.names)
    }

    /// A job.
    pub fn locate_job(&self, text: &AddressText) -> Result<Address> {
        self.locate(AccountKind::Job, text)
    }

    /// A pool: also "trainer" or "trainer:1" for the wallet's own of that kind and number, and "JOB/DOMAIN" for a domain's attention.
    pub fn locate_pool(&self, text: &AddressText) -> Result<Address> {
        if let Some(address) = known(&text.0, &self.names) {
            return Ok(address);
        }
        let (kind, index) = text.0.split_once(':').unwrap_or((&text.0, "0"));
        if let (Some(named), Ok(index)) = (operated(kind), index.parse::<u32>()) {
            let pool = self.program.pool(named, &self.wallet()?, index);
            if self.ledger.account(&pool)?.is_none() {
                let number = if index == 0 { String::new() } else { format!(" of number {index}") };
                let said = format!(
                    "the wallet has no pool of kind {kind}{number}; \"sip pool create --kind {kind}\" makes one, \"sip pool list --mine\" lists those that it has"
                );
                return Err(fault(Code::NoAccount, said));
            }
            return Ok(pool);
        }
        if let Some((job, domain)) = text.0.split_once('/') {
            let job = self.locate_job(&AddressText(job.into()))?;
            let state: Job = self.read(&job)?;
            return Ok(self.program.attention_pool(&job, attention::find(self, &state, domain)?));
        }
        self.locate(AccountKind::Pool, text)
    }

    /// Any account of the program.
    pub fn locate_account(&self, text: &AddressText) -> Result<Address> {
        if let Some(address) = known(&text.0, &self.names) {
            return Ok(address);
        }
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        beginning(&text.0, "account", accounts.into_iter().map(|(address, _)| address))
    }

    /// A wallet: also the file of its key, and the beginning of one that has tokens, a pool, a position or a job.
    pub fn locate_wallet(&self, text: &AddressText) -> Result<Address> {
        match text.offline(&self.names)? {
            Some(address) => Ok(address),
            None => beginning(&text.0, "wallet", self.wallets()?),
        }
    }

    /// Anything that a name can be given to.
    pub fn locate_anything(&self, text: &AddressText) -> Result<Address> {
        if let Some(address) = text.offline(&self.names)? {
            return Ok(address);
        }
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        let all = accounts.into_iter().map(|(address, _)| address).chain(self.wallets()?);
        beginning(&text.0, "wallet or account", all)
    }

    /// All wallets that have tokens, a pool, a position or a job.
    pub(crate) fn wallets(&self) -> Result<Vec<Address>> {
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        let owners = accounts.iter().filter_map(|(_, account)| owner_of(&account.data)).map(Address::new_from_array);
        let holders = self.ledger.token_owners(&self.program.token_program, &self.program.mint())?;
        Ok(owners.chain(holders).collect())
    }

    /// A wallet that is named, or else the one that acts.
    pub fn owner(&self, text: Option<&AddressText>) -> Result<Address> {
        text.map_or_else(|| self.wallet(), |text| self.locate_wallet(text))
    }
}

/// A kind of pools that an operator has.
fn operated(name: &str) -> Option<PoolKind> {
    (0..=u8::MAX)
        .filter_map(PoolKind::from_byte)
        .find(|kind| *kind != PoolKind::Attention && kind_name(*kind as u8) == name)
}

/// Whose an account is.
fn owner_of(data: &[u8]) -> Option<[u8; 32]> {
    use sip_protocol::stake::position::{Position, Ticket};
    match sip_client::kind_of(data)? {
        AccountKind::Position => Position::decode(data).ok().map(|position| position.owner),
        AccountKind::Ticket => Ticket::decode(data).ok().map(|ticket| ticket.owner),
        AccountKind::Job => Job::decode(data).ok().map(|job| job.creator),
        AccountKind::Config => sip_protocol::admin::config::Config::decode(data).ok().map(|config| config.authority),
        AccountKind::Pool => {
            let is_operated = |pool: &Pool| pool.kind != PoolKind::Attention as u8;
            Pool::decode(data).ok().filter(is_operated).map(|pool| pool.scope)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_stands_for_the_only_address_that_has_it() {
        let address = |byte| Address::new_from_array([byte; 32]);
        let all = [address(7), address(8), address(7)];
        let text = address(7).to_string();
        assert_eq!(beginning(&text[..4], "pool", all).unwrap(), address(7));
        for (text, words) in [
            (&text[..3], "first 4 letters or more of a pool"),
            ("1111", "first 4 letters or more"),
            (&text[1..], "a letter of this is wrong or missing"),
        ] {
            let said = beginning(text, "pool", all).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
        let alike = [[7; 32], {
            let mut other = [7; 32];
            other[31] = 8;
            other
        }]
        .map(Address::new_from_array);
        let said = beginning(&text[..8], "pool", alike).unwrap_err().to_string();
        assert!(said.contains("is the beginning of 2 addresses") && said.contains("write more letters"), "{said}");
    }
}

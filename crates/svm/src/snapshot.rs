//! The state of an embedded ledger as bytes.
//!
//! Little-endian: magic (8), format (4), program (32), sha256 of its binary (32), its upgrade authority at genesis
//! (1 + 32, zero without one), features (1: 0 mainnet's, 1 all), slot (8), entropy (32), time
//! (8), issued lamports (8), statistics (5 × 8), slot hashes (4, then 8 + 32 each, newest first), accounts (8, then address 32,
//! lamports 8, owner 32, rent epoch 8, executable 1, data 8 + n each, by address), accounts of the runtime that differ from those of a new ledger (alike), sha256
//! of everything before (32).

use crate::Features;
use sha2::{Digest, Sha256};
use sip_ledger::{SnapshotError, Statistics};
use solana_account::Account;
use solana_address::Address;
use std::path::Path;

const MAGIC: &[u8; 8] = b"SIPLEDGR";
const FORMAT: u32 = 3;
const CHECKSUM_BYTES: usize = 32;

/// Everything that an embedded ledger needs to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) program_id: Address,
    pub(crate) program_hash: [u8; 32],
    pub(crate) upgrade_authority: Option<Address>,
    pub(crate) features: Features,
    pub(crate) slot: u64,
    pub(crate) entropy: [u8; 32],
    pub(crate) unix_seconds: i64,
    pub(crate) issued_lamports: u64,
    pub(crate) statistics: Statistics,
    pub(crate) slot_hashes: Vec<(u64, [u8; 32])>,
    pub(crate) accounts: Vec<(Address, Account)>,
    /// Accounts of the runtime that differ from those of a new ledger; programs after their code.
    pub(crate) programs: Vec<(Address, Account)>,
}

impl State {
    pub(crate) fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let bytes = self.to_bytes();
        sip_data::files::write_atomically(path, |temporary| std::fs::write(temporary, &bytes))
            .map_err(|source| SnapshotError::File { action: "write", path: path.into(), source })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, SnapshotError> {
        let bytes =
            std::fs::read(path).map_err(|source| SnapshotError::File { action: "read", path: path.into(), source })?;
        Self::from_bytes(&bytes, path)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Statistics { transactions, failed_transactions, compute_units, transaction_bytes, fee_lamports } =
            self.statistics;
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(self.program_id.as_array());
        out.extend_from_slice(&self.program_hash);
        out.push(u8::from(self.upgrade_authority.is_some()));
        out.extend_from_slice(self.upgrade_authority.unwrap_or_default().as_array());
        out.push(u8::from(self.features == Features::All));
        out.extend_from_slice(&self.slot.to_le_bytes());
        out.extend_from_slice(&self.entropy);
        out.extend_from_slice(&self.unix_seconds.to_le_bytes());
        out.extend_from_slice(&self.issued_lamports.to_le_bytes());
        for sum in [transactions, failed_transactions, compute_units, transaction_bytes, fee_lamports] {
            out.extend_from_slice(&sum.to_le_bytes());
        }
        out.extend_from_slice(&(self.slot_hashes.len() as u32).to_le_bytes());
        for (slot, hash) in &self.slot_hashes {
            out.extend_from_slice(&slot.to_le_bytes());
            out.extend_from_slice(hash);
        }
        for accounts in [&self.accounts, &self.programs] {
            out.extend_from_slice(&(accounts.len() as u64).to_le_bytes());
            for (address, account) in accounts {
                out.extend_from_slice(address.as_array());
                out.extend_from_slice(&account.lamports.to_le_bytes());
                out.extend_from_slice(account.owner.as_array());
                out.extend_from_slice(&account.rent_epoch.to_le_bytes());
                out.push(u8::from(account.executable));
                out.extend_from_slice(&(account.data.len() as u64).to_le_bytes());
                out.extend_from_slice(&account.data);
            }
        }
        let checksum = Sha256::digest(&out);
        out.extend_from_slice(&checksum);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, SnapshotError> {
        let mut header = Reader(bytes);
        if header.array() != Some(*MAGIC) {
            return Err(SnapshotError::Foreign { path: path.into() });
        }
        let damaged = || SnapshotError::Damaged { path: path.into() };
        let found = header.u32().ok_or_else(damaged)?;
        if found != FORMAT {
            return Err(SnapshotError::Version { path: path.into(), found, expected: FORMAT });
        }
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        if Sha256::digest(content)[..] != checksum[..] {
            return Err(damaged());
        }
        let body = content.get(MAGIC.len() + size_of::<u32>()..).ok_or_else(damaged)?;
        Reader(body).state().ok_or_else(damaged)
    }
}

/// Takes values off the front; `None` where the bytes end too early.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn address(&mut self) -> Option<Address> {
        self.array().map(Address::new_from_array)
    }

    fn authority(&mut self) -> Option<Option<Address>> {
        let [is_some] = self.array()?;
        let authority = self.address()?;
        Some((is_some != 0).then_some(authority))
    }

    fn features(&mut self) -> Option<Features> {
        match self.array()? {
            [0] => Some(Features::Mainnet),
            [1] => Some(Features::All),
            _ => None,
        }
    }

    fn account(&mut self) -> Option<(Address, Account)> {
        let address = self.address()?;
        let lamports = self.u64()?;
        let owner = self.address()?;
        let rent_epoch = self.u64()?;
        let [executable] = self.array()?;
        let data_bytes = usize::try_from(self.u64()?).ok()?;
        let data = self.bytes(data_bytes)?.to_vec();
        Some((address, Account { lamports, data, owner, executable: executable != 0, rent_epoch }))
    }

    fn state(mut self) -> Option<State> {
        let state = State {
            program_id: self.address()?,
            program_hash: self.array()?,
            upgrade_authority: self.authority()?,
            features: self.features()?,
            slot: self.u64()?,
            entropy: self.array()?,
            unix_seconds: self.u64()?.cast_signed(),
            issued_lamports: self.u64()?,
            statistics: Statistics {
                transactions: self.u64()?,
                failed_transactions: self.u64()?,
                compute_units: self.u64()?,
                transaction_bytes: self.u64()?,
                fee_lamports: self.u64()?,
            },
            slot_hashes: (0..self.u32()?).map(|_| Some((self.u64()?, self.array()?))).collect::<Option<_>>()?,
            accounts: (0..self.u64()?).map(|_| self.account()).collect::<Option<_>>()?,
            programs: (0..self.u64()?).map(|_| self.account()).collect::<Option<_>>()?,
        };
        self.0.is_empty().then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let account = |lamports, data: &[u8]| Account {
            lamports,
            data: data.to_vec(),
            owner: Address::new_from_array([9; 32]),
            executable: false,
            rent_epoch: u64::MAX,
        };
        State {
            program_id: Address::new_from_array([1; 32]),
            program_hash: [2; 32],
            upgrade_authority: Some(Address::new_from_array([10; 32])),
            features: Features::All,
            slot: 777,
            entropy: [3; 32],
            unix_seconds: -4,
            issued_lamports: 12,
            statistics: Statistics {
                transactions: 1,
                failed_transactions: 2,
                compute_units: 3,
                transaction_bytes: 4,
                fee_lamports: 5,
            },
            slot_hashes: vec![(776, [4; 32]), (775, [5; 32])],
            accounts: vec![
                (Address::new_from_array([6; 32]), account(5, b"")),
                (Address::new_from_array([7; 32]), account(7, b"some data")),
            ],
            programs: vec![(
                Address::new_from_array([8; 32]),
                Account { executable: true, ..account(1, b"some code") },
            )],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = state().to_bytes();
        assert_eq!(State::from_bytes(&bytes, Path::new("x")).unwrap(), state());
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let bytes = state().to_bytes();
        for length in 0..bytes.len() {
            assert!(State::from_bytes(&bytes[..length], Path::new("x")).is_err(), "cut to {length} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(State::from_bytes(&changed, Path::new("x")).is_err(), "bit {bit} flipped");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(State::from_bytes(&longer, Path::new("x")).is_err());
    }

    #[test]
    fn counts_beyond_the_file_are_damage_even_under_a_right_checksum() {
        let mut bytes = State { accounts: vec![], programs: vec![], ..state() }.to_bytes();
        bytes.truncate(bytes.len() - CHECKSUM_BYTES - size_of::<u64>());
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        assert!(matches!(State::from_bytes(&bytes, Path::new("x")), Err(SnapshotError::Damaged { .. })));
    }

    #[test]
    fn other_files_and_other_formats_are_named_as_such() {
        let mut bytes = state().to_bytes();
        assert!(matches!(State::from_bytes(b"{}", Path::new("x")), Err(SnapshotError::Foreign { .. })));
        bytes[8] = 1;
        let error = State::from_bytes(&bytes, Path::new("x")).unwrap_err();
        assert!(matches!(error, SnapshotError::Version { found: 1, expected: 3, .. }));
    }
}

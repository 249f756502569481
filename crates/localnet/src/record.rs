//! What a record of the log says.
//!
//! Little-endian: kind (1). A transaction (kind 1): slot (8), time (8), check (32), bytes on the wire (4 + n), and the rest is
//! what became of it, as the JSON that `getTransaction` calls "meta". A lease (kind 2): slot (8), time (8).

use crate::meta;
use sha2::{Digest, Sha256};
use sip_svm::{Embedded, Execution};
use solana_account::ReadableAccount;

const TRANSACTION: u8 = 1;
const LEASE: u8 = 2;

/// What a record of the log says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A transaction was executed in a slot.
    Transaction {
        slot: u64,
        unix_seconds: i64,
        /// What [`check`] gave.
        check: [u8; 32],
        wire: &'a [u8],
        meta: &'a [u8],
    },
    /// No slot beyond this one has been shown to anyone, unless a later record says so. After a crash the chain goes on
    /// from here, so slots never run backwards; and nothing need be written for a slot that passes.
    Lease { slot: u64, unix_seconds: i64 },
}

impl<'a> Record<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Transaction { slot, unix_seconds, check, wire, meta } => {
                out.push(TRANSACTION);
                out.extend_from_slice(&slot.to_le_bytes());
                out.extend_from_slice(&unix_seconds.to_le_bytes());
                out.extend_from_slice(check);
                out.extend_from_slice(&(wire.len() as u32).to_le_bytes());
                out.extend_from_slice(wire);
                out.extend_from_slice(meta);
            }
            Self::Lease { slot, unix_seconds } => {
                out.push(LEASE);
                out.extend_from_slice(&slot.to_le_bytes());
                out.extend_from_slice(&unix_seconds.to_le_bytes());
            }
        }
        out
    }

    pub(crate) fn decode(payload: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = payload.split_first()?;
        let (slot, rest) = rest.split_first_chunk().map(|(slot, rest)| (u64::from_le_bytes(*slot), rest))?;
        let (unix_seconds, rest) = rest.split_first_chunk().map(|(time, rest)| (i64::from_le_bytes(*time), rest))?;
        match kind {
            TRANSACTION => {
                let (check, rest) = rest.split_first_chunk()?;
                let (wire_bytes, rest) = rest.split_first_chunk()?;
                let (wire, meta) = rest.split_at_checked(u32::from_le_bytes(*wire_bytes) as usize)?;
                Some(Self::Transaction { slot, unix_seconds, check: *check, wire, meta })
            }
            LEASE if rest.is_empty() => Some(Self::Lease { slot, unix_seconds }),
            _ => None,
        }
    }
}

/// A hash over what a transaction did: its result, every account that it changed, and the chain of all transactions up to
/// it. A replay that gives the same hash has the same state.
pub(crate) fn check(ledger: &Embedded, execution: &Execution) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(ledger.entropy());
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let error = execution.result.as_ref().err().map(meta::error);
    field(error.map(|error| error.to_string()).unwrap_or_default().as_bytes());
    field(&execution.compute_units.to_le_bytes());
    field(&execution.fee_lamports.to_le_bytes());
    for log in &execution.logs {
        field(log.as_bytes());
    }
    for (address, account) in execution.changes() {
        field(address.as_array());
        let Some(account) = account else { continue };
        field(&account.lamports().to_le_bytes());
        field(account.owner().as_array());
        field(&[u8::from(account.executable())]);
        field(account.data());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_their_encoding_and_no_cut_is_read() {
        let transaction = Record::Transaction { slot: 7, unix_seconds: -1, check: [3; 32], wire: b"wire", meta: b"{}" };
        let lease = Record::Lease { slot: 9, unix_seconds: 12 };
        for record in [transaction, lease] {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes), Some(record));
        }
        let bytes = Record::Lease { slot: 9, unix_seconds: 12 }.encode();
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
        assert_eq!(Record::decode(&[&bytes[..], b"x"].concat()), None);
    }
}

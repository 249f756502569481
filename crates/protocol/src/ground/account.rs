//! What all accounts share: an 8-byte header, a kind, a size, and the seeds of their addresses.

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// The 32 bytes that name an account.
pub type Address = [u8; 32];

/// What an account is: the first byte of its data. 0 is an account that was never initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccountKind {
    /// [`crate::admin::config::Config`]
    Config = 1,
    /// [`crate::stake::pool::Pool`]
    Pool = 2,
    /// [`crate::stake::position::Position`]
    Position = 3,
    /// [`crate::stake::position::Ticket`]
    Ticket = 4,
    /// [`crate::training::data::Dataset`]
    Dataset = 5,
    /// [`crate::training::job::Job`]
    Job = 6,
    /// [`crate::training::round::Round`]
    Round = 7,
    /// [`crate::training::segment::Segment`]
    Segment = 8,
    /// [`crate::court`]
    Dispute = 9,
    /// [`crate::training::evaluation::ScoringRun`]
    ScoringRun = 10,
    /// [`crate::court::accusation::Accusation`]
    Accusation = 11,
    /// [`crate::court::availability::Demand`]
    Demand = 12,
    /// [`crate::money::epoch::EmissionAccount`]
    Emission = 20,
    /// [`crate::money::fees::Fees`]
    Fees = 21,
    /// [`crate::stake::steering::Vote`]
    Vote = 22,
}

impl AccountKind {
    /// Layout version that this crate reads and writes.
    pub const fn version(self) -> u8 {
        match self {
            AccountKind::Config | AccountKind::Pool | AccountKind::Position => 2,
            _ => 1,
        }
    }
}

/// The first 8 bytes of every account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// An [`AccountKind`].
    pub kind: u8,
    /// [`AccountKind::version`].
    pub version: u8,
    /// The canonical bump of the account's address.
    pub bump: u8,
    /// Always 0.
    pub reserved: [u8; 5],
}

impl Header {
    /// The header of a new account.
    pub const fn new(kind: AccountKind, bump: u8) -> Self {
        Header { kind: kind as u8, version: kind.version(), bump, reserved: [0; 5] }
    }
}

/// A protocol account: its bytes are its state.
pub trait Account: Pod {
    /// The kind that its header carries.
    const KIND: AccountKind;
    /// Bytes of the account.
    const SIZE: usize = size_of::<Self>();

    /// The header.
    fn header(&self) -> &Header;

    /// Base units of the vault's balance that this account's state accounts for.
    fn liabilities(&self) -> Result<u64> {
        Ok(0)
    }

    /// The state in the data of an account, wherever the bytes lie.
    fn decode(data: &[u8]) -> Result<Self> {
        if data.len() != Self::SIZE {
            return Err(Error::WrongSize);
        }
        let state: Self = bytemuck::pod_read_unaligned(data);
        check_header(state.header(), Self::KIND)?;
        Ok(state)
    }
}

/// Checks that a header is one of this kind and layout.
#[inline(always)]
pub fn check_header(header: &Header, kind: AccountKind) -> Result<()> {
    if header.kind != kind as u8 {
        return Err(if header.kind == 0 { Error::NotInitialised } else { Error::WrongKind });
    }
    if header.version != kind.version() {
        return Err(Error::WrongVersion);
    }
    Ok(())
}

/// First seed of every address; the further seeds stand beside each account.
pub mod seed {
    /// The one configuration: no further seeds.
    pub const CONFIG: &[u8] = b"config";
    /// The token's mint: no further seeds.
    pub const MINT: &[u8] = b"mint";
    /// The one token account that holds everything: no further seeds.
    pub const VAULT: &[u8] = b"vault";
    /// kind (1 byte), scope (32), index (u32 little endian).
    pub const POOL: &[u8] = b"pool";
    /// pool (32), owner (32).
    pub const POSITION: &[u8] = b"position";
    /// position (32), nonce (u32 little endian).
    pub const TICKET: &[u8] = b"ticket";
    /// train root (32).
    pub const DATASET: &[u8] = b"dataset";
    /// creator (32), nonce (u32 little endian).
    pub const JOB: &[u8] = b"job";
    /// job (32), index (u32 little endian).
    pub const ROUND: &[u8] = b"round";
    /// round (32), trainer pool (32).
    pub const SEGMENT: &[u8] = b"segment";
    /// round (32), evaluator's pool (32).
    pub const RUN: &[u8] = b"run";
    /// See [`crate::court`].
    pub const DISPUTE: &[u8] = b"dispute";
    /// The one emission: no further seeds.
    pub const EMISSION: &[u8] = b"emission";
    /// job (32).
    pub const FEES: &[u8] = b"fees";
    /// position (32).
    pub const VOTE: &[u8] = b"vote";
    /// pool (32): the mint of its liquid shares.
    pub const LIQUID: &[u8] = b"liquid";
    /// challenger (32), hash (32).
    pub const ACCUSATION: &[u8] = b"accusation";
    /// segment or dataset (32), who demands (32), entry and chunk (u32 little endian each).
    pub const DEMAND: &[u8] = b"demand";
}

/// Implements [`Account`] for a Pod struct whose first field is `header: Header`, and asserts its size.
#[macro_export]
macro_rules! account {
    ($type:ty, $kind:ident, $size:expr) => {
        const _: () = assert!(size_of::<$type>() == $size && align_of::<$type>() <= 8);
        impl $crate::Account for $type {
            const KIND: $crate::AccountKind = $crate::AccountKind::$kind;
            fn header(&self) -> &$crate::Header {
                &self.header
            }
        }
    };
    ($type:ty, $kind:ident, $size:expr, liabilities: $liabilities:expr) => {
        const _: () = assert!(size_of::<$type>() == $size && align_of::<$type>() <= 8);
        impl $crate::Account for $type {
            const KIND: $crate::AccountKind = $crate::AccountKind::$kind;
            fn header(&self) -> &$crate::Header {
                &self.header
            }
            fn liabilities(&self) -> $crate::Result<u64> {
                let liabilities: fn(&Self) -> $crate::Result<u64> = $liabilities;
                liabilities(self)
            }
        }
    };
}

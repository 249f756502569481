//! What all accounts share: an 8-byte header, a kind, a size, and the seeds of their addresses.

use bytemuck::{Pod, Zeroable};

use super::layout::{Type, layout};
use crate::{Error, Result};

/// The 32 bytes that name an account.
pub type Address = [u8; 32];

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $byte:literal,)*) => {
        /// What an account is: the first byte of its data. 0 is an account that was never initialised.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum AccountKind {
            $($(#[$doc])* $name = $byte,)*
        }

        impl AccountKind {
            /// All kinds in ascending order of their numbers.
            pub const ALL: &[AccountKind] = &[$(AccountKind::$name,)*];
        }
    };
}

kinds! {
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
    /// [`crate::network::peer::Peer`]
    Peer = 23,
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

layout! {
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

/// How the address of an account of the program follows from seeds.
#[derive(Clone, Copy, Debug)]
pub struct Derivation {
    /// Its name.
    pub name: &'static str,
    /// Its prose.
    pub docs: &'static [&'static str],
    /// The first seed.
    pub first: &'static str,
    /// The further seeds: name, type as the table spells it, type.
    pub seeds: &'static [(&'static str, &'static str, Type)],
}

/// The table of addresses: name, first seed, further seeds in order, numbers little endian. It hands itself to a macro, as the tables of
/// instructions do.
#[macro_export]
macro_rules! derivations {
    ($($reader:tt)*) => { $($reader)*! {
        /// The one configuration.
        config: CONFIG = "config" {}
        /// The token's mint.
        mint: MINT = "mint" {}
        /// The one token account that holds everything.
        vault: VAULT = "vault" {}
        /// The one emission.
        emission: EMISSION = "emission" {}
        /// A pool: its kind, the operator's wallet or the job, and a number.
        pool: POOL = "pool" { kind: u8, scope: Address, index: u32 }
        /// The position of an owner in a pool.
        position: POSITION = "position" { pool: Address, owner: Address }
        /// An exit of a position: how many were there before.
        ticket: TICKET = "ticket" { position: Address, nonce: u32 }
        /// The vote of a position.
        vote: VOTE = "vote" { position: Address }
        /// The mint of a pool's liquid shares.
        share_mint: LIQUID = "liquid" { pool: Address }
        /// A dataset of a provider's pool: the text to train on and what is held out of it.
        dataset: DATASET = "dataset" { pool: Address, train_root: [u8; 32], held_out_root: [u8; 32] }
        /// A job.
        job: JOB = "job" { creator: Address, nonce: u32 }
        /// A round of a job.
        round: ROUND = "round" { job: Address, index: u32 }
        /// A trainer's segment of a round.
        segment: SEGMENT = "segment" { round: Address, pool: Address }
        /// An evaluator's scoring run of a round.
        run: RUN = "run" { round: Address, pool: Address }
        /// An accusation of a wallet by its hash.
        accusation: ACCUSATION = "accusation" { challenger: Address, hash: [u8; 32] }
        /// A demand for a chunk of a segment's entry or, with entry 0, of a dataset.
        demand: DEMAND = "demand" { subject: Address, demander: Address, entry: u32, chunk: u32 }
        /// A dispute on a segment, a scoring run, or the genesis state of a job.
        dispute: DISPUTE = "dispute" { subject: Address, challenger: Address }
        /// A dispute on the claim of the auditor in this place: its vote in a round, or its attestation of a segment.
        auditor_dispute: AUDITOR_DISPUTE = "dispute" { subject: Address, challenger: Address, place: u8 }
        /// The fees of a job.
        fees: FEES = "fees" { job: Address }
        /// Where the operator of a pool, or the creator of a job, is reached.
        peer: PEER = "peer" { subject: Address }
    } };
}

macro_rules! seeds {
    ($($(#[doc = $doc:literal])* $name:ident: $constant:ident = $first:literal { $($seed:ident: $type:ty),* })*) => {
        /// First seed of every address; the further seeds stand in the table of [`derivations`](crate::derivations).
        pub mod seed {
            $($(#[doc = $doc])* pub const $constant: &[u8] = $first.as_bytes();)*
        }

        /// How each address follows from seeds, by name.
        #[allow(non_upper_case_globals)]
        pub mod derivation {
            use super::{Address, Derivation};
            use $crate::ground::layout::Described;

            $($(#[doc = $doc])* pub const $name: Derivation = Derivation {
                name: stringify!($name),
                docs: &[$($doc),*],
                first: $first,
                seeds: &[$((stringify!($seed), stringify!($type), <$type as Described>::TYPE)),*],
            };)*

            /// All of them.
            pub const ALL: &[Derivation] = &[$($name),*];
        }
    };
}

derivations!(seeds);

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

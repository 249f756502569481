//! Accounts, instructions, transitions and errors of the protocol, without any Solana dependency.
//!
//! Every rule is a pure transition: it takes account state and inputs, checks first, and either changes the
//! state or returns an [`Error`] with nothing changed that a caller may keep. The on-chain program is a guard around these
//! functions, the client decodes with the same types, and tests run them natively.
//!
//! Quantities: amounts are `u64` base units (10⁻⁹ token), rates are basis points, times are slots, scores are micro-nats
//! per token. Rounding always favours the pool.
#![cfg_attr(not(test), no_std)]

pub mod accounts;
pub mod admin;
pub mod court;
pub mod ground;
pub mod instructions;
pub mod money;
pub mod network;
pub mod stake;
pub mod training;

/// Version of what programs off chain agree on: how they read the accounts and a manifest, and what they say to each other. A job names the least one
/// with which a program follows it, and a peer the range that it speaks.
pub const PROTOCOL_VERSION: u32 = 1;

pub use ground::account::{Account, AccountKind, Address, Header};
pub use ground::error::{Error, Result};

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
pub mod stake;
pub mod training;

pub use ground::account::{Account, AccountKind, Address, Header};
pub use ground::error::{Error, Result};

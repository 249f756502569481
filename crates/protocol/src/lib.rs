//! Accounts, instructions, transitions and errors of the protocol, without any Solana dependency.
//!
//! Every rule is a pure transition: it takes account state and inputs, checks first, and either changes the
//! state or returns an [`Error`] with nothing changed that a caller may keep. The on-chain program is a guard around these
//! functions, the client decodes with the same types, and tests run them natively.
//!
//! Quantities: amounts are `u64` base units (10⁻⁹ token), rates are basis points, times are slots, scores are micro-nats
//! per token. Rounding always favours the pool.
#![cfg_attr(not(test), no_std)]

pub mod account;
pub mod administration;
pub mod attendance;
pub mod attestation;
pub mod audit;
pub mod case;
pub mod clock;
pub mod cohort;
pub mod config;
pub mod data;
pub mod deployment;
pub mod dispute;
pub mod emission;
pub mod epoch;
pub mod error;
pub mod escrow;
pub mod evaluation;
pub mod fees;
pub mod finality;
pub mod instruction;
pub mod job;
pub mod liquid;
pub mod lock;
pub mod migration;
pub mod mixture;
pub mod money;
pub mod offence;
pub mod penalties;
pub mod pool;
pub mod position;
pub mod quality;
pub mod round;
pub mod schedule;
pub mod seats;
pub mod second_draw;
pub mod segment;
pub mod setting;
pub mod settlement;
pub mod steering;
pub mod token;
pub mod units;
pub mod yield_share;

pub use account::{Account, AccountKind, Address, Header};
pub use error::{Error, Result};

//! What every room stands on: accounts, errors, units, and the values that several rooms share.

pub mod account;
pub mod case;
pub mod clock;
pub mod declare;
pub mod error;
pub mod escrow;
pub mod layout;
pub mod offence;
pub mod schedule;
pub mod spec;
pub mod units;

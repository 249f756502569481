//! The embedded ledger.

#[path = "../common/mod.rs"]
mod common;
mod deploy;
mod embedded;

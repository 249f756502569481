//! The local chain, as wallets and clients see it, and through power cuts.

mod agave;
#[path = "../common/mod.rs"]
mod common;
mod crash;
mod ledger;
mod questions;
mod rpc;
mod websocket;

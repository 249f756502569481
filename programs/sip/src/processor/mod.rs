//! One file per instruction: load and relate the accounts, apply the rule, move the tokens.
//!
//! Each file implements the specification on the arguments' struct in `sip_protocol::instructions`.

pub mod audit;
pub mod config;
pub mod data;
pub mod dispute;
pub mod evaluation;
pub mod finality;
pub mod job;
pub mod money;
pub mod round;
pub mod settlement;
pub mod stake;

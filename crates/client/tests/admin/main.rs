//! Who governs what, and when it binds, on the compiled program.

#[path = "../shared/accuser.rs"]
mod accuser;
mod administration;
mod config;
mod deployment;
mod frozen_rules;
mod parameters;
mod token;

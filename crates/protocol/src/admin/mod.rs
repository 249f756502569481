//! The configuration: parameters, proposals, pause, vesting, how penalties are charged, and migration.

pub mod administration;
pub mod config;
pub mod deployment;
pub mod instructions;
pub mod migration;
pub mod penalties;

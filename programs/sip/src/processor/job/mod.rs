//! Jobs.

pub mod create_job;
pub mod join_job;
pub mod reclaim_genesis_bond;

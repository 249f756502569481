//! Jobs.

pub mod create_job;
pub mod join_job;

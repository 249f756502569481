//! Jobs.

pub mod allot_stake;
pub mod check_seat;
pub mod create_job;
pub mod join_job;
pub mod leave_job;
pub mod reclaim_genesis_bond;

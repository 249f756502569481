//! Pools, positions, exits, locks, steering and liquid shares.

pub mod cohort;
pub mod instructions;
pub mod liquid;
pub mod lock;
pub mod pool;
pub mod position;
pub mod session;
pub mod steering;
pub mod yield_share;

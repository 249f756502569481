//! The configuration and the genesis.

pub mod distribute;
pub mod initialize;
pub mod set_parameters;

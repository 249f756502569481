//! Emission, fees, and accounts of older layouts.

pub mod burn_condemned;
pub mod migrate_account;
pub mod pay_fee;
pub mod settle_fees;
pub mod settle_yield;
pub mod turn_epoch;

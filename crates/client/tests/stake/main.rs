//! Pools, positions, exits and pay, on the compiled program.

mod pay;
mod stake;

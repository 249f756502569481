//! Pools, positions, exits and pay, on the compiled program.

mod counted;
mod patrons;
mod pay;
mod stake;

//! Frauds and attacks by chance, on the compiled program.
#![allow(dead_code, reason = "not every test file asks for everything")]

pub(crate) mod fraud;
pub(crate) mod graph;
pub(crate) mod lazy;
pub(crate) mod players;
pub(crate) mod stage;
pub(crate) mod story;

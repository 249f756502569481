//! A Solana virtual machine in this process.
//!
//! [`Embedded`] runs the compiled program and the SPL token program, and keeps its accounts across restarts in a
//! [snapshot](Embedded::snapshot). It is deterministic: nothing in it comes from the clock on the wall or from chance, so the same
//! transactions give the same state, signatures included.

mod embedded;
mod execution;
mod features;
mod nonce;
mod precompiles;
mod snapshot;

pub use embedded::{Embedded, FIRST_SLOT, Genesis};
pub use execution::{Execution, Simulation};
pub use features::{Features, feature_set};

/// The committed binary of the program on chain, which `programs/sip/build` writes.
pub const PROGRAM_ELF: &[u8] = include_bytes!("../../../programs/sip/sip.so");

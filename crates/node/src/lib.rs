//! The roles, without a ledger, a network or a clock: what a trainer, an auditor and the two sides of a dispute compute.
//! Who talks to the ledger, and when, is the binary's business.
//!
//! | role | computes |
//! |---|---|
//! | trainer | [`Worker::train`]: a segment's leaves and its last state, from the round's base |
//! | auditor | [`Worker::audit`]: the same again, compared leaf by leaf, and a digest that proves it |
//! | anyone | [`aggregate`]: the next base from the accepted segments |
//! | both sides of a dispute | [`dispute`]: the next move, from a [`Replay`] |
//! | who committed something | [`availability`]: the opening that answers a demand for it |
//!
//! [`Cheat`] stages the frauds that the protocol must survive.

mod aggregate;
pub mod availability;
mod cheat;
pub mod dispute;
mod replay;
mod state;
mod task;
mod worker;

pub use aggregate::{AggregateError, aggregate};
pub use cheat::Cheat;
pub use replay::Replay;
pub use state::{State, StateError};
pub use task::{Segment, SegmentTask, Task, WorkError};
pub use worker::{Audit, Divergence, Times, Trace, Worker};

//! What roles compute, without a ledger, a network or a clock: a trainer, an auditor and the two sides of a dispute.
//! Who does it when is decided in `sip-roles`.
//!
//! | role | computes |
//! |---|---|
//! | trainer | [`Worker::train`]: a segment's leaves and its last state, from the round's base |
//! | auditor | [`Worker::audit`]: the same again, compared leaf by leaf, and the trace root that attests it |
//! | evaluator | [`Worker::train`] of [`Task::scoring`]: the sums that a score follows from, as a segment |
//! | anyone | [`aggregate`]: the next base from the accepted segments |
//! | trainer and auditor of a job with compressed updates | [`Updates`]: the state that a segment starts from, and its update |
//! | both sides of a dispute | [`dispute`]: the next move, from a [`Replay`] of a segment or the [`Computation`] of an aggregate or a genesis state |
//! | who committed something | [`availability`]: the opening that answers a demand for it |
//!
//! [`Cheat`] stages the frauds that the protocol must survive.

mod aggregate;
pub mod availability;
mod cheat;
mod computation;
mod cost;
pub mod dispute;
mod replay;
pub mod scoring;
mod state;
mod task;
mod trace;
mod updates;
mod worker;

pub use aggregate::{AggregateError, Aggregates, aggregate};
pub use cheat::Cheat;
pub use computation::{Computation, compute};
pub use cost::{AUDIT_SHARE_MAX, COMMITMENT_SHARE_MAX, Cost};
pub use replay::Replay;
pub use state::{State, StateError};
pub use task::{Segment, SegmentTask, Task, WorkError};
pub use trace::{Keep, Trace};
pub use updates::{Updates, UpdatesError};
pub use worker::{Audit, Checkpoints, Divergence, Pause, Replayed, Times, Watch, Worker};

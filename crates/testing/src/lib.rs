//! What tests of several crates share. It panics where a test would fail, and everything in it but a line is deterministic.
//!
//! [`Random`] is chance that can be repeated. [`line::Line`] is a line between two machines that is far, loses packets, is thin or cut. With the feature `work` there are small jobs whose segments, updates, scores and genesis
//! states are run honestly or with one lie: [`synthetic`], [`compressed`], [`staged`]. With the feature `chain` there is [`World`], a ledger with the compiled
//! program, the initialised configuration and funded wallets, which checks after every transaction that no unit of value was created or
//! lost, and [`Scene`], a job on it with trainers, auditors, evaluators, data providers and one patron per domain, whose steps can be
//! taken one by one. A crate's tests ask for no more than they use.

#[cfg(feature = "chain")]
mod cast;
#[cfg(feature = "work")]
pub mod compressed;
#[cfg(feature = "chain")]
mod course;
pub mod line;
#[cfg(feature = "chain")]
mod money;
#[cfg(feature = "work")]
pub mod nodes;
mod random;
#[cfg(feature = "chain")]
mod round;
#[cfg(feature = "chain")]
mod scene;
#[cfg(feature = "work")]
pub mod staged;
#[cfg(feature = "work")]
pub mod synthetic;
#[cfg(feature = "chain")]
mod world;

#[cfg(feature = "chain")]
pub use cast::{Cast, PARAMETERS, ROUND_REWARD, SCHEDULE, SLICE, SLICE_TOKENS, dataset, scores};
pub use random::Random;
#[cfg(feature = "chain")]
pub use scene::Scene;
#[cfg(feature = "chain")]
pub use world::{BOND_TOKENS, Operator, WALLET_TOKENS, World, card, named};

//! What audits and stake deter, by formula and by the protocol's own transitions.

mod formulas;
mod odds;
pub mod told;
mod trials;

pub use formulas::{Setting, replays, survival};
pub use odds::ODDS_SEED;
pub use trials::{Measured, Outcome, Survivors, run, survivors, threshold};

//! Rounds and segments.

pub mod close_commits;
pub mod close_round;
pub mod commit_segment;
pub mod open_round;
pub mod previous;
pub mod void_round;

//! Rounds and segments.

pub mod close_commits;
pub mod close_round;
pub mod commit_segment;
pub mod open_round;
pub mod void_round;

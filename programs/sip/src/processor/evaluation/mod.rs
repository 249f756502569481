//! Scores of evaluators.

pub mod commit_score;
pub mod reveal_score;
pub mod tally;

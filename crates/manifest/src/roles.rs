//! What those who take part are called.

/// Trains segments.
pub const TRAINER: &str = "trainer";
/// Replays them.
pub const AUDITOR: &str = "auditor";
/// Scores bases.
pub const EVALUATOR: &str = "evaluator";
/// Registers datasets.
pub const PROVIDER: &str = "data provider";
/// Stakes attention.
pub const PATRON: &str = "patron";
/// Opens jobs.
pub const CREATOR: &str = "creator";

//! Who is paid for a scored round.

pub mod settle_absent;
pub mod settle_audit;
pub mod settle_data;
pub mod settle_evaluation;
pub mod settle_patrons;
pub mod settle_segment;

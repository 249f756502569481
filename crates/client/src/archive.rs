//! What archives are checked against: accounts of old rounds close, and the job keeps a hash over all that became final.

use sip_proof::HostSha256;
use sip_protocol::training::{
    closing::history,
    finality::NO_ROUND,
    job::Job,
    round::{FINAL, Round},
};
use std::fmt;

/// Why rounds are not a job's final ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryError {
    /// So many rounds are final, and so many are here.
    Count {
        /// Final rounds of the job.
        expected: u32,
        /// Rounds given.
        given: u32,
    },
    /// The round of this number, from 0, is not final, or does not build on the one before it.
    Order {
        /// Its index in the job.
        index: u32,
    },
    /// One of them, or their order, is not what became final.
    Hash,
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Count { expected, given } => {
                write!(f, "{expected} rounds of the job are final, and {given} are here; get the others")
            }
            HistoryError::Order { index } => {
                write!(f, "round {} is not final, or does not build on the one before it", index + 1)
            }
            HistoryError::Hash => {
                f.write_str("the rounds are not those that became final: their hash is not the job's history")
            }
        }
    }
}

impl std::error::Error for HistoryError {}

/// Checks that these are all final rounds of a job, from its first one on, as they became final: whatever they say that
/// [`history`] hashes is what was decided, wherever the copies come from.
///
/// # Errors
/// Which round is missing or out of order, as far as that can be told; else that one was changed.
pub fn check_history(job: &Job, rounds: &[Round]) -> Result<(), HistoryError> {
    let expected = job.chain.final_count;
    if rounds.len() != expected as usize {
        return Err(HistoryError::Count { expected, given: rounds.len() as u32 });
    }
    let (mut found, mut parent) = ([0; 32], NO_ROUND);
    for round in rounds {
        if round.status != FINAL || round.parent != parent {
            return Err(HistoryError::Order { index: round.index });
        }
        found = history::<HostSha256>(&found, round);
        parent = round.index;
    }
    if found == job.history { Ok(()) } else { Err(HistoryError::Hash) }
}

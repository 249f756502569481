//! What can be accused, and by which names.

use serde::Serialize;
use std::fmt;

/// A claim that somebody answers for with stake. Rounds count from 0, and so do places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "claim", rename_all = "kebab-case")]
pub(crate) enum Claim {
    /// The creator's genesis state.
    Genesis,
    /// A trainer's segment.
    Segment { round: u32, place: u8 },
    /// An evaluator's scoring run.
    Run { round: u32, place: u8 },
    /// An auditor's vote for the next base.
    Vote { round: u32, place: u8 },
    /// An auditor's attestation of the segment of the trainer in this place.
    Attestation { round: u32, place: u8, auditor: u8 },
}

impl Claim {
    /// Its name among files.
    pub(super) fn file(&self) -> String {
        match self {
            Claim::Genesis => "genesis".into(),
            Claim::Segment { round, place } => format!("round-{round}-segment-{place}"),
            Claim::Run { round, place } => format!("round-{round}-run-{place}"),
            Claim::Vote { round, place } => format!("round-{round}-vote-{place}"),
            Claim::Attestation { round, place, auditor } => format!("round-{round}-attestation-{place}-{auditor}"),
        }
    }
}

impl fmt::Display for Claim {
    /// As people count: from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |place: &u8| u32::from(*place) + 1;
        match self {
            Claim::Genesis => write!(f, "the genesis state"),
            Claim::Segment { round, place } => write!(f, "round {}, trainer {}: the segment", round + 1, one(place)),
            Claim::Run { round, place } => write!(f, "round {}, evaluator {}: the scoring run", round + 1, one(place)),
            Claim::Vote { round, place } => {
                write!(f, "round {}, auditor {}: the vote for the next base", round + 1, one(place))
            }
            Claim::Attestation { round, place, auditor } => {
                let (auditor, trainer) = (one(auditor), one(place));
                write!(f, "round {}, auditor {auditor}: the attestation of trainer {trainer}", round + 1)
            }
        }
    }
}

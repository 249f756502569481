//! What can be accused, and by which names.

use serde::{Deserialize, Serialize};
use sip_protocol::ground::case::CaseKind;
use std::fmt;

/// A claim that somebody answers for with stake. Rounds count from 0, and so do places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "claim", rename_all = "kebab-case")]
pub enum Claim {
    /// The creator's genesis state.
    Genesis,
    /// A trainer's segment.
    Segment {
        /// The round.
        round: u32,
        /// The trainer's place.
        place: u8,
    },
    /// An evaluator's scoring run.
    Run {
        /// The round.
        round: u32,
        /// The evaluator's place.
        place: u8,
    },
    /// An auditor's vote for the next base.
    Vote {
        /// The round.
        round: u32,
        /// The auditor's place.
        place: u8,
    },
    /// An auditor's attestation of the segment of the trainer in this place.
    Attestation {
        /// The round.
        round: u32,
        /// The trainer's place.
        place: u8,
        /// The auditor's place.
        auditor: u8,
    },
}

impl Claim {
    /// Its name among files.
    pub fn file(&self) -> String {
        match self {
            Claim::Genesis => "genesis".into(),
            Claim::Segment { round, place } => format!("round-{round}-segment-{place}"),
            Claim::Run { round, place } => format!("round-{round}-run-{place}"),
            Claim::Vote { round, place } => format!("round-{round}-vote-{place}"),
            Claim::Attestation { round, place, auditor } => format!("round-{round}-attestation-{place}-{auditor}"),
        }
    }
}

impl Claim {
    /// The claim of a name among files.
    pub fn named(name: &str) -> Option<Claim> {
        if name == "genesis" {
            return Some(Claim::Genesis);
        }
        let parts: Vec<&str> = name.split('-').collect();
        let claim = match parts[..] {
            ["round", round, kind, place] => {
                let (round, place) = (round.parse().ok()?, place.parse().ok()?);
                match kind {
                    "segment" => Claim::Segment { round, place },
                    "run" => Claim::Run { round, place },
                    "vote" => Claim::Vote { round, place },
                    _ => return None,
                }
            }
            ["round", round, "attestation", place, auditor] => Claim::Attestation {
                round: round.parse().ok()?,
                place: place.parse().ok()?,
                auditor: auditor.parse().ok()?,
            },
            _ => return None,
        };
        // No other spelling of it.
        (claim.file() == name).then_some(claim)
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

/// The part of a segment with compressed updates that is false, where it is not the steps between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The state that it starts from.
    Start,
    /// The update that it hands over.
    Update,
}

impl Part {
    /// The case by which it is accused.
    pub fn case(self) -> CaseKind {
        match self {
            Part::Start => CaseKind::Start,
            Part::Update => CaseKind::Update,
        }
    }
}

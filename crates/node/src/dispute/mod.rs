//! Both sides of a dispute, without input or output: from the position on chain and what a replay yields, the next move.
//!
//! A [`Defender`] opens whatever its [`Evidence`] holds, true or not; a [`Challenger`] compares what was opened with its
//! own replay and points at the first difference. Neither keeps anything that the position on chain does not tell, so
//! either can be stopped and started again at any move.

mod challenger;
mod defender;
mod evidence;

pub use challenger::Challenger;
pub use defender::Defender;
pub use evidence::{Evidence, FaultPlace, GraphEvidence, StepRoots};

use sip_protocol::court::MoveKind;

/// A move to play: its kind and its payload as [`MoveKind`] describes it. Payloads longer than one transaction are uploaded
/// in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which move.
    pub kind: MoveKind,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Move {
    /// A move.
    pub fn new(kind: MoveKind, payload: Vec<u8>) -> Move {
        Move { kind, payload }
    }

    /// The move that points at one of what was opened.
    pub fn pick(index: u32) -> Move {
        Move::new(MoveKind::Pick, index.to_le_bytes().to_vec())
    }
}

/// Why there is no next move.
#[derive(Debug, thiserror::Error)]
pub enum DisputeError<E> {
    /// The evidence could not be produced.
    #[error("the replay of what is disputed failed: {0}")]
    Evidence(E),
    /// The evidence does not cover what the dispute is about.
    #[error("the evidence has no {0}; give the replay of what is disputed")]
    Missing(&'static str),
    /// The position is none of the game's.
    #[error("the dispute's account cannot be read: {0}")]
    Position(sip_protocol::Error),
}

fn missing<T, E>(part: Option<T>, what: &'static str) -> Result<T, DisputeError<E>> {
    part.ok_or(DisputeError::Missing(what))
}

//! Disputes: who lied about the outcome of a graph, found by bisection and computed at the bottom.
//!
//! The claims are a trainer's segment, its start state and its update, an evaluator's scoring run, an auditor's vote for the next base and
//! its attestation, and a creator's genesis state ([`CaseKind`]); the game is one. As it goes for a segment: the trainer opens what it
//! committed, level by level, and the challenger points at the first thing that is false:
//! leaf → step → node of the graph → chunk of its output → element → piece of the element's chain. At the bottom the
//! trainer posts the operand values of at most 256 terms and the chain is run here; if it gives what the trainer claims,
//! the challenger opens one value that is false. Claims are single-sided: the trainer's are pinned, what the challenger
//! believes is never said, only used. Each side has one clock for all its moves
//! ([`crate::ground::clock`]); silence loses.
//!
//! Invariants: the trace root is set once; a move only ever narrows the place; the side on move has the only right to
//! write the buffer; an outcome never changes.

pub mod accusation;
pub mod availability;
mod bounty;
mod challenger;
mod claims;
mod dispute;
mod game;
mod ground;
pub mod instructions;
mod phase;
mod run;
mod trainer;

pub use crate::ground::case::CaseKind;
pub use challenger::OperandPlace;
pub use claims::{Accuser, AttestationCase, AuditorVerdict, VoteCase, overturn_base};
pub use dispute::{Case, Dispute, Payout, Play, Verdict};
pub use game::{Game, MAX_NODE, MAX_PAYLOAD, MAX_PINNED, MAX_TRACE_PATH, Turn};
pub use ground::{Ground, MAX_BASES, StateInput};
pub use phase::{MoveKind, Outcome, Phase, Side};
pub use run::{RunCase, RunVerdict};

/// Most pieces of a chain.
pub const MAX_PIECES: u32 = 256;

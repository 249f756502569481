//! Disputes: who lied about a segment, found by bisection and computed at the bottom.
//!
//! The trainer opens what it committed, level by level, and the challenger points at the first thing that is false:
//! leaf → step → node of the graph → chunk of its output → element → piece of the element's chain. At the bottom the
//! trainer posts the operand values of at most 256 terms and the chain is run here; if it gives what the trainer claims,
//! the challenger opens one value that is false. Claims are single-sided: the trainer's are pinned, what the challenger
//! holds for true is never said, only used. Each side has one clock for all its moves; silence loses.
//!
//! Invariants: the trace root is set once; a move only ever narrows the place; whoever is on move has the only right to
//! write the buffer; an outcome never changes.

mod account;
mod challenger;
mod game;
mod ground;
pub mod instruction;
mod phase;
mod trainer;

pub use account::{Case, Dispute, Payout, Play, Verdict};
pub use challenger::OperandPlace;
pub use game::{Game, MAX_NODE, MAX_PAYLOAD, MAX_PINNED, MAX_TRACE_PATH, Turn};
pub use ground::Ground;
pub use phase::{MoveKind, Outcome, Phase, Side};

/// Most pieces of a chain.
pub const MAX_PIECES: u32 = 256;

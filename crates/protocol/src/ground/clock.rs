//! The clocks of a dispute: how long each side may think, and how long a dispute lasts at most.
//!
//! Each side begins with one clock for all its moves, as long as an audit at least, so that a watcher who replays has the time that auditors have.
//! A move that was taken gives its side [`MOVE_SLOTS`] back, never more than it began with: who answers at once keeps its whole clock. A
//! game has at most [`MAX_MOVES`] moves, which bounds how long a claim can be in dispute.

/// What a move gives back to the clock of the side that played it.
pub const MOVE_SLOTS: u64 = 100;
/// Most moves of a game of any kind, over the largest job that there can be.
pub const MAX_MOVES: u64 = 36;

/// Slots after which a dispute has ended whose clocks begin with so many.
pub fn longest_dispute_slots(clock_slots: u64) -> u64 {
    clock_slots + clock_slots + MAX_MOVES * MOVE_SLOTS
}

/// Slots from a dispute's opening in which the defendant's session key does not move, where clocks begin with so many: it replays meanwhile.
pub const fn session_waits_slots(clock_slots: u64) -> u64 {
    clock_slots / 2
}

/// A clock after a move that was taken; both began with `full_slots`.
pub fn after_move(clock_slots: u64, full_slots: u64) -> u64 {
    clock_slots.saturating_add(MOVE_SLOTS).min(full_slots)
}

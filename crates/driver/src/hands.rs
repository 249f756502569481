//! Who computes and fetches for a driver: at once, or on threads of its own while the driver goes on.

use anyhow::Result;
use sip_roles::{Event, Fact, Shelf, Work};

use crate::bench::Position;
use crate::states::{Root, States, Wanted};

/// What became of looking for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is here.
    Whole,
    /// Nobody has it, at present.
    Missing,
    /// It is being fetched.
    Awaited,
}

/// Who computes and fetches.
pub trait Hands {
    /// Computes something, with what is to be said of it; nothing where it is under way, and comes later.
    ///
    /// # Errors
    /// Where it cannot be computed, or was asked to stop.
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<Option<(Fact, Option<Event>)>>;

    /// Looks for a state.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn fetch(&mut self, wanted: Wanted) -> Result<Found>;

    /// Hands a state out.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn hand_out(&mut self, root: Root) -> Result<()>;

    /// Where states lie.
    fn states(&self) -> &dyn States;

    /// Notes in a shelf what is being fetched, and what nobody had a moment ago.
    fn note(&self, shelf: &mut Shelf) {
        let _ = shelf;
    }
}

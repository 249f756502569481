//! What computes: a job's graphs on this machine, with the states that they take, and without a chain.

use anyhow::Result;
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_node::{Pause, State};
use sip_roles::{Event, Fact, Known, View, Work};
use solana_address::Address;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::hands::{Found, Hands};
use crate::players::Player;
use crate::states::{Root, States, Wanted};
use crate::{Record, Source};

/// The chain as it stands, and what is known.
#[derive(Clone, Copy)]
pub struct Position<'a> {
    /// The chain.
    pub view: &'a View,
    /// What was computed and found.
    pub known: &'a Known,
}

/// What computes for a [`Crew`](crate::Crew), on one thread.
pub trait Compute {
    /// Computes something, with what is to be said of it.
    ///
    /// # Errors
    /// Where it cannot be computed, or was asked to stop.
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<(Fact, Option<Event>)>;

    /// Lets go of all that was under way, which a panic may have left half done.
    fn begin_anew(&mut self);
}

impl Compute for Bench {
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<(Fact, Option<Event>)> {
        Bench::compute(self, at, work)
    }

    fn begin_anew(&mut self) {
        self.players.clear();
        self.paused.clear();
    }
}

/// A machine with what a job computes with.
pub struct Bench {
    /// What the job computes with.
    pub source: Arc<Source>,
    /// On what it is computed.
    pub machine: Machine,
    /// Where pauses are kept.
    pub record: Record,
    /// Where states lie.
    pub states: Arc<dyn States>,
    /// Whether computing is to stop.
    pub stop: Stop,
    /// Sides of disputes that run, by the dispute's address.
    pub(crate) players: BTreeMap<Address, Player>,
    /// What was stopped and could not be kept on disk, by its slot there: what it follows from, and how far it is.
    pub(crate) paused: BTreeMap<&'static str, (String, Pause)>,
}

impl Bench {
    /// A machine for a job.
    pub fn new(source: Arc<Source>, machine: Machine, record: Record, states: Arc<dyn States>, stop: Stop) -> Bench {
        Bench { source, machine, record, states, stop, players: BTreeMap::new(), paused: BTreeMap::new() }
    }

    /// A state by its root, if it is here.
    pub(crate) fn state(&self, root: &Root) -> Result<Option<Arc<State>>> {
        match self.source.given().find(|state| state.root() == *root) {
            Some(given) => Ok(Some(Arc::clone(given))),
            None => self.states.load(root, &self.machine.threads),
        }
    }
}

/// All at once, in the caller's thread.
impl Hands for Bench {
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<Option<(Fact, Option<Event>)>> {
        Bench::compute(self, at, work).map(Some)
    }

    fn fetch(&mut self, wanted: Wanted) -> Result<Found> {
        let is_whole = self.states.fetch(&wanted, &self.machine.threads, &AtomicBool::new(false))?;
        Ok(if is_whole { Found::Whole } else { Found::Missing })
    }

    fn hand_out(&mut self, root: Root) -> Result<()> {
        self.states.hand_out(&root, &self.machine.threads)
    }

    fn states(&self) -> &dyn States {
        &*self.states
    }
}

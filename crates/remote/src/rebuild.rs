//! A base that nobody holds any more, computed from what the round's segments handed over, as auditors compute it.

use anyhow::{Context, Result, ensure};
use sip_manifest::machine::Machine;
use sip_manifest::value::{Manifest, Part};
use sip_node::{State, compute};
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::{Job, MAX_TRAINERS, bit};
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use solana_address::Address;
use std::sync::Arc;

use super::Remote;
use super::supply::{Supply, Wanted};

/// What bases are fetched and computed with.
pub(crate) struct Bases<'a> {
    pub remote: &'a Remote,
    pub job: &'a Job,
    pub manifest: &'a Manifest,
    pub machine: &'a Machine,
    pub supply: &'a mut Supply,
}

/// Who should have a base, and commands where nobody has it.
pub(crate) type Remedy<'a> = (&'a str, &'a [String]);

impl Bases<'_> {
    /// The base that a round ended with, and whether it was computed here because nobody had it.
    pub(crate) fn of(&mut self, round: &Round, remedy: Remedy<'_>) -> Result<(Arc<State>, bool)> {
        let what = format!("the model of round {}", round.index + 1);
        let voters: Vec<[u8; 32]> =
            round.auditors.iter().filter(|seat| seat.vote == round.next_base).map(|seat| seat.pool).collect();
        let missing = match self
            .fetched(&Wanted { what: &what, remedy: remedy.0, commands: remedy.1, likely: &voters }, &round.next_base)
        {
            Ok(state) => return Ok((state, false)),
            Err(error) => error,
        };
        // What went wrong first says what to do.
        match self.computed(round, remedy) {
            Ok(state) => Ok((state, true)),
            Err(_) => Err(missing),
        }
    }

    /// A base, from the shelf or from people.
    pub(crate) fn fetched(&mut self, wanted: &Wanted<'_>, root: &[u8; 32]) -> Result<Arc<State>> {
        self.supply.state(*wanted, root, &self.manifest.base_lengths()?, &self.machine.threads)
    }

    fn computed(&mut self, round: &Round, remedy: Remedy<'_>) -> Result<Arc<State>> {
        let number = round.index + 1;
        let results = self.results(round)?;
        let base = match self.manifest.is_compressed() {
            false => None,
            true if round.parent == NO_ROUND => Some(self.genesis(remedy)?),
            true => {
                let address = self.remote.program.round(&self.remote.job, round.parent);
                let parent = self.remote.find::<Round>(&address)?.context("an earlier round is closed on chain")?;
                Some(self.of(&parent, remedy)?.0)
            }
        };
        let next = self.manifest.next_base(base.as_ref(), &results, self.machine)?;
        ensure!(
            next.root() == round.next_base,
            "what the trainers of round {number} handed over does not give the base that was voted for"
        );
        self.supply.keep(&next)?;
        Ok(next)
    }

    /// What the accepted segments of a round handed over, in order of place.
    fn results(&mut self, round: &Round) -> Result<Vec<Arc<State>>> {
        let (spec, address) = (&self.job.spec, self.remote.program.round(&self.remote.job, round.index));
        let lengths = self.manifest.result_lengths()?;
        let mut results = Vec::new();
        for place in (0..MAX_TRAINERS as u8).filter(|place| round.accepted & bit(*place) != 0) {
            let pool = round.trainers[usize::from(place)];
            let account = self.remote.program.segment(&address, &Address::new_from_array(pool));
            let segment = self.remote.find::<Segment>(&account)?.context("a segment is closed on chain")?;
            let what = format!("what trainer {} handed over in round {}", u32::from(place) + 1, round.index + 1);
            let wanted = Wanted { what: &what, remedy: "its trainer has it", commands: &[], likely: &[pool] };
            let root = segment.claim.result_root(spec);
            results.push(self.supply.state(wanted, root, &lengths, &self.machine.threads)?);
        }
        Ok(results)
    }

    /// The state that the job starts from, by its graph where it has one.
    fn genesis(&mut self, remedy: Remedy<'_>) -> Result<Arc<State>> {
        if self.manifest.graphs.contains_key(&Part::Genesis) {
            let graph = Arc::new(self.manifest.graph(Part::Genesis)?);
            return Ok(Arc::new(compute(&graph, &[], &self.machine.threads, self.machine.simd)?));
        }
        let wanted =
            Wanted { what: "the state that the job starts from", remedy: remedy.0, commands: remedy.1, likely: &[] };
        self.fetched(&wanted, &self.manifest.genesis_root)
    }
}

//! Demanding, on chain, what somebody committed and did not publish: the end states of segments.
//!
//! One chunk is demanded of each, drawn by the key, so that nobody who deleted a part knows which one to keep. An answer shows that the
//! chunk is there; silence is a conviction.

use sip_client::StateDemand;
use sip_proof::blake3::CHUNK_BYTES;
use sip_protocol::court::availability::{ANSWERED, Demand, OPEN};
use sip_protocol::training::round;
use sip_protocol::training::segment;
use solana_address::Address;

use crate::node::{Me, Step};
use crate::view::{Seen, Stands};
use crate::{Action, Asked, Claim, Event, Fact};

/// What follows from a demand and how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDemand {
    /// Nothing, now or ever.
    Nothing,
    /// It is over, and its account can be closed.
    Close {
        /// Whether it was answered.
        answered: bool,
    },
    /// Nobody answered in time.
    Fail,
}

/// What follows from a demand in a slot.
pub fn after_demand(demand: &Demand, slot: u64) -> AfterDemand {
    match demand.status {
        OPEN if slot > demand.deadline_slot => AfterDemand::Fail,
        OPEN => AfterDemand::Nothing,
        status => AfterDemand::Close { answered: status == ANSWERED },
    }
}

impl Me {
    /// A number below a bound that nobody without the key foresees.
    pub fn drawn(&self, subject: &Address, purpose: &[u8], below: u32) -> u32 {
        let hash = self.derived(b"sip.demand.1", &[subject.as_array(), purpose]);
        let word = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
        word % below.max(1)
    }
}

/// The name of a demand among files.
fn name(seen: &Seen, stands: &Stands) -> String {
    format!("round-{}-demand-{}", seen.index(), stands.place)
}

impl Step<'_> {
    /// What is needed of a segment and not there, since it cannot be replayed, or is not to be: what it hands over, or else the update
    /// that it goes on from, whose entries follow those of its own. Gives the number of the first entry.
    fn withheld(&self, seen: &Seen, stands: &Stands) -> Option<u32> {
        let committed = &stands.state;
        let can_be_asked = seen.round.status != round::OPEN
            && seen.round.require_challengeable(self.view.slot).is_ok()
            && committed.status != segment::CONVICTED
            && !self.view.is_for(&self.wallet(), &committed.operator, &committed.pool);
        let claim = Claim::Segment { round: seen.index(), place: stands.place };
        if !can_be_asked || self.found(claim).is_some() || self.is_doubtful(seen) {
            return None;
        }
        let (result, previous) = (committed.claim.result_root(&self.view.job.spec), &committed.claim.previous_root);
        if [&seen.round.base_root, result, previous].iter().any(|root| self.shelf.awaited.contains(*root)) {
            return None;
        }
        let is_ours = self.knows(&seen.round.base_root) && !self.is_left_to_others(seen, stands);
        let spec = &self.view.job.spec;
        let knows_previous = self.knows_previous(stands);
        let knows_result = is_ours && knows_previous || self.knows(committed.claim.result_root(spec));
        match (is_ours, knows_previous, knows_result) {
            (true, true, _) | (false, _, true) => None,
            (_, _, false) => Some(0),
            (true, false, true) => Some(spec.entries_of_result()),
        }
    }

    /// Whether the operator replays only what it draws, and this is not among it: nor is it by somebody who was convicted, whose
    /// whole past is opened as far as it can be accused.
    pub(crate) fn is_left_to_others(&self, seen: &Seen, stands: &Stands) -> bool {
        let Some(seat) = self.auditor_seat().filter(|_| self.node.roles.is_drawn_only) else { return false };
        seen.has_revealed(seat.place) && !self.draws(seen, stands) && !self.is_suspect(seen, stands)
    }

    /// Whether a segment that can still be accused, and was not convicted, is by somebody who was convicted, or of whom we have found another one false.
    pub(crate) fn is_suspect(&self, seen: &Seen, stands: &Stands) -> bool {
        let operator = &stands.state.operator;
        let found_false = || {
            self.view.rounds.iter().any(|other| {
                let theirs = other.segments.iter().filter(|segment| segment.state.operator == *operator);
                let mut claims = theirs.map(|segment| Claim::Segment { round: other.index(), place: segment.place });
                claims.any(|claim| self.is_false(claim))
            })
        };
        let is_open = seen.is_segment_open(stands, self.view.slot);
        is_open && stands.state.status != segment::CONVICTED && (self.view.has_convicted(operator) || found_false())
    }

    /// Whether a demand of ours on a round's segments runs.
    pub(crate) fn has_demands(&self, seen: &Seen) -> bool {
        let runs = |stands: &Stands| self.asked(&name(seen, stands)).is_some_and(|asked| !asked.ended);
        seen.segments.iter().any(runs)
    }

    /// The account of our demand for what a segment hands over, if there was one.
    pub(crate) fn asked_address(&self, seen: &Seen, stands: &Stands) -> Option<Address> {
        let asked = self.asked(&name(seen, stands))?;
        Some(self.program().demand(&stands.address, &self.wallet(), asked.entry, asked.chunk))
    }

    /// What there is to do about ends of segments that are withheld. Only who judges needs them.
    pub(crate) fn demands(&self) {
        for seen in &self.view.rounds {
            for stands in &seen.segments {
                self.demand(seen, stands);
            }
        }
    }

    /// Which chunk to ask for of a segment that withholds something.
    fn choose(&self, seen: &Seen, stands: &Stands) -> Option<Asked> {
        let first = if self.node.roles.watchtower { self.withheld(seen, stands)? } else { return None };
        let lengths = &self.terms.result_lengths;
        let entry = self.me().drawn(&stands.address, b"entry", lengths.len() as u32);
        let bytes = lengths.get(entry as usize).map_or(0, |elements| elements * 4);
        let chunk = self.me().drawn(&stands.address, b"chunk", bytes.div_ceil(CHUNK_BYTES) as u32);
        Some(Asked { entry: first + entry, chunk, ended: false })
    }

    fn demand(&self, seen: &Seen, stands: &Stands) {
        let name = name(seen, stands);
        let keep = |asked: Asked| self.keep(Fact::Asked { name: name.clone(), asked });
        let asked = match self.asked(&name) {
            Some(asked) => asked,
            None => {
                let Some(asked) = self.choose(seen, stands) else { return };
                keep(asked);
                asked
            }
        };
        let wallet = self.wallet();
        let address = self.program().demand(&stands.address, &wallet, asked.entry, asked.chunk);
        let pool = Address::new_from_array(stands.state.pool);
        let demand = StateDemand {
            demander: &wallet,
            job: &self.view.address,
            round: &seen.address,
            pool: &pool,
            entry: asked.entry,
            chunk: asked.chunk,
        };
        let event = |what| Event::Demanded {
            round: Some(seen.index()),
            place: stands.place,
            demand: address.to_string(),
            what,
        };
        let Some(account) = self.view.demands.get(&address) else {
            if asked.ended {
                return;
            }
            if seen.round.require_challengeable(self.view.slot).is_err() || stands.state.status == segment::CONVICTED {
                return keep(Asked { ended: true, ..asked });
            }
            let tell = vec![event("nobody has what it should hand over: a chunk of it is demanded")];
            return self.send("demand a chunk of a state", vec![self.program().demand_state(&demand)], tell);
        };
        match after_demand(account, self.view.slot) {
            AfterDemand::Nothing => {}
            AfterDemand::Fail => {
                let tell = vec![event("the demand was not answered: convicted")];
                self.send("end a demand that was not answered", vec![self.program().fail_state(&demand)], tell);
            }
            AfterDemand::Close { answered } => {
                let fact = Fact::Asked { name: name.clone(), asked: Asked { ended: true, ..asked } };
                let tell = answered.then(|| event("the demand was answered"));
                self.push(Action::Keep { fact, tell });
                // That a trainer was silent is what its conviction stands on.
                let data = bytemuck::bytes_of(&**account).to_vec();
                self.push(Action::Archive { address, data });
                self.send("close a demand", vec![self.program().close_demand(&wallet, &address)], Vec::new());
            }
        }
    }
}

//! Which claim is compared next with what it should be.

use sip_data::hex;
use sip_proof::HostSha256;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::bit;
use sip_protocol::training::round;
use sip_protocol::training::segment;

use crate::known::Finding;
use crate::node::Step;
use crate::view::{Seen, Stands};
use crate::{Action, Claim, Event, Fact, Work};

impl Step<'_> {
    /// Judges what is not judged yet.
    pub(crate) fn judge(&self) {
        self.judge_genesis();
        for seen in &self.view.rounds {
            if seen.round.status == round::OPEN {
                continue;
            }
            let is_doubtful = self.is_doubtful(seen);
            if !self.knows(&seen.round.base_root) {
                if !is_doubtful {
                    self.unknown(seen, &seen.round.base_root);
                }
                continue;
            }
            // On what is false a liar's own claims can be accused all the same, as long as it is known what they build on.
            self.judge_segments(seen, is_doubtful);
            if is_doubtful {
                continue;
            }
            self.judge_base(seen);
            self.judge_runs(seen);
            self.judge_attestations(seen);
        }
    }

    fn judge_genesis(&self) {
        if self.view.job.spec.init_node_count != 0 && self.finding(Claim::Genesis).is_none() {
            let is_true = self.terms.is_genesis_true;
            self.find_that(Claim::Genesis, Finding { is_true, ..Finding::default() }, 0.0);
        }
    }

    /// Notes a finding of a claim as it stands now, and says it.
    fn find_that(&self, claim: Claim, finding: Finding, seconds: f64) {
        let claimed = self.view.claimed(claim).unwrap_or_default();
        let tell = Some(Event::Judged { claim, is_true: finding.is_true, seconds });
        self.push(Action::Keep { fact: Fact::Found { claim, finding: Finding { claimed, ..finding } }, tell });
    }

    /// What was found of a claim as it stands now.
    pub(crate) fn found(&self, claim: Claim) -> Option<&Finding> {
        let claimed = self.view.claimed(claim)?;
        self.finding(claim).filter(|finding| finding.claimed == claimed)
    }

    /// Whether a claim was found false and stands as it was then.
    pub(crate) fn is_false(&self, claim: Claim) -> bool {
        self.found(claim).is_some_and(|finding| !finding.is_true)
    }

    /// Whether a round builds on what is false, so that it will be undone: nobody need replay it, but for what liars claimed in it.
    pub(crate) fn is_doubtful(&self, seen: &Seen) -> bool {
        let mut parent = seen.round.parent;
        // Parents come before their children.
        for earlier in self.view.rounds.iter().rev().filter(|earlier| earlier.index() < seen.index()) {
            if earlier.index() != parent {
                continue;
            }
            parent = earlier.round.parent;
            if earlier.round.status == round::FINAL {
                return false;
            }
            let round = earlier.index();
            let mut accepted = earlier.segments.iter().filter(|stands| earlier.round.accepted & bit(stands.place) != 0);
            if accepted.any(|stands| self.is_false(Claim::Segment { round, place: stands.place })) {
                return true;
            }
            let base = self.known.base(round, earlier.round.accepted);
            if base.is_some_and(|base| base != earlier.round.next_base) {
                return true;
            }
        }
        parent == NO_ROUND && self.is_false(Claim::Genesis)
    }

    /// Whether the update that a segment goes on from is known, if it goes on from one. The chain accepts no other than the right one.
    pub(crate) fn knows_previous(&self, stands: &Stands) -> bool {
        !self.terms.is_compressed() || self.knows(&stands.state.claim.previous_root)
    }

    /// Says that a round cannot be replayed, unless what it takes is being fetched.
    fn unknown(&self, seen: &Seen, root: &[u8; 32]) {
        if !self.shelf.awaited.contains(root) {
            self.tell(Event::Unknown { round: seen.index(), root: hex(root) });
        }
    }

    /// Compares segments with replays: all, or in a round that is doubtful those of liars only.
    fn judge_segments(&self, seen: &Seen, is_doubtful: bool) {
        let mut open = Vec::new();
        for stands in &seen.segments {
            // Of a round that came to nothing, only what can still be accused matters.
            if seen.round.status == round::VOID && !seen.is_segment_open(stands, self.view.slot) {
                continue;
            }
            let claim = Claim::Segment { round: seen.index(), place: stands.place };
            let result = stands.state.claim.result_root(&self.view.job.spec);
            // What is left to others is replayed only where nobody gives what came out of it.
            let is_spared = is_doubtful && !self.is_suspect(seen, stands)
                || self.is_left_to_others(seen, stands) && (self.knows(result) || self.shelf.awaited.contains(result));
            if is_spared || self.found(claim).is_some() {
                continue;
            }
            if self.knows_previous(stands) {
                open.push(stands);
            } else {
                self.unknown(seen, &stands.state.claim.previous_root);
            }
        }
        // What we drew has a deadline.
        open.sort_by_key(|stands| !(self.draws(seen, stands) || self.coming_leaf(seen, stands).is_some()));
        // All of them are asked for: one that cannot be replayed keeps back none after it.
        for stands in open {
            let auditors = (0..seen.round.auditor_count).filter(|auditor| is_drawn(seen, stands, *auditor));
            let leaves = auditors.map(|auditor| self.view.leaf(seen, stands, auditor));
            let leaves = leaves.chain(self.coming_leaf(seen, stands)).collect();
            self.replay(seen, stands, leaves);
        }
    }

    /// Has a segment replayed, with the traces of the first steps of these leaves.
    pub(crate) fn replay(&self, seen: &Seen, stands: &Stands, leaves: Vec<u32>) {
        let claim = Claim::Segment { round: seen.index(), place: stands.place };
        self.compute(Work::Replay { claim, leaves });
    }

    /// Whether the base of a round and all that its accepted segments hand over is known.
    pub(crate) fn knows_results(&self, seen: &Seen) -> bool {
        let spec = &self.view.job.spec;
        let mut accepted = seen.segments.iter().filter(|stands| seen.round.accepted & bit(stands.place) != 0);
        accepted.all(|stands| self.knows(stands.state.claim.result_root(spec))) && self.knows(&seen.round.base_root)
    }

    /// Has the next base computed from the accepted segments, and compares the votes with it.
    fn judge_base(&self, seen: &Seen) {
        let (round, accepted) = (seen.index(), seen.round.accepted);
        if accepted == 0 {
            return;
        }
        let Some(base) = self.known.base(round, accepted) else {
            if self.knows_results(seen) {
                self.compute(Work::Base { round });
            }
            return;
        };
        for place in 0..seen.round.auditor_count {
            let claim = Claim::Vote { round, place };
            let vote = seen.round.auditors[usize::from(place)].vote;
            if vote == [0; 32] || self.found(claim).is_some() || self.case(claim).is_pending() {
                continue;
            }
            self.find_that(claim, Finding { is_true: vote == base, ..Finding::default() }, 0.0);
        }
    }

    /// Compares what the evaluators of a round revealed with a run of our own, which tells them all.
    fn judge_runs(&self, seen: &Seen) {
        let round = seen.index();
        let is_open = |stands: &&Stands<_>| self.found(Claim::Run { round, place: stands.place }).is_none();
        let open: Vec<_> = seen.runs.iter().filter(is_open).collect();
        let base = seen.round.next_base;
        if open.is_empty() || !self.knows(&base) {
            return;
        }
        let Some(scored) = self.known.scored.get(&base).filter(|scored| scored.cheat.is_none()) else {
            return self.compute(Work::Score { base, cheat: None });
        };
        let seconds = scored.seconds / open.len() as f64;
        for stands in open {
            let (spec, place) = (&self.view.job.spec, stands.place);
            let own = evaluation::claim::<HostSha256>(spec, &scored.sums, &scored.accumulator_root, place);
            let finding = Finding {
                is_true: scored.fault.is_none() && stands.state.claim == own,
                leaves: Some(crate::Published { round, place, ..scored.leaves.clone() }),
                fault: scored.fault,
                ..Finding::default()
            };
            self.find_that(Claim::Run { round, place }, finding, seconds);
        }
    }

    /// Compares the attestations that others have shown with the traces that they should show. Who attested a false segment is not
    /// asked for more: the segment's leaves, which one would have to open, only its trainer knows.
    fn judge_attestations(&self, seen: &Seen) {
        let round = seen.index();
        for stands in &seen.segments {
            let place = stands.place;
            let mut missing = Vec::new();
            for auditor in (0..seen.round.auditor_count).filter(|auditor| stands.state.shown & bit(*auditor) != 0) {
                let claim = Claim::Attestation { round, place, auditor };
                let is_open = self.view.is_open(claim) && !self.view.is_spent(claim) && !self.is_own(claim);
                if !is_open || self.found(claim).is_some() {
                    continue;
                }
                let known = self.found(Claim::Segment { round, place }).filter(|finding| finding.is_true);
                let Some(known) = known else { continue };
                let leaf = self.view.leaf(seen, stands, auditor);
                let Some(trace) = known.traces.get(&leaf) else {
                    missing.push(leaf);
                    continue;
                };
                let is_true = self.view.claimed(claim).as_ref() == Some(trace);
                self.find_that(claim, Finding { is_true, ..Finding::default() }, 0.0);
            }
            if !missing.is_empty() {
                self.replay(seen, stands, missing);
            }
        }
    }
}

/// Whether a draw of an auditor who has revealed it selects a segment.
pub(crate) fn is_drawn(seen: &Seen, stands: &Stands, auditor: u8) -> bool {
    let Some(seat) = seen.round.auditors.get(usize::from(auditor)) else { return false };
    if seat.drawn_again & bit(stands.place) != 0 {
        return true;
    }
    let is_open = stands.state.status != segment::CONVICTED;
    let address = stands.address.as_array();
    is_open && seat.revealed != 0 && stands.state.is_drawn::<HostSha256>(address, seat, seen.round.audit_rate)
}

//! The beginning of a step, and its end: which rounds nothing is left to do about.

use sip_protocol::ground::escrow::Escrow;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::round;
use sip_protocol::training::segment;

use crate::auditor::is_owed;
use crate::node::Step;
use crate::view::{Seen, Stands};
use crate::{Action, Claim, Event, Fact};

impl Step<'_> {
    /// Says which job is followed, and passes by the rounds that are closed.
    pub(crate) fn begin(&self) {
        let job = &self.view.job;
        let (round, rounds) = (job.next_round, job.spec.rounds);
        self.tell(Event::Follows { job: self.view.address.to_string(), round, rounds });
        if !self.view.looked.is_empty() {
            self.view.looked.clone().for_each(|round| self.tell(Event::Closed { round }));
            self.keep(Fact::RoundsDone(self.view.looked.end));
        }
    }

    /// Forgets the oldest rounds that nothing is left to do about.
    pub(crate) fn finish(&self) {
        let view = self.view;
        // What was just found out, the next step acts on first.
        let is_news = |action: &Action| matches!(action, Action::Keep { fact: Fact::Found { .. }, .. });
        if self.actions.borrow().iter().any(is_news) {
            return;
        }
        let over = view.rounds.iter().take_while(|seen| self.is_finished(seen));
        let (mut done, mut forgotten) = (None, Vec::new());
        for seen in over {
            self.archive(seen);
            done = Some(seen.index() + 1);
            forgotten.extend(self.left_by(seen));
        }
        let Some(done) = done else { return };
        let mut needed = vec![view.job.base_root];
        for seen in view.rounds.iter().filter(|seen| seen.index() >= done) {
            needed.extend([seen.round.base_root, seen.round.next_base]);
            needed.extend(seen.segments.iter().map(|stands| stands.state.claim.previous_root));
        }
        forgotten.retain(|root| !needed.contains(root));
        // Before it is noted that nothing is left to do: what is cut off here is done again.
        forgotten.into_iter().for_each(|root| self.push(Action::Forget { root }));
        self.keep(Fact::RoundsDone(done));
    }

    /// Roots of the states that a round has left: what its segments come to, what was computed of them, the base that a final one started from, and the
    /// one that an undone one would have led to.
    fn left_by(&self, seen: &Seen) -> Vec<[u8; 32]> {
        let (spec, round) = (&self.view.job.spec, seen.index());
        let mut left: Vec<[u8; 32]> = Vec::new();
        for stands in &seen.segments {
            left.push(*stands.state.claim.result_root(spec));
            left.extend(self.finding(Claim::Segment { round, place: stands.place }).and_then(|finding| finding.end()));
        }
        let own = self.known.worked.range((round, 0)..=(round, u8::MAX));
        for own in own.filter_map(|(_, worked)| worked.claim()) {
            left.extend([own.end_root, *own.result_root(spec)]);
        }
        if seen.round.status == round::FINAL {
            left.push(seen.round.base_root);
        } else {
            left.push(seen.round.next_base);
            left.extend(self.known.bases.get(&round).map(|(_, root)| *root));
        }
        left.retain(|root| *root != [0; 32]);
        left.sort_unstable();
        left.dedup();
        left
    }

    /// Keeps what a round came to, which anybody may close on chain from an unbonding time later on.
    fn archive(&self, seen: &Seen) {
        let keep = |address, data: &[u8]| self.push(Action::Archive { address, data: data.to_vec() });
        keep(seen.address, bytemuck::bytes_of(&*seen.round));
        seen.segments.iter().for_each(|stands| keep(stands.address, bytemuck::bytes_of(&*stands.state)));
        seen.runs.iter().for_each(|stands| keep(stands.address, bytemuck::bytes_of(&*stands.state)));
    }

    fn is_finished(&self, seen: &Seen) -> bool {
        let view = self.view;
        if !seen.is_over() || !seen.round.is_beyond_challenge(view.slot) {
            return false;
        }
        // One that was undone while it was open has no deadlines of its own: each of its segments has.
        let is_accusable = |stands: &Stands| {
            stands.state.status != segment::CONVICTED && view.slot <= seen.round.segment_disputable_until(&stands.state)
        };
        if seen.round.status == round::VOID && seen.segments.iter().any(is_accusable) {
            return false;
        }
        // From its updates the next round's trainers go on, those who come back.
        let is_later = |later: &Seen| later.index() > seen.index() && later.round.status == round::FINAL;
        if view.job.spec.is_compressed() && seen.round.status == round::FINAL && !view.rounds.iter().any(is_later) {
            return false;
        }
        if self.is_owing(seen) {
            return false;
        }
        let wallet = self.wallet().to_bytes();
        let is_ours = |escrow: &Escrow| escrow.bounty > 0 && escrow.challenger == wallet;
        let mut escrows = seen.segments.iter().map(|stands| &stands.state.escrow);
        let mut of_runs = seen.runs.iter().map(|stands| &stands.state.escrow);
        let mut of_auditors = seen.round.auditors.iter().flat_map(|seat| [&seat.vote_escrow, &seat.attestation_escrow]);
        if escrows.any(is_ours) || of_runs.any(is_ours) || of_auditors.any(is_ours) || self.has_demands(seen) {
            return false;
        }
        let is_pending = |claim: &Claim| {
            self.finding(*claim).is_some_and(|finding| !finding.is_true) && self.case(*claim).is_pending()
        };
        !view.claims(seen).iter().any(is_pending)
    }

    /// Whether the wallet has not had its pay for a round, or somebody that it sees to.
    pub(crate) fn is_owing(&self, seen: &Seen) -> bool {
        self.auditor_seat().is_some_and(|seat| is_owed(seen, &seat)) || self.is_unpaid(seen)
    }

    /// Whether a trainer or an evaluator has not had its pay for a round, or somebody that a keeper sees to.
    fn is_unpaid(&self, seen: &Seen) -> bool {
        let wallet = self.wallet();
        let roles = &self.node.roles;
        let trained = |pool: &[u8; 32]| seen.segments.iter().any(|s| s.state.pool == *pool && s.state.settled == 0);
        let seats = |kind| self.view.seats(kind, &wallet);
        let scored = |place: u8, pool: &[u8; 32]| {
            let part = seen.round.evaluators.get(usize::from(place));
            part.is_some_and(|part| part.pool == *pool && part.settled == 0)
        };
        (roles.trainer && seats(PoolKind::Trainer).iter().any(|seat| trained(seat.pool.as_array())))
            || (roles.evaluator
                && seats(PoolKind::Evaluator).iter().any(|seat| scored(seat.place, seat.pool.as_array())))
            || (roles.keeper && self.is_to_be_settled_by_keepers(seen))
    }
}

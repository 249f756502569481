//! The trainer of a job: its segment of every round that awaits it, what it hands out, its pay.
//!
//! A segment follows from its round: anyone who computes it again gets the same one. What it comes to is on disk before it is committed, since
//! a defence opens its leaves.

use bytemuck::Zeroable;
use sip_client::Seat;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::round;
use sip_protocol::training::segment::{self, Segment, SegmentClaim};

use crate::auditor::acted;
use crate::node::Step;
use crate::view::Seen;
use crate::{Action, Event, Work};

impl Step<'_> {
    /// What a trainer owes its rounds.
    pub(crate) fn trainer(&self) {
        if !self.node.roles.trainer {
            return;
        }
        for seat in self.view.seats(PoolKind::Trainer, &self.wallet()) {
            for seen in &self.view.rounds {
                if self.may_sign(&seat) {
                    self.train(&seat, seen);
                }
                self.hand_out(&seat, seen);
                self.settle_segment(&seat, seen);
            }
        }
    }

    /// The update that a segment of the seat goes on from; nothing with whole states.
    fn previous(&self, seat: &Seat, seen: &Seen) -> Option<[u8; 32]> {
        let spec = &self.view.job.spec;
        let parent = self.view.round(seen.round.parent);
        let pool = seat.pool.to_bytes();
        let before = parent.and_then(|parent| parent.segments.iter().find(|stands| stands.state.pool == pool));
        spec.is_compressed().then(|| segment::previous_root(spec, before.map(|stands| &*stands.state)))
    }

    /// Computes the round's segment, and commits it.
    fn train(&self, seat: &Seat, seen: &Seen) {
        let (round, job) = (&seen.round, &self.view.job);
        let is_awaited = round.status == round::OPEN
            && round.require_holder(PoolKind::Trainer, seat.place, &seat.pool.to_bytes()).is_ok()
            && seen.segment(seat.place).is_none()
            && round.require_on_chain(job).is_ok()
            && !round.is_trainer_excluded(job, seat.place);
        if !is_awaited {
            return;
        }
        let previous = self.previous(seat, seen);
        let Some(worked) = self.known.worked.get(&(seen.index(), seat.place)) else {
            // Who builds on what it has itself found false works for nothing.
            if !self.is_doubtful(seen) && self.has_base(seen) && previous.is_none_or(|root| self.knows(&root)) {
                let (round, place) = (seen.index(), seat.place);
                self.compute(Work::Train { round, place, previous, cheat: None });
            }
            return;
        };
        let Some(claim) = worked.claim() else { return };
        if let Err(error) = self.would_commit(seat, seen, &claim, previous) {
            let (what, reason) = ("commit a segment".to_owned(), error.message().to_owned());
            return self.tell(Event::Refused { what, reason });
        }
        let (program, address) = (self.program(), &self.view.address);
        let commit = match previous {
            Some(_) => {
                let previous = program.previous_segment(address, round.parent, &seat.pool);
                program.commit_update(&seat.operator, address, &seen.address, &seat.pool, &claim, &previous)
            }
            None => program.commit_segment(&seat.operator, address, &seen.address, &seat.pool, &claim),
        };
        let event = acted(seen, "segment committed", Some(seat.place));
        self.send_by(round.commit_deadline_slot, "commit a segment", commit, event);
    }

    /// Whether the program would take a commitment: by its own rules, on copies.
    fn would_commit(
        &self,
        seat: &Seat,
        seen: &Seen,
        claim: &SegmentClaim,
        previous: Option<[u8; 32]>,
    ) -> sip_protocol::Result<()> {
        let (mut segment, mut round) = (Box::new(Segment::zeroed()), seen.round.clone());
        let mut pool = self.view.pools.get(&seat.pool).ok_or(sip_protocol::Error::WrongPlace)?.clone();
        segment.commit(segment::Commitment {
            job: &self.view.job,
            round_address: seen.address.as_array(),
            round: &mut round,
            pool_address: seat.pool.as_array(),
            pool: &mut pool,
            claim,
            payer: seat.operator.as_array(),
            previous_root: &previous.unwrap_or_default(),
            slot: self.view.slot,
        })
    }

    /// Whether the base of a round is at hand. Where nobody hands it out, it is computed from what the round before accepted.
    fn has_base(&self, seen: &Seen) -> bool {
        if self.knows(&seen.round.base_root) {
            return true;
        }
        if let Some(parent) = self.view.round(seen.round.parent) {
            let is_computed = self.known.base(parent.index(), parent.round.accepted).is_some();
            if !is_computed && self.knows_results(parent) {
                self.compute(Work::Base { round: parent.index() });
            }
        }
        false
    }

    /// Hands out what the segment of a round comes to, until nobody can ask for it any more.
    fn hand_out(&self, seat: &Seat, seen: &Seen) {
        let Some(stands) = seen.segments.iter().find(|stands| stands.state.pool == seat.pool.to_bytes()) else {
            return;
        };
        if self.known.worked.contains_key(&(seen.index(), stands.place)) && stands.state.status != segment::CONVICTED {
            self.push(Action::Publish { root: *stands.state.claim.result_root(&self.view.job.spec) });
        }
    }

    /// Takes its pay for a round, or frees the slice behind its segment.
    fn settle_segment(&self, seat: &Seat, seen: &Seen) {
        let Some(stands) = seen.segments.iter().find(|stands| stands.state.pool == seat.pool.to_bytes()) else {
            return;
        };
        if !seen.is_over() || stands.state.settled != 0 {
            return;
        }
        let is_due = self.would_settle(seen, &seat.pool, |mut trial| trial.segment(&mut stands.state.clone()).is_ok());
        if is_due {
            let settle = self.program().settle_segment(&self.view.address, &seen.address, &seat.pool);
            self.send("settle a segment", vec![settle], vec![acted(seen, "segment settled", Some(stands.place))]);
        }
    }
}

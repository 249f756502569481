//! Who was there when a round awaited it: what counts towards the sleep of its seat ([`crate::seats`]).
//!
//! | role | there is who | counted at |
//! |---|---|---|
//! | trainer | committed a segment | the closing |
//! | auditor | revealed its draw, and voted, for whatever root | the closing, where it revealed nothing; the end of the round |
//! | evaluator | revealed a scoring run | the tally |
//!
//! Of a round that is undone before, and of whoever was convicted, nothing is counted.

use crate::{
    evaluation,
    job::{Job, bit},
    pool::PoolKind,
    round::{AuditorSeat, Round},
};

impl AuditorSeat {
    /// Whether it voted.
    pub fn has_voted(&self) -> bool {
        self.vote != [0; 32]
    }
}

impl Round {
    /// Notes who was there when the round is closed.
    pub(crate) fn note_closing(&self, job: &mut Job, slot: u64) {
        let awaited = self.eligible & !self.excluded_trainers(job);
        for (place, pool) in self.trainers.iter().enumerate() {
            let place = place as u8;
            if awaited & bit(place) != 0 {
                job.note(PoolKind::Trainer, place, pool, self.committed & bit(place) != 0, slot);
            }
        }
        self.note_auditors(job, slot, |seat| if seat.revealed == 0 { Some(false) } else { None });
    }

    /// Notes that the auditors who revealed have done their part of a round that has nothing to vote on.
    pub(crate) fn note_draws(&self, job: &mut Job, slot: u64) {
        self.note_auditors(job, slot, |seat| if seat.revealed != 0 { Some(true) } else { None });
    }

    /// Notes who voted, once there was time to.
    pub(crate) fn note_votes(&self, job: &mut Job, slot: u64) {
        let is_over = slot >= self.vote_deadline_slot;
        self.note_auditors(job, slot, |seat| match (seat.revealed != 0, seat.has_voted()) {
            (true, true) => Some(true),
            (true, false) if is_over => Some(false),
            _ => None,
        });
    }

    /// Notes who scored.
    pub(crate) fn note_scores(&self, job: &mut Job, slot: u64) {
        for (place, seat) in self.evaluators.iter().enumerate() {
            if seat.pool != [0; 32] {
                let is_present = !matches!(seat.status, evaluation::ABSENT | evaluation::COMMITTED);
                job.note(PoolKind::Evaluator, place as u8, &seat.pool, is_present, slot);
            }
        }
    }

    #[inline(always)]
    fn note_auditors(&self, job: &mut Job, slot: u64, is_present: impl Fn(&AuditorSeat) -> Option<bool>) {
        let awaited = self.awaited_auditors() & !self.excluded_auditors(job);
        for (place, seat) in self.auditors.iter().enumerate() {
            if awaited & bit(place as u8) == 0 {
                continue;
            }
            if let Some(is_present) = is_present(seat) {
                job.note(PoolKind::Auditor, place as u8, &seat.pool, is_present, slot);
            }
        }
    }
}

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
    /// Notes who was there when the round is closed: the trainers that committed, and those of the `auditors` that did not reveal.
    pub(crate) fn note_closing(&self, job: &mut Job, auditors: u16, slot: u64) {
        let trainers = self.eligible & !self.excluded_trainers(job);
        for (place, pool) in here(trainers, &self.trainers) {
            job.note(PoolKind::Trainer, place, pool, self.committed & bit(place) != 0, slot);
        }
        for (place, seat) in here(auditors, &self.auditors) {
            if seat.revealed == 0 {
                job.note(PoolKind::Auditor, place, &seat.pool, false, slot);
            }
        }
    }

    /// Notes that the auditors who revealed have done their part of a round that has nothing to vote on.
    pub(crate) fn note_draws(&self, job: &mut Job, slot: u64) {
        for (place, seat) in here(self.awaited_auditors, &self.auditors) {
            if seat.revealed != 0 {
                job.note(PoolKind::Auditor, place, &seat.pool, true, slot);
            }
        }
    }

    /// Notes who of the auditors that revealed voted, once there was time to.
    pub(crate) fn note_votes(&self, job: &mut Job, slot: u64) {
        let is_over = slot >= self.vote_deadline_slot;
        for (place, seat) in here(self.awaited_auditors, &self.auditors) {
            let has_voted = seat.has_voted();
            if seat.revealed != 0 && (has_voted || is_over) {
                job.note(PoolKind::Auditor, place, &seat.pool, has_voted, slot);
            }
        }
    }

    /// Notes who scored.
    pub(crate) fn note_scores(&self, job: &mut Job, slot: u64) {
        for (place, seat) in here(self.awaited_evaluators, &self.evaluators) {
            let is_present = !matches!(seat.status, evaluation::ABSENT | evaluation::COMMITTED);
            job.note(PoolKind::Evaluator, place, &seat.pool, is_present, slot);
        }
    }
}

/// What there is at the places of a bitmap.
#[inline(always)]
pub(crate) fn here<T>(places: u16, all: &[T]) -> impl Iterator<Item = (u8, &T)> {
    (0u8..)
        .zip(all)
        .take_while(move |(place, _)| places >> *place != 0)
        .filter(move |(place, _)| places & bit(*place) != 0)
}

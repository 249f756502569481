//! Who was there when a round awaited it: what counts towards the sleep of its seat ([`crate::training::seats`]), and what an absence costs.
//!
//! | role | there is who | counted at | row |
//! |---|---|---|---|
//! | trainer | committed a segment | the closing | missed segment |
//! | auditor | revealed its draw, where there was a segment | the closing | missed draw |
//! | auditor that revealed | voted until the vote's deadline, for whatever root | the end of the round | missed vote |
//! | evaluator | revealed a scoring run | the tally | missed score |
//!
//! An absence costs its row, and no less than what it destroyed. Where the round went on, that is the seat's part of its role's part of the
//! reward that the round could expect; where it came to nothing because of the role, its part of the whole reward. A seat's part is one of
//! all that were awaited; of votes that are missing to a majority it is by stake, one of the stake that did not vote. What a round could
//! expect is what each trainer's work was worth in the job's last one, for as many as it awaits itself, and no more than it may draw; before the
//! first one the most that it may draw.
//!
//! A phase of commitments is over when everybody is in, at its deadline, and without the last third earlier: once two thirds of the seats
//! that were awaited are in, half as long again as they took, and no earlier than at half of the phase ([`early_end`]). One dead seat does not cost
//! the whole deadline, and an operator that needs no more than half of a phase is shut out by nobody. One that is shut out so is not
//! charged. A seat that is shut out of one round after the other falls asleep, since each waits half a phase for it.
//!
//! Of a round that is undone before its closing nothing is counted. A conviction excuses nobody, in this job neither than in another: it keeps
//! the seat out of the rounds that are opened after it, and a pool that a round awaited at its opening owes it. Else who has itself convicted where that is
//! cheap would squat here for nothing. Only no seat falls asleep that a verdict took already.

use sip_arith::int::{self, Rounding, mul_div};

use crate::{
    Address, Result,
    ground::offence::Offence,
    stake::pool::PoolKind,
    training::{
        evaluation,
        finality::Undoing,
        job::{Job, bit},
        round::{self, AuditorSeat, Round},
        seats::{
            Attendance::{Missed, ShutOut, There},
            Awaited,
        },
        seed,
    },
};

impl AuditorSeat {
    /// Whether it voted.
    pub fn has_voted(&self) -> bool {
        self.vote != [0; 32]
    }
}

impl Round {
    /// Notes who was there when the round is closed: the trainers that committed, and those of the `auditors` that did not reveal.
    pub(crate) fn note_closing(&mut self, job: &mut Job, auditors: u16, slot: u64) {
        let slot = self.asleep_from(job, slot);
        let trainers = self.eligible & !self.excluded_trainers(job);
        let mut missed = 0;
        for (place, pool) in here(trainers, &self.trainers) {
            let was = match (self.committed & bit(place), self.shut_out_trainers & bit(place)) {
                (0, 0) => Missed,
                (0, _) => ShutOut,
                _ => There,
            };
            missed |= job.note(&self.awaited(PoolKind::Trainer, place, pool), was, slot);
        }
        for (place, seat) in here(auditors, &self.auditors) {
            if seat.revealed == 0 && self.committed != 0 {
                job.note(&self.awaited(PoolKind::Auditor, place, &seat.pool), Missed, slot);
            }
        }
        self.missed_segments = missed;
    }

    /// Whom it awaited at a place.
    fn awaited<'a>(&self, kind: PoolKind, place: u8, pool: &'a Address) -> Awaited<'a> {
        Awaited { kind, place, pool, round: self.index }
    }

    /// Notes that the auditors who revealed have done their part of a round that has nothing to vote on.
    pub(crate) fn note_draws(&self, job: &mut Job, slot: u64) {
        let slot = self.asleep_from(job, slot);
        for (place, seat) in here(self.awaited_auditors, &self.auditors) {
            if seat.revealed != 0 {
                job.note(&self.awaited(PoolKind::Auditor, place, &seat.pool), There, slot);
            }
        }
    }

    /// From when on a seat that falls asleep now is lost to others: while something of the round is disputed or demanded, or what it builds on is not
    /// final, not before the longest dispute is over, since a conviction takes the absence back.
    fn asleep_from(&self, job: &Job, slot: u64) -> u64 {
        let is_base_open = job.chain.open_rounds().contains(&self.parent);
        let is_contested = self.open_challenges != 0 || self.vote_disputes != 0 || is_base_open;
        slot.saturating_add(if is_contested { job.spec.longest_dispute_slots(&job.parameters) } else { 0 })
    }

    /// Notes who of the auditors that revealed voted, once there was time to.
    pub(crate) fn note_votes(&mut self, job: &mut Job, slot: u64) {
        let (is_over, asleep_from) = (slot >= self.vote_deadline_slot, self.asleep_from(job, slot));
        let mut missed = 0;
        for (place, seat) in here(self.awaited_auditors, &self.auditors) {
            let has_voted = seat.has_voted();
            if seat.revealed != 0 && (has_voted || is_over) {
                let was = if has_voted { There } else { Missed };
                missed |= job.note(&self.awaited(PoolKind::Auditor, place, &seat.pool), was, asleep_from);
            }
        }
        self.missed_votes = missed;
    }

    /// Notes who scored.
    pub(crate) fn note_scores(&mut self, job: &mut Job, slot: u64) {
        let asleep_from = self.asleep_from(job, slot);
        let mut missed = 0;
        for (place, seat) in here(self.awaited_evaluators, &self.evaluators) {
            let was = match seat.status {
                status if self.is_shut_out(status) => ShutOut,
                evaluation::ABSENT | evaluation::COMMITTED => Missed,
                _ => There,
            };
            missed |= job.note(&self.awaited(PoolKind::Evaluator, place, &seat.pool), was, asleep_from);
        }
        self.missed_scores = missed;
    }

    /// Takes back what was noted of those who could not do their part, when the round is about to be undone: votes and scores that are missing
    /// where its own work was false, and segments too where what it builds on was; each once. A draw needs no state, and is never excused.
    pub(crate) fn excuse(&mut self, job: &mut Job, by: Undoing) {
        if by == Undoing::Scores || self.missed_scores | self.missed_votes | self.missed_segments == 0 {
            return;
        }
        let (scores, votes) = (core::mem::take(&mut self.missed_scores), core::mem::take(&mut self.missed_votes));
        let segments = if by == Undoing::Base { core::mem::take(&mut self.missed_segments) } else { 0 };
        for (place, seat) in here(scores, &self.evaluators) {
            job.take_back(&self.awaited(PoolKind::Evaluator, place, &seat.pool));
        }
        for (place, seat) in here(votes, &self.auditors) {
            job.take_back(&self.awaited(PoolKind::Auditor, place, &seat.pool));
        }
        for (place, pool) in here(segments, &self.trainers) {
            job.take_back(&self.awaited(PoolKind::Trainer, place, pool));
        }
    }

    /// Whether nobody is charged for what is missing of its segments and attestations: it was undone before its segments were frozen, or
    /// because of what it builds on.
    pub(crate) fn is_excused(&self) -> bool {
        self.ended_unclosed() || self.was_undone_by(Undoing::Base)
    }
}

/// What a round that awaits these trainers could expect to draw when it is opened, base units: see the module.
pub(crate) fn expected_reward(job: &Job, eligible: u16) -> u64 {
    match (job.rewarded, job.trainer_worth) {
        (0, _) => 0,
        // Nothing was worth anything yet.
        (_, 0) => job.spec.round_reward,
        _ => known_reward(job, eligible),
    }
}

/// The same, nothing while no round was worth anything: what the work of a round that was never scored is compensated with at most.
pub(crate) fn known_reward(job: &Job, eligible: u16) -> u64 {
    // What does not fit is more than any round draws.
    let whole = int::mul(job.trainer_worth, eligible.count_ones() as u64).unwrap_or(u64::MAX);
    whole.min(job.spec.round_reward)
}

/// When a phase that began in `start` and ends at `deadline` may end early: 0 unless the commitment in `slot` is the one with which two
/// thirds of those `awaited` are in.
pub(crate) fn early_end([start, deadline]: [u64; 2], committed: u16, awaited: u16, slot: u64) -> u64 {
    let needed = awaited.count_ones().wrapping_mul(2).div_ceil(3);
    if committed.count_ones() != needed {
        return 0;
    }
    let grace = slot.saturating_add(slot.saturating_sub(start) / 2);
    let half = start.saturating_add(deadline.saturating_sub(start) / 2);
    grace.max(half).min(deadline)
}

/// What an absence costs.
struct Absence {
    offence: Offence,
    role_bps: u16,
    /// Whether the round came to nothing because of it and others of its kind.
    is_destroyed: bool,
    /// The seat's part, of `whole`.
    part: u64,
    whole: u64,
}

impl Absence {
    fn cost(&self, job: &Job, expected_reward: u64) -> Result<u64> {
        let role = int::bps(expected_reward, self.role_bps, Rounding::Up)?;
        let reward = if self.is_destroyed { expected_reward } else { role };
        let lost = if self.whole == 0 { 0 } else { mul_div(reward, self.part, self.whole, Rounding::Up)? };
        Ok(lost.max(job.parameters.penalties.of(self.offence).flat))
    }
}

impl Round {
    /// Whether it came to nothing by itself: no segment, no draw, no majority or no score.
    pub(crate) fn came_to_nothing(&self) -> bool {
        self.status == round::VOID && self.is_undone == 0
    }

    /// Whether it came to nothing when it was closed, without a segment or a draw, whatever became of its base since.
    fn ended_at_closing(&self) -> bool {
        self.status == round::VOID && self.seed_status != seed::NONE && self.void_from < round::CLOSED
    }

    /// Whether it came to nothing because no score of its next base stood.
    pub(crate) fn is_scoreless(&self) -> bool {
        self.came_to_nothing() && self.void_from == round::AGGREGATED
    }

    /// Whether an evaluator of this status was shut out: it had committed nothing when the phase ended early.
    fn is_shut_out(&self, status: u8) -> bool {
        status == evaluation::ABSENT && self.is_score_early != 0
    }

    /// What a trainer of the round that committed nothing is charged, base units.
    pub(crate) fn missed_segment(&self, job: &Job, place: u8) -> Result<u64> {
        if self.is_excused() || self.shut_out_trainers & bit(place) != 0 {
            return Ok(0);
        }
        let absence = Absence {
            offence: Offence::MissedSegment,
            role_bps: job.parameters.trainers_bps,
            is_destroyed: self.came_to_nothing() && self.accepted == 0,
            part: 1,
            whole: (self.eligible & !self.shut_out_trainers).count_ones() as u64,
        };
        absence.cost(job, self.expected_reward)
    }

    /// What an auditor of the round is charged for a draw that it did not reveal, or a vote that it did not cast, base units.
    #[inline(never)]
    pub(crate) fn missed_audit(&self, job: &Job, place: u8) -> Result<u64> {
        let Some(seat) = self.auditors.get(place as usize) else { return Ok(0) };
        let role_bps = job.parameters.auditors_bps;
        if seat.revealed == 0 {
            if self.ended_unclosed() || self.committed == 0 {
                return Ok(0);
            }
            let absence = Absence {
                offence: Offence::MissedDraw,
                role_bps,
                is_destroyed: self.ended_at_closing() && self.auditors.iter().all(|seat| seat.revealed == 0),
                part: 1,
                whole: self.awaited_auditors.count_ones() as u64,
            };
            return absence.cost(job, self.expected_reward);
        }
        let has_no_majority = self.came_to_nothing() && self.vote_deadline_slot != 0 && self.next_base == [0; 32];
        // Where there was no majority, who named a false base voted for nothing.
        let has_voted = |seat: &AuditorSeat| seat.has_voted() && !(has_no_majority && seat.is_vote_convicted != 0);
        if has_voted(seat) || !(self.status == round::FINAL || has_no_majority) {
            return Ok(0);
        }
        let (mut whole, mut silent) = (0u64, 0u64);
        for (place, seat) in (0u8..).zip(&self.auditors) {
            // Nobody's vote counts that was convicted.
            if has_voted(seat) && self.is_struck(place) {
                continue;
            }
            whole = int::add(whole, seat.stake)?;
            silent = int::add(silent, if has_voted(seat) { 0 } else { seat.stake })?;
        }
        // Without them even all others together were no majority.
        let is_destroyed = has_no_majority && silent >= whole.div_ceil(2);
        let whole = if is_destroyed { silent } else { whole };
        Absence { offence: Offence::MissedVote, role_bps, is_destroyed, part: seat.stake, whole }
            .cost(job, self.expected_reward)
    }

    /// What an evaluator of a round that was tallied is charged for having no score in it, base units.
    pub(crate) fn missed_score(&self, job: &Job, status: u8) -> Result<u64> {
        let is_scoreless = self.is_scoreless();
        // Nobody can be asked to score a base that nobody may have.
        let could_score = self.is_undone == 0 || self.was_undone_by(Undoing::Scores);
        if !could_score
            || self.is_shut_out(status)
            || !(status == evaluation::ABSENT || (is_scoreless && status == evaluation::COMMITTED))
        {
            return Ok(0);
        }
        // Who was shut out leaves the whole to the others.
        let counted =
            here(self.awaited_evaluators, &self.evaluators).filter(|(_, seat)| !self.is_shut_out(seat.status));
        let absence = Absence {
            offence: Offence::MissedScore,
            role_bps: job.parameters.evaluators_bps,
            is_destroyed: is_scoreless,
            part: 1,
            whole: counted.count() as u64,
        };
        absence.cost(job, self.expected_reward)
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    /// Attack: of a whole role only one works, so that the round draws little, and what is missed in the next ones costs as little.
    #[test]
    fn attack_an_absence_is_made_no_cheaper_by_a_round_to_which_few_came() {
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        (job.rewarded, job.spec.round_reward) = (1, 1_000);
        assert_eq!((expected_reward(&job, 1), known_reward(&job, 1)), (1_000, 0));
        let mut draws = |eligible: u16, accepted: u16, worth: u64| {
            (round.eligible, round.accepted) = (eligible, accepted);
            round.quote(&mut job, worth.min(1_000), worth).unwrap();
            job.rounds_scored += 1;
            assert_eq!(round.reward, worth.min(1_000));
            assert_eq!(expected_reward(&job, eligible), known_reward(&job, eligible));
            expected_reward(&job, eligible)
        };
        assert_eq!(draws(u16::MAX, u16::MAX, 800), 800);
        assert_eq!(draws(u16::MAX, 1, 50), 800);
        // Nor by one to which nothing was left to draw; no more is expected than the most.
        assert_eq!(draws(u16::MAX, 1, 0), 800);
        assert_eq!(draws(u16::MAX, 1, 90), 1_000);
        assert_eq!(draws(0b111, 1, 200), 600);
        // Work that is worth more than a round may draw is worth as much for each.
        assert_eq!(draws(0b11, 0b11, 8_000), 1_000);
        assert_eq!(job.trainer_worth, 4_000);
        (job.trainer_worth, job.spec.round_reward) = (u64::MAX, u64::MAX);
        assert_eq!(expected_reward(&job, 0b11), u64::MAX);
    }

    /// Attack: one trainer works alone with those who are about to squat, or few do; then many come, and what is missed costs what the few were worth. And the
    /// other way round: many have left, and those who fail once pay for all of them.
    #[test]
    fn attack_a_round_expects_what_it_awaits_itself_and_not_what_the_last_one_awaited() {
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        (job.rewarded, job.spec.round_reward) = (1, 10_000);
        (round.eligible, round.accepted) = (1, 1);
        round.quote(&mut job, 500, 500).unwrap();
        assert_eq!([1, 0b111, u16::MAX].map(|eligible| expected_reward(&job, eligible)), [500, 1_500, 8_000]);
        (round.eligible, round.accepted) = (u16::MAX, u16::MAX);
        round.quote(&mut job, 8_000, 8_000).unwrap();
        assert_eq!([1, u16::MAX].map(|eligible| expected_reward(&job, eligible)), [500, 8_000]);
        // Where all of them together hit the most that a round draws.
        round.quote(&mut job, 10_000, 64_000).unwrap();
        assert_eq!([1, u16::MAX].map(|eligible| expected_reward(&job, eligible)), [4_000, 10_000]);
    }
}

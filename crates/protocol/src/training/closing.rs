//! What is left of a round, and when: its accounts close an unbonding time after the last of it was settled, by anyone's call, and the
//! rent goes back to the one who paid it; money that nobody collected meanwhile is insured. What came out of a final round stays in the job, as a chain of hashes that archives can verify.
//!
//! Invariants: nothing closes that a rule may still read: the last final round and what was committed in it stay for the next one, a round
//! stays as long as one of its segments, runs or disputes does, and whatever holds money, or still earns or owes it, stays. A closed account never
//! comes again: its round opens once, and commitments need that.

use sip_proof::Sha256;

use crate::training::{finality::require, seed};
use crate::{
    Account, Error, Result,
    training::{
        attendance::here,
        evaluation::ScoringRun,
        job::Job,
        round::{self, Round},
        segment::Segment,
    },
};

/// Begins what is hashed.
pub const TAG: &[u8] = b"sip.history.1";

/// The history of a job whose final rounds had the history `before`, with one more: sha256("sip.history.1" ‖ before ‖ index ‖ parent ‖ seed ‖
/// base ‖ reveals ‖ next base ‖ mixture ‖ settings ‖ committed ‖ accepted ‖ scores ‖ quality ‖ reward), integers little-endian. Zeros before the
/// first final round.
pub fn history<H: Sha256>(before: &[u8; 32], round: &Round) -> [u8; 32] {
    let numbers = [round.index.to_le_bytes(), round.parent.to_le_bytes()];
    let places = [round.committed.to_le_bytes(), round.accepted.to_le_bytes()];
    let amounts = [round.quality.to_le_bytes(), round.reward.to_le_bytes()];
    H::hashv(&[
        TAG,
        before,
        numbers.as_flattened(),
        &round.seed,
        &round.base_root,
        &round.reveals,
        &round.next_base,
        bytemuck::bytes_of(&round.mixture_bps),
        bytemuck::bytes_of(&round.settings),
        places.as_flattened(),
        bytemuck::bytes_of(&round.scores),
        amounts.as_flattened(),
    ])
}

impl Round {
    /// Keeps, once everything of its score is decided, what came out of the round as the head of the job's history. Of a round that is not
    /// scored there is nothing to keep.
    #[inline(always)]
    pub fn record<H: Sha256>(&mut self, job: &mut Job) {
        if self.status == round::SCORED {
            self.history = history::<H>(&job.head_history, self);
            job.head_history = self.history;
        }
    }
}

/// When something may close: an unbonding time after it is over.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// Slots that have to pass.
    pub unbonding_slots: u64,
    /// The present slot.
    pub slot: u64,
}

impl Rest {
    /// As a job's own rules say.
    pub const fn of(job: &Job, slot: u64) -> Rest {
        Rest { unbonding_slots: job.parameters.unbonding_slots, slot }
    }

    /// Checks that so many slots have passed.
    pub fn require_since(&self, slot: u64) -> Result<()> {
        require(self.slot.saturating_sub(slot) >= self.unbonding_slots, Error::StillResting)
    }
}

impl Round {
    /// One more account stands on the round.
    pub fn open_account(&mut self) -> Result<()> {
        self.open_accounts = self.open_accounts.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    fn close_account(&mut self) -> Result<()> {
        self.open_accounts = self.open_accounts.checked_sub(1).ok_or(Error::Underflow)?;
        Ok(())
    }

    /// Whether everyone of the round was settled.
    pub fn is_settled(&self) -> bool {
        let domains = ((1u16 << self.domain_count.min(8)) - 1) as u8;
        // A seat that was not awake when it was opened has no part in it.
        let (mut auditors, mut evaluators) =
            (here(self.awaited_auditors, &self.auditors), here(self.awaited_evaluators, &self.evaluators));
        auditors.all(|(_, seat)| seat.settled != 0 && seat.vote_slice == 0 && seat.attestation_slice == 0)
            && evaluators.all(|(_, seat)| seat.settled != 0)
            && self.settled_absent == self.eligible & !self.committed
            && self.settled_data == domains
            && self.settled_patrons == domains
    }

    /// Checks that the round is over for an unbonding time, and that nothing builds on it that is not: it is not the last final one, whose
    /// segments the next round's may go on from, and no seed waits for it.
    fn require_rested(&self, job: &Job, slot: u64) -> Result<()> {
        require(self.status == round::FINAL || self.status == round::VOID, Error::NotFinal)?;
        // Without it the job could never have its next seed.
        let is_awaited = self.seed_status == seed::PENDING;
        require(self.index != job.chain.last_final && !is_awaited, Error::StillNeeded)?;
        require(self.settled_slot != 0 && self.is_beyond_accusation(slot)?, Error::StillResting)?;
        Rest::of(job, slot).require_since(self.settled_slot)
    }

    /// Takes a segment off the round, which closes then. The caller has checked that it is the round's. Returns what of its money nobody
    /// collected in all that time, for the insurance.
    pub fn release_segment(&mut self, job: &Job, segment: &Segment, slot: u64) -> Result<u64> {
        self.require_rested(job, slot)?;
        require(slot > self.segment_disputable_until(segment), Error::StillResting)?;
        let is_over = segment.settled != 0 && segment.open_disputes == 0 && segment.escrow.bounty == 0;
        require(is_over, Error::StillNeeded)?;
        self.close_account()?;
        segment.liabilities()
    }

    /// Takes a scoring run off the round, likewise.
    pub fn release_run(&mut self, job: &Job, run: &ScoringRun, slot: u64) -> Result<u64> {
        self.require_rested(job, slot)?;
        let seat = self.evaluators.get(run.claim.place as usize).ok_or(Error::WrongPlace)?;
        let is_over = seat.settled != 0 && run.open_disputes == 0 && run.escrow.bounty == 0;
        require(is_over, Error::StillNeeded)?;
        self.close_account()?;
        run.liabilities()
    }

    /// Checks that the round may close: everyone of it is settled, no segment, run or dispute of it is left. Returns what of its money
    /// nobody collected in all that time, for the insurance.
    pub fn release(&self, job: &Job, slot: u64) -> Result<u64> {
        self.require_rested(job, slot)?;
        let disputes = self.vote_disputes | self.run_disputes | self.attestation_disputes;
        // A round that was undone with it takes its part out of this account.
        let is_alone = self.open_accounts == 0 && self.open_challenges == 0 && disputes == 0 && !self.has_heirs();
        require(is_alone && self.is_settled() && self.bounties()? == 0, Error::StillNeeded)?;
        self.uncollected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use sip_proof::HostSha256;

    fn round() -> (Job, Round) {
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        job.chain.last_final = 8;
        job.parameters.unbonding_slots = 50;
        (round.index, round.status, round.domain_count) = (7, round::FINAL, 3);
        (round.auditor_count, round.evaluator_count) = (3, 2);
        // The place between them was nobody's.
        (round.awaited_auditors, round.awaited_evaluators) = (0b101, 0b10);
        (round.committed, round.eligible, round.settled_absent) = (1, 0b101, 0b100);
        for place in [0, 2] {
            round.auditors[place].settled = 1;
        }
        round.evaluators[1].settled = 1;
        (round.settled_data, round.settled_patrons, round.settled_slot) = (7, 7, 1_000);
        (job, round)
    }

    #[test]
    fn a_round_closes_an_unbonding_time_after_its_last_settlement_with_nothing_left_of_it() {
        let (job, round) = round();
        let at = |job: &Job, change: &dyn Fn(&mut Round), slot| {
            let mut changed = round;
            change(&mut changed);
            changed.release(job, slot)
        };
        assert_eq!(at(&job, &|_| (), 1_049), Err(Error::StillResting));
        assert_eq!(at(&job, &|_| (), 1_050), Ok(0));
        for (change, expected) in [
            (&(|round: &mut Round| round.status = round::SCORED) as &dyn Fn(&mut Round), Error::NotFinal),
            (&|round| round.index = 8, Error::StillNeeded),
            (&|round| round.seed_status = seed::PENDING, Error::StillNeeded),
            (&|round| round.settled_slot = 0, Error::StillResting),
            (&|round| round.open_accounts = 1, Error::StillNeeded),
            (&|round| round.attestation_disputes = 1, Error::StillNeeded),
            (&|round| round.vote_disputes = 1, Error::StillNeeded),
            (&|round| round.open_challenges = 1, Error::StillNeeded),
            (&|round| round.auditors[1].vote_escrow.bounty = 1, Error::StillNeeded),
            (&|round| round.auditors[0].attestation_escrow.bounty = 1, Error::StillNeeded),
            (&|round| round.auditors[2].settled = 0, Error::StillNeeded),
            (&|round| round.auditors[0].vote_slice = 1, Error::StillNeeded),
            (&|round| round.auditors[0].attestation_slice = 1, Error::StillNeeded),
            (&|round| round.evaluators[1].settled = 0, Error::StillNeeded),
            (&|round| round.settled_absent = 0, Error::StillNeeded),
            (&|round| round.settled_data = 3, Error::StillNeeded),
            (&|round| round.settled_patrons = 6, Error::StillNeeded),
        ] {
            assert_eq!(at(&job, change, 1_050), Err(expected));
        }
        // What convictions left for work that nobody did, or that collected less, is insured.
        let pot = |round: &mut Round| (round.is_undone, round.compensation, round.paid) = (1, 70, 30);
        assert_eq!(at(&job, &pot, 1_050), Ok(40));
        // Of a round that came to nothing, an accusation may still be opened for long.
        let void = |round: &mut Round| (round.status, round.challenge_deadline_slot) = (round::VOID, 5_000);
        assert_eq!(at(&job, &void, 6_500), Err(Error::StillResting));
        assert_eq!(at(&job, &void, 6_501), Ok(0));
    }

    #[test]
    fn a_segment_or_run_closes_once_it_is_settled_and_owes_nothing() {
        let (job, mut round) = round();
        let (mut segment, mut run) = (Segment::zeroed(), ScoringRun::zeroed());
        run.claim.place = 1;
        // One of a round that was undone while it was open, which has no deadlines of its own.
        (round.status, round.audit_slots, segment.committed_slot, segment.settled) = (round::VOID, 60, 950, 1);
        assert_eq!({ round }.release_segment(&job, &segment, 2_510), Err(Error::StillResting));
        assert_eq!({ round }.release_segment(&job, &segment, 2_511), Err(Error::Underflow));
        (round.status, segment.settled) = (round::FINAL, 0);
        round.open_accounts = 2;
        let slot = 2_511;
        assert_eq!(round.release_segment(&job, &segment, slot), Err(Error::StillNeeded));
        segment.settled = 1;
        for (disputes, bounty) in [(1, 0), (0, 1)] {
            (segment.open_disputes, segment.escrow.bounty) = (disputes, bounty);
            (run.open_disputes, run.escrow.bounty) = (disputes, bounty);
            assert_eq!(round.release_segment(&job, &segment, slot), Err(Error::StillNeeded));
            assert_eq!(round.release_run(&job, &run, slot), Err(Error::StillNeeded));
        }
        (segment.escrow.bounty, run.escrow.bounty) = (0, 0);
        assert_eq!(round.release(&job, slot), Err(Error::StillNeeded));
        assert_eq!((round.release_segment(&job, &segment, slot), round.release_run(&job, &run, slot)), (Ok(0), Ok(0)));
        assert_eq!(round.release(&job, slot), Ok(0));
    }

    #[test]
    fn a_history_tells_whatever_came_out_of_each_round_and_in_which_order() {
        let (_, round) = round();
        let of = |change: &dyn Fn(&mut Round)| {
            let mut changed = round;
            change(&mut changed);
            history::<HostSha256>(&[1; 32], &changed)
        };
        let mut found = std::vec::Vec::from([of(&|_| ()), history::<HostSha256>(&[2; 32], &round)]);
        let changes: [&dyn Fn(&mut Round); 13] = [
            &|round| round.index = 9,
            &|round| round.parent = 9,
            &|round| round.seed = [9; 32],
            &|round| round.base_root = [9; 32],
            &|round| round.reveals = [9; 32],
            &|round| round.next_base = [9; 32],
            &|round| round.mixture_bps[7] = 9,
            &|round| round.settings[3] = 9,
            &|round| round.committed = 9,
            &|round| round.accepted = 9,
            &|round| round.scores[7] = 9,
            &|round| round.quality = 9,
            &|round| round.reward = 9,
        ];
        found.extend(changes.map(|change| of(change)));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 15);
    }
}

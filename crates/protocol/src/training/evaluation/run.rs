//! A scoring run: what an evaluator computed to score a base, once it is revealed. An account of its own kind, so that no rule of a
//! trainer's segment takes one for the other.
//!
//! Invariants: status only moves Revealed → Convicted; a conviction slashes once; of all accusations that convict, the one committed first
//! has the bounty, which leaves the run once.

use bytemuck::{Pod, Zeroable};

use crate::{
    Address, Error, Header, Result, account,
    admin::{config::Parameters, penalties::Convicted},
    ground::layout::layout,
    ground::{escrow::Escrow, offence::Offence},
    stake::pool::{Pool, SlashOutcome},
    training::{
        evaluation,
        job::Job,
        round::{self, Round},
        segment::slots_since,
    },
};
use sip_arith::int;

/// It stands.
pub const REVEALED: u8 = 1;
/// A dispute convicted it.
pub const CONVICTED: u8 = 2;

layout! {
    /// What an evaluator claims of its run.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct RunClaim {
        /// State root before the first step: that of zero sums.
        pub start_root: [u8; 32],
        /// State root after the last step: that of the sums.
        pub end_root: [u8; 32],
        /// Root over the step leaves.
        pub accumulator_root: [u8; 32],
        /// Step leaves.
        pub leaf_count: u32,
        /// The evaluator's place in the round.
        pub place: u8,
        /// Always 0.
        pub reserved: [u8; 3],
    }
}

layout! {
    /// What an evaluator reveals of its scores of a base, and what becomes of it.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct ScoringRun {
        /// Kind, version, bump.
        pub header: Header,
        /// The job.
        pub job: Address,
        /// The round whose next base it scores.
        pub round: Address,
        /// The evaluator's pool.
        pub pool: Address,
        /// The evaluator's wallet.
        pub operator: Address,
        /// Who paid the rent, and gets it back.
        pub payer: Address,
        /// What was committed, and then revealed.
        pub claim: RunClaim,
        /// The pool's stake at the commitment, base units.
        pub stake: u64,
        /// Slot of the reveal.
        pub revealed_slot: u64,
        /// [`REVEALED`] or [`CONVICTED`].
        pub status: u8,
        /// Always 0.
        pub reserved: u8,
        /// Disputes open on it.
        pub open_disputes: u16,
        /// Slots from the reveal to its conviction; 0 before.
        pub convicted_slots: u32,
        /// The bounty of its conviction.
        pub escrow: Escrow,
    }
}

account!(ScoringRun, ScoringRun, 344, liabilities: |run| Ok(run.escrow.bounty));

impl ScoringRun {
    /// A dispute on the run begins; its pool is frozen. Whether a convicted run may still be accused, the accusation has checked
    /// ([`crate::court::accusation`]).
    pub fn open_dispute(&mut self, pool: &mut Pool) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_add(1).ok_or(Error::Overflow)?;
        pool.freeze()
    }

    /// A dispute on the run ends, whatever its verdict.
    pub fn close_dispute(&mut self, pool: &mut Pool) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_sub(1).ok_or(Error::PoolNotFrozen)?;
        pool.unfreeze()
    }

    /// Takes the bounty: see [`Escrow::claim`].
    pub fn claim_bounty(&mut self, slot: u64) -> Result<(Address, u64)> {
        self.escrow.claim(self.open_disputes != 0, slot)
    }

    /// The verdict of a dispute that the evaluator lost: its pool is slashed, once for a run, and its scores do not count. Says whether
    /// the round was scored by them, so that it has to be undone. The caller shares what was taken
    /// ([`Config::share`](crate::admin::config::Config::share)).
    #[inline(always)]
    pub fn convict(
        &mut self,
        round: &mut Round,
        pool: &mut Pool,
        parameters: &Parameters,
        slot: u64,
    ) -> Result<(SlashOutcome, bool)> {
        if self.status == CONVICTED {
            return Ok((SlashOutcome::default(), false));
        }
        self.status = CONVICTED;
        self.convicted_slots = slots_since(self.revealed_slot, slot);
        pool.claims_convicted = pool.claims_convicted.saturating_add(1);
        let seat = round.evaluators.get_mut(self.claim.place as usize).ok_or(Error::WrongPlace)?;
        if seat.status == evaluation::WITHIN {
            round.evaluator_stake = int::sub(round.evaluator_stake, seat.stake)?;
        }
        seat.status = evaluation::CONVICTED;
        // Who was off only beside it is no longer, whatever became of the round since.
        let was_scored = round.status == round::SCORED || round.void_from == round::SCORED;
        let is_judged_by_it = was_scored && evaluation::medians(round) != Some(round.scores);
        if is_judged_by_it {
            evaluation::rejudge(round, parameters.score_tolerance)?;
        }
        let is_scored_by_it = is_judged_by_it && round.status == round::SCORED;
        let seat = round.evaluators.get_mut(self.claim.place as usize).ok_or(Error::WrongPlace)?;
        let backing = seat.backing();
        let claim = Convicted { slice: &mut seat.slice, backing, made_slot: seat.committed_slot, slot };
        Ok((pool.convict(&parameters.penalties, Offence::ConvictedRun, claim)?, is_scored_by_it))
    }
}

/// From when on a round is scored whose scoring runs differ: the time for reveals once more.
pub fn dispute_deadline(round: &Round, job: &Job) -> Result<u64> {
    round::deadline(round.reveal_deadline_slot, job.spec.evaluation_slots)
}

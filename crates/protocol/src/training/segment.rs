//! A segment: one trainer's steps of one round, committed in one transaction.
//!
//! Invariants: status only moves Committed → Accepted → Convicted; a segment is settled once; an accepted segment starts at the
//! round's base, or with compressed updates names its trainer's previous one; a conviction slashes once; of all accusations that convict, the one committed first has the bounty, which leaves the
//! segment once.

use bytemuck::{Pod, Zeroable};

use sip_arith::int;
use sip_proof::Sha256;

use crate::{
    Address, Error, Header, Result, account,
    admin::{config::Config, penalties::Convicted},
    ground::layout::layout,
    ground::{escrow::Escrow, offence::Offence},
    stake::pool::{Pool, PoolKind, SlashOutcome},
    training::{
        attendance::early_end,
        job::{Job, JobSpec, MAX_AUDITORS, bit},
        round::{self, AuditorSeat, Round},
        seats::require_unconvicted,
    },
};

/// Committed, neither accepted nor convicted.
pub const COMMITTED: u8 = 1;
/// A dispute convicted it.
pub const CONVICTED: u8 = 2;
/// It counts in its round.
pub const ACCEPTED: u8 = 3;

layout! {
    /// What a trainer commits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct SegmentClaim {
        /// State root before the first step: the round's base, or with compressed updates what the start graph gives.
        pub start_root: [u8; 32],
        /// State root after the last step.
        pub end_root: [u8; 32],
        /// Root over the step leaves.
        pub accumulator_root: [u8; 32],
        /// Step leaves.
        pub leaf_count: u32,
        /// The trainer's place in the job.
        pub place: u8,
        /// Always 0.
        pub reserved: [u8; 3],
        // Compressed updates; zero without them.
        /// Root of the trainer's previous update: see [`previous_root`].
        pub previous_root: [u8; 32],
        /// Root of the update that the update graph gives.
        pub update_root: [u8; 32],
    }
}

impl SegmentClaim {
    /// Root of what the segment hands over: its update, or its end state.
    pub const fn result_root(&self, spec: &JobSpec) -> &[u8; 32] {
        if spec.is_compressed() { &self.update_root } else { &self.end_root }
    }
}

/// The previous update that a segment must name: that of its trainer's segment in the round which the segment's round builds on, if it
/// counts there, else the job's reset. So a trainer that joins, sat out a round, or had no part in a base starts anew. Zero without compressed
/// updates.
pub fn previous_root(spec: &JobSpec, previous: Option<&Segment>) -> [u8; 32] {
    match previous {
        _ if !spec.is_compressed() => [0; 32],
        Some(segment) if segment.status == ACCEPTED => segment.claim.update_root,
        _ => spec.reset_update_root,
    }
}

layout! {
    /// What a trainer commits of its work in a round, and what becomes of it.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Segment {
        /// Kind, version, bump.
        pub header: Header,
        /// The job.
        pub job: Address,
        /// The round.
        pub round: Address,
        /// The trainer's pool.
        pub pool: Address,
        /// The trainer's wallet.
        pub operator: Address,
        /// Who paid the rent, and gets it back.
        pub payer: Address,
        /// What was committed.
        pub claim: SegmentClaim,
        /// The pool's stake at the commitment, base units.
        pub stake: u64,
        /// Slot of the commitment.
        pub committed_slot: u64,
        /// [`COMMITTED`], [`CONVICTED`] or [`ACCEPTED`].
        pub status: u8,
        /// Whether it came after the deadline: 1, else 0.
        pub late: u8,
        /// Whether it was settled: 1, else 0.
        pub settled: u8,
        /// Whether its slice stands behind another claim as well: 1, else 0; see [`crate::training::thaw`].
        pub is_thawed: u8,
        /// Disputes and demands open on it.
        pub open_disputes: u16,
        /// Auditors by place that attested it.
        pub attested: u16,
        /// By place: the attestation's commitment, and once it is shown the trace root behind it; see [`crate::training::attestation`].
        pub attestations: [[u8; 32]; MAX_AUDITORS],
        /// Auditors by place that have shown their attestation.
        pub shown: u16,
        /// Whether the pool counts its slice as one of its `claims_job`: 1, else 0; see [`Pool::pledge`].
        pub is_counted: u8,
        /// Always 0.
        pub padding: [u8; 1],
        /// Slots from `committed_slot` to its conviction; 0 before.
        pub convicted_slots: u32,
        /// The bounty of its conviction.
        pub escrow: Escrow,
        /// Demands for its end state that are open.
        pub open_demands: u16,
        /// Always 0.
        pub unused: [u8; 2],
        /// Slots from its first commitment to the last amendment.
        pub amended_slots: u32,
        /// Slice of the trainer's own bond behind it, base units; 0 once it is free.
        pub slice: u64,
        /// The operator's own part of `stake`, base units.
        pub own_stake: u64,
    }
}

account!(Segment, Segment, 952, liabilities: |segment| Ok(segment.escrow.bounty));

/// What a commitment is checked against.
pub struct Commitment<'a> {
    /// The job.
    pub job: &'a Job,
    /// The round's address.
    pub round_address: &'a Address,
    /// The round.
    pub round: &'a mut Round,
    /// The address of the trainer's pool.
    pub pool_address: &'a Address,
    /// The trainer's pool.
    pub pool: &'a mut Pool,
    /// What the trainer claims.
    pub claim: &'a SegmentClaim,
    /// Who pays the rent.
    pub payer: &'a Address,
    /// [`previous_root`] of the trainer's segment in the round's parent.
    pub previous_root: &'a [u8; 32],
    /// Present slot.
    pub slot: u64,
}

/// What an amendment is checked against. The caller has checked that the accounts belong together.
pub struct Amendment<'a> {
    /// The insurance, which takes the fee.
    pub config: &'a mut Config,
    /// The job.
    pub job: &'a Job,
    /// The round.
    pub round: &'a Round,
    /// The address of the trainer's pool.
    pub pool_address: &'a Address,
    /// The trainer's pool, which pays the fee.
    pub pool: &'a mut Pool,
    /// What the trainer claims instead.
    pub claim: &'a SegmentClaim,
    /// [`previous_root`] of the trainer's segment in the round's parent.
    pub previous_root: &'a [u8; 32],
    /// Present slot.
    pub slot: u64,
}

impl Segment {
    /// Commits a segment: starting at the base or from the previous update, complete, by a trainer in good standing, once per round, before the commits
    /// are closed; after the deadline it is late.
    #[inline(always)]
    pub fn commit(&mut self, commitment: Commitment) -> Result<()> {
        let Commitment { job, round_address, round, pool_address, pool, claim, payer, previous_root, slot } =
            commitment;
        check_claim(job, round, pool_address, claim)?;
        // What it would go on from may be closed by then, and the round comes to nothing.
        round.require_on_chain(job)?;
        check_updates(job, round, claim, previous_root)?;
        if round.committed & bit(claim.place) != 0 {
            return Err(Error::AlreadyCommitted);
        }
        round.committed |= bit(claim.place);
        if round.early_close_slot == 0 {
            let phase = [round.opened_slot, round.commit_deadline_slot];
            round.early_close_slot = early_end(phase, round.committed, round.eligible, slot);
        }
        round.open_account()?;
        self.slice = job.spec.slice;
        require_unconvicted(pool)?;
        self.is_counted = pool.pledge(self.slice, &round.job)?;
        self.job = round.job;
        self.round = *round_address;
        self.pool = *pool_address;
        self.operator = pool.scope;
        self.payer = *payer;
        self.claim = *claim;
        let stakes = pool.allotted(job.allotment(PoolKind::Trainer, claim.place, pool_address))?;
        (self.stake, self.own_stake) = (stakes.whole, stakes.own);
        self.committed_slot = slot;
        self.status = COMMITTED;
        self.late = (slot > round.commit_deadline_slot) as u8;
        Ok(())
    }

    /// Replaces what was committed while the commits are open, so before any draw is known, for a fee: a trainer
    /// whose hardware slipped need not be convicted for it.
    #[inline(always)]
    pub fn amend(&mut self, amendment: Amendment) -> Result<()> {
        let Amendment { config, job, round, pool_address, pool, claim, previous_root, slot } = amendment;
        check_claim(job, round, pool_address, claim)?;
        round.require_on_chain(job)?;
        check_updates(job, round, claim, previous_root)?;
        if self.claim == *claim {
            return Err(Error::NothingAmended);
        }
        let charged = pool.punish(&job.parameters.penalties, Offence::AmendedSegment, slot)?;
        config.insure_penalty(&charged)?;
        pool.require_bonded(int::add(pool.frozen_bond, pool.owed_bond)?)?;
        self.claim = *claim;
        let stakes = pool.allotted(job.allotment(PoolKind::Trainer, claim.place, pool_address))?;
        (self.stake, self.own_stake) = (stakes.whole, stakes.own);
        self.amended_slots = self.amended_slots.saturating_add(slots_since(self.committed_slot, slot));
        self.committed_slot = slot;
        self.late = (slot > round.commit_deadline_slot) as u8;
        Ok(())
    }

    /// Whether an auditor's draw selects the segment at `address`:
    /// u32LE(sha256(preimage ‖ address ‖ accumulator root)[0..4]) < rate. Nobody draws its own segment.
    pub fn is_drawn<H: Sha256>(&self, address: &Address, seat: &AuditorSeat, audit_rate: u32) -> bool {
        let digest = H::hashv(&[&seat.preimage, address, &self.claim.accumulator_root]);
        u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) < audit_rate && seat.operator != self.operator
    }

    /// Whether a dispute on the segment is open; demands do not count.
    pub fn is_disputed(&self) -> bool {
        self.open_disputes > self.open_demands
    }

    /// A dispute on the segment begins; its pool is frozen. Whether a convicted segment may still be accused, the accusation has
    /// checked ([`crate::court::accusation`]).
    pub fn open_dispute(&mut self, pool: &mut Pool) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_add(1).ok_or(Error::Overflow)?;
        pool.freeze()
    }

    /// A dispute on the segment ends, whatever its verdict.
    pub fn close_dispute(&mut self, pool: &mut Pool) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_sub(1).ok_or(Error::PoolNotFrozen)?;
        pool.unfreeze()
    }

    /// A demand on the segment ends. [`Segment::close_dispute`] follows: a demand counts as a dispute too.
    pub fn close_demand(&mut self) -> Result<()> {
        self.open_demands = self.open_demands.checked_sub(1).ok_or(Error::Underflow)?;
        Ok(())
    }

    /// Takes the bounty: see [`Escrow::claim`]. A demand that is open holds nothing up: its failure takes no bounty.
    pub fn claim_bounty(&mut self, slot: u64) -> Result<(Address, u64)> {
        self.escrow.claim(self.is_disputed(), slot)
    }

    /// Takes a bounty that silence left and that no accusation can have any more: none on a segment of its round can be opened, and no
    /// dispute on it is open. The caller insures it.
    pub fn release_bounty(&mut self, round: &Round, slot: u64) -> Result<u64> {
        if self.is_disputed() || !round.is_beyond_accusation(slot)? {
            return Err(Error::BountyHeld);
        }
        self.escrow.release()
    }

    /// The verdict of a dispute that the trainer lost, or of its silence: the segment is convicted, its pool slashed by the offence's row
    /// and its trainer kept out of later rounds. A second conviction of one segment takes nothing more. The caller shares what was
    /// taken ([`Config::share`]).
    #[inline(always)]
    pub fn convict(&mut self, job: &mut Job, pool: &mut Pool, offence: Offence, slot: u64) -> Result<SlashOutcome> {
        if self.status == CONVICTED {
            return Ok(SlashOutcome::default());
        }
        self.status = CONVICTED;
        self.convicted_slots = slots_since(self.committed_slot, slot);
        job.exclude(PoolKind::Trainer, &self.pool);
        pool.segments_convicted = pool.segments_convicted.saturating_add(1);
        let backing = self.backing();
        let claim = Convicted { slice: &mut self.slice, backing, made_slot: self.committed_slot, slot };
        pool.convict(&job.parameters.penalties, offence, claim)
    }
}

/// Slots from one to a later one, as far as they can be counted here.
pub(crate) fn slots_since(from_slot: u64, slot: u64) -> u32 {
    slot.saturating_sub(from_slot).min(u32::MAX as u64) as u32
}

/// Checks that a trainer may claim this in an open round: its place, the number of leaves.
fn check_claim(job: &Job, round: &Round, pool_address: &Address, claim: &SegmentClaim) -> Result<()> {
    round.require_status(round::OPEN)?;
    round.require_holder(PoolKind::Trainer, claim.place, pool_address)?;
    if round.eligible & bit(claim.place) == 0 || round.is_trainer_excluded(job, claim.place) {
        return Err(Error::Excluded);
    }
    if claim.leaf_count != job.spec.leaf_count() || claim.reserved != [0; 3] {
        return Err(Error::WrongLeafCount);
    }
    Ok(())
}

/// Checks where a segment starts: at the round's base; with compressed updates from the right previous one, and then what start state
/// follows, and what update the end state, is the court's business.
fn check_updates(job: &Job, round: &Round, claim: &SegmentClaim, previous_root: &[u8; 32]) -> Result<()> {
    if claim.previous_root != *previous_root {
        return Err(Error::WrongPreviousUpdate);
    }
    if job.spec.is_compressed() {
        return if claim.update_root != [0; 32] { Ok(()) } else { Err(Error::WrongUpdate) };
    }
    if claim.start_root != round.base_root {
        return Err(Error::WrongStartRoot);
    }
    if claim.update_root != [0; 32] {
        return Err(Error::WrongUpdate);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::seats::{AWAKE, Seat};
    use crate::{admin::config::Parameters, ground::units::TOKEN};

    #[test]
    fn a_conviction_slashes_once_and_excludes_the_trainer() {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
        pool.self_bond = 100 * TOKEN;
        pool.assets += 200 * TOKEN;
        pool.shares += 200 * TOKEN;
        pool.unbonding_assets = 10 * TOKEN;
        let mut job = Job::zeroed();
        job.trainers[3] = Seat { pool: [5; 32], state: AWAKE, ..Seat::default() };
        job.next_round = 1;
        let mut segment = Segment::zeroed();
        (segment.status, segment.pool) = (COMMITTED, [5; 32]);
        segment.claim.place = 3;
        segment.slice = 100 * TOKEN;
        job.parameters = Parameters::DEFAULT;
        let row = Offence::ConvictedSegment;
        segment.open_dispute(&mut pool).unwrap();
        let outcome = segment.convict(&mut job, &mut pool, row, 0).unwrap();
        assert_eq!((outcome.from_bond, outcome.from_delegators), (100 * TOKEN, 63 * TOKEN + 300));
        assert_eq!((pool.self_bond, pool.segments_convicted), (0, 1));
        assert!(job.is_excluded(3) && !job.is_excluded(2));
        assert_eq!(segment.convict(&mut job, &mut pool, row, 0), Ok(SlashOutcome::default()));
        // The holder of the place by then is not kept out for its predecessor.
        let mut moved = Job { struck_trainers: 0, ..job };
        moved.trainers[3] = Seat { pool: [6; 32], state: AWAKE, ..Seat::default() };
        Segment { status: COMMITTED, ..segment }.convict(&mut moved, &mut pool, row, 0).unwrap();
        assert!(!moved.is_excluded(3) && moved.struck_trainers == 0);
        segment.close_dispute(&mut pool).unwrap();
        assert_eq!(segment.close_dispute(&mut pool), Err(Error::PoolNotFrozen));
    }

    #[test]
    fn only_an_update_that_was_applied_is_a_previous_one() {
        let plain = JobSpec::default();
        let spec = JobSpec { update_entries: 3, reset_update_root: [9; 32], ..plain };
        let mut segment = Segment::zeroed();
        segment.claim.update_root = [5; 32];
        for (status, expected) in [(0, [9; 32]), (COMMITTED, [9; 32]), (CONVICTED, [9; 32]), (ACCEPTED, [5; 32])] {
            segment.status = status;
            assert_eq!(previous_root(&spec, Some(&segment)), expected);
            assert_eq!(previous_root(&plain, Some(&segment)), [0; 32]);
        }
        assert_eq!((previous_root(&spec, None), previous_root(&plain, None)), ([9; 32], [0; 32]));
        segment.claim.end_root = [7; 32];
        assert_eq!((segment.claim.result_root(&spec), segment.claim.result_root(&plain)), (&[5; 32], &[7; 32]));
    }

    #[test]
    fn a_claim_starts_at_the_base_or_at_the_right_previous_update() {
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        round.base_root = [1; 32];
        let plain = SegmentClaim { start_root: [1; 32], ..SegmentClaim::default() };
        let compressed = SegmentClaim { start_root: [2; 32], previous_root: [9; 32], update_root: [3; 32], ..plain };
        let check = |job: &Job, claim: &SegmentClaim| {
            let previous = if job.spec.is_compressed() { [9; 32] } else { [0; 32] };
            check_updates(job, &round, claim, &previous)
        };
        assert_eq!(check(&job, &plain), Ok(()));
        assert_eq!(check(&job, &SegmentClaim { start_root: [2; 32], ..plain }), Err(Error::WrongStartRoot));
        assert_eq!(check(&job, &SegmentClaim { update_root: [2; 32], ..plain }), Err(Error::WrongUpdate));
        assert_eq!(check(&job, &compressed), Err(Error::WrongPreviousUpdate));
        job.spec.update_entries = 3;
        assert_eq!(check(&job, &compressed), Ok(()));
        assert_eq!(check(&job, &SegmentClaim { update_root: [0; 32], ..compressed }), Err(Error::WrongUpdate));
        let stale = SegmentClaim { previous_root: [8; 32], ..compressed };
        assert_eq!(check(&job, &stale), Err(Error::WrongPreviousUpdate));
        assert_eq!(check(&job, &plain), Err(Error::WrongPreviousUpdate));
    }
}

//! An accusation before it is one: a bond and a hash. Whom it accuses shows only when its dispute is opened, a slot later at the
//! earliest; of all that end in conviction, the one committed first has the bounty. The rules are the same for every claim.
//!
//! Invariants: a bond leaves its accusation once: into the dispute, or back, less what an accusation costs that was never opened. A
//! bounty leaves its escrow once, when nobody can turn out to have accused earlier.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;
use sip_proof::Sha256;

use crate::{
    Address, Error, Header, Result, account,
    admin::config::{Config, Parameters},
    ground::layout::layout,
    ground::{
        case::CaseKind,
        escrow::{Escrow, REVEAL_SLOTS},
        offence::Offence,
    },
    stake::pool::{Pool, PoolKind},
    training::{
        evaluation::run::{self, ScoringRun},
        job::{Job, bit},
        round::{AuditorSeat, Round},
        segment::{CONVICTED, Segment},
    },
};

/// How long after a conviction an accuser may not have known of it: its accusation was on the way.
pub const NEWS_SLOTS: u64 = 150;
/// Begins what is hashed.
pub const TAG: &[u8] = b"sip.accuse.2";
/// The place of a claim that is no auditor's.
pub const NO_PLACE: u8 = u8::MAX;

layout! {
    /// A bond and a hash of what it accuses, before that is told.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Accusation {
        /// Kind, version, bump.
        pub header: Header,
        /// Wallet that accuses and paid the rent.
        pub challenger: Address,
        /// See [`hash`].
        pub hash: [u8; 32],
        /// Its bond, base units.
        pub bond: u64,
        /// When it was committed.
        pub committed_slot: u64,
        /// The job of the claim, whose open accusations it counts among.
        pub job: Address,
    }
}

account!(Accusation, Accusation, 120, liabilities: |accusation| Ok(accusation.bond));

/// What an accusation commits: sha256("sip.accuse.2" ‖ subject ‖ place ‖ challenger ‖ salt). The subject is the segment that is accused
/// or was attested, the scoring run, of a vote the round, of a genesis state the job; the place is the auditor's, or [`NO_PLACE`].
pub fn hash<H: Sha256>(subject: &Address, place: u8, challenger: &Address, salt: &[u8; 32]) -> [u8; 32] {
    H::hashv(&[TAG, subject, &[place], challenger, salt])
}

/// A claim, as an accusation sees it.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// See [`hash`].
    pub subject: Address,
    /// See [`hash`].
    pub place: u8,
    /// When it was made, or could be at the earliest: what accused it before accuses something else.
    pub made_slot: u64,
    /// When what stood in its place first was made: what accused it before accused nothing.
    pub first_slot: u64,
    /// The last slot in which somebody may have accused it without knowing that it is convicted.
    pub unknown_until: u64,
    /// The last slot in which an accusation of it may be committed: see [`crate::training::window`].
    pub accusable_until: u64,
    /// Whether it was convicted.
    pub is_convicted: bool,
    /// Where its bounty waits.
    pub escrow: Escrow,
}

impl Claim {
    /// A trainer's segment of a round, whatever in it is accused.
    pub fn of_segment(address: &Address, segment: &Segment, round: &Round) -> Claim {
        Claim {
            subject: *address,
            place: NO_PLACE,
            made_slot: segment.committed_slot,
            first_slot: segment.committed_slot.saturating_sub(segment.amended_slots as u64),
            unknown_until: news(segment.status == CONVICTED, segment.committed_slot, segment.convicted_slots),
            accusable_until: round.segment_accusable_until(segment),
            is_convicted: segment.status == CONVICTED,
            escrow: segment.escrow,
        }
    }

    /// An evaluator's scoring run of a round.
    pub fn of_run(address: &Address, run: &ScoringRun, round: &Round) -> Claim {
        Claim {
            subject: *address,
            place: NO_PLACE,
            made_slot: run.revealed_slot,
            first_slot: run.revealed_slot,
            unknown_until: news(run.status == run::CONVICTED, run.revealed_slot, run.convicted_slots),
            accusable_until: round.accusable_until(CaseKind::Score),
            is_convicted: run.status == run::CONVICTED,
            escrow: run.escrow,
        }
    }

    /// An auditor's vote in a round.
    pub fn of_vote(address: &Address, round: &Round, auditor: &Auditor<'_>) -> Result<Claim> {
        let seat = auditor.seat(round)?;
        Ok(Claim {
            subject: *address,
            place: auditor.place,
            made_slot: seat.voted_slot,
            first_slot: seat.voted_slot.saturating_sub(seat.changed_slots as u64),
            unknown_until: news(seat.is_vote_convicted != 0, round.opened_slot, round.struck_slots),
            accusable_until: round.accusable_until(CaseKind::Aggregate),
            is_convicted: seat.is_vote_convicted != 0,
            escrow: seat.vote_escrow,
        })
    }

    /// An auditor's attestation of a segment. None can be shown before the round is closed.
    pub fn of_attestation(address: &Address, segment: &Segment, round: &Round, auditor: &Auditor<'_>) -> Result<Claim> {
        let seat = auditor.seat(round)?;
        let made_slot = round.vote_deadline_slot.saturating_sub(auditor.job.spec.vote_slots as u64);
        let is_convicted = seat.convicted_attestations & bit(segment.claim.place) != 0;
        Ok(Claim {
            subject: *address,
            place: auditor.place,
            made_slot,
            first_slot: made_slot,
            unknown_until: news(is_convicted, round.opened_slot, round.struck_slots),
            accusable_until: round.accusable_until(CaseKind::Attestation),
            is_convicted,
            escrow: seat.attestation_escrow_of(segment.claim.place),
        })
    }

    /// A creator's genesis state.
    pub fn of_genesis(address: &Address, job: &Job) -> Claim {
        Claim {
            subject: *address,
            place: NO_PLACE,
            made_slot: job.created_slot,
            first_slot: job.created_slot,
            // Its conviction closes the job, in which nobody else accuses anything later.
            unknown_until: u64::MAX,
            // As long as its bond is there.
            accusable_until: u64::MAX,
            is_convicted: job.closed != 0,
            escrow: job.escrow,
        }
    }

    /// Whether an accusation that was committed in this slot was of something, as far as its challenger could know.
    fn was_there(&self, committed_slot: u64) -> bool {
        committed_slot >= self.first_slot && committed_slot <= self.unknown_until
    }

    /// Whether an accusation that was committed in this slot has something to gain here: a claim that was convicted is accused by who
    /// was earlier than the holder of the bounty.
    fn stands(&self, committed_slot: u64) -> bool {
        !self.is_convicted || self.escrow.is_contestable(committed_slot)
    }
}

/// Until when a conviction that came so many slots after this one may not have been known; for ever where there is none.
fn news(is_convicted: bool, slot: u64, slots: u32) -> u64 {
    if is_convicted { slot.saturating_add(slots as u64).saturating_add(NEWS_SLOTS) } else { u64::MAX }
}

/// An auditor of a job.
pub struct Auditor<'a> {
    /// The job.
    pub job: &'a Job,
    /// The address of its pool.
    pub pool_address: &'a Address,
    /// Its pool.
    pub pool: &'a Pool,
    /// Its place.
    pub place: u8,
}

impl Auditor<'_> {
    fn seat<'a>(&self, round: &'a Round) -> Result<&'a AuditorSeat> {
        round.require_holder(PoolKind::Auditor, self.place, self.pool_address)?;
        round.auditors.get(self.place as usize).ok_or(Error::WrongPlace)
    }
}

/// An accusation that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revealed {
    /// Its bond, base units.
    pub bond: u64,
    /// When it was committed.
    pub committed_slot: u64,
}

/// What an accusation turns out to be about.
pub struct Reveal<'a> {
    /// What it accuses.
    pub claim: &'a Claim,
    /// The claim's job.
    pub job: &'a Address,
    /// Who opens.
    pub challenger: &'a Address,
    /// The salt.
    pub salt: &'a [u8; 32],
}

/// What is committed.
pub struct Commitment<'a> {
    /// Who accuses.
    pub challenger: &'a Address,
    /// See [`hash`].
    pub hash: &'a [u8; 32],
    /// The address of the job of the claim.
    pub job_address: &'a Address,
    /// The bond of one.
    pub parameters: &'a Parameters,
    /// The present slot.
    pub slot: u64,
}

impl Accusation {
    /// Commits; the bond ([`Job::accusation_bond`]) comes into the vault by the caller.
    #[inline(always)]
    pub fn commit(&mut self, commitment: &Commitment<'_>, job: &mut Job) -> Result<()> {
        self.challenger = *commitment.challenger;
        self.hash = *commitment.hash;
        self.job = *commitment.job_address;
        self.bond = job.accusation_bond(commitment.parameters.dispute_bond)?;
        self.committed_slot = commitment.slot;
        job.open_accusation()
    }

    fn check<H: Sha256>(&self, reveal: &Reveal<'_>) -> Result<()> {
        let Reveal { claim, job, challenger, salt } = *reveal;
        if self.job != *job
            || self.challenger != *challenger
            || hash::<H>(&claim.subject, claim.place, challenger, salt) != self.hash
        {
            return Err(Error::WrongAccusation);
        }
        Ok(())
    }

    /// Opens it, between a slot and [`REVEAL_SLOTS`] later. What it accuses was claimed before it, could be accused then, and stands.
    #[inline(always)]
    pub fn reveal<H: Sha256>(&mut self, reveal: &Reveal<'_>, slot: u64) -> Result<Revealed> {
        self.check::<H>(reveal)?;
        if slot <= self.committed_slot {
            return Err(Error::AccusationTooFresh);
        }
        if slot - self.committed_slot > REVEAL_SLOTS {
            return Err(Error::AccusationExpired);
        }
        if self.committed_slot < reveal.claim.made_slot {
            return Err(Error::AccusationTooOld);
        }
        if self.committed_slot > reveal.claim.accusable_until {
            return Err(Error::NoClaim);
        }
        if !reveal.claim.stands(self.committed_slot) {
            return Err(Error::ClaimConvicted);
        }
        Ok(Revealed { bond: core::mem::take(&mut self.bond), committed_slot: self.committed_slot })
    }

    /// Whether it has nothing left to accuse: the claim is convicted and its bounty another's, or what it accused was replaced.
    pub fn is_moot<H: Sha256>(&self, reveal: &Reveal<'_>) -> Result<bool> {
        self.check::<H>(reveal)?;
        Ok(!reveal.claim.stands(self.committed_slot) || self.committed_slot < reveal.claim.made_slot)
    }

    /// Takes it back, because it is [moot](Accusation::is_moot). Returns the bond: whole, unless there was nothing to accuse when it was committed; then it costs what one costs
    /// that is never opened. Of what was replaced it costs that part of what the bond is beyond a single one. So nobody raises the bonds of others
    /// in the job for nothing.
    #[inline(always)]
    pub fn withdraw<H: Sha256>(&mut self, reveal: &Reveal<'_>, config: &mut Config, job: &mut Job) -> Result<u64> {
        if !self.is_moot::<H>(reveal)? {
            return Err(Error::AccusationStands);
        }
        let is_replaced = self.committed_slot < reveal.claim.made_slot;
        let at_stake = match (reveal.claim.was_there(self.committed_slot), is_replaced) {
            (false, _) => self.bond,
            // Its bond alone was dearer for others that were open: a friend's claim that is replaced afterwards raises none for nothing.
            (true, true) => self.bond.saturating_sub(job.parameters.dispute_bond),
            (true, false) => 0,
        };
        self.forfeit(config, job, at_stake)
    }

    /// Ends one that was not opened in time, by the table that its job was created with. Returns what is left of the bond.
    #[inline(always)]
    pub fn expire(&mut self, config: &mut Config, job: &mut Job, slot: u64) -> Result<u64> {
        if slot.saturating_sub(self.committed_slot) <= REVEAL_SLOTS {
            return Err(Error::AccusationRunning);
        }
        self.forfeit(config, job, self.bond)
    }

    /// Ends it for the part that its row takes of what is at stake of the bond; returns the rest of the bond.
    fn forfeit(&mut self, config: &mut Config, job: &mut Job, at_stake: u64) -> Result<u64> {
        job.close_accusation()?;
        let bond = core::mem::take(&mut self.bond);
        let forfeited = job.parameters.penalties.part_of_bond(Offence::ExpiredAccusation, at_stake)?;
        config.insure(forfeited)?;
        Ok(int::sub(bond, forfeited)?)
    }
}

#[cfg(test)]
mod tests;

//! An accusation before it is one: a bond and a hash. Whom it accuses shows only when its dispute is opened, a slot later at the
//! earliest; of all that end in conviction, the one committed first has the bounty.
//!
//! Invariants: a bond leaves its accusation once: into the dispute, or back, less what an accusation costs that was never opened.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;
use sip_proof::Sha256;

use crate::{
    Address, Error, Header, Result, account,
    config::{Config, Parameters},
    penalties::Offence,
    segment::{CONVICTED, Segment},
};

/// How long an accusation may wait to be opened.
pub const REVEAL_SLOTS: u64 = 1_500;
/// Begins what is hashed.
pub const TAG: &[u8] = b"sip.accuse.1";

/// Address: "accusation", challenger (32), hash (32).
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
}

account!(Accusation, Accusation, 88, liabilities: |accusation| Ok(accusation.bond));

/// What an accusation commits: sha256("sip.accuse.1" ‖ segment ‖ challenger ‖ salt).
pub fn hash<H: Sha256>(segment: &Address, challenger: &Address, salt: &[u8; 32]) -> [u8; 32] {
    H::hashv(&[TAG, segment, challenger, salt])
}

/// An accusation that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revealed {
    /// Its bond, base units.
    pub bond: u64,
    /// When it was committed.
    pub committed_slot: u64,
}

/// Whom an accusation turns out to be about.
pub struct Reveal<'a> {
    /// The segment's address.
    pub segment_address: &'a Address,
    /// The segment.
    pub segment: &'a Segment,
    /// Who opens.
    pub challenger: &'a Address,
    /// The salt.
    pub salt: &'a [u8; 32],
}

impl Accusation {
    /// Commits; the bond comes into the vault by the caller.
    pub fn commit(&mut self, challenger: &Address, hash: &[u8; 32], parameters: &Parameters, slot: u64) {
        self.challenger = *challenger;
        self.hash = *hash;
        self.bond = parameters.dispute_bond;
        self.committed_slot = slot;
    }

    fn check<H: Sha256>(&self, reveal: &Reveal<'_>) -> Result<()> {
        let Reveal { segment_address, challenger, salt, .. } = *reveal;
        if self.challenger != *challenger || hash::<H>(segment_address, challenger, salt) != self.hash {
            return Err(Error::WrongAccusation);
        }
        Ok(())
    }

    /// Opens it, between a slot and [`REVEAL_SLOTS`] later. What it accuses was committed before it.
    #[inline(always)]
    pub fn reveal<H: Sha256>(&mut self, reveal: &Reveal<'_>, slot: u64) -> Result<Revealed> {
        self.check::<H>(reveal)?;
        if slot <= self.committed_slot {
            return Err(Error::AccusationTooFresh);
        }
        if slot - self.committed_slot > REVEAL_SLOTS {
            return Err(Error::AccusationExpired);
        }
        if self.committed_slot < reveal.segment.committed_slot {
            return Err(Error::AccusationTooOld);
        }
        Ok(Revealed { bond: core::mem::take(&mut self.bond), committed_slot: self.committed_slot })
    }

    /// Takes it back whole, because nothing is left to accuse: the segment is convicted and its bounty another's, or what it
    /// accused was replaced. Returns the bond.
    #[inline(always)]
    pub fn withdraw<H: Sha256>(&mut self, reveal: &Reveal<'_>) -> Result<u64> {
        self.check::<H>(reveal)?;
        let segment = reveal.segment;
        let is_late = segment.status == CONVICTED && !segment.is_contestable(self.committed_slot);
        if !is_late && self.committed_slot >= segment.committed_slot {
            return Err(Error::AccusationStands);
        }
        Ok(core::mem::take(&mut self.bond))
    }

    /// Ends one that was not opened in time. Returns what is left of the bond.
    #[inline(always)]
    pub fn expire(&mut self, config: &mut Config, slot: u64) -> Result<u64> {
        if slot.saturating_sub(self.committed_slot) <= REVEAL_SLOTS {
            return Err(Error::AccusationRunning);
        }
        let bond = core::mem::take(&mut self.bond);
        let forfeited = config.parameters.penalties.part_of_bond(Offence::ExpiredAccusation, bond)?;
        config.insure(forfeited)?;
        Ok(int::sub(bond, forfeited)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TOKEN;
    use crate::segment::COMMITTED;
    use sip_proof::HostSha256;

    #[test]
    fn an_accusation_is_opened_in_its_time_by_its_challenger_on_its_segment() {
        let (address, challenger, salt) = ([1; 32], [2; 32], [3; 32]);
        let mut segment = Segment::zeroed();
        segment.committed_slot = 100;
        let mut accusation = Accusation::zeroed();
        let committed = hash::<HostSha256>(&address, &challenger, &salt);
        accusation.commit(&challenger, &committed, &Parameters::DEFAULT, 100);
        let reveal = Reveal { segment_address: &address, segment: &segment, challenger: &challenger, salt: &salt };
        let at = |reveal: &Reveal<'_>, slot| {
            let mut copy = accusation;
            copy.reveal::<HostSha256>(reveal, slot)
        };
        assert_eq!(at(&reveal, 100), Err(Error::AccusationTooFresh));
        assert_eq!(at(&reveal, 101), Ok(Revealed { bond: 100 * TOKEN, committed_slot: 100 }));
        assert!(at(&reveal, 100 + REVEAL_SLOTS).is_ok());
        assert_eq!(at(&reveal, 101 + REVEAL_SLOTS), Err(Error::AccusationExpired));
        let other = [9; 32];
        assert_eq!(at(&Reveal { challenger: &other, ..reveal }, 101), Err(Error::WrongAccusation));
        assert_eq!(at(&Reveal { segment_address: &other, ..reveal }, 101), Err(Error::WrongAccusation));
        assert_eq!(at(&Reveal { salt: &other, ..reveal }, 101), Err(Error::WrongAccusation));
        let amended = Segment { committed_slot: 101, ..segment };
        assert_eq!(at(&Reveal { segment: &amended, ..reveal }, 102), Err(Error::AccusationTooOld));
    }

    #[test]
    fn what_was_never_opened_costs_a_quarter_and_what_came_too_late_nothing() {
        let (address, challenger, salt) = ([1; 32], [2; 32], [3; 32]);
        let mut config = Config::zeroed();
        config.parameters = Parameters::DEFAULT;
        let mut accusation = Accusation::zeroed();
        let committed = hash::<HostSha256>(&address, &challenger, &salt);
        accusation.commit(&challenger, &committed, &Parameters::DEFAULT, 100);
        assert_eq!(accusation.expire(&mut config, 100 + REVEAL_SLOTS), Err(Error::AccusationRunning));
        let mut expired = accusation;
        assert_eq!(expired.expire(&mut config, 101 + REVEAL_SLOTS), Ok(75 * TOKEN));
        assert_eq!((config.buckets.insurance, expired.bond), (25 * TOKEN, 0));
        let back = |status, bounty, bounty_slot| {
            let segment = Segment { status, bounty, bounty_slot, ..Segment::zeroed() };
            let mut copy = accusation;
            copy.withdraw::<HostSha256>(&Reveal {
                segment_address: &address,
                segment: &segment,
                challenger: &challenger,
                salt: &salt,
            })
        };
        assert_eq!(back(COMMITTED, 0, 0), Err(Error::AccusationStands));
        assert_eq!(back(CONVICTED, 5, 101), Err(Error::AccusationStands));
        assert_eq!(back(CONVICTED, 5, 100), Ok(100 * TOKEN));
        assert_eq!(back(CONVICTED, 0, 101), Ok(100 * TOKEN));
    }
}

//! The bounties of an auditor's claims, which wait in its seat of the round: one for its vote, one for its attestations.
//!
//! An accusation takes over the bounty of the claim that it is about, and of no other: who had accused something lesser of the same auditor
//! before gets nothing of what another finds. All attestations of a round stand on one slice; the one whose conviction took it has the bounty.
//!
//! Invariant: the sum of what waits is part of the round's liabilities, and a round closes only without it.

use sip_arith::int;

use crate::ground::escrow::Escrow;
use crate::{
    Address, Error, Result,
    ground::case::CaseKind,
    training::round::{AuditorSeat, Round},
};

impl AuditorSeat {
    /// The bounty of its attestation of the segment of a trainer's place: none if another attestation has it.
    pub fn attestation_escrow_of(&self, trainer: u8) -> Escrow {
        if self.bounty_place == trainer { self.attestation_escrow } else { Escrow::default() }
    }

    /// Where the bounty of a claim waits that is convicted now, for the first time if it was its slice that was taken; `None` for
    /// an attestation whose slice another one's conviction took.
    pub(crate) fn escrow_mut(&mut self, case: CaseKind, trainer: u8, is_first: bool) -> Option<&mut Escrow> {
        if case == CaseKind::Aggregate {
            return Some(&mut self.vote_escrow);
        }
        if is_first {
            self.bounty_place = trainer;
        }
        if self.bounty_place == trainer { Some(&mut self.attestation_escrow) } else { None }
    }
}

impl Round {
    /// Takes the bounty of an auditor's claim of this kind: see [`Escrow::claim`].
    pub fn claim_bounty(&mut self, place: u8, case: CaseKind, slot: u64) -> Result<(Address, u64)> {
        let is_attestation_disputed = self.attestation_disputes != 0;
        let seat = self.auditors.get_mut(place as usize).ok_or(Error::WrongPlace)?;
        match case {
            CaseKind::Aggregate => seat.vote_escrow.claim(seat.vote_disputes != 0, slot),
            CaseKind::Attestation => seat.attestation_escrow.claim(is_attestation_disputed, slot),
            _ => Err(Error::WrongCase),
        }
    }

    /// The bounties of its auditors' claims that nobody has claimed yet, base units.
    pub fn bounties(&self) -> Result<u64> {
        let mut sum = 0;
        for seat in &self.auditors {
            sum = int::add(sum, int::add(seat.vote_escrow.bounty, seat.attestation_escrow.bounty)?)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    #[test]
    fn the_bounty_of_an_attestation_is_that_of_the_one_whose_slice_was_taken() {
        let mut seat = AuditorSeat::zeroed();
        seat.escrow_mut(CaseKind::Attestation, 3, true).unwrap().award(&[1; 32], 20, 7).unwrap();
        assert!(seat.escrow_mut(CaseKind::Attestation, 5, false).is_none());
        assert!(seat.attestation_escrow_of(3).is_contestable(19) && !seat.attestation_escrow_of(5).is_contestable(19));
        seat.escrow_mut(CaseKind::Aggregate, 0, true).unwrap().award(&[2; 32], 10, 9).unwrap();
        let mut round = Round::zeroed();
        round.auditors[4] = seat;
        assert_eq!(round.bounties(), Ok(16));
        let slot = 20 + crate::ground::escrow::REVEAL_SLOTS;
        assert_eq!(round.claim_bounty(4, CaseKind::Attestation, slot), Err(Error::BountyHeld));
        round.auditors[4].vote_disputes = 1;
        assert_eq!(round.claim_bounty(4, CaseKind::Aggregate, slot + 1), Err(Error::BountyHeld));
        assert_eq!(round.claim_bounty(4, CaseKind::Attestation, slot + 1), Ok(([1; 32], 7)));
        assert_eq!(round.claim_bounty(4, CaseKind::Attestation, slot + 1), Err(Error::NothingToClaim));
        round.auditors[4].vote_disputes = 0;
        assert_eq!(round.claim_bounty(4, CaseKind::Segment, slot + 1), Err(Error::WrongCase));
        assert_eq!(round.claim_bounty(16, CaseKind::Aggregate, slot + 1), Err(Error::WrongPlace));
        assert_eq!(round.claim_bounty(4, CaseKind::Aggregate, slot + 1), Ok(([2; 32], 9)));
        assert_eq!(round.bounties(), Ok(0));
    }
}

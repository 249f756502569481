//! A bounty that waits until nobody can turn out to have accused earlier.
//!
//! Invariant: a bounty leaves its escrow once.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;

use crate::{Address, Error, Result, ground::layout::layout};

/// How long an accusation may wait to be opened.
pub const REVEAL_SLOTS: u64 = 1_500;

layout! {
    /// A bounty that waits until it is certain whose it is; nobody's where silence convicted, for an accuser while that is possible. It lies
    /// where the bond was taken that it comes from: a segment's in the segment, a scoring run's in the run; of an auditor's vote and of its
    /// attestations in its seat of the round; a creator's in the job.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Escrow {
        /// Bounty that nobody has claimed yet, base units.
        pub bounty: u64,
        /// When the accusation was committed that has it; of nobody's, when silence convicted.
        pub slot: u64,
        /// Who committed it; zero before an accusation convicted.
        pub challenger: Address,
    }
}

impl Escrow {
    /// Whether an accusation committed in this slot would take the bounty over.
    pub fn is_contestable(&self, committed_slot: u64) -> bool {
        self.bounty > 0 && (self.is_nobodys() || committed_slot < self.slot)
    }

    /// Whether no accusation has convicted yet.
    pub fn is_nobodys(&self) -> bool {
        self.challenger == [0; 32]
    }

    /// Holds a bounty for the accuser who convicted, or for the one who did so with an accusation that was committed earlier.
    pub fn award(&mut self, challenger: &Address, committed_slot: u64, bounty: u64) -> Result<()> {
        if self.is_nobodys() || committed_slot < self.slot {
            self.challenger = *challenger;
            self.slot = committed_slot;
        }
        self.bounty = int::add(self.bounty, bounty)?;
        Ok(())
    }

    /// Takes a bounty that is nobody's, once no accusation can be opened any more that would have it.
    pub fn release(&mut self) -> Result<u64> {
        if self.bounty == 0 || !self.is_nobodys() {
            return Err(Error::BountyOwned);
        }
        Ok(core::mem::take(&mut self.bounty))
    }

    /// Takes the bounty once nobody can take it over: no dispute is open, and what was committed earlier can be opened no more.
    /// Returns whose it is, and how much.
    pub fn claim(&mut self, is_disputed: bool, slot: u64) -> Result<(Address, u64)> {
        if self.bounty == 0 {
            return Err(Error::NothingToClaim);
        }
        if self.is_nobodys() || is_disputed || slot.saturating_sub(self.slot) <= REVEAL_SLOTS {
            return Err(Error::BountyHeld);
        }
        Ok((self.challenger, core::mem::take(&mut self.bounty)))
    }
}

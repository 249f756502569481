//! Bonds of rounds that came to nothing.
//!
//! What was claimed in a round can be accused, and its slice of the own bond answers for it, also where the round was undone or came to nothing by
//! itself. But the job repeats it at once, and awaits everybody again: were the slices of the first try in the way of the second, a liar that
//! has its own claim convicted would shut the honest out of the repeat. So anyone may have a slice stand behind another claim beside its
//! own. A verdict on either takes it, once, that on what stands first ([`Pool::charge_slice`]); what a verdict excuses that finds nothing left, says [`Round::undo_work`].

use crate::{
    Address, Error, Result,
    stake::pool::{Backing, Pool, PoolKind},
    training::{
        round::{self, AuditorSeat, EvaluatorSeat, Round},
        segment::Segment,
    },
};

/// Thaws what is there of some slices, unless that was done before.
fn thaw(pool: &mut Pool, slices: &[u64], is_thawed: &mut u8) -> Result<()> {
    let mut whole = 0u64;
    for slice in slices {
        whole = whole.checked_add(*slice).ok_or(Error::Overflow)?;
    }
    if whole == 0 || *is_thawed != 0 {
        return Err(Error::NothingFrozen);
    }
    pool.thaw(whole)?;
    *is_thawed = 1;
    Ok(())
}

impl AuditorSeat {
    /// How its slices stand behind its vote and its attestations.
    pub fn backing(&self) -> Backing {
        Backing { is_thawed: self.is_thawed, is_counted: self.is_counted }
    }
}

impl EvaluatorSeat {
    /// How its slice stands behind its scoring run.
    pub fn backing(&self) -> Backing {
        Backing { is_thawed: self.is_thawed, is_counted: self.is_counted }
    }
}

impl Segment {
    /// How its slice stands behind it.
    pub fn backing(&self) -> Backing {
        Backing { is_thawed: self.is_thawed, is_counted: self.is_counted }
    }
}

impl Round {
    /// Thaws the slice of a segment of the round. The caller has checked that the three belong together.
    pub fn thaw_segment(&self, segment: &mut Segment, pool: &mut Pool) -> Result<()> {
        self.require_status(round::VOID)?;
        thaw(pool, &[segment.slice], &mut segment.is_thawed)
    }

    /// Thaws the slices of a place of auditors or evaluators in the round, which the pool held.
    pub fn thaw_seat(&mut self, place: u8, address: &Address, pool: &mut Pool) -> Result<()> {
        self.require_status(round::VOID)?;
        let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
        self.require_holder(kind, place, address)?;
        let place = place as usize;
        match kind {
            PoolKind::Auditor => {
                let seat = self.auditors.get_mut(place).ok_or(Error::WrongPlace)?;
                thaw(pool, &[seat.vote_slice, seat.attestation_slice], &mut seat.is_thawed)
            }
            PoolKind::Evaluator => {
                let seat = self.evaluators.get_mut(place).ok_or(Error::WrongPlace)?;
                thaw(pool, &[seat.slice], &mut seat.is_thawed)
            }
            _ => Err(Error::WrongPoolKind),
        }
    }
}

//! The second draw: before a round is final, each auditor draws again among what its own first draw passed by.
//!
//! What nobody drew in the first draw would become final unseen. With its first vote for the next base an auditor brings the next
//! preimage of its hash chain, and that selects, each with the chance of the job's `second_audit_rate`, accepted segments that the
//! auditor did not draw and that are not its own: what *others* drew does not count, or one that draws and says nothing would shield a lie. It
//! replays them and attests each openly, until an audit's length after the vote's deadline; who finds a lie accuses it instead. What is missing is charged at the settlement
//! and holds nothing up. Each shows the trace of a leaf of its own, which nobody else has shown ([`leaf`]): there is nothing to copy.
//!
//! Invariants: a second draw is revealed once, when the segments stand; it selects nothing of the first draw; an attestation of it
//! is shown as it is made, and can be accused as long as any.

use sip_proof::{Hash, Sha256};

use crate::{
    Address, Error, Result,
    stake::pool::Pool,
    training::{
        attestation::attested_leaf,
        audit::{Actor, Vote, require_seat},
        job::{Job, MAX_AUDITORS, MAX_TRAINERS, bit},
        round::{self, AuditorSeat, Round},
        segment::{self, Segment},
    },
};

const LEAF_TAG: &[u8] = b"sip.attestation.2";

/// Whether a second draw selects the segment of a trainer's place: u32LE(sha256(preimage ‖ round ‖ place)[0..4]) < rate.
pub fn selects<H: Sha256>(preimage: &[u8; 32], round: &Address, place: u8, rate: u32) -> bool {
    let digest = H::hashv(&[preimage, round, &[place]]);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) < rate
}

/// Takes an auditor's second draw: the preimage of its chain tip with its first vote, the same one with every other.
#[inline(always)]
pub(crate) fn reveal<H: Sha256>(
    seat: &mut AuditorSeat,
    pool: &mut Pool,
    vote: &Vote<'_>,
    accepted: u16,
    rate: u32,
) -> Result<()> {
    if seat.vote != [0; 32] {
        return if seat.second_preimage == *vote.preimage { Ok(()) } else { Err(Error::WrongPreimage) };
    }
    if H::hashv(&[vote.preimage]) != pool.chain_tip {
        return Err(Error::WrongPreimage);
    }
    seat.second_preimage = *vote.preimage;
    pool.chain_tip = *vote.preimage;
    let left = if rate == 0 { 0 } else { seat.undrawn & accepted };
    for place in (0..MAX_TRAINERS as u8).take_while(|place| left >> *place != 0) {
        if left & bit(place) != 0 && selects::<H>(vote.preimage, vote.round, place, rate) {
            seat.drawn_again |= bit(place);
        }
    }
    Ok(())
}

/// The leaf whose first step an auditor attests by its second draw. Of the leaves that no attestation of the first draw is of, in ascending
/// order, that of the number (u32LE(sha256(tag ‖ the round's reveals ‖ the segment's accumulator root)[0..4]) + its place) mod how many there are; of all
/// leaves where all are taken. So two auditors attest the same one only where a segment has fewer leaves than a job has auditors. The trainer
/// cannot choose it: the reveals come after the segment.
#[inline(never)]
pub(crate) fn leaf<H: Sha256>(round: &Round, segment: &Segment, auditor: u8, leaf_count: u32) -> u32 {
    // Taken leaves in ascending order, each once.
    let mut taken = [0u32; MAX_AUDITORS];
    let mut count = 0usize;
    for (place, seat) in round.auditors.iter().enumerate() {
        if segment.attested & bit(place as u8) == 0 || seat.drawn_again & bit(segment.claim.place) != 0 {
            continue;
        }
        let new = attested_leaf::<H>(&seat.preimage, &segment.claim.accumulator_root, leaf_count);
        insert(&mut taken, &mut count, new);
    }
    if count as u32 >= leaf_count {
        count = 0;
    }
    let digest = H::hashv(&[LEAF_TAG, &round.reveals, &segment.claim.accumulator_root]);
    let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) as u64 + auditor as u64;
    let mut leaf = (number % (leaf_count.saturating_sub(count as u32).max(1)) as u64) as u32;
    for other in taken.iter().take(count) {
        if leaf >= *other {
            leaf += 1;
        }
    }
    leaf
}

/// Puts a number in its place among the first so many, which ascend, unless it is there.
fn insert(sorted: &mut [u32; MAX_AUDITORS], count: &mut usize, new: u32) {
    let mut carried = new;
    for slot in sorted.iter_mut().take(*count) {
        if *slot == carried {
            return;
        }
        if *slot > carried {
            core::mem::swap(slot, &mut carried);
        }
    }
    if let Some(slot) = sorted.get_mut(*count) {
        *slot = carried;
        *count += 1;
    }
}

impl AuditorSeat {
    /// How many segments its second draw asks for, in a round that came to its end: all that it could have selected if no vote brought it,
    /// so that nobody who knows its next draw gains by keeping it back.
    pub fn due_again(&self, rate: u32) -> u32 {
        match (rate, self.vote == [0; 32]) {
            (0, _) => 0,
            (_, true) => self.undrawn.count_ones(),
            (_, false) => self.drawn_again.count_ones(),
        }
    }
}

/// Attests a segment that the second draw selects, openly: with the trace root of the first step of its [`leaf`](crate::training::attestation::leaf). The caller has checked that segment, round and job belong together.
#[inline(always)]
pub fn attest(round: &mut Round, job: &Job, segment: &mut Segment, actor: &Actor, trace_root: &Hash) -> Result<()> {
    if !matches!(round.status, round::CLOSED | round::AGGREGATED | round::SCORED)
        || actor.slot >= round.second_deadline_slot
    {
        return Err(Error::WrongRoundStatus);
    }
    round.require_on_chain(job)?;
    require_seat(round, job, actor)?;
    let seat = round.auditors.get_mut(actor.place as usize).ok_or(Error::WrongPlace)?;
    if segment.status != segment::ACCEPTED {
        return Err(Error::SegmentNotOpen);
    }
    if seat.drawn_again & bit(segment.claim.place) == 0 {
        return Err(Error::NotDrawn);
    }
    if segment.attested & bit(actor.place) != 0 {
        return Err(Error::AlreadyAttested);
    }
    if *trace_root == [0; 32] {
        return Err(Error::EmptyDigest);
    }
    *segment.attestations.get_mut(actor.place as usize).ok_or(Error::WrongPlace)? = *trace_root;
    segment.attested |= bit(actor.place);
    segment.shown |= bit(actor.place);
    seat.attested_again = seat.attested_again.saturating_add(1);
    seat.attested = seat.attested.saturating_add(1);
    seat.shown = seat.shown.saturating_add(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use proptest::prelude::*;
    use sip_proof::HostSha256;

    proptest! {
        /// Those who attested by the first draw, whatever the others draw again: no leaf is shown twice but by two of the first draw.
        #[test]
        fn nobody_attests_by_the_second_draw_what_another_has_shown(
            reveals: [u8; 32], root: [u8; 32], first: u16, leaf_count in 1u32..40, seeds: [u8; 16],
        ) {
            let (mut round, mut segment) = (Round::zeroed(), Segment::zeroed());
            (round.reveals, segment.claim.accumulator_root, segment.attested) = (reveals, root, u16::MAX);
            for (place, seat) in round.auditors.iter_mut().enumerate() {
                seat.preimage = [seeds[place]; 32];
                seat.drawn_again = u16::from(first & bit(place as u8) == 0);
            }
            let of = |place: u8| crate::training::attestation::leaf::<HostSha256>(&round, &segment, place, leaf_count);
            let leaves: Vec<u32> = (0..16).map(of).collect();
            prop_assert!(leaves.iter().all(|leaf| *leaf < leaf_count));
            if leaf_count < 16 {
                return Ok(());
            }
            let is_first = |place: usize| first & bit(place as u8) != 0;
            for (place, leaf) in leaves.iter().enumerate().filter(|(place, _)| !is_first(*place)) {
                for other in (0..16).filter(|other| *other != place) {
                    let may = !is_first(other) && leaf_count < 32;
                    prop_assert!(may || leaves[other] != *leaf, "{place} and {other}: {leaves:?}");
                }
            }
        }
    }
}

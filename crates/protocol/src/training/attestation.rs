//! Attestations: an auditor's word, given blindly and shown later, for the trace of one step that its own draw picks.
//!
//! An auditor commits itself while the segment is audited and shows what it committed to after the round is closed, when nobody can
//! attest any more. The commitment names auditor and segment, so that it cannot be copied, and the trace root behind it is a
//! claim like any other: see [`crate::court`]. One who did not replay the leaf has nothing to show that stands.

use sip_proof::{Hash, Sha256};

use crate::{
    Address, Error, Result,
    training::{
        audit::{Actor, require_seat},
        job::{Job, bit},
        round::Round,
        second_draw,
        segment::{self, Segment},
    },
};

const ATTESTATION_TAG: &[u8] = b"sip.attestation.1";

/// The leaf whose first step an auditor attests by its first draw: u32LE(sha256(tag ‖ its draw ‖ the segment's accumulator root)[0..4]) mod the
/// number of leaves.
#[inline(always)]
pub fn attested_leaf<H: Sha256>(draw: &[u8; 32], accumulator_root: &Hash, leaf_count: u32) -> u32 {
    let digest = H::hashv(&[ATTESTATION_TAG, draw, accumulator_root]);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) % leaf_count.max(1)
}

/// The leaf whose first step an auditor attests in a segment: by the draw that selected it.
#[inline(always)]
pub fn leaf<H: Sha256>(round: &Round, segment: &Segment, auditor: u8, leaf_count: u32) -> u32 {
    match round.auditors.get(auditor as usize) {
        Some(seat) if seat.drawn_again & bit(segment.claim.place) != 0 => {
            second_draw::leaf::<H>(round, segment, auditor, leaf_count)
        }
        Some(seat) => attested_leaf::<H>(&seat.preimage, &segment.claim.accumulator_root, leaf_count),
        None => 0,
    }
}

/// What an auditor shows.
pub struct Shown<'a> {
    /// The salt that it chose.
    pub salt: &'a [u8; 32],
    /// Merkle root over the outputs of all nodes in the step.
    pub trace_root: &'a Hash,
}

impl Shown<'_> {
    /// What it commits to: sha256(tag ‖ auditor's pool ‖ segment ‖ salt ‖ trace root).
    #[inline(always)]
    pub fn commitment<H: Sha256>(&self, pool: &Address, segment: &Address) -> Hash {
        H::hashv(&[ATTESTATION_TAG, pool, segment, self.salt, self.trace_root])
    }
}

/// Shows an attestation of an accepted segment, once, from the round's closing until the vote's deadline. The caller has checked
/// that segment, round and job belong together.
#[inline(always)]
pub fn reveal<H: Sha256>(
    round: &mut Round,
    job: &Job,
    segment_address: &Address,
    segment: &mut Segment,
    actor: &Actor,
    shown: &Shown<'_>,
) -> Result<()> {
    require_seat(round, job, actor)?;
    // The deadline is 0 until the round is closed.
    if actor.slot >= round.vote_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    let place = bit(actor.place);
    let is_open = segment.status == segment::ACCEPTED && segment.attested & place != 0 && segment.shown & place == 0;
    if !is_open {
        return Err(Error::NothingAttested);
    }
    let attestation = segment.attestations.get_mut(actor.place as usize).ok_or(Error::WrongPlace)?;
    if shown.commitment::<H>(actor.pool, segment_address) != *attestation {
        return Err(Error::WrongAttestation);
    }
    let seat = round.auditors.get_mut(actor.place as usize).ok_or(Error::WrongPlace)?;
    *attestation = *shown.trace_root;
    segment.shown |= place;
    seat.shown = seat.shown.saturating_add(1);
    Ok(())
}

//! The audit of a round: draws, attestations, the segments that count, and the vote on their aggregate.
//!
//! Invariants: an auditor commits its draws (a hash chain) before segments exist; it reveals one per round and one more with its vote
//! ([`crate::training::second_draw`]); it attests only what a draw of its own selects; a round is closed before the deadline only when every drawn segment is attested or accused.

use sip_proof::Sha256;

use crate::{
    Address, Error, Result,
    stake::pool::{Pool, PoolKind},
    training::{
        job::{Job, MAX_AUDITORS, bit},
        round::{self, Round, deadline},
        seats::require_unconvicted,
        second_draw,
        segment::{self, Segment, slots_since},
    },
};

/// Who acts, when, and in which place of the job.
pub struct Actor<'a> {
    /// The address of the actor's pool.
    pub pool: &'a Address,
    /// Its place in the job.
    pub place: u8,
    /// Present slot.
    pub slot: u64,
}

/// Checks that the actor is an auditor that takes part in the round.
pub(crate) fn require_seat(round: &Round, job: &Job, actor: &Actor) -> Result<()> {
    round.require_holder(PoolKind::Auditor, actor.place, actor.pool)?;
    if round.is_auditor_excluded(job, actor.place) { Err(Error::Excluded) } else { Ok(()) }
}

/// Reveals an auditor's draw of this round: the preimage of its chain tip, which becomes the tip.
#[inline(always)]
pub fn reveal_draw<H: Sha256>(
    round: &mut Round,
    job: &Job,
    pool: &mut Pool,
    actor: &Actor,
    preimage: &[u8; 32],
) -> Result<()> {
    round.require_status(round::COMMITS_CLOSED)?;
    round.require_on_chain(job)?;
    if actor.slot >= round.audit_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    require_seat(round, job, actor)?;
    require_unconvicted(pool)?;
    let seat = round.auditors.get_mut(actor.place as usize).ok_or(Error::WrongPlace)?;
    if seat.revealed != 0 {
        return Err(Error::AlreadyRevealed);
    }
    if H::hashv(&[preimage]) != pool.chain_tip {
        return Err(Error::WrongPreimage);
    }
    let stakes = pool.allotted(job.allotment(PoolKind::Auditor, actor.place, actor.pool))?;
    // Who has left its place, or has nothing in it, would have no say: a vote that nobody has is a round that comes to nothing.
    if stakes.whole == 0 {
        return Err(Error::NothingAllotted);
    }
    (seat.vote_slice, seat.attestation_slice) = (job.spec.slice, job.parameters.minimum_self_bond);
    seat.is_counted = pool.pledge(job.round_bond(PoolKind::Auditor)?, &round.job)?;
    seat.preimage = *preimage;
    seat.operator = pool.scope;
    (seat.stake, seat.own_stake) = (stakes.whole, stakes.own);
    seat.revealed = 1;
    pool.chain_tip = *preimage;
    round.auditor_stake = round.auditor_stake.checked_add(stakes.whole).ok_or(Error::Overflow)?;
    Ok(())
}

/// Attests a drawn segment with the commitment of [`crate::training::attestation`]. The caller has checked that the segment belongs to the round.
#[inline(always)]
pub fn attest<H: Sha256>(
    round: &Round,
    job: &Job,
    segment_address: &Address,
    segment: &mut Segment,
    actor: &Actor,
    digest: &[u8; 32],
) -> Result<()> {
    round.require_status(round::COMMITS_CLOSED)?;
    round.require_on_chain(job)?;
    if actor.slot >= round.audit_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    require_seat(round, job, actor)?;
    let seat = round.auditors.get(actor.place as usize).ok_or(Error::WrongPlace)?;
    if seat.revealed == 0 {
        return Err(Error::NotRevealed);
    }
    if segment.status != segment::COMMITTED {
        return Err(Error::SegmentNotOpen);
    }
    if seat.operator == segment.operator {
        return Err(Error::OwnSegment);
    }
    if segment.attested & bit(actor.place) != 0 {
        return Err(Error::AlreadyAttested);
    }
    if *digest == [0; 32] {
        return Err(Error::EmptyDigest);
    }
    if !segment.is_drawn::<H>(segment_address, seat, round.audit_rate) {
        return Err(Error::NotDrawn);
    }
    segment.attested |= bit(actor.place);
    segment.attestations[actor.place as usize] = *digest;
    Ok(())
}

/// The closing of a round, segment by segment: [`Closing::begin`], [`Closing::segment`] for each, [`Closing::finish`].
pub struct Closing<'a> {
    round_address: &'a Address,
    round: &'a mut Round,
    job: &'a mut Job,
    slot: u64,
    seen: u16,
    is_attested: bool,
}

impl<'a> Closing<'a> {
    /// Starts to close a round whose commits are closed.
    #[inline(always)]
    pub fn begin(round_address: &'a Address, round: &'a mut Round, job: &'a mut Job, slot: u64) -> Result<Self> {
        round.require_status(round::COMMITS_CLOSED)?;
        round.require_on_chain(job)?;
        Ok(Closing { round_address, round, job, slot, seen: 0, is_attested: true })
    }

    /// Takes in one segment of the round: it counts unless it was convicted, also while it is disputed. Nobody misses the attestation of a
    /// disputed segment: an auditor that found it false has accused it instead.
    pub fn segment<H: Sha256>(&mut self, address: &Address, segment: &mut Segment) -> Result<()> {
        let place = bit(segment.claim.place);
        if segment.round != *self.round_address || self.seen & place != 0 {
            return Err(Error::WrongSegments);
        }
        self.seen |= place;
        if segment.status != segment::COMMITTED {
            return Ok(());
        }
        for place in 0..self.round.auditor_count {
            let seat = &mut self.round.auditors[place as usize];
            if seat.revealed == 0 || seat.operator == segment.operator {
                continue;
            }
            if !segment.is_drawn::<H>(address, seat, self.round.audit_rate) {
                seat.undrawn |= bit(segment.claim.place);
                continue;
            }
            if segment.attested & bit(place) != 0 {
                seat.drawn += 1;
                seat.attested += 1;
            } else {
                // An auditor that found it false has accused it instead.
                self.is_attested &= segment.is_disputed();
                seat.drawn += !segment.is_disputed() as u8;
            }
        }
        segment.status = segment::ACCEPTED;
        self.round.accepted |= place;
        self.round.accepted_stake = self.round.accepted_stake.checked_add(segment.stake).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Closes the round after all its segments, and fixes what the next round's seed comes from. A round without an accepted segment
    /// or without an auditor is void.
    pub fn finish<H: Sha256>(self) -> Result<()> {
        let Closing { round, job, slot, seen, is_attested, .. } = self;
        if seen != round.committed {
            return Err(Error::WrongSegments);
        }
        let mut revealed = 0u16;
        for place in 0..round.auditor_count {
            if round.auditors[place as usize].revealed != 0 {
                revealed |= bit(place);
            }
        }
        let expected = round.awaited_auditors & !round.excluded_auditors(job);
        // Where nobody committed there is nothing to draw.
        let is_complete = seen == 0 || is_attested && revealed & expected == expected;
        if !is_complete && slot < round.audit_deadline_slot {
            return Err(Error::TooEarly);
        }
        let mut preimages: [&[u8]; MAX_AUDITORS] = [&[]; MAX_AUDITORS];
        for (part, seat) in preimages.iter_mut().zip(&round.auditors) {
            *part = &seat.preimage;
        }
        round.reveals = H::hashv(&preimages);
        round.note_closing(job, expected, slot);
        round.await_seed(job, slot)?;
        let challenged = deadline(slot, job.spec.window_slots())?;
        round.challenge_deadline_slot = round.challenge_deadline_slot.min(challenged);
        if round.accepted == 0 || revealed == 0 {
            round.note_draws(job, slot);
            round.void(job, slot);
            return Ok(());
        }
        round.vote_deadline_slot = deadline(slot, job.spec.vote_slots)?;
        if job.spec.second_audit_rate != 0 {
            round.second_deadline_slot = deadline(round.vote_deadline_slot, job.spec.audit_slots)?;
        }
        round.status = round::CLOSED;
        Ok(())
    }
}

/// What an auditor votes with.
pub struct Vote<'a> {
    /// The round's address.
    pub round: &'a Address,
    /// The root that it votes for.
    pub root: &'a [u8; 32],
    /// The preimage of its chain tip, which becomes the tip with its first vote in the round: its second draw.
    pub preimage: &'a [u8; 32],
}

/// Votes for the state root that the accepted segments average to, until the vote's deadline. More than half of the stake of the auditors that revealed and were
/// not convicted makes it the next base. An auditor may change its vote unless it is disputed, and repeat it where convictions have
/// since made it the majority's. Once a base was made, an auditor that has not voted yet still votes, and nobody changes anything. The first vote brings the second draw ([`crate::training::second_draw`]).
#[inline(always)]
pub fn vote_base<H: Sha256>(
    round: &mut Round,
    job: &mut Job,
    pool: &mut Pool,
    actor: &Actor,
    vote: &Vote<'_>,
) -> Result<()> {
    if !matches!(round.status, round::CLOSED | round::AGGREGATED | round::SCORED) {
        return Err(Error::WrongRoundStatus);
    }
    round.require_on_chain(job)?;
    // A vote that came later could not be accused for as long.
    if actor.slot >= round.vote_deadline_slot {
        return Err(Error::WrongRoundStatus);
    }
    require_seat(round, job, actor)?;
    let (accepted, is_running) = (round.accepted, round.status == round::CLOSED);
    let seat = round.auditors.get_mut(actor.place as usize).ok_or(Error::WrongPlace)?;
    if seat.revealed == 0 {
        return Err(Error::NotRevealed);
    }
    let root = vote.root;
    if *root == [0; 32] {
        return Err(Error::EmptyDigest);
    }
    let (is_first, is_repeated) = (seat.vote == [0; 32], seat.vote == *root);
    if !is_first && !is_running {
        // The base stands on the votes that made it.
        return Err(if is_repeated { Error::AlreadyVoted } else { Error::WrongRoundStatus });
    }
    second_draw::reveal::<H>(seat, pool, vote, accepted, job.spec.second_audit_rate)?;
    if !is_repeated {
        // An accused vote stands until the verdict, so that every accusation of it is of the same.
        if seat.vote_disputes > 0 {
            return Err(Error::ClaimDisputed);
        }
        if !is_first {
            seat.changed_slots = seat.changed_slots.saturating_add(slots_since(seat.voted_slot, actor.slot));
        }
        seat.vote = *root;
        seat.voted_slot = actor.slot;
    }
    if is_running && has_majority(round, job, root)? {
        return make_base(round, job, root, actor.slot);
    }
    if is_repeated { Err(Error::AlreadyVoted) } else { Ok(()) }
}

/// Counts the standing votes again after an auditor of the round was convicted, so that the others need not vote twice.
#[inline(never)]
pub(crate) fn recount(round: &mut Round, job: &mut Job, slot: u64) -> Result<()> {
    if round.status != round::CLOSED || round.require_on_chain(job).is_err() {
        return Ok(());
    }
    for place in 0..round.auditor_count {
        let root = round.auditors.get(place as usize).ok_or(Error::WrongPlace)?.vote;
        if root != [0; 32] && has_majority(round, job, &root)? {
            return make_base(round, job, &root, slot);
        }
    }
    Ok(())
}

/// Whether more than half of the stake of the auditors that revealed and were not convicted, in this round or another, is for a root.
/// What a convicted vote named was found false: nobody makes it a base.
fn has_majority(round: &Round, job: &Job, root: &[u8; 32]) -> Result<bool> {
    let excluded = round.excluded_auditors(job);
    let (mut whole, mut agreeing) = (0u64, 0u64);
    for (place, seat) in round.auditors.iter().enumerate() {
        let is_for_it = seat.vote == *root;
        if is_for_it && seat.is_vote_convicted != 0 {
            return Ok(false);
        }
        if excluded & bit(place as u8) != 0 {
            continue;
        }
        whole = whole.checked_add(seat.stake).ok_or(Error::Overflow)?;
        if is_for_it {
            agreeing += seat.stake;
        }
    }
    Ok(agreeing > whole / 2)
}

/// The voted root becomes the base that the next round starts from, and its evaluation begins.
fn make_base(round: &mut Round, job: &mut Job, root: &[u8; 32], slot: u64) -> Result<()> {
    round.next_base = *root;
    round.score_deadline_slot = deadline(slot, job.spec.evaluation_slots)?;
    round.reveal_deadline_slot = deadline(round.score_deadline_slot, job.spec.evaluation_slots)?;
    round.aggregated_slot = slot;
    round.status = round::AGGREGATED;
    job.base_root = *root;
    job.chain.push(round.index)
}

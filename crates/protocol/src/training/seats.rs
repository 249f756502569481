//! The places of a job: who holds each, whether anybody waits for its holder, and who may take it next.
//!
//! | state | awaited by the next round | who may take the place |
//! |---|---|---|
//! | free | no | anybody |
//! | awake | yes | nobody |
//! | dormant | no | its holder wakes it; others once it was dormant for the job's `audit_slots`, at once where no seat of the role is awake |
//! | convicted | no | anybody but its holder |
//!
//! A seat falls dormant when its holder missed [`MISSED_ROUNDS`] rounds in a row or was shut out of [`SHUT_OUT_ROUNDS`], when its pool is
//! retired or was convicted in another job, and when the pool's own bond is
//! [`CURE_SLOTS`] after it was found short still below what the place needs. Misses are counted where a phase ends; the pool's account is
//! shown by the caller ([`Job::check_seat`]). A pool that takes, wakes or leaves a seat does so for the rounds that are opened from then on: a
//! running one goes by its own record of who held its places.
//!
//! Invariants: a pool holds one place of a job at most; only an awake seat is awaited; a convicted pool never holds an awake seat again.

use bytemuck::{Pod, Zeroable};

use crate::{
    Address, Error, Result,
    ground::layout::layout,
    stake::pool::{ACTIVE, Pool, PoolKind},
    training::job::{Job, bit},
};

/// Places of each role.
pub const PLACES: usize = 16;
/// Rounds missed in a row after which nobody waits for a seat.
pub const MISSED_ROUNDS: u8 = 2;
/// Rounds in a row that ended without it, before their deadlines, after which nobody waits for a seat: see [`Attendance::ShutOut`].
pub const SHUT_OUT_ROUNDS: u8 = 8;
/// What one missed round counts, in rounds that a seat was shut out of.
pub const MISSED: u8 = SHUT_OUT_ROUNDS / MISSED_ROUNDS;
/// Slots from when a pool's own bond was found below what its place needs until its seat may be called dormant: a day.
pub const CURE_SLOTS: u64 = 216_000;

/// Nobody holds the place.
pub const FREE: u8 = 0;
/// Its holder is awaited by each round that is opened.
pub const AWAKE: u8 = 1;
/// Its holder is awaited by none until it wakes the seat.
pub const DORMANT: u8 = 2;
/// Its holder was convicted, and is awaited never again.
pub const CONVICTED: u8 = 3;

layout! {
    /// A place of a job.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Seat {
        /// The pool that holds it; of a free one who held it last.
        pub pool: Address,
        /// The first round that could await this holder.
        pub since_round: u32,
        /// Rounds since its holder was there last: those that it was shut out of once each, those that it missed [`MISSED`] times.
        pub missed: u8,
        /// [`FREE`], [`AWAKE`], [`DORMANT`] or [`CONVICTED`].
        pub state: u8,
        /// Part of the pool's stake that counts in the place, basis points.
        pub allotted_bps: u16,
        /// The first of the rounds that `missed` counts; it says nothing while that is 0.
        pub missed_since: u32,
        /// Always 0.
        pub reserved: [u8; 4],
        /// Of a dormant seat: since when, or from when on it is lost to others ([`Job::note`]). Of an awake one: when its pool's own bond was found short; 0 if it was not.
        pub changed_slot: u64,
    }
}

/// Whether the holder of a seat was there when a round awaited it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// It did its part.
    There,
    /// It did nothing until the deadline.
    Missed,
    /// It had done nothing when the phase ended early, for which it is not charged.
    ShutOut,
}

/// Whom a round awaited at a place, and which round.
pub(crate) struct Awaited<'a> {
    pub kind: PoolKind,
    pub place: u8,
    /// Who held the place when it was opened.
    pub pool: &'a Address,
    /// Its index.
    pub round: u32,
}

impl Seat {
    /// Whether a pool holds it.
    fn is_held_by(&self, pool: &Address) -> bool {
        self.state != FREE && self.pool == *pool
    }

    /// A pool takes the seat, or wakes in it, with so much of its stake; the rounds that are opened from `next_round` on await it. The
    /// caller has checked that [the place](Job::place_for) is the pool's to take and that it is fit for it, and settles the allotments
    /// of the pool and of the one that lost the place.
    #[inline(always)]
    pub fn take(&mut self, pool: &Address, next_round: u32, allotted_bps: u16) {
        // Who held the place in the running round already is still answered for in it.
        if self.pool != *pool {
            (self.pool, self.since_round) = (*pool, next_round);
        }
        (self.missed, self.state, self.allotted_bps, self.changed_slot) = (0, AWAKE, allotted_bps, 0);
    }

    fn sleep(&mut self, slot: u64) {
        self.state = DORMANT;
        self.changed_slot = slot;
    }
}

impl Pool {
    /// Whether any claim of the pool was ever convicted, in whatever job.
    pub fn is_convicted(&self) -> bool {
        self.segments_convicted != 0 || self.claims_convicted != 0
    }
}

/// Checks that no claim of a pool was ever convicted: who was convicted claims nothing new, in this job neither than in another, so that its
/// delegators pay once.
pub(crate) fn require_unconvicted(pool: &Pool) -> Result<()> {
    if pool.is_convicted() { Err(Error::PoolConvicted) } else { Ok(()) }
}

impl Job {
    /// The places of a role.
    pub fn seats(&self, kind: PoolKind) -> Result<&[Seat; PLACES]> {
        match kind {
            PoolKind::Trainer => Ok(&self.trainers),
            PoolKind::Auditor => Ok(&self.auditors),
            PoolKind::Evaluator => Ok(&self.evaluators),
            _ => Err(Error::WrongPoolKind),
        }
    }

    fn seats_mut(&mut self, kind: PoolKind) -> Result<&mut [Seat; PLACES]> {
        match kind {
            PoolKind::Trainer => Ok(&mut self.trainers),
            PoolKind::Auditor => Ok(&mut self.auditors),
            PoolKind::Evaluator => Ok(&mut self.evaluators),
            _ => Err(Error::WrongPoolKind),
        }
    }

    /// The seat that a pool holds, awake or not.
    fn held_mut(&mut self, kind: PoolKind, place: u8, pool: &Address) -> Result<&mut Seat> {
        match self.seats_mut(kind)?.get_mut(place as usize) {
            Some(seat) if seat.is_held_by(pool) => Ok(seat),
            _ => Err(Error::WrongPlace),
        }
    }

    /// Places of a role up to the last one that is held; 0 for a kind that has no places.
    pub fn places(&self, kind: PoolKind) -> u8 {
        let Ok(seats) = self.seats(kind) else { return 0 };
        let mut count = 0;
        for (place, seat) in seats.iter().enumerate() {
            if seat.state != FREE {
                count = place as u8 + 1;
            }
        }
        count
    }

    /// Awake seats of a role, by place.
    pub fn awake(&self, kind: PoolKind) -> u16 {
        let Ok(seats) = self.seats(kind) else { return 0 };
        let mut awake = 0;
        for (place, seat) in seats.iter().enumerate() {
            if seat.state == AWAKE {
                awake |= bit(place as u8);
            }
        }
        awake
    }

    /// Whether the trainer of a place was convicted.
    pub fn is_excluded(&self, place: u8) -> bool {
        self.trainers.get(place as usize).is_some_and(|seat| seat.state == CONVICTED)
    }

    /// The place that the next pool of a role would take: the first free one, else the first that its holder has lost.
    #[inline(never)]
    pub fn takeable(&self, kind: PoolKind, slot: u64) -> Result<u8> {
        match self.seats(kind)?.iter().position(|seat| seat.state == FREE) {
            Some(place) => Ok(place as u8),
            None => self.lost(kind, slot),
        }
    }

    /// The first place that its holder has lost.
    #[inline(never)]
    fn lost(&self, kind: PoolKind, slot: u64) -> Result<u8> {
        let is_nobody_awake = self.awake(kind) == 0;
        let is_lost = |seat: &Seat| match seat.state {
            CONVICTED => true,
            DORMANT => {
                let kept = if is_nobody_awake { 0 } else { self.spec.audit_slots as u64 };
                slot >= seat.changed_slot.saturating_add(kept)
            }
            _ => false,
        };
        let place = self.seats(kind)?.iter().position(is_lost).ok_or(Error::JobFull)?;
        Ok(place as u8)
    }

    /// The place that a pool gets: its own, if that is dormant, else the one that is [takeable](Job::takeable).
    #[inline(never)]
    pub fn place_for(&self, kind: PoolKind, pool: &Address, slot: u64) -> Result<u8> {
        for (place, seat) in self.seats(kind)?.iter().enumerate() {
            if seat.is_held_by(pool) {
                return if seat.state == DORMANT { Ok(place as u8) } else { Err(Error::AlreadyJoined) };
            }
        }
        self.takeable(kind, slot)
    }

    /// The seat at a place of a role.
    pub fn seat_mut(&mut self, kind: PoolKind, place: u8) -> Result<&mut Seat> {
        self.seats_mut(kind)?.get_mut(place as usize).ok_or(Error::WrongPlace)
    }

    /// Wakes the seat that a pool holds, with what is allotted to it: its holder is awaited by the rounds that are opened from now on.
    pub fn wake(&mut self, place: u8, address: &Address, pool: &Pool) -> Result<()> {
        let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
        if pool.is_convicted() {
            return Err(Error::PoolConvicted);
        }
        pool.require_bonded(self.place_bond(kind)?)?;
        let next_round = self.next_round;
        let seat = self.held_mut(kind, place, address)?;
        if seat.state != DORMANT {
            return Err(Error::SeatInOrder);
        }
        seat.take(address, next_round, seat.allotted_bps);
        Ok(())
    }

    /// A pool leaves its place, whatever it still owes the running round. Returns what it had allotted to it.
    pub fn leave(&mut self, kind: PoolKind, place: u8, pool: &Address) -> Result<u16> {
        let seat = self.held_mut(kind, place, pool)?;
        (seat.state, seat.missed, seat.changed_slot) = (FREE, 0, 0);
        Ok(core::mem::take(&mut seat.allotted_bps))
    }

    /// Brings a seat in line with its pool: one whose pool was convicted or is retired is awaited no more; one whose pool's own bond is
    /// below what the place needs has [`CURE_SLOTS`] from the first call that finds it so; a bond that was topped up ends that.
    pub fn check_seat(&mut self, kind: PoolKind, place: u8, address: &Address, pool: &Pool, slot: u64) -> Result<()> {
        let place_bond = self.place_bond(kind)?;
        let seat = self.held_mut(kind, place, address)?;
        if seat.state != AWAKE {
            return Err(Error::SeatInOrder);
        }
        if pool.status != ACTIVE || pool.is_convicted() {
            seat.sleep(slot);
            return Ok(());
        }
        match (pool.self_bond < place_bond, seat.changed_slot) {
            (false, 0) => return Err(Error::SeatInOrder),
            (false, _) => seat.changed_slot = 0,
            (true, 0) => seat.changed_slot = slot.max(1),
            // An old mark is of another time: its bond was topped up since, which nobody told the seat.
            (true, found) if slot >= found.saturating_add(2 * CURE_SLOTS) => seat.changed_slot = slot,
            (true, found) if slot >= found.saturating_add(CURE_SLOTS) => seat.sleep(slot),
            _ => return Err(Error::CureRunning),
        }
        Ok(())
    }

    /// Notes whether the holder of a place was there when the round awaited it, unless the place is another's by now. A seat that falls asleep
    /// does so in `slot`, which lies ahead where the absence may still be [taken back](Job::take_back): until then it is nobody else's to take. Returns the bit of the
    /// place if the holder missed the round and that counts, else 0.
    pub(crate) fn note(&mut self, awaited: &Awaited<'_>, was: Attendance, slot: u64) -> u16 {
        let Some(seat) = self.held_at(awaited) else { return 0 };
        if seat.state != AWAKE {
            return 0;
        }
        if seat.missed == 0 {
            seat.missed_since = awaited.round;
        }
        seat.missed = match was {
            Attendance::There => 0,
            Attendance::Missed => seat.missed.saturating_add(MISSED),
            Attendance::ShutOut => seat.missed.saturating_add(1),
        };
        if seat.missed >= SHUT_OUT_ROUNDS {
            seat.sleep(slot);
        }
        if was == Attendance::Missed { bit(awaited.place) } else { 0 }
    }

    /// Takes a missed round of a holder back that [was noted](Job::note) and in which it could not do its part, unless it was there since, which has wiped that out
    /// already; a seat that fell asleep by it wakes.
    pub(crate) fn take_back(&mut self, awaited: &Awaited<'_>) {
        let Some(seat) = self.held_at(awaited) else { return };
        if seat.missed == 0 || awaited.round < seat.missed_since {
            return;
        }
        // A seat that sleeps for another reason has missed less.
        let slept_by_it = seat.state == DORMANT && seat.missed >= SHUT_OUT_ROUNDS;
        seat.missed = seat.missed.saturating_sub(MISSED);
        if slept_by_it && seat.missed < SHUT_OUT_ROUNDS {
            (seat.state, seat.changed_slot) = (AWAKE, 0);
        }
    }

    /// The seat at a place, if whom a round awaited there still holds it.
    fn held_at(&mut self, awaited: &Awaited<'_>) -> Option<&mut Seat> {
        self.held_mut(awaited.kind, awaited.place, awaited.pool).ok()
    }

    /// Keeps a convicted pool out of all later rounds, whatever place it holds by now. A trainer or an auditor is kept out of the running one
    /// too, if nobody has taken its place since that was opened; an evaluator may still score it. What it owes for its absence is owed.
    pub fn exclude(&mut self, kind: PoolKind, pool: &Address) {
        let next_round = self.next_round;
        let Ok(seats) = self.seats_mut(kind) else { return };
        let mut struck = 0;
        for (place, seat) in seats.iter_mut().enumerate() {
            if seat.pool != *pool {
                continue;
            }
            if seat.state != FREE {
                seat.state = CONVICTED;
            }
            if seat.since_round < next_round {
                struck |= bit(place as u8);
            }
        }
        match kind {
            PoolKind::Trainer => self.struck_trainers |= struck,
            PoolKind::Auditor => self.struck_auditors |= struck,
            _ => {}
        }
    }

    /// Part of a pool's stake that counts in a place; 0 if it does not hold it.
    pub fn allotment(&self, kind: PoolKind, place: u8, pool: &Address) -> u16 {
        match self.seats(kind).ok().and_then(|seats| seats.get(place as usize)) {
            Some(seat) if seat.is_held_by(pool) => seat.allotted_bps,
            _ => 0,
        }
    }

    /// Sets the part of a pool's stake that counts in the place that it holds.
    pub fn set_allotment(&mut self, kind: PoolKind, place: u8, allotted_bps: u16) -> Result<()> {
        self.seat_mut(kind, place)?.allotted_bps = allotted_bps;
        Ok(())
    }

    /// Checks that a pool holds a place now. What was done in a round is judged by the round's own record of who held its places:
    /// [`Round::require_holder`](crate::training::round::Round::require_holder).
    pub fn require_place(&self, kind: PoolKind, place: u8, pool: &Address) -> Result<()> {
        match self.seats(kind)?.get(place as usize) {
            Some(seat) if seat.is_held_by(pool) => Ok(()),
            _ => Err(Error::WrongPlace),
        }
    }
}

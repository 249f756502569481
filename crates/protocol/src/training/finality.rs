//! What makes a round's result final, and what undoes it: accusations, challenges, the chain of rounds, seeds, and the
//! availability of what was committed.
//!
//! Rounds form a tree: each names the round whose result it builds on. Closing a round waits for no dispute; a segment that
//! counts is provisional until the round is final. A conviction undoes the round and all that builds on it.
//!
//! A round that had come to nothing by itself is undone as well: an operator that could not vote on or score what a liar kept to itself was not absent, nor
//! was anybody in a round that builds on it. What was noted of them is taken back ([`Round::excuse`]), and nothing is charged.
//!
//! Invariants: [`Chain`] lists the rounds with a result that is not final, oldest first, each the parent of the next; at most
//! [`MAX_LOOKAHEAD`] of them; a final round never changes again; nothing is paid for a round before it is final or void.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;
use sip_proof::Sha256;

use crate::{
    Error, Result,
    admin::config::Config,
    ground::layout::layout,
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, offence::Penalties},
    stake::pool::Pool,
    training::{
        attendance::{here, known_reward},
        job::{Job, MAX_DOMAINS},
        quality::Fit,
        round::{self, Round},
        seats::MISSED_ROUNDS,
        seed,
    },
};

pub(crate) fn require(condition: bool, error: Error) -> Result<()> {
    if condition { Ok(()) } else { Err(error) }
}

/// Most rounds with a result that is not final.
pub const MAX_LOOKAHEAD: usize = 8;
/// The index that stands for no round: what the first round builds on.
pub const NO_ROUND: u32 = u32::MAX;

layout! {
    /// The rounds that a job's next round builds on, as far as they are not settled history.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Chain {
        /// Indices of the rounds that have a result which is not final, oldest first.
        pub open: [u32; MAX_LOOKAHEAD],
        /// Index of the last final round; [`NO_ROUND`] before the first.
        pub last_final: u32,
        /// Final rounds so far.
        pub final_count: u32,
        /// For each of `open`, how many rounds that build on it came to nothing.
        pub void_counts: [u8; MAX_LOOKAHEAD],
        /// How many of `open` count.
        pub open_count: u8,
        /// Whether the next seed waits for its slot hashes: 1, else 0. See [`seed`].
        pub is_seed_pending: u8,
        /// Whether nobody captured the last seed's slot hashes in time: 1, else 0.
        pub is_seed_missed: u8,
        /// Whether the round that runs builds on one that was taken off the chain: 1, else 0.
        pub is_running_orphan: u8,
        /// Rounds on the head, one after the other, whose votes would have been a majority if they had agreed.
        pub split_count: u8,
        /// Always 0.
        pub reserved: [u8; 3],
        /// Until this slot no round is opened, since as many rounds as a slice is measured for came to nothing by votes that did not agree: from then
        /// on no verdict on them can come any more. 0 otherwise.
        pub split_until_slot: u64,
    }
}

impl Chain {
    /// The chain of a new job.
    pub const GENESIS: Chain = Chain {
        open: [0; MAX_LOOKAHEAD],
        last_final: NO_ROUND,
        final_count: 0,
        void_counts: [0; MAX_LOOKAHEAD],
        open_count: 0,
        is_seed_pending: 0,
        is_seed_missed: 0,
        is_running_orphan: 0,
        split_count: 0,
        reserved: [0; 3],
        split_until_slot: 0,
    };

    /// The rounds that have a result which is not final.
    pub fn open_rounds(&self) -> &[u32] {
        &self.open[..(self.open_count as usize).min(MAX_LOOKAHEAD)]
    }

    /// What the next round builds on.
    pub fn head(&self) -> u32 {
        self.open_rounds().last().copied().unwrap_or(self.last_final)
    }

    /// Adds a round that has a result.
    pub fn push(&mut self, index: u32) -> Result<()> {
        let place = self.open_count as usize;
        *self.open.get_mut(place).ok_or(Error::TooFarAhead)? = index;
        self.void_counts[place] = 0;
        self.open_count += 1;
        self.forget_splits();
        Ok(())
    }

    /// A round on the head came to nothing by votes that did not agree, and a verdict on them can come until a slot. At least one of them is false, and
    /// the one who cast it could bring round after round to nothing until its verdict, on the same slices. So the next waits for that once there were as
    /// many as the bond is measured for.
    fn add_split(&mut self, lookahead: u8, until_slot: u64) {
        self.split_count = self.split_count.saturating_add(1);
        if self.split_count >= lookahead {
            self.split_until_slot = until_slot;
        }
    }

    /// A vote was convicted, or a round has a result: nothing is waited for.
    pub(crate) fn forget_splits(&mut self) {
        (self.split_count, self.split_until_slot) = (0, 0);
    }

    /// Rounds that hang on what is not final: those that have a result, and those on them that came to nothing. A conviction may undo them all.
    pub fn ahead(&self) -> u32 {
        let open = (self.open_count as usize).min(MAX_LOOKAHEAD);
        self.void_counts[..open].iter().fold(open as u32, |sum, count| sum.saturating_add(*count as u32))
    }

    /// A round on the head came to nothing.
    pub(crate) fn add_void(&mut self) {
        if let Some(count) = (self.open_count as usize).checked_sub(1).and_then(|last| self.void_counts.get_mut(last)) {
            *count = count.saturating_add(1);
        }
    }

    /// One that had come to nothing on this round turned out to be a liar's doing.
    fn take_void(&mut self, parent: u32) {
        let place = self.open_rounds().iter().position(|open| *open == parent);
        if let Some(count) = place.and_then(|place| self.void_counts.get_mut(place)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Rounds that build on one of the chain, those that came to nothing apart, the one that runs included if `running` is one and nothing that
    /// it builds on was undone before: that had its part to hand on. 0 for a round that is not on it.
    fn count_after(&self, index: u32, running: Option<u32>) -> u8 {
        let open = self.open_rounds();
        let Some(place) = open.iter().position(|open| *open == index) else { return 0 };
        // One that was aggregated is on the chain already.
        let is_beside = self.is_running_orphan == 0 && running.is_some_and(|running| open.last() != Some(&running));
        (open.len() - place - 1) as u8 + is_beside as u8
    }

    /// Takes a round, and all that builds on it, off the chain; says whether it was there.
    pub fn cut(&mut self, index: u32) -> bool {
        let Some(place) = self.open_rounds().iter().position(|open| *open == index) else { return false };
        self.open_count = place as u8;
        true
    }

    /// Makes the oldest round final.
    pub fn finalise(&mut self, index: u32) -> Result<()> {
        if self.open_rounds().first() != Some(&index) {
            return Err(Error::ParentNotFinal);
        }
        self.open.copy_within(1.., 0);
        self.void_counts.copy_within(1.., 0);
        self.open_count -= 1;
        self.last_final = index;
        self.final_count = self.final_count.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }
}

/// Why a round was undone, as [`Round::is_undone`] says it. A greater reason takes the place of a lesser one, whichever verdict came first: a false base is worse than a
/// false work, and that worse than false scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Undoing {
    /// A segment that counted, or the base that was voted, is false.
    Work = 1,
    /// No score of it stands.
    Scores = 2,
    /// What it builds on was undone.
    Base = 3,
}

impl Undoing {
    /// Whether it says more than the reason that a round was undone for; any reason does where it was not.
    fn outranks(self, is_undone: u8) -> bool {
        let rank = |reason: u8| match reason {
            0 => 0,
            reason if reason == Undoing::Scores as u8 => 1,
            reason if reason == Undoing::Work as u8 => 2,
            _ => 3,
        };
        rank(self as u8) > rank(is_undone)
    }
}

layout! {
    /// What a job had measured when a round was opened: what it goes back to if the round is undone.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Standing {
        /// Score per domain, micro-nats per token.
        pub last_scores: [u32; MAX_DOMAINS],
        /// Mixture-weighted score, micro-nats per token.
        pub last_score: u32,
        /// Scored rounds on the chain.
        pub rounds_scored: u32,
        /// What the job remembered of its curve.
        pub fit: Fit,
        /// What came out of the rounds on the chain.
        pub history: [u8; 32],
    }
}

impl Standing {
    /// The present standing of a job.
    pub fn of(job: &Job) -> Standing {
        Standing {
            last_scores: job.last_scores,
            last_score: job.last_score,
            rounds_scored: job.rounds_scored,
            fit: job.fit,
            history: job.head_history,
        }
    }

    pub(crate) fn restore(&self, job: &mut Job) {
        job.last_scores = self.last_scores;
        job.last_score = self.last_score;
        job.rounds_scored = self.rounds_scored;
        job.fit = self.fit;
        job.head_history = self.history;
    }
}

impl Round {
    /// Checks that what the round's segments hand over may be demanded, and a segment of it accused, in this slot: from the end of the
    /// commitments until nobody can accuse one any more, whatever became of the round.
    pub fn require_challengeable(&self, slot: u64) -> Result<()> {
        let has_segments = self.status != round::OPEN && self.status != round::FINAL;
        let is_open = slot <= self.accusable_until(CaseKind::Segment);
        if has_segments && is_open { Ok(()) } else { Err(Error::WrongRoundStatus) }
    }

    /// Checks that a dispute on a claim of the round may be opened as far as its phase goes: its segments are committed for good, it is
    /// not final. Whether the accusation came in time, the accusation checks ([`accusation::Accusation::reveal`]).
    pub fn require_disputable(&self) -> Result<()> {
        if self.status != round::OPEN && self.status != round::FINAL { Ok(()) } else { Err(Error::WrongRoundStatus) }
    }

    /// A dispute on a scoring run begins.
    pub fn open_run_dispute(&mut self) -> Result<()> {
        self.run_disputes = self.run_disputes.checked_add(1).ok_or(Error::Overflow)?;
        self.open_challenge()
    }

    /// A dispute on a scoring run ends.
    pub fn close_run_dispute(&mut self) -> Result<()> {
        self.run_disputes = self.run_disputes.checked_sub(1).ok_or(Error::Underflow)?;
        self.close_challenge()
    }

    /// A dispute on an attestation begins: the round stays until it is resolved.
    pub fn open_attestation_dispute(&mut self) -> Result<()> {
        self.attestation_disputes = self.attestation_disputes.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// A dispute or a demand on one of its segments begins.
    pub fn open_challenge(&mut self) -> Result<()> {
        self.open_challenges = self.open_challenges.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// A dispute or a demand on one of its segments ends.
    pub fn close_challenge(&mut self) -> Result<()> {
        self.open_challenges = self.open_challenges.checked_sub(1).ok_or(Error::Underflow)?;
        Ok(())
    }

    /// Whether what the round builds on, or the round itself, is no longer on the job's chain.
    pub fn is_orphan(&self, chain: &Chain) -> bool {
        match self.status {
            round::OPEN | round::COMMITS_CLOSED | round::CLOSED => self.parent != chain.head(),
            round::AGGREGATED | round::SCORED => !chain.open_rounds().contains(&self.index),
            // Whether it had a result or not: nobody could work on what nobody had. Until a later round is final in its parent's stead.
            round::VOID if self.is_heir != 0 => true,
            round::VOID if !self.was_undone_by(Undoing::Base) => self.is_parent_gone(chain),
            _ => false,
        }
    }

    /// Whether what it builds on was undone, as far as the chain can tell: it waits to be final no more, and nothing after it is.
    fn is_parent_gone(&self, chain: &Chain) -> bool {
        let is_after_final = chain.last_final == NO_ROUND || self.parent > chain.last_final;
        self.parent != NO_ROUND && is_after_final && !chain.open_rounds().contains(&self.parent)
    }

    /// Whether it was undone for this reason.
    pub fn was_undone_by(&self, undoing: Undoing) -> bool {
        self.is_undone == undoing as u8
    }

    /// Checks that the round builds on the job's chain.
    pub fn require_on_chain(&self, job: &Job) -> Result<()> {
        if self.is_orphan(&job.chain) { Err(Error::Orphaned) } else { Ok(()) }
    }

    /// Makes a scored round final: everything that it builds on is, nobody can challenge it any more, and no challenge is open.
    #[inline(always)]
    pub fn finalise(&mut self, job: &mut Job, slot: u64) -> Result<()> {
        self.require_status(round::SCORED)?;
        if !self.is_beyond_challenge(slot) {
            return Err(Error::ChallengeOpen);
        }
        job.chain.finalise(self.index)?;
        self.status = round::FINAL;
        job.history = self.history;
        Ok(())
    }

    /// Undoes the round, because a segment that counts or the base that was voted is false. One that had come to nothing by itself only where the
    /// claim's slice was there whole, taken or owed, or where fewer than [`MISSED_ROUNDS`] such rounds were undone for this liar's claims. So the
    /// absences of a role that brings round after round to nothing are not excused by convictions that take nothing, and who could not vote on or score what
    /// one liar kept to itself is excused until its seat is asleep, whatever became of the liar's bond. A pool that was convicted claims nothing
    /// new, and a slice is short only where others of the same job stand before it ([`Pool::pledge`]): so the count is of one job.
    pub(crate) fn undo_work(&mut self, job: &mut Job, liar: &mut Pool, is_short: bool, slot: u64) {
        let had_come_to_nothing = self.came_to_nothing();
        if is_short && had_come_to_nothing && liar.excused_count >= MISSED_ROUNDS {
            return;
        }
        self.undo(job, Undoing::Work, slot);
        let is_excuse = had_come_to_nothing && self.is_undone != 0;
        liar.excused_count = liar.excused_count.saturating_add(is_excuse as u8);
    }

    /// Notes that the round came to nothing by votes that did not agree, where those would have been a majority together. A vote for what a convicted one
    /// named counts as none: that root makes no base, so that those who agree on it did not split, and a verdict on it was there already.
    pub(crate) fn note_split(&self, job: &mut Job) -> Result<()> {
        // It is the round that was opened last.
        let counted = self.awaited_auditors & !(self.struck_auditors | job.struck_auditors);
        let (mut whole, mut voted) = (0u64, 0u64);
        for (_, seat) in here(counted, &self.auditors) {
            whole = int::add(whole, seat.stake)?;
            let is_counted = seat.has_voted() && !self.is_root_convicted(&seat.vote);
            voted = int::add(voted, if is_counted { seat.stake } else { 0 })?;
        }
        if voted > whole / 2 {
            let decided = self.accusable_until(CaseKind::Aggregate).saturating_add(REVEAL_SLOTS);
            let until = decided.saturating_add(job.spec.longest_dispute_slots(&job.parameters));
            job.chain.add_split(job.spec.lookahead, until);
        }
        Ok(())
    }

    /// Whether a vote for this root was convicted.
    fn is_root_convicted(&self, root: &[u8; 32]) -> bool {
        self.auditors.iter().any(|seat| seat.is_vote_convicted != 0 && seat.vote == *root)
    }

    /// Undoes the round, because a segment that counts or the base that was voted is false here or further down the chain. The job goes on from what the
    /// round was built on. What honest work would have earned stays on record as the reward, and [`Round::compensate`] says how much of it
    /// there is. A round that was not scored has no quality, so only its auditors have earned.
    ///
    /// A round that had come to nothing by itself, since nobody could vote on or score what a liar handed over, is undone from then on: it was
    /// the liar's doing, for which nobody else is charged, and the work on it is compensated.
    ///
    /// One that was undone already is undone again for a greater reason, which takes back more of what was noted.
    #[inline(never)]
    pub(crate) fn undo(&mut self, job: &mut Job, by: Undoing, slot: u64) {
        let came_to_nothing = self.came_to_nothing();
        let had_segments = self.void_from == round::CLOSED || self.void_from == round::AGGREGATED;
        let is_moot = came_to_nothing && !had_segments && by != Undoing::Base;
        if self.status == round::FINAL || is_moot || !by.outranks(self.is_undone) {
            return;
        }
        self.excuse(job, by);
        self.is_undone = by as u8;
        if came_to_nothing && had_segments {
            self.reward = known_reward(job, self.eligible);
            job.chain.take_void(self.parent);
        } else if self.status != round::VOID {
            self.end_undone(job, slot);
        }
    }

    /// Takes a round that has not come to nothing, and all that builds on it, off the chain.
    fn end_undone(&mut self, job: &mut Job, slot: u64) {
        let running = if job.round_live == 0 { None } else { job.next_round.checked_sub(1) };
        self.undone_after = job.chain.count_after(self.index, running);
        self.is_heir = (!self.was_undone_by(Undoing::Base) && self.is_orphan(&job.chain)) as u8;
        if job.chain.cut(self.index) {
            self.before.restore(job);
            job.base_root = self.base_root;
            if running.is_some_and(|running| running != self.index) {
                job.chain.is_running_orphan = 1;
            }
        }
        if self.status != round::SCORED {
            // The one round that runs.
            job.round_live = 0;
            if self.status == round::CLOSED || self.status == round::AGGREGATED {
                self.reward = known_reward(job, self.eligible);
            }
        }
        self.end_scores(slot);
        self.void_from = self.status;
        self.status = round::VOID;
    }

    /// Keeps for the honest work that a conviction undid, out of what it just took of the slice behind a claim of this round and the insurance took in, what is
    /// neither bounty nor burned: the same part for each round that was undone with it, of which this one and each that builds on it keep no more than they would have paid.
    /// So a coalition that works the round of its lie alone has no more of it back than its part. Nothing else ever pays for undone work:
    /// neither the insurance, nor delegators, nor the operators' bucket, which pays the repeat.
    pub(crate) fn compensate(&mut self, config: &mut Config, penalties: &Penalties, from_bond: u64) -> Result<()> {
        if self.is_undone == 0 {
            return Ok(());
        }
        let part = penalties.compensation(from_bond)? / (self.undone_after as u64 + 1);
        let own = self.take_part(part)?;
        // What comes after the next one has taken its part reaches nobody there any more.
        let handed = if self.is_handed_on == 0 { int::mul(part, self.undone_after as u64)? } else { 0 };
        self.to_children = int::add(self.to_children, handed)?;
        config.buckets.insurance = int::sub(config.buckets.insurance, int::add(own, handed)?)?;
        Ok(())
    }

    /// Takes a part as compensation, up to what the round would have paid; returns what it took.
    fn take_part(&mut self, part: u64) -> Result<u64> {
        let own = part.min(self.reward.saturating_sub(self.compensation));
        self.compensation = int::add(self.compensation, own)?;
        Ok(own)
    }

    /// Takes over what an undone round keeps for those that build on it: a part for itself, and the rest for those that build on this one in turn.
    fn inherit(&mut self, parent: &mut Round) -> Result<()> {
        let Some(after) = parent.undone_after.checked_sub(1) else { return Ok(()) };
        let part = parent.to_children / parent.undone_after as u64;
        let handed = int::mul(part, after as u64)?;
        let own = self.take_part(part)?;
        parent.to_children = int::sub(parent.to_children, int::add(own, handed)?)?;
        (self.undone_after, self.to_children, parent.is_handed_on) = (after, handed, 1);
        Ok(())
    }

    /// Whether it was undone with what it builds on, or is about to be, and has its part of what is left of a slice still to take.
    pub fn inherits(&self) -> bool {
        self.status != round::VOID || self.is_heir != 0
    }

    /// What nobody has collected of what convictions left for its honest work and for that of the rounds that build on it, base units.
    pub fn uncollected(&self) -> Result<u64> {
        if self.is_undone == 0 {
            return Ok(0);
        }
        Ok(int::add(int::sub(self.compensation, self.paid)?, self.to_children)?)
    }

    /// Whether a round that was undone with it has not been told so, and has its part still to take.
    pub fn has_heirs(&self) -> bool {
        self.undone_after != 0 && self.is_handed_on == 0
    }

    /// Undoes a round that builds on one that was undone. One call per round; `parent` is what it builds on, which must be undone before it, unless the round had come to
    /// nothing by itself: then it has no part in what is left of a slice, and the parent is not asked for.
    #[inline(always)]
    pub fn undo_orphan<H: Sha256>(&mut self, job: &mut Job, parent: Option<&mut Round>, slot: u64) -> Result<()> {
        if !self.is_orphan(&job.chain) {
            return Err(Error::NotOrphaned);
        }
        let has_seed = self.status != round::OPEN && self.status != round::COMMITS_CLOSED;
        let inherits = self.inherits();
        self.undo(job, Undoing::Base, slot);
        if inherits {
            let parent = parent.ok_or(Error::MissingAccount)?;
            require(parent.is_undone != 0 && parent.is_heir == 0, Error::ParentNotUndone)?;
            self.is_heir = 0;
            self.inherit(parent)?;
        }
        if !has_seed {
            job.next_seed = self.following_seed::<H>();
        }
        Ok(())
    }

    /// Checks that everyone may be settled: the round is final; or void, nobody can be challenged any more, and what it builds on is final, or was undone
    /// and it with it.
    #[inline(always)]
    pub fn require_settleable(&self, job: &Job, slot: u64) -> Result<()> {
        match self.status {
            round::FINAL => Ok(()),
            round::VOID if !self.is_beyond_challenge(slot) => Err(Error::ChallengeOpen),
            round::VOID if job.chain.open_rounds().contains(&self.parent) => Err(Error::ParentNotFinal),
            round::VOID => self.require_on_chain(job),
            _ => Err(Error::NotFinal),
        }
    }

    /// Whether no accusation of a claim of the round can be opened any more, not one that was committed in the last slot for it either.
    pub fn is_beyond_accusation(&self, slot: u64) -> Result<bool> {
        Ok(self.status == round::FINAL || slot > self.disputable_until())
    }

    /// Whether the round was undone before its segments were frozen: then nobody earned and nobody missed anything. One that came to nothing at its closing was
    /// not, whatever became of its base.
    pub fn ended_unclosed(&self) -> bool {
        self.is_undone != 0 && self.seed_status == seed::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Attack: an auditor with the majority votes for what nobody can score, and stays silent in its dispute until the round has come to
    /// nothing. The evaluators were charged the whole round.
    #[test]
    fn attack_nobody_pays_for_a_score_of_a_base_that_was_false() {
        use bytemuck::Zeroable;
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        job.parameters = crate::admin::config::Parameters::DEFAULT;
        (job.rewarded, job.trainer_worth, job.spec.round_reward) = (1, 1_000, 1_000);
        job.chain = Chain::GENESIS;
        job.chain.push(0).unwrap();
        (round.status, round.awaited_evaluators, round.expected_reward) = (round::AGGREGATED, 1, 1_000);
        round.eligible = 1;
        (round.next_base, round.vote_disputes) = ([7; 32], 1);
        round.void_without_score(&mut job, 10);
        let charged = round.missed_score(&job, crate::training::evaluation::ABSENT).unwrap();
        assert!(round.is_scoreless() && charged >= 1_000);
        round.undo(&mut job, Undoing::Work, 0);
        assert!(!round.is_scoreless());
        assert_eq!(
            (round.status, round.is_undone, round.void_from, round.reward),
            (round::VOID, 1, round::AGGREGATED, 1_000)
        );
        // A second conviction changes nothing.
        job.trainer_worth = 5;
        round.undo(&mut job, Undoing::Work, 0);
        assert_eq!(round.reward, 1_000);
    }

    #[test]
    fn only_the_oldest_round_becomes_final() {
        let mut chain = Chain::GENESIS;
        assert_eq!(chain.head(), NO_ROUND);
        for index in [0, 2, 3] {
            chain.push(index).unwrap();
        }
        assert_eq!((chain.finalise(2), chain.finalise(0)), (Err(Error::ParentNotFinal), Ok(())));
        assert_eq!((chain.open_rounds(), chain.last_final), (&[2, 3][..], 0));
        assert!(chain.cut(2) && !chain.cut(3));
        assert_eq!(chain.head(), 0);
        assert_eq!(chain.finalise(2), Err(Error::ParentNotFinal));
    }

    proptest! {
        /// Random histories of opening, scoring, convicting and finalising against the tree kept in full.
        #[test]
        fn the_chain_is_the_path_to_the_last_good_round(steps in prop::collection::vec((0u8..4, any::<u32>()), 1..200)) {
            let mut job = Job::zeroed();
            job.chain = Chain::GENESIS;
            // Every round that ever had a result.
            let mut rounds: Vec<Round> = Vec::new();
            let mut next = 0u32;
            for (kind, number) in steps {
                match kind {
                    0 | 1 if (job.chain.open_count as usize) < MAX_LOOKAHEAD => {
                        let mut round = Round::zeroed();
                        (round.index, round.parent, round.status) = (next, job.chain.head(), round::SCORED);
                        round.before = Standing::of(&job);
                        round.base_root = job.base_root;
                        next += 1;
                        job.chain.push(round.index).unwrap();
                        job.rounds_scored += 1;
                        job.base_root = [next as u8; 32];
                        rounds.push(round);
                    }
                    2 if !rounds.is_empty() => {
                        let place = number as usize % rounds.len();
                        let (status, base) = (rounds[place].status, rounds[place].base_root);
                        let was_on = job.chain.open_rounds().contains(&rounds[place].index);
                        rounds[place].undo(&mut job, Undoing::Work, 0);
                        if was_on {
                            prop_assert_eq!((job.base_root, job.chain.head()), (base, rounds[place].parent));
                        }
                        prop_assert_eq!(rounds[place].status == round::FINAL, status == round::FINAL);
                    }
                    3 if !rounds.is_empty() => {
                        let place = number as usize % rounds.len();
                        let parent = rounds[place].parent;
                        let is_parent_final = parent == NO_ROUND
                            || rounds.iter().any(|round| round.index == parent && round.status == round::FINAL);
                        let may = rounds[place].status == round::SCORED && is_parent_final;
                        let slot = crate::ground::escrow::REVEAL_SLOTS + 1;
                        prop_assert_eq!(rounds[place].finalise(&mut job, slot).is_ok(), may);
                    }
                    _ => {}
                }
                // From the head by parents one comes through exactly the open rounds to the last final one.
                let mut at = job.chain.head();
                for index in job.chain.open_rounds().iter().rev() {
                    prop_assert_eq!(at, *index);
                    let round = rounds.iter().find(|round| round.index == at).unwrap();
                    prop_assert_eq!(round.status, round::SCORED);
                    at = round.parent;
                }
                prop_assert_eq!(at, job.chain.last_final);
                prop_assert_eq!(job.rounds_scored, job.chain.final_count + job.chain.open_count as u32);
                for round in &rounds {
                    let is_child_of_void = rounds.iter().any(|up| up.index == round.parent && up.status == round::VOID);
                    prop_assert!(!is_child_of_void || round.status == round::VOID || round.is_orphan(&job.chain));
                }
            }
        }
    }
}

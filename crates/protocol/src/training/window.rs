//! How long each claim can be accused: every claim a full window, whatever slot it was made in and however long the job's phases are.
//!
//! Two slots count for a claim. In the last one an accusation of it may be *committed*: at least `audit_slots` after the claim was made. And
//! [`REVEAL_SLOTS`] later the last accusation may be *opened*. Finality, settlement of undone rounds and the return of a genesis bond wait
//! for the second.
//!
//! | claim | the last slot for an accusation, counted with `audit_slots` from | made no later than |
//! |---|---|---|
//! | segment, its start state, its update | its round's closing, or `challenge_slots` if that is more; the end of the vote | the closing |
//! | vote | the end of the vote | that end |
//! | attestation | the end of the second draw's attestations, or of the vote where there is none | that end |
//! | scoring run | the tally; until then there is no last slot; where the round is undone before, or no score stands, that slot or the end of the reveals, which is later | those |
//! | genesis state | none while its bond is there, which returns [`REVEAL_SLOTS`] after an unbonding at the earliest | the job's creation |

use crate::{
    admin::config::Parameters,
    ground::{case::CaseKind, clock::longest_dispute_slots, escrow::REVEAL_SLOTS},
    training::{
        job::{Job, JobSpec},
        round::{self, Round},
        segment::Segment,
    },
};

impl JobSpec {
    /// What both clocks of a dispute in the job begin with: the parameters' slots, and an audit's length at least.
    pub fn clock_slots(&self, parameters: &Parameters) -> u64 {
        parameters.clock_slots.max(self.audit_slots as u64)
    }

    /// Slots after which a dispute in the job has ended, whatever its parties do: both clocks, and what all moves give back.
    pub fn longest_dispute_slots(&self, parameters: &Parameters) -> u64 {
        longest_dispute_slots(self.clock_slots(parameters))
    }

    /// Slots from the opening of a round to its pay, if everything takes as long as it may and it is settled at once: all phases, the time in
    /// which it can be accused, the time to open the last accusation, and the longest dispute.
    pub fn longest_round_slots(&self, parameters: &Parameters) -> u64 {
        let [commit, audit, vote, evaluation, window] =
            [self.commit_slots, self.audit_slots, self.vote_slots, self.evaluation_slots, self.window_slots()]
                .map(u64::from);
        let scored = vote + evaluation + evaluation + evaluation + audit + audit;
        commit + audit + window.max(scored) + REVEAL_SLOTS + self.longest_dispute_slots(parameters)
    }
}

impl Round {
    /// An audit's length after a slot; 0 for a slot that has not come.
    fn audited_until(&self, slot: u64) -> u64 {
        if slot == 0 { 0 } else { slot.saturating_add(self.audit_slots as u64) }
    }

    /// The last slot in which an accusation of the round's claims of a kind may be committed; 0 before there is one, and for a genesis
    /// state, which is no round's (see [`Job::genesis_disputable_until`]).
    pub fn accusable_until(&self, kind: CaseKind) -> u64 {
        let vote = self.audited_until(self.vote_deadline_slot);
        match kind {
            CaseKind::Segment | CaseKind::Start | CaseKind::Update => self.challenge_deadline_slot.max(vote),
            CaseKind::Aggregate => vote,
            CaseKind::Attestation => self.audited_until(self.second_deadline_slot).max(vote),
            // Everybody has time to prove it, before the tally and after it.
            CaseKind::Score if self.status == round::AGGREGATED => u64::MAX,
            CaseKind::Score if self.scores_over_slot != 0 => self.audited_until(self.scores_over_slot),
            CaseKind::Score => self.audited_until(self.reveal_deadline_slot),
            CaseKind::Genesis => 0,
        }
    }

    /// The last slot in which a dispute on any claim of the round may be opened.
    pub fn disputable_until(&self) -> u64 {
        let mut until = 0;
        for kind in [CaseKind::Segment, CaseKind::Attestation, CaseKind::Score] {
            until = self.accusable_until(kind).max(until);
        }
        until.saturating_add(REVEAL_SLOTS)
    }

    /// The first slot in which it can be final, or settled if it was undone, where nothing is disputed.
    pub fn final_slot(&self) -> u64 {
        self.disputable_until().saturating_add(1)
    }

    /// The last slot in which an accusation of a segment may be committed. Where the round was undone before its commitments were closed,
    /// which sets no deadline, an audit's length after the commitment.
    pub fn segment_accusable_until(&self, segment: &Segment) -> u64 {
        self.accusable_until(CaseKind::Segment).max(self.audited_until(segment.committed_slot))
    }

    /// The last slot in which a dispute on a segment may be opened.
    pub fn segment_disputable_until(&self, segment: &Segment) -> u64 {
        self.segment_accusable_until(segment).saturating_add(REVEAL_SLOTS)
    }

    /// Whether no dispute on a claim of the round is open, and none can be opened any more. A demand counts as a dispute.
    pub fn is_beyond_challenge(&self, slot: u64) -> bool {
        let is_quiet = self.open_challenges == 0 && self.vote_disputes | self.attestation_disputes == 0;
        self.status == round::FINAL || (is_quiet && slot >= self.final_slot())
    }
}

impl Job {
    /// The last slot in which an accusation of its genesis state may be opened without haste: only after it the bond goes back. It was
    /// committed no later than an unbonding after the job's creation, which is longer than an audit.
    pub fn genesis_disputable_until(&self, unbonding_slots: u64) -> u64 {
        self.created_slot.saturating_add(unbonding_slots).saturating_add(REVEAL_SLOTS)
    }
}

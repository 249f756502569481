//! A round: its phases, who acted in them, and what came out.
//!
//! Invariants: the status only moves forward (Open → Commits closed → Closed → Aggregated → Scored → Final, or → Void); a segment counts only if it
//! is accepted; a round without accepted segments is void and the next one repeats it from the same base.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;

use crate::{
    Address, Error, Header, Result, account,
    ground::escrow::Escrow,
    ground::layout::layout,
    stake::pool::PoolKind,
    training::{
        attendance::{expected_reward, here},
        finality::Standing,
        job::{Job, MAX_AUDITORS, MAX_DOMAINS, MAX_EVALUATORS, MAX_TRAINERS, SABOTAGE_RATIO, bit},
        seats::{AWAKE, CONVICTED},
        segment::{self, Segment},
        setting::{MAX_SETTINGS, Snapshot},
    },
};

/// Segments are committed.
pub const OPEN: u8 = 1;
/// Draws are revealed, segments replayed, attested and disputed.
pub const COMMITS_CLOSED: u8 = 2;
/// The accepted segments stand; auditors vote on their aggregate.
pub const CLOSED: u8 = 3;
/// The next base stands; evaluators commit and reveal scores.
pub const AGGREGATED: u8 = 4;
/// Scored.
pub const SCORED: u8 = 5;
/// Nothing came of it: no segment accepted, no majority, no score, or undone by a conviction. Pays no reward.
pub const VOID: u8 = 6;
/// Nothing can undo it any more; everyone is settled.
pub const FINAL: u8 = 7;

/// One, as quality counts.
pub const QUALITY_ONE: u64 = 1_000_000_000;

layout! {
    /// An auditor's part in a round.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct AuditorSeat {
        /// Its pool: who held the place when the round was opened; zero for nobody, or for a seat that was not awake.
        pub pool: Address,
        /// Its wallet.
        pub operator: Address,
        /// The revealed draw.
        pub preimage: [u8; 32],
        /// The aggregate that it voted for; zero before.
        pub vote: [u8; 32],
        /// Its stake at the reveal, base units.
        pub stake: u64,
        /// Segments that its draw selected, counted when the round is closed.
        pub drawn: u8,
        /// Of those, the ones that it attested.
        pub attested: u8,
        /// Whether it revealed: 1, else 0.
        pub revealed: u8,
        /// Whether it was settled: 1, else 0.
        pub settled: u8,
        /// Of its attestations, the ones that it has shown.
        pub shown: u8,
        /// Whether its vote was convicted: 1, else 0.
        pub is_vote_convicted: u8,
        /// Its attestations that were convicted, by place of the segment's trainer.
        pub convicted_attestations: u16,
        /// When it voted as it does.
        pub voted_slot: u64,
        /// Disputes open on its vote, which stands as long.
        pub vote_disputes: u16,
        /// Segments that it attested and that were convicted; they count in `drawn`, and neither in `attested` nor in `shown`.
        pub refuted: u8,
        /// Of what its second draw selects, what it attested.
        pub attested_again: u8,
        /// Accepted segments, by place of the trainer, that its first draw passed by and that are not its own: what its second draw selects from.
        pub undrawn: u16,
        /// Of those, the ones that its second draw selects: see [`crate::training::second_draw`].
        pub drawn_again: u16,
        /// Slice of its own bond behind its vote, base units; 0 once it is free.
        pub vote_slice: u64,
        /// The least own bond, behind its attestations, base units; 0 once it is free.
        pub attestation_slice: u64,
        /// The operator's own part of `stake`, base units.
        pub own_stake: u64,
        /// The second draw, which came with its first vote; zero before.
        pub second_preimage: [u8; 32],
        /// The bounty of its vote.
        pub vote_escrow: Escrow,
        /// The bounty of the attestation of the segment of `bounty_place`.
        pub attestation_escrow: Escrow,
        /// Place of the trainer whose segment it was whose attestation was convicted first.
        pub bounty_place: u8,
        /// Whether its slices stand behind other claims as well: 1, else 0; see [`crate::training::thaw`].
        pub is_thawed: u8,
        /// Whether its pool counts its slices as of its `claims_job`: 1, else 0; see [`crate::stake::pool::Pool::pledge`].
        pub is_counted: u8,
        /// Always 0.
        pub end_reserved: [u8; 1],
        /// Slots from its first vote to the last change of it.
        pub changed_slots: u32,
    }
}

layout! {
    /// An evaluator's part in a round.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct EvaluatorSeat {
        /// Its pool: who held the place when the round was opened; zero for nobody, or for a seat that was not awake.
        pub pool: Address,
        /// [`crate::training::evaluation::commitment`]; zero before.
        pub commitment: [u8; 32],
        /// Revealed scores by domain, micro-nats per token.
        pub scores: [u32; MAX_DOMAINS],
        /// Its stake at the commitment, base units.
        pub stake: u64,
        /// [`crate::training::evaluation`]'s seat status.
        pub status: u8,
        /// Whether it was settled: 1, else 0.
        pub settled: u8,
        /// Whether its slice stands behind another claim as well: 1, else 0; see [`crate::training::thaw`].
        pub is_thawed: u8,
        /// Whether its pool counts its slice as one of its `claims_job`: 1, else 0; see [`crate::stake::pool::Pool::pledge`].
        pub is_counted: u8,
        /// Always 0.
        pub reserved: [u8; 4],
        /// Slice of its own bond behind its scoring run, base units; 0 once it is free.
        pub slice: u64,
        /// When it committed.
        pub committed_slot: u64,
        /// The operator's own part of `stake`, base units.
        pub own_stake: u64,
    }
}

layout! {
    /// A round of a job, from its opening to its settlement.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Round {
        /// Kind, version, bump.
        pub header: Header,
        /// The job.
        pub job: Address,
        /// Its number, from 0.
        pub index: u32,
        /// One of the seven statuses.
        pub status: u8,
        /// Domains of the job.
        pub domain_count: u8,
        /// Places of auditors, those among them that nobody holds awake.
        pub auditor_count: u8,
        /// Places of evaluators, likewise.
        pub evaluator_count: u8,
        /// Seed of its batches.
        pub seed: [u8; 32],
        /// State root that its segments start from.
        pub base_root: [u8; 32],
        /// sha256 over the auditors' preimages by place (zeros where none was revealed), set when it is closed.
        pub reveals: [u8; 32],
        /// State root that came out.
        pub next_base: [u8; 32],
        /// Part of each domain in its batches.
        pub mixture_bps: [u16; MAX_DOMAINS],
        /// Slot of its opening.
        pub opened_slot: u64,
        /// Segments after it are late.
        pub commit_deadline_slot: u64,
        /// End of the audit; 0 before the commits are closed.
        pub audit_deadline_slot: u64,
        /// End of the vote; 0 before it is closed.
        pub vote_deadline_slot: u64,
        /// End of score commitments; 0 before it is aggregated.
        pub score_deadline_slot: u64,
        /// End of score reveals; 0 before it is aggregated.
        pub reveal_deadline_slot: u64,
        /// Trainers by place that may commit.
        pub eligible: u16,
        /// Trainers by place that committed.
        pub committed: u16,
        /// Trainers by place whose segments count.
        pub accepted: u16,
        /// Domains whose data provider was settled.
        pub settled_data: u8,
        /// Domains whose patrons were settled.
        pub settled_patrons: u8,
        /// Σ stake of accepted segments, base units.
        pub accepted_stake: u64,
        /// Σ stake of auditors that revealed, base units.
        pub auditor_stake: u64,
        /// Σ stake of evaluators within the tolerance, base units.
        pub evaluator_stake: u64,
        /// What it may draw for all roles once it is final, base units.
        pub reward: u64,
        /// What it drew then: all roles are paid of it.
        pub drawn: u64,
        /// Of it, what was paid, base units.
        pub paid: u64,
        /// Quality, of [`QUALITY_ONE`].
        pub quality: u64,
        /// Median score per domain, micro-nats per token.
        pub scores: [u32; MAX_DOMAINS],
        /// Mixture-weighted score, micro-nats per token.
        pub score: u32,
        /// The job's `audit_slots`: how long its last claims can be accused at least.
        pub audit_slots: u32,
        /// By place.
        pub auditors: [AuditorSeat; MAX_AUDITORS],
        /// By place.
        pub evaluators: [EvaluatorSeat; MAX_EVALUATORS],
        /// Disputes open on votes for its next base.
        pub vote_disputes: u16,
        /// Disputes open on scoring runs of its next base.
        pub run_disputes: u16,
        /// Whether it was undone for its own sake when what it builds on was already, and has its part of that one's still to take: 1, else 0.
        pub is_heir: u8,
        /// Always 0.
        pub padding: [u8; 3],
        /// Index of the round that it builds on; [`finality::NO_ROUND`](crate::training::finality::NO_ROUND) for the genesis.
        pub parent: u32,
        /// Chance of an auditor to draw a segment, of 2³²: the job's, or everything after a seed that nobody captured.
        pub audit_rate: u32,
        /// The last slot in which its segments are accused, unless its vote ends so late that it is a later one
        /// ([`Round::accusable_until`]); 0 before the commits are closed.
        pub challenge_deadline_slot: u64,
        /// Slots whose hashes the next seed waits for; 0 before it is closed.
        pub seed_slots: [u64; 2],
        /// Their hashes; 0 before they are captured, and if nobody did in time.
        pub seed_hashes: [[u8; 32]; 2],
        /// What the job had measured when the round was opened.
        pub before: Standing,
        /// Disputes and demands open on its segments.
        pub open_challenges: u32,
        /// A [`seed`](crate::training::seed) status.
        pub seed_status: u8,
        /// Why it was undone ([`Undoing`](crate::training::finality::Undoing)); 0 if it was not.
        pub is_undone: u8,
        /// The status that it had then, or when no score of it stood; else 0.
        pub void_from: u8,
        /// Always 0.
        pub unused: u8,
        /// Steered settings, multiples of 2⁻¹⁶: what the graph reads as `Source::Setting`; 0 where the job has none.
        pub settings: [u32; MAX_SETTINGS],
        /// Pools of the trainers by place: who held the places when the round was opened; zero for nobody, or for a seat that was not awake.
        pub trainers: [Address; MAX_TRAINERS],
        /// Wallet that paid the rent.
        pub payer: Address,
        /// Slot of the last settlement of somebody's part; 0 before the first.
        pub settled_slot: u64,
        /// Segments and scoring runs of the round that are not closed.
        pub open_accounts: u16,
        /// Disputes open on attestations of its segments.
        pub attestation_disputes: u16,
        /// Slots from the opening to the last conviction of a claim of one of its auditors; 0 before the first.
        pub struck_slots: u32,
        /// When its scores were over: its tally; where it was undone before, or no score stood, that slot or the end of the reveals, which is later. 0
        /// until then.
        pub scores_over_slot: u64,
        /// The end of the second draw's attestations; 0 before it is closed, and in a job without a second draw.
        pub second_deadline_slot: u64,
        /// What convictions left for its honest work, after it was undone, base units: of it, `paid` is gone. See [`Round::compensate`].
        pub compensation: u64,
        /// Of what convictions left, what the undone rounds that build on it have not taken over yet, base units.
        pub to_children: u64,
        /// Trainers by place whose missing segment counts towards the sleep of their seats.
        pub missed_segments: u16,
        /// Auditors by place whose missing vote does.
        pub missed_votes: u16,
        /// Evaluators by place whose missing score does.
        pub missed_scores: u16,
        /// How many rounds that build on it were undone with it and have a part of what is left of the liar's slice.
        pub undone_after: u8,
        /// Whether the next of them has taken over what is theirs: 1, else 0.
        pub is_handed_on: u8,
        /// Auditors by place of whose claims of this round one was convicted.
        pub struck_auditors: u16,
        /// Trainers by place that committed nothing and were settled.
        pub settled_absent: u16,
        /// Auditors by place that were awaited when it was opened.
        pub awaited_auditors: u16,
        /// Evaluators by place that were awaited when it was opened.
        pub awaited_evaluators: u16,
        /// What it could expect to draw, base units: see [`crate::training::attendance`].
        pub expected_reward: u64,
        /// From when on its commitments may be closed without everybody; 0 before two thirds are in.
        pub early_close_slot: u64,
        /// When it was aggregated; 0 before.
        pub aggregated_slot: u64,
        /// Trainers by place that had committed nothing when the commitments were closed early.
        pub shut_out_trainers: u16,
        /// Evaluators by place that committed a score.
        pub committed_scores: u16,
        /// Whether the commitments of scores end early: 1, else 0.
        pub is_score_early: u8,
        /// Domains by bit of which somebody had stake that earned when it was opened.
        pub patron_domains: u8,
        /// Always 0.
        pub early_reserved: [u8; 2],
        /// Most that all its auditors together are charged for having attested what was convicted, base units: [`SABOTAGE_RATIO`] times what nobody gets
        /// back of what its convictions took.
        pub misattesting_most: u64,
        /// What [`Job::history`] is once the round is final; zeros before it is scored.
        pub history: [u8; 32],
    }
}

account!(Round, Round, 8560, liabilities: |round| Ok(int::add(round.uncollected()?, round.bounties()?)?));

impl Round {
    /// Opens the next round of a job: the previous one is over, mixture and settings are the snapshot that the caller took from
    /// the attention pools.
    pub fn open(&mut self, job_address: &Address, job: &mut Job, snapshot: &Snapshot, slot: u64) -> Result<()> {
        if job.round_live != 0 {
            return Err(Error::RoundNotFinished);
        }
        if job.rounds_scored >= job.spec.rounds {
            return Err(Error::JobFinished);
        }
        if job.closed != 0 {
            return Err(Error::JobClosed);
        }
        if job.chain.is_seed_pending != 0 {
            return Err(Error::SeedPending);
        }
        // A conviction undoes, and excuses absences in, no more rounds than its slice was measured for.
        if job.chain.ahead() >= job.spec.lookahead as u32 || slot < job.chain.split_until_slot {
            return Err(Error::TooFarAhead);
        }
        let eligible = job.awake(PoolKind::Trainer);
        let (auditors, evaluators) = (job.awake(PoolKind::Auditor), job.awake(PoolKind::Evaluator));
        if eligible == 0 || auditors == 0 || evaluators == 0 {
            return Err(Error::AuditorsMissing);
        }
        self.job = *job_address;
        self.index = job.next_round;
        self.status = OPEN;
        self.domain_count = job.spec.domain_count;
        self.auditor_count = job.places(PoolKind::Auditor);
        self.evaluator_count = job.places(PoolKind::Evaluator);
        self.seed = job.next_seed;
        self.base_root = job.base_root;
        self.mixture_bps = snapshot.mixture_bps;
        self.settings = snapshot.settings;
        self.patron_domains = snapshot.patron_domains;
        self.opened_slot = slot;
        self.commit_deadline_slot = deadline(slot, job.spec.commit_slots)?;
        (self.eligible, self.awaited_auditors, self.awaited_evaluators) = (eligible, auditors, evaluators);
        self.audit_slots = job.spec.audit_slots;
        // From here on the round's own record says whose place is whose, not the job's.
        for (pool, seat) in self.trainers.iter_mut().zip(&job.trainers) {
            if seat.state == AWAKE {
                *pool = seat.pool;
            }
        }
        for (here, seat) in self.evaluators.iter_mut().zip(&job.evaluators) {
            if seat.state == AWAKE {
                here.pool = seat.pool;
            }
        }
        for (here, seat) in self.auditors.iter_mut().zip(&job.auditors) {
            if seat.state == AWAKE {
                here.pool = seat.pool;
            }
        }
        (job.struck_trainers, job.struck_auditors) = (0, 0);
        self.expected_reward = expected_reward(job, eligible);
        job.chain.is_running_orphan = 0;
        self.parent = job.chain.head();
        self.before = Standing::of(job);
        self.audit_rate = if job.chain.is_seed_missed != 0 { u32::MAX } else { job.spec.audit_rate };
        job.next_round = job.next_round.checked_add(1).ok_or(Error::Overflow)?;
        job.round_live = 1;
        Ok(())
    }

    /// The number within the job of a segment's first step, modulo 2³²: steps are counted along the chain, so that what is repeated computes with the
    /// same rows of the job's tables, and a job of `rounds` rounds reads `rounds` · `inner_steps` of them.
    pub fn first_step(&self, inner_steps: u32) -> u32 {
        self.before.rounds_scored.wrapping_mul(inner_steps)
    }

    /// Notes what the round may draw. What the next one can expect is what each accepted segment was worth, whatever the stream had left of it and
    /// whatever a round may draw, for each trainer that it awaits itself, so that an absence is made cheap neither by others nor by an empty stream; a
    /// round that was worth nothing changes nothing of it.
    pub fn quote(&mut self, job: &mut Job, reward: u64, worth: u64) -> Result<()> {
        self.reward = reward;
        let accepted = self.accepted.count_ones() as u64;
        if worth != 0 && accepted != 0 {
            job.trainer_worth = worth.div_ceil(accepted);
        }
        Ok(())
    }

    /// Checks that a pool held a place when the round was opened.
    pub fn require_holder(&self, kind: PoolKind, place: u8, pool: &Address) -> Result<()> {
        let index = place as usize;
        let holder = match kind {
            PoolKind::Trainer => self.trainers.get(index),
            PoolKind::Auditor => self.auditors.get(index).map(|seat| &seat.pool),
            PoolKind::Evaluator => self.evaluators.get(index).map(|seat| &seat.pool),
            _ => return Err(Error::WrongPoolKind),
        };
        match holder {
            Some(holder) if holder == pool && *pool != [0; 32] => Ok(()),
            _ => Err(Error::WrongPlace),
        }
    }

    /// Whether the job has opened none after it: the one round that may run.
    fn is_latest(&self, job: &Job) -> bool {
        self.index.checked_add(1) == Some(job.next_round)
    }

    /// Whether fees of the job may be shared by its mixture: it was opened last, or was final last, which no one can close.
    pub fn shares_fees(&self, job: &Job) -> bool {
        self.is_latest(job) || self.index == job.chain.last_final
    }

    /// Whether a claim that the auditor of a place made in the round was convicted: it has no part in the round's pay.
    pub fn is_struck(&self, place: u8) -> bool {
        self.struck_auditors & bit(place) != 0
    }

    /// Whether a trainer that the round awaits was convicted since: see [`Round::excluded_trainers`].
    pub fn is_trainer_excluded(&self, job: &Job, place: u8) -> bool {
        let is_convicted = match (job.trainers.get(place as usize), self.trainers.get(place as usize)) {
            (Some(seat), Some(pool)) => seat.state == CONVICTED && seat.pool == *pool,
            _ => true,
        };
        is_convicted || (self.is_latest(job) && job.struck_trainers & bit(place) != 0)
    }

    /// Whether an auditor that the round awaits was convicted since: see [`Round::excluded_auditors`].
    pub fn is_auditor_excluded(&self, job: &Job, place: u8) -> bool {
        let is_convicted = match (job.auditors.get(place as usize), self.auditors.get(place as usize)) {
            (Some(seat), Some(here)) => seat.state == CONVICTED && seat.pool == here.pool,
            _ => true,
        };
        let struck = self.struck_auditors | if self.is_latest(job) { job.struck_auditors } else { 0 };
        is_convicted || struck & bit(place) != 0
    }

    /// Trainers by place that were convicted since, in this round or another, whether they hold their places any more or not.
    pub fn excluded_trainers(&self, job: &Job) -> u16 {
        let mut excluded = if self.is_latest(job) { job.struck_trainers } else { 0 };
        for (place, seat) in here(self.eligible, &job.trainers) {
            if seat.state == CONVICTED && self.trainers.get(place as usize) == Some(&seat.pool) {
                excluded |= bit(place);
            }
        }
        excluded
    }

    /// Auditors by place that were convicted since, likewise.
    pub fn excluded_auditors(&self, job: &Job) -> u16 {
        let mut excluded = self.struck_auditors | if self.is_latest(job) { job.struck_auditors } else { 0 };
        for (place, seat) in here(self.awaited_auditors, &job.auditors) {
            let is_convicted = seat.state == CONVICTED;
            if is_convicted && self.auditors.get(place as usize).is_some_and(|here| here.pool == seat.pool) {
                excluded |= bit(place);
            }
        }
        excluded
    }

    /// Checks the phase.
    #[inline(always)]
    pub fn require_status(&self, status: u8) -> Result<()> {
        if self.status == status { Ok(()) } else { Err(Error::WrongRoundStatus) }
    }

    /// Ends the commitments once every trainer has committed, the deadline is reached, or two thirds have committed and the grace for the
    /// others is over: see [`crate::training::attendance`].
    pub fn close_commits(&mut self, job: &Job, slot: u64) -> Result<()> {
        self.require_status(OPEN)?;
        self.require_on_chain(job)?;
        // Who was convicted meanwhile commits nothing any more, and nobody waits for it.
        let missing = self.eligible & !self.committed;
        if slot < self.commit_deadline_slot && missing != 0 && missing & !self.excluded_trainers(job) != 0 {
            if self.early_close_slot == 0 || slot < self.early_close_slot {
                return Err(Error::TooEarly);
            }
            self.shut_out_trainers = missing;
        }
        self.audit_deadline_slot = deadline(slot, job.spec.audit_slots)?;
        self.challenge_deadline_slot = deadline(self.audit_deadline_slot, job.spec.window_slots())?;
        self.status = COMMITS_CLOSED;
        Ok(())
    }

    /// A segment was convicted, which had another status before: every auditor whose attestation of it stands, committed or shown, answers for it when
    /// it is settled, and earns nothing for it. Nobody gets back `gone` base units of what the conviction took.
    pub(crate) fn refute(&mut self, segment: &Segment, before: u8, gone: u64) -> Result<()> {
        if before == segment::CONVICTED {
            return Ok(());
        }
        self.misattesting_most = int::add(self.misattesting_most, int::mul(gone, SABOTAGE_RATIO)?)?;
        for (place, seat) in self.auditors.iter_mut().enumerate() {
            let place = bit(place as u8);
            if segment.attested & place == 0 {
                continue;
            }
            seat.refuted = seat.refuted.saturating_add(1);
            if before == segment::ACCEPTED {
                seat.attested = seat.attested.saturating_sub(1);
                seat.shown = seat.shown.saturating_sub((segment.shown & place != 0) as u8);
            } else {
                // The closing has counted nothing of it, or will not.
                seat.drawn = seat.drawn.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Ends a round without result; the next one repeats it from the same base. Nothing builds on what was done in it, so that its segments are
    /// accused for an audit's length more and no longer: the bonds behind them are needed for the repeat.
    pub(crate) fn void(&mut self, job: &mut Job, slot: u64) {
        let audited = slot.saturating_add(self.audit_slots as u64);
        self.challenge_deadline_slot = self.challenge_deadline_slot.min(audited);
        self.status = VOID;
        job.round_live = 0;
        job.chain.add_void();
    }

    /// Ends a round of whose next base no score stands: nobody knows what its work is worth. The next round repeats it from the same base,
    /// and it is not one of the job's scored rounds.
    pub(crate) fn void_without_score(&mut self, job: &mut Job, slot: u64) {
        if job.chain.cut(self.index) {
            self.before.restore(job);
            job.base_root = self.base_root;
        }
        self.end_scores(slot);
        self.void_from = self.status;
        self.void(job, slot);
    }

    /// Notes that a round whose scores were waited for ends without any: an accusation of a run that was in time until now is opened as long after.
    pub(crate) fn end_scores(&mut self, slot: u64) {
        if self.status == AGGREGATED {
            self.scores_over_slot = slot.max(self.reveal_deadline_slot);
        }
    }

    /// Ends a round whose vote found no majority by its deadline.
    pub fn void_without_majority(&mut self, job: &mut Job, slot: u64) -> Result<()> {
        self.require_status(CLOSED)?;
        self.require_on_chain(job)?;
        if slot < self.vote_deadline_slot {
            return Err(Error::NoMajorityYet);
        }
        self.note_votes(job, slot);
        self.note_split(job)?;
        self.void_from = CLOSED;
        self.void(job, slot);
        Ok(())
    }
}

/// A deadline some slots from now.
pub(crate) fn deadline(slot: u64, slots: u32) -> Result<u64> {
    slot.checked_add(slots as u64).ok_or(Error::Overflow)
}

//! Data, jobs, rounds, audits, scores and finality. What each checks and changes: [`sip_protocol::instructions`].

use sip_arith::int::BPS_ONE;
use sip_protocol::{
    instructions::*,
    training::{
        attestation::Shown,
        job::{Card, Job, JobSpec, MAX_DOMAINS},
        segment::SegmentClaim,
    },
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Program, Seat, accounts};

/// Data and jobs.
impl Program {
    /// [`RegisterDataset`].
    pub fn register_dataset(&self, provider: &Address, pool: &Address, dataset: &RegisterDataset) -> Instruction {
        self.instruction(dataset, &accounts::RegisterDataset { provider: *provider, pool: *pool })
    }

    /// [`CreateJob`] over the dataset accounts of its domains.
    pub fn create_job(&self, creator: &Address, nonce: u32, spec: &JobSpec, datasets: &[Address]) -> Instruction {
        let accounts = accounts::CreateJob { creator: *creator, datasets: datasets.to_vec() };
        self.instruction(&CreateJob { spec: *spec, nonce, reserved: 0 }, &accounts)
    }

    /// [`DescribeJob`], which follows [`Program::create_job`] before anyone can join: in the same transaction where both fit, as they do up to 5
    /// domains, else in the next one.
    pub fn describe_job(&self, creator: &Address, job: &Address, card: &Card) -> Instruction {
        self.instruction(&DescribeJob { card: *card }, &accounts::DescribeJob { creator: *creator, job: *job })
    }

    /// [`ReclaimGenesisBond`].
    pub fn reclaim_genesis_bond(&self, creator: &Address, job: &Address) -> Instruction {
        self.instruction(&ReclaimGenesisBond {}, &accounts::ReclaimGenesisBond { creator: *creator, job: *job })
    }

    /// [`JoinJob`] with the whole of the pool's stake.
    pub fn join_job(&self, operator: &Address, job: &Address, pool: &Address) -> Instruction {
        self.join_job_with(operator, job, pool, BPS_ONE)
    }

    /// [`JoinJob`] with a part of the pool's stake, basis points.
    pub fn join_job_with(&self, operator: &Address, job: &Address, pool: &Address, allotted_bps: u16) -> Instruction {
        let accounts = accounts::JoinJob { operator: *operator, job: *job, pool: *pool, displaced: None };
        self.instruction(&JoinJob { allotted_bps }, &accounts)
    }

    /// [`JoinJob`] with a part of the pool's stake, basis points, in the place that `displaced` loses.
    pub fn take_seat(
        &self,
        operator: &Address,
        job: &Address,
        pool: &Address,
        displaced: &Address,
        allotted_bps: u16,
    ) -> Instruction {
        let accounts = accounts::JoinJob { operator: *operator, job: *job, pool: *pool, displaced: Some(*displaced) };
        self.instruction(&JoinJob { allotted_bps }, &accounts)
    }

    /// [`LeaveJob`].
    pub fn leave_job(&self, seat: &Seat, job: &Address) -> Instruction {
        let accounts = accounts::LeaveJob { operator: seat.operator, job: *job, pool: seat.pool };
        self.instruction(&LeaveJob { place: seat.place }, &accounts)
    }

    /// [`WakeSeat`].
    pub fn wake_seat(&self, seat: &Seat, job: &Address) -> Instruction {
        let accounts = accounts::WakeSeat { operator: seat.operator, job: *job, pool: seat.pool };
        self.instruction(&WakeSeat { place: seat.place }, &accounts)
    }

    /// [`CheckSeat`].
    pub fn check_seat(&self, job: &Address, pool: &Address, place: u8) -> Instruction {
        self.instruction(&CheckSeat { place }, &accounts::CheckSeat { job: *job, pool: *pool })
    }

    /// [`ThawSegment`] of a trainer's pool in a round.
    pub fn thaw_segment(&self, round: &Address, pool: &Address) -> Instruction {
        let accounts = accounts::ThawSegment { round: *round, segment: self.segment(round, pool), pool: *pool };
        self.instruction(&ThawSegment {}, &accounts)
    }

    /// [`ThawSeat`].
    pub fn thaw_seat(&self, round: &Address, pool: &Address, place: u8) -> Instruction {
        self.instruction(&ThawSeat { place }, &accounts::ThawSeat { round: *round, pool: *pool })
    }

    /// [`AllotStake`].
    pub fn allot_stake(&self, seat: &Seat, job: &Address, allotted_bps: u16) -> Instruction {
        let accounts = accounts::AllotStake { operator: seat.operator, job: *job, pool: seat.pool };
        self.instruction(&AllotStake { place: seat.place.into(), allotted_bps }, &accounts)
    }
}

/// Rounds.
impl Program {
    /// [`OpenRound`] of a job without settings; `index` is the job's next round, `domain_count` its number of domains.
    pub fn open_round(&self, payer_wallet: &Address, job: &Address, index: u32, domain_count: u8) -> Instruction {
        self.open_round_with(payer_wallet, job, index, 0..domain_count.into())
    }

    /// [`OpenRound`] of a job in this state.
    pub fn open_next_round(&self, payer_wallet: &Address, job: &Address, state: &Job) -> Instruction {
        self.open_round_with(payer_wallet, job, state.next_round, state.spec.attention_numbers())
    }

    fn open_round_with(
        &self,
        payer_wallet: &Address,
        job: &Address,
        index: u32,
        attention: impl Iterator<Item = u32>,
    ) -> Instruction {
        let attention_pools = attention.map(|number| self.attention_pool(job, number)).collect();
        let round = self.round(job, index);
        let accounts = accounts::OpenRound { payer: *payer_wallet, job: *job, round, attention_pools };
        self.instruction(&OpenRound {}, &accounts)
    }

    /// [`CommitSegment`].
    pub fn commit_segment(
        &self,
        trainer: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
        claim: &SegmentClaim,
    ) -> Instruction {
        let accounts =
            accounts::CommitSegment { trainer: *trainer, job: *job, round: *round, pool: *pool, previous: None };
        self.instruction(&CommitSegment { claim: *claim }, &accounts)
    }

    /// Where the segment is, or would be, from which a pool goes on in a round that builds on the one with the index `parent`.
    pub fn previous_segment(&self, job: &Address, parent: u32, pool: &Address) -> Address {
        self.segment(&self.round(job, parent), pool)
    }

    /// [`CommitSegment`] in a job with compressed updates; `previous` is [`Program::previous_segment`].
    pub fn commit_update(
        &self,
        trainer: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
        claim: &SegmentClaim,
        previous: &Address,
    ) -> Instruction {
        let previous = Some(*previous);
        let accounts = accounts::CommitSegment { trainer: *trainer, job: *job, round: *round, pool: *pool, previous };
        self.instruction(&CommitSegment { claim: *claim }, &accounts)
    }

    /// [`CloseCommits`].
    pub fn close_commits(&self, job: &Address, round: &Address) -> Instruction {
        self.instruction(&CloseCommits {}, &accounts::CloseCommits { job: *job, round: *round })
    }

    /// [`CloseRound`] over all committed segments.
    pub fn close_round(&self, job: &Address, round: &Address, segments: &[Address]) -> Instruction {
        let accounts = accounts::CloseRound { job: *job, round: *round, segments: segments.to_vec() };
        self.instruction(&CloseRound {}, &accounts)
    }

    /// [`VoidRound`].
    pub fn void_round(&self, job: &Address, round: &Address) -> Instruction {
        self.instruction(&VoidRound {}, &accounts::VoidRound { job: *job, round: *round })
    }
}

/// Audit and evaluation.
impl Program {
    /// [`RevealDraw`].
    pub fn reveal_draw(&self, auditor: &Seat, job: &Address, round: &Address, preimage: &[u8; 32]) -> Instruction {
        let Seat { operator, pool, place } = *auditor;
        let accounts = accounts::RevealDraw { auditor: operator, job: *job, round: *round, pool };
        self.instruction(&RevealDraw { preimage: *preimage, place }, &accounts)
    }

    /// [`Attest`].
    pub fn attest(
        &self,
        auditor: &Seat,
        job: &Address,
        round: &Address,
        segment: &Address,
        digest: &[u8; 32],
    ) -> Instruction {
        let Seat { operator, pool, place } = *auditor;
        let accounts = accounts::Attest { auditor: operator, job: *job, round: *round, pool, segment: *segment };
        self.instruction(&Attest { digest: *digest, place }, &accounts)
    }

    /// [`RevealAttestation`], of what [`sip_protocol::training::attestation::Shown::commitment`] was attested with.
    pub fn reveal_attestation(
        &self,
        auditor: &Seat,
        job: &Address,
        round: &Address,
        segment: &Address,
        shown: &Shown<'_>,
    ) -> Instruction {
        let Seat { operator, pool, place } = *auditor;
        let args = RevealAttestation { salt: *shown.salt, trace_root: *shown.trace_root, place };
        let accounts =
            accounts::RevealAttestation { auditor: operator, job: *job, round: *round, pool, segment: *segment };
        self.instruction(&args, &accounts)
    }

    /// [`VoteBase`], with the auditor's second draw in the round.
    pub fn vote_base(
        &self,
        auditor: &Seat,
        job: &Address,
        round: &Address,
        root: &[u8; 32],
        preimage: &[u8; 32],
    ) -> Instruction {
        let Seat { operator, pool, place } = *auditor;
        let accounts = accounts::VoteBase { auditor: operator, job: *job, round: *round, pool };
        self.instruction(&VoteBase { root: *root, preimage: *preimage, place }, &accounts)
    }

    /// [`AttestSecond`], of the step that the auditor's second draw picks.
    pub fn attest_second(
        &self,
        auditor: &Seat,
        job: &Address,
        round: &Address,
        segment: &Address,
        trace_root: &[u8; 32],
    ) -> Instruction {
        let Seat { operator, pool, place } = *auditor;
        let accounts = accounts::AttestSecond { auditor: operator, job: *job, round: *round, pool, segment: *segment };
        self.instruction(&AttestSecond { trace_root: *trace_root, place }, &accounts)
    }

    /// [`CommitScore`]; the commitment is [`sip_protocol::training::evaluation::commitment`].
    pub fn commit_score(&self, evaluator: &Seat, job: &Address, round: &Address, commitment: &[u8; 32]) -> Instruction {
        let Seat { operator, pool, place } = *evaluator;
        let accounts = accounts::CommitScore { evaluator: operator, job: *job, round: *round, pool };
        self.instruction(&CommitScore { commitment: *commitment, place }, &accounts)
    }

    /// [`RevealScore`] of a scoring run with these sums and this root over its leaves.
    pub fn reveal_score(
        &self,
        evaluator: &Seat,
        job: &Address,
        round: &Address,
        run: (&[u64; MAX_DOMAINS], &[u8; 32]),
        salt: &[u8; 32],
    ) -> Instruction {
        let Seat { operator, pool, place } = *evaluator;
        let (sums, accumulator_root) = (*run.0, *run.1);
        let args = RevealScore { sums, accumulator_root, salt: *salt, place, reserved: [0; 7] };
        self.instruction(&args, &accounts::RevealScore { evaluator: operator, job: *job, round: *round, pool })
    }

    /// [`Tally`].
    pub fn tally(&self, job: &Address, round: &Address) -> Instruction {
        self.instruction(&Tally {}, &accounts::Tally { job: *job, round: *round })
    }
}

/// Finality, seeds, amendments, and what closes.
impl Program {
    /// [`ReclaimClaim`] of a segment or scoring run, whose operator gets the rent.
    pub fn reclaim_claim(&self, job: &Address, round: &Address, claim: &Address, operator: &Address) -> Instruction {
        let accounts = accounts::ReclaimClaim { job: *job, round: *round, claim: *claim, operator: *operator };
        self.instruction(&ReclaimClaim {}, &accounts)
    }

    /// [`ReclaimRound`]; the wallet that paid for it gets the rent.
    pub fn reclaim_round(&self, job: &Address, round: &Address, payer: &Address) -> Instruction {
        self.instruction(&ReclaimRound {}, &accounts::ReclaimRound { job: *job, round: *round, payer: *payer })
    }

    /// [`FinalizeRound`].
    pub fn finalize_round(&self, job: &Address, round: &Address) -> Instruction {
        self.instruction(&FinalizeRound {}, &accounts::FinalizeRound { job: *job, round: *round })
    }

    /// [`UndoRound`]; `parent` is what the round builds on ([`Program::round`] of its `parent`).
    pub fn undo_round(&self, job: &Address, round: &Address, parent: &Address) -> Instruction {
        self.instruction(&UndoRound {}, &accounts::UndoRound { job: *job, round: *round, parent: *parent })
    }

    /// [`CaptureSeed`].
    pub fn capture_seed(&self, job: &Address, round: &Address) -> Instruction {
        self.instruction(&CaptureSeed {}, &accounts::CaptureSeed { job: *job, round: *round })
    }

    /// [`AmendSegment`].
    pub fn amend_segment(
        &self,
        trainer: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
        claim: &SegmentClaim,
    ) -> Instruction {
        let accounts =
            accounts::AmendSegment { trainer: *trainer, job: *job, round: *round, pool: *pool, previous: None };
        self.instruction(&AmendSegment { claim: *claim }, &accounts)
    }

    /// [`AmendSegment`] in a job with compressed updates; `previous` is [`Program::previous_segment`].
    pub fn amend_update(
        &self,
        trainer: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
        claim: &SegmentClaim,
        previous: &Address,
    ) -> Instruction {
        let previous = Some(*previous);
        let accounts = accounts::AmendSegment { trainer: *trainer, job: *job, round: *round, pool: *pool, previous };
        self.instruction(&AmendSegment { claim: *claim }, &accounts)
    }
}

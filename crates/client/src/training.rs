//! Data, jobs, rounds, audits, scores and finality. What each checks and changes: [`sip_protocol::instructions`].

use sip_arith::int::BPS_ONE;
use sip_protocol::{
    instructions::*,
    training::{
        attestation::Shown,
        job::{Job, JobSpec, MAX_DOMAINS},
        segment::SegmentClaim,
    },
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::build::{build, payer, readable, signer, writable};
use crate::{Program, SLOT_HASHES, SYSTEM_PROGRAM, Seat};

/// Data and jobs.
impl Program {
    /// [`RegisterDataset`].
    pub fn register_dataset(&self, provider: &Address, pool: &Address, dataset: &RegisterDataset) -> Instruction {
        build(
            self,
            dataset,
            vec![
                payer(provider),
                readable(self.config()),
                readable(*pool),
                writable(self.dataset(&dataset.train_root)),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`CreateJob`] over the dataset accounts of its domains.
    pub fn create_job(&self, creator: &Address, nonce: u32, spec: &JobSpec, datasets: &[Address]) -> Instruction {
        let mut accounts = vec![
            payer(creator),
            readable(self.config()),
            writable(self.job(creator, nonce)),
            readable(SYSTEM_PROGRAM),
            writable(self.token_account(creator)),
            writable(self.vault()),
            readable(self.token_program),
        ];
        accounts.extend(datasets.iter().copied().map(readable));
        build(self, &CreateJob { spec: *spec, nonce, reserved: 0 }, accounts)
    }

    /// [`ReclaimGenesisBond`].
    pub fn reclaim_genesis_bond(&self, creator: &Address, job: &Address) -> Instruction {
        build(
            self,
            &ReclaimGenesisBond {},
            vec![
                signer(creator),
                readable(self.config()),
                writable(*job),
                writable(self.vault()),
                writable(self.token_account(creator)),
                readable(self.token_program),
            ],
        )
    }

    /// [`JoinJob`] with the whole of the pool's stake.
    pub fn join_job(&self, operator: &Address, job: &Address, pool: &Address) -> Instruction {
        self.join_job_with(operator, job, pool, BPS_ONE)
    }

    /// [`JoinJob`] with a part of the pool's stake, basis points.
    pub fn join_job_with(&self, operator: &Address, job: &Address, pool: &Address, allotted_bps: u16) -> Instruction {
        build(
            self,
            &JoinJob { allotted_bps },
            vec![signer(operator), readable(self.config()), writable(*job), writable(*pool)],
        )
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
        let mut instruction = self.join_job_with(operator, job, pool, allotted_bps);
        instruction.accounts.push(writable(*displaced));
        instruction
    }

    /// [`LeaveJob`].
    pub fn leave_job(&self, seat: &Seat, job: &Address) -> Instruction {
        build(self, &LeaveJob { place: seat.place }, vec![signer(&seat.operator), writable(*job), writable(seat.pool)])
    }

    /// [`CheckSeat`].
    pub fn check_seat(&self, job: &Address, pool: &Address, place: u8) -> Instruction {
        build(self, &CheckSeat { place }, vec![writable(*job), readable(*pool)])
    }

    /// [`AllotStake`].
    pub fn allot_stake(&self, seat: &Seat, job: &Address, allotted_bps: u16) -> Instruction {
        build(
            self,
            &AllotStake { place: seat.place.into(), allotted_bps },
            vec![signer(&seat.operator), writable(*job), writable(seat.pool)],
        )
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
        let mut accounts = vec![
            payer(payer_wallet),
            readable(self.config()),
            writable(*job),
            writable(self.round(job, index)),
            readable(SYSTEM_PROGRAM),
        ];
        accounts.extend(attention.map(|number| writable(self.attention_pool(job, number))));
        build(self, &OpenRound {}, accounts)
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
        build(
            self,
            &CommitSegment { claim: *claim },
            vec![
                payer(trainer),
                readable(*job),
                writable(*round),
                writable(*pool),
                writable(self.segment(round, pool)),
                readable(SYSTEM_PROGRAM),
            ],
        )
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
        let mut instruction = self.commit_segment(trainer, job, round, pool, claim);
        instruction.accounts.push(readable(*previous));
        instruction
    }

    /// [`CloseCommits`].
    pub fn close_commits(&self, job: &Address, round: &Address) -> Instruction {
        build(self, &CloseCommits {}, vec![readable(*job), writable(*round)])
    }

    /// [`CloseRound`] over all committed segments.
    pub fn close_round(&self, job: &Address, round: &Address, segments: &[Address]) -> Instruction {
        let mut accounts = vec![writable(*job), writable(*round)];
        accounts.extend(segments.iter().copied().map(writable));
        build(self, &CloseRound {}, accounts)
    }

    /// [`VoidRound`].
    pub fn void_round(&self, job: &Address, round: &Address) -> Instruction {
        build(self, &VoidRound {}, vec![writable(*job), writable(*round)])
    }
}

/// Audit and evaluation.
impl Program {
    /// [`RevealDraw`].
    pub fn reveal_draw(&self, auditor: &Seat, job: &Address, round: &Address, preimage: &[u8; 32]) -> Instruction {
        build(
            self,
            &RevealDraw { preimage: *preimage, place: auditor.place },
            vec![signer(&auditor.operator), readable(*job), writable(*round), writable(auditor.pool)],
        )
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
        build(
            self,
            &Attest { digest: *digest, place: auditor.place },
            vec![
                signer(&auditor.operator),
                readable(*job),
                readable(*round),
                readable(auditor.pool),
                writable(*segment),
            ],
        )
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
        build(
            self,
            &RevealAttestation { salt: *shown.salt, trace_root: *shown.trace_root, place: auditor.place },
            vec![
                signer(&auditor.operator),
                readable(*job),
                writable(*round),
                readable(auditor.pool),
                writable(*segment),
            ],
        )
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
        build(
            self,
            &VoteBase { root: *root, preimage: *preimage, place: auditor.place },
            vec![signer(&auditor.operator), writable(*job), writable(*round), writable(auditor.pool)],
        )
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
        build(
            self,
            &AttestSecond { trace_root: *trace_root, place: auditor.place },
            vec![
                signer(&auditor.operator),
                readable(*job),
                writable(*round),
                readable(auditor.pool),
                writable(*segment),
            ],
        )
    }

    /// [`CommitScore`]; the commitment is [`sip_protocol::training::evaluation::commitment`].
    pub fn commit_score(&self, evaluator: &Seat, job: &Address, round: &Address, commitment: &[u8; 32]) -> Instruction {
        build(
            self,
            &CommitScore { commitment: *commitment, place: evaluator.place },
            vec![signer(&evaluator.operator), readable(*job), writable(*round), writable(evaluator.pool)],
        )
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
        let (sums, accumulator_root) = (*run.0, *run.1);
        build(
            self,
            &RevealScore { sums, accumulator_root, salt: *salt, place: evaluator.place, reserved: [0; 7] },
            vec![
                payer(&evaluator.operator),
                readable(*job),
                writable(*round),
                readable(evaluator.pool),
                writable(self.run(round, &evaluator.pool)),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`Tally`].
    pub fn tally(&self, job: &Address, round: &Address) -> Instruction {
        let accounts = vec![writable(self.config()), writable(*job), writable(*round), writable(self.emission())];
        build(self, &Tally {}, accounts)
    }
}

/// Finality, seeds, amendments, and what closes.
impl Program {
    /// [`ReclaimClaim`] of a segment or scoring run, whose operator gets the rent.
    pub fn reclaim_claim(&self, job: &Address, round: &Address, claim: &Address, operator: &Address) -> Instruction {
        let accounts =
            vec![writable(self.config()), readable(*job), writable(*round), writable(*claim), writable(*operator)];
        build(self, &ReclaimClaim {}, accounts)
    }

    /// [`ReclaimRound`]; the wallet that paid for it gets the rent.
    pub fn reclaim_round(&self, job: &Address, round: &Address, payer: &Address) -> Instruction {
        let accounts = vec![writable(self.config()), readable(*job), writable(*round), writable(*payer)];
        build(self, &ReclaimRound {}, accounts)
    }

    /// [`FinalizeRound`].
    pub fn finalize_round(&self, job: &Address, round: &Address) -> Instruction {
        build(self, &FinalizeRound {}, vec![writable(*job), writable(*round)])
    }

    /// [`UndoRound`].
    pub fn undo_round(&self, job: &Address, round: &Address) -> Instruction {
        build(self, &UndoRound {}, vec![writable(*job), writable(*round)])
    }

    /// [`CaptureSeed`].
    pub fn capture_seed(&self, job: &Address, round: &Address) -> Instruction {
        build(self, &CaptureSeed {}, vec![writable(*job), writable(*round), readable(SLOT_HASHES)])
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
        build(
            self,
            &AmendSegment { claim: *claim },
            vec![
                signer(trainer),
                writable(self.config()),
                readable(*job),
                readable(*round),
                writable(*pool),
                writable(self.segment(round, pool)),
            ],
        )
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
        let mut instruction = self.amend_segment(trainer, job, round, pool, claim);
        instruction.accounts.push(readable(*previous));
        instruction
    }
}

//! One builder per instruction. What each checks and changes: [`sip_protocol::instructions`].

use sip_arith::int::BPS_ONE;
use sip_protocol::{
    admin::{administration::ProposalKind, config::Parameters},
    ground::schedule::Schedule,
    instructions::*,
    stake::pool::PoolKind,
    training::{
        attestation::Shown,
        job::{Job, JobSpec, MAX_DOMAINS},
        segment::SegmentClaim,
    },
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{ASSOCIATED_TOKEN_PROGRAM, Program, SYSTEM_PROGRAM};

/// An instruction of the program: its tag, its arguments, its accounts.
pub fn build<A: Args>(program: &Program, args: &A, accounts: Vec<AccountMeta>) -> Instruction {
    let mut data = vec![A::TAG];
    data.extend_from_slice(bytemuck::bytes_of(args));
    Instruction { program_id: program.id, accounts, data }
}

/// Signs and pays.
pub(crate) fn payer(address: &Address) -> AccountMeta {
    AccountMeta::new(*address, true)
}

/// Signs.
pub(crate) fn signer(address: &Address) -> AccountMeta {
    AccountMeta::new_readonly(*address, true)
}

/// Changes.
pub(crate) fn writable(address: Address) -> AccountMeta {
    AccountMeta::new(address, false)
}

/// Is read.
pub(crate) fn readable(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}

/// What an operator gives for a new pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewPool {
    /// Which of the operator's pools of this kind.
    pub index: u32,
    /// Own bond, base units.
    pub self_bond: u64,
    /// The operator's part of what delegators earn.
    pub commission_bps: u16,
    /// An auditor's chain tip, else zero.
    pub chain_tip: [u8; 32],
}

/// The configuration, and tokens.
impl Program {
    /// Creates the token account of a wallet, if it is missing.
    pub fn create_token_account(&self, payer_wallet: &Address, wallet: &Address) -> Instruction {
        Instruction {
            program_id: ASSOCIATED_TOKEN_PROGRAM,
            accounts: vec![
                payer(payer_wallet),
                writable(self.token_account(wallet)),
                readable(*wallet),
                readable(self.mint()),
                readable(SYSTEM_PROGRAM),
                readable(self.token_program),
            ],
            // Idempotent creation.
            data: vec![1],
        }
    }

    /// [`Initialize`] by the key that may upgrade the program, with the default schedule of emission.
    pub fn initialize(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        self.initialize_with(authority, parameters, &Schedule::DEFAULT)
    }

    /// [`Initialize`].
    pub fn initialize_with(&self, authority: &Address, parameters: &Parameters, schedule: &Schedule) -> Instruction {
        build(
            self,
            &Initialize { parameters: *parameters, schedule: *schedule },
            vec![
                payer(authority),
                writable(self.config()),
                writable(self.mint()),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
                writable(self.emission()),
                readable(self.program_data()),
            ],
        )
    }

    /// [`ProposeParameters`].
    pub fn propose_parameters(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        build(self, &ProposeParameters { parameters: *parameters }, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplyParameters`].
    pub fn apply_parameters(&self) -> Instruction {
        build(self, &ApplyParameters {}, vec![writable(self.config())])
    }

    /// [`ProposeSpending`] to a wallet's token account.
    pub fn propose_spending(
        &self,
        authority: &Address,
        kind: ProposalKind,
        wallet: &Address,
        amount: u64,
    ) -> Instruction {
        let destination = self.token_account(wallet).to_bytes();
        let args = ProposeSpending { amount, destination, kind: kind as u8, reserved: [0; 7] };
        build(self, &args, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplySpending`] to a wallet's token account.
    pub fn apply_spending(&self, wallet: &Address) -> Instruction {
        build(
            self,
            &ApplySpending {},
            vec![
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }

    /// [`CancelProposal`].
    pub fn cancel_proposal(&self, authority: &Address) -> Instruction {
        build(self, &CancelProposal {}, vec![signer(authority), writable(self.config())])
    }

    /// [`NominateAuthority`].
    pub fn nominate_authority(&self, authority: &Address, wallet: &Address) -> Instruction {
        build(self, &NominateAuthority { wallet: wallet.to_bytes() }, vec![signer(authority), writable(self.config())])
    }

    /// [`AcceptAuthority`].
    pub fn accept_authority(&self, nominated: &Address) -> Instruction {
        build(self, &AcceptAuthority {}, vec![signer(nominated), writable(self.config())])
    }

    /// [`Pause`].
    pub fn pause(&self, authority: &Address) -> Instruction {
        build(self, &Pause {}, vec![signer(authority), writable(self.config())])
    }

    /// [`Unpause`].
    pub fn unpause(&self, authority: &Address) -> Instruction {
        build(self, &Unpause {}, vec![signer(authority), writable(self.config())])
    }

    /// [`ClaimVested`] to a wallet's token account.
    pub fn claim_vested(&self, authority: &Address, wallet: &Address) -> Instruction {
        build(
            self,
            &ClaimVested {},
            vec![
                signer(authority),
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }

    /// [`Distribute`] to a wallet's token account.
    pub fn distribute(&self, authority: &Address, wallet: &Address, amount: u64) -> Instruction {
        build(
            self,
            &Distribute { amount },
            vec![
                signer(authority),
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }
}

/// Stake.
impl Program {
    /// [`CreatePool`].
    pub fn create_pool(&self, operator: &Address, kind: PoolKind, new: &NewPool) -> Instruction {
        let args = CreatePool {
            chain_tip: new.chain_tip,
            self_bond: new.self_bond,
            index: new.index,
            commission_bps: new.commission_bps,
            kind: kind as u8,
            compounding: 0,
        };
        build(
            self,
            &args,
            vec![
                payer(operator),
                readable(self.config()),
                writable(self.pool(kind, operator, new.index)),
                writable(self.token_account(operator)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`CreateAttentionPool`]; `domain` may be the number of a side of a setting.
    pub fn create_attention_pool(&self, payer_wallet: &Address, job: &Address, domain: u32) -> Instruction {
        build(
            self,
            &CreateAttentionPool { domain },
            vec![
                payer(payer_wallet),
                readable(self.config()),
                readable(*job),
                writable(self.attention_pool(job, domain)),
                writable(self.token_account(payer_wallet)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`AddBond`].
    pub fn add_bond(&self, operator: &Address, pool: &Address, amount: u64) -> Instruction {
        build(
            self,
            &AddBond { amount },
            vec![
                signer(operator),
                readable(self.config()),
                writable(*pool),
                writable(self.token_account(operator)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`RetirePool`].
    pub fn retire_pool(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &RetirePool {}, vec![signer(operator), readable(self.config()), writable(*pool)])
    }

    /// [`WithdrawBond`].
    pub fn withdraw_bond(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &WithdrawBond {}, self.paid_from_pool(operator, pool))
    }

    /// [`Deposit`].
    pub fn deposit(&self, owner: &Address, pool: &Address, amount: u64, minimum_shares: u64) -> Instruction {
        build(
            self,
            &Deposit { amount, minimum_shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.position(pool, owner)),
                writable(self.token_account(owner)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`RequestExit`]; `nonce` is the position's number of tickets so far.
    pub fn request_exit(&self, owner: &Address, pool: &Address, nonce: u32, shares: u64) -> Instruction {
        let position = self.position(pool, owner);
        build(
            self,
            &RequestExit { shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(position),
                writable(self.ticket(&position, nonce)),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`Rebond`].
    pub fn rebond(&self, owner: &Address, pool: &Address, nonce: u32, minimum_shares: u64) -> Instruction {
        let position = self.position(pool, owner);
        build(
            self,
            &Rebond { minimum_shares },
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(position),
                writable(self.ticket(&position, nonce)),
            ],
        )
    }

    /// [`ClaimExit`].
    pub fn claim_exit(&self, owner: &Address, pool: &Address, nonce: u32) -> Instruction {
        build(
            self,
            &ClaimExit {},
            vec![
                payer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.ticket(&self.position(pool, owner), nonce)),
                writable(self.vault()),
                writable(self.token_account(owner)),
                readable(self.token_program),
            ],
        )
    }

    /// [`ClaimRewards`].
    pub fn claim_rewards(&self, owner: &Address, pool: &Address) -> Instruction {
        build(
            self,
            &ClaimRewards {},
            vec![
                signer(owner),
                readable(self.config()),
                writable(*pool),
                writable(self.position(pool, owner)),
                writable(self.vault()),
                writable(self.token_account(owner)),
                readable(self.token_program),
            ],
        )
    }

    /// [`ClaimCommission`].
    pub fn claim_commission(&self, operator: &Address, pool: &Address) -> Instruction {
        build(self, &ClaimCommission {}, self.paid_from_pool(operator, pool))
    }

    fn paid_from_pool(&self, operator: &Address, pool: &Address) -> Vec<AccountMeta> {
        vec![
            signer(operator),
            readable(self.config()),
            writable(*pool),
            writable(self.vault()),
            writable(self.token_account(operator)),
            readable(self.token_program),
        ]
    }

    /// [`MoveAttention`] between two pools.
    pub fn move_attention(
        &self,
        owner: &Address,
        from: &Address,
        to: &Address,
        shares: u64,
        minimum_shares: u64,
    ) -> Instruction {
        build(
            self,
            &MoveAttention { shares, minimum_shares },
            vec![
                payer(owner),
                writable(*from),
                writable(self.position(from, owner)),
                writable(*to),
                writable(self.position(to, owner)),
                readable(SYSTEM_PROGRAM),
                readable(self.config()),
            ],
        )
    }
}

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

/// A participant of a round: who signs, with which pool, in which place of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The wallet that operates the pool.
    pub operator: Address,
    /// The pool.
    pub pool: Address,
    /// Its place in the job.
    pub place: u8,
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

/// Settlement.
impl Program {
    /// [`SettleSegment`] of a trainer's pool.
    pub fn settle_segment(&self, job: &Address, round: &Address, pool: &Address) -> Instruction {
        let accounts = vec![
            writable(self.config()),
            readable(*job),
            writable(*round),
            writable(self.segment(round, pool)),
            writable(*pool),
        ];
        build(self, &SettleSegment {}, accounts)
    }

    /// [`SettleAbsent`].
    pub fn settle_absent(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        build(self, &SettleAbsent { place }, self.settled(job, round, pool))
    }

    /// [`SettleAudit`].
    pub fn settle_audit(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        build(self, &SettleAudit { place }, self.settled(job, round, pool))
    }

    /// [`SettleEvaluation`].
    pub fn settle_evaluation(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        build(self, &SettleEvaluation { place }, self.settled(job, round, pool))
    }

    fn settled(&self, job: &Address, round: &Address, pool: &Address) -> Vec<AccountMeta> {
        vec![writable(self.config()), readable(*job), writable(*round), writable(*pool)]
    }

    /// [`SettleData`] of the dataset and the data pool of a domain.
    pub fn settle_data(
        &self,
        job: &Address,
        round: &Address,
        domain: u8,
        dataset: &Address,
        pool: &Address,
    ) -> Instruction {
        build(
            self,
            &SettleData { domain },
            vec![writable(self.config()), readable(*job), writable(*round), readable(*dataset), writable(*pool)],
        )
    }

    /// [`SettlePatrons`] of a domain.
    pub fn settle_patrons(&self, job: &Address, round: &Address, domain: u8) -> Instruction {
        let pool = self.attention_pool(job, domain as u32);
        build(self, &SettlePatrons { domain }, self.settled(job, round, &pool))
    }
}

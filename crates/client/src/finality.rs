//! Instructions of accusations, finality, seeds and availability. What each checks and changes:
//! [`sip_protocol::instructions`].

use sip_protocol::{ground::case::CaseKind, instructions::*, training::segment::SegmentClaim};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::instructions::{payer, readable, signer, writable};
use crate::{Accusation, Hidden, Program, SLOT_HASHES, SYSTEM_PROGRAM, build};

/// Bytes of an answer that one transaction carries beside the accounts of [`AnswerState`].
const ANSWER_PART_BYTES: usize = 880;

/// Of what a chunk is demanded, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct StateDemand<'a> {
    /// Wallet that demands.
    pub demander: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// The round.
    pub round: &'a Address,
    /// The trainer's pool.
    pub pool: &'a Address,
    /// Entry of the segment's end state; with compressed updates of its update, and after those of the previous one.
    pub entry: u32,
    /// Chunk of the entry.
    pub chunk: u32,
}

/// Accusations before they are disputes.
impl Program {
    /// [`CommitAccusation`] of a segment: the first half of [`Program::open_dispute`], a slot or more before it.
    pub fn commit_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let segment = self.segment(accusation.round, accusation.pool);
        self.commit_hidden(&accusation.hidden(&segment))
    }

    /// [`CommitAccusation`] of a scoring run: the first half of [`Program::open_run_dispute`].
    pub fn commit_run_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let run = self.run(accusation.round, accusation.pool);
        self.commit_hidden(&accusation.hidden(&run))
    }

    /// [`CommitAccusation`] of any claim.
    pub fn commit_hidden(&self, hidden: &Hidden<'_>) -> Instruction {
        let hash = hidden.hash();
        build(
            self,
            &CommitAccusation { hash },
            vec![
                payer(hidden.challenger),
                readable(self.config()),
                writable(self.accusation(hidden.challenger, &hash)),
                writable(self.token_account(hidden.challenger)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
                writable(*hidden.job),
            ],
        )
    }

    /// [`WithdrawAccusation`] of a segment.
    pub fn withdraw_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let segment = self.segment(accusation.round, accusation.pool);
        self.withdraw_hidden(&accusation.hidden(&segment), Some(accusation.round), None)
    }

    /// [`WithdrawAccusation`] of any claim of a job: with its round, unless it is the genesis state, and of an auditor's claim with its
    /// pool.
    pub fn withdraw_hidden(
        &self,
        hidden: &Hidden<'_>,
        round: Option<&Address>,
        auditor: Option<&Address>,
    ) -> Instruction {
        let mut accounts = vec![
            payer(hidden.challenger),
            writable(self.config()),
            writable(self.accusation(hidden.challenger, &hidden.hash())),
            writable(self.token_account(hidden.challenger)),
            writable(self.vault()),
            readable(self.token_program),
            writable(*hidden.job),
        ];
        if let Some(round) = round {
            accounts.extend([readable(*hidden.subject), readable(*round)]);
        }
        accounts.extend(auditor.map(|pool| readable(*pool)));
        build(self, &WithdrawAccusation { salt: *hidden.salt, place: hidden.place }, accounts)
    }

    /// [`ExpireAccusation`] of a wallet's accusation in a job by its hash.
    pub fn expire_accusation(&self, challenger: &Address, job: &Address, hash: &[u8; 32]) -> Instruction {
        build(
            self,
            &ExpireAccusation {},
            vec![
                writable(self.config()),
                writable(self.accusation(challenger, hash)),
                writable(*challenger),
                writable(self.token_account(challenger)),
                writable(self.vault()),
                readable(self.token_program),
                writable(*job),
            ],
        )
    }

    /// [`ClaimBounty`] for the wallet that the account names in which it waits: a segment, a scoring run, or a job.
    pub fn claim_bounty(&self, holder: &Address, challenger: &Address) -> Instruction {
        self.claim_bounty_by(&ClaimBounty { place: 0, case: 0 }, holder, challenger)
    }

    /// [`ClaimBounty`] of a vote or an attestation of a round's auditor for the wallet that its seat names.
    pub fn claim_auditors_bounty(
        &self,
        round: &Address,
        place: u8,
        case: CaseKind,
        challenger: &Address,
    ) -> Instruction {
        self.claim_bounty_by(&ClaimBounty { place, case: case as u8 }, round, challenger)
    }

    fn claim_bounty_by(&self, args: &ClaimBounty, holder: &Address, challenger: &Address) -> Instruction {
        build(
            self,
            args,
            vec![
                readable(self.config()),
                writable(*holder),
                writable(self.token_account(challenger)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`ReleaseBounty`] of a segment that silence convicted.
    pub fn release_bounty(&self, round: &Address, segment: &Address) -> Instruction {
        build(self, &ReleaseBounty {}, vec![writable(self.config()), readable(*round), writable(*segment)])
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

    /// [`ReclaimRound`]; whoever paid for it gets the rent.
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

/// Availability.
impl Program {
    /// [`DemandState`].
    pub fn demand_state(&self, demand: &StateDemand<'_>) -> Instruction {
        let StateDemand { demander, job, round, pool, entry, chunk } = *demand;
        let segment = self.segment(round, pool);
        build(
            self,
            &DemandState { entry, chunk },
            vec![
                payer(demander),
                readable(self.config()),
                readable(*job),
                writable(*round),
                writable(segment),
                writable(*pool),
                writable(self.demand(&segment, demander, entry, chunk)),
                writable(self.token_account(demander)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// [`DemandData`] of a dataset that a provider's pool stands behind.
    pub fn demand_data(&self, demander: &Address, dataset: &Address, pool: &Address, chunk: u32) -> Instruction {
        build(
            self,
            &DemandData { chunk },
            vec![
                payer(demander),
                readable(self.config()),
                writable(*dataset),
                writable(*pool),
                writable(self.demand(dataset, demander, 0, chunk)),
                writable(self.token_account(demander)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
            ],
        )
    }

    /// A whole answer to a demand on a segment, [`UploadAnswer`] and [`AnswerState`]: each instruction goes into a transaction of its
    /// own, the last one last.
    pub fn answer_state(
        &self,
        trainer: &Address,
        demand: &Address,
        round: &Address,
        pool: &Address,
        answer: &[u8],
    ) -> Vec<Instruction> {
        let accounts = vec![
            signer(trainer),
            writable(*demand),
            writable(self.config()),
            writable(*round),
            writable(self.segment(round, pool)),
            writable(*pool),
        ];
        self.answer(trainer, demand, answer, |offset| build(self, &AnswerState { offset }, accounts))
    }

    /// A whole answer to a demand on a dataset; as [`Program::answer_state`].
    pub fn answer_data(
        &self,
        provider: &Address,
        demand: &Address,
        dataset: &Address,
        pool: &Address,
        answer: &[u8],
    ) -> Vec<Instruction> {
        let accounts =
            vec![signer(provider), writable(*demand), writable(self.config()), writable(*dataset), writable(*pool)];
        self.answer(provider, demand, answer, |offset| build(self, &AnswerData { offset }, accounts))
    }

    fn answer(
        &self,
        sender: &Address,
        demand: &Address,
        answer: &[u8],
        last_part: impl FnOnce(u32) -> Instruction,
    ) -> Vec<Instruction> {
        let last = answer.len().saturating_sub(1) / ANSWER_PART_BYTES * ANSWER_PART_BYTES;
        let (uploaded, answered) = answer.split_at(last);
        let upload = |(number, bytes): (usize, &[u8])| {
            let args = UploadAnswer { offset: (number * ANSWER_PART_BYTES) as u32 };
            with_bytes(build(self, &args, vec![signer(sender), writable(*demand)]), bytes)
        };
        let mut instructions: Vec<Instruction> = uploaded.chunks(ANSWER_PART_BYTES).enumerate().map(upload).collect();
        instructions.push(with_bytes(last_part(last as u32), answered));
        instructions
    }

    /// [`FailState`] of a demand.
    pub fn fail_state(&self, demand: &StateDemand<'_>) -> Instruction {
        let StateDemand { demander, job, round, pool, entry, chunk } = *demand;
        let segment = self.segment(round, pool);
        build(
            self,
            &FailState {},
            vec![
                writable(self.config()),
                writable(*job),
                writable(*round),
                writable(segment),
                writable(*pool),
                writable(self.demand(&segment, demander, entry, chunk)),
                writable(self.token_account(demander)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`FailData`] of a demand.
    pub fn fail_data(&self, demander: &Address, dataset: &Address, pool: &Address, chunk: u32) -> Instruction {
        build(
            self,
            &FailData {},
            vec![
                writable(self.config()),
                writable(*dataset),
                writable(*pool),
                writable(self.demand(dataset, demander, 0, chunk)),
                writable(self.token_account(demander)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`RetireDataset`] by its provider, or of a retired pool by anyone.
    pub fn retire_dataset(&self, provider: &Address, dataset: &Address, pool: &Address) -> Instruction {
        build(
            self,
            &RetireDataset {},
            vec![signer(provider), readable(self.config()), writable(*dataset), readable(*pool)],
        )
    }

    /// [`CloseDemand`] by who made it.
    pub fn close_demand(&self, demander: &Address, demand: &Address) -> Instruction {
        build(self, &CloseDemand {}, vec![payer(demander), writable(*demand)])
    }

    /// [`CloseDemand`] by anyone, once it is old.
    pub fn close_old_demand(&self, demander: &Address, demand: &Address) -> Instruction {
        build(self, &CloseDemand {}, vec![writable(*demander), writable(*demand), readable(self.config())])
    }
}

fn with_bytes(mut instruction: Instruction, bytes: &[u8]) -> Instruction {
    instruction.data.extend_from_slice(bytes);
    instruction
}

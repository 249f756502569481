//! Demands for what was committed, and answers. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::instructions::*;
use solana_address::Address;
use solana_instruction::Instruction;

use crate::build::{build, payer, readable, signer, writable};
use crate::{Program, SYSTEM_PROGRAM};

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

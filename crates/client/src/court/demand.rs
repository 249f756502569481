//! Demands for what was committed, and answers. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{court::availability::TRAINING_TOKENS, instructions::*};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Closer, Program, accounts};

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
        let accounts = accounts::DemandState { demander: *demander, job: *job, round: *round, pool: *pool };
        self.instruction(&DemandState { entry, chunk }, &accounts)
    }

    /// [`DemandData`] of the tokens to train on of a dataset that a provider's pool stands behind.
    pub fn demand_data(&self, demander: &Address, dataset: &Address, pool: &Address, chunk: u32) -> Instruction {
        self.demand_part(demander, dataset, pool, [TRAINING_TOKENS, chunk])
    }

    /// [`DemandData`] of a part of a dataset ([`TRAINING_TOKENS`] or [`HELD_OUT_TOKENS`](sip_protocol::court::availability::HELD_OUT_TOKENS)) and a
    /// chunk of it.
    pub fn demand_part(
        &self,
        demander: &Address,
        dataset: &Address,
        pool: &Address,
        [part, chunk]: [u32; 2],
    ) -> Instruction {
        let accounts = accounts::DemandData { demander: *demander, dataset: *dataset, pool: *pool };
        self.instruction(&DemandData { part, chunk }, &accounts)
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
        let accounts = accounts::AnswerState { trainer: *trainer, demand: *demand, round: *round, pool: *pool };
        self.answer(trainer, demand, pool, answer, |offset, part| {
            self.instruction_with(&AnswerState { offset }, &accounts, part)
        })
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
        let accounts = accounts::AnswerData { provider: *provider, demand: *demand, dataset: *dataset, pool: *pool };
        self.answer(provider, demand, pool, answer, |offset, part| {
            self.instruction_with(&AnswerData { offset }, &accounts, part)
        })
    }

    fn answer(
        &self,
        sender: &Address,
        demand: &Address,
        pool: &Address,
        answer: &[u8],
        last_part: impl FnOnce(u32, &[u8]) -> Instruction,
    ) -> Vec<Instruction> {
        let last = answer.len().saturating_sub(1) / ANSWER_PART_BYTES * ANSWER_PART_BYTES;
        let (uploaded, answered) = answer.split_at(last);
        let accounts = accounts::UploadAnswer { answerer: *sender, demand: *demand, pool: *pool };
        let upload = |(number, bytes): (usize, &[u8])| {
            let args = UploadAnswer { offset: (number * ANSWER_PART_BYTES) as u32 };
            self.instruction_with(&args, &accounts, bytes)
        };
        let mut instructions: Vec<Instruction> = uploaded.chunks(ANSWER_PART_BYTES).enumerate().map(upload).collect();
        instructions.push(last_part(last as u32, answered));
        instructions
    }

    /// [`FailState`] of a demand.
    pub fn fail_state(&self, demand: &StateDemand<'_>) -> Instruction {
        let StateDemand { demander, job, round, pool, entry, chunk } = *demand;
        let accounts = accounts::FailState {
            job: *job,
            round: *round,
            pool: *pool,
            demand: self.demand(&self.segment(round, pool), demander, entry, chunk),
            destination: self.token_account(demander),
        };
        self.instruction(&FailState {}, &accounts)
    }

    /// [`FailData`] of a demand for tokens to train on.
    pub fn fail_data(&self, demander: &Address, dataset: &Address, pool: &Address, chunk: u32) -> Instruction {
        self.fail_part(demander, dataset, pool, [TRAINING_TOKENS, chunk])
    }

    /// [`FailData`] of a demand for a chunk of a part.
    pub fn fail_part(
        &self,
        demander: &Address,
        dataset: &Address,
        pool: &Address,
        [part, chunk]: [u32; 2],
    ) -> Instruction {
        let (demand, destination) = (self.demand(dataset, demander, part, chunk), self.token_account(demander));
        self.instruction(&FailData {}, &accounts::FailData { dataset: *dataset, pool: *pool, demand, destination })
    }

    /// [`RetireDataset`] by its provider, or of a retired pool by anyone.
    pub fn retire_dataset(&self, provider: &Address, dataset: &Address, pool: &Address) -> Instruction {
        let accounts = accounts::RetireDataset { provider: *provider, dataset: *dataset, pool: *pool };
        self.instruction(&RetireDataset {}, &accounts)
    }

    /// [`CloseDemand`] by who made it.
    pub fn close_demand(&self, demander: &Address, demand: &Address) -> Instruction {
        let demander = Closer::Wallet(*demander);
        self.instruction(&CloseDemand {}, &accounts::CloseDemand { demander, demand: *demand, config: None })
    }

    /// [`CloseDemand`] by anyone, once it is old.
    pub fn close_old_demand(&self, demander: &Address, demand: &Address) -> Instruction {
        let (demander, config) = (Closer::Anyone(*demander), Some(self.config()));
        self.instruction(&CloseDemand {}, &accounts::CloseDemand { demander, demand: *demand, config })
    }
}

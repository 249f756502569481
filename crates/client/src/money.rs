//! Emission, yield, fees and settlement. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::instructions::*;
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Program, accounts};

/// Who is paid for a model's service.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The job that trains the model.
    pub job: &'a Address,
    /// Its last round.
    pub round: &'a Address,
    /// The server's pool.
    pub server: &'a Address,
    /// The model's pool and those of its ancestors, in order.
    pub models: &'a [Address],
}

/// Emission and fees.
impl Program {
    /// [`TurnEpoch`].
    pub fn turn_epoch(&self) -> Instruction {
        self.instruction(&TurnEpoch {}, &accounts::TurnEpoch {})
    }

    /// [`BurnCondemned`].
    pub fn burn_condemned(&self) -> Instruction {
        self.instruction(&BurnCondemned {}, &accounts::BurnCondemned {})
    }

    /// [`SettleYield`].
    pub fn settle_yield(&self, pool: &Address) -> Instruction {
        self.instruction(&SettleYield {}, &accounts::SettleYield { pool: *pool })
    }

    /// [`PayFee`].
    pub fn pay_fee(&self, wallet: &Address, service: &Service, receipt: &[u8; 32], amount: u64) -> Instruction {
        let Service { job, round, server, models } = *service;
        let accounts =
            accounts::PayFee { payer: *wallet, job: *job, round: *round, server: *server, models: models.to_vec() };
        self.instruction(&PayFee { receipt: *receipt, amount }, &accounts)
    }

    /// [`SettleFees`] of a domain to the data pool of its dataset.
    pub fn settle_fees(&self, job: &Address, domain: u8, dataset: &Address, data_pool: &Address) -> Instruction {
        let accounts = accounts::SettleFees { job: *job, dataset: *dataset, data_pool: *data_pool };
        self.instruction(&SettleFees { domain }, &accounts)
    }
}

/// Settlement.
impl Program {
    /// [`SettleSegment`] of a trainer's pool.
    pub fn settle_segment(&self, job: &Address, round: &Address, pool: &Address) -> Instruction {
        self.instruction(&SettleSegment {}, &accounts::SettleSegment { job: *job, round: *round, pool: *pool })
    }

    /// [`SettleAbsent`].
    pub fn settle_absent(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        self.instruction(&SettleAbsent { place }, &accounts::SettleAbsent { job: *job, round: *round, pool: *pool })
    }

    /// [`SettleAudit`].
    pub fn settle_audit(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        self.instruction(&SettleAudit { place }, &accounts::SettleAudit { job: *job, round: *round, pool: *pool })
    }

    /// [`SettleEvaluation`].
    pub fn settle_evaluation(&self, job: &Address, round: &Address, pool: &Address, place: u8) -> Instruction {
        let accounts = accounts::SettleEvaluation { job: *job, round: *round, pool: *pool };
        self.instruction(&SettleEvaluation { place }, &accounts)
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
        let accounts = accounts::SettleData { job: *job, round: *round, dataset: *dataset, pool: *pool };
        self.instruction(&SettleData { domain }, &accounts)
    }

    /// [`SettlePatrons`] of a domain.
    pub fn settle_patrons(&self, job: &Address, round: &Address, domain: u8) -> Instruction {
        self.instruction(&SettlePatrons { domain }, &accounts::SettlePatrons { job: *job, round: *round })
    }
}

//! Emission, yield, fees and settlement. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::instructions::*;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::build::{build, payer, readable, writable};
use crate::{Program, SYSTEM_PROGRAM};

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
        build(self, &TurnEpoch {}, vec![writable(self.config()), writable(self.emission())])
    }

    /// [`BurnCondemned`].
    pub fn burn_condemned(&self) -> Instruction {
        let accounts =
            vec![writable(self.config()), writable(self.mint()), writable(self.vault()), readable(self.token_program)];
        build(self, &BurnCondemned {}, accounts)
    }

    /// [`SettleYield`].
    pub fn settle_yield(&self, pool: &Address) -> Instruction {
        build(self, &SettleYield {}, vec![writable(self.emission()), writable(*pool)])
    }

    /// [`PayFee`].
    pub fn pay_fee(&self, wallet: &Address, service: &Service, receipt: &[u8; 32], amount: u64) -> Instruction {
        let mut accounts = vec![
            payer(wallet),
            writable(self.config()),
            writable(self.emission()),
            writable(self.mint()),
            writable(self.token_account(wallet)),
            writable(self.vault()),
            readable(self.token_program),
            readable(SYSTEM_PROGRAM),
            readable(*service.job),
            readable(*service.round),
            writable(self.fees(service.job)),
            writable(*service.server),
        ];
        accounts.extend(service.models.iter().copied().map(writable));
        build(self, &PayFee { receipt: *receipt, amount }, accounts)
    }

    /// [`SettleFees`] of a domain to the data pool of its dataset.
    pub fn settle_fees(&self, job: &Address, domain: u8, dataset: &Address, data_pool: &Address) -> Instruction {
        let accounts = vec![
            writable(self.fees(job)),
            readable(*job),
            readable(*dataset),
            writable(*data_pool),
            writable(self.attention_pool(job, domain as u32)),
        ];
        build(self, &SettleFees { domain }, accounts)
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

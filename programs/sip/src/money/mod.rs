//! Emission, fees and settlement: a file for each instruction, which loads and relates the accounts, applies the rule, and moves the tokens.

mod burn_condemned;
mod pay_fee;
mod settle_absent;
mod settle_audit;
mod settle_data;
mod settle_evaluation;
mod settle_fees;
mod settle_patrons;
mod settle_segment;
mod settle_yield;
mod turn_epoch;

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, ground::declare::Args, instructions::*};

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        TurnEpoch::TAG => turn_epoch::process(program, accounts, data),
        SettleYield::TAG => settle_yield::process(program, accounts, data),
        PayFee::TAG => pay_fee::process(program, accounts, data),
        SettleFees::TAG => settle_fees::process(program, accounts, data),
        BurnCondemned::TAG => burn_condemned::process(program, accounts, data),
        SettleSegment::TAG => settle_segment::process(program, accounts, data),
        SettleAbsent::TAG => settle_absent::process(program, accounts, data),
        SettleAudit::TAG => settle_audit::process(program, accounts, data),
        SettleEvaluation::TAG => settle_evaluation::process(program, accounts, data),
        SettleData::TAG => settle_data::process(program, accounts, data),
        SettlePatrons::TAG => settle_patrons::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

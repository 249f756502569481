//! The configuration, the genesis, what governance decides, and accounts of older layouts: a file for each instruction, which loads and relates the accounts, applies the rule, and moves the tokens.

mod accept_authority;
mod apply_parameters;
mod apply_schedule;
mod apply_spending;
mod cancel_proposal;
mod claim_vested;
mod distribute;
mod initialize;
mod migrate_account;
mod nominate_authority;
mod pause;
mod propose_parameters;
mod propose_schedule;
mod propose_spending;
mod unpause;

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, ground::declare::Args, instructions::*};

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        Initialize::TAG => initialize::process(program, accounts, data),
        ProposeParameters::TAG => propose_parameters::process(program, accounts, data),
        ApplyParameters::TAG => apply_parameters::process(program, accounts, data),
        ProposeSchedule::TAG => propose_schedule::process(program, accounts, data),
        ApplySchedule::TAG => apply_schedule::process(program, accounts, data),
        ProposeSpending::TAG => propose_spending::process(program, accounts, data),
        ApplySpending::TAG => apply_spending::process(program, accounts, data),
        CancelProposal::TAG => cancel_proposal::process(program, accounts, data),
        NominateAuthority::TAG => nominate_authority::process(program, accounts, data),
        AcceptAuthority::TAG => accept_authority::process(program, accounts, data),
        Pause::TAG => pause::process(program, accounts, data),
        Unpause::TAG => unpause::process(program, accounts, data),
        ClaimVested::TAG => claim_vested::process(program, accounts, data),
        Distribute::TAG => distribute::process(program, accounts, data),
        MigrateAccount::TAG => migrate_account::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

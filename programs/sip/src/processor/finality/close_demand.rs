//! Closes a demand that is over.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    config::Config,
    finality::{availability::Demand, closing::Rest, instruction::CloseDemand},
};

use crate::guard;

/// Implements [`CloseDemand`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDemand {} = guard::args(data)?;
    let [payer, demand, config, ..] = accounts else { return Err(Error::MissingAccount) };
    let unbonding_slots = guard::load::<Config>(program, config)?.parameters.unbonding_slots;
    let rest = Rest { unbonding_slots, slot: guard::slot()? };
    guard::load::<Demand>(program, demand)?.require_closable(guard::key(payer), payer.is_signer(), &rest)?;
    guard::close(demand, payer)
}

//! Closes a resolved dispute.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    config::Config,
    dispute::{Dispute, instruction::CloseDispute},
    finality::closing::Rest,
};

use crate::guard;

/// Implements [`CloseDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDispute {} = guard::args(data)?;
    let [payer, dispute, config, ..] = accounts else { return Err(Error::MissingAccount) };
    let unbonding_slots = guard::load::<Config>(program, config)?.parameters.unbonding_slots;
    let rest = Rest { unbonding_slots, slot: guard::slot()? };
    guard::load::<Dispute>(program, dispute)?.require_closable(guard::key(payer), payer.is_signer(), &rest)?;
    guard::close(dispute, payer)
}

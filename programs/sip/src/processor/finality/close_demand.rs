//! Closes a demand that is over.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    finality::{availability::Demand, instruction::CloseDemand},
};

use crate::guard;

/// Implements [`CloseDemand`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDemand {} = guard::args(data)?;
    let [demander, demand, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(demander)?;
    guard::load::<Demand>(program, demand)?.require_closable(guard::key(demander))?;
    guard::close(demand, demander)
}

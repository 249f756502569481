//! Closes a resolved dispute.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    dispute::{Dispute, instruction::CloseDispute},
};

use crate::guard;

/// Implements [`CloseDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDispute {} = guard::args(data)?;
    let [challenger, dispute, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(challenger)?;
    guard::load::<Dispute>(program, dispute)?.require_closable(guard::key(challenger))?;
    guard::close(dispute, challenger)
}

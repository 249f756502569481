//! Ends a dispute whose clock has run out.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, court::Dispute, instructions::TimeOut};

use crate::guard;

/// Implements [`TimeOut`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let TimeOut {} = guard::args(data)?;
    let [dispute, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::load_mut::<Dispute>(program, dispute)?.game.timeout(guard::slot()?)
}

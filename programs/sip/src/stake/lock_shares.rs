//! Locks shares of an attention pool.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::LockShares, stake::pool::Pool};

use crate::{guard, stake::load_position};

/// Implements [`LockShares`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: LockShares = guard::args(data)?;
    let [owner, pool, position, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(owner)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = load_position(program, position, &pool, owner)?;
    let slot = guard::slot()?;
    position.activate(&mut pool, slot)?;
    position.lock(&mut pool, args.shares, args.periods, slot)
}

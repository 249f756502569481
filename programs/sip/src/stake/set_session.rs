//! Names the key that does a pool's work in its operator's place.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::SetSession, stake::pool::Pool};

use crate::guard;

/// Implements [`SetSession`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SetSession = guard::args(data)?;
    let [operator, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    pool.set_session(&args.key, args.until_slot, guard::slot()?)
}

//! Turns pending stake that is due into shares.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::Activate,
    stake::{pool::Pool, position::Position},
};

use crate::guard;

/// Implements [`Activate`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let Activate {} = guard::args(data)?;
    let [pool, position, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = guard::load_mut::<Position>(program, position)?;
    guard::related(position.pool == pool.address)?;
    let before = (position.claimable, position.earning_shares);
    if position.activate(&mut pool, guard::slot()?)? == 0 && (position.claimable, position.earning_shares) == before {
        pool.require_open()?;
        return Err(Error::NothingPending);
    }
    Ok(())
}

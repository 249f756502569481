//! Pays a pool its part of the staking yield.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::SettleYield, money::epoch::EmissionAccount, stake::pool::Pool};

use crate::guard;

/// Implements [`SettleYield`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let SettleYield {} = guard::args(data)?;
    let [emission, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut account = guard::load_mut::<EmissionAccount>(program, emission)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    account.emission.settle_pool(&mut pool, guard::slot()?)?;
    Ok(())
}

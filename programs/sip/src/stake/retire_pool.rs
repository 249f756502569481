//! Stops a pool for good.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::RetirePool, stake::pool::Pool};

use crate::{guard, stake::count};

/// Implements [`RetirePool`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let RetirePool {} = guard::args(data)?;
    let [operator, config, emission, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    let slot = guard::slot()?;
    pool.retire(slot, config.parameters.unbonding_slots)?;
    count(program, emission, &mut pool, slot)
}

//! Pays what an operator has earned.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ClaimCommission, stake::pool::Pool};

use crate::{guard, token::Vault};

/// Implements [`ClaimCommission`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimCommission {} = guard::args(data)?;
    let [operator, config_view, pool, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    pool.accrue(guard::slot()?)?;
    let amount = pool.take_commission()?;
    Vault::new(&config, config_view, vault, token_program)?.pay(destination, amount)
}

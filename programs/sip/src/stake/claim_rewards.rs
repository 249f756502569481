//! Pays what a position has earned.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ClaimRewards, stake::pool::Pool};

use crate::{guard, stake::load_position, token::Vault};

/// Implements [`ClaimRewards`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimRewards {} = guard::args(data)?;
    let [owner, config_view, pool, position, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = load_position(program, position, &pool, owner)?;
    pool.accrue(guard::slot()?)?;
    let amount = position.claim(&mut pool)?;
    Vault::new(&config, config_view, vault, token_program)?.pay(destination, amount)
}

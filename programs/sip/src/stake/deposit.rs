//! Stakes into a pool.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::Deposit, stake::pool::Pool};

use crate::{
    guard::{self, Creation},
    stake::open_position,
    token::Vault,
};

/// Implements [`Deposit`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Deposit = guard::args(data)?;
    let [owner, config_view, pool, position, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let config = guard::load::<Config>(program, config_view)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = open_position(&Creation { program, payer: owner }, position, &pool)?;
    let ramp = config.parameters.activation_slots;
    position.deposit(&mut pool, args.amount, args.minimum_shares, slot, ramp)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(owner, source, args.amount)
}

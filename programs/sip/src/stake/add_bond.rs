//! Adds to an operator's own bond.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::AddBond, stake::pool::Pool};

use crate::{guard, token::Vault};

/// Implements [`AddBond`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: AddBond = guard::args(data)?;
    let [operator, config_view, pool, source, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config_view)?;
    let slot = guard::slot()?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    pool.add_bond(args.amount, slot, config.parameters.activation_slots)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(operator, source, args.amount)
}

//! Pays what has vested of the team's part.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ClaimVested};

use crate::{guard, token::Vault};

/// Implements [`ClaimVested`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimVested {} = guard::args(data)?;
    let [authority, config, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(authority)?;
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    config.require_authority(guard::key(authority))?;
    let amount = config.take_vested(guard::slot()?)?;
    Vault::new(&config, &config_view, vault, token_program)?.pay(destination, amount)
}

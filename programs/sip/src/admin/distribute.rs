//! Pays out of the public bucket.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::Distribute};

use crate::{guard, token::Vault};

/// Implements [`Distribute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Distribute = guard::args(data)?;
    let [authority, config, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(authority)?;
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    config.require_authority(guard::key(authority))?;
    config.require_running(guard::slot()?)?;
    config.distribute(args.amount)?;
    Vault::new(&config, &config_view, vault, token_program)?.pay(destination, args.amount)
}

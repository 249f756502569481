//! Pays what was proposed.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ApplySpending};

use crate::{guard, token::Vault};

/// Implements [`ApplySpending`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ApplySpending {} = guard::args(data)?;
    let [config, vault, destination, token_program, ..] = accounts else { return Err(Error::MissingAccount) };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let amount = config.apply_spending(guard::key(destination), guard::slot()?)?;
    Vault::new(&config, &config_view, vault, token_program)?.pay(destination, amount)
}

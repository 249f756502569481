//! Burns what convictions have left to burn.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::BurnCondemned};

use crate::{guard, token::Vault};

/// Implements [`BurnCondemned`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let BurnCondemned {} = guard::args(data)?;
    let [config, mint, vault, token_program, ..] = accounts else { return Err(Error::MissingAccount) };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let amount = config.take_condemned()?;
    Vault::new(&config, &config_view, vault, token_program)?.burn(mint, amount)
}

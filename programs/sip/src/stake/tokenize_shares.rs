//! Turns shares into tokens.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::TokenizeShares, stake::pool::Pool};

use crate::{guard, stake::load_position, token::ShareMint};

/// Implements [`TokenizeShares`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: TokenizeShares = guard::args(data)?;
    let [owner, config_view, pool, position, mint, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let slot = guard::slot()?;
    let config = guard::load::<Config>(program, config_view)?;
    config.require_running(slot)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = load_position(program, position, &pool, owner)?;
    position.tokenise(&mut pool, args.shares, slot)?;
    let shares = ShareMint { config: &config, authority: config_view, pool: &pool.address, token_program };
    shares.check(program, mint)?;
    shares.mint(mint, destination, args.shares)
}

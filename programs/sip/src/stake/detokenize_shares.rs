//! Turns tokens back into stake.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::DetokenizeShares, stake::pool::Pool};

use crate::{
    guard::{self, Creation},
    stake::{count, open_position},
    token::ShareMint,
};

/// Implements [`DetokenizeShares`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: DetokenizeShares = guard::args(data)?;
    let [owner, config_view, emission, pool, position, mint, source, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = open_position(&Creation { program, payer: owner }, position, &pool)?;
    let slot = guard::slot()?;
    position.detokenise(&mut pool, args.shares, slot, config.parameters.activation_slots)?;
    count(program, emission, &mut pool, slot)?;
    let shares = ShareMint { config: &config, authority: config_view, pool: &pool.address, token_program };
    shares.check(program, mint)?;
    shares.burn(mint, source, owner, args.shares)
}

//! Creates the mint of a pool's liquid shares.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::OpenShareMint, stake::pool::Pool};

use crate::{
    guard::{self, Creation},
    token::ShareMint,
};

/// Implements [`OpenShareMint`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let OpenShareMint {} = guard::args(data)?;
    let [payer, config_view, token_mint, pool, mint, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(payer)?;
    let config = guard::load::<Config>(program, config_view)?;
    let pool = guard::load::<Pool>(program, pool)?;
    // The first comer must not choose under which program the shares live for good.
    guard::related(*guard::key(token_mint) == config.mint)?;
    if !token_mint.owned_by(token_program.address()) {
        return Err(Error::WrongProgram);
    }
    if pool.compounding == 0 {
        return Err(Error::NotCompounding);
    }
    let shares = ShareMint { config: &config, authority: config_view, pool: &pool.address, token_program };
    shares.open(&Creation { program, payer }, mint)
}

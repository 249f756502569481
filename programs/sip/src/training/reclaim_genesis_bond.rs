//! Returns the bond of a genesis state.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ReclaimGenesisBond, training::job::Job};

use crate::{guard, token::Vault};

/// Implements [`ReclaimGenesisBond`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReclaimGenesisBond {} = guard::args(data)?;
    let [creator, config_view, job, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(creator)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    if job.creator != *guard::key(creator) {
        return Err(Error::NotAuthority);
    }
    let amount = job.reclaim_genesis_bond(guard::slot()?)?;
    Vault::new(&config, config_view, vault, token_program)?.pay(destination, amount)
}

//! Replaces the parameters.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, config::Config, instruction::SetParameters};

use crate::guard;

/// Implements [`SetParameters`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SetParameters = guard::args(data)?;
    let [authority, config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(authority)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    if config.authority != *guard::key(authority) {
        return Err(Error::NotAuthority);
    }
    config.set_parameters(&args.parameters)
}

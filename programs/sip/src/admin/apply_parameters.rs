//! Puts proposed parameters into effect.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ApplyParameters};

use crate::guard;

/// Implements [`ApplyParameters`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ApplyParameters {} = guard::args(data)?;
    let [config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::load_mut::<Config>(program, config)?.apply_parameters(guard::slot()?)
}

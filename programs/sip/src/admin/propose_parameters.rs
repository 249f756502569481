//! Proposes new parameters.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ProposeParameters};

use crate::guard;

/// Implements [`ProposeParameters`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: ProposeParameters = guard::args(data)?;
    let [authority, config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(authority)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    config.require_authority(guard::key(authority))?;
    config.propose_parameters(&args.parameters, guard::slot()?)
}

//! Proposes another schedule of emission.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ProposeSchedule};

use crate::guard;

/// Implements [`ProposeSchedule`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: ProposeSchedule = guard::args(data)?;
    let [authority, config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(authority)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    config.require_authority(guard::key(authority))?;
    config.propose_schedule(&args.schedule, guard::slot()?)
}

//! Ends an epoch of the emission.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::TurnEpoch, money::epoch::EmissionAccount};

use crate::guard;

/// Implements [`TurnEpoch`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let TurnEpoch {} = guard::args(data)?;
    let [config, emission, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut account = guard::load_mut::<EmissionAccount>(program, emission)?;
    account.emission.turn(&mut config, guard::slot()?)?;
    Ok(())
}

//! Puts a proposed schedule of emission into effect.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ApplySchedule, money::epoch::EmissionAccount};

use crate::guard;

/// Implements [`ApplySchedule`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ApplySchedule {} = guard::args(data)?;
    let [config, emission, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut account = guard::load_mut::<EmissionAccount>(program, emission)?;
    config.apply_schedule(&mut account.emission, guard::slot()?)
}

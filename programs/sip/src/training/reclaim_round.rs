//! Closes a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::ReclaimRound,
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`ReclaimRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReclaimRound {} = guard::args(data)?;
    let [config, job, round_view, payer, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let uncollected = {
        let round = guard::load::<Round>(program, round_view)?;
        guard::related(round.job == job.address && round.payer == *guard::key(payer))?;
        round.release(&job, guard::slot()?)?
    };
    config.insure(uncollected)?;
    guard::close(round_view, payer)
}

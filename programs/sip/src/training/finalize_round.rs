//! Makes a round final.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::FinalizeRound,
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`FinalizeRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let FinalizeRound {} = guard::args(data)?;
    let [job, round, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    round.finalise(&mut job, guard::slot()?)
}

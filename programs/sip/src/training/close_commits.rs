//! Ends the commitments of a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::CloseCommits,
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`CloseCommits`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseCommits {} = guard::args(data)?;
    let [job, round, ..] = accounts else { return Err(Error::MissingAccount) };
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    round.close_commits(&job, guard::slot()?)
}

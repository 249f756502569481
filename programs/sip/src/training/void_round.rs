//! Ends a round whose vote found no majority.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::VoidRound,
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`VoidRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let VoidRound {} = guard::args(data)?;
    let [job, round, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    round.void_without_majority(&mut job, guard::slot()?)
}

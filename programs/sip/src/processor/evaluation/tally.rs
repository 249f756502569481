//! Counts the scores of a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, config::Config, evaluation, instruction::Tally, job::Job, round::Round};

use crate::guard;

/// Implements [`Tally`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let Tally {} = guard::args(data)?;
    let [config, job, round, ..] = accounts else { return Err(Error::MissingAccount) };
    let config = guard::load::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    evaluation::tally(&mut round, &mut job, &config, guard::slot()?)
}

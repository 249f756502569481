//! Votes for the aggregate of a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    audit::{self, Actor},
    instruction::VoteBase,
    job::Job,
    pool::Pool,
    round::Round,
};

use crate::guard;

/// Implements [`VoteBase`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: VoteBase = guard::args(data)?;
    let [auditor, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    pool.require_operator(guard::key(auditor))?;
    let actor = Actor { pool: &pool.address, place: args.place, slot: guard::slot()? };
    audit::vote_base(&mut round, &mut job, &actor, &args.root)
}

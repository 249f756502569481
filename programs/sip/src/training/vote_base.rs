//! Votes for the aggregate of a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::VoteBase,
    stake::pool::Pool,
    training::{
        audit::{self, Actor, Vote},
        job::Job,
        round::Round,
    },
};

use crate::guard::{self, Syscall};

/// Implements [`VoteBase`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: VoteBase = guard::args(data)?;
    let [auditor, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(auditor), slot)?;
    let (address, round_address) = (pool.address, round.address);
    let actor = Actor { pool: &address, place: args.place, slot };
    let vote = Vote { round: &round_address, root: &args.root, preimage: &args.preimage };
    audit::vote_base::<Syscall>(&mut round, &mut job, &mut pool, &actor, &vote)
}

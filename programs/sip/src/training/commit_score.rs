//! Commits an evaluator's scores.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::CommitScore,
    stake::pool::Pool,
    training::{audit::Actor, evaluation, job::Job, round::Round},
};

use crate::guard;

/// Implements [`CommitScore`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CommitScore = guard::args(data)?;
    let [evaluator, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(evaluator)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(evaluator), slot)?;
    let address = pool.address;
    let actor = Actor { pool: &address, place: args.place, slot };
    evaluation::commit_score(&mut round, &job, &mut pool, &actor, &args.commitment)
}

//! Reveals an evaluator's scores.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, audit::Actor, evaluation, instruction::RevealScore, job::Job, pool::Pool, round::Round,
};

use crate::guard::{self, Syscall};

/// Implements [`RevealScore`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RevealScore = guard::args(data)?;
    let [evaluator, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(evaluator)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    pool.require_operator(guard::key(evaluator))?;
    let address = round.address;
    let actor = Actor { pool: &pool.address, place: args.place, slot: guard::slot()? };
    evaluation::reveal_score::<Syscall>(&mut round, &job, &address, &actor, &args.scores, &args.salt)
}

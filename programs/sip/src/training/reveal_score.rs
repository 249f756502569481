//! Reveals an evaluator's scoring run.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    instructions::RevealScore,
    stake::pool::Pool,
    training::{
        audit::Actor,
        evaluation::{self, Reveal, ScoringRun},
        job::Job,
        round::Round,
    },
};

use crate::guard::{self, Creation, Syscall};

/// Implements [`RevealScore`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RevealScore = guard::args(data)?;
    if args.reserved != [0; 7] {
        return Err(Error::WrongArguments);
    }
    let [evaluator, job, round, pool, run, _system, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(evaluator)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(evaluator), slot)?;
    let round_address = round.address;
    let seeds: [&[u8]; 3] = [seed::RUN, &round_address, &pool.address];
    let mut run = Creation { program, payer: evaluator }.create::<ScoringRun>(run, &seeds)?;
    let actor = Actor { pool: &pool.address, place: args.place, slot };
    evaluation::reveal_score::<Syscall>(
        &mut run,
        Reveal {
            job: &job,
            round: &mut round,
            round_address: &round_address,
            pool: &pool,
            actor: &actor,
            payer: guard::key(evaluator),
            sums: &args.sums,
            accumulator_root: &args.accumulator_root,
            salt: &args.salt,
        },
    )
}

//! Commits a trainer's segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    instructions::CommitSegment,
    stake::pool::Pool,
    training::{
        job::Job,
        round::Round,
        segment::{Commitment, Segment},
    },
};

use super::previous::Previous;
use crate::guard::{self, Creation};

/// Implements [`CommitSegment`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CommitSegment = guard::args(data)?;
    let [trainer, job, round, pool, segment, _system, previous @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(trainer)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(trainer), slot)?;
    let previous_root = Previous { job_address: &job.address, job: &job, round: &round, pool_address: &pool.address }
        .root(program, previous)?;
    let (round_address, seed_round, pool_address) = (round.address, round.address, pool.address);
    let seeds: [&[u8]; 3] = [seed::SEGMENT, &seed_round, &pool.address];
    let mut segment = Creation { program, payer: trainer }.create::<Segment>(segment, &seeds)?;
    segment.commit(Commitment {
        job: &job,
        round_address: &round_address,
        round: &mut round,
        pool_address: &pool_address,
        pool: &mut pool,
        claim: &args.claim,
        payer: guard::key(trainer),
        previous_root: &previous_root,
        slot,
    })
}

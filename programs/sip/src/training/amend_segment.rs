//! Replaces a committed segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::AmendSegment,
    stake::pool::Pool,
    training::{
        job::Job,
        round::Round,
        segment::{Amendment, Segment},
    },
};

use crate::{guard, training::previous::Previous};

/// Implements [`AmendSegment`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: AmendSegment = guard::args(data)?;
    let [trainer, config, job, round, pool, segment, previous @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(trainer)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let round = guard::load::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    guard::related(segment.pool == pool.address)?;
    pool.require_operator(guard::key(trainer))?;
    let pool_address = pool.address;
    let previous_root = Previous { job_address: &job.address, job: &job, round: &round, pool_address: &pool_address }
        .root(program, previous)?;
    segment.amend(Amendment {
        config: &mut config,
        job: &job,
        round: &round,
        pool_address: &pool_address,
        pool: &mut pool,
        claim: &args.claim,
        previous_root: &previous_root,
        slot: guard::slot()?,
    })
}

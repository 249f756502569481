//! Takes the next place of a job.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    config::Config,
    instruction::JoinJob,
    job::Job,
    pool::{Pool, PoolKind},
};

use crate::guard;

/// Implements [`JoinJob`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: JoinJob = guard::args(data)?;
    let [operator, config, job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config)?;
    config.require_running(guard::slot()?)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    let place = job.join(kind, &pool.address)?;
    if kind == PoolKind::Auditor {
        pool.bind_chain(&job.address)?;
    }
    pool.require_bonded(job.place_bond(kind)?)?;
    pool.allot(0, args.allotted_bps)?;
    job.set_allotment(kind, place, args.allotted_bps)?;
    pool.expose(job.spec.exposure_slots(&job.parameters));
    Ok(())
}

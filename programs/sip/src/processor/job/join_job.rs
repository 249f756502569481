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
    let JoinJob {} = guard::args(data)?;
    let [operator, config, job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config)?;
    config.require_running(guard::slot()?)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    pool.require_bonded(job.parameters.minimum_self_bond)?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    job.join(kind, &pool.address)?;
    pool.expose(job.spec.exposure_slots(&job.parameters));
    if kind == PoolKind::Auditor {
        pool.bind_chain(&job.address)?;
    }
    Ok(())
}

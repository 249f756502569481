//! Leaves a place of a job.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::LeaveJob,
    stake::pool::{Pool, PoolKind},
    training::job::Job,
};

use crate::guard;

/// Implements [`LeaveJob`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: LeaveJob = guard::args(data)?;
    let [operator, job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    let allotted_bps = job.leave(kind, args.place, &pool.address)?;
    pool.vacate(allotted_bps);
    Ok(())
}

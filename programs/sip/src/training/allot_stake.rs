//! Changes the part of a pool's stake that counts in its place of a job.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::AllotStake,
    stake::pool::{Pool, PoolKind},
    training::job::Job,
};

use crate::guard;

/// Implements [`AllotStake`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: AllotStake = guard::args(data)?;
    let [operator, job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    let place = u8::try_from(args.place).map_err(|_| Error::WrongPlace)?;
    job.require_place(kind, place, &pool.address)?;
    let before_bps = job.allotment(kind, place, &pool.address);
    pool.allot(before_bps, args.allotted_bps)?;
    job.set_allotment(kind, place, args.allotted_bps)
}

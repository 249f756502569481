//! Brings a seat in line with its pool.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::CheckSeat,
    stake::pool::{Pool, PoolKind},
    training::job::Job,
};

use crate::guard;

/// Implements [`CheckSeat`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CheckSeat = guard::args(data)?;
    let [job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let pool = guard::load::<Pool>(program, pool)?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    job.check_seat(kind, args.place, &pool.address, &pool, guard::slot()?)
}

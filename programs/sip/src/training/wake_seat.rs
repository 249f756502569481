//! Wakes the seat that a pool holds.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, instructions::WakeSeat, stake::pool::Pool, training::job::Job,
};

use crate::guard;

/// Implements [`WakeSeat`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: WakeSeat = guard::args(data)?;
    let [operator, config, job, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let pool = guard::load::<Pool>(program, pool)?;
    pool.require_worker(guard::key(operator), slot)?;
    job.wake(args.place, &pool.address, &pool)
}

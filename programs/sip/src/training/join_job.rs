//! Takes a place of a job, or wakes a seat.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::JoinJob,
    stake::pool::{Pool, PoolKind},
    training::{job::Job, seats::FREE},
};

use crate::guard;

/// Implements [`JoinJob`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: JoinJob = guard::args(data)?;
    let [operator, config, job, pool, rest @ ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_operator(guard::key(operator))?;
    job.require_described()?;
    let kind = PoolKind::from_byte(pool.kind).ok_or(Error::WrongPoolKind)?;
    if pool.is_convicted() {
        return Err(Error::PoolConvicted);
    }
    if kind == PoolKind::Auditor {
        pool.bind_chain(&job.address)?;
    }
    pool.require_bonded(job.place_bond(kind)?)?;
    pool.expose(job.exposure_slots, slot);
    let (place, next_round) = (job.place_for(kind, &pool.address, slot)?, job.next_round);
    let seat = job.seat_mut(kind, place)?;
    let mut own_bps = 0;
    if seat.state != FREE && seat.pool == pool.address {
        own_bps = seat.allotted_bps;
    } else {
        pool.seats = pool.seats.checked_add(1).ok_or(Error::Overflow)?;
        if seat.state != FREE {
            let mut displaced = guard::load_mut::<Pool>(program, rest.first_mut().ok_or(Error::MissingAccount)?)?;
            guard::related(displaced.address == seat.pool)?;
            displaced.vacate(seat.allotted_bps);
        }
    }
    seat.take(&pool.address, next_round, args.allotted_bps);
    pool.allot(own_bps, args.allotted_bps)
}

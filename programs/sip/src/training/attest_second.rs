//! Attests a segment of the second draw.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::AttestSecond,
    stake::pool::Pool,
    training::{audit::Actor, job::Job, round::Round, second_draw, segment::Segment},
};

use crate::guard;

/// Implements [`AttestSecond`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: AttestSecond = guard::args(data)?;
    let [auditor, job, round, pool, segment, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(auditor), slot)?;
    let actor = Actor { pool: &pool.address, place: args.place, slot };
    second_draw::attest(&mut round, &job, &mut segment, &actor, &args.trace_root)
}

//! Reveals an auditor's draw.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::RevealDraw,
    stake::pool::{Pool, PoolKind},
    training::{
        audit::{self, Actor},
        job::Job,
        round::Round,
    },
};

use crate::guard::{self, Syscall};

/// Implements [`RevealDraw`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RevealDraw = guard::args(data)?;
    let [auditor, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    pool.require_kind(PoolKind::Auditor)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(auditor), slot)?;
    let address = pool.address;
    let actor = Actor { pool: &address, place: args.place, slot };
    audit::reveal_draw::<Syscall>(&mut round, &job, &mut pool, &actor, &args.preimage)
}

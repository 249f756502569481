//! Attests a drawn segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::Attest,
    stake::pool::Pool,
    training::{
        audit::{self, Actor},
        job::Job,
        round::Round,
        segment::Segment,
    },
};

use crate::guard::{self, Syscall};

/// Implements [`Attest`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Attest = guard::args(data)?;
    let [auditor, job, round, pool, segment, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let job = guard::load::<Job>(program, job)?;
    let round = guard::load::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(auditor), slot)?;
    let address = segment.address;
    let actor = Actor { pool: &pool.address, place: args.place, slot };
    audit::attest::<Syscall>(&round, &job, &address, &mut segment, &actor, &args.digest)
}

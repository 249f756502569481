//! Shows the trace root behind an attestation.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::RevealAttestation,
    stake::pool::Pool,
    training::{
        attestation::{self, Shown},
        audit::Actor,
        job::Job,
        round::Round,
        segment::Segment,
    },
};

use crate::guard::{self, Syscall};

/// Implements [`RevealAttestation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RevealAttestation = guard::args(data)?;
    let [auditor, job, round, pool, segment, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(auditor)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    let slot = guard::slot()?;
    pool.require_worker(guard::key(auditor), slot)?;
    let address = segment.address;
    let actor = Actor { pool: &pool.address, place: args.place, slot };
    let shown = Shown { salt: &args.salt, trace_root: &args.trace_root };
    attestation::reveal::<Syscall>(&mut round, &job, &address, &mut segment, &actor, &shown)
}

//! Closes a segment or a scoring run.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result,
    admin::config::Config,
    instructions::ReclaimClaim,
    training::{evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};

use crate::guard;

/// Implements [`ReclaimClaim`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReclaimClaim {} = guard::args(data)?;
    let [config, job, round, claim, payer, ..] = accounts else { return Err(Error::MissingAccount) };
    let slot = guard::slot()?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    let uncollected = if guard::kind(claim)? == AccountKind::ScoringRun as u8 {
        let run = guard::load::<ScoringRun>(program, claim)?;
        guard::related(run.round == round.address && run.payer == *guard::key(payer))?;
        round.release_run(&job, &run, slot)?
    } else {
        let segment = guard::load::<Segment>(program, claim)?;
        guard::related(segment.round == round.address && segment.payer == *guard::key(payer))?;
        round.release_segment(&job, &segment, slot)?
    };
    config.insure(uncollected)?;
    guard::close(claim, payer)
}

//! Settles a segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettleSegment,
    money::settlement::Settlement,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use crate::guard;

/// Implements [`SettleSegment`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let SettleSegment {} = guard::args(data)?;
    let [config, job, round, segment, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && segment.round == round.address && segment.pool == pool.address)?;
    Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: guard::slot()? }
        .segment(&mut segment)?;
    Ok(())
}

//! Settles a domain's patrons.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettlePatrons,
    money::settlement::Settlement,
    stake::pool::{Pool, PoolKind},
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`SettlePatrons`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SettlePatrons = guard::args(data)?;
    let [config, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    pool.require_kind(PoolKind::Attention)?;
    guard::related(round.job == job.address && pool.scope == round.job && pool.index == args.domain as u32)?;
    Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: guard::slot()? }
        .patrons(args.domain)?;
    Ok(())
}

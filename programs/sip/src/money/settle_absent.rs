//! Charges a trainer that committed nothing.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettleAbsent,
    money::settlement::Settlement,
    stake::pool::{Pool, PoolKind},
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`SettleAbsent`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SettleAbsent = guard::args(data)?;
    let [config, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    round.require_holder(PoolKind::Trainer, args.place, &pool.address)?;
    Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: guard::slot()? }
        .absent(args.place)?;
    Ok(())
}

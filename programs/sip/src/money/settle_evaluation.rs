//! Settles an evaluator's part in a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettleEvaluation,
    money::settlement::Settlement,
    stake::pool::{Pool, PoolKind},
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`SettleEvaluation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SettleEvaluation = guard::args(data)?;
    let [config, job, round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    round.require_holder(PoolKind::Evaluator, args.place, &pool.address)?;
    Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: guard::slot()? }
        .evaluation(args.place)?;
    Ok(())
}

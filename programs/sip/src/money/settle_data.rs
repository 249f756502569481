//! Settles a domain's data provider.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettleData,
    money::settlement::Settlement,
    stake::pool::Pool,
    training::{data::Dataset, job::Job, round::Round},
};

use crate::guard;

/// Implements [`SettleData`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SettleData = guard::args(data)?;
    let [config, job, round, dataset, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let dataset = guard::load::<Dataset>(program, dataset)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let registered = job.datasets.get(args.domain as usize).ok_or(Error::WrongPlace)?;
    guard::related(round.job == job.address && *registered == dataset.address && dataset.pool == pool.address)?;
    Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: guard::slot()? }
        .data(args.domain, &dataset)?;
    Ok(())
}

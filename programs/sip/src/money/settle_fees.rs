//! Gives a domain's pools the fees that are owed to them.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::SettleFees,
    money::fees::{Fees, Receivers},
    stake::pool::{Pool, PoolKind},
    training::{data::Dataset, job::Job},
};

use crate::guard;

/// Implements [`SettleFees`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: SettleFees = guard::args(data)?;
    let [config, fees, job, dataset, data_pool, attention, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut fees = guard::load_mut::<Fees>(program, fees)?;
    let job = guard::load::<Job>(program, job)?;
    let dataset = guard::load::<Dataset>(program, dataset)?;
    let mut data_pool = guard::load_mut::<Pool>(program, data_pool)?;
    let mut attention = guard::load_mut::<Pool>(program, attention)?;
    let registered = job.datasets.get(args.domain as usize).ok_or(Error::WrongPlace)?;
    guard::related(fees.job == job.address && *registered == dataset.address && dataset.pool == data_pool.address)?;
    attention.require_kind(PoolKind::Attention)?;
    guard::related(attention.scope == job.address && attention.index == args.domain as u32)?;
    let mut to = Receivers {
        config: &mut config,
        dataset: &dataset,
        data: &mut data_pool,
        attention: &mut attention,
        slot: guard::slot()?,
    };
    fees.settle(args.domain, &mut to)?;
    Ok(())
}

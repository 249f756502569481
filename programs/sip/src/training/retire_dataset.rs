//! Gives notice that a dataset will not be answered for any more.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, instructions::RetireDataset, stake::pool::Pool, training::data::Dataset,
};

use crate::guard;

/// Implements [`RetireDataset`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let RetireDataset {} = guard::args(data)?;
    let [provider, config, dataset, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(provider)?;
    let config = guard::load::<Config>(program, config)?;
    let mut dataset = guard::load_mut::<Dataset>(program, dataset)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(dataset.pool == pool.address)?;
    dataset.retire(&pool, guard::key(provider), config.parameters.unbonding_slots, guard::slot()?)
}

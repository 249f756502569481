//! Registers a dataset.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::RegisterDataset,
    stake::pool::{Pool, PoolKind},
    training::data::Dataset,
};

use crate::guard::{self, Creation};

/// Implements [`RegisterDataset`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RegisterDataset = guard::args(data)?;
    let [provider, config, pool, dataset, _system, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(provider)?;
    let config = guard::load::<Config>(program, config)?;
    config.require_running(guard::slot()?)?;
    let pool = guard::load::<Pool>(program, pool)?;
    pool.require_kind(PoolKind::Data)?;
    pool.require_operator(guard::key(provider))?;
    pool.require_bonded(config.parameters.minimum_self_bond)?;
    let seeds: [&[u8]; 4] = [seed::DATASET, &pool.address, &args.train_root, &args.held_out_root];
    let mut dataset = Creation { program, payer: provider }.create::<Dataset>(dataset, &seeds)?;
    dataset.pool = pool.address;
    dataset.domain = args.domain;
    dataset.train_root = args.train_root;
    dataset.held_out_root = args.held_out_root;
    dataset.train_tokens = args.train_tokens;
    dataset.held_out_tokens = args.held_out_tokens;
    dataset.licence = args.licence;
    dataset.check()
}

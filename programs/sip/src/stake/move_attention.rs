//! Moves attention from one domain of a job to another.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::MoveAttention,
    stake::pool::{Pool, PoolKind},
};

use crate::{
    guard::{self, Creation},
    stake::{count, load_position, open_position},
};

/// Implements [`MoveAttention`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: MoveAttention = guard::args(data)?;
    let [owner, config, emission, from_pool, from_position, to_pool, to_position, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    if from_pool.address() == to_pool.address() {
        return Err(Error::SamePool);
    }
    let mut from_pool = guard::load_mut::<Pool>(program, from_pool)?;
    let mut to_pool = guard::load_mut::<Pool>(program, to_pool)?;
    from_pool.require_kind(PoolKind::Attention)?;
    to_pool.require_kind(PoolKind::Attention)?;
    if from_pool.scope != to_pool.scope {
        return Err(Error::DifferentJobs);
    }
    let mut from = load_position(program, from_position, &from_pool, owner)?;
    let mut to = open_position(&Creation { program, payer: owner }, to_position, &to_pool)?;
    let config = guard::load::<Config>(program, config)?;
    let slot = guard::slot()?;
    let amount = from.withdraw(&mut from_pool, args.shares, slot)?;
    count(program, emission, &mut from_pool, slot)?;
    to.deposit(&mut to_pool, amount, args.minimum_shares, slot, config.parameters.activation_slots)?;
    Ok(())
}

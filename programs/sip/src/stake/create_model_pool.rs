//! Creates the pool of a model.

use pinocchio::{AccountView, Address};
use sip_arith::int::BPS_ONE;
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::CreateModelPool,
    stake::pool::{Pool, PoolKind, SEED_SHARES},
    training::job::Job,
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CreateModelPool`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CreateModelPool = guard::args(data)?;
    let [operator, config_view, job, pool, source, vault, token_program, _system, parents @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config_view)?;
    config.require_running(guard::slot()?)?;
    let job = guard::load::<Job>(program, job)?;
    if job.creator != *guard::key(operator) {
        return Err(Error::NotAuthority);
    }
    if args.compounding > 1 || args.reserved != [0; 7] {
        return Err(Error::WrongArguments);
    }
    if args.self_bond < config.parameters.minimum_self_bond {
        return Err(Error::SelfBondTooSmall);
    }
    if args.commission_bps > config.parameters.maximum_commission_bps {
        return Err(Error::CommissionTooHigh);
    }
    if args.royalty_bps > BPS_ONE || parents.is_empty() != (args.royalty_bps == 0) {
        return Err(Error::WrongRoyalty);
    }
    let seeds: [&[u8]; 4] = [seed::POOL, &[PoolKind::Model as u8], guard::key(operator), &args.index.to_le_bytes()];
    let mut pool = Creation { program, payer: operator }.create::<Pool>(pool, &seeds)?;
    if let Some(parent) = parents.first() {
        let parent = guard::load::<Pool>(program, parent)?;
        parent.require_kind(PoolKind::Model)?;
        pool.parent = parent.address;
    }
    pool.initialise(PoolKind::Model, guard::key(operator), args.index, guard::slot()?);
    pool.self_bond = args.self_bond;
    pool.commission_bps = args.commission_bps;
    pool.royalty_bps = args.royalty_bps;
    pool.compounding = args.compounding;
    pool.chain_job = job.address;
    let amount = args.self_bond.checked_add(SEED_SHARES).ok_or(Error::Overflow)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(operator, source, amount)
}

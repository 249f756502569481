//! Creates an operator's or a data provider's pool.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::CreatePool,
    stake::pool::{Pool, PoolKind, SEED_SHARES},
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CreatePool`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CreatePool = guard::args(data)?;
    let [operator, config_view, pool, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(operator)?;
    let config = guard::load::<Config>(program, config_view)?;
    config.require_running(guard::slot()?)?;
    let kind = match PoolKind::from_byte(args.kind) {
        Some(PoolKind::Attention | PoolKind::Model) | None => return Err(Error::WrongPoolKind),
        Some(kind) => kind,
    };
    if args.compounding > 1 {
        return Err(Error::WrongArguments);
    }
    if (kind == PoolKind::Auditor) != (args.chain_tip != [0; 32]) {
        return Err(Error::MissingChainTip);
    }
    if args.self_bond < config.parameters.minimum_self_bond {
        return Err(Error::SelfBondTooSmall);
    }
    if args.commission_bps > config.parameters.maximum_commission_bps {
        return Err(Error::CommissionTooHigh);
    }
    let seeds: [&[u8]; 4] = [seed::POOL, &[args.kind], guard::key(operator), &args.index.to_le_bytes()];
    let mut pool = Creation { program, payer: operator }.create::<Pool>(pool, &seeds)?;
    pool.initialise(kind, guard::key(operator), args.index, guard::slot()?);
    pool.self_bond = args.self_bond;
    pool.commission_bps = args.commission_bps;
    pool.chain_tip = args.chain_tip;
    pool.compounding = args.compounding;
    let amount = args.self_bond.checked_add(SEED_SHARES).ok_or(Error::Overflow)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(operator, source, amount)
}

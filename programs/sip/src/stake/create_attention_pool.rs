//! Creates the attention pool of a job's domain, or of a side of one of its settings.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::CreateAttentionPool,
    stake::pool::{Pool, PoolKind, SEED_SHARES},
    training::job::Job,
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CreateAttentionPool`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CreateAttentionPool = guard::args(data)?;
    let [payer, config_view, job, pool, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(payer)?;
    let config = guard::load::<Config>(program, config_view)?;
    config.require_running(guard::slot()?)?;
    let job = guard::load::<Job>(program, job)?;
    if !job.spec.has_attention(args.domain) {
        return Err(Error::TooManyDomains);
    }
    let seeds: [&[u8]; 4] = [seed::POOL, &[PoolKind::Attention as u8], &job.address, &args.domain.to_le_bytes()];
    let mut pool = Creation { program, payer }.create::<Pool>(pool, &seeds)?;
    // All pools of a job count from its creation: stake in a pool that was made at the last moment counts for that moment.
    pool.initialise(PoolKind::Attention, &job.address, args.domain, job.created_slot);
    pool.exposure_slots = job.spec.longest_round_slots(&job.parameters);
    Vault::new(&config, config_view, vault, token_program)?.deposit(payer, source, SEED_SHARES)
}

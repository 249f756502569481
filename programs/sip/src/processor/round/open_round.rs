//! Opens the next round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    account::seed,
    instruction::OpenRound,
    job::{Job, MAX_DOMAINS},
    mixture,
    pool::{Pool, PoolKind},
    round::Round,
};

use crate::guard::{self, Creation};

/// Implements [`OpenRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let OpenRound {} = guard::args(data)?;
    let [payer, job, round, _system, pools @ ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(payer)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let slot = guard::slot()?;
    let count = job.spec.domain_count as usize;
    let mut weights = [0u64; MAX_DOMAINS];
    for (domain, weight) in weights.iter_mut().take(count).enumerate() {
        let mut pool = guard::load_mut::<Pool>(program, pools.get_mut(domain).ok_or(Error::MissingAccount)?)?;
        pool.require_kind(PoolKind::Attention)?;
        guard::related(pool.scope == job.address && pool.index == domain as u32)?;
        *weight = pool.take_snapshot(slot)?;
    }
    let weights = weights.get(..count).ok_or(Error::TooManyDomains)?;
    let mixture = mixture::fill(weights, job.spec.mixture_floor_bps, job.spec.mixture_cap_bps)?;
    let seeds: [&[u8]; 3] = [seed::ROUND, &job.address, &job.next_round.to_le_bytes()];
    let mut round = Creation { program, payer }.create::<Round>(round, &seeds)?;
    let job_address = job.address;
    round.open(&job_address, &mut job, &mixture, slot)
}

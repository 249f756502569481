//! Opens the next round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::OpenRound,
    stake::pool::{Pool, PoolKind},
    training::{
        job::Job,
        round::Round,
        setting::{MAX_ATTENTION_POOLS, Snapshot},
    },
};

use crate::guard::{self, Creation};

/// Implements [`OpenRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let OpenRound {} = guard::args(data)?;
    let [payer, config, job, round, _system, pools @ ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(payer)?;
    let config = guard::load::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let (mut weights, mut patrons) = ([0u64; MAX_ATTENTION_POOLS], Snapshot::default());
    for (place, number) in job.spec.attention_numbers().enumerate() {
        let mut pool = guard::load_mut::<Pool>(program, pools.get_mut(place).ok_or(Error::MissingAccount)?)?;
        pool.require_kind(PoolKind::Attention)?;
        guard::related(pool.scope == job.address && pool.index == number)?;
        *weights.get_mut(number as usize).ok_or(Error::WrongPlace)? = pool.take_snapshot(slot)?;
        if pool.earning_shares != 0 {
            patrons.add_patrons(number);
        }
    }
    let snapshot = Snapshot { patron_domains: patrons.patron_domains, ..job.spec.snapshot(&weights)? };
    let seeds: [&[u8]; 3] = [seed::ROUND, &job.address, &job.next_round.to_le_bytes()];
    let mut round = Creation { program, payer }.create::<Round>(round, &seeds)?;
    let job_address = job.address;
    round.payer = *guard::key(payer);
    round.open(&job_address, &mut job, &snapshot, slot)
}

//! Applies a verdict.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::{Dispute, Verdict},
    instructions::ResolveDispute,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use super::pay;
use crate::{guard, token::Vault};

/// Implements [`ResolveDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ResolveDispute {} = guard::args(data)?;
    let [config, job, round, segment, pool, dispute, destination, vault, mint, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    guard::related(dispute.job == job.address && dispute.subject == segment.address)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(dispute.pool == pool.address && segment.round == round.address)?;
    let slot = guard::slot()?;
    let payout = dispute.resolve(&mut Verdict {
        config: &mut config,
        job: &mut job,
        segment: &mut segment,
        pool: &mut pool,
        round: &mut round,
        slot,
    })?;
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    pay(&vault, &payout, &dispute.challenger, destination, mint)
}

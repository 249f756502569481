//! Applies a verdict over a scoring run.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::{Dispute, RunVerdict},
    instructions::ResolveRunDispute,
    stake::pool::Pool,
    training::{evaluation::ScoringRun, job::Job, round::Round},
};

use super::pay;
use crate::{guard, token::Vault};

/// Implements [`ResolveRunDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ResolveRunDispute {} = guard::args(data)?;
    let [config, job, round, run, pool, dispute, destination, vault, mint, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut run = guard::load_mut::<ScoringRun>(program, run)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    guard::related(dispute.job == job.address && dispute.subject == run.address)?;
    guard::related(dispute.round == round.address && dispute.pool == pool.address)?;
    let payout = dispute.resolve_run(&mut RunVerdict {
        config: &mut config,
        job: &mut job,
        round: &mut round,
        run: &mut run,
        pool: &mut pool,
        slot: guard::slot()?,
    })?;
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    pay(&vault, &payout, &dispute.challenger, destination, mint)
}

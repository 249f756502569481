//! Applies a verdict over an auditor.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::{AuditorVerdict, Dispute},
    instructions::ResolveAuditorDispute,
    stake::pool::Pool,
    training::{job::Job, round::Round},
};

use super::pay;
use crate::{guard, token::Vault};

/// Implements [`ResolveAuditorDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ResolveAuditorDispute {} = guard::args(data)?;
    let [config, job, round, pool, dispute, destination, vault, mint, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    guard::related(dispute.job == job.address && dispute.round == round.address)?;
    guard::related(dispute.pool == pool.address)?;
    let slot = guard::slot()?;
    let mut verdict = AuditorVerdict { config: &mut config, job: &mut job, round: &mut round, pool: &mut pool, slot };
    let payout = dispute.resolve_auditor(&mut verdict)?;
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    pay(&vault, &payout, &dispute.challenger, destination, mint)
}

//! Applies a verdict over a genesis state.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, court::Dispute, instructions::ResolveGenesisDispute, training::job::Job,
};

use super::pay;
use crate::{guard, token::Vault};

/// Implements [`ResolveGenesisDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ResolveGenesisDispute {} = guard::args(data)?;
    let [config, job, dispute, destination, vault, mint, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    guard::related(dispute.job == job.address)?;
    let payout = dispute.resolve_genesis(&mut config, &mut job)?;
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    pay(&vault, &payout, &dispute.challenger, destination, mint)
}

//! Ends an accusation that was not opened in time.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, court::accusation::Accusation, instructions::ExpireAccusation,
    training::job::Job,
};

use crate::{guard, token::Vault};

/// Implements [`ExpireAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ExpireAccusation {} = guard::args(data)?;
    let [config, job, accusation_view, challenger, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut accusation = guard::load_mut::<Accusation>(program, accusation_view)?;
    guard::related(accusation.challenger == *guard::key(challenger))?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    guard::related(accusation.job == job.address)?;
    let amount = accusation.expire(&mut config, &mut job, guard::slot()?)?;
    drop(accusation);
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    vault.pay_to(guard::key(challenger), destination, amount)?;
    guard::close(accusation_view, challenger)
}

//! Charges a provider that left a demand unanswered.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, court::availability::Demand, instructions::FailData, stake::pool::Pool,
    training::data::Dataset,
};

use crate::{guard, token::Vault};

/// Implements [`FailData`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let FailData {} = guard::args(data)?;
    let [config, dataset, pool, demand, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut dataset = guard::load_mut::<Dataset>(program, dataset)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    guard::related(demand.subject == dataset.address && demand.pool == pool.address)?;
    let fee = demand.fail_data(&mut config, &mut dataset, &mut pool, guard::slot()?)?;
    Vault::new(&config, &config_view, vault, token_program)?.pay_to(&demand.demander, destination, fee)
}

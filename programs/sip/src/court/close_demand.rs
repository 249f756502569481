//! Closes a demand that is over.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result, admin::config::Config, court::availability::Demand, instructions::CloseDemand,
    training::closing::Rest,
};

use crate::guard;

/// Implements [`CloseDemand`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDemand {} = guard::args(data)?;
    let [payer, demand_view, rest @ ..] = accounts else { return Err(Error::MissingAccount) };
    {
        let demand = guard::load::<Demand>(program, demand_view)?;
        if payer.is_signer() {
            demand.require_closable(guard::key(payer))?;
        } else {
            let config = guard::load::<Config>(program, rest.first().ok_or(Error::MissingSigner)?)?;
            let unbonding_slots = config.parameters.unbonding_slots;
            demand.require_old(guard::key(payer), &Rest { unbonding_slots, slot: guard::slot()? })?;
        }
    }
    guard::close(demand_view, payer)
}

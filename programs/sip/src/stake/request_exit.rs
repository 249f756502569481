//! Starts an exit.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::RequestExit,
    stake::{pool::Pool, position::Ticket},
};

use crate::{
    guard::{self, Creation},
    stake::{count, load_position},
};

/// Implements [`RequestExit`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: RequestExit = guard::args(data)?;
    let [owner, config, emission, pool, position, ticket, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let config = guard::load::<Config>(program, config)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = load_position(program, position, &pool, owner)?;
    let unbonding_slots = pool.exit_slots(config.parameters.unbonding_slots);
    let seeds: [&[u8]; 3] = [seed::TICKET, &position.address, &position.tickets.to_le_bytes()];
    let mut ticket = Creation { program, payer: owner }.create::<Ticket>(ticket, &seeds)?;
    ticket.position = position.address;
    let slot = guard::slot()?;
    ticket.request(&mut position, &mut pool, args.shares, slot, unbonding_slots)?;
    count(program, emission, &mut pool, slot)
}

//! Takes an exit back.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::Rebond,
    stake::{pool::Pool, position::Ticket},
};

use crate::{guard, stake::load_position};

/// Implements [`Rebond`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Rebond = guard::args(data)?;
    let [owner, config, pool, position, ticket_view, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(owner)?;
    let slot = guard::slot()?;
    let config = guard::load::<Config>(program, config)?;
    config.require_running(slot)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut position = load_position(program, position, &pool, owner)?;
    let ticket = guard::load_mut::<Ticket>(program, ticket_view)?;
    guard::related(ticket.position == position.address)?;
    ticket.rebond(&mut position, &mut pool, args.minimum_shares, slot, config.parameters.activation_slots)?;
    drop(ticket);
    guard::close(ticket_view, owner)
}

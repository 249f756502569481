//! Pays a mature ticket.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::ClaimExit,
    stake::{pool::Pool, position::Ticket},
};

use crate::{guard, token::Vault};

/// Implements [`ClaimExit`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimExit {} = guard::args(data)?;
    let [owner, config_view, pool, ticket_view, vault, destination, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(owner)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let ticket = guard::load_mut::<Ticket>(program, ticket_view)?;
    guard::related(ticket.pool == pool.address)?;
    if ticket.owner != *guard::key(owner) {
        return Err(Error::NotAuthority);
    }
    let amount = ticket.claim(&mut pool, guard::slot()?)?;
    drop(ticket);
    Vault::new(&config, config_view, vault, token_program)?.pay(destination, amount)?;
    guard::close(ticket_view, owner)
}

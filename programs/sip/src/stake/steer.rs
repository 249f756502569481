//! Steers a domain with delegated stake.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    instructions::Steer,
    stake::{pool::Pool, steering::Vote},
};

use crate::{
    guard::{self, Creation},
    stake::load_position,
};

/// Implements [`Steer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Steer = guard::args(data)?;
    let [owner, pool, position, target, vote, _system, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(owner)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut target = guard::load_mut::<Pool>(program, target)?;
    let mut position = load_position(program, position, &pool, owner)?;
    if position.steering_shares != 0 {
        return Err(Error::AlreadyVoted);
    }
    let mut vote = Creation { program, payer: owner }.create::<Vote>(vote, &[seed::VOTE, &position.address])?;
    vote.position = position.address;
    vote.pool = pool.address;
    vote.target = target.address;
    vote.cast(&mut position, &mut pool, &mut target, args.shares, guard::slot()?)
}

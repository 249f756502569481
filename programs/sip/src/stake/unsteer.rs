//! Withdraws a vote.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::Unsteer,
    stake::{pool::Pool, position::Position, steering::Vote},
};

use crate::guard;

/// Implements [`Unsteer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let Unsteer {} = guard::args(data)?;
    let [owner, position, target, vote_view, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(owner)?;
    let mut position = guard::load_mut::<Position>(program, position)?;
    if position.owner != *guard::key(owner) {
        return Err(Error::NotAuthority);
    }
    let mut target = guard::load_mut::<Pool>(program, target)?;
    let mut vote = guard::load_mut::<Vote>(program, vote_view)?;
    guard::related(vote.position == position.address && vote.target == target.address)?;
    vote.withdraw(&mut position, &mut target, guard::slot()?)?;
    drop(vote);
    guard::close(vote_view, owner)
}

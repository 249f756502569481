//! Counts a vote at the present price of its shares.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::RefreshVote,
    stake::{pool::Pool, steering::Vote},
};

use crate::guard;

/// Implements [`RefreshVote`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let RefreshVote {} = guard::args(data)?;
    let [pool, target, vote, ..] = accounts else { return Err(Error::MissingAccount) };
    let pool = guard::load::<Pool>(program, pool)?;
    let mut target = guard::load_mut::<Pool>(program, target)?;
    let mut vote = guard::load_mut::<Vote>(program, vote)?;
    guard::related(vote.pool == pool.address && vote.target == target.address)?;
    vote.refresh(&pool, &mut target, guard::slot()?)
}

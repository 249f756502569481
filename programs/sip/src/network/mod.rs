//! Who is where: a file for each instruction, which loads and relates the accounts and applies the rule.

mod announce_peer;
mod close_peer;
mod reclaim_peer;

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result, ground::declare::Args, instructions::*, network::peer::Peer, stake::pool::Pool,
    training::job::Job,
};

use crate::guard;

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        AnnouncePeer::TAG => announce_peer::process(program, accounts, data),
        ClosePeer::TAG => close_peer::process(program, accounts, data),
        ReclaimPeer::TAG => reclaim_peer::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

/// In whose name a record is written.
#[derive(PartialEq, Eq)]
enum Announcer {
    /// A pool's operator, or its session key.
    Worker,
    /// A job's creator.
    Creator,
    /// The key that a job's record names.
    Writer,
}

/// In whose name a wallet, which has signed, writes a subject's record; `record` is there if it was written before.
#[inline(never)]
fn announcer(
    program: &Address,
    wallet: &AccountView,
    subject: &AccountView,
    record: Option<&Peer>,
    slot: u64,
) -> Result<Announcer> {
    let wallet = guard::key(wallet);
    if guard::kind(subject)? == AccountKind::Pool as u8 {
        guard::load::<Pool>(program, subject)?.require_worker(wallet, slot)?;
        return Ok(Announcer::Worker);
    }
    if guard::load::<Job>(program, subject)?.creator == *wallet {
        return Ok(Announcer::Creator);
    }
    // Nobody signs for the address of zeros.
    if record.is_some_and(|record| record.writer == *wallet) { Ok(Announcer::Writer) } else { Err(Error::NotAuthority) }
}

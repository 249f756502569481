//! Undoes a round that builds on one that was undone.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::UndoRound,
    training::{
        job::Job,
        round::{self, Round},
    },
};

use crate::guard::{self, Syscall};

/// Implements [`UndoRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let UndoRound {} = guard::args(data)?;
    let [job, round, parent, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    // Asked for only where it counts.
    let slot = if round.status == round::AGGREGATED { guard::slot()? } else { 0 };
    if !round.inherits() {
        return round.undo_orphan::<Syscall>(&mut job, None, slot);
    }
    let mut parent = guard::load_mut::<Round>(program, parent)?;
    guard::related(parent.job == job.address && parent.index == round.parent)?;
    round.undo_orphan::<Syscall>(&mut job, Some(&mut parent), slot)
}

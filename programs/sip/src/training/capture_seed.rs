//! Settles the next round's seed.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::CaptureSeed,
    training::{job::Job, round::Round},
};

use crate::guard::{self, SLOT_HASHES, Syscall};

/// Implements [`CaptureSeed`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CaptureSeed {} = guard::args(data)?;
    let [job, round, slot_hashes, ..] = accounts else { return Err(Error::MissingAccount) };
    if *slot_hashes.address() != SLOT_HASHES {
        return Err(Error::WrongAddress);
    }
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    let window = slot_hashes.try_borrow().map_err(|_| Error::DuplicateAccount)?;
    round.capture_seed::<Syscall>(&mut job, &window, guard::slot()?)
}

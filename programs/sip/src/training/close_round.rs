//! Freezes which segments of a round count.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::CloseRound,
    training::{audit::Closing, job::Job, round::Round, segment::Segment},
};

use crate::guard::{self, Syscall};

/// Implements [`CloseRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseRound {} = guard::args(data)?;
    let [job, round, segments @ ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    let round_address = round.address;
    let mut closing = Closing::begin(&round_address, &mut round, &mut job, guard::slot()?)?;
    for segment in segments {
        let mut segment = guard::load_mut::<Segment>(program, segment)?;
        let address = segment.address;
        closing.segment::<Syscall>(&address, &mut segment)?;
    }
    closing.finish::<Syscall>()
}

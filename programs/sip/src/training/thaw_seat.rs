//! Lets the slices of an auditor or an evaluator in a round that came to nothing stand behind other claims as well.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::ThawSeat, stake::pool::Pool, training::round::Round};

use crate::guard;

/// Implements [`ThawSeat`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: ThawSeat = guard::args(data)?;
    let [round, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let address = pool.address;
    round.thaw_seat(args.place, &address, &mut pool)
}

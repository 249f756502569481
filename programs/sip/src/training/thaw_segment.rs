//! Lets a slice behind a segment of a round that came to nothing stand behind another claim as well.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    instructions::ThawSegment,
    stake::pool::Pool,
    training::{round::Round, segment::Segment},
};

use crate::guard;

/// Implements [`ThawSegment`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ThawSegment {} = guard::args(data)?;
    let [round, segment, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    let round = guard::load::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(segment.round == round.address && segment.pool == pool.address)?;
    round.thaw_segment(&mut segment, &mut pool)
}

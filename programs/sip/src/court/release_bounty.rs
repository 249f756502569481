//! Insures a bounty that nobody can have any more.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::ReleaseBounty,
    training::{round::Round, segment::Segment},
};

use crate::guard;

/// Implements [`ReleaseBounty`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReleaseBounty {} = guard::args(data)?;
    let [config, round, segment, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut config = guard::load_mut::<Config>(program, config)?;
    let round = guard::load::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    guard::related(segment.round == round.address)?;
    let bounty = segment.release_bounty(&round, guard::slot()?)?;
    config.insure(bounty)
}

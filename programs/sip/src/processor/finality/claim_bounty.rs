//! Pays the bounty of a conviction.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result, config::Config, evaluation::ScoringRun, finality::instruction::ClaimBounty, job::Job,
    pool::Pool, segment::Segment,
};

use crate::{guard, token::Vault};

/// Implements [`ClaimBounty`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimBounty {} = guard::args(data)?;
    let [config_view, holder, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config = guard::load::<Config>(program, config_view)?;
    let slot = guard::slot()?;
    let (challenger, amount) = match guard::kind(holder)? {
        kind if kind == AccountKind::Pool as u8 => guard::load_mut::<Pool>(program, holder)?.claim_bounty(slot)?,
        kind if kind == AccountKind::Job as u8 => guard::load_mut::<Job>(program, holder)?.claim_bounty(slot)?,
        kind if kind == AccountKind::ScoringRun as u8 => {
            guard::load_mut::<ScoringRun>(program, holder)?.claim_bounty(slot)?
        }
        _ => guard::load_mut::<Segment>(program, holder)?.claim_bounty(slot)?,
    };
    Vault::new(&config, config_view, vault, token_program)?.pay_to(&challenger, destination, amount)
}

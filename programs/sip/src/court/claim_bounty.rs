//! Pays the bounty of a conviction.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result,
    admin::config::Config,
    ground::case::CaseKind,
    instructions::ClaimBounty,
    training::{evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};

use crate::{guard, token::Vault};

/// Implements [`ClaimBounty`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimBounty { place, case } = guard::args(data)?;
    let [config_view, holder, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config = guard::load::<Config>(program, config_view)?;
    let slot = guard::slot()?;
    let kind = guard::kind(holder)?;
    if kind != AccountKind::Round as u8 && (place, case) != (0, 0) {
        return Err(Error::WrongPlace);
    }
    let (challenger, amount) = match kind {
        kind if kind == AccountKind::Round as u8 => {
            let case = CaseKind::from_number(case as u32).ok_or(Error::WrongCase)?;
            guard::load_mut::<Round>(program, holder)?.claim_bounty(place, case, slot)?
        }
        kind if kind == AccountKind::Job as u8 => guard::load_mut::<Job>(program, holder)?.claim_bounty(slot)?,
        kind if kind == AccountKind::ScoringRun as u8 => {
            guard::load_mut::<ScoringRun>(program, holder)?.claim_bounty(slot)?
        }
        _ => guard::load_mut::<Segment>(program, holder)?.claim_bounty(slot)?,
    };
    Vault::new(&config, config_view, vault, token_program)?.pay_to(&challenger, destination, amount)
}

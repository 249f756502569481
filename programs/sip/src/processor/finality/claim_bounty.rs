//! Pays the bounty of a convicted segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, config::Config, finality::instruction::ClaimBounty, segment::Segment};

use crate::{guard, token::Vault};

/// Implements [`ClaimBounty`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClaimBounty {} = guard::args(data)?;
    let [config_view, segment, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config = guard::load::<Config>(program, config_view)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let amount = segment.claim_bounty(guard::slot()?)?;
    let vault = Vault::new(&config, config_view, vault, token_program)?;
    vault.pay_to(&segment.bounty_challenger, destination, amount)
}

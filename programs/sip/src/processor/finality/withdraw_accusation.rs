//! Takes an accusation back that has nothing left to accuse.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    config::Config,
    finality::{
        accusation::{Accusation, Reveal},
        instruction::WithdrawAccusation,
    },
    segment::Segment,
};

use crate::{
    guard::{self, Syscall},
    token::Vault,
};

/// Implements [`WithdrawAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: WithdrawAccusation = guard::args(data)?;
    let [challenger, config_view, accusation_view, segment, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut accusation = guard::load_mut::<Accusation>(program, accusation_view)?;
    let segment = guard::load::<Segment>(program, segment)?;
    let amount = accusation.withdraw::<Syscall>(&Reveal {
        segment_address: &segment.address,
        segment: &segment,
        challenger: guard::key(challenger),
        salt: &args.salt,
    })?;
    drop(accusation);
    let vault = Vault::new(&config, config_view, vault, token_program)?;
    vault.pay_to(guard::key(challenger), destination, amount)?;
    guard::close(accusation_view, challenger)
}

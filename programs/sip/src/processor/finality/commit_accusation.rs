//! Commits an accusation.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    account::seed,
    config::Config,
    finality::{accusation::Accusation, instruction::CommitAccusation},
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CommitAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CommitAccusation = guard::args(data)?;
    let [challenger, config_view, accusation, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let seeds: [&[u8]; 3] = [seed::ACCUSATION, guard::key(challenger), &args.hash];
    let mut accusation = Creation { program, payer: challenger }.create::<Accusation>(accusation, &seeds)?;
    accusation.commit(guard::key(challenger), &args.hash, &config.parameters, guard::slot()?);
    Vault::new(&config, config_view, vault, token_program)?.deposit(challenger, source, accusation.bond)
}

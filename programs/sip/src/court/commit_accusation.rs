//! Commits an accusation.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::accusation::{Accusation, Commitment},
    ground::account::seed,
    instructions::CommitAccusation,
    training::job::Job,
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CommitAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CommitAccusation = guard::args(data)?;
    let [challenger, config_view, job, accusation, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let seeds: [&[u8]; 3] = [seed::ACCUSATION, guard::key(challenger), &args.hash];
    let mut accusation = Creation { program, payer: challenger }.create::<Accusation>(accusation, &seeds)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let (job_address, parameters) = (job.address, job.parameters);
    let commitment = Commitment {
        challenger: guard::key(challenger),
        hash: &args.hash,
        job_address: &job_address,
        parameters: &parameters,
        slot: guard::slot()?,
    };
    accusation.commit(&commitment, &mut job)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(challenger, source, accusation.bond)
}

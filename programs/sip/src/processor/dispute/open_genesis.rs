//! Accuses a job's genesis state.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    account::seed,
    config::Config,
    dispute::{Accuser, Dispute, instruction::OpenGenesisDispute},
    job::Job,
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`OpenGenesisDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let OpenGenesisDispute {} = guard::args(data)?;
    let [challenger, config_view, job, dispute, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let job_address = job.address;
    let seeds: [&[u8]; 3] = [seed::DISPUTE, &job_address, guard::key(challenger)];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let accuser = Accuser { wallet: guard::key(challenger), parameters: &config.parameters, slot: guard::slot()? };
    dispute.open_genesis(&accuser, &job_address, &mut job)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(challenger, source, dispute.bond)
}

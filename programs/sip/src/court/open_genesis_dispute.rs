//! Accuses a job's genesis state.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::{Accuser, Dispute, accusation::Claim},
    ground::account::seed,
    instructions::OpenGenesisDispute,
    training::job::Job,
};

use super::Opening;
use crate::guard::{self, Creation};

/// Implements [`OpenGenesisDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: OpenGenesisDispute = guard::args(data)?;
    let [challenger, job, dispute, accusation, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let job_address = job.address;
    let slot = guard::slot()?;
    let opening = Opening { program, job: &job_address, challenger: guard::key(challenger), salt: &args.salt, slot };
    let revealed = opening.reveal(accusation, &Claim::of_genesis(&job_address, &job))?;
    let seeds: [&[u8]; 3] = [seed::DISPUTE, &job_address, guard::key(challenger)];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let accuser = Accuser { wallet: guard::key(challenger), accusation: revealed, slot };
    dispute.open_genesis(&accuser, &job_address, &mut job)?;
    guard::close(accusation, challenger)
}

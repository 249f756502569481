//! Closes a resolved dispute.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    dispute::{Dispute, instruction::CloseDispute},
    finality::closing::Rest,
    job::Job,
};

use crate::guard;

/// Implements [`CloseDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDispute {} = guard::args(data)?;
    let [payer, dispute_view, job, ..] = accounts else { return Err(Error::MissingAccount) };
    let job = guard::load::<Job>(program, job)?;
    {
        let dispute = guard::load::<Dispute>(program, dispute_view)?;
        guard::related(dispute.job == job.address)?;
        let rest = Rest::of(&job, guard::slot()?);
        dispute.require_closable(guard::key(payer), payer.is_signer(), &rest)?;
    }
    guard::close(dispute_view, payer)
}

//! Closes a resolved dispute.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::Dispute,
    instructions::CloseDispute,
    training::{closing::Rest, job::Job},
};

use crate::guard;

/// Implements [`CloseDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let CloseDispute {} = guard::args(data)?;
    let [payer, dispute_view, rest @ ..] = accounts else { return Err(Error::MissingAccount) };
    {
        let dispute = guard::load::<Dispute>(program, dispute_view)?;
        if payer.is_signer() {
            dispute.require_closable(guard::key(payer))?;
        } else {
            let job = guard::load::<Job>(program, rest.first().ok_or(Error::MissingSigner)?)?;
            guard::related(dispute.job == job.address)?;
            dispute.require_old(guard::key(payer), &Rest::of(&job, guard::slot()?))?;
        }
    }
    guard::close(dispute_view, payer)
}

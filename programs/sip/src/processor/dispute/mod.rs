//! Disputes: thin guards around the game in `sip_protocol::court`.

mod close;
mod open;
mod open_attestation;
mod open_genesis;
mod open_run;
mod open_vote;
mod play;
mod resolve;
mod resolve_auditor;
mod resolve_genesis;
mod resolve_run;
mod timeout;
mod upload;

use pinocchio::{AccountView, Address};
use sip_protocol::court::accusation::{Accusation, Claim, Reveal, Revealed};
use sip_protocol::{
    Error, Result,
    ground::declare::Args,
    training::{data::Dataset, job::Job},
};
use sip_protocol::{
    court::{Dispute, Payout},
    instructions::*,
};

use crate::guard::{Syscall, args_and_bytes};
use crate::{guard, token::Vault};

/// Executes one instruction of a dispute.
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        OpenDispute::TAG => open::process(program, accounts, data),
        Upload::TAG => upload::process(program, accounts, data),
        PlayMove::TAG => play::process(program, accounts, data),
        TimeOut::TAG => timeout::process(program, accounts, data),
        ResolveDispute::TAG => resolve::process(program, accounts, data),
        CloseDispute::TAG => close::process(program, accounts, data),
        OpenVoteDispute::TAG => open_vote::process(program, accounts, data),
        OpenAttestationDispute::TAG => open_attestation::process(program, accounts, data),
        OpenGenesisDispute::TAG => open_genesis::process(program, accounts, data),
        ResolveAuditorDispute::TAG => resolve_auditor::process(program, accounts, data),
        ResolveGenesisDispute::TAG => resolve_genesis::process(program, accounts, data),
        OpenRunDispute::TAG => open_run::process(program, accounts, data),
        ResolveRunDispute::TAG => resolve_run::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

/// Who opens an accusation, and how.
struct Opening<'a> {
    program: &'a Address,
    job: &'a [u8; 32],
    challenger: &'a [u8; 32],
    salt: &'a [u8; 32],
    slot: u64,
}

impl Opening<'_> {
    /// Opens the accusation of a claim; the caller closes its account.
    #[inline(never)]
    fn reveal(&self, accusation: &mut AccountView, claim: &Claim) -> Result<Revealed> {
        let mut accusation = guard::load_mut::<Accusation>(self.program, accusation)?;
        let reveal = Reveal { claim, job: self.job, challenger: self.challenger, salt: self.salt };
        accusation.reveal::<Syscall>(&reveal, self.slot)
    }
}

/// Notes a job's datasets, all of them in order.
#[inline(always)]
fn set_datasets(program: &Address, dispute: &mut Dispute, job: &Job, datasets: &[AccountView]) -> Result<()> {
    for domain in 0..job.spec.domain_count as usize {
        let dataset = guard::load::<Dataset>(program, datasets.get(domain).ok_or(Error::MissingAccount)?)?;
        guard::related(job.datasets.get(domain) == Some(&dataset.address))?;
        dispute.set_dataset(domain, &dataset)?;
    }
    Ok(())
}

/// Moves the money of a verdict out of the vault.
#[inline(always)]
fn pay(
    vault: &Vault<'_>,
    payout: &Payout,
    challenger: &[u8; 32],
    destination: &AccountView,
    mint: &AccountView,
) -> Result<()> {
    vault.pay_to(challenger, destination, payout.to_challenger)?;
    if payout.burned > 0 {
        vault.burn(mint, payout.burned)?;
    }
    Ok(())
}

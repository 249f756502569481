//! Accusations, demands and disputes: a file for each instruction, which loads and relates the accounts, applies the rule, and moves the tokens.

mod answer_data;
mod answer_state;
mod claim_bounty;
mod close_demand;
mod close_dispute;
mod commit_accusation;
mod demand_data;
mod demand_state;
mod expire_accusation;
mod fail_data;
mod fail_state;
mod open_attestation_dispute;
mod open_dispute;
mod open_genesis_dispute;
mod open_run_dispute;
mod open_vote_dispute;
mod play_move;
mod release_bounty;
mod resolve_auditor_dispute;
mod resolve_dispute;
mod resolve_genesis_dispute;
mod resolve_run_dispute;
mod time_out;
mod upload;
mod upload_answer;
mod withdraw_accusation;

use pinocchio::{AccountView, Address};
use sip_protocol::court::accusation::{Accusation, Claim, Reveal, Revealed};
use sip_protocol::court::{Dispute, Payout, Side};
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::{data::Dataset, job::Job};
use sip_protocol::{Error, Result, ground::declare::Args, instructions::*};

use crate::guard::{Syscall, args_and_bytes};
use crate::{guard, token::Vault};

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        CommitAccusation::TAG => commit_accusation::process(program, accounts, data),
        WithdrawAccusation::TAG => withdraw_accusation::process(program, accounts, data),
        ExpireAccusation::TAG => expire_accusation::process(program, accounts, data),
        ClaimBounty::TAG => claim_bounty::process(program, accounts, data),
        ReleaseBounty::TAG => release_bounty::process(program, accounts, data),
        DemandState::TAG => demand_state::process(program, accounts, data),
        DemandData::TAG => demand_data::process(program, accounts, data),
        UploadAnswer::TAG => upload_answer::process(program, accounts, data),
        AnswerState::TAG => answer_state::process(program, accounts, data),
        AnswerData::TAG => answer_data::process(program, accounts, data),
        FailState::TAG => fail_state::process(program, accounts, data),
        FailData::TAG => fail_data::process(program, accounts, data),
        CloseDemand::TAG => close_demand::process(program, accounts, data),
        OpenDispute::TAG => open_dispute::process(program, accounts, data),
        OpenVoteDispute::TAG => open_vote_dispute::process(program, accounts, data),
        OpenAttestationDispute::TAG => open_attestation_dispute::process(program, accounts, data),
        OpenGenesisDispute::TAG => open_genesis_dispute::process(program, accounts, data),
        OpenRunDispute::TAG => open_run_dispute::process(program, accounts, data),
        Upload::TAG => upload::process(program, accounts, data),
        PlayMove::TAG => play_move::process(program, accounts, data),
        TimeOut::TAG => time_out::process(program, accounts, data),
        ResolveDispute::TAG => resolve_dispute::process(program, accounts, data),
        ResolveAuditorDispute::TAG => resolve_auditor_dispute::process(program, accounts, data),
        ResolveGenesisDispute::TAG => resolve_genesis_dispute::process(program, accounts, data),
        ResolveRunDispute::TAG => resolve_run_dispute::process(program, accounts, data),
        CloseDispute::TAG => close_dispute::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

/// The side that a wallet, which has signed, moves for: that of a party, or by the session key of the defendant's pool, which comes last then.
#[inline(always)]
fn side(program: &Address, dispute: &Dispute, party: &AccountView, pools: &[AccountView]) -> Result<Side> {
    let wallet = guard::key(party);
    match (dispute.side_of(wallet), pools) {
        (Err(Error::NotParty), [pool, ..]) => {
            let pool = guard::load::<Pool>(program, pool)?;
            dispute.side_of_worker(wallet, &pool.address, &pool, guard::slot()?)
        }
        (side, _) => side,
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

//! Accusations, finality, seeds, amendments and availability: thin guards around `sip_protocol::training::finality`.

mod amend_segment;
mod answer_data;
mod answer_state;
mod capture_seed;
mod claim_bounty;
mod close_demand;
mod commit_accusation;
mod demand_data;
mod demand_state;
mod expire_accusation;
mod fail_data;
mod fail_state;
mod finalize_round;
mod reclaim_claim;
mod reclaim_round;
mod release_bounty;
mod retire_dataset;
mod undo_round;
mod upload_answer;
mod withdraw_accusation;

use pinocchio::{AccountView, Address};
use sip_protocol::instructions::*;
use sip_protocol::{Error, Result, ground::declare::Args};

/// Executes one instruction of this room.
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        CommitAccusation::TAG => commit_accusation::process(program, accounts, data),
        WithdrawAccusation::TAG => withdraw_accusation::process(program, accounts, data),
        ExpireAccusation::TAG => expire_accusation::process(program, accounts, data),
        ClaimBounty::TAG => claim_bounty::process(program, accounts, data),
        FinalizeRound::TAG => finalize_round::process(program, accounts, data),
        UndoRound::TAG => undo_round::process(program, accounts, data),
        AmendSegment::TAG => amend_segment::process(program, accounts, data),
        DemandState::TAG => demand_state::process(program, accounts, data),
        DemandData::TAG => demand_data::process(program, accounts, data),
        UploadAnswer::TAG => upload_answer::process(program, accounts, data),
        AnswerState::TAG => answer_state::process(program, accounts, data),
        AnswerData::TAG => answer_data::process(program, accounts, data),
        FailState::TAG => fail_state::process(program, accounts, data),
        FailData::TAG => fail_data::process(program, accounts, data),
        CloseDemand::TAG => close_demand::process(program, accounts, data),
        CaptureSeed::TAG => capture_seed::process(program, accounts, data),
        RetireDataset::TAG => retire_dataset::process(program, accounts, data),
        ReleaseBounty::TAG => release_bounty::process(program, accounts, data),
        ReclaimClaim::TAG => reclaim_claim::process(program, accounts, data),
        ReclaimRound::TAG => reclaim_round::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

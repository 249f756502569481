//! Data, jobs, rounds, audits, scores and finality: a file for each instruction, which loads and relates the accounts, applies the rule, and moves the tokens.

mod allot_stake;
mod amend_segment;
mod attest;
mod attest_second;
mod capture_seed;
mod check_seat;
mod close_commits;
mod close_round;
mod commit_score;
mod commit_segment;
mod create_job;
mod describe_job;
mod finalize_round;
mod join_job;
mod leave_job;
mod open_round;
mod previous;
mod reclaim_claim;
mod reclaim_genesis_bond;
mod reclaim_round;
mod register_dataset;
mod retire_dataset;
mod reveal_attestation;
mod reveal_draw;
mod reveal_score;
mod tally;
mod thaw_seat;
mod thaw_segment;
mod undo_round;
mod void_round;
mod vote_base;
mod wake_seat;

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, ground::declare::Args, instructions::*};

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        RegisterDataset::TAG => register_dataset::process(program, accounts, data),
        RetireDataset::TAG => retire_dataset::process(program, accounts, data),
        CreateJob::TAG => create_job::process(program, accounts, data),
        DescribeJob::TAG => describe_job::process(program, accounts, data),
        ReclaimGenesisBond::TAG => reclaim_genesis_bond::process(program, accounts, data),
        JoinJob::TAG => join_job::process(program, accounts, data),
        WakeSeat::TAG => wake_seat::process(program, accounts, data),
        LeaveJob::TAG => leave_job::process(program, accounts, data),
        AllotStake::TAG => allot_stake::process(program, accounts, data),
        CheckSeat::TAG => check_seat::process(program, accounts, data),
        OpenRound::TAG => open_round::process(program, accounts, data),
        CommitSegment::TAG => commit_segment::process(program, accounts, data),
        AmendSegment::TAG => amend_segment::process(program, accounts, data),
        CloseCommits::TAG => close_commits::process(program, accounts, data),
        RevealDraw::TAG => reveal_draw::process(program, accounts, data),
        Attest::TAG => attest::process(program, accounts, data),
        CloseRound::TAG => close_round::process(program, accounts, data),
        VoidRound::TAG => void_round::process(program, accounts, data),
        RevealAttestation::TAG => reveal_attestation::process(program, accounts, data),
        VoteBase::TAG => vote_base::process(program, accounts, data),
        AttestSecond::TAG => attest_second::process(program, accounts, data),
        CommitScore::TAG => commit_score::process(program, accounts, data),
        RevealScore::TAG => reveal_score::process(program, accounts, data),
        Tally::TAG => tally::process(program, accounts, data),
        CaptureSeed::TAG => capture_seed::process(program, accounts, data),
        FinalizeRound::TAG => finalize_round::process(program, accounts, data),
        UndoRound::TAG => undo_round::process(program, accounts, data),
        ReclaimClaim::TAG => reclaim_claim::process(program, accounts, data),
        ReclaimRound::TAG => reclaim_round::process(program, accounts, data),
        ThawSegment::TAG => thaw_segment::process(program, accounts, data),
        ThawSeat::TAG => thaw_seat::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

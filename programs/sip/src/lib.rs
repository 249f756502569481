//! The Staked Intelligence Protocol on Solana: guards around the rules of `sip_protocol`.
//!
//! Threat model. Everything in a transaction is the caller's choice: accounts, their order, their owners, their data, what is signed,
//! what is passed twice, what was funded beforehand. So every account is checked before it is believed:
//!
//! - state: owned by this program, of the exact size, kind and version ([`guard::load`], [`guard::load_mut`]); such accounts
//!   exist only at the canonical addresses at which [`guard::Creation`] made them, so that an address needs no second derivation
//! - relations between accounts: by the addresses that they store, never by position
//! - exclusive use: a writable account is borrowed until the instruction ends; the same account twice is refused
//! - tokens: one vault, whose address the configuration stores; the exact SPL token program; balances are never read
//! - time: from the clock system call, never from an account; slot hashes from the sysvar's account at its one address
//!
//! Instructions and what each checks: `sip_protocol::instructions`.
#![no_std]

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use sip_protocol::{Error, instructions::*};

pub mod guard;
pub mod processor;
pub mod token;

pinocchio::program_entrypoint!(process);
pinocchio::no_allocator!();
#[cfg(target_arch = "bpf")]
pinocchio::nostd_panic_handler!();

/// Whom to tell of a weakness, where block explorers look for it: names and values that end with zero bytes between two marks, as the
/// `security.txt` standard for Solana programs has it. An empty instruction logs it, which also keeps the linker from dropping it.
const SECURITY: &[u8; 483] = b"=======BEGIN SECURITY.TXT V1=======\0\
name\0Staked Intelligence Protocol\0\
project_url\0see the Cargo.toml of the source\0\
contacts\0other:see SECURITY.md of the source repository\0\
policy\0Tell the maintainers privately before you publish; there is no deployment with real money and no reward. \
SECURITY.md of the source repository has the whole policy.\0\
preferred_languages\0en\0\
source_code\0built byte for byte from the source by programs/sip/build\0\
auditors\0None\0\
=======END SECURITY.TXT V1=======\0";

/// Executes one instruction.
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    match dispatch(program, accounts, data) {
        Ok(()) => Ok(()),
        Err(error) => Err(ProgramError::Custom(error.code())),
    }
}

fn dispatch(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> sip_protocol::Result<()> {
    use processor::*;
    let Some((&tag, data)) = data.split_first() else {
        guard::log(SECURITY);
        return Err(Error::UnknownInstruction);
    };
    match tag {
        Initialize::TAG => config::initialize::process(program, accounts, data),
        ProposeParameters::TAG => config::propose_parameters::process(program, accounts, data),
        Distribute::TAG => config::distribute::process(program, accounts, data),
        CreatePool::TAG => stake::create_pool::process(program, accounts, data),
        CreateAttentionPool::TAG => stake::create_attention_pool::process(program, accounts, data),
        AddBond::TAG => stake::add_bond::process(program, accounts, data),
        RetirePool::TAG => stake::retire_pool::process(program, accounts, data),
        WithdrawBond::TAG => stake::withdraw_bond::process(program, accounts, data),
        Deposit::TAG => stake::deposit::process(program, accounts, data),
        RequestExit::TAG => stake::request_exit::process(program, accounts, data),
        ClaimExit::TAG => stake::claim_exit::process(program, accounts, data),
        ClaimRewards::TAG => stake::claim_rewards::process(program, accounts, data),
        ClaimCommission::TAG => stake::claim_commission::process(program, accounts, data),
        MoveAttention::TAG => stake::move_attention::process(program, accounts, data),
        RegisterDataset::TAG => data::register_dataset::process(program, accounts, data),
        CreateJob::TAG => job::create_job::process(program, accounts, data),
        AllotStake::TAG => job::allot_stake::process(program, accounts, data),
        LeaveJob::TAG => job::leave_job::process(program, accounts, data),
        CheckSeat::TAG => job::check_seat::process(program, accounts, data),
        JoinJob::TAG => job::join_job::process(program, accounts, data),
        OpenRound::TAG => round::open_round::process(program, accounts, data),
        CommitSegment::TAG => round::commit_segment::process(program, accounts, data),
        CloseCommits::TAG => round::close_commits::process(program, accounts, data),
        RevealDraw::TAG => audit::reveal_draw::process(program, accounts, data),
        Attest::TAG => audit::attest::process(program, accounts, data),
        CloseRound::TAG => round::close_round::process(program, accounts, data),
        VoteBase::TAG => audit::vote_base::process(program, accounts, data),
        VoidRound::TAG => round::void_round::process(program, accounts, data),
        CommitScore::TAG => evaluation::commit_score::process(program, accounts, data),
        RevealScore::TAG => evaluation::reveal_score::process(program, accounts, data),
        Tally::TAG => evaluation::tally::process(program, accounts, data),
        SettleSegment::TAG => settlement::settle_segment::process(program, accounts, data),
        SettleAbsent::TAG => settlement::settle_absent::process(program, accounts, data),
        SettleAudit::TAG => settlement::settle_audit::process(program, accounts, data),
        SettleEvaluation::TAG => settlement::settle_evaluation::process(program, accounts, data),
        SettleData::TAG => settlement::settle_data::process(program, accounts, data),
        SettlePatrons::TAG => settlement::settle_patrons::process(program, accounts, data),
        ProposeSpending::TAG => config::propose_spending::process(program, accounts, data),
        ApplyParameters::TAG => config::apply_parameters::process(program, accounts, data),
        ApplySpending::TAG => config::apply_spending::process(program, accounts, data),
        CancelProposal::TAG => config::cancel_proposal::process(program, accounts, data),
        NominateAuthority::TAG => config::nominate_authority::process(program, accounts, data),
        AcceptAuthority::TAG => config::accept_authority::process(program, accounts, data),
        Pause::TAG => config::pause::process(program, accounts, data),
        Unpause::TAG => config::unpause::process(program, accounts, data),
        ClaimVested::TAG => config::claim_vested::process(program, accounts, data),
        Rebond::TAG => stake::rebond::process(program, accounts, data),
        Activate::TAG => stake::activate::process(program, accounts, data),
        CancelDeposit::TAG => stake::cancel_deposit::process(program, accounts, data),
        TurnEpoch::TAG => money::turn_epoch::process(program, accounts, data),
        SettleYield::TAG => money::settle_yield::process(program, accounts, data),
        ProposeSchedule::TAG => config::propose_schedule::process(program, accounts, data),
        ApplySchedule::TAG => config::apply_schedule::process(program, accounts, data),
        CreateModelPool::TAG => stake::create_model_pool::process(program, accounts, data),
        PayFee::TAG => money::pay_fee::process(program, accounts, data),
        SettleFees::TAG => money::settle_fees::process(program, accounts, data),
        TokenizeShares::TAG => stake::tokenize_shares::process(program, accounts, data),
        DetokenizeShares::TAG => stake::detokenize_shares::process(program, accounts, data),
        LockShares::TAG => stake::lock_shares::process(program, accounts, data),
        Steer::TAG => stake::steer::process(program, accounts, data),
        Unsteer::TAG => stake::unsteer::process(program, accounts, data),
        RefreshVote::TAG => stake::refresh_vote::process(program, accounts, data),
        MigrateAccount::TAG => money::migrate_account::process(program, accounts, data),
        OpenShareMint::TAG => stake::open_share_mint::process(program, accounts, data),
        RevealAttestation::TAG => audit::reveal_attestation::process(program, accounts, data),
        ReclaimGenesisBond::TAG => job::reclaim_genesis_bond::process(program, accounts, data),
        AttestSecond::TAG => audit::attest_second::process(program, accounts, data),
        BurnCondemned::TAG => money::burn_condemned::process(program, accounts, data),
        64..=79 => dispute::process(tag, program, accounts, data),
        80..=99 => finality::process(tag, program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

//! Pools, positions, exits, locks, steering and liquid shares: a file for each instruction, which loads and relates the accounts, applies the rule, and moves the tokens.

mod activate;
mod add_bond;
mod cancel_deposit;
mod claim_commission;
mod claim_exit;
mod claim_rewards;
mod create_attention_pool;
mod create_model_pool;
mod create_pool;
mod deposit;
mod detokenize_shares;
mod lock_shares;
mod move_attention;
mod open_share_mint;
mod rebond;
mod refresh_vote;
mod request_exit;
mod retire_pool;
mod set_session;
mod steer;
mod tokenize_shares;
mod unsteer;
mod withdraw_bond;

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, ground::declare::Args, instructions::*};
use sip_protocol::{
    ground::account::seed,
    money::epoch::EmissionAccount,
    stake::{pool::Pool, position::Position},
};

use crate::guard::{self, Creation, LoadedMut};

/// Executes an instruction of this room.
#[inline(always)]
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        CreatePool::TAG => create_pool::process(program, accounts, data),
        CreateAttentionPool::TAG => create_attention_pool::process(program, accounts, data),
        CreateModelPool::TAG => create_model_pool::process(program, accounts, data),
        AddBond::TAG => add_bond::process(program, accounts, data),
        RetirePool::TAG => retire_pool::process(program, accounts, data),
        WithdrawBond::TAG => withdraw_bond::process(program, accounts, data),
        SetSession::TAG => set_session::process(program, accounts, data),
        Deposit::TAG => deposit::process(program, accounts, data),
        Activate::TAG => activate::process(program, accounts, data),
        CancelDeposit::TAG => cancel_deposit::process(program, accounts, data),
        RequestExit::TAG => request_exit::process(program, accounts, data),
        ClaimExit::TAG => claim_exit::process(program, accounts, data),
        Rebond::TAG => rebond::process(program, accounts, data),
        ClaimRewards::TAG => claim_rewards::process(program, accounts, data),
        ClaimCommission::TAG => claim_commission::process(program, accounts, data),
        MoveAttention::TAG => move_attention::process(program, accounts, data),
        LockShares::TAG => lock_shares::process(program, accounts, data),
        Steer::TAG => steer::process(program, accounts, data),
        Unsteer::TAG => unsteer::process(program, accounts, data),
        RefreshVote::TAG => refresh_vote::process(program, accounts, data),
        OpenShareMint::TAG => open_share_mint::process(program, accounts, data),
        TokenizeShares::TAG => tokenize_shares::process(program, accounts, data),
        DetokenizeShares::TAG => detokenize_shares::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

/// Counts at once what a pool has left for the yield after stake has left it, so that no token counts in two pools. It is what anyone may do with
/// `SettleYield` at any time, also under a pause: the account of the emission exists since the initialisation, and nothing in it can refuse.
#[inline(never)]
fn count(program: &Address, emission: &mut AccountView, pool: &mut Pool, slot: u64) -> Result<()> {
    guard::load_mut::<EmissionAccount>(program, emission)?.emission.settle_pool(pool, slot)?;
    Ok(())
}

/// The position of `owner`, who has signed, in a pool.
#[inline(always)]
fn load_position<'a>(
    program: &Address,
    position: &'a mut AccountView,
    pool: &LoadedMut<Pool>,
    owner: &AccountView,
) -> Result<LoadedMut<'a, Position>> {
    let position = guard::load_mut::<Position>(program, position)?;
    guard::related(position.pool == pool.address)?;
    if position.owner != *guard::key(owner) {
        return Err(Error::NotAuthority);
    }
    Ok(position)
}

/// The position of the payer in a pool, created if it is missing.
#[inline(always)]
fn open_position<'a>(
    creation: &Creation,
    position: &'a mut AccountView,
    pool: &LoadedMut<Pool>,
) -> Result<LoadedMut<'a, Position>> {
    if !position.owned_by(&pinocchio_system::ID) {
        return load_position(creation.program, position, pool, creation.payer);
    }
    let owner = guard::key(creation.payer);
    let mut position = creation.create::<Position>(position, &[seed::POSITION, &pool.address, owner])?;
    position.initialise(&pool.address, pool, owner);
    Ok(position)
}

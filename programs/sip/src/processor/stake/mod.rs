//! Stake: pools, positions, exits, earnings, attention.

pub mod activate;
pub mod add_bond;
pub mod cancel_deposit;
pub mod claim_commission;
pub mod claim_exit;
pub mod claim_rewards;
pub mod create_attention_pool;
pub mod create_model_pool;
pub mod create_pool;
pub mod deposit;
pub mod detokenize_shares;
pub mod lock_shares;
pub mod move_attention;
pub mod open_share_mint;
pub mod rebond;
pub mod refresh_vote;
pub mod request_exit;
pub mod retire_pool;
pub mod steer;
pub mod tokenize_shares;
pub mod unsteer;
pub mod withdraw_bond;

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    stake::{pool::Pool, position::Position},
};

use crate::guard::{self, Creation, LoadedMut};

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

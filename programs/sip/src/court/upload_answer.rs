//! Collects a large answer.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::availability::{Demand, Part},
    instructions::UploadAnswer,
    stake::pool::Pool,
};

use crate::guard;

/// Implements [`UploadAnswer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = guard::args_and_bytes::<UploadAnswer>(data)?;
    let [sender, demand, pool, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(sender)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(demand.pool == pool.address)?;
    let part = Part { sender: guard::key(sender), offset: args.offset, bytes, slot: guard::slot()? };
    demand.upload(&part, &pool)
}

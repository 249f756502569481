//! Collects a large answer.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::availability::{Demand, Part},
    instructions::UploadAnswer,
};

use crate::guard;

/// Implements [`UploadAnswer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = guard::args_and_bytes::<UploadAnswer>(data)?;
    let [sender, demand, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(sender)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    demand.upload(&Part { sender: guard::key(sender), offset: args.offset, bytes, slot: guard::slot()? })
}

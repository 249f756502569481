//! Collects a large payload.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, court::Dispute, instructions::Upload};

use super::args_and_bytes;
use crate::guard;

/// Implements [`Upload`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = args_and_bytes::<Upload>(data)?;
    let [party, dispute, pools @ ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(party)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    let side = super::side(program, &dispute, party, pools)?;
    dispute.upload(side, u16::from_le_bytes(args.offset).into(), bytes)
}

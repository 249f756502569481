//! Plays a move.

use pinocchio::{AccountView, Address};
use sip_arith::Soft;
use sip_protocol::{
    Error, Result,
    court::{Dispute, MoveKind, Play},
    instructions::PlayMove,
};

use super::args_and_bytes;
use crate::guard::{self, Syscall};

/// Implements [`PlayMove`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = args_and_bytes::<PlayMove>(data)?;
    let [party, dispute, pools @ ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(party)?;
    let mut dispute = guard::load_mut::<Dispute>(program, dispute)?;
    // To concede is no work: a thief of a session key would give a bond away by one move.
    let pools = if args.kind == MoveKind::Concede as u8 { &mut [] } else { pools };
    let side = super::side(program, &dispute, party, pools)?;
    let offset = u16::from_le_bytes(args.offset).into();
    dispute.play::<Syscall, Soft>(&Play { side, kind: args.kind.into(), offset, bytes, slot: guard::slot()? })
}

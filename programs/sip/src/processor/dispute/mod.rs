//! Disputes: thin guards around the game in `sip_protocol::dispute`.

mod close;
mod open;
mod play;
mod resolve;
mod timeout;
mod upload;

use pinocchio::{AccountView, Address};
use sip_protocol::dispute::instruction::*;
use sip_protocol::{Error, Result, instruction::Args};

use crate::guard::args_and_bytes;

/// Executes one instruction of a dispute.
pub fn process(tag: u8, program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    match tag {
        OpenDispute::TAG => open::process(program, accounts, data),
        Upload::TAG => upload::process(program, accounts, data),
        PlayMove::TAG => play::process(program, accounts, data),
        TimeOut::TAG => timeout::process(program, accounts, data),
        ResolveDispute::TAG => resolve::process(program, accounts, data),
        CloseDispute::TAG => close::process(program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

//! The Staked Intelligence Protocol on Solana: guards around the rules of `sip_protocol`.
//!
//! Threat model. Everything in a transaction is the caller's choice: accounts, their order, their owners, their data, what is signed,
//! what is passed twice, what was funded beforehand. So every account is checked before it is believed:
//!
//! - state: owned by this program, of the exact size, kind and version ([`guard::load`], [`guard::load_mut`]); such accounts
//!   exist only at the canonical addresses at which [`guard::Creation`] made them, so that an address needs no second derivation
//! - relations between accounts: by the addresses that they store, never by position
//! - exclusive use: a writable account is borrowed until the instruction ends; the same account twice is refused
//! - tokens: one vault, whose address the configuration stores; the SPL token program or Token-2022, whichever owns the mint; a
//!   transfer is believed if the vault's balance changed by its amount
//! - time: from the clock system call, never from an account; slot hashes from the sysvar's account at its one address
//!
//! Instructions and what each checks: `sip_protocol::instructions`.
#![no_std]

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use sip_protocol::Error;

mod admin;
mod court;
pub mod guard;
mod money;
mod network;
mod stake;
pub mod token;
mod training;

pinocchio::program_entrypoint!(process);
pinocchio::no_allocator!();
#[cfg(target_arch = "bpf")]
pinocchio::nostd_panic_handler!();

/// Whom to inform about a weakness, where block explorers look for it: names and values that end with zero bytes between two marks, as the
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
    let Some((&tag, data)) = data.split_first() else {
        guard::log(SECURITY);
        return Err(Error::UnknownInstruction);
    };
    match tag {
        0x00..=0x1F => stake::process(tag, program, accounts, data),
        0x20..=0x3F => admin::process(tag, program, accounts, data),
        0x40..=0x5F => training::process(tag, program, accounts, data),
        0x60..=0x7F => court::process(tag, program, accounts, data),
        0x80..=0x9F => money::process(tag, program, accounts, data),
        0xA0..=0xBF => network::process(tag, program, accounts, data),
        _ => Err(Error::UnknownInstruction),
    }
}

//! How an instruction is put together.

use sip_protocol::instructions::Args;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::Program;

/// An instruction of the program: its tag, its arguments, its accounts.
pub fn build<A: Args>(program: &Program, args: &A, accounts: Vec<AccountMeta>) -> Instruction {
    let mut data = vec![A::TAG];
    data.extend_from_slice(bytemuck::bytes_of(args));
    Instruction { program_id: program.id, accounts, data }
}

/// Signs and pays.
pub(crate) fn payer(address: &Address) -> AccountMeta {
    AccountMeta::new(*address, true)
}

/// Signs.
pub(crate) fn signer(address: &Address) -> AccountMeta {
    AccountMeta::new_readonly(*address, true)
}

/// Changes.
pub(crate) fn writable(address: Address) -> AccountMeta {
    AccountMeta::new(address, false)
}

/// Is read.
pub(crate) fn readable(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}

/// A participant of a round: who signs, with which pool, in which place of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The wallet that operates the pool.
    pub operator: Address,
    /// The pool.
    pub pool: Address,
    /// Its place in the job.
    pub place: u8,
}

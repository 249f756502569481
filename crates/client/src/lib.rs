//! What a program needs to speak to the protocol: addresses, instruction builders, decoders.
//!
//! [`Program`] is a deployment of the on-chain program. Its methods give the address of every account and build every instruction;
//! accounts that follow from others (configuration, vault, positions, token accounts) are derived, not asked for. Accounts
//! are decoded by [`sip_protocol::Account::decode`]; [`liabilities`] adds up what a set of accounts says that the vault owes.

mod address;
mod admin;
mod archive;
mod build;
mod court;
mod money;
mod network;
mod stake;
mod state;
mod token;
mod training;

pub use address::{
    ASSOCIATED_TOKEN_PROGRAM, PROGRAM_ID, Program, SLOT_HASHES, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM,
};
pub use archive::{HistoryError, check_history};
pub use build::{Accounts, Closer, Seat, Seed, accounts};
pub use court::{
    Accusation, AttestationAccusation, GenesisAccusation, Hidden, MOVE_PART_BYTES, Party, StateDemand, UpdateGraph,
    VoteAccusation, after_move,
};
pub use money::Service;
pub use sip_protocol::instructions::name as instruction_name;
pub use stake::{NewModel, NewPool};
pub use state::{kind_of, liabilities, refusal};

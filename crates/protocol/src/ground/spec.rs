//! What the declarations say, as data: for documents, tables, other languages and tests.
//!
//! [`crate::ground::declare`] makes these out of the tables of the rooms; [`crate::instructions::all`] gives them all.

use super::account::{AccountKind, Derivation, derivation};
use super::layout::Layout;

/// One instruction.
#[derive(Clone, Copy, Debug)]
pub struct InstructionSpec {
    /// The first byte of its data.
    pub tag: u8,
    /// Its name.
    pub name: &'static str,
    /// Its prose: what it does, then what is checked and what changes.
    pub docs: &'static [&'static str],
    /// Its arguments, which follow the tag.
    pub arguments: &'static Layout,
    /// The name of the bytes of any length that follow the arguments, if there may be any.
    pub tail: Option<&'static str>,
    /// Its accounts in order.
    pub accounts: &'static [AccountSpec],
    /// What it may cost.
    pub budgets: &'static [Budget],
}

/// Most compute units of an instruction in some case.
///
/// Budgets are what was measured and 15 %, rounded up; where an address is derived, they leave room for the three or four
/// bumps, of 1 500 units each, that another address may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Which case, empty for the usual one.
    pub case: &'static str,
    /// Compute units.
    pub compute_units: u32,
}

impl InstructionSpec {
    /// The declaration of the account in a place of the instruction, and where it stands among the declarations: the last one is of all
    /// places after it, where there may be many.
    pub fn account(&self, place: usize) -> Option<(usize, &'static AccountSpec)> {
        let last = self.accounts.len().checked_sub(1)?;
        let number = if self.accounts[last].count == Count::Many { place.min(last) } else { place };
        Some((number, self.accounts.get(number)?))
    }
}

/// An account of an instruction.
#[derive(Clone, Copy, Debug)]
pub struct AccountSpec {
    /// Its name in the instruction.
    pub name: &'static str,
    /// Its prose, where the name does not say everything.
    pub docs: &'static [&'static str],
    /// How many there are.
    pub count: Count,
    /// What the instruction does with it.
    pub role: Role,
    /// What it may be; nothing for a wallet.
    pub objects: &'static [Object],
    /// How its address is found.
    pub place: Place,
}

/// How many accounts stand in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// One.
    One,
    /// One or none, and then nothing after it.
    Optional,
    /// Any number: the last of an instruction.
    Many,
}

/// What an instruction does with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A wallet that signs, and whose lamports change: it pays rent, or gets it back.
    Payer,
    /// A wallet that signs.
    Signer,
    /// A wallet that signs for a pool's work: who operates the pool, or its [session key](crate::stake::session). Any other role that signs takes the operator alone.
    Worker,
    /// The same, and its lamports change: it pays rent.
    PayingWorker,
    /// A wallet that gets lamports and need not sign.
    Wallet,
    /// A wallet that gets lamports, and signs if it acts before anyone may.
    Closer,
    /// Is read.
    Reads,
    /// Is changed.
    Writes,
    /// Is created.
    Opens,
    /// Is created if it is missing, else changed.
    Ensures,
    /// Is closed.
    Closes,
    /// Is a program that is called.
    Calls,
}

impl Role {
    /// Whether the account signs; of a [`Role::Closer`] the caller says so.
    pub const fn is_signer(self) -> bool {
        matches!(self, Role::Payer | Role::Signer | Role::Worker | Role::PayingWorker)
    }

    /// Whether the account is marked writable.
    pub const fn is_writable(self) -> bool {
        !matches!(self, Role::Signer | Role::Worker | Role::Reads | Role::Calls)
    }

    /// Whether a session key may stand in it.
    pub const fn is_work(self) -> bool {
        matches!(self, Role::Worker | Role::PayingWorker)
    }
}

/// What an account may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// An account of the protocol of this kind.
    State(AccountKind),
    /// The protocol's mint.
    Mint,
    /// The protocol's token account.
    Vault,
    /// The mint of a pool's liquid shares.
    ShareMint,
    /// Somebody's account of the protocol's tokens.
    Tokens,
    /// Somebody's account of a pool's liquid shares.
    Shares,
    /// The token program of the protocol's mint.
    TokenProgram,
    /// The system program.
    SystemProgram,
    /// Where the ledger keeps the hashes of its last slots.
    SlotHashes,
    /// Where the loader keeps this program.
    ProgramData,
}

impl Object {
    /// How the address of an account follows of which this program has only one.
    pub const fn single(&self) -> Option<&'static Derivation> {
        match self {
            Object::State(AccountKind::Config) => Some(&derivation::config),
            Object::State(AccountKind::Emission) => Some(&derivation::emission),
            Object::Mint => Some(&derivation::mint),
            Object::Vault => Some(&derivation::vault),
            _ => None,
        }
    }
}

/// How an account's address is found.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The caller names it.
    Named,
    /// There is only one.
    Single,
    /// It follows from the instruction: a derivation from these parts.
    At(&'static Derivation, &'static [Part]),
    /// It follows from the instruction and what accounts hold: the caller, who has read them, names it.
    From(&'static Derivation, &'static [Part]),
    /// A wallet's token account; by default the associated one.
    Of(Part),
}

/// A seed of an address after the first, or the owner of a token account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The address of the instruction's account of this name.
    Account(&'static str),
    /// The argument of this name.
    Argument(&'static str),
    /// What the account of the first name holds in the field of the second; the account need not be one of the instruction.
    Field(&'static str, &'static str),
    /// A number.
    Number(u64),
}

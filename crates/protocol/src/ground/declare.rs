//! How a room declares its instructions: one table, from which everything about an instruction follows.
//!
//! ```text
//! /// Stakes into a pool.                              what it does; then, as a list, what is checked and what changes
//! ///
//! /// - the pool is active and not frozen
//! Deposit = 0x06 {                                     name, and the first byte of the data
//!     args {                                           a plain struct, little endian, after that byte
//!         /// Base units.
//!         amount: u64,
//!     }
//!     accounts {                                       in order
//!         owner: payer,
//!         config: reads(Config),
//!         pool: writes(Pool),
//!         position: ensures(Position) at position(pool, owner),
//!         source: writes(Tokens) of owner,
//!         vault: writes(Vault),
//!         token_program: calls(TokenProgram),
//!         system_program: calls(SystemProgram),
//!     }
//!     budget { 3_700, 14_000 "first" }                 most compute units: usually, and in named cases
//! }
//! ```
//!
//! `args { … } then name` lets bytes of any length follow the arguments. A wallet is a `payer`, `signer`, `worker`, `paying_worker`, `wallet` or `closer`, anything else
//! `reads`, `writes`, `opens`, `ensures`, `closes` or `calls` an [`Object`](super::spec::Object), or one of several with `|`: see
//! [`Role`](super::spec::Role). `maybe` before that means that the account may be left out, `each` that there may be any number.
//!
//! `at position(pool, owner)` derives the address from the seeds that [`super::account::seed`] declares: of accounts of the instruction,
//! `args.name`, or a number such as `PoolKind::Data`. `from ticket(position, position.tickets)` says the same of an address that follows only
//! from what an account holds. `of owner` is a wallet's token account. "Writable" accounts that must differ are refused when they are one.
//!
//! The table is a macro that hands itself to a *reader*, a macro too: [`arguments`] gives the structs, [`specs`] the data
//! ([`super::spec`]), and the client's reader the builders. A new reader changes no table.

use bytemuck::Pod;

use super::spec::InstructionSpec;

/// Arguments of one instruction.
pub trait Args: Pod {
    /// The first byte of the instruction's data.
    const TAG: u8;
    /// The instruction's name.
    const NAME: &'static str;
}

/// An instruction that says what it is.
pub trait Declared: Args {
    /// What it is.
    const SPEC: InstructionSpec;
}

/// Reader: the arguments of a room's instructions.
macro_rules! arguments {
    ($($(#[doc = $doc:literal])* $name:ident = $tag:literal {
        args { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)? } $(then $tail:ident)?
        accounts $accounts:tt
        budget $budget:tt
    })*) => {
        $(
            $crate::ground::layout::layout! {
                $(#[doc = $doc])*
                #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
                #[repr(C)]
                pub struct $name { $($(#[doc = $field_doc])* pub $field: $type,)* }
            }

            impl $crate::ground::declare::Args for $name {
                const TAG: u8 = $tag;
                const NAME: &'static str = stringify!($name);
            }
        )*
    };
}

/// Reader: what a room's instructions are, as data.
macro_rules! specs {
    ($($(#[doc = $doc:literal])* $name:ident = $tag:literal {
        args { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)? } $(then $tail:ident)?
        accounts { $($accounts:tt)* }
        budget { $($units:literal $($case:literal)?),* $(,)? }
    })*) => {
        $(
            impl $crate::ground::declare::Declared for $name {
                const SPEC: $crate::ground::spec::InstructionSpec = $crate::ground::spec::InstructionSpec {
                    tag: $tag,
                    name: stringify!($name),
                    docs: &[$($doc),*],
                    arguments: &$name::LAYOUT,
                    tail: $crate::ground::declare::tail!($($tail)?),
                    accounts: $crate::ground::declare::accounts!($($accounts)*),
                    budgets: &[$($crate::ground::spec::Budget { case: concat!($($case)?), compute_units: $units }),*],
                };
            }
        )*

        /// The instructions of this room.
        pub(crate) const SPECS: &[$crate::ground::spec::InstructionSpec] =
            &[$(<$name as $crate::ground::declare::Declared>::SPEC,)*];
    };
}

/// Parts of [`specs`]: the name of the bytes after the arguments.
macro_rules! tail {
    () => {
        None
    };
    ($tail:ident) => {
        Some(stringify!($tail))
    };
}

/// Parts of [`specs`]: the accounts of one instruction.
macro_rules! accounts {
    ($($(#[doc = $doc:literal])* $name:ident: $($word:ident)+ $(($($object:ident)|+))? $(at $at:ident $at_parts:tt)?
        $(from $from:ident $from_parts:tt)? $(of $owner:ident $(. $field:ident)?)?),* $(,)?) => {
        &[$(
            $crate::ground::spec::AccountSpec {
                name: stringify!($name),
                docs: &[$($doc),*],
                count: $crate::ground::declare::count!($($word)+),
                role: $crate::ground::declare::role!($($word)+),
                objects: &[$($($crate::ground::declare::object!($object)),+)?],
                place: $crate::ground::declare::place!(
                    [$($($object)+)?] $(at $at $at_parts)? $(from $from $from_parts)? $(of $owner $(. $field)?)?
                ),
            },
        )*]
    };
}

/// Parts of [`accounts`].
macro_rules! count {
    (maybe $role:ident) => {
        $crate::ground::spec::Count::Optional
    };
    (each $role:ident) => {
        $crate::ground::spec::Count::Many
    };
    ($role:ident) => {
        $crate::ground::spec::Count::One
    };
}

/// Parts of [`accounts`].
macro_rules! role {
    (maybe $role:ident) => {
        $crate::ground::declare::role!($role)
    };
    (each $role:ident) => {
        $crate::ground::declare::role!($role)
    };
    (payer) => {
        $crate::ground::spec::Role::Payer
    };
    (signer) => {
        $crate::ground::spec::Role::Signer
    };
    (worker) => {
        $crate::ground::spec::Role::Worker
    };
    (paying_worker) => {
        $crate::ground::spec::Role::PayingWorker
    };
    (wallet) => {
        $crate::ground::spec::Role::Wallet
    };
    (closer) => {
        $crate::ground::spec::Role::Closer
    };
    (reads) => {
        $crate::ground::spec::Role::Reads
    };
    (writes) => {
        $crate::ground::spec::Role::Writes
    };
    (opens) => {
        $crate::ground::spec::Role::Opens
    };
    (ensures) => {
        $crate::ground::spec::Role::Ensures
    };
    (closes) => {
        $crate::ground::spec::Role::Closes
    };
    (calls) => {
        $crate::ground::spec::Role::Calls
    };
}

/// Parts of [`accounts`].
macro_rules! object {
    (Mint) => {
        $crate::ground::spec::Object::Mint
    };
    (Vault) => {
        $crate::ground::spec::Object::Vault
    };
    (ShareMint) => {
        $crate::ground::spec::Object::ShareMint
    };
    (Tokens) => {
        $crate::ground::spec::Object::Tokens
    };
    (Shares) => {
        $crate::ground::spec::Object::Shares
    };
    (TokenProgram) => {
        $crate::ground::spec::Object::TokenProgram
    };
    (SystemProgram) => {
        $crate::ground::spec::Object::SystemProgram
    };
    (SlotHashes) => {
        $crate::ground::spec::Object::SlotHashes
    };
    (ProgramData) => {
        $crate::ground::spec::Object::ProgramData
    };
    ($kind:ident) => {
        $crate::ground::spec::Object::State($crate::AccountKind::$kind)
    };
}

/// Parts of [`accounts`].
macro_rules! place {
    ([$($object:ident)*] at $derivation:ident ($($parts:tt)*)) => {
        $crate::ground::spec::Place::At(
            &$crate::ground::account::derivation::$derivation,
            $crate::ground::declare::parts!($($parts)*),
        )
    };
    ([$($object:ident)*] from $derivation:ident ($($parts:tt)*)) => {
        $crate::ground::spec::Place::From(
            &$crate::ground::account::derivation::$derivation,
            $crate::ground::declare::parts!($($parts)*),
        )
    };
    ([$($object:ident)*] of $owner:ident $(. $field:ident)?) => {
        $crate::ground::spec::Place::Of($crate::ground::declare::part!($owner $(. $field)?))
    };
    ([Config]) => { $crate::ground::spec::Place::Single };
    ([Emission]) => { $crate::ground::spec::Place::Single };
    ([Mint]) => { $crate::ground::spec::Place::Single };
    ([Vault]) => { $crate::ground::spec::Place::Single };
    ([TokenProgram]) => { $crate::ground::spec::Place::Single };
    ([SystemProgram]) => { $crate::ground::spec::Place::Single };
    ([SlotHashes]) => { $crate::ground::spec::Place::Single };
    ([ProgramData]) => { $crate::ground::spec::Place::Single };
    ([$($object:ident)*]) => { $crate::ground::spec::Place::Named };
}

/// Parts of [`place`]: seeds.
macro_rules! parts {
    ($($first:tt $(:: $variant:ident)? $(. $field:ident)?),* $(,)?) => {
        &[$($crate::ground::declare::part!($first $(:: $variant)? $(. $field)?)),*]
    };
}

/// Parts of [`place`]: a seed.
macro_rules! part {
    (args . $argument:ident) => {
        $crate::ground::spec::Part::Argument(stringify!($argument))
    };
    ($account:ident . $field:ident) => {
        $crate::ground::spec::Part::Field(stringify!($account), stringify!($field))
    };
    ($kind:ident :: $variant:ident) => {
        $crate::ground::spec::Part::Number($kind::$variant as u64)
    };
    ($account:ident) => {
        $crate::ground::spec::Part::Account(stringify!($account))
    };
    ($number:literal) => {
        $crate::ground::spec::Part::Number($number)
    };
}

pub(crate) use {accounts, arguments, count, object, part, parts, place, role, specs, tail};

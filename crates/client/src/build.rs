//! How an instruction is put together: its data from its arguments, its accounts by its declaration.
//!
//! For each instruction there is a struct of [`accounts`] with those that a caller names. All others follow: from the deployment, from
//! the arguments, from other accounts. Order, signatures and which are written are the declaration's.

use sip_protocol::{
    ground::{
        account::{Derivation, derivation},
        declare::{Args, Declared},
        layout::Type,
        spec::{AccountSpec, Role},
    },
    stake::pool::PoolKind,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{Program, SLOT_HASHES, SYSTEM_PROGRAM};

/// The accounts of an instruction that a caller names, from which all its accounts follow.
pub trait Accounts {
    /// The instruction.
    type Args: Declared;

    /// All accounts in order.
    fn metas(&self, program: &Program, args: &Self::Args) -> Vec<AccountMeta>;
}

impl Program {
    /// An instruction with its arguments and the accounts that do not follow from them.
    pub fn instruction<A: Accounts>(&self, args: &A::Args, accounts: &A) -> Instruction {
        let mut data = vec![A::Args::TAG];
        data.extend_from_slice(bytemuck::bytes_of(args));
        Instruction { program_id: self.id, accounts: accounts.metas(self, args), data }
    }

    /// The same with bytes after the arguments.
    pub fn instruction_with<A: Accounts>(&self, args: &A::Args, accounts: &A, bytes: &[u8]) -> Instruction {
        let mut instruction = self.instruction(args, accounts);
        instruction.data.extend_from_slice(bytes);
        instruction
    }

    /// The address that follows from seeds after the first, numbers cut to the bytes that they have there.
    pub fn derived(&self, derivation: &Derivation, seeds: &[Seed]) -> Address {
        let bytes = |(seed, (_, _, kind)): (&Seed, &(&str, &str, Type))| match seed {
            Seed::Key(key) => key.to_vec(),
            Seed::Number(number) => number.to_le_bytes().into_iter().take(kind.bytes()).collect(),
        };
        let parts: Vec<Vec<u8>> = seeds.iter().zip(derivation.seeds).map(bytes).collect();
        let all: Vec<&[u8]> =
            [derivation.first.as_bytes()].into_iter().chain(parts.iter().map(Vec::as_slice)).collect();
        self.derive(&all)
    }
}

/// A seed of an address after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// An address or a hash.
    Key([u8; 32]),
    /// A number, of whatever width it has among the seeds.
    Number(u64),
}

impl From<&Address> for Seed {
    fn from(address: &Address) -> Seed {
        Seed::Key(address.to_bytes())
    }
}

impl From<[u8; 32]> for Seed {
    fn from(key: [u8; 32]) -> Seed {
        Seed::Key(key)
    }
}

impl From<u8> for Seed {
    fn from(number: u8) -> Seed {
        Seed::Number(number.into())
    }
}

impl From<u32> for Seed {
    fn from(number: u32) -> Seed {
        Seed::Number(number.into())
    }
}

impl From<PoolKind> for Seed {
    fn from(kind: PoolKind) -> Seed {
        Seed::Number(kind as u64)
    }
}

/// Who closes an account whose rent is a wallet's: the wallet, or after a while anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The wallet itself, which signs.
    Wallet(Address),
    /// Anyone, for this wallet.
    Anyone(Address),
}

/// What a caller names in a place of an instruction: one account, one that may be missing, or several.
trait Named {
    fn append(&self, spec: &AccountSpec, metas: &mut Vec<AccountMeta>);
}

fn meta(role: Role, address: Address, is_signer: bool) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer, is_writable: role.is_writable() }
}

impl Named for Address {
    fn append(&self, spec: &AccountSpec, metas: &mut Vec<AccountMeta>) {
        metas.push(meta(spec.role, *self, spec.role.is_signer()));
    }
}

impl Named for Option<Address> {
    fn append(&self, spec: &AccountSpec, metas: &mut Vec<AccountMeta>) {
        self.iter().for_each(|address| address.append(spec, metas));
    }
}

impl Named for Vec<Address> {
    fn append(&self, spec: &AccountSpec, metas: &mut Vec<AccountMeta>) {
        self.iter().for_each(|address| address.append(spec, metas));
    }
}

impl Named for Closer {
    fn append(&self, spec: &AccountSpec, metas: &mut Vec<AccountMeta>) {
        let (address, is_signer) = match self {
            Closer::Wallet(address) => (*address, true),
            Closer::Anyone(address) => (*address, false),
        };
        metas.push(meta(spec.role, address, is_signer));
    }
}

/// Reader: for each instruction the accounts that a caller names, and how the others follow.
macro_rules! builders {
    ($($(#[doc = $doc:literal])* $name:ident = $tag:literal {
        args $args:tt $(then $tail:ident)?
        accounts { $($accounts:tt)* }
        budget $budget:tt
    })*) => { $(builder! { $name [] [] [] $($accounts)* })* };
}

/// Sorts the accounts of one instruction into those that are named, those that follow, and the order of all.
macro_rules! builder {
    ($name:ident [$($(#[doc = $doc:expr])* $field:ident: $type:ty,)*] [$(($derived:ident $($how:tt)*))*] [$($order:ident)*]) => {
        #[doc = concat!("Accounts of [`", stringify!($name), "`](sip_protocol::instructions::", stringify!($name), ") that its caller names.")]
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[doc = $doc])* pub $field: $type,)* }

        impl Accounts for $name {
            type Args = sip_protocol::instructions::$name;

            #[allow(unused_variables)]
            fn metas(&self, program: &Program, args: &Self::Args) -> Vec<AccountMeta> {
                $(let $field = &self.$field;)*
                $(let $derived = &derived!(program args $($how)*);)*
                let mut metas = Vec::new();
                let all: &[&dyn Named] = &[$($order),*];
                for (account, spec) in all.iter().zip(Self::Args::SPEC.accounts) {
                    account.append(spec, &mut metas);
                }
                metas
            }
        }
    };
    // Wallets.
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: closer, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order ($(#[doc = $doc])* $account (closer) Closer) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order ($(#[doc = $doc])* $account ($role) Address) $($rest)* }
    };
    // What may be missing, and what may be many.
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: maybe $role:ident $objects:tt, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order
            ($(#[doc = $doc])* $account (maybe $role $objects) Option<Address>) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: each $role:ident $objects:tt, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order
            ($(#[doc = $doc])* $account (each $role $objects) Vec<Address>) $($rest)* }
    };
    // What follows.
    ($name:ident $named:tt [$($derived:tt)*] [$($order:ident)*] $(#[doc = $doc:expr])* $account:ident: $role:ident $objects:tt
        at $derivation:ident $parts:tt, $($rest:tt)*) => {
        builder! { $name $named [$($derived)* ($account at $derivation $parts)] [$($order)* $account] $($rest)* }
    };
    ($name:ident $named:tt [$($derived:tt)*] [$($order:ident)*] $(#[doc = $doc:expr])* $account:ident: $role:ident (Tokens)
        of $owner:ident, $($rest:tt)*) => {
        builder! { $name $named [$($derived)* ($account of $owner)] [$($order)* $account] $($rest)* }
    };
    // What follows only from what accounts hold.
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident $objects:tt
        from $derivation:ident $parts:tt, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order
            ($(#[doc = $doc])* $account ($role $objects from $derivation $parts) Address) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (Tokens)
        of $holder:ident . $field:ident, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order
            ($(#[doc = $doc])* $account ($role (Tokens) of $holder . $field) Address) $($rest)* }
    };
    // What there is once, and what is left.
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (Config), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account config) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (Emission), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account emission) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (Mint), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account mint) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (Vault), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account vault) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (TokenProgram), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account token_program) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (SystemProgram), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account system_program) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (SlotHashes), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account slot_hashes) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident (ProgramData), $($rest:tt)*) => {
        builder! { @single $name $named $derived $order ($account program_data) $($rest)* }
    };
    ($name:ident $named:tt $derived:tt $order:tt $(#[doc = $doc:expr])* $account:ident: $role:ident $objects:tt, $($rest:tt)*) => {
        builder! { @named $name $named $derived $order ($(#[doc = $doc])* $account ($role $objects) Address) $($rest)* }
    };
    // One account more.
    (@named $name:ident [$($named:tt)*] $derived:tt [$($order:ident)*]
        ($(#[doc = $doc:expr])* $account:ident ($($what:tt)*) $type:ty) $($rest:tt)*) => {
        builder! { $name [$($named)* #[doc = concat!("`", stringify!($($what)*), "`")] $(#[doc = $doc])* $account: $type,] $derived [$($order)* $account] $($rest)* }
    };
    (@single $name:ident $named:tt [$($derived:tt)*] [$($order:ident)*] ($account:ident $method:ident) $($rest:tt)*) => {
        builder! { $name $named [$($derived)* ($account single $method)] [$($order)* $account] $($rest)* }
    };
}

/// An address that follows.
macro_rules! derived {
    ($program:ident $args:ident single token_program) => {
        $program.token_program
    };
    ($program:ident $args:ident single system_program) => {
        SYSTEM_PROGRAM
    };
    ($program:ident $args:ident single slot_hashes) => {
        SLOT_HASHES
    };
    ($program:ident $args:ident single $method:ident) => {
        $program.$method()
    };
    ($program:ident $args:ident of $owner:ident) => {
        $program.token_account($owner)
    };
    ($program:ident $args:ident at $derivation:ident ($($first:tt $(:: $variant:ident)? $(. $field:ident)?),*)) => {
        $program.derived(&derivation::$derivation, &[$(seed!($args $first $(:: $variant)? $(. $field)?)),*])
    };
}

/// A seed of an address that follows.
macro_rules! seed {
    ($args:ident args . $field:ident) => {
        Seed::from($args.$field)
    };
    ($args:ident $kind:ident :: $variant:ident) => {
        Seed::from($kind::$variant)
    };
    ($args:ident $account:ident) => {
        Seed::from($account)
    };
    ($args:ident $number:literal) => {
        Seed::Number($number)
    };
}

/// The accounts of each instruction that its caller names.
pub mod accounts {
    use super::*;

    sip_protocol::stake_instructions!(builders);
    sip_protocol::admin_instructions!(builders);
    sip_protocol::training_instructions!(builders);
    sip_protocol::court_instructions!(builders);
    sip_protocol::money_instructions!(builders);
    sip_protocol::network_instructions!(builders);
}

/// A participant of a round: who signs, with which pool, in which place of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who signs for it: the wallet that operates the pool, or for its work the pool's session key.
    pub operator: Address,
    /// The pool.
    pub pool: Address,
    /// Its place in the job.
    pub place: u8,
}

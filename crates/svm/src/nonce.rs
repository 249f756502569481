//! Durable nonces: a value in an account that stands in the place of a recent block hash, until a transaction uses it up.

use sha2::{Digest, Sha256};
use solana_account::{AccountSharedData, ReadableAccount, WritableAccount};
use solana_address::Address;
use solana_message::VersionedMessage;
use solana_sdk_ids::system_program;
use std::collections::HashSet;

/// The system program's number for taking the next value.
const ADVANCE: [u8; 4] = [4, 0, 0, 0];
const ACCOUNT_BYTES: usize = 80;
/// The newest version, and in use; then the authority and the value.
const IN_USE: [u8; 8] = [1, 0, 0, 0, 1, 0, 0, 0];
const AUTHORITY: std::ops::Range<usize> = 8..40;
const VALUE: std::ops::Range<usize> = 40..72;

/// A nonce that a transaction uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) address: Address,
    value: [u8; 32],
}

/// The nonce that a message uses: its first instruction takes the next value, the value that is there stands as its block hash, and who
/// may do so signs.
pub(crate) fn used(
    message: &VersionedMessage,
    account: impl Fn(&Address) -> Option<AccountSharedData>,
) -> Option<Used> {
    let keys = message.static_account_keys();
    let first = message.instructions().first()?;
    let is_system = keys.get(usize::from(first.program_id_index)) == Some(&system_program::ID);
    if !is_system || !first.data.starts_with(&ADVANCE) {
        return None;
    }
    let index = usize::from(*first.accounts.first()?);
    let address = *keys
        .get(index)
        .filter(|_| message.is_maybe_writable_with_reserved_addresses(index, None::<&HashSet<Address>>))?;
    let account = account(&address)?;
    let (data, value) = (account.data(), message.recent_blockhash().to_bytes());
    let is_nonce = *account.owner() == system_program::ID && data.len() == ACCOUNT_BYTES && data.starts_with(&IN_USE);
    if !is_nonce || data[VALUE] != value {
        return None;
    }
    let signs = |index: &u8| {
        let index = usize::from(*index);
        message.is_signer(index) && keys.get(index).is_some_and(|key| data[AUTHORITY] == key.to_bytes())
    };
    first.accounts.iter().any(signs).then_some(Used { address, value })
}

impl Used {
    /// The nonce's account with the next value.
    pub(crate) fn advanced(self, mut account: AccountSharedData) -> Option<AccountSharedData> {
        let next: [u8; 32] = Sha256::new_with_prefix(b"DURABLE_NONCE").chain_update(self.value).finalize().into();
        account.data_as_mut_slice().get_mut(VALUE)?.copy_from_slice(&next);
        Some(account)
    }
}

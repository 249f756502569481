//! Copies of accounts that may be closed on chain, each file an account's bytes under its address.

use anyhow::{Context, Result};
use sip_data::files::write_atomically;
use sip_manifest::folder::Store;
use solana_address::Address;
use std::fs;
use std::path::PathBuf;

/// Where the copy of an account lies in the folder of a run, if there is one.
pub fn path(store: &Store, address: &Address) -> PathBuf {
    store.archive().join(format!("{address}.account"))
}

/// Keeps an account as it is now; a later copy replaces an earlier one.
///
/// # Errors
/// Where it cannot be written.
pub fn keep(store: &Store, address: &Address, data: &[u8]) -> Result<()> {
    let path = path(store, address);
    let written =
        fs::create_dir_all(store.archive()).and_then(|()| write_atomically(&path, |file| fs::write(file, data)));
    written.with_context(|| format!("cannot write {}; an account is not closed before it is kept", path.display()))
}

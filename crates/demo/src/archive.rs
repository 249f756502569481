//! Copies of accounts that may be closed on chain: a process that follows a job keeps them in the run's folder, each file an account's bytes
//! under its address. What a copy of a final round says is checked against the job's history on chain.

use anyhow::{Context, Result};
use sip_driver::archive;
use sip_protocol::Account;
use solana_address::Address;
use std::cell::Cell;
use std::fs;

use crate::world::World;
use sip_manifest::folder::Store;

/// The archive of a run.
pub(crate) struct Archive {
    store: Store,
    /// Accounts that were closed on chain, and of which copies were read.
    taken: Cell<u32>,
}

impl Archive {
    /// The archive in a run's folder, which may not be there yet.
    pub(crate) fn of(store: &Store) -> Archive {
        Archive { store: store.clone(), taken: Cell::new(0) }
    }

    /// Keeps an account as it is now; a later copy replaces an earlier one.
    pub(crate) fn keep(&self, address: &Address, data: &[u8]) -> Result<()> {
        archive::keep(&self.store, address, data)
    }

    /// An account of the chain, or its copy once it is closed there.
    pub(crate) fn read<T: Account>(&self, world: &World, address: &Address) -> Result<T> {
        if world.ledger.account(address).is_some_and(|account| !account.data.is_empty()) {
            return world.read(address);
        }
        let copy = self.find(address)?.with_context(|| {
            format!(
                "the account at {address} is closed on chain, and {} has no copy of it; get one from somebody who followed the job",
                self.store.archive().display()
            )
        })?;
        self.taken.set(self.taken.get() + 1);
        Ok(copy)
    }

    /// How many accounts were closed on chain, and of which copies were read.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.get()
    }

    /// The copy of an account.
    fn find<T: Account>(&self, address: &Address) -> Result<Option<T>> {
        let path = archive::path(&self.store, address);
        if !path.exists() {
            return Ok(None);
        }
        let data = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let state = T::decode(&data).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        Ok(Some(state))
    }

    /// All accounts of a kind, on chain and kept.
    pub(crate) fn all<T: Account>(&self, world: &World) -> Vec<T> {
        let accounts = world.ledger.program_accounts(&world.program.id);
        let is_kind = |data: &[u8]| data.first() == Some(&(T::KIND as u8));
        let mut found: Vec<T> = (accounts.iter().map(|(_, account)| &account.data))
            .filter(|data| is_kind(data))
            .filter_map(|data| T::decode(data).ok())
            .collect();
        let files = fs::read_dir(self.store.archive()).into_iter().flatten().flatten();
        let kept = files.filter_map(|file| fs::read(file.path()).ok()).filter(|data| is_kind(data));
        found.extend(kept.filter_map(|data| T::decode(&data).ok()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use sip_protocol::{
        AccountKind, Header,
        training::{round::Round, segment::Segment},
    };
    use std::path::Path;

    #[test]
    fn a_copy_comes_back_as_what_it_was_and_as_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::of(&Store::new(Path::new(folder.path())));
        let address = Address::new_from_array([7; 32]);
        assert!(archive.find::<Round>(&address).unwrap().is_none());
        let mut round = Round::zeroed();
        (round.header, round.index) = (Header::new(AccountKind::Round, 0), 4);
        archive.keep(&address, bytemuck::bytes_of(&round)).unwrap();
        assert_eq!(archive.find::<Round>(&address).unwrap().unwrap().index, 4);
        assert!(archive.find::<Segment>(&address).is_err());
        // An account that was never kept, and one that is another than it is called.
        assert!(archive.find::<Round>(&Address::new_from_array([8; 32])).unwrap().is_none());
    }
}

//! The room of a shelf: what was reserved is taken from the disk at once, and given back byte for byte as it is written.

use super::{Shelf, ShelfError, State};
use crate::files::{allocate, remove};
use crate::tree::{GROUP_BYTES, Geometry};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a small file takes on the disk, and by how much larger ones grow.
const BLOCK_BYTES: u64 = 4096;
/// What the mark of a blob that is kept by itself takes.
pub(super) const MARK_COST: u64 = BLOCK_BYTES;

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

/// What a whole blob takes on the disk, with its tree.
pub(crate) fn blob_cost(geometry: &Geometry) -> u64 {
    blocks(geometry.bytes) + blocks(geometry.tree_values() * 32)
}

/// What a list of so many entries takes.
pub(super) fn list_cost(entries: usize) -> u64 {
    blocks(entries as u64 * 32).max(BLOCK_BYTES)
}

/// What a blob of which groups are missing takes, with so many that are here. Where these are far apart, values of the tree take more.
pub(super) fn part_cost(geometry: &Geometry, groups: u32) -> u64 {
    blocks(u64::from(geometry.groups.div_ceil(8)) * 2) + 2 * BLOCK_BYTES + u64::from(groups) * group_cost()
}

/// What a group of it takes, with its share of the tree.
pub(crate) const fn group_cost() -> u64 {
    GROUP_BYTES + 64
}

/// Room that is promised to somebody who has not written yet. What was not spent when it is dropped is free again.
#[derive(Debug)]
#[must_use]
pub(crate) struct Claim {
    shelf: Shelf,
    left: AtomicU64,
    /// Bytes that are kept free for it.
    promised: AtomicU64,
}

impl Claim {
    /// So many bytes lie there now.
    pub(crate) fn spend(&self, bytes: u64) {
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(bytes)));
    }

    /// So many bytes of what is kept free for it are about to be written: they are free on the disk now.
    pub(crate) fn begin(&self, bytes: u64) {
        let before = self.promised.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(bytes)));
        let begun = before.unwrap_or_default().min(bytes);
        if begun > 0 {
            let mut state = self.shelf.state();
            state.promised = state.promised.saturating_sub(begun);
            self.shelf.fill_room(&mut state);
        }
    }

    /// All of it lies there now.
    pub(crate) fn spend_all(self) {
        self.left.store(0, Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (left, promised) = (*self.left.get_mut(), *self.promised.get_mut());
        if left > 0 || promised > 0 {
            let mut state = self.shelf.state();
            state.used = state.used.saturating_sub(left);
            state.promised = state.promised.saturating_sub(promised);
            self.shelf.fill_room(&mut state);
        }
    }
}

impl Shelf {
    /// Reserves room: at most so many bytes lie here from now on, and what is not used of them is taken from the disk already, so that
    /// nobody else fills it. What was reserved before is replaced. Where the file system cannot allocate, only the limit holds.
    ///
    /// # Errors
    /// More than that lies here already, or the disk has not so much room; then nothing has changed.
    pub fn reserve(&self, bytes: u64) -> Result<(), ShelfError> {
        let mut state = self.state();
        if bytes < state.used {
            return Err(ShelfError::Full { needed: 0, used: state.used, limit: bytes });
        }
        let path = self.inner.folder.join("room");
        let free = bytes - state.used + state.promised;
        let grown = File::options().create(true).truncate(false).write(true).open(&path);
        let before = super::file_bytes(&path);
        let grown = grown.and_then(|file| match allocate(&file, free) {
            Err(error) => {
                file.set_len(before)?;
                Err(error)
            }
            done => done,
        });
        grown.map_err(ShelfError::io(&path))?;
        state.limit = Some(bytes);
        Ok(())
    }

    /// What was reserved, and what is used.
    pub fn room(&self) -> super::Room {
        let state = self.state();
        super::Room { limit: state.limit, used: state.used }
    }

    /// Promises room to somebody who writes now.
    pub(crate) fn claim(&self, bytes: u64) -> Result<Claim, ShelfError> {
        self.claim_and_keep(bytes, 0)
    }

    /// Promises room to somebody; so much of it stays free on the disk until it is [begun](Claim::begin).
    pub(crate) fn claim_and_keep(&self, bytes: u64, promised: u64) -> Result<Claim, ShelfError> {
        let mut state = self.state();
        let used = state.used.saturating_add(bytes);
        if let Some(limit) = state.limit.filter(|limit| used > *limit) {
            return Err(ShelfError::Full { needed: bytes, used: state.used, limit });
        }
        state.used = used;
        state.promised += promised;
        self.fill_room(&mut state);
        Ok(Claim { shelf: self.clone(), left: bytes.into(), promised: promised.into() })
    }

    /// Makes the file that holds free room as long as what is free. It shrinks always; where it cannot grow because others have filled
    /// the disk meanwhile, it stays short, and the next call tries again.
    pub(super) fn fill_room(&self, state: &mut State) {
        let Some(limit) = state.limit else { return };
        let path = self.inner.folder.join("room");
        let free = limit.saturating_sub(state.used) + state.promised;
        if free == 0 {
            let _ = remove(&path);
        } else if let Ok(file) = File::options().create(true).truncate(false).write(true).open(&path) {
            let before = super::file_bytes(&path);
            if before > free {
                let _ = file.set_len(free);
            } else if before < free && allocate(&file, free).is_err() {
                let _ = file.set_len(before);
            }
        }
    }
}

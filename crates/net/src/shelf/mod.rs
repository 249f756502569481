//! A folder of what has a root: blobs whole or in part, and lists of them.
//!
//! The files are the truth and there is no index: what lies where is read when the shelf is opened.
//!
//! | file | what it holds |
//! |---|---|
//! | `blobs/HASH` | a whole blob |
//! | `blobs/HASH.tree` | values of its tree, where it has more than one group; made again where it is missing or does not add up to the root |
//! | `parts/HASH`, `.map`, `.tree` | a blob of which groups are missing; a bit for each group that is on the disk for sure, then one for each that came; the values that are known |
//! | `lists/ROOT` | hashes of a list's entries: the list is kept |
//! | `alone/HASH` | the size of a blob that is kept by itself |
//! | `room` | nothing: it takes the room that was reserved and is not used yet |
//!
//! A blob is there as long as a list or its own mark keeps it; equal entries of several lists lie there once.

mod blob;
mod error;
mod part;
mod put;
mod read;
mod room;
mod scan;

pub(crate) use blob::Source;
pub use error::ShelfError;
pub(crate) use part::Part;
pub(crate) use put::Staged;
pub(crate) use room::{Claim, blob_cost, group_cost};
use room::{MARK_COST, list_cost};

use crate::files::remove;
use crate::item::{Item, Shape};
use crate::tree::Geometry;
use crate::{Hash, hex};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of an item lies on a shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    None,
    /// Some of it.
    Part {
        /// So many bytes.
        bytes: u64,
        /// Of so many.
        of: u64,
    },
    /// All of it.
    Whole,
}

/// What is kept under a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub root: Hash,
    /// Bytes on the disk that belong to it; what several lists have is counted in each.
    pub bytes: u64,
    /// Whether nothing of it is missing.
    pub is_whole: bool,
    /// Whether it is a list.
    pub is_list: bool,
}

/// The room of a shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that were reserved: no more may lie here. `None` where nothing was.
    pub limit: Option<u64>,
    /// Bytes that lie here, or are promised to what is being fetched.
    pub used: u64,
}

/// A shelf; clones are the same shelf.
#[derive(Clone, Debug)]
pub struct Shelf {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Held as long as the shelf is open.
    _lock: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lists: BTreeMap<Hash, Arc<Vec<Hash>>>,
    /// Blobs that are kept by themselves, and their sizes.
    alone: BTreeMap<Hash, u64>,
    /// Whole blobs, and their sizes.
    blobs: BTreeMap<Hash, u64>,
    parts: BTreeMap<Hash, Arc<Part>>,
    used: u64,
    /// Bytes of `used` that are promised to those who may never write: they stay in the room that is kept free.
    promised: u64,
    limit: Option<u64>,
}

impl State {
    /// Whether something keeps a blob.
    fn is_kept(&self, blob: &Hash) -> bool {
        self.alone.contains_key(blob) || self.lists.values().any(|entries| entries.contains(blob))
    }

    fn held(&self, blob: &Hash) -> u64 {
        self.blobs.get(blob).copied().or_else(|| Some(self.parts.get(blob)?.held_bytes())).unwrap_or_default()
    }
}

impl Shelf {
    /// Opens the shelf in a folder, which is made where it is missing. What a killed process left half written is removed or taken up.
    ///
    /// # Errors
    /// Another process has it open; the file system's.
    pub fn open(folder: &Path) -> Result<Shelf, ShelfError> {
        let shelf = scan::open(folder).map(|inner| Shelf { inner: Arc::new(inner) })?;
        let parts: Vec<Hash> = shelf.state().parts.keys().copied().collect();
        parts.iter().try_for_each(|root| shelf.settle_if_whole(root))?;
        Ok(shelf)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns the system's errors about the shelf into its own.
    pub(crate) fn io(&self) -> impl Fn(std::io::Error) -> ShelfError + use<> {
        ShelfError::io(&self.inner.folder)
    }

    fn folder(&self, kind: &str) -> PathBuf {
        self.inner.folder.join(kind)
    }

    fn file(&self, kind: &str, root: &Hash) -> PathBuf {
        self.inner.folder.join(kind).join(hex(root))
    }

    /// How much of an item lies here. What has another shape than is asked for is not whole.
    pub fn held(&self, item: &Item) -> Held {
        let state = self.state();
        let (bytes, of) = match &item.shape {
            Shape::Blob { bytes } => (state.held(&item.root).min(*bytes), *bytes),
            Shape::List { bytes } => {
                let Some(entries) = state.lists.get(&item.root) else { return Held::None };
                let held = entries.iter().zip(bytes).map(|(entry, size)| state.held(entry).min(*size));
                (held.sum(), item.bytes())
            }
        };
        let is_whole = match &item.shape {
            Shape::Blob { bytes } => state.blobs.get(&item.root) == Some(bytes),
            Shape::List { bytes } => state.lists.get(&item.root).is_some_and(|entries| {
                let mut sizes = entries.iter().map(|entry| state.blobs.get(entry)).zip(bytes);
                entries.len() == bytes.len() && sizes.all(|(found, expected)| found == Some(expected))
            }),
        };
        match (is_whole, bytes) {
            (true, _) => Held::Whole,
            (false, 0) => Held::None,
            (false, bytes) => Held::Part { bytes, of },
        }
    }

    /// Whether all lies here that a root names, a blob or a list.
    pub fn is_whole(&self, root: &Hash) -> bool {
        let state = self.state();
        state.blobs.contains_key(root) || is_whole_list(&state, root)
    }

    /// Whether anything lies here that a root names.
    pub(crate) fn is_there(&self, root: &Hash) -> bool {
        let state = self.state();
        state.blobs.contains_key(root) || state.parts.contains_key(root) || state.lists.contains_key(root)
    }

    /// The hashes of a list's entries.
    pub fn list(&self, root: &Hash) -> Option<Vec<Hash>> {
        self.state().lists.get(root).map(|entries| entries.to_vec())
    }

    /// What is kept, by roots.
    pub fn kept(&self) -> Vec<Kept> {
        let state = self.state();
        let lists = state.lists.iter().map(|(root, entries)| {
            let different: BTreeSet<&Hash> = entries.iter().collect();
            let bytes = different.into_iter().map(|entry| state.held(entry)).sum();
            Kept { root: *root, bytes, is_whole: is_whole_list(&state, root), is_list: true }
        });
        let blobs = state.alone.keys().map(|root| Kept {
            root: *root,
            bytes: state.held(root),
            is_whole: state.blobs.contains_key(root),
            is_list: false,
        });
        lists.chain(blobs).collect()
    }

    /// Lets go of what is kept under a root; entries that another kept list has stay. Nothing happens where nothing is kept.
    ///
    /// # Errors
    /// The file system's.
    pub fn forget(&self, root: &Hash) -> Result<(), ShelfError> {
        let mut state = self.state();
        let mut loose: BTreeSet<Hash> = BTreeSet::new();
        if state.lists.contains_key(root) {
            let path = self.file("lists", root);
            remove(&path).map_err(ShelfError::io(&path))?;
            let entries = state.lists.remove(root).unwrap_or_default();
            state.used = state.used.saturating_sub(list_cost(entries.len()));
            loose.extend(entries.iter());
        }
        if state.alone.contains_key(root) {
            let path = self.file("alone", root);
            remove(&path).map_err(ShelfError::io(&path))?;
            state.alone.remove(root);
            state.used = state.used.saturating_sub(MARK_COST);
            loose.insert(*root);
        }
        for blob in loose {
            if !state.is_kept(&blob) {
                self.drop_blob(&mut state, &blob)?;
            }
        }
        self.fill_room(&mut state);
        Ok(())
    }

    /// Removes the files of a blob.
    fn drop_blob(&self, state: &mut State, blob: &Hash) -> Result<(), ShelfError> {
        if let Some(bytes) = state.blobs.remove(blob) {
            let path = self.file("blobs", blob);
            for path in [path.clone(), path.with_extension("tree")] {
                remove(&path).map_err(ShelfError::io(&path))?;
            }
            let cost = Geometry::new(bytes).map_or(0, |geometry| blob_cost(&geometry));
            state.used = state.used.saturating_sub(cost);
        }
        if let Some(part) = state.parts.remove(blob) {
            state.used = state.used.saturating_sub(part.cost());
            self.remove_part_files(blob)?;
        }
        Ok(())
    }

    fn remove_part_files(&self, blob: &Hash) -> Result<(), ShelfError> {
        let path = self.file("parts", blob);
        for path in [path.with_extension("map"), path.with_extension("tree"), path] {
            remove(&path).map_err(ShelfError::io(&path))?;
        }
        Ok(())
    }

    /// Marks a blob as kept by itself.
    pub(crate) fn keep_alone(&self, root: &Hash, bytes: u64) -> Result<(), ShelfError> {
        let claim = self.claim(MARK_COST)?;
        let mut state = self.state();
        if state.alone.contains_key(root) {
            drop(state);
            return Ok(());
        }
        let folder = self.folder("alone");
        crate::files::write_whole(&folder, &hex(root), &bytes.to_le_bytes()).map_err(ShelfError::io(&folder))?;
        claim.spend_all();
        state.alone.insert(*root, bytes);
        Ok(())
    }

    /// Keeps a list of entries, whose root the caller has checked; they may still be missing.
    pub(crate) fn keep_list(&self, root: &Hash, entries: Vec<Hash>) -> Result<(), ShelfError> {
        let claim = self.claim(list_cost(entries.len()))?;
        let mut state = self.state();
        if state.lists.contains_key(root) {
            drop(state);
            return Ok(());
        }
        let folder = self.folder("lists");
        crate::files::write_whole(&folder, &hex(root), entries.as_flattened()).map_err(ShelfError::io(&folder))?;
        claim.spend_all();
        state.lists.insert(*root, Arc::new(entries));
        Ok(())
    }
}

fn is_whole_list(state: &State, root: &Hash) -> bool {
    state.lists.get(root).is_some_and(|entries| entries.iter().all(|entry| state.blobs.contains_key(entry)))
}

/// Bytes of a file, none where it is not there.
fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

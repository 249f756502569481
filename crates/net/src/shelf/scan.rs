//! Opening a shelf: what lies in its folders, and what a killed process left there.

use super::{Inner, MARK_COST, Part, ShelfError, State, blob_cost, file_bytes, list_cost};
use crate::files::{read_at, remove};
use crate::item::MAX_ENTRIES;
use crate::tree::Geometry;
use crate::{Hash, unhex};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const FOLDERS: [&str; 4] = ["blobs", "parts", "lists", "alone"];

pub(super) fn open(folder: &Path) -> Result<Inner, ShelfError> {
    for kind in FOLDERS {
        let path = folder.join(kind);
        fs::create_dir_all(&path).map_err(ShelfError::io(&path))?;
    }
    let path = folder.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(ShelfError::io(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ShelfError::Busy { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(ShelfError::io(&path)(error)),
    }
    for kind in FOLDERS {
        sip_data::files::remove_cut_off(&folder.join(kind), &|_| true);
    }
    // Room is reserved anew by the one who knows how much is owed.
    let path = folder.join("room");
    remove(&path).map_err(ShelfError::io(&path))?;
    let state = read(folder).map_err(ShelfError::io(folder))?;
    Ok(Inner { folder: folder.to_owned(), _lock: lock, state: Mutex::new(state) })
}

/// Files of a folder whose names are a hash and an ending, in order.
fn named(folder: &Path, ending: Option<&str>) -> io::Result<Vec<(Hash, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_meant = path.extension() == ending.map(|ending| ending.as_ref());
        let root = path.file_stem().and_then(|name| unhex(name.to_str()?));
        if let Some(root) = root.filter(|_| is_meant) {
            found.push((root, path));
        }
    }
    found.sort();
    Ok(found)
}

fn read(folder: &Path) -> io::Result<State> {
    let mut state = State::default();
    for (root, path) in named(&folder.join("alone"), None)? {
        match fs::read(&path)?.try_into() {
            Ok(bytes) => {
                state.used += MARK_COST;
                state.alone.insert(root, u64::from_le_bytes(bytes));
            }
            Err(_) => fs::remove_file(&path)?,
        }
    }
    for (root, path) in named(&folder.join("lists"), None)? {
        match read_list(&root, &path)? {
            Some(entries) => {
                state.used += list_cost(entries.len());
                state.lists.insert(root, Arc::new(entries));
            }
            None => fs::remove_file(&path)?,
        }
    }
    read_blobs(folder, &mut state)?;
    read_parts(folder, &mut state)?;
    Ok(state)
}

fn read_list(root: &Hash, path: &Path) -> io::Result<Option<Vec<Hash>>> {
    if file_bytes(path) > MAX_ENTRIES as u64 * 32 {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    let entries: Vec<Hash> = bytes.chunks(32).filter_map(|hash| hash.try_into().ok()).collect();
    let is_right = bytes.len() == entries.len() * 32 && sip_proof::roots_tree(&entries).root() == *root;
    Ok(is_right.then_some(entries))
}

/// Whole blobs; one that nothing keeps is removed, with the rest of its files.
fn read_blobs(folder: &Path, state: &mut State) -> io::Result<()> {
    let blobs = folder.join("blobs");
    let all = named(&blobs, None)?;
    let kept: std::collections::BTreeSet<Hash> =
        state.lists.values().flat_map(|entries| entries.iter()).copied().collect();
    for (root, path) in all {
        let bytes = file_bytes(&path);
        let geometry = Geometry::new(bytes).filter(|_| kept.contains(&root) || state.alone.contains_key(&root));
        let is_right = match &geometry {
            Some(geometry) => has_tree(&root, geometry, &path)?,
            None => false,
        };
        if let Some(geometry) = geometry.filter(|_| is_right) {
            state.used += blob_cost(&geometry);
            state.blobs.insert(root, bytes);
        } else {
            fs::remove_file(&path)?;
        }
    }
    // A tree gets its name before its blob does. Where the blob is still in parts, it was about to be settled.
    for (root, path) in named(&blobs, Some("tree"))? {
        let part = folder.join("parts").join(crate::hex(&root));
        if !state.blobs.contains_key(&root) {
            match part.exists() && !part.with_extension("tree").exists() {
                true => fs::rename(&path, part.with_extension("tree"))?,
                false => fs::remove_file(&path)?,
            }
        }
    }
    Ok(())
}

/// Whether a blob has its tree, which is made again where it is missing; false if the blob is not what its name says.
fn has_tree(root: &Hash, geometry: &Geometry, path: &Path) -> io::Result<bool> {
    let tree = path.with_extension("tree");
    if geometry.groups == 1 || file_bytes(&tree) == geometry.tree_values() * 32 {
        return Ok(true);
    }
    let file = File::open(path)?;
    let (found, values) = super::put::tree_of(geometry, &mut |offset, out| read_at(&file, out, offset))?;
    if found == *root {
        fs::write(&tree, values.as_flattened())?;
    }
    Ok(found == *root)
}

fn read_parts(folder: &Path, state: &mut State) -> io::Result<()> {
    let parts = folder.join("parts");
    for (root, path) in named(&parts, None)? {
        let part =
            if state.blobs.contains_key(&root) || !state.is_kept(&root) { None } else { Part::open(&path, &root)? };
        match part {
            Some(part) => {
                state.used += part.cost();
                state.parts.insert(root, Arc::new(part));
            }
            None => fs::remove_file(&path)?,
        }
    }
    for ending in ["map", "tree"] {
        for (root, path) in named(&parts, Some(ending))? {
            if !state.parts.contains_key(&root) {
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

//! Putting something on a shelf.

use super::room::part_cost;
use super::{Claim, Part, Shelf, ShelfError, blob_cost};
use crate::files::{New, allocate, sync_folder};
use crate::item::{Item, MAX_ENTRIES};
use crate::tree::{FRAME_GROUPS, GROUP_BYTES, Geometry, Learned, Node};
use crate::{Hash, hex};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A blob that is written, and has no name yet.
#[derive(Debug)]
pub(crate) struct Staged {
    root: Hash,
    geometry: Geometry,
    data: New,
    tree: Option<New>,
}

/// Gives the bytes of a blob from an offset on.
type Fill<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// A blob's hash, and the values of its tree as they lie in the file.
pub(super) fn tree_of(geometry: &Geometry, fill: &mut Fill<'_>) -> io::Result<(Hash, Vec<Hash>)> {
    let mut content = vec![0; GROUP_BYTES as usize];
    let mut groups = Vec::with_capacity(geometry.groups as usize);
    for group in geometry.all() {
        let at = geometry.bytes_of(&(group..group + 1));
        let content = &mut content[..(at.end - at.start) as usize];
        fill(at.start, content)?;
        groups.push(geometry.group_value(group, content));
    }
    if let (1, [only]) = (geometry.groups, &groups[..]) {
        return Ok((*only, Vec::new()));
    }
    let mut values = vec![[0; 32]; geometry.tree_values() as usize];
    values[..groups.len()].copy_from_slice(&groups);
    let mut keep = |node: Node, value: &Hash| values[geometry.place(node) as usize] = *value;
    let root = geometry.fold(&geometry.all(), &groups, &mut |_| None, &mut keep);
    Ok((root.unwrap_or_default(), values))
}

fn geometry_of(bytes: u64) -> Result<Geometry, ShelfError> {
    let what = || format!("{bytes} bytes are more than a blob has, 2 TiB");
    Geometry::new(bytes).ok_or_else(|| ShelfError::Impossible { what: what() })
}

/// Words as the bytes of a tensor, from an offset that is a multiple of 4.
fn fill_words(words: &[u32], offset: u64, bytes: &mut [u8]) {
    let words = words.get((offset / 4) as usize..).unwrap_or_default();
    for (out, word) in bytes.chunks_exact_mut(4).zip(words) {
        out.copy_from_slice(&word.to_le_bytes());
    }
}

impl Shelf {
    /// Keeps bytes under their BLAKE3 hash.
    ///
    /// # Errors
    /// No room; the file system's.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Hash, ShelfError> {
        let mut fill = |offset: u64, out: &mut [u8]| {
            let start = offset as usize;
            out.copy_from_slice(&bytes[start..start + out.len()]);
            Ok(())
        };
        let geometry = geometry_of(bytes.len() as u64)?;
        let (root, values) = tree_of(&geometry, &mut fill).map_err(ShelfError::io(&self.inner.folder))?;
        self.put_alone(&root, &geometry, &values, &mut fill)?;
        Ok(root)
    }

    /// Keeps a copy of a file under its BLAKE3 hash.
    ///
    /// # Errors
    /// No room; the file system's; the file changed while it was read.
    pub fn put_file(&self, path: &Path) -> Result<Item, ShelfError> {
        let file = File::open(path).map_err(ShelfError::io(path))?;
        let geometry = geometry_of(file.metadata().map_err(ShelfError::io(path))?.len())?;
        let mut fill = |offset: u64, out: &mut [u8]| crate::files::read_at(&file, out, offset);
        let (root, values) = tree_of(&geometry, &mut fill).map_err(ShelfError::io(path))?;
        let mut groups = values.iter();
        let mut checked = |offset: u64, out: &mut [u8]| {
            fill(offset, out)?;
            for (index, part) in out.chunks(GROUP_BYTES as usize).enumerate() {
                let group = (offset / GROUP_BYTES) as u32 + index as u32;
                let expected = groups.next().unwrap_or(&root);
                if geometry.group_value(group, part) != *expected {
                    return Err(io::Error::other("the file changed while it was read; try again"));
                }
            }
            Ok(())
        };
        self.put_alone(&root, &geometry, &values, &mut checked)?;
        Ok(Item::blob(root, geometry.bytes))
    }

    /// Keeps a state: its root is `State::root`'s. Entries that lie here already are not written again.
    ///
    /// # Errors
    /// No room, then what was written stays and the state is not whole: forget it or put it again; more entries than 65,536; the file
    /// system's.
    pub fn put_state(&self, entries: &[&[u32]]) -> Result<Item, ShelfError> {
        if entries.len() > MAX_ENTRIES {
            return Err(ShelfError::Impossible { what: format!("{} entries, more than {MAX_ENTRIES}", entries.len()) });
        }
        let elements: Vec<usize> = entries.iter().map(|entry| entry.len()).collect();
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let geometry = geometry_of(entry.len() as u64 * 4)?;
            let mut fill = |offset: u64, out: &mut [u8]| {
                fill_words(entry, offset, out);
                Ok(())
            };
            let (root, values) = tree_of(&geometry, &mut fill).map_err(ShelfError::io(&self.inner.folder))?;
            found.push((root, geometry, values, *entry));
        }
        let roots: Vec<Hash> = found.iter().map(|(root, ..)| *root).collect();
        let root = sip_proof::roots_tree(&roots).root();
        self.keep_list(&root, roots)?;
        let mut seen = BTreeSet::new();
        found.retain(|(blob, ..)| seen.insert(*blob) && !self.is_whole(blob));
        let claim = self.claim(found.iter().map(|(_, geometry, ..)| blob_cost(geometry)).sum())?;
        let stage = |(blob, geometry, values, entry): &(Hash, Geometry, Vec<Hash>, &[u32])| {
            self.stage(blob, geometry, values, &mut |offset, out| {
                fill_words(entry, offset, out);
                Ok(())
            })
        };
        self.name_all(found.iter().map(stage).collect::<Result<_, _>>()?, &claim)?;
        self.sync_blobs()?;
        Ok(Item::state(root, &elements))
    }

    /// Keeps a blob by itself, or leaves everything as it was.
    fn put_alone(
        &self,
        root: &Hash,
        geometry: &Geometry,
        values: &[Hash],
        fill: &mut Fill<'_>,
    ) -> Result<(), ShelfError> {
        let was_kept = self.state().alone.contains_key(root);
        self.keep_alone(root, geometry.bytes)?;
        let put = self.write_blob(root, geometry, values, fill).and_then(|()| self.sync_blobs());
        if put.is_err() && !was_kept {
            self.forget(root)?;
        }
        put
    }

    /// Writes a blob whose tree is known, unless it is here.
    fn write_blob(
        &self,
        root: &Hash,
        geometry: &Geometry,
        values: &[Hash],
        fill: &mut Fill<'_>,
    ) -> Result<(), ShelfError> {
        if self.is_whole(root) {
            return Ok(());
        }
        let claim = self.claim(blob_cost(geometry))?;
        let staged = self.stage(root, geometry, values, fill)?;
        self.name_all(vec![staged], &claim)
    }

    /// Writes the files of a blob, which have no names yet.
    fn stage(
        &self,
        root: &Hash,
        geometry: &Geometry,
        values: &[Hash],
        fill: &mut Fill<'_>,
    ) -> Result<Staged, ShelfError> {
        let folder = self.folder("blobs");
        let name = hex(root);
        let mut content = Vec::new();
        let data = New::write(&folder, &name, |file| {
            allocate(file, geometry.bytes)?;
            for frame in geometry.frames(geometry.all()) {
                let at = geometry.bytes_of(&frame);
                content.resize((at.end - at.start) as usize, 0);
                fill(at.start, &mut content)?;
                file.write_all(&content)?;
            }
            Ok(())
        });
        let tree = match values.is_empty() {
            true => Ok(None),
            false => {
                New::write(&folder, &format!("{name}.tree"), |file| file.write_all(values.as_flattened())).map(Some)
            }
        };
        let staged = data.and_then(|data| Ok(Staged { root: *root, geometry: *geometry, data, tree: tree? }));
        staged.map_err(ShelfError::io(&folder))
    }

    /// Brings blobs to the disk and gives them their names, in room that was promised. Together, since the disk takes many at once nearly
    /// as fast as one. Names are durable after [`Shelf::sync_blobs`].
    pub(crate) fn name_all(&self, staged: Vec<Staged>, claim: &Claim) -> Result<(), ShelfError> {
        let folder = self.folder("blobs");
        // The tree is made again where it is lost, or does not add up.
        staged.iter().try_for_each(|blob| blob.data.sync()).map_err(ShelfError::io(&folder))?;
        for Staged { root, geometry, data, tree } in staged {
            let mut state = self.state();
            if state.blobs.contains_key(&root) {
                continue;
            }
            tree.map_or(Ok(()), New::name).and_then(|()| data.name()).map_err(ShelfError::io(&folder))?;
            state.blobs.insert(root, geometry.bytes);
            claim.spend(blob_cost(&geometry));
            if let Some(part) = state.parts.remove(&root) {
                state.used = state.used.saturating_sub(part.cost());
                self.remove_part_files(&root)?;
            }
        }
        Ok(())
    }

    /// Writes a blob of at most one frame that came whole and was checked.
    pub(crate) fn stage_small(
        &self,
        root: &Hash,
        geometry: &Geometry,
        content: &[u8],
        learned: &Learned,
    ) -> Result<Staged, ShelfError> {
        let mut values = vec![[0; 32]; geometry.tree_values() as usize];
        if geometry.groups > 1 {
            learned.iter().for_each(|(node, value)| values[geometry.place(*node) as usize] = *value);
        }
        self.stage(root, geometry, &values, &mut |offset, out| {
            let start = offset as usize;
            out.copy_from_slice(&content[start..start + out.len()]);
            Ok(())
        })
    }

    /// Makes the names of blobs durable.
    pub(crate) fn sync_blobs(&self) -> Result<(), ShelfError> {
        let folder = self.folder("blobs");
        sync_folder(&folder).map_err(ShelfError::io(&folder))
    }

    /// Whether a blob comes in one frame and is written at once.
    pub(crate) fn is_small(geometry: &Geometry) -> bool {
        geometry.groups <= FRAME_GROUPS
    }

    /// The missing part of a blob, to write into; it is begun where nothing is here. `None` if the blob is whole.
    pub(crate) fn part(&self, root: &Hash, geometry: &Geometry) -> Result<Option<Arc<Part>>, ShelfError> {
        let mut state = self.state();
        if state.blobs.contains_key(root) {
            return Ok(None);
        }
        if let Some(part) = state.parts.get(root) {
            if part.geometry != *geometry {
                let what = format!(
                    "{} was begun with {} bytes and is wanted with {}",
                    hex(root),
                    part.geometry.bytes,
                    geometry.bytes
                );
                return Err(ShelfError::Impossible { what });
            }
            return Ok(Some(part.clone()));
        }
        let path = self.file("parts", root);
        state.used += part_cost(geometry, 0);
        self.fill_room(&mut state);
        let part = Part::create(&path, *geometry).inspect_err(|_| state.used -= part_cost(geometry, 0));
        let part = Arc::new(part.map_err(ShelfError::io(&path))?);
        state.parts.insert(*root, part.clone());
        Ok(Some(part))
    }

    /// Brings what came of a blob to the disk, and makes it a whole one if nothing is missing; its name is durable after
    /// [`Shelf::sync_blobs`].
    pub(crate) fn settle(&self, root: &Hash, part: &Part) -> Result<(), ShelfError> {
        let path = self.file("parts", root);
        if !part.flush().map_err(ShelfError::io(&path))? {
            return Ok(());
        }
        let mut state = self.state();
        // It may have been settled, or forgotten, meanwhile.
        if state.parts.remove(root).is_none() {
            return Ok(());
        }
        let whole = self.file("blobs", root);
        let name = || -> io::Result<()> {
            fs::rename(path.with_extension("tree"), whole.with_extension("tree"))?;
            fs::rename(&path, &whole)?;
            fs::remove_file(path.with_extension("map"))
        };
        name().map_err(ShelfError::io(&path))?;
        let bytes = part.geometry.bytes;
        state.used = state.used.saturating_sub(part.cost()) + blob_cost(&part.geometry);
        state.blobs.insert(*root, bytes);
        Ok(())
    }

    /// Makes a blob whole of which nothing is missing, and that nobody has settled.
    pub(crate) fn settle_if_whole(&self, root: &Hash) -> Result<(), ShelfError> {
        let part = self.state().parts.get(root).filter(|part| part.is_whole()).cloned();
        let Some(part) = part else { return Ok(()) };
        match self.settle(root, &part).and_then(|()| self.sync_blobs()) {
            // Somebody else has settled it meanwhile.
            Err(_) if self.is_whole(root) => Ok(()),
            settled => settled,
        }
    }

    /// The groups of a blob that are missing in a range.
    pub(crate) fn missing(&self, root: &Hash, range: &Range<u32>) -> Vec<Range<u32>> {
        let state = self.state();
        match state.parts.get(root) {
            _ if state.blobs.contains_key(root) || range.is_empty() => Vec::new(),
            Some(part) => part.missing(range),
            None => std::iter::once(range.clone()).collect(),
        }
    }
}

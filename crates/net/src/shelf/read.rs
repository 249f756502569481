//! Reading from a shelf: every byte is checked against its root, since the one who computes with a wrong one pays for it.

use super::{Part, Shelf, ShelfError, Source};
use crate::Hash;
use crate::files::{write_at, write_whole};
use crate::item::{Item, Shape};
use crate::tree::{Geometry, Node, check_frame};
use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 20;

impl Shelf {
    /// A whole blob.
    ///
    /// # Errors
    /// It is not here with this size; it was damaged on the disk; the file system's.
    pub fn read(&self, root: &Hash, bytes: u64) -> Result<Vec<u8>, ShelfError> {
        let mut content = vec![0; self.whole(root, bytes)?.geometry.bytes as usize];
        self.read_whole(root, bytes, &mut |at, piece| content[at..at + piece.len()].copy_from_slice(piece))?;
        Ok(content)
    }

    /// A tensor into words.
    ///
    /// # Errors
    /// It is not here with this length; it was damaged on the disk; the file system's.
    pub fn read_words(&self, root: &Hash, words: &mut [u32]) -> Result<(), ShelfError> {
        let bytes = words.len() as u64 * 4;
        self.read_whole(root, bytes, &mut |at, piece| {
            for (word, four) in words[at / 4..].iter_mut().zip(piece.chunks_exact(4)) {
                *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            }
        })
    }

    /// The entries of a state.
    ///
    /// # Errors
    /// Not all of it is here with these lengths; it was damaged on the disk; the file system's.
    pub fn read_state(&self, item: &Item) -> Result<Vec<Vec<u32>>, ShelfError> {
        let Shape::List { bytes } = &item.shape else {
            return Err(ShelfError::Impossible { what: "a blob has no entries".into() });
        };
        let roots = self.list(&item.root).filter(|roots| roots.len() == bytes.len());
        let roots = roots.ok_or(ShelfError::Missing { root: item.root })?;
        let entry = |(root, bytes): (&Hash, &u64)| {
            self.whole(root, *bytes)?;
            let mut words = vec![0; (*bytes / 4) as usize];
            self.read_words(root, &mut words).map(|()| words)
        };
        roots.iter().zip(bytes).map(entry).collect()
    }

    /// Bytes of a blob of which these are here.
    ///
    /// # Errors
    /// Some of them are missing; they were damaged on the disk; the file system's.
    pub fn read_range(&self, item: &Item, range: Range<u64>) -> Result<Vec<u8>, ShelfError> {
        let missing = || ShelfError::Missing { root: item.root };
        let source = self.source(&item.root)?.filter(|source| source.geometry.bytes == item.bytes());
        let mut source = source.ok_or_else(missing)?;
        if range.end > source.geometry.bytes || range.start > range.end {
            return Err(missing());
        }
        let groups = source.geometry.groups_of(&range);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if !source.has(&groups) {
            return Err(missing());
        }
        let mut found = Vec::with_capacity((range.end - range.start) as usize);
        for frame in source.geometry.frames(groups) {
            let at = source.geometry.bytes_of(&frame);
            let content = match self.read_frame(&source, &frame) {
                // It was the tree that was wrong, and is right now.
                Err(ShelfError::Damaged { .. }) if self.is_whole(&item.root) => {
                    source = self.whole(&item.root, item.bytes())?;
                    self.read_frame(&source, &frame)
                }
                read => read,
            }?;
            let inside = |offset: u64| (offset.clamp(at.start, at.end) - at.start) as usize;
            found.extend_from_slice(&content[inside(range.start)..inside(range.end)]);
        }
        Ok(found)
    }

    /// A frame, checked.
    fn read_frame(&self, source: &Source, frame: &Range<u32>) -> Result<Vec<u8>, ShelfError> {
        let io = ShelfError::io(&self.file("blobs", &source.root));
        let at = source.geometry.bytes_of(frame);
        let mut content = vec![0; (at.end - at.start) as usize];
        source.read(&mut content, at.start).map_err(&io)?;
        let opening = source.opening(frame).map_err(&io)?;
        let is_right =
            |opening: Vec<u8>| check_frame(&source.geometry, &source.root, frame, &opening, &content).is_some();
        match opening.is_some_and(is_right) {
            true => Ok(content),
            false => Err(self.mend(source)),
        }
    }

    /// A blob that is whole and of this size.
    fn whole(&self, root: &Hash, bytes: u64) -> Result<Source, ShelfError> {
        let is_whole = self.state().blobs.get(root) == Some(&bytes);
        let source = if is_whole { self.source(root)? } else { None };
        source.ok_or(ShelfError::Missing { root: *root })
    }

    fn read_whole(&self, root: &Hash, bytes: u64, each: &mut dyn FnMut(usize, &[u8])) -> Result<(), ShelfError> {
        let source = self.whole(root, bytes)?;
        let mut hasher = blake3::Hasher::new();
        let mut content = vec![0; PIECE_BYTES.min(bytes as usize)];
        let mut at = 0;
        while at < bytes {
            let piece = &mut content[..(bytes - at).min(PIECE_BYTES as u64) as usize];
            source.read(piece, at).map_err(ShelfError::io(&self.file("blobs", root)))?;
            hasher.update(piece);
            each(at as usize, piece);
            at += piece.len() as u64;
        }
        if *hasher.finalize().as_bytes() == *root { Ok(()) } else { Err(self.mend(&source)) }
    }

    /// Makes the tree of a blob again where its bytes are right, and marks what is wrong of them as missing. The error to report.
    pub(crate) fn mend(&self, source: &Source) -> ShelfError {
        let io = ShelfError::io(&self.file("blobs", &source.root));
        match self.try_to_mend(source) {
            Ok(()) => ShelfError::Damaged { root: source.root },
            Err(error) => io(error),
        }
    }

    fn try_to_mend(&self, source: &Source) -> io::Result<()> {
        let (root, geometry) = (source.root, source.geometry);
        if self.mend_part(&root)? {
            return Ok(());
        }
        // Hashed before the shelf is held: everything else goes on meanwhile.
        let (found, values) = super::put::tree_of(&geometry, &mut |offset, out| source.read(out, offset))?;
        let written = source.written_groups()?.filter(|_| geometry.groups > 1);
        let mut state = self.state();
        if !state.blobs.contains_key(&root) {
            return Ok(());
        }
        if found == root {
            return self.write_tree_again(&root, &values);
        }
        state.blobs.remove(&root);
        state.used = state.used.saturating_sub(super::blob_cost(&geometry));
        let whole = self.file("blobs", &root);
        let Some(written) = written else {
            let _ = fs::remove_file(whole.with_extension("tree"));
            return fs::remove_file(&whole);
        };
        let mut bits = vec![0u8; geometry.groups.div_ceil(8) as usize];
        for (group, (written, value)) in written.iter().zip(&values).enumerate() {
            bits[group / 8] |= u8::from(written == value) << (group % 8);
        }
        let path = self.file("parts", &root);
        let part = Part::create(&path, geometry)?;
        part.set_values(&values_of(&geometry, &written))?;
        drop(part);
        fs::rename(&whole, &path)?;
        let _ = fs::remove_file(whole.with_extension("tree"));
        write_at(&fs::File::options().write(true).open(path.with_extension("map"))?, &bits, 0)?;
        if let Some(part) = Part::open(&path, &root)? {
            state.used += part.cost();
            state.parts.insert(root, Arc::new(part));
        }
        Ok(())
    }

    /// Says of a part which of its groups are missing after all; false where the blob is not in parts. Each group by itself: what opens it, or
    /// its bytes, may be wrong.
    fn mend_part(&self, root: &Hash) -> io::Result<bool> {
        let mut state = self.state();
        let Some(part) = state.parts.get(root) else { return Ok(false) };
        let mut wrong = Vec::new();
        for group in part.geometry.all().filter(|group| part.has(&(*group..group + 1))) {
            if !part.is_right(root, group)? {
                wrong.push(group);
            }
        }
        let before = part.cost();
        part.lose(&wrong)?;
        let after = part.cost();
        state.used = (state.used + after).saturating_sub(before);
        Ok(true)
    }

    /// Writes the tree of a blob whose bytes are right.
    fn write_tree_again(&self, root: &Hash, values: &[Hash]) -> io::Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        write_whole(&self.folder("blobs"), &format!("{}.tree", crate::hex(root)), values.as_flattened())
    }
}

/// Values of all nodes from those of the groups.
fn values_of(geometry: &Geometry, groups: &[Hash]) -> Vec<(Node, Hash)> {
    let mut values: Vec<(Node, Hash)> =
        groups.iter().enumerate().map(|(start, value)| (Node { start: start as u32, len: 1 }, *value)).collect();
    geometry.fold(&geometry.all(), groups, &mut |_| None, &mut |node, value| values.push((node, *value)));
    values
}

//! A blob of which groups are missing.

use crate::Hash;
use crate::files::{read_at, write_at};
use crate::tree::{GROUP_BYTES, Geometry, Learned, Node, check_frame};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Part {
    pub geometry: Geometry,
    path: PathBuf,
    /// Open while somebody is at it: a state has more entries than a process may have open files.
    open: Mutex<Option<Arc<Files>>>,
    state: Mutex<Bits>,
}

/// The three files of a part. They can be read on after the part has another name.
#[derive(Debug)]
pub(crate) struct Files {
    data: File,
    tree: File,
    map: File,
}

impl Files {
    fn open(path: &Path) -> io::Result<Files> {
        let open = |path: &Path| File::options().read(true).write(true).open(path);
        Ok(Files {
            data: open(path)?,
            tree: open(&path.with_extension("tree"))?,
            map: open(&path.with_extension("map"))?,
        })
    }

    pub(crate) fn read(&self, content: &mut [u8], offset: u64) -> io::Result<()> {
        read_at(&self.data, content, offset)
    }

    pub(crate) fn values(&self, first: u64, values: &mut [Hash]) -> io::Result<()> {
        read_at(&self.tree, values.as_flattened_mut(), first * 32)
    }
}

#[derive(Debug)]
struct Bits {
    /// A bit for each group that is here, least significant first.
    bits: Vec<u8>,
    held: u32,
    /// Bytes that came since the map was written, and since it was known to be on the disk.
    unnoted: u64,
    unflushed: u64,
}

impl Bits {
    fn has(&self, group: u32) -> bool {
        self.bits.get(group as usize / 8).is_some_and(|byte| byte >> (group % 8) & 1 == 1)
    }

    fn set(&mut self, group: u32, is_here: bool) {
        if let Some(byte) = self.bits.get_mut(group as usize / 8) {
            let bit = 1 << (group % 8);
            *byte = if is_here { *byte | bit } else { *byte & !bit };
        }
    }
}

impl Part {
    /// An empty one, in three files of this path's name.
    pub(crate) fn create(path: &Path, geometry: Geometry) -> io::Result<Part> {
        let [data, tree] = [path.to_owned(), path.with_extension("tree")]
            .map(|path| File::options().create(true).truncate(true).read(true).write(true).open(path));
        let (data, tree) = (data?, tree?);
        data.set_len(geometry.bytes)?;
        tree.set_len(geometry.tree_values() * 32)?;
        let bits = vec![0; geometry.groups.div_ceil(8) as usize];
        // The map comes last: without it the others are nothing. No bit is set, and a file of zeros takes no room.
        let map =
            File::options().create(true).truncate(true).read(true).write(true).open(path.with_extension("map"))?;
        map.set_len(bits.len() as u64 * 2)?;
        Ok(Part::closed(path, geometry, bits))
    }

    fn closed(path: &Path, geometry: Geometry, bits: Vec<u8>) -> Part {
        let state = Mutex::new(Bits { bits, held: 0, unnoted: 0, unflushed: 0 });
        Part { geometry, path: path.to_owned(), open: Mutex::new(None), state }
    }

    /// The files, opened if they are not.
    pub(crate) fn files(&self) -> io::Result<Arc<Files>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &*open {
            return Ok(files.clone());
        }
        let files = Arc::new(Files::open(&self.path)?);
        *open = Some(files.clone());
        Ok(files)
    }

    /// Closes the files until they are needed again.
    pub(crate) fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The one that lies in three files; `None` if they do not fit together.
    pub(crate) fn open(path: &Path, root: &Hash) -> io::Result<Option<Part>> {
        let files = match Files::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let Some(geometry) = Geometry::new(files.data.metadata()?.len()) else { return Ok(None) };
        let map_bytes = geometry.groups.div_ceil(8) as usize;
        let mut both = vec![0; map_bytes * 2];
        let fits = files.map.metadata()?.len() == both.len() as u64
            && files.tree.metadata()?.len() == geometry.tree_values() * 32;
        if !fits {
            return Ok(None);
        }
        read_at(&files.map, &mut both, 0)?;
        let came = both.split_off(map_bytes);
        let part = Part::closed(path, geometry, both);
        part.take_up(root, &came)?;
        part.close();
        Ok(Some(part))
    }

    /// Counts the groups that are here for sure, and checks those that came and may not have reached the disk.
    fn take_up(&self, root: &Hash, came: &[u8]) -> io::Result<()> {
        let came = |group: u32| came[group as usize / 8] >> (group % 8) & 1 == 1;
        for group in self.geometry.all() {
            let is_sure = self.bits().has(group);
            let is_here = is_sure || (came(group) && self.is_right(root, group)?);
            let mut bits = self.bits();
            bits.set(group, is_here);
            bits.held += u32::from(is_here);
            bits.unflushed += u64::from(is_here && !is_sure);
        }
        // Beyond the last group there is nothing.
        let groups = self.geometry.groups;
        if !groups.is_multiple_of(8)
            && let Some(last) = self.bits().bits.last_mut()
        {
            *last &= (1 << (groups % 8)) - 1;
        }
        Ok(())
    }

    /// Whether a group stands under the root as it lies here.
    pub(crate) fn is_right(&self, root: &Hash, group: u32) -> io::Result<bool> {
        let frame = group..group + 1;
        let at = self.geometry.bytes_of(&frame);
        let mut content = vec![0; (at.end - at.start) as usize];
        let files = self.files()?;
        files.read(&mut content, at.start)?;
        let mut opening = Vec::new();
        for node in self.geometry.outside(&frame) {
            let mut value = [[0; 32]];
            files.values(self.geometry.place(node), &mut value)?;
            opening.extend_from_slice(&value[0]);
        }
        Ok(check_frame(&self.geometry, root, &frame, &opening, &content).is_some())
    }

    /// Takes the room of its first bytes from the disk, or of all where it has no more.
    pub(crate) fn allocate(&self, bytes: u64) -> io::Result<()> {
        crate::files::take_room(&self.files()?.data, bytes.min(self.geometry.bytes))
    }

    fn bits(&self) -> MutexGuard<'_, Bits> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.bits().held == self.geometry.groups
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        (u64::from(self.bits().held) * GROUP_BYTES).min(self.geometry.bytes)
    }

    /// Room that it counts for.
    pub(crate) fn cost(&self) -> u64 {
        super::room::part_cost(&self.geometry, self.bits().held)
    }

    pub(crate) fn has(&self, range: &Range<u32>) -> bool {
        let bits = self.bits();
        range.clone().all(|group| bits.has(group))
    }

    /// The groups of a range that are missing, neighbours together.
    pub(crate) fn missing(&self, range: &Range<u32>) -> Vec<Range<u32>> {
        let bits = self.bits();
        let mut found: Vec<Range<u32>> = Vec::new();
        for group in range.clone().filter(|group| !bits.has(*group)) {
            match found.last_mut() {
                Some(last) if last.end == group => last.end += 1,
                _ => found.push(group..group + 1),
            }
        }
        found
    }

    /// Takes groups that were checked, and what they showed of the tree. How many of them were missing.
    pub(crate) fn write(&self, range: &Range<u32>, content: &[u8], learned: &Learned) -> io::Result<u32> {
        if self.has(range) {
            return Ok(0);
        }
        // Two that write the same write the same bytes.
        let files = self.files()?;
        write_at(&files.data, content, u64::from(range.start) * GROUP_BYTES)?;
        self.write_tree(&files, learned)?;
        let mut bits = self.bits();
        let mut new = 0;
        for group in range.clone().filter(|group| group / 8 < u32::MAX) {
            if !bits.has(group)
                && let Some(byte) = bits.bits.get_mut(group as usize / 8)
            {
                *byte |= 1 << (group % 8);
                new += 1;
            }
        }
        bits.held += new;
        bits.unnoted += content.len() as u64;
        bits.unflushed += content.len() as u64;
        Ok(new)
    }

    /// Writes values; those that lie side by side together.
    fn write_tree(&self, files: &Files, learned: &Learned) -> io::Result<()> {
        let mut placed: Vec<(u64, &Hash)> =
            learned.iter().map(|(node, value)| (self.geometry.place(*node), value)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let mut run: Vec<u8> = Vec::new();
        let mut start = 0;
        for (place, value) in placed {
            if place != start + run.len() as u64 / 32 && !run.is_empty() {
                write_at(&files.tree, &run, start * 32)?;
                run.clear();
            }
            if run.is_empty() {
                start = place;
            }
            run.extend_from_slice(value);
        }
        write_at(&files.tree, &run, start * 32)
    }

    /// Bytes that a power cut would lose.
    pub(crate) fn unflushed(&self) -> u64 {
        self.bits().unflushed
    }

    /// Notes what came, so that it outlives the process. After a power cut it is checked.
    pub(crate) fn note(&self) -> io::Result<()> {
        let bits = {
            let mut bits = self.bits();
            if bits.unnoted == 0 {
                return Ok(());
            }
            bits.unnoted = 0;
            bits.bits.clone()
        };
        write_at(&self.files()?.map, &bits, bits.len() as u64)
    }

    /// Brings what came so far to the disk, then the bits that say so; not these where nothing is missing any more. Whether that is so: what
    /// comes meanwhile is not on the disk yet, and does not count.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        let (bits, unflushed, is_whole) = {
            let bits = self.bits();
            (bits.bits.clone(), bits.unflushed, bits.held == self.geometry.groups)
        };
        let files = self.files()?;
        files.data.sync_data()?;
        files.tree.sync_data()?;
        if is_whole {
            self.close();
        } else {
            write_at(&files.map, &bits, 0)?;
            files.map.sync_data()?;
        }
        let mut now = self.bits();
        now.unflushed = now.unflushed.saturating_sub(unflushed);
        if is_whole {
            now.unnoted = 0;
        }
        Ok(is_whole)
    }

    /// Says that groups are missing after all.
    pub(crate) fn lose(&self, groups: &[u32]) -> io::Result<()> {
        let mut bits = self.bits();
        for group in groups {
            if bits.has(*group) {
                bits.set(*group, false);
                bits.held -= 1;
            }
        }
        write_at(&self.files()?.map, &[&bits.bits[..], &bits.bits[..]].concat(), 0)
    }

    pub(crate) fn set_values(&self, values: &[(Node, Hash)]) -> io::Result<()> {
        self.write_tree(&*self.files()?, &values.to_vec())
    }
}

//! A blob of which groups are missing.

use crate::Hash;
use crate::files::{read_at, write_at};
use crate::tree::{GROUP_BYTES, Geometry, Learned, Node};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that a group takes on the disk, with its share of the tree.
pub(crate) const fn group_cost() -> u64 {
    GROUP_BYTES + 64
}

#[derive(Debug)]
pub(crate) struct Part {
    pub geometry: Geometry,
    data: File,
    tree: File,
    map: File,
    state: Mutex<Bits>,
}

#[derive(Debug)]
struct Bits {
    /// A bit for each group that is here, least significant first.
    bits: Vec<u8>,
    held: u32,
    /// Bytes that came since the map on the disk was written.
    unflushed: u64,
}

impl Bits {
    fn has(&self, group: u32) -> bool {
        self.bits.get(group as usize / 8).is_some_and(|byte| byte >> (group % 8) & 1 == 1)
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
        // The map comes last: without it the others are nothing.
        let map =
            File::options().create(true).truncate(true).read(true).write(true).open(path.with_extension("map"))?;
        write_at(&map, &bits, 0)?;
        Ok(Part { geometry, data, tree, map, state: Mutex::new(Bits { bits, held: 0, unflushed: 0 }) })
    }

    /// The one that lies in three files; `None` if they do not fit together.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Part>> {
        let open = |path: &Path| File::options().read(true).write(true).open(path);
        let data = open(path)?;
        let (Ok(tree), Ok(map)) = (open(&path.with_extension("tree")), open(&path.with_extension("map"))) else {
            return Ok(None);
        };
        let Some(geometry) = Geometry::new(data.metadata()?.len()) else { return Ok(None) };
        let mut bits = vec![0; geometry.groups.div_ceil(8) as usize];
        let fits = map.metadata()?.len() == bits.len() as u64 && tree.metadata()?.len() == geometry.tree_values() * 32;
        if !fits {
            return Ok(None);
        }
        read_at(&map, &mut bits, 0)?;
        if !geometry.groups.is_multiple_of(8)
            && let Some(last) = bits.last_mut()
        {
            *last &= (1 << (geometry.groups % 8)) - 1;
        }
        let held = bits.iter().map(|byte| byte.count_ones()).sum();
        Ok(Some(Part { geometry, data, tree, map, state: Mutex::new(Bits { bits, held, unflushed: 0 }) }))
    }

    /// Takes the room of all of it from the disk.
    pub(crate) fn allocate(&self) -> io::Result<()> {
        crate::files::allocate(&self.data, self.geometry.bytes)
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
        u64::from(self.bits().held) * group_cost()
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
        write_at(&self.data, content, u64::from(range.start) * GROUP_BYTES)?;
        self.write_tree(learned)?;
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
        bits.unflushed += content.len() as u64;
        Ok(new)
    }

    /// Writes values; those that lie side by side together.
    fn write_tree(&self, learned: &Learned) -> io::Result<()> {
        let mut placed: Vec<(u64, &Hash)> =
            learned.iter().map(|(node, value)| (self.geometry.place(*node), value)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let mut run: Vec<u8> = Vec::new();
        let mut start = 0;
        for (place, value) in placed {
            if place != start + run.len() as u64 / 32 && !run.is_empty() {
                write_at(&self.tree, &run, start * 32)?;
                run.clear();
            }
            if run.is_empty() {
                start = place;
            }
            run.extend_from_slice(value);
        }
        write_at(&self.tree, &run, start * 32)
    }

    /// Bytes that a kill would lose.
    pub(crate) fn unflushed(&self) -> u64 {
        self.bits().unflushed
    }

    /// Brings what was taken so far to the disk, then the bits that say so.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let (bits, unflushed) = {
            let bits = self.bits();
            (bits.bits.clone(), bits.unflushed)
        };
        self.data.sync_data()?;
        write_at(&self.map, &bits, 0)?;
        self.map.sync_data()?;
        let mut now = self.bits();
        now.unflushed = now.unflushed.saturating_sub(unflushed);
        Ok(())
    }

    /// Says that groups are missing after all.
    pub(crate) fn lose(&self, groups: impl Iterator<Item = u32>) -> io::Result<()> {
        let mut bits = self.bits();
        for group in groups {
            if bits.has(group)
                && let Some(byte) = bits.bits.get_mut(group as usize / 8)
            {
                *byte &= !(1 << (group % 8));
                bits.held -= 1;
            }
        }
        write_at(&self.map, &bits.bits, 0)
    }

    pub(crate) fn read(&self, content: &mut [u8], offset: u64) -> io::Result<()> {
        read_at(&self.data, content, offset)
    }

    pub(crate) fn values(&self, first: u64, values: &mut [Hash]) -> io::Result<()> {
        read_at(&self.tree, values.as_flattened_mut(), first * 32)
    }

    pub(crate) fn set_values(&self, values: &[(Node, Hash)]) -> io::Result<()> {
        self.write_tree(&values.to_vec())
    }
}

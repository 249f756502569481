//! The BLAKE3 tree of a blob above its groups: which values open a range of groups, and what they add up to.
//!
//! A blob of `n` bytes has max(1, ⌈n / 16384⌉) groups of 16 chunks. A node covers the groups `start .. start + len`; where `len` is more
//! than 1 its left child covers the greatest power of two below `len`, as in the BLAKE3 paper, section 2.1. The values of the largest
//! nodes outside of a range, from left to right, open the range: with them its bytes add up to the blob's hash, and nothing else does.

use crate::Hash;
use blake3::Hasher;
use blake3::hazmat::{self, HasherExt};
use std::ops::Range;

/// Bytes of a group, the unit in which blobs are asked for: 16 chunks of BLAKE3.
pub const GROUP_BYTES: u64 = 16 << 10;
/// Groups that are opened together: 1 MiB.
pub const FRAME_GROUPS: u32 = 64;
/// Groups of the largest blob, 2 TiB.
const MAX_GROUPS: u64 = 1 << 27;
/// Levels of the tallest tree.
const MAX_LEVELS: usize = 28;

/// Neighbouring groups under one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub start: u32,
    pub len: u32,
}

impl Node {
    fn children(self) -> Option<(Node, Node)> {
        if self.len < 2 {
            return None;
        }
        let left = 1 << (31 - (self.len - 1).leading_zeros());
        let right = Node { start: self.start + left, len: self.len - left };
        Some((Node { start: self.start, len: left }, right))
    }

    fn meets(self, range: &Range<u32>) -> bool {
        self.start < range.end && range.start < self.start + self.len
    }

    /// Levels above the groups.
    fn level(self) -> u32 {
        if self.len < 2 { 0 } else { 32 - (self.len - 1).leading_zeros() }
    }
}

/// The shape of a blob's tree, which follows from its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub bytes: u64,
    pub groups: u32,
}

impl Geometry {
    /// `None` beyond 2 TiB.
    pub(crate) fn new(bytes: u64) -> Option<Geometry> {
        let groups = bytes.div_ceil(GROUP_BYTES).max(1);
        (groups <= MAX_GROUPS).then_some(Geometry { bytes, groups: groups as u32 })
    }

    pub(crate) fn all(&self) -> Range<u32> {
        0..self.groups
    }

    fn top(&self) -> Node {
        Node { start: 0, len: self.groups }
    }

    /// Where groups lie in the blob.
    pub(crate) fn bytes_of(&self, groups: &Range<u32>) -> Range<u64> {
        let at = |group: u32| (u64::from(group) * GROUP_BYTES).min(self.bytes);
        at(groups.start)..at(groups.end)
    }

    /// The groups that hold these bytes; none for no bytes, but the only group of an empty blob.
    pub(crate) fn groups_of(&self, bytes: &Range<u64>) -> Range<u32> {
        let end = bytes.end.min(self.bytes);
        if self.bytes == 0 {
            return 0..1;
        }
        if bytes.start >= end {
            return 0..0;
        }
        (bytes.start / GROUP_BYTES) as u32..end.div_ceil(GROUP_BYTES) as u32
    }

    /// A range cut where frames end.
    pub(crate) fn frames(&self, range: Range<u32>) -> impl Iterator<Item = Range<u32>> + use<> {
        let mut start = range.start;
        std::iter::from_fn(move || {
            if start >= range.end {
                return None;
            }
            let end = ((start / FRAME_GROUPS + 1) * FRAME_GROUPS).min(range.end);
            let frame = start..end;
            start = end;
            Some(frame)
        })
    }

    /// The largest nodes outside of a range, from left to right.
    pub(crate) fn outside(&self, range: &Range<u32>) -> Vec<Node> {
        let mut found = Vec::new();
        let mut waiting = vec![self.top()];
        while let Some(node) = waiting.pop() {
            if !node.meets(range) {
                found.push(node);
            } else if let Some((left, right)) = node.children() {
                waiting.push(right);
                waiting.push(left);
            }
        }
        found
    }

    /// Bytes of a frame on the wire: opening, then content.
    pub(crate) fn frame_bytes(&self, frame: &Range<u32>) -> u64 {
        let content = self.bytes_of(frame);
        self.outside(frame).len() as u64 * 32 + (content.end - content.start)
    }

    /// Values in the file of a whole tree: by levels from the groups up, one for each node of the level; none for a single group,
    /// whose value is the blob's hash.
    pub(crate) fn tree_values(&self) -> u64 {
        if self.groups == 1 { 0 } else { self.level_start(self.top().level() + 1) }
    }

    fn level_start(&self, level: u32) -> u64 {
        (0..level).map(|level| u64::from(((self.groups - 1) >> level) + 1)).sum()
    }

    /// Which value of the file is a node's.
    pub(crate) fn place(&self, node: Node) -> u64 {
        let level = node.level();
        self.level_start(level) + u64::from(node.start >> level)
    }

    /// The value of a group.
    pub(crate) fn group_value(&self, group: u32, bytes: &[u8]) -> Hash {
        let mut hasher = Hasher::new();
        if self.groups == 1 {
            return *hasher.update(bytes).finalize().as_bytes();
        }
        hasher.set_input_offset(u64::from(group) * GROUP_BYTES);
        hasher.update(bytes).finalize_non_root()
    }

    /// The blob's hash from the values of a range's groups and of the nodes outside; `None` where one is missing. `inner` is told of
    /// every node in between.
    pub(crate) fn fold(
        &self,
        range: &Range<u32>,
        values: &[Hash],
        outside: &mut dyn FnMut(Node) -> Option<Hash>,
        inner: &mut dyn FnMut(Node, &Hash),
    ) -> Option<Hash> {
        Fold { groups: self.groups, range, values, outside, inner }.value(self.top())
    }
}

struct Fold<'a> {
    groups: u32,
    range: &'a Range<u32>,
    values: &'a [Hash],
    outside: &'a mut dyn FnMut(Node) -> Option<Hash>,
    inner: &'a mut dyn FnMut(Node, &Hash),
}

impl Fold<'_> {
    fn value(&mut self, node: Node) -> Option<Hash> {
        if !node.meets(self.range) {
            return (self.outside)(node);
        }
        let Some((left, right)) = node.children() else {
            return self.values.get((node.start - self.range.start) as usize).copied();
        };
        let (left, right) = (self.value(left)?, self.value(right)?);
        let value = if node.len == self.groups {
            *hazmat::merge_subtrees_root(&left, &right, hazmat::Mode::Hash).as_bytes()
        } else {
            hazmat::merge_subtrees_non_root(&left, &right, hazmat::Mode::Hash)
        };
        (self.inner)(node, &value);
        Some(value)
    }
}

/// What a frame showed: values of nodes, all of which stand under the root.
pub(crate) type Learned = Vec<(Node, Hash)>;

/// Checks a frame as it came. `None` if it does not stand under the root.
pub(crate) fn check_frame(
    geometry: &Geometry,
    root: &Hash,
    frame: &Range<u32>,
    opening: &[u8],
    content: &[u8],
) -> Option<Learned> {
    let size = geometry.bytes_of(frame);
    if content.len() as u64 != size.end - size.start || frame.is_empty() || frame.end > geometry.groups {
        return None;
    }
    let mut parts = content.chunks(GROUP_BYTES as usize);
    let values: Vec<Hash> =
        frame.clone().map(|group| geometry.group_value(group, parts.next().unwrap_or_default())).collect();
    let mut learned: Learned = frame.clone().map(|start| Node { start, len: 1 }).zip(values.iter().copied()).collect();
    let mut given = opening.chunks_exact(32).map(|hash| Hash::try_from(hash).unwrap_or_default());
    let mut around: Learned = Vec::with_capacity(MAX_LEVELS * 2);
    let found = geometry.fold(
        frame,
        &values,
        &mut |node| {
            let value = given.next()?;
            around.push((node, value));
            Some(value)
        },
        &mut |node, value| learned.push((node, *value)),
    )?;
    let is_all = given.next().is_none() && opening.len().is_multiple_of(32);
    learned.append(&mut around);
    (found == *root && is_all).then_some(learned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[6]).collect()
    }

    fn whole(bytes: &[u8]) -> (Geometry, Vec<Hash>) {
        let geometry = Geometry::new(bytes.len() as u64).unwrap();
        let mut values = vec![[0; 32]; geometry.tree_values() as usize];
        let parts: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(GROUP_BYTES as usize).collect() };
        let groups: Vec<Hash> =
            parts.iter().enumerate().map(|(group, part)| geometry.group_value(group as u32, part)).collect();
        let mut keep = |node: Node, value: &Hash| {
            if geometry.groups > 1 {
                values[geometry.place(node) as usize] = *value;
            }
        };
        groups.iter().enumerate().for_each(|(start, value)| keep(Node { start: start as u32, len: 1 }, value));
        let root = geometry.fold(&geometry.all(), &groups, &mut |_| None, &mut keep).unwrap();
        assert_eq!(root, *blake3::hash(bytes).as_bytes());
        (geometry, values)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_range_of_every_blob_opens_and_a_changed_bit_does_not(
            len in prop_oneof![Just(0usize), 0usize..40_000, 0usize..2_500_000], from in any::<u32>(), count in any::<u32>(), flip in any::<u32>(),
        ) {
            let bytes = content(len);
            let (geometry, values) = whole(&bytes);
            let root = *blake3::hash(&bytes).as_bytes();
            let start = from % geometry.groups;
            let range = start..start + 1 + count % (geometry.groups - start).min(70);
            let mut joined = Vec::new();
            for frame in geometry.frames(range.clone()) {
                let mut opening: Vec<u8> =
                    geometry.outside(&frame).into_iter().flat_map(|node| values[geometry.place(node) as usize]).collect();
                let at = geometry.bytes_of(&frame);
                let mut part = bytes[at.start as usize..at.end as usize].to_vec();
                prop_assert_eq!(geometry.frame_bytes(&frame), (opening.len() + part.len()) as u64);
                let learned = check_frame(&geometry, &root, &frame, &opening, &part).unwrap();
                for (node, value) in learned {
                    prop_assert!(geometry.groups == 1 || values[geometry.place(node) as usize] == value);
                }
                joined.extend_from_slice(&part);
                let bit = flip as usize % ((opening.len() + part.len()) * 8).max(1);
                match opening.len() {
                    inside if bit / 8 < inside => opening[bit / 8] ^= 1 << (bit % 8),
                    inside if bit / 8 < inside + part.len() => part[bit / 8 - inside] ^= 1 << (bit % 8),
                    _ => continue,
                }
                prop_assert!(check_frame(&geometry, &root, &frame, &opening, &part).is_none());
            }
            let at = geometry.bytes_of(&range);
            prop_assert_eq!(&joined[..], &bytes[at.start as usize..at.end as usize]);
        }
    }

    #[test]
    fn frames_of_the_wrong_shape_are_refused() {
        let bytes = content(200_000);
        let (geometry, values) = whole(&bytes);
        let root = *blake3::hash(&bytes).as_bytes();
        let frame = 2..5;
        let opening: Vec<u8> =
            geometry.outside(&frame).into_iter().flat_map(|node| values[geometry.place(node) as usize]).collect();
        let part = &bytes[2 * 16384..5 * 16384];
        assert!(check_frame(&geometry, &root, &frame, &opening, part).is_some());
        assert!(check_frame(&geometry, &root, &(3..6), &opening, part).is_none());
        assert!(check_frame(&geometry, &root, &frame, &opening[32..], part).is_none());
        assert!(check_frame(&geometry, &root, &frame, &[&opening[..], &[0; 32]].concat(), part).is_none());
        assert!(check_frame(&geometry, &root, &frame, &[&opening[..], &[0; 3]].concat(), part).is_none());
        assert!(check_frame(&geometry, &root, &frame, &opening, &part[1..]).is_none());
        assert!(check_frame(&geometry, &root, &(2..2), &opening, &[]).is_none());
        assert!(check_frame(&geometry, &root, &(12..14), &opening, part).is_none());
    }

    #[test]
    fn the_shape_follows_from_the_length() {
        for (bytes, groups, values) in [(0, 1, 0), (16384, 1, 0), (16385, 2, 3), (16384 * 5, 5, 5 + 3 + 2 + 1)] {
            let geometry = Geometry::new(bytes).unwrap();
            assert_eq!((geometry.groups, geometry.tree_values()), (groups, values));
        }
        assert!(Geometry::new(1 << 41).is_some() && Geometry::new((1 << 41) + 1).is_none());
        let geometry = Geometry::new(100_000).unwrap();
        assert_eq!(geometry.groups_of(&(16383..16385)), 0..2);
        assert_eq!(geometry.groups_of(&(99_999..u64::MAX)), 6..7);
        assert_eq!(geometry.groups_of(&(100_000..100_001)), 0..0);
        assert_eq!(Geometry::new(0).unwrap().groups_of(&(0..0)), 0..1);
    }
}

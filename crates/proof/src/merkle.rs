//! Binary Merkle trees over SHA-256 with fixed indices.
//!
//! A leaf is H(0 ‖ data), a node H(1 ‖ left ‖ right). The leaves are padded with zero hashes to a power of two, so the
//! depth follows from the number of leaves, which is always committed beside the root or known from the graph. A tree
//! of one leaf is that leaf's hash, a tree of none is the zero hash.

use crate::{Hash, Sha256, hash_at};

/// Levels that one reveal goes down at most: 64 nodes, 2048 bytes, what two transactions carry.
pub const REVEAL_LEVELS: u32 = 6;
/// Nodes that one reveal shows at most.
pub const MAX_CHILDREN: u32 = 1 << REVEAL_LEVELS;

/// Levels between the root and the leaves.
pub const fn depth(leaf_count: u32) -> u32 {
    if leaf_count < 2 { 0 } else { 32 - (leaf_count - 1).leading_zeros() }
}

/// Hash of a leaf.
pub fn leaf<S: Sha256>(data: &[u8]) -> Hash {
    S::hashv(&[&[0], data])
}

/// Hash of an inner node.
pub fn node<S: Sha256>(left: &Hash, right: &Hash) -> Hash {
    S::hashv(&[&[1], left, right])
}

/// Hash of a node whose leaves, `height` levels below it, are all padding.
pub fn padding<S: Sha256>(height: u32) -> Hash {
    let mut hash = [0; 32];
    for _ in 0..height {
        hash = node::<S>(&hash, &hash);
    }
    hash
}

/// One leaf's place in a tree and its siblings from the leaf upward.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Leaves of the tree, padding excluded.
    pub leaf_count: u32,
    /// Which leaf.
    pub index: u32,
    /// One hash per level, 32 bytes each.
    pub path: &'a [u8],
}

impl Opening<'_> {
    /// The root of the tree in which the leaf has this hash; `None` if there is no such leaf or the path has the wrong
    /// length.
    pub fn root<S: Sha256>(&self, leaf: &Hash) -> Option<Hash> {
        let depth = depth(self.leaf_count);
        if self.index >= self.leaf_count || self.path.len() != depth as usize * 32 {
            return None;
        }
        let mut hash = *leaf;
        for level in 0..depth {
            let sibling = hash_at(self.path, level as usize)?;
            let is_right = self.index >> level & 1 == 1;
            hash = if is_right { node::<S>(sibling, &hash) } else { node::<S>(&hash, sibling) };
        }
        Some(hash)
    }

    /// Whether the leaf with this data lies under the root.
    pub fn opens<S: Sha256>(&self, root: &Hash, data: &[u8]) -> bool {
        self.root::<S>(&leaf::<S>(data)).is_some_and(|found| found == *root)
    }
}

/// The node above 1, 2, 4, 8, 16, 32 or 64 neighbouring nodes of one level; `None` for any other number.
pub fn fold<S: Sha256>(children: &[u8]) -> Option<Hash> {
    let count = children.len() / 32;
    if !children.len().is_multiple_of(32) || !count.is_power_of_two() || count > MAX_CHILDREN as usize {
        return None;
    }
    // By level, the left node that waits for its right neighbour.
    let mut waiting = [[0u8; 32]; REVEAL_LEVELS as usize + 1];
    for index in 0..count {
        let mut hash = *hash_at(children, index)?;
        let level = index.trailing_ones() as usize;
        for left in waiting.iter().take(level) {
            hash = node::<S>(left, &hash);
        }
        *waiting.get_mut(level)? = hash;
    }
    waiting.get(count.trailing_zeros() as usize).copied()
}

/// A whole tree, to open any part of it.
#[cfg(feature = "std")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleTree {
    leaf_count: u32,
    /// Levels from the padded leaves up to the root.
    levels: Vec<Vec<Hash>>,
}

#[cfg(feature = "std")]
impl MerkleTree {
    /// Builds the tree over the data of each leaf.
    ///
    /// # Panics
    /// If there are 2³² leaves or more.
    pub fn new<D: AsRef<[u8]>>(leaves: impl IntoIterator<Item = D>) -> MerkleTree {
        use crate::HostSha256;
        let mut level: Vec<Hash> = leaves.into_iter().map(|data| leaf::<HostSha256>(data.as_ref())).collect();
        let leaf_count = u32::try_from(level.len()).expect("fewer than 2^32 leaves");
        level.resize(1usize << depth(leaf_count), [0; 32]);
        let mut levels = vec![level];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            levels.push(below.chunks_exact(2).map(|pair| node::<HostSha256>(&pair[0], &pair[1])).collect());
        }
        MerkleTree { leaf_count, levels }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.levels[self.levels.len() - 1][0]
    }

    /// Number of leaves, padding excluded.
    pub fn leaf_count(&self) -> u32 {
        self.leaf_count
    }

    /// Siblings of a leaf from the leaf upward, 32 bytes each.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn path(&self, index: u32) -> Vec<u8> {
        let depth = self.levels.len() - 1;
        (0..depth).flat_map(|level| self.levels[level][(index as usize >> level) ^ 1]).collect()
    }

    /// Hash of a node; `height` counts from the leaves.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn hash(&self, height: u32, index: u32) -> Hash {
        self.levels[height as usize][index as usize]
    }

    /// The nodes up to [`REVEAL_LEVELS`] below a node, 32 bytes each: what one reveal shows.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn children(&self, height: u32, index: u32) -> Vec<u8> {
        let levels = height.min(REVEAL_LEVELS);
        let first = (index as usize) << levels;
        self.levels[(height - levels) as usize][first..first + (1 << levels)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostSha256;

    fn tree(count: u32) -> MerkleTree {
        MerkleTree::new((0..count).map(u32::to_le_bytes))
    }

    #[test]
    fn every_leaf_opens_and_no_other_data_does() {
        for count in [1, 2, 3, 15, 16, 17, 33, 100] {
            let tree = tree(count);
            for index in 0..count {
                let path = tree.path(index);
                let opening = Opening { leaf_count: count, index, path: &path };
                assert!(opening.opens::<HostSha256>(&tree.root(), &index.to_le_bytes()));
                assert!(!opening.opens::<HostSha256>(&tree.root(), &(index + 1).to_le_bytes()));
                if count > 1 {
                    let moved = Opening { index: (index + 1) % count, ..opening };
                    assert!(!moved.opens::<HostSha256>(&tree.root(), &index.to_le_bytes()));
                }
            }
        }
    }

    #[test]
    fn padding_short_paths_and_long_paths_do_not_open() {
        let tree = tree(5);
        let path = tree.path(4);
        let opening = Opening { leaf_count: 5, index: 4, path: &path };
        assert!(opening.opens::<HostSha256>(&tree.root(), &4u32.to_le_bytes()));
        assert!(Opening { index: 5, ..opening }.root::<HostSha256>(&[0; 32]).is_none());
        assert!(Opening { path: &path[..64], ..opening }.root::<HostSha256>(&[0; 32]).is_none());
        assert!(
            Opening { path: &[path.clone(), vec![0; 32]].concat(), ..opening }.root::<HostSha256>(&[0; 32]).is_none()
        );
        // An inner node is no leaf: the prefixes differ.
        let inner = [tree.hash(0, 0), tree.hash(0, 1)].concat();
        assert!(!Opening { leaf_count: 3, index: 0, path: &path[32..] }.opens::<HostSha256>(&tree.root(), &inner));
    }

    #[test]
    fn padding_is_what_a_tree_holds_beyond_its_leaves() {
        let tree = tree(33);
        for (height, index) in [(0, 33), (0, 63), (1, 17), (2, 9), (3, 5), (4, 3)] {
            assert_eq!(padding::<HostSha256>(height), tree.hash(height, index));
        }
        assert_ne!(padding::<HostSha256>(5), tree.hash(5, 1));
    }

    #[test]
    fn a_walk_of_reveals_ends_at_the_leaf() {
        for count in [1u32, 2, 16, 17, 300, 4097] {
            let tree = tree(count);
            for leaf_index in [0, count / 2, count - 1] {
                let (mut height, mut index, mut hash) = (depth(count), 0, tree.root());
                while height > 0 {
                    let children = tree.children(height, index);
                    assert_eq!(fold::<HostSha256>(&children), Some(hash));
                    height -= height.min(REVEAL_LEVELS);
                    let pick = (leaf_index >> height) - (index << REVEAL_LEVELS.min(depth(count) - height));
                    index = leaf_index >> height;
                    hash = *hash_at(&children, (pick as usize) % (children.len() / 32)).unwrap();
                    assert_eq!(hash, tree.hash(height, index));
                }
                assert_eq!(hash, leaf::<HostSha256>(&leaf_index.to_le_bytes()));
            }
        }
    }

    #[test]
    fn only_powers_of_two_fold() {
        for count in [0usize, 3, 5, 17, 33, 65, 128] {
            assert!(fold::<HostSha256>(&vec![0; count * 32]).is_none());
        }
        assert!(fold::<HostSha256>(&[0; 33]).is_none());
        assert_eq!(fold::<HostSha256>(&[7; 32]), Some([7; 32]));
    }

    #[test]
    fn an_empty_tree_has_the_zero_root() {
        assert_eq!(MerkleTree::new(Vec::<Vec<u8>>::new()).root(), [0; 32]);
    }
}

//! What travels: bytes that have a root.

use crate::Hash;
use crate::tree::Geometry;

/// Entries of the longest list.
pub const MAX_ENTRIES: usize = 1 << 16;

/// What is wanted or held, with the size that its owner knows from the chain or from graphs: a peer is never asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub root: Hash,
    /// Its size.
    pub shape: Shape,
}

/// The size of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One piece of bytes; the root is its BLAKE3 hash: a manifest, a file of tokens, a tensor.
    Blob {
        /// How many.
        bytes: u64,
    },
    /// Blobs in a row; the root is that of the SHA-256 tree over their hashes: a state, an update.
    List {
        /// Bytes of each.
        bytes: Vec<u64>,
    },
}

impl Item {
    /// Bytes with a BLAKE3 hash.
    pub fn blob(root: Hash, bytes: u64) -> Item {
        Item { root, shape: Shape::Blob { bytes } }
    }

    /// A file of tokens, four bytes each.
    pub fn tokens(root: Hash, tokens: u64) -> Item {
        Item::blob(root, tokens.saturating_mul(4))
    }

    /// A state or an update: elements of each entry, four bytes each.
    pub fn state(root: Hash, elements: &[usize]) -> Item {
        Item { root, shape: Shape::List { bytes: elements.iter().map(|&count| count as u64 * 4).collect() } }
    }

    /// Bytes of it all, equal entries counted as often as they stand there.
    pub fn bytes(&self) -> u64 {
        match &self.shape {
            Shape::Blob { bytes } => *bytes,
            Shape::List { bytes } => bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
        }
    }

    /// Whether it can exist: the bounds of its parts.
    pub(crate) fn is_possible(&self) -> bool {
        match &self.shape {
            Shape::Blob { bytes } => Geometry::new(*bytes).is_some(),
            Shape::List { bytes } => {
                bytes.len() <= MAX_ENTRIES && bytes.iter().all(|bytes| Geometry::new(*bytes).is_some())
            }
        }
    }
}

//! The whole tree of a blob, to open any part of it.

use crate::{Hash, blake3 as tree};
use ::blake3::hazmat::HasherExt;
use ::blake3::{Hasher, hazmat};

/// A tensor's bytes: little-endian, row-major, four per element.
pub fn tensor_bytes(elements: &[u32]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes()).collect()
}

/// BLAKE3 root of a tensor.
pub fn tensor_root(elements: &[u32]) -> Hash {
    let mut hasher = Hasher::new();
    update(&mut hasher, elements);
    *hasher.finalize().as_bytes()
}

/// Elements of a piece of a tensor, whose value is known apart from the others': 1 MiB.
pub const PIECE_ELEMENTS: usize = 1 << 18;

/// Value of the piece that begins at element `piece` · [`PIECE_ELEMENTS`] in the tree of a tensor that is longer than one piece.
pub fn piece_value(elements: &[u32], piece: usize) -> Hash {
    let mut hasher = Hasher::new();
    hasher.set_input_offset((piece * PIECE_ELEMENTS * 4) as u64);
    update(&mut hasher, elements);
    hasher.finalize_non_root()
}

/// BLAKE3 root of a tensor from the values of its pieces, of which there are two or more.
pub fn root_of_pieces(mut values: Vec<Hash>) -> Hash {
    while values.len() > 2 {
        let merge = |pair: &[Hash]| match pair {
            [left, right] => hazmat::merge_subtrees_non_root(left, right, hazmat::Mode::Hash),
            carried => carried[0],
        };
        values = values.chunks(2).map(merge).collect();
    }
    let [left, right] = [0, 1].map(|side| values.get(side).copied().unwrap_or_default());
    *hazmat::merge_subtrees_root(&left, &right, hazmat::Mode::Hash).as_bytes()
}

fn update(hasher: &mut Hasher, elements: &[u32]) {
    let mut buffer = [0u8; 16 * 1024];
    for part in elements.chunks(buffer.len() / 4) {
        for (out, element) in buffer.chunks_exact_mut(4).zip(part) {
            out.copy_from_slice(&element.to_le_bytes());
        }
        hasher.update(&buffer[..part.len() * 4]);
    }
}

/// Values of all nodes of a blob's BLAKE3 tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobTree {
    chunks: u32,
    /// Levels from the chunks up to the root; a node without a right sibling is repeated one level up.
    levels: Vec<Vec<Hash>>,
}

impl BlobTree {
    /// Hashes a blob.
    ///
    /// # Panics
    /// If the blob has more than 2³¹ chunks.
    pub fn new(bytes: &[u8]) -> BlobTree {
        let chunks = tree::chunk_count(bytes.len() as u64).expect("a blob of at most 2^31 chunks");
        if chunks == 1 {
            return BlobTree { chunks, levels: vec![vec![*::blake3::hash(bytes).as_bytes()]] };
        }
        let values = bytes.chunks(tree::CHUNK_BYTES).enumerate().map(|(chunk, part)| {
            let offset = (chunk * tree::CHUNK_BYTES) as u64;
            Hasher::new().set_input_offset(offset).update(part).finalize_non_root()
        });
        let mut levels: Vec<Vec<Hash>> = vec![values.collect()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let merge = |pair: &[Hash]| match pair {
                [left, right] if below.len() == 2 => {
                    *hazmat::merge_subtrees_root(left, right, hazmat::Mode::Hash).as_bytes()
                }
                [left, right] => hazmat::merge_subtrees_non_root(left, right, hazmat::Mode::Hash),
                carried => carried[0],
            };
            let level = below.chunks(2).map(merge).collect();
            levels.push(level);
        }
        BlobTree { chunks, levels }
    }

    /// The BLAKE3 hash of the blob.
    pub fn root(&self) -> Hash {
        self.levels[self.levels.len() - 1][0]
    }

    /// Number of chunks.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Value of a node.
    ///
    /// # Panics
    /// If the blob has no such node.
    pub fn value(&self, node: tree::Subtree) -> Hash {
        self.levels[node.level as usize][node.index as usize]
    }

    /// Values of the nodes that a reveal of this node shows, 32 bytes each.
    ///
    /// # Panics
    /// If the blob has no such node.
    pub fn children(&self, node: tree::Subtree) -> Vec<u8> {
        let (first, count) = node.children();
        let start = first.index as usize;
        self.levels[first.level as usize][start..start + count as usize].concat()
    }

    /// Siblings of a chunk from the chunk upward, 32 bytes each.
    ///
    /// # Panics
    /// If the blob has no such chunk.
    pub fn path(&self, chunk: u32) -> Vec<u8> {
        assert!(chunk < self.chunks, "the blob has {} chunks, not {chunk}", self.chunks);
        let below_root = &self.levels[..self.levels.len() - 1];
        below_root
            .iter()
            .enumerate()
            .filter_map(|(level, values)| values.get((chunk as usize >> level) ^ 1))
            .flatten()
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensors_root_is_put_together_from_its_pieces() {
        for (pieces, rest) in [(1, 1), (1, PIECE_ELEMENTS), (2, 300), (4, 257), (6, PIECE_ELEMENTS)] {
            let len = pieces * PIECE_ELEMENTS + rest;
            let elements: Vec<u32> = (0..len as u32).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
            let values = elements.chunks(PIECE_ELEMENTS).enumerate().map(|(piece, part)| piece_value(part, piece));
            assert_eq!(root_of_pieces(values.collect()), tensor_root(&elements), "{len}");
        }
    }

    #[test]
    fn a_tensors_root_is_the_hash_of_its_bytes() {
        for len in [0usize, 1, 255, 256, 257, 4096, 5000] {
            let elements: Vec<u32> = (0..len as u32).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
            let bytes = tensor_bytes(&elements);
            assert_eq!(tensor_root(&elements), *::blake3::hash(&bytes).as_bytes());
            assert_eq!(BlobTree::new(&bytes).root(), tensor_root(&elements));
        }
    }
}

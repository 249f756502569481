//! BLAKE3 as a tree that can be opened: chunk, parent and root values in plain Rust, small enough for Solana.
//!
//! A blob of `n` bytes has max(1, ⌈n / 1024⌉) chunks. Its tree is addressed by (level, index): the node covers the
//! chunks from `index · 2^level` on, at most `2^level` of them, and a node without a right sibling is carried upward
//! unchanged. (That is the left-complete tree of the BLAKE3 paper, section 2.1, in other words.) The value of the
//! topmost node carries the ROOT flag and is the hash; chunk values carry their index, so equal bytes at two places
//! have two values, and an opening cannot be moved.

use crate::{Hash, hash_at};

/// Levels that one reveal goes down at most: 32 nodes, 1024 bytes, what one transaction carries.
pub const REVEAL_LEVELS: u32 = 5;

/// Bytes of a chunk; 256 tensor elements.
pub const CHUNK_BYTES: usize = 1024;

const BLOCK_BYTES: usize = 64;
const IV: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;

/// What a block is compressed with, beside the chaining value.
struct Block {
    words: [u32; 16],
    chunk: u32,
    len: u32,
    flags: u32,
}

/// The compression function, first eight words of the output.
///
/// On a machine with 64-bit registers only, 32-bit words live in the lower halves of u64 lanes and the upper halves
/// hold rubbish until a rotation: there, multiplying the masked word by 2³² + 1 doubles it, and one shift rotates.
#[inline(never)]
fn compress(chaining: &mut [u32; 8], block: &Block) {
    const LOW: u64 = 0xFFFF_FFFF;
    const DOUBLE: u64 = 0x1_0000_0001;
    let c = *chaining;
    let m = &block.words;
    let (mut v0, mut v1, mut v2, mut v3) = (c[0] as u64, c[1] as u64, c[2] as u64, c[3] as u64);
    let (mut v4, mut v5, mut v6, mut v7) = (c[4] as u64, c[5] as u64, c[6] as u64, c[7] as u64);
    let (mut v8, mut v9, mut v10, mut v11) = (IV[0] as u64, IV[1] as u64, IV[2] as u64, IV[3] as u64);
    // A blob has fewer than 2^32 chunks, so the counter's upper word is 0.
    let (mut v12, mut v13, mut v14, mut v15) = (block.chunk as u64, 0u64, block.len as u64, block.flags as u64);
    macro_rules! mix {
        ($a:ident $b:ident $c:ident $d:ident $x:literal $y:literal) => {
            $a = $a.wrapping_add($b).wrapping_add(m[$x] as u64);
            $d = (($d ^ $a) & LOW).wrapping_mul(DOUBLE) >> 16;
            $c = $c.wrapping_add($d);
            $b = (($b ^ $c) & LOW).wrapping_mul(DOUBLE) >> 12;
            $a = $a.wrapping_add($b).wrapping_add(m[$y] as u64);
            $d = (($d ^ $a) & LOW).wrapping_mul(DOUBLE) >> 8;
            $c = $c.wrapping_add($d);
            $b = (($b ^ $c) & LOW).wrapping_mul(DOUBLE) >> 7;
        };
    }
    macro_rules! round {
        ($a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal
         $i:literal $j:literal $k:literal $l:literal $m:literal $n:literal $o:literal $p:literal) => {
            mix!(v0 v4 v8 v12 $a $b);
            mix!(v1 v5 v9 v13 $c $d);
            mix!(v2 v6 v10 v14 $e $f);
            mix!(v3 v7 v11 v15 $g $h);
            mix!(v0 v5 v10 v15 $i $j);
            mix!(v1 v6 v11 v12 $k $l);
            mix!(v2 v7 v8 v13 $m $n);
            mix!(v3 v4 v9 v14 $o $p);
        };
    }
    round!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    round!(2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8);
    round!(3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1);
    round!(10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6);
    round!(12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4);
    round!(9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7);
    round!(11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13);
    *chaining = [
        (v0 ^ v8) as u32,
        (v1 ^ v9) as u32,
        (v2 ^ v10) as u32,
        (v3 ^ v11) as u32,
        (v4 ^ v12) as u32,
        (v5 ^ v13) as u32,
        (v6 ^ v14) as u32,
        (v7 ^ v15) as u32,
    ];
}

fn to_bytes(words: &[u32; 8]) -> Hash {
    let mut bytes = [0; 32];
    for (out, word) in bytes.chunks_exact_mut(4).zip(words) {
        out.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Reads whole words; bytes past the last whole word stay out.
fn read_words(bytes: &[u8], words: &mut [u32]) {
    for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
}

/// The value of a chunk (its hash if it is the whole blob): `bytes` are the chunk's, at most 1024 of them.
pub fn chunk_value(bytes: &[u8], chunk: u32, is_root: bool) -> Hash {
    let bytes = &bytes[..bytes.len().min(CHUNK_BYTES)];
    let blocks = bytes.len().div_ceil(BLOCK_BYTES).max(1);
    let mut chaining = IV;
    let mut block = Block { words: [0; 16], chunk, len: BLOCK_BYTES as u32, flags: CHUNK_START };
    for number in 0..blocks {
        let rest = &bytes[number * BLOCK_BYTES..];
        if rest.len() >= BLOCK_BYTES {
            read_words(&rest[..BLOCK_BYTES], &mut block.words);
        } else {
            let mut padded = [0; BLOCK_BYTES];
            padded[..rest.len()].copy_from_slice(rest);
            read_words(&padded, &mut block.words);
            block.len = rest.len() as u32;
        }
        if number + 1 == blocks {
            block.flags |= if is_root { CHUNK_END | ROOT } else { CHUNK_END };
        }
        compress(&mut chaining, &block);
        block.flags = 0;
    }
    to_bytes(&chaining)
}

/// The value of an inner node (the hash if it is the topmost one).
pub fn parent_value(left: &Hash, right: &Hash, is_root: bool) -> Hash {
    let flags = if is_root { PARENT | ROOT } else { PARENT };
    let mut block = Block { words: [0; 16], chunk: 0, len: BLOCK_BYTES as u32, flags };
    read_words(left, &mut block.words[..8]);
    read_words(right, &mut block.words[8..]);
    let mut chaining = IV;
    compress(&mut chaining, &block);
    to_bytes(&chaining)
}

/// Chunks of a blob; `None` beyond 2³¹ of them.
pub const fn chunk_count(len_bytes: u64) -> Option<u32> {
    let chunks = len_bytes.div_ceil(CHUNK_BYTES as u64);
    if chunks > 1 << 31 {
        None
    } else if chunks == 0 {
        Some(1)
    } else {
        Some(chunks as u32)
    }
}

/// Levels between the topmost node and the chunks.
pub const fn levels(chunks: u32) -> u32 {
    crate::merkle::depth(chunks)
}

/// Nodes of a level.
pub const fn width(chunks: u32, level: u32) -> u32 {
    if chunks == 0 { 1 } else { ((chunks - 1) >> level) + 1 }
}

/// A chunk of a blob and what is needed to compute the blob's hash from it.
#[derive(Clone, Copy, Debug)]
pub struct ChunkOpening<'a> {
    /// Chunks of the blob.
    pub chunks: u32,
    /// Which chunk.
    pub index: u32,
    /// The chunk's bytes.
    pub bytes: &'a [u8],
    /// The siblings from the chunk upward, 32 bytes each, see [`path_len`].
    pub path: &'a [u8],
}

/// Number of siblings between a chunk and the root: one per level, except where a node is carried upward.
pub const fn path_len(chunks: u32, index: u32) -> u32 {
    let mut siblings = 0;
    let mut level = 0;
    while level < levels(chunks) {
        if (index >> level) ^ 1 < width(chunks, level) {
            siblings += 1;
        }
        level += 1;
    }
    siblings
}

impl ChunkOpening<'_> {
    /// The hash of the blob that has this chunk at this place; `None` if chunk or path have a length that the place
    /// does not allow.
    pub fn root(&self) -> Option<Hash> {
        let is_short = self.bytes.len() < CHUNK_BYTES && self.index.checked_add(1)? < self.chunks;
        if self.index >= self.chunks || self.bytes.len() > CHUNK_BYTES || is_short {
            return None;
        }
        if self.path.len() != path_len(self.chunks, self.index) as usize * 32 {
            return None;
        }
        let levels = levels(self.chunks);
        let mut value = chunk_value(self.bytes, self.index, levels == 0);
        let mut next = 0;
        for level in 0..levels {
            let index = self.index >> level;
            if index ^ 1 < width(self.chunks, level) {
                let sibling = hash_at(self.path, next)?;
                next += 1;
                let is_root = level + 1 == levels;
                let is_right = index & 1 == 1;
                let (left, right) = if is_right { (sibling, &value) } else { (&value, sibling) };
                value = parent_value(left, right, is_root);
            }
        }
        Some(value)
    }
}

/// A node of a blob's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Chunks of the blob.
    pub chunks: u32,
    /// Height above the chunks.
    pub level: u32,
    /// Index within the level.
    pub index: u32,
}

impl Subtree {
    /// The topmost node of a blob.
    pub const fn top(chunks: u32) -> Subtree {
        Subtree { chunks, level: levels(chunks), index: 0 }
    }

    /// The node whose children come next when this one is merely carried upward: the same value, lower down.
    pub fn settled(mut self) -> Subtree {
        while self.level > 0 && self.index << 1 | 1 >= width(self.chunks, self.level - 1) {
            self.level -= 1;
            self.index <<= 1;
        }
        self
    }

    /// Whether the value carries the ROOT flag.
    pub fn is_top(&self) -> bool {
        self.level == levels(self.chunks)
    }

    /// The nodes that a reveal of this one shows: first of them, and how many (at most 32).
    pub fn children(&self) -> (Subtree, u32) {
        let down = self.level.min(REVEAL_LEVELS);
        let first = self.index << down;
        let level = self.level - down;
        let count = width(self.chunks, level).saturating_sub(first).min(1 << down);
        (Subtree { chunks: self.chunks, level, index: first }, count)
    }

    /// The value of this node if a reveal shows these values of its [`Subtree::children`]; `None` if their number is
    /// wrong or the node is a chunk.
    pub fn value_of(&self, revealed: &[u8]) -> Option<Hash> {
        let (first, count) = self.children();
        if self.level == 0 || count == 0 || revealed.len() != count as usize * 32 {
            return None;
        }
        let mut values = [[0u8; 32]; 1 << REVEAL_LEVELS];
        for (index, value) in values.iter_mut().enumerate().take(count as usize) {
            *value = *hash_at(revealed, index)?;
        }
        let mut count = count as usize;
        for level in first.level..self.level {
            let is_root = level + 1 == self.level && self.is_top();
            for pair in 0..count / 2 {
                values[pair] = parent_value(&values[pair * 2], &values[pair * 2 + 1], is_root);
            }
            if count % 2 == 1 {
                values[count / 2] = values[count - 1];
            }
            count = count.div_ceil(2);
        }
        Some(values[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[6]).collect()
    }

    #[test]
    fn single_chunks_hash_as_the_reference_does() {
        for len in [0, 1, 3, 4, 63, 64, 65, 127, 128, 1000, 1023, 1024] {
            let bytes = bytes(len);
            assert_eq!(chunk_value(&bytes, 0, true), *::blake3::hash(&bytes).as_bytes(), "{len}");
        }
    }

    #[test]
    fn chunk_counts() {
        assert_eq!(chunk_count(0), Some(1));
        assert_eq!(chunk_count(1024), Some(1));
        assert_eq!(chunk_count(1025), Some(2));
        assert_eq!(chunk_count(1 << 41), Some(1 << 31));
        assert_eq!(chunk_count((1 << 41) + 1), None);
    }

    #[test]
    fn openings_of_the_wrong_shape_are_refused() {
        let bytes = bytes(3000);
        let tree = crate::BlobTree::new(&bytes);
        let path = tree.path(1);
        let opening = ChunkOpening { chunks: 3, index: 1, bytes: &bytes[1024..2048], path: &path };
        assert_eq!(opening.root(), Some(tree.root()));
        assert_eq!(ChunkOpening { index: 3, ..opening }.root(), None);
        assert_eq!(ChunkOpening { bytes: &bytes[1024..2000], ..opening }.root(), None);
        assert_eq!(ChunkOpening { bytes: &bytes[..1025], ..opening }.root(), None);
        assert_eq!(ChunkOpening { path: &path[..32], ..opening }.root(), None);
        assert_ne!(ChunkOpening { index: 0, ..opening }.root(), Some(tree.root()));
        assert_ne!(ChunkOpening { chunks: 4, ..opening }.root(), Some([0; 32]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn trees_open_everywhere(len in prop_oneof![0usize..5000, 0usize..90_000]) {
            let bytes = bytes(len);
            let tree = crate::BlobTree::new(&bytes);
            prop_assert_eq!(tree.root(), *::blake3::hash(&bytes).as_bytes());
            let chunks = chunk_count(len as u64).unwrap();
            for chunk in [0, chunks / 3, chunks / 2, chunks - 1] {
                let start = chunk as usize * 1024;
                let part = &bytes[start..(start + 1024).min(len)];
                let path = tree.path(chunk);
                let opening = ChunkOpening { chunks, index: chunk, bytes: part, path: &path };
                prop_assert_eq!(opening.root(), Some(tree.root()));
                // Down to the chunk by reveals.
                let mut node = Subtree::top(chunks);
                let mut value = tree.root();
                while node.level > 0 {
                    let revealed = tree.children(node);
                    prop_assert_eq!(node.value_of(&revealed), Some(value));
                    let mut wrong = revealed.clone();
                    wrong[len % revealed.len()] ^= 1;
                    prop_assert_ne!(node.value_of(&wrong), Some(value));
                    let (first, count) = node.children();
                    let index = chunk >> first.level;
                    prop_assert!(index >= first.index && index - first.index < count);
                    value = *hash_at(&revealed, (index - first.index) as usize).unwrap();
                    node = Subtree { index, ..first }.settled();
                    prop_assert_eq!(value, tree.value(node));
                }
                prop_assert_eq!(node.index, chunk);
                prop_assert_eq!(chunk_value(part, chunk, chunks == 1), value);
            }
        }
    }
}

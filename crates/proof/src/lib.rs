//! What everyone commits to, and how one part of it is opened.
//!
//! | committed | as |
//! |---|---|
//! | tensor, token file | [`mod@blake3`] root of its little-endian bytes: a tree of 1 KiB chunks (256 elements) |
//! | state, trace, graph, tables, leaves | [`merkle`] tree (SHA-256, a system call on Solana) |
//! | `k` training steps | [`Leaf`]: state before, batches, state after |
//! | a segment (`H` steps of one trainer) | Merkle root over its leaves |
//! | a graph | [`GraphRoots`]: nodes, outputs, tables |
//! | which tokens a batch holds | [`sampler`]: a function of dataset roots, mixture, seed and step |
//!
//! Everything here that verifies is `no_std` and runs on chain; what builds whole trees needs the feature `std`.
//! Paths and lists of hashes are taken as bytes, 32 per hash, so that they are read where they were received.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod blake3;
#[cfg(feature = "std")]
mod blob;
mod commitment;
pub mod merkle;
pub mod sampler;

#[cfg(feature = "std")]
pub use blob::{BlobTree, PIECE_ELEMENTS, piece_value, root_of_pieces, tensor_bytes, tensor_root};
pub use commitment::{
    AGGREGATE_COUNTS, AGGREGATE_LEAF_BYTES, GraphRoots, LEAF_BYTES, Leaf, MAX_STEPS_PER_LEAF, settings_root, step_root,
};
#[cfg(feature = "std")]
pub use commitment::{outputs_tree, roots_tree};

/// A 32-byte hash.
pub type Hash = [u8; 32];

/// SHA-256 of several parts in a row: a system call on chain, [`HostSha256`] elsewhere.
pub trait Sha256 {
    /// The hash of the concatenated parts.
    fn hashv(parts: &[&[u8]]) -> Hash;
}

/// [`Sha256`] by the `sha2` crate.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct HostSha256;

#[cfg(feature = "std")]
impl Sha256 for HostSha256 {
    fn hashv(parts: &[&[u8]]) -> Hash {
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// The hash at a position of a list of hashes, if the list reaches that far.
#[inline(always)]
pub fn hash_at(hashes: &[u8], index: usize) -> Option<&Hash> {
    let start = index.checked_mul(32)?;
    hashes.get(start..start.checked_add(32)?)?.try_into().ok()
}

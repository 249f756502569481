//! BLAKE3 trees and Merkle trees with openings.

use super::{Random, hex};
use serde_json::{Map, Value, json};
use sip_proof::merkle::{MerkleTree, padding};
use sip_proof::{BlobTree, HostSha256};

/// The bytes of the blob of a length.
fn blob(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + (at >> 8) * 17 + 7) as u8).collect()
}

pub(crate) fn vectors() -> Map<String, Value> {
    let mut random = Random::new(2);
    let lengths = [
        0, 1, 3, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2047, 2048, 2049, 3071, 3072, 3073, 4096, 4097, 5120, 6145,
        7168, 8192, 16_384, 16_385, 17_409, 33_000,
    ];
    let chance: Vec<usize> = (0..20).map(|_| random.below(12_000) as usize).collect();
    let blobs = lengths.into_iter().chain(chance).map(|len| {
        let tree = BlobTree::new(&blob(len));
        let last = tree.chunks() - 1;
        let mut chunks = vec![0, last / 3, last / 2, last.saturating_sub(1), last];
        chunks.dedup();
        let openings: Vec<Value> = chunks.into_iter().map(|chunk| json!([chunk, hex(&tree.path(chunk))])).collect();
        json!({ "bytes": len, "root": hex(&tree.root()), "openings": openings })
    });
    let trees = [0u32, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 255].into_iter().map(|count| {
        let tree = MerkleTree::new((0..count).map(u32::to_le_bytes));
        let mut leaves: Vec<u32> = (0..count).filter(|leaf| [0, 1, count / 2, count - 1].contains(leaf)).collect();
        leaves.dedup();
        let openings: Vec<Value> = leaves.into_iter().map(|leaf| json!([leaf, hex(&tree.path(leaf))])).collect();
        json!({ "leaves": count, "root": hex(&tree.root()), "openings": openings })
    });
    let mut file = Map::new();
    file.insert("blake3".into(), blobs.collect());
    file.insert("merkle".into(), trees.collect());
    file.insert("padding".into(), (0..25).map(|height| json!([height, hex(&padding::<HostSha256>(height))])).collect());
    file
}

//! Answers to demands for what one committed: see [`sip_protocol::court::availability`].

use sip_proof::blake3::CHUNK_BYTES;
use sip_proof::merkle::MerkleTree;
use sip_proof::{BlobTree, Hash};

/// A chunk of an entry of a state: `roots` are the BLAKE3 roots of all entries, `blob` is the entry's bytes. Beyond the last chunk
/// it is the last one, which shows that there are no more. `None` if the state has no such entry.
pub fn state_answer(roots: &[Hash], entry: u32, blob: &[u8], chunk: u32) -> Option<Vec<u8>> {
    let root = roots.get(entry as usize)?;
    let tree = BlobTree::new(blob);
    let index = chunk.min(tree.chunks() - 1);
    let bytes = chunk_of(blob, index)?;
    let mut answer = [tree.chunks(), bytes.len() as u32].map(u32::to_le_bytes).concat();
    answer.extend_from_slice(root);
    answer.extend_from_slice(&MerkleTree::new(roots).path(entry));
    answer.extend_from_slice(bytes);
    answer.extend_from_slice(&tree.path(index));
    Some(answer)
}

/// A chunk of a dataset's training tokens, little-endian. `None` if there is no such chunk.
pub fn data_answer(tokens: &[u8], chunk: u32) -> Option<Vec<u8>> {
    let bytes = chunk_of(tokens, chunk)?;
    Some([bytes, &BlobTree::new(tokens).path(chunk)].concat())
}

/// The bytes of a chunk; an empty blob has one, which is empty.
fn chunk_of(blob: &[u8], chunk: u32) -> Option<&[u8]> {
    if blob.is_empty() && chunk == 0 { Some(blob) } else { blob.chunks(CHUNK_BYTES).nth(chunk as usize) }
}

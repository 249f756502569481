//! What a trainer, a job and a step commit to.

use crate::{Hash, Sha256, blake3, merkle};

/// Most steps of one leaf.
pub const MAX_STEPS_PER_LEAF: u32 = 16;
/// Bytes of a leaf's preimage.
pub const LEAF_BYTES: usize = 10 + 4 + 4 + 3 * 32;

const LEAF_TAG: &[u8; 10] = b"sip.leaf.1";
const GRAPH_TAG: &[u8; 11] = b"sip.graph.1";

/// `count` steps in a row. It names the states on both sides, so two neighbours that do not fit together are proved to
/// be so in one transaction, and the Merkle tree over a segment's leaves fixes their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// First step, counted within the segment.
    pub first_step: u32,
    /// Number of steps, 1 to [`MAX_STEPS_PER_LEAF`].
    pub count: u32,
    /// State root before the first step.
    pub start_root: Hash,
    /// BLAKE3 root of the batch if `count` is 1, else the Merkle root over the batches' BLAKE3 roots.
    pub batches_root: Hash,
    /// State root after the last step.
    pub end_root: Hash,
}

impl Leaf {
    /// Tag and fields in order, integers little-endian.
    pub fn preimage(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[..10].copy_from_slice(LEAF_TAG);
        bytes[10..14].copy_from_slice(&self.first_step.to_le_bytes());
        bytes[14..18].copy_from_slice(&self.count.to_le_bytes());
        bytes[18..50].copy_from_slice(&self.start_root);
        bytes[50..82].copy_from_slice(&self.batches_root);
        bytes[82..].copy_from_slice(&self.end_root);
        bytes
    }

    /// The leaf's hash in the accumulator.
    pub fn hash<S: Sha256>(&self) -> Hash {
        merkle::leaf::<S>(&self.preimage())
    }

    /// The `batches_root` of these batches.
    #[cfg(feature = "std")]
    pub fn batches_root(batch_roots: &[Hash]) -> Hash {
        match batch_roots {
            [only] => *only,
            several => roots_tree(several).root(),
        }
    }
}

/// Counts of states, from 1 on, for which a job commits to the graph that averages them.
pub const AGGREGATE_COUNTS: u32 = 16;
/// Bytes of [`GraphRoots::aggregate_leaf`].
pub const AGGREGATE_LEAF_BYTES: usize = 2 * 32 + 4;

/// What a job commits to of its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphRoots {
    /// Merkle root over the canonical bytes of each node.
    pub nodes_root: Hash,
    /// Number of nodes.
    pub node_count: u32,
    /// Merkle root over, per state entry, the number (u32) of the node whose output the entry becomes.
    pub outputs_root: Hash,
    /// Number of state entries.
    pub state_count: u32,
    /// Merkle root over the BLAKE3 roots of the tables.
    pub tables_root: Hash,
    /// Number of tables.
    pub table_count: u32,
}

impl GraphRoots {
    /// The root that names the graph.
    pub fn root<S: Sha256>(&self) -> Hash {
        S::hashv(&[
            GRAPH_TAG,
            &self.nodes_root,
            &self.node_count.to_le_bytes(),
            &self.outputs_root,
            &self.state_count.to_le_bytes(),
            &self.tables_root,
            &self.table_count.to_le_bytes(),
        ])
    }

    /// What a job's tree over the graphs that average 1, 2, … [`AGGREGATE_COUNTS`] states holds of one of them: nodes root, outputs
    /// root, number of nodes. The number of outputs is the job's, and no table is read.
    pub fn aggregate_leaf(&self) -> [u8; AGGREGATE_LEAF_BYTES] {
        GraphRoots::leaf_of_aggregate(&self.nodes_root, &self.outputs_root, self.node_count)
    }

    /// [`GraphRoots::aggregate_leaf`] of a graph of which no more is known.
    pub fn leaf_of_aggregate(nodes_root: &Hash, outputs_root: &Hash, node_count: u32) -> [u8; AGGREGATE_LEAF_BYTES] {
        let mut bytes = [0; AGGREGATE_LEAF_BYTES];
        bytes[..32].copy_from_slice(nodes_root);
        bytes[32..64].copy_from_slice(outputs_root);
        bytes[64..].copy_from_slice(&node_count.to_le_bytes());
        bytes
    }

    /// Roots of a graph: canonical nodes, output node per state entry, BLAKE3 root per table.
    #[cfg(feature = "std")]
    pub fn new<N: AsRef<[u8]>>(nodes: &[N], outputs: &[u32], table_roots: &[Hash]) -> GraphRoots {
        let nodes = merkle::MerkleTree::new(nodes);
        let tables = roots_tree(table_roots);
        let outputs = outputs_tree(outputs);
        GraphRoots {
            nodes_root: nodes.root(),
            node_count: nodes.leaf_count(),
            outputs_root: outputs.root(),
            state_count: outputs.leaf_count(),
            tables_root: tables.root(),
            table_count: tables.leaf_count(),
        }
    }
}

/// Tree over BLAKE3 roots: of a state's entries, of a step's node outputs (a trace), of tables, of batches.
#[cfg(feature = "std")]
pub fn roots_tree(roots: &[Hash]) -> merkle::MerkleTree {
    merkle::MerkleTree::new(roots)
}

/// Tree over the output node of each state entry.
#[cfg(feature = "std")]
pub fn outputs_tree(outputs: &[u32]) -> merkle::MerkleTree {
    merkle::MerkleTree::new(outputs.iter().map(|node| node.to_le_bytes()))
}

/// BLAKE3 root of the tensor u32 [1] that holds the number of a step.
pub fn step_root(step: u32) -> Hash {
    blake3::chunk_value(&step.to_le_bytes(), 0, true)
}

/// BLAKE3 root of the tensor u32 [4] that holds the steered settings of a round.
pub fn settings_root(settings: &[u32; 4]) -> Hash {
    let mut bytes = [0; 16];
    for (word, setting) in bytes.chunks_exact_mut(4).zip(settings) {
        word.copy_from_slice(&setting.to_le_bytes());
    }
    blake3::chunk_value(&bytes, 0, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostSha256, tensor_root};

    #[test]
    fn every_field_of_a_leaf_counts() {
        let leaf = Leaf { first_step: 3, count: 2, start_root: [1; 32], batches_root: [2; 32], end_root: [3; 32] };
        let others = [
            Leaf { first_step: 4, ..leaf },
            Leaf { count: 1, ..leaf },
            Leaf { start_root: [9; 32], ..leaf },
            Leaf { batches_root: [9; 32], ..leaf },
            Leaf { end_root: [9; 32], ..leaf },
        ];
        for other in others {
            assert_ne!(leaf.hash::<HostSha256>(), other.hash::<HostSha256>());
        }
    }

    #[test]
    fn every_part_of_a_graph_counts() {
        let graph = GraphRoots::new(&[vec![1u8], vec![2, 3]], &[1], &[[7; 32]]);
        let others = [
            GraphRoots::new(&[vec![1u8], vec![2, 4]], &[1], &[[7; 32]]),
            GraphRoots::new(&[vec![1u8], vec![2, 3]], &[0], &[[7; 32]]),
            GraphRoots::new(&[vec![1u8], vec![2, 3]], &[1], &[[8; 32]]),
            GraphRoots { node_count: 1, ..graph },
            GraphRoots { state_count: 2, ..graph },
            GraphRoots { table_count: 2, ..graph },
        ];
        for other in others {
            assert_ne!(graph.root::<HostSha256>(), other.root::<HostSha256>());
        }
    }

    #[test]
    fn a_graph_among_the_averages_is_named_by_nodes_outputs_and_count() {
        let graph = GraphRoots::new(&[vec![1u8], vec![2, 3]], &[1], &[]);
        let others = [
            GraphRoots { nodes_root: [9; 32], ..graph },
            GraphRoots { outputs_root: [9; 32], ..graph },
            GraphRoots { node_count: 3, ..graph },
        ];
        assert_eq!(graph.aggregate_leaf()[64..], [2, 0, 0, 0]);
        for other in others {
            assert_ne!(graph.aggregate_leaf(), other.aggregate_leaf());
        }
    }

    #[test]
    fn one_batch_is_its_own_root() {
        assert_eq!(Leaf::batches_root(&[[5; 32]]), [5; 32]);
        assert_ne!(Leaf::batches_root(&[[5; 32], [5; 32]]), [5; 32]);
    }

    #[test]
    fn the_step_is_a_tensor_of_one_element() {
        assert_eq!(step_root(77), tensor_root(&[77]));
        assert_eq!(settings_root(&[1, 2, 3, 1 << 16]), tensor_root(&[1, 2, 3, 1 << 16]));
    }
}

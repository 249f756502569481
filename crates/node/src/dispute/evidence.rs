//! What a side of a dispute can say about what is disputed, and the trees over it.

use super::{DisputeError, missing};
use sip_arith::Native;
use sip_ops::{Kind, MAX_LABELS, Node};
use sip_proof::merkle::MerkleTree;
use sip_proof::{BlobTree, GraphRoots, Hash, HostSha256, Leaf, outputs_tree, roots_tree, tensor_bytes};
use sip_protocol::court::{Game, Ground};
use std::sync::Arc;

/// What a replay yields, on demand. Steps count within the segment; an aggregate and a genesis state have the one step 0 and no
/// leaves.
///
/// Where the computation stops at a fault, leaves, steps, states and trace reach as far as it came: the leaves before the one with
/// the fault, of its leaf the steps before it, of its step the outputs of the nodes before it.
pub trait Evidence {
    /// Why a part cannot be produced.
    type Error;
    /// All leaves of the segment.
    fn leaves(&mut self) -> Result<Vec<Leaf>, Self::Error>;
    /// Batch root and end state root of every step of a leaf.
    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, Self::Error>;
    /// BLAKE3 root of every entry of the state before a step; `step` may be the number of steps, for the last state. Where a graph is
    /// computed once, the state before step 0 is what the first `carried` inputs read, and may have another number of entries.
    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, Self::Error>;
    /// BLAKE3 root of every node's output in a step, in graph order.
    fn trace_roots(&mut self, step: u32) -> Result<Vec<Hash>, Self::Error>;
    /// Output of a node in a step.
    fn tensor(&mut self, step: u32, node: u32) -> Result<Vec<u32>, Self::Error>;
    /// Training tokens of a domain.
    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, Self::Error>;

    /// BLAKE3 root of every entry of a base that inputs read beside the state before the step; a segment has none.
    fn base_roots(&mut self, base: u32) -> Result<Vec<Hash>, Self::Error> {
        let _ = base;
        Ok(Vec::new())
    }

    /// Where the computation stops, if it does not come to its end.
    fn fault(&mut self) -> Result<Option<FaultPlace>, Self::Error> {
        Ok(None)
    }
}

/// The first value of a computation that does not exist: not finite, or looked up beyond a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlace {
    /// Step within the segment.
    pub step: u32,
    /// Node of the graph, the first in its order.
    pub node: u32,
    /// Element of the node's output, the first.
    pub element: u32,
}

/// What is committed of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRoots {
    /// BLAKE3 root of the batch.
    pub batch_root: Hash,
    /// State root after the step.
    pub end_root: Hash,
}

/// The job's graph with the trees over its parts.
#[derive(Clone, Debug)]
pub struct GraphEvidence {
    pub(super) nodes: Vec<Vec<u8>>,
    pub(super) outputs: Vec<u32>,
    pub(super) table_roots: Vec<Hash>,
    pub(super) nodes_tree: MerkleTree,
    pub(super) outputs_tree: MerkleTree,
    pub(super) tables_tree: MerkleTree,
}

impl GraphEvidence {
    /// Canonical bytes of each node, output node of each state entry, BLAKE3 root of each table.
    pub fn new(nodes: Vec<Vec<u8>>, outputs: Vec<u32>, table_roots: Vec<Hash>) -> GraphEvidence {
        GraphEvidence {
            nodes_tree: MerkleTree::new(&nodes),
            outputs_tree: outputs_tree(&outputs),
            tables_tree: roots_tree(&table_roots),
            nodes,
            outputs,
            table_roots,
        }
    }

    /// The node whose output a state entry becomes.
    pub fn output(&self, entry: usize) -> Option<u32> {
        self.outputs.get(entry).copied()
    }

    /// What a job commits to of this graph.
    pub fn roots(&self) -> GraphRoots {
        GraphRoots {
            nodes_root: self.nodes_tree.root(),
            node_count: self.nodes_tree.leaf_count(),
            outputs_root: self.outputs_tree.root(),
            state_count: self.outputs_tree.leaf_count(),
            tables_root: self.tables_tree.root(),
            table_count: self.tables_tree.leaf_count(),
        }
    }

    /// Whether a dispute is about this graph.
    pub fn is_graph_of(&self, ground: &Ground) -> bool {
        let roots = self.roots();
        let counts = [roots.node_count, roots.state_count, roots.table_count];
        counts == [ground.node_count, ground.state_count, ground.table_count]
            && [roots.nodes_root, roots.outputs_root, roots.tables_root]
                == [ground.nodes_root, ground.outputs_root, ground.tables_root]
    }

    /// A node's path in the tree over the nodes, then its canonical bytes: the payload of
    /// [`sip_protocol::court::MoveKind::ProveBeyond`].
    ///
    /// # Panics
    /// If there is no such node.
    pub fn node_opening(&self, index: u32) -> Vec<u8> {
        [&self.nodes_tree.path(index)[..], &self.nodes[index as usize]].concat()
    }

    pub(super) fn node<E>(&self, index: u32) -> Result<Node<'_>, DisputeError<E>> {
        let bytes = missing(self.nodes.get(index as usize), "such node")?;
        missing(Node::parse(bytes).ok(), "well-formed node")
    }
}

/// A segment's leaves, as far as they are known, and their tree.
pub(super) struct Accumulator {
    pub(super) leaves: Vec<Leaf>,
    pub(super) tree: MerkleTree,
}

/// A step's trace, as far as it is known, and its tree.
pub(super) struct Trace {
    pub(super) roots: Vec<Hash>,
    pub(super) tree: MerkleTree,
}

/// A tensor and its tree.
pub(super) struct Tensor {
    pub(super) elements: Vec<u32>,
    pub(super) tree: BlobTree,
}

/// Evidence with the trees that moves are read from, the latest of each kind kept.
pub(super) struct Library<R> {
    evidence: R,
    pub(super) graph: Arc<GraphEvidence>,
    accumulator: Option<Arc<Accumulator>>,
    trace: Option<(u32, Arc<Trace>)>,
    tensor: Option<((u32, u32), Arc<Tensor>)>,
}

impl<R: Evidence> Library<R> {
    pub(super) fn new(graph: Arc<GraphEvidence>, evidence: R) -> Library<R> {
        Library { evidence, graph, accumulator: None, trace: None, tensor: None }
    }

    /// Whether graph and segment are the dispute's.
    pub(super) fn check(&self, ground: &Ground) -> Result<(), DisputeError<R::Error>> {
        missing(self.graph.is_graph_of(ground).then_some(()), "graph with the disputed job's roots")
    }

    pub(super) fn accumulator(&mut self, ground: &Ground) -> Result<Arc<Accumulator>, DisputeError<R::Error>> {
        if let Some(known) = &self.accumulator {
            return Ok(known.clone());
        }
        let leaves = self.evidence.leaves().map_err(DisputeError::Evidence)?;
        let known = match self.fault()? {
            Some(fault) => fault.step / ground.steps_per_leaf.max(1),
            None => ground.leaf_count(),
        };
        missing((leaves.len() == known as usize).then_some(()), "complete list of leaves")?;
        let preimages = leaves.iter().map(|leaf| leaf.preimage().to_vec());
        let tree = MerkleTree::new(preimages.chain(unknown(ground.leaf_count() - known)));
        debug_assert!(leaves.iter().enumerate().all(|(i, leaf)| leaf.hash::<HostSha256>() == tree.hash(0, i as u32)));
        Ok(self.accumulator.insert(Arc::new(Accumulator { leaves, tree })).clone())
    }

    pub(super) fn steps(&mut self, ground: &Ground, leaf: u32) -> Result<Vec<StepRoots>, DisputeError<R::Error>> {
        let steps = self.evidence.steps(leaf).map_err(DisputeError::Evidence)?;
        let (first, count) = ground.leaf_steps(leaf);
        let known = match self.fault()? {
            Some(fault) if (first..first + count).contains(&fault.step) => fault.step - first,
            _ => count,
        };
        missing((steps.len() == known as usize).then_some(steps), "complete list of a leaf's steps")
    }

    /// Where the evidence ends, if it is not whole.
    pub(super) fn fault(&mut self) -> Result<Option<FaultPlace>, DisputeError<R::Error>> {
        self.evidence.fault().map_err(DisputeError::Evidence)
    }

    /// The fault of a step.
    pub(super) fn fault_in(&mut self, step: u32) -> Result<Option<FaultPlace>, DisputeError<R::Error>> {
        Ok(self.fault()?.filter(|fault| fault.step == step))
    }

    /// The roots of a base and the tree over them.
    pub(super) fn base(&mut self, base: u32, entries: u32) -> Result<Trace, DisputeError<R::Error>> {
        let roots = self.evidence.base_roots(base).map_err(DisputeError::Evidence)?;
        let roots = missing((roots.len() == entries as usize).then_some(roots), "complete base")?;
        Ok(Trace { tree: roots_tree(&roots), roots })
    }

    /// The state before a step, as far as inputs read it.
    pub(super) fn carried(&mut self, step: u32, entries: u32) -> Result<Trace, DisputeError<R::Error>> {
        let roots = self.evidence.state_roots(step).map_err(DisputeError::Evidence)?;
        let roots = missing((roots.len() == entries as usize).then_some(roots), "complete state before the step")?;
        Ok(Trace { tree: roots_tree(&roots), roots })
    }

    /// What comes of the step before this one.
    pub(super) fn state(&mut self, step: u32) -> Result<Trace, DisputeError<R::Error>> {
        let roots = self.evidence.state_roots(step).map_err(DisputeError::Evidence)?;
        let roots = missing((roots.len() == self.graph.outputs.len()).then_some(roots), "complete state")?;
        Ok(Trace { tree: roots_tree(&roots), roots })
    }

    pub(super) fn trace(&mut self, step: u32) -> Result<Arc<Trace>, DisputeError<R::Error>> {
        if let Some((known_step, known)) = &self.trace
            && *known_step == step
        {
            return Ok(known.clone());
        }
        let roots = self.evidence.trace_roots(step).map_err(DisputeError::Evidence)?;
        let nodes = self.graph.nodes.len();
        let known = self.fault_in(step)?.map_or(nodes, |fault| fault.node as usize);
        let roots = missing((roots.len() == known).then_some(roots), "complete trace")?;
        let leaves = roots.iter().map(|root| root.to_vec());
        let tree = MerkleTree::new(leaves.chain(unknown((nodes - known.min(nodes)) as u32)));
        let trace = Arc::new(Trace { tree, roots });
        self.trace = Some((step, trace.clone()));
        Ok(trace)
    }

    pub(super) fn tensor(&mut self, step: u32, node: u32) -> Result<Arc<Tensor>, DisputeError<R::Error>> {
        if let Some((known_place, known)) = &self.tensor
            && *known_place == (step, node)
        {
            return Ok(known.clone());
        }
        let tensor = Arc::new(self.read_tensor(step, node)?);
        self.tensor = Some(((step, node), tensor.clone()));
        Ok(tensor)
    }

    fn read_tensor(&mut self, step: u32, node: u32) -> Result<Tensor, DisputeError<R::Error>> {
        let len = self.graph.node(node)?.len();
        let elements = self.evidence.tensor(step, node).map_err(DisputeError::Evidence)?;
        let elements = missing((elements.len() as u64 == len).then_some(elements), "complete output of a node")?;
        Ok(Tensor { tree: BlobTree::new(&tensor_bytes(&elements)), elements })
    }

    pub(super) fn tokens(&mut self, domain: u32) -> Result<Tensor, DisputeError<R::Error>> {
        let elements = self.evidence.tokens(domain).map_err(DisputeError::Evidence)?;
        Ok(Tensor { tree: BlobTree::new(&tensor_bytes(&elements)), elements })
    }

    /// Outputs of the nodes that the node in question reads, by operand.
    pub(super) fn operands(&mut self, game: &Game) -> Result<Vec<Tensor>, DisputeError<R::Error>> {
        let graph = self.graph.clone();
        let node = graph.node(game.node)?;
        (0..node.operands()).map(|operand| self.read_tensor(game.step, node.operand_node(operand))).collect()
    }
}

/// Stand-ins for leaves of a tree that nobody knows: only nodes over known leaves are ever compared or opened.
fn unknown(count: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|_| Vec::new())
}

/// Operand values of a piece, slot by slot.
pub(super) fn piece_values<E>(
    node: &Node<'_>,
    element: u32,
    piece: u32,
    operands: &[Tensor],
) -> Result<Vec<u32>, DisputeError<E>> {
    let mut values = vec![0; node.piece_slots(piece) as usize];
    for slot in 0..values.len() {
        let place = node.slot(piece, slot as u32);
        let mut coordinates = [0; MAX_LABELS];
        node.coordinates(element as u64, place.term, &mut coordinates);
        let index = if node.kind() == Kind::Gather && slot > 0 { values[0] } else { 0 };
        let address = usize::try_from(node.address(place.operand as usize, &coordinates, index)).ok();
        let operand = operands.get(place.operand as usize);
        let value = operand.zip(address).and_then(|(tensor, address)| tensor.elements.get(address));
        values[slot] = *missing(value, "operand value at the address that the node reads")?;
    }
    Ok(values)
}

/// Accumulator after every piece of an element's chain.
pub(super) fn partial_sums<E>(node: &Node<'_>, element: u32, operands: &[Tensor]) -> Result<Vec<u32>, DisputeError<E>> {
    let mut accumulator = 0;
    let run = |piece| {
        let values = piece_values(node, element, piece, operands)?;
        accumulator = node.piece::<Native>(element as u64, piece, accumulator, &|slot| values[slot as usize]);
        Ok(accumulator)
    };
    (0..node.pieces()).map(run).collect()
}

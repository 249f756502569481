//! A finished graph: nodes in topological order and what they stand for.

use sip_ops::{Kind, NodeSpec, Source, Type};
use std::collections::BTreeMap;

/// Most nodes of a graph: planning one takes time that grows with the square of them.
pub const MAX_NODES: usize = 1 << 14;
/// Most bytes of a result's name.
const MAX_NAME: usize = u8::MAX as usize;

/// Why a graph cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A node breaks a rule of the operator set.
    #[error("node {node} ({kind:?}) is invalid: {reason}")]
    Node {
        /// Number of the node.
        node: u32,
        /// Its operator.
        kind: Kind,
        /// The rule.
        reason: String,
    },
    /// A read of a tensor does not fit it.
    #[error("node {node} has {len} elements, but is read as {expected}")]
    Read {
        /// The node that is read.
        node: u32,
        /// Its elements.
        len: usize,
        /// The product of the axes that it is read along.
        expected: usize,
    },
    /// A view moves along an axis that the node does not have.
    #[error("an operand reads node {node} along an axis that is neither an output nor a reduction axis")]
    Axis {
        /// The node that is read.
        node: u32,
    },
    /// There is no rule for the derivative.
    #[error("no gradient through node {node} ({kind:?}): {reason}")]
    Gradient {
        /// Number of the node.
        node: u32,
        /// Its operator.
        kind: Kind,
        /// What stands in the way.
        reason: String,
    },
    /// An output is not what the graph says it is.
    #[error("output {name}: {reason}")]
    Output {
        /// State entry or name of a result.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// There are too many nodes.
    #[error("the graph has {nodes} nodes, expected at most {MAX_NODES}")]
    Size {
        /// Nodes given.
        nodes: usize,
    },
    /// The bytes are no graph.
    #[error("byte {at} of the graph: {reason}")]
    Bytes {
        /// Where they stop making sense.
        at: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Operator nodes in topological order, and which of them are the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<NodeSpec>,
    state_outputs: Vec<u32>,
    results: Vec<(String, u32)>,
}

impl Graph {
    /// Checks every node, that inputs of one source agree, that outputs exist, and that results are computed.
    ///
    /// `state_outputs[i]` is the node whose tensor becomes state entry `i`; `results` are tensors with a name.
    ///
    /// # Errors
    /// The first node or output that breaks a rule.
    pub fn new(
        nodes: Vec<NodeSpec>,
        state_outputs: Vec<u32>,
        results: Vec<(String, u32)>,
    ) -> Result<Graph, GraphError> {
        if nodes.len() > MAX_NODES {
            return Err(GraphError::Size { nodes: nodes.len() });
        }
        let mut sources: BTreeMap<(u8, u32), (Type, Vec<u32>)> = BTreeMap::new();
        for (number, spec) in nodes.iter().enumerate() {
            let fail = |reason: String| GraphError::Node { node: number as u32, kind: spec.kind, reason };
            let earlier =
                |node: u32| nodes[..number].get(node as usize).map(|operand: &NodeSpec| (operand.dtype, operand.len()));
            spec.validate(&earlier).map_err(|e| fail(e.0))?;
            if spec.kind == Kind::Input {
                let shape = (spec.dtype, spec.out_sizes.clone());
                let known = sources.entry(source_key(spec.source)).or_insert_with(|| shape.clone());
                if *known != shape {
                    return Err(fail(format!("{:?} is read with two shapes", spec.source)));
                }
            }
        }
        let named = |name: &str, node: u32| {
            nodes
                .get(node as usize)
                .ok_or_else(|| GraphError::Output { name: name.into(), reason: format!("node {node} does not exist") })
        };
        for (entry, &node) in state_outputs.iter().enumerate() {
            let spec = named(&format!("state entry {entry}"), node)?;
            let shape = (spec.dtype, spec.len());
            let before = sources.get(&source_key(Source::State(entry as u32)));
            if before.is_some_and(|(dtype, sizes)| (*dtype, sizes.iter().map(|&s| s as usize).product()) != shape) {
                let reason = format!("node {node} has another type or length than the entry before the step");
                return Err(GraphError::Output { name: format!("state entry {entry}"), reason });
            }
        }
        for (name, node) in &results {
            if name.len() > MAX_NAME {
                let reason = format!("a name of {} bytes is longer than {MAX_NAME}", name.len());
                return Err(GraphError::Output { name: name.chars().take(32).collect(), reason });
            }
            if named(name, *node)?.kind == Kind::Input {
                let reason = format!("node {node} is an input, which its caller has; name what is computed from it");
                return Err(GraphError::Output { name: name.clone(), reason });
            }
        }
        Ok(Graph { nodes, state_outputs, results })
    }

    /// The nodes, each after the ones it reads.
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// For every state entry the node that gives it.
    pub fn state_outputs(&self) -> &[u32] {
        &self.state_outputs
    }

    /// Named tensors, such as the loss.
    pub fn results(&self) -> &[(String, u32)] {
        &self.results
    }

    /// The node of a named tensor.
    pub fn result(&self, name: &str) -> Option<u32> {
        self.results.iter().find(|(known, _)| known == name).map(|&(_, node)| node)
    }

    /// Canonical bytes of a node: what a commitment to the graph hashes.
    pub fn node_bytes(&self, node: u32) -> Option<Vec<u8>> {
        self.nodes.get(node as usize).map(NodeSpec::encode)
    }

    /// Type and shape of what a source must supply, if the graph reads it.
    pub fn input_shape(&self, source: Source) -> Option<(Type, &[u32])> {
        let found = self.nodes.iter().find(|n| n.kind == Kind::Input && n.source == source)?;
        Some((found.dtype, &found.out_sizes))
    }

    /// Number of nodes per operator.
    pub fn count(&self, kind: Kind) -> usize {
        self.nodes.iter().filter(|n| n.kind == kind).count()
    }
}

fn source_key(source: Source) -> (u8, u32) {
    match source {
        Source::State(index) => (0, index),
        Source::Batch => (1, 0),
        Source::Step => (2, 0),
        Source::Table(index) => (3, index),
        Source::Setting => (4, 0),
    }
}

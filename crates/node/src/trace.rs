//! What one step computes, node by node: the roots of all outputs, and those of the tensors that are wanted.

use sip_graph::Graph;
use sip_kernels::Threads;
use sip_proof::{Hash, roots_tree};
use std::collections::BTreeMap;

use crate::state;

/// Which tensors of a step are kept beside the roots of all.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// None.
    Nothing,
    /// In graph order as they come, as long as all of them take no more than so many bytes.
    Bytes(usize),
    /// Those of these nodes.
    Nodes(&'a [u32]),
}

/// The outputs of all nodes of a step in graph order, inputs included; where the step stops at a fault, of the nodes before it.
#[derive(Clone, Debug)]
pub struct Trace {
    roots: Vec<Hash>,
    tensors: BTreeMap<u32, Vec<u32>>,
}

impl Trace {
    /// A trace of no node.
    pub(crate) const fn new() -> Trace {
        Trace { roots: Vec::new(), tensors: BTreeMap::new() }
    }

    /// BLAKE3 root of every node's output.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Merkle root over them: what an attestation shows and a dispute pins.
    pub fn root(&self) -> Hash {
        roots_tree(&self.roots).root()
    }

    /// Output of a node, if it was kept.
    pub fn tensor(&self, node: u32) -> Option<&[u32]> {
        self.tensors.get(&node).map(Vec::as_slice)
    }

    /// Forgets a node and those after it, which a fault keeps from being computed.
    pub(crate) fn truncate(&mut self, node: u32) {
        self.roots.truncate(node as usize);
        self.tensors.split_off(&node);
    }
}

/// Takes a trace down while a step runs. A tensor is hashed when it is computed, so that no more than the wanted ones are ever stored.
pub(crate) struct Recorder<'a> {
    keep: Keep<'a>,
    kept_bytes: usize,
    threads: &'a Threads,
    trace: Trace,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(graph: &Graph, keep: Keep<'a>, threads: &'a Threads) -> Recorder<'a> {
        let trace = Trace { roots: vec![[0; 32]; graph.nodes().len()], tensors: BTreeMap::new() };
        Recorder { keep, kept_bytes: 0, threads, trace }
    }

    /// Notes the output of a node.
    pub(crate) fn note(&mut self, node: u32, output: &[u32]) {
        if let Some(root) = self.trace.roots.get_mut(node as usize) {
            *root = state::roots(&[output], self.threads)[0];
        }
        let kept_bytes = self.kept_bytes + size_of_val(output);
        let wanted = match self.keep {
            Keep::Nothing => false,
            Keep::Bytes(limit) => kept_bytes <= limit,
            Keep::Nodes(nodes) => nodes.contains(&node),
        };
        if wanted {
            self.kept_bytes = kept_bytes;
            self.trace.tensors.insert(node, output.to_vec());
        }
    }

    pub(crate) fn finish(self) -> Trace {
        self.trace
    }
}

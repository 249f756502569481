//! A dispute over a small graph whose moves are written by hand: what each side could try.

use super::transcript::Transcript;
use sip_node::dispute::Move;
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};
use sip_proof::blake3::Subtree;
use sip_proof::{BlobTree, Hash, Leaf, merkle::MerkleTree, outputs_tree, tensor_bytes, tensor_root};
use sip_protocol::court::{CaseKind, Ground, MoveKind, Outcome};

/// A node without operands.
pub(super) fn input(source: Source, dtype: Type, sizes: &[u32]) -> NodeSpec {
    NodeSpec {
        kind: Kind::Input,
        dtype,
        out_sizes: sizes.to_vec(),
        reduce_sizes: Vec::new(),
        operands: Vec::new(),
        constraint: None,
        starts_from_operand: false,
        source,
        program: Vec::new(),
    }
}

/// An entry of the state before the step.
pub(super) fn state(entry: u32, len: u32) -> NodeSpec {
    input(Source::State(entry), Type::F32, &[len])
}

/// A segment of one step, as [`Table::open`] makes it.
pub(super) const SAME: fn(&mut Ground, &mut Leaf) = |_, _| ();

/// What a node reads of another.
pub(super) fn operand(node: u32, offset: i32, strides: &[i32]) -> Operand {
    Operand { node, offset, index_stride: 0, strides: strides.to_vec() }
}

/// A node that is computed from others.
pub(super) fn computed(kind: Kind, out: &[u32], reduce: &[u32], operands: Vec<Operand>) -> NodeSpec {
    NodeSpec {
        kind,
        reduce_sizes: reduce.to_vec(),
        starts_from_operand: operands.len() == 3,
        operands,
        ..input(Source::State(0), Type::F32, out)
    }
}

/// A map of one instruction over its first operands.
pub(super) fn map(opcode: Opcode, out: &[u32], operands: Vec<Operand>) -> NodeSpec {
    let b = u8::from(operands.len() > 1);
    let program = vec![Instruction { opcode: opcode as u8, a: 0, b, c: 0, immediate: 0 }];
    NodeSpec { program, starts_from_operand: false, ..computed(Kind::Map, out, &[], operands) }
}

/// Bits of numbers.
pub(super) fn floats(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A step as its trainer claims it: nodes that need not be a sound graph, and what each is said to give.
#[derive(Clone)]
pub(super) struct Claimed {
    /// The nodes.
    pub(super) nodes: Vec<NodeSpec>,
    /// Their outputs.
    pub(super) outputs: Vec<Vec<u32>>,
    /// The state before the step.
    pub(super) start: Vec<Vec<u32>>,
    /// The state after it; that of the outputs, if the trainer does not lie there.
    pub(super) end: Vec<Vec<u32>>,
    /// Which node gives which entry.
    pub(super) gives: Vec<u32>,
    /// The batch.
    pub(super) batch: Vec<u32>,
}

impl Claimed {
    /// A step whose last node gives the only entry.
    pub(super) fn new(nodes: Vec<NodeSpec>, outputs: Vec<Vec<u32>>) -> Claimed {
        let (last, start) = (outputs.last().expect("a node").clone(), outputs[0].clone());
        let gives = vec![outputs.len() as u32 - 1];
        Claimed { nodes, outputs, start: vec![start], end: vec![last], gives, batch: vec![0; 6] }
    }
}

/// Root of the tree over roots of tensors.
pub(super) fn state_root(entries: &[Vec<u32>]) -> Hash {
    MerkleTree::new(entries.iter().map(|entry| tensor_root(entry))).root()
}

/// The dispute.
pub(super) struct Table {
    transcript: Transcript,
    /// What is claimed.
    pub(super) claimed: Claimed,
    /// The leaf, of a segment of one.
    pub(super) leaf: Leaf,
    /// Output roots.
    pub(super) trace: MerkleTree,
    nodes: MerkleTree,
    outputs: MerkleTree,
}

impl Table {
    /// Opens a dispute over a segment of one step, or over whatever `edit` makes of that.
    pub(super) fn open(claimed: Claimed, edit: impl FnOnce(&mut Ground, &mut Leaf)) -> Table {
        let trace = MerkleTree::new(claimed.outputs.iter().map(|output| tensor_root(output)));
        let nodes = MerkleTree::new(claimed.nodes.iter().map(NodeSpec::encode));
        let outputs = outputs_tree(&claimed.gives);
        let mut leaf = Leaf {
            first_step: 0,
            count: 1,
            start_root: state_root(&claimed.start),
            batches_root: tensor_root(&claimed.batch),
            end_root: state_root(&claimed.end),
        };
        let mut ground: Ground = bytemuck::Zeroable::zeroed();
        ground.nodes_root = nodes.root();
        ground.outputs_root = outputs.root();
        (ground.start_root, ground.end_root) = (leaf.start_root, leaf.end_root);
        (ground.node_count, ground.state_count) = (claimed.nodes.len() as u32, claimed.gives.len() as u32);
        (ground.inner_steps, ground.steps_per_leaf) = (1, 1);
        ground.carried = claimed.start.len() as u32;
        (ground.batch_rows, ground.row_tokens) = (2, 3);
        ground.mixture_bps[0] = 10_000;
        edit(&mut ground, &mut leaf);
        if ground.accumulator_root == [0; 32] && matches!(ground.case, 0 | 3 | 4) {
            ground.accumulator_root = MerkleTree::new([leaf.preimage()]).root();
        }
        let attested = (ground.case == CaseKind::Attestation as u32).then(|| (0, trace.root()));
        Table { transcript: Transcript::open(ground, attested), claimed, leaf, trace, nodes, outputs }
    }

    fn attempt(&mut self, kind: MoveKind, payload: &[u8], is_taken: bool) {
        let side = self.transcript.game.on_move().expect("the game is on");
        let before = self.transcript.game.phase;
        let found = self.transcript.attempt(side, &Move { kind, payload: payload.to_vec() });
        assert_eq!(found, is_taken, "{kind:?} in phase {before}");
    }

    /// The side on move plays a move, three slots later.
    pub(super) fn takes(&mut self, kind: MoveKind, payload: &[u8]) -> &mut Table {
        self.transcript.wait(3);
        self.attempt(kind, payload, true);
        self
    }

    /// The side on move tries what is refused.
    pub(super) fn refuses(&mut self, kind: MoveKind, payload: &[u8]) -> &mut Table {
        self.attempt(kind, payload, false);
        self
    }

    /// The challenger or the trainer points at something.
    pub(super) fn picks(&mut self, pick: u32) -> &mut Table {
        self.takes(MoveKind::Pick, &pick.to_le_bytes())
    }

    /// A pick that is refused.
    pub(super) fn never_picks(&mut self, pick: u32) -> &mut Table {
        self.refuses(MoveKind::Pick, &pick.to_le_bytes())
    }

    /// The next move is at this slot.
    pub(super) fn at(&mut self, slot: u64) -> &mut Table {
        self.transcript.at(slot);
        self
    }

    /// Plays at the slot that was named.
    pub(super) fn takes_now(&mut self, kind: MoveKind, payload: &[u8]) -> &mut Table {
        self.attempt(kind, payload, true);
        self
    }

    /// A call for the end by the clock, which is refused.
    pub(super) fn refuses_time_out(&mut self) -> &mut Table {
        self.transcript.refuse_time_out();
        self
    }

    /// Start, batches and end root of the leaf.
    pub(super) fn leaf_roots(&self) -> Vec<u8> {
        [self.leaf.start_root, self.leaf.batches_root, self.leaf.end_root].concat()
    }

    /// The trainer opens its leaf and posts its trace.
    pub(super) fn comes_to_trace(&mut self) -> &mut Table {
        let leaf = self.leaf_roots();
        self.takes(MoveKind::OpenLeaf, &leaf).posts_trace()
    }

    /// What PostTrace brings.
    pub(super) fn trace_nodes(&self) -> Vec<u8> {
        self.trace.children(sip_proof::merkle::depth(self.trace.leaf_count()), 0)
    }

    /// The trainer posts its trace.
    pub(super) fn posts_trace(&mut self) -> &mut Table {
        let nodes = self.trace_nodes();
        self.takes(MoveKind::PostTrace, &nodes)
    }

    /// What OpenNode brings of a node.
    pub(super) fn node(&self, node: u32) -> Vec<u8> {
        let root = tensor_root(&self.claimed.outputs[node as usize]);
        let bytes = self.claimed.nodes[node as usize].encode();
        [&root[..], &self.trace.path(node), &self.nodes.path(node), &bytes].concat()
    }

    /// Path and bytes of a node, as ProveBeyond brings them.
    pub(super) fn read_node(&self, node: u32) -> Vec<u8> {
        [self.nodes.path(node), self.claimed.nodes[node as usize].encode()].concat()
    }

    /// To the values of an element of a node of one chunk and one piece.
    pub(super) fn comes_to_values(&mut self, node: u32, element: u32) -> &mut Table {
        let opened = self.comes_to_trace().picks(node).node(node);
        let chunk = tensor_bytes(&self.claimed.outputs[node as usize]);
        self.takes(MoveKind::OpenNode, &opened).takes(MoveKind::PostChunk, &chunk).picks(element)
    }

    /// The trainer posts the values of a piece.
    pub(super) fn posts(&mut self, values: &[u32]) -> &mut Table {
        self.takes(MoveKind::PostValues, &tensor_bytes(values))
    }

    /// What ProveOperand brings: a slot, and an element of a node.
    pub(super) fn proof(&self, slot: u32, node: u32, element: usize) -> Vec<u8> {
        let bytes = tensor_bytes(&self.claimed.outputs[node as usize]);
        let tree = BlobTree::new(&bytes);
        let chunk = (element / 256) as u32;
        let data = &bytes[1024 * chunk as usize..bytes.len().min(1024 * chunk as usize + 1024)];
        let head = [slot, tree.chunks(), data.len() as u32].map(u32::to_le_bytes).concat();
        [&head[..], &tree.root(), &self.trace.path(node), data, &tree.path(chunk)].concat()
    }

    /// What ProveOutput brings of an entry.
    pub(super) fn output(&self, entry: u32) -> Vec<u8> {
        let node = self.claimed.gives[entry as usize];
        let root = tensor_root(&self.claimed.outputs[node as usize]);
        [&node.to_le_bytes()[..], &self.outputs.path(entry), &root, &self.trace.path(node)].concat()
    }

    /// What a reveal shows of a node of an output's tree.
    pub(super) fn tensor(&self, node: u32, level: u32, index: u32) -> Vec<u8> {
        let tree = BlobTree::new(&tensor_bytes(&self.claimed.outputs[node as usize]));
        tree.children(Subtree { chunks: tree.chunks(), level, index })
    }

    /// The side on move gives up; the vector.
    pub(super) fn concedes(&mut self, name: &str, outcome: Outcome) -> serde_json::Value {
        self.refuses(MoveKind::Concede, &[0]).takes(MoveKind::Concede, &[]).ends(name, outcome)
    }

    /// The clock of the side on move runs out; the vector.
    pub(super) fn is_silent(&mut self, name: &str, outcome: Outcome) -> serde_json::Value {
        self.transcript.time_out();
        self.ends(name, outcome)
    }

    /// The vector.
    pub(super) fn ends(&mut self, name: &str, outcome: Outcome) -> serde_json::Value {
        let empty = Transcript::open(self.transcript.game.ground, None);
        std::mem::replace(&mut self.transcript, empty).end(name, outcome)
    }
}

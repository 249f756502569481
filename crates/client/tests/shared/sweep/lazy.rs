//! A dispute over a segment that nobody trained: all that lies on its path is made up to fit, the rest is chance. So a
//! dispute about a model of any size costs here what it costs on chain, and no more.

use super::stage::Stage;
use sip_arith::{Native, is_fault};
use sip_node::dispute::{Challenger, Defender, Evidence, GraphEvidence, Move, StepRoots};
use sip_ops::{Kind, MAX_LABELS, Node, NodeSpec, Source, Type};
use sip_proof::blake3::{ChunkOpening, Subtree, chunk_count, chunk_value, path_len};
use sip_proof::merkle::MerkleTree;
use sip_proof::{Hash, HostSha256, Leaf, Sha256, hash_at, roots_tree, tensor_bytes};
use sip_protocol::court::{Game, Ground, MoveKind, Phase, Side};
use sip_protocol::training::segment::CONVICTED;
use sip_testing::Random;
use std::convert::Infallible;
use std::sync::Arc;

/// The graph of a job, and how long its segments are.
pub(crate) struct Model {
    nodes: Vec<NodeSpec>,
    graph: Arc<GraphEvidence>,
    ground: Ground,
}

fn named(name: &str, number: u32, side: u32) -> Hash {
    HostSha256::hashv(&[name.as_bytes(), &number.to_le_bytes(), &side.to_le_bytes()])
}

impl Model {
    /// A job over these nodes.
    pub(crate) fn new(nodes: Vec<NodeSpec>, outputs: &[u32], inner_steps: u32, steps_per_leaf: u32) -> Model {
        let encoded: Vec<Vec<u8>> = nodes.iter().map(NodeSpec::encode).collect();
        let tables = nodes.iter().filter_map(|node| match node.source {
            Source::Table(entry) if node.kind == Kind::Input => Some(entry + 1),
            _ => None,
        });
        let table_roots: Vec<Hash> = (0..tables.max().unwrap_or(0)).map(|entry| named("table", entry, 0)).collect();
        let graph = GraphEvidence::new(encoded.clone(), outputs.to_vec(), table_roots.clone());
        let batch = nodes.iter().find(|node| node.kind == Kind::Input && node.source == Source::Batch);
        let (rows, row_tokens) = batch.map_or((1, 2), |batch| (batch.out_sizes[0], batch.out_sizes[1]));
        let mut ground = Ground {
            nodes_root: MerkleTree::new(&encoded).root(),
            outputs_root: sip_proof::outputs_tree(outputs).root(),
            tables_root: roots_tree(&table_roots).root(),
            start_root: named("state", 0, 0),
            node_count: nodes.len() as u32,
            state_count: outputs.len() as u32,
            table_count: table_roots.len() as u32,
            inner_steps,
            steps_per_leaf,
            batch_rows: rows,
            row_tokens,
            ..bytemuck::Zeroable::zeroed()
        };
        for domain in 0..2 {
            ground.dataset_roots[domain] = named("dataset", domain as u32, 0);
            ground.token_counts[domain] = 10_000_000;
        }
        Model { nodes, graph: Arc::new(graph), ground }
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// A chain on which this job runs.
    pub(crate) fn stage(&self) -> Stage {
        Stage::new(&self.ground)
    }
}

/// A blob of which one chunk is known; every other value of its tree is chance.
struct Blob {
    chunks: u32,
    chunk: u32,
    bytes: Vec<u8>,
}

impl Blob {
    /// `elements` is the tensor's length; of the chunk of this element, all is chance but the element itself.
    fn new(elements: u64, element: u64, value: u32) -> Blob {
        let chunk = (element / 256) as u32;
        let len = (elements - u64::from(chunk) * 256).min(256) as usize;
        let mut bytes = Random::new(element).bytes(len * 4);
        bytes[(element % 256) as usize * 4..][..4].copy_from_slice(&value.to_le_bytes());
        Blob { chunks: chunk_count(elements * 4).expect("a tensor's length"), chunk, bytes }
    }

    /// What a reveal of each place on the way from the top shows, and the root.
    fn reveals(&self) -> (Hash, Vec<(Subtree, Vec<u8>)>) {
        let mut places = vec![Subtree::top(self.chunks).settled()];
        while places[places.len() - 1].level > 0 {
            let (first, _) = places[places.len() - 1].children();
            places.push(Subtree { index: self.chunk >> first.level, ..first }.settled());
        }
        let bottom = places.pop().expect("the chunk");
        let mut value = chunk_value(&self.bytes, self.chunk, bottom.is_top());
        let mut reveals = Vec::new();
        for place in places.into_iter().rev() {
            let (first, count) = place.children();
            let on_path = (self.chunk >> first.level) - first.index;
            let shown: Vec<Hash> =
                (0..count).map(|at| if at == on_path { value } else { named("node", at, place.level) }).collect();
            let shown = shown.concat();
            value = place.value_of(&shown).expect("as many nodes as the place has");
            reveals.push((place, shown));
        }
        (value, reveals)
    }

    /// An opening of the chunk: the root and the siblings.
    fn opening(&self) -> (Hash, Vec<u8>) {
        let siblings = path_len(self.chunks, self.chunk);
        let path: Vec<u8> = (0..siblings).flat_map(|level| named("sibling", level, self.chunk)).collect();
        let opening = ChunkOpening { chunks: self.chunks, index: self.chunk, bytes: &self.bytes, path: &path };
        (opening.root().expect("a place in the blob"), path)
    }
}

/// What is false, and what the trainer shows for it.
pub(crate) struct Lie {
    step: u32,
    node: u32,
    element: u32,
    /// The element's false value.
    claim: u32,
    piece: u32,
    /// Accumulators after each piece but the last.
    partials: Vec<u32>,
    /// Operand values of the piece, of which the one of `slot` is false.
    values: Vec<u32>,
    slot: u32,
    output: Blob,
    operand: Blob,
    operand_node: u32,
}

impl Lie {
    /// A false element of a node, somewhere; `value` gives the operand values that the trainer shows. The element is finite, so
    /// that nothing but its operands speaks against it.
    pub(crate) fn new(model: &Model, node: u32, random: &mut Random, value: &mut dyn FnMut() -> u32) -> Lie {
        let is_u32 = model.nodes[node as usize].dtype == Type::U32;
        let is_sound = |lie: &Lie| is_u32 || !is_fault(lie.claim);
        let mut lies = (0..1_000).map(|_| Lie::draw(model, node, random, value));
        lies.find(is_sound).expect("operand values with a finite outcome")
    }

    fn draw(model: &Model, node: u32, random: &mut Random, value: &mut dyn FnMut() -> u32) -> Lie {
        let spec = &model.nodes[node as usize];
        let bytes = spec.encode();
        let parsed = Node::parse(&bytes).expect("a well-formed node");
        let element = (random.next() % parsed.len()) as u32;
        // A whole piece where there is one.
        let whole = (parsed.terms() / 256).max(1);
        let piece = random.below(whole);
        let reads_u32 = |operand: u32| matches!(spec.kind, Kind::Gather | Kind::ScatterAdd) && operand == 0;
        let mut values = vec![0; parsed.piece_slots(piece) as usize];
        for (slot, shown) in values.iter_mut().enumerate() {
            // Every source of a scatter hits its row, so that all terms count.
            let row = element / (parsed.len() / u64::from(parsed.size(0).max(1))) as u32;
            *shown = if reads_u32(parsed.slot(piece, slot as u32).operand) { row.min(7) } else { value() };
            if spec.kind == Kind::ScatterAdd && slot % 2 == 0 {
                *shown = row;
            }
        }
        let place = |slot: u32| {
            let mut coordinates = [0; MAX_LABELS];
            let found = parsed.slot(piece, slot);
            parsed.coordinates(u64::from(element), found.term, &mut coordinates);
            let address = parsed.address(found.operand as usize, &coordinates, values[0]);
            (found.operand as usize, address, parsed.is_present(&coordinates))
        };
        let slot = (0..values.len() as u32).find(|slot| place(*slot).2).expect("a term that is present");
        let (operand, address, _) = place(slot);
        let operand_node = parsed.operand_node(operand);
        let operand = Blob::new(model.nodes[operand_node as usize].len() as u64, address, values[slot as usize] ^ 1);
        let mut partials: Vec<u32> = (1..parsed.pieces()).map(|_| value()).collect();
        let start = piece.checked_sub(1).map_or(0, |before| partials[before as usize]);
        let end = parsed.piece::<Native>(u64::from(element), piece, start, &|slot| values[slot as usize]);
        let is_last = piece + 1 == parsed.pieces();
        if !is_last {
            partials[piece as usize] = end;
        }
        let claim = if is_last { end } else { value() };
        let output = Blob::new(parsed.len(), u64::from(element), claim);
        let step = random.below(model.ground.inner_steps);
        Lie { step, node, element, claim, piece, partials, values, slot, output, operand, operand_node }
    }
}

/// What one side says about the segment: 0 is the truth, 1 the lie.
#[derive(Clone)]
struct View<'a> {
    model: &'a Model,
    lie: &'a Lie,
    side: u32,
}

impl View<'_> {
    fn state(&self, step: u32) -> Hash {
        named("state", step, if step > self.lie.step { self.side } else { 0 })
    }

    fn roots(&self) -> Vec<Hash> {
        let mut roots: Vec<Hash> = (0..self.model.ground.node_count).map(|node| named("output", node, 0)).collect();
        roots[self.lie.operand_node as usize] = self.lie.operand.opening().0;
        roots[self.lie.node as usize] =
            if self.side == 1 { self.lie.output.reveals().0 } else { named("output", self.lie.node, 0) };
        roots
    }
}

impl Evidence for View<'_> {
    type Error = Infallible;

    fn leaves(&mut self) -> Result<Vec<Leaf>, Infallible> {
        let leaf = |index| {
            let (first_step, count) = self.model.ground.leaf_steps(index);
            let batches: Vec<Hash> = (first_step..first_step + count).map(|step| named("batch", step, 0)).collect();
            let (start_root, end_root) = (self.state(first_step), self.state(first_step + count));
            Leaf { first_step, count, start_root, batches_root: Leaf::batches_root(&batches), end_root }
        };
        Ok((0..self.model.ground.leaf_count()).map(leaf).collect())
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, Infallible> {
        let (first, count) = self.model.ground.leaf_steps(leaf);
        let roots = |step| StepRoots { batch_root: named("batch", step, 0), end_root: self.state(step + 1) };
        Ok((first..first + count).map(roots).collect())
    }

    fn state_roots(&mut self, _: u32) -> Result<Vec<Hash>, Infallible> {
        unreachable!("the trace is false, so nobody looks at the state")
    }

    fn trace_roots(&mut self, _: u32) -> Result<Vec<Hash>, Infallible> {
        Ok(self.roots())
    }

    fn tensor(&mut self, _: u32, _: u32) -> Result<Vec<u32>, Infallible> {
        unreachable!("no tensor is made up as a whole")
    }

    fn tokens(&mut self, _: u32) -> Result<Vec<u32>, Infallible> {
        unreachable!("the batch is not disputed")
    }
}

/// The part of a dispute within one tensor, for both sides; `None` where a brain knows better.
fn within_tensor(lie: &Lie, roots: &[Hash], game: &Game) -> Option<Move> {
    let pick = |index: u32| Move { kind: MoveKind::Pick, payload: index.to_le_bytes().to_vec() };
    let reveal = || {
        let place = game.subtree().expect("a place in the tensor");
        let (_, reveals) = lie.output.reveals();
        reveals.into_iter().find(|(at, _)| *at == place).expect("a place on the way").1
    };
    Some(match game.phase().expect("a phase") {
        Phase::RevealTensor => Move { kind: MoveKind::Reveal, payload: reveal() },
        Phase::PickTensor => {
            let (first, _) = game.subtree().expect("a place in the tensor").children();
            pick((lie.output.chunk >> first.level) - first.index)
        }
        Phase::PostChunk => Move { kind: MoveKind::PostChunk, payload: lie.output.bytes.clone() },
        Phase::PickElement => pick(lie.element % 256),
        Phase::PostPartials => Move { kind: MoveKind::PostPartials, payload: tensor_bytes(&lie.partials) },
        Phase::PickPiece => pick(lie.piece),
        Phase::PostValues => Move { kind: MoveKind::PostValues, payload: tensor_bytes(&lie.values) },
        Phase::ProveOperand => {
            let (root, siblings) = lie.operand.opening();
            let numbers = [lie.slot, lie.operand.chunks, lie.operand.bytes.len() as u32];
            let mut payload = tensor_bytes(&numbers);
            payload.extend(root);
            payload.extend(roots_tree(roots).path(lie.operand_node));
            payload.extend(&lie.operand.bytes);
            payload.extend(siblings);
            Move { kind: MoveKind::ProveOperand, payload }
        }
        _ => return None,
    })
}

/// A move of a dispute and what it took.
pub(crate) struct Played {
    /// Who moved.
    pub(crate) side: Side,
    /// Which move.
    pub(crate) kind: MoveKind,
    /// Bytes of its payload.
    pub(crate) bytes: usize,
    /// Transactions.
    pub(crate) transactions: usize,
    /// Compute units of all of them.
    pub(crate) compute_units: u64,
}

/// What a dispute took.
pub(crate) struct Dispute {
    /// Bytes of the transaction that committed the segment.
    pub(crate) commitment_bytes: usize,
    /// Transactions of the challenger before its first move: it commits the accusation, and opens it.
    pub(crate) before: usize,
    /// The moves; with the last one the verdict and the closing of the account.
    pub(crate) moves: Vec<Played>,
    /// Bytes of the largest transaction.
    pub(crate) most_bytes: usize,
}

impl Dispute {
    /// Transactions of a side, from the commitment of the accusation to the closed account.
    pub(crate) fn transactions(&self, side: Side) -> usize {
        let moves = self.moves.iter().filter(|played| played.side == side);
        let before = if side == Side::Challenger { self.before } else { 0 };
        before + moves.map(|played| played.transactions).sum::<usize>()
    }
}

impl Dispute {
    /// Transactions of a side if each carries so many bytes of a payload, and the verdict goes with the closing alone.
    pub(crate) fn transactions_of(&self, side: Side, part_bytes: usize) -> usize {
        let moves = self.moves.iter().filter(|played| played.side == side);
        let around = if side == Side::Challenger { self.before + 1 } else { 0 };
        around + moves.map(|played| played.bytes.div_ceil(part_bytes).max(1)).sum::<usize>()
    }
}

/// Plays a lie to its conviction by an opened operand, which is the longest way.
pub(crate) fn dispute(stage: &mut Stage, model: &Model, lie: &Lie) -> Dispute {
    let view = |side| View { model, lie, side };
    let mut claimed = view(1);
    let leaves = claimed.leaves().unwrap_or_else(|never| match never {});
    let accumulator_root = MerkleTree::new(leaves.iter().map(Leaf::preimage)).root();
    let (committed, accused) = stage.accuse(claimed.state(model.ground.inner_steps), accumulator_root);
    let mut most_bytes = accused.iter().map(|receipt| receipt.transaction_bytes).max().unwrap_or(0);
    let roots = claimed.roots();
    let mut defender = Defender::new(model.graph.clone(), claimed);
    let mut challenger = Challenger::new(model.graph.clone(), view(0));
    let mut moves = Vec::new();
    // The account is closed with the last move.
    while stage.is_open() {
        let game = stage.state().game;
        if game.phase() == Ok(Phase::ProveOperand) {
            assert_eq!((game.node, game.element, game.step), (lie.node, lie.element, lie.step));
            assert!(hash_at(&roots.concat(), game.node as usize) == Some(&game.output_root));
        }
        let side = game.on_move().expect("the game is on");
        let next = within_tensor(lie, &roots, &game).unwrap_or_else(|| {
            let next = if side == Side::Trainer { defender.next(&game) } else { challenger.next(&game) };
            next.expect("evidence").expect("a move")
        });
        let receipts = stage.play_packed(side, &next);
        most_bytes = receipts.iter().map(|receipt| receipt.transaction_bytes).fold(most_bytes, usize::max);
        moves.push(Played {
            side,
            kind: next.kind,
            bytes: next.payload.len(),
            transactions: receipts.len(),
            compute_units: receipts.iter().map(|receipt| receipt.compute_units).sum(),
        });
    }
    assert_eq!(moves.last().map(|played| played.kind), Some(MoveKind::ProveOperand));
    assert_eq!(stage.segment_status(), CONVICTED);
    stage.claim_bounty();
    Dispute { commitment_bytes: committed.transaction_bytes, before: accused.len(), moves, most_bytes }
}

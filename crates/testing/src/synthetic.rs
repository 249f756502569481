//! A small segment with every operator in its graph, run honestly or with one lie, for tests of disputes.

use super::{Evidence, FaultPlace, GraphEvidence, StepRoots};
use crate::State;
use sip_arith::{Native, is_fault};
use sip_ops::{Instruction, Kind, Node, NodeSpec, Opcode, Operand, Source, Type, evaluate_element};
use sip_proof::sampler::{Corpus, Row};
use sip_proof::{Hash, HostSha256, Leaf, roots_tree, tensor_root};
use sip_protocol::court::Ground;
use std::convert::Infallible;
use std::sync::Arc;

/// Rows of a batch.
pub const ROWS: u32 = 3;
/// Tokens of a row.
pub const ROW_TOKENS: u32 = 5;
/// Tokens of the vocabulary.
pub const VOCABULARY: u32 = 50;
const WIDTH: u32 = 600;
const HIDDEN: u32 = 40;
const SAMPLES: u32 = ROWS * (ROW_TOKENS - 1);

/// Node numbers of the graph.
pub mod node {
    /// State entry 0, f32 [hidden, width].
    pub const WEIGHTS: u32 = 0;
    /// State entry 1, f32 [hidden].
    pub const BIAS: u32 = 1;
    /// The batch.
    pub const BATCH: u32 = 2;
    /// The step's number.
    pub const STEP: u32 = 3;
    /// Table 0, f32 [vocabulary, width].
    pub const TABLE: u32 = 4;
    /// Gather from the table, f32 [samples, width].
    pub const GATHERED: u32 = 5;
    /// Contraction of 600 terms that starts from the bias, f32 [samples, hidden].
    pub const CONTRACTED: u32 = 6;
    /// Sum over samples, f32 [hidden].
    pub const SUM: u32 = 7;
    /// Greatest over hidden, f32 [samples].
    pub const MAX: u32 = 8;
    /// Pointwise program over weights, sum and step, f32 [hidden, width].
    pub const UPDATED: u32 = 9;
    /// Scatter over tokens, f32 [vocabulary, 2].
    pub const SCATTERED: u32 = 10;
    /// Causal contraction, f32 [samples].
    pub const CAUSAL: u32 = 11;
    /// Pointwise program with one operand that copies, f32 [hidden].
    pub const COPIED: u32 = 12;
    /// Bytes of the gathered rows, u32 [samples, width].
    pub const BYTES: u32 = 13;
    /// Contraction of 600 words of bytes, u32 [samples, samples].
    pub const CONTRACTED_BYTES: u32 = 14;
    /// The round's settings.
    pub const SETTINGS: u32 = 15;
}

/// What a lying trainer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Flips a bit of an element of a node's output and goes on from there.
    Output {
        /// Step within the segment.
        step: u32,
        /// Node.
        node: u32,
        /// Element.
        element: u32,
        /// Bit.
        bit: u32,
    },
    /// The same, but whoever reads the output reads the true one.
    IsolatedOutput {
        /// Step within the segment.
        step: u32,
        /// Node.
        node: u32,
        /// Element.
        element: u32,
        /// Bit.
        bit: u32,
    },
    /// Trains on the batch of another step.
    Batch {
        /// Step within the segment.
        step: u32,
    },
    /// Commits to the batch of another step, but trains on the right one.
    CommittedBatch {
        /// Step within the segment.
        step: u32,
    },
    /// Leaves the state as it is from this step on.
    LazyCopy {
        /// First lazy step.
        step: u32,
    },
    /// Commits a state after the step that is not what was computed, in one entry.
    Entry {
        /// Step within the segment.
        step: u32,
        /// State entry.
        entry: u32,
    },
    /// Starts a step from another state than the one before ended in.
    Jump {
        /// Step within the segment.
        step: u32,
    },
    /// Goes on where the computation stops: with what the arithmetic gives, and with 1 for a lookup beyond a table.
    PastFault,
}

/// Why an honest run of a segment stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Weights so large that the contraction overflows.
    Overflow,
    /// Texts in which one of every so many tokens is beyond the vocabulary.
    UnknownTokens {
        /// How many.
        every: usize,
    },
}

/// The facts that a segment is run from.
#[derive(Clone)]
pub struct Scene {
    /// The graph.
    pub graph: Arc<GraphEvidence>,
    specs: Vec<NodeSpec>,
    table: Vec<u32>,
    /// Training tokens by domain.
    pub datasets: Vec<Vec<u32>>,
    /// Everything but what the trainer claims.
    pub ground: Ground,
    genesis: Vec<Vec<u32>>,
}

/// A segment that was run.
#[derive(Clone)]
pub struct Run {
    scene: Arc<Scene>,
    leaves: Vec<Leaf>,
    steps: Vec<Step>,
    fault: Option<FaultPlace>,
}

#[derive(Clone)]
struct Step {
    before: Vec<Vec<u32>>,
    after: Vec<Vec<u32>>,
    trace: Vec<Vec<u32>>,
    batch_root: Hash,
}

fn noise(seed: u32, len: u32) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let value = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as i32 as f32 / i32::MAX as f32).to_bits()
    };
    (0..len).map(value).collect()
}

fn input(source: Source, dtype: Type, out_sizes: &[u32]) -> NodeSpec {
    NodeSpec {
        kind: Kind::Input,
        dtype,
        out_sizes: out_sizes.to_vec(),
        reduce_sizes: vec![],
        operands: vec![],
        constraint: None,
        starts_from_operand: false,
        source,
        program: vec![],
    }
}

fn operand(node: u32, offset: i32, strides: &[i32]) -> Operand {
    Operand { node, offset, index_stride: 0, strides: strides.to_vec() }
}

fn operator(kind: Kind, out_sizes: &[u32], reduce_sizes: &[u32], operands: Vec<Operand>) -> NodeSpec {
    let reduce_sizes = reduce_sizes.to_vec();
    NodeSpec { kind, reduce_sizes, operands, ..input(Source::State(0), Type::F32, out_sizes) }
}

fn instruction(opcode: Opcode, a: u8, b: u8, c: u8, immediate: f32) -> Instruction {
    Instruction { opcode: opcode as u8, a, b, c, immediate: immediate.to_bits() }
}

fn graph() -> Vec<NodeSpec> {
    let (width, hidden, row) = (WIDTH as i32, HIDDEN as i32, ROW_TOKENS as i32);
    let mut gathered = operator(
        Kind::Gather,
        &[ROWS, ROW_TOKENS - 1, WIDTH],
        &[],
        vec![operand(node::BATCH, 0, &[row, 1, 0]), operand(node::TABLE, 0, &[0, 0, 1])],
    );
    gathered.operands[1].index_stride = width;
    let mut contracted = operator(
        Kind::Contract,
        &[SAMPLES, HIDDEN],
        &[WIDTH],
        vec![
            operand(node::GATHERED, 0, &[width, 0, 1]),
            operand(node::WEIGHTS, 0, &[0, width, 1]),
            operand(node::BIAS, 0, &[0, 1, 0]),
        ],
    );
    contracted.starts_from_operand = true;
    let mut updated = operator(
        Kind::Map,
        &[HIDDEN, WIDTH],
        &[],
        vec![operand(node::WEIGHTS, 0, &[width, 1]), operand(node::SUM, 0, &[1, 0]), operand(node::STEP, 0, &[0, 0])],
    );
    updated.program = vec![
        instruction(Opcode::FromU, 2, 0, 0, 0.0),
        instruction(Opcode::ConstF, 0, 0, 0, 1.0),
        instruction(Opcode::Add, 3, 4, 0, 0.0),
        instruction(Opcode::Div, 1, 5, 0, 0.0),
        instruction(Opcode::ConstF, 0, 0, 0, -0.001),
        instruction(Opcode::Fma, 6, 7, 0, 0.0),
    ];
    let mut causal = operator(
        Kind::Contract,
        &[SAMPLES],
        &[SAMPLES],
        vec![operand(node::MAX, 0, &[0, 1]), operand(node::MAX, 0, &[0, 1])],
    );
    causal.constraint = Some((1, 0));
    let mut copied = operator(Kind::Map, &[HIDDEN], &[], vec![operand(node::SUM, 0, &[1])]);
    copied.program = vec![instruction(Opcode::ConstF, 0, 0, 0, 0.25), instruction(Opcode::Mul, 0, 1, 0, 0.0)];
    let mut bytes = operator(Kind::Map, &[SAMPLES, WIDTH], &[], vec![operand(node::GATHERED, 0, &[width, 1])]);
    bytes.dtype = Type::U32;
    bytes.program = vec![
        instruction(Opcode::ConstF, 0, 0, 0, 1e9),
        instruction(Opcode::Mul, 0, 1, 0, 0.0),
        instruction(Opcode::ToI, 2, 0, 0, 0.0),
        instruction(Opcode::FromI, 3, 0, 0, 0.0),
        instruction(Opcode::ToI, 4, 0, 0, 0.0),
    ];
    let mut contracted_bytes = operator(
        Kind::ContractI8,
        &[SAMPLES, SAMPLES],
        &[WIDTH],
        vec![operand(node::BYTES, 0, &[width, 0, 1]), operand(node::BYTES, 0, &[0, width, 1])],
    );
    contracted_bytes.dtype = Type::U32;
    vec![
        input(Source::State(0), Type::F32, &[HIDDEN, WIDTH]),
        input(Source::State(1), Type::F32, &[HIDDEN]),
        input(Source::Batch, Type::U32, &[ROWS, ROW_TOKENS]),
        input(Source::Step, Type::U32, &[1]),
        input(Source::Table(0), Type::F32, &[VOCABULARY, WIDTH]),
        gathered,
        contracted,
        operator(Kind::ReduceAdd, &[HIDDEN], &[SAMPLES], vec![operand(node::CONTRACTED, 0, &[1, hidden])]),
        operator(Kind::ReduceMax, &[SAMPLES], &[HIDDEN], vec![operand(node::CONTRACTED, 0, &[hidden, 1])]),
        updated,
        operator(
            Kind::ScatterAdd,
            &[VOCABULARY, 2],
            &[ROWS, ROW_TOKENS - 1],
            vec![
                operand(node::BATCH, 0, &[0, 0, row, 1]),
                operand(node::CONTRACTED, 0, &[0, 1, (row - 1) * hidden, hidden]),
            ],
        ),
        causal,
        copied,
        bytes,
        contracted_bytes,
        input(Source::Setting, Type::U32, &[4]),
    ]
}

impl Scene {
    /// A job whose segments have so many steps, and so many of them in a leaf.
    pub fn new(inner_steps: u32, steps_per_leaf: u32) -> Arc<Scene> {
        let specs = graph();
        for (number, spec) in specs.iter().enumerate() {
            let earlier = |node: u32| specs[..number].get(node as usize).map(|node| (node.dtype, node.len()));
            spec.validate(&earlier).expect("a valid node");
        }
        let table = noise(3, VOCABULARY * WIDTH);
        let nodes = specs.iter().map(NodeSpec::encode).collect();
        let outputs = vec![node::UPDATED, node::COPIED, node::SCATTERED, node::MAX, node::CAUSAL];
        let graph = Arc::new(GraphEvidence::new(nodes, outputs, vec![tensor_root(&table)]));
        let tokens = |domain: u32| (0..3000 + domain * 700).map(|i| i.wrapping_mul(i + domain) % VOCABULARY).collect();
        let datasets: Vec<Vec<u32>> = (0..2).map(tokens).collect();
        let entry = |len: u32| vec![0; len as usize];
        let genesis =
            vec![noise(1, HIDDEN * WIDTH), noise(2, HIDDEN), entry(VOCABULARY * 2), entry(SAMPLES), entry(SAMPLES)];
        let mut ground = Ground {
            nodes_root: graph.nodes_tree.root(),
            outputs_root: graph.outputs_tree.root(),
            tables_root: graph.tables_tree.root(),
            round_seed: [9; 32],
            start_root: state_tree_root(&genesis),
            node_count: specs.len() as u32,
            state_count: 5,
            table_count: 1,
            inner_steps,
            steps_per_leaf,
            first_step: inner_steps * 2,
            trainer: 1,
            batch_rows: ROWS,
            row_tokens: ROW_TOKENS,
            carried: 5,
            settings: [65_536, 98_304, 0, 0],
            ..bytemuck::Zeroable::zeroed()
        };
        for (domain, tokens) in datasets.iter().enumerate() {
            ground.dataset_roots[domain] = tensor_root(tokens);
            ground.token_counts[domain] = tokens.len() as u64;
            ground.mixture_bps[domain] = 5000;
        }
        Arc::new(Scene { graph, specs, table, datasets, ground, genesis })
    }

    /// The same job with a flaw.
    pub fn flawed(&self, flaw: Flaw) -> Arc<Scene> {
        let mut scene = self.clone();
        match flaw {
            Flaw::Overflow => scene.genesis[0].fill(f32::MAX.to_bits()),
            Flaw::UnknownTokens { every } => {
                for (tokens, root) in scene.datasets.iter_mut().zip(&mut scene.ground.dataset_roots) {
                    tokens.iter_mut().step_by(every).for_each(|token| *token += VOCABULARY);
                    *root = tensor_root(tokens);
                }
            }
        }
        scene.ground.start_root = state_tree_root(&scene.genesis);
        Arc::new(scene)
    }

    /// The same job with a segment that starts from this state.
    pub fn starting(&self, state: &State) -> Arc<Scene> {
        let mut scene = self.clone();
        scene.genesis = state.entries().iter().map(|entry| entry.to_vec()).collect();
        scene.ground.start_root = state.root();
        Arc::new(scene)
    }

    /// The same job with another place of its segment in the world.
    pub fn placed(&self, place: impl FnOnce(&mut Ground)) -> Arc<Scene> {
        let mut scene = self.clone();
        place(&mut scene.ground);
        Arc::new(scene)
    }

    fn batch(&self, step: u32) -> Vec<u32> {
        let ground = &self.ground;
        let corpus = Corpus { mixture_bps: &ground.mixture_bps, token_counts: &ground.token_counts };
        let row = |row| {
            let row = Row { round_seed: ground.round_seed, trainer: ground.trainer, step, row };
            let window = row.locate::<HostSha256>(&corpus, ROW_TOKENS).expect("a window");
            self.datasets[window.domain as usize][window.offset as usize..][..ROW_TOKENS as usize].to_vec()
        };
        (0..ROWS).flat_map(row).collect()
    }

    /// Runs the segment, honestly or not. An honest run stops at the first fault.
    pub fn run(self: &Arc<Scene>, lie: Option<Lie>) -> Run {
        let ground = &self.ground;
        let mut fault = None;
        let mut steps: Vec<Step> = Vec::new();
        let mut state = self.genesis.clone();
        for step in 0..ground.inner_steps {
            if lie == Some(Lie::Jump { step }) {
                state[1][0] ^= 1 << 20;
            }
            let mut batch = self.batch(step);
            let mut batch_root = tensor_root(&batch);
            if lie == Some(Lie::Batch { step }) {
                batch = self.batch(step + 1);
                batch_root = tensor_root(&batch);
            } else if lie == Some(Lie::CommittedBatch { step }) {
                batch_root = tensor_root(&self.batch(step + 1));
            }
            let mut trace: Vec<Vec<u32>> = Vec::new();
            let mut isolated = None;
            for (number, spec) in self.specs.iter().enumerate() {
                let bytes = spec.encode();
                let node = Node::parse(&bytes).expect("a well-formed node");
                let mut output = match (spec.kind, spec.source) {
                    (Kind::Input, Source::State(entry)) => state[entry as usize].clone(),
                    (Kind::Input, Source::Batch) => batch.clone(),
                    (Kind::Input, Source::Step) => vec![ground.first_step + step],
                    (Kind::Input, Source::Setting) => ground.settings.to_vec(),
                    (Kind::Input, Source::Table(_)) => self.table.clone(),
                    _ => {
                        let operands: Vec<&[u32]> = spec.operands.iter().map(|o| &trace[o.node as usize][..]).collect();
                        let values: Vec<Option<u32>> = (0..node.len())
                            .map(|element| evaluate_element::<Native>(&node, element, &operands))
                            .collect();
                        let is_false = |value: &Option<u32>| value.is_none_or(|v| !node.is_u32() && is_fault(v));
                        if let (None, Some(element)) = (lie, values.iter().position(is_false)) {
                            fault = Some(FaultPlace { step, node: number as u32, element: element as u32 });
                            break;
                        }
                        values.into_iter().map(|value| value.unwrap_or(1f32.to_bits())).collect()
                    }
                };
                match lie {
                    Some(Lie::Output { step: at, node, element, bit }) if at == step && node == number as u32 => {
                        output[element as usize] ^= 1 << bit;
                    }
                    Some(Lie::IsolatedOutput { step: at, node, element, bit })
                        if at == step && node == number as u32 =>
                    {
                        let mut lied = output.clone();
                        lied[element as usize] ^= 1 << bit;
                        isolated = Some((number, lied));
                    }
                    _ => {}
                }
                trace.push(output);
            }
            if fault.is_some() {
                steps.push(Step { after: state.clone(), before: state, trace, batch_root });
                break;
            }
            if let Some((number, lied)) = isolated {
                trace[number] = lied;
            }
            let mut after: Vec<Vec<u32>> =
                self.graph.outputs.iter().map(|&node| trace[node as usize].clone()).collect();
            match lie {
                Some(Lie::LazyCopy { step: from }) if step >= from => after = state.clone(),
                Some(Lie::Entry { step: at, entry }) if at == step => after[entry as usize][1] ^= 1,
                _ => {}
            }
            steps.push(Step { before: state, after: after.clone(), trace, batch_root });
            state = after;
        }
        let leaf = |index: u32| {
            let (first_step, count) = ground.leaf_steps(index);
            let steps = &steps[first_step as usize..(first_step + count) as usize];
            let batch_roots: Vec<Hash> = steps.iter().map(|step| step.batch_root).collect();
            Leaf {
                first_step,
                count,
                start_root: state_tree_root(&steps[0].before),
                batches_root: Leaf::batches_root(&batch_roots),
                end_root: state_tree_root(&steps[count as usize - 1].after),
            }
        };
        let whole = fault.map_or(ground.leaf_count(), |fault| fault.step / ground.steps_per_leaf);
        let leaves = (0..whole).map(leaf).collect();
        Run { scene: self.clone(), leaves, steps, fault }
    }
}

fn state_tree_root(state: &[Vec<u32>]) -> Hash {
    roots_tree(&tensor_roots(state)).root()
}

fn tensor_roots(tensors: &[Vec<u32>]) -> Vec<Hash> {
    tensors.iter().map(|tensor| tensor_root(tensor)).collect()
}

impl Run {
    /// What it was run from.
    pub fn scene(&self) -> &Arc<Scene> {
        &self.scene
    }

    /// The job's graph.
    pub fn graph(&self) -> Arc<GraphEvidence> {
        self.scene.graph.clone()
    }

    /// The facts of a dispute on this segment.
    pub fn ground(&self) -> Ground {
        Ground { end_root: self.end_root(), accumulator_root: self.accumulator_root(), ..self.scene.ground }
    }

    /// State root before the first step.
    pub fn start_root(&self) -> Hash {
        self.scene.ground.start_root
    }

    /// State root after the last step.
    pub fn end_root(&self) -> Hash {
        self.leaves[self.leaves.len() - 1].end_root
    }

    /// The state after the last step, entry by entry.
    pub fn end_state(&self) -> &[Vec<u32>] {
        &self.steps[self.steps.len() - 1].after
    }

    /// The state before the first step, entry by entry.
    pub fn start_state(&self) -> &[Vec<u32>] {
        &self.steps[0].before
    }

    /// Root of a step's trace.
    pub fn trace_root(&self, step: u32) -> Hash {
        state_tree_root(&self.steps[step as usize].trace)
    }

    /// Root over the leaves.
    pub fn accumulator_root(&self) -> Hash {
        sip_proof::merkle::MerkleTree::new(self.leaves.iter().map(Leaf::preimage)).root()
    }
}

impl Evidence for Arc<Run> {
    type Error = Infallible;

    fn leaves(&mut self) -> Result<Vec<Leaf>, Infallible> {
        Ok(self.leaves.clone())
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, Infallible> {
        let (first, count) = self.scene.ground.leaf_steps(leaf);
        let end = self.fault.map_or(first + count, |fault| fault.step.clamp(first, first + count));
        let steps = &self.steps[first as usize..end as usize];
        let roots = |step: &Step| StepRoots { batch_root: step.batch_root, end_root: state_tree_root(&step.after) };
        Ok(steps.iter().map(roots).collect())
    }

    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, Infallible> {
        let state = match step.checked_sub(1) {
            None => &self.steps[0].before,
            Some(before) => &self.steps[before as usize].after,
        };
        Ok(tensor_roots(state))
    }

    fn trace_roots(&mut self, step: u32) -> Result<Vec<Hash>, Infallible> {
        Ok(tensor_roots(&self.steps[step as usize].trace))
    }

    fn tensor(&mut self, step: u32, node: u32) -> Result<Vec<u32>, Infallible> {
        Ok(self.steps[step as usize].trace[node as usize].clone())
    }

    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, Infallible> {
        Ok(self.scene.datasets[domain as usize].clone())
    }

    fn fault(&mut self) -> Result<Option<FaultPlace>, Infallible> {
        Ok(self.fault)
    }
}

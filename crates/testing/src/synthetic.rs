//! A small segment with every operator in its graph, run honestly or with one lie, for tests of disputes.

mod graph;

pub use graph::{ROW_TOKENS, ROWS, VOCABULARY, node};

use graph::{HIDDEN, OUTPUTS, SAMPLES, WIDTH};
use sip_arith::{Native, is_fault};
use sip_node::State;
use sip_node::dispute::{Evidence, FaultPlace, GraphEvidence, StepRoots};
use sip_ops::{Kind, Node, NodeSpec, Source, evaluate_element};
use sip_proof::sampler::{Corpus, Row};
use sip_proof::{Hash, HostSha256, Leaf, roots_tree, tensor_root};
use sip_protocol::court::Ground;
use std::convert::Infallible;
use std::sync::Arc;

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
    /// The same, but a reader of the output reads the true one.
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

/// A segment that was run. A clone shares everything.
#[derive(Clone)]
pub struct Run {
    scene: Arc<Scene>,
    leaves: Arc<[Leaf]>,
    steps: Arc<[Step]>,
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

impl Scene {
    /// A job whose segments have so many steps, and so many of them in a leaf.
    pub fn new(inner_steps: u32, steps_per_leaf: u32) -> Arc<Scene> {
        let specs = graph::nodes();
        for (number, spec) in specs.iter().enumerate() {
            let earlier = |node: u32| specs[..number].get(node as usize).map(|node| (node.dtype, node.len()));
            spec.validate(&earlier).expect("a valid node");
        }
        let table = noise(3, VOCABULARY * WIDTH);
        let nodes = specs.iter().map(NodeSpec::encode).collect();
        let graph = Arc::new(GraphEvidence::new(nodes, OUTPUTS.to_vec(), vec![tensor_root(&table)]));
        let tokens = |domain: u32| (0..3000 + domain * 700).map(|i| i.wrapping_mul(i + domain) % VOCABULARY).collect();
        let datasets: Vec<Vec<u32>> = (0..2).map(tokens).collect();
        let entry = |len: u32| vec![0; len as usize];
        let genesis =
            vec![noise(1, HIDDEN * WIDTH), noise(2, HIDDEN), entry(VOCABULARY * 2), entry(SAMPLES), entry(SAMPLES)];
        let roots = graph.roots();
        let mut ground = Ground {
            nodes_root: roots.nodes_root,
            outputs_root: roots.outputs_root,
            tables_root: roots.tables_root,
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
            let mut after: Vec<Vec<u32>> = OUTPUTS.iter().map(|&node| trace[node as usize].clone()).collect();
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
        Run { scene: self.clone(), leaves, steps: steps.into(), fault }
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

impl Evidence for Run {
    type Error = Infallible;

    fn leaves(&mut self) -> Result<Vec<Leaf>, Infallible> {
        Ok(self.leaves.to_vec())
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

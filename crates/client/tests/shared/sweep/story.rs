//! Segments of the small job, run honestly or not.

use super::fraud::Fraud;
use super::graph::{self, ROW_TOKENS, ROWS, VOCABULARY, WIDTH};
use sip_arith::Native;
use sip_node::dispute::{Evidence, GraphEvidence, StepRoots};
use sip_ops::{Kind, Node, NodeSpec, Source, evaluate};
use sip_proof::sampler::{Corpus, Row};
use sip_proof::{Hash, HostSha256, Leaf, merkle::MerkleTree, roots_tree, tensor_root};
use sip_protocol::court::Ground;
use sip_testing::Random;
use std::convert::Infallible;
use std::sync::Arc;

/// A tensor with its root.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) elements: Vec<u32>,
    pub(crate) root: Hash,
}

impl Tensor {
    pub(crate) fn new(elements: Vec<u32>) -> Arc<Tensor> {
        Arc::new(Tensor { root: tensor_root(&elements), elements })
    }
}

/// The entries of a state.
pub(crate) type State = Vec<Arc<Tensor>>;

/// The root of a state.
pub(crate) fn state_root(state: &State) -> Hash {
    roots_tree(&roots(state)).root()
}

fn roots(tensors: &[Arc<Tensor>]) -> Vec<Hash> {
    tensors.iter().map(|tensor| tensor.root).collect()
}

/// Everything that a segment follows from.
pub(crate) struct Story {
    pub(crate) nodes: Vec<NodeSpec>,
    encoded: Vec<Vec<u8>>,
    pub(crate) graph: Arc<GraphEvidence>,
    pub(crate) ground: Ground,
    tables: Vec<Arc<Tensor>>,
    datasets: Vec<Vec<u32>>,
    genesis: State,
}

fn noise(seed: u64, len: u32) -> Vec<u32> {
    let mut random = Random::new(seed);
    (0..len).map(|_| (random.next() as i32 as f32 / i32::MAX as f32).to_bits()).collect()
}

impl Story {
    /// Segments of so many steps, so many of them in a leaf.
    pub(crate) fn new(inner_steps: u32, steps_per_leaf: u32) -> Story {
        let nodes = graph::nodes();
        for (number, spec) in nodes.iter().enumerate() {
            let earlier = |node: u32| nodes[..number].get(node as usize).map(|node| (node.dtype, node.len()));
            spec.validate(&earlier).unwrap_or_else(|error| panic!("node {number}: {error}"));
        }
        let encoded: Vec<Vec<u8>> = nodes.iter().map(NodeSpec::encode).collect();
        let routes = (0..VOCABULARY).map(|token| token * 7 % VOCABULARY).collect();
        let tables = vec![Tensor::new(noise(3, VOCABULARY * WIDTH)), Tensor::new(routes)];
        let graph = Arc::new(GraphEvidence::new(encoded.clone(), graph::OUTPUTS.to_vec(), roots(&tables)));
        let datasets: Vec<Vec<u32>> = (0..2u32)
            .map(|domain| (0..900 + domain * 700).map(|at| at.wrapping_mul(at + domain) % VOCABULARY).collect())
            .collect();
        let genesis: State = graph::STATE.iter().zip(10..).map(|(len, seed)| Tensor::new(noise(seed, *len))).collect();
        let tree = |roots: &[Hash]| roots_tree(roots).root();
        let mut ground = Ground {
            nodes_root: MerkleTree::new(&encoded).root(),
            outputs_root: sip_proof::outputs_tree(&graph::OUTPUTS).root(),
            tables_root: tree(&roots(&tables)),
            start_root: state_root(&genesis),
            node_count: nodes.len() as u32,
            state_count: genesis.len() as u32,
            table_count: tables.len() as u32,
            inner_steps,
            steps_per_leaf,
            batch_rows: ROWS,
            row_tokens: ROW_TOKENS,
            ..bytemuck::Zeroable::zeroed()
        };
        for (domain, tokens) in datasets.iter().enumerate() {
            ground.dataset_roots[domain] = tensor_root(tokens);
            ground.token_counts[domain] = tokens.len() as u64;
        }
        Story { nodes, encoded, graph, ground, tables, datasets, genesis }
    }

    /// The batch that the rule draws for a step.
    pub(crate) fn batch(&self, step: u32) -> Vec<u32> {
        let ground = &self.ground;
        let corpus = Corpus { mixture_bps: &ground.mixture_bps, token_counts: &ground.token_counts };
        let row = |row| {
            let row = Row { round_seed: ground.round_seed, trainer: ground.trainer, step, row };
            let window = row.locate::<HostSha256>(&corpus, ROW_TOKENS).expect("a window");
            self.datasets[window.domain as usize][window.offset as usize..][..ROW_TOKENS as usize].to_vec()
        };
        (0..ROWS).flat_map(row).collect()
    }

    /// Runs a segment; `honest` is one that was run without a fraud, whose steps before the fraud are taken as they are.
    pub(crate) fn run(self: &Arc<Story>, fraud: Option<&Fraud>, honest: Option<&Claim>) -> Claim {
        let first = fraud.map_or(0, Fraud::first_step);
        let mut steps: Vec<Step> = honest.map_or(vec![], |honest| honest.steps[..first as usize].to_vec());
        for step in steps.len() as u32..self.ground.inner_steps {
            let before = steps.last().map_or(&self.genesis, |step| &step.after).clone();
            steps.push(self.step(step, before, fraud));
        }
        let leaves: Vec<Leaf> = (0..self.ground.leaf_count()).map(|index| self.leaf(index, &steps)).collect();
        Claim { story: self.clone(), steps: Arc::new(steps), leaves: Arc::new(leaves) }
    }

    fn step(&self, step: u32, mut before: State, fraud: Option<&Fraud>) -> Step {
        let mut batch = self.batch(step);
        let mut batch_root = tensor_root(&batch);
        if let Some(fraud) = fraud {
            fraud.start(step, &mut before);
            batch_root = fraud.batch(self, step, &mut batch);
        }
        let batch = Tensor::new(batch);
        let mut trace: Vec<Arc<Tensor>> = Vec::new();
        for (number, (spec, bytes)) in self.nodes.iter().zip(&self.encoded).enumerate() {
            let node = Node::parse(bytes).expect("a well-formed node");
            let mut output = match (spec.kind, spec.source) {
                (Kind::Input, Source::State(entry)) => before[entry as usize].clone(),
                (Kind::Input, Source::Batch) => batch.clone(),
                (Kind::Input, Source::Step) => Tensor::new(vec![self.ground.first_step + step]),
                (Kind::Input, Source::Setting) => Tensor::new(self.ground.settings.to_vec()),
                (Kind::Input, Source::Table(entry)) => self.tables[entry as usize].clone(),
                _ => {
                    let operands: Vec<&[u32]> =
                        spec.operands.iter().map(|o| &trace[o.node as usize].elements[..]).collect();
                    // A false address has no value: its author makes one up.
                    let made_up = || vec![0; spec.len()];
                    Tensor::new(evaluate::<Native>(&node, &operands).unwrap_or_else(made_up))
                }
            };
            if let Some(changed) = fraud.and_then(|fraud| fraud.output(step, number as u32, &output.elements)) {
                output = Tensor::new(changed);
            }
            trace.push(output);
        }
        let mut after: State = graph::OUTPUTS.iter().map(|&node| trace[node as usize].clone()).collect();
        if let Some(fraud) = fraud {
            fraud.end(step, &before, &mut trace, &mut after);
        }
        Step { before, batch_root, trace, after }
    }

    fn leaf(&self, index: u32, steps: &[Step]) -> Leaf {
        let (first_step, count) = self.ground.leaf_steps(index);
        let steps = &steps[first_step as usize..(first_step + count) as usize];
        let batch_roots: Vec<Hash> = steps.iter().map(|step| step.batch_root).collect();
        Leaf {
            first_step,
            count,
            start_root: state_root(&steps[0].before),
            batches_root: Leaf::batches_root(&batch_roots),
            end_root: state_root(&steps[count as usize - 1].after),
        }
    }
}

/// What was computed in a step, or is claimed to have been.
#[derive(Clone)]
struct Step {
    before: State,
    batch_root: Hash,
    trace: Vec<Arc<Tensor>>,
    after: State,
}

/// A segment that was run. Clones share it.
#[derive(Clone)]
pub(crate) struct Claim {
    story: Arc<Story>,
    steps: Arc<Vec<Step>>,
    pub(crate) leaves: Arc<Vec<Leaf>>,
}

impl Claim {
    /// State root after the last step.
    pub(crate) fn end_root(&self) -> Hash {
        self.leaves[self.leaves.len() - 1].end_root
    }

    /// Root over the leaves.
    pub(crate) fn accumulator_root(&self) -> Hash {
        MerkleTree::new(self.leaves.iter().map(Leaf::preimage)).root()
    }

    /// Whether some node's output is another, in the first step.
    pub(crate) fn differs_in_trace(&self, other: &Claim) -> bool {
        roots(&self.steps[0].trace) != roots(&other.steps[0].trace)
    }

    /// Roots of the last state's entries.
    pub(crate) fn last_state(&self) -> Vec<Hash> {
        roots(&self.steps[self.steps.len() - 1].after)
    }
}

impl Evidence for Claim {
    type Error = Infallible;

    fn leaves(&mut self) -> Result<Vec<Leaf>, Infallible> {
        Ok(self.leaves.to_vec())
    }

    fn steps(&mut self, leaf: u32) -> Result<Vec<StepRoots>, Infallible> {
        let (first, count) = self.story.ground.leaf_steps(leaf);
        let steps = &self.steps[first as usize..(first + count) as usize];
        let roots = |step: &Step| StepRoots { batch_root: step.batch_root, end_root: state_root(&step.after) };
        Ok(steps.iter().map(roots).collect())
    }

    fn state_roots(&mut self, step: u32) -> Result<Vec<Hash>, Infallible> {
        Ok(roots(match step.checked_sub(1) {
            None => &self.steps[0].before,
            Some(before) => &self.steps[before as usize].after,
        }))
    }

    fn trace_roots(&mut self, step: u32) -> Result<Vec<Hash>, Infallible> {
        Ok(roots(&self.steps[step as usize].trace))
    }

    fn tensor(&mut self, step: u32, node: u32) -> Result<Vec<u32>, Infallible> {
        Ok(self.steps[step as usize].trace[node as usize].elements.clone())
    }

    fn tokens(&mut self, domain: u32) -> Result<Vec<u32>, Infallible> {
        Ok(self.story.datasets[domain as usize].clone())
    }
}

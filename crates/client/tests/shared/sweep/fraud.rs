//! What a dishonest trainer does to its segment, or to its commitment.

use super::graph;
use super::story::{Claim, State, Story, Tensor};
use sip_ops::Kind;
use sip_proof::merkle::{self, depth};
use sip_proof::{Hash, HostSha256, tensor_root};
use sip_testing::Random;
use std::sync::Arc;

/// Bits that arithmetic treats in a way of their own: NaNs, infinities, zeros, subnormals, the greatest and least numbers.
pub(crate) const SPECIAL: [u32; 12] = [
    0x7FC0_0000,
    0xFFC0_0000,
    0x7F80_0001,
    0x7F80_0000,
    0xFF80_0000,
    0x8000_0000,
    0x0000_0000,
    0x0000_0001,
    0x807F_FFFF,
    0x0080_0000,
    0x7F7F_FFFF,
    0xFFFF_FFFF,
];

/// How a value is false.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// One bit is another.
    Flip(u32),
    /// It is this one of [`SPECIAL`].
    Set(u32),
}

impl Change {
    fn apply(self, value: &mut u32) {
        match self {
            Change::Flip(bit) => *value ^= 1 << bit,
            Change::Set(bits) => *value = bits,
        }
    }
}

/// A fraud. Steps count within the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fraud {
    /// A false element of a node's output; later nodes and steps are computed from it.
    Carried { step: u32, node: u32, element: u32, change: Change },
    /// A false element of a node's output, which nothing but the state after the step takes over.
    Isolated { step: u32, node: u32, element: u32, change: Change },
    /// The step is skipped: it ends where it began.
    Skipped { step: u32 },
    /// From this step on nothing is computed any more.
    Lazy { step: u32 },
    /// The step and the next one exchange their batches.
    SwappedBatches { step: u32 },
    /// The step's batch is another step's, but the right one is committed.
    UsedOther { step: u32, other: u32 },
    /// The step's batch is the right one, but another step's is committed.
    CommittedOther { step: u32, other: u32 },
    /// One token of the batch is another.
    Token { step: u32, element: u32, token: u32 },
    /// The second row of the batch is the first one again.
    RepeatedRow { step: u32 },
    /// From this step on another value stands in the place of a setting.
    OtherSetting { step: u32, setting: u32, value: u32 },
    /// The step starts from another state than the one before ends in: at step 0, from a stale base.
    Jump { step: u32, entry: u32, element: u32, change: Change },
    /// The state after the step is not what was computed.
    Entry { step: u32, entry: u32, element: u32, change: Change },
    /// All is true but the end root of the commitment.
    EndRoot,
    /// All is true but the accumulator root.
    AccumulatorRoot,
    /// A leaf's hash stands in the place of the next one as well.
    RepeatedLeaf { leaf: u32 },
    /// Two leaves have changed places.
    SwappedLeaves { leaf: u32 },
    /// In a leaf's place stands the inner node over it and its neighbour.
    InnerAsLeaf { leaf: u32 },
    /// In the place of an inner node, or of the root, stands a leaf's hash.
    LeafAsInner { height: u32, leaf: u32 },
    /// The padding of the leaves is something else.
    LeafPadding { place: u32 },
    /// The padding of the last state is something else.
    StatePadding { place: u32 },
}

impl Fraud {
    /// A fraud on a segment of this story.
    pub(crate) fn draw(random: &mut Random, story: &Story) -> Fraud {
        let ground = &story.ground;
        let (steps, leaves) = (ground.inner_steps, ground.leaf_count());
        let step = random.below(steps);
        let entry = random.below(ground.state_count);
        let element = random.below(graph::STATE[entry as usize]);
        let special = Change::Set(*random.pick(&SPECIAL));
        let change = if random.percent(30) { special } else { Change::Flip(random.below(32)) };
        // Every kind of operator is as likely, and inputs are as likely as one of them.
        let kinds: std::collections::BTreeSet<u8> = story.nodes.iter().map(|node| node.kind as u8).collect();
        let kind = random.below(kinds.len() as u32) as u8;
        let of_kind: Vec<u32> =
            (0..ground.node_count).filter(|&node| story.nodes[node as usize].kind as u8 == kind).collect();
        let node = *random.pick(&of_kind);
        let of_node = random.below(story.nodes[node as usize].len() as u32);
        let output = *random.pick(&graph::OUTPUTS);
        let of_output = random.below(story.nodes[output as usize].len() as u32);
        let other = (step + 1 + random.below(5)) % (steps + 5);
        match random.below(100) {
            0..45 => Fraud::Carried { step, node, element: of_node, change },
            45..48 => Fraud::OtherSetting { step, setting: element & 3, value: random.below(1 << 18) },
            48..55 => Fraud::Isolated { step, node: output, element: of_output, change },
            55..58 => Fraud::Skipped { step },
            58..60 => Fraud::Lazy { step },
            60..63 => Fraud::SwappedBatches { step },
            63..66 => Fraud::UsedOther { step, other },
            66..69 => Fraud::CommittedOther { step, other },
            69..72 => {
                let element = random.below(graph::ROWS * graph::ROW_TOKENS);
                Fraud::Token { step, element, token: random.below(graph::VOCABULARY) }
            }
            72..74 => Fraud::RepeatedRow { step },
            74..79 => Fraud::Jump { step, entry, element, change },
            79..84 => Fraud::Entry { step, entry, element, change },
            84..86 => Fraud::EndRoot,
            86..88 => Fraud::AccumulatorRoot,
            88..90 if leaves > 1 => Fraud::RepeatedLeaf { leaf: random.below(leaves - 1) },
            90..92 if leaves > 1 => Fraud::SwappedLeaves { leaf: random.below(leaves - 1) },
            92..94 if leaves > 1 => Fraud::InnerAsLeaf { leaf: random.below(leaves) },
            94..96 if leaves > 1 => {
                Fraud::LeafAsInner { height: 1 + random.below(depth(leaves)), leaf: random.below(leaves) }
            }
            96..98 if !leaves.is_power_of_two() => {
                Fraud::LeafPadding { place: leaves + random.below((1 << depth(leaves)) - leaves) }
            }
            _ => Fraud::StatePadding { place: ground.state_count + random.below(8 - ground.state_count) },
        }
    }

    /// The first step that is not honest; the number of steps would do where only the commitment is false.
    pub(crate) fn first_step(&self) -> u32 {
        match *self {
            Fraud::Carried { step, .. }
            | Fraud::Isolated { step, .. }
            | Fraud::Skipped { step }
            | Fraud::Lazy { step }
            | Fraud::SwappedBatches { step }
            | Fraud::UsedOther { step, .. }
            | Fraud::CommittedOther { step, .. }
            | Fraud::Token { step, .. }
            | Fraud::RepeatedRow { step }
            | Fraud::OtherSetting { step, .. }
            | Fraud::Jump { step, .. }
            | Fraud::Entry { step, .. } => step,
            _ => 0,
        }
    }

    /// Whether the segment itself is honest.
    pub(crate) fn is_of_commitment(&self) -> bool {
        matches!(
            self,
            Fraud::EndRoot
                | Fraud::AccumulatorRoot
                | Fraud::RepeatedLeaf { .. }
                | Fraud::SwappedLeaves { .. }
                | Fraud::InnerAsLeaf { .. }
                | Fraud::LeafAsInner { .. }
                | Fraud::LeafPadding { .. }
                | Fraud::StatePadding { .. }
        )
    }

    /// What the fraud is about: a kind of operator, a kind of input, or its own name.
    pub(crate) fn subject(&self, story: &Story) -> String {
        match *self {
            Fraud::Carried { node, .. } | Fraud::Isolated { node, .. } => {
                let node = &story.nodes[node as usize];
                if node.kind == Kind::Input { format!("{:?}", node.source) } else { format!("{:?}", node.kind) }
            }
            other => {
                let text = format!("{other:?}");
                text.split(' ').next().unwrap_or_default().into()
            }
        }
    }

    pub(crate) fn start(&self, at: u32, before: &mut State) {
        if let Fraud::Jump { step, entry, element, change } = *self
            && step == at
        {
            change_entry(before, entry, element, change);
        }
    }

    /// Changes the batch that is used; returns the root that is committed.
    pub(crate) fn batch(&self, story: &Story, at: u32, batch: &mut Vec<u32>) -> Hash {
        let right = tensor_root(batch);
        match *self {
            Fraud::SwappedBatches { step } if step == at => *batch = story.batch(step + 1),
            Fraud::SwappedBatches { step } if step + 1 == at => *batch = story.batch(step),
            Fraud::UsedOther { step, other } if step == at => {
                *batch = story.batch(other);
                return right;
            }
            Fraud::CommittedOther { step, other } if step == at => return tensor_root(&story.batch(other)),
            Fraud::Token { step, element, token } if step == at => batch[element as usize] = token,
            Fraud::RepeatedRow { step } if step == at => {
                let row = graph::ROW_TOKENS as usize;
                batch.copy_within(..row, row);
            }
            _ => return right,
        }
        tensor_root(batch)
    }

    /// What is said of a node's output instead.
    pub(crate) fn output(&self, at: u32, number: u32, true_output: &[u32]) -> Option<Vec<u32>> {
        match *self {
            Fraud::Carried { step, node, element, change } if step == at && node == number => {
                let mut output = true_output.to_vec();
                change.apply(&mut output[element as usize]);
                Some(output)
            }
            Fraud::OtherSetting { step, setting, value } if step <= at && number == graph::SETTINGS => {
                let mut output = true_output.to_vec();
                output[setting as usize] = value;
                Some(output)
            }
            _ => None,
        }
    }

    pub(crate) fn end(&self, at: u32, before: &State, trace: &mut [Arc<Tensor>], after: &mut State) {
        match *self {
            Fraud::Isolated { step, node, element, change } if step == at => {
                let entry = graph::OUTPUTS.iter().position(|output| *output == node).expect("an output");
                change_entry(after, entry as u32, element, change);
                trace[node as usize] = after[entry].clone();
            }
            Fraud::Skipped { step } if step == at => *after = before.clone(),
            Fraud::Lazy { step } if step <= at => *after = before.clone(),
            Fraud::Entry { step, entry, element, change } if step == at => change_entry(after, entry, element, change),
            _ => {}
        }
    }
}

fn change_entry(state: &mut State, entry: u32, element: u32, change: Change) {
    let mut elements = state[entry as usize].elements.clone();
    change.apply(&mut elements[element as usize]);
    state[entry as usize] = Tensor::new(elements);
}

/// A tree over hashes that its author makes up.
#[derive(Clone, Debug)]
pub(crate) struct HashTree(Vec<Vec<Hash>>);

impl HashTree {
    /// Padded to the next power of two, and each inner node that is `(height, index)` replaced.
    fn new(mut leaves: Vec<Hash>, replaced: Option<((u32, usize), Hash)>) -> HashTree {
        leaves.resize(leaves.len().next_power_of_two(), [0; 32]);
        let mut levels = vec![leaves];
        loop {
            let height = levels.len() as u32 - 1;
            let last = levels.last_mut().expect("a level");
            if let Some(((at, index), hash)) = replaced
                && at == height
            {
                last[index] = hash;
            }
            if last.len() == 1 {
                return HashTree(levels);
            }
            let above = last.chunks(2).map(|pair| merkle::node::<HostSha256>(&pair[0], &pair[1])).collect();
            levels.push(above);
        }
    }

    pub(crate) fn root(&self) -> Hash {
        self.0[self.0.len() - 1][0]
    }

    /// What a reveal shows.
    pub(crate) fn children(&self, height: u32, index: u32) -> Vec<u8> {
        let levels = height.min(merkle::REVEAL_LEVELS);
        self.0[(height - levels) as usize][(index as usize) << levels..][..1 << levels].concat()
    }

    pub(crate) fn path(&self, leaf: u32) -> Vec<u8> {
        let below_root = &self.0[..self.0.len() - 1];
        below_root.iter().enumerate().flat_map(|(level, hashes)| hashes[(leaf as usize >> level) ^ 1]).collect()
    }
}

/// What a trainer commits and how it opens it.
#[derive(Clone)]
pub(crate) struct Commitment {
    pub(crate) end_root: Hash,
    pub(crate) accumulator_root: Hash,
    /// Shown instead of the tree over the true leaves.
    pub(crate) leaves: Option<HashTree>,
    /// Shown instead of the last state's tree.
    pub(crate) state: Option<HashTree>,
}

impl Commitment {
    /// What is committed of a claim, truly or not.
    pub(crate) fn new(claim: &Claim, fraud: Option<&Fraud>) -> Commitment {
        const RUBBISH: Hash = [7; 32];
        let mut commitment = Commitment {
            end_root: claim.end_root(),
            accumulator_root: claim.accumulator_root(),
            leaves: None,
            state: None,
        };
        let mut hashes: Vec<Hash> = claim.leaves.iter().map(|leaf| leaf.hash::<HostSha256>()).collect();
        let mut replaced = None;
        match fraud {
            Some(Fraud::EndRoot) => commitment.end_root = RUBBISH,
            Some(Fraud::AccumulatorRoot) => commitment.accumulator_root = RUBBISH,
            Some(&Fraud::RepeatedLeaf { leaf }) => hashes[leaf as usize + 1] = hashes[leaf as usize],
            Some(&Fraud::SwappedLeaves { leaf }) => hashes.swap(leaf as usize, leaf as usize + 1),
            Some(&Fraud::InnerAsLeaf { leaf }) => {
                let neighbour = (leaf as usize + 1) % hashes.len();
                hashes[leaf as usize] = merkle::node::<HostSha256>(&hashes[leaf as usize], &hashes[neighbour]);
            }
            Some(&Fraud::LeafAsInner { height, leaf }) => {
                replaced = Some(((height, leaf as usize >> height), hashes[leaf as usize]));
            }
            Some(&Fraud::LeafPadding { place }) => {
                hashes.resize(hashes.len().next_power_of_two(), [0; 32]);
                hashes[place as usize] = RUBBISH;
            }
            Some(&Fraud::StatePadding { place }) => {
                let entries = claim.last_state();
                let mut roots: Vec<Hash> = entries.iter().map(|root| merkle::leaf::<HostSha256>(root)).collect();
                roots.resize(roots.len().next_power_of_two(), [0; 32]);
                roots[place as usize] = RUBBISH;
                let state = HashTree::new(roots, None);
                commitment.end_root = state.root();
                let mut last = claim.leaves[claim.leaves.len() - 1];
                last.end_root = commitment.end_root;
                *hashes.last_mut().expect("a leaf") = last.hash::<HostSha256>();
                commitment.state = Some(state);
            }
            _ => return commitment,
        }
        if !matches!(fraud, Some(Fraud::EndRoot | Fraud::AccumulatorRoot)) {
            let tree = HashTree::new(hashes, replaced);
            commitment.accumulator_root = tree.root();
            commitment.leaves = Some(tree);
        }
        commitment
    }
}

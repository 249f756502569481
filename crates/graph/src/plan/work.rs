//! What is to be done, as a plan sees it: operators over tensors that have a home, and loops of operators over slices.

use crate::graph::Graph;
use sip_ops::{Kind, NodeSpec, Source};

/// Most axes of the loops around an operator, a loop over micro-batches included.
pub(crate) const MAX_AXES: usize = 8;
/// Most sides of the box that a slice is: each axis of its loop, and what lies between them.
pub(crate) const MAX_SIDES: usize = 2 * MAX_AXES + 1;

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Outside the graph.
    Source(Source),
    /// An entry of the state after the step.
    State(u32),
    /// In memory that the plan gives it.
    Computed,
    /// Within tensor `of` of the work around the loop; a step along axis `k` of the loop moves it by `steps[k]` elements.
    View {
        /// The tensor.
        of: u32,
        /// Elements per step, one for each axis of the loop.
        steps: Vec<usize>,
    },
}

/// A tensor of a [`Work`].
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) len: usize,
    pub(crate) home: Home,
    /// Whether it is read after the run.
    pub(crate) kept: bool,
}

/// One element box of a node's output within the whole, for reports.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Sides of the box, outermost first.
    pub(crate) sizes: Vec<u32>,
    /// Distance of neighbours along each side within the whole.
    pub(crate) strides: Vec<usize>,
    /// Elements of the whole per step along each axis of the loop.
    pub(crate) steps: Vec<usize>,
}

impl Origin {
    /// The whole of a tensor, for every slice.
    pub(crate) fn whole(len: usize, axes: usize) -> Origin {
        Origin { sizes: vec![len as u32], strides: vec![1], steps: vec![0; axes] }
    }
}

/// A node, or a slice of it.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// The graph's node.
    pub(crate) node: u32,
    /// What is computed; operands name tensors of the work.
    pub(crate) spec: NodeSpec,
    /// The tensor that is written.
    pub(crate) out: u32,
    /// Whether the chains run through all slices of the loop around, in ascending order.
    pub(crate) carried: bool,
    /// A tensor that has to be there first, though it is not read.
    pub(crate) waits_for: Option<u32>,
    /// Where the output lies within the node's, from the innermost loop to the outermost.
    pub(crate) origins: Vec<Origin>,
}

/// Copies a slice from its compact form to its place in a tensor.
#[derive(Clone, Debug)]
pub(crate) struct CopyOut {
    /// Compact tensor of the loop's work.
    pub(crate) from: u32,
    /// Tensor of the work around.
    pub(crate) to: u32,
    /// Where the slice lies in `to`.
    pub(crate) place: Origin,
}

/// Operators that run slice by slice.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    /// Slices along each axis.
    pub(crate) counts: Vec<u32>,
    pub(crate) work: Work,
    pub(crate) copies: Vec<CopyOut>,
    /// Whether slices may run side by side: no chain runs through them.
    pub(crate) parallel: bool,
    /// Tensors of the work around that are read, and written.
    pub(crate) reads: Vec<u32>,
    pub(crate) writes: Vec<u32>,
}

/// One thing after another.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Op(Op),
    Loop(Loop),
}

impl Item {
    /// Tensors that have to be there first.
    pub(crate) fn reads(&self) -> Vec<u32> {
        match self {
            Item::Op(op) => op.spec.operands.iter().map(|operand| operand.node).chain(op.waits_for).collect(),
            Item::Loop(inner) => inner.reads.clone(),
        }
    }

    /// Tensors that are written.
    pub(crate) fn writes(&self) -> Vec<u32> {
        match self {
            Item::Op(op) => vec![op.out],
            Item::Loop(inner) => inner.writes.clone(),
        }
    }
}

/// Tensors, and what computes them: each item after those that it reads from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) items: Vec<Item>,
}

impl Work {
    /// The graph as it stands: tensor `n` is the output of node `n`. Also gives (state entry, tensor) where the entry after the
    /// step is a copy of a tensor that lies elsewhere.
    pub(crate) fn new(graph: &Graph) -> (Work, Vec<(u32, u32)>) {
        let nodes = graph.nodes();
        let mut work = Work::default();
        for (number, spec) in nodes.iter().enumerate() {
            let home = if spec.kind == Kind::Input { Home::Source(spec.source) } else { Home::Computed };
            work.tensors.push(Tensor { len: spec.len(), home, kept: false });
            if spec.kind != Kind::Input {
                work.items.push(Item::Op(Op {
                    node: number as u32,
                    spec: spec.clone(),
                    out: number as u32,
                    carried: false,
                    waits_for: None,
                    origins: Vec::new(),
                }));
            }
        }
        for (_, node) in graph.results() {
            work.tensors[*node as usize].kept = true;
        }
        let mut copies = Vec::new();
        for (entry, &node) in graph.state_outputs().iter().enumerate() {
            let tensor = &mut work.tensors[node as usize];
            if tensor.home == Home::Computed && !tensor.kept {
                tensor.home = Home::State(entry as u32);
            } else {
                tensor.kept = true;
                copies.push((entry as u32, node));
            }
        }
        (work, copies)
    }

    /// A new tensor.
    pub(crate) fn add(&mut self, tensor: Tensor) -> u32 {
        self.tensors.push(tensor);
        self.tensors.len() as u32 - 1
    }
}

/// Which items write and read each tensor.
pub(crate) struct Uses {
    pub(crate) writer: Vec<Option<usize>>,
    pub(crate) readers: Vec<Vec<usize>>,
}

impl Uses {
    pub(crate) fn of(work: &Work) -> Uses {
        let mut uses = Uses { writer: vec![None; work.tensors.len()], readers: vec![Vec::new(); work.tensors.len()] };
        for (number, item) in work.items.iter().enumerate() {
            for tensor in item.writes() {
                uses.writer[tensor as usize] = Some(number);
            }
            for tensor in item.reads() {
                let readers = &mut uses.readers[tensor as usize];
                if readers.last() != Some(&number) {
                    readers.push(number);
                }
            }
        }
        uses
    }
}

//! From a graph to a plan: what runs when, on which slices, and where tensors lie.
//!
//! The graph is the contract; the plan is free. Every pass here rewrites a [`work::Work`], and none changes a term of a chain or the
//! order of terms: operators are cut across outputs, or along the outermost reduction label with chains that go on.

mod band;
mod batch;
mod layout;
mod order;
mod recompute;
mod slice;
pub(crate) mod work;

use crate::graph::Graph;
use layout::Layout;
use sip_kernels::{Kernel, Simd};
use sip_ops::{Kind, NodeSpec, Source};
use std::collections::HashMap;
use std::sync::Arc;
use work::{Home, Item, Loop, Op, Origin, Uses, Work};

/// How a plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanOptions {
    pub(crate) simd: Simd,
    /// Whether nodes run whole, one after the other, and keep their tensors.
    pub(crate) keep_all: bool,
    /// Whether operators run slice by slice.
    pub(crate) fuse: bool,
    /// In how many parts the batch runs.
    pub(crate) micro_batches: u32,
    /// Whether most of the forward pass runs again for the backward pass.
    pub(crate) recompute: bool,
    /// Whether nodes run in the order of the graph.
    pub(crate) in_order: bool,
    /// Threads that run slices side by side, and the most memory that the plan may need.
    pub(crate) threads: usize,
    pub(crate) max_bytes: usize,
}

impl PlanOptions {
    /// Node after node, in the order of the graph.
    pub(crate) fn plain(self) -> PlanOptions {
        PlanOptions { keep_all: false, fuse: false, micro_batches: 1, recompute: false, in_order: true, ..self }
    }
}

/// Why a graph has no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It needs more memory than it may have.
    #[error(
        "the plan needs {needed} bytes between nodes, but may have {most}; raise the limit, or run in more micro-batches"
    )]
    Memory {
        /// Bytes of tensors between nodes and of the kernels' tables, as far as they were counted.
        needed: usize,
        /// [`crate::ExecutorOptions::max_bytes`].
        most: usize,
    },
    /// The system does not give the memory.
    #[error(
        "the plan needs {needed} bytes between nodes, which the system refuses; run in more micro-batches, or a smaller batch"
    )]
    Refused {
        /// Bytes of the piece that was refused.
        needed: usize,
    },
    /// A slice of a node is no operator: a fault of the planner.
    #[error("node {node} cannot run: {reason}; plan without fusing and micro-batches")]
    Kernel {
        /// Number of the node.
        node: u32,
        /// What is wrong with it.
        reason: String,
    },
}

/// Memory that is not the plan's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Source(Source),
    State(u32),
    Arena,
    Scratch,
}

/// Where a tensor starts, for given coordinates of the loops around.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) base: Base,
    pub(crate) offset: usize,
    /// Elements per step along each axis of the loops around, outermost first; missing ones are 0.
    pub(crate) steps: Vec<usize>,
    /// Elements of the tensor, or of a slice of it that is written in its place.
    pub(crate) len: usize,
    /// How many of the axes choose that slice.
    pub(crate) chosen: usize,
}

impl Place {
    /// How far the coordinates move the start.
    pub(crate) fn moved(&self, coordinates: &[usize]) -> usize {
        self.steps.iter().zip(coordinates).map(|(step, coordinate)| step * coordinate).sum()
    }

    /// Elements from where the coordinates lead to the end.
    pub(crate) fn rest(&self, coordinates: &[usize]) -> usize {
        let steps = self.steps.iter().zip(coordinates).skip(self.chosen);
        self.len.saturating_sub(steps.map(|(step, coordinate)| step * coordinate).sum())
    }
}

/// An operand: its tensor, and how many elements from the start of the slice on are read (`None`: data decide).
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) place: Place,
    pub(crate) extent: Option<usize>,
}

/// An operator that is ready to run.
pub(crate) struct Step {
    pub(crate) node: u32,
    pub(crate) kind: Kind,
    pub(crate) kernel: Arc<Kernel>,
    /// For slices after the first, where chains go on.
    pub(crate) next: Option<Arc<Kernel>>,
    /// Number of operands that those read.
    pub(crate) next_operands: usize,
    pub(crate) operands: Vec<Read>,
    pub(crate) out: Place,
    /// Elements of `out` that are written.
    pub(crate) len: usize,
    pub(crate) origins: Vec<Origin>,
}

/// A copy of a slice to its place.
pub(crate) struct Transfer {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) origin: Origin,
}

/// A loop over slices: the stages run for every combination of the `counts`, and transfers copy what outlives a slice.
pub(crate) struct Turns {
    pub(crate) counts: Vec<u32>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) parallel: bool,
    pub(crate) writes_state: bool,
}

/// One thing after another.
pub(crate) enum Stage {
    Step(Step),
    Turns(Turns),
}

/// All that is decided before the first run.
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    /// Elements of the arena, and of the scratch memory of each thread.
    pub(crate) arena: usize,
    pub(crate) scratch: usize,
    /// Places of the nodes' tensors after a run, where they are kept.
    pub(crate) kept: Vec<Option<Place>>,
    /// (state entry, place) where the entry after the step is a copy.
    pub(crate) copies: Vec<(u32, Place)>,
    /// Whether the state after the step may take the place of the one before.
    pub(crate) in_place: bool,
}

impl Plan {
    pub(crate) fn new(graph: &Graph, options: PlanOptions) -> Result<Plan, PlanError> {
        let (mut work, copies) = Work::new(graph);
        if options.keep_all {
            work.tensors.iter_mut().for_each(|tensor| tensor.kept = true);
        } else {
            if options.fuse || options.recompute {
                recompute::recompute(&mut work, options.recompute);
            }
            let form = |work: &mut Work| {
                if options.fuse {
                    band::form(work)
                }
            };
            if let Some((_, &[rows, stride])) = graph.input_shape(Source::Batch) {
                batch::split(&mut work, rows, stride, options.micro_batches, &form);
            }
            form(&mut work);
            if !options.in_order {
                order::schedule(&mut work);
            }
        }
        let layout = Layout::of(&work);
        let mut lowering = Lowering { options, kernels: HashMap::new(), scratch: 0, arena: layout.len, tables: 0 };
        lowering.check()?;
        let places = lowering.places(&work, &layout, Base::Arena, 0, &[], 0);
        let stages = lowering.stages(&work, &layout, Base::Arena, 0, &places, 0)?;
        let kept = graph.nodes().iter().zip(&places).zip(&work.tensors);
        let kept = kept.map(|((_, place), tensor)| tensor.kept.then(|| place.clone())).collect();
        let in_place = may_replace_state(&work)
            && copies
                .iter()
                .all(|&(entry, node)| work.tensors[node as usize].home == Home::Source(Source::State(entry)));
        let copies = copies.into_iter().map(|(entry, node)| (entry, places[node as usize].clone())).collect();
        Ok(Plan { stages, arena: layout.len, scratch: lowering.scratch, kept, copies, in_place })
    }
}

/// Whether each entry of the state is written by a loop that reads, of the old entry, the slice that it then writes, nothing
/// else reads the old entry from there on, and these loops come last and write nothing else, so that they can run twice.
fn may_replace_state(work: &Work) -> bool {
    let mut written = Vec::new();
    for item in &work.items {
        let is_old = |tensor: u32| match work.tensors[tensor as usize].home {
            Home::Source(Source::State(entry)) => Some(entry),
            _ => None,
        };
        let is_new = |tensor: u32| match work.tensors[tensor as usize].home {
            Home::State(entry) => Some(entry),
            _ => None,
        };
        let writes = item.writes();
        let new: Vec<u32> = writes.iter().copied().filter_map(is_new).collect();
        // A tensor in the arena may take the place of what the first such loop has read.
        if (!new.is_empty() || !written.is_empty()) && new.len() != writes.len() {
            return false;
        }
        if item
            .reads()
            .into_iter()
            .any(|tensor| is_new(tensor).is_some() || is_old(tensor).is_some_and(|entry| written.contains(&entry)))
        {
            return false;
        }
        let Item::Loop(inner) = item else { if new.is_empty() { continue } else { return false } };
        for copy in &inner.copies {
            let Some(entry) = is_new(copy.to) else { continue };
            let reads = inner.work.items.iter().flat_map(Item::reads);
            let whole_reads = reads.filter(|&tensor| match &inner.work.tensors[tensor as usize].home {
                Home::View { of, steps } => is_old(*of) == Some(entry) && *steps != copy.place.steps,
                _ => false,
            });
            let overreads = inner.work.items.iter().any(|item| overreads(item, inner, copy, entry, &is_old));
            if whole_reads.count() > 0 || overreads || !slice::is_contiguous(&copy.place) || !inner.parallel {
                return false;
            }
        }
        if new.len() != inner.copies.iter().filter(|copy| is_new(copy.to).is_some()).count() {
            return false;
        }
        written.extend(new);
    }
    true
}

/// Whether an item of a loop reads more of an old entry of the state than the slice that takes its place.
fn overreads(item: &Item, inner: &Loop, copy: &work::CopyOut, entry: u32, is_old: &dyn Fn(u32) -> Option<u32>) -> bool {
    let Item::Op(op) = item else { return true };
    let len: usize = copy.place.sizes.iter().map(|&size| size as usize).product();
    (0..op.spec.operands.len()).any(|number| {
        let tensor = op.spec.operands[number].node;
        match inner.work.tensors[tensor as usize].home {
            Home::View { of, .. } => is_old(of) == Some(entry) && extent(&op.spec, number).is_none_or(|end| end > len),
            _ => false,
        }
    })
}

/// One more than the greatest address that is read of an operand; `None` if data decide.
fn extent(spec: &NodeSpec, operand: usize) -> Option<usize> {
    if spec.kind == Kind::Gather && operand == 1 {
        return None;
    }
    let read = &spec.operands[operand];
    let sizes = spec.out_sizes.iter().chain(&spec.reduce_sizes);
    let reach = |(&size, &stride): (&u32, &i32)| (stride.max(0) as usize) * (size as usize - 1);
    Some(usize::try_from(read.offset).ok()? + sizes.zip(&read.strides).map(reach).sum::<usize>() + 1)
}

/// Turns works into stages.
struct Lowering {
    options: PlanOptions,
    /// Operators of one form share a kernel.
    kernels: HashMap<(NodeSpec, bool), Arc<Kernel>>,
    scratch: usize,
    arena: usize,
    /// Bytes of the kernels' tables.
    tables: usize,
}

impl Lowering {
    /// Whether the memory counted so far is within its limit.
    fn check(&self) -> Result<(), PlanError> {
        let elements = self.scratch.saturating_mul(self.options.threads).saturating_add(self.arena);
        let needed = elements.saturating_mul(4).saturating_add(self.tables);
        let most = self.options.max_bytes;
        if needed > most { Err(PlanError::Memory { needed, most }) } else { Ok(()) }
    }

    /// The places of a work's tensors: computed ones from `start` on, views in the places of the work around, which has `depth` axes.
    fn places(
        &self,
        work: &Work,
        layout: &Layout,
        base: Base,
        start: usize,
        outer: &[Place],
        depth: usize,
    ) -> Vec<Place> {
        let uses = Uses::of(work);
        let place = |(number, tensor): (usize, &work::Tensor)| {
            let at = |base, offset| Place { base, offset, steps: Vec::new(), len: tensor.len, chosen: 0 };
            match &tensor.home {
                Home::Source(source) => at(Base::Source(*source), 0),
                Home::State(entry) => at(Base::State(*entry), 0),
                Home::Computed => at(base, start + layout.offsets[number]),
                Home::View { of, steps } => {
                    let mut place = outer[*of as usize].clone();
                    place.steps.resize(depth, 0);
                    place.steps.extend(steps);
                    // No slice reaches into the next one, which another thread may be writing.
                    if uses.writer[number].is_some() {
                        (place.len, place.chosen) = (tensor.len, place.steps.len());
                    }
                    place
                }
            }
        };
        work.tensors.iter().enumerate().map(place).collect()
    }

    fn stages(
        &mut self,
        work: &Work,
        layout: &Layout,
        base: Base,
        start: usize,
        places: &[Place],
        depth: usize,
    ) -> Result<Vec<Stage>, PlanError> {
        let mut stages = Vec::with_capacity(work.items.len());
        for (number, item) in work.items.iter().enumerate() {
            stages.push(match item {
                Item::Op(op) => Stage::Step(self.step(op, places)?),
                Item::Loop(inner) => {
                    let own;
                    let (base, start, layout) = match &layout.loops[number] {
                        Some((offset, layout)) => (base, start + offset, layout),
                        None => {
                            own = Layout::of(&inner.work);
                            self.scratch = self.scratch.max(own.len);
                            self.check()?;
                            (Base::Scratch, 0, &own)
                        }
                    };
                    Stage::Turns(self.turns(work, inner, layout, base, start, places, depth)?)
                }
            });
        }
        Ok(stages)
    }

    #[expect(clippy::too_many_arguments)]
    fn turns(
        &mut self,
        work: &Work,
        inner: &Loop,
        layout: &Layout,
        base: Base,
        start: usize,
        outer: &[Place],
        depth: usize,
    ) -> Result<Turns, PlanError> {
        let places = self.places(&inner.work, layout, base, start, outer, depth);
        let transfers = inner.copies.iter().map(|copy| {
            let mut to = outer[copy.to as usize].clone();
            to.steps.resize(depth, 0);
            to.steps.extend(&copy.place.steps);
            Transfer { from: places[copy.from as usize].clone(), to, origin: copy.place.clone() }
        });
        let writes_state = inner.writes.iter().any(|&t| matches!(work.tensors[t as usize].home, Home::State(_)));
        Ok(Turns {
            counts: inner.counts.clone(),
            transfers: transfers.collect(),
            parallel: inner.parallel,
            writes_state,
            stages: self.stages(&inner.work, layout, base, start, &places, depth + inner.counts.len())?,
        })
    }

    fn step(&mut self, op: &Op, places: &[Place]) -> Result<Step, PlanError> {
        let operands = (0..op.spec.operands.len()).map(|number| Read {
            place: places[op.spec.operands[number].node as usize].clone(),
            extent: extent(&op.spec, number),
        });
        let kernel = self.kernel(op.node, &op.spec, false)?;
        let mut next = None;
        if op.carried {
            let mut spec = op.spec.clone();
            if std::mem::take(&mut spec.starts_from_operand) {
                spec.operands.truncate(2);
            }
            next = Some(self.kernel(op.node, &spec, true)?);
        }
        Ok(Step {
            node: op.node,
            kind: op.spec.kind,
            kernel,
            next,
            next_operands: if op.spec.starts_from_operand { 2 } else { op.spec.operands.len() },
            operands: operands.collect(),
            out: places[op.out as usize].clone(),
            len: op.spec.len(),
            origins: op.origins.clone(),
        })
    }

    fn kernel(&mut self, node: u32, spec: &NodeSpec, accumulates: bool) -> Result<Arc<Kernel>, PlanError> {
        let mut form = spec.clone();
        form.operands.iter_mut().for_each(|operand| operand.node = 0);
        let key = (form, accumulates);
        if let Some(known) = self.kernels.get(&key) {
            return Ok(Arc::clone(known));
        }
        self.tables = self.tables.saturating_add(Kernel::table_bytes(&key.0));
        self.check()?;
        let prepare = if accumulates { Kernel::new_accumulating } else { Kernel::new };
        let kernel = Arc::new(prepare(&key.0, self.options.simd));
        if let Some(reason) = kernel.error() {
            return Err(PlanError::Kernel { node, reason: reason.into() });
        }
        self.kernels.insert(key, Arc::clone(&kernel));
        Ok(kernel)
    }
}

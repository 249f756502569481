//! Bands: operators that run slice by slice, so that what passes between them stays in a cache.
//!
//! A band grows from a seed along tensors: whatever has the same axes, and would not be needed between two of its members by
//! anything outside, can join. Which bands there are changes no bit, only time and memory.
//!
//! ```text
//! h = W x            [out, token]   seed: its label `token` is the axis; the marks of h say where the axis lies in it
//! s = silu(h)        [out, token]   joins: it reads h, and the marks say which of its labels is the axis
//! n = Σ over out s²  [token]        joins: the axis is one of its output labels
//! m = Σ over token s [out]          joins only where chains may run on through slices; its sum is there after the last
//!
//! for tokens 0–63, 64–127, …: h, s and n of these tokens, in memory that the next slice uses again
//! ```
//!
//! [`Growth::seed`] takes the first operator by labels that are named, [`Growth::join`] a neighbour by the marks of the tensors they share;
//! [`Growth::admit`] is what both have to pass: every shared tensor is cut alike, and nobody needs a sum before it is complete.

use super::slice::{Axis, Cut, Marks, Refusal, is_contiguous, origin, shape};
use super::work::{CopyOut, Home, Item, Loop, MAX_AXES, Op, Origin, Tensor, Uses, Work};
use crate::affine::split_label;
use sip_ops::{Kind, NodeSpec};
use std::collections::BTreeMap;

/// Elements between the operators of a slice that a cache close to a core holds.
const SLICE_ELEMENTS: usize = 64 * 1024;
/// Shortest stretch of neighbouring elements in a slice, if the axis is long enough.
const STRETCH: u32 = 64;
/// The same where a product is cut: its other operand is read once per slice.
const PRODUCT_STRETCH: u32 = 128;
/// Slices that keep the threads of a common machine busy.
const SLICES: u32 = 16;
/// How much longer than what it is computed from an intermediate result is for which the product that gives it is cut.
const GROWTH: usize = 6;
/// Elements that need not pass through memory, for which it is worth running a band.
const LEAST_SAVED: usize = 1024;
/// Most members of a band, so that long graphs do not take long to plan; a loop over micro-batches has any number.
const MOST_MEMBERS: usize = 512;
/// Elements that are not worth more than one slice.
const LEAST_SLICE: usize = 4096;

/// A band under construction.
pub(crate) struct Growth<'a> {
    work: &'a Work,
    uses: &'a Uses,
    axes: Vec<Axis>,
    members: BTreeMap<usize, Cut>,
    /// The axes in tensors that members compute, and in tensors of others that they read.
    marks: BTreeMap<u32, Marks>,
    reads: BTreeMap<u32, Marks>,
    /// Whether chains may run through slices, which then run one after the other.
    may_carry: bool,
}

/// Where a growth may go: whether it may take this item.
pub(crate) type Filter<'a> = dyn Fn(&Growth<'_>, &Op) -> bool + 'a;

impl<'a> Growth<'a> {
    pub(crate) fn new(work: &'a Work, uses: &'a Uses, axes: Vec<Axis>) -> Growth<'a> {
        let (members, marks, reads) = Default::default();
        Growth { work, uses, axes, members, marks, reads, may_carry: false }
    }

    /// Lets chains run through slices.
    pub(crate) fn carry(&mut self) {
        self.may_carry = true;
    }

    /// Says where the axes are in a tensor from outside.
    pub(crate) fn expect(&mut self, tensor: u32, marks: Marks) {
        self.reads.insert(tensor, marks);
    }

    /// The numbers of the items.
    pub(crate) fn into_members(self) -> Vec<usize> {
        self.members.into_keys().collect()
    }

    fn op(&self, number: usize) -> Option<&'a Op> {
        match &self.work.items[number] {
            Item::Op(op) if !op.carried => Some(op),
            _ => None,
        }
    }

    fn len(&self, tensor: u32) -> usize {
        self.work.tensors[tensor as usize].len
    }

    /// Takes an item whose axes are these labels of `spec`, its operator, of which labels may have been split.
    fn seed(&mut self, number: usize, spec: &NodeSpec, labels: &[usize]) -> Result<(), Refusal> {
        let op = self.op(number).ok_or(Refusal::No)?;
        let mut cut = Cut::new(spec, self.axes.len());
        for (axis, &label) in labels.iter().enumerate() {
            cut.set(axis, label)?;
        }
        self.admit(number, op, cut)
    }

    /// Takes an item that shares tensors with members, if it has the axes.
    fn join(&mut self, number: usize) -> Result<(), Refusal> {
        let op = self.op(number).ok_or(Refusal::No)?;
        let mut cut = Cut::new(&op.spec, self.axes.len());
        if let Some(marks) = self.reads.get(&op.out) {
            cut.follow(&self.axes, None, marks, self.len(op.out))?;
        }
        for (place, operand) in op.spec.operands.iter().enumerate() {
            if let Some(marks) = self.marks.get(&operand.node) {
                cut.follow(&self.axes, Some(place), marks, self.len(operand.node))?;
            }
        }
        for (place, operand) in op.spec.operands.iter().enumerate() {
            if !cut.is_whole()
                && let Some(marks) = self.reads.get(&operand.node)
            {
                cut.follow(&self.axes, Some(place), marks, self.len(operand.node))?;
            }
        }
        self.admit(number, op, cut)
    }

    fn admit(&mut self, number: usize, op: &Op, mut cut: Cut) -> Result<(), Refusal> {
        if !cut.is_whole() {
            return Err(Refusal::No);
        }
        let carried = cut.is_carried().ok_or(Refusal::No)?;
        if carried && (!self.may_carry || matches!(op.spec.kind, Kind::Map | Kind::Gather)) {
            return Err(Refusal::No);
        }
        for place in 0..op.spec.operands.len() {
            let node = op.spec.operands[place].node;
            let computed = self.uses.writer[node as usize].is_some_and(|writer| self.members.contains_key(&writer));
            match self.marks.get(&node) {
                Some(marks) => cut.follow(&self.axes, Some(place), marks, self.len(node))?,
                // A sum over all slices is there only after the last.
                None if computed => return Err(Refusal::No),
                None => {}
            }
            cut.steps(&self.axes, place).ok_or(Refusal::No)?;
        }
        if !self.fits(&cut, None) {
            return Err(Refusal::No);
        }
        let mut readers = self.uses.readers[op.out as usize].iter().filter_map(|reader| self.members.get(reader));
        if carried {
            // A sum over all slices is there only after the last.
            if readers.next().is_some() {
                return Err(Refusal::No);
            }
        } else {
            let marks = cut.out_marks().ok_or(Refusal::No)?;
            shape(&self.axes, &marks, self.len(op.out)).ok_or(Refusal::No)?;
            for member in readers {
                let mut member = member.clone();
                for place in 0..member.spec.operands.len() {
                    if member.spec.operands[place].node == op.out {
                        member.follow(&self.axes, Some(place), &marks, self.len(op.out))?;
                    }
                }
                if !self.fits(&member, Some((op.out, &marks))) {
                    return Err(Refusal::No);
                }
            }
        }
        // What is waited for is there before the loop starts, or all of a slice of it is.
        let waits_for = op.waits_for.and_then(|tensor| Some((tensor, self.uses.writer[tensor as usize]?)));
        if waits_for.is_some_and(|(t, writer)| self.members.contains_key(&writer) && !self.marks.contains_key(&t)) {
            return Err(Refusal::No);
        }
        if !self.is_convex_with(number) {
            return Err(Refusal::No);
        }
        for (place, operand) in op.spec.operands.iter().enumerate() {
            let is_outside = !self.marks.contains_key(&operand.node);
            if let Some(marks) = cut.read_marks(place).filter(|_| is_outside) {
                self.reads.entry(operand.node).or_insert(marks);
            }
        }
        self.reads.remove(&op.out);
        if let Some(marks) = cut.out_marks().filter(|_| !carried) {
            self.marks.insert(op.out, marks);
        }
        self.members.insert(number, cut);
        Ok(())
    }

    /// Whether a slice of an operator, with what members compute compact, is an operator, however long the slices will be. `next` is
    /// about to become a member's output.
    fn fits(&self, cut: &Cut, next: Option<(u32, &Marks)>) -> bool {
        let inner: Vec<Option<(Marks, usize)>> = cut
            .spec
            .operands
            .iter()
            .map(|operand| {
                let next = next.filter(|(tensor, _)| *tensor == operand.node).map(|(_, marks)| marks);
                let marks = self.marks.get(&operand.node).or(next)?;
                Some((marks.clone(), self.len(operand.node)))
            })
            .collect();
        // A label that is cut, but not to a single coordinate, neither goes nor joins another one.
        let axes: Vec<Axis> = self.axes.iter().map(|axis| Axis { block: least_factor(axis.size), ..*axis }).collect();
        cut.slice(&axes, &inner).is_some()
    }

    /// Whether no way leads from a member over an item that is none back to a member.
    fn is_convex_with(&self, number: usize) -> bool {
        let last = self.members.keys().next_back().map_or(number, |&last| last.max(number));
        let is_member = |item: usize| item == number || self.members.contains_key(&item);
        let mut seen = vec![false; last + 1];
        let mut open: Vec<usize> = self.members.keys().copied().chain([number]).collect();
        while let Some(item) = open.pop() {
            for tensor in self.work.items[item].writes() {
                for &reader in self.uses.readers[tensor as usize].iter().filter(|reader| **reader <= last) {
                    if is_member(reader) {
                        if !is_member(item) {
                            return false;
                        }
                    } else if !std::mem::replace(&mut seen[reader], true) {
                        open.push(reader);
                    }
                }
            }
        }
        true
    }

    /// Takes whatever can join, until nothing more can.
    pub(crate) fn grow(&mut self, filter: &Filter<'_>) -> Result<(), Refusal> {
        let most = if self.may_carry { usize::MAX } else { MOST_MEMBERS };
        while self.members.len() < most {
            let mut near: Vec<usize> = Vec::new();
            for &tensor in self.reads.keys().filter(|_| self.members.is_empty()) {
                near.extend(&self.uses.readers[tensor as usize]);
            }
            for &member in self.members.keys() {
                let item = &self.work.items[member];
                for tensor in item.reads().into_iter().chain(item.writes()) {
                    near.extend(&self.uses.readers[tensor as usize]);
                    near.extend(self.uses.writer[tensor as usize]);
                }
            }
            near.sort_unstable();
            near.dedup();
            let before = self.members.len();
            for number in near {
                let wanted = !self.members.contains_key(&number) && self.op(number).is_some_and(|op| filter(self, op));
                // The rows of micro-batches stay one axis: what would need two stays outside.
                if wanted
                    && let Err(refusal @ Refusal::SplitAxis { .. }) = self.join(number)
                    && !self.may_carry
                {
                    return Err(refusal);
                }
            }
            if self.members.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// Whether something outside reads what a member computes.
    fn is_needed_outside(&self, tensor: u32) -> bool {
        let found = &self.work.tensors[tensor as usize];
        found.kept
            || found.home != Home::Computed
            || self.uses.readers[tensor as usize].iter().any(|reader| !self.members.contains_key(reader))
    }

    /// Elements that pass through memory without the band and not with it.
    fn saved(&self) -> usize {
        let (mut without, mut with) = (0, 0);
        let mut outside: Vec<u32> = Vec::new();
        for &number in self.members.keys() {
            for tensor in self.work.items[number].reads() {
                without += self.len(tensor);
                if !self.marks.contains_key(&tensor) {
                    outside.push(tensor);
                }
            }
            for tensor in self.work.items[number].writes() {
                without += self.len(tensor);
                if self.is_needed_outside(tensor) {
                    with += self.len(tensor);
                }
            }
        }
        outside.sort_unstable();
        outside.dedup();
        with += outside.iter().map(|&tensor| self.len(tensor)).sum::<usize>();
        without.saturating_sub(with)
    }

    /// Chooses how long slices are: as long as what passes between members stays in a cache, and there are enough of them.
    fn choose_blocks(&mut self) {
        let points: usize = self.axes.iter().map(|axis| axis.size as usize).product();
        let elements: usize = self.marks.keys().map(|&tensor| self.len(tensor)).sum();
        let mut elements = elements.div_ceil(points);
        let mut slices = self.axes.iter().fold(1u32, |slices, axis| slices.saturating_mul(axis.size));
        let Some(radixes) = self.marks.values().next().cloned() else { return };
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        order.sort_by_key(|&axis| radixes[axis]);
        self.axes.iter_mut().for_each(|axis| axis.block = 1);
        let is_product = |&number: &usize| self.op(number).is_some_and(|op| !is_light(self.work, &op.spec));
        let stretch = if self.members.keys().any(is_product) { PRODUCT_STRETCH } else { STRETCH };
        for axis in order {
            let size = self.axes[axis].size;
            let is_inner = self.marks.values().any(|marks| marks[axis] == 1);
            let least = if is_inner { stretch.min(size) } else { 1 };
            let fits = |block: u32| {
                let elements = elements * block as usize;
                elements <= SLICE_ELEMENTS && slices / block >= SLICES.min(slices) || elements <= LEAST_SLICE
            };
            let divisors: Vec<u32> = divisors(size).into_iter().filter(|&block| block >= least).collect();
            let block = divisors.iter().rev().find(|&&block| fits(block)).or(divisors.first());
            let block = block.copied().unwrap_or(size);
            self.axes[axis].block = block;
            elements *= block as usize;
            slices /= block;
            if block < size {
                return;
            }
        }
    }

    /// The loop that runs the members.
    pub(crate) fn build(&self) -> Option<Loop> {
        let axes = &self.axes;
        let mut inner = Inner { work: Work::default(), known: BTreeMap::new(), reads: Vec::new() };
        let mut places: BTreeMap<u32, u32> = BTreeMap::new();
        let (mut copies, mut writes, mut parallel) = (Vec::new(), Vec::new(), true);
        for (&number, cut) in &self.members {
            let op = self.op(number)?;
            let mut compacted: Vec<Option<(Marks, usize)>> = Vec::new();
            let mut operands = Vec::new();
            for (place, operand) in op.spec.operands.iter().enumerate() {
                if let Some(&known) = places.get(&operand.node) {
                    compacted.push(Some((self.marks.get(&operand.node)?.clone(), self.len(operand.node))));
                    operands.push(known);
                } else {
                    compacted.push(None);
                    operands.push(inner.view(self.work, operand.node, cut.steps(axes, place)?, true));
                }
            }
            let waits_for = op.waits_for.and_then(|tensor| {
                let known = places.get(&tensor).copied();
                if known.is_none() {
                    inner.reads.push(tensor);
                }
                known
            });
            let mut spec = cut.slice(axes, &compacted)?;
            for (operand, tensor) in spec.operands.iter_mut().zip(operands) {
                operand.node = tensor;
            }
            let Some(marks) = self.marks.get(&op.out) else {
                parallel = false;
                writes.push(op.out);
                let out = inner.view(self.work, op.out, vec![0; axes.len()], false);
                let whole = Origin::whole(self.len(op.out), axes.len());
                let origins = op.origins.iter().cloned();
                let origins = [whole].into_iter().chain(origins).collect();
                inner.work.items.push(Item::Op(Op { node: op.node, spec, out, carried: true, waits_for, origins }));
                continue;
            };
            let place = origin(axes, marks, self.len(op.out))?;
            let is_needed = self.is_needed_outside(op.out);
            let is_state = matches!(self.work.tensors[op.out as usize].home, Home::State(_));
            let len = place.sizes.iter().map(|&size| size as usize).product();
            let out = if is_needed && is_contiguous(&place) && !is_state {
                let view = inner.view(self.work, op.out, place.steps.clone(), false);
                inner.work.tensors[view as usize].len = len;
                view
            } else {
                inner.work.add(Tensor { len, home: Home::Computed, kept: is_needed })
            };
            if is_needed {
                writes.push(op.out);
                if inner.work.tensors[out as usize].home == Home::Computed {
                    copies.push(CopyOut { from: out, to: op.out, place: place.clone() });
                }
            }
            places.insert(op.out, out);
            let origins = [place].into_iter().chain(op.origins.iter().cloned()).collect();
            inner.work.items.push(Item::Op(Op { node: op.node, spec, out, carried: false, waits_for, origins }));
        }
        let counts = axes.iter().map(|axis| axis.slices()).collect();
        let Inner { work, mut reads, .. } = inner;
        reads.sort_unstable();
        reads.dedup();
        Some(Loop { counts, work, copies, parallel, reads, writes })
    }
}

/// The least divisor of a number above 1, or 1.
fn least_factor(number: u32) -> u32 {
    (2..=number.isqrt()).find(|&d| number.is_multiple_of(d)).unwrap_or(number)
}

/// The divisors of a number, ascending.
fn divisors(number: u32) -> Vec<u32> {
    let small: Vec<u32> = (1..=number.isqrt()).filter(|d| number.is_multiple_of(*d)).collect();
    let large = small.iter().rev().map(|d| number / d).filter(|d| number / d != *d);
    small.iter().copied().chain(large).collect()
}

/// The work of a loop under construction.
struct Inner {
    work: Work,
    known: BTreeMap<(u32, Vec<usize>), u32>,
    reads: Vec<u32>,
}

impl Inner {
    /// The part of an outer tensor that starts where the slice says.
    fn view(&mut self, outer: &Work, of: u32, steps: Vec<usize>, is_read: bool) -> u32 {
        if is_read {
            self.reads.push(of);
        }
        let work = &mut self.work;
        *self.known.entry((of, steps.clone())).or_insert_with(|| {
            let len = outer.tensors[of as usize].len;
            work.add(Tensor { len, home: Home::View { of, steps }, kept: false })
        })
    }
}

/// Grows from a seed; where an axis has to be two, starts again with two.
fn grown<'a>(
    work: &'a Work,
    uses: &'a Uses,
    seed: usize,
    labels: &[usize],
    sizes: &[u32],
    filter: &Filter<'_>,
) -> Option<Growth<'a>> {
    let Item::Op(op) = &work.items[seed] else { return None };
    let (mut spec, mut labels, mut sizes) = (op.spec.clone(), labels.to_vec(), sizes.to_vec());
    for _ in 0..4 {
        // One more axis may be that of micro-batches.
        if sizes.len() >= MAX_AXES {
            return None;
        }
        let axes = sizes.iter().map(|&size| Axis { size, block: 1 }).collect();
        let mut growth = Growth::new(work, uses, axes);
        growth.seed(seed, &spec, &labels).ok()?;
        match growth.grow(filter) {
            Ok(()) => return Some(growth),
            Err(Refusal::No) => return None,
            Err(Refusal::SplitAxis { axis, inner }) => {
                let label = labels[axis];
                split_label(&mut spec, label, inner)?;
                labels.iter_mut().filter(|known| **known > label).for_each(|known| *known += 1);
                labels.insert(axis + 1, label + 1);
                sizes[axis] /= inner;
                sizes.insert(axis + 1, inner);
            }
        }
    }
    None
}

/// Whether an operator does little work per element that it reads or writes.
fn is_light(work: &Work, spec: &NodeSpec) -> bool {
    match spec.kind {
        Kind::Map | Kind::ReduceAdd | Kind::ReduceMax | Kind::Gather => true,
        Kind::Contract => {
            let longest = spec.operands.iter().map(|operand| work.tensors[operand.node as usize].len).max();
            spec.len().saturating_mul(spec.terms()) <= longest.unwrap_or(0).saturating_mul(2)
        }
        _ => false,
    }
}

/// Forms all bands of a work.
pub(crate) fn form(work: &mut Work) {
    // Products that give far more than they read: attention's scores, logits.
    let mut from = 0;
    while let Some((next, found)) = find(work, from, growing_product) {
        from = next;
        replace(work, found);
    }
    // Runs of light operators.
    let mut from = 0;
    while let Some((next, found)) = find(work, from, light_run) {
        from = next;
        replace(work, found);
    }
}

/// The members of a band and the loop that runs them.
pub(crate) type Found = (Vec<usize>, Loop);

/// The first band from a position on, and where to go on.
fn find(
    work: &Work,
    from: usize,
    seek: impl for<'a> Fn(&'a Work, &'a Uses, usize) -> Option<Growth<'a>>,
) -> Option<(usize, Found)> {
    let uses = Uses::of(work);
    (from..work.items.len()).find_map(|number| {
        let mut growth = seek(work, &uses, number)?;
        growth.choose_blocks();
        let found = growth.build()?;
        Some((number.saturating_sub(growth.members.len()), (growth.into_members(), found)))
    })
}

/// A band around a product whose output is far longer than its operands.
fn growing_product<'a>(work: &'a Work, uses: &'a Uses, number: usize) -> Option<Growth<'a>> {
    let Item::Op(op) = &work.items[number] else { return None };
    let spec = &op.spec;
    if spec.kind != Kind::Contract || spec.starts_from_operand || op.carried {
        return None;
    }
    let [a, b] = [0, 1].map(|operand| &spec.operands[operand]);
    let len = |node: u32| work.tensors[node as usize].len;
    let labels = |wanted: &dyn Fn(bool, bool) -> bool| -> Vec<usize> {
        let moves = |label: usize| wanted(a.strides[label] != 0, b.strides[label] != 0);
        (0..spec.out_sizes.len()).filter(|&label| spec.out_sizes[label] > 1 && moves(label)).collect()
    };
    let batch = labels(&|a, b| a && b);
    let labels = if !batch.is_empty() && spec.len() > len(a.node) && spec.len() > len(b.node) {
        batch
    } else {
        // The side that is computed is cut; the other one is a weight.
        let is_source = |node: u32| match &work.tensors[node as usize].home {
            Home::Source(_) => true,
            Home::View { steps, .. } => steps.iter().all(|&step| step == 0),
            _ => false,
        };
        let (side, cut) = match (is_source(a.node), is_source(b.node)) {
            (true, false) => (b, labels(&|a, b| b && !a)),
            (false, true) => (a, labels(&|a, b| a && !b)),
            _ => return None,
        };
        if !batch.is_empty() || spec.len() < len(side.node).saturating_mul(GROWTH) {
            return None;
        }
        cut
    };
    let sizes: Vec<u32> = labels.iter().map(|&label| spec.out_sizes[label]).collect();
    let large = spec.len();
    let filter = |growth: &Growth<'_>, op: &Op| {
        let is_large = |tensor: u32| work.tensors[tensor as usize].len >= large;
        let reads = || op.spec.operands.iter().map(|operand| operand.node);
        let is_fed = || {
            reads().all(|node| growth.marks.contains_key(&node) || uses.writer[node as usize].is_none())
                && reads().any(|node| growth.marks.contains_key(&node))
        };
        let readers = || &uses.readers[op.out as usize];
        let feeds = || !growth.is_needed_outside(op.out) && readers().iter().all(|r| growth.members.contains_key(r));
        is_large(op.out) || reads().any(is_large) || op.spec.kind == Kind::Map && (is_fed() || feeds())
    };
    grown(work, uses, number, &labels, &sizes, &filter).filter(|growth| growth.members.len() > 1)
}

/// A band of light operators, along the label that saves most.
fn light_run<'a>(work: &'a Work, uses: &'a Uses, number: usize) -> Option<Growth<'a>> {
    let Item::Op(op) = &work.items[number] else { return None };
    if !is_light(work, &op.spec) || op.carried {
        return None;
    }
    // State entries are written by loops that copy at the end of a slice, so that they may replace the old ones.
    let writes_state = matches!(work.tensors[op.out as usize].home, Home::State(_));
    let filter = |_: &Growth<'_>, op: &Op| is_light(work, &op.spec);
    let along = |label: usize| {
        let size = op.spec.out_sizes[label];
        (size > 1 || writes_state).then(|| grown(work, uses, number, &[label], &[size], &filter)).flatten()
    };
    let best = (0..op.spec.out_sizes.len()).filter_map(along).max_by_key(Growth::saved)?;
    (writes_state || best.members.len() > 1 && best.saved() >= LEAST_SAVED).then_some(best)
}

/// Puts a loop in the place of its members, and every item after those that it reads from.
pub(crate) fn replace(work: &mut Work, (members, found): Found) {
    let mut keyed: Vec<(usize, Item)> = Vec::new();
    let first = members.first().copied().unwrap_or(0);
    for (number, item) in std::mem::take(&mut work.items).into_iter().enumerate() {
        if members.binary_search(&number).is_err() {
            keyed.push((number, item));
        }
    }
    keyed.push((first, Item::Loop(found)));
    keyed.sort_by_key(|(key, _)| *key);
    work.items = keyed.into_iter().map(|(_, item)| item).collect();
    super::order::sort(work);
}

//! Computing once more what would otherwise have to be kept for long.
//!
//! A tensor of the forward pass that the backward pass reads may be dropped and computed again just before. The same operator gives the
//! same bits, so only time and memory change.

use super::work::{Home, Item, Op, Tensor, Uses, Work};
use std::collections::{BTreeMap, BTreeSet};

/// How many times longer than all that it is computed from a tensor is that is never kept.
const RATIO: usize = 3;
/// Most terms per element for that.
const TERMS: usize = 256;
/// How many times shorter than a residual stream a tensor is that is always kept.
const SHORT: usize = 16;

/// Rewrites the readers of dropped tensors. With `all`, of the forward pass only residual streams and short tensors are kept; without,
/// all but what is far longer than what it comes from, such as attention's probabilities in long rows.
pub(crate) fn recompute(work: &mut Work, all: bool) {
    let uses = Uses::of(work);
    let mut forward = vec![false; work.items.len()];
    let kept = work.tensors.iter().enumerate().filter(|(_, tensor)| tensor.kept).map(|(number, _)| number);
    let mut open: Vec<usize> = kept.filter_map(|tensor| uses.writer[tensor]).collect();
    while let Some(item) = open.pop() {
        if !std::mem::replace(&mut forward[item], true) {
            open.extend(work.items[item].reads().iter().filter_map(|&tensor| uses.writer[tensor as usize]));
        }
    }
    // Residual streams: chains that start from a tensor, and what they start from.
    let mut stream = vec![false; work.tensors.len()];
    let (mut end, mut stream_len) = (0, usize::MAX);
    for (number, item) in work.items.iter().enumerate().filter(|(number, _)| forward[*number]) {
        let Item::Op(op) = item else { continue };
        if let Some(start) = op.spec.operands.get(2).filter(|_| op.spec.starts_from_operand) {
            stream[start.node as usize] = true;
            stream[op.out as usize] = true;
            (end, stream_len) = (number, work.tensors[op.out as usize].len);
        }
    }
    let plan = Drops { work, uses: &uses, forward: &forward, stream: &stream, end, stream_len };
    let dropped: Vec<bool> =
        (0..work.tensors.len()).map(|tensor| if all { plan.is_left(tensor) } else { plan.is_large(tensor) }).collect();
    if dropped.contains(&true) {
        rewrite(
            work,
            &forward,
            &dropped,
            &|work, tensor, from| {
                if all { dropped[tensor] } else { dropped[tensor] || work.tensors[tensor].len >= from }
            },
            &uses,
            end,
        );
    }
}

/// What decides which tensors are dropped.
struct Drops<'a> {
    work: &'a Work,
    uses: &'a Uses,
    forward: &'a [bool],
    stream: &'a [bool],
    end: usize,
    stream_len: usize,
}

impl Drops<'_> {
    /// The operator of the layers that computes a tensor.
    fn writer(&self, tensor: usize) -> Option<&Op> {
        let number = self.uses.writer[tensor].filter(|&number| self.forward[number] && number < self.end)?;
        match &self.work.items[number] {
            Item::Op(op) => Some(op),
            Item::Loop(_) => None,
        }
    }

    fn is_left(&self, tensor: usize) -> bool {
        let found = &self.work.tensors[tensor];
        let is_short = found.len <= self.stream_len / SHORT;
        self.writer(tensor).is_some() && !self.stream[tensor] && !is_short && !found.kept
    }

    fn is_large(&self, tensor: usize) -> bool {
        let found = &self.work.tensors[tensor];
        let is_late = self.uses.readers[tensor].iter().any(|&reader| !self.forward[reader]);
        if !is_late || found.kept || self.writer(tensor).is_none() {
            return false;
        }
        let (mut leaves, mut terms, mut open, mut seen) = (0usize, 0usize, vec![tensor], BTreeSet::new());
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            match self.writer(next).filter(|_| self.work.tensors[next].len >= found.len) {
                Some(op) => {
                    terms += op.spec.terms();
                    open.extend(op.spec.operands.iter().map(|operand| operand.node as usize));
                }
                None if self.uses.writer[next].is_some() => leaves += self.work.tensors[next].len,
                None => {}
            }
        }
        leaves.saturating_mul(RATIO) <= found.len && terms <= TERMS
    }
}

/// Puts clones of the operators of dropped tensors before the first reader outside the forward pass.
fn rewrite(
    work: &mut Work,
    forward: &[bool],
    dropped: &[bool],
    is_cloned: &dyn Fn(&Work, usize, usize) -> bool,
    uses: &Uses,
    end: usize,
) {
    let originals = work.items.clone();
    let mut clones: BTreeMap<usize, u32> = BTreeMap::new();
    let mut items = Vec::new();
    for (number, item) in originals.iter().enumerate() {
        let mut item = item.clone();
        if let Item::Op(op) = &mut item
            && !forward[number]
        {
            // Clones wait for what the backward pass has got to.
            let is_backward = |tensor: u32| uses.writer[tensor as usize].is_some_and(|writer| !forward[writer]);
            let first =
                |op: &Op| op.spec.operands.iter().map(|operand| operand.node).find(|&tensor| is_backward(tensor));
            // Not for the reader's own operand: what computes that may run slice by slice together with the clones.
            let before = |tensor: u32| match &originals[uses.writer[tensor as usize]?] {
                Item::Op(op) => first(op),
                Item::Loop(_) => None,
            };
            let waits_for = first(op).map(|tensor| before(tensor).unwrap_or(tensor));
            for operand in &mut op.spec.operands {
                let tensor = operand.node as usize;
                if dropped[tensor] {
                    let from = work.tensors[tensor].len;
                    operand.node = clone(
                        work,
                        &originals,
                        uses,
                        &mut clones,
                        &mut items,
                        tensor,
                        &|work, tensor| {
                            let is_before = uses.writer[tensor].is_some_and(|w| forward[w] && w < end);
                            is_before && is_cloned(work, tensor, from)
                        },
                        waits_for,
                    );
                }
            }
        }
        items.push(item);
    }
    work.items = items;
}

/// The clone of a tensor, with those that it needs, however deep the graph.
#[expect(clippy::too_many_arguments)]
fn clone(
    work: &mut Work,
    originals: &[Item],
    uses: &Uses,
    clones: &mut BTreeMap<usize, u32>,
    items: &mut Vec<Item>,
    tensor: usize,
    is_cloned: &dyn Fn(&Work, usize) -> bool,
    waits_for: Option<u32>,
) -> u32 {
    // Tensors to clone, each above the ones that wait for it.
    let mut open = vec![tensor];
    while let Some(&next) = open.last() {
        let known = clones.contains_key(&next);
        let Some(Item::Op(op)) = uses.writer[next].filter(|_| !known).map(|writer| &originals[writer]) else {
            clones.entry(next).or_insert(next as u32);
            open.pop();
            continue;
        };
        let reads = || op.spec.operands.iter().map(|operand| operand.node as usize);
        let above = open.len();
        open.extend(reads().rev().filter(|&read| is_cloned(work, read) && !clones.contains_key(&read)));
        if open.len() > above {
            continue;
        }
        let mut op = op.clone();
        for operand in &mut op.spec.operands {
            if is_cloned(work, operand.node as usize) {
                operand.node = clones[&(operand.node as usize)];
            }
        }
        op.waits_for = waits_for;
        op.out = work.add(Tensor { len: work.tensors[next].len, home: Home::Computed, kept: false });
        clones.insert(next, op.out);
        items.push(Item::Op(op));
    }
    clones[&tensor]
}

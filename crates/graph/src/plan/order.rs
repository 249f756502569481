//! The order in which a work's items run.

use super::work::{Home, Item, Uses, Work};
use std::collections::BTreeSet;

/// For each item, how many items it has to wait for, and which wait for it.
fn dependencies(work: &Work) -> (Vec<usize>, Vec<Vec<usize>>) {
    let uses = Uses::of(work);
    let mut waits = vec![0; work.items.len()];
    let mut waiting = vec![Vec::new(); work.items.len()];
    for (number, item) in work.items.iter().enumerate() {
        let mut writers: Vec<usize> = item.reads().iter().filter_map(|&t| uses.writer[t as usize]).collect();
        writers.sort_unstable();
        writers.dedup();
        waits[number] = writers.len();
        writers.into_iter().for_each(|writer| waiting[writer].push(number));
    }
    (waits, waiting)
}

/// Brings the items into an order in which each comes after those that it reads from, as near to the present one as possible.
pub(crate) fn sort(work: &mut Work) {
    let (mut waits, waiting) = dependencies(work);
    let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|&item| waits[item] == 0).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(item) = ready.pop_first() {
        order.push(item);
        for &next in &waiting[item] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.insert(next);
            }
        }
    }
    arrange(work, &order);
}

/// As [`sort`], but what frees more memory than it takes runs as soon as it can, and what writes the state runs last.
pub(crate) fn schedule(work: &mut Work) {
    let (mut waits, waiting) = dependencies(work);
    let uses = Uses::of(work);
    let mut readers: Vec<usize> = uses.readers.iter().map(Vec::len).collect();
    let computed = |tensor: u32| {
        let tensor = &work.tensors[tensor as usize];
        if tensor.home == Home::Computed { tensor.len } else { 0 }
    };
    let inputs: Vec<Vec<u32>> = work
        .items
        .iter()
        .map(|item| {
            let mut reads = item.reads();
            reads.sort_unstable();
            reads.dedup();
            reads
        })
        .collect();
    let takes: Vec<usize> = work.items.iter().map(|item| item.writes().into_iter().map(computed).sum()).collect();
    let is_last = |item: &Item| item.writes().iter().any(|&t| matches!(work.tensors[t as usize].home, Home::State(_)));
    let last: Vec<bool> = work.items.iter().map(is_last).collect();
    let mut ready: BTreeSet<(bool, usize)> =
        (0..waits.len()).filter(|&item| waits[item] == 0).map(|item| (last[item], item)).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(&first) = ready.first() {
        let frees = |item: usize| -> usize {
            let ends = |tensor: &&u32| readers[**tensor as usize] == 1 && !work.tensors[**tensor as usize].kept;
            inputs[item].iter().filter(ends).map(|&tensor| computed(tensor)).sum()
        };
        let helpful = ready.iter().copied().find(|&(is_last, item)| !is_last && frees(item) > takes[item]);
        let next = helpful.unwrap_or(first);
        ready.remove(&next);
        let item = next.1;
        order.push(item);
        inputs[item].iter().for_each(|&tensor| readers[tensor as usize] -= 1);
        for &next in &waiting[item] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.insert((last[next], next));
            }
        }
    }
    arrange(work, &order);
}

fn arrange(work: &mut Work, order: &[usize]) {
    // A plan without an operator would compute other values.
    assert_eq!(order.len(), work.items.len(), "items wait for each other");
    let mut items: Vec<Option<Item>> = std::mem::take(&mut work.items).into_iter().map(Some).collect();
    work.items = order.iter().filter_map(|&item| items[item].take()).collect();
}

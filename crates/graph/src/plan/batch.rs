//! Micro-batches: everything that depends on the rows of the batch runs for some rows after the other.
//!
//! Sums over rows, such as the gradients of weights, are chains that go on from one micro-batch to the next, so they end with the bits of
//! the whole batch, and the tensors between take the memory of one micro-batch.

use super::band::{Growth, replace};
use super::order;
use super::slice::Axis;
use super::work::{Home, Uses, Work};
use sip_ops::Source;

/// Runs the batch in up to `count` micro-batches, as many as divide its `rows`; `stride` elements of the batch are a row.
pub(crate) fn split(work: &mut Work, rows: u32, stride: u32, count: u32, form: &dyn Fn(&mut Work)) {
    let Some(count) = (2..=count.min(rows)).rev().find(|&count| rows.is_multiple_of(count)) else { return };
    let uses = Uses::of(work);
    let axis = Axis { size: rows, block: rows / count };
    let batches = work.tensors.iter().enumerate();
    let batches = batches.filter(|(_, tensor)| tensor.home == Home::Source(Source::Batch));
    let mut growth = Growth::new(work, &uses, vec![axis]);
    growth.carry();
    for (tensor, _) in batches {
        growth.expect(tensor as u32, vec![stride]);
    }
    if growth.grow(&|_, _| true).is_err() {
        return;
    }
    let Some(mut found) = growth.build() else { return };
    let members = growth.into_members();
    found.parallel = false;
    form(&mut found.work);
    order::schedule(&mut found.work);
    replace(work, (members, found));
}

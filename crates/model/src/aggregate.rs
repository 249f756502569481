//! The outer step of a round as a graph: the mean over the accepted segments.

use crate::llama::ModelError;
use sip_graph::{Builder, Graph, Tensor};
use sip_ops::{Source, Type};

/// Mean of `count` states with entries of these shapes: the outer step over the accepted segments.
///
/// Entry `i` of state `j` is `Source::State(j · shapes.len() + i)`; state output `i` is the mean of the entries `i`.
///
/// # Errors
/// No state, or shapes out of range.
pub fn aggregate_graph(shapes: &[Vec<usize>], count: usize) -> Result<Graph, ModelError> {
    if count == 0 || count > 1 << 12 {
        return Err(ModelError::Size { field: "count", value: count, expected: "1 to 4096".into() });
    }
    let mut b = Builder::new();
    let mut outputs = Vec::with_capacity(shapes.len());
    for (entry, shape) in shapes.iter().enumerate() {
        let source = |state: usize| Source::State((state * shapes.len() + entry) as u32);
        let inputs: Vec<Tensor> = (0..count).map(|state| b.input(source(state), shape, Type::F32)).collect();
        let all = b.axis(inputs[0].len());
        let mut sum = inputs[0];
        for group in inputs[1..].chunks(7) {
            let last = group.last().copied().unwrap_or(sum);
            let views = std::array::from_fn(|n| match n.checked_sub(1) {
                None => sum.read(&[all]),
                Some(n) => group.get(n).copied().unwrap_or(last).read(&[all]),
            });
            sum = b.map(&[all], views, |p, values: [_; 8]| {
                values[1..=group.len()].iter().fold(values[0], |sum, &value| p.plus(sum, value))
            });
        }
        outputs.push(b.map(&[all], [sum.read(&[all])], |p, [sum]| {
            let count = p.constant(count as f32);
            p.div(sum, count)
        }));
    }
    Ok(b.finish(&outputs, &[])?)
}

//! AdamW (Loshchilov and Hutter 2019) with clipping by the global norm, as maps over state entries.

use crate::builder::{Builder, Tensor};

/// Hyper-parameters that are constants of the graph; the learning rate comes from a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay per unit of learning rate.
    pub weight_decay: f32,
    /// Gradients with a greater global norm are scaled down to it.
    pub clip_norm: f32,
}

impl Default for AdamW {
    fn default() -> AdamW {
        AdamW { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip_norm: 1.0 }
    }
}

/// A trained tensor with its moments and gradient.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// The values.
    pub weight: Tensor,
    /// Decaying mean of the gradient.
    pub first: Tensor,
    /// Decaying mean of the squared gradient.
    pub second: Tensor,
    /// The gradient of this step.
    pub gradient: Tensor,
    /// Whether weight decay applies.
    pub decay: bool,
}

/// Appends one step of AdamW; gives (weight, first moment, second moment) after the step, in the order of `moments`.
///
/// `scalars` is f32 [4]: learning rate, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), unused.
pub fn adamw(builder: &mut Builder, config: &AdamW, scalars: Tensor, moments: &[Moments]) -> Vec<[Tensor; 3]> {
    let scale = clip_scale(builder, config.clip_norm, moments);
    let mut updated = Vec::with_capacity(moments.len());
    for m in moments {
        let all = builder.axis(m.weight.len());
        let read = |tensor: Tensor| tensor.read(&[all]);
        let scalar = |number| scalars.strided(number, &[]);
        let first = builder.map(
            &[all],
            [read(m.first), read(m.gradient), scale.strided(0, &[])],
            |p, [first, gradient, scale]| {
                let gradient = p.mul(gradient, scale);
                let rest = p.constant(1.0 - config.beta1);
                let change = p.sub(gradient, first);
                p.fma(rest, change, first)
            },
        );
        let second = builder.map(
            &[all],
            [read(m.second), read(m.gradient), scale.strided(0, &[])],
            |p, [second, gradient, scale]| {
                let gradient = p.mul(gradient, scale);
                let square = p.mul(gradient, gradient);
                let (beta, rest) = (p.constant(config.beta2), p.constant(1.0 - config.beta2));
                let new = p.mul(rest, square);
                p.fma(beta, second, new)
            },
        );
        let weight = builder.map(
            &[all],
            [read(m.weight), read(first), read(second), scalar(0), scalar(1), scalar(2)],
            |p, [weight, first, second, rate, correction1, correction2]| {
                let variance = p.mul(second, correction2);
                let deviation = p.sqrt(variance);
                let epsilon = p.constant(config.epsilon);
                let denominator = p.add(deviation, epsilon);
                let mean = p.mul(first, correction1);
                let mut direction = p.div(mean, denominator);
                if m.decay {
                    let decay = p.constant(config.weight_decay);
                    direction = p.fma(decay, weight, direction);
                }
                let step = p.neg(rate);
                p.fma(step, direction, weight)
            },
        );
        updated.push([weight, first, second]);
    }
    updated
}

/// clip / max(clip, global norm of the gradients): exactly 1 below the limit.
fn clip_scale(builder: &mut Builder, clip_norm: f32, moments: &[Moments]) -> Tensor {
    let mut sums: Vec<Tensor> = moments.iter().map(|m| builder.sum_of_squares(m.gradient)).collect();
    let one = builder.axis(1);
    while sums.len() > 1 {
        let mut next = Vec::with_capacity(sums.len().div_ceil(8));
        for group in sums.chunks(8) {
            let missing = group[0].strided(0, &[]);
            let views = std::array::from_fn(|n| group.get(n).map_or(missing.clone(), |s| s.strided(0, &[])));
            next.push(builder.map(&[one], views, |p, values: [_; 8]| {
                values[1..group.len()].iter().fold(values[0], |sum, &value| p.add(sum, value))
            }));
        }
        sums = next;
    }
    let Some(&total) = sums.first() else {
        return builder.map(&[one], [], |p, _: [_; 0]| p.constant(1.0));
    };
    builder.map(&[one], [total.strided(0, &[])], |p, [total]| {
        let (norm, limit) = (p.sqrt(total), p.constant(clip_norm));
        let greater = p.max(norm, limit);
        p.div(limit, greater)
    })
}

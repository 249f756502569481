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
    // What is the same for every element is computed once.
    let one = builder.axis(1);
    let scalar = |number| scalars.strided(number, &[]);
    let first_share = builder.map(&[one], [scale.read(&[one])], |p, [scale]| {
        let rest = p.constant(1.0 - config.beta1);
        p.mul(scale, rest)
    });
    let second_share = builder.map(&[one], [scale.read(&[one])], |p, [scale]| {
        let (square, rest) = (p.mul(scale, scale), p.constant(1.0 - config.beta2));
        p.mul(square, rest)
    });
    let rate = builder.map(&[one], [scalar(0), scalar(1)], |p, [rate, correction]| p.mul(rate, correction));
    let shrink = builder.map(&[one], [scalar(0)], |p, [rate]| {
        let decay = p.constant(-config.weight_decay);
        p.mul(rate, decay)
    });
    let mut updated = Vec::with_capacity(moments.len());
    for m in moments {
        let all = builder.axis(m.weight.len());
        let read = |tensor: Tensor| tensor.read(&[all]);
        let single = |tensor: Tensor| tensor.strided(0, &[]);
        let operands = [read(m.first), read(m.gradient), single(first_share)];
        let first = builder.map(&[all], operands, |p, [first, gradient, share]| {
            let (beta, new) = (p.constant(config.beta1), p.mul(gradient, share));
            p.fma(beta, first, new)
        });
        let operands = [read(m.second), read(m.gradient), single(second_share)];
        let second = builder.map(&[all], operands, |p, [second, gradient, share]| {
            let square = p.mul(gradient, gradient);
            let (beta, new) = (p.constant(config.beta2), p.mul(square, share));
            p.fma(beta, second, new)
        });
        let operands = [read(m.weight), read(first), read(second), single(rate), single(shrink), scalar(2)];
        let weight = builder.map(&[all], operands, |p, [weight, first, second, rate, shrink, correction]| {
            let variance = p.mul(second, correction);
            let (deviation, epsilon) = (p.sqrt(variance), p.constant(config.epsilon));
            let denominator = p.add(deviation, epsilon);
            let step = p.mul(first, rate);
            let direction = p.div(step, denominator);
            let kept = if m.decay { p.fma(shrink, weight, weight) } else { weight };
            p.sub(kept, direction)
        });
        updated.push([weight, first, second]);
    }
    updated
}

/// clip / max(clip, global norm of the gradients): exactly 1 below the limit.
fn clip_scale(builder: &mut Builder, clip_norm: f32, moments: &[Moments]) -> Tensor {
    let sums: Vec<Tensor> = moments.iter().map(|m| builder.sum_of_squares(m.gradient)).collect();
    let one = builder.axis(1);
    let Some(total) = builder.total(&sums) else {
        return builder.map(&[one], [], |p, _: [_; 0]| p.constant(1.0));
    };
    builder.map(&[one], [total.strided(0, &[])], |p, [total]| {
        let (norm, limit) = (p.sqrt(total), p.constant(clip_norm));
        let greater = p.max(norm, limit);
        p.div(limit, greater)
    })
}

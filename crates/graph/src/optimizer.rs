//! AdamW (Loshchilov and Hutter 2019) with clipping by the global norm, as maps over state entries.

use crate::builder::{Builder, Tensor, View};
use sip_ops::{Source, Type};

/// Settings of a round that a graph reads at once: u32 [4].
const SETTINGS: usize = 4;
/// What one unit of a setting is worth: 2⁻¹⁶.
const SETTING_UNIT: f32 = 1.0 / 65_536.0;

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
    /// What patrons steer.
    pub steered: Steered,
}

/// Which of a round's settings multiply hyper-parameters, by number from 0 to 3. A graph without any reads no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steered {
    /// Multiplies the learning rate, and with it the weight decay, which counts per unit of learning rate.
    pub learning_rate: Option<u8>,
    /// Multiplies the weight decay.
    pub weight_decay: Option<u8>,
}

impl Steered {
    /// The settings, if anything is steered.
    fn input(self, builder: &mut Builder) -> Option<Tensor> {
        let is_any = self.learning_rate.is_some() || self.weight_decay.is_some();
        is_any.then(|| builder.input(Source::Setting, &[SETTINGS], Type::U32))
    }
}

/// `value` times a setting: f32 [1], or the value as it is where nothing steers it.
fn times_setting(builder: &mut Builder, value: View, settings: Option<Tensor>, number: Option<u8>) -> View {
    let (Some(settings), Some(number)) = (settings, number) else { return value };
    let one = builder.axis(1);
    let words = settings.strided(number.into(), &[]);
    let scaled = builder.map(&[one], [value, words], |p, [value, words]| {
        let (units, unit) = (p.from_u(words), p.constant(SETTING_UNIT));
        let scale = p.mul(units, unit);
        p.mul(value, scale)
    });
    scaled.strided(0, &[])
}

impl Default for AdamW {
    fn default() -> AdamW {
        AdamW { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip_norm: 1.0, steered: Steered::default() }
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
    let (settings, steered) = (config.steered.input(builder), config.steered);
    let learning_rate = times_setting(builder, scalar(0), settings, steered.learning_rate);
    let decay_rate = times_setting(builder, learning_rate.clone(), settings, steered.weight_decay);
    let rate = builder.map(&[one], [learning_rate, scalar(1)], |p, [rate, correction]| p.mul(rate, correction));
    let shrink = builder.map(&[one], [decay_rate], |p, [rate]| {
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

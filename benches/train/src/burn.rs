//! A rival: the same Llama model, clipping and AdamW in burn, on its backend `flex` with automatic differentiation.
//!
//! burn's fused attention has no backward pass of its own, so the composed form is what it trains with in any case.

use crate::size::Shape;
use anyhow::{Context, Result};
use burn::optim::{AdamW, AdamWConfig, AdamWState, Optimizer};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData, module};
use sip_graph::Buffer;
use sip_model::LlamaConfig;

/// A weight with what the optimizer knows about it.
struct Weight<const D: usize> {
    value: Tensor<D>,
    moments: Option<AdamWState<D>>,
}

impl<const D: usize> Weight<D> {
    fn new(values: Vec<f32>, shape: [usize; D], device: &Device) -> Weight<D> {
        let value = Tensor::from_data(TensorData::new(values, shape), device).require_grad();
        Weight { value, moments: None }
    }

    fn update(&mut self, gradient: Tensor<D>, optimizer: &AdamW, rate: f64) {
        let value = self.value.clone().inner();
        let (value, moments) = optimizer.step(rate, value, gradient, self.moments.take());
        self.value = value.autodiff().require_grad();
        self.moments = moments;
    }
}

/// The model with its optimizer.
pub struct Rival {
    config: LlamaConfig,
    device: Device,
    /// Embedding, then seven per layer, in the order of [`LlamaConfig::parameters`].
    matrices: Vec<Weight<2>>,
    /// Two per layer, and the last.
    gains: Vec<Weight<1>>,
    cos: Tensor<4>,
    sin: Tensor<4>,
    mask: Tensor<4, Bool>,
    clip_norm: f32,
    rate: f64,
    with_decay: AdamW,
    without_decay: AdamW,
}

impl Rival {
    /// Starts from these weights, in the order of [`LlamaConfig::parameters`]. The shape must have as many key as query
    /// heads and tied embeddings, as all measured ones have.
    pub fn new(shape: &Shape, optimizer: &sip_graph::AdamW, rate: f64, weights: Vec<Buffer>) -> Result<Rival> {
        let device = Device::flex().autodiff();
        let config = shape.config.clone();
        let (mut matrices, mut gains) = (Vec::new(), Vec::new());
        for ((name, sides), values) in config.parameters().into_iter().zip(weights) {
            match sides[..] {
                [rows, columns] => matrices.push(Weight::new(values.to_f32(), [rows, columns], &device)),
                [width] => gains.push(Weight::new(values.to_f32(), [width], &device)),
                _ => anyhow::bail!("{name} is neither a matrix nor a vector"),
            }
        }
        let (seq, head) = (shape.seq_len, config.head_dim());
        let angle = |t: usize, j: usize| t as f64 / (config.rope_theta as f64).powf(2.0 * j as f64 / head as f64);
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> =
                (0..seq).flat_map(|t| (0..head).map(move |j| of(angle(t, j % (head / 2))) as f32)).collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, 1, seq, head]), &device)
        };
        let masked: Vec<bool> = (0..seq).flat_map(|row| (0..seq).map(move |column| column > row)).collect();
        let adamw = |decay: f32| {
            let config = AdamWConfig::new().with_beta_1(optimizer.beta1).with_beta_2(optimizer.beta2);
            config.with_epsilon(optimizer.epsilon).with_weight_decay(decay).build()
        };
        Ok(Rival {
            cos: table(f64::cos),
            sin: table(f64::sin),
            mask: Tensor::from_data(TensorData::new(masked, [1, 1, seq, seq]), &device),
            config,
            device,
            matrices,
            gains,
            clip_norm: optimizer.clip_norm,
            rate,
            with_decay: adamw(optimizer.weight_decay),
            without_decay: adamw(0.0),
        })
    }

    /// One training step on a batch u32 [rows, sequence + 1]; the loss before it.
    pub fn step(&mut self, batch: &[u32], rows: usize) -> Result<f32> {
        let seq = batch.len() / rows - 1;
        let of = |shift: usize| {
            let values =
                batch.chunks(seq + 1).flat_map(|row| &row[shift..shift + seq]).map(|&token| token as i32).collect();
            Tensor::<2, Int>::from_data(TensorData::new::<i32, _>(values, [rows, seq]), &self.device)
        };
        let loss = self.loss(of(0), of(1));
        let mut gradients = loss.backward();
        let missing = "a weight has no gradient";
        let take = |gradients: &mut Gradients, weight: &Weight<2>| weight.value.grad_remove(gradients).context(missing);
        let matrices = self.matrices.iter().map(|w| take(&mut gradients, w)).collect::<Result<Vec<_>>>()?;
        let take = |gradients: &mut Gradients, weight: &Weight<1>| weight.value.grad_remove(gradients).context(missing);
        let gains = self.gains.iter().map(|w| take(&mut gradients, w)).collect::<Result<Vec<_>>>()?;
        let squares: f32 = matrices.iter().map(|g| g.clone().square().sum().into_scalar::<f32>()).sum::<f32>()
            + gains.iter().map(|g| g.clone().square().sum().into_scalar::<f32>()).sum::<f32>();
        let scale = self.clip_norm / squares.sqrt().max(self.clip_norm);
        for (weight, gradient) in self.matrices.iter_mut().zip(matrices) {
            let gradient = if scale < 1.0 { gradient.mul_scalar(scale) } else { gradient };
            weight.update(gradient, &self.with_decay, self.rate);
        }
        for (weight, gradient) in self.gains.iter_mut().zip(gains) {
            let gradient = if scale < 1.0 { gradient.mul_scalar(scale) } else { gradient };
            weight.update(gradient, &self.without_decay, self.rate);
        }
        Ok(loss.into_scalar::<f32>())
    }

    /// Mean cross-entropy of the targets, both [rows, sequence].
    fn loss(&self, tokens: Tensor<2, Int>, targets: Tensor<2, Int>) -> Tensor<1> {
        let [rows, seq] = tokens.dims();
        let (width, heads, head) = (self.config.hidden_size, self.config.num_heads, self.config.head_dim());
        let linear = |x: Tensor<2>, weight: &Weight<2>| x.matmul(weight.value.clone().transpose());
        let split = |x: Tensor<2>| x.reshape([rows, seq, heads, head]).swap_dims(1, 2);
        let Some((embedding, layers)) = self.matrices.split_first() else { return Tensor::empty([1], &self.device) };
        let mut gains = self.gains.iter();
        let mut norm = |x: Tensor<2>| self.norm(x, gains.next());
        let mut x = module::embedding(embedding.value.clone(), tokens).reshape([rows * seq, width]);
        for layer in layers.chunks_exact(7) {
            let [query, key, value, output, gate, up, down] = layer else { break };
            let normed = norm(x.clone());
            // Scaled here, where it is cheaper than on the scores.
            let query = self.rotate(split(linear(normed.clone(), query)).mul_scalar(1.0 / (head as f32).sqrt()));
            let key = self.rotate(split(linear(normed.clone(), key)));
            let value = split(linear(normed, value));
            let scores = query.matmul(key.swap_dims(2, 3));
            let mask = self.mask.clone().expand([rows, heads, seq, seq]);
            let attended = softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 3).matmul(value);
            x = x + linear(attended.swap_dims(1, 2).reshape([rows * seq, width]), output);
            let normed = norm(x.clone());
            x = x + linear(silu(linear(normed.clone(), gate)) * linear(normed, up), down);
        }
        let logits = linear(norm(x), embedding);
        let shifted = logits.clone() - logits.detach().max_dim(1);
        let log_sums = shifted.clone().exp().sum_dim(1).log();
        let chosen = shifted.gather(1, targets.reshape([rows * seq, 1]));
        (log_sums - chosen).mean()
    }

    fn norm(&self, x: Tensor<2>, gain: Option<&Weight<1>>) -> Tensor<2> {
        let root = x.clone().square().mean_dim(1).add_scalar(self.config.rms_norm_eps).sqrt();
        let normed = x / root;
        match gain {
            Some(gain) => normed * gain.value.clone().unsqueeze(),
            None => normed,
        }
    }

    /// Rotates the pairs (i, i + half) of heads [rows, heads, tokens, head width].
    fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = self.config.head_dim() / 2;
        let (first, second) = (x.clone().narrow(3, 0, half), x.clone().narrow(3, half, half));
        x * self.cos.clone() + Tensor::cat(vec![second.neg(), first], 3) * self.sin.clone()
    }
}

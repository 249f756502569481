//! A rival: the same Llama model, clipping and AdamW in candle, on its CPU backend.
//!
//! candle's fused `rms_norm`, `rope` and `softmax_last_dim` have no backward pass, so training needs the composed forms.

use crate::size::Shape;
use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::rotary_emb::rope_slow;
use candle_nn::{AdamW, Optimizer, ParamsAdamW, ops};
use sip_graph::Buffer;
use sip_model::LlamaConfig;

/// Weights of one layer, in the order of [`LlamaConfig::parameters`].
struct Layer {
    input_norm: Var,
    query: Var,
    key: Var,
    value: Var,
    output: Var,
    post_norm: Var,
    gate: Var,
    up: Var,
    down: Var,
}

/// The model with its optimizer.
pub struct Rival {
    config: LlamaConfig,
    embedding: Var,
    layers: Vec<Layer>,
    norm: Var,
    cos: Tensor,
    sin: Tensor,
    mask: Tensor,
    weights: Vec<Var>,
    clip_norm: f32,
    /// One for the matrices and one, without decay, for the gains of the norms.
    optimizers: [AdamW; 2],
}

impl Rival {
    /// Starts from these weights, in the order of [`LlamaConfig::parameters`]. The shape must have as many key as query heads and tied
    /// embeddings, as all measured ones have.
    pub fn new(shape: &Shape, optimizer: &sip_graph::AdamW, rate: f64, weights_at_start: Vec<Buffer>) -> Result<Rival> {
        let device = Device::Cpu;
        let config = shape.config.clone();
        let mut weights = Vec::new();
        for ((_, sides), values) in config.parameters().into_iter().zip(weights_at_start) {
            weights.push(Var::from_slice(&values.to_f32(), sides, &device)?);
        }
        let mut all = weights.iter().cloned();
        let mut next = || all.next().ok_or_else(|| candle_core::Error::Msg("there are too few weights".into()));
        let embedding = next()?;
        let mut layers = Vec::new();
        for _ in 0..config.num_layers {
            layers.push(Layer {
                input_norm: next()?,
                query: next()?,
                key: next()?,
                value: next()?,
                output: next()?,
                post_norm: next()?,
                gate: next()?,
                up: next()?,
                down: next()?,
            });
        }
        let norm = next()?;

        let (seq, head) = (shape.seq_len, config.head_dim());
        let angle = |t: usize, j: usize| t as f64 / (config.rope_theta as f64).powf(2.0 * j as f64 / head as f64);
        let angles = || (0..seq).flat_map(|t| (0..head / 2).map(move |j| angle(t, j)));
        let cos: Vec<f32> = angles().map(|angle| angle.cos() as f32).collect();
        let sin: Vec<f32> = angles().map(|angle| angle.sin() as f32).collect();
        let masked = |row: usize, column: usize| if column > row { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..seq).flat_map(|row| (0..seq).map(move |column| masked(row, column))).collect();

        let params = |weight_decay: f32| ParamsAdamW {
            lr: rate,
            beta1: optimizer.beta1 as f64,
            beta2: optimizer.beta2 as f64,
            eps: optimizer.epsilon as f64,
            weight_decay: weight_decay as f64,
        };
        let (matrices, gains) = weights.iter().cloned().partition(|var| var.rank() > 1);
        Ok(Rival {
            embedding,
            layers,
            norm,
            cos: Tensor::from_vec(cos, (seq, head / 2), &device)?,
            sin: Tensor::from_vec(sin, (seq, head / 2), &device)?,
            mask: Tensor::from_vec(mask, (seq, seq), &device)?,
            weights,
            clip_norm: optimizer.clip_norm,
            optimizers: [AdamW::new(matrices, params(optimizer.weight_decay))?, AdamW::new(gains, params(0.0))?],
            config,
        })
    }

    /// One training step on a batch u32 [rows, sequence + 1]; the loss before it.
    pub fn step(&mut self, batch: &[u32], rows: usize) -> Result<f32> {
        let all = Tensor::from_slice(batch, (rows, batch.len() / rows), &Device::Cpu)?;
        let seq = batch.len() / rows - 1;
        let loss = self.loss(&all.narrow(1, 0, seq)?.contiguous()?, &all.narrow(1, 1, seq)?.contiguous()?)?;
        let mut gradients = loss.backward()?;
        let mut squares = 0.0;
        for weight in &self.weights {
            let Some(gradient) = gradients.get(weight) else {
                candle_core::bail!("a weight of shape {:?} has no gradient", weight.dims());
            };
            squares += gradient.sqr()?.sum_all()?.to_scalar::<f32>()?;
        }
        let norm = squares.sqrt();
        if norm > self.clip_norm {
            for weight in &self.weights {
                if let Some(gradient) = gradients.remove(weight) {
                    gradients.insert(weight, (gradient * (self.clip_norm / norm) as f64)?);
                }
            }
        }
        for optimizer in &mut self.optimizers {
            optimizer.step(&gradients)?;
        }
        loss.to_scalar::<f32>()
    }

    /// Mean cross-entropy of the targets, both u32 [rows, sequence].
    fn loss(&self, tokens: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (width, eps) = (self.config.hidden_size, self.config.rms_norm_eps);
        let (rows, seq) = tokens.dims2()?;
        let (heads, head) = (self.config.num_heads, self.config.head_dim());
        let linear = |x: &Tensor, weight: &Var| x.matmul(&weight.t()?);
        let split = |x: Tensor| x.reshape((rows, seq, heads, head))?.transpose(1, 2)?.contiguous();
        let mut x = self.embedding.embedding(&tokens.flatten_all()?)?;
        for layer in &self.layers {
            let normed = ops::rms_norm_slow(&x, &layer.input_norm, eps)?;
            // Scaled here, where it is cheaper than on the scores.
            let query = (split(linear(&normed, &layer.query)?)? * (1.0 / (head as f64).sqrt()))?;
            let query = rope_slow(&query, &self.cos, &self.sin)?;
            let key = rope_slow(&split(linear(&normed, &layer.key)?)?, &self.cos, &self.sin)?;
            let value = split(linear(&normed, &layer.value)?)?;
            let scores = query.matmul(&key.t()?)?.broadcast_add(&self.mask)?;
            let attended = softmax(&scores)?.matmul(&value)?;
            let attended = attended.transpose(1, 2)?.reshape((rows * seq, width))?;
            x = (x + linear(&attended, &layer.output)?)?;
            let normed = ops::rms_norm_slow(&x, &layer.post_norm, eps)?;
            let gated = (ops::silu(&linear(&normed, &layer.gate)?)? * linear(&normed, &layer.up)?)?;
            x = (x + linear(&gated, &layer.down)?)?;
        }
        let logits = linear(&ops::rms_norm_slow(&x, &self.norm, eps)?, &self.embedding)?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
        let log_sums = shifted.exp()?.sum_keepdim(1)?.log()?;
        let chosen = shifted.gather(&targets.flatten_all()?.unsqueeze(1)?, 1)?;
        (log_sums - chosen)?.mean_all()
    }
}

/// As `candle_nn::ops::softmax`, but without a gradient through the maximum: it is zero, and computing it takes time.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}

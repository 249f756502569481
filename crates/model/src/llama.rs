//! Llama as operator graphs: training step, evaluation and next-token logits.
//!
//! Touvron et al. 2023: RMSNorm before each block, rotary positions (in the half-split order of Hugging Face, so that
//! exported weights work in `transformers`), SwiGLU, no biases; grouped key/value heads as in Ainslie et al. 2023.
//!
//! Activations are laid out [feature, row, token], tokens innermost: sums over features run down columns, so that
//! neighbouring chains read neighbouring elements, and every inner loop is as long as a row.
//!
//! State entries: every weight in the order of [`LlamaConfig::parameters`], then every first moment, then every
//! second moment. Tables: 0 the step scalars, 1 cosines, 2 sines; see [`crate::tables`].

use crate::export::{ExportError, LlamaConfig};
use sip_graph::{AdamW, Axis, Builder, Contraction, Graph, GraphError, Moments, RunError, Tensor, View, adamw};
use sip_ops::{Source, Type};

/// Table of the step scalars: f32 [steps, 4].
pub const STEP_TABLE: u32 = 0;
/// Table of the cosines: f32 [head width / 2, sequence].
pub const COSINE_TABLE: u32 = 1;
/// Table of the sines with the sign of the rotation: f32 [2, head width / 2, sequence].
pub const SINE_TABLE: u32 = 2;

/// What stands in masked scores: its exponential is exactly 0.
const MASKED: f32 = -1e30;

/// Masked products are computed in rows shorter than this: skipping half of them saves less than it costs there.
const SKIP_FROM_TOKENS: u32 = 256;

/// Why a model's graph cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The shape of the model is not valid.
    #[error(transparent)]
    Config(#[from] ExportError),
    /// A size of the job is out of range.
    #[error("{field} is {value}, expected {expected}")]
    Size {
        /// The size.
        field: &'static str,
        /// Its value.
        value: usize,
        /// What it may be.
        expected: String,
    },
    /// The graph breaks a rule of the operator set, for example because a chain would be too long.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A graph of the model could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Hyper-parameters of training that are constants of the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainConfig {
    /// Rows per batch.
    pub batch: usize,
    /// Tokens per row.
    pub seq_len: usize,
    /// Rows of the table of step scalars.
    pub total_steps: usize,
    /// The optimizer.
    pub optimizer: AdamW,
}

/// A parameter of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Hugging Face name.
    pub name: String,
    /// Sides, outermost first; matrices are [out, in].
    pub shape: Vec<usize>,
    /// Whether weight decay applies (matrices only).
    pub decay: bool,
}

impl ParamSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A training step as a graph; its result `loss` is the mean cross-entropy in nats per token.
#[derive(Clone, Debug)]
pub struct TrainingGraph {
    /// The graph.
    pub graph: Graph,
    /// The parameters, in the order of the state entries.
    pub params: Vec<ParamSpec>,
    /// The node of the loss, f32 [1].
    pub loss: u32,
}

/// The parameters of a model, in the order of the state entries.
pub fn params(config: &LlamaConfig) -> Vec<ParamSpec> {
    let spec = |(name, shape): (String, Vec<usize>)| ParamSpec { decay: shape.len() > 1, name, shape };
    config.parameters().into_iter().map(spec).collect()
}

/// One step of training: forward, backward, clipping, AdamW.
///
/// # Errors
/// A shape or size that is out of range.
pub fn training_graph(config: &LlamaConfig, train: &TrainConfig) -> Result<TrainingGraph, ModelError> {
    check(config, train.batch, train.seq_len)?;
    if train.total_steps == 0 || train.total_steps > 1 << 24 {
        let expected = format!("1 to {}", 1 << 24);
        return Err(ModelError::Size { field: "total_steps", value: train.total_steps, expected });
    }
    let params = params(config);
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &params, train.batch, train.seq_len);
    let batch = model.batch(&mut b);
    let hidden = model.hidden(&mut b, batch);
    let losses = model.losses(&mut b, hidden, batch);
    let (row, token) = (model.row, model.token);
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&[row, token]));
    let weights = model.weights.clone();
    let gradients = b.gradients(loss, &weights);

    let count = params.len();
    let moments: Vec<Moments> = params
        .iter()
        .enumerate()
        .map(|(index, spec)| Moments {
            weight: weights[index],
            first: b.input(Source::State((count + index) as u32), &spec.shape, Type::F32),
            second: b.input(Source::State((2 * count + index) as u32), &spec.shape, Type::F32),
            gradient: gradients[index],
            decay: spec.decay,
        })
        .collect();
    let scalars = step_scalars(&mut b, train.total_steps);
    let updated = adamw(&mut b, &train.optimizer, scalars, &moments);
    let outputs: Vec<Tensor> = (0..3).flat_map(|part| updated.iter().map(move |new| new[part])).collect();
    let graph = b.finish(&outputs, &[("loss", loss)])?;
    let loss = graph.result("loss").unwrap_or(0);
    Ok(TrainingGraph { graph, params, loss })
}

/// The gradients alone, named `gradient.<parameter>`, beside `loss`: what tests and diagnostics look at.
///
/// # Errors
/// A shape or size that is out of range.
pub fn gradient_graph(config: &LlamaConfig, batch: usize, seq_len: usize) -> Result<Graph, ModelError> {
    check(config, batch, seq_len)?;
    let params = params(config);
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &params, batch, seq_len);
    let batch = model.batch(&mut b);
    let hidden = model.hidden(&mut b, batch);
    let losses = model.losses(&mut b, hidden, batch);
    let (row, token) = (model.row, model.token);
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&[row, token]));
    let gradients = b.gradients(loss, &model.weights);
    let names: Vec<String> = params.iter().map(|p| format!("gradient.{}", p.name)).collect();
    let mut results = vec![("loss", loss)];
    results.extend(names.iter().map(String::as_str).zip(gradients));
    Ok(b.finish(&[], &results)?)
}

/// Evaluation: `loss` is the mean cross-entropy in nats per token, f32 [1], and `row_loss` that of each row.
///
/// State entries are the weights; tables 1 and 2 as in training.
///
/// # Errors
/// A shape or size that is out of range.
pub fn eval_graph(config: &LlamaConfig, batch: usize, seq_len: usize) -> Result<Graph, ModelError> {
    check(config, batch, seq_len)?;
    let params = params(config);
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &params, batch, seq_len);
    let tokens = model.batch(&mut b);
    let hidden = model.hidden(&mut b, tokens);
    let losses = model.losses(&mut b, hidden, tokens);
    let (row, token) = (model.row, model.token);
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[row, token], losses.read(&[row, token]));
    let sums = b.reduce_add(&[row], &[token], losses.read(&[row, token]));
    let rows = b.map(&[row], [sums.read(&[row])], |p, [sum]| {
        let count = p.constant(batch as f32);
        p.mul(sum, count)
    });
    Ok(b.finish(&[], &[("loss", loss), ("row_loss", rows)])?)
}

/// Next-token logits: result `logits`, f32 [vocabulary], after the token at position `Source::Step`.
///
/// The batch is u32 [1, window]; tokens behind the position do not matter, but have to be token ids.
///
/// # Errors
/// A shape or size that is out of range.
pub fn logits_graph(config: &LlamaConfig, window: usize) -> Result<Graph, ModelError> {
    check(config, 1, window)?;
    let params = params(config);
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &params, 1, window);
    let tokens = b.input(Source::Batch, &[1, window], Type::U32);
    let view = tokens.read(&[model.row, model.token]);
    let hidden = model.hidden_of(&mut b, view);
    let position = b.input(Source::Step, &[1], Type::U32);
    let width = model.width;
    let last = b.gather(&[width], position.strided(0, &[]), hidden.strided(0, &[(width, window as i32)]), 1);
    let vocabulary = model.vocabulary;
    let head = model.head();
    let logits = b.contract(&[vocabulary], &[width], last.read(&[width]), head.read(&[vocabulary, width]));
    Ok(b.finish(&[], &[("logits", logits)])?)
}

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

fn check(config: &LlamaConfig, batch: usize, seq_len: usize) -> Result<(), ModelError> {
    config.validate()?;
    if batch == 0 || batch > 1 << 16 {
        return Err(ModelError::Size { field: "batch", value: batch, expected: "1 to 65536".into() });
    }
    if seq_len == 0 || seq_len > config.max_seq_len {
        let expected = format!("1 to max_seq_len {}", config.max_seq_len);
        return Err(ModelError::Size { field: "seq_len", value: seq_len, expected });
    }
    Ok(())
}

/// The row of the step table for this step.
fn step_scalars(b: &mut Builder, total_steps: usize) -> Tensor {
    let step = b.input(Source::Step, &[1], Type::U32);
    let table = b.input(Source::Table(STEP_TABLE), &[total_steps, 4], Type::F32);
    let column = b.axis(4);
    b.gather(&[column], step.strided(0, &[]), table.strided(0, &[(column, 1)]), 4)
}

/// The axes and inputs of one model.
struct Model<'a> {
    config: &'a LlamaConfig,
    weights: Vec<Tensor>,
    cosines: Tensor,
    sines: Tensor,
    next_weight: usize,
    row: Axis,
    token: Axis,
    /// Position attended to.
    source: Axis,
    width: Axis,
    inner: Axis,
    vocabulary: Axis,
    /// Key/value head, and query head within its group.
    group: Axis,
    member: Axis,
    /// Dimension within a head, and the same as halves.
    dimension: Axis,
    half: Axis,
    pair: Axis,
}

impl<'a> Model<'a> {
    fn new(b: &mut Builder, config: &'a LlamaConfig, params: &[ParamSpec], batch: usize, seq_len: usize) -> Model<'a> {
        let weights = params
            .iter()
            .enumerate()
            .map(|(index, spec)| b.input(Source::State(index as u32), &spec.shape, Type::F32))
            .collect();
        let pairs = config.head_dim() / 2;
        Model {
            config,
            weights,
            cosines: b.input(Source::Table(COSINE_TABLE), &[pairs, seq_len], Type::F32),
            sines: b.input(Source::Table(SINE_TABLE), &[2, pairs, seq_len], Type::F32),
            next_weight: 0,
            row: b.axis(batch),
            token: b.axis(seq_len),
            source: b.axis(seq_len),
            width: b.axis(config.hidden_size),
            inner: b.axis(config.intermediate_size),
            vocabulary: b.axis(config.vocab_size),
            group: b.axis(config.num_kv_heads),
            member: b.axis(config.num_heads / config.num_kv_heads),
            dimension: b.axis(config.head_dim()),
            half: b.axis(2),
            pair: b.axis(pairs),
        }
    }

    fn batch(&self, b: &mut Builder) -> Tensor {
        b.input(Source::Batch, &[self.row.size() as usize, self.token.size() as usize + 1], Type::U32)
    }

    /// Tokens of the batch, `shift` positions on.
    fn tokens(&self, batch: Tensor, shift: i32) -> View {
        batch.strided(shift, &[(self.row, self.token.size() as i32 + 1), (self.token, 1)])
    }

    fn weight(&mut self) -> Tensor {
        self.next_weight += 1;
        self.weights[self.next_weight - 1]
    }

    fn head(&self) -> Tensor {
        let last = if self.config.tie_embeddings { 0 } else { self.weights.len() - 1 };
        self.weights[last]
    }

    fn hidden(&mut self, b: &mut Builder, batch: Tensor) -> Tensor {
        let view = self.tokens(batch, 0);
        self.hidden_of(b, view)
    }

    /// From tokens to the normalised output of the last layer, [width, row, token].
    fn hidden_of(&mut self, b: &mut Builder, tokens: View) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let embedding = self.weight();
        let rows = embedding.strided(0, &[(width, 1)]);
        let found = b.gather(&[row, token, width], tokens, rows, self.config.hidden_size);
        let mut stream = b.map(&[width, row, token], [found.read(&[row, token, width])], |_, [x]| x);
        for _ in 0..self.config.num_layers {
            stream = self.attention(b, stream);
            stream = self.feed_forward(b, stream);
        }
        self.norm(b, stream)
    }

    /// x · g / √(mean x² + ε)
    fn norm(&mut self, b: &mut Builder, x: Tensor) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let all = [width, row, token];
        let squares = b.contract(&[row, token], &[width], x.read(&all), x.read(&all));
        let (count, epsilon) = (self.config.hidden_size as f32, self.config.rms_norm_eps);
        let inverse = b.map(&[row, token], [squares.read(&[row, token])], |p, [squares]| {
            let (share, epsilon, one) = (p.constant(1.0 / count), p.constant(epsilon), p.constant(1.0));
            let mean = p.fma(squares, share, epsilon);
            let root = p.sqrt(mean);
            p.div(one, root)
        });
        let gain = self.weight();
        let operands = [x.read(&all), inverse.read(&[row, token]), gain.read(&[width])];
        b.map(&all, operands, |p, [x, inverse, gain]| {
            let scaled = p.mul(x, inverse);
            p.mul(scaled, gain)
        })
    }

    /// Rotates the pairs (i, i + half) of every head by the position's angle and multiplies by `scale`.
    fn rotate(&self, b: &mut Builder, x: Tensor, heads: Axis, scale: f32) -> Tensor {
        let (row, token, half, pair) = (self.row, self.token, self.half, self.pair);
        let all = [heads, half, pair, row, token];
        let read = x.read(&all);
        let other = read.clone().flip(half);
        let (cosines, sines) = (self.cosines.read(&[pair, token]), self.sines.read(&[half, pair, token]));
        b.map(&all, [read, other, cosines, sines], |p, [x, other, cosine, sine]| {
            let turned = p.mul(other, sine);
            let rotated = p.fma(x, cosine, turned);
            let scale = p.constant(scale);
            p.mul(rotated, scale)
        })
    }

    fn attention(&mut self, b: &mut Builder, stream: Tensor) -> Tensor {
        let (row, token, source, width) = (self.row, self.token, self.source, self.width);
        let (group, member, dimension) = (self.group, self.member, self.dimension);
        let normed = self.norm(b, stream).read(&[width, row, token]);
        let heads = b.axis(self.config.num_heads);
        let project = |b: &mut Builder, weight: Tensor, heads: Axis| {
            let weight = weight.read(&[heads, dimension, width]);
            b.contract(&[heads, dimension, row, token], &[width], weight, normed.clone())
        };
        let query = project(b, self.weight(), heads);
        let key = project(b, self.weight(), group);
        let value = project(b, self.weight(), group);
        let scale = 1.0 / (self.config.head_dim() as f32).sqrt();
        let query = self.rotate(b, query, heads, scale);
        let key = self.rotate(b, key, group, 1.0);

        let causal = Some((source, token));
        let skip = causal.filter(|_| token.size() >= SKIP_FROM_TOKENS);
        let square = [row, group, member, source, token];
        let scores = b.contraction(Contraction {
            out: &square,
            reduce: &[dimension],
            a: key.read(&[group, dimension, row, source]),
            b: query.read(&[group, member, dimension, row, token]),
            start: None,
            only: skip,
        });
        let per_token = [row, group, member, token];
        let greatest = b.reduce_max(&per_token, &[source], scores.read(&square), causal);
        let powers = b.map(&square, [scores.read(&square), greatest.read(&per_token)], |p, [score, greatest]| {
            let (position, at) = (p.coordinate(source), p.coordinate(token));
            let later = p.less_u(at, position);
            let (difference, masked) = (p.sub(score, greatest), p.constant(MASKED));
            let exponent = p.select(later, masked, difference);
            p.exp(exponent)
        });
        let sums = b.reduce_add(&per_token, &[source], powers.read(&square));
        let inverse = b.map(&per_token, [sums.read(&per_token)], |p, [sum]| {
            let one = p.constant(1.0);
            p.div(one, sum)
        });
        let mixed_axes = [group, member, dimension, row, token];
        let mixed = b.contraction(Contraction {
            out: &mixed_axes,
            reduce: &[source],
            a: value.read(&[group, dimension, row, source]),
            b: powers.read(&square),
            start: None,
            only: skip,
        });
        let attended = b
            .map(&mixed_axes, [mixed.read(&mixed_axes), inverse.read(&per_token)], |p, [x, inverse]| p.mul(x, inverse));
        let joined = b.axis(self.config.hidden_size);
        let output = self.weight().read(&[width, joined]);
        self.add_to(b, stream, joined, attended, output)
    }

    fn feed_forward(&mut self, b: &mut Builder, stream: Tensor) -> Tensor {
        let (row, token, width, inner) = (self.row, self.token, self.width, self.inner);
        let normed = self.norm(b, stream).read(&[width, row, token]);
        let all = [inner, row, token];
        let gate_weight = self.weight().read(&[inner, width]);
        let gate = b.contract(&all, &[width], gate_weight, normed.clone());
        let up_weight = self.weight().read(&[inner, width]);
        let up = b.contract(&all, &[width], up_weight, normed);
        // SiLU is gate / (1 + e⁻ᵍᵃᵗᵉ). The power is a tensor of its own because the backward pass needs it twice; the bound
        // keeps it finite.
        let power = b.map(&all, [gate.read(&all)], |p, [gate]| {
            let bound = p.constant(-80.0);
            let bounded = p.max(gate, bound);
            let negative = p.neg(bounded);
            p.exp(negative)
        });
        let active = b.map(&all, [gate.read(&all), up.read(&all), power.read(&all)], |p, [gate, up, power]| {
            let (one, product) = (p.constant(1.0), p.mul(gate, up));
            let denominator = p.add(power, one);
            p.div(product, denominator)
        });
        let down = self.weight().read(&[width, inner]);
        self.add_to(b, stream, inner, active, down)
    }

    /// stream + weight · x as one chain per element.
    fn add_to(&self, b: &mut Builder, stream: Tensor, reduce: Axis, x: Tensor, weight: View) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        b.contraction(Contraction {
            out: &[width, row, token],
            reduce: &[reduce],
            a: weight,
            b: x.read(&[reduce, row, token]),
            start: Some(stream.read(&[width, row, token])),
            only: None,
        })
    }

    /// Cross-entropy of the next token, divided by the number of tokens, per position.
    fn losses(&mut self, b: &mut Builder, hidden: Tensor, batch: Tensor) -> Tensor {
        let (row, token, width, vocabulary) = (self.row, self.token, self.width, self.vocabulary);
        let head = self.head().read(&[vocabulary, width]);
        let all = [vocabulary, row, token];
        let at = [row, token];
        let logits = b.contract(&all, &[width], head, hidden.read(&[width, row, token]));
        let greatest = b.reduce_max(&at, &[vocabulary], logits.read(&all), None);
        let powers = b.map(&all, [logits.read(&all), greatest.read(&at)], |p, [logit, greatest]| {
            let difference = p.sub(logit, greatest);
            p.exp(difference)
        });
        let sums = b.reduce_add(&at, &[vocabulary], powers.read(&all));
        let targets = self.tokens(batch, 1);
        let (rows, tokens) = (row.size(), token.size());
        let columns = logits.strided(0, &[(row, tokens as i32), (token, 1)]);
        let chosen = b.gather(&at, targets, columns, rows as usize * tokens as usize);
        let share = 1.0 / (rows as f32 * tokens as f32);
        b.map(&at, [sums.read(&at), greatest.read(&at), chosen.read(&at)], |p, [sum, greatest, chosen]| {
            let difference = p.sub(greatest, chosen);
            let log = p.log(sum);
            let (loss, share) = (p.add(log, difference), p.constant(share));
            p.mul(loss, share)
        })
    }
}

//! Llama as operator graphs: training step, evaluation and next-token logits.
//!
//! Touvron et al. 2023: RMSNorm before each block, rotary positions (in the half-split order of Hugging Face, so that
//! exported weights work in `transformers`), SwiGLU, no biases; grouped key/value heads as in Ainslie et al. 2023.
//!
//! Activations are laid out [feature, row, token], tokens innermost: sums over features run down columns, so that
//! neighbouring chains read neighbouring elements, and every inner loop is as long as a row.
//!
//! State entries: every trained tensor (all weights in the order of [`LlamaConfig::parameters`], or the adapters of
//! [`crate::lora`]), then every first moment, then every second moment. Tables: 0 the step scalars, 1 cosines, 2 sines
//! (see [`crate::tables`]), 3 the reference of [`crate::dpo`], from 4 on the weights that adapters leave frozen.
//!
//! Every graph is put together from the parts of one `Model`: what is trained and what the loss is are arguments.

use crate::dpo;
use crate::export::{ExportError, LlamaConfig};
use crate::lora::{self, Adapter, Lora};
use sip_graph::{AdamW, Axis, Builder, Contraction, Graph, GraphError, Moments, RunError, Tensor, View, adamw};
use sip_ops::{Source, Type};

/// Table of the step scalars: f32 [steps, 4].
pub const STEP_TABLE: u32 = 0;
/// Table of the cosines: f32 [head width / 2, sequence].
pub const COSINE_TABLE: u32 = 1;
/// Table of the sines with the sign of the rotation: f32 [2, head width / 2, sequence].
pub const SINE_TABLE: u32 = 2;

/// Table of the reference's log-probabilities in preference training: f32 [pairs, 2], chosen and rejected.
pub const REFERENCE_TABLE: u32 = 3;
/// Table of the first weight that adapters leave frozen; the others follow in the order of the parameters.
pub const FROZEN_TABLE: u32 = 4;

/// What stands in masked scores: its exponential is exactly 0.
pub(crate) const MASKED: f32 = -1e30;

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
    /// A number of the job is out of range.
    #[error("{field} is {value}, expected {expected}")]
    Number {
        /// The number's name.
        field: &'static str,
        /// Its value.
        value: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// The graph breaks a rule of the operator set, for example because a chain would be too long.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A graph of the model could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Tokens of a step at most, rows times tokens per row: the gradient of an embedding is one chain over all of them.
pub const STEP_TOKENS_MAX: usize = sip_ops::MAX_TERMS as usize;

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

/// What a run of training changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Trained {
    /// Every weight.
    #[default]
    Weights,
    /// Adapters of low rank beside frozen weights.
    Adapters(Lora),
}

/// What training minimises, and with it the layout of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Objective {
    /// Mean cross-entropy of every token after the first; a batch is u32 [rows, sequence + 1].
    #[default]
    NextToken,
    /// Mean cross-entropy of the marked tokens; a batch is u32 [rows, 2, sequence + 1], in every row the tokens and then
    /// 1 for a token that counts, 0 for one that does not (the first never counts).
    Response,
    /// Preferred over rejected answers: [`crate::dpo`].
    Preference(dpo::Preference),
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

/// A training step as a graph; its result `loss` is what the [`Objective`] says, for cross-entropies in nats per token.
#[derive(Clone, Debug)]
pub struct TrainingGraph {
    /// The graph.
    pub graph: Graph,
    /// The trained tensors, in the order of the state entries.
    pub params: Vec<ParamSpec>,
    /// The node of the loss, f32 [1].
    pub loss: u32,
}

/// The parameters of a model, in the order of the state entries.
pub fn params(config: &LlamaConfig) -> Vec<ParamSpec> {
    let spec = |(name, shape): (String, Vec<usize>)| ParamSpec { decay: shape.len() > 1, name, shape };
    config.parameters().into_iter().map(spec).collect()
}

/// One step of training from random weights: forward, backward, clipping, AdamW.
///
/// # Errors
/// A shape or size that is out of range.
pub fn training_graph(config: &LlamaConfig, train: &TrainConfig) -> Result<TrainingGraph, ModelError> {
    step_graph(config, train, &Trained::Weights, &Objective::NextToken)
}

/// One step of training of what `trained` says towards `objective`.
///
/// # Errors
/// A shape or size that is out of range.
pub fn step_graph(
    config: &LlamaConfig,
    train: &TrainConfig,
    trained: &Trained,
    objective: &Objective,
) -> Result<TrainingGraph, ModelError> {
    if train.total_steps == 0 || train.total_steps > 1 << 24 {
        let expected = format!("1 to {}", 1 << 24);
        return Err(ModelError::Size { field: "total_steps", value: train.total_steps, expected });
    }
    let value = train.batch.saturating_mul(train.seq_len);
    if value > STEP_TOKENS_MAX {
        return Err(ModelError::Size {
            field: "batch × seq_len",
            value,
            expected: format!("at most {STEP_TOKENS_MAX}"),
        });
    }
    let mut b = Builder::new();
    let (mut model, tensors, params) = Model::for_training(&mut b, config, trained, train.batch, train.seq_len)?;
    let loss = model.loss(&mut b, objective)?;
    let gradients = b.gradients(loss, &tensors);

    let count = params.len();
    let moments: Vec<Moments> = params
        .iter()
        .enumerate()
        .map(|(index, spec)| Moments {
            weight: tensors[index],
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
pub fn gradient_graph(
    config: &LlamaConfig,
    batch: usize,
    seq_len: usize,
    trained: &Trained,
    objective: &Objective,
) -> Result<Graph, ModelError> {
    let mut b = Builder::new();
    let (mut model, tensors, params) = Model::for_training(&mut b, config, trained, batch, seq_len)?;
    let loss = model.loss(&mut b, objective)?;
    let gradients = b.gradients(loss, &tensors);
    let names: Vec<String> = params.iter().map(|p| format!("gradient.{}", p.name)).collect();
    let mut results = vec![("loss", loss)];
    results.extend(names.iter().map(String::as_str).zip(gradients));
    Ok(b.finish(&[], &results)?)
}

/// Scores of marked tokens: `cross_entropy`, f32 [rows], is the sum over the marked tokens of each row, in nats.
///
/// A batch is that of [`Objective::Response`]; state and tables are those of training what `trained` says, without
/// moments.
///
/// # Errors
/// A shape or size that is out of range.
pub fn score_graph(config: &LlamaConfig, batch: usize, seq_len: usize, trained: &Trained) -> Result<Graph, ModelError> {
    let mut b = Builder::new();
    let (mut model, ..) = Model::for_training(&mut b, config, trained, batch, seq_len)?;
    let tokens = model.marked_batch(&mut b, 0);
    let sums = model.marked_sums(&mut b, tokens);
    Ok(b.finish(&[], &[("cross_entropy", sums)])?)
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

/// What sums over a whole vocabulary in one chain, as every training step does, has a bound on it.
pub(crate) fn check_vocabulary(config: &LlamaConfig) -> Result<(), ModelError> {
    match config.vocab_size {
        0..=STEP_TOKENS_MAX => Ok(()),
        value => Err(ModelError::Size {
            field: "vocab_size",
            value,
            expected: format!(
                "at most {STEP_TOKENS_MAX} for training and for scoring runs (no referee takes longer chains yet); \
                 generate and eval take larger ones"
            ),
        }),
    }
}

pub(crate) fn check(config: &LlamaConfig, batch: usize, seq_len: usize) -> Result<(), ModelError> {
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

/// One input per parameter.
pub(crate) fn inputs(b: &mut Builder, params: &[ParamSpec], source: impl Fn(u32) -> Source) -> Vec<Tensor> {
    params.iter().enumerate().map(|(index, spec)| b.input(source(index as u32), &spec.shape, Type::F32)).collect()
}

/// What the cross-entropy of a token is multiplied by.
pub(crate) enum Share {
    /// The same for every token.
    Same(f32),
    /// f32 [row, token]
    Each(Tensor),
}

/// The axes and inputs of one model, or of a part of it whose parameters are given.
pub(crate) struct Model<'a> {
    config: &'a LlamaConfig,
    weights: Vec<Tensor>,
    /// By weight; empty without adapters.
    adapters: Vec<Option<Adapter>>,
    cosines: Tensor,
    sines: Tensor,
    /// The parameter that the next part of the model takes.
    pub(crate) next_weight: usize,
    /// Elements of the batch from one row to the next.
    row_stride: i32,
    pub(crate) row: Axis,
    pub(crate) token: Axis,
    /// Position attended to.
    pub(crate) source: Axis,
    pub(crate) width: Axis,
    inner: Axis,
    pub(crate) vocabulary: Axis,
    /// Key/value head, and query head within its group.
    pub(crate) group: Axis,
    pub(crate) member: Axis,
    /// Dimension within a head, and the same as halves.
    pub(crate) dimension: Axis,
    half: Axis,
    pair: Axis,
}

impl<'a> Model<'a> {
    pub(crate) fn new(
        b: &mut Builder,
        config: &'a LlamaConfig,
        params: &[ParamSpec],
        batch: usize,
        seq_len: usize,
    ) -> Model<'a> {
        let weights = inputs(b, params, Source::State);
        Model::over(b, config, weights, batch, seq_len)
    }

    /// The model whose weights are these tensors.
    pub(crate) fn over(
        b: &mut Builder,
        config: &'a LlamaConfig,
        weights: Vec<Tensor>,
        batch: usize,
        seq_len: usize,
    ) -> Model<'a> {
        let pairs = config.head_dim() / 2;
        Model {
            config,
            weights,
            cosines: b.input(Source::Table(COSINE_TABLE), &[pairs, seq_len], Type::F32),
            sines: b.input(Source::Table(SINE_TABLE), &[2, pairs, seq_len], Type::F32),
            next_weight: 0,
            adapters: Vec::new(),
            row_stride: seq_len as i32 + 1,
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

    /// The model for training: with it, what is trained and its specifications, in the order of the state entries.
    fn for_training(
        b: &mut Builder,
        config: &'a LlamaConfig,
        trained: &Trained,
        batch: usize,
        seq_len: usize,
    ) -> Result<(Model<'a>, Vec<Tensor>, Vec<ParamSpec>), ModelError> {
        check(config, batch, seq_len)?;
        check_vocabulary(config)?;
        let all = params(config);
        Ok(match trained {
            Trained::Weights => {
                let model = Model::new(b, config, &all, batch, seq_len);
                let weights = model.weights.clone();
                (model, weights, all)
            }
            Trained::Adapters(lora) => {
                let params = lora::params(config, lora)?;
                let trained = inputs(b, &params, Source::State);
                let frozen = inputs(b, &all, |index| Source::Table(FROZEN_TABLE + index));
                let adapters = lora::adapters(&all, lora, &trained);
                (Model { adapters, ..Model::over(b, config, frozen, batch, seq_len) }, trained, params)
            }
        })
    }

    /// Input: rows of tokens.
    pub(crate) fn batch(&self, b: &mut Builder) -> Tensor {
        b.input(Source::Batch, &[self.row.size() as usize, self.token.size() as usize + 1], Type::U32)
    }

    /// Input: rows of tokens and marks, and `extra` numbers after the last row.
    pub(crate) fn marked_batch(&mut self, b: &mut Builder, extra: usize) -> Tensor {
        let (rows, length) = (self.row.size() as usize, self.token.size() as usize + 1);
        self.row_stride = 2 * length as i32;
        match extra {
            0 => b.input(Source::Batch, &[rows, 2, length], Type::U32),
            _ => b.input(Source::Batch, &[rows * 2 * length + extra], Type::U32),
        }
    }

    /// Tokens of the batch, `shift` positions on.
    fn tokens(&self, batch: Tensor, shift: i32) -> View {
        batch.strided(shift, &[(self.row, self.row_stride), (self.token, 1)])
    }

    /// 1 where the token to be predicted counts, else 0: f32 [row, token].
    fn marks(&self, b: &mut Builder, batch: Tensor) -> Tensor {
        let view = self.tokens(batch, self.token.size() as i32 + 2);
        b.map(&[self.row, self.token], [view], |p, [mark]| p.from_u(mark))
    }

    /// The one value that training minimises.
    fn loss(&mut self, b: &mut Builder, objective: &Objective) -> Result<Tensor, ModelError> {
        match objective {
            Objective::NextToken => {
                let batch = self.batch(b);
                let losses = self.mean_losses(b, batch);
                Ok(self.total(b, losses))
            }
            Objective::Response => {
                let batch = self.marked_batch(b, 0);
                let marks = self.marks(b, batch);
                let count = self.total(b, marks);
                let at = [self.row, self.token];
                let shares = b.map(&at, [marks.read(&at), count.strided(0, &[])], |p, [mark, count]| {
                    let one = p.constant(1.0);
                    let least = p.max(count, one);
                    p.div(mark, least)
                });
                let hidden = self.hidden(b, batch);
                let losses = self.losses(b, hidden, batch, Share::Each(shares));
                Ok(self.total(b, losses))
            }
            Objective::Preference(preference) => dpo::loss(self, b, preference),
        }
    }

    /// Cross-entropy of every token, divided by their number.
    fn mean_losses(&mut self, b: &mut Builder, batch: Tensor) -> Tensor {
        let hidden = self.hidden(b, batch);
        let share = 1.0 / (self.row.size() as f32 * self.token.size() as f32);
        self.losses(b, hidden, batch, Share::Same(share))
    }

    /// Sum of the cross-entropies of the marked tokens of each row.
    pub(crate) fn marked_sums(&mut self, b: &mut Builder, batch: Tensor) -> Tensor {
        let marks = self.marks(b, batch);
        let hidden = self.hidden(b, batch);
        let losses = self.losses(b, hidden, batch, Share::Each(marks));
        self.row_sums(b, losses)
    }

    pub(crate) fn total(&self, b: &mut Builder, values: Tensor) -> Tensor {
        let one = b.axis(1);
        b.reduce_add(&[one], &[self.row, self.token], values.read(&[self.row, self.token]))
    }

    pub(crate) fn row_sums(&self, b: &mut Builder, values: Tensor) -> Tensor {
        b.reduce_add(&[self.row], &[self.token], values.read(&[self.row, self.token]))
    }

    fn weight(&mut self) -> Tensor {
        self.next_weight += 1;
        self.weights[self.next_weight - 1]
    }

    /// `start` + W x for the next weight, and what its adapter adds; `out` are the axes of the weight's rows, x is
    /// [input, row, token].
    /// With `bias` the weight behind it is its bias.
    fn linear_with(
        &mut self,
        b: &mut Builder,
        out: &[Axis],
        input: Axis,
        x: View,
        start: Option<View>,
        bias: bool,
    ) -> Tensor {
        let product = self.linear(b, out, input, x, start);
        if !bias {
            return product;
        }
        let all: Vec<Axis> = out.iter().chain(&[self.row, self.token]).copied().collect();
        let bias = self.weight();
        b.map(&all, [product.read(&all), bias.read(out)], |p, [x, bias]| p.add(x, bias))
    }

    fn linear(&mut self, b: &mut Builder, out: &[Axis], input: Axis, x: View, start: Option<View>) -> Tensor {
        let adapter = self.adapters.get(self.next_weight).copied().flatten();
        let with = |last: &[Axis]| -> Vec<Axis> { out.iter().chain(last).copied().collect() };
        let all = with(&[self.row, self.token]);
        let weight = self.weight().read(&with(&[input]));
        let product =
            b.contraction(Contraction { out: &all, reduce: &[input], a: weight, b: x.clone(), start, only: None });
        let Some(Adapter { down, up, rank, scale }) = adapter else { return product };
        let rank = b.axis(rank);
        let low_axes = [rank, self.row, self.token];
        let low = b.contract(&low_axes, &[input], down.read(&[rank, input]), x);
        let low = b.map(&low_axes, [low.read(&low_axes)], |p, [low]| {
            let scale = p.constant(scale);
            p.mul(low, scale)
        });
        b.contraction(Contraction {
            out: &all,
            reduce: &[rank],
            a: up.read(&with(&[rank])),
            b: low.read(&low_axes),
            start: Some(product.read(&all)),
            only: None,
        })
    }

    /// The matrix of the logits, [vocabulary, width].
    pub(crate) fn head(&self) -> Tensor {
        let last = if self.config.tie_embeddings { 0 } else { self.weights.len() - 1 };
        self.weights[last]
    }

    pub(crate) fn hidden(&mut self, b: &mut Builder, batch: Tensor) -> Tensor {
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
    pub(crate) fn norm(&mut self, b: &mut Builder, x: Tensor) -> Tensor {
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

    /// Rotated queries, which carry the scale of the scores, [heads, dimension, row, token], rotated keys and values,
    /// [group, dimension, row, token].
    pub(crate) fn queries_keys_values(&mut self, b: &mut Builder, stream: Tensor) -> [Tensor; 3] {
        let (row, token, width) = (self.row, self.token, self.width);
        let (group, dimension) = (self.group, self.dimension);
        let normed = self.norm(b, stream).read(&[width, row, token]);
        let heads = b.axis(self.config.num_heads);
        let variant = self.config.variant;
        let mut project = |b: &mut Builder, heads| {
            self.linear_with(b, &[heads, dimension], width, normed.clone(), None, variant.query_bias)
        };
        let (mut query, mut key, value) = (project(b, heads), project(b, group), project(b, group));
        if variant.head_norm {
            (query, key) = (self.head_norm(b, query, heads), self.head_norm(b, key, group));
        }
        let scale = 1.0 / (self.config.head_dim() as f32).sqrt();
        [self.rotate(b, query, heads, scale), self.rotate(b, key, group, 1.0), value]
    }

    /// x · g / √(mean x² + ε) within every head.
    fn head_norm(&mut self, b: &mut Builder, x: Tensor, heads: Axis) -> Tensor {
        let (row, token, dimension) = (self.row, self.token, self.dimension);
        let (all, each) = ([heads, dimension, row, token], [heads, row, token]);
        let squares = b.contract(&each, &[dimension], x.read(&all), x.read(&all));
        let (count, epsilon) = (self.config.head_dim() as f32, self.config.rms_norm_eps);
        let inverse = b.map(&each, [squares.read(&each)], |p, [squares]| {
            let (share, epsilon, one) = (p.constant(1.0 / count), p.constant(epsilon), p.constant(1.0));
            let mean = p.fma(squares, share, epsilon);
            let root = p.sqrt(mean);
            p.div(one, root)
        });
        let gain = self.weight();
        b.map(&all, [x.read(&all), inverse.read(&each), gain.read(&[dimension])], |p, [x, inverse, gain]| {
            let scaled = p.mul(x, inverse);
            p.mul(scaled, gain)
        })
    }

    /// stream + the output projection of what was attended to, [heads, dimension, row, token].
    pub(crate) fn add_attended(&mut self, b: &mut Builder, stream: Tensor, attended: Tensor) -> Tensor {
        let (row, token, width) = (self.row, self.token, self.width);
        let joined = b.axis(self.config.attention_width());
        let attended = attended.read(&[joined, row, token]);
        let bias = self.config.variant.output_bias;
        self.linear_with(b, &[width], joined, attended, Some(stream.read(&[width, row, token])), bias)
    }

    fn attention(&mut self, b: &mut Builder, stream: Tensor) -> Tensor {
        let (row, token, source) = (self.row, self.token, self.source);
        let (group, member, dimension) = (self.group, self.member, self.dimension);
        let [query, key, value] = self.queries_keys_values(b, stream);
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
        let scores = match self.config.variant.window {
            Some(window) if window < token.size() as usize => b.map(&square, [scores.read(&square)], |p, [score]| {
                let (position, at) = (p.coordinate(source), p.coordinate(token));
                let window = p.constant_u(window as u32);
                let end = p.add_u(position, window);
                let (inside, masked) = (p.less_u(at, end), p.constant(MASKED));
                p.select(inside, score, masked)
            }),
            _ => scores,
        };
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
        self.add_attended(b, stream, attended)
    }

    /// stream + the gated layers on its norm.
    pub(crate) fn feed_forward(&mut self, b: &mut Builder, stream: Tensor) -> Tensor {
        let (row, token, width, inner) = (self.row, self.token, self.width, self.inner);
        let normed = self.norm(b, stream).read(&[width, row, token]);
        let all = [inner, row, token];
        let bias = self.config.variant.mlp_bias;
        let gate = self.linear_with(b, &[inner], width, normed.clone(), None, bias);
        let up = self.linear_with(b, &[inner], width, normed, None, bias);
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
        let (active, stream) = (active.read(&all), stream.read(&[width, row, token]));
        self.linear_with(b, &[width], inner, active, Some(stream), bias)
    }

    /// Cross-entropy of the next token times its share, per position.
    pub(crate) fn losses(&mut self, b: &mut Builder, hidden: Tensor, batch: Tensor, share: Share) -> Tensor {
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
        let [sums, greatest, chosen] = [sums, greatest, chosen].map(|tensor| tensor.read(&at));
        match share {
            Share::Same(share) => b.map(&at, [sums, greatest, chosen], |p, [sum, greatest, chosen]| {
                let difference = p.sub(greatest, chosen);
                let log = p.log(sum);
                let (loss, share) = (p.add(log, difference), p.constant(share));
                p.mul(loss, share)
            }),
            Share::Each(shares) => {
                b.map(&at, [sums, greatest, chosen, shares.read(&at)], |p, [sum, greatest, chosen, share]| {
                    let difference = p.sub(greatest, chosen);
                    let log = p.log(sum);
                    let loss = p.add(log, difference);
                    p.mul(loss, share)
                })
            }
        }
    }
}

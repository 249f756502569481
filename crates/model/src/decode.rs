//! Next-token logits against a cache of keys and values, equal to the full forward pass bit for bit.
//!
//! A pass takes some tokens at once: a whole chunk of a prompt, or the one token that was just drawn. Per layer it runs two
//! graphs that are made of the same parts as [`crate::logits_graph`]: the first gives queries, keys and values of the
//! tokens, the second attends over the cache and does the rest of the layer. All layers share them. The second graph
//! depends on how many positions it attends over, which grows by [`SPAN_STEP`]; what is cached is never copied.
//!
//! Why the bits are those of the full pass: an element of a contraction is one ascending chain, whatever stands beside
//! it. Positions after a token's own get the power 0 exactly, in the full pass by its mask and here by the same mask
//! with a start. Such a term adds 0 to a sum of powers, which is never negative, and fma(value, 0, sum) to a mixed
//! value, which is that sum again (only the sign of a mixed value that is itself a zero might differ, and the sign of a zero
//! reaches nothing but signs of zeros). Cached values are finite: a pass with a fault is not counted.

use crate::export::LlamaConfig;
use crate::llama::{COSINE_TABLE, MASKED, Model, ModelError, ParamSpec, SINE_TABLE, params};
use crate::tables::inference_tables;
use sip_arith::Native;
use sip_graph::{Axis, Buffer, Builder, Executor, ExecutorOptions, Graph, Inputs, Program, RunError, Tensor, Value};
use sip_kernels::{Simd, Threads};
use sip_ops::{MAX_TERMS, Source, Type, log};
use std::sync::Arc;

/// Most tokens of one pass.
const PASS_TOKENS: usize = 128;
/// Most scores of one pass and layer: where heads and context are large, passes are shorter, and memory stays bounded.
const PASS_SCORES: usize = 1 << 24;
/// Positions attended over are rounded up to a multiple of this.
const SPAN_STEP: usize = 64;
/// Tokens whose log-likelihoods are computed at once.
const SCORED_TOKENS: usize = 32;

// Further tables of the graphs of a pass, behind the ones of every model.
/// f32 [width, tokens].
const STREAM_TABLE: u32 = 3;
/// f32 [heads, dimension, tokens].
const QUERY_TABLE: u32 = 4;
/// f32 [group, dimension, context]: neighbouring positions are neighbours, as the scores are.
const KEY_TABLE: u32 = 5;
/// f32 [group, context, dimension]: neighbouring dimensions are neighbours, as the mixed values are.
const VALUE_TABLE: u32 = 6;

/// Why no logits can be computed, and no text generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// There is no token to continue.
    #[error("the prompt has no token: give at least one")]
    EmptyPrompt,
    /// A token id that the model does not have.
    #[error("token {token} is not below the vocabulary size {vocab_size}")]
    Token {
        /// The id.
        token: u32,
        /// Number of ids.
        vocab_size: usize,
    },
    /// More tokens than there is room for.
    #[error(
        "{tokens} more tokens do not fit behind {len} in a context of {context}: truncate, or use a larger context"
    )]
    Context {
        /// Tokens in the cache.
        len: usize,
        /// Tokens to be added.
        tokens: usize,
        /// Room of the cache.
        context: usize,
    },
    /// Not the tensors of the configuration.
    #[error("{found} weight tensors, expected the {expected} that the configuration lists")]
    Weights {
        /// Tensors given.
        found: usize,
        /// Tensors of the configuration.
        expected: usize,
    },
    /// The graphs cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A layer cannot be computed.
    #[error("layer {layer}: {source}")]
    Layer {
        /// Number of the layer, from 0.
        layer: usize,
        /// What happened.
        source: RunError,
    },
    /// The logits cannot be computed.
    #[error("logits: {0}")]
    Head(RunError),
}

/// A model with the keys and values of the tokens it has seen.
pub struct Decoder {
    config: LlamaConfig,
    /// Tensors of a layer.
    layer_parameters: usize,
    weights: Vec<Buffer>,
    threads: Arc<Threads>,
    options: ExecutorOptions,
    context: usize,
    len: usize,
    /// Rotary tables of the whole context.
    rotary: Vec<Buffer>,
    /// Keys and values of each layer.
    caches: Vec<[Buffer; 2]>,
    /// Passes ready to run: of one token, and of the number of several tokens that came last.
    one: Option<Pass>,
    many: Option<Pass>,
    head: Executor,
    scorer: Option<Executor>,
    /// A hidden state [width, tokens], where the head finds it.
    hidden: Vec<Buffer>,
    scored: Vec<Buffer>,
}

/// The graphs for some tokens at once, and their inputs.
struct Pass {
    tokens: usize,
    span: usize,
    project: Executor,
    attend: Executor,
    tables: Vec<Buffer>,
}

impl Decoder {
    /// `weights` are the tensors of [`LlamaConfig::parameters`], in that order; `context` is the number of tokens that are cached
    /// at most, from 1 to `max_seq_len`.
    ///
    /// # Errors
    /// A shape or size that is out of range.
    pub fn new(
        config: &LlamaConfig,
        weights: Vec<Buffer>,
        context: usize,
        threads: Arc<Threads>,
        simd: Simd,
    ) -> Result<Decoder, GenerateError> {
        config.validate().map_err(ModelError::from)?;
        let longest = config.max_seq_len.min(MAX_TERMS as usize);
        if context == 0 || context > longest {
            let expected = format!("1 to {longest}");
            return Err(ModelError::Size { field: "context", value: context, expected }.into());
        }
        let expected = params(config).len();
        if weights.len() != expected {
            return Err(GenerateError::Weights { found: weights.len(), expected });
        }
        let options = ExecutorOptions { simd, ..ExecutorOptions::default() };
        let head = Executor::new(Arc::new(head_graph(config, 1)?), Arc::clone(&threads), options);
        let cached = config.num_kv_heads * config.head_dim() * context;
        Ok(Decoder {
            layer_parameters: config.layer_counts()[0],
            rotary: inference_tables(config, context),
            caches: (0..config.num_layers).map(|_| [Buffer::new(cached), Buffer::new(cached)]).collect(),
            hidden: hidden_table(config.hidden_size),
            scored: Vec::new(),
            one: None,
            many: None,
            scorer: None,
            len: 0,
            config: config.clone(),
            weights,
            threads,
            options,
            context,
            head,
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Most tokens that are cached.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all tokens but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds tokens; the logits (f32 bits, one per token id) after the last of them.
    ///
    /// # Errors
    /// No token, an unknown one, more than there is room for, weights that do not fit, or a value that is not finite; the
    /// cache then holds some first part of the tokens.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<&[u32], GenerateError> {
        self.check(tokens)?;
        let mut rest = tokens;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.pass_tokens(rest.len()));
            let pass = self.run(chunk)?;
            if after.is_empty() {
                copy_columns(pass.stream(), chunk.len(), chunk.len() - 1, &mut self.hidden, 1);
            }
            self.keep(pass);
            rest = after;
        }
        let inputs = Inputs { state: &self.weights, batch: &[], step: 0, tables: &self.hidden, settings: &[] };
        self.head.run(&inputs, &mut [], None).map_err(GenerateError::Head)?;
        Ok(self.head.result("logits").unwrap_or(&[]))
    }

    /// Adds tokens; for each the logarithm of the probability (nats, f32) that the model gives to `targets`' token of the same
    /// place right after it. Each equals the loss of [`crate::eval_graph`] at that token, not divided by any count.
    ///
    /// # Errors
    /// As [`Decoder::feed`]; and not one target per token.
    pub fn log_likelihoods(&mut self, tokens: &[u32], targets: &[u32]) -> Result<Vec<f32>, GenerateError> {
        self.check(tokens)?;
        self.check_ids(targets)?;
        if tokens.len() != targets.len() {
            let expected = format!("{}, one per token", tokens.len());
            return Err(ModelError::Size { field: "number of targets", value: targets.len(), expected }.into());
        }
        let mut scorer = match self.scorer.take() {
            Some(scorer) => scorer,
            None => {
                self.scored = hidden_table(self.config.hidden_size * SCORED_TOKENS);
                let graph = Arc::new(head_graph(&self.config, SCORED_TOKENS)?);
                Executor::new(graph, Arc::clone(&self.threads), self.options)
            }
        };
        let mut found = Vec::with_capacity(tokens.len());
        let mut rest = tokens;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.pass_tokens(rest.len()));
            let pass = self.run(chunk)?;
            for first in (0..chunk.len()).step_by(SCORED_TOKENS) {
                copy_columns(pass.stream(), chunk.len(), first, &mut self.scored, SCORED_TOKENS);
                let inputs = Inputs { state: &self.weights, batch: &[], step: 0, tables: &self.scored, settings: &[] };
                scorer.run(&inputs, &mut [], None).map_err(GenerateError::Head)?;
                let [logits, greatest, sums] =
                    ["logits", "greatest", "sums"].map(|name| scorer.result(name).unwrap_or(&[]));
                let count = SCORED_TOKENS.min(chunk.len() - first);
                for (column, &target) in targets[found.len()..].iter().take(count).enumerate() {
                    let at = |values: &[u32], index: usize| f32::from_bits(values[index]);
                    let difference = at(greatest, column) - at(logits, target as usize * SCORED_TOKENS + column);
                    found.push(-(f32::from_bits(log::<Native>(sums[column])) + difference));
                }
            }
            self.keep(pass);
            rest = after;
        }
        self.scorer = Some(scorer);
        Ok(found)
    }

    fn check(&self, tokens: &[u32]) -> Result<(), GenerateError> {
        self.check_ids(tokens)?;
        if tokens.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        if tokens.len() > self.context - self.len {
            return Err(GenerateError::Context { len: self.len, tokens: tokens.len(), context: self.context });
        }
        Ok(())
    }

    fn check_ids(&self, tokens: &[u32]) -> Result<(), GenerateError> {
        let vocab_size = self.config.vocab_size;
        match tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Some(&token) => Err(GenerateError::Token { token, vocab_size }),
            None => Ok(()),
        }
    }

    /// Tokens of the next pass when `left` are to come.
    fn pass_tokens(&self, left: usize) -> usize {
        let scores = self.config.num_heads * self.span(left.min(PASS_TOKENS));
        left.min(PASS_TOKENS).min((PASS_SCORES / scores).max(1))
    }

    /// Positions that a pass of so many tokens attends over.
    fn span(&self, tokens: usize) -> usize {
        (self.len + tokens).next_multiple_of(SPAN_STEP).min(self.context)
    }

    /// Runs all layers on the next tokens and adds them to the cache; the pass then holds the stream after the last layer.
    fn run(&mut self, tokens: &[u32]) -> Result<Pass, GenerateError> {
        let (count, span, start) = (tokens.len(), self.span(tokens.len()), self.len);
        let kept = if count == 1 { self.one.take() } else { self.many.take() };
        let mut pass = match kept.filter(|pass| pass.tokens == count) {
            Some(pass) => pass,
            None => Pass::new(self, count, span)?,
        };
        if pass.span != span {
            pass.attend = attend_executor(self, count, span)?;
            pass.span = span;
        }
        let width = self.config.hidden_size;
        for (column, &token) in tokens.iter().enumerate() {
            let row = &self.weights[0][token as usize * width..][..width];
            let stream = pass.tables[STREAM_TABLE as usize][column..].iter_mut().step_by(count);
            stream.zip(row).for_each(|(slot, &value)| *slot = value);
        }
        for (table, rows) in [(COSINE_TABLE, self.config.head_dim() / 2), (SINE_TABLE, self.config.head_dim())] {
            let (from, to) = (&self.rotary[table as usize], &mut pass.tables[table as usize]);
            for row in 0..rows {
                to[row * count..][..count].copy_from_slice(&from[row * self.context + start..][..count]);
            }
        }
        let layers = self.weights[1..].chunks_exact(self.layer_parameters);
        for (layer, (weights, cache)) in layers.zip(&mut self.caches).enumerate() {
            let head = self.config.head_dim();
            let done = pass.run_layer(weights, cache, Place { start, context: self.context, head });
            done.map_err(|source| GenerateError::Layer { layer, source })?;
        }
        self.len += count;
        Ok(pass)
    }

    /// Keeps a pass for the next tokens.
    fn keep(&mut self, pass: Pass) {
        let place = if pass.tokens == 1 { &mut self.one } else { &mut self.many };
        *place = Some(pass);
    }
}

/// Where a pass writes into a cache.
#[derive(Clone, Copy)]
struct Place {
    /// Position of the first token.
    start: usize,
    context: usize,
    /// Dimensions of a head.
    head: usize,
}

impl Pass {
    fn new(decoder: &Decoder, tokens: usize, span: usize) -> Result<Pass, GenerateError> {
        let config = &decoder.config;
        let graph = Arc::new(project_graph(config, tokens)?);
        let (width, head) = (config.hidden_size, config.head_dim());
        // In the order of the tables; the caches come and go with their layer.
        let sizes = [0, head / 2, head, width, config.num_heads * head, 0, 0];
        Ok(Pass {
            tokens,
            span,
            project: Executor::new(graph, Arc::clone(&decoder.threads), decoder.options),
            attend: attend_executor(decoder, tokens, span)?,
            tables: sizes.into_iter().map(|rows| Buffer::new(rows * tokens)).collect(),
        })
    }

    /// The hidden states, [width, tokens].
    fn stream(&self) -> &[u32] {
        &self.tables[STREAM_TABLE as usize]
    }

    fn run_layer(&mut self, weights: &[Buffer], cache: &mut [Buffer; 2], place: Place) -> Result<(), RunError> {
        let step = place.start as u32;
        self.project.run(
            &Inputs { state: weights, batch: &[], step, tables: &self.tables, settings: &[] },
            &mut [],
            None,
        )?;
        let [query, key, value] = ["query", "key", "value"].map(|name| self.project.result(name).unwrap_or(&[]));
        self.tables[QUERY_TABLE as usize].copy_from_slice(query);
        let [keys, values] = cache;
        for (row, (key, value)) in key.chunks_exact(self.tokens).zip(value.chunks_exact(self.tokens)).enumerate() {
            keys[row * place.context + place.start..][..self.tokens].copy_from_slice(key);
            let (group, dimension) = (row / place.head, row % place.head);
            let first = (group * place.context + place.start) * place.head + dimension;
            let column = values[first..].iter_mut().step_by(place.head);
            column.zip(value).for_each(|(slot, &value)| *slot = value);
        }
        let mut swap = |tables: &mut [Buffer]| {
            std::mem::swap(keys, &mut tables[KEY_TABLE as usize]);
            std::mem::swap(values, &mut tables[VALUE_TABLE as usize]);
        };
        swap(&mut self.tables);
        let done = self.attend.run(
            &Inputs { state: weights, batch: &[], step, tables: &self.tables, settings: &[] },
            &mut [],
            None,
        );
        swap(&mut self.tables);
        done?;
        let stream = self.attend.result("stream").unwrap_or(&[]);
        self.tables[STREAM_TABLE as usize].copy_from_slice(stream);
        Ok(())
    }
}

/// The tables of a head: its hidden states stand where a pass has its stream.
fn hidden_table(len: usize) -> Vec<Buffer> {
    let mut tables = vec![Buffer::default(); STREAM_TABLE as usize];
    tables.push(Buffer::new(len));
    tables
}

/// Columns from `first` on of hidden states [width, tokens] to the hidden states [width, count] of a head; missing ones are 0.
fn copy_columns(from: &[u32], tokens: usize, first: usize, to: &mut [Buffer], count: usize) {
    let to = &mut to[STREAM_TABLE as usize];
    let present = count.min(tokens - first);
    for (from, to) in from.chunks_exact(tokens).zip(to.chunks_exact_mut(count)) {
        to[..present].copy_from_slice(&from[first..][..present]);
        to[present..].fill(0);
    }
}

fn attend_executor(decoder: &Decoder, tokens: usize, span: usize) -> Result<Executor, GenerateError> {
    let graph = attend_graph(&decoder.config, tokens, span, decoder.context)?;
    Ok(Executor::new(Arc::new(graph), Arc::clone(&decoder.threads), decoder.options))
}

/// The parameters of one layer: the same for all.
fn layer_parameters(config: &LlamaConfig) -> Vec<ParamSpec> {
    params(config).into_iter().skip(1).take(config.layer_counts()[0]).collect()
}

fn stream_input(b: &mut Builder, config: &LlamaConfig, tokens: usize) -> Tensor {
    b.input(Source::Table(STREAM_TABLE), &[config.hidden_size, tokens], Type::F32)
}

/// First part of a layer: results `query`, `key` and `value` of the tokens.
fn project_graph(config: &LlamaConfig, tokens: usize) -> Result<Graph, ModelError> {
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &layer_parameters(config), 1, tokens);
    let stream = stream_input(&mut b, config, tokens);
    let [query, key, value] = model.queries_keys_values(&mut b, stream);
    Ok(b.finish(&[], &[("query", query), ("key", key), ("value", value)])?)
}

/// Second part of a layer: result `stream`. The step is the position of the first token.
fn attend_graph(config: &LlamaConfig, tokens: usize, span: usize, context: usize) -> Result<Graph, ModelError> {
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &layer_parameters(config), 1, tokens);
    model.next_weight = config.layer_counts()[1];
    let stream = stream_input(&mut b, config, tokens);
    let (token, group, member, dimension) = (model.token, model.group, model.member, model.dimension);
    let source = b.axis(span);
    let (head, groups) = (config.head_dim(), config.num_kv_heads);
    let query = b.input(Source::Table(QUERY_TABLE), &[config.num_heads, head, tokens], Type::F32);
    let keys = b.input(Source::Table(KEY_TABLE), &[groups, head, context], Type::F32);
    let values = b.input(Source::Table(VALUE_TABLE), &[groups, context, head], Type::F32);
    let start = b.input(Source::Step, &[1], Type::U32).strided(0, &[]);
    // `Decoder::new` keeps the cache of a layer below 2³¹ elements.
    let (head, context) = (head as i32, context as i32);
    let keys = keys.strided(0, &[(group, head * context), (dimension, context), (source, 1)]);
    let values = values.strided(0, &[(group, context * head), (source, head), (dimension, 1)]);

    let square = [group, member, source, token];
    let per_token = [group, member, token];
    let scores = b.contract(&square, &[dimension], keys, query.read(&[group, member, dimension, token]));
    // Later positions have no say in the maximum: nothing is below the least number.
    let window = config.variant.window.filter(|&window| window < context as usize);
    // A position that is masked, from the window or from what comes later: `masked` instead of `x`.
    let mask = |p: &mut Program, [x, masked, start]: [Value; 3]| {
        let (position, offset) = (p.coordinate(source), p.coordinate(token));
        let at = p.add_u(start, offset);
        let later = p.less_u(at, position);
        let present = p.select(later, masked, x);
        let Some(window) = window else { return present };
        let window = p.constant_u(window as u32);
        let end = p.add_u(position, window);
        let inside = p.less_u(at, end);
        p.select(inside, present, masked)
    };
    let present = b.map(&square, [scores.read(&square), start.clone()], |p, [score, start]| {
        let least = p.constant(f32::MIN);
        mask(p, [score, least, start])
    });
    let greatest = b.reduce_max(&per_token, &[source], present.read(&square), None);
    let operands = [present.read(&square), greatest.read(&per_token), start];
    let powers = b.map(&square, operands, |p, [score, greatest, start]| {
        let (difference, masked) = (p.sub(score, greatest), p.constant(MASKED));
        let exponent = mask(p, [difference, masked, start]);
        p.exp(exponent)
    });
    // A sum as a product with ones is one chain at any length; a plain sum of few outputs would be cut in two levels.
    let one = b.map(&[], [], |p, []| p.constant(1.0));
    let sums = b.contract(&per_token, &[source], powers.read(&square), one.strided(0, &[]));
    let inverse = b.map(&per_token, [sums.read(&per_token)], |p, [sum]| {
        let one = p.constant(1.0);
        p.div(one, sum)
    });
    let mixed_axes = [group, member, dimension, token];
    let mixed = b.contract(&mixed_axes, &[source], values, powers.read(&square));
    let attended =
        b.map(&mixed_axes, [mixed.read(&mixed_axes), inverse.read(&per_token)], |p, [x, inverse]| p.mul(x, inverse));
    let stream = model.add_attended(&mut b, stream, attended);
    let stream = model.feed_forward(&mut b, stream);
    Ok(b.finish(&[], &[("stream", stream)])?)
}

/// From hidden states to result `logits`, f32 [vocabulary, tokens]; beside several tokens also their `greatest` and the `sums` of
/// the powers of the differences to it, f32 [tokens].
fn head_graph(config: &LlamaConfig, tokens: usize) -> Result<Graph, ModelError> {
    let params = params(config);
    let mut b = Builder::new();
    let mut model = Model::new(&mut b, config, &params, 1, tokens);
    model.next_weight = 1 + config.num_layers * config.layer_counts()[0];
    let stream = stream_input(&mut b, config, tokens);
    let (token, width, vocabulary) = (model.token, model.width, model.vocabulary);
    let hidden = model.norm(&mut b, stream);
    let head = model.head().read(&[vocabulary, width]);
    let all = [vocabulary, token];
    let logits = b.contract(&all, &[width], head, hidden.read(&[width, token]));
    if tokens == 1 {
        return Ok(b.finish(&[], &[("logits", logits)])?);
    }
    let [greatest, sums] = log_sum_parts(&mut b, logits, vocabulary, token);
    Ok(b.finish(&[], &[("logits", logits), ("greatest", greatest), ("sums", sums)])?)
}

/// The greatest logit of each token, and Σ exp(logit − greatest).
fn log_sum_parts(b: &mut Builder, logits: Tensor, vocabulary: Axis, token: Axis) -> [Tensor; 2] {
    let all = [vocabulary, token];
    let greatest = greatest_of(b, logits, vocabulary, token);
    let powers = b.map(&all, [logits.read(&all), greatest.read(&[token])], |p, [logit, greatest]| {
        let difference = p.sub(logit, greatest);
        p.exp(difference)
    });
    [greatest, sum_of(b, powers, vocabulary, token)]
}

/// The sum over the vocabulary, of a large one in pieces as in [`greatest_of`], but that none overlap.
fn sum_of(b: &mut Builder, powers: Tensor, vocabulary: Axis, token: Axis) -> Tensor {
    let (rows, tokens) = (vocabulary.size(), token.size());
    if rows <= MAX_TERMS {
        return b.reduce_add(&[token], &[vocabulary], powers.read(&[vocabulary, token]));
    }
    let mut total = None;
    for start in (0..rows).step_by(MAX_TERMS as usize) {
        let piece = b.axis(MAX_TERMS.min(rows - start) as usize);
        let view = powers.strided((start * tokens) as i32, &[(piece, tokens as i32), (token, 1)]);
        let sum = b.reduce_add(&[token], &[piece], view);
        total = Some(match total {
            None => sum,
            Some(before) => {
                let before: Tensor = before;
                b.map(&[token], [before.read(&[token]), sum.read(&[token])], |p, [one, other]| p.add(one, other))
            }
        });
    }
    total.unwrap_or(powers)
}

/// The maximum over the vocabulary. One chain is at most [`MAX_TERMS`] long: of a larger vocabulary, pieces that cover it, the last two
/// overlapping, have their maxima first.
fn greatest_of(b: &mut Builder, logits: Tensor, vocabulary: Axis, token: Axis) -> Tensor {
    let (rows, tokens) = (vocabulary.size(), token.size());
    if rows <= MAX_TERMS {
        return b.reduce_max(&[token], &[vocabulary], logits.read(&[vocabulary, token]), None);
    }
    let piece = b.axis(MAX_TERMS as usize);
    let starts = (0..rows - MAX_TERMS).step_by(MAX_TERMS as usize).chain([rows - MAX_TERMS]);
    let maximum = |start: u32| {
        let view = logits.strided((start * tokens) as i32, &[(piece, tokens as i32), (token, 1)]);
        b.reduce_max(&[token], &[piece], view, None)
    };
    let maxima: Vec<Tensor> = starts.map(maximum).collect();
    let mut greatest = maxima[0];
    for &other in &maxima[1..] {
        greatest =
            b.map(&[token], [greatest.read(&[token]), other.read(&[token])], |p, [one, other]| p.max(one, other));
    }
    greatest
}

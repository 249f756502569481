//! Held-out loss as graphs: of one batch, and of a whole scoring run, whose sums are exact.
//!
//! A score is a number that people are paid by, so everything from the weights to it is arithmetic that a referee can do
//! again. The cross-entropy of every token is rounded to an integer number of micro-nats, and from there on there is no
//! rounding: integers are added, and the chain divides the last sum by the number of tokens.
//!
//! The operator set adds chains of f32 only. An integer therefore goes through a chain as its four bytes, each an f32, whose
//! sums stay below 2²⁴ and are exact in any order.

use crate::export::LlamaConfig;
use crate::llama::{Model, ModelError, Share, check, check_vocabulary, inputs, params};
use sip_graph::{Builder, Graph, Tensor};
use sip_ops::{Source, Type};

/// Domains that a scoring run has room for.
pub const DOMAINS: usize = 8;
/// Most tokens that a step of a scoring run predicts: so many bytes add up to less than 2²⁴.
pub const STEP_TOKENS_MAX: usize = 1 << 16;
/// A token's cross-entropy counts as at most so many nats.
pub const TOKEN_NATS_MAX: f32 = 2000.0;

/// Micro-nats per nat.
const MICRO: f32 = 1e6;
/// Bytes of an integer.
const BYTES: usize = 4;

/// Evaluation of a batch: `loss` is the mean cross-entropy in nats per token, f32 [1], `row_loss` that of each row, and
/// `row_bytes` the exact sum over each row in micro-nats by bytes, f32 [4, rows], lowest byte first ([`micro_nats`]).
///
/// State entries are the weights; tables 1 and 2 as in training.
///
/// # Errors
/// A shape or size that is out of range.
pub fn eval_graph(config: &LlamaConfig, batch: usize, seq_len: usize) -> Result<Graph, ModelError> {
    check(config, batch, seq_len)?;
    check_vocabulary(config)?;
    let mut b = Builder::new();
    let weights = inputs(&mut b, &params(config), Source::State);
    let mut model = Model::over(&mut b, config, weights, batch, seq_len);
    let losses = model.token_losses(&mut b);
    let bytes = model.row_bytes(&mut b, losses);
    let at = [model.row, model.token];
    let shares = b.map(&at, [losses.read(&at)], |p, [loss]| {
        let share = p.constant(1.0 / (batch as f32 * seq_len as f32));
        p.mul(loss, share)
    });
    let loss = model.total(&mut b, shares);
    let row = model.row;
    let sums = model.row_sums(&mut b, shares);
    let rows = b.map(&[row], [sums.read(&[row])], |p, [sum]| {
        let count = p.constant(batch as f32);
        p.mul(sum, count)
    });
    Ok(b.finish(&[], &[("loss", loss), ("row_loss", rows), ("row_bytes", bytes)])?)
}

/// The micro-nats in `row_bytes` of [`eval_graph`], f32 bits, summed over the rows.
pub fn micro_nats(row_bytes: &[u32]) -> u64 {
    let rows = (row_bytes.len() / BYTES).max(1);
    let planes = row_bytes.chunks(rows).enumerate();
    let plane = |values: &[u32]| values.iter().map(|&bits| f32::from_bits(bits) as u64).sum::<u64>();
    planes.map(|(byte, values)| plane(values) << (8 * byte)).sum()
}

/// A step of a scoring run. The state's only entry is u32 [8, 2]: for each domain the sum of its tokens' cross-entropies so far
/// in micro-nats, a 64-bit integer whose lower half comes first, so that the tensor's bytes are eight little-endian integers.
/// Entries from 1 on are the weights, which stay. A step scores the batch and adds it to domain ⌊step / `steps_per_domain`⌋.
///
/// Tables 1 and 2 as in training.
///
/// # Errors
/// A shape or size that is out of range.
pub fn held_out_graph(
    config: &LlamaConfig,
    rows: usize,
    seq_len: usize,
    steps_per_domain: u32,
) -> Result<Graph, ModelError> {
    check(config, rows, seq_len)?;
    check_vocabulary(config)?;
    if rows * seq_len > STEP_TOKENS_MAX {
        let expected = format!("at most {} for sequences of {seq_len} tokens", STEP_TOKENS_MAX / seq_len);
        return Err(ModelError::Size { field: "rows", value: rows, expected });
    }
    let mut b = Builder::new();
    let sums = b.input(Source::State(0), &[DOMAINS, 2], Type::U32);
    let step = b.input(Source::Step, &[1], Type::U32);
    let weights = inputs(&mut b, &params(config), |index| Source::State(1 + index));
    let mut model = Model::over(&mut b, config, weights, rows, seq_len);
    let losses = model.token_losses(&mut b);
    let of_rows = model.row_bytes(&mut b, losses);
    let (byte, row) = (b.axis(BYTES), model.row);
    let bytes = b.reduce_add(&[byte], &[row], of_rows.read(&[byte, row]));
    let next = accumulate(&mut b, sums, bytes, step, steps_per_domain);
    Ok(b.finish(&[next], &[("sums", next)])?)
}

/// The sums after a step: 64-bit additions in halves, for the step's domain only.
fn accumulate(b: &mut Builder, sums: Tensor, bytes: Tensor, step: Tensor, steps_per_domain: u32) -> Tensor {
    let (domain, half) = (b.axis(DOMAINS), b.axis(2));
    let [low, high] = [0, 1].map(|half| sums.strided(half, &[(domain, 2)]));
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|byte| bytes.strided(byte, &[]));
    let operands = [low, high, first, second, third, fourth, step.strided(0, &[])];
    b.map(&[domain, half], operands, |p, [old_low, old_high, first, second, third, fourth, step]| {
        let (mut low, mut high) = (old_low, old_high);
        for (byte, sum) in [first, second, third, fourth].into_iter().enumerate() {
            let sum = p.to_i(sum);
            let mut part = sum;
            if byte > 0 {
                let (up, down) = (p.constant_u(8 * byte as u32), p.constant_u(32 - 8 * byte as u32));
                part = p.shl(sum, up);
                let above = p.shr(sum, down);
                high = p.add_u(high, above);
            }
            low = p.add_u(low, part);
            let carry = p.less_u(low, part);
            high = p.add_u(high, carry);
        }
        let is_high = p.coordinate(half);
        let (new, old) = (p.select(is_high, high, low), p.select(is_high, old_high, old_low));
        let (domain, steps) = (p.coordinate(domain), p.constant_u(steps_per_domain));
        let begin = p.mul_u(domain, steps);
        let end = p.add_u(begin, steps);
        let (is_before, is_not_after) = (p.less_u(step, begin), p.less_u(step, end));
        let kept = p.select(is_not_after, new, old);
        p.select(is_before, old, kept)
    })
}

impl Model<'_> {
    /// Cross-entropy of every token in nats, f32 [row, token].
    fn token_losses(&mut self, b: &mut Builder) -> Tensor {
        let batch = self.batch(b);
        let hidden = self.hidden(b, batch);
        self.losses(b, hidden, batch, Share::Same(1.0))
    }

    /// Of the sum over each row in whole micro-nats, four sums of bytes, f32 [4, row], each below 2²⁴.
    fn row_bytes(&self, b: &mut Builder, losses: Tensor) -> Tensor {
        let (byte, row, token) = (b.axis(BYTES), self.row, self.token);
        let all = [byte, row, token];
        let bytes = b.map(&all, [losses.read(&[row, token])], |p, [loss]| {
            let (most, micro) = (p.constant(TOKEN_NATS_MAX), p.constant(MICRO));
            let bounded = p.min(loss, most);
            let scaled = p.mul(bounded, micro);
            let whole = p.to_i(scaled);
            let (number, bits, mask) = (p.coordinate(byte), p.constant_u(3), p.constant_u(0xFF));
            let shift = p.shl(number, bits);
            let shifted = p.shr(whole, shift);
            let low = p.and(shifted, mask);
            p.from_u(low)
        });
        b.reduce_add(&[byte, row], &[token], bytes.read(&all))
    }
}

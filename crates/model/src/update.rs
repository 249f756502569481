//! Compressed updates: what a round exchanges instead of whole states, as three graphs of the operator set.
//!
//! A trainer tells others only how its weights moved, and of that per chunk of neighbours the few greatest changes, one byte each. What
//! it does not tell, it adds to the next round's change (error feedback: Seide and others 2014; per chunk and with local
//! optimizers as in DeMo, Peng and others 2024, and SparseLoCo, Sarfi and others 2025). Everybody applies the mean of what was told,
//! clipped to the median of the norms, or an outer step of Nesterov's momentum over it (DiLoCo, Douillard and others 2023).
//!
//! | graph | reads | gives |
//! |---|---|---|
//! | [`UpdateCodec::start_graph`] | base, own previous update | the state before the first step: weights of the base, own moments |
//! | [`UpdateCodec::update_graph`] | own previous update, states before the first and after the last step | the update |
//! | [`UpdateCodec::aggregate_graph`] | base, the accepted updates | the next base |
//!
//! A *base* has an entry for each weight tensor, then, with an outer momentum, one more for each. A *step state* is weights, first
//! moments, second moments. An *update* has six entries for each weight tensor, grouped by kind: packed indices, packed codes,
//! scales ([`UpdateCodec::told_entries`]: what others read), then first moments, second moments and residual, which only the trainer's
//! own next segment reads.
//!
//! The greatest k of a chunk are k maxima in a row. Counting for every element how many are greater would take two nodes instead of 4·k,
//! but one of chunk × tensor elements, which the trace of a dispute has to hash, and which passes the operator set's limit in a
//! tensor of 2²⁶ weights.

use crate::llama::ModelError;
use sip_graph::{Axis, Builder, Graph, Program, Tensor, Value, View};
use sip_ops::{Source, Type};

/// Most updates of an aggregate.
const MAX_COUNT: usize = 16;
/// Codes are signed bytes from −127 to 127.
const GREATEST_CODE: f32 = 127.0;
/// Greatest scale, 2³²: sums of squares of so scaled codes stay finite, whatever a trainer's run led to.
const GREATEST_SCALE: f32 = 4_294_967_296.0;
/// Codes, and indices, of a word.
const PER_WORD: usize = 4;

/// How the mean of the updates moves the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outer {
    /// The mean is added to the base.
    Mean,
    /// Nesterov's momentum over the mean.
    Nesterov {
        /// Outer learning rate.
        rate: f32,
        /// Share of the old momentum that the new one keeps.
        momentum: f32,
    },
}

/// How updates are written and applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateCodec {
    /// Neighbouring elements among which the greatest are chosen; the last chunk of a tensor may have fewer. 8 to 256.
    pub chunk: usize,
    /// Elements of a chunk that are told: 4 or 8.
    pub keep: usize,
    /// The outer step.
    pub outer: Outer,
}

impl Default for UpdateCodec {
    /// A nineteenth of a state's bytes. The outer momentum makes up for what a residual delays: see `examples/update_gap` of `sip-node`.
    fn default() -> UpdateCodec {
        UpdateCodec { chunk: 32, keep: 8, outer: Outer::Nesterov { rate: 1.0, momentum: 0.4 } }
    }
}

/// The told part of an update of one weight tensor.
#[derive(Clone, Copy)]
struct Told {
    indices: Tensor,
    codes: Tensor,
    scales: Tensor,
}

/// Labels of a tensor in chunks: which chunk, and the place in it.
#[derive(Clone, Copy)]
struct Chunks {
    chunk: Axis,
    place: Axis,
}

impl UpdateCodec {
    /// Entries of a base over so many weight tensors.
    pub fn base_entries(&self, weights: usize) -> usize {
        match self.outer {
            Outer::Mean => weights,
            Outer::Nesterov { .. } => 2 * weights,
        }
    }

    /// Entries of an update that others read: the first ones.
    pub fn told_entries(&self, weights: usize) -> usize {
        3 * weights
    }

    /// Elements of each entry of a base over weight tensors of these lengths.
    pub fn base_lengths(&self, weights: &[usize]) -> Vec<usize> {
        weights.iter().cycle().take(self.base_entries(weights.len())).copied().collect()
    }

    /// Elements of each entry of an update over weight tensors of these lengths, four bytes each.
    pub fn update_lengths(&self, weights: &[usize]) -> Vec<usize> {
        let each = |f: &dyn Fn(usize) -> usize| weights.iter().map(|&len| f(len)).collect::<Vec<usize>>();
        let (packed, scales) = (each(&|len| self.chunks(len) * self.words()), each(&|len| self.chunks(len)));
        [&packed, &packed, &scales, weights, weights, weights].into_iter().flatten().copied().collect()
    }

    /// Where a segment starts: the weights of the base and the moments of the own previous update.
    ///
    /// `Source::State` counts the entries of the base, then those of the update.
    ///
    /// # Errors
    /// A codec or lengths out of range.
    pub fn start_graph(&self, weights: &[usize]) -> Result<Graph, ModelError> {
        self.validate()?;
        let mut b = Builder::new();
        let count = weights.len();
        let update = self.base_entries(count);
        let mut outputs = self.inputs(&mut b, weights, 0);
        for moment in 0..2 {
            outputs.extend(self.inputs(&mut b, weights, update + (3 + moment) * count));
        }
        Ok(b.finish(&outputs, &[])?)
    }

    /// The update of a segment.
    ///
    /// `Source::State` counts the entries of the own previous update, then those of the state before the first step, then those
    /// of the state after the last.
    ///
    /// # Errors
    /// A codec or lengths out of range.
    pub fn update_graph(&self, weights: &[usize]) -> Result<Graph, ModelError> {
        self.validate()?;
        let mut b = Builder::new();
        let count = weights.len();
        let residuals = self.inputs(&mut b, weights, 5 * count);
        let starts = self.inputs(&mut b, weights, 6 * count);
        let ends = self.inputs(&mut b, weights, 9 * count);
        let (mut indices, mut codes, mut scales, mut rest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((&start, &end), &residual) in starts.iter().zip(&ends).zip(&residuals) {
            let all = b.axis(start.len());
            let operands = [end.read(&[all]), start.read(&[all]), residual.read(&[all])];
            let change = b.map(&[all], operands, |p, [end, start, residual]| {
                let moved = p.sub(end, start);
                p.plus(moved, residual)
            });
            let told = self.encode(&mut b, change);
            rest.push(self.untold(&mut b, change, &told));
            indices.push(told.indices);
            codes.push(told.codes);
            scales.push(told.scales);
        }
        let mut outputs = [indices, codes, scales].concat();
        for moment in 1..3 {
            outputs.extend(self.inputs(&mut b, weights, (9 + moment) * count));
        }
        outputs.extend(rest);
        Ok(b.finish(&outputs, &[])?)
    }

    /// The next base from `count` updates, 1 to 16.
    ///
    /// `Source::State` counts the entries of the base, then those of the first update, then those of the second, and so on.
    ///
    /// # Errors
    /// A codec, a count or lengths out of range.
    pub fn aggregate_graph(&self, weights: &[usize], count: usize) -> Result<Graph, ModelError> {
        self.validate()?;
        if count == 0 || count > MAX_COUNT {
            return Err(ModelError::Size { field: "count", value: count, expected: format!("1 to {MAX_COUNT}") });
        }
        let mut b = Builder::new();
        let tensors = weights.len();
        let base = self.inputs(&mut b, weights, 0);
        let first = self.base_entries(tensors);
        let updates: Vec<Vec<Told>> =
            (0..count).map(|update| self.told(&mut b, weights, first + update * 6 * tensors)).collect();
        let shares = self.shares(&mut b, &updates);
        let mut next = Vec::with_capacity(tensors);
        let mut momenta = Vec::new();
        for (tensor, &weight) in base.iter().enumerate() {
            let mean = self.descent(&mut b, weight.len(), tensor, &updates, shares);
            let all = b.axis(weight.len());
            // The whole chunks, of which the last may reach beyond the tensor.
            let mean = mean.strided(0, &[(all, 1)]);
            match self.outer {
                Outer::Mean => {
                    next.push(b.map(&[all], [weight.read(&[all]), mean], |p, [weight, mean]| p.sub(weight, mean)))
                }
                Outer::Nesterov { rate, momentum } => {
                    let old = b.input(Source::State((tensors + tensor) as u32), &[weight.len()], Type::F32);
                    let new = b.map(&[all], [old.read(&[all]), mean.clone()], |p, [old, mean]| {
                        let share = p.constant(momentum);
                        p.fma(share, old, mean)
                    });
                    let operands = [weight.read(&[all]), new.read(&[all]), mean];
                    next.push(b.map(&[all], operands, |p, [weight, new, mean]| {
                        let (share, rate) = (p.constant(momentum), p.constant(-rate));
                        let step = p.fma(share, new, mean);
                        p.fma(rate, step, weight)
                    }));
                    momenta.push(new);
                }
            }
        }
        next.extend(momenta);
        Ok(b.finish(&next, &[])?)
    }

    /// Checks that there is such a codec.
    ///
    /// # Errors
    /// The number that is out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        let size = |field, value, expected: &str| Err(ModelError::Size { field, value, expected: expected.into() });
        if !(8..=256).contains(&self.chunk) {
            return size("chunk", self.chunk, "8 to 256");
        }
        if self.keep != PER_WORD && self.keep != 2 * PER_WORD {
            return size("keep", self.keep, "4 or 8");
        }
        let Outer::Nesterov { rate, momentum } = self.outer else { return Ok(()) };
        if !(rate > 0.0 && rate <= 16.0) {
            return Err(ModelError::Number { field: "outer rate", value: rate, expected: "more than 0, at most 16" });
        }
        if !(0.0..1.0).contains(&momentum) {
            return Err(ModelError::Number { field: "outer momentum", value: momentum, expected: "0 to below 1" });
        }
        Ok(())
    }

    /// Chunks of a tensor.
    fn chunks(&self, len: usize) -> usize {
        len.div_ceil(self.chunk)
    }

    /// Words of a chunk's packed indices, and of its packed codes.
    fn words(&self) -> usize {
        self.keep / PER_WORD
    }

    fn inputs(&self, b: &mut Builder, lengths: &[usize], first: usize) -> Vec<Tensor> {
        let input = |(n, &len): (usize, &usize)| b.input(Source::State((first + n) as u32), &[len], Type::F32);
        lengths.iter().enumerate().map(input).collect()
    }

    /// The told entries of an update whose first entry has the number `first`.
    fn told(&self, b: &mut Builder, weights: &[usize], first: usize) -> Vec<Told> {
        let mut told = Vec::with_capacity(weights.len());
        for (tensor, &len) in weights.iter().enumerate() {
            let (chunks, packed) = (self.chunks(len), self.chunks(len) * self.words());
            let mut entry = |kind: usize, len: usize, dtype: Type| {
                b.input(Source::State((first + kind * weights.len() + tensor) as u32), &[len], dtype)
            };
            told.push(Told {
                indices: entry(0, packed, Type::U32),
                codes: entry(1, packed, Type::U32),
                scales: entry(2, chunks, Type::F32),
            });
        }
        told
    }

    fn axes(&self, b: &mut Builder, len: usize) -> Chunks {
        Chunks { chunk: b.axis(self.chunks(len)), place: b.axis(self.chunk) }
    }

    /// A tensor in whole chunks: beyond its end stand zeros, which ties leave for last.
    fn padded(&self, b: &mut Builder, of: Tensor) -> Tensor {
        let len = of.len();
        if len.is_multiple_of(self.chunk) {
            return of;
        }
        let all = b.axis(self.chunks(len) * self.chunk);
        let last = (len - 1) as u32;
        let index = b.map(&[all], [], |p, _: [Value; 0]| {
            let (at, last) = (p.coordinate(all), p.constant_u(last));
            let beyond = p.less_u(last, at);
            p.select(beyond, last, at)
        });
        let element = b.gather(&[all], index.read(&[all]), of.strided(0, &[]), 1);
        b.map(&[all], [element.read(&[all])], |p, [element]| {
            let (at, last, zero) = (p.coordinate(all), p.constant_u(last), p.constant(0.0));
            let beyond = p.less_u(last, at);
            p.select(beyond, zero, element)
        })
    }

    /// The greatest of each chunk.
    ///
    /// `rest` are the magnitudes not yet taken, −1 where taken. A place that has the greatest of them names itself by twice its distance
    /// from the chunk's end, plus 1 for a negative change; of several, the greatest name has the lowest index.
    fn encode(&self, b: &mut Builder, change: Tensor) -> Told {
        let axes @ Chunks { chunk, place } = self.axes(b, change.len());
        let both = [chunk, place];
        let change = self.padded(b, change);
        let mut rest = b.map(&both, [change.read(&both)], |p, [change]| p.abs(change));
        let (mut greatest, mut names) = (Vec::new(), Vec::new());
        for number in 0..self.keep {
            let most = b.reduce_max(&[chunk], &[place], rest.read(&both), None);
            let operands = [change.read(&both), rest.read(&both), most.read(&[chunk])];
            let named = b.map(&both, operands, |p, [change, rest, most]| self.name(p, place, change, rest, most));
            let name = b.reduce_max(&[chunk], &[place], named.read(&both), None);
            if number + 1 < self.keep {
                let operands = [rest.read(&both), named.read(&both), name.read(&[chunk])];
                rest = b.map(&both, operands, |p, [rest, named, name]| {
                    let (stays, taken) = (p.less(named, name), p.constant(-1.0));
                    p.select(stays, rest, taken)
                });
            }
            greatest.push(most);
            names.push(name);
        }
        let scales = b.map(&[chunk], [greatest[0].read(&[chunk])], |p, [greatest]| {
            let (zero, one) = (p.constant(0.0), p.constant(1.0));
            let (codes, bound) = (p.constant(GREATEST_CODE), p.constant(GREATEST_SCALE));
            let scale = p.div(greatest, codes);
            let scale = p.min(scale, bound);
            // A scale of 0, by underflow as well, would divide zeros by zero.
            let is_some = p.less(zero, scale);
            p.select(is_some, scale, one)
        });
        self.pack(b, axes, &greatest, &names, scales)
    }

    /// What a place of a chunk is called if it has the greatest magnitude; 0 if not.
    fn name(&self, p: &mut Program, place: Axis, change: Value, rest: Value, most: Value) -> Value {
        let (end, at) = (p.constant_u(self.chunk as u32), p.coordinate(place));
        let (one, zero) = (p.constant_u(1), p.constant(0.0));
        let distance = p.sub_u(end, at);
        let twice = p.shl(distance, one);
        let negative = p.less(change, zero);
        let name = p.or(twice, negative);
        let name = p.from_u(name);
        let is_less = p.less(rest, most);
        p.select(is_less, zero, name)
    }

    /// Indices and codes of a chunk, four to a word, the first in the lowest byte.
    fn pack(&self, b: &mut Builder, axes: Chunks, greatest: &[Tensor], names: &[Tensor], scales: Tensor) -> Told {
        let chunk = axes.chunk;
        let (kept, word) = (b.axis(self.keep), b.axis(self.words()));
        let (each, by_word) = ([chunk, kept], [chunk, word]);
        let (greatest, names) = (stack(b, &[chunk], kept, greatest), stack(b, &[chunk], kept, names));
        let operands = [greatest.read(&each), names.read(&each), scales.read(&[chunk])];
        let codes = b.map(&each, operands, |p, [greatest, name, scale]| {
            let (one, zero, most, mask) =
                (p.constant_u(1), p.constant_u(0), p.constant(GREATEST_CODE), p.constant_u(0xFF));
            let steps = p.div(greatest, scale);
            let steps = p.min(steps, most);
            let code = p.to_i(steps);
            let opposite = p.sub_u(zero, code);
            let name = p.to_i(name);
            let negative = p.and(name, one);
            let code = p.select(negative, opposite, code);
            p.and(code, mask)
        });
        let four = |of: Tensor| -> [View; PER_WORD] {
            let strides = [(chunk, self.keep as i32), (word, PER_WORD as i32)];
            std::array::from_fn(|byte| of.strided(byte as i32, &strides))
        };
        let codes = b.map(&by_word, four(codes), join_bytes);
        let indices = b.map(&by_word, four(names), |p, names| {
            let (end, one) = (p.constant_u(self.chunk as u32), p.constant_u(1));
            let indices = names.map(|name| {
                let name = p.to_i(name);
                let distance = p.shr(name, one);
                p.sub_u(end, distance)
            });
            join_bytes(p, indices)
        });
        Told { indices, codes, scales }
    }

    /// Views of the words of a told tensor, then its scale: operands of [`UpdateCodec::value`]. Words that there are not repeat the first.
    fn words_of(&self, told: &Told, chunk: Axis) -> [View; 5] {
        let words = self.words();
        let word = |of: Tensor, number: usize| of.strided((number % words) as i32, &[(chunk, words as i32)]);
        let Told { indices, codes, scales } = told;
        [word(*indices, 0), word(*indices, 1), word(*codes, 0), word(*codes, 1), scales.read(&[chunk])]
    }

    /// The code at a place of a chunk as f32, 0 where none is told.
    fn code(&self, p: &mut Program, place: Axis, indices: [Value; 2], codes: [Value; 2]) -> Value {
        let (at, mask) = (p.coordinate(place), p.constant_u(0xFF));
        let mut found = p.constant_u(0);
        for number in 0..self.keep {
            let byte = |p: &mut Program, words: [Value; 2]| {
                let shift = p.constant_u(8 * (number % PER_WORD) as u32);
                p.shr(words[number / PER_WORD], shift)
            };
            let (index, code) = (byte(p, indices), byte(p, codes));
            let index = p.and(index, mask);
            let here = p.equal_u(index, at);
            found = p.select(here, code, found);
        }
        // Flipping the sign bit and taking its worth away again extends it to the left.
        let sign = p.constant_u(0x80);
        let byte = p.and(found, mask);
        let flipped = p.xor(byte, sign);
        let code = p.sub_u(flipped, sign);
        p.from_i(code)
    }

    /// What of a change was not told: change − code · scale, each operation rounded.
    fn untold(&self, b: &mut Builder, change: Tensor, told: &Told) -> Tensor {
        let Chunks { chunk, place } = self.axes(b, change.len());
        let decoded = b.map(&[chunk, place], self.words_of(told, chunk), |p, [i0, i1, c0, c1, scale]| {
            let code = self.code(p, place, [i0, i1], [c0, c1]);
            p.mul(code, scale)
        });
        let all = b.axis(change.len());
        b.map(&[all], [change.read(&[all]), decoded.strided(0, &[(all, 1)])], |p, [change, decoded]| {
            p.sub(change, decoded)
        })
    }

    /// Σ over the updates, in order, of code · (scale · share) for one weight tensor in whole chunks: minus the mean, as the shares are.
    fn descent(&self, b: &mut Builder, len: usize, tensor: usize, updates: &[Vec<Told>], shares: Tensor) -> Tensor {
        let Chunks { chunk, place } = self.axes(b, len);
        let both = [chunk, place];
        let mut sum: Option<Tensor> = None;
        for (number, update) in updates.iter().enumerate() {
            let [i0, i1, c0, c1, scale] = self.words_of(&update[tensor], chunk);
            let share = shares.strided(number as i32, &[]);
            let scaled = |p: &mut Program, [i0, i1, c0, c1, scale, share]: [Value; 6]| {
                let code = self.code(p, place, [i0, i1], [c0, c1]);
                (code, p.mul(scale, share))
            };
            sum = Some(match sum {
                None => b.map(&both, [i0, i1, c0, c1, scale, share], |p, values| {
                    let (code, scale) = scaled(p, values);
                    p.mul(code, scale)
                }),
                Some(sum) => {
                    let operands = [i0, i1, c0, c1, scale, share, sum.read(&both)];
                    b.map(&both, operands, |p, [i0, i1, c0, c1, scale, share, sum]| {
                        let (code, scale) = scaled(p, [i0, i1, c0, c1, scale, share]);
                        p.fma(code, scale, sum)
                    })
                }
            });
        }
        sum.unwrap_or(shares)
    }

    /// For every update minus its share in the mean: −1/n, times median / norm where the norm is greater than the median of the norms.
    fn shares(&self, b: &mut Builder, updates: &[Vec<Told>]) -> Tensor {
        let norms: Vec<Tensor> = updates.iter().map(|update| self.norm(b, update)).collect();
        let count = norms.len();
        let (update, other) = (b.axis(count), b.axis(count));
        let norms = stack(b, &[], update, &norms);
        let pair = [update, other];
        let operands = [norms.strided(0, &[(update, 1)]), norms.strided(0, &[(other, 1)])];
        let before = b.map(&pair, operands, |p, [norm, other_norm]| {
            let (at, other) = (p.coordinate(update), p.coordinate(other));
            let is_earlier = p.less_u(other, at);
            let (is_less, is_greater) = (p.less(other_norm, norm), p.less(norm, other_norm));
            let one = p.constant_u(1);
            let is_at_most = p.xor(is_greater, one);
            let before = p.select(is_earlier, is_at_most, is_less);
            p.from_u(before)
        });
        let rank = b.reduce_add(&[update], &[other], before.read(&pair));
        let middle = b.map(&[update], [rank.read(&[update]), norms.read(&[update])], |p, [rank, norm]| {
            let (rank, middle, zero) = (p.to_i(rank), p.constant_u((count as u32 - 1) / 2), p.constant(0.0));
            let is_middle = p.equal_u(rank, middle);
            p.select(is_middle, norm, zero)
        });
        let median = b.reduce_add(&[], &[update], middle.read(&[update]));
        b.map(&[update], [norms.read(&[update]), median.strided(0, &[])], |p, [norm, median]| {
            let (one, count) = (p.constant(1.0), p.constant(-(count as f32)));
            let is_greater = p.less(median, norm);
            let clip = p.div(median, norm);
            let clip = p.select(is_greater, clip, one);
            p.div(clip, count)
        })
    }

    /// √ of the sum of squares of all that an update tells.
    fn norm(&self, b: &mut Builder, update: &[Told]) -> Tensor {
        let mut sums = Vec::with_capacity(update.len());
        for told in update {
            let (chunk, word) = (b.axis(told.scales.len()), b.axis(self.words()));
            let codes = told.codes.read(&[chunk, word]);
            // Exact, since codes are integers.
            let squares = b.contract_i8(&[chunk], &[word], codes.clone(), codes);
            let squares =
                b.map(&[chunk], [squares.read(&[chunk]), told.scales.read(&[chunk])], |p, [squares, scale]| {
                    let squares = p.from_u(squares);
                    let once = p.mul(squares, scale);
                    p.mul(once, scale)
                });
            sums.push(b.reduce_add(&[], &[chunk], squares.read(&[chunk])));
        }
        let one = b.axis(1);
        match b.total(&sums) {
            Some(total) => b.map(&[one], [total.read(&[one])], |p, [total]| p.sqrt(total)),
            None => b.map(&[one], [], |p, _: [Value; 0]| p.constant(0.0)),
        }
    }
}

/// Four bytes as a word, the first lowest; what is above a byte's eight bits must be 0.
fn join_bytes(p: &mut Program, bytes: [Value; PER_WORD]) -> Value {
    let mut word = bytes[0];
    for (number, byte) in bytes.into_iter().enumerate().skip(1) {
        let shift = p.constant_u(8 * number as u32);
        let placed = p.shl(byte, shift);
        word = p.or(word, placed);
    }
    word
}

/// f32 tensors over `rows` side by side: [rows…, number of the tensor].
fn stack(b: &mut Builder, rows: &[Axis], number: Axis, parts: &[Tensor]) -> Tensor {
    let out: Vec<Axis> = rows.iter().copied().chain([number]).collect();
    let mut stacked = parts[0].read(rows);
    let mut tensor = parts[0];
    for (group, seven) in parts[1..].chunks(7).enumerate() {
        let views = std::array::from_fn(|n| match n.checked_sub(1) {
            None => stacked.clone(),
            Some(n) => seven.get(n).unwrap_or(&parts[0]).read(rows),
        });
        tensor = b.map(&out, views, |p, values: [Value; 8]| {
            let at = p.coordinate(number);
            seven.iter().enumerate().fold(values[0], |kept, (n, _)| {
                let place = p.constant_u((1 + group * 7 + n) as u32);
                let here = p.equal_u(at, place);
                p.select(here, values[n + 1], kept)
            })
        });
        stacked = tensor.read(&out);
    }
    tensor
}

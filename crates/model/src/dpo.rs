//! Direct preference optimisation (Rafailov et al. 2023): preferred answers become likelier than rejected ones, measured
//! against a frozen reference.
//!
//! With r = log p(answer | prompt) − log p_reference(answer | prompt), the loss of a pair is
//! −log σ(β · (r_chosen − r_rejected)), and a batch's loss is the mean over its pairs.
//!
//! The reference's log-probabilities are a table, computed once before training by [`crate::llama::score_graph`] with the
//! weights that training starts from; the first step's loss is therefore exactly log 2.
//!
//! A batch of n pairs is u32 [2n · 2 · (sequence + 1) + n]: the rows of [`crate::llama::Objective::Response`], chosen and
//! rejected by turns, then for every pair its row in the table. The batch size of the graph is 2n, the number of rows.

use crate::llama::{Model, ModelError, REFERENCE_TABLE};
use sip_graph::{Builder, Tensor};
use sip_ops::{Source, Type};

/// The constants of preference training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preference {
    /// How strongly the reference holds the model back; 0.1 is usual.
    pub beta: f32,
    /// Rows of the reference's table: all pairs of the data.
    pub pairs: usize,
}

/// The mean loss of the batch's pairs, f32 [1].
pub(crate) fn loss(model: &mut Model<'_>, b: &mut Builder, preference: &Preference) -> Result<Tensor, ModelError> {
    let rows = model.row.size() as usize;
    if !rows.is_multiple_of(2) {
        let expected = "an even number: a chosen and a rejected row for every pair".into();
        return Err(ModelError::Size { field: "batch", value: rows, expected });
    }
    if preference.pairs == 0 || preference.pairs > 1 << 24 {
        let expected = format!("1 to {}", 1 << 24);
        return Err(ModelError::Size { field: "pairs", value: preference.pairs, expected });
    }
    let count = rows / 2;
    let batch = model.marked_batch(b, count);
    let cross_entropies = model.marked_sums(b, batch);
    let (one, pair, side) = (b.axis(1), b.axis(count), b.axis(2));
    let both = [pair, side];

    let first_number = rows as i32 * 2 * (model.token.size() as i32 + 1);
    let numbers = batch.strided(first_number, &[(pair, 1)]);
    let table = b.input(Source::Table(REFERENCE_TABLE), &[preference.pairs, 2], Type::F32);
    let reference = b.gather(&both, numbers, table.strided(0, &[(side, 1)]), 2);
    let gains = b.map(&both, [cross_entropies.read(&both), reference.read(&both)], |p, [cross_entropy, reference]| {
        let log_probability = p.neg(cross_entropy);
        p.sub(log_probability, reference)
    });
    // Chosen minus rejected as a sum, so that the gradient of both sides is one contraction.
    let signs = b.map(&[side], [], |p, _: [_; 0]| {
        let (number, plus, minus) = (p.coordinate(side), p.constant(1.0), p.constant(-1.0));
        p.select(number, minus, plus)
    });
    let margins = b.contract(&[pair], &[side], gains.read(&both), signs.read(&[side]));
    let losses = b.map(&[pair], [margins.read(&[pair])], |p, [margin]| {
        // −log σ(−x) = log(1 + eˣ), bounded so that the exponential is finite; above the bound it is x itself.
        let factor = p.constant(-preference.beta);
        let (x, bound, one) = (p.mul(margin, factor), p.constant(80.0), p.constant(1.0));
        let bounded = p.min(x, bound);
        let (power, rest) = (p.exp(bounded), p.sub(x, bounded));
        let sum = p.add(power, one);
        let log = p.log(sum);
        let (loss, share) = (p.add(log, rest), p.constant(1.0 / count as f32));
        p.mul(loss, share)
    });
    Ok(b.reduce_add(&[one], &[pair], losses.read(&[pair])))
}

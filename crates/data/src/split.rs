//! Training and held-out tokens, kept apart.

use crate::sampler::window_tokens;
use crate::{DataError, TokenBlob};
use sip_proof::sampler::{HeldOut, Window};

/// One token of this many is held out.
const HELDOUT_DIVISOR: usize = 20;
/// Each part holds at least this many windows side by side.
const WINDOWS_MIN: usize = 16;

/// The two parts of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainTokens {
    /// Name of the domain.
    pub name: String,
    /// What batches are drawn from.
    pub train: TokenBlob,
    /// The end of the text, which no batch is drawn from.
    pub heldout: TokenBlob,
}

impl DomainTokens {
    /// Sets the last 5 % of `tokens` aside, at least 16 windows of `seq_len + 1`.
    ///
    /// # Errors
    /// [`DataError::TooSmall`] when fewer than 16 windows were left to train on.
    pub fn split(name: &str, mut tokens: Vec<u32>, seq_len: usize) -> Result<Self, DataError> {
        let part_min = WINDOWS_MIN.saturating_mul(seq_len.saturating_add(1));
        let heldout_count = (tokens.len() / HELDOUT_DIVISOR).max(part_min);
        let needed = heldout_count.saturating_add(part_min);
        if tokens.len() < needed {
            return Err(DataError::TooSmall { domain: name.to_owned(), tokens: tokens.len(), seq_len, needed });
        }
        let heldout = TokenBlob::new(tokens.split_off(tokens.len() - heldout_count));
        Ok(DomainTokens { name: name.to_owned(), train: TokenBlob::new(tokens), heldout })
    }
}

/// The windows of a held-out blob by the rule of [`HeldOut`], as batches of shape `[batch, seq_len + 1]` (row-major).
///
/// # Errors
/// [`DataError::PartialBatch`] unless `n_windows` is a positive multiple of `batch`; [`DataError::NoWindow`] when
/// the blob is shorter than one window.
pub fn heldout_batches(
    heldout: &TokenBlob,
    batch: u32,
    seq_len: u32,
    n_windows: u32,
) -> Result<Vec<Vec<u32>>, DataError> {
    let held_out = HeldOut { windows: n_windows, rows: batch };
    let Some(steps) = held_out.steps_per_domain() else {
        return Err(DataError::PartialBatch { windows: n_windows as usize, batch: batch as usize });
    };
    (0..steps).map(|step| heldout_batch(&held_out, step, &[heldout], seq_len)).collect()
}

/// The batch of a step of a scoring run: rows of `seq_len + 1` tokens, row-major. `heldout` are the blobs by domain.
///
/// # Errors
/// [`DataError::NoWindow`] when a blob is shorter than one window, or there is no such step.
pub fn heldout_batch(
    held_out: &HeldOut,
    step: u32,
    heldout: &[&TokenBlob],
    seq_len: u32,
) -> Result<Vec<u32>, DataError> {
    let counts: Vec<u64> = heldout.iter().map(|blob| blob.token_count()).collect();
    let window = window_tokens(seq_len);
    let mut tokens = Vec::new();
    for row in 0..held_out.rows {
        let place = u32::try_from(window).ok().and_then(|window| held_out.locate(step, row, &counts, window));
        let Some(Window { domain, offset }) = place else {
            let domain = (step / held_out.steps_per_domain().unwrap_or(1)) as usize;
            return Err(DataError::NoWindow { domain, tokens: counts.get(domain).copied().unwrap_or(0), window });
        };
        tokens.extend_from_slice(&heldout[domain as usize].tokens()[offset as usize..][..window as usize]);
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_are_the_tokens_in_order_and_large_enough(count in 0u32..20_000, seq_len in 1usize..200) {
            let tokens: Vec<u32> = (0..count).collect();
            let windows = 16 * (seq_len + 1);
            match DomainTokens::split("domain", tokens.clone(), seq_len) {
                Ok(parts) => {
                    prop_assert_eq!([parts.train.tokens(), parts.heldout.tokens()].concat(), tokens.clone());
                    prop_assert!(parts.train.tokens().len() >= windows);
                    prop_assert_eq!(parts.heldout.tokens().len(), windows.max(tokens.len() / 20));
                }
                Err(error) => {
                    prop_assert!(tokens.len() < 2 * windows, "{error}");
                }
            }
        }

        #[test]
        fn heldout_windows_span_the_blob_evenly(
            extra in 0u32..500, seq_len in 1u32..20, batch in 1u32..5, batches in 1u32..6,
        ) {
            let count = seq_len + 1 + extra;
            let blob = TokenBlob::new((0..count).collect());
            let n_windows = batch * batches;
            let found = heldout_batches(&blob, batch, seq_len, n_windows).unwrap();
            prop_assert_eq!(found.len(), batches as usize);
            let flat = found.concat();
            let starts: Vec<u32> = flat.chunks(seq_len as usize + 1).map(|row| row[0]).collect();
            prop_assert_eq!(starts.len(), n_windows as usize);
            for row in flat.chunks(seq_len as usize + 1) {
                prop_assert!(row.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
            prop_assert_eq!(starts[0], 0);
            if n_windows > 1 {
                prop_assert_eq!(starts[n_windows as usize - 1], extra);
                let gaps: Vec<u32> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
                prop_assert!(gaps.iter().max().unwrap() - gaps.iter().min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn a_text_too_short_to_train_on_says_how_much_is_needed() {
        let error = DomainTokens::split("tiny", vec![0; 100], 64).unwrap_err();
        assert!(matches!(error, DataError::TooSmall { tokens: 100, needed: 2080, .. }));
        assert!(error.to_string().starts_with("domain tiny has 100 tokens"), "{error}");
        assert!(DomainTokens::split("enough", vec![0; 2080], 64).is_ok());
        assert!(DomainTokens::split("absurd", vec![0; 2080], usize::MAX).is_err());
    }

    #[test]
    fn heldout_batches_refuse_partial_batches_and_short_blobs() {
        let blob = TokenBlob::new(vec![0; 8]);
        for (batch, n_windows) in [(0, 4), (4, 0), (4, 6)] {
            let result = heldout_batches(&blob, batch, 3, n_windows);
            assert!(matches!(result, Err(DataError::PartialBatch { .. })));
        }
        assert!(matches!(heldout_batches(&blob, 1, 8, 1), Err(DataError::NoWindow { tokens: 8, window: 9, .. })));
    }
}

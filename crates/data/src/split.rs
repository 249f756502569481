//! Training and held-out tokens, kept apart.

use crate::sampler::window_tokens;
use crate::{DataError, TokenBlob};

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

/// Evenly spaced windows of a held-out blob, from its first token to its last, as batches of shape
/// `[batch, seq_len + 1]` (row-major). Windows overlap when the blob is shorter than all of them.
///
/// # Errors
/// [`DataError::PartialBatch`] unless `n_windows` is a positive multiple of `batch`; [`DataError::NoWindow`] when
/// the blob is shorter than one window.
pub fn heldout_batches(
    heldout: &TokenBlob,
    batch: usize,
    seq_len: u32,
    n_windows: usize,
) -> Result<Vec<Vec<u32>>, DataError> {
    if n_windows == 0 || batch == 0 || !n_windows.is_multiple_of(batch) {
        return Err(DataError::PartialBatch { windows: n_windows, batch });
    }
    let (tokens, window) = (heldout.tokens(), window_tokens(seq_len));
    let Some(last_start) = heldout.token_count().checked_sub(window) else {
        return Err(DataError::NoWindow { domain: 0, tokens: heldout.token_count(), window });
    };
    let gaps = (n_windows as u128 - 1).max(1);
    let starts: Vec<usize> = (0..n_windows).map(|at| (at as u128 * u128::from(last_start) / gaps) as usize).collect();
    let rows =
        |starts: &[usize]| starts.iter().flat_map(|&start| &tokens[start..][..window as usize]).copied().collect();
    Ok(starts.chunks(batch).map(rows).collect())
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
            extra in 0u32..500, seq_len in 1u32..20, batch in 1usize..5, batches in 1usize..6,
        ) {
            let count = seq_len + 1 + extra;
            let blob = TokenBlob::new((0..count).collect());
            let n_windows = batch * batches;
            let found = heldout_batches(&blob, batch, seq_len, n_windows).unwrap();
            prop_assert_eq!(found.len(), batches);
            let flat = found.concat();
            let starts: Vec<u32> = flat.chunks(seq_len as usize + 1).map(|row| row[0]).collect();
            prop_assert_eq!(starts.len(), n_windows);
            for row in flat.chunks(seq_len as usize + 1) {
                prop_assert!(row.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
            prop_assert_eq!(starts[0], 0);
            if n_windows > 1 {
                prop_assert_eq!(starts[n_windows - 1], extra);
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

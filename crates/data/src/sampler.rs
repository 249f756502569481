//! Which window of which domain a trainer trains on: a rule that anyone, a program on chain included, recomputes from
//! sha256 and integers.
//!
//! For row `b` of step `s` of trainer `t` in a round with seed `r`:
//!
//! 1. `h = sha256("sip.sample.1" ‖ r ‖ t ‖ s ‖ b)`, the numbers as `u32` little-endian;
//! 2. `pick = u32(h[0..4]) · 10000 / 2^32`; the domain is the first whose cumulative weight in basis points exceeds
//!    `pick`, so a domain without weight is never picked;
//! 3. `offset = u64(h[8..16]) mod (tokens of the domain − (seq_len + 1) + 1)`;
//! 4. the row is the `seq_len + 1` tokens from `offset` on: inputs and, shifted by one, targets.

use sha2::{Digest, Sha256};

use crate::blob::little_endian;
use crate::{DOMAINS_MAX, DataError, TokenBlob};

/// Weights of a mixture sum to this.
pub const MIXTURE_SUM_BPS: u16 = 10_000;

/// Separates this hash from every other use of sha256 in the protocol, and names the version of the rule.
const SAMPLE_TAG: &[u8] = b"sip.sample.1";

/// Shares of the domains in a round's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixture {
    weights_bps: [u16; DOMAINS_MAX],
    domains: usize,
}

impl Mixture {
    /// A mixture of one weight per domain, in basis points.
    ///
    /// # Errors
    /// [`DataError::Mixture`] unless there are 1 to [`DOMAINS_MAX`] weights with a sum of [`MIXTURE_SUM_BPS`].
    pub fn new(weights_bps: &[u16]) -> Result<Self, DataError> {
        let sum = weights_bps.iter().map(|&weight| u64::from(weight)).sum();
        let mut padded = [0; DOMAINS_MAX];
        match padded.get_mut(..weights_bps.len()) {
            Some(places) if sum == u64::from(MIXTURE_SUM_BPS) => places.copy_from_slice(weights_bps),
            _ => return Err(DataError::Mixture { domains: weights_bps.len(), sum }),
        }
        Ok(Mixture { weights_bps: padded, domains: weights_bps.len() })
    }

    /// Equal weights; what does not divide goes to the first domains.
    ///
    /// # Errors
    /// [`DataError::Mixture`] unless there are 1 to [`DOMAINS_MAX`] domains.
    pub fn uniform(domains: usize) -> Result<Self, DataError> {
        if !(1..=DOMAINS_MAX).contains(&domains) {
            return Err(DataError::Mixture { domains, sum: 0 });
        }
        let (share, rest) = (MIXTURE_SUM_BPS / domains as u16, usize::from(MIXTURE_SUM_BPS) % domains);
        let weights: [u16; DOMAINS_MAX] = std::array::from_fn(|at| share + u16::from(at < rest));
        Self::new(&weights[..domains])
    }

    /// One weight per domain, in basis points.
    pub fn weights_bps(&self) -> &[u16] {
        &self.weights_bps[..self.domains]
    }

    /// The first domain whose cumulative weight exceeds `pick`, which is below [`MIXTURE_SUM_BPS`].
    fn domain_of(&self, pick: u64) -> usize {
        let mut cumulative = 0;
        let exceeds = |weight: &u16| {
            cumulative += u64::from(*weight);
            pick < cumulative
        };
        self.weights_bps.iter().position(exceeds).unwrap_or(DOMAINS_MAX - 1)
    }
}

/// A window of a domain's training tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Index of the domain.
    pub domain: usize,
    /// Index of the window's first token.
    pub offset: u64,
}

/// Tokens of a window: inputs, and targets shifted by one.
pub(crate) fn window_tokens(seq_len: u32) -> u64 {
    u64::from(seq_len) + 1
}

/// The window that row `row` of step `step` (counted within the round) of trainer slot `trainer` consists of.
///
/// `token_counts` are the training tokens of each domain.
///
/// # Errors
/// [`DataError::NoWindow`] when the drawn domain is not in `token_counts` or has fewer than `seq_len + 1` tokens.
pub fn locate(
    round_seed: &[u8; 32],
    trainer: u32,
    step: u32,
    row: u32,
    mixture: &Mixture,
    token_counts: &[u64],
    seq_len: u32,
) -> Result<Location, DataError> {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(SAMPLE_TAG)
        .chain_update(round_seed)
        .chain_update(trainer.to_le_bytes())
        .chain_update(step.to_le_bytes())
        .chain_update(row.to_le_bytes())
        .finalize()
        .into();
    let [a, b, c, d, _, _, _, _, offset @ ..] = hash.first_chunk::<16>().copied().unwrap_or_default();
    let pick = (u64::from(u32::from_le_bytes([a, b, c, d])) * u64::from(MIXTURE_SUM_BPS)) >> 32;
    let domain = mixture.domain_of(pick);
    let (tokens, window) = (token_counts.get(domain).copied().unwrap_or(0), window_tokens(seq_len));
    let Some(last_start) = tokens.checked_sub(window) else {
        return Err(DataError::NoWindow { domain, tokens, window });
    };
    // `last_start + 1` is at most `tokens`: no overflow, as a window has at least one token.
    Ok(Location { domain, offset: u64::from_le_bytes(offset) % (last_start + 1) })
}

/// The batch of step `step` of trainer slot `trainer`: `rows` rows of `seq_len + 1` tokens, row-major.
///
/// `domains` are the training blobs in the order of the mixture.
///
/// # Errors
/// As of [`locate`].
pub fn batch(
    round_seed: &[u8; 32],
    trainer: u32,
    step: u32,
    rows: u32,
    mixture: &Mixture,
    domains: &[&TokenBlob],
    seq_len: u32,
) -> Result<Vec<u32>, DataError> {
    let counts: Vec<u64> = domains.iter().map(|blob| blob.token_count()).collect();
    let window = window_tokens(seq_len) as usize;
    let mut tokens = Vec::new();
    for row in 0..rows {
        let Location { domain, offset } = locate(round_seed, trainer, step, row, mixture, &counts, seq_len)?;
        tokens.extend_from_slice(&domains[domain].tokens()[offset as usize..][..window]);
    }
    Ok(tokens)
}

/// The name under which a step commits to its batch: BLAKE3 of the little-endian bytes.
pub fn batch_root(batch: &[u32]) -> [u8; 32] {
    *blake3::hash(&little_endian(batch)).as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 1 to 8 weights that sum to 10000, zeros among them.
    fn mixtures() -> impl Strategy<Value = Mixture> {
        prop::collection::vec(prop_oneof![Just(0), 0u16..=MIXTURE_SUM_BPS], 0..DOMAINS_MAX).prop_map(|mut cuts| {
            cuts.push(0);
            cuts.push(MIXTURE_SUM_BPS);
            cuts.sort_unstable();
            let weights: Vec<u16> = cuts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            Mixture::new(&weights).unwrap()
        })
    }

    proptest! {
        #[test]
        fn every_location_is_a_whole_window_of_a_domain_with_weight(
            seed: [u8; 32], trainer: u32, step: u32, row: u32, mixture in mixtures(),
            spare in prop::collection::vec(prop_oneof![Just(0), 0u64..1 << 40], DOMAINS_MAX), seq_len: u32,
        ) {
            let counts: Vec<u64> = spare.iter().map(|spare| spare + window_tokens(seq_len)).collect();
            let found = locate(&seed, trainer, step, row, &mixture, &counts, seq_len).unwrap();
            prop_assert!(mixture.weights_bps()[found.domain] > 0);
            prop_assert!(found.offset + window_tokens(seq_len) <= counts[found.domain]);
            prop_assert_eq!(found, locate(&seed, trainer, step, row, &mixture, &counts, seq_len).unwrap());
        }

        #[test]
        fn every_pick_falls_to_the_domain_whose_share_holds_it(mixture in mixtures(), pick in 0..MIXTURE_SUM_BPS) {
            let domain = mixture.domain_of(u64::from(pick));
            let before: u16 = mixture.weights_bps()[..domain].iter().sum();
            prop_assert!(before <= pick && pick < before + mixture.weights_bps()[domain]);
        }

        #[test]
        fn a_batch_is_its_located_windows(
            seed: [u8; 32], trainer: u32, step: u32, rows in 0u32..9, seq_len in 0u32..20, mixture in mixtures(),
        ) {
            // The tokens of a domain tell the domain and the place.
            let blobs: Vec<TokenBlob> =
                (0..DOMAINS_MAX as u32).map(|d| TokenBlob::new((0..21 + 50 * d).map(|at| d << 16 | at).collect())).collect();
            let domains: Vec<&TokenBlob> = blobs.iter().collect();
            let counts: Vec<u64> = blobs.iter().map(TokenBlob::token_count).collect();
            let found = batch(&seed, trainer, step, rows, &mixture, &domains, seq_len).unwrap();
            prop_assert_eq!(found.len() as u64, u64::from(rows) * window_tokens(seq_len));
            for (row, window) in (0..rows).zip(found.chunks(seq_len as usize + 1)) {
                let place = locate(&seed, trainer, step, row, &mixture, &counts, seq_len).unwrap();
                let first = (place.domain as u32) << 16 | place.offset as u32;
                let expected: Vec<u32> = (first..=first + seq_len).collect();
                prop_assert_eq!(window, &expected[..]);
            }
        }
    }

    #[test]
    fn the_rule_is_the_one_of_the_first_version() {
        // Computed with Python's hashlib from the rule as written at the top.
        let seed: [u8; 32] = std::array::from_fn(|at| at as u8);
        let mixture = Mixture::new(&[5000, 0, 3000, 2000]).unwrap();
        let counts = [1_000_000, 0, 123_457, 129];
        let found: Vec<(usize, u64)> = [(0, 0, 0), (0, 0, 1), (1, 2, 3), (7, 49, 15), (u32::MAX, u32::MAX, u32::MAX)]
            .into_iter()
            .map(|(trainer, step, row)| locate(&seed, trainer, step, row, &mixture, &counts, 128).unwrap())
            .map(|place| (place.domain, place.offset))
            .collect();
        assert_eq!(found, [(0, 56995), (2, 88857), (0, 347319), (0, 38166), (0, 572578)]);
    }

    #[test]
    fn domains_are_drawn_in_proportion_to_their_weight() {
        let mixture = Mixture::new(&[6000, 0, 3000, 1000]).unwrap();
        let mut drawn = [0u32; 4];
        for row in 0..10_000 {
            drawn[locate(&[3; 32], 1, 2, row, &mixture, &[1000; 4], 9).unwrap().domain] += 1;
        }
        assert_eq!(drawn[1], 0);
        for (count, expected) in [(drawn[0], 6000), (drawn[2], 3000), (drawn[3], 1000)] {
            // Four standard deviations of the widest share.
            assert!(count.abs_diff(expected) < 200, "{drawn:?}");
        }
    }

    #[test]
    fn weights_that_are_no_mixture_are_refused() {
        for weights in
            [&[][..], &[9_999], &[10_001], &[5_000, 5_001], &[u16::MAX; 8], &[10_000, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(matches!(Mixture::new(weights), Err(DataError::Mixture { .. })), "{weights:?}");
        }
        assert!(Mixture::uniform(0).is_err());
        assert!(Mixture::uniform(9).is_err());
        assert_eq!(Mixture::uniform(3).unwrap().weights_bps(), [3334, 3333, 3333]);
        assert_eq!(Mixture::uniform(8).unwrap().weights_bps(), [1250; 8]);
    }

    #[test]
    fn a_domain_without_a_window_is_an_error() {
        let mixture = Mixture::uniform(1).unwrap();
        for counts in [&[][..], &[0], &[9]] {
            let result = locate(&[0; 32], 0, 0, 0, &mixture, counts, 9);
            assert!(matches!(result, Err(DataError::NoWindow { domain: 0, window: 10, .. })), "{counts:?}");
        }
        assert_eq!(locate(&[0; 32], 0, 0, 0, &mixture, &[10], 9).unwrap().offset, 0);
    }

    #[test]
    fn a_batch_root_names_the_little_endian_bytes() {
        assert_eq!(batch_root(&[1, 2]), TokenBlob::new(vec![1, 2]).root());
    }
}

//! Which tokens a batch holds: a function of public values, so that data order is computed and never trusted.

use crate::{Hash, Sha256};

/// Parts of a whole in a mixture.
pub const MIXTURE_WHOLE_BPS: u64 = 10_000;

const SAMPLE_TAG: &[u8; 12] = b"sip.sample.1";

/// One row of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Seed of the round.
    pub round_seed: Hash,
    /// The trainer's number in the job.
    pub trainer: u32,
    /// Step, counted within the round.
    pub step: u32,
    /// Row of the batch.
    pub row: u32,
}

/// Where a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which domain's dataset.
    pub domain: u32,
    /// First token of the row within the dataset's training part.
    pub offset: u64,
}

impl Row {
    /// The window that the row reads: a domain drawn by the mixture (basis points per domain that sum to
    /// [`MIXTURE_WHOLE_BPS`]), then an offset drawn evenly over the dataset. `window_tokens` is the row's length,
    /// sequence length + 1. `None` if the mixture has no such domain or its dataset is shorter than a row.
    pub fn locate<S: Sha256>(&self, corpus: &Corpus<'_>, window_tokens: u32) -> Option<Window> {
        let hash = S::hashv(&[
            SAMPLE_TAG,
            &self.round_seed,
            &self.trainer.to_le_bytes(),
            &self.step.to_le_bytes(),
            &self.row.to_le_bytes(),
        ]);
        let draw = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) as u64;
        let pick = draw.wrapping_mul(MIXTURE_WHOLE_BPS) >> 32;
        let mut cumulative = 0u64;
        for (domain, &share_bps) in corpus.mixture_bps.iter().enumerate() {
            cumulative = cumulative.wrapping_add(share_bps as u64);
            if pick < cumulative {
                let token_count = *corpus.token_counts.get(domain)?;
                let starts = token_count.checked_sub(window_tokens as u64)?.checked_add(1)?;
                let draw =
                    u64::from_le_bytes([hash[8], hash[9], hash[10], hash[11], hash[12], hash[13], hash[14], hash[15]]);
                return Some(Window { domain: domain as u32, offset: draw % starts });
            }
        }
        None
    }
}

/// What is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    /// Share of each domain, in basis points.
    pub mixture_bps: &'a [u16],
    /// Training tokens of each domain's dataset.
    pub token_counts: &'a [u64],
}

/// The windows of held-out tokens on which every model of a job is scored: of each domain the same number, evenly spaced from
/// its first token to its last, `rows` a step; the domain changes only between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// Windows of each domain: a positive multiple of `rows`.
    pub windows: u32,
    /// Windows of a step.
    pub rows: u32,
}

impl HeldOut {
    /// Steps that score one domain; `None` where `rows` does not divide `windows`.
    pub const fn steps_per_domain(&self) -> Option<u32> {
        match self.windows.checked_rem(self.rows) {
            Some(0) if self.windows > 0 => Some(self.windows / self.rows),
            _ => None,
        }
    }

    /// Steps that score so many domains.
    pub const fn steps(&self, domains: u32) -> Option<u32> {
        match self.steps_per_domain() {
            Some(steps) => steps.checked_mul(domains),
            None => None,
        }
    }

    /// The window that a row of a step reads; `token_counts` are the held-out tokens of each domain, `window_tokens` is a row's length,
    /// sequence length + 1.
    ///
    /// Window `n` of `N` begins at token ⌊n · (tokens − window_tokens) / (N − 1)⌋. Windows overlap where the tokens are few. `None` for
    /// a row or step that there is not, or a domain shorter than a row.
    pub fn locate(&self, step: u32, row: u32, token_counts: &[u64], window_tokens: u32) -> Option<Window> {
        let steps = self.steps_per_domain()?;
        if row >= self.rows {
            return None;
        }
        let domain = step / steps;
        let last = token_counts.get(domain as usize)?.checked_sub(window_tokens as u64)?;
        let window = ((step % steps) as u64).wrapping_mul(self.rows as u64).wrapping_add(row as u64);
        let gaps = (self.windows as u64 - 1).max(1);
        // n · last / gaps without a product beyond 64 bits: the first is at most `last`, the second below gaps².
        let whole = window.wrapping_mul(last / gaps);
        let rest = window.wrapping_mul(last % gaps) / gaps;
        Some(Window { domain, offset: whole.wrapping_add(rest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostSha256;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn held_out_windows_are_evenly_spaced_from_the_first_token_to_the_last(
            rows in 1u32..9, steps in 1u32..9, spare in prop_oneof![0u64..1000, 1u64 << 60..1 << 62], window in 1u32..100,
        ) {
            let held_out = HeldOut { windows: rows * steps, rows };
            let counts = [window as u64, window as u64 + spare];
            prop_assert_eq!(held_out.steps(2), Some(2 * steps));
            for number in 0..rows * steps {
                let (step, row) = (number / rows, number % rows);
                let first = held_out.locate(step, row, &counts, window);
                prop_assert_eq!(first, Some(Window { domain: 0, offset: 0 }));
                let gaps = u128::from((rows * steps - 1).max(1));
                let offset = (u128::from(number) * u128::from(spare) / gaps) as u64;
                let second = held_out.locate(steps + step, row, &counts, window);
                prop_assert_eq!(second, Some(Window { domain: 1, offset }));
            }
            prop_assert_eq!(held_out.locate(2 * steps, 0, &counts, window), None);
            prop_assert_eq!(held_out.locate(0, rows, &counts, window), None);
        }
    }

    #[test]
    fn held_out_windows_need_whole_steps_and_long_domains() {
        for (windows, rows) in [(0, 4), (4, 0), (6, 4)] {
            let held_out = HeldOut { windows, rows };
            assert_eq!((held_out.steps_per_domain(), held_out.steps(1)), (None, None));
            assert_eq!(held_out.locate(0, 0, &[1000], 9), None);
        }
        assert_eq!(HeldOut { windows: 4, rows: 2 }.locate(0, 0, &[8], 9), None);
        assert_eq!(HeldOut { windows: u32::MAX, rows: 1 }.steps(2), None);
    }

    const ROW: Row = Row { round_seed: [7; 32], trainer: 2, step: 5, row: 1 };

    #[test]
    fn the_mixture_is_followed() {
        let corpus = Corpus { mixture_bps: &[7000, 0, 3000], token_counts: &[1000, 1000, 129] };
        let mut counts = [0u32; 3];
        for row in 0..10_000 {
            let window = Row { row, ..ROW }.locate::<HostSha256>(&corpus, 129).unwrap();
            counts[window.domain as usize] += 1;
            assert!(window.offset + 129 <= corpus.token_counts[window.domain as usize]);
        }
        assert_eq!(counts[1], 0);
        assert!((6800..7200).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn every_field_moves_the_window() {
        let corpus = Corpus { mixture_bps: &[10_000], token_counts: &[1 << 40] };
        let window = ROW.locate::<HostSha256>(&corpus, 129);
        for other in [
            Row { round_seed: [8; 32], ..ROW },
            Row { trainer: 3, ..ROW },
            Row { step: 6, ..ROW },
            Row { row: 2, ..ROW },
        ] {
            assert_ne!(other.locate::<HostSha256>(&corpus, 129), window);
        }
    }

    #[test]
    fn the_rule_is_the_one_of_the_first_version() {
        // Computed with Python's hashlib.
        let round_seed = core::array::from_fn(|at| at as u8);
        let corpus = Corpus { mixture_bps: &[5000, 0, 3000, 2000], token_counts: &[1_000_000, 0, 123_457, 129] };
        let rows = [(0, 0, 0), (0, 0, 1), (1, 2, 3), (7, 49, 15), (u32::MAX, u32::MAX, u32::MAX)];
        let found = rows.map(|(trainer, step, row)| {
            let window = Row { round_seed, trainer, step, row }.locate::<HostSha256>(&corpus, 129).unwrap();
            (window.domain, window.offset)
        });
        assert_eq!(found, [(0, 56995), (2, 88857), (0, 347319), (0, 38166), (0, 572578)]);
    }

    #[test]
    fn a_dataset_shorter_than_a_row_gives_none() {
        let corpus = Corpus { mixture_bps: &[10_000], token_counts: &[128] };
        assert_eq!(ROW.locate::<HostSha256>(&corpus, 129), None);
        assert_eq!(ROW.locate::<HostSha256>(&Corpus { mixture_bps: &[], token_counts: &[] }, 129), None);
    }
}

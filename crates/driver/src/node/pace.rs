//! How long a slot lasts, by measuring.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered.
const LOOKS: usize = 33;

/// The pace of a chain.
#[derive(Clone, Debug)]
pub struct Pace {
    looks: VecDeque<(u64, Instant)>,
    /// Until it was measured.
    assumed: Duration,
}

impl Pace {
    /// Not measured yet.
    pub fn new(assumed: Duration) -> Pace {
        Pace { looks: VecDeque::new(), assumed }
    }

    /// Notes the slot that a chain is in.
    pub fn note(&mut self, slot: u64, at: Instant) {
        if self.looks.back().is_some_and(|(last, _)| *last >= slot) {
            return;
        }
        self.looks.push_back((slot, at));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }

    /// How long a slot lasts: the median between looks.
    pub fn slot(&self) -> Duration {
        let pairs = self.looks.iter().zip(self.looks.iter().skip(1));
        let mut slots: Vec<Duration> = pairs
            .map(|((from, begin), (to, end))| (*end - *begin) / u32::try_from(to - from).unwrap_or(u32::MAX))
            .collect();
        slots.sort_unstable();
        slots.get(slots.len() / 2).copied().unwrap_or(self.assumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_lasts_as_long_as_most_looks_say() {
        let mut pace = Pace::new(Duration::from_millis(400));
        assert_eq!(pace.slot(), Duration::from_millis(400));
        let begin = Instant::now();
        for (slot, millis) in [(10, 0), (12, 500), (12, 600), (13, 750), (14, 9_750), (18, 10_750), (17, 11_000)] {
            pace.note(slot, begin + Duration::from_millis(millis));
        }
        assert_eq!(pace.slot(), Duration::from_millis(250));
    }
}

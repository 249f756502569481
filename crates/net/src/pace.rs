//! Whether bytes move: a floor under everybody's speed, and buckets that bound it.

use std::time::{Duration, Instant};

/// Watches that at least so many bytes a second move, looked at once a window.
#[derive(Debug)]
pub(crate) struct Floor {
    bytes_per_second: u64,
    window: Duration,
    moved: u64,
    since: Instant,
}

impl Floor {
    pub(crate) fn new(bytes_per_second: u64, window: Duration) -> Floor {
        Floor { bytes_per_second, window, moved: 0, since: Instant::now() }
    }

    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// The window begins anew: nobody was waited for.
    pub(crate) fn restart(&mut self) {
        self.moved = 0;
        self.since = Instant::now();
    }

    /// Whether a window went by in which too little moved.
    pub(crate) fn is_missed(&mut self) -> bool {
        let waited = self.since.elapsed();
        if waited < self.window {
            return false;
        }
        let is_missed = (self.moved as f64) < self.bytes_per_second as f64 * waited.as_secs_f64();
        self.restart();
        is_missed
    }
}

/// Fills steadily, and gives as long as there is something in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// Holds what comes in one second, or `most` if that is more.
    pub(crate) fn new(per_second: u64, most: u64) -> Bucket {
        let most = per_second.max(most) as f64;
        Bucket { per_second: per_second as f64, most, level: most, at: Instant::now() }
    }

    /// Takes so much, and says how long to wait before it may be used.
    pub(crate) fn take(&mut self, amount: u64) -> Duration {
        let now = Instant::now();
        let came = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.level = (self.level + came).min(self.most) - amount as f64;
        if self.level >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.level / self.per_second).unwrap_or(Duration::from_secs(3600))
    }

    /// Gives back what was taken and is not used after all.
    pub(crate) fn give_back(&mut self, amount: u64) {
        self.level = (self.level + amount as f64).min(self.most);
    }

    /// Whether it is as full as it gets: nobody has used it for a while.
    pub(crate) fn is_full(&self) -> bool {
        self.level + self.at.elapsed().as_secs_f64() * self.per_second >= self.most
    }
}

//! Who gave wrong bytes.

use crate::Hash;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that somebody is remembered for, in lengths of a first ban.
const MAX_LENGTHS: u32 = 64;
/// Peers that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// A peer that is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Whom.
    pub id: Hash,
    /// What it did.
    pub why: String,
    /// Until when.
    pub until: Instant,
}

/// The peers that gave wrong bytes, of one job. A first ban has the given length, each further one of the same peer twice the one before.
#[derive(Debug)]
pub struct Bans {
    length: Duration,
    banned: Mutex<BTreeMap<Hash, (Ban, u32)>>,
}

impl Bans {
    /// Nobody yet; `length` is about what a round takes.
    pub fn new(length: Duration) -> Bans {
        Bans { length, banned: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Hash, (Ban, u32)>> {
        self.banned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bans a peer.
    pub(crate) fn add(&self, id: &Hash, why: &str) {
        let mut banned = self.lock();
        if banned.get(id).is_some_and(|(ban, _)| ban.until > Instant::now()) {
            return;
        }
        let lengths = banned.get(id).map_or(1, |(_, lengths)| (lengths * 2).min(MAX_LENGTHS));
        if banned.len() >= MAX_REMEMBERED && !banned.contains_key(id) {
            let first = banned.iter().min_by_key(|(_, (ban, _))| ban.until).map(|(id, _)| *id);
            first.map(|first| banned.remove(&first));
        }
        let until = Instant::now() + self.length * lengths;
        banned.insert(*id, (Ban { id: *id, why: why.into(), until }, lengths));
    }

    /// Whether a peer is not to be asked now.
    pub fn is_banned(&self, id: &Hash) -> bool {
        self.lock().get(id).is_some_and(|(ban, _)| ban.until > Instant::now())
    }

    /// Who is banned now, and why.
    pub fn list(&self) -> Vec<Ban> {
        let now = Instant::now();
        self.lock().values().map(|(ban, _)| ban).filter(|ban| ban.until > now).cloned().collect()
    }

    /// Forgets what a peer did.
    pub fn lift(&self, id: &Hash) {
        self.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_ends_and_the_next_one_is_longer() {
        let bans = Bans::new(Duration::from_millis(20));
        bans.add(&[1; 32], "wrong bytes");
        assert!(bans.is_banned(&[1; 32]) && !bans.is_banned(&[2; 32]));
        std::thread::sleep(Duration::from_millis(25));
        assert!(!bans.is_banned(&[1; 32]) && bans.list().is_empty());
        bans.add(&[1; 32], "wrong bytes again");
        let until = bans.list()[0].until;
        assert!(until > Instant::now() + Duration::from_millis(30), "twice as long");
        bans.lift(&[1; 32]);
        assert!(!bans.is_banned(&[1; 32]));
    }

    #[test]
    fn many_liars_take_bounded_memory() {
        let bans = Bans::new(Duration::from_secs(60));
        for number in 0..MAX_REMEMBERED as u64 + 10 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            bans.add(&id, "x");
        }
        assert_eq!(bans.list().len(), MAX_REMEMBERED);
    }
}

//! The next round's seed: the auditors' draws and the hashes of two slots that nobody chose.
//!
//! When a round is closed its draws are fixed, and with them two slots in the future, in different leader windows. Once both have
//! passed, anyone captures their hashes from the ledger's window of 512 slots. A slot without a block stands for the last one
//! before it that has a block. If nobody captures them while the window holds them, the seed has zeros in their place, and the
//! next round is audited whole.
//!
//! Invariants: which hashes are mixed follows from the slot of the closing alone; no round opens before the seed is settled.

use sip_proof::Sha256;

use crate::{
    Error, Result,
    training::{job::Job, round::Round},
};

/// From the closing of a round to the two slots. A leader has four slots in a row.
pub const DELAY_SLOTS: [u64; 2] = [8, 16];

/// Seed state of a round: not closed yet.
pub const NONE: u8 = 0;
/// Its draws are fixed and the two slots are not captured.
pub const PENDING: u8 = 1;
/// The two slots' hashes are in the seed.
pub const CAPTURED: u8 = 2;
/// Nobody captured them in time.
pub const MISSED: u8 = 3;

/// Bytes of an entry of the ledger's window: slot and hash.
const ENTRY_BYTES: usize = 40;

/// The hash of the last slot with a block that is not after `target`, in the bytes of the ledger's window (a count, then slots and
/// hashes, newest first); `None` if the window begins after it.
pub fn hash_at(window: &[u8], target: u64) -> Option<[u8; 32]> {
    let (count, entries) = window.split_first_chunk::<8>()?;
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    let entries = entries.get(..u64::from_le_bytes(*count) as usize)?;
    let slot = |entry: &[u8; ENTRY_BYTES]| entry.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let first = entries.partition_point(|entry| slot(entry) > target);
    entries.get(first)?.last_chunk().copied()
}

impl Round {
    /// The seed that follows: sha256(seed ‖ reveals ‖ both slot hashes), zeros for what there is not.
    pub fn following_seed<H: Sha256>(&self) -> [u8; 32] {
        H::hashv(&[&self.seed, &self.reveals, &self.seed_hashes[0], &self.seed_hashes[1]])
    }

    /// Fixes the two slots when the round is closed.
    pub(crate) fn await_seed(&mut self, job: &mut Job, slot: u64) -> Result<()> {
        for (target, delay) in self.seed_slots.iter_mut().zip(DELAY_SLOTS) {
            *target = slot.checked_add(delay).ok_or(Error::Overflow)?;
        }
        self.seed_status = PENDING;
        job.chain.is_seed_pending = 1;
        Ok(())
    }

    /// Takes the two slots' hashes out of the ledger's window and settles the next seed.
    #[inline(always)]
    pub fn capture_seed<H: Sha256>(&mut self, job: &mut Job, window: &[u8], slot: u64) -> Result<()> {
        if self.seed_status != PENDING {
            return Err(Error::NoSeedPending);
        }
        if slot <= self.seed_slots[1] {
            return Err(Error::SeedNotDue);
        }
        match (hash_at(window, self.seed_slots[0]), hash_at(window, self.seed_slots[1])) {
            (Some(first), Some(second)) => {
                self.seed_hashes = [first, second];
                self.seed_status = CAPTURED;
            }
            _ => self.seed_status = MISSED,
        }
        job.next_seed = self.following_seed::<H>();
        job.chain.is_seed_pending = 0;
        job.chain.is_seed_missed = (self.seed_status == MISSED) as u8;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(slots: &[u64]) -> Vec<u8> {
        let mut bytes = (slots.len() as u64).to_le_bytes().to_vec();
        for slot in slots {
            bytes.extend_from_slice(&slot.to_le_bytes());
            bytes.extend_from_slice(&[*slot as u8; 32]);
        }
        bytes
    }

    #[test]
    fn a_slot_without_a_block_stands_for_the_one_before() {
        let window = window(&[110, 109, 105, 104]);
        assert_eq!(hash_at(&window, 110), Some([110; 32]));
        assert_eq!(hash_at(&window, 200), Some([110; 32]));
        assert_eq!(hash_at(&window, 108), Some([105; 32]));
        assert_eq!(hash_at(&window, 104), Some([104; 32]));
        assert_eq!(hash_at(&window, 103), None);
        assert_eq!(hash_at(&[], 103), None);
        assert_eq!(hash_at(&window[..20], 103), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), target in any::<u64>()) {
            let _ = hash_at(&bytes, target);
        }

        #[test]
        fn the_hash_is_that_of_a_plain_search(mut slots in prop::collection::vec(0u64..200, 0..40), target in 0u64..220) {
            slots.sort_unstable();
            slots.dedup();
            slots.reverse();
            let found = slots.iter().find(|slot| **slot <= target).map(|slot| [*slot as u8; 32]);
            prop_assert_eq!(hash_at(&window(&slots), target), found);
        }
    }
}

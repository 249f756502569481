//! Session keys: a hot key does a pool's work, and the cold wallet that operates the pool never touches the machine.
//!
//! The operator names one key and until when it holds. What that key signs in the operator's place is *work*: commitments, reveals, attestations,
//! votes, scores, answers, moves of a defence, waking a seat, saying where the pool is found. Whatever moves stake, bonds, rewards or duties is the operator's alone. Which of the two an
//! instruction is, its declaration says: [`Role::Worker`](crate::ground::spec::Role::Worker) or another.
//!
//! There is one key and no mask: a thief of it can lie in the pool's name and so lose the slices that claims have, whatever part of the work it has. In a
//! dispute it waits half a clock, so that an operator who looks loses nothing that is true ([`crate::court::Dispute::side_of_worker`]).

use crate::{Address, Error, Result, stake::pool::Pool};

impl Pool {
    /// Whether a wallet may do the pool's work in a slot: it operates the pool, or holds its session key.
    #[inline(always)]
    pub fn is_worker(&self, wallet: &Address, slot: u64) -> bool {
        let is_session = slot < self.session_until_slot && self.session_key == *wallet;
        !self.is_attention() && (self.scope == *wallet || is_session)
    }

    /// Checks that a wallet may do the pool's work. All instructions of work ask here, and none that moves money.
    #[inline(always)]
    pub fn require_worker(&self, wallet: &Address, slot: u64) -> Result<()> {
        if self.is_worker(wallet, slot) { Ok(()) } else { Err(Error::NotAuthority) }
    }

    /// Names another session key, which holds before a slot; zeros end the present one. The caller has checked that the operator signs.
    pub fn set_session(&mut self, key: &Address, until_slot: u64, slot: u64) -> Result<()> {
        let is_none = *key == [0; 32] && until_slot == 0;
        let is_one = *key != [0; 32] && *key != self.scope && until_slot > slot;
        if !is_none && !is_one {
            return Err(Error::WrongSession);
        }
        (self.session_key, self.session_until_slot) = (*key, until_slot);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stake::pool::PoolKind;
    use bytemuck::Zeroable;

    const OPERATOR: Address = [7; 32];
    const HOT: Address = [8; 32];

    #[test]
    fn a_session_key_works_before_its_slot_and_no_other_key_does() {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Trainer, &OPERATOR, 0, 0);
        assert!(!pool.is_worker(&HOT, 5) && !pool.is_worker(&[0; 32], 5) && pool.is_worker(&OPERATOR, 5));
        pool.set_session(&HOT, 10, 5).unwrap();
        assert!(pool.is_worker(&HOT, 9) && !pool.is_worker(&HOT, 10) && pool.is_worker(&OPERATOR, 10));
        assert!(pool.require_operator(&HOT).is_err());
        pool.set_session(&[0; 32], 0, 5).unwrap();
        assert!(!pool.is_worker(&HOT, 9) && !pool.is_worker(&[0; 32], 9));
    }

    #[test]
    fn a_session_is_a_key_of_its_own_with_time_left_or_none() {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Trainer, &OPERATOR, 0, 0);
        for (key, until) in [(OPERATOR, 10), (HOT, 5), (HOT, 0), ([0; 32], 10)] {
            assert_eq!(pool.set_session(&key, until, 5), Err(Error::WrongSession));
        }
        // Nobody works for a domain.
        pool.initialise(PoolKind::Attention, &OPERATOR, 0, 0);
        pool.set_session(&HOT, 10, 5).unwrap();
        assert!(!pool.is_worker(&HOT, 5) && !pool.is_worker(&OPERATOR, 5));
    }
}

//! Liquid stake: shares of a compounding pool as tokens that any wallet can hold.
//!
//! Such a share earns through its price, assets / shares, which anyone reads from the pool's account; it has no vote, and a slash
//! lowers it like every other share. The way back is new stake: pending, so that a token bought today counts no sooner than a
//! deposit made today.
//!
//! Invariants: liquid shares = the mint's supply; while a dispute on the operator is open nobody goes in or out, so that neither fraud nor
//! its slash is sold to somebody unaware within the protocol; locked and steering shares stay.

use sip_arith::int;

use crate::{
    Error, Result,
    stake::{pool::Pool, position::Position},
};

impl Position {
    /// Takes active shares out of the position; the caller mints the same number of tokens.
    pub fn tokenise(&mut self, pool: &mut Pool, shares: u64, slot: u64) -> Result<()> {
        if pool.compounding == 0 {
            return Err(Error::NotCompounding);
        }
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        pool.require_open()?;
        self.activate(pool, slot)?;
        if shares > self.shares {
            return Err(Error::NotEnoughShares);
        }
        if shares > self.shares.saturating_sub(self.steering_shares.max(self.locked(slot))) {
            return Err(Error::SharesLocked);
        }
        pool.liquid_shares = int::add(pool.liquid_shares, shares)?;
        self.shares -= shares;
        Ok(())
    }

    /// Turns tokens that the caller has burned into new stake at the present price, and returns its base units. Works in
    /// a retired pool, from which the stake can only leave.
    pub fn detokenise(&mut self, pool: &mut Pool, shares: u64, slot: u64, activation_slots: u64) -> Result<u64> {
        if pool.open_disputes != 0 {
            return Err(Error::PoolFrozen);
        }
        if shares > pool.liquid_shares {
            return Err(Error::NotEnoughShares);
        }
        self.activate(pool, slot)?;
        pool.liquid_shares -= shares;
        let amount = pool.remove_shares(shares, slot)?;
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        self.leave(pool, shares, slot)?;
        self.add_pending(pool, amount, slot, activation_slots)?;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stake::{
        pool::{PoolKind, RETIRED, SEED_SHARES},
        position::Ticket,
    };
    use bytemuck::Zeroable;

    fn world() -> (Pool, Position) {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Server, &[1; 32], 0, 0);
        pool.compounding = 1;
        let mut position = Position::zeroed();
        position.initialise(&[9; 32], &pool, &[2; 32]);
        position.deposit(&mut pool, 1_000_000, 0, 0, 0).unwrap();
        (pool, position)
    }

    #[test]
    fn a_liquid_share_earns_by_its_price_and_starts_anew_on_its_way_back() {
        let (mut pool, mut position) = world();
        position.tokenise(&mut pool, 400_000, 10).unwrap();
        assert_eq!((position.shares, pool.liquid_shares, pool.shares), (600_000, 400_000, 1_000_000 + SEED_SHARES));
        pool.credit(1_001_000).unwrap();
        assert_eq!((pool.assets, pool.rewards_owed), (2_002_000, 0), "the price doubled");
        let mut other = Position::zeroed();
        other.initialise(&[9; 32], &pool, &[3; 32]);
        assert_eq!(other.detokenise(&mut pool, 400_000, 20, 100), Ok(800_000));
        assert_eq!((other.shares, other.pending, pool.assets, pool.pending_assets), (0, 800_000, 1_202_000, 800_000));
        other.activate(&mut pool, 70).unwrap();
        assert_eq!((other.shares, other.pending), (200_000, 400_000));
        assert_eq!(other.detokenise(&mut pool, 1, 70, 100), Err(Error::NotEnoughShares));
    }

    #[test]
    fn nobody_goes_in_or_out_during_a_dispute_and_all_leave_a_retired_pool() {
        let (mut pool, mut position) = world();
        position.tokenise(&mut pool, 400_000, 10).unwrap();
        pool.freeze().unwrap();
        assert_eq!(position.tokenise(&mut pool, 1, 10), Err(Error::PoolFrozen));
        assert_eq!(position.detokenise(&mut pool, 1, 10, 100), Err(Error::PoolFrozen));
        pool.slash_bps(10_000, 5_000, 10).unwrap();
        pool.unfreeze().unwrap();
        pool.status = RETIRED;
        assert_eq!(position.tokenise(&mut pool, 1, 10), Err(Error::PoolRetired));
        assert_eq!(position.detokenise(&mut pool, 400_000, 10, 100), Ok(200_000), "slashed like the rest");
        assert_eq!(position.activate(&mut pool, 1_000), Ok(0));
        let mut ticket = Ticket::zeroed();
        ticket.cancel(&mut position, &mut pool, 1_000, 5).unwrap();
        assert_eq!(ticket.claim(&mut pool, 1_005), Ok(200_000));
    }

    #[test]
    fn only_a_compounding_pool_has_tokens() {
        let (mut pool, mut position) = world();
        pool.compounding = 0;
        assert_eq!(position.tokenise(&mut pool, 1, 10), Err(Error::NotCompounding));
        pool.compounding = 1;
        assert_eq!(position.tokenise(&mut pool, 0, 10), Err(Error::ZeroAmount));
        assert_eq!(position.tokenise(&mut pool, 1_000_001, 10), Err(Error::NotEnoughShares));
        position.steering_shares = 999_999;
        assert_eq!(position.tokenise(&mut pool, 2, 10), Err(Error::SharesLocked));
    }
}

//! A patron's own steering: stake that works in an operator's pool still votes for a domain of its owner's choice.
//!
//! Yield is delegated, the vote is not: no operator steers with its delegators' stake. A vote holds its shares in the pool until it is
//! withdrawn, which its owner does at any slot; exits, moves and tokens of the other shares go on.
//!
//! Invariants: a target's `steered` is the sum of its votes' weights; a position votes once at a time; a vote weighs what its shares were
//! worth when it was cast or last refreshed, which anyone may do after a slash.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int;

use crate::{
    Address, Error, Header, Result, account,
    ground::layout::layout,
    stake::{
        pool::{Pool, PoolKind},
        position::Position,
    },
};

layout! {
    /// Stake of a position that steers a domain of a job.
    #[derive(Clone, Copy, Debug, Plain, Zeroable)]
    #[repr(C)]
    pub struct Vote {
        /// Kind, version, bump.
        pub header: Header,
        /// The position.
        pub position: Address,
        /// The position's pool.
        pub pool: Address,
        /// The attention pool that it steers towards.
        pub target: Address,
        /// Shares that vote.
        pub shares: u64,
        /// What they weigh in the target, base units.
        pub weight: u64,
    }
}

account!(Vote, Vote, 120);

impl Vote {
    /// Votes with active shares of a position for a domain.
    #[inline(always)]
    pub fn cast(
        &mut self,
        position: &mut Position,
        pool: &mut Pool,
        target: &mut Pool,
        shares: u64,
        slot: u64,
    ) -> Result<()> {
        if pool.kind == PoolKind::Attention as u8 || target.kind != PoolKind::Attention as u8 {
            return Err(Error::WrongSteering);
        }
        if position.steering_shares != 0 || self.shares != 0 {
            return Err(Error::AlreadyVoted);
        }
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        position.activate(pool, slot)?;
        if shares > position.shares {
            return Err(Error::NotEnoughShares);
        }
        self.shares = shares;
        position.steering_shares = shares;
        self.refresh(pool, target, slot)
    }

    /// Counts the vote at the present price of its shares.
    pub fn refresh(&mut self, pool: &Pool, target: &mut Pool, slot: u64) -> Result<()> {
        target.accrue(slot)?;
        let weight = int::assets_for_shares(self.shares, pool.shares, pool.assets)?;
        target.steered = int::add(int::sub(target.steered, self.weight)?, weight)?;
        self.weight = weight;
        Ok(())
    }

    /// Withdraws the vote.
    pub fn withdraw(&mut self, position: &mut Position, target: &mut Pool, slot: u64) -> Result<()> {
        target.accrue(slot)?;
        target.steered = int::sub(target.steered, core::mem::take(&mut self.weight))?;
        self.shares = 0;
        position.steering_shares = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegated_stake_steers_by_its_owners_vote_and_a_slash_is_counted() {
        let mut trainer = Pool::zeroed();
        trainer.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
        let mut domain = Pool::zeroed();
        domain.initialise(PoolKind::Attention, &[2; 32], 0, 0);
        let mut position = Position::zeroed();
        position.initialise(&[9; 32], &trainer, &[3; 32]);
        position.deposit(&mut trainer, 1_000_000, 0, 0, 0).unwrap();
        let mut vote = Vote::zeroed();
        assert_eq!(vote.cast(&mut position, &mut { domain }, &mut trainer, 1, 0), Err(Error::WrongSteering));
        assert_eq!(vote.cast(&mut position, &mut trainer, &mut domain, 0, 0), Err(Error::ZeroAmount));
        let mut attempt = vote;
        assert_eq!(attempt.cast(&mut position, &mut trainer, &mut domain, 1_000_001, 0), Err(Error::NotEnoughShares));
        vote.cast(&mut position, &mut trainer, &mut domain, 600_000, 100).unwrap();
        assert_eq!(vote.cast(&mut position, &mut trainer, &mut domain, 1, 100), Err(Error::AlreadyVoted));
        assert_eq!({ domain }.take_snapshot(200), Ok(300_000), "half of the time");
        assert_eq!(position.withdraw(&mut trainer, 400_001, 200), Err(Error::SharesLocked));
        trainer.slash_bps(10_000, 5_000, 200).unwrap();
        vote.refresh(&trainer, &mut domain, 200).unwrap();
        assert_eq!(domain.steered, 300_000);
        vote.withdraw(&mut position, &mut domain, 300).unwrap();
        assert_eq!((domain.steered, vote.shares), (0, 0));
        assert_eq!(position.withdraw(&mut trainer, 1_000_000, 300), Ok(500_000));
    }
}

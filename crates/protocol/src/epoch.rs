//! Emission at work: the account that holds its state, what a round draws, what a pool's stake yields.
//!
//! Invariants: a round draws at most its cap and at most what the node stream has released, and what it does not pay goes back into
//! the bucket that it came from; a pool's yield needs nobody else's account, so that ten thousand positions are one step.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int;

use crate::{
    Header, Result, account,
    config::Config,
    emission::{Emission, NODES},
    pool::{ACTIVE, Pool},
};

/// Address: [`crate::account::seed::EMISSION`].
#[derive(Clone, Copy, Debug, Plain, Zeroable)]
#[repr(C)]
pub struct EmissionAccount {
    /// Kind, version, bump.
    pub header: Header,
    /// The state of emission.
    pub emission: Emission,
}

account!(EmissionAccount, Emission, 328, liabilities: |account| account.emission.held());

impl Emission {
    /// Records a scored round's verified work, one unit per accepted training step, and draws its reward out of the node
    /// stream into the bucket that pays rounds.
    pub fn reward_round(&mut self, config: &mut Config, nodes: u64, steps_per_node: u64) -> Result<u64> {
        let work = int::mul(nodes, steps_per_node)?;
        self.record_round(nodes, work);
        let drawn = self.draw_at_most(config, work, config.parameters.round_reward)?;
        config.buckets.operator_rewards = int::add(config.buckets.operator_rewards, drawn)?;
        Ok(drawn)
    }

    /// Pays a pool its yield since its last settlement and counts its active stake from now on: the own bond and active delegated
    /// stake, nothing once it is retired.
    pub fn settle_pool(&mut self, pool: &mut Pool) -> Result<u64> {
        let stake = if pool.status == ACTIVE { pool.stake()? } else { 0 };
        let earned = self.settle(&mut pool.yield_share, stake)?;
        pool.credit(earned)?;
        Ok(earned)
    }

    /// Base units that rounds can draw.
    pub fn drawable(&self) -> Result<u64> {
        self.streams[NODES].available()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error,
        config::{Parameters, TOKEN},
        emission::Schedule,
        pool::PoolKind,
        position::Position,
    };

    fn start() -> (Config, Emission) {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        let mut emission = Emission::default();
        emission.initialise(&Schedule::DEFAULT, 0).unwrap();
        (config, emission)
    }

    #[test]
    fn a_round_draws_by_its_work_and_no_more_than_its_cap_or_the_stream() {
        let (mut config, mut emission) = start();
        emission.total_stake = 100_000_000 * TOKEN;
        assert_eq!(emission.reward_round(&mut config, 3, 20), Ok(0), "nothing is released before the first epoch ends");
        emission.turn(&mut config, 432_000).unwrap();
        let bucket = config.buckets.operator_rewards;
        // u · S_t / T_s · unit · work = 0.1 · 0.1 · 100 · 60.
        assert_eq!(emission.reward_round(&mut config, 3, 20), Ok(60 * TOKEN));
        assert_eq!(config.buckets.operator_rewards, bucket + 60 * TOKEN);
        assert_eq!(emission.reward_round(&mut config, 1_000, 1_000), Ok(config.parameters.round_reward));
        while emission.drawable().unwrap() > 0 {
            emission.reward_round(&mut config, 1_000, 1_000).unwrap();
        }
        assert_eq!(config.buckets.operator_rewards, bucket + 54_000 * TOKEN);
        assert_eq!(emission.reward_round(&mut config, u64::MAX, 2), Err(Error::Overflow));
    }

    #[test]
    fn only_active_stake_of_active_pools_yields() {
        let (mut config, mut emission) = start();
        let mut pools = [Pool::zeroed(); 2];
        let mut position = Position::zeroed();
        for (number, pool) in pools.iter_mut().enumerate() {
            pool.initialise(PoolKind::Trainer, &[number as u8; 32], 0, 0);
            pool.self_bond = 1_000 * TOKEN;
        }
        position.initialise(&[0; 32], &pools[0], &[7; 32]);
        position.deposit(&mut pools[0], 9_000 * TOKEN, 0, 0, 10_000_000).unwrap();
        for pool in &mut pools {
            assert_eq!(emission.settle_pool(pool), Ok(0));
        }
        emission.turn(&mut config, 432_000).unwrap();
        let mut yields = [0; 2];
        for (earned, pool) in yields.iter_mut().zip(&mut pools) {
            *earned = emission.settle_pool(pool).unwrap();
        }
        assert_eq!(yields[0], yields[1], "pending stake yields nothing");
        assert!(yields[0] > 0);
        pools[1].retire(432_000, 1).unwrap();
        emission.settle_pool(&mut pools[1]).unwrap();
        assert_eq!(pools[1].yield_share.stake, 0);
    }
}

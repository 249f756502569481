//! Emission at work: the account that holds its state, what a round draws, what a pool's stake yields.
//!
//! Invariants: a round draws at most its cap and at most what the node stream has released, and what it does not pay goes back into
//! the bucket that it came from; a pool's yield needs nobody else's account, so that ten thousand positions are one step.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int;

use crate::{
    Header, Result, account,
    admin::config::Config,
    ground::layout::layout,
    ground::schedule::{NODES, STAKING},
    money::emission::{Emission, Quote, Standing},
    stake::pool::Pool,
};

layout! {
    /// What is minted and to whom it flows: the one account of the emission.
    #[derive(Clone, Copy, Debug, Plain, Zeroable)]
    #[repr(C)]
    pub struct EmissionAccount {
        /// Kind, version, bump.
        pub header: Header,
        /// The state of emission.
        pub emission: Emission,
    }
}

account!(EmissionAccount, Emission, 352, liabilities: |account| account.emission.held());

/// What a round draws for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundWork {
    /// Trainers whose segments counted.
    pub nodes: u64,
    /// Training steps of each.
    pub steps_per_node: u64,
    /// Most that the round draws, base units.
    pub most: u64,
}

impl Emission {
    /// What a scored round's verified work, one unit per accepted training step, may draw once the round is final. Nothing is taken
    /// before: a round that is undone has drawn nothing, so that who has rounds of its own undone leaves the stream to all others.
    pub fn quote_round(&self, config: &Config, work: &RoundWork) -> Result<Quote> {
        let worth = self.worth(config, int::mul(work.nodes, work.steps_per_node)?)?;
        Ok(Quote { reward: worth.min(work.most).min(self.drawable()?), worth })
    }

    /// Records a final round's verified work, and draws what it was quoted out of the node stream into the bucket that pays rounds, as far as
    /// the stream goes.
    pub fn reward_round(&mut self, config: &mut Config, work: &RoundWork) -> Result<u64> {
        self.record_round(work.nodes, int::mul(work.nodes, work.steps_per_node)?);
        let drawn = self.take_for_nodes(work.most);
        config.buckets.operator_rewards = int::add(config.buckets.operator_rewards, drawn)?;
        Ok(drawn)
    }

    /// Pays a pool its yield since its last settlement and counts its active stake from now on: the own bond and active delegated
    /// stake, nothing once it is retired. The pool passes it on over the same number of slots as it was earned in, so that one who comes just
    /// before a settlement takes nothing from those who were there.
    pub fn settle_pool(&mut self, pool: &mut Pool, slot: u64) -> Result<u64> {
        pool.accrue(slot)?;
        let span = slot.saturating_sub(pool.yield_share.slot);
        let present = Standing { stake: pool.yielding()?, integral: pool.stake_integral, slot };
        let unowned = pool.take_unowned()?;
        self.streams[STAKING].released[0] = int::add(self.streams[STAKING].released[0], unowned)?;
        let earned = self.settle(&mut pool.yield_share, &present)?;
        pool.drip(earned, span, slot)?;
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
        admin::config::Parameters,
        ground::{schedule::Schedule, units::TOKEN},
        stake::{pool::PoolKind, position::Position},
    };

    fn start() -> (Config, Emission) {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        let mut emission = Emission::default();
        emission.initialise(&Schedule::DEFAULT, 0).unwrap();
        (config, emission)
    }

    fn work(nodes: u64, steps_per_node: u64) -> RoundWork {
        RoundWork { nodes, steps_per_node, most: Parameters::DEFAULT.round_reward }
    }

    #[test]
    fn a_round_draws_by_its_work_and_no_more_than_its_cap_or_the_stream() {
        let (mut config, mut emission) = start();
        emission.total_stake = 100_000_000 * TOKEN;
        let nothing = emission.quote_round(&config, &work(3, 20)).unwrap();
        assert_eq!(
            (nothing.reward, emission.reward_round(&mut config, &work(3, 20))),
            (0, Ok(0)),
            "nothing is released"
        );
        emission.turn(&mut config, 432_000).unwrap();
        let bucket = config.buckets.operator_rewards;
        // u · S_t / T_s · unit · work = 0.1 · 0.1 · 100 · 60.
        let most = config.parameters.round_reward;
        let drawable = emission.drawable().unwrap();
        let quote = emission.quote_round(&config, &work(3, 20)).unwrap();
        assert_eq!(quote, Quote { reward: 60 * TOKEN, worth: 60 * TOKEN });
        assert_eq!(emission.drawable().unwrap(), drawable, "what is quoted is not taken");
        let drawn = emission.reward_round(&mut config, &RoundWork { most: quote.reward, ..work(3, 20) });
        assert_eq!(drawn, Ok(60 * TOKEN));
        assert_eq!(config.buckets.operator_rewards, bucket + 60 * TOKEN);
        let worth = most * 100;
        let quote = emission.quote_round(&config, &work(1_000, 1_000)).unwrap();
        assert_eq!(quote, Quote { reward: most, worth }, "worth more than a round draws");
        while emission.drawable().unwrap() > 0 {
            emission.reward_round(&mut config, &work(1_000, 1_000)).unwrap();
        }
        assert_eq!(config.buckets.operator_rewards, bucket + 54_000 * TOKEN);
        // The stream is empty, and the work worth as much.
        let quote = emission.quote_round(&config, &work(1_000, 1_000)).unwrap();
        assert_eq!(quote, Quote { reward: 0, worth });
        assert_eq!(emission.reward_round(&mut config, &work(1_000, 1_000)), Ok(0));
        assert_eq!(emission.quote_round(&config, &work(u64::MAX, 2)), Err(Error::Overflow));
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
            assert_eq!(emission.settle_pool(pool, 0), Ok(0));
        }
        emission.turn(&mut config, 432_000).unwrap();
        let mut yields = [0; 2];
        for (earned, pool) in yields.iter_mut().zip(&mut pools) {
            *earned = emission.settle_pool(pool, 864_000).unwrap();
        }
        assert_eq!(yields[0], yields[1], "pending stake yields nothing");
        assert!(yields[0] > 0);
        pools[1].retire(864_000, 1).unwrap();
        emission.settle_pool(&mut pools[1], 864_000).unwrap();
        assert_eq!(pools[1].yield_share.stake, 0);
    }

    /// Pools of 1,000 tokens each, counted from the beginning, and an epoch turned: the next one spreads its yield.
    fn spreading(pools: &mut [Pool]) -> (Config, Emission) {
        let (mut config, mut emission) = start();
        for (number, pool) in pools.iter_mut().enumerate() {
            pool.initialise(PoolKind::Trainer, &[number as u8; 32], 0, 0);
            pool.self_bond = 1_000 * TOKEN;
            emission.settle_pool(pool, 0).unwrap();
        }
        emission.turn(&mut config, EPOCH).unwrap();
        for pool in pools {
            emission.settle_pool(pool, EPOCH).unwrap();
        }
        (config, emission)
    }

    const EPOCH: u64 = Schedule::DEFAULT.epoch_slots;

    #[test]
    fn stake_earns_in_proportion_to_its_time_within_an_epoch() {
        let mut pools = [Pool::zeroed(); 4];
        let (mut config, mut emission) = spreading(&mut pools);
        // The second leaves after a quarter of the epoch, the third doubles after three quarters, and is counted at once; the fourth
        // leaves after a quarter without being counted before the end.
        pools[1].retire(EPOCH + EPOCH / 4, 0).unwrap();
        pools[1].take_bond(EPOCH + EPOCH / 4).unwrap();
        let mut earned = [0; 4];
        earned[1] += emission.settle_pool(&mut pools[1], EPOCH + EPOCH / 4).unwrap();
        pools[3].retire(EPOCH + EPOCH / 4, 0).unwrap();
        pools[2].add_bond(1_000 * TOKEN, EPOCH + EPOCH / 4 * 3, EPOCH).unwrap();
        earned[2] += emission.settle_pool(&mut pools[2], EPOCH + EPOCH / 4 * 3).unwrap();
        for (earned, pool) in earned.iter_mut().zip(&mut pools) {
            *earned += emission.settle_pool(pool, 2 * EPOCH).unwrap();
        }
        // At 0.2 % per 1,000 tokens and epoch: 2 tokens, for a quarter, for five quarters, for a quarter.
        let expected = [TOKEN * 2, TOKEN / 2, TOKEN * 5 / 2, TOKEN / 2];
        for (earned, expected) in earned.into_iter().zip(expected) {
            assert!(earned.abs_diff(expected) < 5_000, "{earned} for {expected}");
        }
        assert!(emission.yield_owed < 10, "what nobody earned is back in the stream");
        emission.turn(&mut config, 2 * EPOCH).unwrap();
    }

    /// Attack: stake that becomes active just before the turn of an epoch, is counted, and leaves just after the turn.
    #[test]
    fn attack_stake_that_comes_just_before_the_turn_earns_nothing_for_the_epoch() {
        let mut pools = [Pool::zeroed(); 2];
        let (mut config, mut emission) = spreading(&mut pools);
        let before = 2 * EPOCH - 1;
        pools[1].add_bond(1_000_000 * TOKEN, before, EPOCH).unwrap();
        let honest = emission.settle_pool(&mut pools[1], before).unwrap();
        emission.turn(&mut config, 2 * EPOCH).unwrap();
        let after = 2 * EPOCH + 1;
        let reaped = emission.settle_pool(&mut pools[1], after).unwrap();
        // A million tokens for two slots of 864,000 at 0.2 % an epoch are 0.0093 tokens; a whole epoch would be 2,000.
        assert!(reaped < TOKEN / 100, "{reaped}");
        assert!(honest.abs_diff(2 * TOKEN) < TOKEN / 1_000, "{honest}");
        // And those who were there all along have lost nothing.
        let loyal = emission.settle_pool(&mut pools[0], before + 1).unwrap();
        assert!(loyal.abs_diff(2 * TOKEN) < TOKEN / 1_000, "{loyal}");
    }

    /// Attack: a deposit into a pool that nobody has settled for an epoch, active just before the settlement.
    #[test]
    fn attack_a_late_depositor_takes_nothing_of_what_the_pool_earned_before() {
        for compounding in [0, 1] {
            let mut pools = [Pool::zeroed()];
            let (mut config, mut emission) = spreading(&mut pools);
            let pool = &mut pools[0];
            pool.compounding = compounding;
            let [mut early, mut late] = [Position::zeroed(); 2];
            for position in [&mut early, &mut late] {
                position.initialise(&[0; 32], pool, &[7; 32]);
            }
            early.deposit(pool, 1_000 * TOKEN, 0, EPOCH, 0).unwrap();
            emission.settle_pool(pool, EPOCH).unwrap();
            late.deposit(pool, 1_000 * TOKEN, 0, 2 * EPOCH - 1, 0).unwrap();
            let earned = emission.settle_pool(pool, 2 * EPOCH).unwrap();
            // 0.2 % of what was counted at the turn, over twice as much stake.
            assert!(earned.abs_diff(2 * TOKEN) < TOKEN / 1_000, "{earned}");
            emission.turn(&mut config, 2 * EPOCH).unwrap();
            let worth = |position: &Position, pool: &Pool| {
                let (mut position, mut pool) = (*position, *pool);
                let claimed = position.claim(&mut pool).unwrap_or(0);
                int::assets_for_shares(position.shares, pool.shares, pool.assets).unwrap() + claimed
            };
            // It leaves at once with nothing; who stays gets it over the next epoch, by the time that each was there.
            let leaves = worth(&late, pool);
            assert!(leaves <= 1_000 * TOKEN, "{leaves}");
            let shares = late.shares;
            late.withdraw(pool, shares, 2 * EPOCH).unwrap();
            pool.accrue(3 * EPOCH).unwrap();
            let stays = worth(&early, pool);
            // Half is the operator's, whose bond is as much as the delegated stake.
            assert!(stays.abs_diff(1_001 * TOKEN) < TOKEN / 100, "{stays}");
        }
    }
}

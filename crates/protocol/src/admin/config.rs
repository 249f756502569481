//! The one configuration: where the token's supply is, and the parameters within their hard bounds.
//!
//! Invariants: minted = cap; burned only grows; every bucket is funded before it pays; parameters are always within
//! [`Parameters::check`].

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, BPS_ONE, Rounding};

use crate::{
    Address, Error, Header, Result, account,
    admin::administration::Administration,
    ground::layout::layout,
    ground::{
        clock::longest_dispute_slots,
        offence::Penalties,
        units::{CAP, TOKEN},
    },
};

/// The genesis distribution of [`CAP`], in basis points: staking rewards, operator rewards, public, team, treasury, reserve.
pub const GENESIS_BPS: [u16; 6] = [2_000, 3_000, 2_000, 1_500, 1_000, 500];

/// Least time over which new stake becomes active: no authority can make stake count at once.
pub const MINIMUM_ACTIVATION_SLOTS: u64 = 100;

layout! {
    /// What the vault holds that belongs to nobody yet.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Buckets {
        /// For stakers, base units; [`crate::money::emission`] releases it.
        pub staking_rewards: u64,
        /// Pays the rounds what they draw, base units; [`crate::money::emission`] releases the rest.
        pub operator_rewards: u64,
        /// Handed out by `distribute`, base units.
        pub public: u64,
        /// The team's part, locked, base units.
        pub team: u64,
        /// The treasury, base units.
        pub treasury: u64,
        /// The reserve, base units.
        pub reserve: u64,
        /// Slashed stake and penalties, base units.
        pub insurance: u64,
    }
}

layout! {
    /// What governance may set, each within hard bounds ([`Parameters::check`]).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Parameters {
        /// Most that one round draws for all roles, base units.
        pub round_reward: u64,
        /// Bond that an accuser puts up, base units.
        pub dispute_bond: u64,
        /// Least own bond of an operator, base units.
        pub minimum_self_bond: u64,
        /// What each side's clock of a dispute begins with, for all its moves, if an audit is not longer.
        pub clock_slots: u64,
        /// From an exit's request to its claim.
        pub unbonding_slots: u64,
        /// Part of the round's reward per role; the five add up to 10 000.
        pub trainers_bps: u16,
        /// See `trainers_bps`.
        pub auditors_bps: u16,
        /// See `trainers_bps`.
        pub evaluators_bps: u16,
        /// See `trainers_bps`.
        pub data_bps: u16,
        /// See `trainers_bps`.
        pub patrons_bps: u16,
        /// Highest commission of a pool.
        pub maximum_commission_bps: u16,
        /// How far an evaluator's score may lie from the median, micro-nats per token.
        pub score_tolerance: u32,
        /// From a deposit until all of it counts.
        pub activation_slots: u64,
        /// Part of a fee for the server; the six add up to 10 000.
        pub server_fee_bps: u16,
        /// For the model and its ancestors.
        pub model_fee_bps: u16,
        /// For the data of the job that trains the model.
        pub data_fee_bps: u16,
        /// For the patrons of its domains.
        pub attention_fee_bps: u16,
        /// For the treasury.
        pub treasury_fee_bps: u16,
        /// Burned: the only part that counts as demand.
        pub burn_fee_bps: u16,
        /// Always 0.
        pub padding: [u16; 2],
        /// Bond that a job's creator puts up for the genesis state, base units.
        pub genesis_bond: u64,
        /// What each offence costs and where it goes.
        pub penalties: Penalties,
    }
}

impl Parameters {
    /// What `initialize` usually gets.
    pub const DEFAULT: Parameters = Parameters {
        round_reward: 10_000 * TOKEN,
        dispute_bond: 100 * TOKEN,
        minimum_self_bond: 1_000 * TOKEN,
        clock_slots: 9_000,
        unbonding_slots: 432_000,
        trainers_bps: 5_500,
        auditors_bps: 1_500,
        evaluators_bps: 1_000,
        data_bps: 1_500,
        patrons_bps: 500,
        score_tolerance: 2_000,
        maximum_commission_bps: 3_000,
        activation_slots: 216_000,
        server_fee_bps: 4_500,
        model_fee_bps: 2_000,
        data_fee_bps: 1_000,
        attention_fee_bps: 500,
        treasury_fee_bps: 500,
        burn_fee_bps: 1_500,
        padding: [0; 2],
        genesis_bond: 1_000 * TOKEN,
        penalties: Penalties::DEFAULT,
    };

    /// Checks the hard bounds, which no authority can pass.
    pub fn check(&self) -> Result<()> {
        let split = self.trainers_bps as u32
            + self.auditors_bps as u32
            + self.evaluators_bps as u32
            + self.data_bps as u32
            + self.patrons_bps as u32;
        if split != BPS_ONE as u32 {
            return Err(Error::SplitNotWhole);
        }
        let fees = self.server_fee_bps as u32
            + self.model_fee_bps as u32
            + self.data_fee_bps as u32
            + self.attention_fee_bps as u32
            + self.treasury_fee_bps as u32
            + self.burn_fee_bps as u32;
        if fees != BPS_ONE as u32 {
            return Err(Error::SplitNotWhole);
        }
        let mut within = self.padding == [0; 2] && self.penalties.reserved == 0;
        self.bounds(&mut |_, value, least, most| within &= least <= value && value <= most);
        if !within {
            return Err(Error::ParameterOutOfBounds);
        }
        // Both clocks of a dispute run out one after the other at worst, and moves give time back; twice that leaves room for
        // the round's own deadlines.
        let dispute_slots = longest_dispute_slots(self.clock_slots);
        if self.unbonding_slots <= dispute_slots + dispute_slots {
            return Err(Error::UnbondingTooShort);
        }
        Ok(())
    }

    /// Tells each value that has hard bounds of its own with its name and those bounds, least and most.
    #[inline(always)]
    pub fn bounds(&self, each: &mut impl FnMut(&'static str, u64, u64, u64)) {
        each("round reward", self.round_reward, 0, CAP / 1_000);
        each("dispute bond", self.dispute_bond, TOKEN, CAP / 1_000);
        each("minimum own bond", self.minimum_self_bond, TOKEN, CAP / 1_000);
        each("genesis bond", self.genesis_bond, TOKEN, CAP / 1_000);
        each("clock slots", self.clock_slots, 10, 1_000_000);
        each("unbonding slots", self.unbonding_slots, 0, 20_000_000);
        each("activation slots", self.activation_slots, MINIMUM_ACTIVATION_SLOTS, 2_000_000);
        each("score tolerance", self.score_tolerance as u64, 1, 1_000_000);
        each("maximum commission", self.maximum_commission_bps as u64, 0, 5_000);
        each("treasury fee", self.treasury_fee_bps as u64, 0, 2_000);
        each("burned fee", self.burn_fee_bps as u64, 500, 5_000);
        self.penalties.bounds(self.minimum_self_bond, each);
    }
}

layout! {
    /// The one configuration: who decides, what is held, the parameters.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Config {
        /// Kind, version, bump.
        pub header: Header,
        /// May propose changes, pause, and distribute the public bucket.
        pub authority: Address,
        /// The token's mint; its authority is this account.
        pub mint: Address,
        /// The token account that holds everything; its owner is this account.
        pub vault: Address,
        /// What the vault holds that belongs to nobody yet.
        pub buckets: Buckets,
        /// Base units burned so far: supply = [`CAP`] − burned.
        pub burned: u64,
        /// Parameters.
        pub parameters: Parameters,
        /// What waits, who is nominated, whether the protocol is paused.
        pub administration: Administration,
        /// Base units taken by convictions that wait to be burned.
        pub condemned: u64,
        /// Longest unbonding that was in force before the present parameters, slots.
        pub longest_unbonding_slots: u64,
    }
}

account!(Config, Config, 808, liabilities: |config| {
    let buckets = &config.buckets;
    let mut sum = config.condemned;
    for bucket in [buckets.staking_rewards, buckets.operator_rewards, buckets.public, buckets.team, buckets.treasury,
        buckets.reserve, buckets.insurance] {
        sum = int::add(sum, bucket)?;
    }
    Ok(sum)
});

impl Config {
    /// Fills the buckets with the genesis distribution of [`CAP`].
    pub fn genesis(&mut self, authority: &Address, parameters: &Parameters) -> Result<()> {
        parameters.check()?;
        let mut parts = [0; 6];
        for (part, share) in parts.iter_mut().zip(GENESIS_BPS) {
            *part = int::bps(CAP, share, Rounding::Down)?;
        }
        let [staking_rewards, operator_rewards, public, team, treasury, reserve] = parts;
        self.authority = *authority;
        self.parameters = *parameters;
        self.burned = 0;
        self.buckets = Buckets { staking_rewards, operator_rewards, public, team, treasury, reserve, insurance: 0 };
        Ok(())
    }

    /// Takes an amount out of the public bucket.
    pub fn distribute(&mut self, amount: u64) -> Result<()> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        self.buckets.public = self.buckets.public.checked_sub(amount).ok_or(Error::BucketEmpty)?;
        Ok(())
    }

    /// Adds slashed stake or a penalty to the insurance.
    pub fn insure(&mut self, amount: u64) -> Result<()> {
        self.buckets.insurance = int::add(self.buckets.insurance, amount)?;
        Ok(())
    }

    /// Records a burn; the caller burns the tokens from the vault.
    pub fn record_burn(&mut self, amount: u64) -> Result<()> {
        self.burned = int::add(self.burned, amount)?;
        Ok(())
    }
}
